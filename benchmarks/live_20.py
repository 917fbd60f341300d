"""``live-20``: 20 live queries in one notebook, in a real JupyterLab in a real browser.

Each reads 50 generated rows a second, every other one aggregates them. Over 30 seconds the browser
reports its long tasks, as its ``PerformanceObserver`` does, and the kernel's processor time is read. Long
tasks are wall time: beside them stands for how long the machine held up a thread that does nothing.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from sdp_kernel.local.stack import Stack
from sdp_kernel.settings import LocalSettings
from tests.live_browser import MISSING, Page, lab, write_notebook, write_settings

QUERIES = 20
SECONDS = 30
LONGEST_MS = 100
CORES = 1.0

_TABLE = """%%flinksql
CREATE TEMPORARY TABLE ticks (n BIGINT, price DOUBLE, note STRING) WITH ('connector' = 'datagen',
 'rows-per-second' = '50', 'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '100000',
 'fields.price.min' = '1', 'fields.price.max' = '100', 'fields.note.length' = '12')"""
_APPENDS = "SELECT n, price, note FROM ticks"
_UPDATES = "SELECT MOD(n, 200) AS k, COUNT(*) AS c, AVG(price) AS mean, MAX(note) AS note FROM ticks GROUP BY MOD(n, 200)"
_OBSERVE = """
window.sdpTasks = [];
window.sdpFrames = 0;
new PerformanceObserver((list) => list.getEntries().forEach((e) => window.sdpTasks.push(e.duration)))
  .observe({ type: 'longtask' });
const count = () => { window.sdpFrames += 1; requestAnimationFrame(count); };
requestAnimationFrame(count);
const idle = `let last = performance.now(), most = 0;
  setInterval(() => { const now = performance.now(); most = Math.max(most, now - last - 5); last = now; }, 5);
  onmessage = () => postMessage(most);`;
const worker = new Worker(URL.createObjectURL(new Blob([idle])));
worker.onmessage = ({ data }) => { window.sdpHeldUp = data; };
window.sdpAsk = () => worker.postMessage(0);
"""


def _cells() -> list[str]:
    queries = [
        f"%%flinksql q{i} --background\n{_UPDATES if i % 2 else _APPENDS}" for i in range(1, QUERIES + 1)
    ]
    count = "print(sum(len(globals()[f'q{i}']) > 50 and globals()[f'q{i}'].state == 'running' for i in range(1, %d)))"
    return ["%load_ext sdp_kernel", _TABLE, *queries, count % (QUERIES + 1), "import os; print(os.getpid())"]


def _output(page: Page, index: int) -> str:
    return str(
        page.js(
            "return window.jupyterapp.shell.currentWidget.content.widgets[arguments[0]].model.outputs.get(0).toJSON().text",
            index,
        )
    ).strip()


def _until_all_run(page: Page, index: int) -> None:
    until = time.monotonic() + 180
    while True:
        page.run(index)
        if _output(page, index) == str(QUERIES):
            return
        if time.monotonic() > until:
            raise RuntimeError(f"only {_output(page, index)} of {QUERIES} queries run")
        time.sleep(2)


def measure(info: Any, directory: Path) -> dict[str, float]:
    """Open the notebook, wait until all queries have rows, and watch for 30 seconds."""
    write_settings(directory, info)
    cells = _cells()
    write_notebook(directory / "live.ipynb", cells)
    with lab(directory) as url, Page(directory) as page:
        page.open(url, "live.ipynb")
        for index in range(2 + QUERIES):
            page.run(index)
        _until_all_run(page, 2 + QUERIES)
        page.run(3 + QUERIES)
        kernel = psutil.Process(int(_output(page, 3 + QUERIES)))
        page.js(
            "window.jupyterapp.shell.currentWidget.content.scrollToItem(arguments[0], 'start')",
            2 + QUERIES // 2,
        )
        time.sleep(5)
        page.wait("return document.querySelectorAll('.sdp-live-panel tbody tr').length > 20", 30)
        page.js(_OBSERVE)
        before, began = kernel.cpu_times(), time.monotonic()
        time.sleep(SECONDS)
        after, took = kernel.cpu_times(), time.monotonic() - began
        page.js("window.sdpAsk()")
        found = {
            "held up": float(page.wait("return window.sdpHeldUp", 10)),
            "longest": float(page.js("return Math.max(0, ...window.sdpTasks)")),
            "long": float(page.js("return window.sdpTasks.length")),
            "frames": float(page.js("return window.sdpFrames")) / took,
            "cores": (after.user + after.system - before.user - before.system) / took,
            "memory": kernel.memory_info().rss / 2**20,
        }
        if shot := os.environ.get("SDP_BENCH_SHOT"):
            page.shot(shot)
    return found


def run() -> list[dict[str, object]]:
    """Measure on a stack with slots for all."""
    if MISSING:
        raise RuntimeError(f"live-20 needs a browser: {MISSING}")
    with (
        tempfile.TemporaryDirectory(prefix="sdp-bench-") as state,
        tempfile.TemporaryDirectory(prefix="sdp-bench-") as directory,
    ):
        embedded = Stack(Path(state), settings=LocalSettings(task_slots=QUERIES + 4))
        try:
            found = measure(embedded.up(), Path(directory))
        finally:
            embedded.down(purge=True)
    return [
        {
            "name": "live-20",
            "value": round(found["longest"]),
            "unit": "ms",
            "goal": f"no task above {LONGEST_MS} ms",
            "holds": found["longest"] <= LONGEST_MS,
            "detail": f"longest task of the page in {SECONDS} s with {QUERIES} queries of 50 rows/s; "
            f"{found['long']:.0f} above 50 ms, {found['frames']:.0f} frames/s; "
            f"an idle thread was held up by up to {found['held up']:.0f} ms",
        },
        {
            "name": "live-20-kernel",
            "value": round(found["cores"], 2),
            "unit": "cores",
            "goal": f"< {CORES:g} core",
            "holds": found["cores"] < CORES,
            "detail": f"the kernel's processor time meanwhile; {found['memory']:.0f} MB",
        },
    ]


if __name__ == "__main__":
    print(run())
