"""Runs of committed jobs on a real stack: state that goes on, and versions that come back."""

import json
import shutil

import pytest
from click.testing import CliRunner
from confluent_kafka import Producer

import sdp_kernel
from sdp_kernel.cli import main
from sdp_kernel.errors import JobFailed, UsageError
from tests.integration.committed import JobRepository, git, trades, until

pytestmark = pytest.mark.stack

TRADES = """CREATE TABLE trades (id BIGINT, symbol STRING, price DOUBLE) WITH (
  'connector' = 'kafka', ${{kafka.main}}, 'topic' = '{topic}', 'format' = 'json',
  'properties.group.id' = '{topic}.group', 'scan.startup.mode' = 'latest-offset')"""
TOTALS = """CREATE TABLE totals (symbol STRING, n BIGINT, PRIMARY KEY (symbol) NOT ENFORCED) WITH (
  'connector' = 'upsert-kafka', ${{kafka.main}}, 'topic' = '{topic}.totals', 'key.format' = 'raw', 'value.format' = 'json')"""
COUNT = "INSERT INTO totals SELECT symbol, COUNT(*) + {more} FROM trades GROUP BY symbol"
OTHER_STATE = "INSERT INTO totals SELECT symbol, COUNT(*) + {more} FROM (SELECT DISTINCT id, symbol FROM trades) GROUP BY symbol"


@pytest.fixture
def repository(tmp_path, stack, topic_name, produce):
    produce(topic_name, [])
    produce(f"{topic_name}.totals", [])
    return JobRepository(tmp_path / "team", stack)


@pytest.fixture
def tables(topic_name):
    return {"trades": TRADES.format(topic=topic_name), "totals": TOTALS.format(topic=topic_name)}


@pytest.fixture
def wb(repository, job):
    with sdp_kernel.connect("local", directory=repository.root) as workbench:
        yield workbench
        mine = {query.job_id for query in workbench.queries.values()}
        for known in workbench.jobs():
            if not known.done and (known.name == job or known.id in mine):
                workbench.jobmanager.cancel(known.id)


@pytest.fixture
def send(stack, topic_name):
    producer = Producer({"bootstrap.servers": stack.kafka})

    def write(numbers):
        for key, value in trades(numbers):
            producer.produce(topic_name, value, key)
        producer.flush(10)

    return write


@pytest.fixture
def counts(wb, topic_name):
    """Wait until the totals are these."""

    def wait(**wanted):
        def look():
            sample = wb.sample(f"{topic_name}.totals", n=1000, at="head", timeout=5)
            found = {}
            for row in sample.table.to_pylist():
                found[row["_key"]] = row["n"]
            return found == wanted

        assert until(look)

    return wait


def runs_of(wb, job):
    return [known.id for known in wb.jobs() if known.name == job and not known.done]


def test_an_upgrade_keeps_the_state_a_failing_one_falls_back_and_a_rollback_gives_the_old_sql_and_its_result(
    wb, repository, job, tables, send, counts
):
    first = repository.save(job, tables, COUNT.format(more=1000))
    said = []
    started = wb.run_job(job, confirm=True, say=said.append)
    assert started.savepoint is None
    assert runs_of(wb, job) == [started.job_id]
    with pytest.raises(JobFailed, match="already runs"):
        wb.run_job(job, confirm=True)
    send(range(6))
    counts(A=1003, B=1003)
    assert wb.job_status(job).called == f"HEAD ({first[:8]})"

    second = repository.save(job, tables, COUNT.format(more=2000))
    upgraded = wb.run_job(job, upgrade=True, confirm=True, say=said.append)
    assert upgraded.left == upgraded.savepoint is not None
    assert any("stopping" in line for line in said)
    assert runs_of(wb, job) == [upgraded.job_id]
    send(range(6, 8))
    counts(A=2004, B=2004)
    assert wb.run_job(job, upgrade=True, confirm=True).job_id == upgraded.job_id

    repository.save(job, tables, "INSERT INTO totals SELECT nothing FROM trades")
    with pytest.raises(UsageError, match="does not compile"):
        wb.run_job(job, upgrade=True, confirm=True)
    assert runs_of(wb, job) == [upgraded.job_id]

    assert until(lambda: wb.job_status(job).vitals.lag == 0)
    repository.save(job, tables, OTHER_STATE.format(more=3000))
    with pytest.raises(JobFailed, match="was not changed") as caught:
        wb.run_job(job, upgrade=True, confirm=True, say=said.append)
    assert f"HEAD ({second[:8]}) runs again" in str(caught.value)
    assert "--allow-non-restored-state" in str(caught.value)
    assert runs_of(wb, job) == [caught.value.job_id]
    assert wb.job_status(job).called == f"HEAD ({second[:8]})"
    send(range(8, 10))
    counts(A=2005, B=2005)

    git(repository.root, "reset", "-q", "--hard", second)
    commit, back = wb.rollback(job, run=True, confirm=True, say=said.append)
    assert git(repository.root, "show", f"{commit}:sql/jobs/{job}.sql") == COUNT.format(more=1000) + ";"
    assert git(repository.root, "rev-parse", f"sdp/{job}") == commit
    assert git(repository.root, "rev-parse", "HEAD") == second
    assert back.savepoint == upgraded.savepoint
    assert runs_of(wb, job) == [back.job_id]
    counts(A=1005, B=1005)

    path = wb.stop_job(job, confirm=True)
    assert runs_of(wb, job) == []
    again = wb.run_job(job, savepoint=path, confirm=True)
    assert again.savepoint == path
    send(range(10, 12))
    counts(A=1006, B=1006)


