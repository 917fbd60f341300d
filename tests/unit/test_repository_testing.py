"""Tests of jobs without a stack: what they are made of, what becomes of a job's tables, how results are told."""

import json
import threading
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.connection import KafkaCluster
from sdp_kernel.errors import TopicError, UsageError
from sdp_kernel.flink.jobs import JobManager
from sdp_kernel.flink.script import split
from sdp_kernel.kafka.offsets import Range
from sdp_kernel.kafka.read import Records
from sdp_kernel.promote import render
from sdp_kernel.repository import retarget
from sdp_kernel.repository.testing import case as cases
from sdp_kernel.repository.testing import lookups, outcome, records, running, topics
from sdp_kernel.repository.testing.aim import SHORT_LIVED, Aimed, Sink, aim
from sdp_kernel.repository.testing.case import Case, read_options, rows_text
from sdp_kernel.repository.testing.prepare import Prepared, aliases, prepare
from sdp_kernel.repository.testing.report import Report
from sdp_kernel.repository.testing.result import Result, Table, failure, judge, update
from sdp_kernel.repository.testing.values import canonical

ORDERS = """CREATE TABLE orders (id INT, at TIMESTAMP(3), WATERMARK FOR at AS at) WITH (
  'connector' = 'kafka', 'properties.bootstrap.servers' = 'main.test:1', 'topic' = 'orders.v1',
  'properties.sasl.jaas.config' = 'x', 'properties.group.id' = 'g', 'scan.startup.mode' = 'timestamp',
  'scan.startup.timestamp-millis' = '1', 'format' = 'json');
"""
OUT = """CREATE TABLE totals (id INT, n BIGINT, PRIMARY KEY (id) NOT ENFORCED) WITH (
  'connector' = 'upsert-kafka', 'properties.bootstrap.servers' = 'main.test:1', 'topic' = 'totals',
  'key.format' = 'json', 'value.format' = 'avro-confluent', 'value.avro-confluent.url' = 'http://r');
"""
INSERT = "INSERT INTO totals SELECT id, COUNT(*) FROM orders /*+ OPTIONS('scan.startup.mode' = 'latest-offset') */ GROUP BY id"


def write(root, path, text=""):
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture
def case(tmp_path):
    write(tmp_path, "tests/totals/sample/input/orders.jsonl")
    return Case("totals", "sample", tmp_path)


def aimed(script, case):
    return aim(
        split(script),
        case,
        bootstrap="here:1",
        prefix="p",
        directory=case.root / "work",
        lookups="http://here",
    )


# --- records ---------------------------------------------------------------------------------


@given(st.none() | st.binary(max_size=20) | st.text(max_size=20).map(str.encode) | st.just(b'{"a": 1.50}'))
def test_any_bytes_come_back_from_their_line(tmp_path_factory, content):
    file = tmp_path_factory.getbasetemp() / "records.jsonl"
    file.write_text(records.lines([records.Record.of(content, content, timestamp=1_700_000_000_123)]))
    (found,) = records.read(file)
    for back in (found.key_bytes, found.value_bytes):
        assert back == content or (back is not None and json.loads(back) == json.loads(content))
    assert found.milliseconds == 1_700_000_000_123


def test_json_keeps_its_digits_and_looks_like_json(tmp_path):
    line = records.lines(
        [records.Record.of(b"k", b'{"price": 1.500000000000000000001,\n "n": 12345678901234567890}')]
    )
    assert line == '{"key_text":"k","value":{"price":1.500000000000000000001,"n":12345678901234567890}}\n'
    (found,) = records.read(write(tmp_path, "input/t.jsonl", line))
    assert found.value_bytes == b'{"price":1.500000000000000000001,"n":12345678901234567890}'


def test_what_is_left_out_is_null_and_blank_lines_are_nothing(tmp_path):
    tombstone, bare = records.read(
        write(tmp_path, "input/t.jsonl", '\n{"key": 1}\n\n{"value_text": "null"}\n')
    )
    assert (tombstone.key_bytes, tombstone.value_bytes) == (b"1", None)
    assert (bare.key_bytes, bare.value_bytes, bare.milliseconds) == (None, b"null", None)


