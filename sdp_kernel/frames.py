"""Arrow → pandas, at the edge. Integer columns stay integers; inside structs with nulls they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    import pandas as pd


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Turn an Arrow table into a DataFrame.

    Integer and boolean columns with nulls become pandas' nullable types (``Int64``, ``boolean``)
    in place of floats and objects; DECIMAL stays ``decimal.Decimal``; timestamps keep their unit.
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
    frame: pd.DataFrame
    if not any(column.null_count and column.type in nullable for column in table.columns):
        frame = table.to_pandas()
        return frame
    series = [
        column.to_pandas(types_mapper=nullable.get if column.null_count else None) for column in table.columns
    ]
    frame = pd.concat(series, axis=1) if series else pd.DataFrame()
    frame.columns = pd.Index(table.column_names)
    return frame