def test_what_was_not_started_from_here_is_upgraded_only_if_its_version_is_named_and_an_interrupt_brings_it_back(
    wb, repository, job, tables, send, counts
):
    first = repository.save(job, tables, COUNT.format(more=1000))
    with pytest.raises(UsageError, match="nothing to upgrade"):
        wb.run_job(job, upgrade=True, confirm=True)
    started = wb.run_job(job, confirm=True)
    for path in (repository.root / ".sdp" / "runs").iterdir():
        path.unlink()
    send(range(2))
    counts(A=1001, B=1001)
    repository.save(job, tables, OTHER_STATE.format(more=2000))
    with pytest.raises(UsageError, match="was not started from here"):
        wb.run_job(job, upgrade=True, confirm=True)
    assert runs_of(wb, job) == [started.job_id]
    with pytest.raises(JobFailed, match="was not changed") as caught:
        wb.run_job(job, upgrade=True, old=first, confirm=True)
    send(range(2, 4))
    counts(A=1002, B=1002)
    commit, back = wb.rollback(job, run=True, confirm=True)
    assert back.job_id == caught.value.job_id
    assert runs_of(wb, job) == [back.job_id]
    assert git(repository.root, "diff", "--stat", first, commit) == ""

    def interrupt(line):
        if line.startswith("starting HEAD"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wb.run_job(job, revision="HEAD", upgrade=True, confirm=True, say=interrupt)
    send(range(4, 6))
    counts(A=1003, B=1003)


def test_a_promoted_job_goes_on_from_the_exploratory_one(wb, repository, job, tables, send, counts):
    for text in tables.values():
        wb.sql(text)
    wb.sql(COUNT.format(more=1000), name="explored")
    exploratory = wb.queries["explored"].job_id
    until(lambda: wb.jobmanager.state(exploratory) == "RUNNING" and not wb.jobmanager.starting(exploratory))
    send(range(4))
    counts(A=1002, B=1002)
    plan = wb.promote("explored", job=job, from_savepoint="explored")
    applied = plan.apply(run=True)
    assert wb.jobmanager.state(exploratory) == "FINISHED"
    assert runs_of(wb, job) == [applied.job_id]
    committed = wb.run_job(job, upgrade=True, confirm=True).job_id  # with the module call's configuration
    assert runs_of(wb, job) == [committed]
    assert wb.run_job(job, upgrade=True, confirm=True).job_id == committed
    send(range(4, 6))
    counts(A=1003, B=1003)


def test_the_commands_run_upgrade_roll_back_tell_and_stop_a_job_also_where_its_old_state_is_gone(
    wb, repository, job, tables, monkeypatch, tmp_path
):
    repository.save(job, tables, COUNT.format(more=1))
    monkeypatch.chdir(repository.root)

    def sdp(*arguments):
        done = CliRunner().invoke(main, [*arguments, job])
        assert done.exit_code == 0, done.output
        return done.stdout

    started = json.loads(sdp("run", "--yes", "--json"))
    assert runs_of(wb, job) == [started["job_id"]]
    repository.save(job, tables, COUNT.format(more=2))
    left = json.loads(sdp("run", "--yes", "--upgrade", "--json"))["left"]
    shutil.rmtree(left.removeprefix("file:"))
    assert "+ 1" in sdp("rollback", "--diff")
    back = json.loads(sdp("rollback", "--yes", "--run", "--json"))
    assert git(repository.root, "rev-parse", f"sdp/{job}") == back["commit"]
    assert back["started"]["savepoint"] is None
    assert runs_of(wb, job) == [back["started"]["job_id"]]
    said = sdp("run", "--status")
    assert f"{job} is RUNNING" in said
    assert "0 records in" in said
    place = tmp_path / "savepoints"
    path = sdp("stop", "--yes", "--savepoint", place.as_uri()).strip()
    assert path.startswith(place.as_uri().replace("file:///", "file:/"))
    assert any(place.iterdir())
    assert "no job" in sdp("run", "--status")
