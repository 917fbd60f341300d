"""Drift between the repository and FlinkSessionJobs of a real API server."""

import subprocess

import pytest
from kubernetes import client

import sdp_kernel
from tests.kubernetes.flink import add_deployment
from tests.kubernetes.jobs import add_job
from tests.kubernetes.test_apply import edit, team

pytestmark = pytest.mark.kubernetes


def commit(repository):
    for arguments in (
        ["add", "-A"],
        ["-c", "user.name=A", "-c", "user.email=a@b.c", "commit", "-q", "-m", "x"],
    ):
        subprocess.run(["git", *arguments], cwd=repository, check=True)


@pytest.fixture
def workbench(tmp_path, api, namespace):
    add_deployment(api, namespace)
    team(tmp_path, api, namespace)
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=tmp_path, check=True)
    commit(tmp_path)
    with sdp_kernel.connect("dev", directory=tmp_path) as opened:
        yield opened


def patch(api, namespace, spec):
    objects = client.CustomObjectsApi(api.client())
    objects.patch_namespaced_custom_object(
        "flink.apache.org", "v1beta1", namespace, "flinksessionjobs", "orders", {"spec": spec}
    )


def cluster(workbench):
    (job,) = workbench.drift("orders").jobs
    return job.cluster


def test_a_job_is_as_applied_until_the_server_or_the_repository_changes(workbench, api, namespace, tmp_path):
    assert cluster(workbench).state == "only"
    workbench.apply("orders", confirm=True, wait=0)
    assert cluster(workbench).state == "same"
    patch(api, namespace, {"job": {"parallelism": 4}, "restartNonce": 3})
    changed = cluster(workbench)
    assert changed.state == "changed"
    assert "+    parallelism: 4" in changed.diff
    workbench.apply("orders", confirm=True, wait=0, force_conflicts=True)
    assert cluster(workbench).state == "same"
    edit(tmp_path, "SUM(amount)", "MAX(amount)", "sql/jobs/orders.sql")
    assert cluster(workbench).state == "same"
    commit(tmp_path)
    assert "-      SELECT MAX(amount) FROM orders" in cluster(workbench).diff
    add_job(api, namespace, "stray")
    found = workbench.drift()
    assert [name for name, _ in found.others] == ["stray"]
    assert found.jobs[0].cell.state == "unknown"
