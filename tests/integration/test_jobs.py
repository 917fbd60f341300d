"""The JobManager's REST API on a real cluster: vital signs, savepoints, failures."""

import json
import time

import pytest

from sdp_kernel.errors import JobFailed, SdpError
from sdp_kernel.flink import operators, vitals

pytestmark = pytest.mark.stack


def until(condition, *, seconds=45):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.3)
    return found


@pytest.fixture
def counting(session, stack, topic_name, produce):
    """A job that counts 300 records a minute of event time into a topic, with checkpoints; cancelled at the end."""
    rows = [{"id": i, "ts": f"2026-01-05T09:{i // 60:02d}:{i % 60:02d}Z"} for i in range(300)]
    produce(topic_name, [(None, json.dumps(row)) for row in rows])
    produce(f"{topic_name}-out", [])
    session.execute(
        f"""CREATE TABLE t (id BIGINT, ts TIMESTAMP_LTZ(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND)
            WITH ('connector' = 'kafka', ${{kafka.main}}, 'topic' = '{topic_name}', 'format' = 'json',
              'scan.startup.mode' = 'earliest-offset', 'json.timestamp-format.standard' = 'ISO-8601');
            CREATE TABLE o (at_ TIMESTAMP(3), n BIGINT)
            WITH ('connector' = 'kafka', ${{kafka.main}}, 'topic' = '{topic_name}-out', 'format' = 'json');
            SET 'execution.checkpointing.interval' = '1 s'"""
    )
    job = session.execute(
        """INSERT INTO o SELECT window_start, COUNT(*)
           FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end"""
    ).job_id
    jobmanager = session.jobmanager
    until(lambda: jobmanager.state(job) == "RUNNING" and not jobmanager.starting(job))
    yield job
    if jobmanager.state(job) == "RUNNING":
        jobmanager.cancel(job)


def test_vital_signs_tell_records_watermark_lag_and_checkpoints(session, counting):
    def all_told():
        v = vitals.read(session.jobmanager, counting)
        return v.records_out == 4 and v.checkpoints and None not in (v.records_in, v.lag, v.watermark) and v

    found = until(all_told)
    assert (found.job_state, found.records_in, found.lag, found.restarts, found.slots) == (
        "RUNNING",
        300,
        0,
        0,
        1,
    )
    assert found.watermark == 1_767_603_898_000  # 09:04:59 less a second
    assert found.behind_ms == found.now_ms - found.watermark
    assert (found.waiting, found.starting) == (0, 0)
    shares = until(lambda: (v := vitals.read(session.jobmanager, counting)).busy is not None and v)
    assert 0 <= shares.backpressure <= 1
    assert 0 <= shares.busy < 1
    assert found.state_bytes > 0


def test_operators_tell_where_records_are(session, counting):
    job = session.jobmanager.detail(counting)

    def all_told():
        found = {o.kind: o for o in operators.read(session.jobmanager, job) if o.passed >= 4}
        return any(o.splits for o in found.values()) and "LocalWindowAggregate" in found and found

    read = until(all_told)
    assert read["LocalWindowAggregate"].records_in == 300
    assert list(next(o for o in read.values() if o.is_source).splits.values()) == [1_767_603_898_000]


def test_a_cluster_tells_slots_and_heap(session, counting):
    found = until(lambda: (c := vitals.read_cluster(session.jobmanager)).heap_used and c)
    assert 0 < found.heap_used <= found.heap_max
    assert 0 <= found.free_slots < found.slots


def test_a_stop_leaves_a_savepoint_from_which_the_job_goes_on(
    session, counting, tmp_path, topic_name, produce, stack
):
    path = session.jobmanager.stop(counting, f"file://{tmp_path}")
    assert session.jobmanager.state(counting) == "FINISHED"
    assert path.startswith(f"file:{tmp_path}")
    again = session.execute(
        """INSERT INTO o SELECT window_start, COUNT(*)
           FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end""",
        config={"execution.state-recovery.path": path},
    ).job_id
    try:
        from confluent_kafka import Producer

        producer = Producer({"bootstrap.servers": stack.kafka})
        producer.produce(topic_name, json.dumps({"id": 1, "ts": "2026-01-05T09:10:00Z"}))
        producer.flush(10)
        found = until(
            lambda: (v := vitals.read(session.jobmanager, again)).records_out == 1 and v.records_in and v
        )
        assert found.records_in == 1  # the 300 before it came with the state
    finally:
        session.jobmanager.cancel(again)


def test_a_savepoint_is_taken_while_the_job_goes_on(session, counting, tmp_path):
    path = session.jobmanager.savepoint(counting, f"file://{tmp_path}")
    assert session.jobmanager.state(counting) == "RUNNING"
    assert path.startswith(f"file:{tmp_path}")


def test_a_savepoint_in_an_impossible_place_gives_the_reason_and_the_job_goes_on(session, counting):
    with pytest.raises(JobFailed, match="the savepoint of job"):
        session.jobmanager.savepoint(counting, "nofilesystem://x/y")
    assert session.jobmanager.state(counting) == "RUNNING"


def test_a_job_that_has_ended_gives_no_savepoint(session, counting):
    session.jobmanager.cancel(counting)
    until(lambda: session.jobmanager.state(counting) == "CANCELED")
    with pytest.raises(SdpError, match="it is CANCELED"):
        session.jobmanager.stop(counting)


def test_an_unknown_job_is_unknown_to_everything(session):
    session.execute("SET 'a' = 'b'")
    nobody = "f" * 32
    assert session.jobmanager.detail(nobody) is None
    assert vitals.read(session.jobmanager, nobody).job_state == "UNKNOWN"
    with pytest.raises(SdpError, match="not known"):
        session.jobmanager.savepoint(nobody)


def test_failures_are_told_the_newest_first(session):
    session.execute(
        """SET 'restart-strategy.type' = 'fixed-delay';
           SET 'restart-strategy.fixed-delay.attempts' = '1000';
           SET 'restart-strategy.fixed-delay.delay' = '100 ms';
           CREATE TABLE gen (a INT) WITH ('connector' = 'datagen', 'rows-per-second' = '50')"""
    )
    query = session.execute("SELECT 1 / (a - a) FROM gen", background=True)
    try:
        until(lambda: query.job_id and vitals.read(session.jobmanager, query.job_id).restarts > 1)
        until(lambda: len(session.jobmanager.failures(query.job_id)) > 1)  # told from a cache
        failures = session.jobmanager.failures(query.job_id)
        assert failures[0].reason == "ArithmeticException: / by zero"
        assert failures[0].at_ms >= failures[1].at_ms
        assert "gen" in failures[0].task
    finally:
        query.stop()
