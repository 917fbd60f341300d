"""A sample → a Flink SQL ``CREATE TABLE`` over its topic, to be read and edited by a person.

Types are what the sample shows, no more: a comment says where it shows little. Every name in
the text is a quoted identifier or literal, and ``${`` in a name is written ``$${``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import TopicError, UsageError
from sdp_kernel.kafka.event_time import SQL, STANDARDS, EventTime, event_time, interval, lateness
from sdp_kernel.kafka.sample import JSON_TEXT

if TYPE_CHECKING:
    from sdp_kernel.kafka.sample import Sample

STARTUP_MODES = ("earliest-offset", "latest-offset", "group-offsets")
_ALIAS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MAX_IDENTIFIER = 128  # Calcite's limit
_IDLE = "30 s"
_ROW_TIME = "record_time"


@dataclass(frozen=True)
class ColumnSketch:
    """One column: its name in the value (unquoted), Flink type, and a note for its comment."""

    name: str
    type: str
    note: str = ""


@dataclass(frozen=True)
class TableSketch:
    """A proposed table.

    ``ddl`` is the statement without a final semicolon; ``watermark`` the delay in ms behind the
    column ``event_time``, both None where the sample shows no event time; ``notes`` are the
    comments at the head of the statement.
    """

    name: str
    topic: str
    format: str
    ddl: str
    columns: tuple[ColumnSketch, ...]
    event_time: str | None = None
    watermark: int | None = None
    notes: tuple[str, ...] = ()


def identifier(name: str) -> str:
    """Quote a Flink SQL identifier, with ``${`` kept from being a parameter."""
    return _literal("`" + name.replace("`", "``") + "`")


def table_name(topic: str) -> str:
    """Derive a table's name from a topic's: other than letters, digits and ``_`` become ``_``."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", topic)
    return f"t_{name}" if name[:1].isdigit() else name


def infer_table(
    sample: Sample,
    *,
    name: str | None = None,
    alias: str = "main",
    startup: str = "earliest-offset",
) -> TableSketch:
    """Propose a ``CREATE TABLE`` for the topic of a sample.

    Parameters
    ----------
    name
        The table's name; derived from the topic's where it is not given.
    alias
        The Kafka cluster the table reads, as ``${kafka.ALIAS}``.
    startup
        ``scan.startup.mode``.

    Raises
    ------
    UsageError
        A name, alias or start-up mode that cannot be right.
    TopicError
        The sample is empty: nothing can be said of its columns.
    """
    table = table_name(sample.topic) if name is None else name
    if not _quotable(table):
        raise UsageError(
            f"{table!r} cannot be a table name", hint=f"use 1 to {_MAX_IDENTIFIER} characters on one line"
        )
    if not _ALIAS.fullmatch(alias):
        raise UsageError(f"{alias!r} cannot be a Kafka alias", hint="use letters, digits and underscores")
    if startup not in STARTUP_MODES:
        raise UsageError(
            f"there is no start-up mode {startup!r}", hint=f"use one of: {', '.join(STARTUP_MODES)}"
        )
    if sample.format == "empty":
        raise TopicError(
            f"topic {sample.topic!r} has no record with a value, so it shows no columns",
            hint="write the CREATE TABLE by hand, or send a record and ask again",
        )
    return _Draft(sample, table, alias, startup).finish()


