"""What topics there are, with few calls for many: a first look at once, the rest a moment later."""

from __future__ import annotations

import contextlib
import fnmatch
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import SdpError, UsageError
from sdp_kernel.kafka.admin import ask_configs, config_values
from sdp_kernel.kafka.cluster import CALL_SECONDS, admin_api
from sdp_kernel.kafka.peek import Peek, peek

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sdp_kernel.kafka.cluster import Cluster
    from sdp_kernel.kafka.registry import SubjectVersion

#: A topic's rate is that of the records of so many seconds before now, by their timestamps.
RATE_SECONDS = 60
_INTERNAL = "__"
_SORTS = ("name", "messages", "size", "rate", "last", "partitions")


@dataclass(frozen=True)
class TopicSummary:
    """One line of the list of topics; None for what is not known, or not yet.

    Attributes
    ----------
    messages
        Sum over partitions of high minus low watermark: an upper bound where compaction or
        transactions leave offsets without a record; None where a partition has no leader.
    size
        Bytes of keys and values, estimated: ``messages`` times the mean of a few records.
    rate
        Records a second over the last minute.
    last_timestamp
        The greatest timestamp of a record (UTC).
    format, key_format
        Detected from a few records; ``empty`` where there are none, or no keys.
    schema, key_schema
        Latest version and type in the schema registry, under the subject of the topic's name:
        ``v3 AVRO``.
    retention
        ``retention.ms``; None where records are kept for ever, or the topic may not be described.
    cleanup_policy
        ``delete``, ``compact`` or both.
    """

    name: str
    partitions: int
    messages: int | None = None
    size: int | None = None
    rate: float | None = None
    last_timestamp: datetime | None = None
    format: str | None = None
    key_format: str | None = None
    schema: str | None = None
    key_schema: str | None = None
    retention: timedelta | None = None
    cleanup_policy: str | None = None

    @property
    def age(self) -> timedelta | None:
        """Time since ``last_timestamp``; negative where a producer's clock is ahead."""
        return since(self.last_timestamp)


@dataclass(frozen=True)
class Look:
    """The list of topics as far as it is known; ``notes`` say what could not be found out."""

    topics: Sequence[TopicSummary]
    complete: bool = False
    notes: tuple[str, ...] = ()


def list_topics(
    cluster: Cluster, *, pattern: str | None = None, internal: bool = False, sort: str = "name"
) -> list[TopicSummary]:
    """List topics with everything that is known of them; parameters and errors as ``looks``."""
    *_, last = looks(cluster, pattern=pattern, internal=internal, sort=sort)
    return list(last.topics)


def looks(
    cluster: Cluster, *, pattern: str | None = None, internal: bool = False, sort: str = "name"
) -> Iterator[Look]:
    """Give the list of topics twice: with messages and times at once, then complete.

    The first look takes one call for the names and three for all offsets; the second reads a few
    of each topic's newest records, and asks for rates, configurations and schemas. All at the
    same time, in bulk.

    Parameters
    ----------
    pattern
        A part of the name, or a pattern with ``*`` and ``?``; case does not matter.
    internal
        Also list topics whose name begins with two underscores.
    sort
        ``name``, or the greatest first: ``messages``, ``size``, ``rate``, ``last``, ``partitions``.

    Raises
    ------
    UsageError
        There is no such order.
    BrokerUnreachable
        Nobody answers.
    """
    if sort not in _SORTS:
        raise UsageError(f"topics cannot be sorted by {sort!r}", hint=f"use one of: {', '.join(_SORTS)}")
    topics = {
        name: sorted(topic.partitions)
        for name, topic in sorted(cluster.metadata().topics.items())
        if topic.error is None and (internal or not name.startswith(_INTERNAL)) and _matches(name, pattern)
    }
    with ThreadPoolExecutor(5, thread_name_prefix="sdp-topics") as threads:
        keys = [(name, p) for name, parts in topics.items() for p in parts]
        offsets = Offsets.ask(cluster, keys, threads)
        first = [
            TopicSummary(
                name,
                len(partitions),
                offsets.messages(name, partitions),
                last_timestamp=offsets.last_timestamp(name, partitions),
            )
            for name, partitions in topics.items()
        ]
        yield Look(_sorted(first, sort))
        rates = threads.submit(_rates, cluster, topics, offsets)
        configs = threads.submit(_configs, cluster, list(topics))
        schemas = threads.submit(_schemas, cluster)
        peeks = peek(cluster, {name: offsets.newest(name, parts) for name, parts in topics.items()})
        subjects, note = schemas.result()
        known = rates.result(), configs.result(), subjects
    full = [_complete(summary, peeks.get(summary.name), *known) for summary in first]
    yield Look(_sorted(full, sort), complete=True, notes=(note,) if note else ())


def _matches(name: str, pattern: str | None) -> bool:
    if not pattern:
        return True
    if any(mark in pattern for mark in "*?["):
        return fnmatch.fnmatchcase(name.lower(), pattern.lower())
    return pattern.lower() in name.lower()


def _sorted(topics: list[TopicSummary], sort: str) -> list[TopicSummary]:
    if sort == "name":
        return topics
    field = "last_timestamp" if sort == "last" else sort
    known = [t for t in topics if getattr(t, field) is not None]
    unknown = [t for t in topics if getattr(t, field) is None]
    return [*sorted(known, key=lambda t: getattr(t, field), reverse=True), *unknown]


