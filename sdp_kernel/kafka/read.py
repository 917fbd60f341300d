"""Reads planned ranges of offsets: one consumer, assigned, in batches; nothing is decoded here."""

from __future__ import annotations

import gc
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from sdp_kernel.errors import TopicError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

    from sdp_kernel.kafka.cluster import Cluster
    from sdp_kernel.kafka.offsets import Range

_BATCH = 10_000
_POLL_SECONDS = 0.05
_SMALL_FETCH = 256 << 10
_SMALL_READ = 1_000
_LARGE_FETCH = 4 << 20
#: Reading over so many offsets takes less time than a seek.
_NEAR = 1_000

Headers: TypeAlias = "list[tuple[str, bytes | None]]"
_Key: TypeAlias = "tuple[str, int]"

_second = itemgetter(1)


@dataclass(frozen=True)
class Records:
    """Raw records of one topic as parallel columns.

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

    @cached_property
    def sizes(self) -> Any:
        """The values' sizes in bytes, 0 for tombstones, as a numpy array (int64)."""
        import numpy as np  # noqa: PLC0415

        values = self.values
        try:
            return np.fromiter(map(len, values), np.int64, len(values))  # type: ignore[arg-type]
        except TypeError:
            return np.fromiter((len(v) if v else 0 for v in values), np.int64, len(values))


def join(parts: Sequence[Records], *, complete: bool = True) -> Records:
    """Put records together, by partition and offset."""
    import numpy as np  # noqa: PLC0415

    if not parts:
        none = np.array([], np.int64)
        return Records([], [], [], none.astype(np.int32), none, none, complete)
    both = Records(
        list(chain.from_iterable(p.values for p in parts)),
        list(chain.from_iterable(p.keys for p in parts)),
        list(chain.from_iterable(p.headers for p in parts)),
        np.concatenate([p.partitions for p in parts]),
        np.concatenate([p.offsets for p in parts]),
        np.concatenate([p.timestamps for p in parts]),
        complete and all(p.complete for p in parts),
    )
    return both.pick(np.lexsort((both.offsets, both.partitions)))


class _Feed:
    """What is still to come of one partition: its ranges in ascending order."""

    def __init__(self, ranges: Iterable[Range]) -> None:
        self._ranges = deque(sorted((r for r in ranges if len(r)), key=lambda r: r.start))
        self._left = _most(self._ranges[0]) if self._ranges else 0
        self._seen = -1

    @property
    def open(self) -> bool:
        return bool(self._ranges)

    @property
    def start(self) -> int:
        return self._ranges[0].start

    def expected(self) -> int:
        """Return how many records can still come."""
        return self._left + sum(_most(r) for r in list(self._ranges)[1:4])

    def take(self, offsets: Any) -> tuple[Any, int | None]:
        """Return which of ``offsets`` (ascending) are wanted, and where to seek to, if anywhere."""
        import numpy as np  # noqa: PLC0415

        wanted = np.zeros(len(offsets), bool)
        last = int(offsets[-1])
        while self._ranges:
            r = self._ranges[0]
            low, high = np.searchsorted(offsets, [max(r.start, self._seen + 1), r.end]).tolist()
            high = min(high, low + self._left)
            wanted[low:high] = True
            if high > low:
                self._seen = int(offsets[high - 1])
                self._left -= high - low
            if last < r.end - 1 and self._left:
                self._left = min(self._left, r.end - 1 - max(last, r.start - 1))
                return wanted, None
            self._ranges.popleft()
            if self._ranges:
                self._left = _most(self._ranges[0])
                if self.start > last:
                    return wanted, self.start if self.start - last > _NEAR else None
        return wanted, None

    def end(self) -> None:
        """Expect nothing more."""
        self._ranges.clear()


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep Python's cycle collector off: with a million records alive it takes a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def read(
    cluster: Cluster,
    wanted: Mapping[str, Sequence[Range]],
    *,
    timeout: float = 10.0,
    until: float = float("inf"),
    forgive: bool = False,
) -> dict[str, Records]:
    """Read ranges of any number of topics with one consumer; parameters and errors as ``stream``.

    Returns
    -------
    dict
        Topic → its records, by partition and offset.
    """
    parts: dict[str, list[Records]] = {topic: [] for topic in wanted}
    end = Ending()
    with collector_paused():
        for topic, records in stream(
            cluster, wanted, timeout=timeout, until=until, forgive=forgive, ending=end
        ):
            parts[topic].append(records)
        return {topic: join(some, complete=end.complete) for topic, some in parts.items()}


