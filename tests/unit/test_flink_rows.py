"""Pages of the live rows: their order, their identities, and what is kept of an endless query."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.errors import UsageError
from sdp_kernel.flink.rows import Rows
from sdp_kernel.flink.types import Column, LogicalType

COLUMNS = (Column("k", LogicalType("INTEGER")), Column("v", LogicalType("INTEGER")))


def page(changes):
    rows = [{"kind": kind, "fields": list(fields)} for kind, fields in changes]
    return json.dumps(
        {"resultType": "PAYLOAD", "results": {"columns": [], "data": rows}, "nextResultUri": "/r/result/1?x"}
    ).encode()


def appended(*pages, keep=None):
    rows = Rows(COLUMNS, keep=keep)
    rows.only_appends(True)
    for values in pages:
        rows.add(page([("INSERT", (value, -value)) for value in values]))
    return rows


def updated(changes, key=()):
    rows = Rows(COLUMNS)
    rows.only_appends(False)
    rows.key = key
    rows.add(page(changes))
    return rows


def column(window, name="k"):
    return window.table[name].to_pylist()


def test_rows_that_are_only_added_come_newest_first():
    rows = appended([1, 2, 3], [4, 5])
    assert column(rows.window(0, 2)) == [5, 4]
    assert column(rows.window(1, 3)) == [4, 3, 2]
    assert column(rows.window(4, 10)) == [1]
    assert column(rows.window(9, 10)) == []
    assert rows.window(0, 2).total == 5


def test_an_appended_row_keeps_its_id_when_others_come():
    rows = appended([1, 2, 3])
    before = dict(zip(column(rows.window(0, 9)), rows.window(0, 9).ids, strict=True))
    rows.add(page([("INSERT", (4, 4))]))
    after = dict(zip(column(rows.window(0, 9)), rows.window(0, 9).ids, strict=True))
    assert {value: after[value] for value in before} == before
    assert len(set(after.values())) == 4


def test_only_the_newest_rows_are_kept_and_ids_go_on():
    rows = appended([1, 2], [3, 4], [5, 6], keep=3)
    assert (len(rows), rows.dropped, rows.changes) == (4, 2, 6)
    assert rows.table()["k"].to_pylist() == [3, 4, 5, 6]
    assert rows.window(0, 1).ids == [5]


def test_rows_beyond_a_limit_are_cut_off():
    added, changed = appended([1, 2], [3, 4]), updated([("INSERT", (i, i)) for i in range(4)])
    for rows, kept in ((added, [1, 2, 3]), (changed, [0, 1, 2])):
        rows.cut(3)
        assert len(rows) == 3
        assert rows.table()["k"].to_pylist() == kept
        assert sorted(column(rows.window(0, 9, sort="k"))) == kept


def test_rows_are_sorted_by_a_column_both_ways():
    rows = appended([3, 1, 2])
    assert column(rows.window(0, 2, sort="k")) == [1, 2]
    assert column(rows.window(0, 2, sort="k", descending=True)) == [3, 2]
    assert column(rows.window(2, 2, sort="v")) == [1]


def test_an_unknown_column_to_sort_by_is_refused_with_those_there_are():
    with pytest.raises(UsageError, match="no column 'x'") as error:
        appended([1]).window(0, 1, sort="x")
    assert "k, v" in error.value.hint


def test_a_row_keeps_its_place_and_its_id_while_it_is_updated():
    rows = updated([("INSERT", (1, 10)), ("INSERT", (2, 20))], key=("k",))
    before = rows.window(0, 9)
    rows.add(page([("UPDATE_BEFORE", (1, 10)), ("UPDATE_AFTER", (1, 11))]))
    after = rows.window(0, 9)
    assert column(after, "v") == [11, 20]
    assert after.ids == before.ids


def test_by_key_a_row_keeps_its_id_where_updates_cross():
    rows = updated([("INSERT", (1, 10)), ("INSERT", (2, 20))], key=("k",))
    before = dict(zip(column(rows.window(0, 9)), rows.window(0, 9).ids, strict=True))
    rows.add(
        page(
            [
                ("UPDATE_BEFORE", (1, 10)),
                ("UPDATE_BEFORE", (2, 20)),
                ("UPDATE_AFTER", (1, 11)),
                ("UPDATE_AFTER", (2, 21)),
            ]
        )
    )
    after = rows.window(0, 9)
    assert dict(zip(column(after), after.ids, strict=True)) == before


def test_equal_rows_have_ids_of_their_own():
    rows = updated([("INSERT", (1, 1)), ("INSERT", (1, 1))], key=("k",))
    assert len(set(rows.window(0, 9).ids)) == 2


def test_an_order_tells_nothing_that_is_masked():
    def hide(table):
        return (
            table.set_column(table.column_names.index("k"), "k", [[None] * len(table)])
            if "k" in table.column_names
            else table
        )

    rows = appended([3, 1, 2])
    window = rows.window(0, 3, sort="k", mask=hide)
    assert column(window) == [None, None, None]
    assert column(window, "v") == [-3, -1, -2]


@given(
    st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=7), max_size=8),
    st.integers(0, 40),
    st.integers(1, 20),
)
def test_pages_put_together_are_the_table_backwards(pages, offset, size):
    rows = appended(*pages)
    everything = [value for values in pages for value in values][::-1]
    assert column(rows.window(offset, size)) == everything[offset : offset + size]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), min_size=1, max_size=40))
def test_sorted_pages_are_the_sorted_live_rows(puts):
    live, changes = {}, []
    for key, value in puts:
        if key in live:
            changes += [("UPDATE_BEFORE", (key, live[key])), ("UPDATE_AFTER", (key, value))]
        else:
            changes.append(("INSERT", (key, value)))
        live[key] = value
    rows = updated(changes, key=("k",))
    window = rows.window(0, 99, sort="v")
    assert column(window, "v") == sorted(live.values())
    assert len(set(window.ids)) == window.total == len(live)


def test_months_and_other_types_without_an_order_in_arrow_are_sorted_too():
    rows = Rows((Column("k", LogicalType("INTERVAL_YEAR_MONTH")),))
    rows.only_appends(True)
    rows.add(page([("INSERT", (months,)) for months in (14, None, 2, 9)]))
    assert [v and v.months for v in column(rows.window(0, 9, sort="k"))] == [2, 9, 14, None]
