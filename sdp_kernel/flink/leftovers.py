"""Deletes what gone kernels have left under a project's state directory: batches' rows, frames, ledgers.

A kernel that is killed cannot tidy up. What a living one may use stays, and so does everything of which
that cannot be told.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from sdp_kernel.errors import SdpError
from sdp_kernel.flink.record import name_of, read_all

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sdp_kernel.flink.jobs import JobManager

#: What names no process is left alone until nothing in it has changed for so long.
_QUIET_S = 86_400.0
#: A ledger, which says what a notebook once ran, is kept for so long after its last statement.
_LEDGER_S = 30 * 86_400.0
_OF_SESSION = re.compile(r".+-(\d+)-[0-9a-f]{8}")
_OF_PART = re.compile(r"\..+\.(\d+)")


def sweep(state_dir: Path, jobmanager: JobManager | None) -> list[Path]:
    """Delete what nobody uses any more; returns what was deleted. Raises nothing.

    Parameters
    ----------
    state_dir
        The project's, with ``spool``, ``frames``, ``ledgers`` and ``sessions``.
    jobmanager
        Asked whether jobs run, which may read frames; None leaves frames alone.
    """
    with contextlib.suppress(OSError, psutil.Error):
        doomed = [*_spools(state_dir), *_frames(state_dir, jobmanager), *_ledgers(state_dir)]
        for path in doomed:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        return doomed
    return []


def _spools(state_dir: Path) -> list[Path]:
    """Return the directories of batches' rows whose kernel is gone.

    They are named after its session, or after nothing, as they once were: then by their age, and by who
    has a file in them open. One whose session has a record is left to whoever takes that over.
    """
    recorded = {name_of(path) for path, _ in read_all(state_dir / "sessions")}
    found, unnamed = [], []
    for path in _entries(state_dir / "spool"):
        match = _OF_SESSION.fullmatch(path.name)
        if match is None:
            unnamed.append(path)
        elif path.name not in recorded and not psutil.pid_exists(int(match.group(1))):
            found.append(path)
    return found + _untouched(unnamed)


def _frames(state_dir: Path, jobmanager: JobManager | None) -> list[Path]:
    """Return the files of frames that no session knows which may still be used."""
    files, parts = [], []
    for path in _entries(state_dir / "frames"):
        match = _OF_PART.fullmatch(path.name)
        if match is None:
            files.append(path)
        elif not psutil.pid_exists(int(match.group(1))):
            parts.append(path)
    old = _untouched(files)
    if not old or jobmanager is None or _jobs_run(jobmanager):
        return parts
    used = "".join(path.read_text("utf-8", "replace") for path in _ledgers_in_use(state_dir))
    return parts + [path for path in old if path.name not in used]


def _ledgers(state_dir: Path) -> list[Path]:
    """Return the ledgers of kernels that are gone which nothing was added to for thirty days."""
    since, used = time.time() - _LEDGER_S, _ledgers_in_use(state_dir)
    return [
        path
        for path in _entries(state_dir / "ledgers")
        if path.suffix == ".jsonl" and path not in used and path.lstat().st_mtime < since
    ]


def _ledgers_in_use(state_dir: Path) -> set[Path]:
    """Return the ledgers of sessions that a kernel has, or that one may yet take over."""
    directory = state_dir / "ledgers"
    kept = {Path(record.ledger).name for _, record in read_all(state_dir / "sessions") if record.ledger}
    return {
        path
        for path in _entries(directory)
        if path.name in kept
        or (match := _OF_SESSION.fullmatch(path.stem)) is None
        or psutil.pid_exists(int(match.group(1)))
    }


def _jobs_run(jobmanager: JobManager) -> bool:
    try:
        return any(not job.done for job in jobmanager.jobs())
    except SdpError:
        return True


def _untouched(paths: Iterable[Path]) -> list[Path]:
    """Return those in which nothing has changed for long, and of which no process has a file open."""
    since = time.time() - _QUIET_S
    old = [path for path in paths if all(p.lstat().st_mtime < since for p in (path, *path.rglob("*")))]
    opened = _open_files() if old else set()
    return [
        path for path in old if not any(name == str(path) or name.startswith(f"{path}/") for name in opened)
    ]


def _open_files() -> set[str]:
    names = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            names |= {file.path for file in process.open_files()}
    return names


def _entries(directory: Path) -> list[Path]:
    return sorted(directory.iterdir()) if directory.is_dir() else []
