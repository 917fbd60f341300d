"""Verifying a committed job: what has changed since its promotion is found, and named."""

import json

import pytest
from click.testing import CliRunner

from sdp_kernel.cli import main
from sdp_kernel.errors import SliceError, UsageError
from sdp_kernel.flink.installed import Installed
from sdp_kernel.flink.ledger import Entry, text_hash
from sdp_kernel.flink.script import split
from sdp_kernel.promote import render
from sdp_kernel.repository import receipt as receipts
from sdp_kernel.repository.verify import Flink, verify
from sdp_kernel.repository.versions import Place
from tests.repositories import write

JOB = "big-orders"
TABLE = "CREATE TABLE orders (id INT) WITH ('connector' = 'kafka', ${kafka.main}, 'topic' = '${topic}')"
INSERT = "INSERT INTO out SELECT id FROM orders WHERE id > ${least}"
PLAN = {"flinkVersion": "2.3", "nodes": [{"id": 1, "type": "scan"}, {"id": 2, "type": "sink"}], "edges": []}
ARGUMENTS = {"topic": "orders.v1", "least": "100"}
VERSIONS = {
    "flink": "2.3.0",
    "jobmanager": "2.3.0",
    "connectors": {"kafka": "5.0"},
    "connectors_reason": None,
}
CELL = "SELECT id FROM orders WHERE id > ${least}\n"


def module(arguments=None, extra=""):
    return extra + render.terraform(
        JOB,
        module_source="git::https://gitlab.example/modules.git//flink/sql-job",
        session_cluster="dev",
        files=["sql/tables/orders.sql", f"sql/jobs/{JOB}.sql"],
        arguments=arguments or ARGUMENTS,
        aliases=["kafka.main"],
    )


@pytest.fixture
def root(tmp_path):
    """A repository with a job as a promotion leaves it, and the notebook it came from."""
    contents = {
        "sql/tables/orders.sql": render.declaration(Entry(TABLE, "CREATE TABLE", "orders")),
        f"sql/jobs/{JOB}.sql": render.job_sql(JOB, [], INSERT),
        f"terraform/{JOB}.tf": module(),
        receipts.plan_path_of(JOB): receipts.plan_text(PLAN),
    }
    for path, text in contents.items():
        write(tmp_path, path, text)
    cell = {"cell_type": "code", "source": f"%%flinksql big\n{CELL}"}
    write(tmp_path, "lab.ipynb", json.dumps({"cells": [cell]}))
    receipt = {
        "version": receipts.VERSION,
        "job": JOB,
        "cell": {"name": "big", "sha256": text_hash(CELL), "notebook": "lab.ipynb", "notebook_sha256": None},
        "statements": [receipts.sha256(text) for text in (TABLE, INSERT)],
        "files": {path: receipts.sha256(text) for path, text in contents.items()},
        "parameters": ARGUMENTS,
        "plan": {
            "sha256": receipts.sha256("the plan"), "of": "EXPLAIN CHANGELOG_MODE", "reason": None,
            "compiled": {"file": receipts.plan_path_of(JOB), "sha256": receipts.sha256(receipts.plan_text(PLAN))},
        },
        "run": {
            "state": "finished", "job_id": None, "started": "2026-01-05T09:30:00Z", "seconds": 1.5, "rows": 3, "changes": 3,
            "columns": [], "records": None, "records_reason": "x", "reads": None, "reads_reason": "x", "statistics": None,
            "statistics_reason": "x",
        },
        "versions": {**VERSIONS, "sdp_kernel": "0.1.0"},
    }  # fmt: skip
    write(tmp_path, receipts.path_of(JOB), json.dumps(receipt))
    return tmp_path


def states(found, *wanted):
    return {check.name: check.state for check in found.checks if not wanted or check.state in wanted}


def message(found, name):
    return next(check.message for check in found.checks if check.name == name)


