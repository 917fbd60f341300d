"""A job's vital signs, in few requests: state, records, watermark, lag, checkpoints, back pressure."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdp_kernel.errors import SdpError
from sdp_kernel.flink import operators
from sdp_kernel.flink.job_detail import STARTING, WAITING
from sdp_kernel.flink.jobs import TERMINAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sdp_kernel.flink.job_detail import JobDetail, Metric, Vertex
    from sdp_kernel.flink.jobs import JobManager

_OF_JOB = (
    "numRestarts",
    "uptime",
    "numberOfCompletedCheckpoints",
    "numberOfFailedCheckpoints",
    "lastCheckpointDuration",
    "lastCheckpointFullSize",
)
_OF_TASK = ("backPressuredTimeMsPerSecond", "busyTimeMsPerSecond", "currentInputWatermark")
_OF_SOURCE = ("numRecordsIn", "numRecordsOut", "pendingRecords", "currentOutputWatermark")
_OF_SINK = ("numRecordsIn",)
#: Flink measures how tasks spend their time every five seconds, and calls one without a measure busy; the
#: first covers less than five. So long a job runs until the second has come, in milliseconds.
_MEASURED_TWICE_MS = 12_000
#: A job with more vertices is asked about its sources, its ends and as many others as make this up.
_MOST_VERTICES = 6


@dataclass(frozen=True)
class Vitals:
    """What the JobManager says of a job. Counts begin anew when a job restarts.

    Attributes
    ----------
    job_id, job_state
        ``UNKNOWN`` where the JobManager does not know the job.
    waiting, starting
        Tasks that wait for a slot; tasks that do not run yet, those included.
    restarts
        How often the job was restarted.
    records_in, records_out
        Records that the sources have read, and that have come to the sinks.
    watermark
        The least watermark at the end of the job, in epoch ms; None while there is none.
    lag
        Records that the sources know of and have not read; None where they do not say.
    backpressure, busy
        0 to 1: the share of the last seconds that the worst subtask was held up, or worked. None until
        it has been measured twice, some twelve seconds after a start.
    checkpoints, failed_checkpoints
        Completed and failed ones.
    checkpoint_ms, state_bytes
        Duration and size of the last completed one; None where there is none.
    slots
        Slots the job takes.
    started_ms, duration_ms, now_ms
        Epoch ms of its start, ms since then, and the cluster's clock in epoch ms.
    """

    job_id: str
    job_state: str
    waiting: int = 0
    starting: int = 0
    restarts: int = 0
    records_in: int | None = None
    records_out: int | None = None
    watermark: int | None = None
    lag: int | None = None
    backpressure: float | None = None
    busy: float | None = None
    checkpoints: int = 0
    failed_checkpoints: int = 0
    checkpoint_ms: int | None = None
    state_bytes: int | None = None
    slots: int = 0
    started_ms: int = 0
    duration_ms: int = 0
    now_ms: int = 0

    @property
    def behind_ms(self) -> int | None:
        """Milliseconds that the watermark is behind the cluster's clock."""
        return None if self.watermark is None else self.now_ms - self.watermark


@dataclass(frozen=True)
class ClusterVitals:
    """A session cluster: its slots, and the heap of its TaskManagers in bytes (None if not known)."""

    taskmanagers: int
    slots: int
    free_slots: int
    heap_used: int | None = None
    heap_max: int | None = None


