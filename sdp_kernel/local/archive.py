"""``python -m sdp_kernel.local.archive``: archive the classes of a running stack for later starts.

Runs once, detached and at low priority, after the first start. The archive appears whole or not at
all; a start without it is slower and otherwise the same.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from sdp_kernel.local import processes

if TYPE_CHECKING:
    from collections.abc import Mapping

_SETTLE_S = 5.0
_DUMP_S = 180
_NICE = 10
_KEPT = 4


def begin(state_dir: Path, jcmd: Path, missing: Mapping[str, str], output: Path) -> None:
    """Start this module in a process of its own; ``missing`` is component → path of its archive."""
    module = [sys.executable, "-m", "sdp_kernel.local.archive"]
    command = [*module, processes.mark(state_dir), str(jcmd), json.dumps(missing)]
    with output.open("wb") as file:
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True)


def main(argument: str, jcmd: str, missing: str) -> None:
    """Dump one archive for each component; ``argument`` is the stack's mark."""
    state_dir = Path(argument.partition("=")[2])
    time.sleep(_SETTLE_S)
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    for name, path in json.loads(missing).items():
        record = processes.recorded(state_dir / "stack" / "run").get(name)
        if record is None or processes.alive(record, state_dir) is None:
            continue
        _dump(name, jcmd, record.pid, Path(path))
        for left in (state_dir / "stack" / "logs").glob("java_pid*_std*"):
            left.unlink(missing_ok=True)


def _dump(name: str, jcmd: str, pid: int, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.stem}.{os.getpid()}.part.jsa")
    dump = subprocess.Popen([jcmd, str(pid), "VM.cds", "static_dump", str(part)])
    try:
        deadline = time.monotonic() + _DUMP_S
        while dump.poll() is None and time.monotonic() < deadline:
            _make_nice(pid)
            time.sleep(0.05)
        dump.kill()
        if dump.wait() == 0 and part.exists():
            part.replace(target)
            _forget_old(target.parent, name)
    finally:
        for left in target.parent.glob(f"{part.name}*"):
            left.unlink(missing_ok=True)


def _make_nice(pid: int) -> None:
    """Lower the priority of the JVM that dumps: a child of the component, not of this process."""
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(pid).children():
            if "-Xshare:dump" in child.cmdline() and child.nice() < _NICE:
                child.nice(_NICE)


def _forget_old(directory: Path, name: str) -> None:
    """Delete a component's archives but the last used: each set of flags and jars has made its own."""
    kept = sorted(directory.glob(f"{name}-*.jsa"), key=lambda path: -path.stat().st_mtime)
    for path in kept[_KEPT:]:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
