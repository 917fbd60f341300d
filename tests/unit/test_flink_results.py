import datetime as dt

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.errors import ResultError
from sdp_kernel.flink.query import Query
from sdp_kernel.flink.results import PageDecoder, build, change, raw_rows, read_head
from sdp_kernel.flink.rows import Rows
from sdp_kernel.flink.script import Statement
from sdp_kernel.flink.types import Column, LogicalType
from sdp_kernel.frames import to_pandas

INT = LogicalType("INTEGER")
STRING = LogicalType("VARCHAR", length=2147483647)


def page(rows, columns=(), result_type="PAYLOAD", token=1):
    data = ",".join(f'{{"kind":"{kind}","fields":[{fields}]}}' for kind, fields in rows)
    described = msgspec.json.encode(list(columns)).decode()
    following = (
        f',"nextResultUri":"/v3/sessions/s/operations/o/result/{token}?rowFormat=JSON"' if token else ""
    )
    return (
        f'{{"resultType":"{result_type}","isQueryResult":true,"jobID":"ab","resultKind":"SUCCESS_WITH_CONTENT",'
        f'"results":{{"columns":{described},"rowFormat":"JSON","data":[{data}]}}{following}}}'
    ).encode()


def test_the_head_names_columns_and_the_next_page():
    head = read_head(
        page([], [{"name": "a", "logicalType": {"type": "INTEGER", "nullable": False}, "comment": None}])
    )
    assert head.columns == (Column("a", LogicalType("INTEGER", nullable=False)),)
    assert (head.token, head.ready, head.end, head.job_id) == (1, True, False, "ab")


@pytest.mark.parametrize(
    ("type_", "values", "expected"),
    [
        (LogicalType("DOUBLE"), [1.5, "Infinity", None], [1.5, float("inf"), None]),
        (
            LogicalType("TIMESTAMP_WITHOUT_TIME_ZONE", precision=3),
            ["2024-01-01T00:00:00.5"],
            [dt.datetime(2024, 1, 1, 0, 0, 0, 500000)],
        ),
        (
            LogicalType("TIMESTAMP_WITHOUT_TIME_ZONE", precision=6),
            ["9999-12-31T23:59:59.999999"],
            [dt.datetime(9999, 12, 31, 23, 59, 59, 999999)],
        ),
        (
            LogicalType("TIMESTAMP_WITH_LOCAL_TIME_ZONE", precision=3),
            ["2024-01-01T00:00:00.001Z", None],
            [dt.datetime(2024, 1, 1, 0, 0, 0, 1000, dt.timezone.utc), None],
        ),
        (LogicalType("DATE"), ["2024-02-29", None], [dt.date(2024, 2, 29), None]),
        (LogicalType("TIME_WITHOUT_TIME_ZONE", precision=3), ["12:34:56.789"], [dt.time(12, 34, 56, 789000)]),
        (
            LogicalType("INTERVAL_DAY_TIME"),
            [93784567],
            [dt.timedelta(days=1, seconds=7384, milliseconds=567)],
        ),
        (LogicalType("INTERVAL_YEAR_MONTH"), [27, None], [pa.MonthDayNano([27, 0, 0]), None]),
        (LogicalType("VARBINARY"), [b"\x00\xff", None], [b"\x00\xff", None]),
        (LogicalType("ARRAY", children=(INT,)), [[1, None], None, []], [[1, None], None, []]),
        (LogicalType("MAP", children=(STRING, INT)), [{"a": 1}, None, {}], [[("a", 1)], None, []]),
        (
            LogicalType("MAP", children=(INT, STRING), as_entries=True),
            [[{"key": 1, "value": "x"}]],
            [[(1, "x")]],
        ),
        (
            LogicalType("ROW", names=("a", "b"), children=(INT, STRING)),
            [{"a": 1, "b": "x"}, None],
            [{"a": 1, "b": "x"}, None],
        ),
        (
            LogicalType(
                "ROW",
                names=("r",),
                children=(LogicalType("ROW", names=("t",), children=(LogicalType("DATE"),)),),
            ),
            [{"r": {"t": "2024-01-01"}}, {"r": None}],
            [{"r": {"t": dt.date(2024, 1, 1)}}, {"r": None}],
        ),
    ],
)
def test_types_decode_exactly(type_, values, expected):
    array = build(values, type_)
    assert array.type == type_.arrow()
    assert array.to_pylist() == expected


def test_timestamps_keep_nine_digits():
    array = build(["2024-01-01T00:00:00.123456789"], LogicalType("TIMESTAMP_WITHOUT_TIME_ZONE", precision=9))
    assert array.cast(pa.int64()).to_pylist() == [1704067200123456789]


