"""Plans asked of Flink; what operators are said to keep is held to Flink's own compiled plans."""

import json

import pytest

from sdp_kernel.errors import Position, StatementError
from sdp_kernel.flink.hints import BATCH
from sdp_kernel.flink.parameters import render
from sdp_kernel.flink.plan import explain

pytestmark = pytest.mark.stack

TABLES = (
    """CREATE TABLE orders (id BIGINT, symbol STRING, amount DOUBLE, customer BIGINT, ts TIMESTAMP(3),
         WATERMARK FOR ts AS ts - INTERVAL '5' SECOND, pt AS PROCTIME()) WITH ('connector' = 'datagen')""",
    """CREATE TABLE customers (cid BIGINT, name STRING, since TIMESTAMP(3), WATERMARK FOR since AS since,
         PRIMARY KEY (cid) NOT ENFORCED) WITH ('connector' = 'upsert-kafka', ${kafka.main}, 'topic' = 'c',
         'key.format' = 'json', 'value.format' = 'json')""",
    "CREATE TABLE sink (a STRING, n BIGINT) WITH ('connector' = 'blackhole')",
    """CREATE TABLE keyed (a STRING, n BIGINT, PRIMARY KEY (a) NOT ENFORCED) WITH ('connector' = 'upsert-kafka',
         ${kafka.main}, 'topic' = 'k', 'key.format' = 'json', 'value.format' = 'json')""",
)
COUNTED = "(SELECT symbol, COUNT(*) AS n FROM orders GROUP BY symbol)"
WINDOWS = "TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '1' MINUTE))"


@pytest.fixture
def tables(session):
    for statement in TABLES:
        session.execute(statement)
    return session


@pytest.mark.parametrize(
    "query",
    [
        "SELECT symbol, COUNT(*) FROM orders GROUP BY symbol",
        "SELECT MAX(symbol), COUNT(DISTINCT id) FROM orders",
        "SELECT o.symbol, o.id FROM orders o JOIN customers c ON o.customer = c.cid WHERE o.amount > 1",
        "SELECT symbol, id FROM orders WHERE customer IN (SELECT cid FROM customers)",
        "SELECT o.symbol, o.id FROM orders o JOIN customers FOR SYSTEM_TIME AS OF o.ts AS c ON o.customer = c.cid",
        "SELECT a.symbol, b.id FROM orders a JOIN orders b ON a.id = b.id AND a.ts BETWEEN b.ts AND b.ts + INTERVAL '1' HOUR",
        f"SELECT symbol, COUNT(*) FROM {WINDOWS} GROUP BY window_start, window_end, symbol",
        (f"SELECT a.symbol, b.id FROM (SELECT * FROM {WINDOWS}) a JOIN (SELECT * FROM {WINDOWS}) b "
        "ON a.id = b.id AND a.window_start = b.window_start AND a.window_end = b.window_end"),
        ("SELECT symbol, COUNT(*) FROM TABLE(SESSION(TABLE orders PARTITION BY symbol, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) "
        "GROUP BY window_start, window_end, symbol"),
        f"SELECT symbol, id FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY amount) AS r FROM {WINDOWS}) WHERE r < 3",
        "SELECT symbol, id FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY symbol ORDER BY amount DESC) AS r FROM orders) WHERE r <= 3",
        "SELECT symbol, id FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY symbol ORDER BY ts DESC) AS r FROM orders) WHERE r = 1",
        "SELECT symbol, id FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY symbol ORDER BY pt) AS r FROM orders) WHERE r = 1",
        f"SELECT symbol, n FROM {COUNTED} ORDER BY n DESC LIMIT 3",
        f"SELECT symbol, n FROM {COUNTED} LIMIT 3",
        "SELECT symbol, id FROM orders LIMIT 3",
        "SELECT symbol, id FROM orders ORDER BY ts",
        "SELECT symbol, SUM(id) OVER (PARTITION BY symbol ORDER BY ts ROWS BETWEEN 3 PRECEDING AND CURRENT ROW) FROM orders",
        "SELECT name, COUNT(*) FROM customers GROUP BY name",
        "SELECT symbol, id FROM orders UNION ALL SELECT name, cid FROM customers",
        "SELECT symbol, CAST(x AS BIGINT) FROM orders CROSS JOIN UNNEST(ARRAY[1, 2]) AS t (x)",
        "SELECT b, id FROM orders MATCH_RECOGNIZE (ORDER BY ts MEASURES A.symbol AS b, A.id AS id PATTERN (A B) DEFINE A AS A.id > 1) m",
        "KEYED SELECT symbol, COUNT(*) FROM orders GROUP BY symbol, customer ON CONFLICT DO DEDUPLICATE",
        "SELECT 'a\nb (', id FROM orders WHERE symbol <> 'it''s ['",
    ],
)  # fmt: skip
def test_the_state_told_is_that_of_the_compiled_plan(tables, tmp_path, query):
    target = "keyed" if query.startswith("KEYED") else "sink"
    insert = f"INSERT INTO {target} {query.removeprefix('KEYED ')}"
    plan = explain(tables, insert)
    file = tmp_path / "plan.json"
    tables.runner().text(f"COMPILE PLAN '{file}' FOR {insert}")
    compiled = {kind(node["type"]) for node in json.loads(file.read_text())["nodes"] if node.get("state")}
    told = {node.name.lower() for node in plan.nodes if node.state.follows_ttl}
    assert told == compiled
    assert not [node for node in plan.nodes if node.state.what.startswith("what ")], "an unknown operator"
    assert all(node.parallelism for node in plan.nodes if node.name not in {"Union", "DropUpdateBefore"})
    assert all(node.changelog for node in plan.nodes if node.name != "Sink")


