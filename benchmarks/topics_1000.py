"""``topics-1000``: the list of 1,000 topics of 6 partitions, against the bare calls.

The bare calls are one for the metadata and, in bulk, two ListOffsets for the watermarks; those of
``Consumer.get_watermark_offsets`` for each partition in turn would take many times as long.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

from confluent_kafka import TopicPartition

from benchmarks import common
from sdp_kernel.kafka.cluster import Cluster, admin_api
from sdp_kernel.kafka.topics import looks
from sdp_kernel.settings import KafkaCluster

TOPICS, PARTITIONS, RECORDS = 1000, 6, 12
ROUNDS = 5
GOAL = 2.0


_api = admin_api()


def _make(cluster: Cluster) -> None:
    names = [f"team-{i % 20}.topic-{i:04d}" for i in range(TOPICS)]
    for begin in range(0, TOPICS, 100):
        new = [_api.NewTopic(name, PARTITIONS, 1) for name in names[begin : begin + 100]]
        for future in cluster.admin.create_topics(new, operation_timeout=60, request_timeout=60).values():
            future.result()
    producer = cluster.producer({"linger.ms": 100})
    for number in range(RECORDS):
        for name in names:
            producer.produce(name, b'{"id": %d, "name": "some text"}' % number, b"k%d" % number)
        producer.poll(0)
    assert producer.flush(120) == 0


def _bare(admin: Any) -> int:
    topics = admin.list_topics(timeout=30).topics
    keys = [TopicPartition(name, p) for name, topic in topics.items() for p in topic.partitions]
    total = 0
    for spec, sign in ((_api.OffsetSpec.earliest(), -1), (_api.OffsetSpec.latest(), 1)):
        answers = admin.list_offsets(dict.fromkeys(keys, spec), request_timeout=30)
        total += sign * sum(future.result().offset for future in answers.values())
    return total


def run() -> list[dict[str, object]]:
    """Time both in turn on one broker."""
    with common.kafka() as bootstrap:
        cluster = Cluster(KafkaCluster("main", {"bootstrap.servers": bootstrap}))
        _make(cluster)
        admin = _api.AdminClient({"bootstrap.servers": bootstrap})
        bare, first, full = [], [], []
        for _ in range(ROUNDS + 1):
            started = time.perf_counter()
            assert _bare(admin) >= TOPICS * RECORDS
            bare.append(time.perf_counter() - started)
            started = time.perf_counter()
            steps = looks(cluster)
            assert len(next(steps).topics) == TOPICS
            first.append(time.perf_counter() - started)
            (last,) = steps
            full.append(time.perf_counter() - started)
            assert all(topic.format == "json" and topic.rate is not None for topic in last.topics)
    ratio, whole = (
        statistics.median(o / b for o, b in zip(taken[1:], bare[1:], strict=True)) for taken in (first, full)
    )
    return [
        {
            "name": "topics-1000",
            "value": round(ratio, 2),
            "unit": "x",
            "goal": f"<= {GOAL:g} x the bare metadata and watermark calls",
            "holds": ratio <= GOAL,
            "detail": f"first look {statistics.median(first[1:]):.2f} s against {statistics.median(bare[1:]):.2f} s;"
            f" with formats, rates, configurations {whole:.2f} x; {TOPICS} topics of {PARTITIONS} partitions",
        }
    ]


if __name__ == "__main__":
    print(run())
