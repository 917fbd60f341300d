"""Draws the jobs on Kubernetes: the columns of local jobs, the operator's states, and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sdp_kernel.notebook.html import fact, note, panel, text_grid, title
from sdp_kernel.notebook.jobs_view import FIGURES, duration, figures, linked, short, without_empty

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sdp_kernel.deploy.figures import Figures
    from sdp_kernel.deploy.resources import DeployedJob

_HEADER = ("job", "state", "kubernetes", "on", "for", "slots", *FIGURES, "id")
_RIGHT = (False, False, False, False, True, True, True, True, False, True, True, True, False)
_ID = 8


def bundle(jobs: Sequence[DeployedJob], found: Figures, *, profile: str, namespace: str) -> tuple[str, str]:
    """Draw jobs as HTML and as text; an error of the operator's is a line below its job's."""
    rows = [_row(job, found) for job in jobs]
    nothing = f"no jobs in the namespace {namespace}"
    head = [
        title("jobs"),
        fact(str(sum(job.running for job in jobs)), "running"),
        fact(str(len(jobs)), "in all"),
        fact(f"{profile}: {namespace}"),
    ]
    shown = without_empty(_HEADER, rows, _RIGHT)
    notes = [*(f"{job.name}: {job.error}" for job in jobs if job.error), *found.notes]
    table = linked(*shown, [job.ui for job in jobs], [_tone(job) for job in jobs]) if rows else note(nothing)
    lines = [text_grid(shown[0], shown[1], right=shown[2])] if rows else [nothing]
    return panel(head, table, *map(note, notes)), "\n".join([*lines, *notes])


def _row(job: DeployedJob, found: Figures) -> list[Any]:
    vitals = found.vitals.get(job.job_id)
    state = job.job_state or job.desired
    waiting = vitals is not None and vitals.starting
    return [
        short(job.name),
        f"{state} ({vitals.starting} tasks start)" if vitals is not None and waiting else state,
        kubernetes_state(job),
        job.cluster,
        duration(job.duration_ms / 1000) if job.duration_ms is not None else "",
        job.parallelism or "",
        *figures(vitals),
        job.job_id[:_ID],
    ]


def kubernetes_state(job: DeployedJob) -> str:
    """Return the operator's state in a few words: ``STABLE``; ``STABLE, change not seen yet``."""
    words = [job.lifecycle or "not looked at"]
    if job.deleting:
        words.append("is being deleted")
    elif not job.current and job.lifecycle:
        words.append("change not seen yet")
    if job.desired == "suspended" and job.lifecycle != "SUSPENDED":
        words.append("is to be suspended")
    if job.error:
        words.append("error")
    return ", ".join(words)


def _tone(job: DeployedJob) -> str:
    return "FAILED" if job.error else job.job_state
