"""``sdp apply``: a job's Terraform file applied to a real API server, and what is refused before or by it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kubernetes import client

import sdp_kernel
from sdp_kernel.deploy.kubernetes import FLINK_SESSION_JOB
from sdp_kernel.errors import (
    Conflict,
    Expired,
    Forbidden,
    JobFailed,
    KubernetesError,
    MissingCrd,
    ParameterError,
    ReadOnly,
    ResourceNotFound,
    UsageError,
)
from sdp_kernel.promote import render
from tests.kubernetes import apiserver
from tests.kubernetes.flink import add_deployment, grant
from tests.kubernetes.jobs import FAULT, JOB_ID, add_job, get, obedient, operator, running

TABLE = "CREATE TABLE orders (amount INT) WITH ('connector' = 'kafka', ${kafka.main}, 'topic' = '${topic}')"
INSERT = "INSERT INTO totals\nSELECT SUM(amount) FROM orders"


def team(path, api, namespace, *, user="admin", more="apply = true", profile=""):
    """Write a team's repository with one promoted job."""
    for name, text in {
        "sdp.toml": f"[profiles.dev]\n{profile}\n[profiles.dev.kubernetes]\ncontext = 'test'\nnamespace = '{namespace}'\n"
        f"deployment = 'session'\nkubeconfig = '{api.kubeconfig(user)}'\n{more}\n"
        "[profiles.dev.kafka.main]\n'bootstrap.servers' = 'kafka:9092'\n'sasl.mechanism' = 'PLAIN'\n"
        "'sasl.username' = 'u'\n'sasl.password' = 'env:PASSWORD'\n",
        "sql/tables/orders.sql": f"{TABLE};\n",
        "sql/jobs/orders.sql": render.job_sql("orders", [], INSERT),
        "terraform/orders.tf": render.terraform(
            "orders", module_source="./modules/flink/sql-job", session_cluster="session",
            files=["sql/tables/orders.sql", "sql/jobs/orders.sql"], arguments={"topic": "orders"},
            aliases=["kafka.main"],
        ),
    }.items():  # fmt: skip
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return path


@pytest.fixture
def repository(tmp_path, api, namespace):
    add_deployment(api, namespace)
    return team(tmp_path, api, namespace)


@pytest.fixture
def workbench(repository):
    with sdp_kernel.connect("dev", directory=repository) as opened:
        yield opened


def edit(repository, before, after, path="terraform/orders.tf"):
    file = repository / path
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


def there(api, namespace):
    objects = client.CustomObjectsApi(api.client())
    found = objects.list_namespaced_custom_object(
        "flink.apache.org", "v1beta1", namespace, "flinksessionjobs"
    )
    return [item["metadata"]["name"] for item in found["items"]]


def sdp(repository, *arguments):
    return subprocess.run(
        [Path(sys.executable).parent / "sdp", *arguments], cwd=repository, capture_output=True, text=True,
        check=False, env=os.environ,
    )  # fmt: skip


def test_a_promoted_job_is_applied_and_runs_once_the_operator_says_so(api, namespace, workbench):
    seen = []
    with operator(api, namespace, obedient):
        applied = workbench.apply(
            "orders", confirm=True, wait=20, on_look=lambda job: seen.append(job.lifecycle)
        )
    assert applied.change.action == "created"
    assert applied.verdict.settled
    assert applied.verdict.text == f"orders runs: job {JOB_ID}"
    assert (seen[0], seen[-1]) == ("", "STABLE")
    spec = get(api, namespace)["spec"]
    assert spec["deploymentName"] == "session"
    script = spec["job"]["args"][1]
    assert "${env:PASSWORD}" in script
    assert "'topic' = 'orders'" in script
    assert get(api, namespace)["metadata"]["managedFields"][0]["manager"] == "sdp"


def test_what_is_stored_is_what_terraform_would_store(api, namespace, workbench):
    workbench.apply("orders", confirm=True, wait=0)
    ours = json.loads(workbench.deployed.manifest("orders").text)
    stored = get(api, namespace)
    assert stored["spec"] == ours["spec"]
    assert stored["metadata"]["labels"] == ours["metadata"]["labels"]


