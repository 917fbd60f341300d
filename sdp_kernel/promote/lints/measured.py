"""Rules on what was measured in the run; each says its numbers. No value of a topic is among them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sdp_kernel.flink.plan_state import in_words
from sdp_kernel.promote.lints.finding import found
from sdp_kernel.promote.lints.planned import endless

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sdp_kernel.flink.plan import Plan
    from sdp_kernel.flink.query import Query
    from sdp_kernel.flink.trace import Measures, Point
    from sdp_kernel.promote.lints.finding import Finding
    from sdp_kernel.promote.sink import Sink
    from sdp_kernel.settings_lint import LintSettings

_DAY_MS, _MINUTE_S, _MB = 86_400_000, 60, 1_000_000
#: What is seen in less is no pace.
_SHORTEST_S = 3.0
_FEWEST_CHANGES, _FEWEST_RECORDS = 200, 100
#: An aggregation in two steps adds up before it looks at the watermark.
_FEWEST_SUMS = 20
#: A key is heavy that has so many times its even share.
_TIMES_EVEN = 2
#: Catching up is said where it takes longer.
_SOON_S = 600.0


def check(query: Query, sink: Sink | None, plan: Plan, settings: LintSettings) -> Iterator[Finding]:
    """Look over what was measured of a query; nothing where nothing was."""
    if plan.batch:
        return
    where = f"the cell {query.name}" if query.name else "the cell"
    keeps = any(node.state.follows_ttl and node.state.kind != "none" for node in plan.nodes)
    if keeps:
        horizon = min(plan.ttl or _DAY_MS, _DAY_MS) if not endless(plan) else _DAY_MS
        yield from _rows(query, horizon, settings, where)
        yield from _bytes(query, horizon, settings, where)
    yield from _skew(query, sink.key if sink is not None else (), settings, where)
    if query.trace.last is not None:
        yield from _late(query.trace.last, settings, where)
        yield from _rate(query.trace.last, settings, where)


def _rows(query: Query, horizon: int, settings: LintSettings, where: str) -> Iterator[Finding]:
    """Judge by the second half of the run: in the first, keys come that are known from then on."""
    points = query.trace.points
    if not query.updating or len(points) <= 1 or points[-1].seconds < _SHORTEST_S:
        return
    last = points[-1]
    middle = _middle(points)
    pace = (last.rows - middle.rows) / max(last.seconds - middle.seconds, 0.001) * _MINUTE_S
    expected = last.rows + pace * horizon / 1000 / _MINUTE_S
    if pace > 0 and expected > settings.state_rows:
        yield found(
            "SDP030",
            f"the result had {last.rows:,} rows after {last.seconds:.0f} s, and grew by {pace:,.0f} "
            f"a minute: {expected:,.0f} in {in_words(horizon)} at that pace, and as many keys in state "
            f"(more than {settings.state_rows:,})",
            "a window, a shorter table.exec.state.ttl, or a key with fewer values",
            where,
        )


def _middle(points: list[Point]) -> Point:
    half = points[-1].seconds / 2
    return min(points[:-1], key=lambda point: abs(point.seconds - half))


def _bytes(query: Query, horizon: int, settings: LintSettings, where: str) -> Iterator[Finding]:
    first, last = query.trace.first, query.trace.last
    sizes = [m.vitals.state_bytes for m in (first, last) if m is not None]
    if first is None or last is None or None in sizes or last.seconds - first.seconds < _SHORTEST_S:
        return
    begin, end = (size or 0 for size in sizes)
    pace = (end - begin) / (last.seconds - first.seconds) * _MINUTE_S
    expected = end + pace * horizon / 1000 / _MINUTE_S
    if pace > 0 and expected > settings.state_mb * _MB:
        yield found(
            "SDP030",
            f"the last checkpoint was {end / _MB:,.1f} MB after {last.seconds:.0f} s, and grew by "
            f"{pace / _MB:,.1f} MB a minute: {expected / _MB:,.0f} MB in {in_words(horizon)} at that pace "
            f"(more than {settings.state_mb:,})",
            "a window, a shorter table.exec.state.ttl, or fewer columns below the aggregation or join",
            where,
        )


def _skew(query: Query, key: tuple[str, ...], settings: LintSettings, where: str) -> Iterator[Finding]:
    rows = query.rows
    key = key or query.upsert_key
    if rows is None or not query.updating or not key or len(rows.sample.kept) < _FEWEST_CHANGES:
        return
    table = rows.sampled()
    if not set(key) <= set(table.column_names):
        return
    columns = [table.column(name).to_pylist() for name in key]
    counts = Counter(repr(values) for values in zip(*columns, strict=True))
    heaviest = counts.most_common(1)[0][1]
    share = heaviest / len(table)
    if share >= settings.skew and share >= _TIMES_EVEN / len(counts):
        yield found(
            "SDP031",
            f"one {', '.join(key)} of {len(counts):,} has {share:.0%} of the changes seen "
            f"({heaviest:,} of {len(table):,} looked at, {rows.sample.seen:,} in all): "
            "its task does most of the work",
            "'table.exec.mini-batch.enabled' with 'table.optimizer.agg-phase-strategy' = 'TWO_PHASE', "
            "or aggregate by a finer key first",
            where,
        )


def _late(measures: Measures, settings: LintSettings, where: str) -> Iterator[Finding]:
    for operator in measures.operators:
        late, came = operator.late or 0, operator.passed
        summed = operator.kind.startswith("Global")
        what, fewest = ("partial sums", _FEWEST_SUMS) if summed else ("records", _FEWEST_RECORDS)
        if late and came >= fewest and late / came >= settings.lateness:
            yield found(
                "SDP032",
                f"{late:,} of {came:,} {what} ({late / came:.1%}) came to {operator.kind} behind the "
                f"watermark in {measures.seconds:.0f} s, and are not in the result",
                "let the watermark stay further behind in the table's WATERMARK clause: "
                "%sample shows how late records are",
                where,
            )


def _rate(measures: Measures, settings: LintSettings, where: str) -> Iterator[Finding]:
    read, seconds = measures.vitals.records_in, measures.seconds
    if not read or not measures.sources or seconds < _SHORTEST_S:
        return
    rate, waiting, busy = read / seconds, measures.vitals.lag or 0, measures.vitals.busy
    subtasks = "a source" if measures.sources == 1 else f"{measures.sources} subtasks of sources"
    said = f"{subtasks} read {rate:,.0f} records a second"
    if busy is not None and busy >= settings.busy and waiting / rate > _SOON_S:
        yield found(
            "SDP033",
            f"{said}, and the busiest task worked {busy:.0%} of the time: what waits ({waiting:,} records) "
            f"takes {waiting / rate / 3600:.1f} h",
            "parallelism in the job's module call, up to the topic's partitions",
            where,
        )
    elif rate / measures.sources > settings.rate:
        yield found(
            "SDP033",
            f"{said}: more than {settings.rate:,} for each",
            "parallelism in the job's module call, up to the topic's partitions",
            where,
        )
