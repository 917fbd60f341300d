"""Tests that come with jobs, on a real stack: run, told, brought up to date, frozen, collected by pytest."""

import importlib.metadata
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner
from IPython.core.error import UsageError as BadUsage
from IPython.core.interactiveshell import InteractiveShell

import sdp_kernel
from sdp_kernel.cli import main
from sdp_kernel.errors import PromoteError, UsageError
from sdp_kernel.notebook import display
from sdp_kernel.notebook.magics import SdpMagics
from tests.jobs_repository import add_job, lines, write
from tests.repositories import git, make_team, settings

pytestmark = pytest.mark.stack

JOBS = {"big-orders": "filter", "minutes": "window", "names": "join", "sizes": "split"}


@pytest.fixture
def root(tmp_path, stack):
    """A repository of four jobs with tests, whose profile is the stack."""
    write(tmp_path, "sdp.toml", settings(stack))
    for name, kind in JOBS.items():
        add_job(tmp_path, name, kind)
    return tmp_path


@pytest.fixture
def wb(root):
    with sdp_kernel.connect("local", directory=root) as workbench:
        yield workbench


@pytest.fixture
def sdp(root, monkeypatch):
    """The command line, in the repository."""
    monkeypatch.chdir(root)
    return lambda *arguments: CliRunner().invoke(main, list(arguments))


def outcomes(report):
    return {str(result.case): result.outcome for result in report.results}


def test_all_jobs_pass_at_once_and_leave_nothing_behind(wb):
    before = set(wb.topics("sdp-test-*")["topic"])
    report = wb.test()
    assert outcomes(report) == {f"{name}/sample": "passed" for name in JOBS}, report.to_text()
    assert report.passed
    assert set(wb.topics("sdp-test-*")["topic"]) <= before
    assert not list((wb.settings.state_dir / "tests").iterdir())


def expected_of(root, job, change):
    """Change what a test expects, line by line."""
    file = root / f"tests/{job}/sample/expected.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    file.write_text(lines(change(rows)))
    return file


