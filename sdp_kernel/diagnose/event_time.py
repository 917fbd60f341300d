"""What waits for event time: a window that is still open, and who holds the watermark back."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sdp_kernel.diagnose.findings import Finding, count, moment, span
from sdp_kernel.flink.operators import metric_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sdp_kernel.diagnose.job import Evidence
    from sdp_kernel.diagnose.tables import Table
    from sdp_kernel.diagnose.topic import Stock
    from sdp_kernel.flink.operators import Operator

#: Operators that keep rows until the watermark has passed them.
_WAITING = re.compile(
    r"^(?:(?:Local|Global)?Window(?:Aggregate|Join|Rank|Deduplicate|TableFunction)|GroupWindowAggregate|"
    r"TemporalSort|TemporalJoin|Match|OverAggregate|IntervalJoin)$"
)
_WINDOW = re.compile(r"\b(?P<kind>TUMBLE|HOP|CUMULATE|SESSION)\((?P<what>[^)]*)\)")
_LENGTH = re.compile(r"(\w+)=\[(\d+) ?(ms|s|min|h|d)\]")
_UNITS_MS = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
#: The steps of windows up to this length begin at the same moments in every time zone.
_ZONELESS_MS = 900_000
_IDLE = (
    "leave it out once it is silent: SET 'table.exec.source.idle-timeout' = '5 s', or for this table "
    "'scan.watermark.idle-timeout' = '5 s'; then run the query again"
)
_MOST_NAMES = 5


@dataclass(frozen=True)
class Windows:
    """Windows as an operator's description has them; ``step_ms`` is between two ends, in ms."""

    kind: str
    step_ms: int
    size_ms: int

    def next_end(self, watermark: int) -> int | None:
        """Return the first end of a window that is not closed at a watermark; None for sessions.

        A window closes when the watermark reaches its last millisecond.
        """
        return None if self.kind == "SESSION" else ((watermark + 1) // self.step_ms + 1) * self.step_ms


def windows(description: str) -> Windows | None:
    """Read the windows in an operator's description; None where it has none."""
    found = _WINDOW.search(description)
    if found is None:
        return None
    lengths = {name: int(value) * _UNITS_MS[unit] for name, value, unit in _LENGTH.findall(found["what"])}
    size = lengths.get("size") or lengths.get("max_size") or lengths.get("gap") or 0
    step = lengths.get("slide") or lengths.get("step") or size
    return Windows(found["kind"], step, size) if step else None


def waiting(evidence: Evidence) -> list[Operator]:
    """Return the operators that have records and keep them, because the watermark is not there yet."""
    return [operator for operator in _timed(evidence) if not operator.records_out]


def _timed(evidence: Evidence) -> list[Operator]:
    return [o for o in evidence.operators if _WAITING.match(o.kind) and o.passed]


def needs_event_time(evidence: Evidence) -> bool:
    """Whether the job has an operator that waits for the watermark; told from its plan."""
    lines = [line for vertex in (evidence.job.vertices if evidence.job else ()) for line in vertex.operators]
    return any(_WAITING.match(re.sub(r"^\[\d+\]:", "", line).partition("(")[0]) for line in lines)


def findings(evidence: Evidence, stocks: Sequence[Stock], *, zoned: bool = False) -> Iterator[Finding]:
    """Say who holds the watermark back, and which window is still open.

    Parameters
    ----------
    stocks
        What Kafka holds for the tables: used where Flink has not measured its sources yet.
    zoned
        Whether the session has a time zone of its own: the ends of long windows are then not told.
    """
    timed = _timed(evidence)
    if not evidence.operators:
        if needs_event_time(evidence):
            for stock in stocks:
                if stock.silent and stock.table.time:
                    yield _silent_partitions(stock)
        return
    late = next((o for o in evidence.operators if o.late and not o.records_out), None)
    if late is not None:
        yield _late(late)
    if not timed:
        return
    strict = waiting(evidence)
    keepers = strict or timed
    keeper = keepers[-1]
    shape = next((w for o in reversed(timed) if (w := windows(o.description)) is not None), None)
    held = [finding for source in evidence.sources for finding in _held_by(source, stocks, keeper, shape)]
    yield from held
    if not held and keeper.watermark is not None:
        yield replace(_open_window(keeper, shape, stocks, zoned=zoned), certain=bool(strict))
    elif not held:
        yield _no_watermark(keeper, evidence)


def _held_by(
    source: Operator, stocks: Sequence[Stock], keeper: Operator, shape: Windows | None
) -> Iterator[Finding]:
    """Say which partitions of a source are behind the others, where that keeps windows open."""
    stock = next((stock for stock in stocks if stock.table.is_read_by(source)), None)
    table = stock.table if stock is not None else None
    marks = {split: mark for split, mark in source.splits.items() if mark is not None}
    if not marks:
        return
    ahead = max(marks.values())
    behind = {split: mark for split, mark in source.splits.items() if mark is None or mark < ahead}
    own = source.watermark
    if own is not None and not _would_close(own, ahead, shape):
        return
    name = table.name if table is not None else source.name
    evidence = {
        "table": name,
        "watermark_ms": own,
        "ahead_ms": ahead,
        "partitions": {split: source.splits[split] for split in sorted(behind)},
        "operator": keeper.name,
    }
    if not behind:
        if own is None and source.vertex.parallelism > len(source.splits):
            idle = source.vertex.parallelism - len(source.splits)
            yield Finding(
                "idle-subtask",
                f"{count(idle, 'subtask')} of the {source.vertex.parallelism} that read {name} "
                f"{'has' if idle == 1 else 'have'} no partition, and so no watermark: {_kept(keeper)}",
                f"SET 'parallelism.default' = '{len(source.splits)}', or {_IDLE}",
                evidence=evidence,
            )
        return
    silent = [split for split, mark in behind.items() if mark is None]
    to_read = {f"{metric_name(t)}-{p}" for t, p in stock.to_read} if stock is not None else set()
    unread = [split for split in silent if split in to_read]
    if unread:
        yield Finding(
            "not-measured",
            f"{_partitions(unread, table)} of {name} {'has' if len(unread) == 1 else 'have'} records, "
            "and Flink has not said yet how far it has read them",
            "wait a moment",
            certain=False,
            evidence=evidence,
        )
        return
    shown = silent or sorted(behind, key=lambda split: behind[split] or 0)
    partitions = _partitions(shown, table)
    if silent:
        fact = (
            f"{partitions} of {name} {'has' if len(shown) == 1 else 'have'} no record, so the watermark "
            f"does not move, though other partitions are at {moment(ahead)}: {_kept(keeper)}"
        )
    else:
        slowest = behind[shown[0]] or 0
        fact = (
            f"{partitions} of {name} {'is' if len(shown) == 1 else 'are'} at {moment(slowest)} and hold the "
            f"watermark back, {span(ahead - slowest)} behind the others: {_kept(keeper)}"
        )
    yield Finding("idle-partition", fact, _IDLE, evidence=evidence)


def _would_close(own: int, ahead: int, shape: Windows | None) -> bool:
    """Whether a window would close if the watermark were that of the fastest partition."""
    if shape is None or (end := shape.next_end(own)) is None:
        return ahead > own
    return ahead >= end - 1


def _partitions(splits: Sequence[str], table: Table | None) -> str:
    """Name partitions by their numbers, with the topic where there are several."""
    topics = {metric_name(topic): topic for topic in (table.topics if table is not None else ())}
    several = len({split.rpartition("-")[0] for split in splits}) > 1
    names = []
    for split in splits[:_MOST_NAMES]:
        topic, _, number = split.rpartition("-")
        names.append(f"{topics.get(topic, topic)}-{number}" if several else number)
    more = " and more" if len(splits) > _MOST_NAMES else ""
    return f"partition{'s' if len(splits) > 1 else ''} {', '.join(names)}{more}"


def _silent_partitions(stock: Stock) -> Finding:
    numbers = ", ".join(map(str, stock.silent[:_MOST_NAMES]))
    one = len(stock.silent) == 1
    return Finding(
        "idle-partition",
        f"partition{'' if one else 's'} {numbers} of {stock.table.name} "
        f"{'has' if one else 'have'} no record from where the query begins, so the watermark does not move",
        _IDLE,
        evidence={"table": stock.table.name, "partitions": dict.fromkeys(stock.silent), "watermark_ms": None},
    )


def _kept(keeper: Operator) -> str:
    return f"{keeper.kind} keeps the {count(keeper.passed, 'record')} it has"


def _late(operator: Operator) -> Finding:
    mark = f" at {moment(operator.watermark)}" if operator.watermark is not None else ""
    return Finding(
        "late-records",
        f"{operator.kind} has dropped {count(operator.late or 0, 'record')}: they come after the watermark"
        f"{mark} has passed their windows",
        "let the watermark stay further behind in the WATERMARK clause: %sample shows how late they are",
        evidence={"operator": operator.name, "late": operator.late, "watermark_ms": operator.watermark},
    )


def _no_watermark(keeper: Operator, evidence: Evidence) -> Finding:
    sources = [source for source in evidence.sources if source.watermark is None]
    silent = [source for source in sources if not source.passed]
    which = ", ".join(source.name.rpartition("_")[2] for source in (silent or sources)[:_MOST_NAMES])
    fact = f"no watermark has come to {keeper.kind} yet: {_kept(keeper)}"
    if silent:
        fact += f"; nothing has been read of {which}"
    return Finding(
        "no-watermark",
        fact,
        f"it moves with the records of every source and partition; {_IDLE}" if silent else "wait a moment",
        certain=bool(silent),
        evidence={"operator": keeper.name, "sources": [source.name for source in sources]},
    )


def _open_window(keeper: Operator, shape: Windows | None, stocks: Sequence[Stock], *, zoned: bool) -> Finding:
    mark = keeper.watermark or 0
    table = next((stock.table for stock in stocks if stock.table.time), None)
    delay = table.delay_ms if table is not None and len(stocks) == 1 else None
    column = table.time if table is not None else "an event time"
    figures = {"operator": keeper.name, "watermark_ms": mark, "records": keeper.passed, "delay_ms": delay}
    end = shape.next_end(mark) if shape is not None and _aligned(shape, zoned=zoned) else None
    behind = f", {span(delay)} behind the newest {column}" if delay else ""
    if end is not None and shape is not None:
        needed = None if delay is None else end - 1 + delay
        when = (
            f"with a record whose {column} is {moment(needed)} or later"
            if needed is not None
            else f"when the watermark reaches {moment(end - 1)}"
        )
        return Finding(
            "window-open",
            f"the window that ends at {moment(end)} is still open: the watermark is at {moment(mark)}{behind}"
            f"; {_kept(keeper)}",
            f"it closes {when}, in every partition",
            evidence={**figures, "window_end_ms": end, "needed_ms": needed, "size_ms": shape.size_ms},
        )
    size = f" of {span(shape.size_ms)}" if shape is not None else ""
    kind = "session windows close after a gap" if shape is not None and shape.kind == "SESSION" else "windows"
    what = f"{kind}{size}" if shape is not None else "rows"
    return Finding(
        "window-open",
        f"{keeper.kind} waits for the watermark, which is at {moment(mark)}{behind}: {what} come out when "
        f"it has passed them; {_kept(keeper)}",
        "it moves with later records, in every partition",
        evidence={**figures, "size_ms": shape.size_ms if shape is not None else None},
    )


def _aligned(shape: Windows, *, zoned: bool) -> bool:
    """Whether the ends of windows are the same in the session's zone as in UTC."""
    offset = dt.datetime.now().astimezone().utcoffset()
    return shape.step_ms <= _ZONELESS_MS or not (zoned or offset)