def kind(compiled_type):
    return compiled_type.removeprefix("stream-exec-").partition("_")[0].replace("-", "")


def test_time_to_live_is_that_of_the_session_the_hint_and_the_statement(tables):
    query = "SELECT symbol, COUNT(*) FROM orders GROUP BY symbol"
    assert [node.state.kind for node in explain(tables, query).unbounded] == ["unbounded"]
    assert not explain(tables, query, config={"table.exec.state.ttl": "2 h"}).unbounded
    tables.execute("SET 'table.exec.state.ttl' = '1 h'")
    plan = explain(tables, query)
    assert (plan.ttl, plan.unbounded) == (3_600_000, ())
    hinted = explain(tables, query.replace("SELECT", "SELECT /*+ STATE_TTL('orders' = '3d') */"))
    assert any("3 d" in node.state.until for node in hinted.nodes)


@pytest.mark.parametrize("opening", ["EXECUTE STATEMENT SET BEGIN", "BEGIN STATEMENT SET;"])
def test_a_statement_set_shares_what_it_reads_twice(tables, opening):
    plan = explain(
        tables,
        f"{opening} INSERT INTO sink SELECT symbol, COUNT(*) FROM orders GROUP BY symbol; "
        "INSERT INTO keyed SELECT symbol, MAX(id) FROM orders GROUP BY symbol; END",
    )
    assert sorted(root.table for root in plan.roots) == ["keyed", "sink"]
    assert [node.table for node in plan.nodes].count("orders") == 1


def test_advice_names_the_operator_it_is_about(tables):
    plan = explain(tables, "SELECT symbol, COUNT(*) FROM orders GROUP BY symbol")
    assert "mini-batch" in plan.advice[0].text
    assert [node.name for node in plan.nodes if 1 in node.advice] == ["GroupAggregate"]


def test_a_batch_plan_is_the_statements_own(tables):
    bounded = "SELECT a, COUNT(*) FROM (VALUES ('x', 1), ('y', 2)) AS t (a, b) GROUP BY a ORDER BY 2"
    plan = explain(tables, bounded, config=BATCH)
    assert plan.batch
    assert any(node.name == "Sort" for node in plan.nodes)
    assert not explain(tables, "SELECT symbol FROM orders").batch


def test_explaining_leaves_nothing_behind(tables):
    before = tables.runner().table("SHOW TABLES"), tables.ledger.entries
    explain(tables, "INSERT INTO sink SELECT symbol, id FROM orders")
    assert (tables.runner().table("SHOW TABLES"), tables.ledger.entries) == before


@pytest.mark.parametrize(
    ("cell", "place"),
    [
        ("-- a comment\nSELECT ${column},\n  nope FROM orders", Position(13, 3)),
        (
            "-- a comment\nEXECUTE STATEMENT SET BEGIN\n INSERT INTO sink SELECT ${column}, nope FROM orders; END",
            Position(13, 37),
        ),
    ],
)
def test_an_error_names_the_cells_own_place(tables, cell, place):
    start = cell.index("\n") + 1
    rendered = render(cell[start:], {"column": "symbol"}, {})
    with pytest.raises(StatementError, match="nope") as error:
        explain(tables, rendered, source=cell, start=start, first_line=11)
    assert error.value.position == place
    assert "nope FROM orders" in error.value.excerpt


def test_a_session_that_was_lost_is_replayed_before_it_explains(tables):
    tables.gateway.close_session(tables.handle)
    assert explain(tables, "SELECT symbol FROM orders").nodes
