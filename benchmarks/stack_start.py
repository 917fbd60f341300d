"""``stack-start``: the embedded stack until it serves, against the same four one after another.

The peer starts Flink's three by the scripts of their distribution, each waited for. Kafka's scripts
are in no registry; in their place stand the commands that ``kafka-storage.sh`` and
``kafka-server-start.sh`` end in, with their default options. Both have all jars at hand, a fresh
state directory, and the same Java. ``stack-memory`` is what the started stack holds, idle.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sdp_kernel.local import artifacts, components, java, processes
from sdp_kernel.local.stack import PORTS, Stack

if TYPE_CHECKING:
    from collections.abc import Callable

    import psutil

RUNS = 3
GOAL = 0.5
MEMORY_GB = 1.3
_KAFKA_OPTIONS = [
    "-Xmx1G",
    "-Xms1G",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Djava.awt.headless=true",
]


def _wait(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError("the peer did not start")
        time.sleep(0.05)


def _ours() -> tuple[float, float]:
    """Return seconds until all serve, and their memory in bytes after ten idle seconds."""
    with tempfile.TemporaryDirectory(prefix="sdp-bench-") as directory:
        stack = Stack(Path(directory))
        try:
            started = time.perf_counter()
            stack.up()
            seconds = time.perf_counter() - started
            time.sleep(10)
            memory = sum(_memory(p) for p in processes.marked(stack.layout.state_dir))
        finally:
            stack.down(purge=True)
    return seconds, memory


def _memory(process: psutil.Process) -> float:
    """Return proportional set size where the system tells it (Linux), else resident set size."""
    full = process.memory_full_info()
    return float(getattr(full, "pss", full.rss))


def _peer() -> float:
    """Return seconds for the four, one after another, by the distributions' own scripts."""
    runtime = java.find()
    home = components.flink_home()
    ports = dict(zip(PORTS, components.free_ports(len(PORTS)), strict=True))
    with tempfile.TemporaryDirectory(prefix="sdp-bench-peer-") as directory:
        layout = components.Layout(Path(directory))
        components.write_configuration(layout, ports, task_slots=8)
        lib = layout.root / "lib"
        lib.mkdir()
        for jar in [*(home / "lib").glob("*.jar"), *artifacts.ensure(["flink"])]:
            (lib / jar.name).symlink_to(jar)
        components.link_opt(layout, artifacts.ensure(["gateway"])[0])
        _default_flink_configuration(home, layout, ports)
        environment = {
            **os.environ,
            "JAVA_HOME": str(runtime.home),
            "FLINK_HOME": str(home),
            "FLINK_LIB_DIR": str(lib),
            "FLINK_OPT_DIR": str(layout.opt),
            "FLINK_CONF_DIR": str(layout.conf),
            "FLINK_LOG_DIR": str(layout.logs),
            "FLINK_PID_DIR": directory,
            "FLINK_PLUGINS_DIR": str(home / "plugins"),
        }
        checks = components.ready_checks(ports)
        class_path = ":".join(map(str, artifacts.ensure(["kafka"])))
        properties = str(layout.conf / "server.properties")
        base = [
            str(runtime.executable),
            *_KAFKA_OPTIONS,
            f"-Dlog.file={layout.logs}/kafka.log",
            "-cp",
            class_path,
        ]

        def script(name: str, action: str) -> None:
            subprocess.run(
                ["bash", str(home / "bin" / name), action], env=environment, check=True, capture_output=True
            )

        started = time.perf_counter()
        formatting = [
            "kafka.tools.StorageTool",
            "format",
            "--standalone",
            "-t",
            "c2RwLWJlbmNobWFyay0wMA",
            "-c",
            properties,
        ]
        subprocess.run([*base, *formatting], check=True, capture_output=True)
        broker = subprocess.Popen(
            [*base, "kafka.Kafka", properties], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _wait(checks["kafka"])
            for name, component in (
                ("jobmanager.sh", "jobmanager"),
                ("taskmanager.sh", "taskmanager"),
                ("sql-gateway.sh", "gateway"),
            ):
                script(name, "start")
                _wait(checks[component])
            return time.perf_counter() - started
        finally:
            for name in ("sql-gateway.sh", "taskmanager.sh", "jobmanager.sh"):
                script(name, "stop")
            broker.terminate()
            broker.wait()
            time.sleep(3)


def _default_flink_configuration(home: Path, layout: components.Layout, ports: dict[str, int]) -> None:
    """Write the distribution's own configuration, with nothing changed but ports and slots."""
    for file in (home / "conf").iterdir():
        if file.is_file():
            shutil.copy(file, layout.conf / file.name)
    text = (home / "conf" / "config.yaml").read_text()
    text = re.sub(r"port: 6123", f"port: {ports['jobmanager_rpc']}", text)
    text = re.sub(r"numberOfTaskSlots: 1", "numberOfTaskSlots: 8", text)
    text = re.sub(r"(?m)^rest:\n", f"rest:\n  port: {ports['jobmanager']}\n", text)
    text += f"\nsql-gateway:\n  endpoint:\n    rest:\n      address: 127.0.0.1\n      bind-port: {ports['gateway']}\n      port: {ports['gateway']}\n"
    (layout.conf / "config.yaml").write_text(text)


def _archived() -> None:
    """Start once and wait for the class archives, which any first start leaves behind."""
    with tempfile.TemporaryDirectory(prefix="sdp-bench-") as directory:
        stack = Stack(Path(directory))
        try:
            stack.up()
            deadline = time.monotonic() + 90
            while time.monotonic() < deadline and not stack.archived():
                time.sleep(1)
        finally:
            stack.down(purge=True)


def run() -> list[dict[str, object]]:
    """Time both in turn."""
    _archived()
    ours, memories, peers = [], [], []
    for _ in range(RUNS):
        seconds, memory = _ours()
        ours.append(seconds)
        memories.append(memory / 2**30)
        peers.append(_peer())
    ratio = statistics.median(o / p for o, p in zip(ours, peers, strict=True))
    memory = statistics.median(memories)
    return [
        {
            "name": "stack-start",
            "value": round(ratio, 2),
            "unit": "x",
            "goal": f"<= {GOAL} x one after another",
            "holds": ratio <= GOAL,
            "detail": f"{statistics.median(ours):.1f} s against {statistics.median(peers):.1f} s; {RUNS} pairs",
        },
        {
            "name": "stack-memory",
            "value": round(memory, 2),
            "unit": "GiB",
            "goal": f"<= {MEMORY_GB} GB",
            "holds": memory * 2**30 <= MEMORY_GB * 1e9,
            "detail": "proportional set size of the four, ten seconds after start (resident where PSS is not told)",
        },
    ]


if __name__ == "__main__":
    print(run())
