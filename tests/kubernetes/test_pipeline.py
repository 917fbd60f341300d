"""The generated pipeline as it stands: its jobs in order, against a real API server."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from kubernetes import client

from sdp_kernel.promote import render
from sdp_kernel.repository import receipt as receipts
from tests import tools
from tests.gitlab import GitLab, JobFailedError, Runner, serving

MODULE = Path(__file__).parents[2] / "extensions/terraform/modules/flink/sql-job"
TABLES = {
    "orders": "CREATE TABLE orders (symbol STRING, amount DOUBLE)\n  WITH ('connector' = 'kafka', ${kafka.main}, 'topic' = 'orders', 'format' = 'json')",
    "totals": "CREATE TABLE totals (symbol STRING, amount DOUBLE)\n  WITH ('connector' = 'kafka', ${kafka.main}, 'topic' = 'totals', 'format' = 'json')",
}
INSERT = "INSERT INTO totals SELECT symbol, amount FROM orders WHERE symbol <> '${but}'"
TOKEN = "glpat-not-to-be-seen"


def git(where, *arguments):
    return subprocess.run(
        ["git", *arguments], cwd=where, capture_output=True, text=True, check=True
    ).stdout.strip()


def write(root, path, text):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def sdp(root, *arguments):
    return subprocess.run(
        [Path(sys.executable).parent / "sdp", *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def add_job(root, insert=INSERT):
    files = [f"sql/tables/{name}.sql" for name in TABLES] + ["sql/jobs/order-totals.sql"]
    contents = {f"sql/tables/{name}.sql": f"{text};\n" for name, text in TABLES.items()}
    contents["sql/jobs/order-totals.sql"] = render.job_sql("order-totals", [], insert)
    contents["terraform/order-totals.tf"] = render.terraform(
        "order-totals", module_source="./modules/flink/sql-job", session_cluster="session",
        files=files, arguments={"but": "B"}, aliases=["kafka.main"],
    )  # fmt: skip
    receipt = {
        "version": receipts.VERSION,
        "job": "order-totals",
        "cell": {"name": "totals", "sha256": "0" * 64, "notebook": "notebooks/a.ipynb", "notebook_sha256": None},
        "statements": [receipts.sha256(text) for text in (*TABLES.values(), insert)],
        "files": {path: receipts.sha256(text) for path, text in contents.items()},
        "parameters": {"but": "B"},
        "plan": {"sha256": "0" * 64, "of": "EXPLAIN CHANGELOG_MODE", "compiled": None, "reason": "left out"},
        "run": {
            "state": "limit", "job_id": None, "started": "2026-01-05T09:30:00Z", "seconds": 1.5, "rows": 12, "changes": 12,
            "columns": [], "records": None, "records_reason": "x", "reads": None, "reads_reason": "x",
            "statistics": None, "statistics_reason": "x",
        },
        "versions": {"flink": "2.3.0", "jobmanager": "2.3.0", "connectors": {"kafka": "5.0"},
                     "connectors_reason": None, "sdp_kernel": "0.1.0"},
    }  # fmt: skip
    contents["sql/jobs/order-totals.receipt.json"] = render.receipt(receipt)
    for path, text in contents.items():
        write(root, path, text)


@pytest.fixture
def repository(tmp_path, api, namespace):
    """A team repository on its default branch: settings, pipeline, modules; no job yet."""
    root = tmp_path / "team"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    git(root, "config", "user.name", "Ada")
    git(root, "config", "user.email", "ada@example.com")
    write(
        root, "sdp.toml",
        f'[profiles.dev.kubernetes]\ncontext = "test"\nnamespace = "{namespace}"\ndeployment = "session"\n'
        '[profiles.dev.kafka.main]\n"bootstrap.servers" = "kafka:9092"\n"security.protocol" = "SASL_SSL"\n'
        '"sasl.mechanism" = "SCRAM-SHA-512"\n"sasl.username" = "env:KAFKA_USER"\n"sasl.password" = "env:KAFKA_PASSWORD"\n',
    )  # fmt: skip
    shutil.copytree(MODULE.parents[1], root / "terraform/modules",
                    ignore=shutil.ignore_patterns("examples", "tests", ".terraform*"))  # fmt: skip
    sdp(root, "pipeline")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "Begin")
    return root


@pytest.fixture
def gitlab():
    with serving(GitLab(TOKEN)) as served:
        yield served


@pytest.fixture
def runner(api, gitlab, repository, tmp_path):
    """A runner with what GitLab gives each job; ``at(name)`` makes one with a place of its own."""
    variables = {
        **tools.environment(),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "KUBECONFIG": str(api.kubeconfig()),
        "CI_SERVER_URL": gitlab.url, "CI_API_V4_URL": f"{gitlab.url}/api/v4", "CI_PROJECT_ID": "7",
        "CI_JOB_TOKEN": "job", "SDP_COMMENT_TOKEN": TOKEN, "CI_DEFAULT_BRANCH": "main",
    }  # fmt: skip

    def at(name, **more):
        return Runner(repository, tmp_path / name, {**variables, **more})

    return at


def merge_request(root):
    return {
        "CI_MERGE_REQUEST_IID": "3",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": git(root, "merge-base", "main", "HEAD"),
    }


def session_jobs(api, namespace):
    objects = client.CustomObjectsApi(api.client())
    found = objects.list_namespaced_custom_object(
        "flink.apache.org", "v1beta1", namespace, "flinksessionjobs"
    )
    return {item["metadata"]["name"]: item["spec"] for item in found["items"]}


def test_a_merge_request_is_planned_and_commented_on_and_its_merge_is_applied(
    api, namespace, repository, runner, gitlab, tmp_path
):
    git(repository, "checkout", "-q", "-b", "sdp/order-totals")
    add_job(repository)
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "Add Flink SQL job order-totals")
    gitlab.maintainer = False
    first = runner("first", **merge_request(repository))
    assert first.run("sdp/order-totals", merge_request=True) == ["lint", "test", "plan:dev"]
    (note,) = gitlab.notes.values()
    assert "1 to add, 0 to change, 0 to destroy" in note["body"]
    assert "cell totals, notebooks/a.ipynb" in note["body"].replace("&#45;", "-")
    assert "Not proven" not in note["body"]
    assert json.loads((tmp_path / "first/artifacts/dev.counts.json").read_text()) == {
        "create": 1,
        "update": 0,
        "delete": 0,
    }
    assert (tmp_path / "first/artifacts/terraform/dev.plan").is_file()
    assert session_jobs(api, namespace) == {}

    runner("again", **merge_request(repository)).run("sdp/order-totals", merge_request=True)
    assert len(gitlab.notes) == 1

    git(repository, "checkout", "-q", "main")
    git(repository, "merge", "-q", "--no-ff", "-m", "Merge", "sdp/order-totals")
    gitlab.maintainer = True
    merged = runner("merged", CI_COMMIT_BRANCH="main")
    assert merged.run("main", merge_request=False) == ["lint", "test", "plan:dev", "apply:dev"]
    spec = session_jobs(api, namespace)["order-totals"]
    assert "INSERT INTO totals" in spec["job"]["args"][1]
    assert "<> 'B'" in spec["job"]["args"][1]
    assert "${env:KAFKA_PASSWORD}" in spec["job"]["args"][1]
    assert "dev" in gitlab.states
    assert not gitlab.locked
    assert TOKEN not in json.dumps([first.logs, merged.logs])

    nothing = runner("nothing", CI_COMMIT_BRANCH="main")
    nothing.run("main", merge_request=False)
    assert "0 to add, 0 to change, 0 to destroy" in nothing.logs["plan:dev"]


def test_a_job_whose_sql_was_edited_after_its_promotion_fails_the_check(repository, runner):
    add_job(repository)
    write(
        repository,
        "sql/jobs/order-totals.sql",
        render.job_sql("order-totals", [], f"{INSERT} AND amount > 0"),
    )
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "Edit by hand")
    with pytest.raises(JobFailedError, match="its SQL was changed after it was promoted"):
        runner("edited", CI_COMMIT_BRANCH="main").run("main", merge_request=False)


def test_a_refused_comment_fails_the_plan_without_showing_the_token(repository, runner):
    add_job(repository)
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "Add")
    wrong = {**merge_request(repository), "SDP_COMMENT_TOKEN": "wrong-token"}
    with pytest.raises(JobFailedError, match="refused the comment") as failed:
        runner("refused", **wrong).run("main", merge_request=True)
    assert "wrong-token" not in failed.value.output


def test_the_pipeline_is_not_written_over_what_the_team_made_of_it(repository):
    (repository / ".gitlab-ci.yml").write_text("mine: {}\n")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        sdp(repository, "pipeline")
    assert ".gitlab-ci.yml" in refused.value.stderr
    assert (repository / ".gitlab-ci.yml").read_text() == "mine: {}\n"
    assert "+stages: [lint, test, plan, apply]" in sdp(repository, "pipeline", "--diff")
    assert "wrote .gitlab-ci.yml" in sdp(repository, "pipeline", "--force")
