"""Findings from evidence that is made up here; each cause for real is in the integration tests."""

import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.diagnose import decoding, event_time, flow, job, topic, why
from sdp_kernel.diagnose.bounded import Call, Late
from sdp_kernel.diagnose.findings import Diagnosis, Finding, count, moment, span
from sdp_kernel.diagnose.tables import Table, hint_options, read_declaration
from sdp_kernel.diagnose.topic import Stock
from sdp_kernel.errors import BrokerUnreachable, TopicNotFound
from sdp_kernel.flink.job_detail import Failure, JobDetail, Vertex
from sdp_kernel.flink.operators import Operator
from sdp_kernel.notebook import diagnose_view, jobs_view

DDL = """CREATE TABLE `c`.`d`.`my trades` (
  `id` BIGINT,
  `o``clock` TIMESTAMP(3) COMMENT 'x',
  `part` INT METADATA FROM 'partition' VIRTUAL,
  `twice` AS `id` * 2,
  WATERMARK FOR `o``clock` AS `o``clock` - INTERVAL '1.5' MINUTE,
  CONSTRAINT `pk` PRIMARY KEY (`id`) NOT ENFORCED
) WITH (
  'connector' = 'kafka',
  'topic' = 'a;b',
  'format' = 'json'
)
"""


def test_a_declaration_gives_options_columns_and_watermark():
    read = read_declaration(DDL)
    assert (read.name, read.topics, read.format) == ("my trades", ("a", "b"), "json")
    assert (read.time, read.delay_ms) == ("o`clock", 90_000)
    assert read.columns == ("id", "o`clock")
    assert read.startup == "group-offsets"


def test_a_watermark_that_is_the_column_itself_has_no_delay_and_a_rule_of_its_own_an_unknown_one():
    plain = DDL.replace("`o``clock` - INTERVAL '1.5' MINUTE", "`o``clock`")
    own = DDL.replace("`o``clock` - INTERVAL '1.5' MINUTE", "my_rule(`o``clock`)")
    assert read_declaration(plain).delay_ms == 0
    assert read_declaration(own).delay_ms is None


def test_tables_of_other_connectors_are_not_looked_at():
    assert read_declaration(DDL.replace("'kafka'", "'datagen'")) is None


def test_options_of_a_hint_are_read_beside_other_hints():
    hint = "/*+ STATE_TTL('a' = '1d'), OPTIONS('scan.startup.mode' = 'latest-offset', 'x' = 'it''s') */"
    assert hint_options(hint) == {"scan.startup.mode": "latest-offset", "x": "it's"}
    assert hint_options("/*+ BROADCAST(t) */") == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("TUMBLE(time_col=[ts], size=[1 min])", ("TUMBLE", 60_000, 60_000)),
        ("HOP(time_col=[ts], size=[1 h], slide=[5 min])", ("HOP", 300_000, 3_600_000)),
        ("CUMULATE(time_col=[ts], max_size=[1 d], step=[1 h])", ("CUMULATE", 3_600_000, 86_400_000)),
        ("SESSION(win_start=[w], gap=[30 s])", ("SESSION", 30_000, 30_000)),
    ],
)
def test_windows_are_read_from_the_plan(text, expected):
    shape = event_time.windows(f"GlobalWindowAggregate(groupBy=[a], window=[{text}], select=[a])")
    assert (shape.kind, shape.step_ms, shape.size_ms) == expected


@given(st.integers(-(10**13), 10**13), st.integers(1, 10**9))
def test_the_next_end_is_the_first_that_the_watermark_has_not_passed(mark, step):
    end = event_time.Windows("TUMBLE", step, step).next_end(mark)
    assert end % step == 0
    # Flink fires a window when the watermark reaches its last millisecond, end - 1
    assert end - 1 - step <= mark < end - 1


def vertex(*lines, inputs=(), parallelism=1):
    return Vertex("v", "v", parallelism, {"RUNNING": parallelism}, 0, 0, inputs, lines)


def running(*lines, state="RUNNING", tasks=None):
    made = replace(vertex(*lines), tasks=tasks or {"RUNNING": 1})
    return JobDetail("a", "job", state, 0, 60_000, 60_000, 1000, (made,))


def source(splits, watermark, *, read=300, parallelism=1, pending=0):
    name = "Source__KafkaSource-c_d_t"
    return Operator(name, vertex(parallelism=parallelism), is_source=True, records_in=read, records_out=read,
                    watermark=watermark, pending=pending, splits=splits)  # fmt: skip


WINDOW = "LocalWindowAggregate(window=[TUMBLE(time_col=[ts], size=[1 min])])"


