"""What a shadow run refuses, where it aims sources and sinks, and how it is shown. The runs are real elsewhere."""

import json
from types import SimpleNamespace

import pyarrow as pa
import pytest

from sdp_kernel.connection import KafkaCluster
from sdp_kernel.errors import UsageError
from sdp_kernel.repository import retarget
from sdp_kernel.repository.job import CommittedJob
from sdp_kernel.repository.reach import Reach, places
from sdp_kernel.repository.shadow import Host, Run, Shadow, shadow
from sdp_kernel.repository.tables import FinalTable, diff
from sdp_kernel.repository.versions import Version

KAFKA = {"main": KafkaCluster("main", {"bootstrap.servers": "127.0.0.1:1"})}
ORDERS = "CREATE TABLE orders (id INT) WITH ('connector' = 'kafka', 'topic' = 'orders', 'properties.bootstrap.servers' = '127.0.0.1:1');"
OUT = "CREATE TABLE out (id INT) WITH ('connector' = 'blackhole');"
INSERT = "INSERT INTO out SELECT * FROM orders;"


def version(script, called="HEAD"):
    return Version(CommittedJob("j", None, {}, (), script), "", called)


def refused(script):
    host = Host(SimpleNamespace(), KAFKA, lambda table: table, lambda line: None)
    with pytest.raises(UsageError) as caught:
        shadow(version(script), version(script), host)
    return str(caught.value)


@pytest.mark.parametrize("script", [ORDERS + OUT, "", ORDERS + OUT + "SELECT * FROM orders;"])
def test_a_script_that_starts_no_job_is_refused(script):
    assert "starts no job" in refused(script)


@pytest.mark.parametrize(
    "more",
    [
        "INSERT INTO out SELECT 1;",
        "TRUNCATE TABLE out;",
        "CALL sys.go();",
        "DROP CATALOG c;",
        "DELETE FROM out;",
    ],
)
def test_a_script_that_does_something_outside_its_session_is_refused(more):
    assert "does more than declare" in refused(ORDERS + OUT + more + INSERT)


def test_a_sink_that_the_job_does_not_declare_is_refused():
    said = refused(ORDERS + INSERT)
    assert "writes to out, which its files do not declare" in said


def test_a_statement_set_with_one_sink_that_is_not_declared_is_refused():
    said = refused(
        ORDERS
        + OUT
        + "EXECUTE STATEMENT SET BEGIN INSERT INTO out SELECT 1; INSERT INTO c.d.e SELECT 1; END;"
    )
    assert "writes to c.d.e" in said


def test_a_table_that_is_read_and_written_is_refused():
    assert "reads out and writes it" in refused(OUT + "INSERT INTO out SELECT * FROM out;")


@pytest.mark.parametrize(
    "script",
    [
        f"CREATE CATALOG c WITH ('type' = 'jdbc');USE CATALOG c;{ORDERS}{OUT}{INSERT}",
        ORDERS + OUT.replace("out", "c.d.out") + INSERT,
        f"USE /* x */ CATALOG c;{ORDERS}{OUT}{INSERT}",
        f"USE c.d;{ORDERS}{OUT}{INSERT}",
        f"{ORDERS}{OUT}DROP TABLE c.d.x;{INSERT}",
        f"{ORDERS}{OUT}ALTER TABLE c.d.x SET ('topic' = 'a');{INSERT}",
        f"{ORDERS}{OUT}ALTER TABLE orders RENAME TO c.d.x;{INSERT}",
        f"{ORDERS}CREATE TABLE out LIKE c.d.x;{INSERT}",
        f"{ORDERS}{OUT}DROP DATABASE c.d;{INSERT}",
    ],
)
def test_tables_in_a_catalog_of_their_own_are_refused(script):
    assert "catalog of its own" in refused(script)


def test_a_catalog_s_table_is_not_taken_for_a_declared_one_of_its_name():
    assert "writes to c.d.out" in refused(ORDERS + OUT + "INSERT INTO c.d.out SELECT * FROM orders")
    assert "reads c.d.orders" in refused(ORDERS + OUT + "INSERT INTO out SELECT * FROM c.d.orders")


def test_two_tables_of_one_name_in_two_databases_are_refused():
    script = ORDERS + OUT + "USE b;" + OUT + "INSERT INTO default_database.out SELECT * FROM orders"
    assert "before and after a USE" in refused(script)


@pytest.mark.parametrize("last", ["EXECUTE PLAN '/p.json'", "DELETE FROM out", "CREATE TABLE o AS SELECT 1"])
def test_a_job_that_is_no_insert_is_refused(last):
    assert "starts no job" in refused(ORDERS + OUT + last)


@pytest.mark.parametrize(
    "source",
    [
        "CREATE TABLE orders (id INT) WITH ('connector' = 'mysql-cdc', 'server-id' = '5400');",
        "CREATE TABLE orders (id INT);",
    ],
)
def test_a_source_that_may_have_no_end_is_refused(source):
    assert "orders has" in refused(source + OUT + INSERT)


def test_no_records_are_refused():
    host = Host(SimpleNamespace(), KAFKA, lambda table: table, lambda line: None)
    with pytest.raises(UsageError, match="0 records"):
        shadow(version(INSERT), version(INSERT), host, records=0)


