"""JSON values → Arrow columns: exact, in bulk where that is safe, value by value elsewhere.

Every value is first checked by ``msgspec``. Objects then go to ``pyarrow.json`` all at once; its
result is taken only where it changes nothing. Otherwise the values are decoded one by one:

- an integer beyond int64 or a number that float64 cannot hold makes its column ``decimal128``,
  up to 38 digits;
- a column whose values have no common type holds each value's JSON text;
- so does an object with more than 1000 different fields, and what is nested deeper than 32;
- strings stay strings, also where they look like timestamps;
- of a field named twice in an object the last one counts.
"""

from __future__ import annotations

import re
from decimal import Decimal
from io import RawIOBase
from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as paj

from sdp_kernel.kafka.decode import VALUE, Decoded

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_FIELDS = 1000
MAX_DEPTH = 32
_DISCOVER = 500
_BLOCK = 4 << 20
_PIECE = 16_384  # values: what is joined and searched at once stays in the cache
_EXACT_INT = 2**53
_DECIMAL_DIGITS = 38
_BAD_VALUE = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)
_LONG = 16  # a number with fewer digits is exact as float64
_SMALL = 1e-290
_MAX_DIGITS = 300
_NUMBER = re.compile(rb"[\[:,\s](-?[0-9][0-9.eE+-]*)")
_NULL_ITEM = re.compile(rb"[\[,]\s*null")


class _Object(msgspec.Struct):
    """Any JSON object: its fields are checked and skipped."""


_check = msgspec.json.Decoder(_Object).decode


def _number(text: str) -> float | Decimal:
    """Read a JSON number with a fraction or exponent: a float where that holds it exactly."""
    value = float(text)
    if repr(value) == text or Decimal(text) == Decimal(repr(value)):
        return value
    return Decimal(text)


_load = msgspec.json.Decoder(float_hook=_number).decode
_dump = msgspec.json.Encoder(decimal_format="number").encode


class JsonDecoder:
    """One column for each field of the objects, in the order first seen.

    Values that are no objects go to a column ``value`` (``value_`` where a field has that name).
    """

    format = "json"

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        """Read a batch; malformed values, also ``NaN`` and lone surrogates, have an error."""
        objects, others, errors = _sort_out(values)
        table = _bulk([values[row] for row in objects]) if objects else None  # type: ignore[misc]
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


# --- in bulk: pyarrow.json -----------------------------------------------------------------


def _bulk(values: list[bytes]) -> pa.Table | None:
    """Parse objects with ``pyarrow.json``; None where its result would differ from the values.

    ``values`` must have been checked: pyarrow.json crashes on a top-level ``null`` and takes
    ``NaN`` for a number.
    """
    pieces = [_lines(values[i : i + _PIECE]) for i in range(0, len(values), _PIECE)]
    block = max(_BLOCK, max(map(len, values)) + 2)
    try:
        if not all(piece.isascii() or piece.decode() for piece in pieces):
            return None
        table = _discover(values, block)
        if table is None:
            return None
        order = dict.fromkeys(table.column_names)
        table = _untimed(pieces, block, table)
    except (pa.ArrowInvalid, UnicodeDecodeError):
        return None
    if (
        table is None
        or table.num_rows != len(values)
        or _table_too_wide(table, MAX_FIELDS)
        or _drops_nulls(table, pieces)
        or not _unchanged(table, pieces)
    ):
        return None
    return table.select(list(order | dict.fromkeys(table.column_names)))


def _lines(values: list[bytes]) -> bytes:
    """Join values, one a line: a raw line break in checked JSON is only ever white space."""
    text = b"\n".join(values)
    if text.count(b"\n") != len(values) - 1:
        text = b"\n".join([value.replace(b"\n", b" ") for value in values])
    if b"\r" in text:
        text = text.replace(b"\r", b" ")
    return text + b"\n"


