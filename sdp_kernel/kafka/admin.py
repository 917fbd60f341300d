"""Changes to topics: delete, clear; and who may ask for a change at all. Creating is ``Cluster``'s."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import ReadOnly, SdpError, TopicError, UsageError
from sdp_kernel.kafka.cluster import CALL_SECONDS, admin_api, check_topic_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sdp_kernel.kafka.cluster import Cluster
    from sdp_kernel.settings import Profile

_REGISTRY_TOPIC = "_schemas"
_GONE_SECONDS = 5.0
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Deleted:
    """A topic that is gone, and how many partitions it had."""

    topic: str
    partitions: int


@dataclass(frozen=True)
class Cleared:
    """A topic without records.

    ``records`` is how many offsets were taken away; ``starts`` maps each partition to its first
    offset from now on.
    """

    topic: str
    records: int
    starts: Mapping[int, int]


def may_change(profile: Profile, what: str, *, confirmed: bool) -> None:
    """Let a change through, or raise; ``what`` says it: ``delete the topic 'orders'``.

    Raises
    ------
    ReadOnly
        The profile is read-only; or it is not the embedded stack and nobody confirmed.
    """
    if profile.read_only:
        raise ReadOnly(
            f"profile {profile.name!r} is read-only: it cannot {what}",
            hint=f"use another profile, or take read_only out of profiles.{profile.name} in sdp.toml",
        )
    if not (confirmed or profile.embedded):
        raise ReadOnly(
            f"not confirmed: {what}, in profile {profile.name!r}",
            hint="pass confirm=True, or --yes to the magic",
        )


def check_not_internal(name: str, what: str) -> str:
    """Return ``name`` unless the topic belongs to Kafka or to a schema registry.

    Raises
    ------
    UsageError
        It does, or it is no topic name.
    """
    check_topic_name(name)
    if name.startswith("__") or name == _REGISTRY_TOPIC:
        owner = "the schema registry" if name == _REGISTRY_TOPIC else "Kafka itself"
        raise UsageError(
            f"cannot {what} {name!r}: it belongs to {owner}",
            hint="if it must be, use Kafka's own tools",
        )
    return name


def topic_config(cluster: Cluster, name: str) -> dict[str, str]:
    """Return a topic's configuration, defaults included."""
    return config_values(cluster.result(ask_configs(cluster, [name])[name], topic=name))


def ask_configs(cluster: Cluster, names: Sequence[str]) -> dict[str, Any]:
    """Ask for topics' configurations in one call: name → future of name → ``ConfigEntry``."""
    if not names:
        return {}
    api = admin_api()
    resources = [api.ConfigResource(api.ResourceType.TOPIC, name) for name in names]
    asked = cluster.admin.describe_configs(resources, request_timeout=CALL_SECONDS)
    return {resource.name: future for resource, future in asked.items()}


def config_values(entries: Mapping[str, Any]) -> dict[str, str]:
    """Return the values of a configuration's entries, those that have one."""
    return {key: entry.value for key, entry in entries.items() if entry.value is not None}


def delete_topic(cluster: Cluster, name: str) -> Deleted:
    """Delete a topic with all its records.

    Raises
    ------
    UsageError
        It is an internal topic.
    TopicNotFound
        With close matches in the hint.
    TopicError
        Kafka refused.
    """
    check_not_internal(name, "delete")
    partitions = cluster.partitions(name)
    future = cluster.admin.delete_topics(
        [name], operation_timeout=CALL_SECONDS, request_timeout=CALL_SECONDS
    )[name]
    cluster.result(future, topic=name)
    until_gone(cluster, [name])
    return Deleted(name, len(partitions))


def until_gone(cluster: Cluster, names: Sequence[str]) -> None:
    """Wait, five seconds at most, until deleted topics are listed no more.

    Brokers list them for a moment after they have answered that they are deleted.
    """
    end = time.monotonic() + _GONE_SECONDS
    while not cluster.metadata().topics.keys().isdisjoint(names) and time.monotonic() < end:
        time.sleep(_POLL_SECONDS)


def clear_topic(cluster: Cluster, name: str) -> Cleared:
    """Delete the records that a topic has now; the topic and its configuration stay.

    Raises
    ------
    UsageError
        It is an internal topic.
    TopicNotFound
        With close matches in the hint.
    TopicError
        The topic is only compacted: Kafka deletes no records there. Or Kafka refused; the message
        names the partitions that were not cleared.
    """
    from confluent_kafka import OFFSET_END, TopicPartition  # noqa: PLC0415

    check_not_internal(name, "clear")
    partitions = cluster.partitions(name)
    if "delete" not in topic_config(cluster, name).get("cleanup.policy", "delete"):
        raise TopicError(
            f"topic {name!r} on Kafka {cluster.alias!r} is compacted: Kafka deletes no records there",
            hint="write tombstones for its keys, or delete the topic and create it again",
        )
    before = cluster.watermarks(name, partitions)
    futures = cluster.admin.delete_records(
        [TopicPartition(name, p, OFFSET_END) for p in partitions],
        request_timeout=CALL_SECONDS,
        operation_timeout=CALL_SECONDS,
    )
    starts: dict[int, int] = {}
    failed: dict[int, SdpError] = {}
    for partition, future in futures.items():
        try:
            starts[partition.partition] = _low(cluster, future, name)
        except SdpError as error:
            failed[partition.partition] = error
    if failed:
        first = next(iter(failed.values()))
        if not starts:
            raise first
        raise TopicError(
            f"topic {name!r} was cleared in part: not the partitions {', '.join(map(str, sorted(failed)))}:"
            f" {first.message}",
            hint="clear it again",
        )
    taken = sum(max(0, starts[p] - before[p][0]) for p in partitions)
    return Cleared(name, taken, dict(sorted(starts.items())))


def _low(cluster: Cluster, future: Any, topic: str) -> int:
    return int(cluster.result(future, topic=topic).low_watermark)