def keeper(mark, *, out=0, taken=300, late=None):
    return Operator("LocalWindowAggregate[3]", vertex(WINDOW), WINDOW, records_in=taken, records_out=out,
                    watermark=mark, late=late)  # fmt: skip


def table(**options):
    return Table(("c", "d", "t"), {"topic": "t", "format": "json", **options}, "ts", 1000, ("id", "ts"))


def stock(spans=None, starts=None, **more):
    spans = spans or {("t", 0): (0, 300)}
    given_ = more.pop("table", table())
    return Stock(
        given_, spans, {k: low for k, (low, _) in spans.items()} if starts is None else starts, {}, **more
    )


def timed(*operators):
    found = job.Evidence(running(f"[3]:{WINDOW}"), operators=operators)
    return list(event_time.findings(found, [stock()]))


def test_partitions_that_are_level_leave_the_window_as_the_reason():
    (found,) = timed(source({"t-0": 38_000, "t-1": 39_000}, 38_000), keeper(38_000))
    assert found.kind == "window-open"
    assert (found.evidence["window_end_ms"], found.evidence["needed_ms"]) == (60_000, 60_999)
    assert "1 s behind the newest ts" in found.fact


def test_a_partition_behind_counts_only_where_that_keeps_a_window_open():
    (found,) = timed(source({"t-0": 38_000, "t-1": 61_000}, 38_000), keeper(38_000))
    assert found.kind == "idle-partition"
    assert found.fact.startswith("partition 0 of t is at 1970-01-01 00:00:38Z")


def test_an_idle_partition_that_is_left_out_already_is_no_reason():
    (found,) = timed(source({"t-0": 38_000, "t-1": None}, 38_000), keeper(38_000))
    assert found.kind == "window-open"


def test_partitions_of_several_topics_are_named_with_them():
    (found,) = timed(source({"a-0": 90_000, "b-1": None, "t-1": None}, None), keeper(None))
    assert found.fact.startswith("partitions b-1, t-1 of t have no record")


def test_a_partition_with_records_is_not_called_silent_before_flink_has_measured_it():
    found = job.Evidence(
        running(f"[3]:{WINDOW}"), operators=(source({"t-0": 90_000, "t-1": None}, None), keeper(None))
    )
    both = stock({("t", 0): (0, 300), ("t", 1): (0, 1)})
    (said,) = event_time.findings(found, [both])
    assert (said.kind, said.certain) == ("not-measured", False)
    empty = stock({("t", 0): (0, 300), ("t", 1): (0, 0)})
    (said,) = event_time.findings(found, [empty])
    assert said.kind == "idle-partition"


def test_a_window_that_gave_rows_before_is_no_certain_reason():
    (found,) = timed(source({"t-0": 70_000}, 70_000), keeper(70_000, out=4))
    assert (found.kind, found.certain) == ("window-open", False)


def test_without_any_watermark_the_source_that_gave_nothing_is_named():
    silent = replace(source({}, None, read=0), name="Source__KafkaSource-c_d_other", records_out=0)
    (found,) = timed(silent, keeper(None))
    assert (found.kind, found.certain) == ("no-watermark", True)
    assert "nothing has been read of other" in found.fact


def test_before_anything_is_measured_kafka_tells_which_partitions_are_silent():
    spans = {("t", 0): (0, 300), ("t", 1): (0, 0)}
    found = list(event_time.findings(job.Evidence(running(f"[3]:{WINDOW}")), [stock(spans)]))
    assert [f.kind for f in found] == ["idle-partition"]
    assert list(event_time.findings(job.Evidence(running("[3]:Calc(x)")), [stock(spans)])) == []


def kinds(found):
    return [finding.kind for finding in found]


def test_what_has_been_read_is_not_called_past_or_empty():
    empty = stock({("t", 0): (5, 5)})
    assert list(topic.findings(empty, read=3, caught_up=True, now_ms=0)) == []
    assert kinds(topic.findings(empty, read=None, caught_up=False, now_ms=0)) == ["empty-topic"]


def test_records_without_a_start_that_is_known_are_no_reason():
    unknown = stock(starts={}, table=table(**{"scan.startup.mode": "group-offsets"}))
    assert list(topic.findings(unknown, read=None, caught_up=False, now_ms=0)) == []


def test_a_source_at_the_end_that_read_nothing_is_past_the_data_whatever_the_timestamps_say():
    late = stock(table=table(**{"scan.startup.mode": "latest-offset"}), newest_ms=1000)
    (found,) = topic.findings(late, read=0, caught_up=True, now_ms=121_000)
    assert found.kind == "startup-past-data"
    assert "the newest is of 1970-01-01 00:00:01Z, 2 min ago" in found.fact


