"""Fixtures: one embedded stack for all integration tests, real Kafka and real Flink."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest

from sdp_kernel.flink.session import Session
from sdp_kernel.kafka.cluster import Cluster
from sdp_kernel.local.stack import Stack
from sdp_kernel.settings import KafkaCluster, LocalSettings


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    """The addresses of a running stack; ``SDP_TEST_STATE`` names one to use that already runs."""
    settings = LocalSettings(with_=("registry",))
    reused = os.environ.get("SDP_TEST_STATE")
    if reused:
        yield Stack(Path(reused), settings=settings).up()
        return
    embedded = Stack(tmp_path_factory.mktemp("state"), settings=settings)
    try:
        yield embedded.up()
    finally:
        embedded.down(purge=True)


@pytest.fixture
def cluster_settings(cluster):
    """The stack's Kafka and schema registry as settings."""
    return cluster.settings


@pytest.fixture(scope="session")
def cluster(stack):
    """The stack's Kafka, opened, with its schema registry."""
    properties = {"bootstrap.servers": stack.kafka, "schema.registry.url": stack.registry}
    return Cluster(KafkaCluster("main", properties))


@pytest.fixture
def session(stack, cluster_settings):
    """A gateway session of its own."""
    opened = Session(
        stack.gateway,
        jobmanager=stack.jobmanager,
        fragments={
            "kafka.main": cluster_settings.sql_fragment(),
            "registry.main": f"'{cluster_settings.registry_url}'",
        },
    )
    yield opened
    opened.close()


@pytest.fixture
def topic_name():
    """A topic name that no other test uses."""
    return f"t-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def produce(stack):
    """Write records: ``produce(topic, [(key, value), …], partitions=1)``."""
    from confluent_kafka import Producer
    from confluent_kafka.admin import AdminClient, NewTopic

    def write(topic, records, *, partitions=1, config=None):
        admin = AdminClient({"bootstrap.servers": stack.kafka})
        admin.create_topics([NewTopic(topic, partitions, config=config or {})])[topic].result(10)
        producer = Producer({"bootstrap.servers": stack.kafka})
        for key, value in records:
            producer.produce(topic, value, key)
        producer.flush(10)

    return write
