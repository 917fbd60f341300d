"""What the lint finds in the measures of a run: with its numbers, and with no value of a topic."""

import pytest

from sdp_kernel.flink.job_detail import Vertex
from sdp_kernel.flink.operators import Operator
from sdp_kernel.flink.trace import Measures, Point
from sdp_kernel.flink.vitals import Vitals
from sdp_kernel.promote.lint import Run
from sdp_kernel.promote.sink import Sink
from sdp_kernel.settings_lint import LintSettings
from tests.lints import explained, findings, query

PLAN = explained(
    "Sink(table=[c.d.o], fields=[k, n], changelogMode=[NONE])",
    "+- GroupAggregate(groupBy=[k], select=[k, COUNT(*) AS n], changelogMode=[I,UA])",
    "   +- TableSourceScan(table=[[c, d, t]], fields=[k], changelogMode=[I])",
)
STATELESS = explained("Calc(select=[k], changelogMode=[I])")
VERTEX = Vertex("v", "WindowAggregate[2]", 1, {}, 0, 0)
OFF = ("SDP002",)


def updating(rows, *, name=None):
    found = query("SELECT k FROM t", [("k", "VARCHAR"), ("n", "INTEGER")], rows, name=name)
    found.rows.only_appends(False)
    return found


def measures(seconds=20.0, *, operators=(), sources=1, **figures):
    return Measures(
        Vitals("j", "RUNNING", duration_ms=int(seconds * 1000), **figures), tuple(operators), sources
    )


def found_in(ran, *, plan=PLAN, sink=None, ledger="", **settings):
    settings = LintSettings(disable=OFF, **settings)
    return findings(plan=plan, ledger=ledger, run=Run(((ran, sink),)), settings=settings)


def course(*points):
    ran = updating([("a", 1)])
    ran.trace.points = [Point(*point) for point in points]
    return ran


def test_sdp030_rows_that_go_on_coming_in_the_second_half_of_the_run():
    (found,) = found_in(course((0, 0, 0), (20, 900, 500), (40, 2000, 1000)), state_rows=1_000_000)
    assert (found.code, found.severity) == ("SDP030", "warning")
    for number in ("1,000 rows after 40 s", "1,500 a minute", "2,161,000 in 1 d"):
        assert number in found.message
    assert found_in(course((0, 0, 0), (20, 900, 500), (40, 2000, 1000))) == ()


def test_sdp030_is_quiet_where_all_keys_came_at_the_start_or_too_little_was_seen():
    assert found_in(course((0, 0, 0), (20, 900, 5000), (40, 2000, 5000)), state_rows=5001) == ()
    assert found_in(course((0, 0, 0), (1, 900, 5000)), state_rows=10) == ()
    assert found_in(course(), state_rows=10) == ()
    growing = course((0, 0, 0), (20, 900, 500), (40, 2000, 1000))
    assert found_in(growing, plan=STATELESS, state_rows=10) == ()


def test_sdp030_counts_up_to_the_time_to_live_where_there_is_one():
    growing = course((0, 0, 0), (20, 900, 500), (40, 2000, 1000))
    ttl = "SET 'table.exec.state.ttl' = '2 h'"
    assert found_in(growing, ledger=ttl, state_rows=1_000_000) == ()
    (found,) = found_in(growing, ledger=ttl, state_rows=100_000)
    assert "181,000 in 2 h" in found.message


def test_sdp030_by_the_size_of_checkpoints():
    ran = updating([("a", 1)])
    ran.trace.keep(measures(10, state_bytes=1_000_000))
    ran.trace.keep(measures(70, state_bytes=11_000_000))
    assert found_in(ran, state_mb=20_000) == found_in(ran, plan=STATELESS, state_mb=100) == ()
    (found,) = found_in(ran, state_mb=1000)
    assert "11.0 MB after 70 s, and grew by 10.0 MB a minute: 14,411 MB in 1 d" in found.message


def changes(heavy, others, keys):
    return [("heavy", n) for n in range(heavy)] + [(f"k{n % keys}", n) for n in range(others)]


def test_sdp031_one_key_with_most_of_the_changes():
    (found,) = found_in(updating(changes(800, 200, 39)), sink=Sink("o", "o", "main", ("k",), ""))
    assert found.code == "SDP031"
    assert "one k of 40 has 80% of the changes seen (800 of 1,000 looked at, 1,000 in all)" in found.message
    assert "heavy" not in f"{found}"


@pytest.mark.parametrize(
    ("rows", "key"),
    [
        (changes(400, 600, 39), ("k",)),
        (changes(800, 200, 1), ("k",)),
        (changes(1000, 0, 1), ("k",)),
        (changes(80, 20, 10), ("k",)),
        (changes(800, 200, 39), ()),
        (changes(800, 200, 39), ("gone",)),
    ],
)
def test_sdp031_is_quiet_for_even_keys_few_keys_few_changes_and_no_key(rows, key):
    assert [f.code for f in found_in(updating(rows), sink=Sink("o", "o", "main", key, ""))
            if f.code == "SDP031"] == []  # fmt: skip


def test_sdp031_takes_the_planner_s_key_where_the_output_has_none_and_the_setting_s_share():
    ran = updating(changes(400, 600, 39))
    ran.upsert_key = ("k",)
    assert [f.code for f in found_in(ran, skew=0.4)] == ["SDP031"]
    assert found_in(ran) == ()


def test_sdp032_records_that_windows_left_out():
    ran = updating([("a", 1)], name="totals")
    window = Operator("WindowAggregate[2]", VERTEX, records_in=2000, late=50)
    ran.trace.keep(measures(30, operators=[window]))
    (found,) = found_in(ran)
    assert (found.code, found.where) == ("SDP032", "the cell totals")
    assert "50 of 2,000 records (2.5%) came to WindowAggregate behind the watermark in 30 s" in found.message
    assert found_in(ran, lateness=0.03) == ()
    ran.trace.keep(measures(30, operators=[Operator("w", VERTEX, records_in=50, late=5)]))
    assert found_in(ran) == ()
    ran.trace.keep(
        measures(30, operators=[Operator("GlobalWindowAggregate[3]", VERTEX, records_in=50, late=5)])
    )
    assert "5 of 50 partial sums (10.0%)" in found_in(ran)[0].message


def test_sdp033_a_rate_above_what_a_subtask_should_take():
    ran = updating([("a", 1)])
    ran.trace.keep(measures(10, records_in=1_000_000, sources=2))
    (found,) = found_in(ran)
    assert found.code == "SDP033"
    assert "2 subtasks of sources read 100,000 records a second: more than 20,000 for each" in found.message
    assert found_in(ran, rate=50_000) == ()


def test_sdp033_a_busy_job_that_takes_long_to_catch_up():
    ran = updating([("a", 1)])
    ran.trace.keep(measures(20, records_in=100_000, lag=36_000_000, busy=0.97))
    (found,) = found_in(ran)
    assert "a source read 5,000 records a second" in found.message
    assert "97% of the time: what waits (36,000,000 records) takes 2.0 h" in found.message
    ran.trace.keep(measures(20, records_in=100_000, lag=36_000_000, busy=0.5))
    assert found_in(ran) == ()
    ran.trace.keep(measures(20, records_in=100_000, lag=1_000, busy=0.97))
    assert found_in(ran) == ()


def test_a_query_that_nobody_measured_has_no_finding():
    assert found_in(updating([("a", 1)])) == found_in(query("SELECT 1")) == ()
