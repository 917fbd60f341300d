"""The topics of tests, all of them at once: made in one call, filled by one producer, deleted."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import SdpError, TopicError
from sdp_kernel.kafka.admin import until_gone
from sdp_kernel.kafka.cluster import CALL_SECONDS, admin_api
from sdp_kernel.kafka.offsets import Range

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sdp_kernel.kafka.cluster import Cluster
    from sdp_kernel.kafka.read import Records
    from sdp_kernel.repository.testing.prepare import Prepared
    from sdp_kernel.repository.testing.records import Record

#: Records may be as old or as new as they like.
_CONFIG = {"retention.ms": "-1", "message.timestamp.after.max.ms": str(2**63 - 1)}
_WRITE_S = 30.0
_FENCED, _FENCED_S, _PAUSE_S = "brokers are currently fenced", 10.0, 0.3


def fill(cluster: Cluster, prepared: Iterable[Prepared]) -> None:
    """Make the topics of tests and write their input.

    Raises
    ------
    BrokerUnreachable, TopicError
        Kafka does not answer, or refused a topic or a record.
    """
    wanted = {name: records for one in prepared for name, records in one.topics.items()}
    new = [
        admin_api().NewTopic(
            name,
            num_partitions=partitions(records),
            replication_factor=1,
            config=_CONFIG,
        )
        for name, records in wanted.items()
    ]
    if not new:
        return
    # first: it fetches its producer ID while the topics are made
    producer = cluster.producer({"linger.ms": 5, "retry.backoff.ms": 10})
    _create(cluster, new)
    failed: list[str] = []

    def delivered(error: Any, message: Any) -> None:
        if error is not None:
            failed.append(f"{message.topic()}: {error.str()}")

    for name, records in wanted.items():
        for record in records:
            more: dict[str, Any] = {"partition": record.partition or 0, "on_delivery": delivered}
            moment = record.milliseconds
            if moment is not None:
                more["timestamp"] = moment
            if record.headers:
                more["headers"] = [(k, None if v is None else v.encode()) for k, v in record.headers]
            _send(producer, name, record.value_bytes, record.key_bytes, more)
    left = producer.flush(_WRITE_S)
    if failed or left:
        raise TopicError(
            f"input could not be written: {failed[0] if failed else f'{left} records were not acknowledged'}",
            hint="sdp status shows whether Kafka is well",
        )


def _create(cluster: Cluster, topics: list[Any]) -> None:
    """Make topics; a broker that a busy machine has kept from its heartbeat is waited for."""
    until = time.monotonic() + _FENCED_S
    while topics:
        made = cluster.admin.create_topics(
            topics, operation_timeout=CALL_SECONDS, request_timeout=CALL_SECONDS
        )
        left = []
        for topic in topics:
            try:
                cluster.result(made[topic.topic], topic=topic.topic)
            except TopicError as error:
                if _FENCED not in error.message or time.monotonic() > until:
                    raise
                left.append(topic)
        topics = left
        if topics:
            time.sleep(_PAUSE_S)


def _send(producer: Any, topic: str, value: bytes | None, key: bytes | None, more: dict[str, Any]) -> None:
    while True:
        try:
            producer.produce(topic, value, key, **more)
        except BufferError:
            producer.poll(0.1)
        else:
            return


def partitions(records: Sequence[Record]) -> int:
    """Return how many partitions a topic has for what is written to it."""
    return 1 + max((record.partition or 0 for record in records), default=0)


def ends(cluster: Cluster, counts: Mapping[str, int]) -> dict[str, list[Range]]:
    """Return all that topics hold, a range for each partition; ``counts`` is how many each topic has.

    Raises
    ------
    SdpError
        A topic is not there.
    """
    latest = admin_api().OffsetSpec.latest()
    wanted = {(name, at): latest for name, count in counts.items() for at in range(count)}
    ranges: dict[str, list[Range]] = {name: [] for name in counts}
    for (name, partition), answer in cluster.offsets(wanted).items():
        if isinstance(answer, Exception):
            raise answer
        ranges[name].append(Range(partition, 0, answer.offset))
    return ranges


def unread(records: Records, ranges: Sequence[Range]) -> int:
    """Return how many partitions were not read to their end.

    A test's job writes without transactions, so that the last offset of a partition is a record's.
    """
    if records.complete:
        return 0
    last: dict[int, int] = {}
    for partition, offset in zip(records.partitions.tolist(), records.offsets.tolist(), strict=True):
        last[partition] = max(offset, last.get(partition, -1))
    return sum(last.get(one.partition, -1) < one.end - 1 for one in ranges if len(one))


def delete(cluster: Cluster, names: Sequence[str]) -> None:
    """Delete topics; one that is not there, or that Kafka keeps, is passed over."""
    if not names:
        return
    deleted = []
    with contextlib.suppress(SdpError):
        futures = cluster.admin.delete_topics(list(names), request_timeout=CALL_SECONDS)
        for name, future in futures.items():
            with contextlib.suppress(SdpError):
                cluster.result(future)
                deleted.append(name)
        until_gone(cluster, deleted)
