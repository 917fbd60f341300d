"""What a session leaves on disk for the kernel after it: which session, which queries, which jobs.

One JSON file a session, under the project's state directory. A kernel that was killed cannot tidy up;
its successor finds here what to take over, and any later one what to end.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec
import psutil

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: A kernel that is restarted takes its queries over within this time, or nobody does.
_HANDOVER_S = 300.0


class QueryRecord(msgspec.Struct, frozen=True):
    """A query that ran when the record was written; ``sql`` is its statement as submitted."""

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
        try:
            return abs(psutil.Process(self.pid).create_time() - self.born) > 1
        except psutil.NoSuchProcess:
            return True

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
        """Return the records of dead processes that used this gateway, newest first."""
        found = []
        for path in self.path.parent.glob("*.json"):
            if path == self.path:
                continue
            try:
                record = msgspec.json.decode(path.read_bytes(), type=SessionRecord)
            except (OSError, msgspec.DecodeError):
                continue
            if record.gateway == gateway and record.orphaned:
                found.append((path, record))
        return sorted(found, key=lambda pair: -pair[1].at)

    def is_mine(self, record: SessionRecord) -> bool:
        """Whether this kernel is the successor of the one that wrote ``record``."""
        return bool(set(self.owners) & set(record.owners))
