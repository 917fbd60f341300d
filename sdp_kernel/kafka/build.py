"""Records → a table: decoded in pieces while more are read, put together and ordered at the end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

from sdp_kernel.kafka.decode import Decoded, Options, decode_key_column, decoder, detect

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sdp_kernel.kafka.read import Records
    from sdp_kernel.kafka.registry import Registry

METADATA = ("_key", "_partition", "_offset", "_timestamp", "_headers", "_error", "_raw")
FIELD = b"sdp.field"
JSON_TEXT = b"sdp.json_text"
CELL = b"sdp.cell"
_PIECE = 50_000
EMPTY = "empty"


@dataclass(frozen=True)
class Reading:
    """How to read bytes: formats by name, or None to detect them; and the schema registry."""

    value_format: str | None = None
    key_format: str | None = None
    options: Options = field(default_factory=Options)
    registry: Registry | None = None


@dataclass(frozen=True)
class Built:
    """A table and what was found out while it was made.

    ``value_bytes`` are the sizes of the rows' values (numpy, int64).
    """

    table: Any
    value_format: str
    key_format: str
    errors: int
    tombstones: int
    value_bytes: Any
    options: Options


class Assembly:
    """Takes records as they come and decodes them, in a thread where there are many.

    pyarrow parses without holding Python's lock, so reading goes on meanwhile.
    """

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self._parts: list[Records] = []
        self._pending: list[bytes | None] = []
        self._format = reading.value_format
        self._thread: ThreadPoolExecutor | None = None
        self._decoding: list[Any] = []

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def add(self, records: Records) -> None:
        """Take records, in any order."""
        self._parts.append(records)
        self._pending += records.values
        if len(self._pending) >= _PIECE:
            self._submit()

    def oldest(self, n: int) -> int:
        """Return the timestamp of the ``n``-th oldest record taken, of at least so many."""
        import numpy as np  # noqa: PLC0415

        return int(np.partition(np.concatenate([p.timestamps for p in self._parts]), n - 1)[n - 1])

    def _submit(self) -> None:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="sdp-decode")
        self._format = self._format or self.reading.value_format
        if self._format is None:
            self._format = detect(self._pending, self.reading.registry)
        if self._format is not None:
            self._decoding.append(self._thread.submit(self._decode, self._pending, self._format))
            self._pending = []

    def _decode(self, values: list[bytes | None], name: str) -> tuple[int, Decoded]:
        made = decoder(name, options=self.reading.options, registry=self.reading.registry)
        return len(values), made.decode(values)

    def finish(self, order: Any = None) -> Built:
        """Put everything together.

        Parameters
        ----------
        order
            Takes (timestamps, partitions, offsets) as numpy arrays and returns the indices of the
            records wanted, in the order wanted. As they came by default.
        """
        import numpy as np  # noqa: PLC0415

        values = list(chain.from_iterable(p.values for p in self._parts))
        name = self.reading.value_format or detect(values, self.reading.registry)
        decoded = self._decoded(values, name)
        timestamps, partitions, offsets = (
            np.concatenate([np.array([], kind), *(getattr(p, column) for p in self._parts)])
            for column, kind in (("timestamps", np.int64), ("partitions", np.int32), ("offsets", np.int64))
        )
        records = order(timestamps, partitions, offsets) if order else np.arange(len(values))
        key_format, keys, key_errors = self._keys()
        metadata = {
            "_key": keys,
            **_metadata(timestamps, partitions, offsets),
            "_headers": self._headers(),
        }
        rows = decoded.rows if decoded.rows is not None else np.arange(len(values))
        table = _table(decoded, metadata, rows, _errors(decoded, rows, values, key_errors))
        taken = _rows_of(records, decoded.rows, len(values))
        sizes = np.concatenate([np.array([], np.int64), *(p.sizes for p in self._parts)])[rows]
        whole = len(taken) == len(table) and bool(np.all(np.diff(taken) == 1))
        if not whole:
            table, sizes = table.take(taken), sizes[taken]
        kept = [values[row] for row in records.tolist()] if not whole else values
        errors = table.num_rows - table["_error"].null_count if "_error" in table.column_names else 0
        if not errors and "_error" in table.column_names:
            table = table.drop_columns(["_error", "_raw"])
        return Built(table, name or EMPTY, key_format, errors, kept.count(None), sizes,
                     decoded.found or self.reading.options)  # fmt: skip

    def close(self) -> None:
        """Wait for nothing any more."""
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)

    def _decoded(self, values: list[bytes | None], name: str | None) -> Decoded:
        if name is None:  # only tombstones and empty values, or nothing at all
            return Decoded({})
        if self._decoding and name == self._format:
            if self._pending:
                self._submit()
            whole = concatenate([future.result() for future in self._decoding])
            if whole is not None:
                return whole
        return self._decode(values, name)[1]

    def _keys(self) -> tuple[str, Any, Mapping[int, str]]:
        import pyarrow as pa  # noqa: PLC0415

        if not any(chain.from_iterable(p.keys for p in self._parts)):
            return EMPTY, pa.nulls(len(self), pa.string()), {}
        keys = list(chain.from_iterable(p.keys for p in self._parts))
        return decode_key_column(keys, self.reading.key_format, self.reading.registry)

    def _headers(self) -> Any:
        import pyarrow as pa  # noqa: PLC0415

        kind = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))
        if not any(any(p.headers) for p in self._parts):
            return pa.nulls(len(self), kind)
        return pa.array(
            [
                [{"key": key, "value": value} for key, value in pairs] if pairs else None
                for part in self._parts
                for pairs in part.headers
            ],
            kind,
        )


def build(reading: Reading, records: Records) -> Built:
    """Make a table of records that are all there, in their order."""
    with closing(Assembly(reading)) as assembly:
        assembly.add(records)
        return assembly.finish()


def concatenate(pieces: Sequence[tuple[int, Decoded]]) -> Decoded | None:
    """Put decoded pieces (number of values, result) together; None where their types differ.

    A column that a piece lacks, or has only nulls in, is null there.
    """
    import numpy as np  # noqa: PLC0415
    import pyarrow as pa  # noqa: PLC0415

    decoded = [piece for _, piece in pieces]
    text = frozenset().union(*(d.text_of_json for d in decoded))
    kinds: dict[str, Any] = {}
    for piece in decoded:
        for name, column in chain(piece.columns.items(), piece.extra.items()):
            known = kinds.setdefault(name, column.type)
            if pa.types.is_null(known):
                kinds[name] = column.type
            elif known != column.type and not pa.types.is_null(column.type):
                return None
            if name in text and name not in piece.text_of_json and column.null_count < len(column):
                return None
    lengths = [count if d.rows is None else len(d.rows) for count, d in pieces]

    def joined(side: str) -> dict[str, Any]:
        names = dict.fromkeys(chain.from_iterable(getattr(d, side) for d in decoded))
        return {
            name: pa.chunked_array(
                list(
                    chain.from_iterable(
                        _chunks(getattr(d, side).get(name), kinds[name], length)
                        for d, length in zip(decoded, lengths, strict=True)
                    )
                ),
                kinds[name],
            )
            for name in names
        }

    starts = np.cumsum([0, *lengths])[:-1].tolist()
    errors = {row + s: why for d, s in zip(decoded, starts, strict=True) for row, why in d.errors.items()}
    rows = None
    if any(d.rows is not None for d in decoded):
        firsts = np.cumsum([0, *(count for count, _ in pieces)])[:-1].tolist()
        rows = np.concatenate(
            [
                (np.arange(count) if d.rows is None else d.rows) + first
                for (count, d), first in zip(pieces, firsts, strict=True)
            ]
        )
    fields = {name: f for d in decoded for name, f in d.fields.items()}
    found = {d.found for d in decoded}
    if len(found) > 1:
        return None
    return Decoded(joined("columns"), fields, text, errors, joined("extra"), rows, found.pop())


def _chunks(column: Any, kind: Any, length: int) -> list[Any]:
    import pyarrow as pa  # noqa: PLC0415

    if column is None or (pa.types.is_null(column.type) and not pa.types.is_null(kind)):
        return [pa.nulls(length, kind)]
    return list(column.chunks) if isinstance(column, pa.ChunkedArray) else [column]


def _rows_of(records: Any, rows: Any, count: int) -> Any:
    """Return the table's rows for ``records`` (indices), in their order."""
    import numpy as np  # noqa: PLC0415

    if rows is None:
        return records
    rank = np.full(count, -1)
    rank[records] = np.arange(len(records))
    of_row = rank[rows]
    wanted = np.flatnonzero(of_row >= 0)
    return wanted[np.argsort(of_row[wanted], kind="stable")]


