"""Jobs on Kubernetes: what is read of their resources, and what is changed through them."""

import contextlib
import http.server
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from IPython.testing.globalipapp import start_ipython

import sdp_kernel
from sdp_kernel.deploy.kubernetes import FLINK_DEPLOYMENT, FLINK_SESSION_JOB, Api
from sdp_kernel.deploy.resources import FLINK_STATE_SNAPSHOT
from sdp_kernel.errors import (
    Conflict,
    Forbidden,
    JobFailed,
    KubernetesError,
    MissingCrd,
    ReadOnly,
    ResourceNotFound,
    UsageError,
)
from tests.kubernetes.flink import add_deployment, add_pod, grant
from tests.kubernetes.jobs import (
    FAULT,
    JOB_ID,
    SUSPENDED,
    add_job,
    get,
    kubernetes,
    obedient,
    operator,
    running,
    set_status,
)


def project(path, api, namespace, user="admin", more=""):
    path.mkdir(exist_ok=True)
    (path / "sdp.toml").write_text(
        f"[profiles.dev]\n{more}\n[profiles.dev.kubernetes]\ncontext = 'test'\nnamespace = '{namespace}'\n"
        f"kubeconfig = '{api.kubeconfig(user)}'\n"
    )
    return path


@pytest.fixture
def directory(tmp_path, api, namespace):
    return project(tmp_path / "project", api, namespace)


@pytest.fixture
def deployed(directory):
    with sdp_kernel.connect("dev", directory=directory) as workbench:
        yield workbench.deployed


def add_snapshot(api, namespace, job="orders", kind="FlinkSessionJob", status=None, **spec):
    body = {
        "apiVersion": "flink.apache.org/v1beta1", "kind": "FlinkStateSnapshot",
        "metadata": {"generateName": f"{job}-"}, "spec": {"jobReference": {"kind": kind, "name": job}, **spec},
    }  # fmt: skip
    with Api(kubernetes(api, namespace)) as client:
        made = client.call("POST", FLINK_STATE_SNAPSHOT.path(namespace), body=body)
        set_status(client, FLINK_STATE_SNAPSHOT, made["metadata"]["name"], status)


def snapshots(api, namespace):
    with Api(kubernetes(api, namespace)) as client:
        return list(client.list(FLINK_STATE_SNAPSHOT))


def test_jobs_of_both_kinds_are_listed_and_session_clusters_are_not(api, namespace, deployed):
    add_deployment(api, namespace)
    add_deployment(api, namespace, "application", job={"jarURI": "local:///a.jar", "parallelism": 3},
                   status={**running(), "observedGeneration": 1})  # fmt: skip
    add_job(api, namespace, "orders", status=running())
    add_job(api, namespace, "new", state="suspended")
    application, new, orders = deployed.jobs()
    assert (application.kind, application.cluster, application.parallelism) == (
        "FlinkDeployment",
        "application",
        3,
    )
    assert (orders.kind, orders.cluster, orders.job_state) == ("FlinkSessionJob", "session", "RUNNING")
    assert (orders.lifecycle, orders.reconciliation, orders.job_id) == ("STABLE", "DEPLOYED", JOB_ID)
    assert 89_000 < orders.duration_ms < 400_000
    assert (orders.running, orders.current, orders.managers) == (True, True, ("tester",))
    assert (new.desired, new.lifecycle, new.job_state, new.job_id) == ("suspended", "", "", "")
    assert (new.duration_ms, new.running, new.current) == (None, False, False)


def test_an_error_is_its_innermost_reason_without_the_java_stack(api, namespace, deployed):
    add_job(api, namespace, status={"lifecycleState": "FAILED", "error": FAULT})
    add_job(api, namespace, "plain", status={"error": "something\twent wrong"})
    orders, plain = deployed.jobs()
    assert orders.error == "Table `orders` was <b>not</b> found."
    assert plain.error == "something went wrong"