def test_a_year_that_would_wrap_around_is_an_error():
    with pytest.raises(ResultError, match="9999"):
        build(["9999-01-01T00:00:00.5", None], LogicalType("TIMESTAMP_WITHOUT_TIME_ZONE", precision=9))


def test_nanoseconds_may_all_be_absent():
    nanoseconds = LogicalType("TIMESTAMP_WITHOUT_TIME_ZONE", precision=9)
    assert build([None, None], nanoseconds).to_pylist() == [None, None]


decimals = st.decimals(
    allow_nan=False, allow_infinity=False, places=18, min_value=-(10**19), max_value=10**19
)


@given(st.lists(decimals, min_size=1, max_size=5))
def test_decimals_pass_as_they_were_written(values):
    column = Column("d", LogicalType("DECIMAL", precision=38, scale=18))
    rows = Rows((column,))
    rows.only_appends(True)
    rows.add(page([("INSERT", format(v, "f")) for v in values]))
    assert rows.table().column(0).to_pylist() == values


@given(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), max_size=20))
def test_integers_stay_integers_in_pandas(values):
    frame = to_pandas(pa.table({"x": pa.array(values, pa.int64()), "y": ["a"] * len(values)}))
    assert [None if v is not v or v is None or str(v) == "<NA>" else int(v) for v in frame["x"]] == values


def test_rows_of_unknown_mode_turn_into_batches_once_the_plan_says_append():
    rows = Rows((Column("a", INT),))
    rows.add(page([("INSERT", "1"), ("INSERT", "1")]))
    rows.only_appends(True)
    rows.add(page([("INSERT", "2")]))
    assert rows.table().column(0).to_pylist() == [1, 1, 2]
    assert (len(rows), rows.changes) == (3, 3)


def test_retractions_are_folded_and_never_shown():
    rows = Rows((Column("k", STRING), Column("v", INT)))
    rows.only_appends(False)
    rows.add(
        page(
            [("INSERT", '"a",1'), ("UPDATE_BEFORE", '"a",1'), ("UPDATE_AFTER", '"a",2'), ("INSERT", '"b",1')]
        )
    )
    rows.add(page([("DELETE", '"b",1')]))
    assert rows.table().to_pylist() == [{"k": "a", "v": 2}]
    assert rows.changes == 5


def test_the_head_of_many_rows_is_cut():
    rows = Rows((Column("a", INT),))
    rows.only_appends(True)
    rows.add(page([("INSERT", str(i)) for i in range(10)]))
    assert rows.head(3).column(0).to_pylist() == [0, 1, 2]
    assert rows.table(4).num_rows == 4


def test_a_value_of_another_type_is_a_clear_error():
    added, undecided = Rows((Column("a", INT),)), Rows((Column("a", INT),))
    added.only_appends(True)
    with pytest.raises(ResultError, match="cannot be decoded"):
        added.add(page([("INSERT", '"text"')]))
    undecided.add(page([("INSERT", '"text"')]))
    with pytest.raises(ResultError, match="cannot be decoded"):
        undecided.table()


@pytest.mark.parametrize(
    ("type_", "sql"),
    [
        (STRING, "STRING"),
        (LogicalType("DECIMAL", precision=10, scale=2, nullable=False), "DECIMAL(10, 2) NOT NULL"),
        (LogicalType("TIMESTAMP_WITH_LOCAL_TIME_ZONE", precision=3), "TIMESTAMP_LTZ(3)"),
        (
            LogicalType("ROW", names=("a`b",), children=(LogicalType("ARRAY", children=(INT,)),)),
            "ROW<`a``b` ARRAY<INT>>",
        ),
        (
            LogicalType("MAP", children=(STRING, LogicalType("VARBINARY", length=2147483647))),
            "MAP<STRING, BYTES>",
        ),
    ],
)
def test_types_are_written_as_ddl(type_, sql):
    assert type_.sql() == sql


def test_a_result_without_rows_keeps_its_columns_and_counts_its_changes():
    query = Query("SELECT 1", Statement("SELECT 1", 0, "QUERY"))
    query.rows = Rows((Column("a", INT),))
    query.rows.add(page([("INSERT", "1"), ("DELETE", "1")]))
    assert len(query) == 0
    assert query.changes == 2
    assert [column.name for column in query.columns] == ["a"]
    assert query.arrow.column_names == query.head(5).column_names == list(query.df.columns) == ["a"]


