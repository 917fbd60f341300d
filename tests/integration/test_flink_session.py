"""Sessions on a real gateway: every kind of statement, exact types, stops, errors, recovery."""

import dataclasses
import datetime as dt
import json
import signal
import threading
import time
from decimal import Decimal

import pyarrow as pa
import pytest

from sdp_kernel.errors import (
    GatewayUnreachable,
    JobFailed,
    ParameterError,
    Position,
    ResultError,
    SessionLost,
    StatementError,
    UsageError,
)
from sdp_kernel.flink.ledger import Ledger
from sdp_kernel.flink.session import Session
from sdp_kernel.local.components import free_ports

pytestmark = pytest.mark.stack


@pytest.fixture
def trades(session, topic_name, produce):
    """A table of 300 JSON records over a topic, unbounded."""
    rows = [
        {"id": i, "symbol": "AB"[i % 2], "price": i / 4, "at": f"2026-01-05T09:{i // 60:02d}:{i % 60:02d}Z"}
        for i in range(300)
    ]
    produce(topic_name, [(row["symbol"], json.dumps(row)) for row in rows])
    session.execute(
        f"""CREATE TABLE trades (id BIGINT, symbol STRING, price DOUBLE, `at` TIMESTAMP_LTZ(3),
              WATERMARK FOR `at` AS `at` - INTERVAL '1' SECOND)
            WITH ('connector' = 'kafka', ${{kafka.main}}, 'topic' = '{topic_name}', 'format' = 'json',
              'scan.startup.mode' = 'earliest-offset', 'json.timestamp-format.standard' = 'ISO-8601')"""
    )
    return topic_name


BOUNDED = "/*+ OPTIONS('scan.bounded.mode'='latest-offset') */"


def test_all_types_arrive_exactly(session):
    query = session.execute(
        """SELECT CAST(1.123456789012345678 AS DECIMAL(38, 18)) AS d,
                  CAST('12345678901234567890123456789012345678' AS DECIMAL(38, 0)) AS big,
                  ROW(1, 'a', CAST(1.10 AS DECIMAL(10, 2))) AS r,
                  MAP['x', 1, 'y', 2] AS m, MAP[7, 'seven'] AS by_number,
                  ARRAY[1, CAST(NULL AS INT), 3] AS a, ARRAY[ROW('p', 1)] AS rows_,
                  CAST(X'00FF10' AS BYTES) AS b,
                  TIMESTAMP '2024-01-01 00:00:00.123456789' AS ts9,
                  CAST(TIMESTAMP '2024-01-01 00:00:00.5' AS TIMESTAMP_LTZ(3)) AS ltz,
                  TIME '12:34:56' AS t, DATE '2024-02-29' AS day_,
                  INTERVAL '1 02:03:04.567' DAY TO SECOND(3) AS span, INTERVAL '2-3' YEAR TO MONTH AS months,
                  9223372036854775807 AS i64, CAST(-128 AS TINYINT) AS i8, CAST(1.5 AS FLOAT) AS f32,
                  CAST('NaN' AS DOUBLE) AS nan_, TRUE AS yes, 'x"<b>''' AS text, CAST(NULL AS STRING) AS nothing,
                  PARSE_JSON('{"a": [1, 2.5]}') AS v"""
    )
    (row,) = query.arrow.to_pylist()
    assert row["d"] == Decimal("1.123456789012345678")
    assert row["big"] == Decimal(12345678901234567890123456789012345678)
    assert list(row["r"].values()) == [1, "a", Decimal("1.10")]
    assert dict(row["m"]) == {"x": 1, "y": 2}
    assert dict(row["by_number"]) == {7: "seven"}
    assert row["a"] == [1, None, 3]
    assert [list(r.values()) for r in row["rows_"]] == [["p", 1]]
    assert row["b"] == b"\x00\xff\x10"
    assert query.arrow["ts9"].cast(pa.int64()).to_pylist() == [1704067200123456789]
    assert row["ltz"] == dt.datetime(2024, 1, 1, 0, 0, 0, 500000, dt.timezone.utc)
    assert row["t"] == dt.time(12, 34, 56)
    assert row["day_"] == dt.date(2024, 2, 29)
    assert row["span"] == dt.timedelta(days=1, hours=2, minutes=3, seconds=4, milliseconds=567)
    assert row["months"] == pa.MonthDayNano([27, 0, 0])
    assert (row["i64"], row["i8"], row["f32"], row["yes"]) == (2**63 - 1, -128, 1.5, True)
    assert row["nan_"] != row["nan_"]
    assert row["text"] == "x\"<b>'"
    assert row["nothing"] is None
    assert json.loads(row["v"]) == {"a": [1, 2.5]}


