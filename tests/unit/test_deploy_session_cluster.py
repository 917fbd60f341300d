import io
import json
import zipfile

import httpx
import pytest

from sdp_kernel.deploy import session_cluster
from sdp_kernel.deploy.script_mark import script_hash
from sdp_kernel.deploy.session_cluster import DRIVER, run_sql_job
from sdp_kernel.errors import JobFailed, SdpError
from sdp_kernel.flink.jobs import JobManager

JAR = "/flink-web/0123_a.jar"
ID = "a" * 32


class Cluster:
    """A JobManager that answers from a script of states."""

    def __init__(self, *states, jobs=(), refuse=None, cause="", tasks=None):
        self.states = list(states)
        self.jobs = list(jobs)
        self.refuse = refuse
        self.cause = cause
        self.tasks = tasks or {}
        self.calls = []
        self.jar = b""
        self.body = {}

    def __call__(self, request):
        method, path = request.method, request.url.path
        self.calls.append(f"{method} {path}")
        if path == "/jobs/overview":
            return httpx.Response(200, json={"jobs": self.jobs})
        if path == "/jars/upload":
            self.jar = request.read()
            return httpx.Response(200, json={"filename": JAR, "status": "success"})
        if path.endswith("/run"):
            self.body = json.loads(request.read())
            if self.refuse:
                return httpx.Response(400, json={"errors": [self.refuse]})
            return httpx.Response(200, json={"jobid": ID})
        if method == "DELETE":
            return httpx.Response(200, json={})
        if path.endswith("/status"):
            state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            return httpx.Response(200, json={"status": state})
        if path.endswith("/exceptions"):
            entries = [{"stacktrace": self.cause}] if self.cause else []
            return httpx.Response(200, json={"exceptionHistory": {"entries": entries}})
        return httpx.Response(200, json={"vertices": [{"tasks": self.tasks}]})


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setattr(session_cluster, "_STEADY_S", 0.05)
    monkeypatch.setattr(session_cluster, "_START_S", 1.0)
    monkeypatch.setattr(session_cluster, "_TURN_S", 0.01)

    def run(cluster, script="INSERT INTO o SELECT 1;\n"):
        jobmanager = JobManager("http://127.0.0.1:1", transport=httpx.MockTransport(cluster))
        return run_sql_job(jobmanager, script, name="orders")

    return run


def test_the_script_goes_to_flink_s_own_driver_in_an_empty_jar(run):
    cluster = Cluster("RUNNING")
    script = "SET 'a' = 'b';\nINSERT INTO ü SELECT 'x';\n"
    assert run(cluster, script) == ID
    assert cluster.body == {
        "entryClass": DRIVER,
        "programArgsList": ["--script", script],
        "flinkConfiguration": {
            "pipeline.name": "orders",
            "pipeline.global-job-parameters": f"sdp.script.sha256:{script_hash(script)}",
        },
    }
    start = cluster.jar.index(b"PK")
    with zipfile.ZipFile(io.BytesIO(cluster.jar[start:])) as archive:
        assert archive.namelist() == ["META-INF/MANIFEST.MF"]
    assert "DELETE /jars/0123_a.jar" in cluster.calls


def test_a_bounded_job_may_have_finished(run):
    assert run(Cluster("CREATED", "RUNNING", "FINISHED")) == ID


def test_a_job_that_fails_gives_its_root_cause(run):
    cause = "org.apache.kafka.common.errors.SaslAuthenticationException: wrong password\n\tat x.Y(Z.java:1)"
    with pytest.raises(JobFailed, match=r"orders is FAILED: wrong password") as caught:
        run(Cluster("RUNNING", "FAILED", cause=cause))
    assert caught.value.job_id == ID


def test_a_job_that_restarts_has_not_started(run):
    with pytest.raises(JobFailed, match="is RESTARTING: cannot read"):
        run(Cluster("RUNNING", "RESTARTING", cause="java.lang.RuntimeException: cannot read"))


@pytest.mark.parametrize("cluster", [Cluster("CREATED"), Cluster("RUNNING", tasks={"SCHEDULED": 1})])
def test_a_job_without_a_slot_is_named_in_time(run, cluster):
    with pytest.raises(JobFailed, match="does not run after") as caught:
        run(cluster)
    assert "task slots" in caught.value.hint
    assert caught.value.job_id == ID


def test_a_script_that_flink_refuses_leaves_no_jar(run):
    cluster = Cluster("RUNNING", refuse="org.apache.flink.table.api.ValidationException: no table o")
    with pytest.raises(SdpError, match="no table o"):
        run(cluster)
    assert "DELETE /jars/0123_a.jar" in cluster.calls


def job(name, state):
    return {"jid": "b" * 32, "name": name, "state": state, "start-time": 1, "duration": 1}


def test_a_job_of_that_name_that_runs_is_not_doubled(run):
    cluster = Cluster("RUNNING", jobs=[job("orders", "RUNNING")])
    with pytest.raises(JobFailed, match="already runs") as caught:
        run(cluster)
    assert caught.value.job_id == "b" * 32
    assert cluster.calls == ["GET /jobs/overview"]


def test_a_job_of_that_name_that_ended_is_no_hindrance(run):
    assert run(Cluster("RUNNING", jobs=[job("orders", "CANCELED"), job("other", "RUNNING")])) == ID
