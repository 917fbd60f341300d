"""Rows → the bytes of records' values and keys. Everything is checked; nothing is sent here."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

WRITABLE = ("json", "text", "bytes", "csv", "msgpack", "avro", "json-schema")
_SAME = {"ndjson": "json", "debezium-json": "json", "maxwell-json": "json"}
_PIECE = 20_000


class Unwritable(Exception):  # noqa: N818
    """A value that a format cannot hold: ``row`` from 0 (None while unknown), column, reason."""

    def __init__(self, row: int | None, column: str, reason: str) -> None:
        super().__init__(reason)
        self.row, self.column, self.reason = row, column, reason

    def at(self, column: str, *, first: int = 0) -> Unwritable:
        """Return it with its column named, and its row counted from ``first``."""
        return Unwritable(None if self.row is None else self.row + first, self.column or column, self.reason)

    def refusal(self, what: str) -> UsageError:
        """Return the error to raise."""
        where = [f"row {self.row}"] if self.row is not None else []
        where += [f"column {self.column!r}"] if self.column else []
        return UsageError(
            f"{what} cannot be written: {', '.join(where) or 'a row'}: {self.reason}",
            hint="nothing has been sent; mend the data, or use another format",
        )


@dataclass(frozen=True)
class Rows:
    """What values are made of: a ``pyarrow.Table``, or Python dicts (one of them is None).

    The columns are named as the fields to write. ``whole`` is an Arrow table of one column, of
    values that are not objects: where it is not null it is the row's whole value.
    """

    count: int
    names: Sequence[str]
    table: Any | None = None
    dicts: Sequence[dict[str, Any]] | None = None
    whole: Any | None = None

    def records(self) -> list[dict[str, Any]]:
        """Return the rows as Python dicts; maps are dicts too."""
        if self.dicts is not None:
            return list(self.dicts)
        columns = {name: python_values(self.table[name]) for name in self.names} if self.table else {}
        if not columns:
            return [{} for _ in range(self.count)]
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def empty(self) -> list[bool]:
        """Tell of each row whether all its values are null."""
        import numpy as np  # noqa: PLC0415

        if self.dicts is not None:
            return [all(row.get(name) is None for name in self.names) for row in self.dicts]
        columns = [*(self.table.columns if self.table is not None else ())]
        columns += self.whole.columns if self.whole is not None else []
        empty = np.ones(self.count, bool)
        for column in columns:
            empty &= column.is_null().to_numpy()
        found: list[bool] = empty.tolist()
        return found


def python_values(column: Any) -> list[Any]:
    """Return an Arrow column as Python values; maps as dicts, nanoseconds only if they fit microseconds."""
    import pyarrow as pa  # noqa: PLC0415

    def change(kind: Any) -> Any:
        if pa.types.is_map(kind):
            inner = change(kind.item_type)
            return lambda v: {k: inner(item) if inner and item is not None else item for k, item in v}
        if pa.types.is_struct(kind):
            fields = [kind.field(i) for i in range(kind.num_fields)]
            inner_of = {f.name: made for f in fields if (made := change(f.type))}
            if inner_of:
                return lambda v: {
                    k: inner_of[k](item) if k in inner_of and item is not None else item
                    for k, item in v.items()
                }
        if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
            inner = change(kind.value_type)
            return inner and (lambda v: [item if item is None else inner(item) for item in v])
        return None

    kind = column.type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        try:
            column = column.cast(pa.timestamp("us", kind.tz))
        except pa.ArrowInvalid:
            raise Unwritable(None, "", "its nanoseconds would be lost: cast it to microseconds") from None
    values: list[Any] = column.to_pylist()
    made = change(kind)
    return values if made is None else [v if v is None else made(v) for v in values]


def canonical_format(name: str) -> str:
    """Return the format that is written for ``name``.

    Raises
    ------
    UsageError
        It cannot be written.
    """
    name = _SAME.get(name, name)
    if name not in WRITABLE:
        raise UsageError(f"records cannot be written as {name!r}", hint=f"use one of: {', '.join(WRITABLE)}")
    return name


def encode_values(rows: Rows, name: str, *, delimiter: str = ",") -> list[bytes]:
    """Return one value for each row, in a format without a registry.

    Raises
    ------
    Unwritable
        With the first row and column that cannot be written.
    """
    if name == "json":
        return _json(rows)
    if name in {"text", "bytes"}:
        return _single(rows, name)
    return _csv(rows, delimiter) if name == "csv" else _msgpack(rows)


def encode_texts(column: Any) -> list[bytes | None]:
    """Return each value's text (keys): text and bytes as they are, anything else as in JSON.

    ``column`` is an Arrow column or a list of Python values.
    """
    import pyarrow as pa  # noqa: PLC0415

    from sdp_kernel.kafka.encode_json import json_texts, plain_text  # noqa: PLC0415

    if isinstance(column, list):
        out: list[bytes | None] = []
        for row, value in enumerate(column):
            try:
                out.append(None if value is None else plain_text(value))
            except Unwritable as error:
                raise Unwritable(row, error.column, error.reason) from None
        return out
    kind = column.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return list(column.to_pylist())
    texts = json_texts(column, "", bare=True).cast(pa.binary()).to_pylist()
    return [text if valid else None for text, valid in zip(texts, column.is_valid().to_pylist(), strict=True)]


def _json(rows: Rows) -> list[bytes]:
    import pyarrow as pa  # noqa: PLC0415

    from sdp_kernel.kafka.build import JSON_TEXT  # noqa: PLC0415
    from sdp_kernel.kafka.encode_json import json_dicts, json_rows, json_texts  # noqa: PLC0415

    if rows.dicts is not None:
        return json_dicts(rows.dicts)
    out: list[bytes] = []
    for start in range(0, rows.count, _PIECE):  # a string column holds 2 GiB at most
        try:
            piece = json_rows(rows.table.slice(start, _PIECE)) if rows.table is not None else None
            out += piece.cast(pa.binary()).to_pylist() if piece is not None else [b"null"] * rows.count
        except Unwritable as error:
            raise error.at("", first=start) from None
        if piece is None:
            break
    if rows.whole is not None:
        field, column = rows.whole.schema.field(0), rows.whole.column(0)
        texts = json_texts(column, field.name, is_json=JSON_TEXT in (field.metadata or {})).to_pylist()
        for row, valid in enumerate(column.is_valid().to_pylist()):
            if valid:
                out[row] = texts[row].encode()
    return out


def _single(rows: Rows, name: str) -> list[bytes]:
    names = [n for n in rows.names if n == "value"] if len(rows.names) > 1 else list(rows.names)
    if len(names) != 1:
        raise UsageError(
            f"the format {name} writes one column, and there are: {', '.join(rows.names) or 'none'}",
            hint="keep one column, or name it 'value'; or use the format json",
        )
    if len(rows.names) > 1:
        raise UsageError(
            f"the format {name} writes the column 'value' alone, and would lose: "
            + ", ".join(n for n in rows.names if n != "value"),
            hint="leave the other columns away, or use the format json",
        )
    column = (
        [row.get(names[0]) for row in rows.dicts] if rows.dicts is not None else rows.table[names[0]]  # type: ignore[index]
    )
    try:
        texts = encode_texts(column)
    except Unwritable as error:
        raise error.at(names[0]) from None
    return [b"" if text is None else text for text in texts]


def _csv(rows: Rows, delimiter: str) -> list[bytes]:
    import pyarrow as pa  # noqa: PLC0415

    columns: list[list[Any]] = []
    for name in rows.names:
        if rows.dicts is not None:
            column: Any = [row.get(name) for row in rows.dicts]
            nested = any(isinstance(v, (dict, list, tuple)) for v in column)
        else:
            column = rows.table[name]  # type: ignore[index]
            nested = pa.types.is_nested(column.type)
        if nested:
            raise Unwritable(None, name, "CSV has nothing for nested values")
        try:
            texts = encode_texts(column)
            columns.append([None if t is None else t.decode() for t in texts])
        except Unwritable as error:
            raise error.at(name) from None
        except UnicodeDecodeError:
            raise Unwritable(None, name, "CSV is text, and the column holds bytes") from None
    out: list[bytes] = []
    for row in zip(*columns, strict=True):
        line = io.StringIO()
        csv.writer(line, delimiter=delimiter, lineterminator="").writerow(
            ["" if v is None else v for v in row]
        )
        out.append(line.getvalue().encode())
    return out


def _msgpack(rows: Rows) -> list[bytes]:
    import msgpack  # noqa: PLC0415

    pack = msgpack.Packer(datetime=True).pack
    out: list[bytes] = []
    for row, record in enumerate(rows.records()):
        try:
            out.append(pack(record))
        except (TypeError, ValueError, OverflowError) as error:
            column = next((k for k, v in record.items() if not _packs(pack, v)), "")
            raise Unwritable(row, column, f"MessagePack has nothing for it: {type(error).__name__}") from None
    return out


def _packs(pack: Any, value: Any) -> bool:
    try:
        pack(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True
