"""Why no rows: each cause brought about for real, on real Kafka and Flink."""

import json
import time
from types import MappingProxyType

import pytest

from sdp_kernel.diagnose import why
from sdp_kernel.flink.session import Session
from sdp_kernel.kafka.cluster import Cluster
from sdp_kernel.local.components import free_ports
from sdp_kernel.local.stack import Stack
from sdp_kernel.settings import KafkaCluster, LocalSettings, Profile

pytestmark = pytest.mark.stack


class Bench:
    """A workbench's session, profile and clusters, on a session of the test's own."""

    def __init__(self, session, *clusters):
        self.session = session
        self._clusters = {cluster.alias: cluster for cluster in clusters}
        kafka = MappingProxyType({alias: c.settings for alias, c in self._clusters.items()})
        self.profile = Profile("test", kafka=kafka)

    def cluster(self, alias=None):
        return self._clusters[alias or "main"]


@pytest.fixture
def bench(session, cluster):
    return Bench(session, cluster)


@pytest.fixture
def silent(bench):
    """Run a query in the background; give its diagnosis once ``kind`` comes first. Stops it at the end.

    ``apart``: wait until the query has read so far that its evidence has partitions so many ms apart.
    """
    started = []

    def diagnose(sql, kind, *, seconds=45, rows=0, apart=None):
        query = bench.session.execute(sql, background=True)
        started.append(query)
        until = time.monotonic() + seconds
        while True:
            found = why(query, bench)
            assert found.seconds < 5
            met = found.first.kind == kind and len(query) >= rows
            if met and (apart is None or behind(found.first) == apart):
                return found.first
            assert time.monotonic() < until, f"{found.kinds}: {found}"
            time.sleep(0.5)

    yield diagnose
    for query in started:
        query.stop()


def behind(found):
    """By how many ms the slowest partition is behind the others; None as long as it has no watermark."""
    ahead, watermark = (found.evidence.get(name) for name in ("ahead_ms", "watermark_ms"))
    return None if ahead is None or watermark is None else ahead - watermark


def table(topic, *, columns="id BIGINT, v STRING", **options):
    """A CREATE TABLE over a topic; options in Python's spelling: ``scan_startup_mode``."""
    given = {"scan.startup.mode": "earliest-offset", "format": "json"}
    given |= {name.replace("_", "."): value for name, value in options.items()}
    listed = "".join(f", '{name}' = '{value}'" for name, value in given.items())
    return f"CREATE TABLE t ({columns}) WITH ('connector' = 'kafka', ${{kafka.main}}, 'topic' = '{topic}'{listed})"


TIMED = "id BIGINT, ts TIMESTAMP_LTZ(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND"
PER_MINUTE = """SELECT window_start, window_end, COUNT(*) AS n
                FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE))
                GROUP BY window_start, window_end"""


def timed(topic, columns=TIMED):
    ddl = table(topic, columns=columns)
    return f"{ddl[:-1]}, 'json.timestamp-format.standard' = 'ISO-8601')"


def write(stack, topic, records, *, partitions=1):
    """Write (partition, value) pairs to a topic that is made first."""
    from confluent_kafka import Producer

    Cluster(KafkaCluster("main", {"bootstrap.servers": stack.kafka})).create_topic(topic, partitions)
    producer = Producer({"bootstrap.servers": stack.kafka})
    for partition, value in records:
        producer.produce(topic, value if isinstance(value, bytes) else json.dumps(value), partition=partition)
    producer.flush(10)


def at_nine(seconds):
    return f"2026-01-05T09:{seconds // 60:02d}:{seconds % 60:02d}Z"


def test_an_empty_topic_is_named_with_its_partitions(silent, bench, stack, topic_name):
    write(stack, topic_name, [], partitions=3)
    bench.session.execute(table(topic_name))
    found = silent("SELECT * FROM t", "empty-topic")
    assert found.fact == f"the topic {topic_name} of t has no record, in 3 partitions"
    assert found.evidence["deleted"] == 0


def test_a_topic_whose_records_were_deleted_says_how_many(silent, bench, stack, cluster, topic_name):
    from confluent_kafka import TopicPartition

    write(stack, topic_name, [(0, {"id": i}) for i in range(7)])
    cluster.admin.delete_records([TopicPartition(topic_name, 0, 7)])[TopicPartition(topic_name, 0)].result(10)
    bench.session.execute(table(topic_name))
    found = silent("SELECT * FROM t", "empty-topic")
    assert "has no record any more: the 7 records it had are deleted" in found.fact


