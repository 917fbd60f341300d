"""What the operators of a job have read and written, from the metrics of its vertices.

Metric names are ``<operator>.<metric>``: the operator's name as the vertex shows it, at most 80
characters, with blanks, dots, colons and commas as underscores (``MetricQueryService``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sdp_kernel.flink.job_detail import watermark

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sdp_kernel.flink.job_detail import JobDetail, Metric, Vertex
    from sdp_kernel.flink.jobs import JobManager

_LONGEST_NAME = 80
_UNSUPPORTED = re.compile(r"[ .:,]")
_BETWEEN = re.compile(r"\s*->\s*\(?|,\s+")
_NUMBER = re.compile(r"\[(\d+)\]")
_OF_OPERATOR = (
    "numRecordsIn",
    "numRecordsOut",
    "numRecordsSend",
    "numRecordsInErrors",
    "numLateRecordsDropped",
    "currentInputWatermark",
    "currentOutputWatermark",
    "pendingRecords",
)
_SPLIT = re.compile(r"^(?P<operator>.+?)\.split\.(?P<split>.+)\.watermark\.currentWatermark$")
_MOST_SPLITS = 200


@dataclass(frozen=True)
class Operator:
    """One operator over its subtasks.

    ``records_in`` of a Kafka source counts records read, ``records_out`` rows decoded. ``watermark``
    is the least one that has come in, of a source the least that went out (epoch ms). ``splits`` is
    a source's watermark by split, for Kafka ``TOPIC-PARTITION`` with the metric's spelling of the
    topic. What is not measured is None.
    """

    name: str
    vertex: Vertex
    description: str = ""
    is_source: bool = False
    records_in: int | None = None
    records_out: int | None = None
    errors: int | None = None
    late: int | None = None
    watermark: int | None = None
    greatest_watermark: int | None = None
    pending: int | None = None
    splits: Mapping[str, int | None] = field(default_factory=dict)

    @property
    def is_sink(self) -> bool:
        """Whether rows leave the job here."""
        return self.name.startswith("Sink_") or self.name.endswith(("__Writer", "__Committer"))

    @property
    def kind(self) -> str:
        """The operator's kind, such as ``Calc``, as its description or else its name has it."""
        found = re.match(r"(?:\[\d+\]:)?(\w+)", self.description or self.name)
        return found.group(1) if found else self.name

    @property
    def passed(self) -> int:
        """Records that came in; of a source that does not count them, that went out."""
        return max(self.records_in or 0, (self.records_out or 0) if self.is_source else 0)


def metric_name(text: str) -> str:
    """Spell a name as metrics do."""
    return _UNSUPPORTED.sub("_", text)


def names(vertex: Vertex) -> list[str]:
    """Return the operators of a vertex as metrics name them, in the order of its name."""
    parts = (part.strip().rstrip(")") if part.count("(") < part.count(")") else part.strip()
             for part in _BETWEEN.split(vertex.name))  # fmt: skip
    return [metric_name(part[:_LONGEST_NAME]) for part in parts if part]


def read(jobmanager: JobManager, job: JobDetail) -> list[Operator]:
    """Ask for the operators of a job, the sources first; empty while nothing has been measured.

    Takes two requests a vertex, a few more for sources with many splits.
    """
    found: list[Operator] = []
    for vertex in _in_order(job):
        measured = jobmanager.metric_names(job.id, vertex.id)
        wanted = [name for name in measured if name.rpartition(".")[2] in _OF_OPERATOR]
        wanted += [name for name in measured if _SPLIT.match(name)][:_MOST_SPLITS]
        found += of_vertex(vertex, jobmanager.metrics(job.id, vertex.id, wanted)) if wanted else []
    return found


def of_vertex(vertex: Vertex, metrics: Mapping[str, Metric]) -> list[Operator]:
    """Put the metrics of a vertex together by operator, in the order of its name."""
    by_name: dict[str, dict[str, Metric]] = {}
    splits: dict[str, dict[str, int | None]] = {}
    for name, metric in metrics.items():
        split = _SPLIT.match(name)
        if split is not None:
            splits.setdefault(split["operator"], {})[split["split"]] = metric.watermark
            continue
        operator, _, which = name.rpartition(".")
        if operator:
            by_name.setdefault(operator, {})[which] = metric
    order = {name: number for number, name in enumerate(names(vertex))}
    ordered = sorted(by_name, key=lambda name: order.get(name, len(order)))
    return [_operator(name, vertex, by_name[name], splits.get(name, {})) for name in ordered]


def _operator(
    name: str, vertex: Vertex, metrics: Mapping[str, Metric], splits: Mapping[str, int | None]
) -> Operator:
    def total(which: str) -> int | None:
        return int(metrics[which].sum) if which in metrics else None

    is_source = vertex.is_source and name.startswith("Source_")
    mark = metrics.get("currentOutputWatermark" if is_source else "currentInputWatermark")
    sent = total("numRecordsSend")
    return Operator(
        name=name,
        vertex=vertex,
        description=_description(name, vertex),
        is_source=is_source,
        records_in=total("numRecordsIn"),
        records_out=sent or total("numRecordsOut"),
        errors=total("numRecordsInErrors"),
        late=total("numLateRecordsDropped"),
        watermark=mark.watermark if mark is not None else None,
        greatest_watermark=_greatest(mark),
        pending=total("pendingRecords"),
        splits=splits,
    )


def _greatest(mark: Metric | None) -> int | None:
    return watermark(mark.max) if mark is not None else None


def _description(name: str, vertex: Vertex) -> str:
    """Find the operator's line in the plan by the number both carry."""
    number = _NUMBER.search(name)
    if number is not None:
        for line in vertex.operators:
            if line.startswith(f"[{number.group(1)}]:"):
                return line.partition(":")[2]
    return ""


def _in_order(job: JobDetail) -> list[Vertex]:
    """Put each vertex behind those it reads from."""
    left, ordered, done = list(job.vertices), [], set[str]()
    while left:
        ready = next((v for v in left if done.issuperset(v.inputs)), left[0])
        left.remove(ready)
        ordered.append(ready)
        done.add(ready.id)
    return ordered
