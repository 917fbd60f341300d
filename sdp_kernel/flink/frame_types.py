"""Arrow columns → Flink types, and their values as text that Flink reads back exactly."""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from sdp_kernel.errors import UsageError
from sdp_kernel.flink.script import identifier

if TYPE_CHECKING:
    from collections.abc import Callable

_SIMPLE = {
    pa.int8(): "TINYINT", pa.int16(): "SMALLINT", pa.int32(): "INT", pa.int64(): "BIGINT",
    pa.uint8(): "SMALLINT", pa.uint16(): "INT", pa.uint32(): "BIGINT", pa.uint64(): "DECIMAL(20, 0)",
    pa.bool_(): "BOOLEAN", pa.float16(): "FLOAT", pa.float32(): "FLOAT", pa.float64(): "DOUBLE",
    pa.date32(): "DATE", pa.date64(): "DATE", pa.null(): "STRING",
}  # fmt: skip
PRECISION = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_LARGEST_DECIMAL = 38
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896  # 0001-01-01 and 9999-12-31, in days since the epoch


def sql_type(type_: pa.DataType, column: str) -> str:
    """Return the Flink type that holds every value of an Arrow type.

    Raises
    ------
    UsageError
        Flink has none; it names the column.
    """
    types = pa.types
    if type_ in _SIMPLE:
        return _SIMPLE[type_]
    if types.is_dictionary(type_):
        return sql_type(type_.value_type, column)
    if _is_text(type_):
        return "STRING"
    if _is_binary(type_):
        return "BYTES"
    if (
        types.is_decimal(type_)
        and type_.precision <= _LARGEST_DECIMAL
        and 0 <= type_.scale <= type_.precision
    ):
        return f"DECIMAL({type_.precision}, {type_.scale})"
    if types.is_timestamp(type_):
        return f"TIMESTAMP{'_LTZ' if type_.tz else ''}({PRECISION[type_.unit]})"
    if types.is_time(type_):
        return f"TIME({min(PRECISION[type_.unit], 3)})"
    if types.is_list(type_) or types.is_large_list(type_) or types.is_fixed_size_list(type_):
        return f"ARRAY<{sql_type(type_.value_type, column)}>"
    if types.is_map(type_) and _is_text(type_.key_type):
        return f"MAP<STRING, {sql_type(type_.item_type, column)}>"
    if types.is_struct(type_) and type_.num_fields:
        fields = (f"{identifier(field.name)} {sql_type(field.type, column)}" for field in type_)
        return f"ROW<{', '.join(fields)}>"
    raise UsageError(
        f"the column {column} is a {type_}, which Flink SQL has no type for", hint=_advice(type_)
    )


def _is_text(type_: pa.DataType) -> bool:
    """Whether it is text; views, which polars sends, have no test of their own in pyarrow 16."""
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or str(type_) == "string_view")


def _is_binary(type_: pa.DataType) -> bool:
    types = pa.types
    known = types.is_binary(type_) or types.is_large_binary(type_) or types.is_fixed_size_binary(type_)
    return bool(known or str(type_) == "binary_view")


def _advice(type_: pa.DataType) -> str:
    if pa.types.is_duration(type_):
        return "turn it into a number, such as .dt.total_seconds()"
    if pa.types.is_map(type_):
        return "turn its keys into text"
    if pa.types.is_decimal(type_):
        return "cast it to decimal128(38, …) or to text"
    return "cast it to a number, text or a timestamp, or leave the column out"


def texts(column: pa.ChunkedArray, name: str) -> list[Any]:
    """Return values as what the JSON format reads exactly: numbers, text, lists, objects.

    Times are text, bytes base64, decimals text, and so are NaN and infinities.

    Raises
    ------
    UsageError
        A value is beyond what Flink keeps: it names the column.
    """
    if pa.types.is_dictionary(column.type):
        inner = column.type.value_type
        column = pa.chunked_array([pa.array(column.to_pylist(), pa.string() if _is_text(inner) else inner)])
    type_ = column.type
    if pa.types.is_float16(type_):
        return [None if value is None else _number(float(value)) for value in column.to_pylist()]
    if pa.types.is_floating(type_):
        values = column.to_pylist()
        finite = pc.all(pc.is_finite(column.cast(pa.float64())), skip_nulls=True).as_py()
        return values if finite is not False else [_number(value) for value in values]
    if _is_time(type_):
        return list(_time_texts(column, name).to_pylist())
    if pa.types.is_decimal(type_):
        return [None if value is None else format(value, "f") for value in column.to_pylist()]
    if pa.types.is_nested(type_):
        encode = _encoder(type_, name)
        return [encode(value) for value in column.to_pylist()]
    if _is_binary(type_):
        return [None if value is None else base64.b64encode(value).decode() for value in column.to_pylist()]
    return list(column.to_pylist())


def _is_time(type_: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(type_) or pa.types.is_date(type_) or pa.types.is_time(type_))


def _number(value: float | None) -> Any:
    if value is None or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _time_texts(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Write dates and times as Flink's SQL format does; instants end with Z."""
    type_ = column.type
    if pa.types.is_time(type_):
        try:
            return column.cast(pa.time32("s" if type_.unit == "s" else "ms")).cast(pa.string())
        except pa.ArrowInvalid:
            raise UsageError(
                f"the column {name} has times finer than a millisecond, which Flink does not keep",
                hint="round them, or cast the column to text",
            ) from None
    days = column.cast(pa.timestamp(type_.unit)) if pa.types.is_timestamp(type_) else column
    bounds = pc.min_max(pc.floor_temporal(days, unit="day").cast(pa.date32()).cast(pa.int32())).as_py()
    if bounds["min"] is not None and (bounds["min"] < _FIRST_DAY or bounds["max"] > _LAST_DAY):
        raise UsageError(
            f"the column {name} has dates outside the years 1 to 9999, which Flink does not read",
            hint="leave these rows out, or set them to null",
        )
    if pa.types.is_date(type_):
        return column.cast(pa.date32()).cast(pa.string())
    return pc.binary_join_element_wise(days.cast(pa.string()), "Z" if type_.tz else "", "")


def _encoder(type_: pa.DataType, name: str) -> Callable[[Any], Any]:
    """Return what turns a value of a nested type into lists, objects and text."""
    if pa.types.is_map(type_):
        item = _encoder(type_.item_type, name)
        return lambda value: None if value is None else {key: item(one) for key, one in value}
    if pa.types.is_struct(type_):
        fields = [(field.name, _encoder(field.type, name)) for field in type_]
        return lambda value: None if value is None else {key: encode(value[key]) for key, encode in fields}
    if pa.types.is_nested(type_):
        element = _encoder(type_.value_type, name)
        return lambda value: None if value is None else [element(one) for one in value]
    return lambda value: (
        None if value is None else texts(pa.chunked_array([pa.array([value], type_)]), name)[0]
    )