@pytest.mark.parametrize(
    "line",
    [
        "{", "[]", '{"valeu": 1}', '{"value": 1, "value_text": "x"}', '{"value_base64": "?"}',
        '{"timestamp": "yesterday"}', '{"timestamp": 9223372036854775808}', '{"partition": -1}', '{"headers": {"a": "b"}}',
    ],
)  # fmt: skip
def test_a_line_that_is_no_record_is_refused_by_its_number(tmp_path, line):
    with pytest.raises(UsageError, match="line 2, is no record") as refused:
        records.read(write(tmp_path, "input/t.jsonl", '{"value": 1}\n' + line))
    assert "value_base64" in refused.value.hint


@pytest.mark.parametrize("moment", [1_767_603_600_000_000, -70_000_000_000_000, 253_402_300_799_999, 0, -1])
def test_a_time_that_no_calendar_has_is_a_number_and_comes_back(tmp_path, moment):
    line = records.lines([records.Record.of(None, b"1", timestamp=moment)])
    (found,) = records.read(write(tmp_path, "input/t.jsonl", line))
    assert found.milliseconds == moment


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("2026-01-05T09:00:00Z", 1_767_603_600_000), ("2026-01-05T09:00:00.5Z", 1_767_603_600_500),
        ("2026-01-05 09:00:00.123456789", 1_767_603_600_123), ("2026-01-05T10:00+01:00", 1_767_603_600_000),
        ("2026-01-05T10:00:00.25+0100", 1_767_603_600_250), ("2026-01-05", 1_767_571_200_000),
        ("1969-12-31T23:59:59.999Z", -1),
    ],
)  # fmt: skip
def test_times_are_read_alike_by_every_python(text, milliseconds):
    assert records.Record(timestamp=text).milliseconds == milliseconds


@pytest.mark.parametrize("text", ["20260105T090000", "2026-W02-1", "2026-01-05T09:00.5", "2026-13-01", "x"])
def test_what_only_some_pythons_read_is_no_time(text):
    with pytest.raises(ValueError, match=r"."):
        _ = records.Record(timestamp=text).milliseconds


# --- cases -----------------------------------------------------------------------------------


def job(root, name):
    write(root, f"sql/jobs/{name}.sql", "SELECT 1")
    write(root, f"terraform/{name}.tf")


def test_the_tests_of_jobs_are_found_by_what_is_in_their_directories(tmp_path):
    job(tmp_path, "one")
    job(tmp_path, "two")
    write(tmp_path, "tests/one/sample/test.toml")
    write(tmp_path, "tests/one/late/expected.jsonl")
    write(tmp_path, "tests/one/notes/README.md")
    write(tmp_path, "tests/unknown/sample/test.toml")
    assert list(map(str, cases.find(tmp_path))) == ["one/late", "one/sample"]
    assert list(map(str, cases.find(tmp_path, ["one/late", "one/late"]))) == ["one/late"]
    for wanted, reason in (
        ("three", "has no job three"),
        ("two", "no test"),
        ("one/x", "no test x"),
        ("..", "has no job"),
    ):
        with pytest.raises(UsageError, match=reason):
            cases.find(tmp_path, [wanted])


def test_options_are_read_and_what_is_none_is_refused_with_the_file(case):
    write(
        case.directory,
        "test.toml",
        'parameters = {least = 10}\ntimeout = 5\nignore = ["t.at", "x"]\n[tolerance]\n"t.v" = 0.5\n',
    )
    options = case.options()
    assert options.parameters == {"least": "10"}
    assert options.ignored("t") == {"at", "x"}
    assert options.tolerances("t") == {"v": 0.5}
    for text in (
        "a = 1",
        "timeout = 0",
        "timeout = true",
        'watermarks = "now"',
        'key = "id"',
        "tolerance = {v = -1}",
        "tolerance = {v = nan}",
        "tolerance = {v = inf}",
        "tolerance = {v = 'some'}",
        f"tolerance = {{v = 1{'0' * 400}}}",
        "timeout = nan",
        "= 1",
        "parameters = 1",
    ):
        write(case.directory, "test.toml", text)
        with pytest.raises(UsageError, match=r"tests/totals/sample/test\.toml"):
            case.options()
    assert read_options({}) == cases.Options()


