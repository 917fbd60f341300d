"""What drift says of what was found in notebook, repository and cluster."""

import copy
import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.connection import KafkaCluster
from sdp_kernel.deploy.manifest import build
from sdp_kernel.deploy.script_mark import config_hash, function_texts, functions_hash, marked, script_hash
from sdp_kernel.flink.ledger import Entry, text_hash
from sdp_kernel.promote import render
from sdp_kernel.repository import job as jobs
from sdp_kernel.repository.drift import (
    Drift,
    Edge,
    JobDrift,
    Running,
    of_cell,
    of_resource,
    of_session,
    operators_of,
    others,
)

TABLE = "CREATE TABLE orders (id INT) WITH ('connector' = 'kafka', ${kafka.main}, 'topic' = 'orders')"
QUERY = "SELECT id FROM orders"


@pytest.fixture
def job(tmp_path):
    """A function that writes the job ``big`` and reads it."""

    def write(**changes):
        (tmp_path / "sql/jobs").mkdir(parents=True, exist_ok=True)
        (tmp_path / "terraform").mkdir(exist_ok=True)
        (tmp_path / "sql/orders.sql").write_text(render.declaration(Entry(TABLE, "CREATE TABLE", "orders")))
        (tmp_path / "sql/jobs/big.sql").write_text(render.job_sql("big", [], f"INSERT INTO `o`\n{QUERY}"))
        text = render.terraform(
            "big", module_source="./flink/sql-job", session_cluster="dev",
            files=["sql/orders.sql", "sql/jobs/big.sql"], arguments={}, aliases=["kafka.main"],
        )  # fmt: skip
        for old, new in changes.items():
            text = text.replace({"enabled": "enabled         = true", "state": '"running"'}[old], new)
        (tmp_path / "terraform/big.tf").write_text(text)
        return jobs.read(tmp_path, "big", kafka={"main": KafkaCluster("main", {"bootstrap.servers": "b:1"})})

    return write


def notebook(path, *cells):
    path.write_text(json.dumps({"cells": [{"cell_type": "code", "source": c} for c in cells]}))
    return path


def receipt(text=QUERY, name="q", where="n.ipynb"):
    return {"cell": {"name": name, "notebook": where, "sha256": text_hash(text)}, "run": {"rows": 1}}


def test_a_cell_as_it_was_promoted_is_the_same(job, tmp_path):
    path = notebook(tmp_path / "n.ipynb", "1", f"%%flinksql q --limit 3\n{QUERY}\n", "%%flinksql other\nx")
    edge = of_cell(job(), receipt(), None, lambda _: path)
    assert (edge.state, edge.drifted) == ("same", False)


def test_an_edited_cell_is_shown_against_the_repository(job, tmp_path):
    path = notebook(tmp_path / "n.ipynb", f"%%flinksql q\nSET 'a' = 'b';\n{QUERY} WHERE id > 1")
    edge = of_cell(job(), receipt(), None, lambda _: path)
    assert edge.state == "changed"
    assert "-SELECT id FROM orders WHERE id > 1" in edge.diff
    assert "+SELECT id FROM orders" in edge.diff


def test_a_repository_whose_sql_was_edited_has_drifted_from_its_cell(job, tmp_path):
    path = notebook(tmp_path / "n.ipynb", f"%%flinksql q\n{QUERY} WHERE id > 1")
    edge = of_cell(job(), receipt(f"{QUERY} WHERE id > 1"), "its SQL was changed", lambda _: path)
    assert (edge.state, edge.why) == ("changed", "its SQL was changed")
    assert "+SELECT id FROM orders" in edge.diff


@pytest.mark.parametrize(
    ("made", "state", "why"),
    [
        (lambda _: None, "only", "is not there"),
        (lambda d: notebook(d / "n.ipynb", "%%flinksql p\nx"), "only", "has no cell q"),
        (lambda d: notebook(d / "n.ipynb", "%%flinksql q\nx", "%%flinksql q\ny"), "unknown", "2 cells"),
        (lambda d: d, "unknown", "cannot be read"),
        (lambda d: notebook(d / "n.ipynb", "%%flinksql q\nSELECT 'open"), "changed", "was edited"),
    ],
)
def test_what_cannot_be_compared_says_why(job, tmp_path, made, state, why):
    edge = of_cell(job(), receipt(), None, lambda _: made(tmp_path))
    assert edge.state == state
    assert why in edge.why