def test_a_type_the_gateway_cannot_send_is_named_with_a_way_out(session):
    with pytest.raises(ResultError, match="ARRAY<MAP<INT") as error:
        session.execute("SELECT ARRAY[MAP[1, 'x']] AS a")
    assert "MAP_ENTRIES" in error.value.hint


def test_a_cell_runs_all_its_statements_in_order(session):
    ended = []
    query = session.execute(
        """-- a view; and a query on it
        SET 'table.local-time-zone' = 'UTC';
        CREATE VIEW v AS SELECT ';' AS s /* ; */, 1 AS n;
        SHOW VIEWS;
        EXPLAIN SELECT * FROM v;
        SELECT * FROM v;""",
        on_statement=lambda q: ended.append((q.statement.kind, q.state)),
    )
    assert ended == [
        ("SET", "ok"),
        ("CREATE VIEW", "ok"),
        ("SHOW", "ok"),
        ("EXPLAIN", "ok"),
        ("QUERY", "finished"),
    ]
    assert query.arrow.to_pylist() == [{"s": ";", "n": 1}]


def test_a_bounded_select_reads_everything(session, trades):
    query = session.execute(f"SELECT * FROM trades {BOUNDED}")
    assert query.state == "finished"
    assert not query.updating
    assert query.df["id"].tolist() == list(range(300))
    assert [c.name for c in query.columns] == ["id", "symbol", "price", "at"]
    assert query.df["at"].dt.tz is not None


def test_retractions_are_folded(session, trades):
    query = session.execute(
        f"SELECT symbol, COUNT(*) AS n, SUM(price) AS total FROM trades {BOUNDED} GROUP BY symbol"
    )
    assert query.updating
    assert query.changes > len(query) == 2
    assert sorted(query.arrow.to_pylist(), key=lambda r: r["symbol"]) == [
        {"symbol": "A", "n": 150, "total": sum(i / 4 for i in range(0, 300, 2))},
        {"symbol": "B", "n": 150, "total": sum(i / 4 for i in range(1, 300, 2))},
    ]


def test_rows_show_as_they_come(session, trades):
    seen = []
    session.execute("SELECT * FROM trades", timeout=3, on_update=lambda q: seen.append(len(q)))
    assert seen[-1] == 300
    assert len(seen) <= 3 / 0.25 + 2


@pytest.mark.parametrize(
    ("bound", "state"), [({"limit": 10}, "limit"), ({"timeout": 8}, "timeout"), ({"idle": 1}, "idle")]
)
def test_an_unbounded_select_ends_at_its_bound_and_its_job_with_it(session, trades, bound, state):
    query = session.execute("SELECT * FROM trades", **bound)
    assert query.state == state
    assert len(query.df) == (10 if state == "limit" else 300)
    _until(lambda: session.jobmanager.state(query.job_id) == "CANCELED")


