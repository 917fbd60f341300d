"""The output of a SELECT: what it is called, where its rows go, and the INSERT that takes them there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdp_kernel.errors import UsageError
from sdp_kernel.flink.script import identifier
from sdp_kernel.repository.notebooks import DEDUPLICATED

if TYPE_CHECKING:
    from sdp_kernel.flink.query import Query

_TOPIC = re.compile(r"^[A-Za-z0-9._-]{1,249}\Z")
_PATH = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*):/")
#: Where Flink has a file system for: its own, and those of its plugins.
SCHEMES = ("s3", "s3a", "s3p", "file", "hdfs", "gs", "abfs", "abfss", "wasb", "wasbs", "oss")


@dataclass(frozen=True)
class Sink:
    """The output: its table, and what is behind it.

    Attributes
    ----------
    table
        The table's name; ``written`` is that as SQL, quoted.
    topic, alias
        Its Kafka topic and cluster; ``topic`` is empty where the table is over none.
    key
        Its key, where it was declared here for a query that updates; else empty.
    ddl
        Its declaration; empty where the table is there already.
    columns
        Those of the table that are written, where not all of them in their order.
    unfilled
        Those that stay NULL.
    by_place
        Where columns do not have the table's names: the pairs ``(of the result, of the table)``.
    deduplicated
        Whether Flink keeps the last row of each key itself, since the planner knows none: ``ON CONFLICT``.
    path, format
        Of files.
    """

    table: str
    topic: str = ""
    alias: str = "main"
    key: tuple[str, ...] = ()
    ddl: str = ""
    compacted: bool = False
    written: str = ""
    columns: tuple[str, ...] = ()
    unfilled: tuple[str, ...] = ()
    by_place: tuple[tuple[str, str], ...] = ()
    deduplicated: bool = False
    path: str = ""
    format: str = ""

    @property
    def topic_config(self) -> dict[str, str]:
        """The topic's configuration: compacted where rows are updated by key."""
        return {"cleanup.policy": "compact"} if self.key or self.compacted else {}

    def insert(self, query: Query) -> str:
        """Return the SELECT as an INSERT, the cell's text unchanged behind it."""
        columns = f" ({', '.join(map(identifier, self.columns))})" if self.columns else ""
        into = f"INSERT INTO {self.written or identifier(self.table)}{columns}\n"
        return f"{into}{query.statement.text}{DEDUPLICATED if self.deduplicated else ''}"


def scheme_of(output: str) -> str | None:
    """Return the file system's scheme where an output is a path; None where it is a topic or a table."""
    match = _PATH.match(output)
    return match.group(1).lower() if match else None


def check_topic(name: str) -> str:
    """Return ``name`` if Kafka takes it for a topic."""
    if not _TOPIC.match(name) or name in {".", ".."}:
        raise UsageError(
            f"{name!r} is not a topic name",
            hint="use 1 to 249 letters, digits, dots, underscores or hyphens",
        )
    return name


def check_output(name: str) -> str:
    """Return ``name`` if it may be a path, a table or a topic.

    Raises
    ------
    UsageError
        It can be none of them, or Flink has no file system of that scheme.
    """
    scheme = scheme_of(name)
    if scheme is None:
        return check_topic(name)
    if scheme not in SCHEMES:
        raise UsageError(
            f"Flink has no file system for {scheme}: ({name})", hint=f"use one of {', '.join(SCHEMES)}"
        )
    return name