def test_the_newest_savepoint_is_found_wherever_the_operator_keeps_it(api, namespace, deployed):
    told = {"savepointInfo": {"lastSavepoint": {"location": "s3://b/old", "timeStamp": 1_700_000_000_000}}}
    add_job(api, namespace, "a", status=running(**told))
    add_job(api, namespace, "b", status=running(upgradeSavepointPath="s3://b/upgrade", **told))
    add_job(api, namespace, "c", status=running(upgradeSavepointPath="s3://b/upgrade"))
    for at, path in (("2025-01-02T00:00:00.5Z", "s3://b/newer"), ("2025-01-01T00:00:00Z", "s3://b/older")):
        add_snapshot(
            api,
            namespace,
            "a",
            savepoint={},
            status={"state": "COMPLETED", "path": path, "resultTimestamp": at},
        )
    add_snapshot(api, namespace, "a", checkpoint={}, status={"state": "COMPLETED", "path": "s3://b/chk-1"})
    add_snapshot(api, namespace, "b", savepoint={}, status={"state": "FAILED", "error": FAULT})
    a, b, c = deployed.jobs()
    assert (a.savepoint, a.checkpoint) == ("s3://b/newer", "s3://b/chk-1")
    assert (b.savepoint, c.savepoint) == ("s3://b/old", "s3://b/upgrade")


def test_a_job_leads_to_the_flink_ui_that_the_clusters_ingress_has(api, namespace, deployed):
    add_deployment(api, namespace)
    add_job(api, namespace, status=running())
    with Api(kubernetes(api, namespace)) as client:
        ingress = {"template": "/{{namespace}}/{{name}}(/|$)(.*)"}
        for template, expected in (
            ("{{name}}.{{namespace}}.flink.example.com", f"http://session.{namespace}.flink.example.com"),
            (f"flink.example.com{ingress['template']}", f"http://flink.example.com/{namespace}/session"),
        ):
            client.call("PATCH", FLINK_DEPLOYMENT.path(namespace, "session"),
                        body={"spec": {"ingress": {"template": template}}},
                        content_type="application/merge-patch+json")  # fmt: skip
            assert deployed.jobs()[0].ui == f"{expected}/#/job/running/{JOB_ID}"


def test_a_job_is_suspended_with_a_savepoint_and_goes_on(api, namespace, deployed):
    add_job(api, namespace, status=running())
    with operator(api, namespace, obedient):
        verdict = deployed.suspend("orders", confirm=True, force=True, wait=20)
        assert verdict.text == "orders is suspended; savepoint s3://b/savepoint-7"
        assert get(api, namespace)["spec"]["job"]["state"] == "suspended"
        again = deployed.suspend("orders", confirm=True, wait=20)
        assert again.settled
        assert deployed.resume("orders", confirm=True, wait=20).text == f"orders runs: job {JOB_ID}"
    assert get(api, namespace)["spec"]["job"]["state"] == "running"
    assert get(api, namespace)["spec"]["job"]["parallelism"] == 2


def test_a_restart_is_another_nonce(api, namespace, deployed):
    add_job(api, namespace, status=running())
    with operator(api, namespace, obedient):
        assert deployed.restart("orders", confirm=True, wait=20).settled
        deployed.restart("orders", confirm=True, wait=20)
    assert get(api, namespace)["spec"]["restartNonce"] == 2


def test_an_application_is_suspended_as_well(api, namespace, deployed):
    add_deployment(api, namespace, "application", job={"jarURI": "local:///a.jar", "state": "running"})
    assert not deployed.suspend("application", confirm=True, wait=0.2).answered
    assert get(api, namespace, "application", FLINK_DEPLOYMENT)["spec"]["job"]["state"] == "suspended"


def test_a_state_from_before_a_change_is_not_taken_for_its_outcome(api, namespace, deployed):
    add_job(api, namespace, status=running())
    with Api(kubernetes(api, namespace)) as client:
        later = threading.Timer(
            0.3, set_status, (client, FLINK_SESSION_JOB, "orders", {**running(), "observedGeneration": 1})
        )
        later.start()
        verdict = deployed.restart("orders", confirm=True, wait=1)
        later.join()
    assert (verdict.settled, verdict.answered) == (False, False)


def test_what_terraform_manages_is_changed_only_by_force(api, namespace, deployed):
    add_job(api, namespace, manager="kubectl", status=running())
    for change in (deployed.suspend, deployed.delete):
        with pytest.raises(Conflict, match=r"managed by Terraform \(field manager kubectl\)") as refused:
            change("orders", confirm=True, wait=0)
        assert "terraform/orders.tf" in refused.value.hint
    assert get(api, namespace)["spec"]["job"]["state"] == "running"
    deployed.suspend("orders", confirm=True, force=True, wait=0)
    assert get(api, namespace)["spec"]["job"]["state"] == "suspended"


