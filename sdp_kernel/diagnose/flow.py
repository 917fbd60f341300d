"""Where records end on their way through a running job, and how things stand where nothing is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdp_kernel.diagnose import event_time
from sdp_kernel.diagnose.findings import Finding, count, moment, span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sdp_kernel.diagnose.job import Evidence
    from sdp_kernel.diagnose.topic import Stock
    from sdp_kernel.flink.operators import Operator

_LONGEST = 200
_YOUNG_MS = 15_000


def dropped(evidence: Evidence) -> Iterator[Finding]:
    """Name the operators that take records and give none, without waiting for event time."""
    if evidence.delivered:
        return
    keepers = {operator.name for operator in event_time.waiting(evidence)}
    for operator in evidence.operators:
        silent = operator.passed and not operator.records_out
        if silent and not (operator.is_source or operator.is_sink or operator.name in keepers):
            yield _drops(operator)


def _drops(operator: Operator) -> Finding:
    shown = operator.description or operator.name
    shown = shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"
    figures = {"operator": operator.name, "description": operator.description, "records_in": operator.passed}
    taken = count(operator.passed, "record")
    if "Join" in operator.kind or operator.kind.startswith("Lookup"):
        return Finding(
            "join-matches-nothing",
            f"of {taken} no two match in {shown}",
            "compare a few keys of both sides: types, upper and lower case, blanks, and which come first",
            evidence=figures,
        )
    if "where=[" in operator.description:
        return Finding(
            "filter-drops-all",
            f"{f'all {taken} are' if operator.passed != 1 else 'the one record is'} dropped by {shown}",
            "run the SELECT without its WHERE and look at the values; a field that the table names "
            "differently from the records is NULL",
            evidence=figures,
        )
    return Finding(
        "operator-gives-nothing",
        f"{taken} {'has' if operator.passed == 1 else 'have'} come to {shown}, and none has left it",
        evidence=figures,
    )


def standing(evidence: Evidence, stocks: Sequence[Stock], *, rows: int, is_query: bool) -> Iterator[Finding]:
    """Say how a healthy job stands: held up by checkpoints, reading, or at the end of its topics."""
    job = evidence.job
    if job is None or job.state != "RUNNING":
        return
    if not evidence.operators:
        yield Finding(
            "not-measured",
            f"the job runs for {span(job.now_ms - job.running_ms)}, and Flink has not measured it yet",
            "wait a few seconds (metrics.fetcher.update-interval)",
            certain=False,
            evidence={"running_ms": job.now_ms - job.running_ms},
        )
        return
    delivered, every = evidence.delivered, evidence.checkpoint_interval_ms
    if is_query and delivered and not rows and every is not None:
        yield Finding(
            "waits-for-checkpoint",
            f"{count(delivered, 'row')} of the result wait for the next checkpoint, one every {span(every)}",
            "RESET 'execution.checkpointing.interval' for exploring, or shorten it",
            evidence={"delivered": delivered, "interval_ms": every},
        )
    read = sum(source.passed for source in evidence.sources)
    pending = [source.pending for source in evidence.sources if source.pending is not None]
    left = sum(pending)
    figures = {"read": read, "pending": left if pending else None, "age_ms": evidence.age_ms}
    if left:
        yield Finding(
            "reading",
            f"the query reads: {count(read, 'record')} so far, {left:,} to go",
            "wait, or begin later with --from",
            certain=False,
            evidence=figures,
        )
    elif read:
        yield Finding(
            "caught-up",
            f"all {count(read, 'record')} that there are have been read{_newest(stocks, job.now_ms)}",
            "rows come with new records",
            certain=False,
            evidence=figures,
        )
    else:
        yield Finding(
            "nothing-read",
            f"the job runs for {span(job.now_ms - job.running_ms)}, and its sources have given no record",
            "wait a moment" if job.now_ms - job.running_ms < _YOUNG_MS else "%jobs shows how it does",
            certain=False,
            evidence=figures,
        )


def _newest(stocks: Sequence[Stock], now_ms: int) -> str:
    newest = max((stock.newest_ms for stock in stocks if stock.newest_ms is not None), default=None)
    if newest is None:
        return ""
    return f"; the newest is of {moment(newest)}, {span(now_ms - newest)} ago"
