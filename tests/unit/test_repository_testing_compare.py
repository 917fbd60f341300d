"""Tables held against each other: by key, as multisets, with tolerance; JSON values exactly."""

from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.repository.testing.compare import compare
from sdp_kernel.repository.testing.values import canonical, dumps, loads

NUMBERS = st.integers() | st.decimals(allow_nan=False, allow_infinity=False, places=3)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(max_size=3)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)
#: Few values, so that equal rows are not rare.
ROWS = st.lists(
    st.fixed_dictionaries({"a": st.sampled_from([0, 1, "1", True, None])}, optional={"b": SCALARS})
)


def same_multiset(left, right):
    return Counter(map(canonical, left)) == Counter(map(canonical, right))


@given(ROWS, ROWS)
def test_a_diff_is_empty_if_and_only_if_the_multisets_are_equal(left, right):
    assert bool(compare("t", left, right)) != same_multiset(left, right)


@given(ROWS, ROWS)
def test_a_diff_by_key_is_empty_if_and_only_if_the_tables_are_equal(left, right):
    assert bool(compare("t", left, right, key=("a",))) != same_multiset(left, right)


@given(ROWS, st.randoms(use_true_random=False))
def test_order_does_not_matter(rows, chance):
    shuffled = rows.copy()
    chance.shuffle(shuffled)
    assert not compare("t", rows, shuffled)
    assert not compare("t", rows, shuffled, key=("a",))


@given(ROWS, ROWS)
def test_what_is_missing_and_unexpected_is_what_lies_between_the_tables(left, right):
    found = compare("t", left, right)
    mended = Counter(map(canonical, left))
    mended.subtract(map(canonical, found.missing))
    mended.update(map(canonical, found.unexpected))
    assert +mended == Counter(map(canonical, right))
    assert min(mended.values(), default=0) >= 0


@given(VALUES)
def test_json_is_written_as_it_was_read(value):
    text = dumps(value)
    assert canonical(loads(text)) == canonical(value)
    assert loads(dumps(loads(text))) == loads(text)


@given(VALUES, VALUES, VALUES)
def test_all_values_have_one_order(one, other, third):
    a, b, c = sorted(map(canonical, (one, other, third)))
    assert a <= b <= c
    assert (a == b) == (hash(a) == hash(b) and not a < b)


@pytest.mark.parametrize(
    ("one", "other"), [(1, "1"), (1, True), (0, False), (0, None), ("", None), ([], {}), ([1], 1)]
)
def test_values_of_two_types_are_not_equal(one, other):
    assert compare("t", [{"a": one}], [{"a": other}])


def test_numbers_are_compared_exactly_and_by_their_value():
    assert not compare("t", [{"a": loads("1.50")}], [{"a": loads("1.5")}])
    assert not compare("t", [{"a": 100}], [{"a": loads("1E+2")}])
    assert compare("t", [{"a": loads("0.1000000000000000000001")}], [{"a": loads("0.1")}])
    assert compare("t", [{"a": loads("123456789012345678901")}], [{"a": loads("123456789012345678902")}])


def test_json_that_is_none_is_refused():
    for text in ("NaN", "[1, Infinity]", "{", "[" * 100_000):
        with pytest.raises(ValueError, match=r"."):
            loads(text)


def test_a_row_with_one_key_and_other_values_is_a_change_of_those_columns():
    found = compare(
        "totals",
        [{"k": "A", "n": 1, "x": "s"}, {"k": "B", "n": 2, "gone": 1}, {"k": "C", "n": 3}],
        [{"k": "D", "n": 4}, {"k": "B", "n": 2}, {"k": "A", "n": 7, "x": "s"}],
        key=("k",),
    )
    assert [dict(change.key) for change in found.changed] == [{"k": "A"}, {"k": "B"}]
    assert found.changed[0].columns == {"n": (1, 7)}
    assert found.changed[1].absent == {"gone": "found"}
    assert found.missing == ({"k": "C", "n": 3},)
    assert found.unexpected == ({"k": "D", "n": 4},)
    assert found.summary == "0 of 3 rows as expected, 1 missing, 1 unexpected, 2 changed"


def test_a_key_that_does_not_tell_rows_apart_is_not_one():
    left = [{"k": 1, "n": 1}, {"k": 1, "n": 2}]
    found = compare("t", left, [{"k": 1, "n": 1}], key=("k",))
    assert found.missing == ({"k": 1, "n": 2},)
    assert not found.changed


def test_ignored_columns_are_not_looked_at():
    assert not compare("t", [{"a": 1, "at": 1}], [{"a": 1, "at": 2}], ignore={"at"})
    assert not compare("t", [{"a": 1, "at": 1}], [{"a": 1}], key=("a",), ignore={"at"})


@pytest.mark.parametrize("key", [(), ("k",)])
def test_numbers_may_differ_by_their_tolerance(key):
    def differs(found, tolerance):
        rows = [{"k": 1, "v": loads("0.3")}, {"k": 2, "v": loads("5")}]
        other = [{"k": 2, "v": 5}, {"k": 1, "v": loads(found)}]
        return bool(compare("t", rows, other, key=key, tolerance=tolerance))

    assert differs("0.30000000000000004", {})
    assert not differs("0.30000000000000004", {"v": 1e-9})
    assert differs("0.31", {"v": 1e-3})
    assert differs('"0.3"', {"v": 1})
    assert not compare("t", [{"v": Decimal("1.0")}], [{"v": 2}], tolerance={"v": 1})
