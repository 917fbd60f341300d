"""Drift between a notebook, the repository and a running cluster."""

import json
import time

import pytest
from click.testing import CliRunner

import sdp_kernel
from sdp_kernel.cli import main
from sdp_kernel.errors import UsageError
from sdp_kernel.flink.clean import clean_session
from sdp_kernel.flink.operator_graph import operator_graph
from sdp_kernel.flink.script import split
from tests.repositories import git, make_team, write

pytestmark = pytest.mark.stack

TABLE = """CREATE TABLE trades (id BIGINT, symbol STRING) WITH ('connector' = 'kafka', ${{kafka.main}},
  'topic' = '{topic}', 'format' = 'json', 'scan.startup.mode' = 'earliest-offset')"""
COUNTS = "SELECT symbol, COUNT(*) AS n FROM trades GROUP BY symbol"


def notebook(body):
    cells = [{"cell_type": "code", "metadata": {}, "source": f"%%flinksql counts\n{body}", "outputs": []}]
    return json.dumps({"cells": cells, "nbformat": 4, "nbformat_minor": 5, "metadata": {}})


@pytest.fixture
def wb(tmp_path, stack, job, topic_name, produce):
    """A workbench on a repository with the job, promoted from a notebook, and running."""
    make_team(tmp_path, stack, files={"n.ipynb": notebook(COUNTS)})
    produce(topic_name, [(None, json.dumps({"id": 1, "symbol": "A"}))])
    with sdp_kernel.connect("local", directory=tmp_path) as workbench:
        workbench.sql(TABLE.format(topic=topic_name))
        workbench.sql(COUNTS, name="counts", limit=1, timeout=60)
        plan = workbench.promote("counts", job=job, to=f"{topic_name}.out", notebook="n.ipynb")
        applied = plan.apply(run=True)
        git(tmp_path, "merge", "-q", "--ff-only", applied.branch)
        workbench.script = plan.script
        yield workbench
        for known in workbench.jobs():
            if known.name == job and not known.done:
                workbench.jobmanager.cancel(known.id)


def edit(root, path, old, new):
    text = (root / path).read_text()
    assert old in text
    (root / path).write_text(text.replace(old, new))
    git(root, "commit", "-q", "-a", "-m", "x")


def test_a_job_is_the_same_in_all_places_until_one_is_changed(wb, job, tmp_path, monkeypatch):
    script = wb.script
    other = wb.sql("SELECT symbol FROM trades", name="other", background=True)
    wait_until(lambda: other.job_id in {known.id for known in wb.jobs()})
    found = wb.drift()
    assert [(one.job, one.cell.state, one.cluster.state) for one in found.jobs] == [(job, "same", "same")]
    assert not found.drifted
    assert other.job_id in {id_ for _, id_ in found.others}
    wb.stop("other")
    monkeypatch.chdir(tmp_path)
    calm = CliRunner().invoke(main, ["drift", job, "--check"])
    assert (calm.exit_code, job in calm.output) == (0, True)

    write(tmp_path, "n.ipynb", notebook(f"{COUNTS} HAVING COUNT(*) > 1"))
    (one,) = wb.drift(job).jobs
    assert (one.cell.state, one.cluster.state) == ("changed", "same")
    assert "HAVING" in one.cell.diff

    edit(tmp_path, f"sql/jobs/{job}.sql", "COUNT(*)", "MAX(id)")
    (one,) = wb.drift(job).jobs
    assert one.cluster.state == "changed"
    assert "MAX(id)" in one.cluster.diff
    checked = CliRunner().invoke(main, ["drift", "--check", "--json"])
    assert checked.exit_code == 1
    assert json.loads(checked.output)["drifted"] is True

    running = next(known for known in wb.jobs() if known.name == job and not known.done)
    vertices = {node["id"] for node in wb.jobmanager.plan(running.id)["nodes"]}
    assert vertices <= ids_foretold(wb, script)
    wb.jobmanager.cancel(running.id)
    wait_until(lambda: wb.jobmanager.state(running.id) in {"CANCELED", "FAILED", "FINISHED"})
    (one,) = wb.drift(job).jobs
    assert one.cluster.state == "only"

    table = next(iter((tmp_path / "sql/tables").glob("*out*.sql"))).stem
    wb.sql(f"INSERT INTO {table} {COUNTS}", name="mine", config={"pipeline.name": job})
    (one,) = wb.drift(job).jobs
    assert one.cluster.state == "changed"
    assert "MAX(id)" in one.cluster.diff
    edit(tmp_path, f"sql/jobs/{job}.sql", "MAX(id)", "COUNT(*)")
    (one,) = wb.drift(job).jobs
    assert one.cluster.state == "unknown"
    assert "options of its tables" in one.cluster.why
    with pytest.raises(UsageError, match="has no job nope"):
        wb.drift("nope")


def wait_until(true):
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ids_foretold(wb, script):
    statements = [found.text for found in split(script)]
    with clean_session(wb.session) as clean:
        for text in statements[:-1]:
            clean.runner().text(text)
        return {operator.id for operator in operator_graph(clean, statements[-1])}
