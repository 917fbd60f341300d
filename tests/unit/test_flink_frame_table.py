"""Frames as tables, without a cluster: types, texts, keys, what is refused."""

import datetime as dt
import json
import math
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.errors import UsageError
from sdp_kernel.flink.frame_table import (
    _write,
    check_key,
    declare,
    file_ddl,
    is_frame,
    text_ddl,
    to_arrow,
)
from sdp_kernel.flink.frame_types import sql_type, texts
from sdp_kernel.flink.ledger import Entry, Ledger
from sdp_kernel.flink.query import Query
from sdp_kernel.flink.script import split


@pytest.mark.parametrize(
    ("arrow", "flink"),
    [
        (pa.int8(), "TINYINT"),
        (pa.uint32(), "BIGINT"),
        (pa.uint64(), "DECIMAL(20, 0)"),
        (pa.decimal128(38, 18), "DECIMAL(38, 18)"),
        (pa.large_string(), "STRING"),
        (pa.dictionary(pa.int8(), pa.string()), "STRING"),
        (pa.binary(4), "BYTES"),
        (pa.timestamp("ns"), "TIMESTAMP(9)"),
        (pa.timestamp("ms", "Europe/Berlin"), "TIMESTAMP_LTZ(3)"),
        (pa.time64("us"), "TIME(3)"),
        (pa.null(), "STRING"),
        (
            pa.struct([("a b", pa.list_(pa.int32())), ("m", pa.map_(pa.string(), pa.float64()))]),
            "ROW<`a b` ARRAY<INT>, `m` MAP<STRING, DOUBLE>>",
        ),
    ],
)
def test_arrow_types_have_flink_types(arrow, flink):
    assert sql_type(arrow, "x") == flink


@pytest.mark.parametrize(
    "arrow",
    [
        pa.duration("s"),
        pa.map_(pa.int32(), pa.string()),
        pa.decimal256(60, 2),
        pa.decimal128(5, -2),
        pa.month_day_nano_interval(),
        pa.list_(pa.duration("ms")),
        pa.struct([]),
    ],
)
def test_a_type_that_flink_lacks_is_refused_with_its_column(arrow):
    with pytest.raises(UsageError, match="the column odd is a ") as error:
        sql_type(arrow, "odd")
    assert error.value.hint


def column(values, type_):
    return texts(pa.chunked_array([pa.array(values, type_)]), "x")


@pytest.mark.parametrize(
    ("values", "type_", "expected"),
    [
        ([1.5, math.nan, -math.inf, None], pa.float64(), [1.5, "NaN", "-Infinity", None]),
        ([Decimal("0.00"), Decimal("-1E+3"), None], pa.decimal128(10, 2), ["0.00", "-1000.00", None]),
        ([b"\x00\xff", b"", None], pa.binary(), ["AP8=", "", None]),
        ([dt.date(1, 1, 1), dt.date(9999, 12, 31)], pa.date32(), ["0001-01-01", "9999-12-31"]),
        ([dt.time(1, 2, 3, 4000), None], pa.time64("us"), ["01:02:03.004", None]),
        ([-1, None], pa.timestamp("ns"), ["1969-12-31 23:59:59.999999999", None]),
        ([0], pa.timestamp("ms", "Asia/Tokyo"), ["1970-01-01 00:00:00.000Z"]),
        ([[{"k": Decimal("1.0")}], None, []], pa.list_(pa.struct([("k", pa.decimal128(3, 1))])), [[{"k": "1.0"}], None, []]),
        ([[("k", math.nan)]], pa.map_(pa.string(), pa.float64()), [{"k": "NaN"}]),
        ([None, None], pa.null(), [None, None]),
        ([None], pa.timestamp("us"), [None]),
    ],
)  # fmt: skip
def test_values_are_written_exactly(values, type_, expected):
    assert column(values, type_) == expected


@pytest.mark.parametrize(
    ("values", "type_", "message"),
    [
        ([dt.time(1, 2, 3, 4)], pa.time64("us"), "finer than a millisecond"),
        ([2_932_897], pa.date32(), "outside the years 1 to 9999"),
        ([-719_163], pa.date32(), "outside the years 1 to 9999"),
        ([-10**17], pa.timestamp("us"), "outside the years 1 to 9999"),
    ],
)  # fmt: skip
def test_values_beyond_flink_are_refused_with_their_column(values, type_, message):
    with pytest.raises(UsageError, match=f"the column x has .*{message}"):
        column(values, type_)


def test_the_index_of_pandas_is_left_out_and_its_nan_is_null():
    frame = pd.DataFrame({"a": [1.0, math.nan]}, index=pd.Index([7, 8], name="key"))
    assert to_arrow("df", frame).to_pydict() == {"a": [1.0, None]}


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ([1, 2], "df is a list, not a frame"),
        (pd.Series([1]), "df is a Series, not a frame"),
        (pd.DataFrame({"a": [1, "x"]}), "cannot be read as a table.*a"),
        (pd.DataFrame(), "no columns"),
        (pa.table([[1], [2]], names=["a", "a"]), "two columns named a"),
        (pa.table([[1]], names=[""]), "a column without a name"),
    ],
)
def test_what_is_no_frame_is_refused(frame, message):
    with pytest.raises(UsageError, match=message):
        to_arrow("df", frame)