@dataclass
class Ending:
    """How a stream ended: ``complete`` unless nothing more came in time."""

    complete: bool = True


def stream(
    cluster: Cluster,
    wanted: Mapping[str, Sequence[Range]],
    *,
    timeout: float = 10.0,
    until: float = float("inf"),
    forgive: bool = False,
    ending: Ending | None = None,
    follow: bool = False,
) -> Generator[tuple[str, Records], None, None]:
    """Give ranges of any number of topics as they come: (topic, up to 10,000 records).

    A range ends at its last offset, at the partition's end, or after its limit, whichever comes
    first: offsets without a record (compaction, transaction markers) are passed over. Ranges of one
    partition may not overlap; those far apart are sought.

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
    ending
        Is told whether everything came.
    follow
        Go on at a partition's end; gives no records, about 20 times a second, while none come.

    Raises
    ------
    BrokerUnreachable
        Nothing came, and no broker answers any more.
    TopicError
        Kafka refused to give records.
    """
    by_partition: dict[_Key, list[Range]] = {}
    for topic, ranges in wanted.items():
        for r in ranges:
            by_partition.setdefault((topic, r.partition), []).append(r)
    feeds = {key: feed for key, some in sorted(by_partition.items()) if (feed := _Feed(some)).open}
    if not feeds:
        return
    ending = ending or Ending()
    came = False
    reader = _Reader(cluster, feeds, forgive=forgive, follow=follow)
    with cluster.consumer(_fetching(by_partition)) as consumer:
        for part in reader.run(consumer, timeout=timeout, until=until):
            came = True
            yield part
    ending.complete = not reader.feeds
    if not ending.complete and not forgive and not came:
        cluster.metadata()  # raises where the brokers are gone
        raise TopicError(
            f"Kafka {cluster.alias!r} gave no record of {', '.join(map(repr, wanted))} within {timeout:g} s",
            hint="ask again with a longer timeout",
        )


