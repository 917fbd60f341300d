"""Change envelopes (Debezium, Maxwell) of a sample → the table behind them, or the envelope itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sdp_kernel.kafka.ddl import count
from sdp_kernel.kafka.infer_formats import ValueSketch, json_columns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sdp_kernel.kafka.sample import Sample

_ROW = {"debezium-json": ("after", "before"), "maxwell-json": ("data", "old")}
_CHANGES = {"u", "d"}


def envelope(sample: Sample, *, changelog: bool) -> ValueSketch:
    """Return how to read change records: as a changelog, or as plain JSON by the envelope.

    Flink's debezium-json fails on an update or deletion without the row before it; where the sample
    has such records the envelope is all that can be read.
    """
    columns, wrapped = _outer(sample)
    lost = _without_before(sample, columns) if changelog else 0
    row = _row(sample, columns)
    if not changelog or lost or row is None:
        made = json_columns(sample, "json", *_plain(sample))
        if lost:
            made.notes.append(
                f"{count(lost, 'update or deletion')} without the row before it, on which Flink's"
                " debezium-json fails: this is the envelope (in PostgreSQL, REPLICA IDENTITY FULL sends"
                " the row before)"
            )
        elif changelog:
            made.notes.append("no row in the sample's envelopes: this is the envelope")
        return made
    made = json_columns(sample, sample.format, row, {name: name for name in row}, frozenset())
    if wrapped:
        made.options.append(("schema-include", "true"))
    made.notes.append(
        "no columns for offset, record time or source: what takes a row back has others than what gave it,"
        " so Flink would never match them (changelog=False shows them)"
    )
    return made


def _plain(sample: Sample) -> tuple[dict[str, Any], dict[str, str]]:
    return {c: sample.table.column(c) for c in sample.fields}, dict(sample.fields)


def _outer(sample: Sample) -> tuple[dict[str, Any], bool]:
    """Return the envelope's columns by field, and whether a schema comes with every record."""
    import pyarrow as pa  # noqa: PLC0415

    columns, fields = _plain(sample)
    by_field = {fields[c]: v for c, v in columns.items()}
    payload = by_field.get("payload")
    if payload is not None and pa.types.is_struct(payload.type) and {"op"} <= _names(payload.type):
        return _struct(payload), True
    return by_field, False


def _names(kind: Any) -> set[str]:
    return {kind.field(index).name for index in range(kind.num_fields)}


def _struct(column: Any) -> dict[str, Any]:
    import pyarrow as pa  # noqa: PLC0415

    table = pa.Table.from_arrays([column], ["c"]).flatten()
    names = [column.type.field(index).name for index in range(column.type.num_fields)]
    return dict(zip(names, table.columns, strict=True))


def _row(sample: Sample, outer: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the row's columns, from after the change or, for a deletion, from before it."""
    import pyarrow as pa  # noqa: PLC0415

    new, old = _ROW[sample.format]
    if new not in outer and old not in outer:
        return dict(outer) if sample.options.unwrap and outer else None
    sides = [
        _struct(outer[side]) for side in (new, old) if side in outer and pa.types.is_struct(outer[side].type)
    ]
    if not sides:
        return None
    row: dict[str, Any] = {}
    for name in dict.fromkeys(name for side in sides for name in side):
        parts = [side[name] for side in sides if name in side]
        row[name] = _either(parts) if sample.format == "debezium-json" else parts[0]
    return row


def _either(parts: list[Any]) -> Any:
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    known = [part for part in parts if not pa.types.is_null(part.type)]
    if len(known) < 2 or known[0].type != known[1].type or known[0].type.num_fields:  # noqa: PLR2004
        return (known or parts)[0]
    return pc.coalesce(*known)


def _without_before(sample: Sample, outer: Mapping[str, Any]) -> int:
    ops = outer.get("op")
    if sample.format != "debezium-json" or ops is None:
        return 0
    before = outer.get("before")
    there = before.is_valid().to_pylist() if before is not None else [False] * len(ops)
    return sum(op in _CHANGES and not old for op, old in zip(ops.to_pylist(), there, strict=True))
