"""Promotions on a real stack: from a cell that ran to a commit, a topic and a running job."""

import json
import time
import uuid

import pytest

import sdp_kernel
from sdp_kernel.errors import (
    Blocked,
    JobFailed,
    NotValidated,
    PromoteError,
    RepositoryError,
    SliceError,
    StatementError,
    UsageError,
)
from tests.repositories import git, make_team

pytestmark = pytest.mark.stack

TABLE = """CREATE TABLE {table} (id BIGINT, symbol STRING, price DOUBLE)
  WITH ('connector' = 'kafka', ${{kafka.main}}, 'topic' = '{topic}', 'format' = 'json',
        'scan.startup.mode' = 'earliest-offset'{more})"""
BOUNDED = "/*+ OPTIONS('scan.bounded.mode' = 'latest-offset') */"
COUNTS = f"SELECT COUNT(*) AS n, symbol FROM trades {BOUNDED} GROUP BY symbol"


def snapshot(where):
    return (
        git(where, "rev-parse", "HEAD"),
        git(where, "for-each-ref"),
        git(where, "status", "--porcelain=v1"),
        git(where, "worktree", "list"),
    )


@pytest.fixture
def repository(tmp_path, stack):
    """A team repository with the stack in its ``sdp.toml``."""
    return make_team(tmp_path, stack)


@pytest.fixture
def wb(repository, job):
    """A workbench on the repository's profile."""
    with sdp_kernel.connect("local", directory=repository) as workbench:
        before = {known.id for known in workbench.jobs() if not known.done}
        yield workbench
        mine = {query.job_id for query in workbench.queries.values()}
        for known in workbench.jobs():
            if not known.done and known.id not in before and (known.name == job or known.id in mine):
                workbench.jobmanager.cancel(known.id)


@pytest.fixture
def trades(wb, topic_name, produce):
    """The table ``trades``: 30 records of the symbols A and B."""
    rows = [{"id": i, "symbol": "AB"[i % 2], "price": i / 4} for i in range(30)]
    produce(topic_name, [(row["symbol"], json.dumps(row)) for row in rows])
    wb.sql(TABLE.format(table="trades", topic=topic_name, more=""))
    return topic_name


@pytest.fixture
def out(topic_name):
    """The name of an output topic."""
    return f"{topic_name}.out"


def rows_in(wb, topic, wanted, *, seconds=40):
    """Wait until the topic's latest row for each key satisfies ``wanted``; returns the sample."""
    deadline = time.monotonic() + seconds
    while True:
        sample = wb.sample(topic, n=1000, at="head", timeout=5)
        if wanted(sample.df) or time.monotonic() > deadline:
            return sample
        time.sleep(0.3)


def content(plan, path):
    return next(file.content for file in plan.files if file.path == path)


def paths(plan):
    return [file.path for file in plan.files]


def test_an_updating_select_becomes_a_running_job_keyed_by_its_group(wb, trades, repository, job, out):
    query = wb.sql(COUNTS, name="counts")
    assert query.updating
    before = snapshot(repository)
    plan = wb.promote("counts", job=job, to=out)
    assert snapshot(repository) == before
    assert not wb.topics()["topic"].eq(out).any()
    table = out.replace("-", "_").replace(".", "_")
    assert paths(plan) == [
        "sql/tables/trades.sql",
        f"sql/tables/{table}.sql",
        f"sql/jobs/{job}.sql",
        f"terraform/{job}.tf",
        f"sql/jobs/{job}.plan.json",
        f"sql/jobs/{job}.receipt.json",
    ]
    assert {file.status for file in plan.files} == {"new"}
    assert "PRIMARY KEY (`symbol`) NOT ENFORCED" in content(plan, f"sql/tables/{table}.sql")
    assert plan.topic.config == {"cleanup.policy": "compact"}
    assert plan.receipt["run"]["rows"] == 2
    assert {f.code for f in plan.findings} >= {"SDP002", "SDP007"}
    assert job in plan.to_text()
    assert job in plan.to_html()

    applied = plan.apply(run=True)
    assert applied.topic_created == out
    assert git(repository, "rev-parse", f"sdp/{job}") == applied.commit
    assert git(repository, "rev-parse", "HEAD") == before[0]
    assert git(repository, "status", "--porcelain") == ""
    assert sorted(git(repository, "ls-tree", "-r", "--name-only", applied.commit).split("\n")) == sorted(
        ["sdp.toml", *applied.files]
    )
    assert applied.job_id in {known.id for known in wb.jobs() if known.name == job}

    def complete(df):
        return len(df) > 0 and dict(zip(df["symbol"], df["n"], strict=True)) == {"A": 15, "B": 15}

    sample = rows_in(wb, out, complete)
    assert complete(sample.df)
    keys = {json.loads(key)["symbol"] for key in raw_keys(wb, out)}
    assert keys == {"A", "B"}
    seen = wb.sql(f"SELECT * FROM {table}", limit=2, timeout=30)
    assert {row["symbol"] for row in seen.arrow.to_pylist()} == {"A", "B"}