def _metadata(timestamps: Any, partitions: Any, offsets: Any) -> dict[str, Any]:
    import pyarrow as pa  # noqa: PLC0415

    return {
        "_partition": pa.array(partitions, pa.int32()),
        "_offset": pa.array(offsets, pa.int64()),
        "_timestamp": pa.array(timestamps, mask=timestamps < 0).cast(pa.timestamp("ms", "UTC")),
    }


def _errors(
    decoded: Decoded, rows: Any, values: Sequence[bytes | None], key_errors: Mapping[int, str]
) -> dict[str, Any]:
    import pyarrow as pa  # noqa: PLC0415

    reasons = dict(decoded.errors)
    if key_errors:
        for row, record in enumerate(rows.tolist()):
            if record in key_errors:
                reasons[row] = f"{reasons[row]}; key: {key_errors[record]}" if row in reasons else (
                    f"key: {key_errors[record]}"
                )  # fmt: skip
    if not reasons:
        return {}
    errors: list[str | None] = [None] * len(rows)
    raw: list[bytes | None] = [None] * len(rows)
    for row, reason in reasons.items():
        errors[row] = reason
        raw[row] = values[int(rows[row])] if row in decoded.errors else None
    return {"_error": pa.array(errors, pa.string()), "_raw": pa.array(raw, pa.binary())}


def _table(decoded: Decoded, metadata: Mapping[str, Any], rows: Any, errors: Mapping[str, Any]) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    fields: list[Any] = []
    arrays: list[Any] = []
    reserved = {*METADATA, *decoded.extra}
    for (name, original), column in _renamed(decoded.columns, reserved):
        notes: dict[bytes, bytes] = {}
        if original in decoded.fields:
            notes[FIELD] = decoded.fields[original].encode()
        if original in decoded.text_of_json:
            notes[JSON_TEXT] = b"true"
        if decoded.found is not None and decoded.found.delimiter:
            notes[CELL] = decoded.found.delimiter.encode()
        fields.append(pa.field(name, column.type, metadata=notes or None))
        arrays.append(column)
    spread = decoded.rows is not None
    for name, column in metadata.items():
        arrays.append(column.take(pa.array(rows)) if spread else column)
        fields.append(pa.field(name, column.type))
    for name, column in chain(decoded.extra.items(), errors.items()):
        arrays.append(column)
        fields.append(pa.field(name, column.type))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _renamed(columns: Mapping[str, Any], reserved: set[str]) -> Iterator[tuple[tuple[str, str], Any]]:
    """Give ((column, decoded name), array): underscores follow a name that is reserved."""
    used = {name for name in columns if name not in reserved}
    for name, array in columns.items():
        new = name
        while new in reserved or (new != name and new in used):
            new += "_"
        used.add(new)
        yield (new, name), array
