"""``job-tests``: ``sdp test`` for 20 jobs against the time of one.

Jobs of four kinds: filters, windows, joins of two topics, statement sets. Both are the command itself, its
start and the reading of the repository included; one job's time is the mean of the four kinds'. On one warm
stack; and, as ``job-tests-fresh``, as a pipeline runs it: with the start of a stack, its first use.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import common
from tests.jobs_repository import KINDS, add_job, write
from tests.repositories import settings

JOBS = 20
RUNS = 3
#: Rounds get faster up to the fifth, as the JVMs compile what they run.
WARM_UP = 5
GOAL = 3.0


def _repository(root: Path, info: object) -> list[str]:
    """Write the repository; returns one job of each kind."""
    write(root, "sdp.toml", settings(info))
    kinds = list(KINDS)
    for number in range(JOBS):
        add_job(root, f"job-{number:02d}", kinds[number % len(kinds)])
    return [f"job-{number:02d}" for number in range(len(kinds))]


def _seconds(root: Path, *jobs: str) -> float:
    """Return how long ``sdp test`` takes; all tests have to pass."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "sdp_kernel.cli", "test", *jobs],
        cwd=root, env={**os.environ, "PYTHONPATH": str(Path.cwd())}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return seconds


def _fresh(root: Path, *jobs: str) -> float:
    """Return how long it takes to start a stack and test jobs on it."""
    started = time.perf_counter()
    with common.stack() as info:
        write(root, "sdp.toml", settings(info))
        _seconds(root, *jobs)
        return time.perf_counter() - started


def run() -> list[dict[str, object]]:
    """Time one job and all of them in turn."""
    with tempfile.TemporaryDirectory(prefix="sdp-bench-") as directory, common.stack() as info:
        root = Path(directory)
        single = _repository(root, info)
        cold, *_ = (_seconds(root) for _ in range(WARM_UP))
        one, all_of_them = [], []
        for _ in range(RUNS):
            one.append(statistics.mean(_seconds(root, job) for job in single))
            all_of_them.append(_seconds(root))
        first_one = [_fresh(root, job) for job in single[:RUNS]]
        first_all = [_fresh(root) for _ in range(RUNS)]
    return [
        _figure("job-tests", all_of_them, one, f"on a stack just started the {JOBS} took {cold:.1f} s"),
        _figure("job-tests-fresh", first_all, first_one, "each with the start of a stack"),
    ]


def _figure(name: str, all_of_them: list[float], one: list[float], more: str) -> dict[str, object]:
    ratio = statistics.median(a / o for a, o in zip(all_of_them, one, strict=True))
    return {
        "name": name,
        "value": round(ratio, 2),
        "unit": "x",
        "goal": f"<= {GOAL:g} x one job",
        "holds": ratio <= GOAL,
        "detail": f"{JOBS} jobs in {statistics.median(all_of_them):.1f} s, "
        f"one in {statistics.median(one):.1f} s; {RUNS} pairs; {more}",
    }


if __name__ == "__main__":
    print(run())