@pytest.mark.parametrize("known", [None, {}, {"cell": None}, {"cell": {"name": "q"}}, {"cell": {"name": 1}}])
def test_a_receipt_without_a_cell_is_unknown(job, known):
    assert of_cell(job(), known, None, lambda _: None).state == "unknown"


LINES = ("TableSourceScan(t)", "Sink(o)")


def running(script=None, operators=LINES, number=1):
    return Running(str(number) * 32, "big", "RUNNING", script, operators)


def refuse():
    raise AssertionError


def test_a_job_that_runs_the_committed_script_is_the_same(job):
    found = job()
    edge = of_session(found, [running(script_hash(found.script))], script_hash, refuse)
    assert edge.state == "same"


@pytest.mark.parametrize(
    ("script", "expected", "state", "why"),
    [
        ("x", LINES, "changed", "same operators"),
        ("x", ("Sink(p)",), "changed", "other operators"),
        (None, ("Sink(p)",), "changed", "other operators"),
        (None, tuple(reversed(LINES)), "unknown", "options of its tables"),
        (None, "no gateway", "unknown", "no gateway"),
        ("x", "no gateway", "changed", "another script"),
    ],
)
def test_a_job_of_another_script_or_of_none_that_is_known(job, script, expected, state, why):
    edge = of_session(job(), [running(script)], script_hash, lambda: expected)
    assert edge.state == state
    assert why in edge.why


def test_a_job_with_another_parallelism_has_drifted(job):
    found = job()
    known = config_hash({"parallelism.default": str(found.arguments["parallelism"])})
    run = replace(running(script_hash(found.script)), config=known)
    assert of_session(found, [run], script_hash, refuse).state == "same"
    found.arguments["parallelism"] = 4
    edge = of_session(found, [run], script_hash, refuse)
    assert edge.state == "changed"
    assert "configuration or parallelism" in edge.why
    older = replace(run, config=None)
    assert of_session(found, [older], script_hash, refuse).state == "same"


def test_the_text_of_python_functions_is_compared_where_it_is_known(job):
    found = job()
    found = replace(found, script=f"SET 'python.files' = '/a/udf_f.py';\n{found.script}")
    (found.root / "sql/functions").mkdir()
    module = found.root / "sql/functions/udf_f.py"
    module.write_text("new")
    run = running(script_hash(found.script))
    edge = of_session(found, [run], script_hash, refuse)
    assert edge.state == "unknown"
    assert "Python functions" in edge.why
    old = replace(run, functions=functions_hash({"udf_f.py": "old"}))
    assert of_session(found, [old], script_hash, refuse).state == "changed"
    new = replace(run, functions=functions_hash({"udf_f.py": "new"}))
    assert of_session(found, [new], script_hash, refuse).state == "same"
    module.unlink()
    assert of_session(found, [new], script_hash, refuse).state == "unknown"


def test_files_of_functions_are_read_where_the_script_or_the_caller_says(tmp_path):
    one, two = tmp_path / "a.py", tmp_path / "b.py"
    one.write_text("1")
    two.write_text("2")
    script = f"SET 'python.files' = '{one},{two}';\nINSERT INTO o SELECT 1;"
    assert function_texts(script) == {"a.py": "1", "b.py": "2"}
    assert function_texts(script.replace(str(tmp_path), "/away"), tmp_path) == {"a.py": "1", "b.py": "2"}
    assert function_texts(script.replace(str(tmp_path), "/away")) == {}
    assert function_texts("INSERT INTO o SELECT 1;") == {}
    assert functions_hash({}) == ""


def test_what_does_not_run_or_should_not_is_in_one_place_only(job):
    assert of_session(job(), [], script_hash, refuse).state == "only"
    assert of_session(job(state='"suspended"'), [], script_hash, refuse).state == "same"
    edge = of_session(job(enabled="enabled = false"), [running()], script_hash, refuse)
    assert edge.state == "only"
    assert "is not to" in edge.why
    twice = of_session(job(), [running(), running(number=2)], script_hash, refuse)
    assert "2 jobs" in twice.why
    assert twice.state == "changed"


