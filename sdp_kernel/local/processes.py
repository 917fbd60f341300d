"""Processes that outlive the one that started them, and can always be found again.

Each carries ``-Dsdp.stack=STATE_DIR`` on its command line. What a record on disk says is believed
only if the process has that mark and the creation time of the record, so that a process id used
again after a crash or reboot is not mistaken; and what no record names is found by its mark. The
processes that Flink starts for Python functions have other command lines and outlive a killed
TaskManager: they inherit the mark in their environment.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

_TERM_S, _KILL_S = 8.0, 3.0
_MARK_VARIABLE = "SDP_STACK"


@dataclass(frozen=True)
class Record:
    """A started process.

    ``created`` is its creation time, epoch seconds; ``port`` what it serves; ``identity`` the name
    by which a cluster lists it.
    """

    name: str
    pid: int
    created: float
    port: int
    identity: str = ""


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
    state_dir: Path,
    identity: str = "",
) -> Record:
    """Start ``command`` in a session of its own, its output in a file, and record it."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment, _MARK_VARIABLE: str(state_dir)},
            cwd=output.parent,
            start_new_session=True,
        )
    record = Record(name, process.pid, psutil.Process(process.pid).create_time(), port, identity)
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
    """Find all processes of a stack by their mark, recorded or not; those of Python functions too."""
    return [
        process
        for process in psutil.process_iter(["cmdline", "environ"])
        if process.pid != os.getpid()
        and (
            mark(state_dir) in (process.info["cmdline"] or [])
            or (process.info["environ"] or {}).get(_MARK_VARIABLE) == str(state_dir)
        )
    ]


def family(pids: Iterable[int]) -> set[int]:
    """Return process ids with those of all their descendants."""
    found = set(pids)
    for pid in tuple(found):
        try:
            found.update(child.pid for child in psutil.Process(pid).children(recursive=True))
        except psutil.NoSuchProcess:
            continue
    return found


def stop(processes: Iterable[psutil.Process]) -> None:
    """Terminate processes, all at once, and kill those that do not go."""
    left = list(processes)
    for send, seconds in ((psutil.Process.terminate, _TERM_S), (psutil.Process.kill, _KILL_S)):
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                send(process)
        deadline = time.monotonic() + seconds
        while (left := [process for process in left if not _ended(process)]) and time.monotonic() < deadline:
            time.sleep(0.02)


def _ended(process: psutil.Process) -> bool:
    """Whether a process is gone, or only waits for its parent to ask for its exit status.

    The parent may be a kernel that runs on: ``psutil.wait_procs`` would wait for that.
    """
    with contextlib.suppress(OSError):
        os.waitpid(process.pid, os.WNOHANG)  # an own child must not stay a zombie
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
