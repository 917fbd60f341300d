"""An output of files: a table over a file system, in Parquet, JSON or CSV, or as a changelog in JSON."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from sdp_kernel.errors import PromoteError, UsageError
from sdp_kernel.flink.script import identifier
from sdp_kernel.promote.objects import in_force, object_names
from sdp_kernel.promote.sink import Sink, scheme_of
from sdp_kernel.promote.sinks import existing, probe
from sdp_kernel.promote.sinks.kafka import column_lines, rendered_options
from sdp_kernel.settings import quote

if TYPE_CHECKING:
    from sdp_kernel.flink.ledger import Entry
    from sdp_kernel.flink.query import Query
    from sdp_kernel.flink.session import Session
    from sdp_kernel.promote.objects import Slice
    from sdp_kernel.promote.request import Request

#: What may be asked for, and the options that go with it.
FORMATS: dict[str, dict[str, str]] = {
    "parquet": {},
    "json": {"json.timestamp-format.standard": "ISO-8601"},
    "csv": {},
    "debezium-json": {"debezium-json.timestamp-format.standard": "ISO-8601"},
}
#: Those that hold changes of rows, and not rows alone.
_OF_CHANGES = frozenset({"debezium-json"})
_WITH_SECRET = re.compile(r"^[^/]+://[^/]*@")


def make(query: Query, session: Session, reads: Slice, *, path: str, request: Request) -> Sink:
    """Declare the table over an output's files.

    Its name is the path's, so that two jobs that write to different places do not share a declaration.

    Raises
    ------
    PromoteError
        The query updates rows and the format has no changes, the planner refuses, or the job reads there.
    UsageError
        The path, the format or a partition column cannot be.
    """
    format_ = request.format or ("json" if scheme_of(path) == "file" else "parquet")
    _check(query, path, format_, request.partition_by)
    if query.updating and format_ not in _OF_CHANGES:
        raise PromoteError(
            f"the query updates its rows, and {format_} files hold rows that stay: {path}",
            hint="write the changes with --format debezium-json, or the latest row for each key to a topic "
            "(--to TOPIC); a window's rows are final",
        )
    filled = session.render(path, query.parameters).text
    for group in reads.objects:
        with_ = rendered_options(session, group)
        theirs = with_.get("path", "")
        if theirs and with_.get("connector") == "filesystem" and overlap(theirs, filled):
            raise PromoteError(
                f"the query reads {theirs}, through the table {group[0].target}: the job would feed itself",
                hint="choose another output path",
            )
    table = table_of(path)
    sink = Sink(table, path=path, format=format_)
    body = _body(query, sink, request.partition_by)
    ddl = f"CREATE TABLE {identifier(table)} {body}"
    known = _known(session, table, filled)
    if known is not None and known[0].text != ddl:
        if request.format or request.partition_by:
            raise UsageError(
                f"the table {table} over {path} is declared otherwise in the session",
                hint=f"leave --format and --partition-by out to take it as it is, or DROP TABLE {table}",
            )
        format_ = rendered_options(session, known).get("format", "")
        return existing.fitted(query, session, dataclasses.replace(sink, format=format_))
    reason = probe.refusal(
        session,
        session.render(body, query.parameters).text,
        lambda name: (
            session.render(dataclasses.replace(sink, written=name).insert(query), query.parameters).text
        ),
        shown=path,
    )
    if reason is not None and f"'{format_}'" in reason and "factory" in reason:
        raise PromoteError(
            f"this Flink writes no {format_}: {path}",
            hint=f"put flink-sql-{format_} and Hadoop's classes into its lib, ADD JAR them, or --format json",
        )
    if reason is not None:
        raise PromoteError(
            f"the result cannot be written to {path} as {format_}: {reason}",
            hint="CAST the column it names to another type, or choose another --format",
        )
    return sink if known is not None else dataclasses.replace(sink, ddl=ddl)


def table_of(path: str) -> str:
    """Return the name of the table that is declared over a path."""
    name = re.sub(r"\W+", "_", re.sub(r"^[^:]+:/+", "", path)).strip("_") or "files"
    return f"_{name}" if name[0].isdigit() else name


def _check(query: Query, path: str, format_: str, partition_by: tuple[str, ...]) -> None:
    if _WITH_SECRET.match(path):
        raise UsageError(
            "the path holds what may be a password, before its @",
            hint="leave it out: the cluster has its own credentials for the file system",
        )
    if format_ not in FORMATS:
        raise UsageError(f"{format_!r} is not a format of files here", hint=f"use {', '.join(FORMATS)}")
    names = [column.name for column in query.columns]
    for name in partition_by:
        if name not in names:
            raise UsageError(
                f"the partition column {name!r} is not in the result", hint=f"it has: {', '.join(names)}"
            )
    if set(partition_by) >= set(names):
        raise UsageError(
            "every column is a partition column, and none is left for the files",
            hint="partition by fewer of them",
        )


def _known(session: Session, table: str, path: str) -> tuple[Entry, ...] | None:
    """Return the session's own table over these files; refuses another object of that name."""
    for group in in_force(session.ledger.shaping).objects:
        if table in object_names(group):
            with_ = rendered_options(session, group)
            if with_.get("connector") == "filesystem" and with_.get("path") == path:
                return group
            what = group[0].kind.split()[-1]
            raise PromoteError(
                f"the output {path} would be the table {table}, and the session has another {what.lower()} "
                "of that name",
                hint=f"choose another path, or DROP {what} {identifier(table)}",
            )
    return None


def overlap(one: str, other: str) -> bool:
    """Whether a path is the other, or lies within it."""
    first, second = (f"{path.rstrip('/')}/" for path in (one, other))
    return first.startswith(second) or second.startswith(first)


def _body(query: Query, sink: Sink, partition_by: tuple[str, ...]) -> str:
    lines = ",\n".join(column_lines(query))
    options = {"connector": "filesystem", "path": sink.path, "format": sink.format, **FORMATS[sink.format]}
    with_ = ",\n".join(f"  {quote(key)} = {quote(value)}" for key, value in options.items())
    parts = f" PARTITIONED BY ({', '.join(map(identifier, partition_by))})" if partition_by else ""
    return f"(\n{lines}\n){parts} WITH (\n{with_}\n)"