def test_a_difference_is_shown_by_key_and_written_on_request(root, sdp, tmp_path):
    file = expected_of(
        root,
        "names",
        lambda rows: [
            {**rows[0], "name": "Eve"},
            {**rows[1], "id": 77},
            *rows[2:],
            {"id": 99, "name": "<b>"},
        ],
    )
    junit = tmp_path / "out" / "report.xml"
    done = sdp("test", "names", "big-orders", "--junit", str(junit))
    assert done.exit_code == 1, done.output
    assert "FAILED  names/sample" in done.output
    assert "named: 5 of 8 rows as expected, 2 missing, 1 unexpected, 1 changed" in done.output
    assert '~ id = 0, customer = 0: name "Eve" → "Ada"' in done.output
    assert '- {"id":77,"customer":1,"name":"Bo","amount":25.5}' in done.output
    assert '+ {"id":1,"customer":1,"name":"Bo","amount":25.5}' in done.output
    assert "1 passed, 1 failed in" in done.output
    suite = ET.fromstring(junit.read_text()).find("testsuite")  # noqa: S314 - our own
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    failures = {case.get("classname"): case.find("failure") for case in suite}
    assert failures["big-orders"] is None
    assert '~ id = 0, customer = 0: name "Eve" → "Ada"' in failures["names"].text

    assert sdp("test", "names", "--update").exit_code == 0
    assert json.loads(file.read_text().splitlines()[0]) == {
        "id": 0,
        "customer": 0,
        "name": "Ada",
        "amount": 0,
    }
    done = sdp("test", "names", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["tests"][0]["outcome"] == "passed"


def test_what_is_wrong_with_one_job_is_its_result_and_no_trace(root, sdp):
    write(
        root, "sql/tables/big.sql", (root / "sql/tables/big.sql").read_text().replace("id INT", "id STRING")
    )
    write(root, "tests/names/sample/input/customers.jsonl", '{"value": {}, "valeu": 1}\n')
    write(root, "tests/sizes/sample/test.toml", "watermark = 1\n")
    write(root, "tests/minutes/late/input/orders.jsonl", '{"value_text": "no JSON"}\n')
    write(root, "tests/minutes/none/test.toml", "")
    done = sdp("test")
    assert done.exit_code == 1
    for name, reason in {
        "big-orders/sample": "Incompatible types for sink column 'id'",
        "names/sample": "input/customers.jsonl, line 1, is no record",
        "sizes/sample": "tests/sizes/sample/test.toml: 'watermark' is no option of a test",
        "minutes/late": "the job failed: Failed to deserialize",
        "minutes/none": "there is no input for the table orders",
    }.items():
        after = done.output[done.output.index(f"ERROR   {name}") :]
        assert reason in "\n".join(after.splitlines()[1:3]), after
    assert "passed  minutes/sample" in done.output
    assert "\tat org.apache" not in done.output


@pytest.mark.parametrize("arguments", [["nowhere"], ["names/late"], ["../names"]])
def test_a_job_or_test_that_is_not_there_is_a_usage_error(sdp, arguments):
    done = sdp("test", *arguments)
    assert done.exit_code == 2
    assert "UsageError" in done.output


def test_files_changes_and_other_connectors_are_sinks_and_sources_too(root, wb):
    write(
        root, "sql/tables/people.sql",
        "CREATE TABLE people (id INT, name STRING) WITH ('connector' = 'jdbc', 'url' = 'jdbc:nowhere');\n",
    )  # fmt: skip
    write(
        root, "sql/tables/files.sql",
        "CREATE TABLE files (name STRING, total DECIMAL(20, 2), kind STRING) PARTITIONED BY (kind) "
        "WITH ('connector' = 'filesystem', 'path' = 's3://bucket/x', 'format' = 'json');\n",
    )  # fmt: skip
    write(
        root, "sql/tables/counts.sql",
        "CREATE TABLE counts (name STRING, n BIGINT) WITH ('connector' = 'print');\n",
    )  # fmt: skip
    add_job(root, "all-kinds", "filter")
    write(
        root, "sql/jobs/all-kinds.sql",
        "EXECUTE STATEMENT SET BEGIN INSERT INTO files SELECT name, id * 1.25, 'all' FROM people; "
        "INSERT INTO counts SELECT name, COUNT(*) FROM people GROUP BY name; END;\n",
    )  # fmt: skip
    call = (root / "terraform/all-kinds.tf").read_text()
    call = call.replace("tables/orders.sql", "tables/people.sql").replace(
        "tables/big.sql", "tables/files.sql"
    )
    call = call.replace(
        '    "${path.root}/../sql/jobs',
        '    "${path.root}/../sql/tables/counts.sql",\n    "${path.root}/../sql/jobs',
    )
    write(root, "terraform/all-kinds.tf", call)
    test = "tests/all-kinds/sample"
    (root / test / "expected.jsonl").unlink()
    (root / test / "input/orders.jsonl").unlink()
    people = [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Bob"}, {"id": 3, "name": "Ada"}]
    write(root, f"{test}/input/people.jsonl", lines([{"value": row} for row in people]))
    write(
        root,
        f"{test}/expected/files.jsonl",
        lines([{"name": p["name"], "total": p["id"] * 1.25, "kind": "all"} for p in people]),
    )
    write(root, f"{test}/expected/counts.jsonl", lines([{"name": "Ada", "n": 2}, {"name": "Bob", "n": 1}]))
    report = wb.test("all-kinds")
    assert report.passed, report.to_text()
    assert sum("replaced" in note or "read from a file" in note for note in report.results[0].notes) == 2


def test_a_table_that_is_looked_up_is_served_from_the_input(root, wb):
    add_job(root, "known", "filter")
    write(
        root, "sql/tables/orders.sql",
        "CREATE TABLE orders (id INT, customer INT, amount DECIMAL(20, 2), pt AS PROCTIME()) WITH ("
        "'connector' = 'kafka', ${kafka.main}, 'topic' = 'orders.v1', 'format' = 'json');\n",
    )  # fmt: skip
    write(
        root, "sql/tables/big.sql",
        "CREATE TABLE people (id INT, name STRING, seen AS UPPER(name)) WITH ('connector' = 'jdbc', "
        "'url' = 'jdbc:nowhere', 'table-name' = 'people');\n"
        "CREATE TABLE big (id INT, name STRING) WITH ('connector' = 'kafka', ${kafka.main}, 'topic' = 'big', 'format' = 'json');\n",
    )  # fmt: skip
    write(
        root, "sql/jobs/known.sql",
        "INSERT INTO big SELECT o.id, p.seen FROM orders o LEFT JOIN people FOR SYSTEM_TIME AS OF o.pt AS p "
        "ON o.customer = p.id WHERE o.id < 4;\n",
    )  # fmt: skip
    people = [{"id": 0, "name": "Ada"}, {"id": 1, "name": "Bob"}]
    write(root, "tests/known/sample/input/people.jsonl", lines([{"value": row} for row in people]))
    rows = [{"id": i, "name": ("ADA", "BOB", None)[i % 3]} for i in range(4)]
    write(root, "tests/known/sample/expected.jsonl", lines(rows))
    report = wb.test("known")
    assert report.passed, report.to_text()
    assert "looked up" in report.results[0].notes[0]


def test_watermarks_move_at_the_end_or_with_each_record(root, wb):
    late = [
        {"id": 1, "customer": 1, "symbol": "A", "amount": 1, "at": "2026-01-05T09:00:01.000"},
        {"id": 2, "customer": 1, "symbol": "A", "amount": 1, "at": "2026-01-05T09:05:00.000"},
        {"id": 3, "customer": 1, "symbol": "A", "amount": 1, "at": "2026-01-05T09:00:02.000"},
    ]
    for name, count in (("end", 2), ("each", 1)):
        write(root, f"tests/minutes/{name}/test.toml", f'watermarks = "{name}"\n')
        write(root, f"tests/minutes/{name}/input/orders.jsonl", lines([{"value": row} for row in late]))
        rows = [
            {
                "symbol": "A",
                "since": "2026-01-05 09:00:00",
                "until": "2026-01-05 09:01:00",
                "n": count,
                "total": count,
            },
            {
                "symbol": "A",
                "since": "2026-01-05 09:05:00",
                "until": "2026-01-05 09:06:00",
                "n": 1,
                "total": 1,
            },
        ]
        write(root, f"tests/minutes/{name}/expected.jsonl", lines(rows))
    report = wb.test(["minutes/end", "minutes/each"])
    assert report.passed, report.to_text()


def test_parameters_ignored_columns_and_tolerance_are_the_test_s_own(root, wb):
    write(
        root,
        "tests/big-orders/all/test.toml",
        'parameters = {least = "0"}\nignore = ["id"]\n[tolerance]\namount = 0.5\n',
    )
    write(
        root,
        "tests/big-orders/all/input/orders.jsonl",
        (root / "tests/big-orders/sample/input/orders.jsonl").read_text(),
    )
    write(
        root, "tests/big-orders/all/expected.jsonl", lines([{"amount": i * 25.5 + 0.4} for i in range(1, 10)])
    )
    assert wb.test("big-orders/all").passed


def test_a_job_that_takes_too_long_is_ended(root, wb):
    write(root, "tests/minutes/sample/test.toml", "timeout = 0.001\n")
    (result,) = wb.test("minutes").results
    assert result.outcome == "error"
    assert result.reason.startswith("the job has not ended within 0.001 s")
    deadline = time.monotonic() + 20
    while any(job.name == "test minutes/sample" and not job.done for job in wb.jobs()):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def pytest_in(root, *arguments):
    plugged = any(
        found.value == "sdp_kernel.pytest_plugin"
        for found in importlib.metadata.entry_points(group="pytest11")
    )
    more = [] if plugged else ["-p", "sdp_kernel.pytest_plugin"]
    here = str(Path(sdp_kernel.__file__).parent.parent)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *more, *arguments],
        cwd=root, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": here},
    )  # fmt: skip


