"""Shadow runs on a real stack: two versions of a job on the same offsets, and nothing of them left."""

import json

import pytest
from click.testing import CliRunner
from confluent_kafka import Consumer, Producer, TopicPartition

import sdp_kernel
from sdp_kernel.cli import main
from sdp_kernel.errors import JobFailed, UsageError
from tests.integration.committed import JobRepository, git, trades

pytestmark = pytest.mark.stack

TRADES = """CREATE TABLE trades (id BIGINT, symbol STRING, price DOUBLE) WITH (
  'connector' = 'kafka', ${{kafka.main}}, 'topic' = '{topic}', 'format' = 'json',
  'properties.group.id' = '{topic}.group', 'scan.startup.mode' = 'group-offsets')"""
TOTALS = """CREATE TABLE totals (symbol STRING, n BIGINT, total DOUBLE, PRIMARY KEY (symbol) NOT ENFORCED) WITH (
  'connector' = 'upsert-kafka', ${{kafka.main}}, 'topic' = '{topic}.totals', 'key.format' = 'json', 'value.format' = 'json')"""
COUNT = "INSERT INTO totals SELECT symbol, COUNT(*), SUM(price) FROM trades GROUP BY symbol"


@pytest.fixture
def repository(tmp_path, stack):
    return JobRepository(tmp_path / "team", stack, '[masking]\ncolumns = { secret = "redact" }\n')


@pytest.fixture
def wb(repository):
    with sdp_kernel.connect("local", directory=repository.root) as workbench:
        yield workbench


@pytest.fixture
def declared(topic_name, produce):
    """The tables of the usual job, and 30 trades in 3 partitions."""
    produce(topic_name, trades(range(30), "ABC"), partitions=3)
    return {"trades": TRADES.format(topic=topic_name), "totals": TOTALS.format(topic=topic_name)}


def left(wb, job):
    """Return the topics and jobs that a shadow run of the job has left."""
    topics = [name for name in wb.cluster("main").metadata().topics if name.startswith(f"sdp-shadow-{job}")]
    jobs = [known for known in wb.jobs() if known.name.startswith(f"sdp shadow {job}") and not known.done]
    return topics, jobs


def test_what_the_work_tree_changes_is_found_and_the_job_s_own_topic_and_group_are_not_touched(
    wb, repository, job, declared, topic_name, stack
):
    repository.save(job, declared, COUNT)
    repository.write(
        job, declared, COUNT.replace("FROM trades", "FROM trades WHERE symbol <> 'C' AND id > 0")
    )
    found = wb.shadow(job, confirm=True)
    assert found.differs
    assert not found.same_text
    (table,) = found.tables
    assert (table.table, table.key, table.rows) == ("totals", ("symbol",), (3, 2))
    assert (table.changed.count, table.only_old, table.only_new, table.same) == (1, 1, 0, 1)
    assert table.changed.old.to_pylist() == [{"symbol": "A", "n": 10, "total": 33.75}]
    assert table.changed.new.to_pylist() == [{"symbol": "A", "n": 9, "total": 33.75}]
    assert table.first_old.to_pylist()[0]["symbol"] == "C"
    old, new = found.runs
    assert (old.called[:4], new.called) == ("HEAD", "work tree")
    assert old.records == new.records == 30
    assert old.seconds > 0
    assert "C" in found.to_text()
    assert left(wb, job) == ([], [])
    assert f"{topic_name}.totals" not in wb.cluster("main").metadata().topics
    consumer = Consumer({"bootstrap.servers": stack.kafka, "group.id": f"{topic_name}.group"})
    committed = consumer.committed([TopicPartition(topic_name, n) for n in range(3)], timeout=10)
    consumer.close()
    assert all(place.offset < 0 for place in committed)


def test_both_versions_read_the_same_records_however_many_come_meanwhile(
    wb, repository, job, declared, topic_name, stack
):
    repository.save(job, declared, COUNT)
    producer = Producer({"bootstrap.servers": stack.kafka})

    def more(line):
        for key, value in trades(range(100), "ABC"):
            producer.produce(topic_name, value, key)
        producer.flush(10)

    found = wb.shadow(job, confirm=True, records=9, say=more)
    assert not found.differs, found.to_text()
    assert found.same_text
    spans = found.offsets[topic_name]
    assert all(0 <= end - start <= 3 for start, end in spans.values())
    assert found.runs[0].records == sum(end - start for start, end in spans.values())


