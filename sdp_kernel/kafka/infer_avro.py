"""Avro values of a sample → what Flink's ``avro-confluent`` reads of them.

The format of Flink 2.3 derives its reader's schema from the table's columns, and that schema knows
TIMESTAMP up to (3), the UTC reading of an instant, but no TIMESTAMP_LTZ, no microseconds, no enum,
no fixed and no union but one with null.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sdp_kernel.kafka.ddl import ColumnSketch, Fragment, count, free, identifier, quotable, shown
from sdp_kernel.kafka.event_time import NATIVE, EventTime, event_time
from sdp_kernel.kafka.infer_types import flink_type

if TYPE_CHECKING:
    from sdp_kernel.kafka.infer_formats import ValueSketch
    from sdp_kernel.kafka.sample import Sample

_UNREAD = {"enum", "fixed"}


def read_as(kind: Any) -> Any:
    """Return the Arrow type Flink reads a field as: a timestamp of ms has no zone, of µs is a number."""
    import pyarrow as pa  # noqa: PLC0415

    types = pa.types
    if types.is_timestamp(kind):
        return pa.timestamp("ms") if kind.unit == "ms" else pa.int64()
    if types.is_time64(kind):
        return pa.int64()
    if types.is_dictionary(kind):
        return read_as(kind.value_type)
    if types.is_struct(kind):
        return pa.struct(
            [f.with_type(read_as(f.type)) for f in (kind.field(i) for i in range(kind.num_fields))]
        )
    if types.is_map(kind):
        return pa.map_(kind.key_type, read_as(kind.item_type))
    if types.is_list(kind):
        return pa.list_(read_as(kind.value_type))
    return kind


def avro_columns(sample: Sample, alias: str, made: ValueSketch, schema: str | None) -> None:
    """Put the columns of Avro records into ``made``."""
    made.options.append(("url", Fragment(f"${{registry.{alias}}}")))
    table = sample.table
    unread = unreadable(schema)
    columns = {sample.fields[c]: table.column(c) for c in sample.fields}
    for name, values in columns.items():
        why = unread.get(name) or _of_type(values.type)
        if why is None and not quotable(name):
            why = "a name Flink has no quoting for"
        if why is not None:
            made.notes.append(f"left out, avro-confluent cannot read it: {shown(name)} ({why})")
            continue
        made.columns.append(ColumnSketch(name, flink_type(read_as(values.type)) or "STRING"))
    skipped = sample.tombstones + sample.errors
    kept = made.names
    for name, values in columns.items():
        time = event_time(values, name, table) if name in kept else None
        if time is not None:
            _add_time(made, name, values, time, skipped)
    _note_versions(sample, made)


def _add_time(made: ValueSketch, name: str, values: Any, time: EventTime, skipped: int) -> None:
    import pyarrow as pa  # noqa: PLC0415

    missing = values.null_count - skipped
    if pa.types.is_timestamp(values.type):
        if values.type.unit == "ms" and not time.zoned:
            made.times[name] = (time, name, "TIMESTAMP(3)", missing)
            return
        if not time.zoned:
            return  # a local time of µs stays a number: it has no zone to make an instant of it
        column = identifier(name)
        thousands = {"ms": "", "us": " / 1000", "ns": " / 1000000"}[values.type.unit]
        if values.type.unit == "ms":
            text = f"TO_TIMESTAMP_LTZ(CAST({column} AS STRING), 'yyyy-MM-dd HH:mm:ss.SSS', 'UTC')"
        else:
            text = f"TO_TIMESTAMP_LTZ({column}{thousands}, 3)"
        time = replace(time, standard=NATIVE, precision=3)
    else:
        time = replace(time, standard="")
        text = time.expression(identifier(name))
    computed = free(f"{name}_{'ltz' if time.zoned else 'ts'}", made.names)
    made.computed.append(ColumnSketch(computed, time.computed_type, time.evidence, f"AS {text}"))
    made.times[name] = (time, computed, time.computed_type, missing)


def _of_type(kind: Any) -> str | None:
    import pyarrow as pa  # noqa: PLC0415

    if pa.types.is_dictionary(kind):
        return "an enum"
    return "fixed" if pa.types.is_fixed_size_binary(kind) and not pa.types.is_decimal(kind) else None


def unreadable(schema: str | None) -> dict[str, str]:
    """Return field → why ``avro-confluent`` cannot read it, from the writer's schema (JSON)."""
    try:
        record = json.loads(schema) if schema else {}
        fields = record.get("fields", []) if isinstance(record, dict) else []
    except ValueError:
        return {}
    known: dict[str, str | None] = {}
    if fields:
        known[str(record.get("name")).rpartition(".")[2]] = "a recursion"
    found = {field["name"]: _why(field["type"], known) for field in fields}
    return {name: why for name, why in found.items() if why}


def _why(kind: Any, known: dict[str, str | None]) -> str | None:
    if isinstance(kind, str):
        return known.get(kind.rpartition(".")[2])
    if isinstance(kind, list):
        branches = [branch for branch in kind if branch != "null"]
        return (
            "a union" if len(branches) > 1 else next(filter(None, (_why(b, known) for b in branches)), None)
        )
    inner = kind.get("type")
    if inner in _UNREAD:
        why: str | None = "an enum" if inner == "enum" else "fixed"
    elif inner == "record":
        known[kind["name"].rpartition(".")[2]] = "a recursion"
        why = next(filter(None, (_why(f["type"], known) for f in kind["fields"])), None)
    else:
        why = _why(kind.get("items", kind.get("values", inner)), known)
    if "name" in kind:
        known[kind["name"].rpartition(".")[2]] = why
    return why


def _note_versions(sample: Sample, made: ValueSketch) -> None:
    table = sample.table
    if "_schema_id" in table.column_names:
        seen = sorted({number for number in table["_schema_id"].to_pylist() if number is not None})
        if len(seen) > 1:
            made.notes.append(f"{len(seen)} schema versions: ids {', '.join(map(str, seen))}")
    if sample.errors:
        made.notes.append(
            f"{sample.errors} of {count(len(sample), 'record')} cannot be read, and avro-confluent has no way"
            " to skip them: a query that meets one fails"
        )
