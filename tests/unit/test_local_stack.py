import hashlib
import json
import os
import subprocess
import sys
import time

import psutil
import pytest

from sdp_kernel.errors import ArtifactError, StackError, UsageError
from sdp_kernel.local import archive, artifacts, components, java, logs, processes
from sdp_kernel.local.artifacts import Artifact
from sdp_kernel.local.stack import Stack, cause

PORTS = (
    "kafka", "kafka_controller", "jobmanager", "jobmanager_rpc", "gateway", "registry", "registry_management",
)  # fmt: skip


def test_the_lock_file_names_every_jar_of_a_group_once_with_hash_and_size():
    groups = json.loads(artifacts.LOCK_FILE.read_text())["groups"]
    rows = [row for group in groups.values() for row in group]
    tests = {"files", "flink-operator", "strimzi", "metrics", "connect", "jmx"}
    assert set(groups) == {"gateway", "flink", "kafka", "registry"} | tests
    for group in groups.values():
        assert len({row["coordinate"] for row in group}) == len(group)
    assert all(len(row["sha256"]) == 64 and row["size"] > 0 for row in rows)
    assert "://" not in artifacts.LOCK_FILE.read_text()


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
            PORTS,
            range(5000, 5007),
            strict=True,
        )
    )
    components.write_configuration(layout, ports, task_slots=3)
    flink = (layout.conf / "config.yaml").read_text()
    kafka = (layout.conf / "server.properties").read_text()
    registry = (layout.conf / "registry.properties").read_text()
    assert "0.0.0.0" not in flink + kafka + registry
    assert "quarkus.http.host=127.0.0.1" in registry
    assert "quarkus.management.host=127.0.0.1" in registry
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
        (
            "2026-01-05 09:00:00,000 ERROR Broker - failed\njava.lang.X: y\nCaused by: a.B: disk\n\tat c\n2026-01-05 09:00:01,000 INFO  Broker - shut down",
            "a.B: disk",
        ),
        (
            "2026-01-05 09:00:00,000 WARN  Source - not nice\njava.lang.X: y\nCaused by: a.B: harmless",
            logs.KILLED,
        ),
        (
            "2026-01-05 09:00:00,000 ERROR OperationManager - Failed to execute\nCaused by: a.B: bad SQL",
            logs.KILLED,
        ),
    ],
)
def test_the_cause_is_found_in_a_log(log, expected):
    assert cause(log) == expected


def test_a_process_between_two_programs_is_alive(tmp_path, monkeypatch):
    me = psutil.Process()
    monkeypatch.setattr(psutil.Process, "cmdline", lambda _: [])
    assert processes.alive(processes.Record("kafka", me.pid, me.create_time(), 1), tmp_path) is not None


def test_what_is_said_in_the_log_comes_before_what_was_printed(tmp_path):
    (tmp_path / "kafka.out").write_text("Error: Could not find or load main class kafka.Kafka")
    assert logs.cause_in(tmp_path, "kafka").startswith("Error: Could not find")
    (tmp_path / "kafka.log").write_text("2026-01-05 09:00:00,000 FATAL Broker - no space left")
    assert logs.cause_in(tmp_path, "kafka") == "FATAL Broker - no space left"


def test_a_new_start_keeps_the_log_of_the_run_before(tmp_path):
    (tmp_path / "kafka.log").write_text("why it died")
    logs.keep_previous(tmp_path, "kafka")
    assert not (tmp_path / "kafka.log").exists()
    assert (tmp_path / "kafka.previous.log").read_text() == "why it died"


def test_a_marked_environment_is_inherited_and_found(tmp_path):
    record = processes.spawn(
        "parent",
        ["sh", "-c", f"{sys.executable} -c 'import time; time.sleep(60)' & wait"],
        port=0,
        environment={},
        output=tmp_path / "parent.out",
        records=tmp_path / "run",
        state_dir=tmp_path,
    )
    try:
        deadline = time.monotonic() + 20
        while len(processes.family([record.pid])) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        children = processes.family([record.pid]) - {record.pid}
        psutil.Process(record.pid).kill()
        assert children <= {process.pid for process in processes.marked(tmp_path)}
    finally:
        processes.stop(processes.marked(tmp_path))
    assert processes.marked(tmp_path) == []


def test_paths_of_any_letters_reach_flink_and_kafka_whole(tmp_path):
    state = tmp_path / "ä b # c%20d"
    layout = components.Layout(state)
    ports = dict.fromkeys(PORTS, 1)
    components.write_configuration(layout, ports, task_slots=1)
    flink = dict(line.split(": ", 1) for line in (layout.conf / "config.yaml").read_text().splitlines())
    assert json.loads(flink["io.tmp.dirs"]) == str(layout.tmp)
    assert json.loads(flink["execution.checkpointing.dir"]) == f"file://{layout.data}/checkpoints"
    kafka = (layout.conf / "server.properties").read_bytes().decode("ascii")
    (line,) = [line for line in kafka.splitlines() if line.startswith("log.dirs=")]
    assert line.encode().decode("unicode_escape") == f"log.dirs={layout.data / 'kafka'}"


