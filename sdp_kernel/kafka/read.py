"""Reads planned ranges of offsets: one consumer, assigned, in batches; nothing is decoded here."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import chain, groupby
from operator import methodcaller
from typing import TYPE_CHECKING, Any, TypeAlias

from sdp_kernel.errors import TopicError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sdp_kernel.kafka.cluster import Cluster
    from sdp_kernel.kafka.offsets import Range

_BATCH = 10_000
_POLL_SECONDS = 0.05
_SMALL_FETCH = 256 << 10
_SMALL_READ = 1_000
_LARGE_FETCH = 4 << 20

Headers: TypeAlias = "list[tuple[str, bytes | None]]"
_Key: TypeAlias = "tuple[str, int]"


@dataclass(frozen=True)
class Records:
    """Raw records of one topic as parallel columns, by partition and offset when read.

    ``partitions`` (int32), ``offsets`` (int64) and ``timestamps`` (int64, ms since the epoch, -1
    for none) are numpy arrays. ``complete`` is false where reading stopped before the ranges'
    ends because nothing more came in time.
    """

    values: list[bytes | None]
    keys: list[bytes | None]
    headers: list[Headers | None]
    partitions: Any
    offsets: Any
    timestamps: Any
    complete: bool = True

    def __len__(self) -> int:
        return len(self.values)

    def pick(self, rows: Any) -> Records:
        """Return the records at ``rows`` (numpy array of indices), in that order."""
        import numpy as np  # noqa: PLC0415

        if len(rows) == len(self) and bool(np.all(np.diff(rows) == 1)):
            return self
        at = rows.tolist()
        return Records(
            [self.values[i] for i in at],
            [self.keys[i] for i in at],
            [self.headers[i] for i in at],
            self.partitions[rows],
            self.offsets[rows],
            self.timestamps[rows],
            self.complete,
        )

    def __add__(self, other: Records) -> Records:
        import numpy as np  # noqa: PLC0415

        both = Records(
            self.values + other.values,
            self.keys + other.keys,
            self.headers + other.headers,
            np.concatenate([self.partitions, other.partitions]),
            np.concatenate([self.offsets, other.offsets]),
            np.concatenate([self.timestamps, other.timestamps]),
            self.complete and other.complete,
        )
        return both.pick(np.lexsort((both.offsets, both.partitions)))


class _Column:
    """The records of one partition while they come."""

    def __init__(self) -> None:
        self.values: list[bytes | None] = []
        self.keys: list[bytes | None] = []
        self.headers: list[Headers | None] = []
        self.offsets: list[int] = []
        self.timestamps: list[int] = []

    def add(self, messages: Sequence[Any]) -> None:
        self.values += [m.value() for m in messages]
        self.keys += [m.key() for m in messages]
        self.headers += [m.headers() for m in messages]
        self.offsets += [m.offset() for m in messages]
        self.timestamps += [m.timestamp()[1] for m in messages]


def _records_of(columns: Sequence[tuple[int, _Column]], *, complete: bool) -> Records:
    import numpy as np  # noqa: PLC0415

    def joined(name: str) -> list[Any]:
        return list(chain.from_iterable(getattr(c, name) for _, c in columns))

    return Records(
        joined("values"),
        joined("keys"),
        joined("headers"),
        np.repeat(np.array([p for p, _ in columns], np.int32), [len(c.values) for _, c in columns]),
        np.array(joined("offsets"), np.int64),
        np.array(joined("timestamps"), np.int64),
        complete,
    )


class _Progress:
    """What is still to come of each partition."""

    def __init__(self, wanted: Mapping[str, Sequence[Range]]) -> None:
        self.open = {(topic, r.partition): r for topic, ranges in wanted.items() for r in ranges if len(r)}
        one = len({topic for topic, _ in self.open}) == 1
        self.group: Callable[[Any], Any] = (
            methodcaller("partition") if one else lambda m: (m.topic(), m.partition())
        )
        self.left = {key: _records(r) for key, r in self.open.items()}
        self.limited = {key for key, r in self.open.items() if r.limit is not None}

    def expected(self) -> int:
        """Return how many records can still come."""
        return sum(self.left[key] for key in self.open)

    def take(self, messages: list[Any]) -> tuple[dict[_Key, list[Any]], set[_Key]]:
        """Return the messages inside the ranges by partition, and the partitions that are done."""
        runs: dict[_Key, list[Any]] = {}
        # Neighbours mostly share a partition, and a tuple for each message would cost.
        for _, neighbours in groupby(messages, key=self.group):
            run = list(neighbours)
            runs.setdefault((run[0].topic(), run[0].partition()), []).extend(run)
        kept: dict[_Key, list[Any]] = {}
        done: set[_Key] = set()
        for key, run in runs.items():
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
            kept[key] = inside
        return kept, done


def read(
    cluster: Cluster,
    wanted: Mapping[str, Sequence[Range]],
    *,
    timeout: float = 10.0,
    until: float = float("inf"),
    forgive: bool = False,
) -> dict[str, Records]:
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
    progress = _Progress(wanted)
    columns = {key: _Column() for key in sorted(progress.open)}
    complete = True
    if progress.open:
        complete = _fill(cluster, progress, columns, timeout=timeout, until=until, forgive=forgive)
    if not complete and not forgive and not any(c.values for c in columns.values()):
        cluster.metadata()  # raises where the brokers are gone
        raise TopicError(
            f"Kafka {cluster.alias!r} gave no record of {', '.join(map(repr, wanted))} within {timeout:g} s",
            hint="ask again with a longer timeout",
        )
    return {
        topic: _records_of([(p, c) for (t, p), c in columns.items() if t == topic], complete=complete)
        for topic in wanted
    }


def _fill(
    cluster: Cluster,
    progress: _Progress,
    columns: Mapping[_Key, _Column],
    *,
    timeout: float,
    until: float,
    forgive: bool,
) -> bool:
    """Read until every partition is done or time is up; tell which."""
    from confluent_kafka import TopicPartition  # noqa: PLC0415

    with cluster.consumer(_fetching(progress.open.values())) as consumer:
        consumer.assign([TopicPartition(t, p, r.start) for (t, p), r in progress.open.items()])
        deadline = time.monotonic() + timeout
        while progress.open:
            batch = consumer.consume(max(1, min(_BATCH, progress.expected())), timeout=_POLL_SECONDS)
            events = [m for m in batch if m.error() is not None]
            done = _ended(cluster, events, forgive=forgive) if events else set()
            messages, full = progress.take([m for m in batch if m.error() is None] if events else batch)
            for key, run in messages.items():
                columns[key].add(run)
            closed = (done | full) & progress.open.keys()
            if closed:
                for key in closed:
                    del progress.open[key]
                consumer.incremental_unassign([TopicPartition(*key) for key in closed])
            if messages or closed:
                deadline = time.monotonic() + timeout
            if time.monotonic() > min(deadline, until):
                return not progress.open
    return True


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
    overrides["max.partition.fetch.bytes"] = _SMALL_FETCH if total <= _SMALL_READ else _LARGE_FETCH
    return overrides


def _ended(cluster: Cluster, events: Iterable[Any], *, forgive: bool) -> set[_Key]:
    """Return the partitions whose end was reached; raise what is a real error."""
    from confluent_kafka import KafkaError, KafkaException  # noqa: PLC0415

    ended: set[_Key] = set()
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
