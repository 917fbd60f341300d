"""A profile on Kubernetes: queries on a session cluster as on the embedded stack, also when the way drops.

The session cluster is the embedded stack's JobManager and TaskManager: a FlinkDeployment whose REST port is
theirs, and a pod on the test's node.
"""

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

import sdp_kernel
from sdp_kernel.deploy.place import Place, places
from sdp_kernel.errors import (
    Expired,
    KubernetesError,
    ResourceNotFound,
    SdpError,
    UsageError,
)
from sdp_kernel.flink import function_cell
from sdp_kernel.flink.jobs import TERMINAL, JobManager
from sdp_kernel.local import processes
from tests.kubernetes.apiserver import free_port
from tests.kubernetes.flink import add_deployment, add_pod, delete_pod, grant

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

TICKS = """CREATE TABLE ticks (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '20',
  'fields.n.kind' = 'sequence', 'fields.n.start' = '0', 'fields.n.end' = '1000000')"""
NEEDED = (
    ("flink.apache.org", ["flinkdeployments"], ["get", "list"]),
    ("", ["pods"], ["list"]),
    ("", ["pods/portforward"], ["get", "create"]),
)


def write_settings(root, api, namespace, *, user="admin", deployment="session", more=""):
    (root / "sdp.toml").write_text(
        f"[profiles.dev]\n{more}\n[profiles.dev.kubernetes]\ncontext = 'test'\nnamespace = '{namespace}'\n"
        f"deployment = '{deployment}'\nkubeconfig = '{api.kubeconfig(user)}'\n"
    )


def add_cluster(api, namespace, stack):
    port = urlsplit(stack.jobmanager).port
    configuration = {
        "rest.port": str(port),
        "table.exec.state.ttl": "1 h",
        "python.executable": sys.executable,
    }
    add_deployment(api, namespace, configuration=configuration)
    add_pod(api, namespace)


@pytest.fixture
def project(tmp_path, api, namespace, stack):
    """A project with a profile on the session cluster; what it starts is ended."""
    add_cluster(api, namespace, stack)
    write_settings(tmp_path, api, namespace)
    yield tmp_path
    for _, place in places(tmp_path / ".sdp"):
        place.down(purge=True)


@pytest.fixture
def told():
    return []


@pytest.fixture
def workbench(project, told):
    with sdp_kernel.connect("dev", directory=project, notify=told.append) as opened:
        yield opened


@pytest.fixture
def place(project):
    return Place.of(project / ".sdp", "dev")


def until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)


def sdp(directory, *arguments):
    return subprocess.run(
        [Path(sys.executable).parent / "sdp", *arguments], cwd=directory, capture_output=True, text=True, check=False
    )  # fmt: skip


def lives(pid):
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def goes_on(query):
    """Whether new rows come."""
    before = query.changes
    until(lambda: query.changes > before or query.over())
    assert query.state == "running", query.error
    return True


def test_a_query_runs_on_the_session_cluster(workbench, stack, place):
    steps = []
    workbench._progress = steps.append
    query = workbench.sql("SELECT n, n * 2 AS twice FROM (VALUES (1), (2), (3)) AS t(n)", name="q")
    assert [str(steps[0]), steps[0].title] == [
        "looking for the JobManager, opening a port-forward", "session cluster session",
    ]  # fmt: skip
    assert query.df["twice"].tolist() == [2, 4, 6]
    assert query.job_id in {job.id for job in JobManager(stack.jobmanager).jobs()}
    assert query.job_id in {job.id for job in workbench.jobs()}
    forward, gateway = place.status()
    assert (forward.state, forward.detail, gateway.state) == ("running", "to session-jobmanager", "running")
    config = workbench.session.gateway.session_config(workbench.session.handle)
    assert config["table.exec.state.ttl"] == "1 h"
    assert not {"execution.checkpointing.dir", "execution.checkpointing.savepoint-dir"} & set(config)
    assert "session" in repr(workbench)


def test_a_large_result_arrives_whole(workbench):
    rows = 200_000
    workbench.sql(
        f"CREATE TEMPORARY TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', "
        f"'rows-per-second' = '1000000', 'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '{rows}')"
    )
    query = workbench.sql("SELECT n, RPAD('', 100, 'x') AS text FROM numbers")
    assert query.state == "finished"
    assert sorted(query.arrow["n"].to_pylist()) == list(range(1, rows + 1))


def test_background_stop_and_jobs_work_as_locally(workbench, stack):
    workbench.sql(TICKS)
    query = workbench.sql("SELECT * FROM ticks", name="raw", background=True)
    until(lambda: len(query))
    assert workbench.job("raw")[0].id == query.job_id
    assert workbench.vitals(workbench.job("raw"))
    assert workbench.why("raw").rows
    workbench.stop("raw")
    until(lambda: JobManager(stack.jobmanager).state(query.job_id) in TERMINAL)
    batch = workbench.sql("SELECT COUNT(*) AS c FROM (VALUES (1), (2)) AS t(n)", batch=True)
    assert batch.df["c"].tolist() == [2]


