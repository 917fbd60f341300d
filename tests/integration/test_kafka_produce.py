from __future__ import annotations

import datetime as dt
import json
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pytest

from sdp_kernel.errors import TopicError, TopicNotFound, UsageError
from sdp_kernel.kafka.admin import clear_topic, delete_topic
from sdp_kernel.kafka.cluster import Cluster
from sdp_kernel.kafka.produce import produce
from sdp_kernel.kafka.registry import Schema, SubjectVersion
from sdp_kernel.kafka.sample import sample
from sdp_kernel.kafka.send import Sender
from sdp_kernel.settings import KafkaCluster

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.stack


@pytest.fixture
def cluster(stack: Any) -> Cluster:
    return Cluster(KafkaCluster("main", {"bootstrap.servers": stack.kafka}))


@pytest.fixture
def make(cluster: Cluster) -> Iterator[Any]:
    made: list[str] = []

    def topic(partitions: int = 1, **config: str) -> str:
        name = f"test-{uuid.uuid4().hex[:12]}"
        cluster.create_topic(name, partitions, {k.replace("_", "."): v for k, v in config.items()})
        made.append(name)
        return name

    yield topic
    for name in made:
        if name in cluster.metadata().topics:
            cluster.admin.delete_topics([name])[name].result(10)


def shown(cluster: Cluster, topic: str, **how: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = sample(cluster, topic, n=10_000, at="head", **how).table.to_pylist()
    return rows


def count(cluster: Cluster, topic: str) -> int:
    return sum(high - low for low, high in cluster.watermarks(topic, cluster.partitions(topic)).values())


def test_a_sample_written_elsewhere_is_the_same_sample(cluster: Cluster, make: Any) -> None:
    values = [
        b'{"id":9007199254740993,"price":1.10,"tags":["a",null],"_key":"own","deep":{"x":{"y":1}},"mixed":1}',
        b'{"id":2,"price":12345678901234567890.25,"mixed":"text","uni":"\\u00e4\\n\\"","deep":null}',
        b"[1,2]",
        b"{broken",
        b"\x00\xff",
        None,
        b"",
    ]
    origin, copy = make(3), make(3)
    producer = cluster.producer()
    for row, value in enumerate(values):
        producer.produce(
            origin, value, [f"k{row}".encode(), None, b""][row % 3], partition=row % 3,
            timestamp=1_700_000_000_000 + row, headers=[("h", b"\x00"), ("h", None)] if row % 2 else None,
        )  # fmt: skip
    assert producer.flush(10) == 0
    first = sample(cluster, origin, n=100)
    got = produce(
        cluster, copy, first, tombstones=True, partition="_partition", timestamp="_timestamp"
    )  # fmt: skip
    assert (got.sent, got.tombstones, got.failed, got.complete) == (len(values), 1, (), True)
    second = sample(cluster, copy, n=100)
    assert second.table.equals(first.table, check_metadata=True)
    assert (second.tombstones, second.errors, second.format) == (first.tombstones, first.errors, first.format)
    raw = sample(cluster, copy, n=100, format="bytes").table.column("value").to_pylist()
    assert raw[2:] == values[2:]


@pytest.mark.parametrize(("name", "values"), [
    ("text", ["ä", "", "b\nc"]), ("bytes", [b"\x00\xff", b"", b"x"]), ("csv", ["1,a", '2,"b,c"', "3,d"]),
])  # fmt: skip
def test_samples_of_other_formats_come_back(cluster: Cluster, make: Any, name: str, values: Any) -> None:
    if name == "csv":
        topic = make()
        produce(cluster, topic, pd.DataFrame({"n": [1, 2, 3], "s": ["a", "b,c", "d"]}), format="csv")
        assert [r["value"] for r in shown(cluster, topic, format="text")] == values
        return
    origin, copy = make(), make()
    assert produce(cluster, origin, pa.table({"value": values}), format=name, key=()).sent == 3
    first = sample(cluster, origin, n=10, format=name)
    produce(cluster, copy, first, timestamp="_timestamp")
    assert sample(cluster, copy, n=10, format=name).table.equals(first.table)


def test_keys_partitions_times_and_headers_are_as_asked(cluster: Cluster, make: Any) -> None:
    topic = make(2)
    frame = pd.DataFrame({"id": [1, 2], "city": ["Bonn", None], "p": [1, 0]})
    when = dt.datetime(2026, 1, 2, tzinfo=dt.timezone.utc)
    got = produce(
        cluster, topic, frame, key=["id", "city"], partition="p", timestamp=when, headers={"by": "hand", "no": None}
    )  # fmt: skip
    assert got.offsets == {0: (0, 1), 1: (0, 1)}
    rows = {r["id"]: r for r in shown(cluster, topic, key_format="text")}
    assert rows[1]["_key"] == '{"id":1,"city":"Bonn"}'
    assert (rows[1]["_partition"], rows[2]["_partition"]) == (1, 0)
    assert rows[1]["_timestamp"] == when
    assert rows[1]["_headers"] == [{"key": "by", "value": b"hand"}, {"key": "no", "value": None}]
    assert rows[1]["p"] == 1


def test_equal_keys_go_where_java_producers_send_them(cluster: Cluster, make: Any) -> None:
    topic = make(10)
    produce(cluster, topic, [{"_key": key, "a": 1} for key in ("a", "foobar", "21")])
    # murmur2 as in org.apache.kafka.common.utils.Utils, made positive, modulo 10
    assert {r["_key"]: r["_partition"] for r in shown(cluster, topic, key_format="text")} == {
        key: _murmur2(key.encode()) % 10 for key in ("a", "foobar", "21")
    }


def _murmur2(data: bytes) -> int:
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = 0x9747B28C ^ len(data)
    whole = len(data) // 4 * 4
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    rest = data[whole:]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return (h ^ h >> 15) & 0x7FFFFFFF


@pytest.mark.parametrize(("data", "how", "says"), [
    ([{"a": 1.0}] * 3 + [{"a": float("nan")}], {}, "row 3, column 'a'"),
    ([{"a": 1, "p": 0}, {"a": 1, "p": 7}], {"partition": "p"}, "row 1: topic"),
    ([{"a": 1, "t": -1}], {"timestamp": "t"}, "row 0"),
    ([{"a": 1, "h": 5}], {"headers": "h"}, "row 0"),
    ([{"a": 1}, {"a": None}], {}, "row 1 has no value"),
    ([{"a": None}], {"tombstones": False, "format": "text"}, "row 0 has no value"),
    ([{"a": 1}, {"a": "x" * 2_000_000}], {}, "row 1 is a record of about 2,000"),
    ([{"a": 1}], {"key": "b"}, "no column 'b'"),
    ([{"a": 1}], {"format": "protobuf"}, "protobuf"),
    ([{"a": 1}], {"format": "avro"}, "has none"),
    ([{"a": 1}], {"key_format": "csv"}, "keys"),
    ([{"a": 1}], {"schema": "{}"}, "has no schema"),
])  # fmt: skip
def test_bad_input_is_refused_before_anything_is_sent(
    cluster: Cluster, make: Any, data: Any, how: dict[str, Any], says: str
) -> None:
    topic = make(max_message_bytes="1000000")
    with pytest.raises(UsageError) as caught:
        produce(cluster, topic, data, **how)
    assert says in str(caught.value)
    assert count(cluster, topic) == 0


def test_a_topic_that_is_not_there_is_not_made(cluster: Cluster) -> None:
    name = f"test-{uuid.uuid4().hex[:12]}"
    with pytest.raises(TopicNotFound):
        produce(cluster, name, [{"a": 1}])
    assert name not in cluster.metadata().topics
    with pytest.raises(UsageError, match="Kafka itself"):
        produce(cluster, "__consumer_offsets", [{"a": 1}])


def test_a_compacted_topic_wants_keys(cluster: Cluster, make: Any) -> None:
    topic = make(cleanup_policy="compact")
    with pytest.raises(UsageError, match="row 1 has no key"):
        produce(cluster, topic, [{"_key": "a", "x": 1}, {"_key": None, "x": 1}])
    got = produce(cluster, topic, [{"_key": "a", "x": 1}, {"_key": "a", "x": None}], tombstones=True)
    assert (got.sent, got.tombstones) == (2, 1)
    nulls = produce(cluster, topic, [{"_key": "a", "x": None}], tombstones=False)
    assert nulls.tombstones == 0


def test_batches_stay_within_a_small_limit(cluster: Cluster, make: Any) -> None:
    topic = make(max_message_bytes="2000")
    got = produce(cluster, topic, [{"i": i, "text": "x" * 500} for i in range(500)])
    assert (got.sent, got.failed) == (500, ())
    edge = "x" * 1890
    assert produce(cluster, topic, [{"t": edge}]).complete
    with pytest.raises(UsageError, match="limit of 2,000"):
        produce(cluster, topic, [{"t": "x" * 1950}])


def test_rows_that_brokers_refuse_are_named(cluster: Cluster, make: Any) -> None:
    topic = make(max_message_bytes="1000")
    sender = Sender(cluster, topic, 0, 10)  # as where the limit may not be read
    values = [b"x" * 10, b"x" * 5000, b"y" * 10]
    sender.producer = cluster.producer({"batch.num.messages": 1})
    sender.send(values, [None] * 3, [None] * 3, [None] * 3, [None] * 3)
    assert sender.sent == 2
    assert [f.row for f in sender.failed] == [1]
    assert "too large" in sender.failed[0].reason


def test_nothing_given_is_nothing_sent(cluster: Cluster, make: Any) -> None:
    topic = make()
    for data in ([], pd.DataFrame({"a": []}), pa.table({"a": pa.array([], pa.int64())})):
        assert produce(cluster, topic, data).sent == 0


def test_clear_takes_the_records_and_delete_the_topic(cluster: Cluster, make: Any) -> None:
    topic = make(2)
    produce(cluster, topic, [{"i": i, "p": i % 2} for i in range(10)], partition="p")
    done = clear_topic(cluster, topic)
    assert (done.records, done.starts) == (10, {0: 5, 1: 5})
    assert count(cluster, topic) == 0
    assert clear_topic(cluster, topic).records == 0
    assert produce(cluster, topic, [{"i": 1}]).complete
    assert delete_topic(cluster, topic).partitions == 2
    with pytest.raises(TopicNotFound):
        delete_topic(cluster, topic)
    compacted = make(cleanup_policy="compact")
    with pytest.raises(TopicError, match="compacted") as caught:
        clear_topic(cluster, compacted)
    assert "tombstones" in caught.value.hint


class MemoryRegistry:
    """Subjects in memory, for what a registry would be asked."""

    def __init__(self) -> None:
        self.by_subject: dict[str, list[SubjectVersion]] = {}

    def versions(self, subject: str) -> list[SubjectVersion]:
        return self.by_subject.get(subject, [])

    def resolve(self, schema: Schema) -> dict[str, Schema]:
        return {}

    def register(self, subject: str, type: str, text: str, references: Any = ()) -> int:  # noqa: A002
        known = self.by_subject.setdefault(subject, [])
        number = sum(map(len, self.by_subject.values())) + 1
        known.append(SubjectVersion(subject, len(known) + 1, Schema(number, type, text)))
        return number


def test_avro_is_written_in_the_registrys_wire_format(cluster: Cluster, make: Any) -> None:
    import io

    import fastavro

    registry = MemoryRegistry()
    cluster.__dict__["registry"] = registry
    topic = make()
    rows = [{"_key": "k", "id": 1, "price": Decimal("1.50")}, {"_key": "l", "id": 2, "price": None}]
    with pytest.raises(UsageError, match="no schema under"):
        produce(cluster, topic, rows, format="avro")
    with pytest.raises(UsageError, match="not registered"):
        produce(cluster, topic, rows, format="avro", schema={"type": "record", "name": "r", "fields": []})
    assert registry.by_subject == {}
    got = produce(cluster, topic, rows, format="avro", register=True)
    assert (got.sent, got.schema_id) == (2, 1)
    schema = json.loads(registry.versions(f"{topic}-value")[0].schema.text)
    values = [r["value"] for r in shown(cluster, topic, format="bytes")]
    assert all(v[:5] == b"\0\0\0\0\1" for v in values)
    back = [fastavro.schemaless_reader(io.BytesIO(v[5:]), schema, None) for v in values]
    assert back == [{"id": 1, "price": Decimal("1.50")}, {"id": 2, "price": None}]
    with pytest.raises(UsageError, match="row 0, column 'more'"):
        produce(cluster, topic, [{**rows[0], "more": 1}], format="avro")
    assert produce(cluster, topic, rows, format="avro").schema_id == 1
