"""What the lint finds in the text of a job: its INSERT, its tables, its settings, its parameters."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdp_kernel.promote.lint import Draft, Run
from sdp_kernel.promote.lints import secrets
from sdp_kernel.promote.lints.statements import outermost
from sdp_kernel.promote.sink import Sink
from sdp_kernel.settings_lint import LintSettings
from tests.lints import codes, draft, findings, query, table

JAAS = "'properties.sasl.jaas.config' = 'org.apache.kafka.X required username=\"u\" password={};'"
KAFKA = "'connector' = 'kafka'"
SINK = "CREATE TABLE o (x INT) WITH ({})"


@pytest.mark.parametrize(
    ("code", "bad", "good"),
    [
        ("SDP003", ["'connector' = 'print'"], ["'connector' = 'filesystem'"]),
        ("SDP003", ["'connector'='datagen'"], [KAFKA, "'topic' = 'datagen'"]),
        ("SDP003", ["'connector' = 'blackhole'"], []),
        ("SDP004", ["'scan.startup.mode' = 'latest-offset'"], ["'scan.startup.mode' = 'earliest-offset'"]),
        ("SDP023", ["'scan.startup.mode' = 'specific-offsets'"], ["'scan.startup.mode' = 'timestamp'"]),
        (
            "SDP005",
            [KAFKA, "'scan.startup.mode' = 'earliest-offset'"],
            [KAFKA, "'scan.startup.mode' = 'group-offsets'", "'properties.group.id' = 'g'"],
        ),
        ("SDP006", ["'properties.bootstrap.servers' = 'a:1'"], ["${kafka.main}"]),
        ("SDP006", ["'properties.bootstrap.servers' = 'a:1'"], ["'properties.bootstrap.servers' = '${b}'"]),
        (
            "SDP006",
            ["'value.avro-confluent.url' = 'http://r'"],
            ["'value.avro-confluent.url' = ${registry.main}"],
        ),
        ("SDP007", ["'scan.bounded.mode' = 'latest-offset'"], ["'scan.bounded.mode' = 'unbounded'"]),
        ("SDP010", ["'properties.sasl.password' = 'x'"], ["'properties.sasl.password' = '$${env:P}'"]),
        ("SDP010", ["'properties.sasl.password' = '${env}'"], ["'sasl.password' = '$${file:/run/p}'"]),
        ("SDP010", ["'aws.credentials.secret' = 'x'"], ["'properties.sasl.mechanism' = 'PLAIN'"]),
        (
            "SDP010",
            ["'value.avro-confluent.basic-auth.user-info' = 'u:x'"],
            ["'value.avro-confluent.basic-auth.credentials-source' = 'USER_INFO'"],
        ),
        (
            "SDP010",
            ["'properties.client.secret' = 'x'"],
            ["'properties.sasl.oauthbearer.token.endpoint.url' = 'https://login.example'"],
        ),
        ("SDP010", [JAAS.format('"x"')], [JAAS.format('"$${env:P}"')]),
        ("SDP010", ["'url' = 'jdbc:postgresql://u:hunter2@h/d'"], ["'url' = 'jdbc:postgresql://h:5432/d'"]),
        ("SDP010", ["'url' = 'jdbc:mysql://h/d?user=u&password=x'"], ["'url' = 'jdbc:mysql://h/d?a=b'"]),
        ("SDP010", ["'lookup.header.Authorization' = 'Bearer x'"], ["'lookup.header.Accept' = 'text/plain'"]),
        ("SDP010", ["'ssl.key' = '-----BEGIN PRIVATE KEY-----\nx'"], ["'ssl.key' = 'a.pem'"]),
        ("SDP010", ["'id' = 'AKIAIOSFODNN7EXAMPLE'"], ["'id' = 'AKIA'"]),
    ],
)
def test_options_of_a_table(code, bad, good):
    assert code in codes(ledger=table(*bad))
    assert code not in codes(ledger=table(*good))


@pytest.mark.parametrize(
    ("code", "bad", "good"),
    [
        (
            "SDP019",
            ["'sink.delivery-guarantee' = 'exactly-once'"],
            ["'sink.delivery-guarantee' = 'exactly-once'", "'properties.transaction.timeout.ms' = '1'"],
        ),
        ("SDP019", ["'sink.delivery-guarantee' = 'exactly-once'"], ["'sink.delivery-guarantee' = 'none'"]),
        (
            "SDP020",
            ["'sink.delivery-guarantee' = 'exactly-once'", "'sink.transactional-id-prefix' = 'a'"],
            ["'sink.delivery-guarantee' = 'exactly-once'", "'sink.transactional-id-prefix' = '${job}-'"],
        ),
    ],
)
def test_options_of_a_table_that_is_written(code, bad, good):
    assert code in codes(ledger=SINK.format(", ".join(bad)))
    assert code not in codes(ledger=SINK.format(", ".join(good)))
    assert code not in codes(ledger=table(*bad))


def test_a_table_that_is_only_written_is_not_judged_as_a_source():
    options = f"{KAFKA}, 'scan.startup.mode' = 'latest-offset'"
    assert codes(ledger=SINK.format(options)) == []
    assert codes("INSERT INTO o SELECT x FROM o", SINK.format(options)) == ["SDP004", "SDP005"]


def test_an_alter_counts_and_the_last_word_stands():
    base = table(KAFKA)
    assert "SDP007" in codes(ledger=f"{base}; ALTER TABLE t SET ('scan.bounded.mode' = 'latest-offset')")
    bounded = table(KAFKA, "'scan.bounded.mode' = 'latest-offset'")
    assert "SDP007" not in codes(ledger=f"{bounded}; ALTER TABLE t RESET ('scan.bounded.mode')")
    assert "SDP007" not in codes(ledger=f"{bounded}; ALTER TABLE t SET ('scan.bounded.mode' = 'unbounded')")


def test_sdp001_a_limit_in_the_query_only():
    assert "SDP001" in codes("INSERT INTO o SELECT x FROM t limit 5")
    assert "SDP001" not in codes("INSERT INTO o SELECT `limit`, 'LIMIT 5' FROM t -- LIMIT 5\n/* LIMIT 5 */")


@pytest.mark.parametrize("clause", ["LIMIT 3", "ORDER BY x FETCH FIRST 3 ROWS ONLY"])
def test_sdp001_in_a_view_and_in_either_spelling(clause):
    assert "SDP001" in codes(f"INSERT INTO o SELECT x FROM t {clause}")
    assert "SDP001" in codes(ledger=f"CREATE VIEW v AS SELECT * FROM t {clause}")


def test_sdp001_tells_the_first_rows_by_order_from_a_limit_that_was_left_in():
    ordered, plain = (
        findings(f"INSERT INTO o SELECT x FROM t {clause}")[0] for clause in ("ORDER BY x LIMIT 3", "LIMIT 3")
    )
    assert ("ORDER BY" in ordered.message, ordered.fixable) == (True, False)
    assert ("ORDER BY" in plain.message, plain.fixable) == (False, True)


def test_options_inside_hints_count():
    assert "SDP007" in codes("SELECT x FROM t /*+ OPTIONS('scan.bounded.mode' = 'latest-offset') */")
    assert "SDP004" in codes("SELECT x FROM t /*+ OPTIONS('scan.startup.mode' = 'latest-offset') */")
    assert "SDP010" in codes("SELECT x FROM t /*+ OPTIONS('properties.sasl.password' = 'x') */")
    assert codes("SELECT x FROM t /*+ OPTIONS('scan.parallelism' = '2') */") == []
    view = "CREATE VIEW v AS SELECT * FROM t /*+ OPTIONS('properties.sasl.password' = 'x') */"
    assert "SDP010" in codes(ledger=view)
    view = "CREATE VIEW v AS SELECT * FROM t /*+ OPTIONS('scan.bounded.mode' = 'latest-offset') */"
    assert "SDP007" in codes(ledger=view)


@pytest.mark.parametrize("comment", ["-- {}\n", "/* {} */"])
def test_commented_text_does_not_count(comment):
    options = "'connector' = 'print', 'scan.bounded.mode' = 'latest-offset'"
    assert (
        codes(f"SELECT 1 {comment.format(options)}", table("'connector' = 'kafka'", comment.format(options)))
        == []
    )


@pytest.mark.parametrize(
    "comment", ["-- it's 'sasl.password' = 'hunter2'\n", "/* 'sasl.password'='hunter2' */"]
)
def test_a_secret_in_a_comment_counts_since_comments_are_committed(comment):
    statement = f"INSERT INTO o SELECT x {comment} FROM t"
    assert codes(statement) == ["SDP010"]
    assert "hunter2" not in secrets.hide(draft(statement))[0].statement


@pytest.mark.parametrize(
    "setting", ["SET 'properties.sasl.password' = 'x'", "SET properties.sasl.password=x"]
)
def test_a_secret_in_a_setting_counts(setting):
    assert codes(ledger=setting) == ["SDP010"]


def test_a_parameter_that_is_a_secret_counts_by_its_name_or_its_place():
    assert codes(values_of := "INSERT INTO o SELECT x FROM t WHERE y = '${api_key}'", api_key="x") == [
        "SDP010"
    ]
    assert codes(values_of.replace("api_key", "city"), city="x") == []
    placed = table("'properties.sasl.password' = '${p}'")
    assert codes(ledger=placed, p="x") == ["SDP010", "SDP010"]


def test_a_secret_is_hidden_wherever_it_stands_and_no_finding_repeats_it():
    made = draft(
        "INSERT INTO o SELECT x FROM t /*+ OPTIONS('a.password' = 'hunter2', 'b' = 'kept') */ "
        "-- 'c.secret' = 'hunter2'\n WHERE y = '${token}' AND z = 'it''s'",
        f"SET 'x.password' = 'hunter2'; CREATE CATALOG c WITH ('password' = 'hunter2');"
        f"{table('''${kafka.main}''', JAAS.format('hunter2'), '''/* 'k.token' = 'hunter2' */ 'topic' = 'kept' ''')}",
        token="hunter2",
    )
    hidden, found = secrets.hide(made)
    texts = [hidden.statement, *(entry.text for entry in hidden.part.entries), *hidden.values.values()]
    assert not any("hunter2" in text for text in texts)
    assert all("hunter2" not in f"{f}" for f in found)
    assert len(found) == 7
    assert "'b' = 'kept'" in hidden.statement
    assert "'it''s'" in hidden.statement
    assert "'topic' = 'kept'" in texts[3]
    assert secrets.hide(hidden) == (hidden, ())


def test_only_a_secret_is_an_error_in_a_text():
    found = findings(
        "INSERT INTO o SELECT * FROM t LIMIT 5", table("'connector' = 'print'", "'sasl.password' = 'hunter2'")
    )
    assert {f.code for f in found if f.severity == "error"} == {"SDP010"}
    assert {f.code for f in found if f.blocks} == {"SDP010"}
    assert all(f.fix for f in found)


def test_what_is_switched_off_is_not_told_and_severities_can_be_others():
    statement = "INSERT INTO o SELECT * FROM t LIMIT 5"
    assert codes(statement) == ["SDP001", "SDP014"]
    assert codes(statement, settings=LintSettings(disable=("SDP014",))) == ["SDP001"]
    found = findings(statement, settings=LintSettings(severity={"SDP014": "error", "SDP001": "info"}))
    assert [(f.code, f.severity) for f in found] == [("SDP014", "error"), ("SDP001", "info")]


def test_sdp012_names_the_profile_s_settings_that_stay_behind():
    found = findings(run=Run(left_out=("parallelism.default",)))
    assert [(f.code, f.severity) for f in found] == [("SDP012", "info")]
    assert "parallelism.default" in found[0].message


def test_sdp013_a_jar_of_this_machine():
    assert codes(ledger="ADD JAR 'udf.jar'") == ["SDP013"]


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("INSERT INTO o SELECT * FROM t", True),
        ("INSERT INTO o SELECT a.* FROM t AS a", True),
        ("INSERT INTO o SELECT x, * FROM t", True),
        ("INSERT INTO o WITH v AS (SELECT * FROM t) SELECT x FROM v", False),
        ("INSERT INTO o SELECT x FROM (SELECT * FROM t)", False),
        ("INSERT INTO o SELECT COUNT(*) AS n, x * 2, (SELECT 1) FROM t", False),
        (
            "EXECUTE STATEMENT SET BEGIN INSERT INTO o SELECT x FROM t; INSERT INTO p SELECT * FROM t; END",
            True,
        ),
        ("INSERT INTO o SELECT x FROM t UNION ALL SELECT * FROM u", True),
    ],
)
def test_sdp014_a_star_whose_columns_are_written(statement, found):
    assert ("SDP014" in codes(statement)) is found


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("PATTERN (A B) DEFINE B AS B.x > A.x", True),
        ("PATTERN (A B) WITHIN INTERVAL '1' HOUR DEFINE B AS B.x > A.x", False),
        ("PATTERN (A B) DEFINE B AS B.x > (A.within)", True),
        ("MEASURES (LISTAGG(A.x) WITHIN GROUP (ORDER BY 1)) AS l PATTERN (A)", True),
    ],
)
def test_sdp022_a_pattern_without_an_end(pattern, found):
    matched = f"SELECT a FROM t MATCH_RECOGNIZE (ORDER BY ts {pattern}) AS m WHERE within > 1"
    assert ("SDP022" in codes(f"INSERT INTO o {matched}")) is found
    assert ("SDP022" in codes(ledger=f"CREATE VIEW v AS {matched}")) is found


def test_the_outermost_selects_of_a_statement():
    (one,) = outermost("INSERT INTO o SELECT /*+ STATE_TTL('t'='1d') */ DISTINCT * FROM t WHERE a IN (1, 2)")
    assert one.plain
    assert not outermost("INSERT INTO o SELECT * FROM t JOIN u ON t.a = u.a")[0].plain
    assert not outermost("INSERT INTO o SELECT * FROM t, u")[0].plain
    assert outermost("INSERT INTO o SELECT * FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' HOUR))")[
        0
    ].plain


@pytest.mark.parametrize(
    ("key", "belongs"),
    [
        ("parallelism.default", True),
        ("execution.savepoint.path", True),
        ("execution.checkpointing.dir", True),
        ("state.backend.type", True),
        ("pipeline.name", True),
        ("execution.checkpointing.interval", False),
        ("table.exec.state.ttl", False),
        ("pipeline.operator-chaining.enabled", False),
        ("state.backend.rocksdb.predefined-options", False),
    ],
)
def test_sdp021_settings_of_the_place(key, belongs):
    assert ("SDP021" in codes(ledger=f"SET '{key}' = '1'")) is belongs


def test_a_batch_job_ends_and_its_bounds_are_no_finding_of_their_own():
    found = findings(ledger="SET 'execution.runtime-mode' = 'batch'; " + table("'scan.bounded.mode' = 'x'"))
    assert [f.message for f in found] == ["the job runs in batch mode: it will end"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("SELECT 1", []),
        ("CREATE TABLE t (x INT); SELECT 1", []),
        ("SELECT 1; INSERT INTO o SELECT 1", []),
        ("INSERT INTO o SELECT 1; SELECT 1", ["SDP008"]),
        ("INSERT INTO o SELECT 1; INSERT INTO p SELECT 1", ["SDP008"]),
        ("EXECUTE STATEMENT SET BEGIN INSERT INTO o SELECT 1; INSERT INTO p SELECT 1; END", []),
    ],
)
def test_sdp008_a_cell_of_two_jobs(text, found):
    run = Run(((query(text), None),))
    assert [(f.code, f.severity) for f in findings(run=run)] == [(c, "error") for c in found]


KEYED = Sink("o", "o", "main", ("k",), "CREATE TABLE o …")


def test_sdp009_a_column_without_a_name():
    seen = query("SELECT 1", [("EXPR$0", "INTEGER"), ("n", "INTEGER")])
    assert codes(run=Run(((seen, Sink("o", "o", "main", (), "")),))) == ["SDP009"]
    assert codes(run=Run(((seen, None),))) == []


def test_sdp011_a_key_that_is_missing_in_rows_that_were_seen():
    seen = query("SELECT 1", [("k", "VARCHAR"), ("n", "INTEGER")], [("a", None), (None, 1), (None, 2)])
    (found,) = findings(run=Run(((seen, KEYED),)))
    assert (found.code, found.severity) == ("SDP011", "error")
    assert "2 of the 3 rows" in found.message
    assert codes(ledger="SET 'table.exec.sink.not-null-enforcer' = 'DROP'", run=Run(((seen, KEYED),))) == []
    whole = query("SELECT 1", [("k", "VARCHAR")], [("a",)])
    assert codes(run=Run(((whole, KEYED),))) == []


def test_what_was_found_elsewhere_is_weighed_with_the_rest():
    (other,) = findings("INSERT INTO o SELECT x FROM t LIMIT 1")
    assert codes(run=Run(others=(other,)), settings=LintSettings(disable=("SDP001",))) == []
    assert isinstance(draft(), Draft)


PLACES = [
    "'k.password' = 'hunter2'", "'a' = 'b'", "-- 'k.token' = 'hunter2'\n", "/* 'k.secret'='hunter2' */",
    "/*+ OPTIONS('k.password' = 'hunter2', 'a' = 'b') */", "SELECT", ",", "(", ")", "'it''s'", "`k`",
    JAAS.format('"hunter2"'), "'url' = 'kafka://u:hunter2@h'",
]  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.sampled_from(PLACES)))
def test_nothing_of_a_secret_is_left_in_any_text(parts):
    hidden, found = secrets.hide(draft(" ".join(parts)))
    assert "hunter2" not in hidden.statement
    assert bool(found) is any("hunter2" in part for part in parts)
    assert hidden.statement.count("'a' = 'b'") == " ".join(parts).count("'a' = 'b'")
    assert secrets.hide(hidden)[1] == ()
