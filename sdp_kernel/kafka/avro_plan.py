"""Avro in columns: a schema becomes a plan whose steps each read one field of all records at once.

A step moves the records' cursors and gives an Arrow array. What has no Arrow type
(recursion, unions of several types) is JSON text. Very long arrays raise ``Unplanned``:
``decode_avro`` then reads record by record.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pyarrow as pa
from typing_extensions import override

from sdp_kernel.kafka.avro_cursors import Cursors, Unplanned

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_ITEMS = 300
_MOST_ROUNDS = 5000


class Step:
    """Reads one value of each record."""

    #: The least number of bytes a value takes; a value that may take none always does.
    least = 1
    #: Whether its values are JSON text.
    is_json = False

    def read(self, at: Cursors, rows: Any, pos: Any) -> tuple[Any, Any]:
        """Return an Arrow array, one value for each of ``rows``, and the cursors behind them."""
        raise NotImplementedError

    def shaped(self, value: Any) -> Any:
        """Return a value that fastavro read as ``pyarrow.array`` takes it for this step's type."""
        return value


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
    def shaped(self, value: Any) -> Any:
        return value if isinstance(value, (str, bytes)) else str(value)  # a UUID

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
        self._inner, self._branch, self.is_json = inner, branch, inner.is_json

    @override
    def shaped(self, value: Any) -> Any:
        return None if value is None else self._inner.shaped(value)

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

    @override
    def shaped(self, value: Any) -> Any:
        return {name: step.shaped(value[name]) for name, step in self.fields}


class Opaque(Step):
    """What has no Arrow type: each value's JSON text, read by fastavro. Null stays null.

    ``load`` reads a value from a stream.
    """

    is_json = True

    def __init__(self, load: Callable[[BinaryIO], Any]) -> None:
        self._load = load

    @override
    def read(self, at: Cursors, rows: Any, pos: Any) -> tuple[Any, Any]:
        from io import BytesIO  # noqa: PLC0415

        pos = pos.copy()
        view = at.data.data
        texts: list[str | None] = []
        for index, (row, start, end) in enumerate(
            zip(rows.tolist(), pos.tolist(), at.end[rows].tolist(), strict=True)
        ):
            stream = BytesIO(view[start:end])
            try:
                texts.append(self.shaped(self._load(stream)))
                pos[index] += stream.tell()
            except Exception:  # noqa: BLE001 - whatever fastavro meets in such bytes
                at.bad[row] = True
                pos[index] = end
                texts.append(None)
        return pa.array(texts, pa.string()), pos

    @override
    def shaped(self, value: Any) -> str | None:
        from sdp_kernel.kafka.decode_json import json_text  # noqa: PLC0415

        return None if value is None else json_text(value)


class Items(Step):
    """An array or map: blocks of items, until a block of none."""

    def __init__(self, item: Step, *, entries: bool) -> None:
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
            most = room // self._item.least if self._item.least else _MOST_ITEMS
            wrong = (left < 0) | (left > most)
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
            at.rounds += 1
            if at.rounds > _MOST_ROUNDS:
                raise Unplanned
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

    @override
    def shaped(self, value: Any) -> Any:
        if self._entries:
            return [(key, self._item.shaped({"key": key, "value": v})["value"]) for key, v in value.items()]
        return [self._item.shaped(item) for item in value]