def read(jobmanager: JobManager, job_id: str) -> Vitals:
    """Ask about a job: two requests and one for each of at most six vertices, the first time two.

    Raises
    ------
    Unreachable
        No JobManager answers. Anything else that is refused leaves figures out.
    """
    job = jobmanager.detail(job_id)
    if job is None:
        return Vitals(job_id, "UNKNOWN")
    tasks = job.tasks
    figures: dict[str, float] = {}
    measured: dict[str, dict[str, Metric]] = {}
    with contextlib.suppress(SdpError):
        figures = jobmanager.job_metrics(job_id, _OF_JOB)
        if job.state not in TERMINAL:
            for vertex in _asked(job):
                measured[vertex.id] = jobmanager.metrics(job_id, vertex.id, _wanted(job, vertex))
    settled = figures.get("uptime", 0) >= _MEASURED_TWICE_MS
    return Vitals(
        job_id,
        job.state,
        waiting=sum(tasks.get(state, 0) for state in WAITING),
        starting=sum(tasks.get(state, 0) for state in STARTING),
        restarts=int(figures.get("numRestarts", 0)),
        records_in=_records_in(job, measured),
        records_out=_records_out(job, measured),
        watermark=_watermark(job, measured),
        lag=_total(job.sources, measured, "pendingRecords"),
        backpressure=_share(measured, "backPressuredTimeMsPerSecond") if settled else None,
        busy=_share(measured, "busyTimeMsPerSecond") if settled else None,
        checkpoints=int(figures.get("numberOfCompletedCheckpoints", 0)),
        failed_checkpoints=int(figures.get("numberOfFailedCheckpoints", 0)),
        checkpoint_ms=_known(figures.get("lastCheckpointDuration")),
        state_bytes=_known(figures.get("lastCheckpointFullSize")),
        slots=0 if job.state in TERMINAL else job.parallelism,
        started_ms=job.start_ms,
        duration_ms=job.duration_ms,
        now_ms=job.now_ms,
    )


def read_cluster(jobmanager: JobManager) -> ClusterVitals:
    """Ask about the cluster, in two requests.

    Raises
    ------
    Unreachable
        No JobManager answers.
    """
    overview = jobmanager.overview()
    heap = None
    with contextlib.suppress(SdpError):
        heap = jobmanager.heap()
    used, most = heap or (None, None)
    return ClusterVitals(
        overview["taskmanagers"], overview["slots-total"], overview["slots-available"], used, most
    )


def _asked(job: JobDetail) -> list[Vertex]:
    first = [*job.sources, *(v for v in job.ends if not v.is_source)]
    return [*first, *(v for v in job.vertices if v not in first)][:_MOST_VERTICES]


def _wanted(job: JobDetail, vertex: Vertex) -> list[str]:
    wanted = list(_OF_TASK)
    for name in operators.names(vertex):
        if vertex.is_source and name.startswith("Source_"):
            wanted += [f"{name}.{metric}" for metric in _OF_SOURCE]
        elif vertex in job.ends:
            wanted += [f"{name}.{metric}" for metric in _OF_SINK]
    return wanted


def _values(vertices: Sequence[Vertex], measured: dict[str, dict[str, Metric]], which: str) -> list[Metric]:
    return [
        metric
        for vertex in vertices
        for name, metric in measured.get(vertex.id, {}).items()
        if name.endswith(f".{which}") and name.startswith("Source_")
    ]


def _total(vertices: Sequence[Vertex], measured: dict[str, dict[str, Metric]], which: str) -> int | None:
    found = _values(vertices, measured, which)
    return int(sum(metric.sum for metric in found)) if found else None


def _records_in(job: JobDetail, measured: dict[str, dict[str, Metric]]) -> int | None:
    """Sum up what sources have read; those that do not count it have written it."""
    read_ = _total(job.sources, measured, "numRecordsIn")
    written = _total(job.sources, measured, "numRecordsOut")
    return max((n for n in (read_, written) if n is not None), default=None)


def _records_out(job: JobDetail, measured: dict[str, dict[str, Metric]]) -> int | None:
    found = [
        metric
        for vertex in job.ends
        for name, metric in measured.get(vertex.id, {}).items()
        if name.endswith(".numRecordsIn") and (name.startswith("Sink_") or "__Writer." in name)
    ]
    return int(sum(metric.sum for metric in found)) if found else None


def _watermark(job: JobDetail, measured: dict[str, dict[str, Metric]]) -> int | None:
    """Take the least that has come to a last vertex; where that reads itself, the source's own."""
    inner = [v for v in job.ends if not v.is_source]
    marks = [m for v in inner if (m := measured.get(v.id, {}).get("currentInputWatermark")) is not None]
    marks += _values([v for v in job.ends if v.is_source], measured, "currentOutputWatermark")
    least = [mark.watermark for mark in marks]
    known = [mark for mark in least if mark is not None]
    return min(known) if known and len(known) == len(least) else None


def _share(measured: dict[str, dict[str, Metric]], which: str) -> float | None:
    found = [metrics[which].max for metrics in measured.values() if which in metrics]
    return min(max(found) / 1000, 1.0) if found else None


def _known(value: float | None) -> int | None:
    return None if value is None or value < 0 else int(value)