def test_trouble_with_kafka_is_a_finding_with_its_hint():
    gone = TopicNotFound("Kafka 'main' has no topic 'ordrs'", hint="did you mean 'orders'?")
    assert topic.trouble(table(), gone).kind == "no-such-topic"
    assert topic.trouble(table(), gone).advice == "did you mean 'orders'?"
    assert topic.trouble(table(), BrokerUnreachable("nobody")).kind == "broker-unreachable"
    assert "KeyError" in topic.trouble(table(), KeyError("secret")).fact
    assert "secret" not in topic.trouble(table(), KeyError("secret")).fact


class Sampled(list):
    """So many rows of a sample."""

    def __init__(self, rows, errors, tombstones=0, columns=()):
        super().__init__(range(rows))
        self.errors, self.tombstones, self.value_columns, self.fields = errors, tombstones, list(columns), {}
        self.table = SimpleNamespace(column_names=[])


SKIPS = {"json.ignore-parse-errors": "true"}


def test_a_sample_alone_convicts_only_where_errors_are_skipped_and_all_have_one():
    assert (
        decoding.undecodable(table(**SKIPS), Sampled(20, 20), read=None, decoded=None).kind == "undecodable"
    )
    assert decoding.undecodable(table(**SKIPS), Sampled(20, 19), read=None, decoded=None) is None
    assert decoding.undecodable(table(), Sampled(20, 20), read=None, decoded=None) is None
    assert decoding.undecodable(table(**SKIPS), Sampled(20, 20), read=9, decoded=4) is None


def test_counts_convict_without_a_sample_and_tombstones_are_told_apart():
    assert decoding.undecodable(table(), None, read=9, decoded=0).fact == (
        "9 records of t are read, and not one can be decoded as json"
    )
    assert decoding.undecodable(table(), Sampled(9, 0, 9), read=9, decoded=0).kind == "only-tombstones"


def test_a_missing_field_is_certain_only_where_it_drops_rows():
    seen = Sampled(5, 0, columns=("ID", "ts"))
    found = decoding.missing_fields(table(), seen, "Calc(where=[(id = 7)])")
    assert found.certain
    assert "id is ID there" in found.fact
    assert not decoding.missing_fields(table(), seen, "Calc(where=[(other = 7)])").certain


def test_a_job_that_failed_long_ago_and_runs_now_is_not_called_restarting():
    old = job.Evidence(running(), failures=(Failure(1000, "x"),), restarts=3)
    assert list(job.findings(replace(old, job=replace(running(), now_ms=10**6)), "a")) == []
    assert kinds(job.findings(old, "a")) == ["restarting"]


def test_waiting_tasks_with_enough_free_slots_are_only_starting():
    waits = running(state="CREATED", tasks={"SCHEDULED": 1})
    some = job.Evidence(waits, overview={"slots-total": 2, "slots-available": 1, "taskmanagers": 1})
    none = replace(
        some, overview={"slots-total": 2, "slots-available": 0, "taskmanagers": 1}, others=("x", "y")
    )
    gone = replace(some, overview={"slots-total": 0, "slots-available": 0, "taskmanagers": 0})
    assert kinds(job.findings(some, "a")) == ["starting"]
    assert kinds(job.findings(none, "a")) == ["no-free-slots", "starting"]
    assert kinds(job.findings(gone, "a")) == ["no-taskmanager", "starting"]


def test_rows_at_a_sink_are_no_dropping():
    calc = Operator("Calc[2]", vertex(), "Calc(where=[x])", records_in=5, records_out=0)
    sink = Operator("Sink__Collect_table_sink", vertex(), records_in=1)
    assert kinds(flow.dropped(job.Evidence(running(), operators=(calc,)))) == ["filter-drops-all"]
    assert list(flow.dropped(job.Evidence(running(), operators=(calc, sink)))) == []


def test_a_call_that_hangs_is_left_behind_at_the_deadline():
    began = time.monotonic()
    with pytest.raises(Late):
        Call(lambda: time.sleep(30)).result(began + 0.05)
    with pytest.raises(ZeroDivisionError):
        Call(lambda: 1 / 0).result(began + 30)
    assert Call(lambda: 7).result(began + 30) == 7


def test_a_diagnosis_never_raises():
    query = SimpleNamespace(name="q", state="running", error=None, statement=None)
    query_ = type("Q", (), {**vars(query), "__len__": lambda _: 0})()
    found = why(query_, SimpleNamespace(session=None))
    assert found.kinds == ("unclear",)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1500, "1.5 s"),
        (60_000, "1 min"),
        (5_400_000, "1.5 h"),
        (2 * 86_400_000, "2 d"),
    ],
)
def test_lengths_of_time_are_in_their_largest_unit(value, expected):
    assert span(value) == expected


@given(st.integers(-(2**63), 2**63 - 1))
def test_any_moment_can_be_written(ms):
    assert moment(ms)


