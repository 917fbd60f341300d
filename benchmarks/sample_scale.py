"""``sample-scale``: 1,000 messages out of 10 million, against 1,000 out of 100,000."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

from benchmarks import common
from sdp_kernel.kafka.cluster import Cluster
from sdp_kernel.kafka.sample import sample
from sdp_kernel.settings import KafkaCluster

if TYPE_CHECKING:
    from sdp_kernel.kafka.offsets import At

FEW, MANY, WANTED = 100_000, 10_000_000, 1_000
PARTITIONS = 4
ROUNDS = 15
GOAL = 1.3
_VALUES = [
    b'{"id": %d, "symbol": "S%d", "price": %d.25, "quantity": %d}' % (i, i % 9, i, i * 7) for i in range(1000)
]


def _produce(cluster: Cluster, topic: str, count: int) -> None:
    cluster.create_topic(topic, PARTITIONS, exist_ok=False)
    producer = cluster.producer(
        {"linger.ms": 50, "compression.type": "lz4", "queue.buffering.max.messages": 2_000_000}
    )
    start = time.time_ns() // 1_000_000 - count
    for i in range(count):
        while True:
            try:
                producer.produce(topic, _VALUES[i % 1000], partition=i % PARTITIONS, timestamp=start + i)
                break
            except BufferError:
                producer.poll(0.1)
        if i % 100_000 == 0:
            producer.poll(0)
    assert producer.flush(120) == 0


def run() -> list[dict[str, object]]:
    """Sample both topics in turn."""
    with common.kafka() as bootstrap:
        cluster = Cluster(KafkaCluster("main", {"bootstrap.servers": bootstrap}))
        _produce(cluster, "few", FEW)
        _produce(cluster, "many", MANY)
        return [_compare(cluster, at) for at in ("tail", "random")]


def _compare(cluster: Cluster, at: At) -> dict[str, object]:
    seconds: dict[str, list[float]] = {"few": [], "many": []}
    for number in range(ROUNDS + 2):
        for topic, taken in seconds.items():
            started = time.perf_counter()
            assert len(sample(cluster, topic, n=WANTED, at=at, seed=number).df) == WANTED
            taken.append(time.perf_counter() - started)
    few, many = (statistics.median(taken[2:]) for taken in seconds.values())
    return {
        "name": f"sample-scale {at}",
        "value": round(many / few, 2),
        "unit": "x",
        "goal": f"<= {GOAL:g} x the time out of {FEW:,}",
        "holds": many / few <= GOAL,
        "detail": f"{many * 1000:.0f} ms out of {MANY:,} against {few * 1000:.0f} ms; {ROUNDS} rounds",
    }


if __name__ == "__main__":
    print(run())