def test_python_functions_travel_with_their_jobs(workbench):
    cell = function_cell.load("def one_more(x: int) -> int:\n    return x + 1\n", (), first_line=2)
    workbench.functions.register(cell)
    query = workbench.sql("SELECT one_more(n) AS m FROM (VALUES (1), (2)) AS t(n)")
    assert sorted(query.df["m"]) == [2, 3]


def test_a_killed_port_forward_is_started_again_and_queries_go_on(workbench, place):
    workbench.sql(TICKS)
    query = workbench.sql("SELECT * FROM ticks", name="raw", background=True)
    until(lambda: len(query))
    job = query.job_id
    psutil.Process(place.record.pid).kill()
    until(place.forwards)
    assert goes_on(query)
    assert (query.job_id, query.runs) == (job, 1)
    numbers = query.df["n"].tolist()
    assert numbers == list(range(len(numbers)))


def test_a_restarted_node_an_api_server_that_was_away_and_a_new_pod_are_outlived(
    workbench, api, namespace, place, told
):
    workbench.sql(TICKS)
    query = workbench.sql("SELECT * FROM ticks", name="raw", background=True)
    until(lambda: len(query))
    job = query.job_id

    api.stop_part("node")
    until(lambda: any("no way to the session cluster session; queries wait" in line for line in told))
    api.start_part("node")
    assert goes_on(query)

    api.stop_part("kube-apiserver")
    time.sleep(6)
    api.start_part("kube-apiserver")
    assert goes_on(query)

    delete_pod(api, namespace)
    add_pod(api, namespace, name="another")
    api.stop_part("node")
    api.start_part("node")
    assert goes_on(query)
    until(lambda: place.said.pod == "another")
    assert (query.job_id, query.runs) == (job, 1)
    numbers = query.df["n"].tolist()
    assert numbers == list(range(len(numbers)))


def test_a_killed_gateway_is_started_again_and_queries_run_again(workbench, place, told):
    workbench.sql(TICKS)
    query = workbench.sql("SELECT * FROM ticks", name="raw", background=True)
    until(lambda: len(query))
    gateway = next(c for c in place.status() if c.name == "gateway")
    psutil.Process(gateway.pid).kill()
    until(lambda: query.runs > 1 and len(query))
    assert any("gateway went away" in line for line in told)
    assert workbench.sql("SHOW TABLES").arrow.to_pylist() == [{"table name": "ticks"}]


KERNEL = """
import json, sys, time
import sdp_kernel
told, taken = [], []
wb = sdp_kernel.connect("dev", notify=told.append, owners=("kernel",), on_taken_over=taken.append)
wb.session
if sys.argv[1] == "first":
    wb.sql(sys.argv[2])
    query = wb.sql("SELECT * FROM ticks", name="raw", background=True)
else:
    (query,) = taken
while not len(query):
    time.sleep(0.1)
print(json.dumps({"told": told, "job": query.job_id, "first": int(query.arrow["n"][0].as_py())}), flush=True)
if sys.argv[1] == "first":
    import os
    os.kill(os.getpid(), 9)
wb.close()
"""


def kernel(project, cell):
    done = subprocess.run(
        [sys.executable, "-c", KERNEL, cell, TICKS], cwd=project, capture_output=True, text=True, timeout=240, check=False
    )  # fmt: skip
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def test_a_kernel_that_is_restarted_takes_its_queries_over(project, place):
    first = kernel(project, "first")
    processes_before = [c.pid for c in place.status()]
    second = kernel(project, "second")
    assert second["job"] == first["job"]
    assert second["first"] > first["first"]
    assert any("took over the session" in line for line in second["told"])
    assert [c.pid for c in place.status()] == processes_before


def test_kernels_share_what_runs_and_down_ends_it(project, place):
    with (
        sdp_kernel.connect("dev", directory=project) as one,
        sdp_kernel.connect("dev", directory=project) as two,
    ):
        assert one.session.gateway.url == two.session.gateway.url
        shown = sdp(project, "status")
        assert "dev" in shown.stdout
        assert "to session-jobmanager" in shown.stdout
    pids = [component.pid for component in place.status()]
    assert sdp(project, "down").stdout == "stopped\n"
    assert not any(map(lives, pids))
    assert [component.state for component in place.status()] == ["stopped", "stopped"]
    assert not processes.marked(place.forward)