def table(connector, *, keyed=False, **options):
    named = {key.replace("__", "."): value for key, value in options.items()}
    return retarget.JobTable(("t",), {"connector": connector, **named}, keyed=keyed)


def reach():
    return Reach(KAFKA, 100, None, 1_000)


def test_a_sink_keeps_its_format_and_loses_what_ties_it_to_the_running_job():
    found = reach().of_sink(
        table("kafka", topic="real", format="avro", **{
            "sink.transactional-id-prefix": "p", "sink.delivery-guarantee": "exactly-once",
            "properties.group.id": "g", "scan.startup.mode": "latest-offset",
        }),
        "away", "127.0.0.1:1",
    )  # fmt: skip
    assert found.options["topic"] == "away"
    assert found.options["scan.startup.mode"] == "earliest-offset"
    for gone in ("sink.transactional-id-prefix", "sink.delivery-guarantee", "properties.group.id"):
        assert found.options[gone] is None
    assert "format" not in found.options
    assert not found.anew


def test_a_sink_registers_no_schema():
    found = reach().of_sink(
        table("upsert-kafka", **{
            "topic": "real", "key.format": "avro-confluent", "key.avro-confluent.url": "http://r",
            "value.format": "debezium-avro-confluent", "value.debezium-avro-confluent.url": "http://r",
            "value.debezium-avro-confluent.subject": "real-value",
        }),
        "away", "127.0.0.1:1",
    )  # fmt: skip
    assert {key: value for key, value in found.options.items() if "format" in key} == {
        "key.format": "json",
        "value.format": "debezium-json",
    }
    assert all(found.options[key] is None for key in found.options if "confluent" in key)
    assert "value.debezium-avro-confluent.subject" in found.options
    assert places("value.avro-confluent.subject")


@pytest.mark.parametrize("keyed", [True, False])
def test_a_sink_that_is_no_kafka_table_becomes_a_topic_of_changes(keyed):
    found = reach().of_sink(table("jdbc", keyed=keyed, url="x"), "away", "127.0.0.1:1")
    assert found.anew
    assert found.options == {
        "connector": "kafka", "format": "debezium-json", "topic": "away",
        "properties.bootstrap.servers": "127.0.0.1:1",
        "scan.startup.mode": "earliest-offset", "scan.bounded.mode": "latest-offset",
    }  # fmt: skip


def test_sources_without_offsets_are_bounded_as_they_can_be_and_said():
    looked = reach()
    assert looked.of_source(table("datagen")).options == {"number-of-rows": "100"}
    assert looked.of_source(table("filesystem", **{"source.monitor-interval": "1s"})).options == {
        "source.monitor-interval": None
    }
    assert looked.of_source(table("rest-lookup")).options == {}
    assert len(looked.notes) == 2


@pytest.mark.parametrize("since", [None, 500])
def test_several_topics_are_read_by_time(since):
    looked = Reach(KAFKA, 100, since, 1_000)
    found = looked.of_source(table("kafka", topic="a;b", **{"properties.group.id": "g"})).options
    assert found["scan.bounded.mode"] == "timestamp"
    assert found["scan.bounded.timestamp-millis"] == "1000"
    assert found["scan.startup.mode"] == ("earliest-offset" if since is None else "timestamp")
    assert found["properties.group.id"] is None
    assert "by time and not by offsets" in looked.notes[0]


def test_hints_lose_what_says_where_and_keep_what_says_how():
    assert places("scan.startup.mode")
    assert places("topic")
    assert places("properties.group.id")
    assert places("sink.transactional-id-prefix")
    assert not places("json.ignore-parse-errors")
    assert not places("scan.parallelism")


def found(*, same_text=False, old=1, new=2):
    runs = (Run("old", "HEAD (1a)", "a" * 32, 2.0, 1000, 2048), Run("new", "<b>", "b" * 32, 4.0, 1000, None))
    tables = tuple(FinalTable(pa.table({"id": [1], "v": [value]}), ("id",)) for value in (old, new))
    return Shadow("j", runs, (diff("out", *tables),), {"orders": {0: (10, 1010)}}, same_text, ("a note",))


def test_a_shadow_run_says_versions_speed_state_and_difference():
    said = found().to_text().splitlines()
    assert said[:5] == [
        "j: HEAD (1a) and <b> differ",
        "old: HEAD (1a), 1,000 records in 2.0 s (500/s), state 2 KiB",
        "new: <b>, 1,000 records in 4.0 s (250/s)",
        "orders: 1,000 records of 1 partition",
        "a note",
    ]
    assert "out: 1 changed; 0 rows the same" in said


def test_a_difference_of_one_text_is_said_to_be_the_job_s_own():
    assert "not deterministic" in found(same_text=True).to_text()
    same = found(same_text=True, new=1)
    assert not same.differs
    assert "both versions are the same text" in same.to_text()


def test_a_shadow_run_is_escaped_in_html_and_plain_in_json():
    assert "<b>" not in found().to_html().replace("<b>j: ", "").replace("<b>out", "")
    said = json.loads(json.dumps(found().to_json()))
    assert said["differs"]
    assert said["runs"]["old"]["records_per_second"] == 500
    assert said["offsets"] == {"orders": {"0": [10, 1010]}}
