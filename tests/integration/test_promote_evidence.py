"""Evidence on a real stack: what a receipt says of a run, and that a committed job can be verified by it."""

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import CliRunner

import sdp_kernel
from sdp_kernel.cli import main
from sdp_kernel.errors import NotValidated, PushFailed, RepositoryError, StatementError, UsageError
from sdp_kernel.repository import receipt as receipts
from sdp_kernel.repository.report import facts
from tests.repositories import git, make_team, settings, snapshot, write_hook

pytestmark = pytest.mark.stack

BOUNDED = "/*+ OPTIONS('scan.bounded.mode' = 'latest-offset') */"
COUNTS = f"SELECT symbol, COUNT(*) AS n, MAX(price) AS top FROM trades {BOUNDED} GROUP BY symbol"
JOB = "counts"


@pytest.fixture
def repository(tmp_path, stack):
    """A team repository; one column is masked."""
    masked = '[masking.columns]\nsecret = "redact"\n'
    return make_team(tmp_path / "team", stack, masked, {".gitignore": ".sdp/\n"})


@pytest.fixture
def wb(repository):
    with sdp_kernel.connect("local", directory=repository) as workbench:
        yield workbench


@pytest.fixture
def trades(wb, topic_name, produce):
    """The table ``trades``: 30 records in three partitions."""
    rows = [{"id": i, "symbol": "AB"[i % 2], "price": i / 4, "secret": 4111 + i} for i in range(30)]
    produce(topic_name, [(row["symbol"] + str(row["id"]), json.dumps(row)) for row in rows], partitions=3)
    wb.sql(
        f"""CREATE TABLE trades (id BIGINT, symbol STRING, price DOUBLE, secret BIGINT) WITH ('connector' = 'kafka',
        ${{kafka.main}}, 'topic' = '{topic_name}', 'format' = 'json', 'scan.startup.mode' = 'earliest-offset')"""
    )
    return topic_name


@pytest.fixture
def out(topic_name):
    return f"{topic_name}.out"


def promoted(wb, out, text=COUNTS, **options):
    wb.sql(text, name="q")
    return wb.promote("q", job=JOB, to=out, **options)


def committed_and_checked_out(wb, out, repository, **options):
    plan = promoted(wb, out, **options)
    applied = plan.apply()
    git(repository, "merge", "-q", "--ff-only", applied.branch)
    return plan


def states(found):
    return {check.name: check.state for check in found.checks}


def test_a_receipt_says_what_was_read_counted_and_with_what(wb, trades, out, stack):
    started = time.strftime("%Y-%m-%dT%H", time.gmtime())
    receipt = promoted(wb, out).receipt
    assert receipts.faults(json.loads(json.dumps(receipt))) == []
    run = receipt["run"]
    assert (run["state"], run["rows"]) == ("finished", 2)
    assert run["started"].startswith(started)
    (read,) = run["reads"]
    assert (read["table"], read["cluster"], read["topics"]) == ("trades", "main", [trades])
    assert (read["startup"], read["bounded"], read["exact"], read["reason"]) == (
        "earliest-offset", "latest-offset", True, None,
    )  # fmt: skip
    assert read["offsets"] == 30
    assert sorted(part["partition"] for part in read["partitions"]) == [0, 1, 2]
    assert sum(part["end"] - part["start"] for part in read["partitions"]) == 30
    columns = {column["name"]: column for column in run["statistics"]["columns"]}
    assert (columns["symbol"]["distinct"], columns["symbol"]["max"]) == (2, None)
    assert (columns["top"]["min"], columns["top"]["max"]) == (7.0, 7.25)
    assert receipt["versions"]["flink"] == receipt["versions"]["jobmanager"]
    assert receipt["versions"]["connectors"]["flink-sql-connector-kafka"]
    said = dict(facts(receipt))
    assert said["read"].startswith("trades: 30 offsets of 3 partitions")
    assert "flink-sql-connector-kafka" in said["with"]


def test_a_query_that_was_stopped_read_no_more_than_is_said(wb, trades, out):
    wb.sql("SELECT id FROM trades", name="q", limit=5)
    (read,) = wb.promote("q", job=JOB, to=out).receipt["run"]["reads"]
    assert (read["offsets"], read["exact"], read["bounded"]) == (30, False, "unbounded")
    assert "ended (limit)" in read["reason"]


def test_a_part_of_a_topic_is_read_from_where_the_hints_say(wb, trades, out):
    wb.sql("SELECT id FROM trades", name="q", start="0@3,1@2,2@0", until="now")
    (read,) = wb.promote("q", job=JOB, to=out).receipt["run"]["reads"]
    assert read["startup"] == "specific-offsets"
    assert [part["start"] for part in read["partitions"]] == [3, 2, 0]
    assert (read["offsets"], read["exact"]) == (25, True)
    assert len(wb.queries["q"]) == 25


