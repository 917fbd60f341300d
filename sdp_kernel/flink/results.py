"""Result pages → Arrow. The hot path: raw bytes, typed JSON decoding, no object per cell kept.

A page is the body of ``GET …/operations/:operation/result/:token?rowFormat=JSON``. The first page
names the columns; a decoder made from them reads the rest. DECIMAL arrives as a JSON number and is
read into ``Decimal`` without passing through a float; BYTES are base64; TIMESTAMP_LTZ ends in Z.
Pages of plain columns have a shorter way each: :meth:`PageDecoder.inserts` for rows that only come,
:meth:`PageDecoder.changes` for rows that are folded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from sdp_kernel.errors import ResultError
from sdp_kernel.flink.flat import FlatReader
from sdp_kernel.flink.types import Column, LogicalType, arrow_schema

if TYPE_CHECKING:
    from collections.abc import Callable

INSERT, UPDATE_BEFORE, UPDATE_AFTER, DELETE = "INSERT", "UPDATE_BEFORE", "UPDATE_AFTER", "DELETE"
_FIRST_NS_YEAR, _LAST_NS_YEAR = "1678-", "2262-"
_FIRST_CHANGE, _NEXT_CHANGE, _LAST_CHANGE = b'"data":[{"kind":"', b'},{"kind":"', b"}]}"
#: Columns, the page's name and the next page's address are all that a page has beside its rows.
_TAIL = 400
_OBJECTS = frozenset({"ROW", "STRUCTURED_TYPE", "MAP", "MULTISET", "RAW", "VARIANT"})


class RawRow(msgspec.Struct, gc=False):
    """A changelog row, its fields still JSON."""

    kind: str
    fields: msgspec.Raw


class _RawData(msgspec.Struct):
    data: list[RawRow]


class _RawPage(msgspec.Struct, rename="camel"):
    result_type: str
    results: Optional[_RawData] = None  # noqa: UP045


class _Head(msgspec.Struct, rename="camel"):
    result_type: str
    result_kind: Optional[str] = None  # noqa: UP045 - msgspec reads annotations on Python 3.10
    is_query_result: bool = False
    job_id: Optional[str] = msgspec.field(default=None, name="jobID")  # noqa: UP045
    next_result_uri: Optional[str] = None  # noqa: UP045
    results: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"null"))


class _Columns(msgspec.Struct):
    columns: list[dict[str, Any]]


_decode_head = msgspec.json.Decoder(_Head).decode
_decode_columns = msgspec.json.Decoder(_Columns).decode
_decode_raw = msgspec.json.Decoder(_RawPage).decode


@dataclass(frozen=True)
class Head:
    """What a page says beside its rows."""

    ready: bool
    end: bool
    is_query: bool
    kind: str
    job_id: str | None
    token: int | None
    columns: tuple[Column, ...] | None


def read_head(page: bytes) -> Head:
    """Read everything but the rows. Costs a scan of the page: once for each page at most."""
    head = _decode_head(page)
    columns = None
    if bytes(head.results) != b"null":
        columns = tuple(map(Column.from_json, _decode_columns(head.results).columns))
    return Head(
        ready=head.result_type != "NOT_READY",
        end=head.result_type == "EOS",
        is_query=head.is_query_result,
        kind=head.result_kind or "",
        job_id=head.job_id,
        token=_token(head.next_result_uri),
        columns=columns,
    )


class PageDecoder:
    """Decodes the pages of one result, all of the same columns."""

    def __init__(self, columns: tuple[Column, ...]) -> None:
        self.columns = columns
        self.schema = arrow_schema(columns)
        fields: Any = tuple[tuple(column.type.json_type() for column in columns)]  # type: ignore[misc]
        if not columns:
            fields = tuple[()]
        row = msgspec.defstruct("Row", [("kind", str), ("fields", fields)], gc=False)
        data = msgspec.defstruct("Data", [("data", list[row])])  # type: ignore[valid-type]
        page = msgspec.defstruct(
            "Page",
            [
                ("resultType", str),
                ("results", Optional[data], None),  # noqa: UP045
            ],
        )
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(page).decode
        self._decode_fields = msgspec.json.Decoder(list[fields]).decode
        self._flat = FlatReader(columns, temporal) if FlatReader.fits(columns) else None
        self._no_objects = all(map(_without_objects, (column.type for column in columns)))

    def rows(self, page: bytes) -> tuple[list[Any], set[str]]:
        """Decode a page: field tuples, and the kinds seen.

        Raises
        ------
        ResultError
            A value does not have the type its column names.
        """
        try:
            decoded = self._decode(page)
        except msgspec.DecodeError as error:
            raise ResultError(f"a result page cannot be decoded: {error}") from None
        rows = decoded.results.data if decoded.results is not None else []
        return [row.fields for row in rows], {row.kind for row in rows}

    def inserts(self, page: bytes) -> pa.RecordBatch | None:
        """Read a page of INSERTs of plain columns; None where it is not one, for :meth:`rows` to read.

        Three times as fast as :meth:`rows` and :meth:`batch`, and holds no lock while it reads.
        """
        return self._flat.page(page) if self._flat is not None else None

    def changes(self, page: bytes) -> list[bytes]:
        """Return a page's changes, each as :func:`change` writes them, for ``Changelog.take``.

        Raises
        ------
        ResultError
            It is no page.
        """
        first = page.find(_FIRST_CHANGE)
        last = page.rfind(_LAST_CHANGE, max(len(page) - _TAIL, 0))
        if not self._no_objects or first < 0 or last < first:
            return [change(row.kind, bytes(row.fields)) for row in raw_rows(page)]
        return page[first + len(_FIRST_CHANGE) : last].split(_NEXT_CHANGE)

    def batch(self, rows: list[Any]) -> pa.RecordBatch:
        """Turn field tuples into a record batch."""
        if not rows:
            return pa.RecordBatch.from_pylist([], schema=self.schema)
        arrays = [
            build(list(values), column.type)
            for values, column in zip(zip(*rows, strict=True), self.columns, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def batch_of_json(self, rows: list[bytes]) -> pa.RecordBatch:
        """Turn rows kept as the JSON of their fields into a record batch.

        Raises
        ------
        ResultError
            A value does not have the type its column names.
        """
        try:
            return self.batch(self._decode_fields(b"[" + b",".join(rows) + b"]"))
        except msgspec.DecodeError as error:
            raise ResultError(f"a result page cannot be decoded: {error}") from None


def change(kind: str, row: bytes) -> bytes:
    """Write a change as it stands in a page: the kind, a mark between, the JSON of the fields."""
    return b'%b","fields":%b' % (kind.encode(), row)


def fields(text: bytes) -> bytes:
    """Return the JSON of the fields of a change that :func:`change` has written."""
    return text.partition(b'","fields":')[2]


def _without_objects(type_: LogicalType) -> bool:
    """Whether values of a type are written without ``{``: what stands between two changes is in none."""
    return type_.root not in _OBJECTS and all(map(_without_objects, type_.children))


def raw_rows(page: bytes) -> list[RawRow]:
    """Read a page's rows, the fields left as JSON: exact, hashable, small.

    Raises
    ------
    ResultError
        It is no page.
    """
    try:
        read = _decode_raw(page)
    except msgspec.DecodeError as error:
        raise ResultError(f"a result page cannot be decoded: {error}") from None
    return read.results.data if read.results is not None else []


def _token(uri: str | None) -> int | None:
    return int(uri.rsplit("/", 1)[1].split("?")[0]) if uri else None


def build(values: list[Any], type_: LogicalType) -> pa.Array:
    """Build an Arrow array from decoded JSON values.

    Raises
    ------
    ResultError
        A value does not fit, for example the year 9999 in nanoseconds.
    """
    root, arrow = type_.root, type_.arrow()
    try:
        if root in {"DOUBLE", "FLOAT"}:
            return _floats(values, arrow)
        if pa.types.is_timestamp(arrow) or pa.types.is_date(arrow) or pa.types.is_time(arrow):
            return temporal(pa.array(values, pa.string()), arrow)
        if root == "INTERVAL_YEAR_MONTH":
            return pa.array([None if v is None else pa.MonthDayNano([v, 0, 0]) for v in values], arrow)
        if root == "ARRAY":
            return _list(values, type_)
        if root in {"MAP", "MULTISET"}:
            return _map(values, type_)
        if root in {"ROW", "STRUCTURED_TYPE"}:
            return _struct(values, type_)
        if arrow == pa.string():
            return _text(values)
        return pa.array(values, arrow)
    except pa.ArrowInvalid as error:
        raise ResultError(
            f"a {type_.sql()} value does not fit Arrow's {arrow}: {error}",
            hint="CAST the column in the query, for example to TIMESTAMP(6) or STRING",
        ) from None


def _floats(values: list[Any], arrow: pa.DataType) -> pa.Array:
    if any(type(value) is str for value in values):  # "NaN", "Infinity", "-Infinity"
        values = [None if value is None else float(value) for value in values]
    return pa.array(values, arrow)


def _text(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values, pa.string())
    except (pa.ArrowTypeError, pa.ArrowInvalid):  # a type without a mapping: its JSON
        texts = [v if v is None or isinstance(v, str) else msgspec.json.encode(v).decode() for v in values]
        return pa.array(texts, pa.string())


def temporal(texts: pa.Array, arrow: pa.DataType) -> pa.Array:
    """Read texts in ISO 8601, with a ``T`` or a space, as dates, times or timestamps.

    Raises
    ------
    pyarrow.ArrowInvalid
        A text is none, or outside what nanoseconds in 64 bits hold.
    """
    if pa.types.is_timestamp(arrow) and arrow.unit == "ns":
        _refuse_overflow(texts)
    if pa.types.is_timestamp(arrow) and arrow.tz is None:
        return texts.cast(arrow)
    if pa.types.is_timestamp(arrow):
        naive = pc.utf8_rtrim(texts, characters="Z").cast(pa.timestamp(arrow.unit))
        return naive.cast(arrow)
    if pa.types.is_time(arrow):
        dated = pc.binary_join_element_wise("1970-01-01", texts, "T")
        return dated.cast(pa.timestamp(arrow.unit)).cast(arrow)
    return texts.cast(arrow)


def _refuse_overflow(texts: pa.Array) -> None:
    """Refuse years that wrap around in 64 bits of nanoseconds, which Arrow's cast lets pass."""
    years = pc.utf8_slice_codeunits(texts, 0, 5)
    inside = pc.and_(pc.greater_equal(years, _FIRST_NS_YEAR), pc.less(years, _LAST_NS_YEAR))
    if not pc.all(inside, min_count=0).as_py():
        outside = texts.filter(pc.invert(inside))[0].as_py()
        raise pa.ArrowInvalid(f"{outside} is outside 1678 to 2261")


def _offsets(values: list[Any]) -> pa.Array:
    offsets: list[int | None] = []
    at = 0
    for value in values:
        offsets.append(None if value is None else at)
        at += 0 if value is None else len(value)
    offsets.append(at)
    return pa.array(offsets, pa.int32())


def _list(values: list[Any], type_: LogicalType) -> pa.Array:
    flat = [item for value in values if value is not None for item in value]
    return pa.ListArray.from_arrays(_offsets(values), build(flat, type_.children[0]))


def _map(values: list[Any], type_: LogicalType) -> pa.Array:
    value_type = type_.children[1] if type_.root == "MAP" else LogicalType("INTEGER", nullable=False)
    if type_.as_entries:
        pairs = [(entry["key"], entry["value"]) for value in values if value is not None for entry in value]
    else:
        pairs = [pair for value in values if value is not None for pair in value.items()]
    keys = build([key for key, _ in pairs], type_.children[0])
    items = build([item for _, item in pairs], value_type)
    return pa.MapArray.from_arrays(_offsets(values), keys, items).cast(type_.arrow())


def _struct(values: list[Any], type_: LogicalType) -> pa.Array:
    children = [
        build([None if value is None else value[name] for value in values], child)
        for name, child in zip(type_.names, type_.children, strict=True)
    ]
    fields = [pa.field(name, child.type) for name, child in zip(type_.names, children, strict=True)]
    mask = pa.array([value is None for value in values], pa.bool_())
    return pa.StructArray.from_arrays(children, fields=fields, mask=mask)
