"""Rules on the planned job: what its operators keep, wait for, and make of the same record twice."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sdp_kernel.flink.plan_state import milliseconds
from sdp_kernel.promote.lints.finding import found
from sdp_kernel.promote.lints.tables import START

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sdp_kernel.flink.plan import Node, Plan
    from sdp_kernel.promote.lints.draft import Draft
    from sdp_kernel.promote.lints.finding import Finding

TTL = "table.exec.state.ttl"
IDLE = "table.exec.source.idle-timeout"
_OWN_IDLE = "scan.watermark.idle-timeout"
_LITERAL = re.compile(r"_UTF-16LE'(?:[^']|'')*'|'(?:[^']|'')*'")
#: Called without arguments; with one, UNIX_TIMESTAMP says the same each time.
_NEVER_TWICE = re.compile(
    r"\b(NOW|CURRENT_TIMESTAMP|CURRENT_DATE|CURRENT_TIME|CURRENT_ROW_TIMESTAMP|LOCALTIMESTAMP|LOCALTIME"
    r"|UNIX_TIMESTAMP|UUID|RAND)\(\)|\b(RAND(?:_INTEGER)?)\((?=[^)])"
)
_TIME_COLUMN = re.compile(r"time_col=\[(\w+)\]")
_GROUP_WINDOW = re.compile(r"GroupWindow\('\w\$, (\w+),")
_ORDER = re.compile(r"^(\w+)")
_BY_WATERMARK = frozenset(
    {"WindowAggregate", "GlobalWindowAggregate", "LocalWindowAggregate", "GroupWindowAggregate", "WindowJoin",
     "WindowRank", "WindowDeduplicate", "WindowTableFunction", "IntervalJoin", "TemporalJoin", "TemporalSort",
     "Match", "OverAggregate"}
)  # fmt: skip


def check(draft: Draft, plan: Plan) -> Iterator[Finding]:
    """Look over the plan of the job's INSERT; one in batch mode keeps nothing and has no updates."""
    if plan.batch:
        return
    yield from _state(plan)
    yield from _idle(draft, plan)
    yield from _never_twice(plan)
    for node in plan.nodes:
        if by_processing_time(plan, node):
            yield found(
                "SDP017",
                f"{node.name} goes by processing time: the same records give other rows in another run",
                "go by the records' own time: WATERMARK FOR ts AS ts - INTERVAL '5' SECOND in the table",
            )
        if node.name == "Join" and {edge.distribution for edge, _ in plan.inputs(node)} == {"single"}:
            yield found(
                "SDP018",
                "a join has no equal columns: every row meets every row, in one task",
                "join by a key; or put what is small and fixed into the query",
            )


def endless(plan: Plan) -> list[Node]:
    """Return the operators whose state a TTL would bound, and none does."""
    return [node for node in plan.unbounded if node.state.follows_ttl]


def _state(plan: Plan) -> Iterator[Finding]:
    kept = dict.fromkeys(f"{node.name} keeps {node.state.what}" for node in endless(plan))
    if kept:
        yield found(
            "SDP002",
            f"nothing bounds the job's state: {'; '.join(kept)}",
            f"SET '{TTL}' = '7 d', a STATE_TTL hint for each input, or a window",
        )


def _idle(draft: Draft, plan: Plan) -> Iterator[Finding]:
    if milliseconds(draft.settings.get(IDLE, "")):
        return
    tables = {table.name: table for table in draft.tables}
    waiting: dict[str, None] = {}
    for node in plan.nodes:
        if node.name not in _BY_WATERMARK or by_processing_time(plan, node):
            continue
        for below in upstream(plan, node):
            table = tables.get(below.table or "")
            marked = _has_watermark(plan, below)
            reads_topic = table is not None and (table.connector == "kafka" or START in table.options)
            if table is not None and marked and reads_topic and _OWN_IDLE not in table.options:
                waiting[table.name] = None
    if waiting:
        yield found(
            "SDP015",
            f"a partition of {', '.join(waiting)} without records holds back the watermark, "
            "and with it every result",
            f"SET '{IDLE}' = '1 min'",
        )


def _has_watermark(plan: Plan, scan: Node) -> bool:
    """Whether a source makes a watermark, or the operator behind it does."""
    if scan.name != "TableSourceScan":
        return False
    if "watermark=[" in scan.text:
        return True
    return any(node.name == "WatermarkAssigner" and scan in upstream(plan, node) for node in plan.nodes)


def _never_twice(plan: Plan) -> Iterator[Finding]:
    named: dict[str, None] = {}
    for node in plan.nodes:
        if all(below.appends for _, below in plan.inputs(node)):
            continue
        for plain, random in _NEVER_TWICE.findall(_LITERAL.sub("''", node.text)):
            named[plain or random] = None
    if named:
        names = ", ".join(named)
        yield found(
            "SDP016",
            f"{names} is called on rows that are updated: what is taken back differs from what was sent",
            "call it on the records as they come, below the aggregation or join; or leave it to the sink",
        )


def by_processing_time(plan: Plan, node: Node) -> bool:
    """Whether an operator's windows or order go by the time a record is processed."""
    if node.name == "IntervalJoin":
        return "isRowTime=false" in node.text
    column = _time_column(node)
    return column is not None and any(
        f"PROCTIME() AS {column}" in below.text for below in upstream(plan, node)
    )


def _time_column(node: Node) -> str | None:
    if node.name not in _BY_WATERMARK:
        return None
    if node.name in {"OverAggregate", "Match", "TemporalSort"}:
        order = _ORDER.match(node.attributes.get("orderBy", ""))
        return order.group(1) if order else None
    match = _TIME_COLUMN.search(node.text) or _GROUP_WINDOW.search(node.text)
    return match.group(1) if match else None


def upstream(plan: Plan, node: Node) -> list[Node]:
    """Return the operators whose rows come to one, near ones first."""
    found_: dict[int, Node] = {}
    left = [below for _, below in plan.inputs(node)]
    while left:
        below = left.pop(0)
        if below.id not in found_:
            found_[below.id] = below
            left += [further for _, further in plan.inputs(below)]
    return list(found_.values())