def test_a_job_that_nobody_touched_is_verified(root):
    found = verify(root, JOB)
    assert states(found) == {
        "receipt": "ok", "files": "ok", "statements": "ok", "parameters": "ok", "cell": "ok",
        "versions": "skipped", "plan": "skipped", "compiled plan": "skipped",
    }  # fmt: skip
    assert not found.failed
    assert found.to_text().startswith(f"{JOB}: verified")


def change_receipt(change):
    def spoil(root):
        path = root / receipts.path_of(JOB)
        receipt = json.loads(path.read_text())
        change(receipt)
        path.write_text(json.dumps(receipt))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "failed", "says"),
    [
        (lambda root: (root / receipts.path_of(JOB)).unlink(), "receipt", "not promoted from a cell"),
        (lambda root: (root / receipts.path_of(JOB)).write_text("{"), "receipt", "cannot be read as JSON"),
        (change_receipt(lambda r: r.pop("run")), "receipt", "has no run; promote the cell again"),
        (change_receipt(lambda r: r.update(version=1)), "receipt", "of version 1, not 2"),
        (change_receipt(lambda r: r.update(job="other")), "receipt", "it is of the job other"),
        (lambda root: write(root, "sql/tables/orders.sql", f"{TABLE};\n-- x\n"), "files", "sql/tables/orders.sql was changed"),
        (lambda root: (root / "sql/tables/orders.sql").unlink(), "files", "sql/tables/orders.sql is not there"),
        (lambda root: (root / "sql/tables/orders.sql").write_bytes(b"-- \xfc\n"), "statements", "sql/tables/orders.sql is not UTF-8"),
        (lambda root: (root / f"terraform/{JOB}.tf").write_bytes(b"# \xfc"), "statements", f"terraform/{JOB}.tf is not UTF-8"),
        (lambda root: write(root, receipts.plan_path_of(JOB), "{}"), "files", "plan.json was changed"),
        (change_receipt(lambda r: r["files"].update({"../x": "0" * 64})), "files", "../x is outside the repository"),
        (change_receipt(lambda r: r["files"].pop("sql/tables/orders.sql")), "files", "the receipt does not know it"),
        (change_receipt(lambda r: r["statements"].pop()), "statements", "changed after it was promoted"),
        (lambda root: write(root, f"terraform/{JOB}.tf", module({**ARGUMENTS, "least": "7"})), "parameters", "least was '100' and is '7'"),
        (lambda root: write(root, f"terraform/{JOB}.tf", module().replace('"running"', "var.x")), "parameters", "cannot be read"),
    ],
)  # fmt: skip
def test_what_is_not_what_was_promoted_fails_with_its_reason(root, spoil, failed, says):
    spoil(root)
    found = verify(root, JOB)
    assert failed in states(found, "failed")
    assert says in message(found, failed)
    assert "NOT VERIFIED" in found.to_text()


def test_what_the_operators_change_in_terraform_is_a_warning(root):
    write(root, f"terraform/{JOB}.tf", module().replace("parallelism     = 1", "parallelism     = 4"))
    found = verify(root, JOB)
    assert states(found, "warning", "failed") == {"terraform": "warning"}
    assert f"terraform/{JOB}.tf was changed" in message(found, "terraform")


@pytest.mark.parametrize(
    ("spoil", "state", "says"),
    [
        (lambda root: write(root, "lab.ipynb", json.dumps({"cells": [{"cell_type": "code", "source": "%%flinksql big\nSELECT 2"}]})), "warning", "big of lab.ipynb was edited"),
        (lambda root: write(root, "lab.ipynb", '{"cells": []}'), "warning", "has no cells big"),
        (lambda root: (root / "lab.ipynb").unlink(), "skipped", "is not in the repository"),
        (change_receipt(lambda r: r["cell"].update(name=None)), "skipped", "names no cell"),
    ],
)  # fmt: skip
def test_a_cell_that_is_not_there_or_changed_is_named_and_fails_nothing(root, spoil, state, says):
    spoil(root)
    found = verify(root, JOB)
    assert states(found)["cell"] == state
    assert says in message(found, "cell")
    assert not found.failed


