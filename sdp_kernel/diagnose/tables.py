"""Which Kafka tables a query reads, and with which options: from its text and the session's catalog."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sdp_kernel.errors import SdpError
from sdp_kernel.flink.declared import declared, pairs, read_table
from sdp_kernel.flink.operators import metric_name
from sdp_kernel.flink.script import identifier, significant
from sdp_kernel.flink.sources import scan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sdp_kernel.flink.operators import Operator
    from sdp_kernel.flink.runner import Runner

_MOST_TABLES = 8
_DEEPEST_VIEW = 4
_KAFKA = ("kafka", "upsert-kafka")
_WATERMARK = re.compile(r"WATERMARK FOR `(?P<column>(?:[^`]|``)+)` AS (?P<rule>.+?),?\n")
_DELAY = re.compile(r"- INTERVAL '(?P<value>\d+(?:\.\d+)?)' (?P<unit>SECOND|MINUTE|HOUR|DAY)")
_COLUMN = re.compile(r"\s*`(?P<name>(?:[^`]|``)+)` (?P<type>.+)")
_NO_FIELD = re.compile(r"AS |.*\bMETADATA\b")
_UNITS_MS = {"SECOND": 1000, "MINUTE": 60_000, "HOUR": 3_600_000, "DAY": 86_400_000}


@dataclass(frozen=True)
class Table:
    """A Kafka table that the query reads.

    ``options`` are those of its declaration and of hints; ``time`` is the column its watermark is
    taken from, ``delay_ms`` how far the watermark stays behind it, None where it cannot be told.
    ``columns`` are those that the records' fields fill.
    """

    parts: tuple[str, ...]
    options: Mapping[str, str]
    time: str = ""
    delay_ms: int | None = None
    columns: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name without catalog and database."""
        return self.parts[-1]

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics it names; empty where it has a pattern."""
        return tuple(topic.strip() for topic in self.options.get("topic", "").split(";") if topic.strip())

    @property
    def upserts(self) -> bool:
        """Whether it is an upsert-kafka table, which always begins with the oldest records."""
        return self.options.get("connector") == "upsert-kafka"

    @property
    def startup(self) -> str:
        """Where it begins: ``scan.startup.mode``, or what holds without one."""
        if self.upserts:
            return "earliest-offset"
        return self.options.get("scan.startup.mode", "group-offsets")

    @property
    def group(self) -> str:
        """The consumer group; empty without one."""
        return self.options.get("properties.group.id", "")

    @property
    def format(self) -> str:
        """The format of values."""
        return self.options.get("format") or self.options.get("value.format") or ""

    @property
    def skips_errors(self) -> bool:
        """Whether records that cannot be decoded are skipped."""
        return any(
            key.endswith("ignore-parse-errors") and value.lower() == "true"
            for key, value in self.options.items()
        )

    def is_read_by(self, operator: Operator) -> bool:
        """Whether a source is this table's, by its name."""
        name = re.sub(r"\[\d+\]$", "", operator.name)
        return operator.is_source and any(
            name.endswith(f"{mark}{metric_name('.'.join(self.parts[-n:]))}")
            for n, mark in ((len(self.parts), "-"), (1, "__"))
        )


def read_by(runner: Runner, sql: str) -> list[Table]:
    """Find the Kafka tables a statement reads, through views, in order; at most eight.

    Parameters
    ----------
    sql
        The statement as submitted. What the catalog does not know any more is left out.
    """
    found: dict[tuple[tuple[str, ...], str], Table] = {}
    _collect(runner, sql, found, _DEEPEST_VIEW)
    return list(found.values())


def read_declaration(ddl: str) -> Table | None:
    """Read a CREATE TABLE, as Flink writes it; None for another connector than Kafka's."""
    table = read_table(ddl)
    if table.connector not in _KAFKA:
        return None
    read = Table(table.parts, table.options, columns=tuple(_columns(ddl)))
    found = _WATERMARK.search(ddl)
    if found is None:
        return read
    column, delay = found["column"].replace("``", "`"), _DELAY.search(found["rule"])
    if delay is not None:
        return replace(read, time=column, delay_ms=int(float(delay["value"]) * _UNITS_MS[delay["unit"]]))
    return replace(read, time=column, delay_ms=0 if found["rule"] == identifier(column) else None)


def _columns(ddl: str) -> Iterator[str]:
    """Yield the physical columns: those neither computed nor of metadata."""
    for line in ddl.partition("(\n")[2].partition("\n)")[0].split("\n"):
        found = _COLUMN.match(line)
        if found is not None and not _NO_FIELD.match(found["type"]):
            yield found["name"].replace("``", "`")


def hint_options(hint: str) -> dict[str, str]:
    """Read the OPTIONS of a hint, ``/*+ … */``."""
    tokens = significant(hint[3:-2])
    at = next((n for n, token in enumerate(tokens) if token.upper == "OPTIONS"), None)
    return {} if at is None else pairs(tokens[at + 1 :])


def _collect(runner: Runner, sql: str, found: dict[tuple[tuple[str, ...], str], Table], depth: int) -> None:
    for reference in scan(sql).references:
        if len(found) >= _MOST_TABLES:
            return
        try:
            table = read_declaration(
                runner.text(f"SHOW CREATE TABLE {'.'.join(map(identifier, reference.parts))}")
            )
        except SdpError:
            _through_view(runner, reference.parts, found, depth)
            continue
        if table is not None:
            hint = reference.hint.text if reference.hint is not None else ""
            hinted = {**table.options, **(hint_options(hint) if hint else {})}
            found.setdefault((table.parts, hint), replace(table, options=hinted))


def _through_view(
    runner: Runner,
    parts: tuple[str, ...],
    found: dict[tuple[tuple[str, ...], str], Table],
    depth: int,
) -> None:
    try:
        view = declared(runner, parts)
    except SdpError:
        return
    if view is not None and view.query is not None and depth:
        _collect(runner, view.query, found, depth - 1)
