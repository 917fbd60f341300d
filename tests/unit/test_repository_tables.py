"""Final tables: what a difference says."""

import datetime as dt
import json
import math
from collections import Counter
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdp_kernel.repository.tables import FinalTable, diff


def table(rows, key=()):
    names = list(rows[0]) if rows else []
    return FinalTable(pa.table({name: [row[name] for row in rows] for name in names}), key)


def rows_of(pairs):
    return [{"id": key, "v": value} for key, value in pairs.items()]


MAPS = st.dictionaries(st.integers(0, 9), st.integers(0, 2), min_size=1)


@settings(deadline=None)
@given(MAPS, MAPS)
def test_a_diff_by_key_counts_as_dictionaries_do(old, new):
    found = diff("t", table(rows_of(old), ("id",)), table(rows_of(new), ("id",)))
    common = old.keys() & new.keys()
    assert found.only_old == len(old.keys() - new.keys())
    assert found.only_new == len(new.keys() - old.keys())
    assert found.changed.count == sum(old[key] != new[key] for key in common)
    assert found.same == sum(old[key] == new[key] for key in common)
    assert found.differs == (old != new)


LISTS = st.lists(st.integers(0, 3), min_size=1)


@settings(deadline=None)
@given(LISTS, LISTS)
def test_a_diff_without_key_counts_as_multisets_do(old, new):
    found = diff("t", table([{"v": v} for v in old]), table([{"v": v} for v in new]))
    assert found.only_old == (Counter(old) - Counter(new)).total()
    assert found.only_new == (Counter(new) - Counter(old)).total()
    assert found.same == (Counter(old) & Counter(new)).total()
    assert found.changed.count == 0


OLD = [
    {"id": 1, "name": "a", "total": 1.0},
    {"id": 2, "name": "b", "total": 2.0},
    {"id": 3, "name": "c", "total": 3.0},
]
NEW = [
    {"id": 1, "name": "a", "total": 1.5},
    {"id": 2, "name": "b", "total": 2.0},
    {"id": 4, "name": "d", "total": 4.0},
]


def test_what_changed_is_shown_by_key_and_column():
    found = diff("totals", table(OLD, ("id",)), table(NEW, ("id",)))
    assert found.to_text().splitlines() == [
        "totals: 1 changed, 1 only in old, 1 only in new; 1 row the same",
        "  values changed: total in 1",
        "  changed:",
        "    id  total",
        "    1   1.0 → 1.5",
        "  only in old:",
        "    id  name  total",
        "    3   c     3.0",
        "  only in new:",
        "    id  name  total",
        "    4   d     4.0",
    ]
    said = found.to_json()
    assert said["changed"] == {
        "count": 1,
        "columns": {"total": 1},
        "first": [{"old": OLD[0], "new": NEW[0]}],
    }
    assert said["only_old"] == {"count": 1, "first": [OLD[2]]}


def test_equal_tables_are_the_same_in_whatever_order():
    found = diff("t", table(OLD, ("id",)), table(OLD[::-1], ("id",)))
    assert not found.differs
    assert found.to_text() == "t: the same, 3 rows"


def test_sums_that_differ_in_their_last_digits_are_equal_and_others_are_not():
    old, new = table([{"v": 0.1 + 0.2}]), table([{"v": 0.3}])
    assert not diff("t", old, new).differs
    assert diff("t", old, table([{"v": 0.3000001}])).differs
    assert not diff("t", table([{"v": float("nan")}]), table([{"v": float("nan")}])).differs


AT_A_BOUNDARY = 1.0000000000049999, 1.0000000000050004  # a few ulp apart, with other twelfth digits


@pytest.mark.parametrize("key", [(), ("id",), ("v",)])
def test_numbers_a_few_ulp_apart_are_equal_wherever_they_lie(key):
    old = [{"id": n, "v": n + AT_A_BOUNDARY[0], "all": [AT_A_BOUNDARY[0]]} for n in range(3)]
    new = [{"id": n, "v": n + AT_A_BOUNDARY[1], "all": [AT_A_BOUNDARY[1]]} for n in range(3)]
    found = diff("t", table(old, key), table(new[::-1], key))
    assert (found.differs, found.same) == (False, 3)