class _Draft:
    def __init__(self, sample: Sample, table: str, alias: str, startup: str) -> None:
        self.sample, self.table, self.alias, self.startup = sample, table, alias, startup
        self.notes: list[str] = []
        self.columns: list[ColumnSketch] = []
        self.options: list[tuple[str, str]] = []
        self.extra: list[str] = []
        self.watermark: tuple[str, int] | None = None

    def finish(self) -> TableSketch:
        rows = len(self.sample)
        offset = "".join(f"{p}: {s}-{e}  " for p, (s, e) in sorted(self.sample.offsets.items())).strip()
        self.notes.append(f"inferred from {_count(rows, 'record')} (offsets by partition: {offset})")
        if self.sample.tombstones:
            self.notes.append(
                f"{_count(self.sample.tombstones, 'tombstone')} in the sample: for a changelog by key use"
                " connector 'upsert-kafka' with PRIMARY KEY"
            )
        if self.sample.format == "json" and self.sample.fields:
            self._json()
        else:
            self._raw()
        return TableSketch(
            name=self.table,
            topic=self.sample.topic,
            format=self.sample.format,
            ddl=self._ddl(),
            columns=tuple(self.columns),
            event_time=self.watermark[0] if self.watermark else None,
            watermark=self.watermark[1] if self.watermark else None,
            notes=tuple(self.notes),
        )

    def _raw(self) -> None:
        binary = self.sample.format == "bytes"
        note = "JSON that is no object" if self.sample.format == "json" else ""
        self.columns.append(ColumnSketch("value", "BYTES" if binary else "STRING", note))
        self.options.append(("format", "raw"))

    def _json(self) -> None:
        table, fields = self.sample.table, self.sample.fields
        self.options.append(("format", "json"))
        times = {c: t for c in fields if (t := event_time(table.column(c))) is not None}
        standard = _standard(times)
        times = {c: t for c, t in times.items() if t.standard == standard}
        for column, field in fields.items():
            if not _quotable(field):
                self.notes.append(f"left out, Flink has no quoting for this name: {json.dumps(field)}")
                continue
            self.columns.append(self._column(column, field, times.get(column)))
        if standard is not None:
            self.options.append(("json.timestamp-format.standard", standard))
        others = self._not_objects()
        if self.sample.errors or others:
            what = [f"{self.sample.errors} malformed"] if self.sample.errors else []
            what += [f"{others} not an object"] if others else []
            self.notes.append(
                f"{', '.join(what)} of {_count(len(self.sample), 'record')}: such records are skipped"
            )
            self.options.append(("json.ignore-parse-errors", "true"))
        self._propose_watermark(fields, times)

    def _not_objects(self) -> int:
        whole = [c for c in self.sample.value_columns if c not in self.sample.fields]
        table = self.sample.table
        return sum(len(table) - table.column(c).null_count for c in whole)

    def _column(self, column: str, field: str, time: EventTime | None) -> ColumnSketch:
        arrow = self.sample.table.schema.field(column)
        if time is not None:
            return ColumnSketch(field, time.type)
        if arrow.metadata and JSON_TEXT in arrow.metadata:
            return ColumnSketch(field, "STRING", "values of several types")
        if arrow.type.num_fields == 0 and str(arrow.type) == "null":
            return ColumnSketch(field, "STRING", "only nulls in the sample")
        kind = flink_type(arrow.type)
        if kind is None:
            return ColumnSketch(field, "STRING", "as JSON text")
        return ColumnSketch(field, kind)

    def _propose_watermark(self, fields: dict[str, str], times: dict[str, EventTime]) -> None:
        kept = {c.name for c in self.columns}
        candidates = [(c, t) for c, t in times.items() if fields[c] in kept]
        if not candidates:
            self.notes.append(
                "no event time found; for the records' own time add:"
                f" `{_ROW_TIME}` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL"
            )
            return
        column, time = candidates[0]
        late, most = lateness(self.sample.table, time)
        delay, text = interval(most)
        rowtime = fields[column]
        if time.precision > 3:  # noqa: PLR2004  Flink: a watermark's column has at most TIMESTAMP(3)
            kind = time.type.split("(")[0]
            rowtime = self._free(f"{rowtime}_ms", kept)
            self.extra.append(f"{identifier(rowtime)} AS CAST({identifier(fields[column])} AS {kind}(3))")
        evidence = (
            f"{_count(late, 'record')} of {len(self.sample)} out of order, by at most {most} ms"
            if late
            else "no record of the sample is out of order"
        )
        self.extra.append(
            f"-- {evidence}\n  WATERMARK FOR {identifier(rowtime)} AS {identifier(rowtime)} - {text}"
        )
        self.watermark = (rowtime, delay)
        idle = sorted(p for p, (start, end) in self.sample.offsets.items() if start == end)
        if idle:
            self.notes.append(
                f"no record in partition {', '.join(map(str, idle))}:"
                " scan.watermark.idle-timeout keeps it from holding back the watermark"
            )
            self.options.append(("scan.watermark.idle-timeout", _IDLE))

    @staticmethod
    def _free(name: str, taken: set[str]) -> str:
        name = name[: _MAX_IDENTIFIER - 8]
        while name in taken:
            name += "_"
        return name

    def _ddl(self) -> str:
        lines = [f"-- {_comment(note)}" for note in self.notes]
        lines.append(f"CREATE TABLE {identifier(self.table)} (")
        body: list[tuple[str, str]] = [
            (f"{identifier(c.name)} {c.type}", f"  -- {c.note}" if c.note else "") for c in self.columns
        ]
        body += [(text, "") for text in self.extra]
        for index, (text, note) in enumerate(body):
            comma = "," if index + 1 < len(body) else ""
            lines.append(f"  {text}{comma}{note}")
        lines.append(") WITH (")
        lines.append("  'connector' = 'kafka',")
        lines.append(f"  ${{kafka.{self.alias}}},")
        group = f"sdp-{self.table}"
        options = [
            ("topic", self.sample.topic),
            ("scan.startup.mode", self.startup),
            ("properties.group.id", group),
            *self.options,
        ]
        lines.append(",\n".join(f"  {_string(key)} = {_string(value)}" for key, value in options))
        lines.append(")")
        return "\n".join(lines)


def flink_type(kind: Any) -> str | None:
    """Return the Flink SQL type for an Arrow type of decoded JSON.

    None where there is none: an object without fields, or with a field Flink cannot quote;
    Flink's ``json`` format reads such a value into a STRING as JSON text.
    """
    import pyarrow as pa  # noqa: PLC0415

    types = pa.types
    if types.is_struct(kind):
        parts = []
        for index in range(kind.num_fields):
            child = kind.field(index)
            inner = flink_type(child.type)
            if not _quotable(child.name):
                return None
            parts.append(f"{identifier(child.name)} {inner or 'STRING'}")
        return f"ROW<{', '.join(parts)}>" if parts else None
    if types.is_list(kind):
        return f"ARRAY<{flink_type(kind.value_type) or 'STRING'}>"
    if types.is_decimal(kind):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    simple = {"int64": "BIGINT", "double": "DOUBLE", "bool": "BOOLEAN", "null": "STRING"}
    return simple.get(str(kind), "STRING")


def _standard(times: dict[str, EventTime]) -> str | None:
    """Return the ``json.timestamp-format.standard`` most columns follow; on a tie ISO-8601."""
    count = {s: sum(t.standard == s for t in times.values()) for s in STANDARDS}
    if not times:
        return None
    return SQL if count[SQL] > len(times) - count[SQL] else next(s for s in STANDARDS if s != SQL)


def _quotable(name: str) -> bool:
    """Tell whether Calcite's lexer takes the name between backquotes."""
    return 0 < len(name) <= _MAX_IDENTIFIER and not re.search(r"[\r\n\x00]", name)


def _literal(text: str) -> str:
    return text.replace("${", "$${")


def _string(text: str) -> str:
    return _literal("'" + text.replace("'", "''") + "'")


def _comment(text: str) -> str:
    return _literal(re.sub(r"[\r\n]+", " ", text))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
