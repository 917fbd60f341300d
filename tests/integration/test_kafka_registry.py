"""Topics with a schema registry: what Confluent's serializers write, references, evolution, inference."""

from __future__ import annotations

import json
import struct
import uuid
from typing import Any

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from sdp_kernel.errors import RegistryError, RegistryUnreachable, UsageError
from sdp_kernel.kafka.cluster import Cluster
from sdp_kernel.kafka.decode_protobuf import _compile
from sdp_kernel.kafka.describe import describe_topic
from sdp_kernel.kafka.infer import infer_table
from sdp_kernel.kafka.produce import produce
from sdp_kernel.kafka.registry import Reference, Registry
from sdp_kernel.kafka.sample import sample
from sdp_kernel.kafka.topics import list_topics
from sdp_kernel.kafka.wire import reader
from sdp_kernel.settings import KafkaCluster
from sdp_kernel.workbench.kafka_side import _schema

pytestmark = pytest.mark.stack

ORDER = """{"type": "record", "name": "Order", "fields": [
  {"name": "id", "type": "long"}, {"name": "symbol", "type": "string"}, {"name": "price", "type": "double"},
  {"name": "side", "type": ["null", {"type": "enum", "name": "Side", "symbols": ["BUY", "SELL"]}]},
  {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}]}"""
COMMON = """syntax = "proto3"; package shop;
message Address { string city = 1; }"""
PERSON = """syntax = "proto3"; package shop;
import "shop/common.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
enum Tier { UNKNOWN = 0; GOLD = 1; }
message Other { int32 x = 1; message Inner { string y = 1; } }
message Person {
  int64 id = 1; string name = 2; optional int32 age = 3; Tier tier = 4; bytes raw = 5;
  repeated string tags = 6; map<string, int64> counts = 7; Address home = 8;
  google.protobuf.Timestamp at = 9; google.protobuf.StringValue nick = 10; Person parent = 11;
  oneof how { string mail = 12; int64 phone = 13; }
}"""


@pytest.fixture
def registry(cluster: Cluster) -> Registry:
    assert cluster.registry is not None
    return cluster.registry


@pytest.fixture
def topic(cluster: Cluster) -> str:
    name = f"reg-{uuid.uuid4().hex[:12]}"
    cluster.create_topic(name, exist_ok=False)
    return name


def send(cluster: Cluster, topic: str, *values: bytes | None, key: bytes | None = None) -> None:
    producer = cluster.producer()
    for value in values:
        producer.produce(topic, value, key)
    assert producer.flush(20) == 0


def orders(count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": i,
            "symbol": f"S{i % 3}",
            "price": i / 4,
            "side": [None, "BUY", "SELL"][i % 3],
            "at": 1_760_000_000_000 + i,
        }
        for i in range(count)
    ]


def avro(registry: Registry, topic: str, schema: str, rows: list[dict[str, Any]], **conf: Any) -> list[bytes]:
    write: Any = AvroSerializer(
        SchemaRegistryClient({"url": registry.url, "timeout": 20}), schema, conf=conf or None
    )
    context = SerializationContext(topic, MessageField.VALUE)
    return [write(row, context) for row in rows]


def test_avro_as_confluent_writes_it_is_found_out_and_read(
    cluster: Cluster, registry: Registry, topic: str
) -> None:
    send(cluster, topic, *avro(registry, topic, ORDER, orders(30)), None, b"\x00\x00\x00\x00\x01", b"{}")
    got = sample(cluster, topic)
    assert (got.format, got.errors, got.tombstones) == ("avro", 2, 1)
    good = got.table.slice(0, 30)
    assert good["id"].to_pylist() == list(range(30))
    assert good["side"].to_pylist()[:3] == [None, "BUY", "SELL"]
    assert [int(at.timestamp() * 1000) for at in good["at"].to_pylist()][:2] == [
        1_760_000_000_000,
        1_760_000_000_001,
    ]
    assert len(set(good["_schema_id"].to_pylist())) == 1
    (line,) = list_topics(cluster, pattern=topic)
    assert (line.format, line.schema) == ("avro", "v1 AVRO")


