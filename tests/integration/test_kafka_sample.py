from __future__ import annotations

import json
import logging
import uuid
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from sdp_kernel.errors import BrokerUnreachable, SdpError, TopicError, TopicNotFound, UsageError
from sdp_kernel.kafka.cluster import Cluster
from sdp_kernel.kafka.describe import describe_topic
from sdp_kernel.kafka.infer import infer_table
from sdp_kernel.kafka.sample import Sample, sample
from sdp_kernel.kafka.topics import list_topics
from sdp_kernel.settings import KafkaCluster

pytestmark = pytest.mark.stack


@pytest.fixture
def cluster(stack: Any) -> Cluster:
    return Cluster(KafkaCluster("main", {"bootstrap.servers": stack.kafka}))


@pytest.fixture
def topic(cluster: Cluster, request: pytest.FixtureRequest) -> str:
    name = f"test-{uuid.uuid4().hex[:12]}"
    partitions, config = getattr(request, "param", (1, {}))
    cluster.create_topic(name, partitions, config, exist_ok=False)
    return name


def send(cluster: Cluster, topic: str, *records: Any, **common: Any) -> None:
    """Send values, or dicts of produce() arguments."""
    producer = cluster.producer({"message.max.bytes": 5_000_000})
    for record in records:
        arguments = record if isinstance(record, dict) else {"value": record}
        producer.produce(topic, **{"partition": 0, **common, **arguments})
    assert producer.flush(30) == 0


def numbered(partition: int, numbers: range, start_ms: int = 1_000) -> list[dict[str, Any]]:
    return [{"value": b'{"i":%d}' % i, "partition": partition, "timestamp": start_ms + i} for i in numbers]


def column(got: Sample, name: str) -> list[Any]:
    values: list[Any] = got.table.column(name).to_pylist()
    return values


@pytest.mark.parametrize("topic", [(3, {})], indirect=True)
def test_tail_and_head_go_by_time_over_partitions(cluster: Cluster, topic: str) -> None:
    send(cluster, topic, *numbered(0, range(30)), *numbered(1, range(30, 40)), *numbered(2, range(40, 43)))
    tail = sample(cluster, topic, n=8)
    assert column(tail, "i") == list(range(35, 43))
    assert (len(tail), tail.requested, tail.complete) == (8, 8, True)
    assert tail.offsets == {0: (22, 30), 1: (2, 10), 2: (0, 3)}
    assert tail.read == 19
    head = sample(cluster, topic, n=5, at="head")
    assert column(head, "i") == list(range(5))
    assert column(head, "_offset") == list(range(5))
    assert len(sample(cluster, topic, n=10_000)) == 43
    assert len(sample(cluster, topic, n=10_000, at="head")) == 43


