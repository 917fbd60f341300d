"""Arrow → pandas, at the edge, where integers stay integers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    import pandas as pd


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Turn an Arrow table into a DataFrame.

    Integer and boolean columns with nulls become pandas' nullable types (``Int64``, ``boolean``)
    in place of floats and objects; DECIMAL stays ``decimal.Decimal``; timestamps keep their unit.
    A struct is a dict and a list an array; where integers in them meet nulls, lists are Python's,
    with ``int`` and ``None`` in place of floats.
    """
    import pandas as pd  # noqa: PLC0415 - heavy: loaded when the first frame is made

    nullable = {
        pa.int8(): pd.Int8Dtype(),
        pa.int16(): pd.Int16Dtype(),
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.uint64(): pd.UInt64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
    }
    nested = [any(map(_widens, column.chunks)) for column in table.columns]
    frame: pd.DataFrame
    if not any(nested) and not any(c.null_count and c.type in nullable for c in table.columns):
        frame = table.to_pandas()
        return frame
    series = [
        pd.Series(column.to_pylist(), dtype=object)
        if widens
        else column.to_pandas(types_mapper=nullable.get if column.null_count else None)
        for column, widens in zip(table.columns, nested, strict=True)
    ]
    frame = pd.concat(series, axis=1) if series else pd.DataFrame()
    frame.columns = pd.Index(table.column_names)
    return frame


def _widens(array: pa.Array, *, inside: bool = False) -> bool:
    """Whether pandas would turn integers inside this array into floats, for a null beside them."""
    kind = array.type
    if pa.types.is_integer(kind):
        return inside and array.null_count > 0
    if pa.types.is_struct(kind):
        return any(_widens(child, inside=True) for child in array.flatten())
    if pa.types.is_map(kind):
        return _widens(array.items, inside=True) or _widens(array.keys, inside=True)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _widens(array.values, inside=True)
    return False