SCALARS = (
    Column("i", LogicalType("BIGINT")),
    Column("t", STRING),
    Column("x", LogicalType("DOUBLE")),
    Column("d", LogicalType("DECIMAL", precision=38, scale=18)),
    Column("b", LogicalType("BOOLEAN")),
    Column("at", LogicalType("TIMESTAMP_WITH_LOCAL_TIME_ZONE", precision=6)),
    Column("n", LogicalType("TIMESTAMP_WITHOUT_TIME_ZONE", precision=9)),
    Column("o", LogicalType("TIME_WITHOUT_TIME_ZONE", precision=3)),
    Column("day", LogicalType("DATE")),
)
#: Text that looks like what stands between rows, columns and pages.
texts = st.one_of(
    st.text(),
    st.text('"\\\\,[]{}\\n null', max_size=12),
    st.sampled_from(
        ['"]},{"kind":"INSERT","fields":["', "null", "", '"}]}', "},{", ']},{"kind":"DELETE","fields":[']
    ),
)
times = st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)).map(dt.datetime.isoformat)


def or_null(values):
    return st.one_of(st.just("null"), values)


def quoted(text):
    return msgspec.json.encode(text).decode()


fields = st.tuples(
    or_null(st.integers(-(2**63), 2**63 - 1).map(str)),
    or_null(texts.map(quoted)),
    or_null(st.one_of(st.floats(allow_nan=False, allow_infinity=False).map(repr), st.just('"-Infinity"'))),
    or_null(st.one_of(decimals.map(str), st.sampled_from(["0E-18", "1E+3"]))),
    or_null(st.sampled_from(["true", "false"])),
    or_null(times.map(lambda text: quoted(text + "Z"))),
    or_null(times.map(lambda text: quoted(text + ("789" if "." in text else ".123456789")))),
    or_null(st.sampled_from(['"12:34:56"', '"00:00:00.1"'])),
    or_null(st.dates(dt.date(1, 1, 1)).map(lambda day: quoted(day.isoformat()))),
).map(",".join)


@given(st.lists(fields, min_size=1, max_size=6))
def test_plain_columns_read_in_bulk_are_what_reading_each_value_gives(rows):
    decoder = PageDecoder(SCALARS)
    one = page([("INSERT", row) for row in rows])
    bulk = decoder.inserts(one)
    assert bulk is not None or b"\\" in one
    if bulk is not None:
        assert bulk.equals(decoder.batch(decoder.rows(one)[0]))


@pytest.mark.parametrize(
    "rows",
    [
        [("INSERT", "1"), ("DELETE", "1")],
        [("UPDATE_AFTER", "1")],
        [("INSERT", "300")],
        [("INSERT", '"x"')],
        [],
    ],
)
def test_a_page_that_bulk_reading_could_get_wrong_is_left_to_the_other(rows):
    assert PageDecoder((Column("a", LogicalType("TINYINT")),)).inserts(page(rows)) is None


def test_columns_that_hold_others_are_not_read_in_bulk():
    nested = Column("a", LogicalType("ARRAY", children=(INT,)))
    assert PageDecoder((nested,)).inserts(page([("INSERT", "[1,2]")])) is None


kinds = st.sampled_from(["INSERT", "UPDATE_BEFORE", "UPDATE_AFTER", "DELETE"])
nested_row = LogicalType("ROW", names=("kind", "a"), children=(STRING, LogicalType("ARRAY", children=(INT,))))


@given(st.lists(st.tuples(kinds, texts), max_size=6), st.sampled_from([0, 7]))
def test_a_page_splits_into_its_changes_whatever_its_texts_hold(rows, token):
    one = page([(kind, f"{quoted(text)},[1]") for kind, text in rows], token=token)
    columns = (Column("t", STRING), Column("a", LogicalType("ARRAY", children=(INT,))))
    assert PageDecoder(columns).changes(one) == [change(row.kind, bytes(row.fields)) for row in raw_rows(one)]


def test_changes_whose_values_look_like_changes_stay_whole():
    column = Column("r", LogicalType("ARRAY", children=(nested_row,)))
    value = '[{"kind":"INSERT","a":[1]},{"kind":"DELETE","a":[2]}]'
    one = page([("INSERT", value), ("DELETE", value)])
    assert PageDecoder((column,)).changes(one) == [
        change(k, f"[{value}]".encode()) for k in ("INSERT", "DELETE")
    ]


@pytest.mark.parametrize("broken", [b"<html>", page([("INSERT", "1")])[:-150]])
def test_what_is_no_page_is_an_error_and_not_an_empty_one(broken):
    decoder = PageDecoder((Column("a", INT),))
    assert decoder.inserts(broken) is None
    with pytest.raises(ResultError, match="cannot be decoded"):
        decoder.changes(broken)
