"""Reads planned ranges of offsets: one consumer, assigned, in batches; nothing is decoded here."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import TopicError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sdp_kernel.kafka.cluster import Cluster
    from sdp_kernel.kafka.offsets import Range

_BATCH = 10_000
_POLL_SECONDS = 0.05
_SMALL_FETCH = 256 << 10
_SMALL_READ = 1_000


@dataclass
class Records:
    """Raw records as parallel lists, in the order they came.

    ``timestamps`` are ms since the epoch, -1 for none; ``complete`` is false where reading
    stopped before the ranges' ends because nothing more came in time.
    """

    values: list[bytes | None] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)
    topics: list[str] = field(default_factory=list)
    partitions: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)
    headers: list[list[tuple[str, bytes | None]] | None] = field(default_factory=list)
    complete: bool = True

    def __len__(self) -> int:
        return len(self.values)

    def add(self, messages: Sequence[Any]) -> None:
        """Append messages of ``confluent_kafka``."""
        self.values += [m.value() for m in messages]
        self.keys += [m.key() for m in messages]
        self.topics += [m.topic() for m in messages]
        self.partitions += [m.partition() for m in messages]
        self.offsets += [m.offset() for m in messages]
        self.timestamps += [m.timestamp()[1] for m in messages]
        self.headers += [m.headers() for m in messages]

    def pick(self, rows: Iterable[int]) -> Records:
        """Return the records at ``rows``, in that order."""
        rows = list(rows)
        if rows == list(range(len(self))):
            return self
        return Records(
            *(
                [column[row] for row in rows]
                for column in (
                    self.values,
                    self.keys,
                    self.topics,
                    self.partitions,
                    self.offsets,
                    self.timestamps,
                    self.headers,
                )
            ),
            complete=self.complete,
        )

    def __add__(self, other: Records) -> Records:
        return Records(
            self.values + other.values,
            self.keys + other.keys,
            self.topics + other.topics,
            self.partitions + other.partitions,
            self.offsets + other.offsets,
            self.timestamps + other.timestamps,
            self.headers + other.headers,
            self.complete and other.complete,
        )


class _Progress:
    """What is still to come of each partition."""

    def __init__(self, wanted: Mapping[str, Sequence[Range]]) -> None:
        self.open = {(topic, r.partition): r for topic, ranges in wanted.items() for r in ranges if len(r)}
        self.left = {key: _records(r) for key, r in self.open.items()}
        self.limited = {key for key, r in self.open.items() if r.limit is not None}

    def expected(self) -> int:
        """Return how many records can still come."""
        return sum(self.left[key] for key in self.open)

    def take(self, messages: list[Any]) -> tuple[list[Any], set[tuple[str, int]]]:
        """Return the messages inside the ranges, and the partitions that are done."""
        kept: list[list[Any]] = []
        done: set[tuple[str, int]] = set()
        # A batch comes in runs of one partition; only the ends of a run need a look.
        by_partition: dict[tuple[str, int], list[Any]] = {}
        for m in messages:
            by_partition.setdefault((m.topic(), m.partition()), []).append(m)
        for key, run in by_partition.items():
            r = self.open.get(key)
            if r is None:
                continue
            inside = run
            if run[-1].offset() >= r.end - 1:
                inside = [m for m in run if m.offset() < r.end]
                done.add(key)
            left = self.left[key]
            if key in self.limited and len(inside) >= left:
                inside = inside[:left]
                done.add(key)
            self.left[key] = min(left - len(inside), max(0, r.end - 1 - run[-1].offset()))
            kept.append(inside)
        return list(chain.from_iterable(kept)), done


def read(
    cluster: Cluster,
    wanted: Mapping[str, Sequence[Range]],
    *,
    timeout: float = 10.0,
    until: float = float("inf"),
    forgive: bool = False,
) -> Records:
    """Read ranges of any number of topics with one consumer.

    A range ends at its last offset, at the partition's end, or after its limit, whichever comes
    first: offsets without a record (compaction, transaction markers) are passed over.

    Parameters
    ----------
    wanted
        Topic → ranges.
    timeout
        Seconds without a new record after which reading stops; what came is kept.
    until
        The time on ``time.monotonic()``'s clock at which reading stops in any case.
    forgive
        Pass over partitions that may not be read, and give nothing rather than an error where
        nothing came.

    Raises
    ------
    BrokerUnreachable
        Nothing came, and no broker answers any more.
    TopicError
        Kafka refused to give records.
    """
    from confluent_kafka import TopicPartition  # noqa: PLC0415

    progress = _Progress(wanted)
    records = Records()
    if not progress.open:
        return records
    with cluster.consumer(_fetching(progress.open.values())) as consumer:
        consumer.assign([TopicPartition(t, p, r.start) for (t, p), r in progress.open.items()])
        deadline = time.monotonic() + timeout
        while progress.open:
            batch = consumer.consume(max(1, min(_BATCH, progress.expected())), timeout=_POLL_SECONDS)
            events = [m for m in batch if m.error() is not None]
            done = _ended(cluster, events, forgive=forgive) if events else set()
            messages, full = progress.take([m for m in batch if m.error() is None] if events else batch)
            records.add(messages)
            closed = (done | full) & progress.open.keys()
            if closed:
                for key in closed:
                    del progress.open[key]
                consumer.incremental_unassign([TopicPartition(*key) for key in closed])
            if messages or closed:
                deadline = time.monotonic() + timeout
            if time.monotonic() > min(deadline, until):
                records.complete = not progress.open
                break
    if not records.complete and not records and not forgive:
        cluster.metadata()  # raises where the brokers are gone
        raise TopicError(
            f"Kafka {cluster.alias!r} gave no record of {', '.join(map(repr, wanted))} within {timeout:g} s",
            hint="ask again with a longer timeout",
        )
    return records


def _records(r: Range) -> int:
    """Return how many records a range can give at most."""
    return len(r) if r.limit is None else min(len(r), r.limit)


def _fetching(ranges: Iterable[Range]) -> dict[str, Any]:
    """Keep librdkafka from reading ahead far beyond what is wanted."""
    total = sum(map(_records, ranges))
    overrides: dict[str, Any] = {
        "queued.min.messages": max(1, min(total, 100_000)),
        "queued.max.messages.kbytes": 65_536,
        "fetch.wait.max.ms": 20,
        "fetch.error.backoff.ms": 50,
        "fetch.queue.backoff.ms": 1,  # the default of 1 s is spent each time the queue was full
    }
    if total <= _SMALL_READ:
        overrides["max.partition.fetch.bytes"] = _SMALL_FETCH
    return overrides


def _ended(cluster: Cluster, events: Iterable[Any], *, forgive: bool) -> set[tuple[str, int]]:
    """Return the partitions whose end was reached; raise what is a real error."""
    from confluent_kafka import KafkaError, KafkaException  # noqa: PLC0415

    ended: set[tuple[str, int]] = set()
    for event in events:
        error = event.error()
        code = error.code()
        if code == KafkaError._PARTITION_EOF:  # noqa: SLF001
            ended.add((event.topic(), event.partition()))
        elif code in {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}:  # noqa: SLF001
            ended.add((event.topic(), event.partition()))  # retention overtook the plan
        elif code == KafkaError.GROUP_AUTHORIZATION_FAILED or error.retriable():
            continue  # the group is never joined; librdkafka tries again by itself
        elif event.topic() and forgive:
            ended.add((event.topic(), event.partition()))
        elif event.topic() and code not in {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN}:  # noqa: SLF001
            raise cluster.error(KafkaException(error), topic=event.topic())
    return ended