def test_a_topic_that_does_not_exist_is_named(silent, bench, topic_name):
    bench.session.execute("SET 'restart-strategy.type' = 'fixed-delay'")
    bench.session.execute("SET 'restart-strategy.fixed-delay.attempts' = '1000'")
    bench.session.execute(table(topic_name))
    query = bench.session.execute("SELECT * FROM t", background=True)
    until = time.monotonic() + 90
    while "no-such-topic" not in (found := why(query, bench)).kinds:  # it is planned first
        assert time.monotonic() < until, str(found)
    query.stop()
    assert any(topic_name in f.fact for f in found.findings if f.kind == "no-such-topic")


def test_latest_offset_past_all_records_says_how_many_lie_before(silent, bench, stack, topic_name):
    write(stack, topic_name, [(0, {"id": i, "v": "x"}) for i in range(30)])
    time.sleep(0.1)
    bench.session.execute(table(topic_name, scan_startup_mode="latest-offset"))
    found = silent("SELECT * FROM t", "startup-past-data")
    assert "t begins at latest-offset" in found.fact
    assert f"all 30 records of {topic_name} lie before that; the newest is of " in found.fact
    assert "--from earliest" in found.advice


def test_a_startup_time_behind_the_end_is_told_with_both_times(silent, bench, stack, topic_name):
    write(stack, topic_name, [(0, {"id": 1, "v": "x"})])
    bench.session.execute(table(topic_name))
    later = int(time.time() * 1000) + 3_600_000
    hint = f"/*+ OPTIONS('scan.startup.mode'='timestamp', 'scan.startup.timestamp-millis'='{later}') */"
    found = silent(f"SELECT * FROM t {hint}", "startup-past-data")
    assert "all 1 record of" in found.fact
    assert found.evidence["startup"] == "timestamp"


def test_a_consumer_group_that_stands_at_the_end_is_named(silent, bench, stack, cluster, topic_name):
    from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

    write(stack, topic_name, [(0, {"id": i}) for i in range(5)])
    offsets = ConsumerGroupTopicPartitions(f"g-{topic_name}", [TopicPartition(topic_name, 0, 5)])
    cluster.admin.alter_consumer_group_offsets([offsets])[f"g-{topic_name}"].result(10)
    ddl = table(topic_name, scan_startup_mode="group-offsets")
    bench.session.execute(f"{ddl[:-1]}, 'properties.group.id' = 'g-{topic_name}')")
    found = silent("SELECT * FROM t", "startup-past-data")
    assert f"at the offsets of the consumer group g-{topic_name}, and all 5 records" in found.fact


def test_a_range_without_records_is_told(silent, bench, stack, topic_name):
    write(stack, topic_name, [(0, {"id": i}) for i in range(4)])
    bench.session.execute(table(topic_name))
    hint = (
        "/*+ OPTIONS('scan.startup.mode'='timestamp', 'scan.startup.timestamp-millis'='1000', "
        "'scan.bounded.mode'='timestamp', 'scan.bounded.timestamp-millis'='2000') */"
    )
    found = silent(f"SELECT * FROM t {hint}", "nothing-between")
    assert "of the 4 records of" in found.fact
    assert "1970-01-01 00:00:01Z" in found.fact
    assert "1970-01-01 00:00:02Z" in found.fact


def test_records_that_cannot_be_decoded_and_are_skipped_are_counted_with_a_reason(
    silent, bench, stack, topic_name
):
    write(stack, topic_name, [(0, b"no json %d" % i) for i in range(40)])
    ddl = table(topic_name)
    bench.session.execute(f"{ddl[:-1]}, 'json.ignore-parse-errors' = 'true')")
    found = silent("SELECT * FROM t", "undecodable")
    assert (
        "can be decoded as json, and such records are skipped without a word; the newest: not JSON"
        in found.fact
    )
    assert found.evidence["sampled_errors"] == 20


def test_a_silent_partition_that_holds_the_watermark_back_is_named(silent, bench, stack, topic_name):
    write(stack, topic_name, [(0, {"id": i, "ts": at_nine(i)}) for i in range(300)], partitions=2)
    bench.session.execute(timed(topic_name))
    found = silent(PER_MINUTE, "idle-partition")
    assert found.fact.startswith("partition 1 of t has no record")
    assert "idle-timeout" in found.advice