def test_a_dry_run_shows_the_servers_difference_and_changes_nothing(api, namespace, repository, workbench):
    applied = workbench.apply("orders", dry_run=True)
    assert str(applied) == f"{namespace}/orders: would be created"
    assert "+      INSERT INTO totals\n+      SELECT SUM(amount) FROM orders" in applied.change.diff
    assert there(api, namespace) == []
    workbench.apply("orders", confirm=True, wait=0)
    edit(repository, "parallelism     = 1", "parallelism     = 3")
    before = get(api, namespace)["metadata"]["resourceVersion"]
    changed = workbench.apply("orders", dry_run=True)
    lines = [line for line in changed.change.diff.splitlines()[2:] if line[0] in "+-"]
    assert lines == ["-    parallelism: 1", "+    parallelism: 3"]
    assert get(api, namespace)["metadata"]["resourceVersion"] == before


def test_applying_the_same_again_changes_nothing_and_asks_for_the_verdict(api, namespace, workbench):
    with operator(api, namespace, obedient):
        workbench.apply("orders", confirm=True, wait=20)
        before = get(api, namespace)["metadata"]["generation"]
        again = workbench.apply("orders", confirm=True, wait=20)
    assert again.change.action == "unchanged"
    assert again.verdict.settled
    assert get(api, namespace)["metadata"]["generation"] == before


def test_an_argument_that_is_taken_out_of_the_file_is_taken_out_of_the_job(
    api, namespace, repository, workbench
):
    edit(repository, "parallelism     = 1", "parallelism     = 1\n  restart_nonce   = 4")
    workbench.apply("orders", confirm=True, wait=0)
    assert get(api, namespace)["spec"]["restartNonce"] == 4
    edit(repository, "\n  restart_nonce   = 4", "")
    workbench.apply("orders", confirm=True, wait=0)
    assert "restartNonce" not in get(api, namespace)["spec"]


def test_the_operators_error_is_raised_with_its_innermost_reason(api, namespace, workbench):
    fault = {"lifecycleState": "FAILED", "error": FAULT}
    with operator(api, namespace, lambda _: fault), pytest.raises(JobFailed) as failed:
        workbench.apply("orders", confirm=True, wait=20)
    assert failed.value.message.endswith("could not run orders: Table `orders` was <b>not</b> found.")
    assert there(api, namespace) == ["orders"]


def test_an_old_error_is_not_the_verdict_on_a_new_version(api, namespace, repository, workbench):
    workbench.apply("orders", confirm=True, wait=0)
    fault = {"lifecycleState": "FAILED", "error": FAULT}
    with operator(api, namespace, lambda _: fault), pytest.raises(JobFailed):
        workbench.apply("orders", confirm=True, wait=20)
    edit(repository, "parallelism     = 1", "parallelism     = 2")
    with operator(api, namespace, lambda _: {**running(), "error": None}):
        assert workbench.apply("orders", confirm=True, wait=20).verdict.settled


def test_where_no_operator_answers_it_is_said(workbench, namespace):
    applied = workbench.apply("orders", confirm=True, wait=0.5)
    assert not applied.verdict.settled
    assert not applied.verdict.answered
    assert "no Flink operator has looked at orders within 0.5 s" in applied.verdict.text


def test_an_operator_that_has_begun_is_told_from_one_that_is_not_there(api, namespace, workbench):
    begun = {"lifecycleState": "UPGRADING", "jobStatus": {"state": "RECONCILING"}}
    with operator(api, namespace, lambda _: begun):
        applied = workbench.apply("orders", confirm=True, wait=3)
    assert (applied.verdict.settled, applied.verdict.answered) == (False, True)
    assert "UPGRADING, RECONCILING" in applied.verdict.text


def test_what_terraform_manages_is_left_to_it_unless_that_is_forced(api, namespace, workbench):
    add_job(api, namespace, manager="kubectl", parallelism=7)
    with pytest.raises(Conflict) as refused:
        workbench.apply("orders", confirm=True, wait=0)
    assert (
        "orders is managed by Terraform (field manager kubectl): spec.job.parallelism"
        in refused.value.message
    )
    assert "--force-conflicts" in refused.value.hint
    assert get(api, namespace)["spec"]["job"]["parallelism"] == 7
    with pytest.raises(Conflict):
        workbench.apply("orders", dry_run=True)
    forced = workbench.apply("orders", confirm=True, wait=0, force_conflicts=True)
    assert forced.change.taken == ("kubectl",)
    assert get(api, namespace)["spec"]["job"]["parallelism"] == 1


