"""The lint on a real stack: plans of Flink's, a promotion that is mended, findings that are measured."""

import json
import re
import time

import pytest
from confluent_kafka import Producer
from IPython.core.interactiveshell import InteractiveShell

import sdp_kernel
from sdp_kernel.errors import Blocked, UsageError
from sdp_kernel.flink.ledger import Entry
from sdp_kernel.flink.script import split
from sdp_kernel.notebook.magics import SdpMagics
from sdp_kernel.promote.lint import Draft, Run, look
from sdp_kernel.promote.slice import Slice, explain
from sdp_kernel.repository import report
from sdp_kernel.settings_lint import LintSettings
from tests.repositories import git, make_team

pytestmark = pytest.mark.stack

LINT = """[lint]
skew = 0.7
lateness = 0.05
state_rows = 1_000
"""


@pytest.fixture
def repository(tmp_path, stack):
    """A team repository with the stack and limits of the lint in its ``sdp.toml``."""
    return make_team(tmp_path, stack, LINT)


@pytest.fixture
def wb(repository, job):
    """A workbench on the repository's profile; the job it runs is cancelled at the end."""
    with sdp_kernel.connect("local", directory=repository) as workbench:
        yield workbench
        for known in workbench.jobs():
            if not known.done and known.name == job:
                workbench.jobmanager.cancel(known.id)


