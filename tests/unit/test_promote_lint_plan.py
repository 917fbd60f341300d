"""What the lint finds in the plan of a job."""

import pytest

from sdp_kernel.promote.lint import Run
from tests.lints import codes, explained, findings, table

SCAN = "TableSourceScan(table=[[c, d, t]], fields=[x, ts], changelogMode=[I])"
MARKED = "TableSourceScan(table=[[c, d, t, watermark=[-(ts, 5000:INTERVAL SECOND)]]], fields=[x, ts], changelogMode=[I])"
KAFKA = table("'connector' = 'kafka'")


def plan(*operators):
    """A chain of operators under a sink."""
    lines = ["Sink(table=[c.d.o], fields=[x], changelogMode=[NONE])", *operators]
    return explained(*[f"{'   ' * (n - 1)}+- {line}" if n else line for n, line in enumerate(lines)])


@pytest.mark.parametrize(
    ("operator", "endless"),
    [
        ("GroupAggregate(groupBy=[a], select=[a, COUNT(*) AS n], changelogMode=[I,UA])", True),
        ("GroupAggregate(select=[COUNT(*) AS n], changelogMode=[I,UA])", False),
        ("Rank(strategy=[RetractStrategy], partitionBy=[a], changelogMode=[I,UA])", True),
        ("ChangelogNormalize(key=[a], changelogMode=[I,UA,D])", True),
        ("GlobalGroupAggregate(groupBy=[a], select=[a], changelogMode=[I,UA])", True),
        ("Deduplicate(keep=[FirstRow], key=[a], order=[PROCTIME], changelogMode=[I])", True),
        ("WindowAggregate(groupBy=[a], window=[TUMBLE(time_col=[ts], size=[1 min])], changelogMode=[I])", False),
        ("LookupJoin(table=[x], changelogMode=[I])", False),
        ("Calc(select=[Join(x)], changelogMode=[I])", False),
    ],
)  # fmt: skip
def test_sdp002_by_what_an_operator_keeps(operator, endless):
    assert ("SDP002" in codes(plan=plan(operator, SCAN))) is endless
    assert "SDP002" not in codes(plan=plan(operator, SCAN), ledger="SET 'table.exec.state.ttl' = '7 d'")
    again = codes(plan=plan(operator, SCAN), ledger="SET 'table.exec.state.ttl' = '0'")
    assert ("SDP002" in again) is endless


def test_sdp002_says_what_is_kept_and_one_side_of_a_join_is_not_enough():
    keyed = "GroupAggregate(groupBy=[a], select=[a, COUNT(*) AS n], changelogMode=[I,UA])"
    (found,) = findings(plan=plan(keyed, SCAN))
    assert "GroupAggregate keeps an accumulator per a" in found.message
    join = "Join(joinType=[InnerJoin], where=[=(a, b)], stateTtlHints=[[[STATE_TTL options:{}]]], changelogMode=[I])"
    assert "SDP002" in codes(plan=plan(join.format("{LEFT=1h}"), SCAN))
    assert "SDP002" not in codes(plan=plan(join.format("{LEFT=1h, RIGHT=2d}"), SCAN))


WINDOW = "WindowAggregate(groupBy=[x], window=[TUMBLE(time_col=[{}], size=[1 min])], changelogMode=[I])"


def test_sdp015_a_window_over_a_topic_without_an_idle_time_out():
    windowed = plan(WINDOW.format("ts"), MARKED)
    (found,) = [f for f in findings(plan=windowed, ledger=KAFKA) if f.code == "SDP015"]
    assert ("a partition of t" in found.message, found.fixable) == (True, True)
    assert "SDP015" not in codes(
        plan=windowed, ledger=f"SET 'table.exec.source.idle-timeout' = '5 s'; {KAFKA}"
    )
    own = table("'connector' = 'kafka'", "'scan.watermark.idle-timeout' = '5 s'")
    assert "SDP015" not in codes(plan=windowed, ledger=own)
    assert "SDP015" not in codes(plan=plan("Calc(select=[x], changelogMode=[I])", MARKED), ledger=KAFKA)
    assert "SDP015" not in codes(plan=windowed, ledger=table("'connector' = 'filesystem'"))
    assigned = plan(
        WINDOW.format("ts"),
        "WatermarkAssigner(rowtime=[ts], watermark=[-(ts, 5000:INTERVAL SECOND)], changelogMode=[I])",
        SCAN,
    )
    assert "SDP015" in codes(plan=assigned, ledger=KAFKA)


@pytest.mark.parametrize(
    ("operator", "found"),
    [
        ("Calc(select=[x, RAND() AS r], changelogMode=[I,UA])", True),
        ("Calc(select=[x, UUID() AS r], changelogMode=[I,UA])", True),
        ("Calc(select=[x, CURRENT_TIMESTAMP() AS r], changelogMode=[I,UA])", True),
        ("Calc(select=[x, RAND_INTEGER(10) AS r], changelogMode=[I,UA])", True),
        ("Calc(select=[x, UNIX_TIMESTAMP(x) AS r], changelogMode=[I,UA])", False),
        ("Calc(select=[x, _UTF-16LE'UUID()' AS r], changelogMode=[I,UA])", False),
        ("Calc(select=[x, MY_RAND(x) AS r], changelogMode=[I,UA])", False),
    ],
)
def test_sdp016_only_over_rows_that_are_updated(operator, found):
    grouped = "GroupAggregate(groupBy=[x], select=[x, COUNT(*) AS n], changelogMode=[I,UA])"
    assert ("SDP016" in codes(plan=plan(operator, grouped, SCAN))) is found
    assert "SDP016" not in codes(plan=plan(operator.replace("I,UA", "I"), SCAN))


def test_sdp017_windows_by_processing_time():
    by_clock = plan(WINDOW.format("pt"), "Calc(select=[x, PROCTIME() AS pt], changelogMode=[I])", MARKED)
    assert codes(plan=by_clock, ledger=KAFKA) == ["SDP017"]
    by_record = plan(WINDOW.format("ts"), "Calc(select=[x, ts, PROCTIME() AS pt], changelogMode=[I])", MARKED)
    assert "SDP017" not in codes(plan=by_record, ledger=KAFKA)
    interval = (
        "IntervalJoin(joinType=[InnerJoin], windowBounds=[isRowTime={}, leftLowerBound=0], changelogMode=[I])"
    )
    assert "SDP017" in codes(plan=plan(interval.format("false"), SCAN))
    assert "SDP017" not in codes(plan=plan(interval.format("true"), SCAN))


@pytest.mark.parametrize(("distribution", "found"), [("single", True), ("hash[x]", False)])
def test_sdp018_a_join_without_a_key(distribution, found):
    joined = explained(
        "Join(joinType=[InnerJoin], where=[true], changelogMode=[I])",
        f":- Exchange(distribution=[{distribution}], changelogMode=[I])",
        f":  +- {SCAN}",
        f"+- Exchange(distribution=[{distribution}], changelogMode=[I])",
        f"   +- {SCAN}",
    )
    assert ("SDP018" in codes(plan=joined)) is found


def test_a_batch_plan_has_no_finding():
    batch = explained(
        "HashAggregate(isMerge=[true], groupBy=[a], select=[a])",
        f"+- {SCAN.replace(', changelogMode=[I]', '')}",
    )
    assert codes(plan=batch, run=Run()) == []
