"""Frames as tables on a real cluster: exact types both ways, joins, replacement, replay."""

import datetime as dt
import math
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest

from sdp_kernel.errors import UsageError
from sdp_kernel.flink.frame_table import declare, is_frame
from sdp_kernel.flink.hints import BATCH
from sdp_kernel.flink.plan import explain

pytestmark = pytest.mark.stack

FLAT = pa.table(
    {
        "i8": pa.array([1, None, -128], pa.int8()),
        "i64": pa.array([-(2**63), None, 2**63 - 1], pa.int64()),
        "f32": pa.array([0.1, None, math.inf], pa.float32()),
        "f64": pa.array([5e-324, None, -math.inf], pa.float64()),
        "big": pa.array([Decimal("12345678901234567890.123456789012345678"), None, Decimal("-0.1")], pa.decimal128(38, 18)),
        "flag": pa.array([True, None, False]),
        "text": pa.array(["it's\n${x} `;-- é😀", None, ""]),
        "blob": pa.array([b"\x00\xff", None, b""]),
        "day": pa.array([dt.date(1, 1, 1), None, dt.date(9999, 12, 31)]),
        "clock": pa.array([dt.time(12, 34, 56, 789000), None, dt.time(0)], pa.time32("ms")),
        "us": pa.array([dt.datetime(1, 1, 1, 0, 0, 0, 1), None, dt.datetime(9999, 12, 31, 23, 59, 59, 999999)], pa.timestamp("us")),
        "ns": pa.array([1704067200123456789, None, -1], pa.timestamp("ns")),
        "instant": pa.array([1704067200123456, None, -1], pa.timestamp("us", "UTC")),
        "empty": pa.array([None, None, None], pa.string()),
    }
)  # fmt: skip
NESTED = pa.table(
    {
        "l": pa.array([[1, None], [], None], pa.list_(pa.int32())),
        "s": pa.array(
            [{"a b": "x", "t": [Decimal("1.10")]}, None, {"a b": None, "t": None}],
            pa.struct([("a b", pa.string()), ("t", pa.list_(pa.decimal128(3, 2)))]),
        ),
        "m": pa.array([[("k", None)], None, []], pa.map_(pa.string(), pa.int64())),
    }
)


@pytest.mark.parametrize("shared_disk", [True, False])
def test_every_value_comes_back_as_it_was(session, tmp_path, shared_disk):
    made = declare(session, "df", FLAT, tmp_path, shared_disk=shared_disk)
    assert made.rows == 3
    back = session.execute("SELECT * FROM df", timeout=60).arrow
    assert back.schema.types == FLAT.schema.types
    assert sorted(map(repr, back.to_pylist())) == sorted(map(repr, FLAT.to_pylist()))


def test_nested_values_come_back_too(session, tmp_path):
    declare(session, "df", NESTED, tmp_path, shared_disk=True)
    back = session.execute("SELECT * FROM df", timeout=60).arrow
    assert sorted(map(repr, back.to_pylist())) == sorted(map(repr, NESTED.to_pylist()))


@pytest.mark.parametrize("shared_disk", [True, False])
def test_nan_is_a_number_and_an_empty_frame_has_no_rows(session, tmp_path, shared_disk):
    frame = pa.table({"x": [math.nan, 1.0], "s": ["", ""]})
    declare(session, "df", frame, tmp_path, shared_disk=shared_disk)
    values = session.execute("SELECT x FROM df", timeout=60).arrow["x"].to_pylist()
    assert sorted(map(str, values)) == ["1.0", "nan"]
    declare(session, "df", frame.slice(0, 0), tmp_path, shared_disk=shared_disk)
    query = session.execute("SELECT * FROM df", timeout=60)
    assert (query.state, len(query)) == ("finished", 0)


@pytest.mark.parametrize("shared_disk", [True, False])
def test_a_row_of_one_empty_text_is_a_row(session, tmp_path, shared_disk):
    declare(session, "df", pa.table({"s": [""]}), tmp_path, shared_disk=shared_disk)
    assert session.execute("SELECT * FROM df", timeout=60).arrow.to_pylist() == [{"s": ""}]


