"""Faults, each produced for real by killing the process: what comes back, and what is left behind."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest

from sdp_kernel.flink.jobs import TERMINAL, JobManager
from sdp_kernel.local import processes
from sdp_kernel.local.stack import Stack
from sdp_kernel.workbench import connect

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

TICKS = """CREATE TABLE ticks (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '20',
  'fields.n.kind' = 'sequence', 'fields.n.start' = '0', 'fields.n.end' = '1000000')"""
COUNTS = "SELECT MOD(n, 7) AS m, COUNT(*) AS c FROM ticks GROUP BY MOD(n, 7)"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project whose embedded stack may be killed piece by piece."""
    root = tmp_path_factory.mktemp("faults")
    (root / "sdp.toml").write_text("")
    stack = Stack(root / ".sdp")
    try:
        stack.up()
        yield root
    finally:
        stack.down(purge=True)


@pytest.fixture
def told():
    return []


@pytest.fixture
def workbench(project, told):
    with connect("local", directory=project, notify=told.append) as opened:
        opened.sql(TICKS)
        yield opened


def kill(workbench, component):
    """Kill -9 one component of the stack, and wait until it is gone."""
    record = processes.recorded(workbench.stack.layout.run)[component]
    process = psutil.Process(record.pid)
    process.kill()
    process.wait(10)