def test_a_file_has_a_line_a_row_and_a_name_by_its_content(tmp_path):
    table = pa.table({"a b": [1, None], "t": ["x'\n", ""]})
    file = _write(table, "odd name", tmp_path)
    assert [json.loads(line) for line in file.read_text("utf-8").splitlines()] == table.to_pylist()
    assert _write(table, "odd name", tmp_path) == file
    assert _write(table.slice(1), "odd name", tmp_path) != file
    assert len(list(tmp_path.iterdir())) == 2


def test_declarations_quote_names_and_values_and_are_one_statement():
    nasty = "'; DROP TABLE x; -- ${secret} `"
    table = pa.table({nasty: [nasty, None]})
    ddl = text_ddl(nasty, table, [(nasty, "STRING")])
    (statement,) = split(ddl)
    assert statement.target == nasty
    assert "'''; DROP TABLE x; -- ${secret} `" in ddl
    (statement,) = split(file_ddl(nasty, [(nasty, "STRING")], "file:///it's/here"))
    assert (statement.kind, statement.target, statement.temporary) == ("CREATE TABLE", nasty, True)
    assert "'file:///it''s/here'" in statement.text


def test_a_frame_too_large_or_nested_for_a_statement_is_refused_with_what_to_do():
    with pytest.raises(UsageError, match="too large to travel") as error:
        text_ddl("df", pa.table({"a": ["x" * 1000] * 300}), [("a", "STRING")])
    assert "%produce" in error.value.hint
    with pytest.raises(UsageError, match="column a is nested"):
        text_ddl("df", pa.table({"a": [[1]]}), [("a", "ARRAY<BIGINT>")])
    with pytest.raises(UsageError, match="separate values"):
        text_ddl("df", pa.table({"a": ["\ue001"]}), [("a", "STRING")])


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (["nope"], "no column nope"),
        (["a"], "rows with the same a"),
        (["n"], "nulls in its key"),
    ],
)
def test_a_key_that_tells_nothing_apart_is_refused(key, message):
    table = pa.table({"a": [1, 1], "b": [1, 2], "n": [1, None]})
    check_key("df", table, ["a", "b"], "TIMESTAMP(3)")
    with pytest.raises(UsageError, match=message):
        check_key("df", table, key, "TIMESTAMP(3)")


class Recording:
    """A session that keeps what it is asked to run."""

    def __init__(self):
        self.ledger = Ledger()
        self.ran = []

    def execute(self, text):
        for statement in split(text):
            self.ran.append(statement)
            self.ledger.record(statement, cell=None, source=text, parameters={})
        query = Query(text, self.ran[-1])
        query.finish("ok")
        return query


def test_a_frame_replaces_itself_and_is_told_from_the_users_own(tmp_path):
    session = Recording()
    declare(session, "df", pa.table({"a": [1]}), tmp_path, shared_disk=True)
    declare(session, "df", pa.table({"a": [2]}), tmp_path, shared_disk=False)
    assert [is_frame(entry) for entry in session.ledger.entries] == [False, False, True, False, False, True]
    session.execute("CREATE TEMPORARY VIEW mine AS SELECT 1")
    with pytest.raises(UsageError, match="a temporary view mine already"):
        declare(session, "mine", pa.table({"a": [1]}), tmp_path, shared_disk=True)
    session.execute("DROP TEMPORARY VIEW mine")
    declare(session, "mine", pa.table({"a": [1]}), tmp_path, shared_disk=True)


def test_values_do_not_become_parameters(tmp_path):
    session = Recording()
    declare(session, "df", pa.table({"a": ["${x}"]}), tmp_path, shared_disk=False)
    assert "$${x}" in session.ran[-1].text


def test_only_declarations_with_the_mark_are_frames():
    assert not is_frame(
        Entry("CREATE TEMPORARY TABLE t (a INT) WITH ('connector' = 'datagen')", "CREATE TABLE", "t")
    )


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats()),
            st.one_of(st.none(), st.text(st.characters(exclude_categories=("Cs",)))),
            st.one_of(st.none(), st.datetimes(min_value=dt.datetime(1, 1, 1))),
            st.one_of(st.none(), st.binary(max_size=5)),
        ),
        max_size=5,
    )
)
def test_json_holds_every_value(tmp_path_factory, rows):
    floats, strings, moments, blobs = zip(*rows, strict=True) if rows else ((), (), (), ())
    table = pa.table(
        {
            "f": pa.array(floats, pa.float64()),
            "s": pa.array(strings, pa.string()),
            "t": pa.array(moments, pa.timestamp("us")),
            "b": pa.array(blobs, pa.binary()),
        }
    )
    file = _write(table, "df", tmp_path_factory.mktemp("frames"))
    read = [json.loads(line) for line in file.read_text("utf-8").split("\n") if line]
    assert [row["s"] for row in read] == list(strings)
    assert [None if row["f"] is None else float(row["f"]) for row in read] == pytest.approx(
        list(floats), nan_ok=True
    )
    assert [None if row["t"] is None else dt.datetime.fromisoformat(row["t"]) for row in read] == list(
        moments
    )


@pytest.mark.parametrize("name", ["_df", "__x", "é", ".hidden"])
def test_a_file_has_no_name_that_flink_passes_over(tmp_path, name):
    assert _write(pa.table({"a": [1]}), name, tmp_path).name[0] not in "._"
