"""Avro in columns: a schema becomes a plan whose steps each read one field of all records at once.

Every record has a cursor of its own in one buffer. A step moves all cursors and gives an Arrow
array; a record that runs over its end, or has a length, branch or symbol that cannot be, is marked
and held at its end, so its neighbours are read as if it were not there. What a plan does not cover
(recursion, unions of several types, very long arrays) raises ``Unplanned``: ``decode_avro`` then
reads record by record.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from typing_extensions import override

PADDING = 16
_LONG_TEXT = 48
_MOST_ITEMS = 300
_MAX_VARINT = 10


class Unplanned(Exception):  # noqa: N818 - a way out, not a fault
    """The schema, or these values of it, are not read in columns."""


class Cursors:
    """The records' bytes end to end, where each ends, and which are malformed.

    ``data`` (uint8) has ``PADDING`` bytes behind the last record, so a read of one number never
    leaves it.
    """

    def __init__(self, payloads: list[bytes]) -> None:
        lengths = np.fromiter(map(len, payloads), np.int64, len(payloads))
        self.data = np.frombuffer(b"".join([*payloads, bytes(PADDING)]), np.uint8)
        self.end = lengths.cumsum()
        self.start = self.end - lengths
        self.bad = np.zeros(len(payloads), bool)

    def hold(self, rows: Any, pos: Any) -> Any:
        """Mark records whose cursor is beyond their end, and put it there."""
        end = self.end[rows]
        over = pos > end
        if over.any():
            self.bad[rows[over]] = True
            return np.minimum(pos, end)
        return pos

    def varint(self, rows: Any, pos: Any) -> tuple[Any, Any]:
        """Read a zig-zag number (int64) of each record."""
        first = self.data[pos]
        value = first.astype(np.uint64)
        if not (first >= 0x80).any():  # noqa: PLR2004 - the bit that says more follow
            pos = pos + 1
        else:
            value &= np.uint64(0x7F)
            pos = pos + 1
            more = np.flatnonzero(first >= 0x80)  # noqa: PLR2004
            for number in range(1, _MAX_VARINT):
                byte = self.data[pos[more]]
                value[more] |= (byte & 0x7F).astype(np.uint64) << np.uint64(7 * number)
                pos[more] += 1
                more = more[byte >= 0x80]  # noqa: PLR2004
                if not len(more):
                    break
            else:
                self.bad[rows[more]] = True
        signed = (value >> np.uint64(1)).astype(np.int64) ^ -(value & np.uint64(1)).astype(np.int64)
        return signed, self.hold(rows, pos)

    def lengths(self, rows: Any, pos: Any) -> tuple[Any, Any]:
        """Read a length in bytes of each record; zero for those that are malformed."""
        length, pos = self.varint(rows, pos)
        wrong = (length < 0) | (length > self.end[rows] - pos)
        if wrong.any():
            self.bad[rows[wrong]] = True
            length = np.where(wrong, 0, length)
            pos = np.where(wrong, self.end[rows], pos)
        return length, pos

    def fixed(self, rows: Any, pos: Any, width: int) -> tuple[Any, Any]:
        """Read ``width`` bytes of each record: an array (records, width) of uint8."""
        after = self.hold(rows, pos + width)
        start = np.minimum(pos, len(self.data) - width) if width <= len(self.data) else pos
        if width > len(self.data):
            return np.zeros((len(rows), width), np.uint8), after
        return self.data[start[:, None] + np.arange(width)], after

    def gather(self, pos: Any, lengths: Any) -> tuple[Any, Any]:
        """Copy (offsets, bytes) of one piece of each record, end to end."""
        offsets = np.zeros(len(pos) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        total = int(offsets[-1])
        if total > 2**31 - 1:
            raise Unplanned
        if total > _LONG_TEXT * max(1, len(pos)):
            view = self.data.data
            content: Any = b"".join(
                [view[a : a + n] for a, n in zip(pos.tolist(), lengths.tolist(), strict=True)]
            )
        else:
            content = self.data[np.repeat(pos - offsets[:-1], lengths) + np.arange(total)]
        return offsets.astype(np.int32), content


class Step:
    """Reads one value of each record."""

    #: The least number of bytes a value takes.
    least = 1

    def read(self, at: Cursors, rows: Any, pos: Any) -> tuple[Any, Any]:
        """Return an Arrow array, one value for each of ``rows``, and the cursors behind them."""
        raise NotImplementedError


class Null(Step):
    """Nothing."""

    least = 0

    @override
    def read(self, at: Cursors, rows: Any, pos: Any) -> tuple[Any, Any]:
        del at
        return pa.nulls(len(rows)), pos


class Boolean(Step):
    """One byte."""

    @override
    def read(self, at: Cursors, rows: Any, pos: Any) -> tuple[Any, Any]:
        byte = at.data[pos]
        at.bad[rows[byte > 1]] = True
        return pa.array(byte == 1), at.hold(rows, pos + 1)


class Whole(Step):
    """An int or long, plain or as a date, time or timestamp."""

    def __init__(self, kind: Any, *, bits: int) -> None:
        self._kind, self._bits = kind, bits
        self._range = _range(kind) or ((-(2**31), 2**31 - 1) if bits == 32 else None)  # noqa: PLR2004

    @override
    def read(self, at: Cursors, rows: Any, pos: Any) -> tuple[Any, Any]:
        value, pos = at.varint(rows, pos)
        if self._range is not None:
            wrong = (value < self._range[0]) | (value > self._range[1])
            if wrong.any():
                at.bad[rows[wrong]] = True
                value = np.where(wrong, 0, value)
        if self._bits == 32:  # noqa: PLR2004
            value = value.astype(np.int32)
        array = pa.array(value)
        return (array if array.type == self._kind else array.view(self._kind)), pos


def _range(kind: Any) -> tuple[int, int] | None:
    """Return the least and greatest number of a date, time or timestamp that Python's own types hold."""
    seconds = {"s": 1, "ms": 10**3, "us": 10**6}
    if pa.types.is_date(kind):
        return -719_162, 2_932_896
    if pa.types.is_time(kind):
        return 0, 86_400 * seconds[kind.unit] - 1
    if pa.types.is_timestamp(kind) and kind.unit in seconds:  # nanoseconds end in 2262
        return -62_135_596_800 * seconds[kind.unit], 253_402_300_800 * seconds[kind.unit] - 1
    return None


