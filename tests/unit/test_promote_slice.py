import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.errors import SliceError
from sdp_kernel.flink.ledger import Entry
from sdp_kernel.flink.script import identifiers, split
from sdp_kernel.promote.objects import (
    Slice,
    calls,
    check_places,
    circle,
    declared_name,
    in_force,
    reachable,
)
from sdp_kernel.promote.slice import _leavable


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


def test_a_temporary_object_hides_the_lasting_one_until_it_is_dropped():
    both = "CREATE TABLE a (x INT); CREATE TEMPORARY TABLE a (y INT); ALTER TABLE a ADD z INT"
    assert texts(known(both).declarations) == ["CREATE TEMPORARY TABLE a (y INT)", "ALTER TABLE a ADD z INT"]
    assert texts(known(f"{both}; DROP TEMPORARY TABLE a").declarations) == ["CREATE TABLE a (x INT)"]


def test_a_renamed_table_is_known_by_its_new_name():
    ledger = "CREATE TABLE a (x INT); ALTER TABLE a RENAME TO `b c`; ALTER TABLE `b c` SET ('k' = 'v')"
    part = reachable("SELECT * FROM `b c`", known(ledger))
    assert len(part.objects) == 1
    assert len(part.declarations) == 3
    assert texts(known(f"{ledger}; DROP TABLE `b c`").declarations) == []


def test_an_object_is_one_with_its_alters():
    part = reachable("SELECT * FROM a", known("CREATE TABLE a (x INT); ALTER TABLE a SET ('k' = 'v')"))
    assert [texts(group) for group in part.objects] == [
        ["CREATE TABLE a (x INT)", "ALTER TABLE a SET ('k' = 'v')"]
    ]


def test_a_table_made_again_comes_before_the_views_on_it():
    ledger = """CREATE TABLE a (x INT); CREATE VIEW v AS SELECT * FROM a; CREATE VIEW w AS SELECT * FROM v;
        DROP TABLE a; CREATE TABLE a (y INT); DROP VIEW v; CREATE VIEW v AS SELECT y FROM a"""
    assert needed("SELECT * FROM w", ledger) == ["a", "v", "w"]


def test_names_that_go_round_in_a_circle_keep_the_ledger_s_order():
    assert needed("SELECT b FROM a", "CREATE TABLE b (a INT); CREATE TABLE a (b INT)") == ["b", "a"]


def test_settings_and_surroundings_are_told_apart():
    part = known("USE CATALOG c; SET 'a' = '1'; CREATE DATABASE d WITH ('k' = 'v'); USE d")
    assert texts(part.sets) == ["SET 'a' = '1'"]
    assert texts(part.surroundings) == ["USE CATALOG c", "CREATE DATABASE d WITH ('k' = 'v')", "USE d"]


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TABLE t (x INT); USE d",
        "USE d; CREATE TABLE t (x INT); USE e",
        "USE CATALOG c; CREATE TABLE e.t (x INT); USE CATALOG d",
        "USE c.d; CREATE TABLE t (x INT); USE e",
    ],
)
def test_a_table_of_another_database_is_refused(text):
    ledger = entries(text)
    with pytest.raises(SliceError, match="ran in another database"):
        check_places(ledger, in_force(ledger))


@pytest.mark.parametrize(
    "text",
    [
        "USE d; CREATE TABLE t (x INT)",
        "USE d; CREATE TABLE t (x INT); USE e; USE d",
        "USE CATALOG c; USE d; CREATE TABLE t (x INT); USE c.d",
        "CREATE TABLE c.d.t (x INT); USE e",
        "CREATE TABLE t (x INT); USE MODULES core",
    ],
)
def test_a_table_of_the_query_s_database_is_taken(text):
    ledger = entries(text)
    check_places(ledger, in_force(ledger))


def test_an_altered_view_is_written_as_it_is_now():
    part = known("CREATE VIEW v (a) AS SELECT x FROM old; ALTER VIEW v AS SELECT y -- new\nFROM t")
    assert texts(part.declarations) == ["CREATE VIEW v AS SELECT y -- new\nFROM t"]
    assert [e.kind for e in part.declarations] == ["CREATE VIEW"]
    part = known("CREATE TEMPORARY VIEW v AS SELECT 1; ALTER VIEW v AS SELECT 2")
    assert texts(part.declarations) == ["CREATE TEMPORARY VIEW v AS SELECT 2"]
    part = known("CREATE VIEW v AS SELECT 1; ALTER VIEW v RENAME TO w")
    assert texts(part.declarations) == ["CREATE VIEW v AS SELECT 1", "ALTER VIEW v RENAME TO w"]


