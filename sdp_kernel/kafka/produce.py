"""Rows → records of a topic, on purpose: all is encoded and checked before the first one is sent."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import TopicError, UsageError
from sdp_kernel.kafka.admin import check_not_internal, topic_config
from sdp_kernel.kafka.encode import Rows, Unwritable, canonical_format, encode_texts, encode_values
from sdp_kernel.kafka.encode_avro import Chosen, choose, encode_registered
from sdp_kernel.kafka.encode_rows import Given, given, listed
from sdp_kernel.kafka.send import Failed, Sender, check_sizes, headers_of, partitions_of, timestamps_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sdp_kernel.kafka.cluster import Cluster

_REGISTRY = {"avro", "json-schema"}


@dataclass(frozen=True)
class Produced:
    """What became of the rows.

    Attributes
    ----------
    sent
        Records that the brokers acknowledged.
    tombstones
        How many of the rows are tombstones.
    failed
        The others, by row. Where the reason is a time-out or an interrupt, a record may have been
        written all the same.
    offsets
        Partition → (first offset written, one after the last).
    format, key_format
        As written.
    schema_id, key_schema_id
        In the registry; None for formats without one.
    seconds
        Time from the first record to the last acknowledgement.
    """

    topic: str
    sent: int
    tombstones: int = 0
    failed: tuple[Failed, ...] = ()
    offsets: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    format: str = "json"
    key_format: str = "text"
    schema_id: int | None = None
    key_schema_id: int | None = None
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether every row was acknowledged."""
        return not self.failed


def produce(
    cluster: Cluster,
    topic: str,
    data: Any,
    *,
    key: str | Sequence[str] | None = None,
    format: str | None = None,  # noqa: A002
    key_format: str | None = None,
    schema: Any = None,
    key_schema: Any = None,
    register: bool = False,
    partition: int | str | None = None,
    timestamp: int | datetime | str | None = None,
    headers: Mapping[str, str | bytes | None] | str | None = None,
    tombstones: bool | None = None,
    delimiter: str = ",",
    timeout: float = 60.0,
) -> Produced:
    """Write each row as a record.

    Parameters
    ----------
    data
        A pandas DataFrame (NaN counts as null), a ``pyarrow.Table``, a sample, anything with
        ``__arrow_c_stream__``, or a list of dicts. Columns about records (``_offset``, …) never go
        into the value. Rows with bytes in ``_raw`` are written as those bytes.
    key
        A column for the key, or several (a JSON object); ``_key`` where there is one; ``()`` for
        none. Named columns stay in the value.
    format, key_format
        One of ``encode.WRITABLE``; a sample's own by default, else ``json`` and ``text``.
    schema, key_schema
        For formats with a registry: a schema's text or dict. By default the subject's latest.
    register
        Register the schema (one derived from the columns where none is given) if need be.
    partition, timestamp
        One for all records, or the name of a column; by default Kafka's partitioner (as Java's, by
        key) and the present time. A number is ms since the epoch. A sample's are kept by
        ``partition="_partition", timestamp="_timestamp"``.
    headers
        The same for all records, or the name of a column; ``_headers`` where there is one; ``{}``
        for none.
    tombstones
        What a row is whose value columns are all null: a tombstone (True), a value of nulls
        (False), or a reason to refuse (None).
    timeout
        Seconds to wait for acknowledgements.

    Raises
    ------
    UsageError
        Something cannot be written; the message names row and column. Nothing has been sent.
    TopicNotFound
        With close matches in the hint; topics are never created by being written to.
    BrokerUnreachable
        Nobody answers.
    """
    check_not_internal(topic, "write to")
    source = given(data)
    name, key_name = _formats(source, format, key_format, key)
    partitions = cluster.partitions(topic)
    config = _config(cluster, topic)
    values, schema_of = _values(cluster, topic, source, name, schema, register, tombstones, delimiter)
    keys, key_schema_of = _keys(cluster, topic, source, key_name, key, key_schema, register)
    stamps = timestamps_of(source, timestamp)
    places = partitions_of(source, partition, partitions, topic)
    notes = headers_of(source, headers)
    prefix, key_prefix = (5 if chosen else 0 for chosen in (schema_of, key_schema_of))
    _check_keys(keys, config, topic)
    limit = int(config.get("max.message.bytes", "0"))
    properties = cluster.settings.properties
    if limit and properties.get("compression.type", properties.get("compression.codec", "none")) == "none":
        check_sizes(values, keys, notes, limit, prefix, key_prefix)
    tombs = values.count(None)
    values, number = _prefixed(cluster, schema_of, values)
    keys, key_number = _prefixed(cluster, key_schema_of, keys)
    raw = source.columns.get("_raw")
    if raw is not None:
        for row, value in enumerate(listed(raw)):
            if value is not None:
                values[row] = bytes(value)
    sender = Sender(cluster, topic, limit, timeout)
    started = time.perf_counter()
    sender.send(values, keys, notes, places, stamps)
    return Produced(
        topic, sender.sent, tombs, tuple(sorted(sender.failed, key=lambda f: f.row)),
        dict(sorted(sender.offsets.items())), name, key_name, number, key_number,
        time.perf_counter() - started,
    )  # fmt: skip