def test_rows_are_written_by_key_numbers_by_their_size():
    text = rows_text([{"id": 10, "v": "a"}, {"id": 9, "v": "z"}], ("id",))
    assert text == '{"id":9,"v":"z"}\n{"id":10,"v":"a"}\n'


def test_a_line_of_what_is_expected_that_is_no_row_is_refused(case):
    for text in ('{"a": 1}\n[1]', '{"a": 1}\n{'):
        write(case.directory, "expected.jsonl", text)
        with pytest.raises(UsageError, match="line 2"):
            case.expected("totals", ["totals"])


# --- a job's tables --------------------------------------------------------------------------


def options_in_force(found):
    return {
        table.name: table.options
        for table in retarget.tables(split(";".join((*found.declarations, found.job))))
    }


@pytest.mark.parametrize(
    "more", ["", "ALTER TABLE orders SET ('scan.startup.mode' = 'latest-offset', 'topic' = 'orders.v1');"]
)
def test_a_job_reads_and_writes_topics_of_the_test_alone(case, more):
    found = aimed(ORDERS + more + OUT + INSERT, case)
    assert [(s.table, s.topic) for s in found.sources] == [("orders", "p-0-orders-v1")]
    assert found.sinks == (Sink("totals", "p-1-totals", None, "json", upserts=True),)
    assert found.job == "INSERT INTO totals SELECT id, COUNT(*) FROM orders  GROUP BY id"
    assert options_in_force(found) == {
        "orders": {
            "connector": "kafka", "properties.bootstrap.servers": "here:1", "topic": "p-0-orders-v1",
            "properties.group.id": "g", "scan.startup.mode": "earliest-offset",
            "scan.bounded.mode": "latest-offset", "format": "json", **SHORT_LIVED,
        },
        "totals": {
            "connector": "upsert-kafka", "properties.bootstrap.servers": "here:1", "topic": "p-1-totals",
            "key.format": "json", "value.format": "json", **SHORT_LIVED,
        },
    }  # fmt: skip
    assert "WATERMARK FOR at AS at) WITH (" in found.declarations[0]


def test_tables_over_one_topic_share_one_and_those_of_two_clusters_do_not(case):
    again = ORDERS.replace("TABLE orders", "TABLE again")
    other = ORDERS.replace("TABLE orders", "TABLE other").replace("main.test", "audit.test")
    write(case.directory, "input/other.jsonl")
    found = aimed(
        ORDERS
        + again
        + other
        + OUT
        + "INSERT INTO totals SELECT id, 1 FROM orders UNION ALL SELECT id, 1 FROM again, other",
        case,
    )
    topics = {source.table: source.topic for source in found.sources}
    assert topics["orders"] == topics["again"] != topics["other"]


def test_other_connectors_are_replaced_and_that_is_said(case):
    write(case.directory, "input/people.jsonl")
    script = (
        "CREATE TABLE people (id INT) WITH ('connector' = 'jdbc', 'url' = 'jdbc:x', 'password' = 'secret');"
        "CREATE TABLE warehouse (id INT) WITH ('connector' = 'jdbc', 'url' = 'jdbc:y');"
        "INSERT INTO warehouse SELECT id FROM people"
    )
    found = aimed(script, case)
    path = (case.root / "work/people").as_uri()
    assert options_in_force(found) == {
        "people": {"connector": "filesystem", "format": "json", "path": path},
        "warehouse": {
            "connector": "kafka", "properties.bootstrap.servers": "here:1", "topic": "p-0-warehouse",
            "format": "debezium-json",
        },
    }  # fmt: skip
    assert [s.format for s in found.sinks] == ["debezium-json"]
    assert any("jdbc" in note for note in found.notes)


def test_a_table_that_is_looked_up_is_served(case):
    write(case.directory, "input/people.jsonl")
    script = (
        ORDERS + OUT + "CREATE TABLE people (id INT) WITH ('connector' = 'jdbc', 'url' = 'jdbc:x');"
        "INSERT INTO totals SELECT o.id, 1 FROM orders o JOIN people FOR SYSTEM_TIME AS OF o.pt AS p ON o.id = p.id"
    )
    found = aimed(script, case)
    assert options_in_force(found)["people"]["url"] == "http://here/p/people"
    assert [source.served for source in found.sources] == ["", "p/people"]