class _Reader:
    """Drives one consumer over the feeds; ``feeds`` holds those that are not done."""

    def __init__(self, cluster: Cluster, feeds: dict[_Key, _Feed], *, forgive: bool, follow: bool) -> None:
        self.cluster, self.feeds, self.forgive, self.follow = cluster, feeds, forgive, follow
        topics = {topic for topic, _ in feeds}
        self.topic = topics.pop() if len(topics) == 1 else None

    def run(self, consumer: Any, *, timeout: float, until: float) -> Iterator[tuple[str, Records]]:
        from confluent_kafka import Message, TopicPartition  # noqa: PLC0415

        error_of = Message.error
        consumer.assign([TopicPartition(*key, feed.start) for key, feed in self.feeds.items()])
        deadline = time.monotonic() + timeout
        while self.feeds:
            expected = sum(feed.expected() for feed in self.feeds.values())
            batch = consumer.consume(max(1, min(_BATCH, expected)), timeout=_POLL_SECONDS)
            moved = False
            ended: set[_Key] = set()
            if any(map(error_of, batch)):  # an unbound method: half the time of one looked up each time
                ended = self._ended([m for m in batch if m.error() is not None])
                batch = [m for m in batch if m.error() is None]
                if self.follow:
                    ended.clear()
            for topic, messages in self._by_topic(batch):
                records, seeks = self._take(topic, messages)
                for partition, offset in seeks:
                    consumer.seek(TopicPartition(topic, partition, offset))
                if len(records):
                    moved = True
                    yield topic, records
            for key in ended & self.feeds.keys():
                self.feeds[key].end()
            if closed := [key for key, feed in self.feeds.items() if not feed.open]:
                for key in closed:
                    del self.feeds[key]
                consumer.incremental_unassign([TopicPartition(*key) for key in closed])
            if self.follow and not moved:
                yield next(iter(self.feeds))[0], join([])
            if moved or closed:
                deadline = time.monotonic() + timeout
            if time.monotonic() > min(deadline, until):
                return

    def _by_topic(self, batch: list[Any]) -> Iterable[tuple[str, list[Any]]]:
        if self.topic is not None:
            return [(self.topic, batch)] if batch else []
        topics: dict[str, list[Any]] = {}
        for message in batch:
            topics.setdefault(message.topic(), []).append(message)
        return topics.items()

    def _take(self, topic: str, messages: list[Any]) -> tuple[Records, list[tuple[int, int]]]:
        """Return the records wanted, and (partition, offset) to seek to."""
        import numpy as np  # noqa: PLC0415
        from confluent_kafka import Message  # noqa: PLC0415

        headers_of: Any = Message.headers
        count = len(messages)
        partitions, offsets = self._places(messages)
        wanted = np.zeros(count, bool)
        seeks: list[tuple[int, int]] = []
        for partition in [int(partitions[0])] if np.ptp(partitions) == 0 else np.unique(partitions).tolist():
            feed = self.feeds.get((topic, partition))
            if feed is None or not feed.open:
                continue
            at = np.flatnonzero(partitions == partition)
            wanted[at], seek = feed.take(offsets[at])
            if seek is not None:
                seeks.append((partition, seek))
        if not wanted.all():
            rows = np.flatnonzero(wanted)
            messages = [messages[row] for row in rows.tolist()]
            partitions, offsets = partitions[rows], offsets[rows]
        return (
            Records(
                list(map(Message.value, messages)),
                list(map(Message.key, messages)),
                list(map(headers_of, messages)),
                partitions,
                offsets,
                np.fromiter(map(_second, map(Message.timestamp, messages)), np.int64, len(messages)),
            ),
            seeks,
        )

    def _places(self, messages: list[Any]) -> tuple[Any, Any]:
        """Return the messages' partitions and offsets."""
        import numpy as np  # noqa: PLC0415
        from confluent_kafka import Message  # noqa: PLC0415

        count = len(messages)
        if len(self.feeds) == 1:
            partitions = np.full(count, messages[0].partition(), np.int32)
            first, last = messages[0].offset(), messages[-1].offset()
            if last - first == count - 1 and messages[-1].partition() == partitions[0]:
                return partitions, np.arange(first, last + 1)  # offsets of a partition only rise
        else:
            partitions = np.fromiter(map(Message.partition, messages), np.int32, count)
        return partitions, np.fromiter(map(Message.offset, messages), np.int64, count)

    def _ended(self, events: Iterable[Any]) -> set[_Key]:
        """Return the partitions whose end was reached; raise what is a real error."""
        from confluent_kafka import KafkaError, KafkaException  # noqa: PLC0415

        ended: set[_Key] = set()
        for event in events:
            error = event.error()
            code = error.code()
            key = (event.topic(), event.partition())
            if code == KafkaError._PARTITION_EOF:  # noqa: SLF001
                ended.add(key)
            elif code in {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}:  # noqa: SLF001
                ended.add(key)  # retention overtook the plan
            elif code == KafkaError.GROUP_AUTHORIZATION_FAILED or error.retriable():
                continue  # the group is never joined; librdkafka tries again by itself
            elif event.topic() and self.forgive:
                ended.add(key)
            elif event.topic() and code not in {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN}:  # noqa: SLF001
                raise self.cluster.error(KafkaException(error), topic=event.topic())
        return ended


def _most(r: Range) -> int:
    """Return how many records a range can give at most."""
    return len(r) if r.limit is None else min(len(r), r.limit)


def _fetching(wanted: Mapping[_Key, Sequence[Range]]) -> dict[str, Any]:
    """Keep librdkafka from reading ahead far beyond what is wanted."""
    total = sum(_most(r) for ranges in wanted.values() for r in ranges)
    scattered = any(len(ranges) > 1 for ranges in wanted.values())
    small = scattered or total <= _SMALL_READ
    return {
        "queued.min.messages": 1 if scattered else max(1, min(total, 100_000)),
        "queued.max.messages.kbytes": 65_536,
        "fetch.wait.max.ms": 20,
        "fetch.error.backoff.ms": 50,
        "fetch.queue.backoff.ms": 1,  # the default of 1 s is spent each time the queue was full
        "max.partition.fetch.bytes": _SMALL_FETCH if small else _LARGE_FETCH,
    }
