"""Samples: some records of a topic as a table. Joins no consumer group and commits nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, get_args

from sdp_kernel.errors import UsageError
from sdp_kernel.kafka.cluster import check_topic_name
from sdp_kernel.kafka.decode import FORMATS, decode_keys, decoder, detect
from sdp_kernel.kafka.offsets import Where, further_back, plan
from sdp_kernel.kafka.read import Records, read

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from sdp_kernel.kafka.cluster import Cluster
    from sdp_kernel.kafka.decode import Decoded
    from sdp_kernel.kafka.offsets import Range

METADATA = ("_key", "_partition", "_offset", "_timestamp", "_headers", "_error", "_raw")
FIELD = b"sdp.field"
JSON_TEXT = b"sdp.json_text"


@dataclass(frozen=True)
class Sample:
    """Some records of a topic, oldest first.

    Attributes
    ----------
    topic, format
        Name, and the format the values were read as; ``empty`` where there was none to detect.
    table
        ``pyarrow.Table``: the value's fields in the order first seen, then ``_key``,
        ``_partition``, ``_offset``, ``_timestamp`` (timestamp[ms, UTC]) and ``_headers``; where
        a value could not be decoded, also ``_error`` (reason) and ``_raw`` (bytes).
    requested
        Records asked for; ``len()`` is what there is.
    read
        Records read from the brokers to find them.
    offsets
        Partition → (first offset looked at, one after the last).
    errors
        Rows that could not be decoded.
    tombstones
        Rows without a value.
    complete
        False where the brokers stopped answering before everything planned was read.
    """

    topic: str
    format: str
    table: Any = field(repr=False)
    requested: int
    read: int
    offsets: Mapping[int, tuple[int, int]]
    errors: int = 0
    tombstones: int = 0
    complete: bool = True

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @cached_property
    def df(self) -> pd.DataFrame:
        """The table as a pandas DataFrame."""
        frame: pd.DataFrame = self.table.to_pandas()
        return frame

    @property
    def value_columns(self) -> list[str]:
        """Names of the columns that come from the record's value."""
        return [name for name in self.table.column_names if name not in METADATA]

    @property
    def fields(self) -> dict[str, str]:
        """Column → the value's field it shows.

        They differ where the field has the name of a metadata column: ``_key`` is shown as
        ``_key_``. A column that shows the whole value is not listed.
        """
        return {
            column.name: column.metadata[FIELD].decode()
            for column in self.table.schema
            if column.metadata and FIELD in column.metadata
        }

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Give the table to polars, DuckDB and others without a copy (Arrow PyCapsule)."""
        return self.table.__arrow_c_stream__(requested_schema)


def sample(
    cluster: Cluster,
    topic: str,
    *,
    n: int = 100,
    where: Where = "tail",
    format: str | None = None,  # noqa: A002
    timeout: float = 10.0,
) -> Sample:
    """Read the newest (``tail``) or oldest (``head``) ``n`` records of a topic.

    Newest and oldest go by the records' timestamps, then partition and offset; rows are in that
    order. At most ``n`` records of each partition are read, fewer where times let it be known.

    Parameters
    ----------
    format
        ``json``, ``text`` or ``bytes``; None to detect it from the bytes.
    timeout
        Seconds without a new record after which reading stops.

    Raises
    ------
    UsageError
        An argument cannot be right; nothing has been asked of the cluster.
    TopicNotFound
        With close matches in the hint.
    BrokerUnreachable
        Nobody answers.
    TopicError
        Kafka refused to give records.
    """
    check_topic_name(topic)
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise UsageError(f"a sample of {n!r} records", hint="n must be a whole number from 1")
    if where not in get_args(Where):
        raise UsageError(f"there is no place {where!r} in a topic", hint="use tail or head")
    if format is not None and format not in FORMATS:
        raise UsageError(f"there is no format {format!r}", hint=f"use one of: {', '.join(FORMATS)}")
    cluster.metadata()
    watermarks = cluster.watermarks(topic, cluster.partitions(topic))
    ranges = plan(cluster, topic, watermarks, n, where)
    seen = {r.partition: r for r in ranges}
    records = read(cluster, {topic: ranges}, timeout=timeout)[topic]
    while where == "tail" and len(records) < n and records.complete:
        ranges = further_back(ranges, watermarks)
        if not ranges:
            break
        records += read(cluster, {topic: ranges}, timeout=timeout)[topic]
        seen |= {r.partition: replace_start(seen[r.partition], r.start) for r in ranges}
    return build(
        topic,
        _cut(records, n, where),
        format_name=format,
        requested=n,
        read_count=len(records),
        offsets=_spans(watermarks, seen, records),
    )


def replace_start(r: Range, start: int) -> Range:
    """Return ``r`` from ``start`` on."""
    return type(r)(r.partition, start, r.end, r.limit)


def _spans(
    watermarks: Mapping[int, tuple[int, int]], seen: Mapping[int, Range], records: Records
) -> dict[int, tuple[int, int]]:
    """Return what was looked at; a range with a limit ends after its last record."""
    last: dict[int, int] = {}
    if any(r.limit is not None for r in seen.values()):
        last = dict(zip(records.partitions.tolist(), records.offsets.tolist(), strict=True))
    spans: dict[int, tuple[int, int]] = {}
    for partition, (_, high) in watermarks.items():
        r = seen.get(partition)
        if r is None:
            spans[partition] = (high, high)
        elif r.limit is None:
            spans[partition] = (r.start, r.end)
        else:
            spans[partition] = (r.start, last.get(partition, r.start - 1) + 1)
    return spans


def _cut(records: Records, n: int, where: Where) -> Records:
    """Order by (timestamp, partition, offset) and keep the last or first ``n``."""
    import numpy as np  # noqa: PLC0415

    order = np.argsort(records.timestamps, kind="stable")  # they come by partition and offset
    return records.pick(order[-n:] if where == "tail" else order[:n])


def build(
    topic: str,
    records: Records,
    *,
    format_name: str | None,
    requested: int,
    read_count: int,
    offsets: Mapping[int, tuple[int, int]],
) -> Sample:
    """Decode records into a sample."""
    values = records.values  # noqa: PD011
    name = format_name or detect(values)
    decoded = decoder(name or "bytes").decode(values)
    if name is None:  # only tombstones and empty values, or nothing at all
        decoded = type(decoded)({})
    return Sample(
        topic=topic,
        format=name or "empty",
        table=_table(records, decoded),
        requested=requested,
        read=read_count,
        offsets=offsets,
        errors=len(decoded.errors),
        tombstones=values.count(None),
        complete=records.complete,
    )


def _table(records: Records, decoded: Decoded) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    fields: list[Any] = []
    arrays: list[Any] = []
    for name, column in _renamed(decoded.columns):
        metadata: dict[bytes, bytes] = {}
        if name[1] in decoded.fields:
            metadata[FIELD] = decoded.fields[name[1]].encode()
        if name[1] in decoded.text_of_json:
            metadata[JSON_TEXT] = b"true"
        fields.append(pa.field(name[0], column.type, metadata=metadata or None))
        arrays.append(column)
    header = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))
    metadata_columns = {
        "_key": decode_keys(records.keys),
        "_partition": pa.array(records.partitions, pa.int32()),
        "_offset": pa.array(records.offsets, pa.int64()),
        "_timestamp": pa.array(records.timestamps, mask=records.timestamps < 0).cast(
            pa.timestamp("ms", "UTC")
        ),
        "_headers": _headers(records, header),
    }
    if decoded.errors:
        values = records.values  # noqa: PD011
        errors: list[str | None] = [None] * len(records)
        raw: list[bytes | None] = [None] * len(records)
        for row, reason in decoded.errors.items():
            errors[row], raw[row] = reason, values[row]
        metadata_columns["_error"] = pa.array(errors, pa.string())
        metadata_columns["_raw"] = pa.array(raw, pa.binary())
    for name_, column in metadata_columns.items():
        fields.append(pa.field(name_, column.type))
        arrays.append(column)
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _renamed(columns: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], Any]]:
    """Give ((column, decoded name), array): underscores follow a name that is taken."""
    taken = {*METADATA, *columns} - {name for name in columns if name not in METADATA}
    used = {name for name in columns if name not in METADATA}
    for name, array in columns.items():
        new = name
        if name in METADATA:
            while new in taken or new in used:
                new += "_"
            used.add(new)
        yield (new, name), array


def _headers(records: Records, kind: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    if not any(records.headers):
        return pa.nulls(len(records), kind)
    return pa.array(
        [
            [{"key": key, "value": value} for key, value in pairs] if pairs else None
            for pairs in records.headers
        ],
        kind,
    )
