import hashlib
import json
import os
import subprocess
import sys

import psutil
import pytest

from sdp_kernel.errors import ArtifactError, UsageError
from sdp_kernel.local import artifacts, components, processes
from sdp_kernel.local.artifacts import Artifact
from sdp_kernel.local.stack import Stack, cause


def test_the_lock_file_names_every_jar_once_with_hash_and_size():
    groups = json.loads(artifacts.LOCK_FILE.read_text())["groups"]
    rows = [row for group in groups.values() for row in group]
    assert set(groups) == {"gateway", "flink", "kafka"}
    assert len({row["coordinate"] for row in rows}) == len(rows)
    assert all(len(row["sha256"]) == 64 and row["size"] > 0 for row in rows)
    assert "http" not in artifacts.LOCK_FILE.read_text()


def test_a_jar_that_is_not_the_locked_one_is_refused_and_not_kept(tmp_path, monkeypatch):
    jar = tmp_path / "x-1.jar"
    jar.write_bytes(b"something else")

    class Context:
        def __init__(self, **_):
            pass

        def create_dependency(self, _):
            return type("D", (), {"artifact": type("A", (), {"resolve": staticmethod(lambda: jar)})})

    monkeypatch.setattr("jgo.maven.MavenContext", Context)
    monkeypatch.setenv("SDP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(
        artifacts, "locked", lambda _: [Artifact("g:x:1", hashlib.sha256(b"right").hexdigest(), 5)]
    )
    with pytest.raises(ArtifactError, match="g:x:1 has sha256"):
        artifacts.ensure(["flink"])
    assert not list((tmp_path / "cache").rglob("*.jar"))


def test_a_jar_that_cannot_be_fetched_names_itself_and_the_mirror_setting(tmp_path, monkeypatch):
    monkeypatch.setenv("SDP_CACHE", str(tmp_path))
    monkeypatch.setattr(artifacts, "locked", lambda _: [Artifact("g:x:1", "0" * 64, 5)])
    with pytest.raises(ArtifactError, match="g:x:1 cannot be fetched") as error:
        artifacts.ensure(["flink"], mirror=f"http://127.0.0.1:{components.free_ports(1)[0]}")
    assert "[local] maven" in error.value.hint


def test_free_ports_are_distinct():
    assert len(set(components.free_ports(20))) == 20


def test_every_address_of_the_configuration_is_loopback(tmp_path):
    layout = components.Layout(tmp_path)
    ports = dict(
        zip(
            ("kafka", "kafka_controller", "jobmanager", "jobmanager_rpc", "gateway"),
            range(5000, 5005),
            strict=True,
        )
    )
    components.write_configuration(layout, ports, task_slots=3)
    flink = (layout.conf / "config.yaml").read_text()
    kafka = (layout.conf / "server.properties").read_text()
    assert "0.0.0.0" not in flink + kafka
    assert "taskmanager.numberOfTaskSlots: 3" in flink
    assert "listeners=PLAINTEXT://127.0.0.1:5000,CONTROLLER://127.0.0.1:5001" in kafka


def test_a_process_id_used_again_is_not_taken_for_the_recorded_process(tmp_path):
    me = psutil.Process()
    assert processes.alive(processes.Record("kafka", me.pid, me.create_time(), 1), tmp_path) is None
    assert processes.alive(processes.Record("kafka", me.pid, me.create_time() - 99, 1), tmp_path) is None


def test_a_marked_process_is_found_without_its_record_and_stopped(tmp_path):
    sleeper = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)", processes.mark(tmp_path)]
    )
    try:
        found = processes.marked(tmp_path)
        assert [process.pid for process in found] == [sleeper.pid]
        processes.stop(found)
        assert not psutil.pid_exists(sleeper.pid) or sleeper.poll() is not None
        assert processes.marked(tmp_path) == []
    finally:
        sleeper.poll()
        if sleeper.returncode is None and psutil.pid_exists(sleeper.pid):
            sleeper.kill()


def test_a_record_that_cannot_be_read_counts_as_none(tmp_path):
    (tmp_path / "kafka.json").write_text("{half")
    assert processes.recorded(tmp_path) == {}


def test_stale_records_of_a_reboot_are_told_as_died_and_do_not_count_as_running(tmp_path):
    stack = Stack(tmp_path, components=("kafka",))
    stack.layout.run.mkdir(parents=True)
    (stack.layout.run / "ports").write_text('{"kafka": 1, "jobmanager": 1, "gateway": 1}')
    (stack.layout.run / "kafka.json").write_text(
        json.dumps({"name": "kafka", "pid": os.getpid(), "created": 1.0, "port": 1})
    )
    (stack.layout.run / "kafka.ready").touch()
    assert stack.running() is None
    assert stack.status().components[0].state == "died"


def test_a_stack_that_never_ran_is_stopped_and_down_does_nothing(tmp_path):
    stack = Stack(tmp_path / "none")
    stack.down()
    assert {c.state for c in stack.status().components} == {"stopped"}
    assert not (tmp_path / "none").exists()


def test_unknown_components_are_refused(tmp_path):
    with pytest.raises(UsageError, match="zookeeper"):
        Stack(tmp_path, components=("zookeeper",))
    with pytest.raises(UsageError, match="broker"):
        Stack(tmp_path).logs("broker")


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (
            "INFO a\nX: y\n\tat b\nCaused by: java.net.BindException: in use\n\t... 3 more",
            "java.net.BindException: in use",
        ),
        ("INFO fine\nERROR Broker - no space left", "ERROR Broker - no space left"),
        ("Error: Could not find or load main class x", "Error: Could not find or load main class x"),
        ("", "it left no log"),
    ],
)
def test_the_cause_is_found_in_a_log(log, expected):
    assert cause(log) == expected


def test_a_process_between_two_programs_is_alive(tmp_path, monkeypatch):
    me = psutil.Process()
    monkeypatch.setattr(psutil.Process, "cmdline", lambda _: [])
    assert processes.alive(processes.Record("kafka", me.pid, me.create_time(), 1), tmp_path) is not None
