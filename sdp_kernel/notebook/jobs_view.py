"""Draws the lists of queries and of jobs, each with what the JobManager says and a link to Flink's UI."""

from __future__ import annotations

import time
from html import escape
from typing import TYPE_CHECKING, Any

import humanize

from sdp_kernel.notebook.display import STATES
from sdp_kernel.notebook.html import cell_text, fact, note, number, panel, text_grid, title

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sdp_kernel.flink.jobs import Job
    from sdp_kernel.flink.query import Query
    from sdp_kernel.flink.vitals import ClusterVitals, Vitals

_TONES = {
    "RUNNING": "run", "running": "run", "submitted": "run", "FINISHED": "good", "finished": "good",
    "FAILED": "bad", "failed": "bad", "FAILING": "bad", "RESTARTING": "warn", "UNKNOWN": "warn",
}  # fmt: skip
FIGURES = ("records", "lag", "watermark", "checkpoints", "backpressure", "restarts")
_OPEN = "Flink UI"
_ID = 8
_NAME = 60
#: So many jobs that have ended are listed, the newest.
_ENDED = 20


def job_link(url: str, job_id: str) -> str:
    """Return the address of a job's page in Flink's UI."""
    return f"{url.rstrip('/')}/#/job/running/{job_id}"


def queries_bundle(
    queries: Sequence[Query], url: str, cluster: ClusterVitals | None = None
) -> tuple[str, str]:
    """Draw queries, the newest first, as HTML and as text.

    Parameters
    ----------
    queries
        With their ``vitals`` as they were last looked at.
    url
        The JobManager's address.
    """
    header = ("query", "state", "for", "rows", "changes", "changes/s", *FIGURES, "job")
    right = (False, False, True, True, True, True, True, True, False, True, True, True, False)
    rows: list[list[Any]] = []
    links: list[str] = []
    states: list[str] = []
    for query in reversed(queries):
        vitals = query.vitals
        state = _query_state(query)
        name = query.name or short(query.statement.text)
        elapsed = query.elapsed if query.over() else time.time() - query.started
        rate = number(query.changes / elapsed) if elapsed > 0 else ""
        rows.append([name, state, duration(elapsed), f"{len(query):,}", f"{query.changes:,}", rate,
                     *figures(vitals), (query.job_id or "")[:_ID]])  # fmt: skip
        links.append(job_link(url, query.job_id) if query.job_id and _has_page(vitals) else "")
        states.append(query.state)
    running = sum(not query.over() for query in queries)
    head = [
        title("queries"),
        fact(str(running), "running"),
        fact(str(len(queries)), "in all"),
        *_cluster(cluster),
    ]
    nothing = "no query has run yet"
    shown = without_empty(header, rows, right)
    table = linked(*shown, links, states) if rows else note(nothing)
    return panel(head, table), _text(nothing, *shown, cluster, url)


def jobs_bundle(
    jobs: Sequence[Job],
    vitals_by_id: Mapping[str, Vitals],
    url: str,
    cluster: ClusterVitals | None = None,
) -> tuple[str, str]:
    """Draw the cluster's jobs as HTML and as text.

    Parameters
    ----------
    vitals_by_id
        By job id; of jobs that have none, name, state and duration are shown.
    url
        The JobManager's address.
    cluster
        Slots and memory, where they are known.
    """
    header = ("job", "state", "for", "slots", *FIGURES, "id")
    right = (False, False, True, True, True, True, False, True, True, True, False)
    rows = []
    all_jobs, ended = jobs, 0
    jobs = []
    for job in sorted(all_jobs, key=lambda job: job.done):
        ended += job.done
        if not job.done or ended <= _ENDED:
            jobs.append(job)
    for job in jobs:
        vitals = vitals_by_id.get(job.id)
        slots = vitals.slots if vitals is not None and not job.done else ""
        rows.append([short(job.name), _job_state(job, vitals), duration(job.duration_ms / 1000), slots,
                     *figures(vitals), job.id[:_ID]])  # fmt: skip
    links = [job_link(url, job.id) for job in jobs]
    running = len(all_jobs) - ended
    head = [
        title("jobs"),
        fact(str(running), "running"),
        fact(str(len(all_jobs)), "in all"),
        *_cluster(cluster),
    ]
    older = f"{ended - _ENDED} older jobs that have ended are in {_OPEN}" if ended > _ENDED else ""
    nothing = "the cluster knows no job"
    shown = without_empty(header, rows, right)
    table = linked(*shown, links, [job.state for job in jobs]) if rows else note(nothing)
    text = _text(nothing, *shown, cluster, url)
    return panel(head, table, note(older)), "\n".join(filter(None, [text, older]))


def without_empty(
    header: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[bool]
) -> tuple[list[str], list[list[Any]], list[bool]]:
    """Leave out the columns of figures that no row has."""
    kept = [at for at, name in enumerate(header) if name not in FIGURES or any(row[at] != "" for row in rows)]
    return [header[at] for at in kept], [[row[at] for at in kept] for row in rows], [right[at] for at in kept]