def test_a_table_is_inferred_beside_a_record_of_no_known_schema(
    cluster: Cluster, registry: Registry, topic: str
) -> None:
    send(cluster, topic, *avro(registry, topic, ORDER, orders(3)), b"\x00\x00\x0f\x0f\x0fx")
    got = sample(cluster, topic)
    assert got.errors == 1
    assert json.loads(_schema(cluster, got) or "") == json.loads(ORDER)


def test_a_schema_that_evolves_and_its_diff(cluster: Cluster, registry: Registry, topic: str) -> None:
    send(cluster, topic, *avro(registry, topic, ORDER, orders(3)))
    newer = json.loads(ORDER)
    newer["fields"].append({"name": "note", "type": ["null", "string"], "default": None})
    send(
        cluster, topic, *avro(registry, topic, json.dumps(newer), [{**row, "note": "n"} for row in orders(2)])
    )
    got = sample(cluster, topic)
    assert got.errors == 0
    assert got.table["note"].to_pylist() == [None, None, None, "n", "n"]
    assert len(set(got.table["_schema_id"].to_pylist())) == 2
    (subject,) = describe_topic(cluster, topic).subjects
    assert [v.version for v in subject.versions] == [1, 2]
    assert '+      "name": "note",' in subject.diffs[0]


def test_avro_references_are_resolved(cluster: Cluster, registry: Registry, topic: str) -> None:
    address = {"type": "record", "name": "Address", "fields": [{"name": "city", "type": "string"}]}
    person = {
        "type": "record",
        "name": "P",
        "fields": [{"name": "home", "type": "Address"}, {"name": "n", "type": "int"}],
    }
    registry.register(f"{topic}-address", "AVRO", json.dumps(address))
    reference = Reference("Address", f"{topic}-address", 1)
    number = registry.register(f"{topic}-value", "AVRO", json.dumps(person), [reference])
    send(cluster, topic, struct.pack(">bI", 0, number) + b"\x08Bern\x0e")
    got = sample(cluster, topic)
    assert got.table["home"].to_pylist() == [{"city": "Bern"}]
    assert got.table["n"].to_pylist() == [7]


def test_protobuf_with_references_and_every_kind_of_field(
    cluster: Cluster, registry: Registry, topic: str
) -> None:
    registry.register(f"{topic}-common", "PROTOBUF", COMMON)
    reference = Reference("shop/common.proto", f"{topic}-common", 1)
    number = registry.register(f"{topic}-value", "PROTOBUF", PERSON, [reference])
    schema = reader(registry, number, "PROTOBUF", _compile)
    assert not isinstance(schema, str)
    from google.protobuf.message_factory import GetMessageClass

    person = GetMessageClass(schema.descriptor((1,)))
    full = person(id=2**60, name="Ada", age=0, tier=1, raw=b"\xff", tags=["a", "b"], counts={"x": 5},
                  mail="a@b", parent=person(id=1))  # fmt: skip
    full.home.city = "Bern"
    full.at.FromNanoseconds(1_760_000_000_123_456_789)
    full.nick.value = ""
    head = struct.pack(">bI", 0, number) + b"\x02\x02"  # one index: the second message
    inner = struct.pack(">bI", 0, number) + b"\x04\x00\x00" + b"\x0a\x01z"
    values = [
        head + full.SerializeToString(),
        head + person().SerializeToString(),
        head + b"\xff\xff",
        None,
        inner,
    ]
    send(cluster, topic, *values)
    got = sample(cluster, topic)
    assert (got.format, got.errors, got.tombstones) == ("protobuf", 1, 1)
    first, empty, *_ = got.table.to_pylist()
    assert (first["id"], first["age"], first["tier"], first["raw"]) == (2**60, 0, "GOLD", b"\xff")
    assert (first["tags"], dict(first["counts"]), first["home"]) == (["a", "b"], {"x": 5}, {"city": "Bern"})
    assert first["at"].value == 1_760_000_000_123_456_789
    assert (first["nick"], first["mail"], first["phone"]) == ("", "a@b", None)
    assert json.loads(first["parent"])["id"] == "1"
    assert (empty["id"], empty["age"], empty["tier"], empty["home"], empty["at"]) == (
        0,
        None,
        "UNKNOWN",
        None,
        None,
    )
    assert got.table["y"].to_pylist()[4] == "z"


