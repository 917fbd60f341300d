import time
from types import SimpleNamespace

import pytest

from sdp_kernel.errors import NotValidated, SliceError, UsageError
from sdp_kernel.flink.ledger import Ledger
from sdp_kernel.flink.parameters import render
from sdp_kernel.flink.query import Query
from sdp_kernel.flink.rows import Rows
from sdp_kernel.flink.script import split
from sdp_kernel.promote.compose import values_of, with_profile
from sdp_kernel.promote.evidence import check_kind, check_ran, check_since
from sdp_kernel.promote.several import Piece
from sdp_kernel.promote.slice import Slice, in_force

JOB = "a" * 32


class Cluster:
    def __init__(self, state="RUNNING", cause=""):
        self._state, self._cause = state, cause

    def state(self, job_id):
        return self._state

    def root_cause(self, job_id):
        return self._cause


class Desk:
    """A session without a gateway: a ledger, and what runs in it."""

    def __init__(self, jobmanager=None, **defaults):
        self.ledger = Ledger()
        self.jobmanager = jobmanager
        self.defaults = defaults
        self.fragments = {"kafka.main": "'properties.bootstrap.servers' = 'b:1'"}
        self.gateway = SimpleNamespace(info=lambda: {"version": "2.3.0"})

    def render(self, text, values=None):
        return render(text, {**self.defaults, **(values or {})}, self.fragments)

    def run(self, text, *, state="finished", name="q", changes=1, params=None):
        statements = split(text)
        for statement in statements:
            query = Query(text, statement, name=name)
            query.parameters = dict(params or {})
            query.state = state if statement is statements[-1] else "ok"
            query.rows = Rows(())
            query.rows.changes = changes
            if query.state != "failed":
                self.ledger.record(statement, cell=name, source=text, parameters=params or {})
            time.sleep(0.002)
        return query


def pieces(query):
    return (Piece(query, Slice((), ()), query.statement.text),)


@pytest.mark.parametrize("state", ["finished", "limit", "timeout", "interrupted"])
def test_a_select_counts_however_it_ended(state):
    desk = Desk()
    check_ran(desk.run("SELECT 1", state=state), desk, "SELECT 1\n")


@pytest.mark.parametrize("state", ["timeout", "interrupted"])
def test_a_select_stopped_before_its_first_row_proves_nothing(state):
    desk = Desk()
    with pytest.raises(NotValidated, match="before its first row"):
        check_ran(desk.run("SELECT 1", state=state, changes=0), desk, None)


def test_a_select_that_ended_without_a_row_counts():
    desk = Desk()
    check_ran(desk.run("SELECT 1", changes=0), desk, None)


@pytest.mark.parametrize("state", ["failed", "ok", "submitted"])
def test_a_select_in_another_state_does_not_count(state):
    desk = Desk()
    with pytest.raises(NotValidated, match=f"did not run without error: {state}"):
        check_ran(desk.run("SELECT 1", state=state), desk, None)


def test_a_running_query_is_to_be_stopped_first():
    desk = Desk()
    with pytest.raises(NotValidated, match="still running") as caught:
        check_ran(desk.run("SELECT 1", state="running"), desk, None)
    assert caught.value.hint == "stop it first"


def test_a_query_of_another_session_does_not_count():
    with pytest.raises(NotValidated, match="did not run"):
        check_ran(Desk().run("SELECT 1"), Desk(), None)


def test_an_edited_cell_does_not_count():
    desk = Desk()
    with pytest.raises(NotValidated, match="q was edited") as caught:
        check_ran(desk.run("SELECT 1"), desk, "SELECT 2")
    assert "%%flinksql q again" in caught.value.hint


@pytest.mark.parametrize("state", ["FAILED", "FAILING", "RESTARTING"])
def test_an_insert_whose_job_failed_gives_its_root_cause(state):
    desk = Desk(Cluster(state, "division by zero"))
    query = desk.run("INSERT INTO o SELECT 1", state="submitted")
    query.job_id = JOB
    with pytest.raises(NotValidated, match=f"{state}: division by zero"):
        check_ran(query, desk, None)
    for fine in ("RUNNING", "FINISHED", "CANCELED", "UNKNOWN"):
        desk.jobmanager = Cluster(fine)
        check_ran(query, desk, None)