def until(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def both(workbench):
    """Start one query that appends and one that updates, in the background; wait for their rows."""
    queries = [
        workbench.sql("SELECT * FROM ticks", name="raw", background=True),
        workbench.sql(COUNTS, name="counts", background=True),
    ]
    until(lambda: all(len(query) for query in queries))
    return queries


def running_jobs(url):
    """The jobs that the JobManager has not ended."""
    return {job.id for job in JobManager(url).jobs() if job.state not in TERMINAL}


@pytest.mark.parametrize(
    ("component", "what"),
    [("gateway", "gateway"), ("taskmanager", "TaskManager"), ("jobmanager", "JobManager")],
)
def test_after_a_killed_component_queries_run_again_and_tables_are_there(workbench, told, component, what):
    queries = both(workbench)
    before = [query.job_id for query in queries]
    kill(workbench, component)
    until(lambda: all(query.runs > 1 for query in queries))
    until(lambda: all(query.over() or len(query) for query in queries))
    assert [query.state for query in queries] == ["running", "running"], [q.error for q in queries]
    assert any(what in line for line in told)
    assert workbench.sql("SHOW TABLES").arrow.to_pylist() == [{"table name": "ticks"}]
    assert queries[0].window(0, 1).total == len(set(queries[0].df["n"])) or not queries[0].over()
    jobs = [query.job_id for query in queries]
    assert not set(jobs) & set(before)
    until(lambda: running_jobs(workbench.jobmanager.url) == set(jobs), 30)


def test_a_cell_that_waits_comes_back_as_well(workbench, told):
    import threading

    threading.Timer(4, lambda: kill(workbench, "taskmanager")).start()
    query = workbench.sql("SELECT * FROM ticks", limit=200)
    assert query.state == "limit"
    assert query.runs == 2
    assert query.df["n"].tolist()[:5] == [0, 1, 2, 3, 4]
    assert sum("TaskManager" in line for line in told) == 1


def test_a_query_whose_task_fails_for_its_own_reasons_is_not_run_again(workbench):
    query = workbench.sql("SELECT 1 / (n - 30) AS x FROM ticks", background=True)
    until(query.over)
    assert (query.state, query.runs) == ("failed", 1)
    assert "by zero" in str(query.error)


def test_a_session_that_timed_out_is_replayed(workbench, told):
    queries = both(workbench)
    workbench.session.gateway.close_session(workbench.session.handle)
    until(lambda: all(query.runs > 1 and len(query) for query in queries))
    assert workbench.sql("SHOW TABLES").arrow.to_pylist() == [{"table name": "ticks"}]
    assert any("replayed 1 statement" in line for line in told)


KERNEL = """
import json, sys, time
from sdp_kernel.workbench import connect
told, taken = [], []
wb = connect("local", notify=told.append, owners=(sys.argv[2],), on_taken_over=taken.append)
wb.session
cell = sys.argv[1]
if cell == "first":
    wb.sql({ticks!r})
    wb.sql("SELECT * FROM ticks", name="raw", background=True)
    wb.sql({counts!r}, name="counts", background=True)
    wb.sql("CREATE TABLE sink (n BIGINT) WITH ('connector' = 'blackhole')")
    wb.sql("INSERT INTO sink SELECT n FROM ticks", name="written")
    queries = [wb.queries[name] for name in ("raw", "counts")]
    while not all(len(query) for query in queries):
        time.sleep(0.1)
else:
    time.sleep(2)
    while not all(len(query) or query.over() for query in taken if query.statement.is_query):
        time.sleep(0.1)
print(json.dumps({{
    "told": told,
    "tables": sorted(row["table name"] for row in wb.sql("SHOW TABLES").arrow.to_pylist()),
    "first": [int(query.arrow.column(0)[0].as_py()) for query in taken if query.name == "raw"],
    "queries": {{name: [q.state, q.job_id] for name, q in wb.queries.items()}},
}}), flush=True)
if cell == "first":
    time.sleep(600)
wb.close()
"""


def kernel(project, cell, owner="kernel-1"):
    """Start a process that works as a kernel does."""
    code = textwrap.dedent(KERNEL).format(ticks=TICKS, counts=COUNTS)
    return subprocess.Popen(
        [sys.executable, "-c", code, cell, owner],
        cwd=project,
        stdout=subprocess.PIPE,
        env={**os.environ},
        text=True,
    )


def test_a_kernel_takes_over_what_a_killed_one_had(project, workbench):
    first = kernel(project, "first")
    before = json.loads(first.stdout.readline())
    first.send_signal(signal.SIGKILL)
    first.wait()
    second = kernel(project, "second")
    after = json.loads(second.communicate(timeout=200)[0].splitlines()[-1])
    assert after["tables"] == ["sink", "ticks"]
    states = {name: state for name, (state, _) in after["queries"].items()}
    assert states == {"raw": "running", "counts": "running", "written": "submitted"}
    assert after["queries"]["raw"][1] == before["queries"]["raw"][1]
    assert after["first"][0] > 0
    assert after["queries"]["counts"][1] != before["queries"]["counts"][1]
    line = "; ".join(after["told"])
    for said in ("raw goes on; the rows that it had are gone", "counts runs again", "of written runs on"):
        assert said in line
    written = before["queries"]["written"][1]
    until(lambda: running_jobs(workbench.jobmanager.url) == {written}, 30)
    workbench.cancel(written)


def test_a_killed_kernel_leaves_no_job_behind(project, workbench):
    """The gateway gives the session up when its heartbeat stays away."""
    first = kernel(project, "first", "kernel-2")
    before = json.loads(first.stdout.readline())
    left = {job for _, job in before["queries"].values()}
    assert left <= running_jobs(workbench.jobmanager.url)
    first.send_signal(signal.SIGKILL)
    first.wait()
    written = before["queries"]["written"][1]
    until(lambda: running_jobs(workbench.jobmanager.url) == {written}, 200)
    workbench.cancel(written)


def test_a_job_that_outlived_kernel_and_gateway_is_ended_by_the_next_kernel(project, workbench, told):
    first = kernel(project, "first", "kernel-3")
    before = json.loads(first.stdout.readline())
    first.send_signal(signal.SIGKILL)
    first.wait()
    kill(workbench, "gateway")
    workbench.stack.up()
    assert before["queries"]["raw"][1] in running_jobs(workbench.jobmanager.url)
    for path in (project / ".sdp" / "sessions").glob("*.json"):
        record = json.loads(path.read_bytes())
        if record["pid"] == first.pid:
            record["at"] -= 3600
            path.write_text(json.dumps(record))
    with connect("local", directory=project, notify=told.append) as later:
        later.sql("SHOW TABLES")
    written = before["queries"]["written"][1]
    until(lambda: running_jobs(workbench.jobmanager.url) == {written}, 30)
    assert any("ended 2 queries" in line for line in told)
    workbench.cancel(written)


SLOW = """CREATE TABLE slow (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '500',
  'number-of-rows' = '5000', 'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '5000')"""


@pytest.mark.parametrize(
    ("component", "what"), [("taskmanager", "TaskManager"), ("jobmanager", "JobManager")]
)
def test_a_batch_runs_again_and_has_each_row_once(workbench, told, component, what):
    workbench.sql(SLOW)
    query = workbench.sql("SELECT * FROM slow", batch=True, background=True)
    until(lambda: len(query) or query.over())
    kill(workbench, component)
    assert query.over(90)
    assert (query.state, query.runs) == ("finished", 2), query.error
    assert sorted(query.df["n"]) == list(range(1, 5001))
    assert any(what in line for line in told)


BATCH = """
from sdp_kernel.workbench import connect
wb = connect("local", owners=("kernel-1",))
wb.session
if not len(wb.sql("SHOW TABLES")):
    wb.sql({slow!r})
    wb.sql("SELECT * FROM slow", batch=True, on_update=lambda query: len(query) and print("rows", flush=True))
wb.close()
"""


def test_a_batch_of_a_killed_kernel_leaves_neither_job_nor_file(project, workbench):
    arguments = [sys.executable, "-c", BATCH.format(slow=SLOW)]
    with subprocess.Popen(arguments, cwd=project, stdout=subprocess.PIPE) as first:
        assert first.stdout.readline() == b"rows\n"
        first.kill()
    spools = project / ".sdp" / "spool"
    assert [path for path in spools.rglob("*") if path.is_file()]
    subprocess.run(arguments, cwd=project, check=True, timeout=120)
    assert not list(spools.rglob("*"))
    assert not running_jobs(workbench.jobmanager.url)


def test_options_that_ask_the_gateway_first_find_it_again(workbench):
    workbench.sql(SLOW)
    kill(workbench, "gateway")
    assert workbench.sql("SELECT COUNT(*) AS c FROM slow", batch=True).df["c"].tolist() == [5000]
