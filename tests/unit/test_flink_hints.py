"""Hints for Kafka tables: which tables a text reads, what is put where, and the way back to the cell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.errors import UsageError
from sdp_kernel.flink.declared import Declared, read_table, read_view
from sdp_kernel.flink.edits import Edit, apply
from sdp_kernel.flink.hints import hinted, reach
from sdp_kernel.flink.parameters import Rendered, render
from sdp_kernel.flink.sources import scan

NOW = 1_767_607_200_000  # 2026-01-05T10:00:00Z
CATALOG = ("default_catalog", "default_database")


def read(text):
    return [".".join(reference.parts) for reference in scan(text).references]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("SELECT EXTRACT(DAY FROM ts), TRIM(BOTH 'x' FROM y) FROM t", ["t"]),
        ("SELECT a IS NOT DISTINCT FROM b FROM t", ["t"]),
        ("SELECT DISTINCT a FROM t, `u v` AS x LEFT JOIN c.d.w ON a = b, z WHERE a > 1", ["t", "u v", "c.d.w", "z"]),
        ("SELECT * FROM a FOR SYSTEM_TIME AS OF PROCTIME() AS x JOIN b FOR SYSTEM_TIME AS OF x.ts ON TRUE", ["a", "b"]),
        ("SELECT * FROM (a JOIN b USING (x)) JOIN (SELECT * FROM c) ON TRUE", ["a", "b", "c"]),
        ("SELECT * FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE))", ["t"]),
        ("SELECT * FROM TUMBLE(DATA => TABLE db.t PARTITION BY a, b, TIMECOL => DESCRIPTOR(ts)), u", ["db.t", "u"]),
        ("SELECT * FROM t, LATERAL TABLE(f(t.a)) AS x(y), UNNEST(t.b) AS z", ["t"]),
        ("SELECT * FROM (VALUES (1, 2)) AS t(a, b), u", ["u"]),
        ("(SELECT * FROM a) UNION ALL (TABLE b) EXCEPT SELECT * FROM c", ["a", "b", "c"]),
        ("SELECT (SELECT MAX(x) FROM m) FROM t WHERE a IN (SELECT b FROM n) AND EXISTS (TABLE o)", ["m", "t", "n", "o"]),
        ("WITH t AS (SELECT * FROM t), u (a) AS (SELECT * FROM t) SELECT * FROM u JOIN t ON TRUE", ["t"]),
        ("WITH t AS (SELECT * FROM s) (SELECT * FROM t) UNION ALL (SELECT * FROM u)", ["s", "u"]),
        ("SELECT * FROM t WHERE EXISTS (WITH t AS (SELECT * FROM w) SELECT * FROM t)", ["t", "w"]),
        ("INSERT INTO x PARTITION (a='1') (b, c) SELECT * FROM s", ["s"]),
        ("INSERT INTO x WITH q AS (SELECT * FROM s) SELECT * FROM q", ["s"]),
        ("EXECUTE STATEMENT SET BEGIN INSERT INTO x SELECT * FROM s; INSERT INTO y (SELECT * FROM r); END", ["s", "r"]),
        ("CREATE TABLE x (a INT) WITH ('connector' = 'blackhole') AS SELECT * FROM s", ["s"]),
        (
            "SELECT * FROM t MATCH_RECOGNIZE (PARTITION BY s ORDER BY ts MEASURES A.a AS b PATTERN (A) DEFINE A AS A.x > 1) m, u",
            ["t", "u"],
        ),
        ("SELECT `FROM`, t.`from`, t.x -- FROM y\n FROM /* FROM z */ t WHERE a = 'FROM w'", ["t"]),
        ("SELECT 1", []),
    ],
)  # fmt: skip
def test_the_tables_a_text_reads(text, names):
    assert read(text) == names


KAFKA = Declared((*CATALOG, "k"), {"connector": "kafka", "topic": "k"})
KNOWN = {
    ("k",): KAFKA,
    (*CATALOG, "k"): KAFKA,
    ("db", "odd ` name"): Declared((*CATALOG, "odd ` name"), {"connector": "kafka"}),
    ("patient",): Declared(
        (*CATALOG, "patient"), {"connector": "kafka", "properties.fetch.max.wait.ms": "900"}
    ),
    ("timed",): Declared(
        (*CATALOG, "timed"), {"connector": "datagen"}, ("id", "a `b`"), rowtime=("a `b`", "TIMESTAMP_LTZ(3)")
    ),
    ("ended",): Declared((*CATALOG, "ended"), {"connector": "kafka", "scan.bounded.mode": "latest-offset"}),
    ("u",): Declared((*CATALOG, "u"), {"connector": "upsert-kafka"}),
    ("g",): Declared((*CATALOG, "g"), {"connector": "datagen"}),
    ("v",): Declared((*CATALOG, "v"), columns=("a", "b"), query="SELECT `x`, `y`\nFROM `k` AS `k`"),
    ("vv",): Declared((*CATALOG, "vv"), columns=("a",), query="SELECT `v`.`a` FROM `v` AS `v`"),
    ("plain",): Declared((*CATALOG, "plain"), columns=("a",), query="SELECT `a` FROM `g`"),
}
TO_NOW = "'scan.bounded.mode'='latest-offset', 'properties.fetch.max.wait.ms'='20'"


def hint(text, *, start=None, until="now", batch=False):
    return hinted(render(text, {}, {}), KNOWN.get, reach(start, until, batch=batch, now=NOW))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT * FROM k", "SELECT * FROM k /*+ OPTIONS({}) */"),
        ("SELECT * FROM k AS x JOIN g ON TRUE", "SELECT * FROM k /*+ OPTIONS({}) */ AS x JOIN g ON TRUE"),
        (
            "SELECT * FROM db.`odd `` name` x, k FOR SYSTEM_TIME AS OF x.t AS y",
            "SELECT * FROM db.`odd `` name` /*+ OPTIONS({}) */ x, k /*+ OPTIONS({}) */ FOR SYSTEM_TIME AS OF x.t AS y",
        ),
        (
            "SELECT * FROM TABLE(SESSION(TABLE k PARTITION BY a, DESCRIPTOR(t), INTERVAL '1' MINUTE))",
            (
                "SELECT * FROM TABLE(SESSION((SELECT * FROM k /*+ OPTIONS({}) */) PARTITION BY a, "
                "DESCRIPTOR(t), INTERVAL '1' MINUTE))"
            ),
        ),
        (
            "INSERT INTO k SELECT * FROM plain, k",
            "INSERT INTO k SELECT * FROM plain, k /*+ OPTIONS({}) */",
        ),
        (
            "SELECT * FROM v WHERE v.a > 1",
            "WITH `v` (`a`, `b`) AS (SELECT `x`, `y`\nFROM `k` /*+ OPTIONS({}) */ AS `k`) SELECT * FROM `v` WHERE v.a > 1",
        ),
        (
            "INSERT INTO k WITH q AS (TABLE vv) SELECT * FROM q",
            (
                "INSERT INTO k WITH `v` (`a`, `b`) AS (SELECT `x`, `y`\nFROM `k` /*+ OPTIONS({}) */ AS `k`), "
                "`vv` (`a`) AS (SELECT `v`.`a` FROM `v` AS `v`), q AS (TABLE `vv`) SELECT * FROM q"
            ),
        ),
        (
            "WITH v AS (SELECT 1 AS a) SELECT * FROM v, vv",
            (
                "WITH `v_2` (`a`, `b`) AS (SELECT `x`, `y`\nFROM `k` /*+ OPTIONS({}) */ AS `k`), "
                "`vv` (`a`) AS (SELECT `v`.`a` FROM `v_2` AS `v`), v AS (SELECT 1 AS a) SELECT * FROM v, `vv`"
            ),
        ),
    ],
)
def test_hints_stand_where_flink_takes_them(text, expected):
    result = hint(text)
    assert result.rendered.text == expected.replace("{}", TO_NOW)


def test_each_statement_of_a_set_gets_the_views_it_reads():
    text = "EXECUTE STATEMENT SET BEGIN INSERT INTO g SELECT a FROM vv; INSERT INTO g SELECT a FROM vv; END"
    assert hint(text).rendered.text.count("WITH `v` (`a`, `b`) AS") == 2


def test_a_view_that_got_another_name_keeps_its_own_as_alias():
    text = "WITH q AS (WITH v AS (SELECT 1) SELECT * FROM v) SELECT v.a FROM v WHERE v.a > 1"
    assert hint(text).rendered.text.endswith("SELECT v.a FROM `v_2` AS `v` WHERE v.a > 1")
    aliased = "WITH q AS (WITH v AS (SELECT 1) SELECT * FROM v) SELECT x.a FROM v x"
    assert hint(aliased).rendered.text.endswith("SELECT x.a FROM `v_2` x")


def test_options_of_a_hint_stay_unless_the_cell_says_otherwise():
    text = (
        "SELECT * FROM k /*+ X('1', '2'), OPTIONS('scan.startup.mode'='timestamp',"
        "'scan.startup.timestamp-millis'='5', 'a'='it''s') */ WHERE 1 = 1"
    )
    result = hint(text, start="earliest", until=None)
    assert result.rendered.text == (
        "SELECT * FROM k /*+ X('1', '2'), OPTIONS('a'='it''s', 'scan.startup.mode'='earliest-offset') */ WHERE 1 = 1"
    )
    assert any("scan.startup.mode gives way" in note for note in result.notes)
    kept = hint(text, start=None).rendered.text
    assert "'scan.startup.timestamp-millis'='5'" in kept
    assert TO_NOW in kept


def test_how_long_a_fetch_waits_is_set_only_for_a_read_with_an_end_and_where_nobody_set_it():
    assert "fetch.max.wait" not in hint("SELECT * FROM k", until="never").rendered.text
    assert "fetch.max.wait" not in hint("SELECT * FROM k", start="1h", until=None).rendered.text
    own = "'properties.fetch.max.wait.ms'='900'"
    hinted_so = hint(f"SELECT * FROM k /*+ OPTIONS({own}) */").rendered.text
    assert hinted_so == f"SELECT * FROM k /*+ OPTIONS({own}, 'scan.bounded.mode'='latest-offset') */"
    assert hint("SELECT * FROM patient").rendered.text.endswith(
        "OPTIONS('scan.bounded.mode'='latest-offset') */"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT * FROM timed WHERE TRUE", "SELECT * FROM {} AS `timed` WHERE TRUE"),
        ("SELECT * FROM timed x, g", "SELECT * FROM {} x, g"),
        ("SELECT * FROM TUMBLE(TABLE timed, DESCRIPTOR(t))", "SELECT * FROM TUMBLE({}, DESCRIPTOR(t))"),
        ("SELECT * FROM timed MATCH_RECOGNIZE (x) AS m", "SELECT * FROM {} MATCH_RECOGNIZE (x) AS m"),
    ],
)
def test_a_batch_casts_the_event_time_of_a_table(text, expected):
    subquery = "(SELECT `id`, CAST(`a ``b``` AS TIMESTAMP_LTZ(3)) AS `a ``b``` FROM timed)"
    assert hint(text, until=None, batch=True).rendered.text == expected.format(subquery)


def test_the_event_time_of_a_table_is_left_alone_where_it_is_looked_up_or_streams():
    text = "SELECT * FROM g x JOIN timed FOR SYSTEM_TIME AS OF x.t AS y ON TRUE"
    assert hint(text, until=None, batch=True).rendered.text == text
    assert hint("SELECT * FROM timed, k").rendered.text == f"SELECT * FROM timed, k /*+ OPTIONS({TO_NOW}) */"


def test_upsert_tables_are_read_whole_and_said_so():
    result = hint("SELECT * FROM k JOIN u ON TRUE", start="2h")
    assert result.rendered.text.endswith(f"JOIN u /*+ OPTIONS({TO_NOW}) */ ON TRUE")
    assert any("u is an upsert-kafka table" in note for note in result.notes)
    assert result.tables == ("k", "u")


def test_a_start_for_upsert_tables_alone_is_refused():
    with pytest.raises(UsageError, match="reads none"):
        hint("SELECT * FROM u", start="2h", until=None)


def test_a_batch_ends_what_has_no_end_and_leaves_the_rest():
    result = hint("SELECT * FROM k, ended, g", until=None, batch=True)
    assert result.rendered.text == f"SELECT * FROM k /*+ OPTIONS({TO_NOW}) */, ended, g"
    assert hint("SELECT * FROM g", until=None, batch=True).rendered.text == "SELECT * FROM g"
    with pytest.raises(UsageError, match="batch mode") as error:
        hint("SELECT * FROM u", until=None, batch=True)
    assert "--until now" in error.value.hint


@pytest.mark.parametrize(
    "text", ["SELECT * FROM g", "SELECT * FROM plain", "SELECT * FROM unknown", "SELECT 1"]
)
def test_a_text_without_kafka_is_refused(text):
    with pytest.raises(UsageError, match="reads none"):
        hint(text)


@pytest.mark.parametrize(
    ("start", "until", "options"),
    [
        ("2h", None, {"scan.startup.mode": "timestamp", "scan.startup.timestamp-millis": str(NOW - 7_200_000)}),
        ("2026-01-05T09:00", None, {"scan.startup.mode": "timestamp", "scan.startup.timestamp-millis": str(NOW - 3_600_000)}),
        ("earliest", "now", {"scan.startup.mode": "earliest-offset", "scan.bounded.mode": "latest-offset"}),
        ("group", "never", {"scan.startup.mode": "group-offsets", "scan.bounded.mode": "unbounded"}),
        (
            "0@42, 1@7", "2@9",
            {
                "scan.startup.mode": "specific-offsets",
                "scan.startup.specific-offsets": "partition:0,offset:42;partition:1,offset:7",
                "scan.bounded.mode": "specific-offsets", "scan.bounded.specific-offsets": "partition:2,offset:9",
            },
        ),
        (None, "30m", {"scan.bounded.mode": "timestamp", "scan.bounded.timestamp-millis": str(NOW - 1_800_000)}),
    ],
)  # fmt: skip
def test_what_from_and_until_mean(start, until, options):
    found = reach(start, until, now=NOW)
    assert {**found.start, **found.stop} == options


@pytest.mark.parametrize(
    ("start", "until", "message"),
    [
        ("yesterday", None, "--from yesterday"),
        (None, "0:5@x", "--until 0:5@x"),
        ("1h", "2h", "not before"),
        (None, "2030-01-01", "not come yet"),
        ("'x", None, "--from 'x"),
    ],
)
def test_what_they_cannot_mean_is_refused(start, until, message):
    with pytest.raises(UsageError, match=message):
        reach(start, until, now=NOW)


def test_what_flink_writes_of_a_table_and_of_a_view_is_read():
    table = read_table(
        "CREATE TEMPORARY TABLE `c`.`d`.`t` (\n  `a` INT,\n  `WITH` BIGINT COMMENT 'WITH (x'\n)\nCOMMENT 'it''s AS'\n"
        "WITH (\n  'connector' = 'kafka',\n  'x' = 'it''s'\n)\n"
    )
    assert (table.parts, table.options) == (("c", "d", "t"), {"connector": "kafka", "x": "it's"})
    view = read_view(
        "CREATE TEMPORARY VIEW `c`.`d`.`v` (\n  `a`,\n  `b``c`\n)\nCOMMENT 'AS x'\nAS SELECT `t`.`a` AS `a` FROM `c`.`d`.`t`\n"
    )
    assert view.parts == ("c", "d", "v")
    assert view.columns == ("a", "b`c")
    assert view.query == "SELECT `t`.`a` AS `a` FROM `c`.`d`.`t`"


WORDS = st.sampled_from(
    ["SELECT", "FROM", "k", "v", "vv", "u", "g", "x", ",", "(", ")", "JOIN", "WHERE", "TABLE", "WITH", "AS", "UNION ALL",
     "`k`", "'k'", "-- k\n", "/* v */", "1", "=", "LATERAL", "INSERT INTO", "ORDER BY", ";", "${p}", "\n", "*"]
)  # fmt: skip


@given(st.lists(WORDS, max_size=30))
def test_no_text_but_the_insertions_changes_and_places_lead_back(words):
    text = " ".join(words)
    rendered = render(text, {"p": "some value"}, {})
    try:
        result = hint_of(rendered)
    except UsageError:
        return
    _assert_places(text, result)


def hint_of(rendered):
    return hinted(rendered, KNOWN.get, reach("2h", "now", now=NOW)).rendered


def _assert_places(source, result):
    covered = 0
    for start, end, at, literal in result.pieces:
        assert start == covered
        covered = end
        if literal:
            assert result.text[start:end] == source[at : at + end - start]
    assert covered == len(result.text)


@given(
    st.text("ab ${}p\n", max_size=30).map(lambda text: text.replace("$", "$$")),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5), st.text("xy", max_size=4)), max_size=4),
)
def test_edits_change_only_what_they_name(text, wanted):
    rendered = Rendered(text, ())
    edits, last = [], 0
    for start, length, new in sorted(wanted):
        if last <= start <= start + length <= len(text):
            edits.append(Edit(start, start + length, new))
            last = start + length + 1
    plain = text
    for edit in reversed(edits):
        plain = plain[: edit.start] + edit.text + plain[edit.end :]
    result = apply(rendered, edits)
    assert result.text == plain
    _assert_places(text, result)
