"""Metrics as Prometheus gets them: every name in rules and dashboards exists, and says what %jobs says."""

import contextlib
import http.client
import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from sdp_kernel.flink import vitals
from sdp_kernel.flink.session import Session
from sdp_kernel.kafka.cluster import Cluster
from sdp_kernel.local import java
from sdp_kernel.local.artifacts import by_group
from sdp_kernel.local.components import free_ports
from sdp_kernel.local.stack import Stack
from sdp_kernel.settings import KafkaCluster, LocalSettings

pytestmark = pytest.mark.stack

MODULE = Path(__file__).parents[2] / "extensions" / "terraform" / "modules" / "monitoring"
_SERIES = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_NAME = re.compile(r"\b(?:flink_(?:jobmanager|taskmanager)|kafka_(?:connect|consumer))_\w+")
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def until(condition, *, seconds=90):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.5)
    return found


def exported(port):
    """An exporter's page; one that is asked while metrics come and go may hang up, and is asked again."""
    for _ in range(5):
        with contextlib.suppress(http.client.RemoteDisconnected):
            return _OPENER.open(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
        time.sleep(1)
    pytest.fail(f"the exporter at port {port} hung up five times")


def scraped(*ports):
    """What exporters tell: (name, labels, value)."""
    texts = [exported(port) for port in ports]
    return [
        (name, dict(_LABEL.findall(labels)), float(value))
        for text in texts
        for name, labels, value in _SERIES.findall(text)
    ]


def named():
    """The metrics that the module's rules and dashboards name, by where they come from."""
    panels = [
        target["expr"]
        for path in (MODULE / "dashboards").glob("*.json")
        for panel in json.loads(path.read_text())["panels"]
        for target in panel["targets"]
    ]
    names = set(_NAME.findall("\n".join([(MODULE / "rules.tf").read_text(), *panels])))
    return {name for name in names if name.startswith("flink_")}, {
        name for name in names if name.startswith("kafka_")
    }


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A stack of its own whose Flink has the reporter; its addresses, and the reporter's two ports."""
    state, ports = tmp_path_factory.mktemp("state"), free_ports(2)
    plugins = state / "stack" / "plugins" / "prometheus"
    plugins.mkdir(parents=True)
    (jar,) = by_group(["metrics"])["metrics"]
    (plugins / jar.name).symlink_to(jar)
    flink = {
        "metrics.reporter.prom.factory.class": "org.apache.flink.metrics.prometheus.PrometheusReporterFactory",
        "metrics.reporter.prom.port": ",".join(map(str, ports)),
    }
    stack = Stack(state, settings=LocalSettings(flink=flink))
    try:
        yield stack.up(), ports
    finally:
        stack.down(purge=True)


@pytest.fixture(scope="module")
def session(measured):
    info, _ = measured
    cluster = KafkaCluster("main", {"bootstrap.servers": info.kafka})
    opened = Session(
        info.gateway, jobmanager=info.jobmanager, fragments={"kafka.main": cluster.sql_fragment()}
    )
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def job(measured, session):
    """A job with a hyphen in its name that has read 300 records and written windows, with checkpoints."""
    kafka = KafkaCluster("main", {"bootstrap.servers": measured[0].kafka})
    rows = [{"id": i, "ts": f"2026-01-05T09:{i // 60:02d}:{i % 60:02d}Z"} for i in range(300)]
    producer = Cluster(kafka).producer()
    for row in rows:
        producer.produce("metrics-in", json.dumps(row))
    producer.flush()
    session.execute(
        """CREATE TABLE t (id BIGINT, ts TIMESTAMP_LTZ(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND)
             WITH ('connector' = 'kafka', ${kafka.main}, 'topic' = 'metrics-in', 'format' = 'json',
               'scan.startup.mode' = 'earliest-offset', 'json.timestamp-format.standard' = 'ISO-8601');
           CREATE TABLE o (at_ TIMESTAMP(3), n BIGINT)
             WITH ('connector' = 'kafka', ${kafka.main}, 'topic' = 'metrics-out', 'format' = 'json');
           SET 'execution.checkpointing.interval' = '1 s';
           SET 'pipeline.name' = 'order-totals'"""
    )
    job = session.execute(
        """INSERT INTO o SELECT window_start, COUNT(*)
           FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end"""
    ).job_id
    until(
        lambda: (
            (v := vitals.read(session.jobmanager, job)).records_out == 4
            and v.lag == 0
            and v.watermark
            and v.checkpoints
        )
    )
    yield job
    session.jobmanager.cancel(job)


def of(series, name, job, **labels):
    """The values of a metric of a job, by labels that match whole."""
    return [
        value
        for found, given, value in series
        if found == name
        and given.get("job_id") == job
        and all(re.fullmatch(pattern, given.get(label, "")) for label, pattern in labels.items())
    ]


def test_every_metric_of_flink_in_rules_and_dashboards_exists(measured, job):
    wanted, _ = named()
    assert len(wanted) > 15
    until(lambda: not wanted - {name for name, _, _ in scraped(*measured[1])}, seconds=30)


def test_the_names_of_a_job_are_in_the_labels_that_rules_group_by(measured, job):
    series = scraped(*measured[1])
    of_job = [labels for name, labels, _ in series if name == "flink_jobmanager_job_numRestarts"]
    assert {"job_id", "job_name"} <= of_job[0].keys()
    assert {labels["job_name"] for labels in of_job if labels["job_id"] == job} == {"order_totals"}
    of_task = [labels for name, labels, _ in series if name.endswith("job_task_backPressuredTimeMsPerSecond")]
    assert {"job_name", "task_name", "subtask_index"} <= of_task[0].keys()


def test_what_sums_are_taken_of_is_told_apart_by_its_labels(measured, job):
    series = scraped(*measured[1])
    for name, labels in {
        "flink_taskmanager_job_task_operator_pendingRecords": ("job_id", "operator_id", "subtask_index"),
        "flink_taskmanager_job_task_operator_numRecordsIn": ("job_id", "operator_id", "subtask_index"),
        "flink_jobmanager_job_numRestarts": ("job_id",),
        "flink_jobmanager_taskSlotsAvailable": ("host",),
        "flink_taskmanager_Status_JVM_Memory_Heap_Used": ("tm_id",),
    }.items():
        found = [tuple(given[label] for label in labels) for seen, given, _ in series if seen == name]
        assert found, name
        assert len(found) == len(set(found)), name


def test_prometheus_and_jobs_tell_the_same(measured, session, job):
    jm, tm = "flink_jobmanager_job_", "flink_taskmanager_job_task_"
    seen, series = vitals.read(session.jobmanager, job), scraped(*measured[1])
    source = {"operator_name": "Source:.*"}
    assert sum(of(series, f"{tm}operator_numRecordsIn", job, **source)) == seen.records_in == 300
    sink = {"operator_name": "Sink:.*|.*:_Writer"}
    assert sum(of(series, f"{tm}operator_numRecordsIn", job, **sink)) == seen.records_out == 4
    assert sum(of(series, f"{tm}operator_pendingRecords", job)) == seen.lag == 0
    assert min(of(series, f"{tm}currentInputWatermark", job)) == seen.watermark == 1_767_603_898_000
    assert of(series, f"{jm}numRestarts", job) == [seen.restarts] == [0]
    assert of(series, f"{jm}numberOfFailedCheckpoints", job) == [seen.failed_checkpoints]
    assert of(series, f"{jm}numberOfCompletedCheckpoints", job)[0] >= seen.checkpoints > 0
    assert of(series, f"{jm}lastCheckpointFullSize", job)[0] > 0
    assert of(series, f"{jm}allSubTasksRunningOrFinishedTime", job)[0] > 0
    now_ms = of(series, f"{jm}lastCheckpointCompletedTimestamp", job)[0]
    assert abs(now_ms / 1000 - time.time()) < 60


def test_a_job_that_restarts_is_one_that_does_not_run(measured, session):
    session.execute(
        """CREATE TABLE g (id BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '20');
           CREATE TABLE b (id BIGINT) WITH ('connector' = 'blackhole');
           SET 'restart-strategy.type' = 'fixed-delay'; SET 'restart-strategy.fixed-delay.attempts' = '1000';
           SET 'restart-strategy.fixed-delay.delay' = '1 s'; SET 'pipeline.name' = 'fails'"""
    )
    job = session.execute("INSERT INTO b SELECT 1 / CAST(id - id AS BIGINT) FROM g").job_id
    try:
        restarts = until(lambda: vitals.read(session.jobmanager, job).restarts)
        assert of(scraped(*measured[1]), "flink_jobmanager_job_numRestarts", job)[0] >= restarts
        running = "flink_jobmanager_job_allSubTasksRunningOrFinishedTime"
        until(lambda: of(scraped(*measured[1]), running, job) == [0])
    finally:
        session.jobmanager.cancel(job)


def asked(port, method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, method=method)
    request.add_header("Content-Type", "application/json")
    try:
        return json.loads(_OPENER.open(request, timeout=30).read())
    except OSError:  # it starts, or its workers agree on who does what
        return None


@pytest.fixture(scope="module")
def connect(measured, tmp_path_factory):
    """A Kafka Connect worker with the module's exporter: a source, a sink, and a sink whose task failed."""
    home, (rest, metrics) = tmp_path_factory.mktemp("connect"), free_ports(2)
    jars = by_group(["connect", "kafka", "jmx"])
    (home / "plugins").mkdir()
    settings = {
        "bootstrap.servers": measured[0].kafka, "group.id": "connect",
        **{f"{kind}.storage.topic": f"connect-{kind}" for kind in ("config", "offset", "status")},
        **{f"{kind}.storage.replication.factor": 1 for kind in ("config", "offset", "status")},
        **{f"{part}.converter": "org.apache.kafka.connect.storage.StringConverter" for part in ("key", "value")},
        "listeners": f"http://127.0.0.1:{rest}", "plugin.discovery": "service_load", "plugin.path": home / "plugins",
        "offset.flush.interval.ms": 1000,
    }  # fmt: skip
    (home / "worker.properties").write_text("".join(f"{k}={v}\n" for k, v in settings.items()))
    (home / "in.txt").write_text("a\nb\nc\n")
    command = [
        java.find().executable, "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
        f"-javaagent:{jars['jmx'][0]}=127.0.0.1:{metrics}:{MODULE / 'connect-metrics.yml'}",
        "-cp", os.pathsep.join(map(str, [*jars["connect"], *jars["kafka"]])),
        "org.apache.kafka.connect.cli.ConnectDistributed", home / "worker.properties",
    ]  # fmt: skip
    file = "org.apache.kafka.connect.file.FileStream{}Connector".format
    connectors = {
        "lines": {"connector.class": file("Source"), "file": str(home / "in.txt"), "topic": "lines"},
        "out": {"connector.class": file("Sink"), "file": str(home / "out.txt"), "topics": "lines"},
        "broken": {"connector.class": file("Sink"), "file": str(home / "no" / "out.txt"), "topics": "lines"},
    }
    with (home / "out").open("wb") as out:
        process = subprocess.Popen(list(map(str, command)), stdout=out, stderr=subprocess.STDOUT)
    try:
        until(lambda: asked(rest, "GET", "/connectors") is not None)
        for name, config in connectors.items():
            until(lambda n=name, c=config: asked(rest, "PUT", f"/connectors/{n}/config", c))
        until(
            lambda: (
                _tasks(rest, connectors) == {"lines": ["RUNNING"], "out": ["RUNNING"], "broken": ["FAILED"]}
            )
        )
        until(lambda: (home / "out.txt").read_text() == "a\nb\nc\n")
        yield metrics
    finally:
        process.terminate()
        process.wait(30)


def _tasks(port, names):
    states = {name: asked(port, "GET", f"/connectors/{name}/status") or {} for name in names}
    return {name: [task["state"] for task in state.get("tasks", [])] for name, state in states.items()}


def test_every_metric_of_connect_in_rules_and_dashboards_exists(connect):
    _, wanted = named()
    assert len(wanted) > 10
    until(lambda: not wanted - {name for name, _, _ in scraped(connect)}, seconds=30)


def test_a_connector_s_states_are_labels(connect):
    series = scraped(connect)
    tasks = {
        (labels["connector"], labels["task"]): labels["status"]
        for name, labels, _ in series
        if name == "kafka_connect_connector_task_status"
    }
    assert tasks == {("lines", "0"): "running", ("out", "0"): "running", ("broken", "0"): "failed"}
    connectors = {
        labels["connector"]: labels["status"]
        for name, labels, _ in series
        if name == "kafka_connect_connector_status"
    }
    assert connectors == dict.fromkeys(("lines", "out", "broken"), "running")


def test_the_lag_of_a_sink_names_its_connector(connect):
    lag = [
        (labels["connector"], labels["topic"], value)
        for name, labels, value in scraped(connect)
        if name == "kafka_consumer_fetch_manager_records_lag"
    ]
    assert lag == [("out", "lines", 0.0)]


def test_counted_records_are_those_that_went_through(connect):
    series = scraped(connect)
    for name, connector in (
        ("source_task_source_record_write_total", "lines"),
        ("sink_task_sink_record_send_total", "out"),
    ):
        assert [
            v for n, labels, v in series if n == f"kafka_connect_{name}" and labels["connector"] == connector
        ] == [3]
