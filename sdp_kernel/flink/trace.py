"""What is kept of a query's run, small, for whoever judges it when its job is gone.

Its course: how many changes and rows there were when. What its job's metrics said, asked for at four
seconds and then ever more seldom, since each time costs two requests a vertex. And some of its changes,
each with the same chance.
"""

from __future__ import annotations

import contextlib
import math
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sdp_kernel.errors import SdpError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sdp_kernel.flink.jobs import JobManager
    from sdp_kernel.flink.operators import Operator
    from sdp_kernel.flink.session import Session
    from sdp_kernel.flink.vitals import Vitals

_FIRST_LOOK_S, _MOST_SELDOM_S = 4.0, 60.0
_POINTS = 64
_KEPT = 1024


@dataclass(frozen=True)
class Point:
    """A moment of a run: seconds since its start, changes read, rows of the table as it stood."""

    seconds: float
    changes: int
    rows: int


@dataclass(frozen=True)
class Measures:
    """What the metrics of a job said at a moment; ``sources`` is the number of subtasks that read."""

    vitals: Vitals
    operators: tuple[Operator, ...]
    sources: int = 0

    @property
    def seconds(self) -> float:
        """How long the job had run."""
        return self.vitals.duration_ms / 1000


def measure(jobmanager: JobManager, job_id: str) -> Measures | None:
    """Ask a running job for its metrics; None where it does not run, or cannot be asked."""
    from sdp_kernel.flink import operators, vitals  # noqa: PLC0415 - loaded when somebody looks

    with contextlib.suppress(SdpError):
        job = jobmanager.detail(job_id)
        if job is not None and job.state == "RUNNING":
            sources = sum(vertex.parallelism for vertex in job.sources)
            return Measures(vitals.read(jobmanager, job_id), tuple(operators.read(jobmanager, job)), sources)
    return None


@dataclass
class Trace:
    """The run of one query; ``first`` and ``last`` are measures of its job, None where nobody looked."""

    points: list[Point] = field(default_factory=list)
    first: Measures | None = None
    last: Measures | None = None
    _step: float = 0.25
    _next_look: float = _FIRST_LOOK_S

    def note(self, seconds: float, changes: int, rows: int) -> None:
        """Keep a point, unless the last one is recent; when there are many, every second one stays."""
        if self.points and seconds - self.points[-1].seconds < self._step:
            return
        self.points.append(Point(seconds, changes, rows))
        if len(self.points) >= _POINTS:
            self.points, self._step = self.points[::2], self._step * 2

    def end(self, seconds: float, changes: int, rows: int) -> None:
        """Keep the last point."""
        self.points.append(Point(seconds, changes, rows))

    def due(self, seconds: float) -> bool:
        """Whether it is time to look."""
        return seconds >= self._next_look

    def look(self, jobmanager: JobManager, job_id: str, seconds: float) -> None:
        """Ask for the job's metrics, and let twice the time pass until the next time."""
        self._next_look = seconds + min(max(seconds, _FIRST_LOOK_S), _MOST_SELDOM_S)
        self.keep(measure(jobmanager, job_id))

    def keep(self, measures: Measures | None) -> None:
        """Keep what was measured."""
        if measures is not None:
            self.first = self.first or measures
            self.last = measures


def look_at(session: Session) -> None:
    """Ask for the metrics of a running SELECT's job, where it is time to: of one in a turn.

    Raises
    ------
    SdpError
        The session does not say where its JobManager is.
    """
    for query in session.running:
        seconds = time.time() - query.started
        if query.job_id and query.statement.is_query and query.lost is None and query.trace.due(seconds):
            jobmanager = session.jobmanager
            if jobmanager is not None:
                query.trace.look(jobmanager, query.job_id, seconds)
            return


class Sample:
    """Some of the changes of a run, each with the same chance (a reservoir, Algorithm L).

    ``seen`` counts all. Past the first thousand it costs a few numbers a page.
    """

    def __init__(self, most: int = _KEPT, *, seed: int | None = None) -> None:
        self.seen = 0
        self.kept: list[bytes] = []
        self._most = most
        self._random = random.Random(seed)  # noqa: S311 - a sample, no secret
        self._weight = 1.0
        self._next = 0

    def take(self, changes: Sequence[bytes]) -> None:
        """Take a page's changes into account."""
        first = len(self.kept)
        if first < self._most:
            self.kept += changes[: self._most - first]
            if len(self.kept) == self._most:
                self._next = self._most - 1
                self._skip()
        end = self.seen + len(changes)
        while len(self.kept) == self._most and self._next < end:
            if self._next >= self.seen:
                self.kept[self._random.randrange(self._most)] = changes[self._next - self.seen]
            self._skip()
        self.seen = end

    def _skip(self) -> None:
        self._weight *= math.exp(math.log(self._random.random() or 1e-300) / self._most)
        self._next += int(math.log(self._random.random() or 1e-300) / math.log1p(-self._weight)) + 1