def test_counts_have_their_plural():
    assert (count(1, "record"), count(1200, "record"), count(0, "query")) == (
        "1 record",
        "1,200 records",
        "0 queries",
    )


HOSTILE = "<img src=x onerror=alert(1)>\n\x1b[31m"


def test_the_view_escapes_what_comes_from_outside():
    found = Diagnosis(HOSTILE, HOSTILE, 0, (Finding(HOSTILE, HOSTILE, HOSTILE, evidence={HOSTILE: HOSTILE}),
                                            Finding("x", HOSTILE, certain=False)))  # fmt: skip
    drawn, text = diagnose_view.bundle(found)
    small, _ = diagnose_view.inline(found)
    assert "<img" not in drawn + small
    assert "\x1b" not in drawn + text


@pytest.mark.parametrize(
    ("count_", "dropped", "stays"),
    [
        (1, "the one record is dropped", "1 record has come"),
        (2, "all 2 records are dropped", "2 records have come"),
    ],
)
def test_one_record_is_written_of_as_one(count_, dropped, stays):
    calc = Operator("Calc[1]", vertex(), "Calc(where=[(a < 1)])", records_in=count_, records_out=0)
    assert flow._drops(calc).fact.startswith(dropped)
    assert flow._drops(replace(calc, description="Sort()")).fact.startswith(stays)


def test_the_view_says_states_and_kinds_in_words():
    found = Diagnosis("q", "idle", 1, (Finding("empty-topic", "the topic t has no record"),))
    drawn, text = diagnose_view.bundle(found)
    assert text.startswith("q (stopped when quiet, 1 row): empty topic")
    assert ">stopped when quiet<" in drawn
    assert ">empty topic<" in drawn


@pytest.mark.parametrize(
    ("name", "words"), [("t", "the topic t has no record"), ("s", "the topic t of s has no record")]
)
def test_a_topic_is_named_with_its_table_only_where_that_has_another_name(name, words):
    nothing = Stock(Table((name,), {"connector": "kafka", "topic": "t"}), {("t", 0): (0, 0)}, {}, {})
    (finding,) = topic.findings(nothing, read=0, caught_up=True, now_ms=0)
    assert finding.fact.startswith(words)


def listed(**more):
    given_ = {
        "id": "ab" * 16,
        "name": HOSTILE,
        "state": "RUNNING",
        "duration_ms": 3_661_000,
        "done": False,
        **more,
    }
    return SimpleNamespace(**given_)


def test_the_list_of_jobs_escapes_names_and_links_to_the_ui():
    from sdp_kernel.flink.vitals import ClusterVitals, Vitals

    figures = Vitals("ab" * 16, "RUNNING", lag=12, watermark=1000, now_ms=61_000, backpressure=0.5, busy=0.25)
    drawn, text = jobs_view.jobs_bundle(
        [listed()], {"ab" * 16: figures}, "http://h:1/", ClusterVitals(1, 8, 3, 2**20, 2**30)
    )
    assert "<img" not in drawn
    assert f'href="http://h:1/#/job/running/{"ab" * 16}"' in drawn
    assert "01:01:01" in text
    assert "1970-01-01 00:00:01Z (1 min ago)" in text
    assert "50%, busy 25%" in text
    assert "3 of 8 slots free, TaskManager heap 1.0 MiB of 1.0 GiB" in text


def test_jobs_that_run_come_first_and_of_those_that_ended_the_newest():
    ended = [listed(name=f"old {at}", state="CANCELED", done=True) for at in range(30)]
    _, text = jobs_view.jobs_bundle([*ended, listed(name="x" * 200)], {}, "http://h")
    assert text.splitlines()[1].startswith("x" * 59 + "…")
    assert "old 19" in text
    assert "old 20" not in text
    assert "10 older jobs" in text


def test_lists_without_entries_say_so():
    assert jobs_view.jobs_bundle([], {}, "http://h")[1] == "the cluster knows no job"
    assert jobs_view.queries_bundle([], "http://h")[1] == "no query has run yet"


def test_every_kind_of_finding_is_documented():
    import re
    from pathlib import Path

    import sdp_kernel.diagnose

    room = Path(sdp_kernel.diagnose.__file__).parent
    source_text = "\n".join(path.read_text(encoding="utf-8") for path in room.glob("*.py"))
    kinds_used = set(re.findall(r"Finding\(\s*\"([a-z-]+)\"", source_text))
    page = (room.parents[1] / "docs" / "diagnosis.md").read_text(encoding="utf-8")
    documented = {kind for line in page.splitlines() if line.startswith("| `")
                  for kind in re.findall(r"`([a-z-]+)`", line.split("|")[1])}  # fmt: skip
    assert kinds_used == documented