def test_a_partition_that_stays_behind_the_others_is_named_with_both_times(silent, bench, stack, topic_name):
    records = [(0, {"id": i, "ts": at_nine(i)}) for i in range(300)]
    write(stack, topic_name, [*records, (1, {"id": 1, "ts": at_nine(10)})], partitions=2)
    bench.session.execute(timed(topic_name))
    found = silent(PER_MINUTE, "idle-partition", apart=289_000)
    assert "partition 1 of t is at 2026-01-05 09:00:09Z and hold" in found.fact
    assert "behind the others" in found.fact
    assert behind(found) == 289_000


def test_a_subtask_without_a_partition_is_told(silent, bench, stack, topic_name):
    write(stack, topic_name, [(0, {"id": i, "ts": at_nine(i)}) for i in range(300)])
    bench.session.execute(timed(topic_name))
    bench.session.execute("SET 'parallelism.default' = '2'")
    found = silent(PER_MINUTE, "idle-subtask")
    assert found.fact.startswith("1 subtask of the 2 that read t has no partition")


def test_an_open_window_says_which_record_will_close_it(silent, bench, stack, topic_name):
    write(stack, topic_name, [(0, {"id": i, "ts": at_nine(i)}) for i in range(40)])
    bench.session.execute(timed(topic_name))
    found = silent(PER_MINUTE, "window-open")
    assert found.fact.startswith(
        "the window that ends at 2026-01-05 09:01:00Z is still open: the watermark is at 2026-01-05 09:00:38Z"
    )
    assert "a record whose ts is 2026-01-05 09:01:00.999Z or later" in found.advice


def iso(ms):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms // 1000)) + f".{ms % 1000:03d}Z"


def test_the_record_named_closes_the_window_and_the_one_a_millisecond_before_does_not(
    silent, bench, stack, topic_name
):
    write(stack, topic_name, [(0, {"id": i, "ts": at_nine(i)}) for i in range(40)])
    bench.session.execute(timed(topic_name))
    needed = silent(PER_MINUTE, "window-open").evidence["needed_ms"]
    query = bench.session.running[-1]
    write(stack, topic_name, [(0, {"id": 1, "ts": iso(needed - 1)})])
    until = time.monotonic() + 40
    while (found := why(query, bench)).first.evidence["watermark_ms"] != needed - 1001:
        assert time.monotonic() < until, str(found)
        time.sleep(0.5)
    assert found.first.kind == "window-open"
    assert len(query) == 0
    write(stack, topic_name, [(0, {"id": 2, "ts": iso(needed)})])
    until = time.monotonic() + 40
    while not len(query) and time.monotonic() < until:
        time.sleep(0.1)
    assert query.df["n"].tolist() == [40]


def test_records_that_come_too_late_are_counted(silent, bench, stack, topic_name):
    write(stack, topic_name, [(0, {"id": 1, "ts": at_nine(3000)})])
    bench.session.execute(timed(topic_name))
    bench.session.execute("SET 'table.optimizer.agg-phase-strategy' = 'ONE_PHASE'")
    silent(PER_MINUTE, "window-open")
    query = bench.session.running[-1]
    write(stack, topic_name, [(0, {"id": i, "ts": at_nine(i)}) for i in range(3)])
    until = time.monotonic() + 40
    while (found := why(query, bench)).first.kind != "late-records":
        assert time.monotonic() < until, str(found)
        time.sleep(0.5)
    assert "WindowAggregate has dropped 3 records: they come after the watermark at 2026-01-05 09:49:59Z" in (
        found.first.fact
    )


def test_a_filter_that_drops_everything_is_named_with_its_condition(silent, bench, stack, topic_name):
    write(stack, topic_name, [(0, {"id": i, "v": "x"}) for i in range(25)])
    bench.session.execute(table(topic_name))
    found = silent("SELECT * FROM t WHERE v = 'y' AND id >= 0", "filter-drops-all")
    assert found.fact.startswith("all 25 records are dropped by Calc(")
    assert "where=[" in found.fact


def test_a_field_that_the_records_spell_differently_is_named(silent, bench, stack, topic_name):
    write(stack, topic_name, [(0, {"id": i, "V": "x"}) for i in range(25)])
    bench.session.execute(table(topic_name))
    found = silent("SELECT * FROM t WHERE v = 'x'", "no-such-field")
    assert (
        "none of the newest 20 records of t has the field v, so it is NULL in every row: v is V there"
        in found.fact
    )


def test_a_join_without_a_match_is_told(silent, bench, stack, topic_name):
    write(stack, topic_name, [(0, {"id": i, "v": "x"}) for i in range(25)])
    bench.session.execute(table(topic_name))
    found = silent("SELECT a.id FROM t a JOIN t b ON a.id = b.id + 1000", "join-matches-nothing")
    assert "no two match in Join(joinType=[InnerJoin]" in found.fact


