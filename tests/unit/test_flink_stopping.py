"""Interrupts, stops and closing at moments that a real cluster meets too seldom: calls are held up."""

import _thread
import json
import re
import signal
import threading
import time

import httpx
import pyarrow as pa
import pytest

from sdp_kernel.flink.frame_table import declare
from sdp_kernel.flink.gateway import Gateway
from sdp_kernel.flink.jobs import JobManager
from sdp_kernel.flink.session import Session

INSERT = "INSERT INTO hole SELECT 1"
ENDLESS = "SELECT * FROM ticks"


class Cluster:
    """A gateway and a JobManager, as far as a statement's way needs them.

    ``held`` names calls (``submit``, ``fetch``, ``cancel``, …) that wait for :meth:`let_go`; ``dead`` says
    that nobody answers at the gateway.
    """

    def __init__(self):
        self.dead = False
        self.jobs = {}
        self.calls = []
        self.held = {}
        self.reached = threading.Event()
        self.on_fetch = lambda: None
        self._statements = {}
        self._sessions = 0

    def hold(self, call):
        self.held[call] = threading.Event()

    def let_go(self, call):
        self.held.pop(call).set()

    def count(self, call):
        return self.calls.count(call)

    def _wait(self, call):
        self.calls.append(call)
        held = self.held.get(call)
        if held is not None:
            self.reached.set()
            assert held.wait(20)

    def gateway(self, request):
        if self.dead:
            raise httpx.ConnectError("refused")
        path, body = request.url.path, json.loads(request.content or b"{}")
        if path.endswith("/sessions"):
            self._wait("open")
            self._sessions += 1
            return httpx.Response(200, json={"sessionHandle": f"s{self._sessions}"})
        if path.endswith("/statements"):
            self._wait("submit")
            operation = f"o{len(self._statements)}"
            self._statements[operation] = body["statement"]
            job = body["executionConfig"].get("$internal.pipeline.job-id")
            if job is not None:
                self.jobs[job] = "RUNNING"
            return httpx.Response(200, json={"operationHandle": operation})
        if path.endswith("/status"):
            return httpx.Response(200, json={"status": "FINISHED"})
        found = re.search(r"/operations/(\w+)/(result|close|cancel)", path)
        if found is not None and found[2] == "result":
            self._wait("fetch")
            self.on_fetch()
            return httpx.Response(200, content=self._page(self._statements[found[1]]))
        self._wait(found[2] if found is not None else "other")
        return httpx.Response(200, json={})

    def _page(self, statement):
        if statement.startswith(("SELECT", "EXPLAIN")):
            return b'{"resultType":"NOT_READY","nextResultUri":"/v3/sessions/s/operations/o/result/0"}'
        text = {"name": "job id", "logicalType": {"type": "VARCHAR", "nullable": True, "length": 2147483647}}
        row = {"kind": "INSERT", "fields": [next(iter(self.jobs), "OK")]}
        results = {"columns": [text], "rowFormat": "JSON", "data": [row]}
        return json.dumps({"resultType": "EOS", "results": results}, separators=(",", ":")).encode()

    def jobmanager(self, request):
        found = re.fullmatch(r"/jobs/(\w+)(/status)?", request.url.path)
        if found is None or found[1] not in self.jobs:
            return httpx.Response(200, json={"jobs": []}) if found is None else httpx.Response(404, json={})
        if request.method == "PATCH":
            self._wait("cancel job")
            self.jobs[found[1]] = "CANCELED"
            return httpx.Response(202, json={})
        state = self.jobs[found[1]]
        if found[2]:
            return httpx.Response(200, json={"status": state})
        vertices = [{"tasks": {"RUNNING": 1}}]
        return httpx.Response(200, json={"state": state, "duration": 5000, "vertices": vertices})


@pytest.fixture
def cluster():
    made = Cluster()
    yield made
    for call in list(made.held):
        made.let_go(call)


@pytest.fixture
def told():
    return []


@pytest.fixture
def session(cluster, told):
    opened = Session("http://gateway", notify=told.append)
    opened.gateway = Gateway("http://gateway", transport=httpx.MockTransport(cluster.gateway))
    opened._jobmanager = JobManager("http://manager", transport=httpx.MockTransport(cluster.jobmanager))
    yield opened
    for call in list(cluster.held):
        cluster.let_go(call)
    opened.close()


