"""Everything about one topic: partitions, configuration, consumer groups, schemas and their changes."""

from __future__ import annotations

import difflib
import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import SdpError
from sdp_kernel.kafka.admin import ask_configs, config_values
from sdp_kernel.kafka.cluster import CALL_SECONDS, admin_api
from sdp_kernel.kafka.peek import peek
from sdp_kernel.kafka.topics import Offsets, moment, retention, since

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from sdp_kernel.kafka.cluster import Cluster
    from sdp_kernel.kafka.registry import SubjectVersion

_GROUPS_AT_ONCE = 50


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

    @property
    def offsets(self) -> int | None:
        """How many offsets it keeps."""
        return None if self.low is None or self.high is None else self.high - self.low


@dataclass(frozen=True)
class GroupDetail:
    """A consumer group that has committed offsets for the topic.

    ``lag`` is the sum over its partitions of high watermark minus committed offset; ``lags`` has
    it by partition. ``state`` is Kafka's: ``STABLE``, ``EMPTY``, …
    """

    group: str
    state: str
    lag: int
    lags: Mapping[int, int]


@dataclass(frozen=True)
class SubjectDetail:
    """The schemas of a subject, oldest version first, and how each differs from the one before.

    ``diffs`` has a unified diff for each version after the first.
    """

    subject: str
    versions: tuple[SubjectVersion, ...]
    diffs: tuple[str, ...]