def test_rows_are_served_by_the_columns_that_are_asked_for():
    with lookups.server() as server:
        server.serve("a/t", [{"id": 1, "name": "x"}, {"id": 2, "name": "x y"}, {"id": 1, "name": "z"}])
        ask = httpx.Client(trust_env=False, base_url=server.url)
        assert [row["name"] for row in ask.get("/a/t?id=1").json()] == ["x", "z"]
        assert ask.get("/a/t?id=2&name=x%20y").json() == [{"id": 2, "name": "x y"}]
        assert (
            ask.get("/a/t?id=3").json() == ask.get("/b/t?id=1").json() == ask.get("/a/t?other=1").json() == []
        )


def test_a_source_without_input_is_refused_with_the_file_to_write(case):
    (case.directory / "input/orders.jsonl").unlink()
    with pytest.raises(UsageError, match="no input for the table orders") as refused:
        aimed(ORDERS + OUT + INSERT, case)
    assert "tests/totals/sample/input/orders.jsonl" in refused.value.hint


def test_input_of_no_table_is_told_and_no_fault(case):
    write(case.directory, "input/older.jsonl")
    assert aimed(ORDERS + OUT + INSERT, case).notes == ("input/older belongs to no table of the job",)


@pytest.mark.parametrize(
    "script",
    [ORDERS + OUT, ORDERS + "INSERT INTO elsewhere.db.t SELECT id FROM orders", f"{INSERT}; {INSERT}"],
)
def test_a_script_that_is_no_one_job_on_tables_of_its_own_is_refused(case, script):
    with pytest.raises(UsageError):
        aimed(script, case)


@pytest.mark.parametrize(
    ("hint", "left"),
    [
        ("/*+ OPTIONS('topic' = 'x') */", ""),
        (
            "/*+ OPTIONS('topic' = 'x', 'json.ignore-parse-errors' = 'true') */",
            "/*+ OPTIONS('json.ignore-parse-errors' = 'true') */",
        ),
        ("/*+ OPTIONS('path' = 'x'), BROADCAST(a, b) */", "/*+ BROADCAST(a, b) */"),
        ("/*+ STATE_TTL('a' = '1d') */", "/*+ STATE_TTL('a' = '1d') */"),
    ],
)
def test_hints_lose_the_options_that_would_lead_elsewhere(case, hint, left):
    view = f"CREATE VIEW v AS SELECT * FROM orders {hint};"
    found = aimed(ORDERS + OUT + view + "INSERT INTO totals SELECT id, 1 FROM v", case)
    assert f"CREATE VIEW v AS SELECT * FROM orders {left}".strip() in [
        text.strip() for text in found.declarations
    ]


# --- what was written ------------------------------------------------------------------------


def written(*pairs, headers=None):
    numbers = np.arange(len(pairs))
    return Records(
        [value for _, value in pairs],
        [key for key, _ in pairs],
        [headers] * len(pairs),
        numbers,
        numbers,
        numbers,
    )


def sink(format_="json", **more):
    return Sink("t", "topic", None, format_, **more)


def test_an_upsert_topic_is_its_newest_record_of_each_key():
    rows, key = outcome.of_topic(
        written(
            (b'{"k":1}', b'{"n":1}'),
            (b'{"k":2}', b'{"n":1}'),
            (b'{"k":1}', b'{"n":2.50}'),
            (b'{"k":2}', None),
        ),
        sink(upserts=True),
    )
    assert [canonical(row) for row in rows] == [canonical({"k": 1, "n": 2.5})]
    assert key == ("k",)


def test_each_record_of_an_append_topic_is_a_row():
    rows, key = outcome.of_topic(
        written((None, b'{"a":1}'), (b"x", b'{"a":1}'), (None, b"a,1"), (None, b"\xff")), sink()
    )
    assert rows == [{"a": 1}, {"_key": "x", "a": 1}, {"_value": "a,1"}, {"_value": "/w=="}]
    assert key == ()
    rows, _ = outcome.of_topic(
        written((b'{"id":1}', b'{"a":1}'), headers=[("h", b"v")]), sink(key_prefix="key_")
    )
    assert rows == [{"key_id": 1, "a": 1, "_headers": [["h", "v"]]}]


