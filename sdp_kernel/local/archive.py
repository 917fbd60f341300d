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

from sdp_kernel.local import processes

_SETTLE_S = 5.0
_DUMP_S = 180
_KEPT = 4


def main(argument: str, jcmd: str, missing: str) -> None:
    """Dump one archive for each component; ``argument`` is the stack's mark."""
    state_dir = Path(argument.partition("=")[2])
    time.sleep(_SETTLE_S)
    with contextlib.suppress(OSError):
        os.nice(10)
    for name, path in json.loads(missing).items():
        record = processes.recorded(state_dir / "stack" / "run").get(name)
        if record is None or processes.alive(record, state_dir) is None:
            continue
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.stem}.{os.getpid()}.part.jsa")
        command = [jcmd, str(record.pid), "VM.cds", "static_dump", str(part)]
        with contextlib.suppress(subprocess.SubprocessError):
            done = subprocess.run(command, capture_output=True, text=True, timeout=_DUMP_S, check=False)
            print(name, done.stdout[-500:], done.stderr[-500:])  # noqa: T201 - its output file is its log
        if part.exists():
            part.replace(target)
            _forget_old(target.parent, name)


def _forget_old(directory: Path, name: str) -> None:
    """Delete a component's oldest archives: each set of flags and jars has made its own."""
    kept = sorted(directory.glob(f"{name}-*.jsa"), key=lambda path: -path.stat().st_mtime)
    for path in kept[_KEPT:]:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
