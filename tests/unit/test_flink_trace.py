"""What is kept of a query's run: its course, and a fair sample of its changes."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from sdp_kernel.flink.trace import Point, Sample, Trace
from tests.lints import query


def test_a_course_keeps_its_first_and_last_point_and_stays_small():
    trace = Trace()
    for tick in range(100_000):
        trace.note(tick / 10, tick, tick * 2)
    trace.end(10_000.0, 100_000, 7)
    assert trace.points[0] == Point(0.0, 0, 0)
    assert trace.points[-1] == Point(10_000.0, 100_000, 7)
    assert len(trace.points) <= 65
    gaps = [b.seconds - a.seconds for a, b in zip(trace.points, trace.points[1:-1], strict=False)]
    assert max(gaps[:-1]) <= 4 * min(gaps[:-1])


def test_a_look_comes_ever_more_seldom():
    trace, times = Trace(), []
    for second in range(400):
        if trace.due(second):
            times.append(second)
            trace._next_look = second + min(max(second, 4), 60)
    assert times == [4, 8, 16, 32, 64, 124, 184, 244, 304, 364]


@settings(deadline=None)
@given(st.lists(st.integers(0, 40), max_size=60), st.integers(1, 30))
def test_a_sample_holds_so_many_of_the_changes_that_came_and_each_once(pages, most):
    sample, number = Sample(most, seed=1), 0
    for size in pages:
        sample.take([b"%d" % (number + at) for at in range(size)])
        number += size
    assert sample.seen == number
    assert len(sample.kept) == min(most, number)
    assert len(set(sample.kept)) == len(sample.kept)
    assert all(0 <= int(one) < number for one in sample.kept)


def test_each_change_has_the_same_chance_to_be_in_a_sample():
    counts = Counter()
    for seed in range(2_000):
        sample = Sample(10, seed=seed)
        for page in range(10):
            sample.take([b"%d" % (page * 10 + at) for at in range(10)])
        counts.update(int(one) // 10 for one in sample.kept)
    assert min(counts.values()) > 1_750
    assert max(counts.values()) < 2_250


def test_the_rows_of_an_updating_query_are_sampled_and_those_of_one_that_appends_are_not():
    rows = [("a", 1), ("a", 1), ("a", 2)]
    kinds = ["INSERT", "UPDATE_BEFORE", "UPDATE_AFTER"]
    found = query("SELECT 1", [("k", "VARCHAR"), ("n", "INTEGER")], rows, kinds=kinds).rows
    assert found.sampled().to_pylist() == [{"k": k, "n": n} for k, n in rows]
    found.only_appends(True)
    assert (found.sample.seen, found.sampled().num_rows) == (0, 0)