def test_masked_columns_leave_nothing_in_a_receipt(wb, trades, out):
    wb.sql(f"SELECT id, secret FROM trades {BOUNDED}", name="q")
    receipt = wb.promote("q", job=JOB, to=out).receipt
    column = receipt["run"]["statistics"]["columns"][1]
    assert column == {
        "name": "secret",
        **dict.fromkeys(("nulls", "distinct", "min", "max")),
        "reason": "masked",
    }


def test_the_compiled_plan_is_committed_the_same_each_time_and_without_an_address(wb, trades, out, stack):
    first, second = promoted(wb, out), promoted(wb, out)
    texts = [
        next(f.content for f in plan.files if f.path == f"sql/jobs/{JOB}.plan.json")
        for plan in (first, second)
    ]
    assert texts[0] == texts[1]
    assert next(node["type"] for node in json.loads(texts[0])["nodes"]).startswith(
        "stream-exec-table-source-scan"
    )
    assert stack.kafka not in texts[0]
    assert first.receipt["plan"]["compiled"]["sha256"] == receipts.sha256(texts[0])


def test_a_committed_job_is_verified_from_the_repository_alone(wb, trades, out, repository):
    wb.sql(f"SELECT id FROM trades {BOUNDED} WHERE symbol <> '${{not}}'", name="q", params={"not": "Zoë B"})
    git(repository, "merge", "-q", "--ff-only", wb.promote("q", job=JOB, to=out).apply().branch)
    (found,) = wb.verify()
    assert states(found) == {
        "receipt": "ok", "files": "ok", "statements": "ok", "parameters": "ok", "cell": "skipped", "versions": "ok",
        "plan": "ok", "compiled plan": "ok",
    }  # fmt: skip


def test_a_job_whose_sql_was_changed_by_hand_fails_with_how_its_plan_differs(
    wb, trades, out, repository, monkeypatch
):
    committed_and_checked_out(wb, out, repository)
    path = repository / f"sql/jobs/{JOB}.sql"
    path.write_text(path.read_text().replace("MAX(price)", "MIN(price)"))
    (found,) = wb.verify(JOB)
    failed = {name for name, state in states(found).items() if state == "failed"}
    assert failed == {"files", "statements", "plan", "compiled plan"}
    assert "MIN" in next(check.detail for check in found.checks if check.name == "compiled plan")
    monkeypatch.chdir(repository)
    assert CliRunner().invoke(main, ["verify", JOB]).exit_code == 1
    path.write_text("SELEC;")
    (found,) = wb.verify(JOB)
    assert "does not run from the repository alone" in found.to_text()


def test_a_job_of_an_insert_is_verified_too(wb, trades, out, repository, produce):
    produce(out, [])
    wb.sql(
        f"""CREATE TABLE sink (symbol STRING, n BIGINT) WITH ('connector' = 'kafka', ${{kafka.main}}, 'topic' = '{out}',
        'format' = 'json')"""
    )
    wb.sql(f"INSERT INTO sink SELECT symbol, id FROM trades {BOUNDED}", name="q")
    plan = wb.promote("q", job=JOB)
    assert plan.receipt["run"]["statistics"] is None
    assert plan.receipt["run"]["statistics_reason"]
    git(repository, "merge", "-q", "--ff-only", plan.apply().branch)
    (found,) = wb.verify(JOB)
    assert not found.failed, found.to_text()


def test_a_plan_shows_everything_and_applying_writes_exactly_that(wb, trades, out, repository, tmp_path):
    git(tmp_path, "clone", "-q", "--bare", str(repository), "bare.git")
    git(repository, "remote", "add", "origin", "https://ada:hunter2@gitlab.example/team/jobs.git")
    plan = promoted(wb, out)
    shown = json.dumps(plan.to_json())
    assert json.loads(shown) == plan.to_json()
    assert plan.where.remote == "origin (https://gitlab.example/team/jobs.git)"
    for text in (plan.to_text(), plan.to_html(), shown):
        assert "hunter2" not in text
        for word in (JOB, trades, out, "gitlab.example", f"sql/jobs/{JOB}.sql", "sql/tables/trades.sql"):
            assert word in text, word
    git(repository, "remote", "set-url", "origin", str(tmp_path / "bare.git"))
    applied = plan.apply()
    there = git(repository, "diff", "--name-only", f"{plan.base}..{applied.commit}").splitlines()
    assert sorted(there) == sorted(applied.files) == sorted(file.path for file in plan.files)
    for file in plan.files:
        text = subprocess.run(
            ["git", "show", f"{applied.commit}:{file.path}"], cwd=repository, capture_output=True, check=True
        )
        assert text.stdout.decode() == file.content


