"""From and until on real Kafka tables: every place a table may stand in, views, batch, errors' places."""

import json
import time

import pytest
from confluent_kafka import Producer

from sdp_kernel.errors import Position, StatementError
from sdp_kernel.flink.hints import BATCH, reach, rewriter

pytestmark = pytest.mark.stack

HOUR = 3_600_000
NINE = 1_767_603_600_000  # 2026-01-05T09:00:00Z


@pytest.fixture
def trades(session, stack, topic_name, produce):
    """Two partitions, a record a minute from 09:00 on, ten in each; views on the table, views on views."""
    produce(topic_name, [], partitions=2, config={"retention.ms": "-1"})
    producer = Producer({"bootstrap.servers": stack.kafka})
    for n in range(20):
        row = {"id": n, "symbol": "AB"[n % 2], "price": float(n), "at": f"2026-01-05 09:{n:02d}:00"}
        producer.produce(topic_name, json.dumps(row), partition=n % 2, timestamp=NINE + n * 60_000)
    producer.flush(10)
    for statement in (
        f"""CREATE TABLE trades (id BIGINT, symbol STRING, price DOUBLE, `at` TIMESTAMP(3),
              WATERMARK FOR `at` AS `at`) WITH ('connector' = 'kafka', ${{kafka.main}}, 'topic' = '{topic_name}',
              'format' = 'json', 'scan.startup.mode' = 'specific-offsets',
              'scan.startup.specific-offsets' = 'partition:0,offset:9;partition:1,offset:9')""",
        "CREATE VIEW renamed (n, s, t) AS SELECT id, symbol, `at` FROM trades WHERE price >= 0",
        "CREATE TEMPORARY VIEW upon AS SELECT n, s FROM renamed WHERE n >= 0",
        """CREATE VIEW windows AS SELECT window_start AS w, COUNT(*) AS c
           FROM TABLE(TUMBLE(TABLE renamed, DESCRIPTOR(t), INTERVAL '5' MINUTE)) GROUP BY window_start, window_end""",
        """CREATE VIEW latest AS SELECT symbol, price, `at` FROM (SELECT *, ROW_NUMBER() OVER
             (PARTITION BY symbol ORDER BY `at` DESC) AS r FROM trades) WHERE r = 1""",
        "CREATE DATABASE elsewhere",
        "CREATE TABLE elsewhere.`odd ``name` LIKE trades",
        "CREATE TEMPORARY TABLE sink (n BIGINT, s STRING) WITH ('connector' = 'blackhole')",
    ):
        session.execute(statement)
    yield topic_name
    session.execute("DROP DATABASE elsewhere CASCADE")


def run(session, sql, start, until="now", **options):
    return session.execute(sql, rewrite=rewriter(session, reach(start, until)), timeout=60, **options)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT COUNT(*) FROM trades AS x",
        "SELECT COUNT(*) FROM elsewhere.`odd ``name`",
        "SELECT COUNT(*) FROM renamed AS r (a, b, c) WHERE a >= 0",
        "SELECT COUNT(upon.n) FROM upon",
        "WITH trades AS (SELECT * FROM default_catalog.default_database.upon) SELECT COUNT(*) FROM trades",
        "SELECT COUNT(*) FROM ((SELECT id FROM trades WHERE symbol = 'A') UNION ALL (SELECT n FROM upon WHERE s = 'B'))",
        "SELECT SUM(c) FROM windows",
        (
            "SELECT SUM(c) FROM (SELECT COUNT(*) AS c FROM TABLE(TUMBLE(DATA => TABLE trades, TIMECOL => "
            "DESCRIPTOR(`at`), SIZE => INTERVAL '5' MINUTE)) GROUP BY window_start, window_end)"
        ),
        (
            "SELECT SUM(c) FROM (SELECT COUNT(*) AS c FROM SESSION(TABLE trades PARTITION BY symbol, "
            "DESCRIPTOR(`at`), INTERVAL '5' MINUTE) GROUP BY window_start, window_end, symbol)"
        ),
        "SELECT COUNT(*) FROM trades t WHERE id IN (SELECT n FROM upon)",
        "SELECT COUNT(*) FROM trades a JOIN upon b ON a.id = b.n",
        "SELECT COUNT(*) FROM trades a JOIN latest FOR SYSTEM_TIME AS OF a.`at` AS b ON a.symbol = b.symbol",
        "TABLE trades",
    ],
)
def test_every_place_of_a_table_is_read_from_and_until(session, trades, sql):
    query = run(session, sql, "2026-01-05T09:05", "2026-01-05T09:15")
    assert query.state == "finished"
    counted = len(query) if sql.startswith("TABLE") else next(iter(query.arrow.to_pylist()[0].values()))
    assert counted == 10