def test_what_our_own_commands_changed_is_ours_to_take_back(api, namespace, workbench):
    with operator(api, namespace, obedient):
        workbench.apply("orders", confirm=True, wait=20)
        workbench.deployed.suspend("orders", confirm=True, wait=20)
        assert get(api, namespace)["spec"]["job"]["state"] == "suspended"
        assert workbench.apply("orders", confirm=True, wait=20).verdict.settled
    assert get(api, namespace)["spec"]["job"]["state"] == "running"


def test_a_name_that_another_session_cluster_has_is_a_conflict(api, namespace, workbench):
    add_job(api, namespace, cluster="other")
    with pytest.raises(Conflict, match="a job orders of the session cluster other is there already"):
        workbench.apply("orders", confirm=True, wait=0)


def test_a_session_cluster_that_is_not_there_is_named_with_those_that_are(
    api, namespace, repository, workbench
):
    add_deployment(api, namespace, "application", job={"jarURI": "local:///a.jar", "parallelism": 1})
    edit(repository, '= "session"', '= "sesion"')
    with pytest.raises(ResourceNotFound, match="has no session cluster sesion") as missing:
        workbench.apply("orders", confirm=True, wait=0)
    assert missing.value.hint == "session clusters there: session"
    edit(repository, '= "sesion"', '= "application"')
    with pytest.raises(UsageError, match="runs a job of its own"):
        workbench.apply("orders", confirm=True, wait=0)
    assert there(api, namespace) == []