def test_a_notebook_runs_the_command_with_its_own_workbench(root, wb, capsys, monkeypatch):
    drawn = []
    monkeypatch.setattr(display, "show", lambda markup, text: drawn.append((markup, text)))
    shell = InteractiveShell()
    magics = SdpMagics(shell)
    magics._workbench = wb
    shell.register_magics(magics)
    expected_of(root, "names", lambda rows: [{**rows[0], "name": "<b>"}, *rows[1:]])
    shell.run_line_magic("sdp", "test names big-orders")
    ((markup, text),) = drawn
    assert "1 passed, 1 failed" in text
    assert "&lt;b&gt;" in markup
    shell.run_line_magic("sdp", "test big-orders --json")
    assert json.loads(capsys.readouterr().out)["tests"][0]["outcome"] == "passed"
    with pytest.raises(UsageError, match="nowhere"):
        shell.run_line_magic("sdp", "test nowhere")
    with pytest.raises(BadUsage, match="this notebook is on profile 'local': %sdp connect other"):
        shell.run_line_magic("sdp", "stop names --profile other")
    assert wb.session  # it stays open


def test_pytest_collects_the_tests_and_shows_the_difference(root):
    expected_of(root, "names", lambda rows: [{**rows[0], "name": "Eve"}, *rows[1:]])
    write(root, "tests/test_other.py", "def test_other():\n    pass\n")
    done = pytest_in(root, "-vv")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 4 passed" in done.stdout
    assert "tests/big-orders/sample/test.toml::big-orders/sample PASSED" in done.stdout
    assert '~ id = 0, customer = 0: name "Eve" → "Ada"' in done.stdout
    assert "Traceback" not in done.stdout


# --- frozen by a promotion -------------------------------------------------------------------


@pytest.fixture
def team(tmp_path, stack):
    """An empty repository that hides e-mail addresses and numbers of cards."""
    hidden = '[masking.columns]\nemail = "hash"\ncard = "hash"\nnote = "redact"\n'
    return make_team(tmp_path, stack, hidden, {".gitignore": ".sdp/\n"})