@pytest.fixture
def interrupted():
    """Run a cell that is interrupted when a condition holds, and again 0.3 s later while it still runs."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def run(when, times, cell, *args, **kwargs):
        done = threading.Event()

        def interrupt():
            until(when)
            for _ in range(times):
                if not done.is_set():
                    _thread.interrupt_main()
                done.wait(0.3)

        thread = threading.Thread(target=interrupt)
        thread.start()
        try:
            return cell(*args, **kwargs)
        finally:
            done.set()
            thread.join()

    yield run
    signal.signal(signal.SIGINT, before)


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("batch", [False, True])
def test_an_interrupt_while_the_text_is_prepared_gives_an_interrupted_query(
    session, cluster, interrupted, times, batch
):
    begun, go_on = threading.Event(), threading.Event()

    def rewrite(_statement, rendered):
        begun.set()
        go_on.wait(20)
        return rendered

    ended = []
    config = {"execution.runtime-mode": "batch"} if batch else {}
    query = interrupted(
        begun.is_set,
        times,
        session.execute,
        ENDLESS,
        rewrite=rewrite,
        config=config,
        on_statement=ended.append,
    )
    assert (query.state, query.error, len(query)) == ("interrupted", None, 0)
    assert ended == [query]
    go_on.set()
    assert query.ended(20)
    session.close()
    assert cluster.count("submit") == 0


def test_an_interrupt_while_a_view_is_drawn_at_the_start_gives_an_interrupted_query(session, cluster):
    def draw(_query):
        raise KeyboardInterrupt

    query = session.execute(ENDLESS, on_start=draw)
    assert query.state == "interrupted"
    assert cluster.count("submit") == 0


def test_a_query_in_the_background_is_given_back_where_its_start_is_interrupted(session, interrupted):
    begun = threading.Event()

    def rewrite(_statement, rendered):
        begun.set()
        time.sleep(2)
        return rendered

    ended = []
    query = interrupted(
        begun.is_set, 1, session.execute, ENDLESS, rewrite=rewrite, background=True, on_statement=ended.append
    )
    assert query.state == "interrupted"
    until(lambda: ended == [query])


def test_what_is_wrong_with_a_text_is_raised_before_its_query_goes_on_in_the_background(session):
    def rewrite(_statement, _rendered):
        raise ValueError("not so")

    with pytest.raises(ValueError, match="not so"):
        session.execute(ENDLESS, rewrite=rewrite, background=True)


@pytest.mark.parametrize("statement", [ENDLESS, INSERT])
def test_after_a_second_interrupt_the_cell_ends_at_once_and_the_clean_up_goes_on_behind(
    session, cluster, interrupted, statement
):
    cluster.hold("submit")
    query = interrupted(cluster.reached.is_set, 2, session.execute, statement)
    assert query.state == "interrupted"
    assert not query.ended(0)
    assert cluster.jobs == {}
    cluster.let_go("submit")
    assert query.ended(20)
    assert list(cluster.jobs.values()) == ["CANCELED"]


def test_an_interrupt_with_the_gateway_gone_gives_an_interrupted_query(session, cluster, interrupted, told):
    repairing = threading.Event()
    session.execute("SET 'a' = 'b'")
    session.recovery.repair = lambda: (repairing.set(), time.sleep(3))
    cluster.dead = True
    query = interrupted(repairing.is_set, 2, session.execute, ENDLESS)
    assert (query.state, query.error) == ("interrupted", None)
    assert not [line for line in told if "runs again" in line]


def test_a_stop_does_not_wait_for_a_cluster_that_is_being_repaired(session, cluster, told):
    repairing, repaired = threading.Event(), threading.Event()
    session.execute("SET 'a' = 'b'")
    session.recovery.repair = lambda: (repairing.set(), repaired.wait(20))
    queries = [session.execute(ENDLESS, name=f"q{n}", background=True) for n in range(5)]
    until(lambda: len(cluster.jobs) == 5)
    cluster.dead = True
    assert repairing.wait(20)
    until(lambda: all(query.lost for query in queries))
    for query in queries:
        query.stop()
    assert [query.state for query in queries] == ["stopped"] * 5
    assert not repaired.is_set()
    assert set(cluster.jobs.values()) == {"CANCELED"}
    cluster.dead = False
    repaired.set()
    time.sleep(0.3)
    assert not [line for line in told if "runs again" in line]
    assert {query.runs for query in queries} == {1}


def test_a_query_that_is_not_stopped_runs_again_beside_one_that_is(session, cluster, told):
    repairing, repaired = threading.Event(), threading.Event()
    session.execute("SET 'a' = 'b'")
    session.recovery.repair = lambda: (repairing.set(), repaired.wait(20))
    stopped, stays = (session.execute(ENDLESS, name=name, background=True) for name in ("one", "two"))
    until(lambda: len(cluster.jobs) == 2)
    cluster.dead = True
    until(lambda: stopped.lost and stays.lost)
    stopped.stop()
    cluster.dead = False
    repaired.set()
    until(lambda: stays.runs == 2)
    assert (stopped.state, stopped.runs) == ("stopped", 1)
    assert [line for line in told if "two runs again" in line]
    assert not [line for line in told if "one runs again" in line]


def test_an_insert_that_is_interrupted_as_its_answer_comes_leaves_no_job(session, cluster):
    asked = []
    cluster.on_fetch = lambda: asked[0].ask_to_end("interrupted")
    query = session.execute(INSERT, on_start=asked.append)
    assert query.state == "interrupted"
    assert query.ended(20)
    assert list(cluster.jobs.values()) == ["CANCELED"]


def test_a_job_that_was_submitted_before_the_interrupt_stays(session, cluster):
    query = session.execute(INSERT)
    query.ask_to_end("interrupted")
    query.stop()
    assert (query.state, query.stopping) == ("submitted", None)
    assert list(cluster.jobs.values()) == ["RUNNING"]


def test_an_interrupt_keeps_the_statements_after_it_from_running(session, cluster):
    def draw(query):
        if query.statement.kind == "SET":
            raise KeyboardInterrupt

    query = session.execute(f"SET 'a' = 'b'; {INSERT}", on_update=draw, on_start=draw)
    assert query.statement.kind == "SET"
    assert query.state == "interrupted"
    assert cluster.jobs == {}


def test_closing_waits_no_longer_for_ten_queries_than_for_one(session, cluster):
    queries = [session.execute(ENDLESS, background=True) for _ in range(10)]
    until(lambda: len(cluster.jobs) == 10)
    cluster.hold("cancel job")
    threading.Timer(0.5, cluster.let_go, ["cancel job"]).start()
    session.close()
    assert set(cluster.jobs.values()) == {"CANCELED"}
    assert {query.state for query in queries} == {"stopped"}


def test_a_job_that_is_still_being_ended_when_the_session_closes_is_ended_all_the_same(
    session, cluster, monkeypatch
):
    monkeypatch.setattr("sdp_kernel.flink.session._CLOSE_S", 0.2)
    forgotten = []
    session._on_close = lambda: forgotten.append(True)
    query = session.execute(ENDLESS, background=True)
    until(lambda: len(cluster.jobs) == 1)
    cluster.hold("cancel job")
    session.close()
    assert not query.ended(0)
    assert not forgotten
    cluster.let_go("cancel job")
    assert query.ended(20)
    assert list(cluster.jobs.values()) == ["CANCELED"]
    until(lambda: forgotten)


def test_a_stop_waits_for_the_job_of_a_query_that_is_over_already(session, cluster):
    """Of many that are asked to end at once, the later ones are over before their turn to be waited for."""
    query = session.execute(ENDLESS, background=True)
    until(lambda: len(cluster.jobs) == 1)
    cluster.hold("cancel job")
    query.ask_to_end("stopped")
    assert query.over(20)
    threading.Timer(0.5, cluster.let_go, ["cancel job"]).start()
    query.stop()
    assert list(cluster.jobs.values()) == ["CANCELED"]


def test_a_query_that_is_being_stopped_is_ended_by_a_successor_and_not_run_again(session, cluster):
    from sdp_kernel.flink import resume

    query = session.execute(ENDLESS, name="q", background=True)
    until(lambda: len(cluster.jobs) == 1)
    cluster.hold("cancel job")
    query.ask_to_end("stopped")
    assert cluster.reached.wait(20)
    (record,) = resume.running(session)
    assert (record.job_id, record.background) == (query.job_id, False)
    cluster.let_go("cancel job")
    assert query.ended(20)
    assert resume.running(session) == ()


def test_nobody_at_the_gateway_is_no_error_of_a_query_that_was_asked_to_end(session, cluster):
    cluster.hold("open")
    query = session.execute(ENDLESS, background=True)
    assert cluster.reached.wait(20)
    query.stop()
    assert (query.state, query.error) == ("stopped", None)


def test_an_interrupt_while_a_frame_is_declared_keeps_its_query_from_running(
    session, cluster, interrupted, tmp_path
):
    frame = pa.table({"n": [1]})
    cluster.hold("submit")
    with pytest.raises(KeyboardInterrupt):
        interrupted(cluster.reached.is_set, 2, declare, session, "t", frame, tmp_path, shared_disk=False)
