"""An output that is a table already: the result is fitted to its columns, by name or by place.

The planner has the last word. Where it refuses, each column is asked of it on its own, to say which ones
do not fit and what would make them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdp_kernel.errors import PromoteError, SdpError
from sdp_kernel.flink.script import identifier
from sdp_kernel.promote.lint import options
from sdp_kernel.promote.sink import Sink
from sdp_kernel.promote.sinks import probe

if TYPE_CHECKING:
    from sdp_kernel.flink.query import Query
    from sdp_kernel.flink.session import Session

_PARTS = 3  # catalog, database, table
_TIME_ATTRIBUTE = re.compile(r"\s*\*(ROWTIME|PROCTIME)\*")


@dataclass(frozen=True)
class Declared:
    """A column of a table that rows may be written to; ``type`` as DDL, without NOT NULL."""

    name: str
    type: str
    required: bool


def in_catalog(session: Session, name: str) -> Sink | None:
    """Return a table that the session's catalogs have, by its name, or catalog, database and name."""
    parts = name.split(".")
    if len(parts) > _PARTS or not all(parts):
        return None
    written = ".".join(map(identifier, parts))
    try:
        shown = session.runner().text(f"SHOW CREATE TABLE {written}")
    except SdpError:
        return None
    with_ = dict(options(shown))
    kafka = with_.get("connector") in {"kafka", "upsert-kafka"}
    return Sink(
        name,
        with_.get("topic", "") if kafka else "",
        compacted=with_.get("connector") == "upsert-kafka",
        written=written,
        path=with_.get("path", "") if with_.get("connector") == "filesystem" else "",
        format=with_.get("format", ""),
    )


def columns_of(session: Session, written: str) -> tuple[Declared, ...]:
    """Return the columns of a table that rows may be written to: none that are computed or only read."""
    found = []
    for row in session.runner().table(f"DESCRIBE {written}"):
        extras = str(row.get("extras") or "")
        if not extras.startswith("AS ") and not extras.endswith("VIRTUAL"):
            type_ = _TIME_ATTRIBUTE.sub("", str(row["type"])).removesuffix(" NOT NULL")
            found.append(Declared(str(row["name"]), type_, str(row["null"]).upper() == "FALSE"))
    return tuple(found)


def fitted(query: Query, session: Session, sink: Sink) -> Sink:
    """Return the output with the columns that the result goes to.

    By name where the table has all names of the result, else by place.

    Raises
    ------
    PromoteError
        The rows do not fit, with what does not for each column.
    """
    written = sink.written or identifier(sink.table)
    theirs = columns_of(session, written)
    mine = [column.name for column in query.columns]
    names = [column.name for column in theirs]
    if set(mine) <= set(names) and len(set(mine)) == len(mine):
        sink = dataclasses.replace(
            sink,
            columns=() if mine == names else tuple(mine),
            unfilled=tuple(name for name in names if name not in mine),
        )
    else:
        sink = dataclasses.replace(sink, by_place=tuple(zip(mine, names, strict=False)))
    trouble = _trouble(sink, mine, theirs)
    reason = ""
    if not trouble:
        try:
            session.runner().text(f"EXPLAIN {session.render(sink.insert(query), query.parameters).text}")
        except SdpError as error:
            reason = error.message
            trouble = _types(query, session, sink, theirs)
        else:
            return sink
    said = "".join(f"\n  {line}" for line in trouble) or f": {reason}"
    raise PromoteError(
        f"the result does not fit the table {sink.table}{said}",
        hint="SELECT its columns by their names and types, or choose another --to",
        detail=reason,
    )


def _trouble(sink: Sink, mine: list[str], theirs: tuple[Declared, ...]) -> list[str]:
    """Say which columns are missing, too many, or in another place than their name's."""
    names = [column.name for column in theirs]
    if not sink.by_place:
        return [
            f"{column.name} {column.type} NOT NULL is not in the result"
            for column in theirs
            if column.required and column.name not in mine
        ]
    lines = [f"{m} is in the place of {t}" for m, t in sink.by_place if m != t and m in names]
    if len(mine) != len(names) or lines:
        lines += [f"{name} is not in the table" for name in mine if name not in names]
        lines += [f"{name} is not in the result" for name in names if name not in mine]
    return lines


def _types(query: Query, session: Session, sink: Sink, theirs: tuple[Declared, ...]) -> list[str]:
    """Ask the planner about each column on its own; returns what to do about those that do not fit."""
    declared = {column.name: column for column in theirs}
    places = dict(sink.by_place)
    lines = []
    for column in query.columns:
        target = declared[places.get(column.name, column.name)]
        have, name = column.type.sql().removesuffix(" NOT NULL"), identifier(column.name)
        value = f"CAST(NULL AS {have})"
        body = f"(c {target.type}) WITH ('connector' = 'blackhole')"
        if not probe.refusal(session, body, lambda t, v=value: f"INSERT INTO {t} SELECT {v}", shown="it"):  # type: ignore[misc]
            continue
        able = False
        with contextlib.suppress(SdpError):
            session.runner().text(f"EXPLAIN SELECT CAST({value} AS {target.type})")
            able = True
        way = f"CAST({name} AS {target.type})" if able else "no CAST makes one of the other"
        lines.append(f"{column.name} {have} does not go into {target.name} {target.type}: {way}")
    return lines
