"""The SQL and Python of the Flink modules' examples, run with the arguments that their manifests hold."""

import json
import shutil
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import pytest

from sdp_kernel.deploy.session_cluster import run_sql_job
from sdp_kernel.flink.jobs import JobManager
from tests import tools
from tests.terraform.running import MODULES, manifests, planned

pytestmark = pytest.mark.stack
ORDERS = [
    {"id": 1, "symbol": "ACME", "amount": 250.5, "ordered_at": "2026-01-31T07:10:00Z"},
    {"id": 2, "symbol": "ACME", "amount": 10.25, "ordered_at": "2026-01-31T07:50:00Z"},
    {"id": 3, "symbol": "UMBRA", "amount": 100, "ordered_at": "2026-02-01T00:00:00Z"},
]
KIND = {"FlinkSessionJob", "FlinkDeployment"}


@pytest.fixture(scope="session")
def modules(tmp_path_factory):
    """A copy of the modules, so that nothing is written beside them."""
    try:
        tools.environment()
    except tools.ToolMissingError as error:
        pytest.skip(str(error))
    copy = tmp_path_factory.mktemp("examples") / "flink"
    shutil.copytree(MODULES / "flink", copy, ignore=shutil.ignore_patterns(".terraform*"))
    return copy


@pytest.fixture
def job(modules):
    """Plan an example with variables; returns the job of its manifest."""

    def plan(example, **variables):
        made = manifests(planned(modules / example, variables=variables))
        (manifest,) = (one for one in made if one["kind"] in KIND)
        return manifest["spec"]["job"]

    return plan


@pytest.fixture
def jobs(stack):
    """The JobManager, and a list of jobs to be ended."""
    begun = []
    manager = JobManager(stack.jobmanager)
    yield manager, begun
    for job_id in begun:
        manager.cancel(job_id)


def rows(stack, topic, count, *, seconds=60):
    """Wait for so many records of a topic; returns their values."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": stack.kafka, "group.id": "reads", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, 0)])
    found, deadline = [], time.monotonic() + seconds
    while len(found) < count and time.monotonic() < deadline:
        message = consumer.poll(1)
        if message is not None and message.error() is None:
            found.append(json.loads(message.value()))
    consumer.close()
    return found


@pytest.fixture
def orders(topic_name, produce):
    """A topic with the orders, and two for what is made of them."""
    produce(topic_name, [(None, json.dumps(order)) for order in ORDERS])
    for suffix in ("large", "totals"):
        produce(f"{topic_name}.{suffix}", [])
    return topic_name


def servers(stack):
    return {"main": {"bootstrap.servers": stack.kafka}}


def test_the_sql_job_s_example(stack, job, jobs, orders):
    made = job("sql-job/examples/orders", kafka=servers(stack), topic=orders)
    assert made["args"][0] == "--script"
    manager, begun = jobs
    begun.append(run_sql_job(manager, made["args"][1], name=f"{orders}-large"))
    assert rows(stack, f"{orders}.large", 2) == [
        {"id": 1, "symbol": "ACME", "amount": 250.5},
        {"id": 3, "symbol": "UMBRA", "amount": 100},
    ]


def totals(stack, topic):
    """Return the last total of each symbol: three changes come, and as many keys as symbols."""
    return {row["symbol"]: row["total"] for row in rows(stack, f"{topic}.totals", 3)}


def test_the_standalone_job_s_example(stack, job, jobs, orders):
    made = job("standalone-job/examples/orders", kafka=servers(stack), topic=orders)
    manager, begun = jobs
    begun.append(run_sql_job(manager, made["args"][1], name=f"{orders}-totals"))
    assert totals(stack, orders) == {"ACME": 260.75, "UMBRA": 100}


def test_the_replication_s_example(stack, job, jobs, orders, tmp_path):
    made = job(
        "data-replication-job/examples/orders",
        kafka=servers(stack)["main"],
        topic=orders,
        s3_path=f"file://{tmp_path}/lake",
    )
    script = f"SET 'execution.checkpointing.interval' = '1 s';\n{made['args'][1]}"
    manager, begun = jobs
    begun.append(run_sql_job(manager, script, name=f"{orders}-lake"))
    lake, deadline = tmp_path / "lake", time.monotonic() + 60

    # A file is hidden until it is closed: by the rolling policy after ten minutes, here by the job's end.
    while time.monotonic() < deadline and sum(p.stat().st_size > 0 for p in lake.rglob(".part-*")) < 2:
        time.sleep(0.3)
    manager.stop(begun.pop(), f"file://{tmp_path}/savepoints", drain=True)
    written = {
        (str(path.parent.relative_to(lake)), *json.loads(line).values())
        for path in lake.rglob("part-*")
        for line in path.read_text().splitlines()
    }
    assert written == {
        ("dt=2026-01-31/hr=07", 1, "ACME", 250.5, "2026-01-31 07:10:00Z"),
        ("dt=2026-01-31/hr=07", 2, "ACME", 10.25, "2026-01-31 07:50:00Z"),
        ("dt=2026-02-01/hr=00", 3, "UMBRA", 100, "2026-02-01 00:00:00Z"),
    }


def test_the_python_job_s_example(stack, modules, job, jobs, orders):
    program = modules / "python-job/examples/orders/order_totals.py"
    made = job("python-job/examples/orders", py_archive_uri=str(program), bootstrap_servers=stack.kafka, topic=orders)  # fmt: skip
    manager, begun = jobs
    with tempfile.TemporaryDirectory() as directory:
        jar = Path(directory) / "empty.jar"
        with zipfile.ZipFile(jar, "w") as archive:
            archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n\n")
        jar_id = manager.upload_jar(jar)
    config = {
        "pipeline.name": f"{orders}-python",
        "python.client.executable": sys.executable,
        "python.executable": sys.executable,
    }
    try:
        begun.append(
            manager.run_jar(jar_id, entry_class=made["entryClass"], arguments=made["args"], config=config)
        )
    finally:
        manager.delete_jar(jar_id)
    assert totals(stack, orders) == {"ACME": 260.75, "UMBRA": 100}
