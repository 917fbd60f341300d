"""Bounded queries by way of files give what the gateway's pages give."""

import time

import pytest

from sdp_kernel.errors import SdpError
from sdp_kernel.flink.session import Session

pytestmark = pytest.mark.stack

BATCH = {"execution.runtime-mode": "batch"}
QUERIES = [
    (
        "SELECT s FROM (VALUES (''), ('x'), (CAST(NULL AS STRING)), ('a,b'), ('q\"uo\"te'), ('new\nline'), ('null'),"
        " (' sp '), ('\\back\\n'), ('\"')) AS t(s)"
    ),
    (
        "SELECT CAST(x AS DOUBLE) AS d, CAST(x AS FLOAT) AS f, CAST(x AS DECIMAL(38, 18)) AS c"
        " FROM (VALUES ('1e-5'), ('-0.0'), ('123456789')) AS t(x)"
    ),
    (
        "SELECT CAST(x AS TIMESTAMP(3)) AS a, CAST(x AS TIMESTAMP(6)) AS b, CAST(x AS TIMESTAMP(9)) AS c,"
        " CAST(CAST(x AS TIMESTAMP(9)) AS TIMESTAMP_LTZ(9)) AS l, CAST(CAST(x AS TIMESTAMP(3)) AS DATE) AS d,"
        " CAST(CAST(x AS TIMESTAMP(3)) AS TIME) AS t"
        " FROM (VALUES ('2024-02-29 12:34:56.123456789'), ('1969-12-31 23:59:59.9')) AS t(x)"
    ),
    "WITH n AS (SELECT i FROM (VALUES (3), (1), (2)) AS t(i)) SELECT i FROM n ORDER BY i DESC",
    "SELECT ARRAY[1, 2] AS a",  # not a scalar: the ordinary way
    'SELECT x AS `we"ird ``name` FROM (VALUES (1)) AS t(x) WHERE 1 = 0',
]


def sorted_rows(query):
    return sorted(map(repr, query.arrow.to_pylist()))


@pytest.mark.parametrize("sql", QUERIES)
def test_rows_are_the_same_by_files_and_by_pages(spooling, session, sql):
    by_files, by_pages = spooling.execute(sql, config=BATCH), session.execute(sql, config=BATCH)
    assert by_files.arrow.schema == by_pages.arrow.schema
    assert [c.type.sql() for c in by_files.columns] == [c.type.sql() for c in by_pages.columns]
    assert sorted_rows(by_files) == sorted_rows(by_pages)
    if "ORDER BY" in sql:
        assert by_files.arrow.equals(by_pages.arrow)


@pytest.fixture
def spooling(stack, tmp_path):
    """A session whose batch queries come by files."""
    opened = Session(stack.gateway, jobmanager=stack.jobmanager, spool=tmp_path / "spool")
    yield opened
    opened.close()
    assert not list((tmp_path / "spool").glob("*"))


def test_a_job_that_fails_says_why(spooling):
    with pytest.raises(SdpError, match="by zero"):
        spooling.execute("SELECT 1 / (a - 1) AS x FROM (VALUES (1), (2)) AS t (a)", config=BATCH)


def test_a_limit_ends_the_job_and_leaves_nothing(spooling):
    spooling.execute(
        "CREATE TABLE many (n BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '2000000')"
    )
    query = spooling.execute("SELECT n FROM many", config=BATCH, limit=100)
    assert (query.state, len(query)) == ("limit", 100)
    assert query.ended(30)
    assert spooling.jobmanager.state(query.job_id) in {"CANCELED", "FINISHED"}
    assert spooling.execute("SHOW TABLES").arrow.to_pylist() == [{"table name": "many"}]
    assert spooling.execute("SHOW VIEWS").arrow.num_rows == 0


def test_a_query_is_stopped_while_it_writes(spooling):
    spooling.execute("CREATE TABLE slow (n BIGINT) WITH ('connector' = 'datagen',"
                     " 'number-of-rows' = '100000', 'rows-per-second' = '100')")  # fmt: skip
    query = spooling.execute("SELECT n FROM slow", config=BATCH, background=True)
    deadline = time.monotonic() + 60
    while not len(query):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    query.stop()
    assert query.state == "stopped"
    assert spooling.jobmanager.state(query.job_id) == "CANCELED"


def test_its_plan_is_there_for_a_promotion(spooling):
    query = spooling.execute("SELECT x FROM (VALUES (1), (2)) AS t (x)", config=BATCH)
    assert "Optimized Physical Plan" in query.plan
    assert not query.updating