def test_a_savepoint_is_a_snapshot_that_outlives_its_resource(api, namespace, deployed):
    add_job(api, namespace, manager="kubectl", status=running())
    before = get(api, namespace)["metadata"]["generation"]
    done = {"state": "COMPLETED", "path": "s3://b/savepoint-1"}
    with operator(api, namespace, obedient, snapshots=lambda _: done):
        taken = deployed.savepoint("orders", directory="s3://b/mine", confirm=True, wait=20)
    assert taken.path == "s3://b/savepoint-1"
    (snapshot,) = snapshots(api, namespace)
    assert snapshot["metadata"]["name"] == taken.snapshot
    assert snapshot["spec"] == {
        "backoffLimit": 0,
        "jobReference": {"kind": "FlinkSessionJob", "name": "orders"},
        "savepoint": {"disposeOnDelete": False, "path": "s3://b/mine"},
    }
    assert get(api, namespace)["metadata"]["generation"] == before


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"state": "FAILED", "error": FAULT}, r"failed \(failed\): Table `orders` was"),
        ({"state": "ABANDONED"}, r"failed \(abandoned\): the job is gone, or stopped"),
        ({"state": "IN_PROGRESS"}, "has not ended within 0.5 s: it is in progress"),
        (None, "has not ended within 0.5 s: it was not looked at by any Flink operator"),
    ],
)
def test_a_savepoint_that_is_not_taken_is_told_with_the_reason(api, namespace, deployed, status, words):
    add_job(api, namespace, status=running())
    with (
        operator(api, namespace, lambda _: None, snapshots=lambda _: status),
        pytest.raises(JobFailed, match=words),
    ):
        deployed.savepoint("orders", confirm=True, wait=0.5)


def test_a_job_that_does_not_run_has_no_savepoint_taken(api, namespace, deployed):
    add_job(api, namespace, state="suspended", status=SUSPENDED)
    with pytest.raises(JobFailed, match="it does not run") as refused:
        deployed.savepoint("orders", confirm=True)
    assert refused.value.hint == "its newest one is s3://b/savepoint-7"
    assert snapshots(api, namespace) == []


def test_a_deleted_job_is_awaited_and_what_holds_it_is_named(api, namespace, deployed):
    add_job(api, namespace)
    assert deployed.delete("orders", confirm=True, force=True) == "orders is deleted"
    assert deployed.jobs() == []
    add_job(api, namespace)
    with Api(kubernetes(api, namespace)) as client:
        held = {"metadata": {"finalizers": ["flinksessionjobs.flink.apache.org/finalizer"]}}
        merge = "application/merge-patch+json"
        path = FLINK_SESSION_JOB.path(namespace, "orders")
        client.call("PATCH", path, body=held, content_type=merge)
        said = deployed.delete("orders", confirm=True, force=True, wait=0.3)
        assert said.endswith("after 0.3 s it waits for flinksessionjobs.flink.apache.org/finalizer")
        assert deployed.jobs()[0].deleting
        client.call("PATCH", path, body={"metadata": {"finalizers": None}}, content_type=merge)


def test_a_job_that_is_not_there_is_named_with_those_that_are(api, namespace, deployed):
    add_deployment(api, namespace)
    add_job(api, namespace, "orders")
    for name in ("order", "session"):
        with pytest.raises(ResourceNotFound, match=f"no job '{name}'") as missing:
            deployed.suspend(name, confirm=True)
        assert missing.value.hint == "jobs there: orders"
    for name in ("", "a/b", "pod/orders"):
        with pytest.raises(UsageError):
            deployed.suspend(name, confirm=True)


def test_of_two_kinds_with_one_name_the_kind_is_asked_for(api, namespace, deployed):
    add_deployment(api, namespace, "orders", job={"jarURI": "local:///a.jar", "state": "running"})
    add_job(api, namespace, "orders")
    with pytest.raises(UsageError, match="FlinkSessionJob and a FlinkDeployment are called 'orders'"):
        deployed.suspend("orders", confirm=True)
    deployed.suspend("FlinkDeployment/orders", confirm=True, wait=0)
    assert get(api, namespace)["spec"]["job"]["state"] == "running"


def test_changes_need_a_profile_that_is_not_read_only_and_a_yes(tmp_path, api, namespace, deployed):
    add_job(api, namespace, status=running())
    changes = ("suspend", "resume", "restart", "savepoint", "delete")
    reading = project(tmp_path / "reading", api, namespace, more="read_only = true")
    with sdp_kernel.connect("dev", directory=reading) as workbench:
        assert [job.name for job in workbench.deployed.jobs()] == ["orders"]
        for name in changes:
            with pytest.raises(ReadOnly, match="read-only"):
                getattr(workbench.deployed, name)("orders", confirm=True)
    for name in changes:
        with pytest.raises(ReadOnly, match="not confirmed"):
            getattr(deployed, name)("orders")
    assert snapshots(api, namespace) == []


