"""Processes that outlive the one that started them, and can always be found again.

Each carries ``-Dsdp.stack=STATE_DIR`` on its command line. What a record on disk says is believed
only if the process has that mark and the creation time of the record, so that a process id used
again after a crash or reboot is not mistaken; and what no record names is found by its mark.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

_TERM_S, _KILL_S = 8.0, 3.0


@dataclass(frozen=True)
class Record:
    """A started process: ``created`` is its creation time, epoch seconds; ``port`` what it serves."""

    name: str
    pid: int
    created: float
    port: int


def mark(state_dir: Path) -> str:
    """Return the argument that marks the processes of a stack."""
    return f"-Dsdp.stack={state_dir}"


def spawn(
    name: str,
    command: Sequence[str],
    *,
    port: int,
    environment: Mapping[str, str],
    output: Path,
    records: Path,
) -> Record:
    """Start ``command`` in a session of its own, its output in a file, and record it."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            cwd=output.parent,
            start_new_session=True,
        )
    record = Record(name, process.pid, psutil.Process(process.pid).create_time(), port)
    records.mkdir(parents=True, exist_ok=True)
    part = records / f"{name}.{process.pid}.part"
    part.write_text(json.dumps(asdict(record)), encoding="utf-8")
    part.replace(records / f"{name}.json")
    return record


def recorded(records: Path) -> dict[str, Record]:
    """Read the records; one that cannot be read counts as none."""
    found = {}
    for path in sorted(records.glob("*.json")) if records.is_dir() else []:
        try:
            record = Record(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            continue
        found[record.name] = record
    return found


def alive(record: Record, state_dir: Path) -> psutil.Process | None:
    """Return the process of a record, if it is still that one."""
    try:
        process = psutil.Process(record.pid)
        same = abs(process.create_time() - record.created) < 1 and process.status() != psutil.STATUS_ZOMBIE
        # while a process executes another program, as Java's launcher does, its command line is empty
        command = process.cmdline() if same else []
        return process if same and (not command or mark(state_dir) in command) else None
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def marked(state_dir: Path) -> list[psutil.Process]:
    """Find all processes of a stack by their mark, recorded or not."""
    wanted = mark(state_dir)
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if wanted in (process.info["cmdline"] or []) and process.pid != os.getpid()
    ]


def stop(processes: Iterable[psutil.Process]) -> None:
    """Terminate processes, all at once, and kill those that do not go."""
    processes = list(processes)
    for process in processes:
        try:
            process.terminate()
        except psutil.NoSuchProcess:
            continue
    _, left = psutil.wait_procs(processes, timeout=_TERM_S)
    for process in left:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(left, timeout=_KILL_S)
    for process in processes:
        _reap(process.pid)


def _reap(pid: int) -> None:
    """Collect an own child's exit status, so that it does not stay a zombie."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except (ChildProcessError, OSError):
        return
