"""A job that exists, changed: the verdict on its state is held against what Flink does with a savepoint."""

import json
import re
import time

import pytest
from IPython.core.interactiveshell import InteractiveShell

import sdp_kernel
from sdp_kernel.errors import PlanUnavailable, RepositoryError, StatementError
from sdp_kernel.flink import compiled
from sdp_kernel.flink.compiled import compiled_plan
from sdp_kernel.flink.operator_graph import operator_graph
from sdp_kernel.notebook.magics import SdpMagics
from sdp_kernel.repository.state import Version, compare
from tests.repositories import git, make_team

pytestmark = pytest.mark.stack

TABLE = """CREATE TABLE {table} (id BIGINT, symbol STRING, other STRING, amount DOUBLE)
  WITH ('connector' = 'kafka', ${{kafka.main}}, 'topic' = '{topic}', 'format' = 'json',
        'scan.startup.mode' = 'earliest-offset')"""
COUNTS = (
    "SELECT symbol, COUNT(*) AS n, SUM(amount) AS total FROM trades WHERE amount > ${least} GROUP BY symbol"
)


@pytest.fixture
def repository(tmp_path, stack):
    """A team repository with the stack in its ``sdp.toml``."""
    return make_team(tmp_path, stack)


@pytest.fixture
def wb(repository, job):
    """A workbench on the repository's profile; the jobs it started are cancelled at the end."""
    with sdp_kernel.connect("local", directory=repository) as workbench:
        before = {known.id for known in workbench.jobs()}
        yield workbench
        mine = {query.job_id for query in workbench.session.queries}
        for known in workbench.jobs():
            if not known.done and known.id not in before and (known.name == job or known.id in mine):
                workbench.jobmanager.cancel(known.id)


@pytest.fixture
def trades(wb, topic_name, produce):
    """The table ``trades``: 20 records of the symbols A and B; the topic's name."""
    rows = [{"id": i, "symbol": "AB"[i % 2], "other": "XY"[i % 2], "amount": i + 1.0} for i in range(20)]
    produce(topic_name, [(None, json.dumps(row)) for row in rows])
    wb.sql(TABLE.format(table="trades", topic=topic_name))
    return topic_name


def ran(wb, text, name="counts", **params):
    return wb.sql(text, name=name, limit=1, timeout=60, params={"least": "0", **params})


def content(plan, path):
    return next(file.content for file in plan.files if file.path == path)


def test_promoting_again_shows_the_change_of_sql_plan_and_state_and_needs_no_replace(
    wb, trades, repository, job
):
    ran(wb, COUNTS)
    out = f"{trades}.out"
    first = wb.promote("counts", job=job, to=out, notebook="n.ipynb")
    assert first.change is None
    first.apply()
    ran(wb, COUNTS, least="5")
    plan = wb.promote("counts", job=job, to=out, notebook="n.ipynb")
    assert plan.change.own
    assert plan.change.origin == "cell counts of n.ipynb"
    assert plan.change.state.verdict == "compatible"
    assert ("Calc", "changed") in {(part.name, part.status) for part in plan.change.operators}
    assert [part.status for part in plan.change.statements if part.name == "job"] == ["changed"]
    assert 'upgrade_mode    = "savepoint"' in content(plan, f"terraform/{job}.tf")
    for shown in (plan.to_text(), plan.to_html()):
        assert "compatible" in shown
        assert "came through the query as it was before" in shown
    applied = plan.apply()
    assert "State: it goes on from a savepoint" in git(
        repository, "show", "-s", "--format=%B", applied.commit
    )

    ran(wb, COUNTS.replace("symbol", "other"), least="5")
    with pytest.raises(RepositoryError, match=r"has a job .* cell counts of n\.ipynb"):
        wb.promote("counts", job=job, to=f"{out}2", notebook="else.ipynb")
    plan = wb.promote("counts", job=job, to=f"{out}2", notebook="n.ipynb")
    assert plan.change.state.verdict == "incompatible"
    assert 'upgrade_mode    = "stateless"' in content(plan, f"terraform/{job}.tf")
    assert json.loads(json.dumps(plan.to_json()["change"]))["state"]["upgrade_mode"] == "stateless"