def test_rbac_is_named_and_what_may_not_be_seen_is_left_out(tmp_path, api, namespace):
    add_job(api, namespace, status=running(upgradeSavepointPath="s3://b/1"))
    barred = project(tmp_path / "barred", api, namespace, user="nobody")
    with (
        sdp_kernel.connect("dev", directory=barred) as workbench,
        pytest.raises(Forbidden, match="may not list"),
    ):
        workbench.deployed.jobs()
    grant(api, "reader", namespace, ("flink.apache.org", ["flinksessionjobs"], ["get", "list"]))
    with sdp_kernel.connect(
        "dev", directory=project(tmp_path / "r", api, namespace, user="reader")
    ) as workbench:
        (job,) = workbench.deployed.jobs()
        found = workbench.deployed.figures([job])
        with pytest.raises(Forbidden, match="may not patch flinksessionjobs"):
            workbench.deployed.suspend("orders", confirm=True, force=True)
    assert job.savepoint == "s3://b/1"
    assert "may not get flinkdeployments" in found.notes[0]


def test_masked_values_do_not_come_out_of_the_operators_errors(tmp_path, api, namespace):
    fault = json.dumps(
        {
            "message": "x",
            "throwableList": [{"message": 'Failed to deserialize JSON \'{"email": "a@b.example"}\'.'}],
        }
    )
    add_job(api, namespace, status={"error": fault})
    masked = project(tmp_path / "m", api, namespace)
    with (masked / "sdp.toml").open("a") as file:
        file.write("[masking.columns]\nemail = 'redact'\n")
    with sdp_kernel.connect("dev", directory=masked) as workbench:
        (job,) = workbench.deployed.jobs()
    assert "a@b.example" not in job.error
    assert "Failed to deserialize" in job.error