def test_a_view_is_looked_through(silent, bench, stack, topic_name):
    write(stack, topic_name, [])
    bench.session.execute(table(topic_name))
    bench.session.execute(
        "CREATE VIEW inner_ AS SELECT id FROM t; CREATE VIEW outer_ AS SELECT id FROM inner_"
    )
    found = silent("SELECT * FROM outer_", "empty-topic")
    assert topic_name in found.fact


def test_a_job_that_restarts_has_its_root_cause_first(silent, bench):
    bench.session.execute("SET 'restart-strategy.type' = 'fixed-delay'")
    bench.session.execute("SET 'restart-strategy.fixed-delay.attempts' = '1000'")
    bench.session.execute("SET 'restart-strategy.fixed-delay.delay' = '1 s'")
    bench.session.execute("CREATE TABLE gen (a INT) WITH ('connector' = 'datagen', 'rows-per-second' = '5')")
    found = silent("SELECT 1 / (a - a) FROM gen", "restarting")
    assert found.fact.startswith("ArithmeticException: / by zero: the job fails and is started again, ")
    assert found.evidence["restarts"] >= 1


def test_rows_that_wait_for_a_checkpoint_are_counted(silent, bench):
    bench.session.execute("SET 'execution.checkpointing.interval' = '10 min'")
    bench.session.execute("CREATE TABLE gen (a INT) WITH ('connector' = 'datagen', 'rows-per-second' = '5')")
    found = silent("SELECT a FROM gen", "waits-for-checkpoint")
    assert "of the result wait for the next checkpoint, one every 10 min" in found.fact


def test_a_query_that_has_read_everything_says_so(silent, bench, stack, topic_name):
    write(stack, topic_name, [(0, {"id": i, "v": "x"}) for i in range(25)])
    bench.session.execute(table(topic_name))
    found = silent("SELECT * FROM t", "caught-up", rows=25)
    assert found.fact.startswith("all 25 records that there are have been read; the newest is of")
    assert not found.certain


def test_a_broker_that_does_not_answer_is_a_finding_and_no_error(session, cluster):
    nowhere = KafkaCluster("nowhere", {"bootstrap.servers": f"127.0.0.1:{free_ports(1)[0]}"})
    bench = Bench(session, cluster, Cluster(nowhere))
    session.execute(
        f"CREATE TABLE t (id BIGINT) WITH ('connector' = 'kafka', {nowhere.sql_fragment()}, 'topic' = 'x', "
        "'format' = 'json', 'scan.startup.mode' = 'earliest-offset')"
    )
    query = session.execute("SELECT * FROM t", background=True)
    until = time.monotonic() + 90
    while "broker-unreachable" not in (found := why(query, bench)).kinds:
        assert time.monotonic() < until, str(found)
    query.stop()
    assert found.seconds < 5


def test_a_query_that_failed_says_why(session, bench):
    query = session.execute("SELECT 1 / 0 AS x", background=True)
    query.over(30)
    found = why(query, bench)
    assert found.first.kind == "failed"
    assert "Division by zero" in found.first.fact


@pytest.fixture(scope="module")
def one_slot(tmp_path_factory):
    """A stack of its own with a single task slot."""
    embedded = Stack(tmp_path_factory.mktemp("one-slot"), settings=LocalSettings(task_slots=1))
    try:
        yield embedded.up()
    finally:
        embedded.down(purge=True)


def test_a_query_without_a_slot_says_who_has_them(one_slot):
    session = Session(one_slot.gateway, jobmanager=one_slot.jobmanager)
    try:
        session.execute("CREATE TABLE gen (a INT) WITH ('connector' = 'datagen', 'rows-per-second' = '5')")
        first = session.execute("SELECT a FROM gen", name="holder", background=True)
        until = time.monotonic() + 30
        while not len(first) and time.monotonic() < until:
            time.sleep(0.1)
        second = session.execute("SELECT a FROM gen", name="waiter", background=True)
        bench = Bench(session)
        while (found := why(second, bench)).first.kind != "no-free-slots":
            assert time.monotonic() < until, str(found)
            time.sleep(0.2)
        assert found.first.fact == (
            "no free task slot: the job needs 1, and of the cluster's 1 slot none is free; 1 other job run: sdp holder"
        )
        assert found.first.evidence["waiting_tasks"] >= 1
    finally:
        session.close()