def test_a_pulled_job_promoted_again_changes_nothing_and_then_what_was_changed(wb, trades, repository, job):
    wb.sql("CREATE TEMPORARY VIEW cheap AS SELECT * FROM trades WHERE amount < 100")
    wb.sql("SET 'table.exec.state.ttl' = '1 d'")
    ran(wb, COUNTS.replace("FROM trades", "FROM cheap"))
    out = f"{trades}.out"
    applied = wb.promote("counts", job=job, to=out, notebook="n.ipynb").apply()
    git(repository, "merge", "-q", "--ff-only", applied.branch)
    team = (
        (repository / f"terraform/{job}.tf").read_text().replace("parallelism     = 1", "parallelism     = 2")
    )
    (repository / f"terraform/{job}.tf").write_text(team)
    git(repository, "commit", "-q", "-a", "-m", "More of it")
    with sdp_kernel.connect("local", directory=repository) as fresh:
        shell = InteractiveShell()
        magics = SdpMagics(shell)
        magics._workbench = fresh
        shell.register_magics(magics)
        shell.run_line_magic("promote", f"--from-job {job}")
        assert shell.rl_next_input.startswith("%%flinksql counts --param least=0\nSELECT")
        assert "cheap" in fresh.session.runner().text("SHOW VIEWS")
        pulled = fresh.pull(job)
        assert pulled.cell == shell.rl_next_input
        assert pulled.parameters == {"least": "0"}
        assert pulled.ran == ("SET 'table.exec.state.ttl' = '1 d'",)  # the rest is there
        fresh.sql(pulled.text, name=pulled.name, limit=1, timeout=60, params=pulled.parameters)
        plan = fresh.promote(pulled.name, job=job, to=pulled.to, key=pulled.key, notebook="mine.ipynb")
        assert {file.path: file.status for file in plan.files if file.status != "same"} == {
            f"sql/jobs/{job}.receipt.json": "changed"
        }
        assert plan.unchanged
        assert plan.change.state.verdict == "same"
        more = pulled.text.replace("COUNT(*) AS n", "COUNT(*) AS n, MIN(id) AS least_id")
        fresh.sql(more, name=pulled.name, limit=1, timeout=60, params=pulled.parameters)
        plan = fresh.promote(pulled.name, job=job, to=pulled.to, key=pulled.key, notebook="mine.ipynb")
        assert plan.change.own
        assert plan.change.state.verdict == "incompatible"
        changed = content(plan, f"terraform/{job}.tf")
        assert 'upgrade_mode    = "stateless"' in changed
        assert "parallelism     = 2" in changed


def test_a_compiled_plan_is_the_same_each_time_and_holds_no_options(wb, trades):
    wb.sql("CREATE TABLE o (s STRING, n BIGINT) WITH ('connector' = 'blackhole')")
    insert = "INSERT INTO o SELECT symbol, COUNT(*) FROM trades GROUP BY symbol"
    both = f"EXECUTE STATEMENT SET BEGIN {insert}; INSERT INTO o SELECT other, id FROM trades; END"
    for statement in (insert, both, both.replace("EXECUTE STATEMENT SET BEGIN", "BEGIN STATEMENT SET;")):
        plan = compiled_plan(wb.session, statement)
        assert plan == compiled_plan(wb.session, statement)
        assert [node["id"] for node in plan["nodes"]] == list(range(1, len(plan["nodes"]) + 1))
        assert "bootstrap" not in json.dumps(plan)
    with pytest.raises(PlanUnavailable, match="'nope' not found"):
        compiled_plan(wb.session, "INSERT INTO o SELECT nope, 1 FROM trades")


def test_a_gateway_that_does_not_read_this_disk_has_no_compiled_plan(wb, monkeypatch):
    monkeypatch.setattr(compiled, "_near", {wb.session.gateway.url: False})
    with pytest.raises(PlanUnavailable, match="is on another machine"):
        compiled_plan(wb.session, "INSERT INTO o SELECT 1")


SINK = """CREATE TABLE {table} ({columns}, PRIMARY KEY ({key}) NOT ENFORCED) WITH ('connector' = 'upsert-kafka',
  ${{kafka.main}}, 'topic' = '{topic}', 'key.format' = 'json', 'value.format' = 'json')"""
