import json

import pytest

from sdp_kernel.flink.ledger import Entry
from sdp_kernel.flink.query import Query
from sdp_kernel.flink.rows import Rows
from sdp_kernel.flink.script import split
from sdp_kernel.flink.types import Column, LogicalType
from sdp_kernel.promote.lint import lint, lint_profile, lint_run
from sdp_kernel.promote.sink import Sink

JAAS = "'properties.sasl.jaas.config' = 'org.apache.kafka.X required username=\"u\" password={};'"


def codes(statement="INSERT INTO o SELECT * FROM t", ledger="", *, updating=False):
    entries = tuple(Entry(s.text, s.kind, s.target) for s in split(ledger))
    return [finding.code for finding in lint(statement, entries, updating=updating)]


def table(*options):
    return f"CREATE TABLE t (x INT) WITH ({', '.join(options)})"


@pytest.mark.parametrize(
    ("code", "bad", "good"),
    [
        ("SDP003", ["'connector' = 'print'"], ["'connector' = 'filesystem'"]),
        ("SDP003", ["'connector'='datagen'"], ["'connector' = 'kafka'", "'topic' = 'datagen'"]),
        ("SDP003", ["'connector' = 'blackhole'"], []),
        (
            "SDP004",
            ["'scan.startup.mode' = 'latest-offset'"],
            ["'scan.startup.mode' = 'earliest-offset'"],
        ),
        (
            "SDP005",
            ["'connector' = 'kafka'", "'scan.startup.mode' = 'earliest-offset'"],
            ["'connector' = 'kafka'", "'scan.startup.mode' = 'group-offsets'", "'properties.group.id' = 'g'"],
        ),
        ("SDP006", ["'properties.bootstrap.servers' = 'a:1'"], ["${kafka.main}"]),
        ("SDP007", ["'scan.bounded.mode' = 'latest-offset'"], ["'scan.startup.mode' = 'earliest-offset'"]),
        ("SDP010", ["'properties.sasl.password' = 'x'"], ["'properties.sasl.password' = '$${env:P}'"]),
        ("SDP010", ["'properties.sasl.password' = '${env}'"], ["'sasl.password' = '$${file:/run/p}'"]),
        ("SDP010", ["'aws.credentials.secret' = 'x'"], ["'properties.sasl.mechanism' = 'PLAIN'"]),
        (
            "SDP010",
            ["'value.avro-confluent.basic-auth.user-info-token' = 'x'"],
            ["'value.avro-confluent.basic-auth.credentials-source' = 'USER_INFO'"],
        ),
        (
            "SDP010",
            ["'properties.client.secret' = 'x'"],
            ["'properties.sasl.oauthbearer.token.endpoint.url' = 'https://login.example'"],
        ),
        ("SDP010", [JAAS.format('"x"')], [JAAS.format('"$${env:P}"')]),
    ],
)
def test_options_of_a_table(code, bad, good):
    assert code in codes(ledger=table(*bad))
    assert code not in codes(ledger=table(*good))


def test_sdp001_a_limit_in_the_query_only():
    assert "SDP001" in codes("INSERT INTO o SELECT * FROM t limit 5")
    assert "SDP001" not in codes("INSERT INTO o SELECT `limit`, 'LIMIT 5' FROM t -- LIMIT 5\n/* LIMIT 5 */")


def test_sdp002_unbounded_state_of_an_updating_query_only():
    assert "SDP002" in codes(updating=True)
    assert "SDP002" not in codes(updating=False)
    assert "SDP002" not in codes(ledger="SET 'table.exec.state.ttl' = '7 d'", updating=True)


def test_options_inside_hints_count():
    assert "SDP007" in codes("SELECT * FROM t /*+ OPTIONS('scan.bounded.mode' = 'latest-offset') */")
    assert "SDP010" in codes("SELECT * FROM t /*+ OPTIONS('properties.sasl.password' = 'x') */")
    assert codes("SELECT * FROM t /*+ OPTIONS('scan.parallelism' = '2') */") == []
    view = "CREATE VIEW v AS SELECT * FROM t /*+ OPTIONS('properties.sasl.password' = 'x') */"
    assert "SDP010" in codes(ledger=view)
    view = "CREATE VIEW v AS SELECT * FROM t /*+ OPTIONS('scan.bounded.mode' = 'latest-offset') */"
    assert "SDP007" in codes(ledger=view)


@pytest.mark.parametrize("comment", ["-- {}\n", "/* {} */"])
def test_commented_text_does_not_count(comment):
    options = "'connector' = 'print', 'sasl.password' = 'x', 'scan.bounded.mode' = 'unbounded'"
    assert (
        codes(f"SELECT 1 {comment.format(options)}", table("'connector' = 'kafka'", comment.format(options)))
        == []
    )