def test_each_of_several_cells_is_looked_at(root):
    def two(receipt):
        other = {**receipt["cell"], "name": "other"}
        receipt["cells"] = [{**cell, "run": receipt["run"]} for cell in (receipt["cell"], other)]

    change_receipt(two)(root)
    found = verify(root, JOB)
    assert [check.state for check in found.checks if check.name == "cell"] == ["ok", "warning"]


def on_flink(root, *, plan="the plan", compiled=PLAN, reason=None, installed=None, prove=None):
    from sdp_kernel.connection import KafkaCluster

    def proved(statements):
        assert [found.kind for text in statements for found in split(text)] == ["CREATE TABLE", "INSERT"]
        assert statements[1].endswith("id > 100")
        return plan, compiled, reason

    there = installed or Installed("2.3.0", "2.3.0", {"kafka": "5.0"})
    place = Place({"main": KafkaCluster("main", {"bootstrap.servers": "b:1"})}, root / ".sdp/functions")
    return verify(root, JOB, Flink(place, prove or proved, there))


def test_on_flink_plans_and_versions_are_compared(root):
    found = on_flink(root)
    assert set(states(found).values()) == {"ok"}
    assert message(found, "compiled plan") == "2 operators, as they were"


def test_another_plan_fails_and_shows_how_it_differs(root):
    other = {**PLAN, "nodes": [*PLAN["nodes"], {"id": 3, "type": "exchange"}]}
    found = on_flink(
        root, plan="another", compiled=other, installed=Installed("2.4.0", "2.4.0", {"kafka": "5.1"})
    )
    assert states(found, "failed", "warning") == {
        "versions": "warning",
        "plan": "failed",
        "compiled plan": "failed",
    }
    assert "Flink's gateway 2.3.0 then, 2.4.0 now" in message(found, "versions")
    assert "kafka 5.0 then, 5.1 now" in message(found, "versions")
    assert "other versions" in message(found, "plan")
    detail = next(check.detail for check in found.checks if check.name == "compiled plan")
    assert '+   "type": "exchange"' in detail


def test_what_nobody_knows_is_skipped_with_the_reason(root):
    found = on_flink(
        root, compiled=None, reason="elsewhere", installed=Installed(None, None, None, "no answer")
    )
    assert states(found, "skipped") == {"versions": "skipped", "compiled plan": "skipped"}
    assert (message(found, "versions"), message(found, "compiled plan")) == ("no answer", "elsewhere")


def test_a_job_that_does_not_run_from_the_repository_fails(root):
    def prove(_statements):
        raise SliceError("Table `orders` was not found")

    found = on_flink(root, prove=prove)
    assert "from the repository alone: Table `orders` was not found" in message(found, "plan")
    assert found.failed


def test_a_job_without_a_statement_fails(root):
    for path in ("sql/tables/orders.sql", f"sql/jobs/{JOB}.sql"):
        write(root, path, "-- later\n")
    found = on_flink(root)
    assert f"sql/jobs/{JOB}.sql has no statement" in message(found, "plan")
    assert found.failed


def test_the_command_exits_with_1_where_a_job_is_not_verified(root, monkeypatch):
    monkeypatch.chdir(root)
    write(root, "sdp.toml", '[profiles.x]\ngateway = "http://127.0.0.1:9"\n')
    run = CliRunner().invoke
    done = run(main, ["verify", "--offline"])
    assert (done.exit_code, done.output.splitlines()[0]) == (0, f"{JOB}: verified")
    (root / "sql/tables/orders.sql").unlink()
    done = run(main, ["verify", "--offline", "--json", JOB])
    assert done.exit_code == 1
    (shown,) = json.loads(done.output)
    assert shown["verified"] is False
    assert {
        "name": "files",
        "state": "failed",
        "message": "sql/tables/orders.sql is not there",
        "detail": "",
    } in shown["checks"]
    done = run(main, ["verify", "--offline", "nothing"])
    assert done.exit_code == 1
    assert f"jobs: {JOB}" in done.output


def test_an_unknown_job_is_refused(root):
    with pytest.raises(UsageError, match="has no job small"):
        verify(root, "small")