@pytest.mark.parametrize(("shared_disk", "rows"), [(True, 200_000), (False, 8_000)])
def test_large_frames_are_read_whole(session, tmp_path, shared_disk, rows):
    frame = pd.DataFrame({"i": range(rows), "s": [f"symbol-{n % 100}" for n in range(rows)]})
    declare(session, "df", frame, tmp_path, shared_disk=shared_disk)
    query = session.execute("SELECT COUNT(*), SUM(i), COUNT(DISTINCT s) FROM df", config=BATCH, timeout=100)
    assert list(query.arrow.to_pylist()[0].values()) == [rows, rows * (rows - 1) // 2, 100]


ORDERS = """CREATE TEMPORARY TABLE orders (id INT, customer AS MOD(id, 3), ts AS {time}, WATERMARK FOR ts AS ts)
  WITH ('connector' = 'datagen', 'fields.id.kind' = 'sequence', 'fields.id.start' = '0', 'fields.id.end' = '8')"""


@pytest.mark.parametrize("shared_disk", [True, False])
def test_a_stream_is_joined_with_a_frame(session, tmp_path, shared_disk):
    session.execute(ORDERS.format(time="TO_TIMESTAMP_LTZ(1000 * id, 3)"))
    declare(
        session,
        "customers",
        pd.DataFrame({"id": [0, 1], "name": ["Ada", "Bo"]}),
        tmp_path,
        shared_disk=shared_disk,
    )
    query = session.execute(
        "SELECT o.id, c.name FROM orders o JOIN customers c ON o.customer = c.id", timeout=60
    )
    assert sorted(row["id"] for row in query.arrow.to_pylist()) == [0, 1, 3, 4, 6, 7]


@pytest.mark.parametrize(
    ("as_of", "moment"),
    [
        ("TIMESTAMP_LTZ(3)", "TO_TIMESTAMP_LTZ(1000 * id, 3)"),
        ("TIMESTAMP(3)", "CAST(TO_TIMESTAMP_LTZ(1000 * id, 3) AS TIMESTAMP(3))"),
    ],
)
def test_a_keyed_frame_is_looked_up_as_of_event_time_without_keeping_the_stream(
    session, tmp_path, as_of, moment
):
    session.execute(ORDERS.format(time=moment))
    frame = pd.DataFrame({"id": [0, 1], "name": ["Ada", "Bo"]})
    declare(session, "customers", frame, tmp_path, shared_disk=True, key=["id"], as_of=as_of)
    query = session.execute(
        "SELECT o.id, c.name FROM orders o LEFT JOIN customers FOR SYSTEM_TIME AS OF o.ts AS c ON o.customer = c.id",
        timeout=60,
    )
    rows = {row["id"]: row["name"] for row in query.arrow.to_pylist()}
    assert rows == {n: ["Ada", "Bo", None][n % 3] for n in range(9)}
    with pytest.raises(UsageError, match="cannot have a key here"):
        declare(session, "customers", frame, tmp_path, shared_disk=False, key=["id"])


def test_a_frame_is_replaced_by_the_next_of_its_name_and_replayed(session, tmp_path):
    declare(session, "df", pa.table({"a": [1]}), tmp_path, shared_disk=False)
    declare(session, "df", pa.table({"b": ["${x}"]}), tmp_path, shared_disk=True)
    declare(session, "small", pa.table({"b": ["${x}"]}), tmp_path, shared_disk=False)
    assert [e.target for e in session.ledger.entries if is_frame(e)] == ["df", "df", "small"]
    session.gateway.close_session(session.handle)
    session.reopen()
    for name in ("df", "small"):
        assert session.execute(f"SELECT * FROM {name}", timeout=60).arrow.to_pylist() == [{"b": "${x}"}]


def test_the_result_of_a_cell_is_a_table_for_the_next(session, tmp_path):
    first = session.execute("SELECT * FROM (VALUES (1, 'x'), (2, 'y')) AS t (a, b)", timeout=60)
    declare(session, "odd `name", first, tmp_path, shared_disk=True)
    query = session.execute("SELECT SUM(a) AS total FROM `odd ``name`", config=BATCH, timeout=60)
    assert query.arrow.to_pylist() == [{"total": 3}]


@pytest.mark.parametrize("name", ["_df", "é", "${x}"])
def test_a_frame_of_any_name_has_its_rows(session, tmp_path, name):
    declare(session, name, pa.table({"a": [1, 2]}), tmp_path, shared_disk=True)
    quoted = name.replace("${", "$${")
    assert len(session.execute(f"SELECT * FROM `{quoted}`", timeout=60)) == 2


def test_the_plan_names_a_frame_and_does_not_hold_its_values(session, tmp_path):
    table = pa.table({"ssn": ["it's 111-22", "111-33"], "n": [1, 2]})
    declare(session, "people", table, tmp_path, shared_disk=False)
    found = explain(session, "SELECT ssn FROM people WHERE n > 1 AND ssn <> '7'")
    query = session.execute("SELECT ssn FROM people WHERE n > 1")
    for text in (found.text, str(found.nodes), query.plan):
        assert "111-" not in text
        assert "a DataFrame of the kernel" in text
    assert "'7'" in found.text
    assert query.arrow["ssn"].to_pylist() == ["111-33"]