def test_protobuf_as_confluent_writes_it(cluster: Cluster, registry: Registry, topic: str) -> None:
    from google.protobuf.timestamp_pb2 import Timestamp

    client = SchemaRegistryClient({"url": registry.url, "timeout": 20})
    write: Any = ProtobufSerializer(Timestamp, client, {"use.deprecated.format": False})
    context = SerializationContext(topic, MessageField.VALUE)
    send(cluster, topic, *(write(Timestamp(seconds=i, nanos=7), context) for i in range(5)))
    got = sample(cluster, topic)
    assert (got.format, got.errors) == ("protobuf", 0)
    assert got.table["seconds"].to_pylist() == list(range(5))
    assert got.table["nanos"].to_pylist() == [7] * 5


def test_json_schema(cluster: Cluster, registry: Registry, topic: str) -> None:
    schema = {"type": "object", "properties": {"id": {"type": "integer"}}}
    number = registry.register(f"{topic}-value", "JSON", json.dumps(schema))
    head = struct.pack(">bI", 0, number)
    send(cluster, topic, head + b'{"id": 1}', head + b"{broken", head + b'{"id": 2}', None)
    got = sample(cluster, topic)
    assert (got.format, got.errors, got.tombstones) == ("json-schema", 1, 1)
    assert got.table["id"].to_pylist() == [1, None, 2, None]
    assert got.table["_schema_id"].to_pylist()[0] == number


def test_keys_have_schemas_of_their_own(cluster: Cluster, registry: Registry, topic: str) -> None:
    number = registry.register(
        f"{topic}-key", "AVRO", '{"type": "record", "name": "K", "fields": [{"name": "id", "type": "long"}]}'
    )
    send(cluster, topic, b'{"a": 1}', key=struct.pack(">bI", 0, number) + b"\x0e")
    got = sample(cluster, topic)
    assert (got.format, got.key_format) == ("json", "avro")
    assert got.table["_key"].to_pylist() == [{"id": 7}]


def test_what_is_produced_in_avro_is_sampled_back(cluster: Cluster, topic: str) -> None:
    rows = [{"id": i, "name": f"n{i}"} for i in range(5)]
    made = produce(cluster, topic, rows, format="avro", register=True)
    assert made.complete
    got = sample(cluster, topic)
    assert got.format == "avro"
    assert [{"id": r["id"], "name": r["name"]} for r in got.table.to_pylist()] == rows


def test_a_registry_that_is_down_or_missing(
    stack: Any, cluster: Cluster, registry: Registry, topic: str
) -> None:
    send(cluster, topic, *avro(registry, topic, ORDER, orders(4)))
    down = {"bootstrap.servers": stack.kafka, "schema.registry.url": "http://user:secret@127.0.0.1:1"}
    lost = Cluster(KafkaCluster("main", down))
    got = sample(lost, topic)
    assert got.format == "bytes"
    got = sample(lost, topic, format="avro")
    assert got.errors == 4
    assert "does not answer" in got.table["_error"][0].as_py()
    assert "secret" not in str(got.table.to_pylist())
    assert any("no schemas" in note for note in describe_topic(lost, topic).notes)
    with pytest.raises(RegistryUnreachable, match=r"127\.0\.0\.1:1"):
        Registry({"url": "http://127.0.0.1:1"}).schema(1)
    with pytest.raises(RegistryError, match="9999999"):
        registry.schema(9_999_999)
    without = Cluster(KafkaCluster("main", {"bootstrap.servers": stack.kafka}))
    assert sample(without, topic).format == "bytes"
    with pytest.raises(UsageError, match="needs a schema registry"):
        sample(without, topic, format="avro")


def test_flink_reads_the_table_inferred_from_avro(
    session: Any, cluster: Cluster, registry: Registry, topic: str
) -> None:
    send(cluster, topic, *avro(registry, topic, ORDER, orders(20)))
    got = sample(cluster, topic)
    number = got.table["_schema_id"][0].as_py()
    sketch = infer_table(got, name="avro_orders", alias="main", schema=registry.schema(number).text)
    assert "'avro-confluent'" in sketch.ddl
    session.execute(sketch.ddl)
    query = session.execute(
        "SELECT id, symbol, price FROM avro_orders /*+ OPTIONS('scan.bounded.mode' = 'latest-offset') */"
    )
    rows = sorted(query.arrow.to_pylist(), key=lambda row: row["id"])
    assert rows == [{k: row[k] for k in ("id", "symbol", "price")} for row in orders(20)]