def _complete(
    summary: TopicSummary,
    seen: Peek | None,
    rates: Mapping[str, float],
    configs: Mapping[str, Mapping[str, str]],
    subjects: Mapping[str, SubjectVersion],
) -> TopicSummary:
    config = configs.get(summary.name, {})
    size = seen.size_of(summary.messages) if seen and summary.messages is not None else None
    empty = summary.messages == 0
    return replace(
        summary,
        size=0 if empty else size,
        rate=rates.get(summary.name),
        format="empty" if empty else seen.format if seen else None,
        key_format="empty" if empty else seen.key_format if seen else None,
        schema=_shown(subjects.get(f"{summary.name}-value")),
        key_schema=_shown(subjects.get(f"{summary.name}-key")),
        retention=retention(config),
        cleanup_policy=config.get("cleanup.policy"),
    )


def _shown(found: SubjectVersion | None) -> str | None:
    return None if found is None else f"v{found.version} {found.schema.type}"


def retention(config: Mapping[str, str]) -> timedelta | None:
    """Return ``retention.ms`` of a topic's configuration; None for no end."""
    ms = config.get("retention.ms")
    try:
        return timedelta(milliseconds=int(ms)) if ms is not None and int(ms) >= 0 else None
    except (ValueError, OverflowError):  # 9223372036854775807 is a way to say for ever
        return None


def _rates(cluster: Cluster, topics: Mapping[str, list[int]], offsets: Offsets) -> dict[str, float]:
    """Return records a second since a minute ago; a topic with a partition that fails is left out."""
    since = time.time_ns() // 1_000_000 - 1000 * RATE_SECONDS
    recent = {
        name: parts
        for name, parts in topics.items()
        if (last := offsets.last_timestamp(name, parts)) is None or last.timestamp() * 1000 >= since
    }
    rates = {name: 0.0 for name in topics if name not in recent}
    spec = admin_api().OffsetSpec.for_timestamp(since)
    answers = cluster.offsets({(name, p): spec for name, parts in recent.items() for p in parts})
    for name, parts in recent.items():
        count = 0
        for p in parts:
            span, answer = offsets.span(name, p), answers.get((name, p))
            if span is None or answer is None or isinstance(answer, Exception):
                break
            if answer.offset >= 0:
                count += max(0, span[1] - max(answer.offset, span[0]))
        else:
            rates[name] = count / RATE_SECONDS
    return rates


def _configs(cluster: Cluster, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return each topic's configuration; a topic that may not be described is left out."""
    from confluent_kafka import KafkaException  # noqa: PLC0415

    found = {}
    for name, future in ask_configs(cluster, names).items():
        with contextlib.suppress(KafkaException, TimeoutError):
            found[name] = config_values(future.result(timeout=2 * CALL_SECONDS))
    return found


def _schemas(cluster: Cluster) -> tuple[Mapping[str, SubjectVersion], str]:
    if cluster.registry is None:
        return {}, ""
    try:
        return cluster.registry.latest(), ""
    except SdpError as error:
        return {}, f"no schemas: {error.message}"


class Offsets:
    """Watermarks and times of many partitions; a partition that fails is left out."""

    def __init__(self, low: Mapping[Any, Any], high: Mapping[Any, Any], last: Mapping[Any, Any]) -> None:
        self._low, self._high, self._last = low, high, last

    @classmethod
    def ask(cls, cluster: Cluster, keys: Sequence[tuple[str, int]], threads: ThreadPoolExecutor) -> Offsets:
        """Ask for all of them at the same time."""
        spec = admin_api().OffsetSpec

        def answers(wanted: Any) -> dict[tuple[str, int], Any]:
            found = cluster.offsets(dict.fromkeys(keys, wanted))
            return {key: answer for key, answer in found.items() if not isinstance(answer, SdpError)}

        # MAX_TIMESTAMP: brokers from 3.0 on (KIP-734)
        return cls(*threads.map(answers, (spec.earliest(), spec.latest(), spec.max_timestamp())))

    def span(self, topic: str, partition: int) -> tuple[int, int] | None:
        """Return (low, high) of a partition."""
        low, high = self._low.get((topic, partition)), self._high.get((topic, partition))
        return None if low is None or high is None else (low.offset, high.offset)

    def messages(self, topic: str, partitions: Sequence[int]) -> int | None:
        """Return the sum of high minus low; None where a partition has failed."""
        spans = [self.span(topic, p) for p in partitions]
        known = [span for span in spans if span is not None]
        return sum(high - low for low, high in known) if len(known) == len(spans) else None

    def last_timestamp(self, topic: str, partitions: Sequence[int]) -> datetime | None:
        """Return the greatest timestamp of a record."""
        answers = (self._last.get((topic, p)) for p in partitions)
        return moment(max((a.timestamp for a in answers if a is not None and a.timestamp >= 0), default=None))

    def newest(self, topic: str, partitions: Sequence[int]) -> tuple[int, int, int] | None:
        """Return the fullest partition with its span; None where there is no record."""
        spans = [(p, *span) for p in partitions if (span := self.span(topic, p))]
        partition, low, high = max(spans, key=lambda s: s[2] - s[1], default=(0, 0, 0))
        return (partition, low, high) if high > low else None


def since(then: datetime | None) -> timedelta | None:
    """Return how long ago a time was; None for none."""
    return None if then is None else datetime.now(timezone.utc) - then


def moment(ms: int | None) -> datetime | None:
    """Return ms since the epoch as UTC; None for none, and for what no calendar holds."""
    if ms is None:
        return None
    try:
        return datetime.fromtimestamp(0, timezone.utc) + timedelta(milliseconds=ms)
    except OverflowError:  # a producer that gave microseconds or worse
        return None