def test_values_of_a_cell_are_escaped_in_the_plan(wb, trades, out):
    plan = promoted(wb, out, f"SELECT id, '<img src=x onerror=alert(1)>' AS `<b>x</b>` FROM trades {BOUNDED}")
    assert "<img" not in plan.to_html()
    assert "<b>x" not in plan.to_html()


def test_a_pushed_job_is_offered_for_review_and_one_that_is_refused_stands(
    wb, trades, out, repository, tmp_path
):
    team = tmp_path / "team.git"
    git(tmp_path, "clone", "-q", "--bare", str(repository), str(team))
    git(repository, "remote", "add", "origin", str(team))
    write_hook(team, "pre-receive", "echo protected; exit 1")
    plan = promoted(wb, out)
    with pytest.raises(PushFailed, match="refused sdp/counts: protected"):
        plan.apply(push=True, run=True)
    assert not [job for job in wb.jobs() if job.name == JOB]
    assert git(repository, "log", "-1", "--format=%s", f"sdp/{JOB}") == f"Add Flink SQL job {JOB}"
    (team / "hooks/pre-receive").unlink()
    write_hook(team, "post-receive", "echo 'https://gitlab.example/t/-/merge_requests/3'")
    again = promoted(wb, out).apply(push=True)
    assert again.files == ()
    assert again.pushed.review_url == "https://gitlab.example/t/-/merge_requests/3"
    assert "merge_requests/3" in again.to_text()
    assert '<a href="https://gitlab.example/t/-/merge_requests/3"' in again.to_html()
    assert git(team, "rev-parse", f"sdp/{JOB}") == again.commit == again.to_json()["commit"]


def test_of_two_plans_applied_at_once_both_land_or_one_is_refused(wb, trades, out, repository):
    wb.sql(COUNTS, name="q")
    first, same, other = (wb.promote("q", job=name, to=out) for name in ("one", "one", "two"))
    before = snapshot(repository)

    def outcome(plan):
        try:
            return plan.apply().commit
        except RepositoryError as error:
            return error

    with ThreadPoolExecutor() as pool:
        done = list(pool.map(outcome, (first, same, other)))
    refused = [one for one in done if isinstance(one, RepositoryError)]
    assert len(refused) == 1
    assert "promote again" in refused[0].hint
    assert git(repository, "rev-list", "--count", "main..sdp/one") == "1"
    assert {git(repository, "rev-parse", "sdp/one"), git(repository, "rev-parse", "sdp/two")} == set(done) - {
        *refused
    }
    assert snapshot(repository)[1:] == before[1:]


@pytest.mark.parametrize("name", ["../other", "/etc/x", "a/b", "A", "x" * 64])
def test_a_job_name_that_is_a_path_is_refused(wb, trades, out, repository, name):
    wb.sql(COUNTS, name="q")
    before = snapshot(repository)
    with pytest.raises(UsageError, match="is not a job name"):
        wb.promote("q", job=name, to=out)
    assert snapshot(repository) == before


def test_a_cell_that_failed_was_edited_or_never_ran_is_refused(wb, trades, out):
    with pytest.raises(StatementError):
        wb.sql("SELECT nothing FROM trades", name="failed")
    wb.sql(COUNTS, name="edited")
    for name, now, says in (
        ("failed", None, "did not run without error"), ("edited", f"{COUNTS} ", None), ("edited", "SELECT 1", "was edited"),
        ("never", None, "no cell named 'never'"),
    ):  # fmt: skip
        if says is None:
            wb.promote(name, job=JOB, to=out, current_text=now)
            continue
        with pytest.raises(NotValidated, match=says):
            wb.promote(name, job=JOB, to=out, current_text=now)


def test_a_project_inside_another_repository_is_refused(stack, repository, wb, trades, out):
    inside = repository / "project"
    inside.mkdir()
    (inside / "sdp.toml").write_text(settings(stack), encoding="utf-8")
    before = snapshot(repository)
    with sdp_kernel.connect("local", directory=inside) as other:
        other.sql("SELECT 1 AS x", name="q")
        with pytest.raises(RepositoryError, match="is inside another repository") as caught:
            other.promote("q", job=JOB, to=out)
    assert "git init" in caught.value.hint
    assert snapshot(repository)[:5] == before[:5]
