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
def embedded(tmp_path_factory):
    """The stack of all integration tests; ``SDP_TEST_STATE`` names one to use that already runs."""
    settings = LocalSettings(with_=("registry",))
    reused = os.environ.get("SDP_TEST_STATE")
    if reused:
        yield Stack(Path(reused), settings=settings)
        return
    made = Stack(tmp_path_factory.mktemp("state"), settings=settings)
    try:
        yield made
    finally:
        made.down(purge=True)


@pytest.fixture(scope="session")
def stack(embedded):
    """The addresses of the running stack."""
    return embedded.up()


@pytest.fixture(autouse=True)
def _whole(request):
    """Start a component again that a test before has lost, and say so: Flink ends a TaskManager for one SELECT."""
    if "stack" not in request.fixturenames:
        return
    embedded = request.getfixturevalue("embedded")
    request.getfixturevalue("stack")
    if embedded.running() is None:
        died = [part for part in embedded.status().components if part.state != "running"]
        for part in died:
            request.config.get_terminal_writer().line(f"\n{part.name} {part.state}: {part.detail}", red=True)
        embedded.up()


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
def job():
    """A job name that no other test uses."""
    return f"job-{uuid.uuid4().hex[:8]}"


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
