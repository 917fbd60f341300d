from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.flink.changelog import Changelog


def test_a_row_keeps_its_place_while_it_is_updated():
    log = Changelog()
    log.apply([("INSERT", b"a1"), ("INSERT", b"b1"), ("UPDATE_BEFORE", b"a1"), ("UPDATE_AFTER", b"a2")])
    assert log.rows() == [b"a2", b"b1"]
    assert (len(log), log.changes, log.unmatched) == (2, 4, 0)


def test_equal_rows_are_counted_apart():
    log = Changelog()
    log.apply([("INSERT", b"x"), ("INSERT", b"x"), ("DELETE", b"x")])
    assert log.rows() == [b"x"]


def test_a_retraction_of_a_row_that_is_not_there_is_counted():
    log = Changelog()
    log.apply([("DELETE", b"x")])
    assert (len(log), log.unmatched) == (0, 1)


@st.composite
def changelogs(draw):
    """A well-formed changelog and the multiset it ends in."""
    live: Counter = Counter()
    changes = []
    for _ in range(draw(st.integers(0, 60))):
        rows = sorted(live.elements())
        action = draw(st.sampled_from(["insert", "delete", "update"])) if rows else "insert"
        new = draw(st.sampled_from([b"a", b"b", b"c", b"d"]))
        if action == "insert":
            changes.append(("INSERT", new))
            live[new] += 1
        else:
            old = draw(st.sampled_from(rows))
            live[old] -= 1
            if action == "delete":
                changes.append(("DELETE", old))
            else:
                changes += [("UPDATE_BEFORE", old), ("UPDATE_AFTER", new)]
                live[new] += 1
    return changes, +live


@given(changelogs())
def test_the_fold_is_the_multiset_of_live_rows(case):
    changes, expected = case
    log = Changelog()
    log.apply(changes)
    assert Counter(log.rows()) == expected
    assert len(log) == sum(expected.values())
    assert log.unmatched == 0


@given(changelogs(), st.integers(0, 60))
def test_the_fold_does_not_depend_on_where_pages_end(case, cut):
    changes, _ = case
    whole, parts = Changelog(), Changelog()
    whole.apply(changes)
    parts.apply(changes[:cut])
    parts.apply(changes[cut:])
    assert whole.rows() == parts.rows()


def test_an_update_whose_second_half_comes_with_the_next_page_keeps_its_place():
    log = Changelog()
    log.apply([("INSERT", b"a1"), ("INSERT", b"b1"), ("UPDATE_BEFORE", b"a1")])
    assert log.rows() == [b"b1"]
    log.apply([("UPDATE_AFTER", b"a2")])
    assert log.rows() == [b"a2", b"b1"]


def test_updates_of_which_a_filter_lets_one_half_pass_leave_nothing_behind():
    log = Changelog()
    for number in range(30_000):
        row = b"%d" % number
        log.apply([("INSERT", row), ("UPDATE_BEFORE", row)])
    assert (len(log), log.rows(), log.unmatched) == (0, [], 0)
    assert len(log._freed) <= 10_000
    log.apply([("UPDATE_AFTER", b"x")])
    assert log.rows() == [b"x"]


def test_what_looks_like_a_kind_inside_a_row_is_not_one():
    log = Changelog()
    log.apply([("INSERT", b'["UPDATE_BEFORE"]'), ("DELETE", b'["UPDATE_BEFORE"]'), ("INSERT", b"[]")])
    assert log.rows() == [b"[]"]