@pytest.mark.parametrize(
    ("ledger", "views"),
    [
        ("CREATE VIEW a AS SELECT * FROM t; CREATE VIEW b AS SELECT * FROM a", ()),
        ("CREATE VIEW a AS SELECT 1; CREATE VIEW b AS SELECT * FROM a; ALTER VIEW a AS SELECT * FROM b",
         ("a", "b", "a")),
        ("CREATE VIEW a AS SELECT 1; ALTER VIEW a AS SELECT * FROM a", ("a", "a")),
        ("CREATE TABLE t (v INT); CREATE VIEW v AS SELECT * FROM t", ()),
    ],
)  # fmt: skip
def test_views_that_read_each_other_are_found(ledger, views):
    found = circle(known(ledger))
    assert (len(found), set(found)) == (len(views), set(views))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("CREATE TABLE t (x INT)", "`t`"),
        ("CREATE TEMPORARY TABLE IF NOT EXISTS `a.b`.t (x INT)", "`a.b`.`t`"),
        ("CREATE TABLE c . d . `e``f` (x INT)", "`c`.`d`.`e``f`"),
        ("CREATE TABLE t (x INT); ALTER TABLE t RENAME TO u", ""),
        ("CREATE TEMPORARY VIEW `v w` AS SELECT 1", "`v w`"),
        ("CREATE FUNCTION f AS 'a.B'", ""),
    ],
)
def test_a_name_is_quoted_part_by_part(text, name):
    assert declared_name(entries(text)) == name


@pytest.mark.parametrize(
    ("text", "leavable"),
    [
        ("ADD JAR 'a.jar'", []),
        ("ADD JAR 'a.jar'; REMOVE JAR 'a.jar'", [[0, 1]]),
        ("ADD JAR 'a.jar'; REMOVE JAR 'a.jar'; ADD JAR  'a.jar'", [[0, 1]]),
        ("CREATE DATABASE d; ALTER DATABASE d SET ('k' = 'v')", [[0, 1]]),
        (
            "CREATE CATALOG c; DROP CATALOG c; CREATE CATALOG c WITH ('k' = 'v')",
            [[0, 1, 2], [0, 1, 2], [0, 1]],
        ),
        ("CREATE DATABASE d; USE d; USE e; ADD JAR 'a.jar'", [[0, 1, 2], [2], [1], [0]]),
        ("LOAD MODULE hive; UNLOAD MODULE hive", [[0, 1]]),
    ],
)
def test_surroundings_are_left_out_with_what_belongs_to_them(text, leavable):
    whole = entries(text)
    assert [[whole.index(entry) for entry in group] for group in _leavable(whole)] == leavable


NAMES = st.sampled_from(["a", "b", "c", "d"])
STATEMENTS = st.one_of(
    st.builds("CREATE TABLE {} (x INT)".format, NAMES),
    st.builds("CREATE OR REPLACE TABLE {} (y INT)".format, NAMES),
    st.builds("CREATE TEMPORARY TABLE {} (x INT)".format, NAMES),
    st.builds("CREATE VIEW v_{} AS SELECT * FROM {}".format, NAMES, NAMES),
    st.builds("ALTER TABLE {} SET ('k' = 'v')".format, NAMES),
    st.builds("DROP TABLE {}".format, NAMES),
    st.builds("DROP VIEW v_{}".format, NAMES),
    st.builds("SET '{}' = '1'".format, NAMES),
    st.builds("RESET '{}'".format, NAMES),
)


@given(st.lists(STATEMENTS, max_size=25), st.sets(NAMES))
def test_a_slice_is_the_ledger_s_own_closed_and_a_fixed_point(ledger, wanted):
    whole = in_force(entries(";".join(ledger)))
    part = reachable(f"SELECT * FROM {', '.join(f'v_{n}' for n in wanted) or 'x'}", whole)
    assert set(texts(part.declarations)) <= set(ledger)
    assert in_force(part.entries).entries == part.entries
    for group in part.objects:
        assert group[0].kind.startswith("CREATE")
    named = {entry.target for entry in whole.declarations}
    kept = {entry.target for entry in part.declarations}
    for entry in part.declarations:
        assert identifiers(entry.text) & named <= kept


@pytest.mark.parametrize(
    ("text", "called"),
    [
        ("SELECT UPPER(x) FROM t", True),
        ("SELECT upper (x) FROM t", True),
        ("SELECT d.Upper(x) FROM t", True),
        ("SELECT upper FROM t", False),
        ("SELECT 'upper(' FROM t -- upper(x)", False),
    ],
)
def test_a_function_that_is_called_is_told_from_a_name(text, called):
    (group,) = known("CREATE TEMPORARY SYSTEM FUNCTION Upper AS 'a.B'").objects
    assert calls(group, [text]) is called
