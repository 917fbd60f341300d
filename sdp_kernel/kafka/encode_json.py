"""Rows → JSON text, exactly: whole Arrow columns at a time, or Python values one by one.

Decimals are numbers with all their digits, integers whole, bytes base64. A timestamp with a time
zone ends in ``Z``, one without does not: as Flink's ``json.timestamp-format.standard = ISO-8601``
reads TIMESTAMP_LTZ and TIMESTAMP.
"""

from __future__ import annotations

import base64
import math
from datetime import date, datetime, time, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from sdp_kernel.kafka.build import JSON_TEXT
from sdp_kernel.kafka.encode import Unwritable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_ESCAPED = r'["\\\x00-\x1f]'
_WHOLE = r"^-?[0-9]+$"
_INT64 = 2**63
_dump = msgspec.json.Encoder(decimal_format="number").encode
_check = msgspec.json.Decoder(msgspec.Raw).decode


def json_rows(table: pa.Table) -> pa.Array:
    """Return each row as the text of a JSON object; fields are named as the columns.

    Raises
    ------
    Unwritable
        A value has no JSON: NaN, infinity, an interval.
    """
    parts: list[Any] = ["{" if table.num_columns else "{}"]
    for index, (field, column) in enumerate(zip(table.schema, table.columns, strict=True)):
        is_json = JSON_TEXT in (field.metadata or {})
        parts += [("," if index else "") + _name(field.name), json_texts(column, field.name, is_json=is_json)]
    if not table.num_columns:
        return pa.array(["{}"] * table.num_rows, pa.string())
    return _joined(*parts, "}")