def raw_keys(wb, topic):
    from confluent_kafka import Consumer

    consumer = Consumer(
        {
            "bootstrap.servers": wb.cluster().bootstrap_servers,
            "group.id": uuid.uuid4().hex,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    keys, deadline = [], time.monotonic() + 20
    while time.monotonic() < deadline and (not keys or (message := consumer.poll(2)) is not None):
        if not keys:
            message = consumer.poll(2)
        if message is not None and message.error() is None:
            keys.append(message.key())
    consumer.close()
    return keys


def test_a_select_that_appends_becomes_a_job_without_a_key(wb, trades, job, out):
    wb.sql(f"SELECT id, UPPER(symbol) AS s FROM trades {BOUNDED} WHERE id < 5", name="few")
    plan = wb.promote("few", job=job, to=out)
    assert "PRIMARY KEY" not in plan.script
    assert plan.topic.config == {}
    applied = plan.apply(run=True)
    assert applied.topic_created == out
    sample = rows_in(wb, out, lambda df: len(df) == 5)
    assert sorted(sample.df["id"]) == [0, 1, 2, 3, 4]
    assert set(sample.df["s"]) == {"A", "B"}


def test_the_key_can_be_chosen_only_where_the_planner_takes_it(wb, trades, job, out):
    wb.sql(COUNTS, name="counts")
    with pytest.raises(UsageError, match="'nope' is not in the result"):
        wb.promote("counts", job=job, to=out, key=["nope"])
    with pytest.raises(PromoteError, match="does not take"):
        wb.promote("counts", job=job, to=out, key=["n"])
    assert "PRIMARY KEY (`symbol`)" in wb.promote("counts", job=job, to=out, key=["symbol"]).script


def test_an_insert_cell_becomes_a_job(wb, trades, repository, job, out, produce):
    produce(out, [])
    wb.sql(TABLE.format(table="sink", topic=out, more=""))
    wb.sql(f"INSERT INTO sink SELECT * FROM trades {BOUNDED} WHERE symbol = 'A'", name="ins")
    assert len(rows_in(wb, out, lambda df: len(df) == 15).df) == 15
    with pytest.raises(UsageError, match="names its own output"):
        wb.promote("ins", job=job, to=out)
    plan = wb.promote("ins", job=job)
    assert plan.topic is None
    assert paths(plan)[:3] == ["sql/tables/trades.sql", "sql/tables/sink.sql", f"sql/jobs/{job}.sql"]
    applied = plan.apply(run=True)
    assert applied.topic_created is None
    assert len(rows_in(wb, out, lambda df: len(df) == 30).df) == 30


def test_a_statement_set_becomes_one_job(wb, trades, job, out, produce):
    second = f"{out}2"
    produce(out, [])
    produce(second, [])
    wb.sql(
        f"{TABLE.format(table='first_', topic=out, more='')};{TABLE.format(table='second_', topic=second, more='')}"
    )
    wb.sql(
        f"""EXECUTE STATEMENT SET BEGIN
          INSERT INTO first_ SELECT * FROM trades {BOUNDED} WHERE symbol = 'A';
          INSERT INTO second_ SELECT * FROM trades {BOUNDED} WHERE symbol = 'B';
        END""",
        name="both",
    )
    plan = wb.promote("both", job=job)
    assert paths(plan)[:3] == ["sql/tables/trades.sql", "sql/tables/first_.sql", "sql/tables/second_.sql"]
    applied = plan.apply(run=True)
    assert [known.name for known in wb.jobs() if known.id == applied.job_id] == [job]
    assert len(rows_in(wb, out, lambda df: len(df) == 30).df) == 30
    assert len(rows_in(wb, second, lambda df: len(df) == 30).df) == 30


def test_views_on_views_are_sliced_and_unused_objects_left_out(wb, trades, job, out):
    wb.sql(TABLE.format(table="unused", topic=trades, more=""))
    wb.sql(
        f"""CREATE TEMPORARY VIEW cheap AS SELECT * FROM trades {BOUNDED} WHERE price < 5;
        CREATE TEMPORARY VIEW cheap_a AS SELECT id, price FROM cheap WHERE symbol = 'A';
        CREATE TEMPORARY VIEW id AS SELECT 1 AS x"""
    )
    wb.sql("SELECT id, price AS unused FROM cheap_a -- not the view id", name="q")
    plan = wb.promote("q", job=job, to=out)
    assert paths(plan)[:3] == ["sql/tables/trades.sql", "sql/views/cheap.sql", "sql/views/cheap_a.sql"]
    assert "`unused`" in plan.script
    assert not {"sql/tables/unused.sql", "sql/views/id.sql"} & set(paths(plan))
    plan.apply(run=True)
    assert len(rows_in(wb, out, lambda df: len(df) == 10).df) == 10


def test_a_parameter_stays_in_the_file_and_is_filled_into_script_and_args(wb, trades, job, out):
    wb.sql(
        f"SELECT id FROM trades {BOUNDED} WHERE symbol = '${{symbol}}'", name="one", params={"symbol": "B"}
    )
    plan = wb.promote("one", job=job, to=out)
    assert "symbol = '${symbol}'" in content(plan, f"sql/jobs/{job}.sql")
    assert "symbol = 'B'" in plan.script
    assert "${" not in plan.script
    terraform = content(plan, f"terraform/{job}.tf")
    assert 'symbol = "B"' in terraform
    assert "var.kafka" in terraform
    assert plan.receipt["parameters"] == {"symbol": "B"}


def test_a_parameter_of_a_table_is_filled_in_too(wb, trades, job, out):
    wb.sql(
        TABLE.format(table="t", topic="${topic}", more=""),
        params={"topic": trades},
    )
    wb.sql(f"SELECT id FROM t {BOUNDED}", name="q")
    plan = wb.promote("q", job=job, to=out)
    assert "'topic' = '${topic}'" in content(plan, "sql/tables/t.sql")
    assert f"'topic' = '{trades}'" in plan.script
    assert f'topic = "{trades}"' in content(plan, f"terraform/{job}.tf")


def test_a_parameter_with_two_values_is_refused(wb, trades, job, out):
    wb.sql(
        f"CREATE TEMPORARY VIEW v AS SELECT id FROM trades {BOUNDED} WHERE id > ${{n}}",
        params={"n": 3},
    )
    wb.sql("SELECT id FROM v WHERE id < ${n}", name="q", params={"n": 20})
    with pytest.raises(SliceError, match=r"\$\{n\} had another value"):
        wb.promote("q", job=job, to=out)


def test_a_cell_edited_after_it_ran_is_refused(wb, trades, job, out):
    text = f"SELECT id FROM trades {BOUNDED}"
    wb.sql(text, name="q")
    with pytest.raises(NotValidated, match="q was edited after it ran"):
        wb.promote("q", job=job, to=out, current_text=f"{text} WHERE id > 1")
    assert wb.promote("q", job=job, to=out, current_text=f"{text}\n").unchanged is False


def test_a_cell_that_failed_is_refused(wb, trades, job, out):
    with pytest.raises(StatementError):
        wb.sql("SELECT nothing FROM trades", name="q")
    with pytest.raises(NotValidated, match="q did not run without error: failed"):
        wb.promote("q", job=job, to=out)


def test_a_cell_whose_rows_failed_is_refused(wb, trades, job, out):
    with pytest.raises(JobFailed):
        wb.sql(f"SELECT id / (id - id) AS x FROM trades {BOUNDED}", name="q")
    with pytest.raises(NotValidated, match="q did not run without error: failed"):
        wb.promote("q", job=job, to=out)


def test_a_name_that_never_ran_is_refused(wb, trades, job, out):
    wb.sql(f"SELECT id FROM trades {BOUNDED}", name="q")
    with pytest.raises(NotValidated, match="no cell named 'r' has run") as caught:
        wb.promote("r", job=job, to=out)
    assert "known: q" in caught.value.hint


def test_a_literal_password_blocks_and_nothing_is_written(wb, trades, repository, job, out):
    wb.sql(TABLE.format(table="s", topic=trades, more=", 'properties.ssl.key.password' = 'hunter2'"))
    wb.sql(f"SELECT id FROM s {BOUNDED}", name="q")
    plan = wb.promote("q", job=job, to=out)
    assert {f.code for f in plan.findings if f.severity == "error"} == {"SDP010"}
    before = snapshot(repository)
    with pytest.raises(Blocked, match="SDP010") as caught:
        plan.apply(run=True)
    assert "hunter2" not in str(caught.value)
    assert snapshot(repository) == before
    assert not wb.topics()["topic"].eq(out).any()


def test_a_password_passed_as_a_parameter_blocks(wb, trades, job, out):
    wb.sql(
        TABLE.format(table="s", topic=trades, more=", 'properties.ssl.key.password' = '${pw}'"),
        params={"pw": "hunter2"},
    )
    wb.sql(f"SELECT id FROM s {BOUNDED}", name="q")
    with pytest.raises(Blocked, match="SDP010"):
        wb.promote("q", job=job, to=out).apply()


def test_a_dirty_repository_is_refused(wb, trades, repository, job, out):
    wb.sql(f"SELECT id FROM trades {BOUNDED}", name="q")
    plan = wb.promote("q", job=job, to=out)
    (repository / "sdp.toml").write_text("# changed\n", encoding="utf-8")
    before = snapshot(repository)
    for act in (lambda: wb.promote("q", job=job, to=out), plan.apply):
        with pytest.raises(RepositoryError, match=r"uncommitted changes: sdp\.toml"):
            act()
    assert snapshot(repository) == before


@pytest.mark.parametrize("name", ["Orders", "a_b", "", "../x", "a\n"])
def test_a_bad_job_name_is_refused(wb, trades, out, name):
    wb.sql(f"SELECT id FROM trades {BOUNDED}", name="q", limit=1)
    with pytest.raises(UsageError, match="is not a job name"):
        wb.promote("q", job=name, to=out)


def test_a_bad_or_missing_topic_is_refused(wb, trades, job):
    wb.sql(f"SELECT id FROM trades {BOUNDED}", name="q", limit=1)
    for name in ("a b", "", "a/b", "x" * 250, "..", "a\n"):
        with pytest.raises(UsageError, match="is not a topic name"):
            wb.promote("q", job=job, to=name)
    with pytest.raises(UsageError, match="needs an output topic"):
        wb.promote("q", job=job)


def test_an_output_named_like_what_the_query_reads_is_refused(wb, trades, job):
    wb.sql(f"CREATE TEMPORARY VIEW cheap AS SELECT * FROM trades {BOUNDED}")
    wb.sql("SELECT id FROM cheap", name="q")
    with pytest.raises(PromoteError, match="cheap"):
        wb.promote("q", job=job, to="cheap")


def test_a_cell_that_only_declares_is_no_job(wb, trades, job):
    wb.sql("CREATE TEMPORARY VIEW v AS SELECT 1 AS x", name="v")
    with pytest.raises(UsageError, match="ends in CREATE VIEW is not a job"):
        wb.promote("v", job=job)


def test_the_same_job_again_is_unchanged_and_nothing_is_committed(wb, trades, repository, job, out):
    wb.sql(COUNTS, name="counts")
    first = wb.promote("counts", job=job, to=out).apply()
    before = snapshot(repository)
    wb.sql(COUNTS, name="counts")
    plan = wb.promote("counts", job=job, to=out)
    assert plan.unchanged
    again = plan.apply()
    assert (again.commit, again.files) == (first.commit, ())
    assert "unchanged" in again.to_text()
    assert snapshot(repository) == before


def test_other_content_under_a_job_s_name_needs_replace(wb, trades, repository, job, out):
    wb.sql(f"SELECT id FROM trades {BOUNDED}", name="q")
    first = wb.promote("q", job=job, to=out).apply()
    wb.sql(f"SELECT id FROM trades {BOUNDED} WHERE id > 3", name="q")
    before = snapshot(repository)
    with pytest.raises(RepositoryError, match=f"has a job {job} with other content") as caught:
        wb.promote("q", job=job, to=out)
    assert "id > 3" in caught.value.detail
    assert snapshot(repository) == before
    plan = wb.promote("q", job=job, to=out, replace=True)
    applied = plan.apply()
    assert git(repository, "rev-parse", f"{applied.commit}^") == first.commit
    assert sorted(applied.files) == [
        f"sql/jobs/{job}.{kind}" for kind in ("plan.json", "receipt.json", "sql")
    ]


def test_another_job_s_table_with_other_content_is_refused_by_its_users(wb, trades, repository, job, out):
    wb.sql(f"SELECT id FROM trades {BOUNDED}", name="q")
    applied = wb.promote("q", job=job, to=out).apply()
    git(repository, "merge", "-q", "--ff-only", applied.branch)
    wb.sql(
        f"DROP TABLE trades; {TABLE.format(table='trades', topic=trades, more='')}".replace(
            "DOUBLE", "STRING"
        )
    )
    wb.sql(f"SELECT id FROM trades {BOUNDED}", name="q")
    with pytest.raises(RepositoryError, match=rf"sql/tables/trades\.sql has other content.*used by {job}"):
        wb.promote("q", job=f"{job}-2", to=f"{out}2")


def test_a_plan_is_refused_once_the_repository_has_moved_on(wb, trades, repository, job, out):
    wb.sql(f"SELECT id FROM trades {BOUNDED}", name="q")
    plan = wb.promote("q", job=job, to=out)
    git(repository, "commit", "-q", "--allow-empty", "-m", "Meanwhile")
    before = snapshot(repository)
    with pytest.raises(RepositoryError, match="moved on since this plan"):
        plan.apply()
    assert snapshot(repository) == before
