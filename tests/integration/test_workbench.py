"""The Python API on the embedded stack, on a remote session cluster, and from a fresh directory."""

import json

import pytest

import sdp_kernel
from sdp_kernel.errors import (
    BrokerUnreachable,
    GatewayUnreachable,
    SettingsError,
    TopicNotFound,
    UsageError,
)
from sdp_kernel.local.components import free_ports
from sdp_kernel.local.stack import Stack

pytestmark = pytest.mark.stack


def settings(stack, **profiles):
    """Write an sdp.toml: profile → gateway and JobManager, all with the stack's Kafka as main."""
    lines = []
    for name, addresses in profiles.items():
        lines.append(
            f'[profiles.{name}]\ngateway = "{addresses.gateway}"\njobmanager = "{addresses.jobmanager}"'
        )
        lines.append(f'[profiles.{name}.kafka.main]\n"bootstrap.servers" = "{stack.kafka}"')
    return "\n".join(lines)


@pytest.fixture
def workbench(stack, tmp_path):
    (tmp_path / "sdp.toml").write_text(settings(stack, local=stack))
    with sdp_kernel.connect("local", directory=tmp_path) as opened:
        yield opened


def test_a_topic_becomes_a_table_that_reads_what_the_sample_has(workbench, topic_name, produce):
    rows = [
        {
            "id": i,
            "text": f"a'b`{i};--",
            "price": f"{i}.25",
            "at": f"2026-01-05T09:00:{i:02d}.125Z",
            "ok": i % 2 == 0,
            "none": None,
        }
        for i in range(40)
    ]
    produce(topic_name, [(str(r["id"]), json.dumps(r)) for r in rows], partitions=2)
    sketch = workbench.table(topic_name, name="inferred")
    workbench.sql(sketch.ddl)
    query = workbench.sql("SELECT * FROM inferred", limit=40, timeout=30)
    assert query.state == "limit"
    read = sorted(query.arrow.to_pylist(), key=lambda r: r["id"])
    assert [(r["id"], r["text"], r["price"], r["ok"], r["none"]) for r in read] == [
        (r["id"], r["text"], r["price"], r["ok"], None) for r in rows
    ]
    assert [r["at"].isoformat(timespec="milliseconds").replace("+00:00", "Z") for r in read] == [
        r["at"] for r in rows
    ]


def test_topics_are_listed_and_described(workbench, topic_name, produce):
    produce(topic_name, [(None, "<b>x</b>"), (None, "plain")], partitions=2)
    frame = workbench.topics().set_index("topic")
    assert frame.loc[topic_name, ["partitions", "messages", "format"]].tolist() == [2, 2, "text"]
    assert workbench.topic(topic_name).messages == 2
    with pytest.raises(TopicNotFound, match="no-such-topic"):
        workbench.topic("no-such-topic")


def test_a_missing_topic_in_a_query_is_named(workbench, topic_name):
    workbench.sql(
        f"CREATE TABLE lost (a INT) WITH ('connector' = 'kafka', ${{kafka.main}}, 'topic' = '{topic_name}',"
        " 'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset', 'format' = 'json')"
    )
    with pytest.raises(sdp_kernel.errors.SqlError) as error:
        workbench.sql("SELECT * FROM lost", timeout=60)
    assert topic_name in str(error.value) or "topic" in str(error.value).lower()


def test_malformed_records_in_a_topic_are_told_with_a_way_out(workbench, topic_name, produce):
    produce(topic_name, [(None, '{"a": 1}'), (None, '{"a": 2}'), (None, "{broken")])
    ddl = (
        f"CREATE TABLE bad (a INT) WITH ('connector' = 'kafka', ${{kafka.main}}, 'topic' = '{topic_name}',"
        " 'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset', 'format' = 'json')"
    )
    workbench.sql(ddl)
    with pytest.raises(sdp_kernel.errors.SqlError, match="deserialize") as error:
        workbench.sql("SELECT * FROM bad")
    assert "json.ignore-parse-errors" in error.value.hint
    assert workbench.sample(topic_name).errors == 1


def test_bounds_that_cannot_be_are_refused(workbench):
    for bad in ({"limit": 0}, {"limit": -1}, {"timeout": 0}):
        with pytest.raises(UsageError):
            workbench.sql("SELECT 1", **bad)
    with pytest.raises(UsageError, match="idle does not go with batch"):
        workbench.sql("SELECT 1", batch=True, idle=1)
    with pytest.raises(UsageError, match="no Kafka cluster 'other'"):
        workbench.topics(cluster="other")


def test_nothing_is_contacted_before_the_first_call(tmp_path):
    gateway, broker = free_ports(2)
    (tmp_path / "sdp.toml").write_text(
        f'[profiles.gone]\ngateway = "http://127.0.0.1:{gateway}"\n'
        f'[profiles.gone.kafka.main]\n"bootstrap.servers" = "127.0.0.1:{broker}"\n'
    )
    with sdp_kernel.connect("gone", directory=tmp_path) as wb:
        with pytest.raises(GatewayUnreachable, match=str(gateway)):
            wb.sql("SELECT 1")
        with pytest.raises(BrokerUnreachable, match=str(broker)):
            wb.topics()
    with pytest.raises(SettingsError, match="no profile 'other'"):
        sdp_kernel.connect("other", directory=tmp_path)


def test_a_remote_session_cluster_by_its_gateways_address(stack, tmp_path_factory, topic_name, produce):
    """A second cluster, started apart, without a Kafka of its own: the profile names both."""
    produce(topic_name, [(None, json.dumps({"a": i})) for i in range(5)])
    home = tmp_path_factory.mktemp("project")
    second = Stack(tmp_path_factory.mktemp("remote"), components=("jobmanager", "taskmanager", "gateway"))
    try:
        remote = second.up()
        assert remote.kafka is None
        (home / "sdp.toml").write_text(
            f'[profiles.remote]\ngateway = "{remote.gateway}"\n'
            f'[profiles.remote.kafka.main]\n"bootstrap.servers" = "{stack.kafka}"\n'
        )
        with sdp_kernel.connect("remote", directory=home) as wb:
            wb.sql(wb.table(topic_name, name="t").ddl)
            query = wb.sql(
                "SELECT SUM(a) AS total FROM t /*+ OPTIONS('scan.bounded.mode' = 'latest-offset') */"
            )
            assert query.arrow.to_pylist() == [{"total": 10}]
            # the JobManager is found through the gateway: the profile does not name it
            assert wb.jobmanager.url == remote.jobmanager
            assert query.job_id in {job.id for job in wb.jobs()}
        with sdp_kernel.connect("remote", directory=home, gateway=stack.gateway) as wb:
            assert wb.sql("SELECT 1 AS n").arrow.to_pylist() == [{"n": 1}]
    finally:
        second.down(purge=True)


def test_cancelling_an_unknown_job_is_refused(workbench):
    with pytest.raises(UsageError, match="no running job"):
        workbench.cancel("no-such-job")