class Float(Step):
    """A float or double, little-endian."""

    def __init__(self, kind: str) -> None:
        self._kind = np.dtype(kind)
        self.least = self._kind.itemsize

    @override
    def read(self, at: Cursors, rows: Any, pos: Any) -> tuple[Any, Any]:
        raw, pos = at.fixed(rows, pos, self._kind.itemsize)
        return pa.array(np.ascontiguousarray(raw).view(self._kind).ravel()), pos


class Text(Step):
    """A string, or bytes."""

    def __init__(self, *, text: bool = True) -> None:
        self._text = text

    @override
    def read(self, at: Cursors, rows: Any, pos: Any) -> tuple[Any, Any]:
        length, pos = at.lengths(rows, pos)
        offsets, content = at.gather(pos, length)
        kind = pa.string() if self._text else pa.binary()
        array = pa.Array.from_buffers(kind, len(rows), [None, pa.py_buffer(offsets), pa.py_buffer(content)])
        if self._text and len(content) and (np.frombuffer(content, np.uint8) >= 0x80).any():  # noqa: PLR2004
            array = self._checked(at, rows, array)
        return array, pos + length

    @staticmethod
    def _checked(at: Cursors, rows: Any, array: Any) -> Any:
        try:
            array.validate(full=True)
        except pa.ArrowInvalid:
            kept: list[str | None] = []
            for row, value in zip(rows.tolist(), array.view(pa.binary()).to_pylist(), strict=True):
                try:
                    kept.append(value.decode())
                except UnicodeDecodeError:
                    at.bad[row] = True
                    kept.append("")
            return pa.array(kept, pa.string())
        return array


class Fixed(Step):
    """A given number of bytes."""

    def __init__(self, width: int) -> None:
        self._width = self.least = width

    @override
    def read(self, at: Cursors, rows: Any, pos: Any) -> tuple[Any, Any]:
        raw, pos = at.fixed(rows, pos, self._width)
        content = pa.py_buffer(np.ascontiguousarray(raw))
        return pa.Array.from_buffers(pa.binary(self._width), len(rows), [None, content]), pos


class Exact(Step):
    """A decimal in bytes or fixed: two's complement, big-endian."""

    def __init__(self, inner: Step, precision: int, scale: int) -> None:
        self._inner, self._scale, self.least = inner, scale, inner.least
        self._kind = pa.decimal128(precision, scale)
        self._limit = 10**precision

    @override
    def read(self, at: Cursors, rows: Any, pos: Any) -> tuple[Any, Any]:
        raw, pos = self._inner.read(at, rows, pos)
        values: list[Decimal] = []
        for row, content in zip(rows.tolist(), raw.to_pylist(), strict=True):
            number = int.from_bytes(content, "big", signed=True)
            if abs(number) >= self._limit:
                at.bad[row] = True
                number = 0
            values.append(Decimal((int(number < 0), tuple(map(int, str(abs(number)))), -self._scale)))
        return pa.array(values, self._kind), pos


