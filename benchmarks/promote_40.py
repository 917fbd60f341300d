"""``promote-40``: forty Flink SQL queries, promoted and run from their repositories alone.

Each runs in a notebook's session up to the end of its topics; is promoted into a repository of its own; and
runs again from a clone of the commit, in another process. What counts is whether both end in the same table.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from benchmarks import common
from tests.promotions import corpus, harness

GOAL = 40


def run() -> list[dict[str, object]]:
    """Promote them all on one stack, two notebooks at a time."""
    names = corpus.names()
    assert len(names) == GOAL
    with common.stack() as info, tempfile.TemporaryDirectory(prefix="sdp-bench-") as directory:
        started = time.perf_counter()
        outcomes = harness.run(info, Path(directory), names, prefix="p40")
        took = time.perf_counter() - started
    for outcome in outcomes:
        if not outcome.same:
            print(f"{outcome.name}: {outcome.problem}", file=sys.stderr)
    same = sum(outcome.same for outcome in outcomes)
    others = ", ".join(outcome.name for outcome in outcomes if not outcome.same)
    rows = sum(outcome.rows for outcome in outcomes)
    return [
        {
            "name": "promote-40",
            "value": same,
            "unit": f"of {len(names)}",
            "goal": f"{GOAL} of {GOAL} give the notebook's table",
            "holds": same == GOAL,
            "detail": f"{rows:,} rows compared, {took:.0f} s" + (f"; not {others}" if others else ""),
        }
    ]


if __name__ == "__main__":
    print(run())