@pytest.mark.parametrize(
    ("format_", "changes"),
    [
        ("debezium-json", ['{"before":null,"after":{"a":1},"op":"c"}', '{"before":{"a":1},"after":null,"op":"d"}', '{"before":null,"after":{"a":2},"op":"c"}']),
        ("canal-json", ['{"data":[{"a":1}],"type":"INSERT"}', '{"data":[{"a":1}],"type":"DELETE"}', '{"data":[{"a":2}],"type":"INSERT"}']),
        ("maxwell-json", ['{"data":{"a":1},"type":"insert"}', '{"data":{"a":1},"type":"delete"}', '{"data":{"a":2},"type":"insert"}']),
        ("ogg-json", ['{"before":null,"after":{"a":1},"op_type":"I"}', '{"before":{"a":1},"after":null,"op_type":"D"}', '{"before":null,"after":{"a":2},"op_type":"I"}']),
    ],
)  # fmt: skip
def test_a_topic_of_changes_is_folded(format_, changes):
    rows, _ = outcome.of_topic(written(*[(None, text.encode()) for text in changes]), sink(format_))
    assert rows == [{"a": 2}]


# --- results ---------------------------------------------------------------------------------


def test_what_is_expected_is_judged_written_on_request_and_then_passes(case):
    tables = {"totals": Table(({"id": 2, "n": 1}, {"id": 1, "n": 3}), ("id",))}
    result = judge(case, tables, 1.0)
    assert (result.outcome, result.unwritten) == ("failed", ("tests/totals/sample/expected.jsonl",))
    assert update(result).outcome == "updated"
    assert (case.directory / "expected.jsonl").read_text() == '{"id":1,"n":3}\n{"id":2,"n":1}\n'
    assert judge(case, tables, 1.0).outcome == "passed"
    two = judge(case, {**tables, "more": Table(())}, 1.0)
    assert two.unwritten == (
        "tests/totals/sample/expected/totals.jsonl",
        "tests/totals/sample/expected/more.jsonl",
    )


def test_results_are_told_with_the_reason_first_and_escaped_everywhere(case):
    write(
        case.directory,
        "expected.jsonl",
        '{"id":1,"n":"<b>"}\n' + "".join(f'{{"id":{i},"n":"x"}}\n' for i in range(100, 130)),
    )
    failed = judge(case, {"totals": Table(({"id": 1, "n": "<script>\x00"},), ("id",))}, 1.5, ["a & b"])
    broken = failure(
        Case("other", "late", Path()), UsageError("the job failed: 1/0", hint="look <here>"), 0.25
    )
    report = Report((failed, broken, Result(Case("fine", "sample", Path()), "passed")), 3.0, ("bare",))
    text = report.to_text()
    assert "FAILED  totals/sample" in text
    assert "totals: 0 of 31 rows as expected, 30 missing, 1 changed" in text
    assert '~ id = 1: n "<b>" → "<script>' in text
    assert "… and 11 more" in text
    assert text.index("the job failed: 1/0") < text.index("→ look <here>")
    assert "1 passed, 1 failed, 1 in error in 3.0 s; no tests: bare" in text
    html = report.to_html()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    suite = ET.fromstring(report.to_junit()).find("testsuite")  # noqa: S314 - our own
    assert {key: suite.get(key) for key in ("tests", "failures", "errors")} == {
        "tests": "3",
        "failures": "1",
        "errors": "1",
    }
    by_job = {found.get("classname"): found for found in suite}
    assert "<script>" in by_job["totals"].find("failure").text
    assert by_job["other"].find("error").get("message") == "the job failed: 1/0"
    assert not len(by_job["fine"])
    plain = report.to_json()
    assert not plain["passed"]
    assert plain["tests"][0]["differences"][0]["changed"][0]["columns"] == {
        "n": {"expected": "<b>", "found": "<script>\x00"}
    }