def _config(cluster: Cluster, topic: str) -> dict[str, str]:
    try:
        return topic_config(cluster, topic)
    except TopicError:  # one may write and not read the configuration: the brokers check
        return {}


def _formats(source: Given, name: str | None, key_name: str | None, key: Any) -> tuple[str, str]:
    if name is None and source.unwrapped:
        raise UsageError(
            f"the sample shows rows out of {source.format} envelopes, which are not written back",
            hint="say format='json' to write the rows",
        )
    if name is None:
        name = "json" if source.format in {None, "empty"} else source.format
    if key_name is None:
        sampled = key is None and source.key_format not in {None, "empty"}
        several = key is not None and not isinstance(key, str) and len(key) > 1
        key_name = (source.key_format or "text") if sampled else "json" if several else "text"
    key_name = canonical_format(key_name)
    if key_name in {"csv", "msgpack"}:
        raise UsageError(f"keys cannot be written as {key_name!r}", hint="use text, bytes, json or avro")
    return canonical_format(name or "json"), key_name


def _values(
    cluster: Cluster, topic: str, source: Given, name: str, schema: Any, register: bool,  # noqa: FBT001
    tombstones: bool | None, delimiter: str,  # noqa: FBT001
) -> tuple[list[bytes | None], Chosen | None]:  # fmt: skip
    rows = source.rows(name)
    raw = listed(source.columns["_raw"]) if "_raw" in source.columns else [None] * source.count
    empty = [e and r is None for e, r in zip(rows.empty(), raw, strict=True)]
    if tombstones is None or (tombstones is False and name in {"text", "bytes"}):
        if True in empty:
            raise UsageError(
                f"row {empty.index(True)} has no value: every value column is null"
                + (f" (and {sum(empty) - 1} more rows)" if sum(empty) > 1 else ""),
                hint="pass tombstones=True to write tombstones, which delete their keys;"
                " tombstones=False to write nulls",
            )
        tombstones = False
    # Rows that are no values of the format are left out while encoding.
    left_out = [r is not None or (e and tombstones) for e, r in zip(empty, raw, strict=True)]
    at = [row for row, out in enumerate(left_out) if not out]
    some = rows if len(at) == source.count else _picked(rows, at)
    chosen = None
    values: list[bytes | None] = [None] * source.count
    try:
        if name in _REGISTRY:
            if cluster.registry is None:
                raise _no_registry(cluster, name)
            chosen = choose(cluster.registry, f"{topic}-value", name, some, given=schema, register=register)
            made = encode_registered(some, name, chosen)
        else:
            if schema is not None:
                raise UsageError(f"the format {name} has no schema", hint="say format='avro'")
            made = encode_values(some, name, delimiter=delimiter)
    except Unwritable as error:
        row = None if error.row is None else at[error.row]
        raise Unwritable(row, error.column, error.reason).refusal(f"{name} for topic {topic!r}") from None
    for row, value in zip(at, made, strict=True):
        values[row] = value
    for row, bytes_as_read in enumerate(raw):
        if bytes_as_read is not None:
            values[row] = bytes(bytes_as_read)
    return values, chosen


