"""``sample-avro``: 200,000 Avro messages → DataFrame, against confluent-kafka's ``AvroDeserializer``.

Same broker, same registry, same messages. The loop is the one people write: ``consume``, the
deserializer for each value, ``pandas.DataFrame``.
"""

from __future__ import annotations

import io
import json
import statistics
import struct
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import fastavro
import pandas as pd
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from sdp_kernel.kafka.cluster import Cluster
from sdp_kernel.kafka.sample import sample
from sdp_kernel.local.stack import Stack
from sdp_kernel.settings import KafkaCluster

ROWS = 200_000
RUNS = 3
GOAL = 5.0
TOPIC = "trades-avro"
_SCHEMA = """{"type": "record", "name": "Trade", "fields": [
  {"name": "id", "type": "long"}, {"name": "symbol", "type": "string"}, {"name": "price", "type": "double"},
  {"name": "quantity", "type": "int"},
  {"name": "at", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}]}]}"""


def _produce(cluster: Cluster) -> None:
    assert cluster.registry is not None
    number = cluster.registry.register(f"{TOPIC}-value", "AVRO", _SCHEMA)
    schema = fastavro.parse_schema(json.loads(_SCHEMA))
    cluster.create_topic(TOPIC)
    producer = cluster.producer({"linger.ms": 20, "queue.buffering.max.messages": 1_000_000})
    for i in range(ROWS):
        out = io.BytesIO(struct.pack(">bI", 0, number))
        out.seek(5)
        trade = {
            "id": i, "symbol": f"S{i % 100}", "price": i % 977 / 7, "quantity": i % 1000,
            "at": None if i % 10 == 0 else 1_760_000_000_000 + i,
        }  # fmt: skip
        fastavro.schemaless_writer(out, schema, trade)
        producer.produce(TOPIC, out.getvalue())
        if i % 10_000 == 0:
            producer.poll(0)
    assert producer.flush(60) == 0


def _by_hand(bootstrap: str, registry: str) -> float:
    started = time.perf_counter()
    deserialize: Any = AvroDeserializer(SchemaRegistryClient({"url": registry}))
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex})
    consumer.assign([TopicPartition(TOPIC, 0, 0)])
    context = SerializationContext(TOPIC, MessageField.VALUE)
    rows: list[Any] = []
    while len(rows) < ROWS:
        for message in consumer.consume(1000, timeout=1.0):
            if message.error() is None:
                rows.append(deserialize(message.value(), context))  # noqa: PERF401 - as people write it
    assert len(pd.DataFrame(rows)) == ROWS
    consumer.close()
    return time.perf_counter() - started


def run() -> list[dict[str, object]]:
    """Time both in turn."""
    with tempfile.TemporaryDirectory(prefix="sdp-bench-") as directory:
        stack = Stack(Path(directory), components=("kafka", "registry"))
        try:
            info = stack.up()
            properties = {"bootstrap.servers": str(info.kafka), "schema.registry.url": str(info.registry)}
            cluster = Cluster(KafkaCluster("main", properties))
            _produce(cluster)
            len(sample(cluster, TOPIC, n=ROWS, format="avro").df)
            ours, loops = [], []
            for _ in range(RUNS):
                started = time.perf_counter()
                assert len(sample(cluster, TOPIC, n=ROWS).df) == ROWS
                ours.append(time.perf_counter() - started)
                loops.append(_by_hand(str(info.kafka), str(info.registry)))
        finally:
            stack.down(purge=True)
    ratio = statistics.median(loop / own for loop, own in zip(loops, ours, strict=True))
    return [
        {
            "name": "sample-avro",
            "value": round(ratio, 1),
            "unit": "x",
            "goal": f">= {GOAL:g} x the AvroDeserializer loop",
            "holds": ratio >= GOAL,
            "detail": f"{statistics.median(ours):.2f} s against {statistics.median(loops):.2f} s;"
            f" {ROWS:,} messages, {RUNS} pairs",
        }
    ]


if __name__ == "__main__":
    print(run())
