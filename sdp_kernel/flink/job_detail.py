"""What the JobManager tells of one job, as data: vertices, checkpoints, failures, back pressure.

Reading its REST answers is here; asking for them is in :mod:`sdp_kernel.flink.jobs`.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdp_kernel.flink import faults

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sdp_kernel.flink.veil import Veil

#: States of a task before it runs; those that wait for a slot come first.
WAITING = ("CREATED", "SCHEDULED")
STARTING = (*WAITING, "DEPLOYING", "INITIALIZING")
_LINE = re.compile(r"<br\s*/?>")
_NO_WATERMARK = -(2**62)


@dataclass(frozen=True)
class Vertex:
    """A vertex of a job: operators that run in one task.

    ``name`` is Flink's own, ``Source: … -> Calc[2]``; ``operators`` holds a line of description for
    each operator; ``inputs`` the ids of the vertices before it; ``tasks`` counts by state.
    """

    id: str
    name: str
    parallelism: int
    tasks: Mapping[str, int]
    records_in: int
    records_out: int
    inputs: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()

    @property
    def is_source(self) -> bool:
        """Whether it reads from outside."""
        return not self.inputs


@dataclass(frozen=True)
class JobDetail:
    """A job as ``GET /jobs/:id`` shows it. Times are epoch milliseconds, ``now_ms`` the cluster's clock."""

    id: str
    name: str
    state: str
    start_ms: int
    duration_ms: int
    now_ms: int
    running_ms: int
    vertices: tuple[Vertex, ...]

    @property
    def tasks(self) -> dict[str, int]:
        """Tasks by state; states without one are left out."""
        counts: dict[str, int] = {}
        for vertex in self.vertices:
            for state, count in vertex.tasks.items():
                counts[state] = counts.get(state, 0) + count
        return {state: count for state, count in counts.items() if count}

    @property
    def parallelism(self) -> int:
        """The greatest parallelism of its vertices: the slots it takes with one slot sharing group."""
        return max((vertex.parallelism for vertex in self.vertices), default=0)

    @property
    def sources(self) -> tuple[Vertex, ...]:
        """The vertices that read from outside."""
        return tuple(vertex for vertex in self.vertices if vertex.is_source)

    @property
    def ends(self) -> tuple[Vertex, ...]:
        """The vertices that no other reads from."""
        read = {name for vertex in self.vertices for name in vertex.inputs}
        return tuple(vertex for vertex in self.vertices if vertex.id not in read)


def read_detail(answer: Mapping[str, Any]) -> JobDetail:
    """Read ``GET /jobs/:id``."""
    nodes = {node["id"]: node for node in answer.get("plan", {}).get("nodes", [])}
    vertices = tuple(_vertex(vertex, nodes.get(vertex["id"], {})) for vertex in answer.get("vertices", []))
    return JobDetail(
        id=answer["jid"],
        name=answer["name"],
        state=answer["state"],
        start_ms=answer["start-time"],
        duration_ms=answer["duration"],
        now_ms=answer["now"],
        running_ms=answer.get("timestamps", {}).get("RUNNING", 0),
        vertices=vertices,
    )


def _vertex(vertex: Mapping[str, Any], node: Mapping[str, Any]) -> Vertex:
    metrics = vertex.get("metrics", {})
    lines = (html.unescape(line).strip() for line in _LINE.split(node.get("description", "")))
    return Vertex(
        id=vertex["id"],
        name=vertex["name"],
        parallelism=vertex["parallelism"],
        tasks=vertex["tasks"],
        records_in=metrics.get("read-records", 0),
        records_out=metrics.get("write-records", 0),
        inputs=tuple(entry["id"] for entry in node.get("inputs", [])),
        operators=tuple(line.removeprefix("+- ").removeprefix(":- ") for line in lines if line),
    )


@dataclass(frozen=True)
class Checkpoints:
    """Counts, and the last completed one: duration in ms, size in bytes; None where there is none."""

    completed: int = 0
    failed: int = 0
    in_progress: int = 0
    last_at_ms: int | None = None
    last_ms: int | None = None
    last_bytes: int | None = None
    last_path: str = ""
    last_failure: str = ""


def read_checkpoints(answer: Mapping[str, Any], veil: Veil | None = None) -> Checkpoints:
    """Read ``GET /jobs/:id/checkpoints``; ``veil`` hides values in why the last one failed."""
    counts, latest = answer.get("counts", {}), answer.get("latest", {})
    done, failed = latest.get("completed") or {}, latest.get("failed") or {}
    said = failed.get("failure_message") or ""
    return Checkpoints(
        completed=counts.get("completed", 0),
        failed=counts.get("failed", 0),
        in_progress=counts.get("in_progress", 0),
        last_at_ms=done.get("latest_ack_timestamp"),
        last_ms=done.get("end_to_end_duration"),
        last_bytes=done.get("state_size"),
        last_path=done.get("external_path") or "",
        last_failure=said if veil is None else veil.message(said),
    )


@dataclass(frozen=True)
class Failure:
    """An entry of a job's exception history; ``task`` is the vertex it came from, where it is known."""

    at_ms: int
    reason: str
    task: str = ""
    stack: str = field(default="", repr=False)


def read_failures(answer: Mapping[str, Any], veil: Veil | None = None) -> tuple[Failure, ...]:
    """Read ``GET /jobs/:id/exceptions``, the newest first; ``veil`` hides values in reasons and stacks."""
    entries = answer.get("exceptionHistory", {}).get("entries", [])
    read = [(entry, faults.read([entry["stacktrace"]], veil)) for entry in entries]
    return tuple(
        Failure(entry.get("timestamp", 0), fault.reason, entry.get("taskName") or "", fault.stack)
        for entry, fault in read
    )


@dataclass(frozen=True)
class Backpressure:
    """How a vertex spends its time, from 0 to 1: the subtask with the most of each."""

    ratio: float
    busy: float
    idle: float


def read_backpressure(answer: Mapping[str, Any]) -> Backpressure | None:
    """Read ``GET /jobs/:id/vertices/:v/backpressure``; None where it has not been measured."""
    subtasks = answer.get("subtasks") or []
    if answer.get("status") != "ok" or not subtasks:
        return None

    def most(name: str) -> float:
        values = [value for subtask in subtasks if isinstance(value := subtask.get(name), (int, float))]
        return max((float(value) for value in values), default=0.0)

    return Backpressure(most("ratio"), most("busyRatio"), most("idleRatio"))


@dataclass(frozen=True)
class Metric:
    """A metric over the subtasks of a vertex."""

    min: float
    max: float
    sum: float

    @property
    def watermark(self) -> int | None:
        """The least value as a watermark in epoch ms; None while there is none, or after the end."""
        return watermark(self.min)


def watermark(value: float) -> int | None:
    """Read a watermark: None for Flink's ``Long.MIN_VALUE`` (none yet) and ``Long.MAX_VALUE`` (the end)."""
    return int(value) if abs(value) < -_NO_WATERMARK else None


def number(value: Any) -> float | None:
    """Read a metric's value; NaN, and what is no number, are None."""
    try:
        read = float(value)
    except (TypeError, ValueError):
        return None
    return read if read == read else None  # noqa: PLR0124