@pytest.fixture
def interruptible():
    """Take SIGINT as Python does by default; a runner in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_keeps_what_came_and_stops_the_job(session, trades):
    import _thread

    threading.Timer(3, _thread.interrupt_main).start()
    query = session.execute("SELECT * FROM trades")
    assert query.state == "interrupted"
    assert len(query) == 300
    _until(lambda: session.jobmanager.state(query.job_id) == "CANCELED")
    assert session.execute("SELECT 1 AS n").arrow.to_pylist() == [{"n": 1}]


def test_insert_and_statement_set_are_submitted_with_their_job(session, trades):
    session.execute("CREATE TABLE nowhere (id BIGINT) WITH ('connector' = 'blackhole')")
    one = session.execute(f"INSERT INTO nowhere SELECT id FROM trades {BOUNDED}")
    both = session.execute(
        f"""EXECUTE STATEMENT SET BEGIN
              INSERT INTO nowhere SELECT id FROM trades {BOUNDED};
              INSERT INTO nowhere SELECT id + 1 FROM trades {BOUNDED};
            END"""
    )
    for query in (one, both):
        assert query.state == "submitted"
        _until(lambda job=query.job_id: session.jobmanager.state(job) == "FINISHED")
    assert one.job_id != both.job_id


@pytest.mark.parametrize(
    ("sql", "message", "place"),
    [
        ("SELECT id,\n  nope\nFROM trades", "Column 'nope' not found", Position(3, 3)),
        ("SET 'a' = 'b';\nSELECT * FORM trades", "Encountered", Position(3, 15)),
        ("SELECT *\nFROM missing", "Object 'missing' not found", Position(3, 6)),
        ("SELECT 'open", "never closed", Position(2, 8)),
        ("SELECT id,\n CAST(symbol AS ARRAY<INT>) FROM trades", "Unsupported cast", Position(3, 17)),
        ("DROP TABLE\n  missing", "does not exist", Position(3, 3)),
    ],
)
def test_errors_point_at_the_cells_line_and_column(session, trades, sql, message, place):
    with pytest.raises(StatementError, match=message) as error:
        session.execute(sql, first_line=2)
    assert error.value.position == place
    assert "^" in error.value.excerpt
    assert "\tat " not in str(error.value)


def test_places_are_right_behind_parameters(session, trades):
    with pytest.raises(StatementError) as error:
        session.execute("SELECT '${a}', nope FROM trades", params={"a": "a-long-value"})
    assert error.value.position == Position(1, 16)


def test_a_failing_job_is_named_with_its_cause(session):
    with pytest.raises((JobFailed, StatementError), match="by zero"):
        session.execute("SELECT 1 / (a - 1) FROM (VALUES (1), (2)) AS t (a)")


def test_parameters_come_from_the_call_then_the_profile(stack):
    with_defaults = Session(stack.gateway, defaults={"a": "1", "b": "2"})
    query = with_defaults.execute("SELECT ${a} AS a, ${b} AS b, '$${c}' AS c", params={"b": 3})
    assert query.arrow.to_pylist() == [{"a": 1, "b": 3, "c": "${c}"}]
    assert query.parameters == {"a": "1", "b": "3"}
    with pytest.raises(ParameterError):
        with_defaults.execute("SELECT '${a}'", params={"a": "x' OR 'y"})
    with_defaults.close()


@pytest.mark.parametrize("text", ["", "-- only\n/* comments */", ";;"])
def test_a_cell_without_a_statement_is_refused(session, text):
    with pytest.raises(UsageError, match="no statement"):
        session.execute(text)


def test_an_error_without_a_place_shows_none(session, trades):
    with pytest.raises(StatementError, match="implicit type conversion") as error:
        session.execute("SELECT id\nFROM trades\nWHERE symbol = 5", first_line=2)
    assert (error.value.position, error.value.excerpt) == (None, "")
    assert "CAST" in error.value.hint
    with pytest.raises(StatementError, match=r"(?m)in the statement at line 3: SELECT id$") as error:
        session.execute("SHOW TABLES;\nSELECT id\nFROM trades WHERE symbol = 5", first_line=2)
    assert "^" not in str(error.value)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("parallelism.default", "abc", "^--set parallelism.default: Could not parse value 'abc'"),
        ("execution.runtime-mode", "abc", "^--set execution.runtime-mode: .*STREAMING, BATCH"),
        ("execution.state-recovery.path", "/nonexistent", "^--from-savepoint /nonexistent: Cannot find"),
    ],
)
def test_an_option_that_cannot_be_is_named(session, trades, key, value, says):
    with pytest.raises(StatementError, match=says) as error:
        session.execute("SELECT id FROM trades", config={key: value})
    assert error.value.position is None


def test_a_read_only_profile_refuses_to_write_before_anything_runs(stack):
    reader = Session(stack.gateway, read_only=True)
    with pytest.raises(UsageError, match="read-only: INSERT"):
        reader.execute("CREATE TABLE x (a INT) WITH ('connector'='blackhole'); INSERT INTO x VALUES (1)")
    assert reader.execute("SHOW TABLES").arrow.num_rows == 0
    assert reader.execute("SELECT 1 AS a").state == "finished"
    reader.close()


def test_a_lost_session_is_opened_again_with_its_tables(session, trades):
    told = []
    session.notify = told.append
    session.gateway.close_session(session.handle)
    assert session.execute(f"SELECT COUNT(*) AS n FROM trades {BOUNDED}").arrow.to_pylist() == [{"n": 300}]
    assert len(told) == 1
    assert "replayed 1 statements" in told[0]


def test_the_ledger_on_disk_reads_back(stack, tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    recorded = Session(stack.gateway, ledger=ledger)
    recorded.execute(
        "CREATE TABLE t (a INT) WITH ('connector' = 'datagen', 'number-of-rows' = '${n}')",
        name="cell",
        params={"n": 3},
    )
    recorded.execute("SELECT * FROM t")
    recorded.close()
    with ledger.path.open("ab") as file:
        file.write(b'{"text": "cut of')
    back = Ledger.read(ledger.path)
    assert back.entries == ledger.entries
    assert [(e.kind, e.target, e.cell) for e in back.entries] == [
        ("CREATE TABLE", "t", "cell"),
        ("QUERY", None, None),
    ]
    assert [e.kind for e in back.shaping] == ["CREATE TABLE"]
    assert back.entries[0].parameters == {"n": "3"}


def test_closing_the_session_ends_its_select_jobs(stack, session):
    other = Session(stack.gateway, jobmanager=stack.jobmanager)
    job = []
    thread = threading.Thread(
        target=lambda: other.execute(
            "CREATE TABLE g (a INT) WITH ('connector' = 'datagen', 'rows-per-second' = '5'); SELECT * FROM g",
            timeout=8,
            on_update=lambda q: job.append(q.job_id),
        )
    )
    thread.start()
    _until(lambda: any(job))
    other.gateway.close_session(other.handle)
    _until(lambda: session.jobmanager.state(next(filter(None, job))) == "CANCELED")
    thread.join()


def test_nobody_at_the_gateways_address_is_told_with_the_address():
    port = free_ports(1)[0]
    nowhere = Session(f"http://127.0.0.1:{port}")
    with pytest.raises(GatewayUnreachable, match=str(port)) as error:
        nowhere.execute("SELECT 1")
    assert "sdp up" in error.value.hint


def _until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def test_a_statement_that_was_interrupted_before_its_turn_is_not_replayed(session):
    session.execute("CREATE TABLE before_it (n INT) WITH ('connector' = 'blackhole')")
    query = session.execute(
        "CREATE TABLE t (n NO_SUCH_TYPE)", on_start=lambda query: query.ask_to_end("interrupted")
    )
    assert query.state == "interrupted"
    assert [entry.target for entry in session.ledger.shaping] == ["before_it"]


def test_a_statement_that_does_not_replay_keeps_no_other_from_the_session(session):
    for name in ("first", "gone", "last"):
        session.execute(
            f"CREATE TABLE `{name}` (n INT) WITH ('connector' = '${{c}}')", params={"c": "blackhole"}
        )
    entry = session.ledger.entries[1]
    session.ledger._entries[1] = dataclasses.replace(entry, text="CREATE TABLE gone (n NO_SUCH_TYPE)")
    session.gateway.close_session(session.handle)
    with pytest.raises(SessionLost, match="CREATE TABLE gone does not replay"):
        session.execute("SHOW TABLES")
    assert session.execute("SHOW TABLES").df["table name"].tolist() == ["first", "last"]
