"""What topics there are and what is in them, with few calls for many topics."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import SdpError
from sdp_kernel.kafka.cluster import CALL_SECONDS, admin_api
from sdp_kernel.kafka.decode import detect
from sdp_kernel.kafka.offsets import Range
from sdp_kernel.kafka.read import read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sdp_kernel.kafka.cluster import Cluster

_PEEK = 5
_PEEK_SECONDS = 2.0
_INTERNAL = "__"


@dataclass(frozen=True)
class TopicSummary:
    """One line of the list of topics.

    ``messages`` is the sum over partitions of high minus low watermark: an upper bound where
    compaction or transactions leave offsets without a record; None where a partition has no
    leader. ``size`` is in bytes, None where it is not known. ``format`` is ``json``, ``text``,
    ``bytes``, or ``empty``. ``last_timestamp`` is the greatest timestamp of a record (UTC).
    """

    name: str
    partitions: int
    messages: int | None
    size: int | None = None
    format: str | None = None
    last_timestamp: datetime | None = None

    @property
    def age(self) -> timedelta | None:
        """Time since ``last_timestamp``; negative where a producer's clock is ahead."""
        if self.last_timestamp is None:
            return None
        return datetime.now(timezone.utc) - self.last_timestamp


@dataclass(frozen=True)
class PartitionDetail:
    """One partition: offsets ``low`` (first kept) and ``high`` (one after the last), brokers.

    ``leader`` is -1 and the offsets are None where the partition has no leader.
    """

    partition: int
    low: int | None
    high: int | None
    leader: int
    replicas: tuple[int, ...]
    isr: tuple[int, ...]


@dataclass(frozen=True)
class TopicDetail:
    """Everything about one topic.

    ``config`` holds what differs from the brokers' defaults; ``first_timestamp`` is that of the
    first record kept, ``last_timestamp`` the greatest (UTC, None for an empty topic).
    """

    name: str
    partitions: tuple[PartitionDetail, ...]
    messages: int
    format: str | None
    cleanup_policy: str
    config: Mapping[str, str] = field(default_factory=dict)
    first_timestamp: datetime | None = None
    last_timestamp: datetime | None = None


def list_topics(cluster: Cluster, *, internal: bool = False) -> list[TopicSummary]:
    """List the topics by name.

    Three calls ask for all offsets and times, one consumer reads a few newest records of each
    topic for its format.

    Parameters
    ----------
    internal
        Also list topics whose name begins with two underscores.

    Raises
    ------
    BrokerUnreachable
        Nobody answers.
    """
    metadata = cluster.metadata()
    topics = {
        name: sorted(topic.partitions)
        for name, topic in sorted(metadata.topics.items())
        if topic.error is None and (internal or not name.startswith(_INTERNAL))
    }
    offsets = _Offsets(cluster, [(name, p) for name, parts in topics.items() for p in parts])
    formats = _formats(cluster, topics, offsets)
    return [
        TopicSummary(
            name=name,
            partitions=len(partitions),
            messages=offsets.messages(name, partitions),
            format=formats.get(name),
            last_timestamp=offsets.last_timestamp(name, partitions),
        )
        for name, partitions in topics.items()
    ]


def describe_topic(cluster: Cluster, name: str) -> TopicDetail:
    """Describe one topic.

    Raises
    ------
    UsageError
        Kafka does not allow such a name.
    TopicNotFound
        With close matches in the hint.
    BrokerUnreachable
        Nobody answers.
    """
    api = admin_api()
    metadata = cluster.metadata()
    numbers = cluster.partitions(name)
    described = metadata.topics[name].partitions if name in metadata.topics else {}
    offsets = _Offsets(cluster, [(name, p) for p in numbers], first=True)
    details = []
    for number in numbers:
        low, high = offsets.span(name, number) or (None, None)
        p = described.get(number)
        details.append(
            PartitionDetail(
                partition=number,
                low=low,
                high=high,
                leader=p.leader if p else -1,
                replicas=tuple(p.replicas) if p else (),
                isr=tuple(p.isrs) if p else (),
            )
        )
    resource = api.ConfigResource(api.ResourceType.TOPIC, name)
    future = cluster.admin.describe_configs([resource], request_timeout=CALL_SECONDS)[resource]
    entries = cluster.result(future, topic=name)
    return TopicDetail(
        name=name,
        partitions=tuple(details),
        messages=offsets.messages(name, numbers) or 0,
        format=_formats(cluster, {name: numbers}, offsets).get(name),
        cleanup_policy=entries["cleanup.policy"].value,
        config={
            key: entry.value
            for key, entry in sorted(entries.items())
            if _set_on_topic(entry) and not entry.is_sensitive
        },
        first_timestamp=offsets.first_timestamp(name, numbers),
        last_timestamp=offsets.last_timestamp(name, numbers),
    )


