"""``sdp lint``: committed jobs looked over by their text."""

import json

import pytest
from click.testing import CliRunner

from sdp_kernel.cli import main
from sdp_kernel.flink.ledger import Entry
from sdp_kernel.lint_rules import RULES
from sdp_kernel.promote import render
from tests.repositories import write

TABLE = """CREATE TABLE trades (id INT) WITH ('connector' = 'kafka', ${{kafka.main}}, 'topic' = '${{topic}}'{more})"""


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with one job, and a function to write its table and INSERT anew."""
    monkeypatch.chdir(tmp_path)

    def make(insert="INSERT INTO out SELECT id FROM trades", more="", lint=""):
        table = Entry(TABLE.format(more=more), "CREATE TABLE", "trades")
        write(tmp_path, "sdp.toml", lint)
        write(tmp_path, "sql/tables/trades.sql", render.declaration(table))
        write(tmp_path, "sql/jobs/few.sql", render.job_sql("few", [], insert))
        call = render.terraform(
            "few", module_source="./modules/flink/sql-job", session_cluster="dev",
            files=["sql/tables/trades.sql", "sql/jobs/few.sql"], arguments={"topic": "trades"},
            aliases=["kafka.main"],
        )  # fmt: skip
        write(tmp_path, "terraform/few.tf", call)

    return make


def run(*arguments):
    done = CliRunner().invoke(main, ["lint", *arguments], catch_exceptions=False)
    return done.exit_code, done.output


def test_a_job_with_nothing_to_find(repository):
    repository()
    assert run() == (0, "nothing found in 1 job\n")


def test_findings_are_listed_by_job_and_only_an_error_fails(repository):
    repository("INSERT INTO out SELECT * FROM trades LIMIT 3")
    code, output = run("few")
    assert code == 0
    assert [line.split()[:3] for line in output.splitlines()] == [
        ["few:", "warning", "SDP001"],
        ["few:", "warning", "SDP014"],
    ]
    repository(lint='[lint.severity]\nSDP007 = "error"\n', more=", 'scan.bounded.mode' = 'latest-offset'")
    code, output = run()
    assert (code, output.split()[1:3]) == (1, ["error", "SDP007"])


def test_a_literal_secret_fails_and_is_not_printed(repository):
    repository(more=", 'properties.ssl.key.password' = 'hunter2'")
    for arguments in ((), ("--json",)):
        code, output = run(*arguments)
        assert (code, "SDP010" in output, "hunter2" in output) == (1, True, False)


def test_what_is_switched_off_is_not_found(repository):
    repository("INSERT INTO out SELECT id FROM trades LIMIT 3", lint='[lint]\ndisable = ["SDP001"]\n')
    assert run("--json") == (0, '{\n  "few": []\n}\n')


def test_the_list_has_every_rule_and_needs_no_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, output = run("--list")
    assert code == 0
    assert [line.split()[0] for line in output.splitlines()] == list(RULES)
    fixable = {line.split()[0] for line in output.splitlines() if " --fix " in line}
    assert fixable == {code for code, rule in RULES.items() if rule.fixable}
    assert [rule["code"] for rule in json.loads(run("--list", "--json")[1])] == list(RULES)


def test_a_job_that_is_not_there_is_named(repository):
    repository()
    done = CliRunner().invoke(main, ["lint", "many"])
    assert done.exit_code != 0
    assert "has no job many" in f"{done.output}{done.exception}"


@pytest.fixture
def with_another(repository, tmp_path):
    """A function that writes a job ``bad`` beside ``few``, with the bytes of its INSERT's file."""

    def make(content):
        repository("INSERT INTO out SELECT id FROM trades LIMIT 3")
        call = render.terraform(
            "bad", module_source="./modules/flink/sql-job", session_cluster="dev",
            files=["sql/jobs/bad.sql"], arguments={}, aliases=[],
        )  # fmt: skip
        write(tmp_path, "terraform/bad.tf", call)
        (tmp_path / "sql/jobs/bad.sql").write_bytes(content)

    return make


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"-- nothing yet\n", "sql/jobs/bad.sql has no statement"),
        ("INSERT INTO out SELECT 'Zürich';\n".encode("latin-1"), "sql/jobs/bad.sql"),
        (b"INSERT INTO out SELECT 'open;\n", "never closed"),
    ],
)
def test_a_job_that_cannot_be_read_fails_alone_and_is_named(with_another, content, says):
    with_another(content)
    code, output = run()
    bad, few = output.splitlines()
    assert code == 1
    assert bad.startswith("bad: error ")
    assert says in bad
    assert few.startswith("few: warning SDP001")
    assert run("few")[0] == 0
    told = json.loads(run("--json")[1])
    assert [(one["code"], one["severity"]) for one in told["bad"]] == [("", "error")]
    assert len(told["few"]) == 1