@dataclass(frozen=True)
class TopicDetail:
    """Everything about one topic.

    Attributes
    ----------
    config
        What differs from the brokers' defaults, without what is sensitive.
    skew
        Offsets of the fullest partition as a multiple of the mean; None for an empty topic.
    size
        Bytes of keys and values, estimated from a few records.
    first_timestamp, last_timestamp
        Of the first record kept in a partition, and the greatest (UTC, None for an empty topic).
    groups
        The greatest lag first.
    subjects
        Under the topic's name in the schema registry: value, then key.
    notes
        What could not be found out, and why.
    """

    name: str
    partitions: tuple[PartitionDetail, ...]
    messages: int
    format: str | None
    cleanup_policy: str
    config: Mapping[str, str] = field(default_factory=dict)
    first_timestamp: datetime | None = None
    last_timestamp: datetime | None = None
    key_format: str | None = None
    size: int | None = None
    retention: timedelta | None = None
    groups: tuple[GroupDetail, ...] = ()
    subjects: tuple[SubjectDetail, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def skew(self) -> float | None:
        """See the class."""
        counts = [p.offsets for p in self.partitions if p.offsets is not None]
        return max(counts) * len(counts) / sum(counts) if sum(counts) else None

    @property
    def age(self) -> timedelta | None:
        """Time since ``last_timestamp``; negative where a producer's clock is ahead."""
        return since(self.last_timestamp)


def describe_topic(cluster: Cluster, name: str) -> TopicDetail:
    """Describe one topic.

    Groups and schemas that cannot be asked for are a note, not an error.

    Raises
    ------
    UsageError
        Kafka does not allow such a name.
    TopicNotFound
        With close matches in the hint.
    BrokerUnreachable
        Nobody answers.
    """
    numbers = cluster.partitions(name)
    keys = [(name, p) for p in numbers]
    notes: list[str] = []
    with ThreadPoolExecutor(6, thread_name_prefix="sdp-topic") as threads:
        metadata = threads.submit(cluster.metadata)
        asked = ask_configs(cluster, [name])[name]
        subjects = threads.submit(_subjects, cluster, name, notes)
        offsets = Offsets.ask(cluster, keys, threads)
        groups = threads.submit(_groups, cluster, name, offsets, notes)
        first = threads.submit(_first, cluster, keys)
        place = offsets.newest(name, numbers)
        seen = peek(cluster, {name: place}).get(name)
        config = cluster.result(asked, topic=name)
        topics = metadata.result().topics
        details = _partitions(topics[name].partitions if name in topics else {}, name, numbers, offsets)
        found = groups.result(), subjects.result(), first.result()
    messages = offsets.messages(name, numbers) or 0
    plain = config_values(config)
    return TopicDetail(
        name=name,
        partitions=details,
        messages=messages,
        format=seen.format if seen else "empty" if place is None else None,
        cleanup_policy=plain["cleanup.policy"],
        config={
            key: entry.value
            for key, entry in sorted(config.items())
            if _set_on_topic(entry) and not entry.is_sensitive
        },
        first_timestamp=found[2],
        last_timestamp=offsets.last_timestamp(name, numbers),
        key_format=seen.key_format if seen else "empty" if place is None else None,
        size=seen.size_of(messages) if seen else None,
        retention=retention(plain),
        groups=found[0],
        subjects=found[1],
        notes=tuple(sorted(notes)),
    )


def _partitions(
    described: Mapping[int, Any], name: str, numbers: Sequence[int], offsets: Offsets
) -> tuple[PartitionDetail, ...]:
    details = []
    for number in numbers:
        low, high = offsets.span(name, number) or (None, None)
        p = described.get(number)
        replicas, isr = (tuple(p.replicas), tuple(p.isrs)) if p else ((), ())
        details.append(PartitionDetail(number, low, high, p.leader if p else -1, replicas, isr))
    return tuple(details)


def _set_on_topic(entry: Any) -> bool:
    return bool(entry.source == admin_api().ConfigSource.DYNAMIC_TOPIC_CONFIG.value)


def _first(cluster: Cluster, keys: Sequence[tuple[str, int]]) -> datetime | None:
    answers = cluster.offsets(dict.fromkeys(keys, admin_api().OffsetSpec.for_timestamp(0)))
    stamps = [a.timestamp for a in answers.values() if not isinstance(a, Exception) and a.timestamp >= 0]
    return moment(min(stamps, default=None))


def _groups(cluster: Cluster, name: str, offsets: Offsets, notes: list[str]) -> tuple[GroupDetail, ...]:
    """Return the groups with offsets of the topic; asks every group the cluster lists."""
    from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException  # noqa: PLC0415

    try:
        listed = cluster.result(cluster.admin.list_consumer_groups(request_timeout=CALL_SECONDS)).valid
    except SdpError as error:
        notes.append(f"no consumer groups: {error.message}")
        return ()
    states = {group.group_id: group.state.name for group in listed}
    found, refused = [], 0
    ids = sorted(states)
    for begin in range(0, len(ids), _GROUPS_AT_ONCE):
        # librdkafka takes one group a request
        asked = [
            cluster.admin.list_consumer_group_offsets(
                [ConsumerGroupTopicPartitions(group)], request_timeout=CALL_SECONDS
            )[group]
            for group in ids[begin : begin + _GROUPS_AT_ONCE]
        ]
        for group, future in zip(ids[begin:], asked, strict=False):
            try:
                committed = future.result(timeout=2 * CALL_SECONDS).topic_partitions
            except (KafkaException, TimeoutError):
                refused += 1
                continue
            lags = {
                p.partition: max(0, span[1] - max(p.offset, span[0]))
                for p in committed
                if p.topic == name and p.offset >= 0 and (span := offsets.span(name, p.partition))
            }
            if lags:
                found.append(
                    GroupDetail(group, states[group], sum(lags.values()), dict(sorted(lags.items())))
                )
    if refused:
        notes.append(f"{refused} of {len(ids)} consumer groups did not give their offsets")
    return tuple(sorted(found, key=lambda g: (-g.lag, g.group)))


def _subjects(cluster: Cluster, name: str, notes: list[str]) -> tuple[SubjectDetail, ...]:
    if cluster.registry is None:
        return ()
    found = []
    for side in ("value", "key"):
        subject = f"{name}-{side}"
        try:
            versions = tuple(cluster.registry.versions(subject))
        except SdpError as error:
            notes.append(f"no schemas: {error.message}")
            break
        if versions:
            pairs = itertools.pairwise(versions)
            found.append(SubjectDetail(subject, versions, tuple(_diff(old, new) for old, new in pairs)))
    return tuple(found)


def pretty(text: str) -> str:
    """Return a schema's text with a line for each part; Protobuf as it is."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text


def _diff(old: SubjectVersion, new: SubjectVersion) -> str:
    lines = difflib.unified_diff(
        pretty(old.schema.text).splitlines(),
        pretty(new.schema.text).splitlines(),
        f"version {old.version}",
        f"version {new.version}",
        lineterm="",
    )
    return "\n".join(lines)
