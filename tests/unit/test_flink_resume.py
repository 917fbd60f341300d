"""What a session leaves on disk for its successor, without a cluster."""

import subprocess
import sys
import time

import msgspec
import pytest

from sdp_kernel.flink.record import Records, SessionRecord, name_of
from sdp_kernel.flink.resume import _query, _take_over_query, running
from sdp_kernel.flink.script import split
from sdp_kernel.flink.session import Session

TEXT = "SELECT * FROM t /*+ OPTIONS(${kafka.main}) */"


def test_a_record_has_no_password_and_a_successor_has_the_statement_again():
    session = Session("http://127.0.0.1:1", fragments={"kafka.main": "'sasl.jaas.config' = 'geheim'"})
    query = session.new_query(TEXT, split(TEXT)[0], name="q")
    query.sql, query.job_id = session.render(TEXT).text, "0" * 32
    session.remember(query)
    (record,) = running(session)
    assert "geheim" in query.sql
    assert "geheim" not in repr(record)
    assert _query(session, record).sql == query.sql


def test_a_job_is_written_down_before_it_is_submitted():
    session = Session("http://127.0.0.1:1")
    written = []
    session.on_change = lambda: written.extend(running(session))
    query = session.new_query("SELECT 1", split("SELECT 1")[0], name=None)
    session.remember(query)
    assert [record.job_id for record in written] == []
    job_id = query.new_job()
    assert [record.job_id for record in written] == [job_id]


def test_a_record_that_is_forgotten_is_not_written_again(tmp_path):
    records = Records(tmp_path, "local-1")
    written = {"gateway": "http://g", "handle": "h", "ledger": None, "queries": tuple}
    records.write(**written)
    assert [path.name for path in tmp_path.iterdir()] == ["local-1.json"]
    records.forget()
    records.write(**written)
    assert not list(tmp_path.iterdir())


def orphan(directory, name="local-1-dead", **changes):
    """Write the record of a process that is gone."""
    record = SessionRecord(
        pid=2**22 + 1,
        born=1.0,
        gateway="http://g",
        handle="h",
        ledger=None,
        owners=("kernel-1",),
        at=time.time(),
    )
    directory.mkdir(exist_ok=True)
    (directory / f"{name}.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(record, **changes)))


CLAIMING = """
import sys
from pathlib import Path
from sdp_kernel.flink.record import Records
records = Records(Path(sys.argv[1]), "local-2", ("kernel-1",))
print("ready", flush=True)
sys.stdin.readline()
won = []
for number in range(200):
    with records.claim(Path(sys.argv[1]) / f"local-{number}-dead.json") as record:
        if record is not None:
            won.append(number)
print(*won, flush=True)
"""


def test_of_two_processes_one_claims_a_record(tmp_path):
    for number in range(200):
        orphan(tmp_path, f"local-{number}-dead")
    successors = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIMING, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for successor in successors:
        assert successor.stdout.readline() == "ready\n"
    for successor in successors:
        successor.stdin.write("\n")
        successor.stdin.flush()
    won = [number for successor in successors for number in successor.communicate(timeout=60)[0].split()]
    assert sorted(won, key=int) == [str(number) for number in range(200)]
    assert not list(tmp_path.iterdir())


def test_of_two_sessions_in_a_process_one_claims_a_record(tmp_path):
    records = [Records(tmp_path, f"local-{number}", ("kernel-1",)) for number in (2, 3)]
    orphan(tmp_path)
    ((path, _),) = records[0].orphans("http://g")
    with records[0].claim(path) as first, records[1].claim(path) as second:
        assert first is not None
        assert second is None
        assert records[1].orphans("http://g") == []
    assert not list(tmp_path.iterdir())


def test_a_claim_that_was_broken_off_leaves_the_record_to_the_next(tmp_path):
    records = Records(tmp_path, "local-2")
    orphan(tmp_path)
    ((path, _),) = records.orphans("http://g")
    with pytest.raises(KeyboardInterrupt), records.claim(path):
        raise KeyboardInterrupt
    assert records.orphans("http://g")[0][0] == path


def test_the_claim_of_a_process_that_died_is_taken_up(tmp_path):
    orphan(tmp_path)
    code = CLAIMING.split("print", maxsplit=1)[0] + (
        "claim = records.claim(Path(sys.argv[1]) / 'local-1-dead.json')\nclaim.__enter__()\n"
        "import os\nos.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    records = Records(tmp_path, "local-2")
    ((path, record),) = records.orphans("http://g")
    assert (path.name != "local-1-dead.json", record.handle) == (True, "h")
    with records.claim(path) as claimed:
        assert claimed == record
        assert name_of(path) == "local-1-dead"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text",
    [
        "SELECT '$${kafka.main}' AS escaped, '${kafka.main}' AS filled",
        "SELECT '$$${kafka.main}' AS a, '$${' AS b, '$${other}' AS c",
        "SELECT '${kafka.env}' AS a, '$${env:HOME}' AS b",
    ],
)
def test_text_that_was_escaped_in_the_cell_stays_so_at_take_over(text):
    fragments = {"kafka.main": "fragment of ${env:USER}", "kafka.env": "${env:HOME}"}
    session = Session("http://127.0.0.1:1", fragments=fragments)
    query = session.new_query(text, split(text)[0], name="q")
    query.sql, query.job_id = session.render(text).text, "0" * 32
    session.remember(query)
    (record,) = running(session)
    assert _query(session, record).sql == query.sql


SECRET = "s3.secret-key"


def recorded_with_secrets():
    session = Session("http://127.0.0.1:1", jobmanager="http://127.0.0.1:1")
    text = "SELECT * FROM t /*+ OPTIONS('password' = '${db_password}', 'topic' = '${topic}') */"
    query = session.new_query(text, split(text)[0], name="q")
    query.parameters = {"db_password": "geheim", "topic": "orders"}
    query.config = {SECRET: "geheim", "parallelism.default": "2"}
    query.sql, query.job_id, query.background = session.render(text, query.parameters).text, "0" * 32, True
    session.remember(query)
    return running(session)


def test_neither_a_secret_setting_nor_a_secret_parameter_is_written_down():
    (record,) = recorded_with_secrets()
    assert b"geheim" not in msgspec.json.encode(record)
    assert record.config == {"parallelism.default": "2"}
    assert record.parameters == {"topic": "orders"}
    assert "'${db_password}'" in record.sql
    assert record.withheld == ("db_password", SECRET)


def test_a_query_whose_setting_is_secret_is_not_run_again_without_it():
    (record,) = recorded_with_secrets()
    successor = Session("http://127.0.0.1:1", jobmanager="http://127.0.0.1:1")
    query, line = _take_over_query(successor, record, kept=False)
    assert query is None
    assert line.startswith("q is not run again: ")
    assert SECRET in line
    assert "run its cell again" in line
    assert successor.queries == []
