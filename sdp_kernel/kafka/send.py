"""Records that are ready → the brokers: columns about records, size checks, delivery reports."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import UsageError
from sdp_kernel.kafka.encode_rows import listed

if TYPE_CHECKING:
    from sdp_kernel.kafka.cluster import Cluster
    from sdp_kernel.kafka.encode_rows import Given

_BATCH_BYTES = 1_000_000
_POLL_EVERY = 5_000
_LAST_SECONDS = 5.0
_SMALL_ENOUGH = 200


@dataclass(frozen=True)
class Failed:
    """A row (from 0) that was not acknowledged, and why."""

    row: int
    reason: str


def timestamps_of(source: Given, timestamp: Any) -> list[int | None]:
    """Return ms since the epoch of each row; None for now."""
    import pyarrow as pa  # noqa: PLC0415

    if not isinstance(timestamp, str):
        return [None if timestamp is None else _ms(timestamp, 0)] * source.count
    column = source.column(timestamp, "timestamps")
    if not isinstance(column, list) and pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("ms", column.type.tz), safe=False).cast(pa.int64())
    return [None if v is None else _ms(v, row) for row, v in enumerate(listed(column))]


def _ms(value: Any, row: int) -> int:
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
        value = int(aware.timestamp() * 1000)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**63:
        raise UsageError(
            f"row {row}: not a timestamp that Kafka's client can send",
            hint="give ms since the epoch, more than 0, or a datetime",
        )
    return value


def partitions_of(source: Given, partition: Any, known: list[int], topic: str) -> list[int | None]:
    """Return the partition of each row; None where the key decides."""
    wanted = (
        [partition] * source.count
        if not isinstance(partition, str)
        else listed(source.column(partition, "partition"))
    )
    there = {None, *known}
    for row, number in enumerate(wanted):
        if isinstance(number, bool) or number not in there:
            raise UsageError(
                f"row {row}: topic {topic!r} has no partition {number!r}",
                hint=f"it has the partitions 0 to {len(known) - 1}; by default the key decides",
            )
    return wanted


def headers_of(source: Given, headers: Any) -> list[list[tuple[str, bytes | None]] | None]:
    """Return the headers of each row as pairs."""
    if headers is None:
        headers = "_headers" if "_headers" in source.columns else {}
    if isinstance(headers, Mapping):
        pairs = _pairs(headers, None)
        return [pairs] * source.count
    column = source.column(headers, "headers")
    if not isinstance(column, list) and column.null_count == len(column):
        return [None] * source.count
    return [_pairs(value, row) for row, value in enumerate(listed(column))]


def _pairs(value: Any, row: int | None) -> list[tuple[str, bytes | None]] | None:
    if value is None:
        return None
    pairs: list[tuple[str, bytes | None]] = []
    items = (
        value.items() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else [None]
    )
    for item in items:
        pair = (item.get("key"), item.get("value")) if isinstance(item, Mapping) else item
        if (
            not isinstance(pair, (tuple, list))
            or len(pair) != 2  # noqa: PLR2004
            or not isinstance(pair[0], str)
            or not isinstance(pair[1], (str, bytes, type(None)))
        ):
            raise UsageError(
                f"{'' if row is None else f'row {row}: '}headers that are no names with text or bytes",
                hint='give {"name": b"value"}, or a list of such pairs',
            )
        pairs.append((pair[0], pair[1].encode() if isinstance(pair[1], str) else pair[1]))
    return pairs or None


def check_sizes(
    values: list[bytes | None], keys: list[bytes | None], headers: Sequence[Any], limit: int,
    prefix: int, key_prefix: int,
) -> None:  # fmt: skip
    """Refuse a record that alone is more than a batch may be (KIP-98's format, not compressed)."""
    for row, (value, key) in enumerate(zip(values, keys, strict=True)):
        size = len(value or b"") + len(key or b"") + prefix + key_prefix
        if size + _SMALL_ENOUGH < limit and not headers[row]:
            continue
        size += 61 + 3 + 15  # the batch's head; attributes and differences; lengths, at most
        size += 5 + sum(len(k.encode()) + len(v or b"") + 6 for k, v in headers[row] or ())
        if size > limit:
            raise UsageError(
                f"row {row} is a record of about {size:,} bytes, more than the topic's limit of {limit:,}",
                hint="nothing has been sent; make it smaller, or raise max.message.bytes of the topic",
            )


class Sender:
    """Sends records and counts what comes back."""

    def __init__(self, cluster: Cluster, topic: str, limit: int, timeout: float) -> None:
        overrides: dict[str, Any] = {
            "linger.ms": 20,
            "message.timeout.ms": max(1000, int(timeout * 1000)),
            "message.max.bytes": min(max(limit, _BATCH_BYTES), 1_000_000_000),
            "batch.size": min(limit, _BATCH_BYTES) if limit else _BATCH_BYTES,
        }
        if "partitioner" not in cluster.settings.properties:
            overrides["partitioner"] = "murmur2_random"  # as Java's: equal keys meet in one partition
        self.topic, self.timeout = topic, timeout
        self.producer = cluster.producer(overrides)
        self.sent = 0
        self.failed: list[Failed] = []
        self.offsets: dict[int, tuple[int, int]] = {}

    def send(self, values: Any, keys: Any, headers: Any, partitions: Any, stamps: Any) -> None:
        """Send everything and wait; columns are as long as there are records."""
        next_row = 0
        reason = ""
        deadline = time.monotonic() + self.timeout
        try:
            for row, (value, key, notes, partition, stamp) in enumerate(
                zip(values, keys, headers, partitions, stamps, strict=True)
            ):
                next_row = row
                self._one(row, value, key, notes, partition, stamp, deadline)
                next_row = row + 1
                if row % _POLL_EVERY == 0:
                    self.producer.poll(0)
            while len(self.producer) and time.monotonic() < deadline + _LAST_SECONDS:
                self.producer.flush(0.2)
        except KeyboardInterrupt:
            reason = "interrupted"
        except TimeoutError:
            reason = "time-out"
        if len(self.producer):
            self.producer.purge()
            self.producer.flush(_LAST_SECONDS)
        known = {f.row for f in self.failed}
        self.failed += [
            Failed(row, f"not sent: {reason}") for row in range(next_row, len(values)) if row not in known
        ]

    def _one(
        self, row: int, value: Any, key: Any, notes: Any, partition: Any, stamp: Any, deadline: float
    ) -> None:  # fmt: skip
        from confluent_kafka import KafkaException  # noqa: PLC0415

        more = {"partition": partition} if partition is not None else {}
        if stamp is not None:
            more["timestamp"] = stamp
        if notes:
            more["headers"] = notes
        report = partial(self._report, row)
        while True:
            try:
                self.producer.produce(self.topic, value, key, on_delivery=report, **more)
            except BufferError:
                if time.monotonic() > deadline:
                    raise TimeoutError from None
                self.producer.poll(0.1)
            except KafkaException as error:
                self.failed.append(Failed(row, error.args[0].str()))
                return
            else:
                return

    def _report(self, row: int, error: Any, message: Any) -> None:
        if error is not None:
            self.failed.append(Failed(row, error.str()))
            return
        self.sent += 1
        partition, offset = message.partition(), message.offset()
        low, high = self.offsets.get(partition, (offset, offset + 1))
        self.offsets[partition] = (min(low, offset), max(high, offset + 1))