def wait(until, seconds=40):
    deadline = time.monotonic() + seconds
    while not (found := until()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def test_a_mended_job_is_proven_committed_and_runs_on(wb, stack, repository, job, topic_name, produce):
    produce(topic_name, [(None, json.dumps({"id": i, "symbol": "AB"[i % 2]})) for i in range(30)])
    wb.sql(f"""CREATE TABLE trades (id BIGINT, symbol STRING) WITH (
      'connector' = 'kafka', -- the broker's address
      'properties.bootstrap.servers' = '{stack.kafka}', 'topic' = '{topic_name}', 'format' = 'json',
      'scan.startup.mode' = 'earliest-offset')""")
    wb.sql(
        "SELECT * FROM trades /*+ OPTIONS('scan.bounded.mode' = 'latest-offset') */ -- all of it\nLIMIT 10",
        name="few",
    )
    before = wb.promote("few", job=job, to=f"{topic_name}.out")
    assert {f.code for f in before.findings if f.fixable} == {
        "SDP001",
        "SDP005",
        "SDP006",
        "SDP007",
        "SDP014",
    }
    assert "fixes" not in before.receipt

    plan = wb.promote("few", job=job, to=f"{topic_name}.out", fix=True)
    assert {f.code for f in plan.findings if f.fixed} == {f.code for f in before.findings if f.fixable}
    assert {fix["code"] for fix in plan.receipt["fixes"]} == {f.code for f in before.findings if f.fixable}
    assert "fixed   SDP001" in plan.to_text()
    assert "LIMIT 10 taken out" in plan.to_html()
    files = {file.path: file.content for file in plan.files}
    assert files[f"sql/jobs/{job}.sql"].splitlines()[2:] == [
        "SELECT `id`, `symbol` FROM trades -- all of it",
        ";",
    ]
    table = files["sql/tables/trades.sql"]
    assert "-- the broker's address" in table
    assert "${kafka.main}" in table
    assert "'properties.group.id' = '${group_id}'" in table
    assert stack.kafka not in table
    assert f'group_id = "{job}"' in files[f"terraform/{job}.tf"]
    assert f"'properties.group.id' = '{job}'" in plan.script

    applied = plan.apply(run=True)
    assert wait(lambda: len(wb.sample(f"{topic_name}.out", n=100, at="head", timeout=5).df) == 30)
    assert wb.jobmanager.state(applied.job_id) == "RUNNING"
    git(repository, "merge", "-q", "--ff-only", applied.branch)
    assert report.evidence_of(repository, job).problem is None
    (verified,) = wb.verify(job)
    assert not verified.failed
    wb.jobmanager.cancel(applied.job_id)
    magics = SdpMagics(InteractiveShell())
    magics._workbench = wb
    with pytest.raises(UsageError, match="SDP010"):
        magics.promote(f"few --job {job} --to {topic_name}.out --fix SDP001,SDP010")
    again = magics.promote(f"few --job {job} --to {topic_name}.out --fix --plan")
    assert again.unchanged


def test_a_secret_is_hidden_in_the_plan_that_it_blocks(wb, stack, job, topic_name, produce):
    produce(topic_name, [(None, json.dumps({"id": 1}))])
    wb.sql(f"""CREATE TABLE s (id BIGINT) WITH ('connector' = 'kafka', ${{kafka.main}}, 'topic' = '{topic_name}',
      'format' = 'json', 'scan.startup.mode' = 'earliest-offset', 'properties.ssl.key.password' = 'hunter2')""")
    wb.sql("SELECT id FROM s /*+ OPTIONS('scan.bounded.mode' = 'latest-offset') */", name="q")
    plan = wb.promote("q", job=job, to=f"{topic_name}.out", fix=True)
    shown = [plan.to_text(), plan.to_html(), json.dumps(plan.to_json()), plan.script]
    assert not any("hunter2" in text for text in shown)
    with pytest.raises(Blocked, match="SDP010"):
        plan.apply()


DECLARED = """CREATE TABLE trades (id BIGINT, symbol STRING, price DOUBLE, ts TIMESTAMP(3), pt AS PROCTIME(),
    WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
  WITH ('connector' = 'kafka', 'topic' = 't', 'properties.bootstrap.servers' = '${kafka.main.servers}',
        'format' = 'json', 'scan.startup.mode' = 'group-offsets', 'properties.group.id' = 'g');
CREATE TABLE rates (symbol STRING, rate DOUBLE, ts TIMESTAMP(3), pt AS PROCTIME(),
    WATERMARK FOR ts AS ts, PRIMARY KEY (symbol) NOT ENFORCED)
  WITH ('connector' = 'upsert-kafka', 'topic' = 'r', 'properties.bootstrap.servers' = 'b:1',
        'key.format' = 'json', 'value.format' = 'json');
""".replace("${kafka.main.servers}", "${brokers}")
MATCH = """SELECT a, b FROM trades MATCH_RECOGNIZE (PARTITION BY symbol ORDER BY ts
    MEASURES FIRST(A.id) AS a, LAST(B.id) AS b PATTERN (A B){} DEFINE B AS B.price > A.price)"""
GROUPED = "SELECT symbol, COUNT(*) AS n FROM trades GROUP BY symbol"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (GROUPED, ["SDP002"]),
        ("SELECT t.id, r.rate FROM trades t JOIN rates r ON t.symbol = r.symbol", ["SDP002"]),
        ("SELECT t.id, r.rate FROM trades t, rates r", ["SDP002", "SDP018"]),
        ("SELECT t.id, r.rate FROM trades t JOIN rates FOR SYSTEM_TIME AS OF t.ts AS r ON t.symbol = r.symbol", ["SDP015"]),
        ("SELECT window_start, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE trades, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end", ["SDP015"]),
        ("SELECT window_start, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE trades, DESCRIPTOR(pt), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end", ["SDP017"]),
        ("SELECT COUNT(*) AS n FROM trades GROUP BY TUMBLE(ts, INTERVAL '1' MINUTE)", ["SDP015"]),
        ("SELECT COUNT(*) AS n FROM trades GROUP BY TUMBLE(pt, INTERVAL '1' MINUTE)", ["SDP017"]),
        ("SELECT a.id FROM trades a JOIN trades b ON a.id = b.id AND a.ts BETWEEN b.ts AND b.ts + INTERVAL '1' HOUR", ["SDP015"]),
        ("SELECT a.id FROM trades a JOIN trades b ON a.id = b.id AND a.pt BETWEEN b.pt AND b.pt + INTERVAL '1' HOUR", ["SDP017"]),
        ("SELECT id, COUNT(*) OVER (PARTITION BY symbol ORDER BY ts RANGE BETWEEN INTERVAL '1' HOUR PRECEDING AND CURRENT ROW) AS n FROM trades", ["SDP015"]),
        (MATCH.format(""), ["SDP015", "SDP022"]),
        (MATCH.format(" WITHIN INTERVAL '1' HOUR"), ["SDP015"]),
        (f"SELECT symbol, n, UUID() AS u FROM ({GROUPED})", ["SDP002", "SDP016"]),
        (f"SELECT symbol, n FROM ({GROUPED}) WHERE n > RAND_INTEGER(9)", ["SDP002", "SDP016"]),
        ("SELECT id, UUID() AS u, NOW() AS w FROM trades", []),
        ("SELECT id, price FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY symbol ORDER BY price DESC) AS n FROM trades) WHERE n <= 3", ["SDP002"]),
    ],
)  # fmt: skip
def test_rules_on_the_plans_of_flink(planner, query, found):
    entries, session = planner
    draft = Draft(f"INSERT INTO o {query}", Slice((), entries))
    findings = look(draft, Run(), LintSettings(disable=("SDP006",)), explain(session, query))
    assert [f.code for f in findings] == found