def _set_on_topic(entry: Any) -> bool:
    return bool(entry.source == admin_api().ConfigSource.DYNAMIC_TOPIC_CONFIG.value)


class _Offsets:
    """Watermarks and times of many partitions; a partition that fails is left out."""

    def __init__(self, cluster: Cluster, keys: list[tuple[str, int]], *, first: bool = False) -> None:
        OffsetSpec = admin_api().OffsetSpec  # noqa: N806

        def ask(spec: Any) -> dict[tuple[str, int], Any]:
            answers = cluster.offsets(dict.fromkeys(keys, spec))
            return {k: a for k, a in answers.items() if not isinstance(a, SdpError)}

        self._low, self._high = ask(OffsetSpec.earliest()), ask(OffsetSpec.latest())
        self._last = ask(OffsetSpec.max_timestamp())  # brokers from 3.0 on (KIP-734)
        self._first = ask(OffsetSpec.for_timestamp(0)) if first else {}

    def span(self, topic: str, partition: int) -> tuple[int, int] | None:
        key = (topic, partition)
        if key not in self._low or key not in self._high:
            return None
        return self._low[key].offset, self._high[key].offset

    def messages(self, topic: str, partitions: list[int]) -> int | None:
        spans = [self.span(topic, p) for p in partitions]
        known = [span for span in spans if span is not None]
        return sum(high - low for low, high in known) if len(known) == len(spans) else None

    def first_timestamp(self, topic: str, partitions: list[int]) -> datetime | None:
        return _time(min(_stamps(self._first, topic, partitions), default=None))

    def last_timestamp(self, topic: str, partitions: list[int]) -> datetime | None:
        return _time(max(_stamps(self._last, topic, partitions), default=None))

    def fullest(self, topic: str, partitions: list[int]) -> Range | None:
        """Return the last offsets of the partition with most of them."""
        spans = {p: span for p in partitions if (span := self.span(topic, p))}
        if not spans:
            return None
        partition, (low, high) = max(spans.items(), key=lambda item: item[1][1] - item[1][0])
        return Range(partition, max(low, high - _PEEK), high) if high > low else None


def _stamps(answers: Mapping[tuple[str, int], Any], topic: str, partitions: list[int]) -> list[int]:
    return [
        answers[topic, p].timestamp
        for p in partitions
        if (topic, p) in answers and answers[topic, p].timestamp >= 0
    ]


def _time(ms: int | None) -> datetime | None:
    if ms is None:
        return None
    try:
        return datetime.fromtimestamp(0, timezone.utc) + timedelta(milliseconds=ms)
    except OverflowError:  # a producer that gave microseconds or worse
        return None


def _formats(cluster: Cluster, topics: Mapping[str, list[int]], offsets: _Offsets) -> dict[str, str]:
    """Detect formats from the newest records; a topic that does not answer in time is left out."""
    formats: dict[str, str] = {}
    wanted: dict[str, list[Range]] = {}
    for name, partitions in topics.items():
        newest = offsets.fullest(name, partitions)
        if newest is not None:
            wanted[name] = [newest]
        elif offsets.messages(name, partitions) == 0:
            formats[name] = "empty"
    records = read(
        cluster,
        wanted,
        timeout=_PEEK_SECONDS,
        until=time.monotonic() + CALL_SECONDS,
        forgive=True,  # one topic that may be described but not read must not hide the others
    )
    for name, some in records.items():
        if some:
            formats[name] = detect(some.values) or "bytes"
    return formats