def test_sql_that_is_no_utf_8_is_a_fault_of_its_job_alone_and_named(case, tmp_path):
    files = ["sql/latin.sql", "sql/jobs/totals.sql"]
    (tmp_path / "sql/jobs").mkdir(parents=True)
    (tmp_path / "sql/latin.sql").write_bytes("-- Größe ${kafka.third}\nSELECT 1;".encode("latin-1"))
    write(tmp_path, "sql/jobs/totals.sql", "SELECT '${kafka.other}';")
    write(
        tmp_path, "terraform/totals.tf",
        render.terraform("totals", module_source="./flink/sql-job", session_cluster="dev", files=files,
                         arguments={}, aliases=["kafka.main"]),
    )  # fmt: skip
    known = aliases(tmp_path)
    assert known == {"main", "other", "third"}
    with pytest.raises(UsageError, match=r"sql/latin\.sql is not UTF-8"):
        prepare(case, known, bootstrap="b:1", prefix="p", directory=tmp_path / "w", lookups="http://h")


def test_what_is_expected_in_another_encoding_is_refused_with_its_file(case):
    (case.directory / "expected.jsonl").write_bytes('{"a": "ö"}'.encode("latin-1"))
    with pytest.raises(UsageError, match=r"sample/expected\.jsonl is no UTF-8"):
        case.expected("totals", ["totals"])


def read_of(*records_read, complete=False):
    """What was read of a topic, by partition and offset."""
    partitions, offsets = np.array([p for p, _ in records_read]), np.array([o for _, o in records_read])
    none = [None] * len(records_read)
    return Records(none, none, none, partitions, offsets, offsets, complete)


def test_a_topic_of_which_not_all_came_is_known_by_its_partitions():
    ranges = [Range(0, 0, 2), Range(1, 0, 1), Range(2, 0, 0)]
    assert topics.unread(read_of((0, 0), (0, 1), (1, 0)), ranges) == 0
    assert topics.unread(read_of((0, 0), (1, 0)), ranges) == 1
    assert topics.unread(read_of(), ranges) == 2
    assert topics.unread(read_of(complete=True), ranges) == 0


def test_a_sink_that_could_not_be_read_to_its_end_is_an_error_and_no_table():
    sink = Sink("totals", "t", None, "json")
    with pytest.raises(TopicError, match="could not be read to its end"):
        running._table(sink, {})


class Gateway:
    """A gateway on which a run is stopped while it plans a job."""

    def __init__(self, stopped):
        self.stopped = stopped

    def open_session(self, _name, _properties):
        return "s"

    def configure_session(self, _handle, _statement):
        pass

    def submit(self, _handle, _statement, _config):
        self.stopped.set()
        return "o"

    def fetch(self, _handle, _operation, _token):
        return b'{"resultType":"EOS"}'

    def close_session(self, _handle):
        pass


def test_a_job_that_was_planned_while_the_run_was_stopped_is_cancelled(case, tmp_path):
    asked = []

    def answer(request):
        asked.append(f"{request.method} {request.url}")
        return httpx.Response(202, json={})

    place = running.Place(
        "http://g", "http://j", KafkaCluster("main", {"bootstrap.servers": "b:1"}), tmp_path
    )
    jobmanager = JobManager("http://j", transport=httpx.MockTransport(answer))
    run = running._Run([case], place, None, jobmanager, tmp_path, "", None)
    run.gateway = Gateway(run.stopped)
    one = running._Started(Prepared(case, cases.Options(), Aimed((), "INSERT", (), ()), {}))
    one.written.set()
    run._begin(one, threading.Semaphore(1))
    assert asked == [f"PATCH http://j/jobs/{one.job_id}?mode=cancel"]


class Offsets:
    """A cluster that knows the ends of partitions."""

    def offsets(self, wanted):
        return {key: SimpleNamespace(offset=10 + key[1]) for key in wanted}


def test_all_partitions_of_a_topic_are_read():
    assert topics.ends(Offsets(), {"a": 2, "b": 1}) == {
        "a": [Range(0, 0, 10), Range(1, 0, 11)], "b": [Range(0, 0, 10)],
    }  # fmt: skip


def test_a_test_s_topic_has_a_partition_for_each_that_its_input_names():
    assert topics.partitions([]) == 1
    assert topics.partitions([records.Record(), records.Record(partition=2)]) == 3