class Enum(Step):
    """A symbol, as an Arrow dictionary."""

    def __init__(self, symbols: list[str]) -> None:
        self._symbols = pa.array(symbols, pa.string())

    @override
    def read(self, at: Cursors, rows: Any, pos: Any) -> tuple[Any, Any]:
        index, pos = at.varint(rows, pos)
        wrong = (index < 0) | (index >= len(self._symbols))
        at.bad[rows[wrong]] = True
        indices = np.where(wrong, 0, index).astype(np.int32)
        return pa.DictionaryArray.from_arrays(pa.array(indices), self._symbols), pos


class Nullable(Step):
    """A union of null and one type."""

    def __init__(self, inner: Step, branch: int) -> None:
        self._inner, self._branch = inner, branch

    @override
    def read(self, at: Cursors, rows: Any, pos: Any) -> tuple[Any, Any]:
        branch, pos = at.varint(rows, pos)
        at.bad[rows[(branch < 0) | (branch > 1)]] = True
        there = np.flatnonzero(branch == self._branch)
        array, behind = self._inner.read(at, rows[there], pos[there])
        if len(there) == len(rows):
            return array, behind
        pos = pos.copy()
        pos[there] = behind
        index = np.full(len(rows), -1, np.int64)
        index[there] = np.arange(len(there))
        return array.take(pa.array(index, mask=index < 0)), pos


class Record(Step):
    """Fields, one after the other."""

    def __init__(self, fields: list[tuple[str, Step]]) -> None:
        self.fields = fields
        self.least = sum(step.least for _, step in fields)

    def columns(self, at: Cursors, rows: Any, pos: Any) -> tuple[dict[str, Any], Any]:
        """Read each field as a column."""
        columns = {}
        for name, step in self.fields:
            columns[name], pos = step.read(at, rows, pos)
        return columns, pos

    @override
    def read(self, at: Cursors, rows: Any, pos: Any) -> tuple[Any, Any]:
        columns, pos = self.columns(at, rows, pos)
        if not columns:
            return pa.array([{}] * len(rows), pa.struct([])), pos
        return pa.StructArray.from_arrays(list(columns.values()), names=list(columns)), pos


class Items(Step):
    """An array or map: blocks of items, until a block of none."""

    def __init__(self, item: Step, *, entries: bool) -> None:
        if item.least == 0:
            raise Unplanned  # a count without bytes behind it could be anything
        self._item, self._entries = item, entries

    @override
    def read(self, at: Cursors, rows: Any, pos: Any) -> tuple[Any, Any]:
        pos = pos.copy()
        pieces: list[Any] = []
        owners: list[Any] = []
        active = np.arange(len(rows))
        for _ in range(_MOST_ITEMS):
            left, behind = at.varint(rows[active], pos[active])
            negative = left < 0
            if negative.any():
                some = active[negative]
                _, after = at.varint(rows[some], behind[negative])
                behind[negative] = after
                left = np.abs(left)
            room = at.end[rows[active]] - behind
            wrong = (left < 0) | (left > room // self._item.least)
            if wrong.any():
                at.bad[rows[active[wrong]]] = True
                left = np.where(wrong, 0, left)
            pos[active] = behind
            active, left = active[left > 0], left[left > 0]
            if not len(active):
                break
            if int(left.max()) > _MOST_ITEMS:
                raise Unplanned
            self._block(at, rows, pos, active, left, pieces, owners)
            active = active[~at.bad[rows[active]]]
        else:
            raise Unplanned
        return self._assembled(len(rows), pieces, owners), pos

    def _block(
        self, at: Cursors, rows: Any, pos: Any, active: Any, left: Any, pieces: list[Any], owners: list[Any]
    ) -> None:
        for number in range(int(left.max())):
            some = active[left > number]
            array, behind = self._item.read(at, rows[some], pos[some])
            pos[some] = behind
            pieces.append(array)
            owners.append(some)

    def _assembled(self, count: int, pieces: list[Any], owners: list[Any]) -> Any:
        owner = np.concatenate([np.array([], np.int64), *owners])
        offsets = np.zeros(count + 1, np.int32)
        np.cumsum(np.bincount(owner, minlength=count), out=offsets[1:])
        if pieces:
            values = pa.concat_arrays(pieces).take(pa.array(np.argsort(owner, kind="stable")))
        else:
            none = np.array([], np.int64)
            values = self._item.read(Cursors([]), none, none)[0]
        if self._entries:
            return pa.MapArray.from_arrays(pa.array(offsets), *values.flatten())
        return pa.ListArray.from_arrays(pa.array(offsets), values)