def _query_state(query: Query) -> str:
    state = STATES.get(query.state, (query.state, ""))[0]
    vitals = query.vitals
    if (
        vitals is not None
        and query.state in {"running", "submitted"}
        and vitals.job_state not in {"RUNNING", "UNKNOWN"}
    ):
        state = f"{state} ({vitals.job_state.lower()})"
    elif vitals is not None and query.state == "running" and vitals.waiting:
        state = f"{state} (waits for a slot)"
    return f"{state} (background)" if query.background and not query.over() else state


def short(text: str) -> str:
    """Return text on one line, cut."""
    flat = " ".join(text.split())
    return flat if len(flat) <= _NAME else f"{flat[: _NAME - 1]}…"


def _job_state(job: Job, vitals: Vitals | None) -> str:
    if vitals is not None and not job.done and vitals.starting:
        what = "wait for a slot" if vitals.waiting else "start"
        return f"{job.state} ({vitals.starting} tasks {what})"
    return job.state


def _has_page(vitals: Vitals | None) -> bool:
    return vitals is None or vitals.job_state != "UNKNOWN"


def figures(vitals: Vitals | None) -> list[str]:
    """Return records, lag, watermark, checkpoints, back pressure and restarts, as text."""
    if vitals is None or vitals.job_state == "UNKNOWN":
        return [""] * len(FIGURES)
    failed = f", {vitals.failed_checkpoints} failed" if vitals.failed_checkpoints else ""
    size = f" ({humanize.naturalsize(vitals.state_bytes, binary=True)})" if vitals.state_bytes else ""
    checkpoints = f"{vitals.checkpoints}{size}{failed}" if vitals.checkpoints or failed else ""
    pressure = "" if vitals.backpressure is None else f"{vitals.backpressure:.0%}"
    busy = "" if vitals.busy is None else f", busy {vitals.busy:.0%}"
    return [
        "" if vitals.records_in is None else f"{vitals.records_in:,}",
        "" if vitals.lag is None else f"{vitals.lag:,}",
        _watermark(vitals),
        checkpoints,
        f"{pressure}{busy}",
        str(vitals.restarts or ""),
    ]


def _watermark(vitals: Vitals) -> str:
    if vitals.watermark is None or vitals.behind_ms is None:
        return ""
    from sdp_kernel.diagnose.findings import moment, span  # noqa: PLC0415 - loaded when it is needed

    behind = f" ({span(vitals.behind_ms)} ago)" if vitals.behind_ms > 0 else ""
    return f"{moment(vitals.watermark)}{behind}"


def duration(seconds: float) -> str:
    """Write a duration as a clock, with days before it."""
    whole = int(seconds)
    days, rest = divmod(whole, 86_400)
    clock = f"{rest // 3600:02d}:{rest % 3600 // 60:02d}:{rest % 60:02d}"
    return f"{days} d {clock}" if days else clock


def _cluster(cluster: ClusterVitals | None) -> list[str]:
    if cluster is None:
        return []
    facts = [fact(f"{cluster.free_slots} of {cluster.slots}", "slots free")]
    if cluster.heap_used is not None and cluster.heap_max is not None:
        facts.append(fact(_heap(cluster.heap_used, cluster.heap_max), "TaskManager heap"))
    return facts


def _heap(used: int, most: int) -> str:
    return f"{humanize.naturalsize(used, binary=True)} of {humanize.naturalsize(most, binary=True)}"


def linked(
    header: Sequence[str],
    rows: Sequence[Sequence[Any]],
    right: Sequence[bool],
    links: Sequence[str],
    states: Sequence[str],
) -> str:
    """Draw rows with the state in its colour and the last column as a link."""
    head = "".join(
        f"<th{' class=sdp-n' if r else ''}>{escape(h)}</th>" for h, r in zip(header, right, strict=True)
    )
    body = []
    for row, link, state in zip(rows, links, states, strict=True):
        cells = []
        for at, (value, flush) in enumerate(zip(row, right, strict=True)):
            shown = escape(cell_text(value))
            if at == 1 and state in _TONES:
                shown = f'<span class="sdp-{_TONES[state]}">{shown}</span>'
            elif at == len(row) - 1 and link and value:
                shown = (
                    f'<a href="{escape(link, quote=True)}" target="_blank" rel="noopener" '
                    f'title="open it in the {_OPEN}">{shown}</a>'
                )
            cells.append(f"<td{' class=sdp-n' if flush else ''}>{shown}</td>")
        body.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<div class="sdp-scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _text(
    nothing: str,
    header: Sequence[str],
    rows: Sequence[Sequence[Any]],
    right: Sequence[bool],
    cluster: ClusterVitals | None,
    url: str,
) -> str:
    if not rows:
        return nothing
    lines = [text_grid(header, rows, right=right)]
    if cluster is not None:
        heap = ""
        if cluster.heap_used is not None and cluster.heap_max is not None:
            heap = f", TaskManager heap {_heap(cluster.heap_used, cluster.heap_max)}"
        lines.append(f"{cluster.free_slots} of {cluster.slots} slots free{heap}")
    lines.append(f"{_OPEN}: {url}")
    return "\n".join(lines)
