"""A job's tables, read from its text, and the statements that point them elsewhere."""

import pytest

from sdp_kernel.errors import UsageError
from sdp_kernel.flink.script import split
from sdp_kernel.repository.retarget import Change, retarget, tables

ORDERS = """CREATE TABLE orders (id INT, amount DOUBLE) WITH (
  'connector' = 'kafka', 'topic' = 'orders.v1', 'properties.group.id' = 'it''s', 'format' = 'json');
"""
TOTALS = """CREATE TABLE totals (id INT, total DOUBLE, PRIMARY KEY (id) NOT ENFORCED) WITH (
  'connector' = 'upsert-kafka', 'topic' = 'totals');
"""
INSERT = "INSERT INTO totals SELECT id, SUM(amount) FROM orders GROUP BY id;"


def of(text):
    return {table.name: table for table in tables(split(text))}


def test_sources_and_sinks_are_told_apart_with_their_options():
    found = of(ORDERS + TOTALS + INSERT)
    assert found["orders"].is_source
    assert not found["orders"].is_sink
    assert found["totals"].is_sink
    assert not found["totals"].is_source
    assert found["orders"].options["properties.group.id"] == "it's"
    assert found["orders"].topics == ("orders.v1",)
    assert found["totals"].keyed
    assert not found["orders"].keyed


def test_a_column_named_as_a_table_is_no_table():
    found = of(
        ORDERS + TOTALS + "INSERT INTO totals SELECT id, SUM(amount) AS totals FROM orders GROUP BY id;"
    )
    assert not found["totals"].is_source


def test_a_source_is_found_through_views_on_views_and_a_table_nobody_reads_is_none():
    found = of(
        ORDERS + TOTALS + "CREATE TABLE idle (a INT) WITH ('connector' = 'datagen');"
        "CREATE TEMPORARY VIEW big AS SELECT * FROM orders WHERE amount > 1;"
        "CREATE VIEW bigger (id, amount) AS SELECT * FROM big;"
        "INSERT INTO totals SELECT id, SUM(amount) FROM bigger GROUP BY id;"
    )
    assert [name for name, table in found.items() if table.is_source] == ["orders"]


def test_all_sinks_of_a_statement_set_are_found():
    found = of(
        ORDERS + TOTALS + "CREATE TABLE `all of` (id INT) WITH ('connector' = 'blackhole');"
        "EXECUTE STATEMENT SET BEGIN INSERT INTO `all of` SELECT id FROM orders;" + INSERT + " END;"
    )
    assert {name for name, table in found.items() if table.is_sink} == {"totals", "all of"}


def test_a_table_that_is_read_and_written_is_both():
    found = of(TOTALS + "INSERT INTO totals SELECT * FROM totals;")
    assert found["totals"].is_source
    assert found["totals"].is_sink


def test_options_are_those_in_force_after_alters_and_of_the_table_it_is_like():
    found = of(
        ORDERS + "ALTER TABLE orders SET ('topic' = 'orders.v2');ALTER TABLE orders RESET ('format');"
        "CREATE TABLE late WITH ('topic' = 'late') LIKE orders;"
        "CREATE TABLE bare WITH ('connector' = 'blackhole') LIKE orders (EXCLUDING ALL);"
        "CREATE TABLE keyed WITH ('topic' = 'k') LIKE late (EXCLUDING OPTIONS);"
    )
    assert found["orders"].options == {
        "connector": "kafka", "topic": "orders.v2", "properties.group.id": "it's",
    }  # fmt: skip
    assert found["late"].options == {**found["orders"].options, "topic": "late"}
    assert found["bare"].options == {"connector": "blackhole"}
    assert found["keyed"].options == {"topic": "k"}


def test_a_key_comes_with_like_unless_it_is_left_out():
    found = of(TOTALS + "CREATE TABLE a LIKE totals;CREATE TABLE b LIKE totals (EXCLUDING ALL);")
    assert found["a"].keyed
    assert not found["b"].keyed


