"""Arrow types of a sample → Flink SQL types, with the evidence where a type is a judgement."""

from __future__ import annotations

import json
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any

from sdp_kernel.kafka.ddl import count, identifier, quotable

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAP_NAMES = 6
_MAP_RATIO = 3
_FIXED = {
    "bool": "BOOLEAN", "int8": "TINYINT", "int16": "SMALLINT", "int32": "INT", "int64": "BIGINT",
    "uint8": "SMALLINT", "uint16": "INT", "uint32": "BIGINT", "uint64": "DECIMAL(20, 0)",
    "float": "FLOAT", "halffloat": "FLOAT", "double": "DOUBLE", "null": "STRING",
    "string": "STRING", "large_string": "STRING", "binary": "BYTES", "large_binary": "BYTES",
    "date32[day]": "DATE", "date64[ms]": "DATE",
}  # fmt: skip
_PRECISION = {"s": 0, "ms": 3, "us": 6, "ns": 9}


def flink_type(kind: Any, column: Any = None) -> str | None:
    """Return the Flink SQL type for an Arrow type.

    Parameters
    ----------
    column
        An Arrow array of that type, for what only values tell: whether objects are maps.

    Returns
    -------
    str or None
        None where there is none: an object without fields, or with a field Flink cannot quote;
        Flink's ``json`` format reads such a value into a STRING as JSON text.
    """
    import pyarrow as pa  # noqa: PLC0415

    types = pa.types
    if types.is_map(kind):
        return f"MAP<STRING, {flink_type(kind.item_type) or 'STRING'}>"
    if types.is_struct(kind):
        found = map_of(kind, column)
        return found[0] if found else _row(kind, column)
    if types.is_list(kind) or types.is_large_list(kind):
        return f"ARRAY<{flink_type(kind.value_type, _flat(column)) or 'STRING'}>"
    if types.is_decimal(kind):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    if types.is_timestamp(kind):
        return f"TIMESTAMP{'_LTZ' if kind.tz else ''}({_PRECISION[kind.unit]})"
    if types.is_time(kind):
        return f"TIME({min(_PRECISION[kind.unit], 3)})"
    if types.is_fixed_size_binary(kind):
        return "BYTES"
    return _FIXED.get(str(kind), "STRING")


def _row(kind: Any, column: Any) -> str | None:
    parts = []
    children = _children(column, kind.num_fields)
    for index in range(kind.num_fields):
        child = kind.field(index)
        if not quotable(child.name):
            return None
        inner = flink_type(child.type, children[index]) or "STRING"
        parts.append(f"{identifier(child.name)} {inner}")
    return f"ROW<{', '.join(parts)}>" if parts else None


def map_of(kind: Any, column: Any) -> tuple[str, str] | None:
    """Return the MAP type of objects whose field names are data, and the evidence; else None.

    They are where there are six names or more, three times as many as an object has on average,
    and all their values share a type.
    """
    if column is None or kind.num_fields < _MAP_NAMES:
        return None
    children = _children(column, kind.num_fields)
    shared = shared_type((kind.field(i).type, child) for i, child in enumerate(children) if child is not None)
    objects = len(column) - column.null_count
    filled = sum(len(child) - child.null_count for child in children if child is not None)
    return _judged(kind.num_fields, objects, filled, shared)


def map_of_text(values: Iterable[str | None]) -> tuple[str, str] | None:
    """Return what :func:`map_of` does for JSON texts; None where one is no object."""
    import pyarrow as pa  # noqa: PLC0415

    known = [json.loads(value) for value in values if value is not None]
    if not known or not all(isinstance(value, dict) for value in known):
        return None
    names = set(chain.from_iterable(known))
    inner = [v for value in known for v in value.values() if v is not None]
    if len(names) < _MAP_NAMES:
        return None
    try:
        flat = pa.array(inner)
    except (pa.ArrowException, OverflowError, TypeError):
        return None
    shared = None if pa.types.is_nested(flat.type) else flink_type(flat.type)
    return _judged(len(names), len(known), sum(map(len, known)), shared)


def _judged(names: int, objects: int, filled: int, shared: str | None) -> tuple[str, str] | None:
    if shared is None or not objects or names < _MAP_NAMES or names * objects < _MAP_RATIO * filled:
        return None
    average = f"{filled / objects:.1f} in each on average"
    evidence = f"a map: {names} names in {count(objects, 'object')}, {average}, all values {shared}"
    return f"MAP<STRING, {shared}>", evidence


def shared_type(columns: Iterable[tuple[Any, Any]]) -> str | None:
    """Return the one Flink type of columns, nulls aside; None where they differ."""
    kinds = {flink_type(kind, column) for kind, column in columns if str(kind) != "null"}
    if kinds == {"BIGINT", "DOUBLE"}:
        return "DOUBLE"
    return next(iter(kinds)) if len(kinds) == 1 else None


def mixture(values: Iterable[str | None]) -> str:
    """Return what kinds of values JSON texts hold, most frequent first: ``5 numbers, 1 string``."""
    kinds = {"{": "object", "[": "array", '"': "string", "t": "boolean", "f": "boolean"}
    seen = Counter(kinds.get(value[:1], "number") for value in values if value)
    return ", ".join(count(number, kind) for kind, number in seen.most_common())


def _children(column: Any, fields: int) -> list[Any]:
    """Return a struct column's fields, nulls of the struct put into them."""
    import pyarrow as pa  # noqa: PLC0415

    if column is None:
        return [None] * fields
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = column.chunk(0) if column.num_chunks else pa.array([], column.type)
    return list(column.flatten())


def _flat(column: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    if column is None:
        return None
    if isinstance(column, pa.ChunkedArray):
        return pa.chunked_array([c.flatten() for c in column.chunks], column.type.value_type)
    return column.flatten()