@pytest.fixture(scope="module")
def planner(stack):
    """The declared tables, and a session that has them."""
    from sdp_kernel.flink.session import Session

    session = Session(stack.gateway, jobmanager=stack.jobmanager, defaults={"brokers": stack.kafka})
    entries = tuple(Entry(s.text, s.kind, s.target) for s in split(DECLARED))
    for entry in entries:
        session.execute(entry.text)
    yield entries, session
    session.close()


def send(stack, topic, records):
    producer = Producer({"bootstrap.servers": stack.kafka})
    for _, value in records:
        producer.produce(topic, value)
    assert producer.flush(10) == 0


def test_skew_growth_and_lateness_are_measured_in_the_run(wb, stack, job, topic_name, produce):
    def records(count, *, minute, heavy=0, first=0):
        return [
            (
                None,
                json.dumps(
                    {"symbol": "A" if i < heavy else f"s{first + i}", "ts": f"2026-01-05 09:{minute:02}:00"}
                ),
            )
            for i in range(count)
        ]

    produce(topic_name, records(1200, minute=10, heavy=1000))
    wb.sql(f"""CREATE TABLE trades (symbol STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)
      WITH ('connector' = 'kafka', ${{kafka.main}}, 'topic' = '{topic_name}', 'format' = 'json',
            'scan.startup.mode' = 'earliest-offset')""")
    counts = wb.sql(
        "SELECT symbol, COUNT(*) AS n FROM trades GROUP BY symbol", name="counts", background=True
    )
    windows = wb.sql(
        "SELECT TUMBLE_START(ts, INTERVAL '1' MINUTE) AS s, COUNT(*) AS n FROM trades "
        "GROUP BY TUMBLE(ts, INTERVAL '1' MINUTE)",
        name="windows", background=True,
    )  # fmt: skip
    send(stack, topic_name, records(1, minute=20))
    assert wait(lambda: windows.changes)
    sent = iter(range(2_000, 1_000_000, 100))

    def late():
        send(stack, topic_name, records(100, minute=1, heavy=80, first=next(sent)))
        time.sleep(0.3)
        last = windows.trace.last
        return [one for one in last.operators if one.late] if last is not None else []

    assert wait(late, 60)
    for query in (windows, counts):
        query.end_interrupted(10)

    plan = wb.promote("counts", job=job, to=f"{topic_name}.out")
    found = {f.code: f for f in plan.findings}
    assert set(found) >= {"SDP030", "SDP031"}
    assert "one symbol of " in found["SDP031"].message
    assert "a minute" in found["SDP030"].message
    assert {"code": "SDP031", "severity": "warning", "message": found["SDP031"].message} in plan.receipt[
        "findings"
    ]

    plan = wb.promote("windows", job=f"{job}-2", to=f"{topic_name}.windows")
    found = {f.code: f for f in plan.findings}
    assert set(found) >= {"SDP032", "SDP015"}
    assert re.match(r"[\d,]+ of [\d,]+ records \(\d", found["SDP032"].message)
    assert "came to GroupWindowAggregate behind the watermark" in found["SDP032"].message
