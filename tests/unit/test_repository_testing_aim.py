"""What a job's test never reaches: other catalogs, what a statement does outside, options of another table."""

import pytest

from sdp_kernel.errors import UsageError
from sdp_kernel.flink.script import split
from sdp_kernel.repository import retarget
from sdp_kernel.repository.testing.aim import SHORT_LIVED, aim
from sdp_kernel.repository.testing.case import Case

ORDERS = "CREATE TABLE orders (id INT) WITH ('connector' = 'kafka', 'topic' = 'orders', 'format' = 'json');"
TOTALS = (
    "CREATE TABLE totals (id INT, n BIGINT) WITH ('connector' = 'kafka', 'topic' = 't', 'format' = 'json');"
)
INSERT = "INSERT INTO totals SELECT id, 1 FROM orders"


@pytest.fixture
def case(tmp_path):
    file = tmp_path / "tests/totals/sample/input/orders.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text("", encoding="utf-8")
    return Case("totals", "sample", tmp_path)


def aimed(script, case):
    work = case.root / "work"
    return aim(split(script), case, bootstrap="here:1", prefix="p", directory=work, lookups="http://here")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (
            f"CREATE CATALOG lake WITH ('type' = 'hive'); USE CATALOG lake; {ORDERS}{TOTALS}{INSERT}",
            "catalog",
        ),
        (f"{ORDERS}{TOTALS}USE /* x */ CATALOG lake; {INSERT}", "catalog"),
        (f"{ORDERS}{TOTALS}INSERT INTO lake.db.totals SELECT id, 1 FROM orders", "writes to lake.db.totals"),
        (f"{ORDERS}{TOTALS}INSERT INTO totals SELECT id, 1 FROM lake.db.orders", "reads lake.db.orders"),
        (f"{ORDERS}{TOTALS}INSERT INTO b.other SELECT id, 1 FROM orders", "writes to b.other, which"),
        (f"{ORDERS}{TOTALS}DROP TABLE lake.db.x; {INSERT}", "DROP TABLE lake.db.x"),
        (f"{ORDERS}{TOTALS}TRUNCATE TABLE totals; {INSERT}", "TRUNCATE"),
        (f"{ORDERS}{TOTALS}CALL sys.go(); {INSERT}", "CALL"),
        (f"{ORDERS}{TOTALS}DELETE FROM totals WHERE id = 1", "starts no job"),
        (f"{ORDERS}{TOTALS}EXECUTE PLAN '/p.json'", "starts no job"),
    ],
)
def test_a_job_that_a_test_cannot_keep_apart_is_refused(case, script, said):
    with pytest.raises(UsageError) as refused:
        aimed(script, case)
    assert said in str(refused.value)


def test_the_session_s_own_catalog_may_be_named(case):
    whole = "default_catalog.default_database.totals"
    found = aimed(
        f"{ORDERS}{TOTALS}USE CATALOG default_catalog; INSERT INTO {whole} SELECT id, 1 FROM orders", case
    )
    assert [sink.table for sink in found.sinks] == ["totals"]


def options_in_force(found):
    statements = split(";".join((*found.declarations, found.job)))
    return {table.name: table.options for table in retarget.tables(statements)}


def test_options_that_come_through_like_do_not_come_back(case):
    base = """CREATE TABLE base (id INT, n BIGINT, PRIMARY KEY (id) NOT ENFORCED) WITH ('connector' = 'kafka',
      'topic-pattern' = 'real.*', 'sink.delivery-guarantee' = 'exactly-once', 'format' = 'json',
      'sink.transactional-id-prefix' = 'p', 'properties.sasl.jaas.config' = 'x');"""
    like = "CREATE TABLE totals WITH ('properties.bootstrap.servers' = 'main.test:1') LIKE base;"
    found = aimed(ORDERS + base + like + INSERT, case)
    assert options_in_force(found)["totals"] == {
        "connector": "kafka", "format": "json", "properties.bootstrap.servers": "here:1", "topic": "p-1-real-",
        **SHORT_LIVED,
    }  # fmt: skip
