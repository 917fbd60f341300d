import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.errors import Position, StatementError
from sdp_kernel.flink.script import (
    excerpt,
    identifier,
    identifiers,
    offset_at,
    position_at,
    split,
    tokens,
)


def kinds(text):
    return [(s.kind, s.target) for s in split(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1", [("QUERY", None)]),
        ("  select 1 ; ", [("QUERY", None)]),
        ("WITH a AS (SELECT 1) SELECT * FROM a", [("QUERY", None)]),
        ("VALUES (1)", [("QUERY", None)]),
        ("(SELECT 1) UNION ALL (SELECT 2)", [("QUERY", None)]),
        ("CREATE TABLE a.b.`c d` (x INT)", [("CREATE TABLE", "a.b.c d")]),
        ("CREATE TEMPORARY VIEW IF NOT EXISTS v AS SELECT 1", [("CREATE VIEW", "v")]),
        ("CREATE OR REPLACE TABLE t (a INT)", [("CREATE TABLE", "t")]),
        ("CREATE TEMPORARY SYSTEM FUNCTION f AS 'a.b'", [("CREATE FUNCTION", "f")]),
        ("DROP TABLE IF EXISTS t", [("DROP TABLE", "t")]),
        ("ALTER MATERIALIZED TABLE c.m RESUME", [("ALTER MATERIALIZED TABLE", "c.m")]),
        ("CREATE TABLE materialized (a INT)", [("CREATE TABLE", "materialized")]),
        ("INSERT INTO t SELECT 1", [("INSERT", "t")]),
        ("INSERT OVERWRITE t SELECT 1", [("INSERT", "t")]),
        ("SET 'a' = 'b;c'; RESET", [("SET", None), ("RESET", None)]),
        ("EXPLAIN SELECT 1", [("EXPLAIN", None)]),
        ("DESC t", [("DESCRIBE", None)]),
        ("SHOW TABLES; USE x", [("SHOW", None), ("USE", None)]),
    ],
)
def test_statements_are_classified(text, expected):
    assert kinds(text) == expected


@pytest.mark.parametrize("text", ["", "  \n", "-- only a comment", "/* a; b */ ;; -- c"])
def test_text_without_a_statement_gives_none(text):
    assert split(text) == []


def test_semicolons_in_strings_comments_and_names_do_not_split():
    text = "SELECT ';' AS `a;b` -- ; here\n, '/*;' /* ; */ FROM t; SELECT 'it''s;'"
    assert [s.text for s in split(text)] == [
        "SELECT ';' AS `a;b` -- ; here\n, '/*;' /* ; */ FROM t",
        "SELECT 'it''s;'",
    ]


@pytest.mark.parametrize("opening", ["EXECUTE STATEMENT SET BEGIN", "BEGIN STATEMENT SET;"])
def test_a_statement_set_stays_in_one_piece(opening):
    text = (
        f"{opening} INSERT INTO a SELECT CASE WHEN x THEN 1 END FROM t; INSERT INTO b SELECT 1; END; SELECT 2"
    )
    first, second = split(text)
    assert first.kind == "STATEMENT SET"
    assert first.text.endswith("END")
    assert first.runs_job
    assert second.text == "SELECT 2"


def test_a_statement_knows_its_place_in_the_source():
    text = "-- first\nSET 'a'='b';\n\n  SELECT 1"
    second = split(text)[1]
    assert position_at(text, second.start) == Position(4, 3)


@pytest.mark.parametrize(
    ("text", "place"),
    [("SELECT 'abc", Position(1, 8)), ("SELECT 1;\n /* x", Position(2, 2)), ("`a", Position(1, 1))],
)
def test_an_unclosed_quote_or_comment_is_an_error_at_its_opening(text, place):
    with pytest.raises(StatementError, match="never closed") as error:
        split(text)
    assert error.value.position == place


def test_create_table_as_select_runs_a_job_and_a_view_does_not():
    assert split("CREATE TABLE t AS SELECT 1")[0].runs_job
    assert split("CREATE TABLE t (a INT) WITH ('x'='y') AS SELECT 1")[0].runs_job
    assert not split("CREATE TABLE t (a INT, b AS a + 1)")[0].runs_job
    assert not split("CREATE VIEW v AS SELECT 1")[0].runs_job


def test_hints_are_kept_and_are_not_comments():
    assert "/*+ OPTIONS('a'='b') */" in split("SELECT * FROM t /*+ OPTIONS('a'='b') */ WHERE 1=1")[0].text


def test_identifiers_have_their_quotes_taken_off():
    assert {"a`b", "orders", "x"} <= identifiers("SELECT `a``b`, x FROM orders -- nope")
    assert "nope" not in identifiers("SELECT 1 -- nope")


def test_the_caret_stands_under_the_column():
    text = "SELECT\n\tnope FROM t"
    assert excerpt(text, Position(2, 2)) == "  \tnope FROM t\n  \t^"


@given(st.text())
def test_tokens_cover_the_text_without_gaps(text):
    try:
        pieces = list(tokens(text))
    except StatementError:
        return
    assert "".join(token.text for token in pieces) == text


@given(
    st.lists(
        st.sampled_from(["SELECT 1", "SET 'a;b'='c'", "INSERT INTO `x;y` SELECT ';'", "SHOW TABLES -- ;\n"])
    )
)
def test_joined_statements_split_into_the_same_ones(parts):
    assert [s.text for s in split(";\n".join(parts))] == [p.split(" --")[0] for p in parts]


@given(st.text(alphabet="ab\n\t `'", max_size=40), st.data())
def test_offsets_and_positions_are_inverse(text, data):
    offset = data.draw(st.integers(0, len(text)))
    assert offset_at(text, position_at(text, offset)) == offset


@given(st.text(min_size=1).filter(lambda s: "\0" not in s))
def test_a_quoted_identifier_is_one_token_with_that_name(name):
    (token,) = tokens(identifier(name))
    assert token.name == name


@pytest.mark.parametrize(
    "text",
    [
        "TRUNCATE TABLE t",
        "COMPILE PLAN 'p' FOR INSERT INTO t SELECT 1",
        "CALL p()",
        "CREATE MATERIALIZED TABLE m AS SELECT 1",
        "CREATE OR ALTER MATERIALIZED TABLE m FRESHNESS = INTERVAL '1' HOUR AS SELECT 1",
        "ALTER MATERIALIZED TABLE m SUSPEND",
        "alter materialized table m resume with ('a' = 'b')",
        "ALTER MATERIALIZED TABLE m REFRESH PARTITION (day = '1')",
        "DROP MATERIALIZED TABLE IF EXISTS m",
    ],
)
def test_what_takes_effect_outside_is_neither_replayed_nor_allowed_to_a_read_only_profile(text):
    (statement,) = split(text)
    assert (statement.shapes_session, statement.reads_only) == (False, False)