@pytest.fixture
def desk(team, topic_name, produce):
    """A workbench with payments and people, whose cards join them."""
    people = [{"card": 1000 + i, "email": f"p{i}@example.com"} for i in range(200)]
    produce(f"{topic_name}.people", [(json.dumps({"card": p["card"]}), json.dumps(p)) for p in people])
    payments = [{"id": i, "card": 1000 + i % 7, "amount": i / 4, "note": "secret"} for i in range(40)]
    produce(f"{topic_name}.payments", [(None, json.dumps(p)) for p in payments] + [(None, "no JSON")])
    with sdp_kernel.connect("local", directory=team) as workbench:
        workbench.sql(
            f"""CREATE TABLE payments (id INT, card BIGINT, amount DOUBLE, note STRING, pt AS PROCTIME()) WITH (
              'connector' = 'kafka', ${{kafka.main}}, 'topic' = '{topic_name}.payments', 'format' = 'json',
              'json.ignore-parse-errors' = 'true', 'scan.startup.mode' = 'earliest-offset');
            CREATE TABLE people (card BIGINT, email STRING, PRIMARY KEY (card) NOT ENFORCED) WITH (
              'connector' = 'upsert-kafka', ${{kafka.main}}, 'topic' = '{topic_name}.people',
              'key.format' = 'json', 'value.format' = 'json')"""
        )
        yield workbench


PAID = (
    "SELECT p.email, COUNT(*) AS n, SUM(x.amount) AS total FROM payments x JOIN people p ON x.card = p.card "
    "GROUP BY p.email"
)


def content(plan, path):
    return next(file.content for file in plan.files if file.path == path)


def test_a_promotion_freezes_a_masked_test_that_passes_from_the_commit(
    desk, team, topic_name, tmp_path_factory
):
    desk.sql(PAID, name="paid", limit=3, timeout=30)
    plan = desk.promote("paid", job="paid", to=f"{topic_name}.out", with_test=True, test_rows=20)
    test = "tests/paid/sample"
    inputs = [json.loads(line) for line in content(plan, f"{test}/input/payments.jsonl").splitlines()]
    people = [json.loads(line) for line in content(plan, f"{test}/input/people.jsonl").splitlines()]
    expected = [json.loads(line) for line in content(plan, f"{test}/expected.jsonl").splitlines()]
    assert len(inputs) == 19  # the newest 20, without the one that is no JSON
    assert len(people) == 20
    assert {record["value"]["card"] for record in inputs} <= {record["key"]["card"] for record in people}
    assert len(expected) == 7
    assert sum(row["n"] for row in expected) == 19
    everything = "".join(file.content for file in plan.files if file.path.startswith("tests/"))
    assert "example.com" not in everything
    assert "secret" not in everything
    assert not any(1000 <= record["value"]["card"] < 1200 for record in inputs)
    assert "1 records of" in content(plan, f"{test}/test.toml")
    assert set(plan.receipt["tests"]) == {file.path for file in plan.files if file.path.startswith("tests/")}
    assert not (team / "tests").exists()

    applied = plan.apply()
    copy = tmp_path_factory.mktemp("copy")
    git(copy, "clone", "-q", "-b", applied.branch, str(team), "team")
    report = desk.test(repository=copy / "team")
    assert outcomes(report) == {"paid/sample": "passed"}


def test_an_output_that_is_never_the_same_is_refused_by_its_columns_or_left_out(desk, topic_name):
    desk.sql("SELECT id, amount, UUID() AS mark FROM payments WHERE amount > 2", name="marked", limit=5)
    ask = {"job": "marked", "to": f"{topic_name}.out", "with_test": True}
    with pytest.raises(PromoteError, match="not the same in two runs, in mark") as refused:
        desk.promote("marked", **ask)
    assert "--test-ignore mark" in refused.value.hint
    plan = desk.promote("marked", **ask, test_ignore=["mark"])
    assert content(plan, "tests/marked/sample/test.toml").endswith('ignore = ["mark"]\n')
    assert "mark" not in content(plan, "tests/marked/sample/expected.jsonl")


def test_a_test_that_would_prove_nothing_is_refused_with_the_reason(desk, topic_name):
    for query, more, reason in (
        ("SELECT id, CURRENT_DATE AS today FROM payments", {}, r"time of day \(CURRENT_DATE\)"),
        ("SELECT id FROM payments WHERE id < 3", {"test_rows": 5}, "no row of output"),
    ):
        desk.sql(query, name="cell", limit=1, timeout=20)
        with pytest.raises(PromoteError, match=reason):
            desk.promote("cell", job="cell", to=f"{topic_name}.out", with_test=True, **more)
