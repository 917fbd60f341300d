"""``fold``: pages of an updating query, as the gateway writes them, folded into the current table.

The goal is a rate and not a ratio: nothing else folds the gateway's pages. Ten million changes of
10,000 keys, in pages of 5,000; after each key's INSERT come pairs of UPDATE_BEFORE and UPDATE_AFTER.
Seconds are those the thread ran, so that a busy machine does not count.
"""

from __future__ import annotations

import random
import resource
import statistics
import sys
import time
from typing import TYPE_CHECKING

from sdp_kernel.flink.changelog import Changelog
from sdp_kernel.flink.rows import Rows
from sdp_kernel.flink.types import Column, LogicalType

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS, PAGE = 10_000, 5_000
CHANGES = 10_000_000
WARM = 1_000_000
GOAL_RATE, GOAL_MIB = 1_000_000, 16
COLUMNS = (
    Column("symbol", LogicalType("VARCHAR", length=2147483647)),
    Column("total", LogicalType("DECIMAL", precision=38, scale=2)),
    Column("trades", LogicalType("BIGINT", nullable=False)),
    Column("last_at", LogicalType("TIMESTAMP_WITH_LOCAL_TIME_ZONE", precision=3)),
)


def pages(changes: int) -> Iterator[bytes]:
    """Yield pages of ``changes`` changes in all: a SUM and a COUNT by key, and a time."""
    chance = random.Random(5)
    totals = [[0, 1] for _ in range(KEYS)]
    rows = [_change("INSERT", key, totals[key]) for key in range(KEYS)]
    sent = 0
    while sent < changes:
        while len(rows) < PAGE:
            key = chance.randrange(KEYS)
            rows.append(_change("UPDATE_BEFORE", key, totals[key]))
            totals[key][0] += chance.randrange(100_000)
            totals[key][1] += 1
            rows.append(_change("UPDATE_AFTER", key, totals[key]))
        yield _page(rows[:PAGE])
        sent += PAGE
        rows = rows[PAGE:]


def _change(kind: str, key: int, state: list[int]) -> str:
    total, count = state
    at = f"2026-01-05T09:{count // 60 % 60:02d}:{count % 60:02d}.{key % 1000:03d}Z"
    fields = f'"S{key}",{total // 100}.{total % 100:02d},{count},"{at}"'
    return f'{{"kind":"{kind}","fields":[{fields}]}}'


def _page(rows: list[str]) -> bytes:
    return (
        '{"resultType":"PAYLOAD","isQueryResult":true,"jobID":"a1","resultKind":"SUCCESS_WITH_CONTENT",'
        f'"results":{{"columns":[],"rowFormat":"JSON","data":[{",".join(rows)}]}},'
        '"nextResultUri":"/v3/sessions/a/operations/b/result/2?rowFormat=JSON"}'
    ).encode()


def _peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _fold_alone() -> float:
    """Return changes a second of the fold itself, the pages split beforehand."""
    decoder = Rows(COLUMNS).decoder
    split = [decoder.changes(page) for page in pages(WARM)]
    fold = Changelog()
    started = time.thread_time()
    for changes in split:
        fold.take(changes)
    return fold.changes / (time.thread_time() - started)


def run() -> list[dict[str, object]]:
    """Fold ten million changes; only the folding is timed, a rate for each million."""
    rows = Rows(COLUMNS)
    rows.only_appends(False)  # noqa: FBT003
    rates, spent, since, before = [], 0.0, 0, 0.0
    for page in pages(CHANGES):
        started = time.thread_time()
        rows.add(page)
        spent += time.thread_time() - started
        since += PAGE
        if since == WARM:
            rates.append(since / spent)
            spent, since = 0.0, 0
            before = before or _peak_mib()
    grown = _peak_mib() - before
    assert (len(rows), rows.changes, rows.unmatched) == (KEYS, CHANGES, 0)
    rate = statistics.median(rates)
    return [
        {
            "name": "fold",
            "value": round(rate / 1e6, 2),
            "unit": "M changes/s",
            "goal": f">= {GOAL_RATE / 1e6:g} M changes/s of {KEYS:,} keys",
            "holds": rate >= GOAL_RATE,
            "detail": f"pages of {PAGE:,} to live rows; {min(rates) / 1e6:.2f} to {max(rates) / 1e6:.2f} in "
            f"{len(rates)} rounds; the fold alone {_fold_alone() / 1e6:.2f}",
        },
        {
            "name": "fold-memory",
            "value": round(grown, 1),
            "unit": "MiB",
            "goal": f"<= {GOAL_MIB} MiB more after {CHANGES // 10**6} M changes than after {WARM // 10**6} M",
            "holds": grown <= GOAL_MIB,
            "detail": f"peak resident size of the process; {before:.0f} MiB after the first million",
        },
    ]


if __name__ == "__main__":
    print(run())
