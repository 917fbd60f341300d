import pytest

from sdp_kernel.flink.ledger import Entry
from sdp_kernel.flink.script import split
from sdp_kernel.promote.lint import lint

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