@pytest.mark.parametrize("mark", [",", os.pathsep])
def test_a_state_directory_that_would_be_read_as_several_is_refused(tmp_path, mark):
    with pytest.raises(StackError, match="read as several paths"):
        Stack(tmp_path / f"a{mark}b").up()


@pytest.mark.parametrize("content", ["", "{half", "[1]", '{"kafka": 1}'])
def test_without_its_ports_a_stack_does_not_count_as_running(tmp_path, monkeypatch, content):
    stack = Stack(tmp_path, components=("kafka",))
    stack.layout.run.mkdir(parents=True)
    (stack.layout.run / "ports").write_text(content)
    me = psutil.Process()
    (stack.layout.run / "kafka.json").write_text(
        json.dumps({"name": "kafka", "pid": me.pid, "created": me.create_time(), "port": 1})
    )
    (stack.layout.run / "kafka.ready").touch()
    monkeypatch.setattr(psutil.Process, "cmdline", lambda _: [processes.mark(stack.layout.state_dir)])
    assert stack.running() is None
    assert stack.status().components[0].state == "starting"


def test_a_taskmanager_is_ready_only_when_it_is_the_one_listed(monkeypatch):
    listed = {"taskmanagers": [{"id": "old"}, {"id": "new"}]}
    monkeypatch.setattr(components, "_get", lambda *_: json.dumps(listed).encode())
    assert not components.ready_checks({"jobmanager": 1}, "new")["taskmanager"]()
    listed["taskmanagers"].pop(0)
    assert components.ready_checks({"jobmanager": 1}, "new")["taskmanager"]()
    assert components.ready_checks({"jobmanager": 1})["taskmanager"]()
    monkeypatch.setattr(components, "_get", lambda *_: None)
    assert not components.ready_checks({"jobmanager": 1})["taskmanager"]()


def test_a_cached_jar_that_was_altered_is_not_taken(tmp_path, monkeypatch):
    artifact = Artifact("g:x:1", hashlib.sha256(b"right").hexdigest(), 5)
    monkeypatch.setenv("SDP_CACHE", str(tmp_path))
    path = artifacts.path_of(artifact)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"right")
    assert artifacts._present(artifact)
    stamped = path.stat().st_mtime
    assert artifacts._present(artifact)
    path.write_bytes(b"wrong")
    assert path.stat().st_mtime != stamped
    assert not artifacts._present(artifact)


@pytest.mark.parametrize(("status", "kept"), [(0, True), (1, False)])
def test_only_a_dump_that_succeeded_becomes_an_archive(tmp_path, status, kept):
    jcmd = tmp_path / "jcmd"
    jcmd.write_text(
        f"#!{sys.executable}\nimport sys, pathlib\n"
        "pathlib.Path(sys.argv[4]).write_text('classes')\n"
        "pathlib.Path(sys.argv[4] + '.classlist').touch()\n"
        f"sys.exit({status})\n"
    )
    jcmd.chmod(0o755)
    target = tmp_path / "cds" / "kafka-1.jsa"
    archive._dump("kafka", str(jcmd), os.getpid(), target)
    assert target.exists() == kept
    assert list(target.parent.iterdir()) == ([target] if kept else [])


def test_a_process_that_only_its_living_parent_can_collect_counts_as_stopped(tmp_path):
    program = (
        "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        "print(p.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        child = psutil.Process(int(parent.stdout.readline()))
        sent = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(psutil.Process, "kill", lambda process: sent.append(process.pid))
            processes.stop([child])
        assert sent == []
        assert child.status() == psutil.STATUS_ZOMBIE
    finally:
        parent.kill()
        parent.communicate()


def test_a_taskmanager_does_not_outlive_its_jobmanager_in_a_repair(tmp_path):
    stack = Stack(tmp_path)
    layout = stack.layout
    layout.run.mkdir(parents=True)
    (layout.run / "ports").write_text(json.dumps(dict.fromkeys(PORTS, 1)))
    try:
        for name in ("gateway", "taskmanager"):
            processes.spawn(
                name,
                [sys.executable, "-c", "import time; time.sleep(60)", processes.mark(layout.state_dir)],
                port=1,
                environment={},
                output=tmp_path / f"{name}.out",
                records=layout.run,
                state_dir=layout.state_dir,
            )
        assert stack._clean() == {"gateway"}
        assert len(processes.marked(layout.state_dir)) == 1
    finally:
        processes.stop(processes.marked(layout.state_dir))


def test_a_shared_archive_is_verified_and_counts_as_used(tmp_path):
    path = tmp_path / "kafka-1.jsa"
    assert java.share(path) == []
    path.write_text("classes")
    os.utime(path, (1, 1))
    assert "-XX:+VerifySharedSpaces" in java.share(path)
    assert path.stat().st_mtime > 1