def _discover(values: list[bytes], block: int) -> pa.Table | None:
    """Parse some of the values, to know the order of fields and which look like timestamps."""
    some = values[:_DISCOVER] + values[_DISCOVER :: -(-len(values) // _DISCOVER)]
    table = _parse([_lines(some)], block, {})
    return None if _table_too_wide(table, MAX_FIELDS // 4) else table


def _untimed(pieces: list[bytes], block: int, table: pa.Table) -> pa.Table | None:
    """Parse everything with strings where pyarrow.json would make timestamps."""
    hints: dict[str, Any] = {}
    for _ in range(3):
        hints |= {f.name: _no_time(f.type) for f in table.schema if _has_time(f.type)}
        table = _parse(pieces, block, hints)
        if not any(_has_time(f.type) for f in table.schema):
            return table
    return None


class _Stream(RawIOBase):
    """Gives pieces to pyarrow.json one after the other: joining them would copy everything."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        parts: list[memoryview] = []
        wanted = size
        while wanted:
            if not self._rest:
                self._rest = memoryview(next(self._pieces, b""))
                if not self._rest:
                    break
            part = self._rest if size < 0 else self._rest[:wanted]
            self._rest = self._rest[len(part) :]
            wanted -= len(part)
            parts.append(part)
        return b"".join(parts)


def _parse(pieces: list[bytes], block: int, hints: dict[str, Any]) -> pa.Table:
    return paj.read_json(
        _Stream(pieces),
        read_options=paj.ReadOptions(block_size=block),
        parse_options=paj.ParseOptions(
            explicit_schema=pa.schema(hints.items()) if hints else None,
        ),
    )


def _children(kind: Any) -> list[Any]:
    return [kind.field(i).type for i in range(kind.num_fields)]


def _has_time(kind: Any) -> bool:
    return bool(pa.types.is_timestamp(kind)) or any(map(_has_time, _children(kind)))


def _drops_nulls(table: pa.Table, pieces: list[bytes]) -> bool:
    """Tell whether a list may have lost a null: pyarrow.json reads [null, true] as [true]."""
    return any(_has_list(f.type) for f in table.schema) and any(
        b"null" in piece and _NULL_ITEM.search(piece) for piece in pieces
    )


def _has_list(kind: Any) -> bool:
    return bool(pa.types.is_list(kind)) or any(map(_has_list, _children(kind)))


def _no_time(kind: Any) -> Any:
    """Return ``kind`` with strings for timestamps; fields without a type yet are left to find."""
    if pa.types.is_struct(kind):
        return pa.struct(
            [
                (f.name, _no_time(f.type))
                for f in (kind.field(i) for i in range(kind.num_fields))
                if not pa.types.is_null(f.type)
            ]
        )
    if pa.types.is_list(kind):
        return pa.list_(_no_time(kind.value_type))
    return pa.string() if pa.types.is_timestamp(kind) else kind


def _table_too_wide(table: pa.Table, limit: int) -> bool:
    return len(table.schema) > limit or any(_too_wide(f.type, limit) for f in table.schema)


def _too_wide(kind: Any, limit: int, depth: int = 1) -> bool:
    return (
        kind.num_fields > limit
        or depth > MAX_DEPTH
        or any(_too_wide(child, limit, depth + 1) for child in _children(kind))
    )


def _floats(array: Any) -> list[Any]:
    """Return the float64 leaves of an array."""
    if pa.types.is_floating(array.type):
        return [array]
    if pa.types.is_struct(array.type):
        return list(chain.from_iterable(_floats(child) for child in array.flatten()))
    return _floats(array.flatten()) if pa.types.is_list(array.type) else []


def _unchanged(table: pa.Table, pieces: list[bytes]) -> bool:
    """Tell whether every number survived: pyarrow.json reads them as int64 or float64."""
    chunks = chain.from_iterable(column.chunks for column in table.columns)
    ranges = [pc.min_max(pc.abs(leaf)) for leaf in chain.from_iterable(map(_floats, chunks))]
    found = [(r["min"].as_py(), r["max"].as_py()) for r in ranges if r["min"].is_valid]
    if not found:
        return True
    # An integer below 2**53 is exact as float64, and a column without greater ones has none.
    large = max(most for _, most in found) >= _EXACT_INT
    small = min(least for least, _ in found) < _SMALL  # also 0, for what was too small
    suspects = [p for p in pieces if _has_long_number(p) or (small and (b"e-" in p or b"E-" in p))]
    tokens = (match[1] for piece in suspects for match in _NUMBER.finditer(piece))
    return not any(_changed(token, large=large) for token in tokens)


def _has_long_number(text: bytes) -> bool:
    """Tell whether 16 or more digits and dots come in a row (a slash counts as a digit)."""
    run = (np.frombuffer(text, np.uint8) - ord(".")) <= ord("9") - ord(".")
    for step in (1, 2, 4, 8):
        run = run[:-step] & run[step:]
    return bool(run.any())


def _changed(token: bytes, *, large: bool) -> bool:
    """Tell whether float64 changes a number; what only looks like one is not changed."""
    if len(token) < _LONG and b"e-" not in token and b"E-" not in token:
        return False
    try:
        if token.lstrip(b"-").isdigit():
            return large and (len(token) > _MAX_DIGITS or abs(int(token)) > _EXACT_INT)
        return isinstance(_number(token.decode()), Decimal)
    except (ValueError, ArithmeticError):  # digits and dashes inside a string
        return False


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
        exact = all(not isinstance(v, int) or abs(v) <= _EXACT_INT for v in values)
        if exact:
            return pa.float64()
    whole = scale = 0
    for value in values:
        if value is None:
            continue
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