def json_texts(column: Any, name: str, *, is_json: bool = False, bare: bool = False) -> pa.Array:
    """Return each value's JSON text, ``null`` for nulls; ``bare`` leaves text without its quotes."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):  # no chunk at all
        array = pa.array([], column.type)
    try:
        return _texts(array, is_json=is_json, bare=bare).fill_null("null")
    except Unwritable as error:
        raise error.at(name) from None
    except pa.ArrowNotImplementedError:
        raise Unwritable(None, name, f"JSON has nothing for the type {array.type}") from None


def _texts(array: Any, *, is_json: bool = False, bare: bool = False) -> Any:
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return _texts(array.storage)
    if pa.types.is_dictionary(kind):
        return _texts(array.cast(kind.value_type), bare=bare)
    if pa.types.is_null(kind):
        return pa.nulls(len(array), pa.string())
    if pa.types.is_floating(kind):
        return _floats(array)
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return array.cast(pa.string())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        text = array.cast(pa.string())
        return _checked(text) if is_json else text if bare else _quoted(text)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return pa.array(
            [None if v is None else f'"{base64.b64encode(v).decode()}"' for v in array.to_pylist()],
            pa.string(),
        )
    if pa.types.is_struct(kind):
        return _structs(array)
    if pa.types.is_map(kind):
        lists = array.cast(pa.list_(pa.struct([kind.key_field, kind.item_field])))
        keys, items = lists.flatten().flatten()
        return _lists(lists, lambda: _joined(_quoted(_texts(keys, bare=True)), ":", _some(items)), "{}")
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _lists(array, lambda: _some(array.flatten()), "[]")
    if pa.types.is_timestamp(kind):
        shape = "%Y-%m-%dT%H:%M:%S" + ("Z" if kind.tz else "")
        text = pc.strftime(array.cast(pa.timestamp(kind.unit)), format=shape)
    elif pa.types.is_date(kind) or pa.types.is_time(kind):
        text = array.cast(pa.string())
    else:
        raise pa.ArrowNotImplementedError
    return text if bare else _joined('"', text, '"')


def _floats(array: Any) -> Any:
    if pa.types.is_float16(array.type):
        array = array.cast(pa.float32())
    odd = pc.index(pc.is_finite(array), False).as_py()
    if odd >= 0:
        raise Unwritable(odd, "", "JSON has no NaN and no infinity")
    text = array.cast(pa.string())
    return pc.if_else(
        pc.match_substring_regex(text, _WHOLE), pc.binary_join_element_wise(text, ".0", ""), text
    )


def _quoted(text: Any) -> Any:
    odd = pc.match_substring_regex(text, _ESCAPED)
    plain = _joined('"', text, '"')
    if not pc.any(odd).as_py():
        return plain
    odd = odd.fill_null(False)  # noqa: FBT003
    escaped = [_dump(value).decode() for value in text.filter(odd).to_pylist()]
    return pc.replace_with_mask(plain, odd, pa.array(escaped, pa.string()))


def _checked(text: Any) -> Any:
    for row, value in enumerate(text.to_pylist()):
        if value is not None:
            try:
                _check(value.encode())
            except (msgspec.MsgspecError, ValueError, RecursionError):
                raise Unwritable(row, "", "the text is no longer JSON") from None
    return text


def _structs(array: Any) -> Any:
    parts: list[Any] = []
    for index, child in enumerate(array.flatten()):
        name = array.type.field(index).name
        parts += [("," if index else "{") + _name(name), _some(child)]
    text = _joined(*parts, "}") if parts else pa.array(["{}"] * len(array), pa.string())
    return pc.if_else(array.is_valid(), text, pa.scalar(None, pa.string()))


def _some(array: Any) -> Any:
    return _texts(array).fill_null("null")


def _lists(array: Any, make: Callable[[], Any], brackets: str) -> Any:
    import numpy as np  # noqa: PLC0415

    if pa.types.is_fixed_size_list(array.type):
        lengths = pc.if_else(array.is_valid(), array.type.list_size, 0)
    else:
        lengths = pc.list_value_length(array).fill_null(0)
    offsets = np.concatenate([[0], np.cumsum(lengths.to_numpy(zero_copy_only=False))]).astype(np.int32)
    try:
        items = make()
    except Unwritable as error:
        row = None if error.row is None else int(np.searchsorted(offsets, error.row, "right")) - 1
        raise Unwritable(row, error.column, error.reason) from None
    joined = pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), items), ",")
    text = _joined(brackets[0], joined, brackets[1])
    return pc.if_else(array.is_valid(), text, pa.scalar(None, pa.string()))


def _joined(*parts: Any) -> Any:
    return pc.binary_join_element_wise(*parts, "")


def _name(name: str) -> str:
    return f"{_dump(name).decode()}:"


# --- Python values -------------------------------------------------------------------------


def json_dicts(rows: Sequence[Any]) -> list[bytes]:
    """Return each Python value (dicts, lists, numbers, …) as JSON.

    Raises
    ------
    Unwritable
        A value has no JSON.
    """
    out = []
    for row, value in enumerate(rows):
        try:
            out.append(_dump(_plain(value, "")))
        except Unwritable as error:
            raise Unwritable(row, error.column, error.reason) from None
        except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
            raise Unwritable(row, "", f"no JSON can be made of it: {type(error).__name__}") from None
    return out


def json_lines(table: pa.Table) -> Iterator[str]:
    """Give each row of a sample as a JSON object, to be looked at: all that is there, exactly.

    What JSON has nothing for is written all the same: NaN and infinities as ``null``, bytes as text
    where they are UTF-8, else as base64. Columns of JSON text stand as the JSON they are.
    """
    from sdp_kernel.kafka.encode import python_values  # noqa: PLC0415

    raw = {field.name for field in table.schema if JSON_TEXT in (field.metadata or {})}
    columns = [
        [
            msgspec.Raw(v.encode()) if v is not None and name in raw else _shown(v)
            for v in python_values(column)
        ]
        for name, column in zip(table.column_names, table.columns, strict=True)
    ]
    for row in zip(*columns, strict=True):
        yield _dump(dict(zip(table.column_names, row, strict=True))).decode()


def _shown(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _shown(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_shown(v) for v in value]
    if isinstance(value, (float, Decimal)) and not math.isfinite(value):
        return None
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    return _plain(value, "")


def plain_text(value: Any) -> bytes:
    """Return text and bytes as they are, anything else as JSON without quotes around a time."""
    if isinstance(value, bytes):
        return value
    plain = _plain(value, "")
    return plain.encode() if isinstance(plain, str) else _dump(plain)


def _plain(value: Any, path: str) -> Any:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, dict):
        return {str(k): _plain(v, f"{path}.{k}" if path else str(k)) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v, path) for v in value]
    if isinstance(value, int):
        return int(value) if -_INT64 <= value < 2 * _INT64 else msgspec.Raw(str(int(value)).encode())
    if isinstance(value, (float, Decimal)):
        if not math.isfinite(value):
            raise Unwritable(None, path, "JSON has no NaN and no infinity")
        return float(value) if isinstance(value, float) else value
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            return value.astimezone(timezone.utc).replace(tzinfo=None).isoformat() + "Z"
        return value.isoformat()
    if isinstance(value, (date, time, UUID)):
        return str(value) if isinstance(value, UUID) else value.isoformat()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    if hasattr(value, "tolist") and type(value).__module__ == "numpy":
        return _plain(value.tolist(), path)
    raise Unwritable(None, path, f"JSON has nothing for {type(value).__name__}")