def _no_registry(cluster: Cluster, name: str) -> UsageError:
    return UsageError(
        f"the format {name} needs a schema registry, and Kafka {cluster.alias!r} has none",
        hint='add "schema.registry.url" to the cluster in sdp.toml',
    )


def _picked(rows: Rows, at: list[int]) -> Rows:
    import pyarrow as pa  # noqa: PLC0415

    if rows.dicts is not None:
        return Rows(len(at), rows.names, dicts=[rows.dicts[row] for row in at])
    take = pa.array(at, pa.int64())
    return Rows(
        len(at),
        rows.names,
        table=rows.table.take(take) if rows.table is not None else None,
        whole=rows.whole.take(take) if rows.whole is not None else None,
    )


def _prefixed(
    cluster: Cluster, chosen: Chosen | None, values: list[bytes | None]
) -> tuple[list[bytes | None], int | None]:
    if chosen is None or cluster.registry is None:
        return values, None
    prefix = chosen.prefix(cluster.registry)
    return [None if v is None else prefix + v for v in values], int.from_bytes(prefix[1:], "big")


def _keys(
    cluster: Cluster, topic: str, source: Given, name: str, key: Any, schema: Any, register: bool  # noqa: FBT001
) -> tuple[list[bytes | None], Chosen | None]:  # fmt: skip
    import pyarrow as pa  # noqa: PLC0415

    names = [key] if isinstance(key, str) else list(key) if key is not None else ["_key"]
    if not names or (key is None and "_key" not in source.columns):
        return [None] * source.count, None
    columns = {n: source.column(n, "key") for n in names}
    own = key is None or names == ["_key"]
    nulls = [all(v is None for v in row) for row in zip(*map(listed, columns.values()), strict=True)]
    _check_lost_keys(source, nulls)
    try:
        if name in {"text", "bytes"} and len(names) == 1:
            return encode_texts(columns[names[0]]), None
        if any(isinstance(c, list) for c in columns.values()):
            dicts = [
                dict(zip(names, row, strict=True)) for row in zip(*map(listed, columns.values()), strict=True)
            ]
            rows = Rows(source.count, names, dicts=dicts)
        else:
            rows = Rows(source.count, names, table=pa.table(columns))
        if name not in _REGISTRY:
            made = _json_keys(columns["_key"]) if own else encode_values(rows, "json")
            return [None if null else value for value, null in zip(made, nulls, strict=True)], None
        if cluster.registry is None:
            raise _no_registry(cluster, name)
        chosen = choose(cluster.registry, f"{topic}-key", name, rows, given=schema, register=register)
        made = encode_registered(rows, name, chosen, single=own)
        return [None if null else value for value, null in zip(made, nulls, strict=True)], chosen
    except Unwritable as error:
        raise error.at("_key" if own else ", ".join(names)).refusal("a key") from None


def _json_keys(column: Any) -> list[bytes]:
    from sdp_kernel.kafka.encode_json import json_dicts, json_texts  # noqa: PLC0415

    if isinstance(column, list):
        return json_dicts(column)
    return [text.encode() for text in json_texts(column, "_key").to_pylist()]


def _check_lost_keys(source: Given, nulls: list[bool]) -> None:
    if "_error" not in source.columns:
        return
    for row, (null, error) in enumerate(zip(nulls, listed(source.columns["_error"]), strict=True)):
        if null and error and "key: " in error:
            raise UsageError(
                f"row {row} has a key that could not be read", hint="read the keys as key_format='bytes'"
            )


def _check_keys(keys: list[bytes | None], config: Mapping[str, str], topic: str) -> None:
    if "compact" in config.get("cleanup.policy", "") and None in keys:
        raise UsageError(
            f"row {keys.index(None)} has no key, and topic {topic!r} is compacted: Kafka refuses it",
            hint="name a column with key=…",
        )