NUMBERS = st.floats(1e-9, 1e9) | st.floats(-1e9, -1e-9) | st.sampled_from([0.0, math.inf, -math.inf])


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), NUMBERS), min_size=1), st.randoms())
def test_rows_pair_up_however_their_last_digits_and_order_are(pairs, random):
    old = [{"k": key, "v": value} for key, value in pairs]
    new = [{"k": key, "v": math.nextafter(value, 1.0) if value and math.isfinite(value) else value}
           for key, value in pairs]  # fmt: skip
    random.shuffle(new)
    assert not diff("t", table(old), table(new)).differs


def test_each_row_pairs_with_one_alone():
    low, high = AT_A_BOUNDARY
    found = diff("t", table([{"v": low}, {"v": low}, {"v": 2.0}]), table([{"v": high}, {"v": 2.1}]))
    assert (found.same, found.only_old, found.only_new) == (1, 2, 1)


def test_other_types_of_a_column_are_a_difference():
    found = diff("t", table([{"v": 1}, {"v": 0}]), table([{"v": True}, {"v": False}]))
    assert found.differs
    assert found.types == {"v": ("int64", "bool")}
    assert found.to_text().splitlines() == [
        "t: other types; 2 rows the same",
        "  the type of v: int64 → bool",
    ]
    assert found.to_json()["types"] == {"v": {"old": "int64", "new": "bool"}}


def test_maps_are_equal_in_any_order_and_lists_are_not():
    kind = pa.map_(pa.string(), pa.int32())
    maps = [
        FinalTable(pa.table({"v": pa.array([list(pairs)], kind)}))
        for pairs in ([("a", 1), ("b", 2)], [("b", 2), ("a", 1)])
    ]
    assert not diff("t", *maps).differs
    assert diff("t", table([{"v": [1, 2]}]), table([{"v": [2, 1]}])).differs


def test_a_column_more_is_a_difference_and_the_others_are_compared():
    new = [{**row, "more": 1} for row in OLD]
    found = diff("t", table(OLD, ("id",)), table(new, ("id",)))
    assert found.differs
    assert found.same == 3
    assert "columns only in new: more" in found.to_text()


def test_keys_that_are_not_the_same_or_not_unique_are_said_and_rows_compared_as_a_whole():
    found = diff("t", table(OLD, ("id",)), table(OLD, ("name",)))
    assert not found.differs
    assert "the keys are not the same: id and name" in found.to_text()
    twice = table([OLD[0], OLD[0]], ("id",))
    found = diff("t", twice, table([OLD[0]], ("id",)))
    assert found.only_old == 1
    assert "id does not tell the rows apart" in found.to_text()


def test_an_empty_table_is_compared_with_one_that_has_rows():
    none = FinalTable(pa.table({"id": pa.array([], pa.int64()), "name": [], "total": []}), ("id",))
    assert diff("t", none, table(OLD, ("id",))).only_new == 3
    assert not diff("t", none, none).differs


def test_only_the_first_rows_are_kept_to_show():
    found = diff("t", table([{"v": n} for n in range(30)]), table([{"v": -1}]), shown=5)
    assert found.first_old.num_rows == 5
    assert "only in old, the first 5 of 30:" in found.to_text()


def test_what_is_shown_is_masked_and_the_counts_are_of_the_values():
    def mask(data):
        return data.set_column(1, "name", pa.array(["•"] * data.num_rows))

    new = [{**row, "name": row["name"] + "!"} for row in OLD]
    found = diff("t", table(OLD, ("id",)), table(new, ("id",))).masked(mask)
    assert found.changed.count == 3
    for shown in (found.to_text(), found.to_html(), json.dumps(found.to_json())):
        assert "a!" not in shown


@pytest.mark.parametrize(
    "value", ["<script>x</script>", "a\x1b[31mb", b"\x00\xff", Decimal("1.20"), dt.date(2026, 1, 2), None]
)
def test_any_value_can_be_shown_and_nothing_in_it_is_obeyed(value):
    found = diff(
        "<t>",
        table([{"v": value}]),
        table(
            [{"v": "other"}] if isinstance(value, str) else [{"v": None if value else value}, {"v": value}]
        ),
    )
    assert "<script>" not in found.to_html()
    assert "<t>" not in found.to_html()
    assert "\x1b" not in found.to_text()
    json.dumps(found.to_json())
