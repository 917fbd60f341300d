"""Terraform and ``sdp apply`` on one job: both write the same, and neither overwrites the other unasked."""

import json
import shutil
import subprocess

import pytest
from kubernetes import client

import sdp_kernel
from sdp_kernel.deploy import operations
from sdp_kernel.deploy.kubernetes import FLINK_SESSION_JOB
from sdp_kernel.errors import Conflict
from tests import tools
from tests.kubernetes.flink import add_deployment
from tests.kubernetes.jobs import get, obedient, operator
from tests.kubernetes.test_apply import edit, team
from tests.terraform.running import MODULES, PROVIDER

VARIABLES = 'variable "namespace" { type = string }\nvariable "kafka" { type = map(map(string)) }\n'


class Terraform:
    """The Terraform root of a team's repository."""

    def __init__(self, root, api, variables):
        self.root = root
        self.environment = {**tools.environment(), "KUBECONFIG": str(api.kubeconfig())}
        shutil.copytree(
            MODULES, root / "modules", ignore=shutil.ignore_patterns("examples", "tests", ".terraform*")
        )
        (root / "versions.tf").write_text(PROVIDER + VARIABLES)
        (root / "given.auto.tfvars.json").write_text(json.dumps(variables))
        self("init", "-no-color", "-input=false")

    def __call__(self, *arguments, fails=False):
        done = subprocess.run(
            [tools.terraform(), *arguments], cwd=self.root, env=self.environment, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert bool(done.returncode) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    def apply(self, *, fails=False):
        return self("apply", "-no-color", "-input=false", "-auto-approve", fails=fails)


@pytest.fixture
def workbench(tmp_path, api, namespace):
    add_deployment(api, namespace)
    with sdp_kernel.connect("dev", directory=team(tmp_path, api, namespace)) as opened:
        yield opened


@pytest.fixture
def terraform(tmp_path, api, namespace, workbench):
    kafka = {alias: dict(cluster.properties) for alias, cluster in workbench.profile.kafka.items()}
    return Terraform(tmp_path / "terraform", api, {"namespace": namespace, "kafka": kafka})


def appliers(api, namespace):
    entries = get(api, namespace)["metadata"]["managedFields"]
    return sorted(entry["manager"] for entry in entries if entry["operation"] == "Apply")


def test_a_job_tried_with_sdp_apply_is_taken_on_by_terraform_and_has_one_content(
    tmp_path, api, namespace, workbench, terraform
):
    workbench.apply("orders", confirm=True, wait=0)
    edit(tmp_path, "parallelism     = 1", "parallelism     = 3")
    assert 'conflict with "sdp"' in terraform.apply(fails=True)
    workbench.apply("orders", confirm=True, wait=0)
    before = get(api, namespace)
    assert "1 added" in terraform.apply()
    after = get(api, namespace)
    assert after["spec"] == before["spec"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert appliers(api, namespace) == ["kubectl", "sdp"]
    assert "No changes" in terraform("plan", "-no-color", "-input=false")
    assert workbench.apply("orders", confirm=True, wait=0).change.action == "unchanged"

    edit(tmp_path, "parallelism     = 3", "parallelism     = 2")
    with pytest.raises(Conflict, match="managed by Terraform"):
        workbench.apply("orders", confirm=True, wait=0)
    assert get(api, namespace)["spec"]["job"]["parallelism"] == 3


def test_a_forced_suspension_is_seen_by_terraform_and_not_undone_by_accident(
    tmp_path, api, namespace, workbench, terraform
):
    terraform.apply()
    with operator(api, namespace, obedient):
        with pytest.raises(Conflict, match="managed by Terraform"):
            workbench.deployed.suspend("orders", confirm=True, wait=20)
        assert workbench.deployed.suspend("orders", confirm=True, force=True, wait=20).settled
    assert "1 to change" in terraform("plan", "-no-color", "-input=false")
    assert 'conflict with "sdp"' in terraform.apply(fails=True)
    assert get(api, namespace)["spec"]["job"]["state"] == "suspended"
    edit(tmp_path, 'state           = "running"', 'state           = "suspended"')
    terraform.apply()
    edit(tmp_path, 'state           = "suspended"', 'state           = "running"')
    with operator(api, namespace, obedient):
        assert workbench.deployed.resume("orders", confirm=True, force=True, wait=20).settled
    terraform.apply()
    assert "No changes" in terraform("plan", "-no-color", "-input=false")
    assert get(api, namespace)["kind"] == FLINK_SESSION_JOB.name


def test_a_savepoint_is_no_difference_to_terraform(api, namespace, workbench, terraform):
    terraform.apply()
    done = {"state": "COMPLETED", "path": "s3://b/1"}
    with operator(api, namespace, obedient, snapshots=lambda _: done):
        workbench.deployed.resume("orders", confirm=True, wait=20)
        assert workbench.deployed.savepoint("orders", confirm=True, wait=20).path == "s3://b/1"
    assert "No changes" in terraform("plan", "-no-color", "-input=false")


def test_a_status_told_meanwhile_is_no_conflict_and_a_change_of_the_job_is(
    api, namespace, workbench, monkeypatch
):
    workbench.apply("orders", confirm=True, wait=0)
    objects, find = client.CustomObjectsApi(api.client()), operations.find

    def meanwhile(write, body):
        def looked_at(*arguments):
            found = find(*arguments)
            write("flink.apache.org", "v1beta1", namespace, "flinksessionjobs", "orders", body)
            return found

        monkeypatch.setattr(operations, "find", looked_at)

    told = {"status": {"observedGeneration": 7}}
    meanwhile(objects.patch_namespaced_custom_object_status, told)
    with operator(api, namespace, obedient):
        assert workbench.deployed.suspend("orders", confirm=True, wait=20).settled
        meanwhile(objects.patch_namespaced_custom_object, {"spec": {"job": {"parallelism": 4}}})
        with pytest.raises(Conflict, match="changed by another"):
            workbench.deployed.resume("orders", confirm=True, wait=20)
    assert get(api, namespace)["spec"]["job"]["state"] == "suspended"
