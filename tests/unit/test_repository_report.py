"""What a merge request shows: evidence held against the files, and a plan, in Markdown."""

import hashlib
import json
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.errors import RepositoryError, UsageError
from sdp_kernel.repository import report

TABLE = "CREATE TABLE t (a INT) WITH ('topic' = '$${literal}', 'x' = '${a}')"
INSERT = "INSERT INTO out SELECT a FROM t"


def write_job(root, job="totals", *, table=TABLE):
    for path, text in {
        "sql/tables/t.sql": f"{table};\n",
        f"sql/jobs/{job}.sql": f"-- {job}\n{INSERT};\n",
        f"terraform/{job}.tf": f'module "{job}" {{\n  sql = [\n    "${{path.root}}/../sql/tables/t.sql",\n    "${{path.root}}/../sql/jobs/{job}.sql",\n  ]\n}}\n',
        f"sql/jobs/{job}.receipt.json": json.dumps({
            "statements": [hashlib.sha256(text.encode()).hexdigest() for text in (TABLE, INSERT)],
            "cell": {"name": "totals", "notebook": "notebooks/a.ipynb"},
            "run": {"state": "limit", "rows": 1200, "changes": 3400, "seconds": 2.5, "started": "2026-01-05T09:30:00Z",
                    "columns": [{"name": "a", "type": "INT"}]},
            "versions": {"flink": "2.3.0"},
            "findings": [{"code": "SDP004", "severity": "warning", "message": "no <TTL>"}],
        }),
    }.items():  # fmt: skip
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def test_a_receipt_proves_the_files_it_was_made_of(tmp_path):
    write_job(tmp_path)
    found = report.evidence_of(tmp_path, "totals")
    assert found.files == ("sql/tables/t.sql", "sql/jobs/totals.sql")
    assert found.problem is None


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda root: (root / "sql/tables/t.sql").write_text("CREATE TABLE t (a BIGINT);"), "changed after"),
        (lambda root: (root / "sql/tables/t.sql").unlink(), "sql/tables/t.sql is not there"),
        (
            lambda root: (root / "sql/tables/t.sql").write_bytes(b"SELECT '\xfc';"),
            "sql/tables/t.sql is not UTF-8",
        ),
        (
            lambda root: (root / "terraform/totals.tf").write_bytes(b"# \xfc"),
            "terraform/totals.tf is not UTF-8",
        ),
        (lambda root: (root / "sql/tables/t.sql").write_text("SELECT 'x"), "its SQL cannot be read"),
        (lambda root: (root / "sql/jobs/totals.receipt.json").unlink(), "no receipt"),
        (lambda root: (root / "sql/jobs/totals.receipt.json").write_text("[1"), "cannot be read"),
        (lambda root: (root / "sql/jobs/totals.receipt.json").write_text("[1]"), "cannot be read"),
    ],
)
def test_a_job_that_its_receipt_does_not_prove_says_why(tmp_path, spoil, problem):
    write_job(tmp_path)
    spoil(tmp_path)
    found = report.evidence_of(tmp_path, "totals")
    assert problem in found.problem
    assert "Not proven" in report.markdown([found], None)


def test_the_report_says_what_ran_and_what_was_found(tmp_path):
    write_job(tmp_path)
    text = report.markdown([report.evidence_of(tmp_path, "totals")], None, environment="dev")
    assert text.startswith("### Jobs in dev\n")
    assert "1,200 rows, 3,400 changes" in text
    assert "cell totals, notebooks/a.ipynb" in text
    assert "no &#60;TTL&#62;" in text


@given(st.text(max_size=60))
def test_no_text_becomes_markup(text):
    plain = report._plain(text)
    assert not set(plain) & set("<>|`*_[]@\n\\")
    assert len(plain.splitlines()) <= 1


def test_a_plan_is_counted_as_gitlab_counts_it():
    def change(address, *actions):
        return {"address": address, "change": {"actions": list(actions)}}

    plan = {
        "resource_changes": [
            change("a", "create"), change("b", "update"), change("c", "delete"), change("d", "delete", "create"),
            change("e", "no-op"), change("f", "read"),
        ]
    }  # fmt: skip
    changes = report.changes_of(plan)
    assert changes.resources == (("a", "create"), ("b", "update"), ("c", "delete"), ("d", "replace"))
    assert changes.counts() == {"create": 2, "update": 1, "delete": 2}
    assert "2 to add, 1 to change, 2 to destroy" in report.markdown([], changes)


@pytest.mark.parametrize("plan", [{"resource_changes": [{}]}, {"resource_changes": 3}, []])
def test_what_is_no_plan_is_refused(plan):
    with pytest.raises(UsageError, match="not a Terraform plan"):
        report.changes_of(plan)


def test_a_job_counts_as_changed_when_a_declaration_it_uses_was(tmp_path):
    def git(*arguments):
        subprocess.run(["git", "-C", tmp_path, "-c", "user.name=A", "-c", "user.email=a@example.com", *arguments],
                       check=True, capture_output=True)  # fmt: skip

    write_job(tmp_path)
    write_job(tmp_path, "other")
    (tmp_path / "terraform/other.tf").write_text("")
    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-q", "-m", "one")
    (tmp_path / "sql/tables/t.sql").write_text("CREATE TABLE t (a BIGINT);\n")
    git("commit", "-q", "-a", "-m", "two")
    assert report.changed_jobs(tmp_path, "HEAD~1") == ("totals",)
    with pytest.raises(RepositoryError, match="git cannot compare"):
        report.changed_jobs(tmp_path, "nowhere")
