"""A sample → a Flink SQL ``CREATE TABLE`` over its topic, to be read and edited by a person.

Types are what the sample shows, no more: a comment says where it shows little. How a value is
read is in ``infer_formats``, a key in ``infer_keys``, types in ``infer_types``, times in
``event_time``, and the text is made in ``ddl``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sdp_kernel.errors import TopicError, UsageError
from sdp_kernel.kafka.ddl import (
    MAX_IDENTIFIER,
    ColumnSketch,
    Fragment,
    TableSketch,
    count,
    create_table,
    free,
    identifier,
    quotable,
    shown,
)
from sdp_kernel.kafka.event_time import NATIVE, EventTime, interval, lateness, name_weight
from sdp_kernel.kafka.infer_formats import ValueSketch, value_sketch
from sdp_kernel.kafka.infer_keys import KeySketch, key_sketch
from sdp_kernel.kafka.infer_types import flink_type

if TYPE_CHECKING:
    from sdp_kernel.kafka.sample import Sample

__all__ = ["ColumnSketch", "TableSketch", "flink_type", "identifier", "infer_table", "table_name"]

STARTUP_MODES = ("earliest-offset", "latest-offset", "group-offsets")
_ALIAS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_IDLE = "30 s"
_MAX_GROUP = 249
_TIME = "_timestamp"
_PLACES = (
    ("_partition", "INT", "partition"),
    ("_offset", "BIGINT", "offset"),
    (_TIME, "TIMESTAMP_LTZ(3)", "timestamp"),
)
_CHANGES = ("debezium-json", "maxwell-json")


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
    metadata: bool = True,
    upsert: bool = False,
    changelog: bool = True,
    schema: str | None = None,
) -> TableSketch:
    """Propose a ``CREATE TABLE`` for the topic of a sample.

    Parameters
    ----------
    name
        The table's name; derived from the topic's where it is not given.
    alias
        The Kafka cluster the table reads, as ``${kafka.ALIAS}``; its registry is ``${registry.ALIAS}``.
    startup
        ``scan.startup.mode``.
    metadata
        Add columns for the record's partition, offset and time, and for its headers where the sample
        has any. A table of changes has none of them: a retraction would not match what it retracts.
    upsert
        Make an ``upsert-kafka`` table: the last value of a key is its row, a tombstone deletes it.
    changelog
        Read Debezium's and Maxwell's envelopes as the changes they are; else as plain JSON.
    schema
        The writer's Avro schema (JSON), where it is known: fields that Flink cannot read are left out.

    Raises
    ------
    UsageError
        A name, alias or start-up mode that cannot be right, or ``upsert`` where records have no key.
    TopicError
        The sample is empty: nothing can be said of its columns.
    """
    table = table_name(sample.topic) if name is None else name
    _check(table, alias, startup, upsert=upsert)
    if sample.format == "empty":
        raise TopicError(
            f"topic {sample.topic!r} has no record with a value, so it shows no columns",
            hint="write the CREATE TABLE by hand, or send a record and ask again",
        )
    value = value_sketch(sample, alias, changelog=changelog and not upsert, schema=schema)
    draft = _Draft(sample, table, alias, startup, value, metadata=metadata, upsert=upsert)
    return draft.finish()


def _check(table: str, alias: str, startup: str, *, upsert: bool) -> None:
    if not quotable(table):
        raise UsageError(
            f"{shown(table)} cannot be a table name",
            hint=f"use 1 to {MAX_IDENTIFIER} characters on one line, not only spaces",
        )
    if not _ALIAS.fullmatch(alias):
        raise UsageError(f"{alias!r} cannot be a Kafka alias", hint="use letters, digits and underscores")
    if startup not in STARTUP_MODES:
        raise UsageError(
            f"there is no start-up mode {startup!r}", hint=f"use one of: {', '.join(STARTUP_MODES)}"
        )
    if upsert and startup != STARTUP_MODES[0]:
        raise UsageError(
            f"upsert-kafka has no start-up mode {startup!r}: it reads from the earliest offset",
            hint="leave out the start-up mode, or upsert",
        )


class _Draft:
    def __init__(
        self,
        sample: Sample,
        table: str,
        alias: str,
        startup: str,
        value: ValueSketch,
        *,
        metadata: bool,
        upsert: bool,
    ) -> None:
        self.sample, self.table, self.alias, self.startup = sample, table, alias, startup
        self.value, self.upsert = value, upsert
        self.changes = value.format in _CHANGES
        self.notes: list[str] = []
        self.constraints: list[tuple[str, str]] = []
        self.options: list[tuple[str, str]] = []
        self.watermark: tuple[str, int] | None = None
        self.taken = value.names
        self.primary: tuple[str, ...] = ()
        self.key = self._key()
        self.places = self._places() if metadata and not self.changes else []

    def finish(self) -> TableSketch:
        offsets = "".join(f"{p}: {s}-{e}  " for p, (s, e) in sorted(self.sample.offsets.items())).strip()
        self.notes.insert(
            0, f"inferred from {count(len(self.sample), 'record')} (offsets by partition: {offsets})"
        )
        self._tombstones()
        self.notes += [*self.value.notes, *(self.key.notes if self.key else ())]
        self._watermark()
        if self.primary:
            names = ", ".join(map(identifier, self.primary))
            self.constraints.append((f"PRIMARY KEY ({names}) NOT ENFORCED", ""))
        columns = (*(self.key.columns if self.key else ()), *self.value.columns, *self.places,
                   *self.value.computed)  # fmt: skip
        ddl = create_table(
            self.table,
            notes=self.notes,
            columns=columns,
            constraints=self.constraints,
            options=self._options(),
        )
        return TableSketch(
            name=self.table,
            topic=self.sample.topic,
            format=self.sample.format,
            ddl=ddl,
            columns=columns,
            event_time=self.watermark[0] if self.watermark else None,
            watermark=self.watermark[1] if self.watermark else None,
            notes=tuple(self.notes),
            connector="upsert-kafka" if self.upsert else "kafka",
            primary_key=self.primary,
        )

    def _key(self) -> KeySketch | None:
        key = key_sketch(self.sample, self.taken, self.alias)
        if self.upsert:
            if key is None or key.nulls:
                without = "no record" if key is None else f"{count(key.nulls, 'record')} of the sample"
                raise UsageError(
                    f"upsert-kafka needs a key in every record of {self.sample.topic!r}:"
                    f" {without + ' has one' if key is None else without + ' without one'}",
                    hint="leave out upsert",
                )
            self.primary = tuple(c.name for c in key.columns)
        if key is None:
            return None
        if self.changes:
            row = {c.name for c in self.value.columns if not c.clause}
            fields = self._row_key(key)
            if fields and fields <= row:
                self.primary = tuple(c.name for c in self.value.columns if c.name in fields)
                return None
            self.notes.append("the key has no fields of the row: add PRIMARY KEY (…) NOT ENFORCED by hand")
        self.taken |= {c.name for c in key.columns}
        return key

    def _row_key(self, key: KeySketch) -> set[str]:
        """Return the fields of the row that a change record's key names."""
        if key.format != "json":
            return set()
        fields = set(key.fields.values())
        if fields == {"schema", "payload"}:
            text = next(
                c.type for c, f in zip(key.columns, key.fields.values(), strict=True) if f == "payload"
            )
            return set(re.findall(r"`((?:[^`]|``)+)` [A-Z]", text)) if text.startswith("ROW<") else set()
        return {name.removeprefix("pk.") for name in fields - {"database", "table"}}

    def _places(self) -> list[ColumnSketch]:
        found = []
        places = [*_PLACES]
        headers = self.sample.table.column("_headers")
        if headers.null_count < len(headers):
            places.append(("_headers", "MAP<STRING, BYTES>", "headers"))
        for name, kind, key in places:
            column = free(name, self.taken)
            self.taken.add(column)
            note = self._repeated(headers) if key == "headers" else ""
            found.append(ColumnSketch(column, kind, note, f"METADATA FROM '{key}' VIRTUAL"))
        return found

    @staticmethod
    def _repeated(headers: object) -> str:
        lists = headers.to_pylist()  # type: ignore[attr-defined]
        twice = sum(len({h["key"] for h in pairs}) < len(pairs) for pairs in lists if pairs)
        return (
            f"{count(twice, 'record')} with a header named twice: a map keeps the last one" if twice else ""
        )

    def _tombstones(self) -> None:
        number = self.sample.tombstones
        if not number or self.upsert:
            return
        text = f"{count(number, 'tombstone')} in the sample"
        if self.changes:
            self.notes.append(f"{text}: skipped, the deletion before each says the same")
        else:
            fate = "with NULL for the value" if self.value.format == "raw" else "skipped"
            self.notes.append(f"{text}: {fate}; for a changelog by key use connector 'upsert-kafka' (upsert)")

    # --- watermark -----------------------------------------------------------------------------

    def _watermark(self) -> None:
        candidates = []
        for name, (time, column, kind, missing) in self.value.times.items():
            late, most = lateness(self.sample.table, time)
            known = sum(ms is not None for ms in time.millis)
            rank = (missing > 0, 2 * late > known, -name_weight(name), not time.standard, late / known)
            candidates.append((rank, name, time, column, kind, missing, late, most))
        if not candidates:
            self._record_time("no event time found")
            return
        _, name, time, column, kind, missing, late, most = min(candidates, key=lambda c: c[0])
        if missing > 0:
            self._record_time(
                f"the event time {shown(name)} is null in {count(missing, 'record')}, and Flink's windows"
                " fail on a null: COALESCE it in a computed column"
            )
            return
        if 2 * late > len(self.sample):
            self._record_time(
                f"no watermark for {shown(name)}: {late} of {count(len(self.sample), 'record')} are out of"
                f" order, by at most {most} ms, so it is no time of the event"
            )
            return
        rowtime = column
        if time.precision > 3 and kind == time.type:  # noqa: PLR2004  a watermark's column has at most (3)
            rowtime = free(f"{name}_ms", self.taken)
            short = re.sub(r"\(\d\)$", "(3)", kind)
            self.value.computed.append(
                ColumnSketch(rowtime, short, "", f"AS CAST({identifier(name)} AS {short})")
            )
        elif column != name:
            rowtime = column
        delay, text = interval(most)
        evidence = (
            f"{count(late, 'record')} of {len(self.sample)} out of order, by at most {most} ms"
            if late
            else "no record of the sample is out of order"
        )
        if delay < most:
            evidence += f": more than the {text[9:]} here, so such records are late"
        self.constraints.append(
            (f"WATERMARK FOR {identifier(rowtime)} AS {identifier(rowtime)} - {text}", evidence)
        )
        self.watermark = (rowtime, delay)
        self._idle()

    def _idle(self) -> None:
        idle = sorted(p for p, (start, end) in self.sample.offsets.items() if start == end)
        if idle:
            self.notes.append(
                f"no record in partition {', '.join(map(str, idle))}:"
                " scan.watermark.idle-timeout keeps it from holding back the watermark"
            )
            self.options.append(("scan.watermark.idle-timeout", _IDLE))

    def _record_time(self, why: str) -> None:
        """Note how the records' own time serves, with the delay that the sample shows."""
        stamps = self.sample.table.column(_TIME)
        if stamps.null_count:
            self.notes.append(why)
            return
        millis = tuple(stamps.cast("int64").to_pylist())
        _, most = lateness(self.sample.table, EventTime(NATIVE, zoned=True, precision=3, millis=millis))
        if self.changes:
            self.notes.append(why)
            return
        column = next((c.name for c in self.places if c.clause.startswith("METADATA FROM 'timestamp'")), None)
        quoted = identifier(column or free(_TIME, self.taken))
        add = f"add WATERMARK FOR {quoted} AS {quoted} - {interval(most)[1]}"
        if column is None:
            add = f"add {quoted} TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL, and {add[4:]}"
        self.notes.append(f"{why}; for the records' own time {add}")

    # --- options -------------------------------------------------------------------------------

    def _options(self) -> list[tuple[str, str]]:
        value = "value." if self.key or self.upsert else ""
        options: list[tuple[str, str]] = [
            ("connector", "upsert-kafka" if self.upsert else "kafka"),
            (Fragment(f"${{kafka.{self.alias}}}"), ""),
            ("topic", self.sample.topic),
        ]
        if not self.upsert:
            options.append(("scan.startup.mode", self.startup))
        options.append(("properties.group.id", f"sdp-{self.table}"[:_MAX_GROUP]))
        if self.key and self.upsert:
            options.append(("key.format", self.key.format))
            options += [(f"key.{name}", text) for name, text in self.key.options]
            options += self.key.shared_options()
        elif self.key:
            options += self.key.table_options()
        options.append((f"{value}format", self.value.format))
        options += [(f"{value}{self.value.format}.{name}", text) for name, text in self.value.options]
        return [*options, *self.options]
