"""Queries as a notebook lives with them: many at once, stopped, saved, read from and until, in batch."""

import json
import time

import polars as pl
import pytest

from sdp_kernel.errors import SdpError, UsageError
from sdp_kernel.flink.jobs import TERMINAL
from sdp_kernel.workbench import connect

pytestmark = pytest.mark.stack

TICKS = """CREATE TABLE ticks (n BIGINT, k AS MOD(n, 5)) WITH ('connector' = 'datagen',
  'rows-per-second' = '50', 'fields.n.kind' = 'sequence', 'fields.n.start' = '0', 'fields.n.end' = '1000000')"""


@pytest.fixture
def workbench(stack, tmp_path):
    """A workbench on the running stack."""
    (tmp_path / "sdp.toml").write_text(
        f'[profiles.shared]\ngateway = "{stack.gateway}"\njobmanager = "{stack.jobmanager}"\n'
        f'[profiles.shared.kafka.main]\n"bootstrap.servers" = "{stack.kafka}"\n'
    )
    with connect("shared", directory=tmp_path) as opened:
        yield opened


@pytest.fixture
def ticks(workbench):
    workbench.sql(TICKS)
    return workbench


@pytest.fixture
def orders(workbench, topic_name, produce):
    """A topic of ten orders, two of each second, and a table over it."""
    start = 1_767_603_600_000
    produce(topic_name, [(None, json.dumps({"id": i, "at": start + i // 2 * 1000})) for i in range(10)])
    workbench.sql(
        f"""CREATE TABLE orders (id INT, `at` BIGINT) WITH ('connector' = 'kafka', ${{kafka.main}},
              'topic' = '{topic_name}', 'format' = 'json', 'scan.startup.mode' = 'latest-offset')"""
    )
    return workbench


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def test_many_queries_run_beside_other_cells(ticks):
    queries = [
        ticks.sql(
            f"SELECT k, COUNT(*) AS c FROM ticks WHERE k >= {i % 5} GROUP BY k", name=f"q{i}", background=True
        )
        for i in range(8)
    ]
    assert ticks.sql("SELECT 1 AS n").df["n"].tolist() == [1]
    until(lambda: all(len(query) == 5 - i % 5 for i, query in enumerate(queries)))
    assert {query.state for query in queries} == {"running"}
    assert [query.name for query in ticks.session.running] == [f"q{i}" for i in range(8)]
    until(lambda: {query.upsert_key for query in queries} == {("k",)})
    assert ticks.stop("q3") == [queries[3]]
    assert len(ticks.stop()) == 7
    assert {ticks.jobmanager.state(query.job_id) for query in queries} <= TERMINAL


def test_a_name_that_is_used_again_stops_the_query_that_had_it(ticks):
    first = ticks.sql("SELECT * FROM ticks", name="q", background=True)
    second = ticks.sql("SELECT * FROM ticks", name="q", limit=5)
    assert (first.state, second.state) == ("stopped", "limit")
    assert ticks.queries["q"] is second


def test_of_an_endless_query_the_newest_rows_are_kept(ticks):
    query = ticks.sql("SELECT * FROM ticks", name="q", background=True, keep=100)
    until(lambda: query.rows is not None and query.rows.dropped > 50)
    query.stop()
    rows = query.df["n"].tolist()
    assert 100 <= len(rows) < 300
    assert rows == list(range(rows[0], rows[0] + len(rows)))


def test_a_query_in_the_background_that_fails_says_why(ticks):
    query = ticks.sql("SELECT 10 / (n - 20) AS x FROM ticks", name="q", background=True)
    until(query.over)
    assert query.state == "failed"
    with pytest.raises(SdpError, match="by zero"):
        query.wait()


def test_what_is_stopped_while_it_is_planned_never_runs(ticks):
    query = ticks.sql("SELECT a.k, COUNT(*) AS c FROM ticks a JOIN ticks b ON a.n = b.n GROUP BY a.k",
                      background=True)  # fmt: skip
    query.ask_to_end("interrupted")
    assert query.ended(30)
    assert query.state == "interrupted"
    time.sleep(2)
    states = {job.id: job.state for job in ticks.jobs()}
    assert states.get(query.job_id, "CANCELED") in TERMINAL


def test_a_job_goes_on_from_its_savepoint(workbench, topic_name, produce, tmp_path):
    """The count continues over the stop: the state came back."""
    produce(topic_name, [])
    workbench.sql(TICKS.replace("'50'", "'200'"))
    workbench.sql(
        f"""CREATE TABLE counts (k BIGINT, c BIGINT, PRIMARY KEY (k) NOT ENFORCED) WITH (
              'connector' = 'upsert-kafka', ${{kafka.main}}, 'topic' = '{topic_name}',
              'key.format' = 'json', 'value.format' = 'json')"""
    )
    insert = "INSERT INTO counts SELECT k, COUNT(*) AS c FROM ticks GROUP BY k"
    first = workbench.sql(insert, name="counting")
    assert first.state == "submitted"
    until(lambda: workbench.vitals(workbench.job("counting"))[first.job_id].records_in)
    time.sleep(2)
    directory = (tmp_path / "savepoints").as_uri()
    (kept,) = workbench.savepoint("counting", directory=directory)
    assert kept.startswith(directory.replace("file:///", "file:/"))
    (path,) = workbench.savepoint("counting", directory=directory, stop=True)
    until(lambda: workbench.jobmanager.state(first.job_id) == "FINISHED")
    sample = workbench.sample(topic_name, n=5)
    before = max(sample.df["c"])
    second = workbench.sql(insert, name="counting", savepoint=path)
    until(lambda: max(workbench.sample(topic_name, n=5).df["c"]) > before)
    counts = workbench.sample(topic_name, n=100_000).df
    after = counts[counts["c"] > before]["c"]
    assert after.min() <= before + 1
    workbench.cancel(second.job_id)


def test_a_savepoint_of_a_job_that_is_gone_is_refused_by_name(ticks):
    with pytest.raises(UsageError, match="no running job is called 'nothing'"):
        ticks.savepoint("nothing")


def test_from_and_until_read_a_part_without_a_change_to_the_table(orders):
    bounded = orders.sql("SELECT id FROM orders", start="earliest", until="now")
    assert (bounded.state, sorted(bounded.df["id"])) == ("finished", list(range(10)))
    assert orders.sql("SELECT id FROM orders", start="0@4", until="0@7").df["id"].tolist() == [4, 5, 6]
    orders.sql("CREATE VIEW evens AS SELECT id FROM orders WHERE MOD(id, 2) = 0")
    through = orders.sql("SELECT id AS e FROM evens", start="earliest", until="now")
    assert sorted(through.df["e"]) == [0, 2, 4, 6, 8]
    assert through.text == "SELECT id AS e FROM evens"
    assert "latest-offset" in str(orders.sql("SHOW CREATE TABLE orders").arrow.to_pylist())


def test_a_batch_gives_one_answer_in_order(orders):
    query = orders.sql(
        "SELECT MOD(id, 2) AS m, COUNT(*) AS c FROM orders GROUP BY MOD(id, 2) ORDER BY m DESC",
        start="earliest",
        batch=True,
    )
    assert query.state == "finished"
    assert query.changes == 2
    assert query.arrow.to_pylist() == [{"m": 1, "c": 5}, {"m": 0, "c": 5}]
    streamed = orders.sql("SELECT COUNT(*) AS c FROM orders", start="earliest", until="now")
    assert streamed.changes > 1


def test_a_frame_is_a_table_beside_a_topic(orders):
    import pandas as pd

    names = pd.DataFrame({"id": [1, 3, 99], "name": ["one", "it's three", None]})
    query = orders.sql(
        "SELECT o.id, n.name FROM orders AS o JOIN names AS n ON o.id = n.id",
        start="earliest",
        until="now",
        frames={"names": names},
    )
    assert sorted(query.df.itertuples(index=False, name=None)) == [(1, "one"), (3, "it's three")]


def test_a_query_is_a_table_and_a_frame_of_any_library(orders, tmp_path):
    import duckdb
    import pandas as pd

    first = orders.sql("SELECT id FROM orders", start="earliest", until="now")
    again = orders.sql("SELECT SUM(id) AS s FROM ids", frames={"ids": first})
    assert again.df["s"].tolist()[-1] == 45
    assert pl.DataFrame(first)["id"].sum() == 45
    assert duckdb.sql("SELECT sum(id) FROM first").fetchall() == [(45,)]
    first.to_parquet(tmp_path / "ids.parquet")
    assert pd.read_parquet(tmp_path / "ids.parquet")["id"].sum() == 45


def test_a_plan_is_drawn_without_running_anything(orders):
    before = {job.id for job in orders.jobs()}
    plan = orders.explain("SELECT MOD(id, 2) AS m, COUNT(*) AS c FROM orders GROUP BY MOD(id, 2)")
    assert [node.appends for node in plan.roots] == [False]
    assert plan.unbounded
    assert {job.id for job in orders.jobs()} == before
    with pytest.raises(UsageError, match="no plan of SHOW"):
        orders.explain("SHOW TABLES")


def test_a_silent_query_says_that_it_reads_from_the_end(orders):
    query = orders.sql("SELECT * FROM orders", background=True)
    until(lambda: orders.why(query).first.kind == "startup-past-data")
    assert "latest-offset" in str(orders.why(query).first)
    query.stop()