def test_a_branch_is_the_new_version_and_several_sinks_of_any_kind_are_compared(
    wb, repository, job, declared, topic_name, produce, tmp_path
):
    produce(
        f"{topic_name}.names", [("A", '{"name":"Ada"}'), ("B", '{"name":"Bob"}'), ("A", '{"name":"Ann"}')]
    )
    files = tmp_path / "files"
    tables = {
        **declared,
        "names": "CREATE TEMPORARY TABLE names (symbol STRING, name STRING, PRIMARY KEY (symbol) NOT ENFORCED) WITH ("
        f"'connector' = 'upsert-kafka', ${{kafka.main}}, 'topic' = '{topic_name}.names', "
        "'key.format' = 'raw', 'value.format' = 'json', 'value.fields-include' = 'EXCEPT_KEY', "
        "'properties.group.id' = 'g')",
        "archive": "CREATE TABLE archive (id BIGINT, symbol STRING) PARTITIONED BY (symbol) WITH ("
        f"'connector' = 'filesystem', 'path' = 'file://{files}', 'format' = 'json')",
        "secrets": "CREATE TEMPORARY TABLE secrets (secret STRING) WITH ('connector' = 'blackhole')",
        "seen": "CREATE VIEW seen AS SELECT * FROM trades /*+ OPTIONS('scan.startup.mode' = 'latest-offset') */",
    }
    script = (
        "EXECUTE STATEMENT SET BEGIN\n"
        "INSERT INTO totals SELECT symbol, COUNT(*), SUM(price) FROM seen GROUP BY symbol;\n"
        "INSERT INTO archive SELECT id, symbol FROM seen;\n"
        "INSERT INTO secrets SELECT CONCAT(name, '-x') FROM names;\nEND"
    )
    repository.save(job, tables, script)
    git(repository.root, "switch", "-q", "-c", f"sdp/{job}")
    repository.save(
        job,
        tables,
        script.replace("SELECT id, symbol FROM seen", "SELECT id + 1, symbol FROM seen").replace("-x", "-y"),
    )
    git(repository.root, "switch", "-q", "main")
    found = wb.shadow(job, confirm=True)
    assert found.runs[1].called.startswith(f"sdp/{job} (")
    tables = {table.table: table for table in found.tables}
    assert not tables["totals"].differs
    assert tables["totals"].same == 3
    assert tables["archive"].rows == (30, 30)
    assert (tables["archive"].only_old, tables["archive"].only_new) == (1 * 30 - tables["archive"].same,) * 2
    assert tables["secrets"].differs
    for shown in (found.to_text(), found.to_html(), json.dumps(found.to_json())):
        assert "Ann-" not in shown
    assert "read from its beginning" in found.to_text()
    assert not files.exists()
    assert left(wb, job) == ([], [])


def test_a_version_that_fails_leaves_nothing_behind(wb, repository, job, declared):
    repository.save(job, declared, COUNT)
    repository.write(job, declared, COUNT.replace("COUNT(*)", "MAX(CAST(symbol AS BIGINT))"))
    with pytest.raises(JobFailed, match=r"new \(work tree\) is FAIL"):
        wb.shadow(job, confirm=True)
    assert left(wb, job) == ([], [])
    repository.write(job, declared, "INSERT INTO totals SELECT nothing FROM trades")
    with pytest.raises(UsageError, match=r"new \(work tree\) does not run: .*nothing"):
        wb.shadow(job, confirm=True)
    assert left(wb, job) == ([], [])


def test_an_interrupt_leaves_nothing_behind(wb, repository, job, declared):
    repository.save(job, declared, COUNT)

    def interrupt(line):
        if line.startswith("new:"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wb.shadow(job, confirm=True, say=interrupt)
    assert left(wb, job) == ([], [])


def test_a_job_that_differs_from_itself_is_called_not_deterministic_and_the_command_exits_with_1_if_asked_to(
    repository, job, declared, monkeypatch, tmp_path
):
    repository.save(job, declared, COUNT.replace("COUNT(*)", "CAST(RAND() * 1000000000 AS BIGINT)"))
    monkeypatch.chdir(repository.root)
    page = tmp_path / "report.html"
    done = CliRunner().invoke(
        main, ["shadow", job, "--yes", "--check", "--from", "1h", "--json", "--html", str(page)]
    )
    assert done.exit_code == 1
    said = json.loads(done.stdout)
    assert said["same_text"]
    assert said["tables"][0]["changed"]["count"] == 3
    assert "not deterministic" in page.read_text(encoding="utf-8")


def test_versions_that_are_not_there_are_refused(wb, repository, job, declared):
    repository.write(job, declared, COUNT)
    with pytest.raises(UsageError, match=f"there is no job {job} at HEAD"):
        wb.shadow(job, confirm=True)
    repository.commit("Add")
    with pytest.raises(UsageError, match="'nowhere' names no commit"):
        wb.shadow(job, new="nowhere", confirm=True)
