"""Vital signs from REST answers, for states that a cluster cannot be brought to on purpose."""

import json

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.errors import Unreachable
from sdp_kernel.flink import operators, vitals
from sdp_kernel.flink.job_detail import (
    Metric,
    Vertex,
    read_backpressure,
    read_checkpoints,
    read_detail,
    watermark,
)
from sdp_kernel.flink.jobs import JobManager
from sdp_kernel.local.components import free_ports

NONE_YET, AT_END = -(2**63), 2**63 - 1
SOURCE = "Source: KafkaSource-default_catalog.default_database.trades"
METRIC = "Source__KafkaSource-default_catalog_default_database_trades"


def detail(*vertices, state="RUNNING", **more):
    """An answer of GET /jobs/:id with (id, name, inputs, tasks) for each vertex."""
    return {
        "jid": "a", "name": "job", "state": state, "start-time": 1000, "duration": 5000, "now": 6000,
        "timestamps": {"RUNNING": 2000},
        "vertices": [
            {"id": i, "name": name, "parallelism": 2, "tasks": tasks, "metrics": {"read-records": 5, "write-records": 7}}
            for i, name, _, tasks in vertices
        ],
        "plan": {"nodes": [
            {"id": i, "description": "[1]:Calc(where=[(a &lt; 1)])<br/>+- Sink: x<br/>", "inputs": [{"id": k} for k in inputs]}
            for i, _, inputs, _ in vertices
        ]},
        **more,
    }  # fmt: skip


class Cluster:
    """A JobManager's answers: the job, and metrics by vertex id; counts the requests."""

    def __init__(self, job, metrics=None, figures=None):
        self.job, self.metrics, self.figures, self.asked = job, metrics or {}, figures or {}, []

    def __call__(self, request):
        self.asked.append(request.url.path)
        path = request.url.path
        if path == "/jobs/a":
            return httpx.Response(200, text=json.dumps(self.job)) if self.job else httpx.Response(404)
        names = request.url.params.get("get", "")
        if path == "/jobs/a/metrics":
            listed = [{"id": n, "value": str(v)} for n, v in self.figures.items() if n in names.split(",")]
            return httpx.Response(200, json=listed)
        measured = self.metrics.get(path.split("/")[4], {})
        if not names:
            return httpx.Response(200, json=[{"id": name} for name in measured])
        if not set(names.split(",")) <= set(measured):
            return httpx.Response(200, json=[])  # as Flink does where one is not measured
        values = {name: measured[name] for name in names.split(",")}
        return httpx.Response(
            200,
            text=json.dumps(
                [{"id": n, "min": v[0], "max": v[1], "sum": v[0] + v[1]} for n, v in values.items()]
            ),
        )


def read(job, metrics=None, figures=None):
    cluster = Cluster(job, metrics, figures)
    return vitals.read(JobManager("http://test", transport=httpx.MockTransport(cluster)), "a"), cluster


RUNNING = {"RUNNING": 2}
TWO = (
    ("s", f"{SOURCE} -> Calc[1]", [], RUNNING),
    ("w", "Window[2] -> Sink: Collect table sink", ["s"], RUNNING),
)


def test_a_job_that_is_gone_is_unknown_and_no_error():
    found, cluster = read(None)
    assert found == vitals.Vitals("a", "UNKNOWN")
    assert cluster.asked == ["/jobs/a"]


def test_a_job_that_has_not_been_measured_has_no_figures():
    found, _ = read(detail(("s", SOURCE, [], {"SCHEDULED": 2}), state="CREATED"))
    assert (found.waiting, found.starting) == (2, 2)
    assert (found.records_in, found.lag, found.watermark, found.backpressure, found.busy) == (None,) * 5


def test_figures_of_a_running_job_come_from_sources_and_ends():
    found, cluster = read(
        detail(*TWO),
        {
            "s": {f"{METRIC}.numRecordsIn": (3, 4), f"{METRIC}.numRecordsOut": (3, 3), f"{METRIC}.pendingRecords": (0, 9),
                  f"{METRIC}.currentOutputWatermark": (5000, 6000), "backPressuredTimeMsPerSecond": (0, 250.0)},
            "w": {"currentInputWatermark": (4000, 6000), "busyTimeMsPerSecond": (0, 990.0),
                  "Sink__Collect_table_sink.numRecordsIn": (1, 1)},
        },
        {"numRestarts": 2, "numberOfCompletedCheckpoints": 3, "lastCheckpointDuration": -1, "uptime": 60_000},
    )  # fmt: skip
    assert (found.records_in, found.records_out, found.lag) == (7, 2, 9)
    assert (found.watermark, found.behind_ms) == (4000, 2000)
    assert (found.backpressure, found.busy) == (0.25, 0.99)
    assert (found.restarts, found.checkpoints, found.checkpoint_ms, found.slots) == (2, 3, None, 2)
    assert len(cluster.asked) == 6


@pytest.mark.parametrize(("uptime", "busy"), [(None, None), (9_000, None), (12_000, 1.0)])
def test_a_young_job_is_not_called_busy_before_flink_has_measured_that_twice(uptime, busy):
    shares = {"busyTimeMsPerSecond": (0, 1000), "backPressuredTimeMsPerSecond": (0, 0)}
    found, _ = read(detail(*TWO), {"s": shares, "w": shares}, {"uptime": uptime} if uptime else {})
    assert (found.busy, found.backpressure) == (busy, None if busy is None else 0.0)


