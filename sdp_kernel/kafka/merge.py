"""Columns of records that were written with several schemas → columns of the batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

_WIDER = (pa.int32(), pa.int64(), pa.float32(), pa.float64())


class Group:
    """The columns of one schema's records, and the rows they belong to.

    ``healthy`` tells which records were read; None for all.
    """

    def __init__(
        self, rows: Any, columns: dict[str, Any], text: set[str], healthy: Any, *, fields: bool
    ) -> None:
        self.rows, self.columns, self.text, self.healthy, self.fields = rows, columns, text, healthy, fields

    def column(self, name: str) -> Any:
        """Return a column without what malformed records left in it."""
        array = self.columns[name]
        array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
        if self.healthy is None or self.healthy.all():
            return array
        index = np.arange(len(array))
        return array.take(pa.array(index, mask=~self.healthy))


def merge(groups: list[Group], count: int) -> tuple[dict[str, Any], set[str]]:
    """Put the groups' columns on the rows of the batch."""
    columns: dict[str, Any] = {}
    text: set[str] = set()
    for name in dict.fromkeys(name for group in groups for name in group.columns):
        some = [group for group in groups if name in group.columns]
        arrays = [group.column(name) for group in some]
        kind = _common([array.type for array in arrays])
        if kind is None or (any(name in g.text for g in some) and not all(name in g.text for g in some)):
            arrays = [
                array if name in group.text else _as_text(array)
                for array, group in zip(arrays, some, strict=True)
            ]
            text.add(name)
        else:
            arrays = [array if array.type == kind else _cast(array, kind) for array in arrays]
            text |= {name} if name in some[0].text else set()
        rows = np.concatenate([group.rows for group in some])
        if len(arrays) == 1 and len(rows) == count:
            columns[name] = arrays[0]
            continue
        index = np.full(count, -1, np.int64)
        index[rows] = np.arange(len(rows))
        joined = pa.concat_arrays(arrays) if len(arrays) > 1 else arrays[0]
        columns[name] = joined.take(pa.array(index, mask=index < 0))
    return columns, text


def _common(kinds: list[Any]) -> Any:
    """Return the type that all can be read as by Avro's rules of resolution; None without one."""
    known = {kind for kind in kinds if not pa.types.is_null(kind)}
    if len(known) < 2:  # noqa: PLR2004
        return next(iter(known), pa.null())
    if known <= set(_WIDER):
        if pa.float32() in known:  # Avro promotes integers to it, and loses digits
            return pa.float64()
        return max(known, key=_WIDER.index)
    plain = {kind.value_type if pa.types.is_dictionary(kind) else kind for kind in known}
    if len(plain) == 1:
        return plain.pop()
    if plain == {pa.string(), pa.binary()}:
        return pa.binary()
    if all(pa.types.is_struct(kind) for kind in known):
        return _common_struct(list(known))
    return None


def _common_struct(kinds: list[Any]) -> Any:
    fields: dict[str, list[Any]] = {}
    for kind in kinds:
        for i in range(kind.num_fields):
            fields.setdefault(kind.field(i).name, []).append(kind.field(i).type)
    common = {name: _common(some) for name, some in fields.items()}
    return None if None in common.values() else pa.struct(list(common.items()))


def _cast(array: Any, kind: Any) -> Any:
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), kind)
    if not pa.types.is_struct(kind):
        return array.cast(kind, safe=False)
    there = {array.type.field(i).name: child for i, child in enumerate(array.flatten())}
    children = [
        _cast(there[f.name], f.type) if f.name in there else pa.nulls(len(array), f.type)
        for f in (kind.field(i) for i in range(kind.num_fields))
    ]
    return pa.StructArray.from_arrays(
        children, fields=[kind.field(i) for i in range(kind.num_fields)], mask=array.is_null()
    )


def _as_text(array: Any) -> Any:
    from sdp_kernel.kafka.decode_json import json_text  # noqa: PLC0415

    return pa.array([None if v is None else json_text(v) for v in array.to_pylist()], pa.string())