def test_without_a_kernel_nothing_is_left_after_a_while_and_a_kernel_that_wakes_finds_its_way(
    project, place, monkeypatch
):
    with sdp_kernel.connect("dev", directory=project) as opened:
        opened._remote._idle = 5.0
        with monkeypatch.context() as patched:
            patched.setattr(opened._remote, "touch", lambda: None)  # as of a process that is suspended
            opened.session.handle  # noqa: B018
            pids = [component.pid for component in place.status()]
            until(lambda: not any(map(lives, pids)))
        assert [component.state for component in place.status()] == ["stopped", "stopped"]
        opened._remote._idle = 600.0
        assert opened.sql("SELECT 1 AS n").df["n"].tolist() == [1]
        assert all(component.healthy for component in place.status())


def test_a_read_only_profile_reads(project, api, namespace):
    write_settings(project, api, namespace, more="read_only = true")
    with sdp_kernel.connect("dev", directory=project) as opened:
        assert opened.sql("SELECT 1 AS n").df["n"].tolist() == [1]
        opened.sql("CREATE TEMPORARY TABLE sink (n INT) WITH ('connector' = 'blackhole')")
        with pytest.raises(UsageError, match="read-only: INSERT is refused"):
            opened.sql("INSERT INTO sink SELECT 1")


def test_the_rules_in_the_documentation_are_enough_and_no_fewer(project, api, namespace):
    write_settings(project, api, namespace, user="reader")
    for count in range(len(NEEDED)):
        with sdp_kernel.connect("dev", directory=project) as opened:
            with pytest.raises(SdpError) as caught:
                opened.sql("SELECT 1 AS n")
            assert "the user reader may not" in str(caught.value)
            assert 'with the rule apiGroups: ["' in str(caught.value)
        grant(api, "reader", namespace, *NEEDED[: count + 1])
    with sdp_kernel.connect("dev", directory=project) as opened:
        assert opened.sql("SELECT 1 AS n").df["n"].tolist() == [1]


def refused(project, kind):
    with sdp_kernel.connect("dev", directory=project) as opened:
        with pytest.raises(kind) as caught:
            opened.sql("SELECT 1 AS n")
        assert caught.value.hint
    for _, place in places(project / ".sdp"):
        assert not processes.marked(place.forward)
        assert not processes.marked(place.directory)
    return str(caught.value)


def test_another_flink_is_refused_before_anything_runs(tmp_path, api, namespace):
    add_deployment(api, namespace, version="v1_20")
    write_settings(tmp_path, api, namespace)
    said = refused(tmp_path, UsageError)
    assert "the session cluster session runs Flink 1.20, the gateway on this machine is 2.3" in said


def test_what_is_no_session_cluster_is_refused(tmp_path, api, namespace):
    add_deployment(api, namespace, "application", job={"jarURI": "local:///a.jar", "parallelism": 1})
    add_deployment(api, namespace, "other")
    add_deployment(api, namespace, "secured", configuration={"security.ssl.rest.enabled": "true"})
    write_settings(tmp_path, api, namespace, deployment="session")
    assert "session clusters there: other, secured" in refused(tmp_path, ResourceNotFound)
    write_settings(tmp_path, api, namespace, deployment="application")
    assert "runs a job of its own" in refused(tmp_path, KubernetesError)
    write_settings(tmp_path, api, namespace, deployment="secured")
    assert "by TLS only" in refused(tmp_path, KubernetesError)


def test_a_jobmanager_that_does_not_run_is_told_with_the_operators_reason(tmp_path, api, namespace):
    status = {
        "jobManagerDeploymentStatus": "DEPLOYING",
        "error": json.dumps({"message": "quota is exceeded"}),
    }
    add_deployment(api, namespace, status=status)
    write_settings(tmp_path, api, namespace)
    said = refused(tmp_path, KubernetesError)
    assert "no JobManager pod of session runs" in said
    assert "the operator says DEPLOYING: quota is exceeded" in said


def test_a_pod_without_a_jobmanager_is_told(tmp_path, api, namespace, monkeypatch):
    monkeypatch.setattr("sdp_kernel.deploy.remote._FORWARD_S", 12.0)
    add_deployment(api, namespace, configuration={"rest.port": str(free_port())})
    add_pod(api, namespace)
    write_settings(tmp_path, api, namespace)
    said = refused(tmp_path, KubernetesError)
    assert "the JobManager of session does not answer" in said
    assert "connection refused" in said


def test_credentials_that_are_refused_are_told_at_once(tmp_path, api, namespace):
    kubeconfig = tmp_path / "expired"
    kubeconfig.write_text(api.kubeconfig().read_text().replace("admin-token", "old-token-of-mine"))
    write_settings(tmp_path, api, namespace)
    text = (tmp_path / "sdp.toml").read_text().replace(str(api.kubeconfig()), str(kubeconfig))
    (tmp_path / "sdp.toml").write_text(text)
    said = refused(tmp_path, Expired)
    assert "does not accept the credentials" in said
    assert "old-token-of-mine" not in said
