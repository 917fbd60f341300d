"""The embedded stack with its real processes: started, killed, repaired, gone."""

import socket
import subprocess
import sys
import time

import psutil
import pytest

from sdp_kernel.errors import ComponentError
from sdp_kernel.kafka.cluster import Cluster
from sdp_kernel.kafka.describe import describe_topic
from sdp_kernel.local import processes
from sdp_kernel.local.components import free_ports, listening
from sdp_kernel.local.stack import Stack
from sdp_kernel.settings import KafkaCluster

pytestmark = pytest.mark.stack

UP = "import sys; from pathlib import Path; from sdp_kernel.local.stack import Stack; print(Stack(Path(sys.argv[1]), components=('kafka',)).up().kafka)"


@pytest.fixture
def kafka(tmp_path):
    stack = Stack(tmp_path, components=("kafka",))
    yield stack
    stack.down(purge=True)


def brokers(stack):
    """The stack's Java processes; the class archiver beside them is Python."""
    return [p for p in processes.marked(stack.layout.state_dir) if "java" in p.name()]


def test_up_is_idempotent_and_down_leaves_no_process_and_no_port(kafka):
    first = kafka.up()
    assert kafka.up() == first
    assert Stack(kafka.layout.state_dir, components=("kafka",)).running() == first
    (status,) = kafka.status().components
    assert (status.state, status.healthy) == ("running", True)
    assert status.memory > 50 * 2**20
    kafka.down()
    assert processes.marked(kafka.layout.state_dir) == []
    assert not listening(int(first.kafka.split(":")[1]))
    assert kafka.running() is None


def test_records_of_long_ago_are_kept(kafka):
    cluster = Cluster(KafkaCluster("main", {"bootstrap.servers": kafka.up().kafka}))
    cluster.create_topic("old")
    assert describe_topic(cluster, "old").retention is None


def test_two_processes_at_once_make_one_stack(kafka):
    command = [sys.executable, "-c", UP, str(kafka.layout.state_dir)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    addresses = {process.communicate(timeout=120)[0].strip() for process in both}
    assert len(addresses) == 1
    assert len(brokers(kafka)) == 1


def test_a_killed_component_is_named_and_up_repairs_it_with_its_data(kafka):
    from confluent_kafka import Producer
    from confluent_kafka.admin import AdminClient

    address = kafka.up().kafka
    producer = Producer({"bootstrap.servers": address})
    producer.produce("kept", b"x")
    assert producer.flush(20) == 0
    psutil.Process(kafka.status().components[0].pid).kill()
    _until(lambda: kafka.status().components[0].state == "died")
    assert kafka.running() is None
    assert kafka.up().kafka == address
    assert "kept" in AdminClient({"bootstrap.servers": address}).list_topics(timeout=20).topics


def test_down_cleans_up_after_a_parent_killed_in_the_middle_of_up(kafka):
    command = [sys.executable, "-c", UP, str(kafka.layout.state_dir)]
    parent = subprocess.Popen(command)
    _until(lambda: processes.marked(kafka.layout.state_dir))
    parent.kill()
    parent.wait()
    kafka.down()
    assert processes.marked(kafka.layout.state_dir) == []


def test_up_after_a_parent_killed_in_the_middle_of_up_works(kafka):
    parent = subprocess.Popen([sys.executable, "-c", UP, str(kafka.layout.state_dir)])
    _until(lambda: processes.marked(kafka.layout.state_dir))
    parent.kill()
    parent.wait()
    assert kafka.up().kafka
    assert len(brokers(kafka)) == 1


def test_a_taken_port_is_named_before_anything_starts(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        stack = Stack(tmp_path, components=("kafka",), ports={"kafka": port})
        with pytest.raises(ComponentError, match=f"port {port} is taken"):
            stack.up()
    assert processes.marked(tmp_path) == []


def test_a_component_that_cannot_start_is_named_with_cause_and_log_and_nothing_stays(tmp_path):
    stack = Stack(tmp_path, components=("kafka",), ports={"kafka_controller": free_ports(1)[0]})
    stack.up()
    stack.down()
    (stack.layout.data / "kafka" / "meta.properties").write_text("version=1\ncluster.id=broken\nnode.id=99\n")
    with pytest.raises(ComponentError) as error:
        stack.up()
    assert error.value.component == "kafka"
    assert "99" in str(error.value)
    assert "sdp down --purge" in error.value.hint
    assert error.value.detail
    assert processes.marked(tmp_path) == []


def test_down_with_purge_and_up_at_once_leave_one_whole_stack(kafka):
    kafka.up()
    purge = "import sys; from pathlib import Path; from sdp_kernel.local.stack import Stack; Stack(Path(sys.argv[1]), components=('kafka',)).down(purge=True)"
    state = str(kafka.layout.state_dir)
    purging = subprocess.Popen([sys.executable, "-c", purge, state])
    _until(lambda: not (kafka.layout.run / "kafka.json").exists() or not brokers(kafka))
    upping = subprocess.Popen([sys.executable, "-c", UP, state])
    assert (purging.wait(60), upping.wait(60)) == (0, 0)
    assert kafka.status().components[0].state == "running"
    assert (kafka.layout.data / "kafka" / "meta.properties").exists()


def test_a_lost_ports_file_is_repaired(kafka):
    kafka.up()
    (kafka.layout.run / "ports").unlink()
    assert kafka.running() is None
    assert kafka.up().kafka
    assert len(brokers(kafka)) == 1


def test_a_directory_with_a_space_and_an_umlaut_holds_all_of_the_stack(tmp_path):
    stack = Stack(tmp_path / "zwölf # Räume", components=("kafka",))
    try:
        stack.up()
        assert (stack.layout.data / "kafka" / "meta.properties").exists()
        assert [path.name for path in tmp_path.iterdir()] == ["zwölf # Räume"]
    finally:
        stack.down()


def test_a_repaired_taskmanager_is_the_only_one_the_jobmanager_gives_work_to(tmp_path):
    stack = Stack(tmp_path, components=("jobmanager", "taskmanager"))
    try:
        info = stack.up()
        (before,) = _taskmanagers(info)
        status = {component.name: component for component in stack.status().components}
        psutil.Process(status["taskmanager"].pid).kill()
        _until(lambda: stack.running() is None)
        assert stack.up() == info
        (after,) = _taskmanagers(info)
        assert after != before
        assert (stack.layout.logs / "taskmanager.previous.log").exists()
    finally:
        stack.down(purge=True)


def _taskmanagers(info):
    import httpx

    answer = httpx.get(f"{info.jobmanager}/taskmanagers", trust_env=False)
    return [row["id"] for row in answer.json()["taskmanagers"]]


def test_every_socket_is_on_loopback(stack):
    pids = {process.pid for process in processes.marked(stack.state_dir)}
    assert len(pids) >= 4
    addresses = {
        connection.laddr.ip
        for pid in pids
        for connection in psutil.Process(pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def test_the_command_reports_health_ports_and_memory(stack, tmp_path):
    import json

    (tmp_path / "sdp.toml").write_text("")
    status = subprocess.run(
        [sys.executable, "-m", "sdp_kernel.cli", "status", "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert status.returncode == 1
    assert {c["state"] for c in json.loads(status.stdout)["components"]} == {"stopped"}


def _until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