@pytest.mark.parametrize("topic", [(2, {})], indirect=True)
def test_a_large_sample_reads_little_more_than_it_keeps(
    cluster: Cluster, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sdp_kernel.kafka.offsets._SURPLUS", 50)
    # One record a batch, so that times lead to offsets exactly.
    producer = cluster.producer({"batch.num.messages": 1})
    for i in range(1000):
        producer.produce(topic, b'{"i":%d}' % i, partition=i >= 500, timestamp=1_700_000_000_000 + i)
    assert producer.flush(30) == 0
    tail = sample(cluster, topic, n=400)
    assert column(tail, "i") == list(range(600, 1000))
    assert tail.read <= 450
    head = sample(cluster, topic, n=400, at="head")
    assert column(head, "i") == list(range(400))
    assert head.read <= 450


def test_metadata_columns_follow_the_fields(cluster: Cluster, topic: str) -> None:
    send(
        cluster,
        topic,
        {
            "value": b'{"z":1,"a":"x"}',
            "key": b"k",
            "timestamp": 1_767_603_600_000,
            "headers": [("h", b"\x00"), ("h", None)],
        },
        {"value": b'{"z":2}'},
    )
    got = sample(cluster, topic)
    assert got.table.column_names == ["z", "a", "_key", "_partition", "_offset", "_timestamp", "_headers"]
    assert column(got, "_key") == ["k", None]
    assert column(got, "_headers") == [[{"key": "h", "value": b"\x00"}, {"key": "h", "value": None}], None]
    assert str(got.df["_timestamp"].iloc[0]) == "2026-01-05 09:00:00+00:00"
    assert list(got.df.columns) == got.table.column_names


def test_malformed_records_keep_their_row_and_their_bytes(cluster: Cluster, topic: str) -> None:
    send(cluster, topic, b'{"a":1}', b'{"a":', b'{"a":3}', b"", b'{"a":4}')
    got = sample(cluster, topic)
    assert (got.format, got.errors, len(got)) == ("json", 2, 5)
    assert column(got, "a") == [1, None, 3, None, 4]
    assert column(got, "_raw") == [None, b'{"a":', None, b"", None]
    assert [bool(reason) for reason in column(got, "_error")] == [False, True, False, True, False]
    assert "_error" not in sample(cluster, topic, format="text").table.column_names


def test_tombstones_are_rows_of_nulls(cluster: Cluster, topic: str) -> None:
    send(cluster, topic, {"key": b"1", "value": b'{"a":1}'}, {"key": b"1", "value": None})
    got = sample(cluster, topic)
    assert column(got, "a") == [1, None]
    assert column(got, "_key") == ["1", "1"]
    assert (got.errors, got.tombstones) == (0, 1)


def test_an_empty_topic_is_an_empty_sample(cluster: Cluster, topic: str) -> None:
    got = sample(cluster, topic)
    assert (len(got), got.format, got.offsets) == (0, "empty", {0: (0, 0)})
    assert got.table.column_names == ["_key", "_partition", "_offset", "_timestamp", "_headers"]
    assert got.df.empty
    with pytest.raises(TopicError):
        infer_table(got)


def test_only_tombstones_are_an_empty_format(cluster: Cluster, topic: str) -> None:
    send(cluster, topic, {"key": b"1", "value": None})
    assert sample(cluster, topic).format == "empty"
    assert len(sample(cluster, topic)) == 1


def test_transaction_markers_are_passed_over(cluster: Cluster, topic: str) -> None:
    producer = cluster.producer({"transactional.id": f"t-{topic}"})
    producer.init_transactions(30)
    for i in range(12):
        producer.begin_transaction()
        producer.produce(topic, b'{"i":%d}' % i)
        if i % 3 == 2:
            producer.flush(30)
            producer.abort_transaction(30)
        else:
            producer.commit_transaction(30)
    committed = [0, 1, 3, 4, 6, 7, 9, 10]
    assert column(sample(cluster, topic, n=100), "i") == committed
    assert column(sample(cluster, topic, n=5), "i") == committed[-5:]
    assert column(sample(cluster, topic, n=5, at="head"), "i") == committed[:5]


def test_an_open_transaction_ends_the_sample(cluster: Cluster, topic: str) -> None:
    send(cluster, topic, b'{"i":0}')
    producer = cluster.producer({"transactional.id": f"t-{topic}"})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, b'{"i":1}')
    producer.flush(30)
    try:
        got = sample(cluster, topic)
        assert (column(got, "i"), got.complete) == ([0], True)
    finally:
        producer.abort_transaction(30)


def test_deleted_records_are_passed_over(cluster: Cluster, topic: str) -> None:
    send(cluster, topic, *numbered(0, range(10)))
    for future in cluster.admin.delete_records([TopicPartition(topic, 0, 6)]).values():
        future.result(10)
    assert column(sample(cluster, topic, n=3, at="head"), "i") == [6, 7, 8]
    assert sample(cluster, topic).offsets == {0: (6, 10)}


def test_values_larger_than_a_fetch_are_read(cluster: Cluster, stack: Any) -> None:
    name = f"test-{uuid.uuid4().hex[:12]}"
    cluster.create_topic(name, config={"max.message.bytes": "5000000"})
    big = json.dumps({"a": "x" * 3_000_000}).encode()
    send(cluster, name, b'{"a":"y"}', big, b'{"a":"z"}')
    assert [len(v) for v in column(sample(cluster, name), "a")] == [1, 3_000_000, 1]


def test_text_and_bytes_are_detected(cluster: Cluster, topic: str) -> None:
    send(cluster, topic, b"hello", "wörld".encode())
    got = sample(cluster, topic)
    assert (got.format, column(got, "value")) == ("text", ["hello", "wörld"])
    assert column(sample(cluster, topic, format="bytes"), "value") == [b"hello", "wörld".encode()]
    got = sample(cluster, topic, format="json")
    assert (got.errors, got.table.column_names[-2:]) == (2, ["_error", "_raw"])


