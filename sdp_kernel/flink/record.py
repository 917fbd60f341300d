"""What a session leaves on disk for the kernel after it: which session, which queries, which jobs.

One JSON file a session, under the project's state directory. A kernel that was killed cannot tidy up;
its successor finds here what to take over, and any later one what to end.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

import msgspec
import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: A kernel that is restarted takes its queries over within this time, or nobody does.
_HANDOVER_S = 300.0
#: A record being taken over is renamed to say by whom, which of several processes only one can do.
_CLAIMED = ".claimed"
_CLAIM = re.compile(r"(.+)\.(\d+)-([\d.]+)-[0-9a-f]{8}\.claimed")


class QueryRecord(msgspec.Struct, frozen=True):
    """A query that ran when the record was written; ``sql`` is its statement as submitted.

    ``withheld`` names the parameters and settings whose values are secret: those are not on disk.
    """

    text: str
    start: int
    sql: str
    job_id: str
    is_query: bool
    background: bool
    name: str | None = None
    operation: str | None = None
    appends: bool | None = None
    parameters: dict[str, str] = {}
    config: dict[str, str] = {}
    bounds: dict[str, Any] = {}
    started: float = 0.0
    withheld: tuple[str, ...] = ()


class SessionRecord(msgspec.Struct, frozen=True):
    """A session, and the process that had it. ``born`` is the process's creation time."""

    pid: int
    born: float
    gateway: str
    handle: str
    ledger: str | None
    owners: tuple[str, ...] = ()
    queries: tuple[QueryRecord, ...] = ()
    at: float = 0.0

    @property
    def orphaned(self) -> bool:
        """Whether its process is gone."""
        return not _lives(self.pid, self.born)

    @property
    def given_up(self) -> bool:
        """Whether its kernel was gone for longer than a restart takes."""
        return self.orphaned and time.time() - self.at > _HANDOVER_S


class Records:
    """The records of a directory; this process's own is ``path``.

    Parameters
    ----------
    owners
        What tells this kernel's successor that it is one: its connection file, its notebook.
    """

    def __init__(self, directory: Path, name: str, owners: tuple[str, ...] = ()) -> None:
        self.path = directory / f"{name}.json"
        self.owners = owners
        self._writing = threading.Lock()
        self._forgotten = False

    def write(
        self,
        *,
        gateway: str,
        handle: str,
        ledger: Path | None,
        queries: Callable[[], tuple[QueryRecord, ...]],
    ) -> None:
        """Write this process's record, whole or not at all; a full disk is no reason to stop a query.

        ``queries`` is asked when it is this thread's turn, so that the newest record is the last.
        """
        with self._writing, contextlib.suppress(OSError):
            if self._forgotten:
                return
            record = SessionRecord(
                pid=os.getpid(),
                born=psutil.Process().create_time(),
                gateway=gateway,
                handle=handle,
                ledger=str(ledger) if ledger is not None else None,
                owners=self.owners,
                queries=queries(),
                at=time.time(),
            )
            self.path.parent.mkdir(parents=True, exist_ok=True)
            part = self.path.with_suffix(".part")
            part.touch(mode=0o600)
            part.write_bytes(msgspec.json.encode(record))
            part.replace(self.path)

    def forget(self) -> None:
        """Delete this process's record; a thread that still ends writes none again."""
        with self._writing:
            self._forgotten = True
            self.path.unlink(missing_ok=True)

    def orphans(self, gateway: str) -> list[tuple[Path, SessionRecord]]:
        """Return the records of dead processes that used this gateway, newest first.

        One that another process has claimed is left out for as long as that lives.
        """
        found = [
            (path, record)
            for path, record in read_all(self.path.parent)
            if path != self.path and record.gateway == gateway and record.orphaned and not _is_claimed(path)
        ]
        return sorted(found, key=lambda pair: -pair[1].at)

    @contextlib.contextmanager
    def claim(self, path: Path) -> Iterator[SessionRecord | None]:
        """Have a dead process's record to oneself; None where somebody else was faster.

        It is deleted at the end. Where that is not reached, it is there for whoever comes next: put
        back after an exception, found by its claimant's number after the claimant's death.
        """
        claim = f"{name_of(path)}.{os.getpid()}-{psutil.Process().create_time():.2f}-{uuid.uuid4().hex[:8]}"
        mine = path.with_name(claim + _CLAIMED)
        try:
            path.rename(mine)
            record = _read(mine)
        except FileNotFoundError:
            record = None
        if record is None:
            yield None
            return
        try:
            yield record
        except BaseException:
            mine.rename(path)
            raise
        mine.unlink(missing_ok=True)

    def is_mine(self, record: SessionRecord) -> bool:
        """Whether this kernel is the successor of the one that wrote ``record``."""
        return bool(set(self.owners) & set(record.owners))


def read_all(directory: Path) -> list[tuple[Path, SessionRecord]]:
    """Return the records of a directory, those that are claimed too."""
    paths = [*directory.glob("*.json"), *directory.glob(f"*{_CLAIMED}")]
    return [(path, record) for path in paths if (record := _read(path)) is not None]


def name_of(path: Path) -> str:
    """Return the name of the session that a record, claimed or not, was written for."""
    match = _CLAIM.fullmatch(path.name)
    return match.group(1) if match else path.stem


def _read(path: Path) -> SessionRecord | None:
    with contextlib.suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode(path.read_bytes(), type=SessionRecord)
    return None


def _is_claimed(path: Path) -> bool:
    match = _CLAIM.fullmatch(path.name)
    return match is not None and _lives(int(match.group(2)), float(match.group(3)))


def _lives(pid: int, born: float) -> bool:
    """Whether the process is there that has this number and was created then."""
    try:
        return abs(psutil.Process(pid).create_time() - born) <= 1
    except psutil.NoSuchProcess:
        return False
