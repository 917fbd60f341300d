"""The head of a live view: state, counts, rates, watermark, job; also while nothing else changes."""

from __future__ import annotations

import datetime as dt
import time
from collections import deque
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sdp_kernel.notebook import html
from sdp_kernel.notebook.display import STATES

if TYPE_CHECKING:
    from sdp_kernel.flink.query import Query

_SPAN_S = 3.0


class Rates:
    """Rows and changes a second over the last three seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int, int]] = deque()

    def add(self, now: float, rows: int, changes: int) -> tuple[float, float]:
        """Take a count at ``now``, in seconds; returns growth of rows and changes a second."""
        if self._seen and changes < self._seen[-1][2]:
            self._seen.clear()
        self._seen.append((now, rows, changes))
        while len(self._seen) > 2 and now - self._seen[1][0] >= _SPAN_S:  # noqa: PLR2004
            self._seen.popleft()
        then, rows_then, changes_then = self._seen[0]
        span = now - then
        return ((rows - rows_then) / span, (changes - changes_then) / span) if span > 0 else (0.0, 0.0)


def head(query: Query, rates: Rates, now: float, *, jobmanager_url: str | None) -> dict[str, Any]:
    """Return the head line of a query as plain text parts, for the page to draw.

    ``facts`` are triples of a value, its unit, and a sentence for who points at it.
    """
    state, tone = STATES.get(query.state, (query.state, "warn"))
    rows, changes = len(query), query.changes
    row_rate, change_rate = rates.add(now, rows, changes)
    running = query.state == "running"
    elapsed = time.time() - query.started if running else query.elapsed
    facts = [(html.number(rows), "row" if rows == 1 else "rows", "rows of the table as it stands")]
    if running:
        facts.append((_rate(row_rate), "rows/s", "growth of the table in the last seconds"))
    if query.updating:
        facts.append((html.number(changes), "changes", "changelog rows read, retractions counted"))
    if running:
        facts.append((_rate(change_rate), "changes/s", "changelog rows a second, in the last seconds"))
    facts.append((_duration(elapsed), "", "since the start" if running else "from start to end"))
    if running and query.lost:
        facts.append((query.lost, "", "the query is run again"))
    facts += _of_job(query) if running else []
    return {
        "state": "stopping" if running and query.stopping else state,
        "tone": tone,
        "facts": facts,
        "job": _job(query, jobmanager_url),
        "running": running,
    }


def _of_job(query: Query) -> list[tuple[str, str, str]]:
    """Return what the JobManager says of a running query."""
    vitals = query.vitals
    if vitals is None:
        return []
    facts = []
    watermark = getattr(vitals, "watermark", None)
    if watermark is not None:
        behind = time.time() - watermark / 1000
        at = dt.datetime.fromtimestamp(watermark / 1000, dt.timezone.utc)
        text = at.isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "Z")
        facts.append((text, "watermark", "event time that the query has come to"))
        if behind >= 0:
            facts.append((_duration(behind), "behind now", "how far the watermark is behind the clock"))
    job_state = getattr(vitals, "job_state", None)
    if job_state and job_state not in {"RUNNING", "UNKNOWN"}:
        facts.append((str(job_state).lower(), "job", "the job's state on the cluster"))
    restarts = getattr(vitals, "restarts", 0)
    if restarts:
        facts.append((html.number(restarts), "restart" if restarts == 1 else "restarts", "of the job"))
    return facts


def _job(query: Query, url: str | None) -> dict[str, str] | None:
    if not query.job_id:
        return None
    link = ""
    if url and urlsplit(url).scheme in {"http", "https"}:
        page = "running" if query.state == "running" else "completed"
        link = f"{url.rstrip('/')}/#/job/{page}/{query.job_id}"
    return {"id": query.job_id[:8], "url": link}


def _rate(value: float) -> str:
    return html.number(value) if value >= 10 else f"{max(value, 0):.1f}"  # noqa: PLR2004


def _duration(seconds: float) -> str:
    if seconds < 60:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    if seconds >= 86_400:  # noqa: PLR2004
        return f"{seconds / 86_400:,.1f} days"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
