"""``load-ext``: ``%load_ext sdp_kernel`` in a fresh IPython, against IPython without it."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 7
LIMIT_S = 0.3


def _start(*extra: str) -> float:
    command = [sys.executable, "-m", "IPython", "--no-banner", "--quick", *extra, "-c", "None"]
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def run() -> list[dict[str, object]]:
    """Time both in turn, and take the median of the differences."""
    _start()
    _start("--ext=sdp_kernel")
    pairs = [(_start(), _start("--ext=sdp_kernel")) for _ in range(RUNS)]
    extra = statistics.median(loaded - plain for plain, loaded in pairs)
    plain = statistics.median(plain for plain, _ in pairs)
    return [
        {
            "name": "load-ext",
            "value": round(extra, 3),
            "unit": "s",
            "goal": f"<= {LIMIT_S} s over plain IPython",
            "holds": extra <= LIMIT_S,
            "detail": f"plain IPython {plain:.2f} s; median of {RUNS} pairs",
        }
    ]


if __name__ == "__main__":
    print(run())