BASE = "INSERT INTO totals SELECT symbol, COUNT(*), SUM(amount) FROM trades WHERE amount > 0 GROUP BY symbol"
TTL = "SET 'table.exec.state.ttl' = '1 h'"
#: What is changed → the verdict, and whether Flink starts from the savepoint: yes, no, or skipping state.
CASES = {
    "nothing but white space": ([BASE.replace(" FROM", "\nFROM")], "same", "yes"),
    "a condition's literal": ([BASE.replace("> 0", "> 5")], "compatible", "yes"),
    "a column more in the aggregate": (
        [BASE.replace("totals SELECT", "wide SELECT").replace("SUM(amount)", "SUM(amount), MAX(id)")],
        "incompatible", "no",
    ),
    "another function of the same layout": ([BASE.replace("SUM(amount)", "SUM(id * 1.0E0)")], "incompatible", "yes"),
    "another key of the same type": ([BASE.replace("symbol", "other")], "incompatible", "yes"),
    "another key of another type": (
        [BASE.replace("symbol, COUNT", "CAST(id AS STRING), COUNT").replace("BY symbol", "BY id")],
        "incompatible", "no",
    ),
    "a condition behind the aggregate": ([f"{BASE} HAVING COUNT(*) > 1"], "compatible", "skipping"),
    "a join before the aggregate": (
        [BASE.replace("FROM trades", "FROM trades JOIN trades2 USING (id)").replace("symbol", "trades.symbol")
         .replace("amount", "trades.amount")],
        "incompatible", "skipping",
    ),
    "a time-to-live": ([TTL, BASE], "compatible", "yes"),
    "parallelism": (["SET 'parallelism.default' = '2'", BASE], "same", "yes"),
}  # fmt: skip


@pytest.fixture
def declared(trades):
    """The statements that declare the tables of ``CASES``."""
    columns = "s STRING, n BIGINT, total DOUBLE"
    return [
        TABLE.format(table="trades", topic=trades),
        TABLE.format(table="trades2", topic=trades).replace("symbol", "symbol2").replace("other", "other2")
        .replace("amount", "amount2"),
        SINK.format(table="totals", columns=columns, key="s", topic=f"{trades}.out"),
        SINK.format(table="wide", columns=f"{columns}, top BIGINT", key="s", topic=f"{trades}.wide"),
    ]  # fmt: skip


ONE = {"parallelism.default": "1"}


def test_the_verdict_is_what_flink_does_with_the_savepoint(wb, declared, trades, produce, tmp_path):
    for topic in (f"{trades}.out", f"{trades}.wide"):
        produce(topic, [])
    for text in declared[1:]:
        wb.sql(text)
    before = version_of(wb, [BASE])
    job_id = wb.sql(BASE, config=ONE).job_id
    verdicts = {name: compare(before, version_of(wb, texts)) for name, (texts, _, _) in CASES.items()}
    assert {name: found.verdict for name, found in verdicts.items()} == {
        name: verdict for name, (_, verdict, _) in CASES.items()
    }
    assert {name for name, found in verdicts.items() if found.allow_non_restored_state} == {
        name for name, (_, verdict, flink) in CASES.items() if (verdict, flink) == ("compatible", "skipping")
    }
    vertices = {node["id"] for node in wb.jobmanager.plan(job_id)["nodes"]}
    assert vertices <= {operator.id for operator in before.operators}
    await_running(wb, job_id)
    path = wb.jobmanager.stop(job_id, tmp_path.as_uri())
    did = what_flink_does(wb, path)
    assert did == {name: flink for name, (_, _, flink) in CASES.items()}


def setting(texts):
    return dict(re.findall(r"SET '(.*)' = '(.*)'", "\n".join(texts[:-1])))


def version_of(wb, texts):
    config = {**ONE, **setting(texts)}
    plan = compiled_plan(wb.session, texts[-1], config=config)
    return Version(plan, operator_graph(wb.session, texts[-1], config=config))


def await_running(wb, job_id):
    """Wait until a job runs, all of it, or has ended; returns its state."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        state = wb.jobmanager.state(job_id)
        if state in {"FAILED", "FINISHED", "CANCELED"}:
            return state
        if state == "RUNNING" and not wb.jobmanager.starting(job_id):
            return state
        time.sleep(0.05)
    return "SLOW"


def what_flink_does(wb, path):
    """Say of each case whether Flink starts it from a savepoint: yes, no, or with state left out."""
    all_ = {name: texts for name, (texts, _, _) in CASES.items()}
    did = dict.fromkeys(started(wb, path, all_, {}), "yes")
    rest = {name: texts for name, texts in all_.items() if name not in did}
    skip = {"execution.state-recovery.ignore-unclaimed-state": "true"}
    did |= dict.fromkeys(started(wb, path, rest, skip), "skipping")
    return {name: did.get(name, "no") for name in all_}


def started(wb, path, cases, config):
    """Start cases from a savepoint, all at once; returns those that then run."""
    jobs = {}
    for name, texts in cases.items():
        own = {**ONE, **setting(texts), **config, "restart-strategy.type": "none"}
        try:
            jobs[name] = wb.sql(texts[-1], savepoint=path, config=own).job_id
        except StatementError as error:
            assert "Cannot map checkpoint/savepoint state" in error.message  # noqa: PT017
    running = [name for name, job_id in jobs.items() if await_running(wb, job_id) == "RUNNING"]
    for name in running:
        wb.jobmanager.cancel(jobs[name])
    return running
