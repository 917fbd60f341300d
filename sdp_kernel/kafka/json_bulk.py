"""JSON objects → Arrow in one go with ``pyarrow.json``, taken only where it changes nothing.

What it would change, and what ``decode_json`` then reads value by value: integers beyond int64,
numbers float64 cannot hold, nulls in lists, fields named twice, columns of several types.
"""

from __future__ import annotations

import re
from decimal import Decimal
from io import RawIOBase
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as paj

MAX_FIELDS = 1000
MAX_DEPTH = 32
_DISCOVER = 500
_BLOCK = 4 << 20
_PIECE = 65_536  # values: what is joined and searched at once
EXACT_INT = 2**53
_LONG = 16  # a number with fewer digits is exact as float64
_SMALL = 1e-290
_MAX_DIGITS = 300
_NUMBER = re.compile(rb"[\[:,\s](-?[0-9][0-9.eE+-]*)")
_NULL_ITEM = re.compile(rb"[\[,]\s*null")


def exact_number(text: str) -> float | Decimal:
    """Read a JSON number with a fraction or exponent: a float where that holds it exactly."""
    value = float(text)
    if repr(value) == text or Decimal(text) == Decimal(repr(value)):
        return value
    return Decimal(text)


def parse(values: list[bytes]) -> pa.Table | None:
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
        or not _unchanged(table, pieces, values)
    ):
        return None
    return table.select(list(order | dict.fromkeys(table.column_names)))


def _lines(values: list[bytes]) -> bytes:
    """Join values, one a line: a raw line break in checked JSON is only ever white space."""
    text = b"\n".join([*values, b""])
    if text.count(b"\n") != len(values):
        text = b"\n".join([*(value.replace(b"\n", b" ") for value in values), b""])
    return text.replace(b"\r", b" ") if b"\r" in text else text


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
        pa.BufferReader(pieces[0]) if len(pieces) == 1 else _Stream(pieces),
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


def _unchanged(table: pa.Table, pieces: list[bytes], values: list[bytes]) -> bool:
    """Tell whether every number survived: pyarrow.json reads them as int64 or float64."""
    chunks = chain.from_iterable(column.chunks for column in table.columns)
    ranges = [pc.min_max(pc.abs(leaf)) for leaf in chain.from_iterable(map(_floats, chunks))]
    found = [(r["min"].as_py(), r["max"].as_py()) for r in ranges if r["min"].is_valid]
    if not found:
        return True
    # An integer below 2**53 is exact as float64, and a column without greater ones has none.
    large = max(most for _, most in found) >= EXACT_INT
    small = min(least for least, _ in found) < _SMALL  # also 0, for what was too small
    suspects = [p for p in pieces if _has_long_number(p)]
    if small and len(suspects) < len(pieces):
        suspects += [v for v in _with_small(table, values) if b"e-" in v or b"E-" in v]
    tokens = (match[1] for piece in suspects for match in _NUMBER.finditer(piece))
    return not any(_changed(token, large=large) for token in tokens)


def _with_small(table: pa.Table, values: list[bytes]) -> list[bytes]:
    """Return the values that have a number next to zero in a column; all, where one may be nested."""
    rows = np.zeros(len(values), bool)
    for column in table.columns:
        if pa.types.is_floating(column.type):
            numbers = column.to_numpy()
            rows |= np.abs(numbers, where=~np.isnan(numbers), out=np.ones(len(rows))) < _SMALL
        elif column.type.num_fields and any(map(_floats, column.chunks)):
            return values
    return [values[row] for row in np.flatnonzero(rows).tolist()]


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
            return large and (len(token) > _MAX_DIGITS or abs(int(token)) > EXACT_INT)
        return isinstance(exact_number(token.decode()), Decimal)
    except (ValueError, ArithmeticError):  # digits and dashes inside a string
        return False