def test_a_secret_in_a_setting_counts():
    assert codes(ledger="SET 'properties.sasl.password' = 'x'") == ["SDP010"]


def test_only_a_secret_is_an_error_and_no_finding_repeats_it():
    findings = lint(
        "INSERT INTO o SELECT * FROM t LIMIT 5",
        (Entry(table("'connector' = 'print'", "'sasl.password' = 'hunter2'"), "CREATE TABLE", "t"),),
        updating=True,
    )
    assert {f.code for f in findings if f.severity == "error"} == {"SDP010"}
    assert all(f.fix and "hunter2" not in f.message + f.fix for f in findings)


@pytest.mark.parametrize("clause", ["LIMIT 3", "ORDER BY x FETCH FIRST 3 ROWS ONLY"])
def test_sdp001_in_a_view_and_in_either_spelling(clause):
    assert "SDP001" in codes(f"INSERT INTO o SELECT * FROM t {clause}")
    assert "SDP001" in codes(ledger=f"CREATE VIEW v AS SELECT * FROM t {clause}")


@pytest.mark.parametrize(
    ("operator", "stateful"),
    [
        ("+- GroupAggregate(groupBy=[a])", True),
        ("Join(joinType=[InnerJoin])", True),
        ("   :- Rank(strategy=[RetractStrategy])", True),
        ("+- ChangelogNormalize(key=[a])", True),
        ("+- GlobalGroupAggregate(groupBy=[a])", True),
        ("+- WindowAggregate(groupBy=[a])", False),
        ("+- IntervalJoin(joinType=[InnerJoin])", False),
        ("+- LookupJoin(table=[x])", False),
        ("+- TemporalJoin(joinType=[InnerJoin])", False),
        ("+- Calc(select=[Join(x)])", False),
    ],
)
@pytest.mark.parametrize("updating", [True, False])
def test_sdp002_by_the_plan_where_there_is_one(operator, stateful, updating):
    found = lint("INSERT INTO o SELECT 1", (), updating=updating, plan=operator)
    assert [f.code for f in found] == (["SDP002"] if stateful else [])


def test_sdp002_is_quiet_where_a_hint_bounds_the_state():
    text = "INSERT INTO o SELECT /*+ STATE_TTL('t' = '1 d') */ x FROM t"
    assert codes(text, updating=True) == []


def test_sdp012_names_the_profile_s_settings_that_stay_behind():
    found = lint_profile(["parallelism.default"])
    assert [(f.code, f.severity) for f in found] == [("SDP012", "info")]
    assert "parallelism.default" in found[0].message


def test_sdp013_a_jar_of_this_machine():
    assert codes(ledger="ADD JAR 'udf.jar'") == ["SDP013"]


def query(text, columns=(), rows=()):
    statements = split(text)
    found = Query(text, statements[-1])
    found.statements = tuple(statements)
    found.rows = Rows(tuple(Column(name, LogicalType(root)) for name, root in columns))
    if rows:
        data = [{"kind": "INSERT", "fields": list(row)} for row in rows]
        page = {"resultType": "PAYLOAD", "resultKind": "SUCCESS_WITH_CONTENT", "jobID": "x",
                "results": {"columns": [], "columnInfos": [], "rowFormat": "JSON", "data": data},
                "nextResultUri": "/v3/sessions/s/operations/o/result/1?rowFormat=JSON"}  # fmt: skip
        found.rows.add(json.dumps(page, separators=(",", ":")).encode())
    return found


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
    assert [(f.code, f.severity) for f in lint_run(query(text), None, ())] == [(c, "error") for c in found]


KEYED = Sink("o", "o", "main", ("k",), "CREATE TABLE o …")


def test_sdp009_a_column_without_a_name():
    found = lint_run(
        query("SELECT 1", [("EXPR$0", "INTEGER"), ("n", "INTEGER")]), Sink("o", "o", "main", (), ""), ()
    )
    assert [f.code for f in found] == ["SDP009"]


def test_sdp011_a_key_that_is_missing_in_rows_that_were_seen():
    seen = query("SELECT 1", [("k", "VARCHAR"), ("n", "INTEGER")], [("a", None), (None, 1), (None, 2)])
    found = lint_run(seen, KEYED, ())
    assert [(f.code, f.severity) for f in found] == [("SDP011", "error")]
    assert "2 of the rows" in found[0].message
    enforcer = Entry("SET 'table.exec.sink.not-null-enforcer' = 'DROP'", "SET")
    assert lint_run(seen, KEYED, (enforcer,)) == ()
    assert lint_run(query("SELECT 1", [("k", "VARCHAR")], [("a",)]), KEYED, ()) == ()