def test_sampling_leaves_no_consumer_group(cluster: Cluster, topic: str) -> None:
    send(cluster, topic, b'{"a":1}')

    def groups() -> set[str]:
        listed = cluster.admin.list_consumer_groups(request_timeout=10).result(10)
        return {group.group_id for group in listed.valid}

    sample(cluster, topic)
    list_topics(cluster)
    assert not [group for group in groups() if group.startswith("sdp-")]


def test_an_unknown_topic_suggests_close_ones_and_is_not_created(cluster: Cluster, topic: str) -> None:
    wrong = topic[:-1] + "x"
    for ask in (sample, describe_topic):
        with pytest.raises(TopicNotFound) as caught:
            ask(cluster, wrong)
        assert repr(topic) in caught.value.hint
    assert wrong not in {t.name for t in list_topics(cluster)}


@pytest.mark.parametrize(
    "arguments", [{"n": 0}, {"n": True}, {"n": 1.5}, {"at": "middle"}, {"format": "xml"}]
)
def test_arguments_that_cannot_be_right_ask_nothing(arguments: dict[str, Any]) -> None:
    nowhere = Cluster(KafkaCluster("main", {"bootstrap.servers": "127.0.0.1:1"}))
    with pytest.raises(UsageError):
        sample(nowhere, "orders", **arguments)
    with pytest.raises(UsageError):
        sample(nowhere, "or ders")


@pytest.mark.parametrize(
    "call", [list_topics, lambda c: sample(c, "orders"), lambda c: describe_topic(c, "orders")]
)
def test_a_silent_broker_is_named_with_its_alias(call: Any, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BrokerUnreachable, match=r"'eu'.*127\.0\.0\.1:1") as caught:
        call(Cluster(KafkaCluster("eu", {"bootstrap.servers": "127.0.0.1:1"})))
    assert caught.value.hint
    assert isinstance(caught.value, ConnectionError)
    assert capfd.readouterr().err == ""


def test_odd_names_are_ordinary(cluster: Cluster) -> None:
    name = f"0._-{uuid.uuid4().hex[:8]}.X"
    assert cluster.create_topic(name, config={"cleanup.policy": "compact"})
    assert not cluster.create_topic(name)
    with pytest.raises(TopicError):
        cluster.create_topic(name, exist_ok=False)
    send(cluster, name, {"key": b"k", "value": b'{"a":1}'})
    assert column(sample(cluster, name), "a") == [1]


@pytest.mark.parametrize("topic", [(3, {"retention.ms": "-1"})], indirect=True)
def test_topics_are_listed_and_described(cluster: Cluster, topic: str) -> None:
    send(
        cluster,
        topic,
        *numbered(1, range(5), 1_767_603_600_000),
        {"value": b'{"i":9}', "partition": 2, "timestamp": 1_767_603_000_000},
    )
    (line,) = [t for t in list_topics(cluster) if t.name == topic]
    assert (line.partitions, line.messages, line.format) == (3, 6, "json")
    assert str(line.last_timestamp) == "2026-01-05 09:00:00.004000+00:00"
    assert line.age is not None
    detail = describe_topic(cluster, topic)
    assert [(p.low, p.high) for p in detail.partitions] == [(0, 0), (0, 5), (0, 1)]
    assert all(p.leader in p.isr for p in detail.partitions)
    assert (detail.cleanup_policy, detail.config) == ("delete", {"retention.ms": "-1"})
    assert str(detail.first_timestamp) == "2026-01-05 08:50:00+00:00"
    assert str(detail.last_timestamp) == "2026-01-05 09:00:00.004000+00:00"


def test_internal_topics_are_listed_on_request(cluster: Cluster, topic: str) -> None:
    assert not [t for t in list_topics(cluster) if t.name.startswith("__")]
    assert {t.name for t in list_topics(cluster)} <= {t.name for t in list_topics(cluster, internal=True)}


def test_an_empty_topic_is_listed_as_empty(cluster: Cluster, topic: str) -> None:
    (line,) = [t for t in list_topics(cluster) if t.name == topic]
    assert (line.messages, line.format, line.last_timestamp, line.age) == (0, "empty", None, None)


def test_the_log_is_the_callers(stack: Any, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("test.kafka")
    nowhere = Cluster(KafkaCluster("eu", {"bootstrap.servers": "127.0.0.1:1"}), logger=logger)
    with caplog.at_level(logging.DEBUG, "test.kafka"), pytest.raises(SdpError):
        nowhere.metadata()
    assert [r for r in caplog.records if r.name == "test.kafka"]