@pytest.mark.parametrize(
    ("before", "after", "path", "error", "words"),
    [
        ('"savepoint"', '"last_state"', "terraform/orders.tf", UsageError, "upgrade_mode is 'last_state'"),
        ('"orders"\n  }', '"it\'s"\n  }', "terraform/orders.tf", UsageError, "could break out of its statement: it holds a quote"),
        ("orders.sql", "order.sql", "terraform/orders.tf", UsageError, "./../sql/tables/order.sql"),
        ("var.namespace", '"elsewhere"', "terraform/orders.tf", UsageError, "is for the namespace elsewhere"),
        ("= true", "= false", "terraform/orders.tf", UsageError, "enabled = false"),
        ("${kafka.main}", "${kafka.other}", "sql/tables/orders.sql", ParameterError, "no kafka connection 'other'"),
        ("amount", "amount /* " + "x" * 1_000_000 + " */", "sql/tables/orders.sql", UsageError, "no more than 400000"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_before_anything_changes(
    api, namespace, repository, workbench, before, after, path, error, words
):
    edit(repository, before, after, path)
    with pytest.raises(error) as refused:
        workbench.apply("orders", confirm=True, wait=0)
    assert words in refused.value.message
    assert refused.value.hint
    assert there(api, namespace) == []


@pytest.mark.parametrize("job", ["../orders", "Orders", "", "a" * 64, "a.b", "orders\n"])
def test_a_job_is_no_path(workbench, job):
    with pytest.raises(UsageError, match="the job's name is"):
        workbench.apply(job, confirm=True)


def test_a_namespace_takes_jobs_from_here_only_where_its_profile_says_so(tmp_path, api, namespace):
    add_deployment(api, namespace)
    with sdp_kernel.connect("dev", directory=team(tmp_path, api, namespace, more="")) as workbench:
        with pytest.raises(ReadOnly, match="takes no jobs from here") as refused:
            workbench.apply("orders", confirm=True, wait=0)
        assert "apply = true" in refused.value.hint
        assert workbench.apply("orders", dry_run=True).change.action == "created"
    assert there(api, namespace) == []


def test_a_read_only_profile_applies_nothing_and_an_unconfirmed_one_neither(
    tmp_path, api, namespace, workbench
):
    with pytest.raises(ReadOnly, match="not confirmed: apply the job 'orders'"):
        workbench.apply("orders")
    reading = team(tmp_path / "reading", api, namespace, profile="read_only = true")
    with sdp_kernel.connect("dev", directory=reading) as opened, pytest.raises(ReadOnly, match="read-only"):
        opened.apply("orders", confirm=True)
    assert there(api, namespace) == []


def test_a_profile_without_kubernetes_is_refused_with_those_that_have_it(repository):
    with sdp_kernel.connect("local", directory=repository) as workbench, pytest.raises(UsageError) as refused:
        workbench.apply("orders", confirm=True)
    assert "the profile local is not on Kubernetes" in refused.value.message
    assert "profiles that are: dev" in refused.value.hint


def test_a_user_without_the_right_is_told_which_one_to_ask_for(tmp_path, api, namespace):
    add_deployment(api, namespace)
    rule = "flink.apache.org", ["flinksessionjobs"], ["get", "list"]
    grant(api, "reader", namespace, rule)
    reading = team(tmp_path, api, namespace, user="reader")
    with sdp_kernel.connect("dev", directory=reading) as workbench, pytest.raises(Forbidden) as refused:
        workbench.apply("orders", confirm=True, wait=0)
    assert "may not patch flinksessionjobs" in refused.value.message
    assert 'verbs: ["patch"]' in refused.value.hint


def test_who_may_not_see_session_clusters_may_apply_all_the_same(tmp_path, api, namespace):
    grant(api, "reader", namespace, ("flink.apache.org", ["flinksessionjobs"], ["get", "patch", "create"]))
    with sdp_kernel.connect("dev", directory=team(tmp_path, api, namespace, user="reader")) as workbench:
        assert workbench.apply("orders", confirm=True, wait=0).change.action == "created"


def test_expired_credentials_are_named(tmp_path, api, namespace):
    late = team(tmp_path, api, namespace, user="expired")
    with (
        sdp_kernel.connect("dev", directory=late) as workbench,
        pytest.raises(Expired, match="not accept the"),
    ):
        workbench.apply("orders", confirm=True)


def change_schema(api, change):
    """Change the properties of a FlinkSessionJob's spec in its CRD."""
    crds = client.ApiextensionsV1Api(api.client())
    name = "flinksessionjobs.flink.apache.org"
    crd = client.ApiClient().sanitize_for_serialization(crds.read_custom_resource_definition(name))
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    change(schema["properties"]["spec"]["properties"])
    crds.replace_custom_resource_definition(name, crd)


def refusal(workbench):
    """Return why a dry run is refused; the server takes a moment to serve a changed schema."""
    for _ in range(100):
        try:
            workbench.apply("orders", dry_run=True)
        except KubernetesError as error:
            return error.message
        time.sleep(0.05)
    return ""


def test_a_crd_older_than_an_argument_is_said(api, workbench, repository):
    edit(repository, "parallelism     = 1", "parallelism     = 1\n  restart_nonce   = 4")
    kept = {}
    change_schema(api, lambda properties: kept.update(restartNonce=properties.pop("restartNonce")))
    try:
        assert "CRD does not know all of the job" in refusal(workbench)
    finally:
        change_schema(api, lambda properties: properties.update(kept))


def test_without_the_operators_crds_it_is_said(tmp_path, tmp_path_factory):
    server = apiserver.ApiServer(tmp_path_factory.mktemp("bare"))
    server.start()
    try:
        bare = team(tmp_path, server, "default")
        with sdp_kernel.connect("dev", directory=bare) as workbench, pytest.raises(MissingCrd) as missing:
            workbench.apply("orders", confirm=True)
        assert "the Flink operator is not installed" in missing.value.message
    finally:
        server.stop()


def test_the_command_shows_the_difference_and_the_verdict(api, namespace, repository):
    shown = sdp(repository, "apply", "orders", "--profile", "dev", "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.endswith(f"{namespace}/orders: would be created\n")
    assert there(api, namespace) == []
    refused = sdp(repository, "apply", "orders")
    assert refused.returncode == 1
    assert "ReadOnly: not confirmed" in refused.stderr
    waited = sdp(repository, "apply", "orders", "--yes", "--wait", "0.3")
    assert waited.returncode == 1
    assert "no Flink operator has looked at orders" in waited.stdout
    with operator(api, namespace, obedient):
        done = sdp(repository, "apply", "orders", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["action"], said["settled"]) == ("unchanged", True)
    assert FLINK_SESSION_JOB.name == get(api, namespace)["kind"]
