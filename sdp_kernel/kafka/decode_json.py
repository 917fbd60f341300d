"""JSON values → Arrow columns: exact, in bulk where that is safe, value by value elsewhere.

Every value is first checked by ``msgspec``. Objects then go to ``json_bulk``; where that
declines, the values are decoded one by one:

- an integer beyond int64 or a number that float64 cannot hold makes its column ``decimal128``,
  up to 38 digits;
- a column whose values have no common type holds each value's JSON text;
- so does an object with more than 1000 different fields, and what is nested deeper than 32;
- strings stay strings, also where they look like timestamps;
- of a field named twice in an object the last one counts.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from itertools import chain
from math import isfinite
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from sdp_kernel.kafka.decode import VALUE, Decoded
from sdp_kernel.kafka.json_bulk import EXACT_INT, MAX_DEPTH, MAX_FIELDS, exact_number, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sdp_kernel.kafka.decode import Options
    from sdp_kernel.kafka.registry import Registry

_DECIMAL_DIGITS = 38
_BAD_VALUE = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)


class _Object(msgspec.Struct):
    """Any JSON object: its fields are checked and skipped."""


_check = msgspec.json.Decoder(_Object).decode
_load = msgspec.json.Decoder(float_hook=exact_number).decode
_dump = msgspec.json.Encoder(decimal_format="number").encode


class JsonDecoder:
    """One column for each field of the objects, in the order first seen.

    Values that are no objects go to a column ``value`` (``value_`` where a field has that name).
    """

    format = "json"

    def __init__(self, *, options: Options | None = None, registry: Registry | None = None) -> None:
        del options, registry  # JSON leaves nothing open

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        """Read a batch; malformed values, also ``NaN`` and lone surrogates, have an error."""
        objects, others, errors = _sort_out(values)
        some = values if len(objects) == len(values) else [values[row] for row in objects]
        table = parse(list(some)) if objects else None  # type: ignore[arg-type]
        text: set[str] = set()
        columns: dict[str, Any] = {}
        if table is not None:
            columns = dict(zip(table.column_names, table.columns, strict=True))
        elif objects:
            objects, loaded = _load_rows(values, objects, errors)
            columns, text = _struct_columns(loaded, 0)
            if len(columns) > MAX_FIELDS:
                others = sorted([*others, *objects])
                objects, columns, text = [], {}, set()
        columns = _spread(columns, objects, len(values))
        fields = {name: name for name in columns}
        if others:
            others, loaded = _load_rows(values, others, errors)
            name = VALUE
            while name in columns:
                name += "_"
            array, is_text = _column(loaded, 0)
            if is_text:
                text.add(name)
            columns.update(_spread({name: array}, others, len(values)))
        return Decoded(columns, fields, frozenset(text), errors)


def _sort_out(
    values: Sequence[bytes | None],
) -> tuple[Sequence[int], list[int], dict[int, str]]:
    """Return the rows that are objects, those that are other JSON, and the errors."""
    try:
        for _ in map(_check, values):  # type: ignore[arg-type]
            pass
    except (TypeError, *_BAD_VALUE):
        pass
    else:
        return range(len(values)), [], {}
    objects: list[int] = []
    others: list[int] = []
    errors: dict[int, str] = {}
    for row, value in enumerate(values):
        if value is None:
            continue
        try:
            _check(value)
            objects.append(row)
        except msgspec.ValidationError:
            others.append(row)
        except _BAD_VALUE as error:
            errors[row] = _reason(value, error)
    return objects, others, errors


def _reason(value: bytes, error: Exception) -> str:
    if not value:
        return "not JSON: the value is empty"
    if isinstance(error, UnicodeDecodeError):
        return "not JSON: a string is not UTF-8"
    if isinstance(error, RecursionError):
        return "JSON nested too deep to read"
    if b"\\ud" in value.lower() and "truncated" in str(error):
        return "not JSON: a string has half of a surrogate pair"
    return f"not JSON: {str(error).removeprefix('JSON is malformed: ')}"


def _load_rows(
    values: Sequence[bytes | None], rows: Sequence[int], errors: dict[int, str]
) -> tuple[list[int], list[Any]]:
    kept: list[int] = []
    loaded: list[Any] = []
    for row in rows:
        value = values[row]
        assert value is not None  # noqa: S101
        try:
            loaded.append(_load(value))
            kept.append(row)
        except _BAD_VALUE as error:
            errors[row] = _reason(value, error)
    return kept, loaded


def _spread(columns: dict[str, Any], rows: Sequence[int], length: int) -> dict[str, Any]:
    """Put ``columns`` on ``rows`` of a batch of ``length``, nulls elsewhere."""
    if len(rows) == length or not columns:
        return columns
    at: list[int | None] = [None] * length
    for index, row in enumerate(rows):
        at[row] = index
    indices = pa.array(at, pa.int64())
    return {name: column.take(indices) for name, column in columns.items()}


def json_text(value: Any) -> str:
    """Write any value as JSON; what JSON has no word for becomes text."""
    return _dump(value).decode()


def columns_of(
    maps: list[dict[str, Any] | None], others: list[Any], *, whole: str
) -> tuple[dict[str, Any], dict[str, str], frozenset[str]]:
    """Return columns, fields and those that hold JSON text, of values read by another format.

    Parameters
    ----------
    maps, others
        A row's fields in one, or what is no map in the other; None in both for nothing.
    whole
        The column for what is no map; also for maps with too many fields.
    """
    columns, text = _struct_columns(maps, 0)
    fields = {name: name for name in columns}
    if len(columns) > MAX_FIELDS:
        others = [other if one is None else one for one, other in zip(maps, others, strict=True)]
        columns, fields, text = {}, {}, set()
    if any(other is not None for other in others):
        while whole in columns:
            whole += "_"
        columns[whole], is_text = _column(others, 0)
        if is_text:
            text.add(whole)
    return columns, fields, frozenset(text)


# --- value by value ------------------------------------------------------------------------


def _struct_columns(rows: list[Any], depth: int) -> tuple[dict[str, Any], set[str]]:
    """Return the fields of ``rows`` (dicts or None) as arrays, and which hold JSON text."""
    names = dict.fromkeys(chain.from_iterable(row for row in rows if row))
    columns: dict[str, Any] = {}
    text: set[str] = set()
    if len(names) > MAX_FIELDS:  # the caller keeps the whole value as text
        return dict.fromkeys(names), text
    for name in names:
        column, is_text = _column([row.get(name) if row else None for row in rows], depth + 1)
        columns[name] = column
        if is_text:
            text.add(name)
    return columns, text


def _column(values: list[Any], depth: int) -> tuple[Any, bool]:
    """Return ``values`` as an array, and whether it holds JSON text for want of a common type."""
    kinds = set(map(type, values)) - {type(None)}
    if not kinds:
        return pa.nulls(len(values)), False
    if kinds == {bool}:
        return pa.array(values, pa.bool_()), False
    if kinds == {str}:
        return pa.array(values, pa.string()), False
    if kinds == {bytes}:
        return pa.array(values, pa.binary()), False
    if kinds == {datetime}:
        return pa.array(values, pa.timestamp("us", "UTC")), False
    if kinds <= {int, float, Decimal}:
        kind = _number_type(values, kinds)
        if kind is not None:
            return _numbers(values, kind), False
    elif depth < MAX_DEPTH and kinds == {list}:
        child, _ = _column(list(chain.from_iterable(v for v in values if v)), depth + 1)
        return _lists(values, child), False
    elif depth < MAX_DEPTH and kinds == {dict}:
        columns, _ = _struct_columns(values, depth)
        if not columns:
            return pa.array(values, pa.struct([])), False
        if len(columns) <= MAX_FIELDS:
            absent = pa.array([v is None for v in values])
            return pa.StructArray.from_arrays(list(columns.values()), names=list(columns), mask=absent), False
    return pa.array([None if v is None else _dump(v).decode() for v in values], pa.string()), True


def _lists(values: list[Any], child: Any) -> Any:
    offsets: list[int | None] = []
    end = 0
    for value in values:
        offsets.append(None if value is None else end)
        end += len(value or ())
    return pa.ListArray.from_arrays(pa.array([*offsets, end], pa.int32()), child)


def _number_type(values: list[Any], kinds: set[type]) -> Any:
    """Return the narrowest of int64, float64, decimal128 that holds all exactly, or None."""
    if kinds == {int} and all(v is None or -(2**63) <= v < 2**63 for v in values):
        return pa.int64()
    if Decimal not in kinds and float in kinds:
        exact = all(not isinstance(v, int) or abs(v) <= EXACT_INT for v in values)
        if exact:
            return pa.float64()
    whole = scale = 0
    for value in values:
        if value is None:
            continue
        if isinstance(value, float) and not isfinite(value):
            return None
        _, digits, exponent = _decimal(value).as_tuple()
        assert isinstance(exponent, int)  # noqa: S101
        scale = max(scale, -exponent)
        whole = max(whole, len(digits) + exponent)
    if whole + scale > _DECIMAL_DIGITS:
        return None
    return pa.decimal128(max(whole + scale, 1), scale)


def _decimal(value: float | Decimal) -> Decimal:
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def _numbers(values: list[Any], kind: Any) -> Any:
    if pa.types.is_decimal(kind):
        return pa.array([None if v is None else _decimal(v) for v in values], kind)
    if pa.types.is_floating(kind):
        return pa.array([None if v is None else float(v) for v in values], kind)
    return pa.array(values, kind)
