"""Every way into a broker with TLS and SASL: from Python, and from Flink."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from sdp_kernel.errors import BrokerUnreachable
from sdp_kernel.flink.session import Session
from sdp_kernel.kafka.cluster import Cluster
from sdp_kernel.kafka.produce import produce
from sdp_kernel.kafka.sample import sample
from sdp_kernel.kafka.topics import list_topics
from sdp_kernel.settings import KafkaCluster
from tests.secured import CLIENT_SECRET, PASSWORD, Secured, broker

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.stack

WAYS = ["ssl", "mutual", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "jaas", "OAUTHBEARER"]


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with broker(tmp_path_factory.mktemp("secured")) as running:
        (running.directory / "password").write_text(PASSWORD)
        (running.directory / "secret").write_text(CLIENT_SECRET)
        yield running


def properties(secured: Secured, way: str) -> dict[str, str]:
    there = secured.directory
    tls = {"ssl.ca.location": str(there / "ca.pem")}
    if way in {"ssl", "mutual"}:
        own = str(there / "client.pem")
        mine = {"ssl.certificate.location": own, "ssl.key.location": own} if way == "mutual" else {}
        return {"bootstrap.servers": secured.address(way), "security.protocol": "SSL", **tls, **mine}
    if way == "OAUTHBEARER":
        return {
            "bootstrap.servers": secured.address("oauth"),
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": way,
            "sasl.oauthbearer.token.endpoint.url": secured.token_endpoint,
            "sasl.oauthbearer.client.id": "workbench",
            "sasl.oauthbearer.client.secret": f"file:{there / 'secret'}",
            **tls,
        }
    common = {"bootstrap.servers": secured.address("sasl"), "security.protocol": "SASL_SSL", **tls}
    if way == "jaas":
        line = f'org.apache.kafka.common.security.plain.PlainLoginModule required username="ada" password="{PASSWORD}";'
        (there / "jaas").write_text(line)
        return {**common, "sasl.mechanism": "PLAIN", "sasl.jaas.config": f"file:{there / 'jaas'}"}
    return {
        **common,
        "sasl.mechanism": way,
        "sasl.username": "ada",
        "sasl.password": f"file:{there / 'password'}",
    }


def cluster_of(secured: Secured, way: str, **changes: str) -> Cluster:
    changed = {key.replace("_", "."): value for key, value in changes.items()}
    return Cluster(KafkaCluster("safe", {**properties(secured, way), **changed}))


@pytest.mark.parametrize("way", WAYS)
def test_topics_are_listed_written_and_sampled(secured: Secured, way: str) -> None:
    cluster = cluster_of(secured, way)
    name = f"s-{uuid.uuid4().hex[:8]}"
    cluster.create_topic(name, 2, exist_ok=False)
    assert produce(cluster, name, [{"id": i} for i in range(20)]).complete
    got = sample(cluster, name)
    assert sorted(got.table["id"].to_pylist()) == list(range(20))
    (line,) = list_topics(cluster, pattern=name)
    assert (line.messages, line.format) == (20, "json")


@pytest.mark.parametrize(
    ("way", "changes"),
    [
        ("PLAIN", {"sasl_password": "env:SDP_TEST_WRONG"}),
        ("SCRAM-SHA-512", {"sasl_password": "env:SDP_TEST_WRONG"}),
        ("OAUTHBEARER", {"sasl_oauthbearer_client_secret": "env:SDP_TEST_WRONG"}),
        ("ssl", {"ssl_ca_location": "OTHER"}),
        ("PLAIN", {"security_protocol": "PLAINTEXT"}),
    ],
)
def test_what_is_wrong_is_said_without_the_secret(
    secured: Secured, monkeypatch: pytest.MonkeyPatch, way: str, changes: dict[str, str]
) -> None:
    monkeypatch.setenv("SDP_TEST_WRONG", "hunter2-is-wrong")
    other = str(secured.directory / "other-ca.pem")
    cluster = cluster_of(secured, way, **{k: v.replace("OTHER", other) for k, v in changes.items()})
    with pytest.raises(BrokerUnreachable) as error:
        list_topics(cluster)
    text = str(error.value) + error.value.detail
    assert "'safe'" in text
    assert "hunter2" not in text
    if way in {"PLAIN", "SCRAM-SHA-512"} and "sasl_password" in changes:
        assert "uthentication failed" in text
    if "ssl_ca_location" in changes:
        assert "certificate" in text


@pytest.mark.parametrize("way", ["ssl", "mutual", "PLAIN", "SCRAM-SHA-512"])
def test_flink_reads_through_the_same_properties(stack: Any, secured: Secured, way: str) -> None:
    cluster = cluster_of(secured, way)
    name = f"f-{uuid.uuid4().hex[:8]}"
    cluster.create_topic(name, exist_ok=False)
    produce(cluster, name, [{"id": i} for i in range(5)])
    fragment = cluster.settings.sql_fragment()
    assert PASSWORD not in fragment
    session = Session(stack.gateway, jobmanager=stack.jobmanager, fragments={"kafka.safe": fragment})
    try:
        session.execute(
            f"CREATE TABLE t (id INT) WITH ('connector' = 'kafka', ${{kafka.safe}}, 'topic' = '{name}',"
            " 'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset', 'format' = 'json')"
        )
        rows = session.execute("SELECT id FROM t", timeout=60).arrow.to_pylist()
    finally:
        session.close()
    assert sorted(row["id"] for row in rows) == list(range(5))
    assert json.dumps(rows)
