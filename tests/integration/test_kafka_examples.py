from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from sdp_kernel.kafka.cluster import Cluster
from sdp_kernel.kafka.describe import describe_topic
from sdp_kernel.kafka.infer import infer_table
from sdp_kernel.kafka.sample import sample
from sdp_kernel.local import examples
from sdp_kernel.local.examples import seed
from sdp_kernel.settings import KafkaCluster

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def cluster(stack: Any) -> Cluster:
    seed(stack.kafka)
    return Cluster(KafkaCluster("main", {"bootstrap.servers": stack.kafka}))


def test_seeding_again_changes_nothing(cluster: Cluster, stack: Any) -> None:
    before = {t: describe_topic(cluster, t).messages for t in ("orders", "quotes", "customers")}
    assert seed(stack.kafka, orders=1) == before
    assert all(before.values())


def test_a_topic_that_another_process_fills_is_counted_when_that_is_done(
    cluster: Cluster, topic_name: str, produce: Any
) -> None:
    produce(topic_name, [("1", "{}")] * 5)
    producer = cluster.producer({})
    begun = threading.Event()

    def fill() -> None:
        for _ in range(30):
            producer.produce(topic_name, b"{}", b"1")
            producer.flush(10)
            begun.set()
            time.sleep(0.1)

    other = threading.Thread(target=fill)
    other.start()
    try:
        assert begun.wait(30)
        assert examples._held(cluster, topic_name, 100) == 35
    finally:
        other.join()


def test_the_rows_are_the_same_everywhere() -> None:
    first, again = (list(examples._orders(5, 100)) for _ in range(2))
    assert first == again
    assert first[0][2]["event_time"].startswith("2026-01-05T09:00:0")
    assert first[0][2]["event_time"].endswith("Z")


def test_every_partition_of_orders_has_records(cluster: Cluster) -> None:
    assert all((p.high or 0) > 0 for p in describe_topic(cluster, "orders").partitions)


def test_one_customer_needs_escaping(cluster: Cluster) -> None:
    got = sample(cluster, "customers", n=1000)
    assert "<b>Müller & Söhne</b>" in got.table.column("name").to_pylist()
    assert describe_topic(cluster, "customers").cleanup_policy == "compact"


def test_the_example_tables_have_an_event_time(cluster: Cluster) -> None:
    for topic in ("orders", "quotes"):
        sketch = infer_table(sample(cluster, topic, n=500))
        assert (sketch.event_time, sketch.watermark) == ("event_time", 5000)
