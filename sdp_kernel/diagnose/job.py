"""What the JobManager knows of a silent query: whether its job can run at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdp_kernel.diagnose.findings import Finding, count, span
from sdp_kernel.flink import faults, operators
from sdp_kernel.flink.job_detail import STARTING, WAITING
from sdp_kernel.flink.jobs import TERMINAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sdp_kernel.flink.job_detail import Failure, JobDetail
    from sdp_kernel.flink.jobs import JobManager
    from sdp_kernel.flink.operators import Operator

#: A failure so long ago does not explain why nothing comes now.
_RECENT_MS = 60_000
_MOST_NAMES = 5


@dataclass(frozen=True)
class Evidence:
    """What was read of a job: ``job`` is None where the JobManager does not know it.

    ``age_ms`` is how old the operators' figures are; None where it is not known.
    """

    job: JobDetail | None
    overview: Mapping[str, Any] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    restarts: int = 0
    operators: tuple[Operator, ...] = ()
    age_ms: int | None = None
    checkpoint_interval_ms: int | None = None

    @property
    def sources(self) -> list[Operator]:
        """The sources."""
        return [operator for operator in self.operators if operator.is_source]

    @property
    def delivered(self) -> int:
        """Records that have come to the sinks."""
        return sum(operator.records_in or 0 for operator in self.operators if operator.is_sink)


def read(jobmanager: JobManager, job_id: str) -> Evidence:
    """Ask the JobManager about a job; a few requests, more for a job that waits or fails.

    Raises
    ------
    SdpError
        It does not answer, or refuses.
    """
    job = jobmanager.detail(job_id)
    if job is None:
        return Evidence(None)
    if job.state in TERMINAL:
        return Evidence(job, failures=jobmanager.failures(job_id))
    figures = jobmanager.job_metrics(job_id, ("numRestarts", "uptime"))
    waits = any(job.tasks.get(state) for state in WAITING)
    others: tuple[str, ...] = ()
    if waits:
        others = tuple(j.name for j in jobmanager.jobs() if not j.done and j.id != job_id)
    measured_ms = figures.get("uptime", 0)
    running = job.running_ms > 0 and job.state == "RUNNING"
    return Evidence(
        job,
        overview=jobmanager.overview() if waits else {},
        others=others,
        failures=jobmanager.failures(job_id),
        restarts=int(figures.get("numRestarts", 0)),
        operators=tuple(operators.read(jobmanager, job)) if running else (),
        age_ms=max(int(job.now_ms - job.running_ms - measured_ms), 0) if running and measured_ms else None,
        checkpoint_interval_ms=jobmanager.checkpoint_interval(job_id) if running else None,
    )


def findings(found: Evidence, job_id: str, *, since_s: float = 0.0) -> Iterator[Finding]:
    """Say why the job does not run, where it does not.

    Parameters
    ----------
    since_s
        How long ago the query was started.
    """
    job = found.job
    if job is None:
        yield Finding(
            "not-submitted",
            f"Flink still plans the query, since {span(since_s * 1000)}: its job is not submitted yet",
            "wait: the first query of a gateway takes longest; where it stays so, see the gateway's log",
            certain=False,
            evidence={"job_id": job_id, "since_s": since_s},
        )
        return
    yield from _failing(found, job)
    yield from _waiting(found, job)
    tasks = job.tasks
    starting = sum(tasks.get(state, 0) for state in STARTING)
    total = sum(tasks.values())
    if job.state not in TERMINAL and (starting or not total or job.state == "INITIALIZING"):
        yield Finding(
            "starting",
            f"the job starts since {span(job.duration_ms)}: {total - starting} of {count(total, 'task')} run",
            "wait a moment",
            certain=False,
            evidence={"tasks": tasks, "state": job.state, "duration_ms": job.duration_ms},
        )


def _failing(found: Evidence, job: JobDetail) -> Iterator[Finding]:
    if not found.failures:
        return
    newest = found.failures[0]
    ago = job.now_ms - newest.at_ms
    times = max(found.restarts, len(found.failures))  # the metric comes later than the history
    evidence = {
        "reason": newest.reason,
        "restarts": times,
        "state": job.state,
        "failed_at_ms": newest.at_ms,
        "task": newest.task,
    }
    if job.state == "FAILED":
        yield Finding("failed", f"{newest.reason}: the job has failed", _mend(newest), evidence=evidence)
    elif job.state in {"RESTARTING", "FAILING"} or (found.restarts and ago < _RECENT_MS):
        yield Finding(
            "restarting",
            f"{newest.reason}: the job fails and is started again, {count(times, 'time')} so far, "
            f"last {span(ago)} ago",
            _mend(newest),
            evidence=evidence,
        )


def _mend(failure: Failure) -> str:
    return faults.hint(failure.reason, failure.stack) or "mend what the reason says, and run the query again"


def _waiting(found: Evidence, job: JobDetail) -> Iterator[Finding]:
    waiting = sum(job.tasks.get(state, 0) for state in WAITING)
    free = found.overview.get("slots-available", 0)
    if not waiting or not found.overview or free >= job.parallelism:
        return
    slots, managers = found.overview.get("slots-total", 0), found.overview.get("taskmanagers", 0)
    evidence = {
        "waiting_tasks": waiting,
        "slots": slots,
        "free_slots": free,
        "needed_slots": job.parallelism,
        "taskmanagers": managers,
        "other_jobs": list(found.others),
    }
    if not managers:
        yield Finding(
            "no-taskmanager",
            f"the cluster has no TaskManager: {count(waiting, 'task')} of the job wait for one",
            "sdp status shows whether it runs, sdp up starts it; on another cluster look at its log",
            evidence=evidence,
        )
        return
    names = ", ".join(found.others[:_MOST_NAMES]) + (" and more" if len(found.others) > _MOST_NAMES else "")
    holders = f"; {count(len(found.others), 'other job')} run: {names}" if found.others else ""
    yield Finding(
        "no-free-slots",
        f"no free task slot: the job needs {job.parallelism}, and of the cluster's {count(slots, 'slot')} "
        f"{free or 'none'} {'are' if free > 1 else 'is'} free{holders}",
        "stop a query or cancel a job (%jobs), or raise task_slots under [local] in sdp.toml",
        evidence=evidence,
    )