@contextlib.contextmanager
def jobmanager():
    """A JobManager's REST API with one job, on this machine."""
    answers = {
        f"/jobs/{JOB_ID}": {
            "jid": JOB_ID, "name": "orders", "state": "RUNNING", "start-time": int(time.time() * 1000) - 5000,
            "duration": 5000, "now": int(time.time() * 1000), "maxParallelism": 128, "vertices": [],
            "plan": {"nodes": []},
        },
        f"/jobs/{JOB_ID}/metrics": [
            {"id": "numRestarts", "value": "3"}, {"id": "numberOfCompletedCheckpoints", "value": "41"},
        ],
    }  # fmt: skip

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            found = answers.get(self.path.split("?")[0])
            body = json.dumps(found if found is not None else {"errors": ["unknown"]}).encode()
            self.send_response(200 if found is not None else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_figures_come_from_the_jobmanager_through_a_port_forward(api, namespace, deployed):
    with jobmanager() as port:
        add_deployment(api, namespace, configuration={"rest.port": str(port)})
        add_pod(api, namespace)
        add_job(api, namespace, status=running())
        found = deployed.figures(deployed.jobs())
    assert found.notes == ()
    assert (found.vitals[JOB_ID].restarts, found.vitals[JOB_ID].checkpoints) == (3, 41)


def test_a_cluster_that_is_not_reached_is_noted_and_the_jobs_are_listed(api, namespace, deployed):
    add_deployment(api, namespace)
    add_job(api, namespace, status=running())
    found = deployed.figures(deployed.jobs())
    assert found.vitals == {}
    assert found.notes[0].startswith("no figures of session: no JobManager pod of session runs")


@pytest.fixture(scope="module")
def shell():
    return start_ipython()


def magic(shell, directory, line, capsys):
    """Run ``%jobs``; returns what is shown as text and as HTML."""
    from IPython.utils.capture import capture_output

    here = Path.cwd()
    os.chdir(directory)
    try:
        shell.extension_manager.load_extension("sdp_kernel")
        with capsys.disabled(), capture_output() as shown:
            shell.run_line_magic("jobs", line)
    finally:
        os.chdir(here)
    return (
        "\n".join(output.data.get("text/plain", "") for output in shown.outputs),
        "\n".join(output.data.get("text/html", "") for output in shown.outputs),
    )


def test_the_magic_lists_jobs_and_escapes_what_comes_from_the_cluster(
    shell, api, namespace, directory, capsys
):
    add_job(api, namespace, "orders", status={**running(), "error": FAULT})
    add_job(api, namespace, "idle", state="suspended", status=SUSPENDED)
    text, drawn = magic(shell, directory, "--profile dev", capsys)
    assert [line.split()[0] for line in text.splitlines()[:3]] == ["job", "idle", "orders"]
    assert "STABLE, error" in text
    assert "orders: Table `orders` was <b>not</b> found." in text
    assert "was &lt;b&gt;not&lt;/b&gt; found" in drawn
    assert "<b>not</b>" not in drawn


def test_the_magic_changes_a_job_once_it_is_confirmed(shell, api, namespace, directory, capsys):
    add_job(api, namespace, status=running())
    with pytest.raises(ReadOnly, match="not confirmed: suspend the job 'orders'"):
        magic(shell, directory, "suspend orders --profile dev --force", capsys)
    with operator(api, namespace, obedient, snapshots=lambda _: {"state": "COMPLETED", "path": "s3://b/1"}):
        text, _ = magic(shell, directory, "savepoint orders --profile dev --yes", capsys)
        assert text.startswith("s3://b/1\n")
        text, _ = magic(shell, directory, "suspend orders --profile dev --force --yes", capsys)
        assert text.startswith("orders is suspended; savepoint")
        text, _ = magic(shell, directory, "resume orders --profile dev --yes", capsys)
        assert text.startswith("orders runs")


def sdp(directory, *arguments):
    return subprocess.run(
        [Path(sys.executable).parent / "sdp", *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_lists_and_changes_jobs(api, namespace, directory):
    assert sdp(directory, "jobs").stdout == f"no jobs in the namespace {namespace}\n"
    add_job(api, namespace, manager="sdp", status=running())
    shown = sdp(directory, "jobs")
    assert shown.stdout.splitlines()[1].split() == [
        "orders",
        "RUNNING",
        "STABLE",
        "session",
        "2",
        "-",
        "-",
        "-",
        JOB_ID,
    ]
    assert "no figures of session" in shown.stderr
    (as_json,) = json.loads(sdp(directory, "jobs", "--profile", "dev", "--json").stdout)
    assert (as_json["name"], as_json["job_id"], as_json["managers"], as_json["figures"]) == (
        "orders",
        JOB_ID,
        [],
        None,
    )
    assert "not confirmed" in sdp(directory, "jobs", "suspend", "orders").stderr
    with operator(api, namespace, obedient):
        assert (
            "orders is suspended"
            in sdp(directory, "jobs", "--profile", "dev", "suspend", "orders", "--yes").stdout
        )
        assert "orders runs" in sdp(directory, "jobs", "resume", "orders", "--profile", "dev", "--yes").stdout
    late = sdp(directory, "jobs", "restart", "orders", "--yes", "--wait", "0.2")
    assert (late.returncode, "no Flink operator has looked at orders" in late.stdout) == (1, True)
    assert sdp(directory, "jobs", "delete", "orders", "--yes").stdout == "orders is deleted\n"


def test_without_snapshots_an_operator_is_too_old_for_savepoints(api, namespace, deployed):
    from kubernetes import client

    add_job(api, namespace, status=running())
    crds = client.ApiextensionsV1Api(api.client())
    name = "flinkstatesnapshots.flink.apache.org"
    kept = client.ApiClient().sanitize_for_serialization(crds.read_custom_resource_definition(name))
    crds.delete_custom_resource_definition(name)
    try:
        await_snapshots(api, namespace, served=False)
        assert [job.name for job in deployed.jobs()] == ["orders"]
        with pytest.raises(MissingCrd, match=r"its Flink operator is older than 1\.10"):
            deployed.savepoint("orders", confirm=True)
    finally:
        for _ in range(100):
            with contextlib.suppress(client.exceptions.ApiException):
                crds.create_custom_resource_definition({**kept, "metadata": {"name": name}})
                break
            time.sleep(0.1)
        await_snapshots(api, namespace, served=True)


def await_snapshots(api, namespace, *, served):
    """Wait until the server serves FlinkStateSnapshots, or does not any more."""
    for _ in range(200):
        try:
            snapshots(api, namespace)
            if served:
                return
        except KubernetesError:
            if not served:
                return
        time.sleep(0.05)
    raise AssertionError(f"served is not {served}")