def resource(found, **spec):
    """Return the job's resource as a server has it: with defaults and a status."""
    live = copy.deepcopy(dict(build(found.arguments, found.root / "terraform").content))
    live["metadata"] |= {"uid": "1", "generation": 3, "annotations": {"x": "y"}}
    live["spec"]["job"] |= {"autoscaler": "default", **spec}
    live["status"] = {"jobStatus": {"state": "RUNNING"}}
    return live


def test_a_resource_as_terraform_would_apply_it_is_the_same(job):
    found = job()
    edge = of_resource(build(found.arguments, found.root / "terraform"), resource(found))
    assert edge.state == "same"
    assert "RUNNING" in edge.why


def test_a_resource_somebody_changed_is_shown(job):
    found = job()
    manifest = build(found.arguments, found.root / "terraform")
    assert "+    parallelism: 4" in of_resource(manifest, resource(found, parallelism=4)).diff
    script = of_resource(manifest, resource(found, args=["--script", "SELECT 2"]))
    assert "SELECT id FROM orders" in script.diff
    live = resource(found)
    live["spec"]["flinkConfiguration"] = {"s3.secret-key": "hunter2"}
    configured = of_resource(manifest, live)
    assert configured.state == "changed"
    assert "hunter2" not in configured.diff
    assert of_resource(manifest, None).state == "only"


def test_a_resource_that_is_not_to_be_is_in_one_place_only(job):
    found = job(enabled="enabled = false")
    manifest = build(found.arguments, found.root / "terraform")
    assert of_resource(manifest, None).state == "same"
    assert of_resource(manifest, resource(found)).state == "only"


def test_operators_are_read_from_a_job_s_plan():
    nodes = [
        {
            "description": "[1]:TableSourceScan(table=[[a]], fields=[x])<br/>+- [2]:Calc(where=[(x &gt; 1)])<br/>"
        },
        {"description": "[4]:Sink(o)<br/>+- o[4]: Writer<br/>"},
        {},
    ]
    assert operators_of({"nodes": nodes}) == (
        "TableSourceScan(table=[[a]], fields=[x])",
        "Calc(where=[(x > 1)])",
        "Sink(o)",
    )


EDGES = st.builds(Edge, st.sampled_from(["same", "changed", "only", "unknown"]), st.text(), st.text())


@given(st.lists(st.builds(JobDrift, st.text(), EDGES, EDGES), max_size=3), st.text())
def test_a_drift_is_shown_escaped_and_is_drift_where_a_job_is(found, evil):
    drift = Drift("c" * 40, "here", tuple(found), ((f"<script>{evil}", "1"),))
    assert drift.drifted == any(e.state in {"changed", "only"} for j in found for e in (j.cell, j.cluster))
    assert "<script>" not in drift.to_html()
    assert json.loads(json.dumps(drift.to_json()))["drifted"] == drift.drifted
    assert all(one.job in drift.to_text() for one in found)


def test_jobs_of_no_repository_are_listed():
    assert others([running(), Running("2", "query", "RUNNING", None, ())], ["big"]) == (("query", "2"),)


def test_the_hash_of_a_script_is_of_its_statements_and_not_of_where_functions_lie():
    one = "SET 'python.files' = '/a/f.py';\n-- x\nSET 'a' = 'b'; INSERT INTO o SELECT 1;"
    assert script_hash(one) == script_hash("SET 'a' = 'b';\nINSERT INTO o SELECT 1")
    assert script_hash(one) != script_hash(one.replace("'b'", "'c'"))
    assert len(script_hash("")) == len(hashlib.sha256().hexdigest())
    theirs = {"pipeline.global-job-parameters": "a:b", "x": "y"}
    both = {"x": "y", "pipeline.global-job-parameters": f"a:b,sdp.script.sha256:{script_hash(one)}"}
    assert marked(theirs, one) == both
    more = marked(theirs, one, given={"parallelism.default": "4"}, functions="f" * 64)
    assert more["pipeline.global-job-parameters"].split(",")[2:] == [
        f"sdp.config.sha256:{config_hash({'parallelism.default': '4'})}", f"sdp.functions.sha256:{'f' * 64}",
    ]  # fmt: skip