@pytest.mark.parametrize(
    ("start", "until", "ids"),
    [
        ("earliest", "now", range(20)),
        ("0@8,1@9", "now", [16, 18, 19]),
        ("earliest", "0@1,1@1", [0, 1]),
        (None, "now", [18, 19]),
        ("latest", "now", []),
    ],
)
def test_words_and_offsets_take_the_place_of_the_tables_own(session, trades, start, until, ids):
    query = run(session, "SELECT id FROM trades", start, until)
    assert sorted(query.arrow["id"].to_pylist()) == sorted(ids)


def test_inserts_and_statement_sets_end_where_they_are_told(session, trades):
    query = run(
        session,
        "EXECUTE STATEMENT SET BEGIN INSERT INTO sink SELECT n, s FROM upon; "
        "INSERT INTO sink (n) SELECT id FROM trades; END",
        "earliest",
    )
    assert query.state == "submitted"
    until = time.monotonic() + 60
    while (state := session.jobmanager.state(query.job_id)) != "FINISHED" and time.monotonic() < until:
        time.sleep(0.2)
    assert state == "FINISHED"


def test_an_error_behind_hints_names_the_cells_own_place(session, trades):
    with pytest.raises(StatementError) as error:
        run(session, "SELECT a.id\nFROM trades AS a JOIN upon AS b ON a.id = b.n\n  AND a.nope = 1", "1h")
    assert error.value.position == Position(3, 9)
    assert "AND a.nope" in error.value.excerpt


def test_a_batch_gives_final_rows_in_order(session, trades):
    query = session.execute(
        "SELECT s, COUNT(*) AS c, MAX(n) AS most FROM upon GROUP BY s ORDER BY most DESC",
        rewrite=rewriter(session, reach("earliest", batch=True)),
        config=BATCH,
        timeout=60,
    )
    assert query.arrow.to_pylist() == [{"s": "B", "c": 10, "most": 19}, {"s": "A", "c": 10, "most": 18}]
    assert query.changes == 2


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM trades",
        "TABLE trades",
        "SELECT trades.`at`, id FROM trades WHERE trades.id >= 0 ORDER BY `at` DESC LIMIT 20",
        "SELECT x.* FROM trades /*+ OPTIONS('scan.startup.mode' = 'latest-offset') */ AS x (a, b, c, d)",
        "SELECT a.`at`, b.t FROM trades a JOIN renamed b ON a.id = b.n",
        "SELECT * FROM renamed",
        "SELECT `at`, window_start FROM TUMBLE(TABLE trades, DESCRIPTOR(`at`), INTERVAL '5' MINUTE)",
        "SELECT * FROM TABLE(TUMBLE(DATA => TABLE trades, TIMECOL => DESCRIPTOR(`at`), SIZE => INTERVAL '5' MINUTE))",
        "SELECT `at`, SUM(price) OVER (ORDER BY `at`) FROM elsewhere.`odd ``name`",
        "SELECT t FROM trades MATCH_RECOGNIZE (ORDER BY `at` MEASURES A.`at` AS t PATTERN (A) DEFINE A AS A.id >= 0)",
        "WITH w AS (SELECT `at` FROM trades) (SELECT * FROM w)",
    ],
)
def test_a_batch_selects_the_event_time(session, trades, sql):
    query = session.execute(
        sql, config=BATCH, rewrite=rewriter(session, reach("earliest", batch=True)), timeout=60
    )
    assert (query.state, len(query)) == ("finished", 20)
    assert not any("ROWTIME" in str(column) for column in query.columns)


def test_a_batch_by_set_says_in_which_mode_an_event_time_holds(session, trades):
    session.execute("SET 'execution.runtime-mode' = 'batch'")
    try:
        with pytest.raises(StatementError, match="ROWTIME") as refused:
            session.execute("SELECT * FROM trades /*+ OPTIONS('scan.bounded.mode' = 'latest-offset') */")
    finally:
        session.execute("RESET 'execution.runtime-mode'")
    assert "--batch for a batch query" in refused.value.hint


def test_a_batch_holds_for_its_statement_alone(session, trades):
    session.execute("SELECT 1", config=BATCH)
    query = run(session, "SELECT s, COUNT(*) AS c FROM upon GROUP BY s", "earliest")
    assert query.changes > 2


def test_a_session_that_was_lost_is_replayed_before_its_tables_are_looked_up(session, trades):
    session.gateway.close_session(session.handle)
    assert len(run(session, "SELECT * FROM upon", "earliest")) == 20
