"""The list of topics and one topic, with consumer groups and configurations."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from sdp_kernel.errors import UsageError
from sdp_kernel.kafka.describe import describe_topic
from sdp_kernel.kafka.topics import list_topics, looks

if TYPE_CHECKING:
    from sdp_kernel.kafka.cluster import Cluster

pytestmark = pytest.mark.stack


@pytest.fixture
def team() -> str:
    return f"team{uuid.uuid4().hex[:10]}"


def made(cluster: Cluster, name: str, records: int, partitions: int = 1, **config: str) -> str:
    cluster.create_topic(
        name, partitions, {k.replace("_", "."): v for k, v in config.items()}, exist_ok=False
    )
    producer = cluster.producer()
    for i in range(records):
        producer.produce(name, b'{"i": %d}' % i, b"k%d" % i, partition=0)
    producer.flush(20)
    return name


def test_the_second_look_adds_what_the_first_left_open(cluster: Cluster, team: str) -> None:
    made(cluster, f"{team}.a", 12, partitions=2, retention_ms="3600000")
    made(cluster, f"{team}.b", 0, cleanup_policy="compact")
    first, second = looks(cluster, pattern=team)
    assert [t.name for t in first.topics] == [t.name for t in second.topics] == [f"{team}.a", f"{team}.b"]
    a, b = first.topics
    assert (a.messages, a.partitions, a.format, a.size) == (12, 2, None, None)
    assert a.age is not None
    assert a.age < timedelta(minutes=5)
    assert not first.complete
    a, b = second.topics
    assert (a.format, a.key_format, a.retention, a.cleanup_policy) == (
        "json",
        "text",
        timedelta(hours=1),
        "delete",
    )
    assert a.size == pytest.approx(12 * 11, rel=0.3)
    assert a.rate == pytest.approx(12 / 60)
    assert (b.format, b.messages, b.size, b.rate, b.cleanup_policy) == ("empty", 0, 0, 0.0, "compact")
    assert second.complete
    assert second.notes == ()


def test_topics_are_filtered_and_sorted(cluster: Cluster, team: str) -> None:
    for name, records in (("b", 3), ("a", 7), ("c", 5)):
        made(cluster, f"{team}-{name}", records)
    names = [t.name[-1] for t in list_topics(cluster, pattern=team.upper())]
    assert names == ["a", "b", "c"]
    assert [t.name[-1] for t in list_topics(cluster, pattern=f"{team}-[ac]")] == ["a", "c"]
    assert [t.name[-1] for t in list_topics(cluster, pattern=f"{team}*", sort="messages")] == ["a", "c", "b"]
    assert [t.name[-1] for t in list_topics(cluster, pattern=team, sort="last")] == ["c", "a", "b"]
    assert list_topics(cluster, pattern="no such topic") == []
    with pytest.raises(UsageError, match="'color'"):
        list_topics(cluster, sort="color")


def test_consumer_groups_and_their_lag(stack: Any, cluster: Cluster, team: str) -> None:
    name = made(cluster, team, 10, partitions=2)
    for group, at in ((f"{team}-late", 2), (f"{team}-done", 10)):
        consumer = Consumer({"bootstrap.servers": stack.kafka, "group.id": group})
        consumer.commit(offsets=[TopicPartition(name, 0, at)], asynchronous=False)
        consumer.close()
    late, done = describe_topic(cluster, name).groups
    assert (late.group, late.lag, dict(late.lags)) == (f"{team}-late", 8, {0: 8})
    assert (done.group, done.lag) == (f"{team}-done", 0)


def test_looking_leaves_no_group_behind(cluster: Cluster, team: str) -> None:
    name = made(cluster, team, 10)
    before = {g.group_id for g in cluster.admin.list_consumer_groups().result(10).valid}
    describe_topic(cluster, name)
    list_topics(cluster, pattern=team)
    after = {g.group_id for g in cluster.admin.list_consumer_groups().result(10).valid}
    assert not {g for g in after - before if g.startswith("sdp-")}
    assert describe_topic(cluster, name).groups == ()


def test_a_topic_in_detail(cluster: Cluster, team: str) -> None:
    name = made(cluster, team, 30, partitions=3, retention_ms="-1", max_message_bytes="2000000")
    t = describe_topic(cluster, name)
    assert (t.messages, t.format, t.key_format, t.retention) == (30, "json", "text", None)
    assert t.skew == pytest.approx(3.0)
    assert dict(t.config) == {"max.message.bytes": "2000000", "retention.ms": "-1"}
    assert [p.offsets for p in t.partitions] == [30, 0, 0]
    assert t.subjects == ()
    assert t.first_timestamp is not None
    assert t.first_timestamp <= t.last_timestamp