def test_names_are_followed_through_renaming_dropping_and_databases():
    found = of(
        ORDERS + "ALTER TABLE orders RENAME TO purchases;DROP TABLE IF EXISTS purchases;"
        "CREATE TABLE IF NOT EXISTS db.orders (id INT) WITH ('connector' = 'kafka', 'topic' = 'a');"
        "CREATE TABLE IF NOT EXISTS db.orders (id INT) WITH ('connector' = 'kafka', 'topic' = 'b');"
        "INSERT INTO x SELECT * FROM `c`.`db`.`orders`;"
    )
    assert list(found) == ["db.orders"]
    assert found["db.orders"].is_source
    assert found["db.orders"].quoted == "`db`.`orders`"
    assert found["db.orders"].topics == ("a",)


@pytest.mark.parametrize("last", ["USE b; ALTER TABLE o SET ('topic' = 'x')", "CREATE TABLE p LIKE o"])
def test_a_name_that_may_mean_two_tables_is_refused(last):
    both = "CREATE TABLE a.o (id INT) WITH ('topic' = 'a'); CREATE TABLE b.o (id INT) WITH ('topic' = 'b');"
    with pytest.raises(UsageError, match=r"o may mean a\.o or b\.o"):
        of(both + last)


def changed(text, name, change):
    statements = split(text)
    table = next(table for table in tables(statements) if table.name == name)
    return retarget(statements, {table: change})


def test_a_permanent_table_is_altered_behind_the_last_word_on_it():
    script = ORDERS + "ALTER TABLE orders SET ('topic' = 'own');" + TOTALS + INSERT
    made = changed(script, "orders", Change({"topic": "it's", "properties.group.id": None, "absent": None}))
    assert [text.partition("(")[0].strip() for text in made[:5]] == [
        "CREATE TABLE orders", "ALTER TABLE orders SET", "ALTER TABLE `orders` RESET",
        "ALTER TABLE `orders` SET", "CREATE TABLE totals",
    ]  # fmt: skip
    assert made[2] == "ALTER TABLE `orders` RESET ('properties.group.id')"
    assert made[3] == "ALTER TABLE `orders` SET ('topic' = 'it''s')"
    assert made[-1] == INSERT.rstrip(";")
    assert made[0] == split(ORDERS)[0].text


def test_a_temporary_table_is_made_again_with_all_its_options():
    script = ORDERS.replace("CREATE TABLE", "CREATE TEMPORARY TABLE") + TOTALS + INSERT
    made = changed(script, "orders", Change({"topic": "t", "properties.group.id": None}))
    assert made[1:4] == (
        (
            "CREATE TEMPORARY TABLE `orders__sdp` WITH ('connector' = 'kafka', 'topic' = 't', 'format' = 'json')"
            " LIKE `orders` (EXCLUDING OPTIONS)"
        ),
        "DROP TEMPORARY TABLE `orders`",
        "CREATE TEMPORARY TABLE `orders` LIKE `orders__sdp`",
    )


def test_a_table_made_anew_is_not_partitioned_any_more():
    script = (
        "CREATE TABLE a (id INT, day STRING) PARTITIONED BY (`day`, id) WITH ('connector' = 'filesystem');"
        "CREATE TABLE b (id INT) PARTITIONED BY (id) WITH ('connector' = 'filesystem');"
    )
    made = changed(script, "a", Change({"connector": "kafka"}, anew=True))
    assert made[0] == "CREATE TABLE a (id INT, day STRING)  WITH ('connector' = 'filesystem')"
    assert "PARTITIONED BY (id)" in made[2]


@pytest.mark.parametrize("temporary", [False, True])
def test_a_table_made_anew_has_the_new_options_alone(temporary):
    script = TOTALS.replace("CREATE", "CREATE TEMPORARY") if temporary else TOTALS
    made = changed(script, "totals", Change({"connector": "kafka"}, anew=True))[1]
    name = "`totals__sdp`" if temporary else "`totals`"
    assert made == (
        f"CREATE TEMPORARY TABLE {name} WITH ('connector' = 'kafka')"
        " LIKE `totals` (EXCLUDING ALL INCLUDING CONSTRAINTS)"
    )