def test_the_second_look_takes_two_requests_and_one_for_each_vertex():
    cluster = Cluster(
        detail(*TWO), {"s": {"busyTimeMsPerSecond": (0, 1)}, "w": {"busyTimeMsPerSecond": (0, 1)}}
    )
    jobmanager = JobManager("http://test", transport=httpx.MockTransport(cluster))
    vitals.read(jobmanager, "a")
    cluster.asked.clear()
    vitals.read(jobmanager, "a")
    assert len(cluster.asked) == 4


def test_a_job_of_many_vertices_is_asked_about_six_of_them():
    chain = [(f"v{n}", f"Calc[{n}]", [f"v{n - 1}"] if n else [], RUNNING) for n in range(30)]
    _, cluster = read(detail(*chain))
    assert len({path.split("/")[4] for path in cluster.asked if "/vertices/" in path}) == 6


@pytest.mark.parametrize("mark", [NONE_YET, AT_END])
def test_there_is_no_watermark_before_the_first_and_after_the_end(mark):
    found, _ = read(detail(*TWO), {"w": {"currentInputWatermark": (mark, mark)}})
    assert found.watermark is None


def test_a_watermark_is_missing_while_one_end_has_none():
    ends = (TWO[0], TWO[1], ("x", "Other[3]", ["s"], RUNNING))
    marks = {"w": {"currentInputWatermark": (4000, 4000)}, "x": {"currentInputWatermark": (NONE_YET, 4000)}}
    assert read(detail(*ends), marks)[0].watermark is None


def test_a_source_that_counts_only_what_it_writes_has_read_that():
    found, _ = read(detail(("s", "Source: gen[1]", [], RUNNING)),
                    {"s": {"Source__gen[1].numRecordsIn": (0, 0), "Source__gen[1].numRecordsOut": (5, 6)}})  # fmt: skip
    assert found.records_in == 11


def test_nobody_at_the_address_is_told():
    with pytest.raises(Unreachable):
        vitals.read(JobManager(f"http://127.0.0.1:{free_ports(1)[0]}"), "a")


def test_the_plan_gives_inputs_and_a_line_for_each_operator():
    job = read_detail(detail(*TWO))
    assert [v.id for v in job.sources] == ["s"]
    assert [v.id for v in job.ends] == ["w"]
    assert job.vertices[0].operators == ("[1]:Calc(where=[(a < 1)])", "Sink: x")
    assert (job.parallelism, job.tasks) == (2, {"RUNNING": 4})


def vertex(name, *, inputs=(), lines=()):
    return Vertex("v", name, 1, RUNNING, 0, 0, inputs, lines)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (f"{SOURCE} -> Calc[1] -> LocalWindowAggregate[2]", [METRIC, "Calc[1]", "LocalWindowAggregate[2]"]),
        ("Source: gen[1] -> (Calc[2], Calc[3] -> out[4]: Writer)", ["Source__gen[1]", "Calc[2]", "Calc[3]", "out[4]__Writer"]),
        ("Sink: Collect table sink", ["Sink__Collect_table_sink"]),
        (f"Source: {'x' * 100}", [f"Source__{'x' * 72}"]),
    ],
)  # fmt: skip
def test_operators_are_named_as_metrics_name_them(name, expected):
    assert operators.names(vertex(name)) == expected


def test_operators_have_their_records_watermarks_and_partitions_in_order_of_the_chain():
    metrics = {
        "Calc[7].numRecordsIn": Metric(3, 3, 3), "Calc[7].numRecordsOut": Metric(0, 0, 0),
        f"{METRIC}.numRecordsIn": Metric(3, 3, 3), f"{METRIC}.currentOutputWatermark": Metric(NONE_YET, 9, 9),
        f"{METRIC}.split.a_b-0.watermark.currentWatermark": Metric(9, 9, 9),
        f"{METRIC}.split.a_b-1.watermark.currentWatermark": Metric(NONE_YET, NONE_YET, NONE_YET),
        "numRecordsIn": Metric(1, 1, 1),
    }  # fmt: skip
    found = operators.of_vertex(vertex(f"{SOURCE} -> Calc[7]", lines=("[7]:Calc(where=[(a < 1)])",)), metrics)
    source, calc = found
    assert source.is_source
    assert (source.records_in, source.watermark, dict(source.splits)) == (
        3,
        None,
        {"a_b-0": 9, "a_b-1": None},
    )
    assert (calc.kind, calc.records_in, calc.records_out, calc.description) == (
        "Calc",
        3,
        0,
        "Calc(where=[(a < 1)])",
    )


@given(st.floats(allow_nan=False) | st.integers(-(2**63), 2**63 - 1))
def test_a_watermark_is_a_moment_or_none(value):
    mark = watermark(value)
    assert mark is None or abs(mark) < 2**62


def test_back_pressure_is_that_of_the_worst_subtask_and_nan_counts_as_none():
    answer = {
        "status": "ok",
        "subtasks": [{"ratio": 0.1, "busyRatio": 0.9, "idleRatio": "NaN"}, {"ratio": 0.7}],
    }
    found = read_backpressure(answer)
    assert (found.ratio, found.busy, found.idle) == (0.7, 0.9, 0.0)
    assert read_backpressure({"status": "deprecated"}) is None


def test_checkpoints_without_a_completed_one_have_no_size():
    found = read_checkpoints({"counts": {"completed": 0, "failed": 2},
                              "latest": {"completed": None, "failed": {"failure_message": "disk full"}}})  # fmt: skip
    assert (found.failed, found.last_bytes, found.last_failure) == (2, None, "disk full")
