import pytest

from sdp_kernel.flink.ledger import Entry
from sdp_kernel.flink.script import split
from sdp_kernel.promote.slice import Slice, in_force, reachable


def entries(text):
    return tuple(Entry(s.text, s.kind, s.target, s.temporary) for s in split(text))


def texts(part):
    return [entry.text for entry in part]


def known(text):
    return in_force(entries(text))


def needed(text, ledger):
    return [entry.target for entry in reachable(text, known(ledger)).declarations]


def test_a_later_set_replaces_an_earlier_one():
    part = known("SET 'a.b' = '1'; SET c = 2; SET a.b = 3; SET 'table.x-y' = '4'")
    assert texts(part.settings) == ["SET c = 2", "SET a.b = 3", "SET 'table.x-y' = '4'"]


def test_reset_takes_a_setting_back():
    assert texts(known("SET 'a' = '1'; SET 'b' = '2'; RESET 'a'").settings) == ["SET 'b' = '2'"]


def test_reset_alone_takes_all_settings_back_and_leaves_the_surroundings():
    part = known("USE CATALOG c; SET 'a' = '1'; ADD JAR 'x.jar'; RESET; SET 'b' = '2'")
    assert texts(part.settings) == ["USE CATALOG c", "ADD JAR 'x.jar'", "SET 'b' = '2'"]


def test_the_client_s_own_settings_and_a_bare_set_are_left_out():
    assert texts(known("SET 'sql-client.verbose' = 'true'; SET").settings) == []


def test_drop_removes_an_object():
    part = known("CREATE TABLE a (x INT); CREATE VIEW v AS SELECT 1; DROP TABLE a; DROP VIEW IF EXISTS v")
    assert part == Slice((), ())


def test_drop_of_a_table_leaves_the_view_of_that_name():
    assert [e.kind for e in known("CREATE VIEW a AS SELECT 1; DROP TABLE IF EXISTS a").declarations] == [
        "CREATE VIEW"
    ]


def test_an_object_created_again_stands_where_it_was_created_last():
    part = known("CREATE TABLE a (x INT); CREATE TABLE b (x INT); DROP TABLE a; CREATE TABLE a (y INT)")
    assert texts(part.declarations) == ["CREATE TABLE b (x INT)", "CREATE TABLE a (y INT)"]


def test_create_or_replace_replaces():
    part = known("CREATE TABLE a (x INT); ALTER TABLE a ADD y INT; CREATE OR REPLACE TABLE a (z INT)")
    assert texts(part.declarations) == ["CREATE OR REPLACE TABLE a (z INT)"]


def test_alter_is_kept_behind_its_create():
    part = known(
        "CREATE TABLE a (x INT); CREATE TABLE b (x INT); ALTER TABLE a ADD y INT; ALTER TABLE c ADD y INT"
    )
    assert texts(part.declarations) == [
        "CREATE TABLE a (x INT)",
        "ALTER TABLE a ADD y INT",
        "CREATE TABLE b (x INT)",
    ]


def test_create_if_not_exists_changes_nothing_that_is_there():
    part = known("CREATE TABLE a (x INT); CREATE TABLE IF NOT EXISTS a (y INT)")
    assert texts(part.declarations) == ["CREATE TABLE a (x INT)"]
    part = known("CREATE TEMPORARY TABLE IF NOT EXISTS a (y INT)")
    assert texts(part.declarations) == ["CREATE TEMPORARY TABLE IF NOT EXISTS a (y INT)"]


def test_a_catalog_made_again_is_dropped_in_between():
    part = known("CREATE CATALOG c WITH ('type' = 'x'); DROP CATALOG c; CREATE CATALOG c WITH ('type' = 'y')")
    assert texts(part.settings) == [
        "CREATE CATALOG c WITH ('type' = 'x')",
        "DROP CATALOG c",
        "CREATE CATALOG c WITH ('type' = 'y')",
    ]


def test_views_on_views_are_followed_and_stay_in_order():
    ledger = """
        CREATE TABLE raw (x INT); CREATE TABLE other (x INT);
        CREATE VIEW one AS SELECT x FROM raw; CREATE VIEW two AS SELECT x FROM one;
        CREATE VIEW unused AS SELECT x FROM other"""
    assert needed("SELECT * FROM two", ledger) == ["raw", "one", "two"]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 'a' FROM b -- a",
        "SELECT 1 /* a */ FROM b",
        "SELECT 'from a' FROM b",
        "SELECT 1 FROM b /*+ OPTIONS('topic' = 'a') */",
    ],
)
def test_names_in_comments_strings_and_hints_do_not_count(text):
    assert needed(text, "CREATE TABLE a (x INT); CREATE TABLE b (x INT)") == ["b"]


@pytest.mark.parametrize(
    ("text", "ledger"),
    [
        ("SELECT * FROM `my table`", "CREATE TABLE `my table` (x INT)"),
        ("SELECT * FROM db.t", "CREATE TABLE t (x INT)"),
        ("SELECT * FROM t", "CREATE TABLE cat.db.t (x INT)"),
        ("SELECT * FROM `orders.v1`", "CREATE TABLE `orders.v1` (x INT)"),
        ("SELECT myfunction(1)", "CREATE TEMPORARY FUNCTION MyFunction AS 'a.B'"),
    ],
)
def test_a_name_is_known_however_it_is_written(text, ledger):
    assert len(needed(text, ledger)) == 1


def test_table_names_keep_their_case():
    assert needed("SELECT * FROM Orders", "CREATE TABLE orders (x INT); CREATE TABLE Orders (x INT)") == [
        "Orders"
    ]


def test_all_settings_stay():
    part = reachable("SELECT 1", known("SET 'a' = '1'; USE CATALOG c; CREATE TABLE t (x INT)"))
    assert texts(part.entries) == ["SET 'a' = '1'", "USE CATALOG c"]
