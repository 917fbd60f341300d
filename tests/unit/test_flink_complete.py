"""Completion of SQL: what is offered where, as ``|`` marks the cursor."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.flink import complete as module
from sdp_kernel.flink import connectors
from sdp_kernel.flink.complete import complete
from sdp_kernel.flink.complete_names import Field, Names, Table, row_fields, written
from sdp_kernel.flink.complete_scope import output_of

ORDERS = Table(
    "orders",
    (
        Field("id", "BIGINT"),
        Field("symbol", "STRING"),
        Field("amount", "DECIMAL(10, 2)"),
        Field("at", "TIMESTAMP_LTZ(3) *ROWTIME*"),
        Field("buyer", "ROW<`name` STRING, `address` ROW<`city` STRING NOT NULL>>"),
    ),
    options={"connector": "kafka", "format": "json"},
)
NAMES = Names(
    tables={
        "orders": ORDERS,
        "people": Table("people", (Field("id", "BIGINT"), Field("name", "STRING"))),
        "odd name": Table("odd name", (Field("first name", "STRING"),)),
        "totals": Table("totals", (Field("total", "DOUBLE"),), is_view=True),
    },
    databases={"default_catalog": ("default_database", "raw"), "lake": ("bronze",)},
    elsewhere={("lake", "bronze"): {"logs": Table("logs", (Field("line", "STRING"),))}},
    functions=("mask_card",),
    topics={"main": ("orders", "trades"), "other": ("clicks",)},
    parameters={"day": "2026-01-05"},
    fragments=("kafka.main",),
)


def at(marked):
    """Complete at the ``|``."""
    offset = marked.index("|")
    return complete(marked[:offset] + marked[offset + 1 :], offset, NAMES)


def texts(marked):
    return [each.text for each in at(marked).candidates]


def kinds(marked):
    return {each.text: each.kind for each in at(marked).candidates}


def after(marked, text):
    """The text once the candidate ``text`` is taken; ``|`` where it stood."""
    found = at(marked)
    assert text in [each.text for each in found.candidates], found.candidates[:10]
    source = marked.replace("|", "", 1)
    return source[: found.start] + text + source[found.end :]


PATTERN = "PARTITION BY symbol ORDER BY at MEASURES A.id AS first_id PATTERN (A B) DEFINE B AS B.id > 1"
COLUMNS = ["id", "symbol", "amount", "`at`", "buyer"]


@pytest.mark.parametrize(
    ("marked", "first"),
    [
        ("SELECT | FROM orders", COLUMNS),
        ("SELECT id, | FROM orders", COLUMNS),
        ("SELECT * FROM orders WHERE |", COLUMNS),
        ("SELECT * FROM orders WHERE id = 1 AND |", COLUMNS),
        ("SELECT * FROM orders GROUP BY |", COLUMNS),
        ("SELECT COUNT(|) FROM orders", COLUMNS),
        ("SELECT o.| FROM orders AS o", COLUMNS),
        ("SELECT O.| FROM orders o", COLUMNS),
        ("SELECT x FROM people p JOIN orders o ON p.id = o.|", COLUMNS),
        ("SELECT orders.| FROM orders", COLUMNS),
        ("INSERT INTO orders (|", COLUMNS),
        ("SELECT * FROM default_catalog.default_database.orders WHERE |", COLUMNS),
        ("SELECT id, COUNT(*) AS c FROM orders GROUP BY id ORDER BY |", ["id", "c"]),
        ("SELECT SUM(id) OVER (PARTITION BY |) FROM orders", COLUMNS),
        ("EXECUTE STATEMENT SET BEGIN INSERT INTO people SELECT | FROM orders; END;", COLUMNS),
        ("CREATE VIEW v AS SELECT | FROM orders", COLUMNS),
        ("SELECT l.| FROM lake.bronze.logs l", ["line"]),
        ("SELECT * FROM orders o LEFT JOIN people p ON |", [*COLUMNS, "name", "o", "p"]),
        ("SELECT buyer.| FROM orders", ["name", "address"]),
        ("SELECT o.buyer.address.| FROM orders o", ["city"]),
        ("WITH b AS (SELECT id, amount * 2 AS twice FROM orders) SELECT | FROM b", ["id", "twice"]),
        ("WITH b (x, y) AS (SELECT id, symbol FROM orders) SELECT b.| FROM b", ["x", "y"]),
        ("WITH a AS (SELECT id FROM orders), b AS (SELECT * FROM a) SELECT b.| FROM b", ["id"]),
        ("SELECT s.| FROM (SELECT id AS n, COUNT(*) c FROM orders GROUP BY id) s", ["n", "c"]),
        ("SELECT t.| FROM (SELECT o.* FROM orders o) AS t", COLUMNS),
        ("SELECT t.| FROM orders AS t (a, b, c, d, e)", ["a", "b", "c", "d", "e"]),
        ("SELECT id FROM orders UNION ALL SELECT | FROM people", ["id", "name"]),
        ("SELECT * FROM orders WHERE id IN (SELECT p.| FROM people p)", ["id", "name"]),
        ("SELECT * FROM orders FOR SYSTEM_TIME AS OF p.at AS o WHERE o.|", COLUMNS),
        ("SELECT 1; SELECT | FROM people; SELECT * FROM orders", ["id", "name"]),
        ("SELECT * FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(|", ["`at`"]),
        ("SELECT * FROM TUMBLE(TABLE orders, DESCRIPTOR(at), INTERVAL '1' HOUR) GROUP BY |",
         ["window_start", "window_end"]),
        ("SELECT w.| FROM TABLE(HOP(TABLE people, x, y, z)) w",
         ["id", "name", "window_start", "window_end", "window_time"]),
        (f"SELECT m.| FROM orders MATCH_RECOGNIZE ({PATTERN}) AS m", ["symbol", "first_id"]),
        ("UPDATE people SET name = 'x' WHERE |", ["id", "name"]),
        ("CREATE TABLE t (a INT, b STRING, PRIMARY KEY (|", ["a", "b"]),
        ("CREATE TABLE t (a INT, ts TIMESTAMP(3), WATERMARK FOR |", ["a", "ts"]),
    ],
)  # fmt: skip
def test_columns_come_first_in_their_order(marked, first):
    assert texts(marked)[: len(first)] == first


@pytest.mark.parametrize(
    "marked",
    ["SELECT * FROM |", "SELECT * FROM people, |", "SELECT * FROM people JOIN |", "DESCRIBE |"],
)
def test_tables_and_views_where_one_is_read(marked):
    assert texts(marked)[:4] == ["orders", "people", "`odd name`", "totals"]


def test_names_of_with_are_tables_too():
    assert texts("WITH big AS (SELECT 1) SELECT * FROM |")[0] == "big"


@pytest.mark.parametrize("marked", ["INSERT INTO |", "DROP TABLE |", "ALTER TABLE |"])
def test_no_views_where_a_table_is_wanted(marked):
    assert "orders" in texts(marked)
    assert "totals" not in texts(marked)


def test_only_views_where_a_view_is_wanted():
    assert texts("DROP VIEW |")[0] == "totals"
    assert "orders" not in texts("DROP VIEW |")


def test_qualified_names_go_on():
    assert texts("SELECT * FROM lake.|") == ["bronze"]
    assert texts("SELECT * FROM lake.bronze.|") == ["logs"]
    assert texts("SELECT * FROM default_database.|")[0] == "orders"


def test_what_is_typed_is_replaced_and_what_follows_stays():
    assert after("SELECT am| FROM orders", "amount") == "SELECT amount FROM orders"
    assert after("SELECT COU|(*) FROM orders", "COUNT") == "SELECT COUNT(*) FROM orders"


def test_a_name_is_found_by_a_part_inside_it():
    assert texts("SELECT moun| FROM orders") == ["amount"]


def test_names_that_need_backquotes_get_them_and_open_ones_are_closed():
    assert after("SELECT `fi| FROM `odd name`", "`first name`") == "SELECT `first name` FROM `odd name`"
    assert after("SELECT `fi|` FROM `odd name`", "`first name") == "SELECT `first name` FROM `odd name`"
    assert written("select") == "`select`"
    assert written("a`b") == "`a``b`"
    assert written("plain") == "plain"


def test_keywords_follow_the_case_that_is_used():
    assert texts("sel|") == ["select"]
    assert texts("SEL|") == ["SELECT"]
    assert "where" in texts("select * from orders |")
    assert "WHERE" in texts("SELECT * FROM orders |")


def test_phrases_go_on_where_they_were_begun():
    assert texts("SELECT * FROM orders GROUP |") == ["BY"]
    assert texts("SELECT * FROM orders o LEFT |") == ["JOIN"]
    assert "NOT EXISTS" in texts("CREATE TABLE IF |")
    assert "NOT NULL" in texts("SELECT * FROM orders WHERE id IS |")


def test_clauses_follow_what_is_complete():
    assert texts("SELECT * |")[:2] == ["AS", "FROM"]
    assert "SELECT" not in texts("SELECT id FROM orders |")
    assert texts("SELECT * FROM orders WHERE id > 3 |")[:2] == ["AND", "OR"]
    assert {"ASC", "DESC", "LIMIT"} <= set(texts("SELECT * FROM orders ORDER BY id |"))
    assert texts("SELECT id FROM orders UNION |") == ["SELECT", "ALL"]


def test_functions_have_a_bracket_and_the_users_come_first():
    found = kinds("SELECT MA|")
    assert next(iter(found)) == "mask_card("
    assert found["MAX("] == "function"


def test_types_in_definitions_and_casts():
    assert kinds("CREATE TABLE t (a BIG|")["BIGINT"] == "type"
    assert kinds("SELECT CAST(id AS STR| FROM orders")["STRING"] == "type"


def test_connectors_and_their_options():
    assert texts("CREATE TABLE t (a INT) WITH (|") == ["'connector'"]
    assert "'upsert-kafka'" in texts("CREATE TABLE t (a INT) WITH ('connector' = '|")
    offered = texts("CREATE TABLE t (a INT) WITH ('connector' = 'kafka', ${kafka.main}, 'topic' = 'x', '|")
    assert "'scan.startup.mode'" in offered
    assert "'topic'" not in offered
    assert "'rows-per-second'" not in offered
    assert "'properties.security.protocol'" in offered


def test_the_options_of_the_chosen_format():
    prefix = "CREATE TABLE t (a INT) WITH ('connector' = 'kafka', 'key.format' = 'csv', 'format' = 'json', "
    assert "'json.ignore-parse-errors'" in texts(prefix + "'json|")
    assert "'key.csv.field-delimiter'" in texts(prefix + "'key|")


def test_options_that_name_a_column():
    marked = "CREATE TABLE t (a INT, b STRING) WITH ('connector' = 'datagen', 'fields|')"
    assert {"'fields.a.kind", "'fields.b.length"} <= set(texts(marked))


def test_values_of_options():
    with_ = "CREATE TABLE t (a INT) WITH ('connector' = 'kafka', "
    assert "'earliest-offset'" in texts(with_ + "'scan.startup.mode' = '|")
    assert "'earliest-offset'" in texts(with_ + "'scan.startup.mode' = |")
    assert {"'json'", "'avro-confluent'"} <= set(texts(with_ + "'format' = '|"))
    assert texts("SET 'execution.runtime-mode' = '|")[:2] == ["'STREAMING'", "'BATCH'"]


def test_topics_as_values_also_after_a_semicolon():
    with_ = "CREATE TABLE t (a INT) WITH ('connector' = 'kafka', 'topic' = "
    assert texts(with_ + "'|') ") == ["'orders", "'trades", "'clicks"]
    assert texts(with_ + "'orders;tr|") == ["'orders;trades'"]


def test_options_in_hints_and_alter_are_those_of_the_tables_connector():
    assert "'scan.startup.mode" in texts("SELECT * FROM orders /*+ OPTIONS('scan|') */ WHERE id = 1")
    assert "'scan.startup.mode'" in texts("SELECT * FROM orders /*+ OPTIONS('scan|")
    assert "'scan.startup.mode'" in texts("ALTER TABLE orders SET ('scan|")


def test_a_hint_does_not_hide_the_alias_behind_it():
    assert texts("SELECT o.| FROM orders /*+ OPTIONS('a' = 'b') */ AS o")[: len(COLUMNS)] == COLUMNS


def test_session_options():
    assert "'table.exec.state.ttl'" in texts("SET 'table.exec.state|")
    assert "'table.exec.state.ttl'" in texts("RESET '|")


def test_parameters_and_connections():
    assert texts("SELECT ${|") == ["day}", "kafka.main}"]
    assert after("WHERE day = '${d|}'", "day") == "WHERE day = '${day}'"
    assert texts("SELECT '$${|") == []


@pytest.mark.parametrize(
    "marked",
    [
        "SELECT * FROM orders LIMIT |",
        "-- FROM |",
        "SELECT /* FROM |",
        "SELECT 'FROM |",
        "SELECT 1|",
        "SELECT * FROM orders AS |",
    ],
)
def test_nothing_where_nothing_can_be_known(marked):
    assert texts(marked) == []


def test_offsets_count_code_points():
    found = at("-- 𝄞 ünïcode\nSELECT am| FROM orders")
    assert (found.start, found.end) == (20, 22)


def test_the_output_of_a_query_is_known_for_charts():
    fields = output_of("SELECT id, CAST(amount AS DOUBLE) AS total, 1 + 1 FROM orders", NAMES)
    assert fields == (Field("id", "BIGINT"), Field("total", "DOUBLE"))


def test_fields_of_a_row_type():
    assert row_fields("ROW<`a b` INT NOT NULL, c ARRAY<ROW<d INT, e INT>>>") == (
        Field("a b", "INT"),
        Field("c", "ARRAY<ROW<d INT, e INT>>"),
    )
    assert row_fields("MAP<STRING, INT>") == ()


PIECES = st.sampled_from(
    [
        *("SELECT", "FROM", "orders", "o", ".", ",", "(", ")", "'", "`", '"', "WITH", "AS", "JOIN", "ON"),
        *("=", "*", "TABLE", "TUMBLE", "DESCRIPTOR", "INSERT", "INTO", "CREATE", "\n", "'connector'", "/*+"),
        *("*/", "--", "${", "}", ";", "OPTIONS", "SET", "UNION", "CAST", "MATCH_RECOGNIZE", "FOR"),
        *("SYSTEM_TIME", "UPDATE", "DROP", "IN", "OVER", "LIKE", "1", "é"),
    ]
)


@given(st.lists(PIECES, max_size=25).map(" ".join), st.floats(0, 1))
def test_no_text_breaks_it_and_the_range_ends_at_the_cursor(text, share):
    offset = round(len(text) * share)
    found = complete(text, offset, NAMES)
    assert 0 <= found.start <= found.end == offset
    assert all(each.text for each in found.candidates)


def test_the_data_file_has_no_empty_corner():
    facts = json.loads(Path(connectors.__file__).with_name("options.json").read_text())
    assert {
        "kafka",
        "upsert-kafka",
        "filesystem",
        "datagen",
        "print",
        "blackhole",
        "rest-lookup",
        "jdbc",
    } <= set(facts["connectors"])
    assert {"SELECT", "ORDER", "VALUE"} <= connectors.reserved()
    assert module.__doc__