@pytest.mark.parametrize("change", ["DROP TABLE t; CREATE TABLE t (y INT)", "ALTER TABLE t ADD y INT", "SET 'a' = '2'", "RESET 'a'", "USE d"])  # fmt: skip
def test_what_was_changed_after_the_query_ran_calls_for_another_run(change):
    desk = Desk()
    desk.run("SET 'a' = '1'; CREATE TABLE t (x INT)")
    query = desk.run("SELECT * FROM t")
    check_since(query, desk, in_force(desk.ledger.shaping))
    desk.run(change)
    with pytest.raises(NotValidated, match=r"changed after q ran"):
        check_since(query, desk, in_force(desk.ledger.shaping))


def test_what_the_query_s_own_cell_declares_was_there_before_it():
    desk = Desk()
    query = desk.run("SET 'a' = '1'; CREATE TABLE t (x INT); SELECT * FROM t")
    check_since(query, desk, in_force(desk.ledger.shaping))


def test_other_objects_may_change_after_it():
    desk = Desk()
    query = desk.run("SELECT 1")
    desk.run("CREATE TABLE other (x INT)")
    check_since(query, desk, Slice((), ()))


@pytest.mark.parametrize(
    ("text", "to", "says"),
    [
        ("SELECT 1", None, "needs an output"),
        ("SELECT 1", "a b", "is not a topic name"),
        ("INSERT INTO o SELECT 1", "p", "names its own output"),
        ("CREATE TABLE t (x INT)", None, "is not a job"),
        ("SHOW TABLES", "t", "is not a job"),
    ],
)
def test_what_cannot_be_a_job_is_refused(text, to, says):
    with pytest.raises(UsageError, match=says):
        check_kind(Desk().run(text), to)


def test_an_insert_s_own_output_may_be_named():
    check_kind(Desk().run("INSERT INTO o SELECT 1"), "o")
    check_kind(Desk().run("INSERT INTO o SELECT 1"), None)


def test_the_profile_s_planner_settings_go_with_the_job_and_others_stay():
    part = in_force(())
    joined, left = with_profile(
        part, {"table.local-time-zone": "UTC", "parallelism.default": "4", "table.x": "it's ${a}"}
    )
    assert [entry.text for entry in joined.sets] == [
        "SET 'table.local-time-zone' = 'UTC'",
        "SET 'table.x' = 'it''s $${a}'",
    ]
    assert left == ("parallelism.default",)


def test_the_cell_s_own_setting_goes_before_the_profile_s():
    desk = Desk()
    desk.run("SET 'table.local-time-zone' = 'Asia/Tokyo'")
    joined, left = with_profile(in_force(desk.ledger.shaping), {"table.local-time-zone": "UTC"})
    assert [entry.text for entry in joined.sets] == ["SET 'table.local-time-zone' = 'Asia/Tokyo'"]
    assert left == ()


def test_values_come_from_each_statement_s_own_run_and_from_the_profile():
    desk = Desk(zone="UTC")
    desk.run("CREATE TABLE t (x INT) WITH ('topic' = '${topic}', ${kafka.main})", params={"topic": "orders"})
    query = desk.run("SELECT '${zone}' FROM t WHERE x > ${n}", params={"n": "3", "zone": "UTC"})
    assert values_of(in_force(desk.ledger.shaping), pieces(query), desk) == {
        "topic": "orders",
        "n": "3",
        "zone": "UTC",
    }


def test_one_name_with_two_values_is_refused():
    desk = Desk(n="3")
    desk.run("CREATE VIEW v AS SELECT ${n} AS x")
    query = desk.run("SELECT * FROM v WHERE x < ${n}", params={"n": "4"})
    with pytest.raises(SliceError, match=r"\$\{n\} had another value"):
        values_of(in_force(desk.ledger.shaping), pieces(query), desk)


@pytest.mark.parametrize("name", ["kafka", "a.b"])
def test_a_name_that_cannot_be_an_argument_is_refused(name):
    desk = Desk()
    query = desk.run(f"SELECT ${{{name}}}", params={name: "1"})
    with pytest.raises(UsageError, match="cannot be a parameter of a job"):
        values_of(in_force(()), pieces(query), desk)
