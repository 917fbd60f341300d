"""A profile's place in ``.sdp/clusters``: what runs there for its session cluster, and how it is ended."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from filelock import FileLock, Timeout

from sdp_kernel.local import processes
from sdp_kernel.local.info import ComponentStatus
from sdp_kernel.local.logs import cause_in
from sdp_kernel.local.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "port-forward"


@dataclass(frozen=True)
class State:
    """How a port-forward goes: the pod that the last one led to, or the reason why there was none."""

    pod: str = ""
    error: str = ""
    at: float = 0.0


@dataclass(frozen=True)
class Place:
    """A profile's directory, and what runs there."""

    directory: Path

    @classmethod
    def of(cls, state_dir: Path, profile: str) -> Place:
        """Return the place of a profile, whose name may hold anything."""
        name = quote(profile, safe="")
        folder = f"%2E{name[1:]}" if name.startswith(".") else name
        return cls(state_dir.resolve() / "clusters" / folder)

    @property
    def forward(self) -> Path:
        """Everything of the port-forward."""
        return self.directory / "forward"

    @property
    def run(self) -> Path:
        """Its record."""
        return self.forward / "run"

    @property
    def logs(self) -> Path:
        """Its log."""
        return self.forward / "logs"

    @property
    def state(self) -> Path:
        """How it goes, as it says itself."""
        return self.forward / "state"

    @property
    def heartbeat(self) -> Path:
        """What kernels touch."""
        return self.directory / "heartbeat"

    @property
    def lock(self) -> Path:
        """Lets one process through at a time."""
        return self.directory / "lock"

    @property
    def idled(self) -> Path:
        """There where it ended by itself, and not on purpose: a kernel that comes back starts it again."""
        return self.forward / "idled"

    @property
    def port(self) -> int | None:
        """The port of the last port-forward."""
        with contextlib.suppress(OSError, ValueError):
            return int(self.read("port"))
        return None

    @property
    def record(self) -> processes.Record | None:
        """The port-forward's record; None where it was stopped on purpose."""
        return processes.recorded(self.run).get(NAME)

    def forwards(self) -> bool:
        """Whether the port-forward's process is there."""
        record = self.record
        return record is not None and processes.alive(record, self.forward) is not None

    def read(self, name: str) -> str:
        """Return a small file's text."""
        return (self.forward / name).read_text(encoding="utf-8")

    def write(self, name: str, text: str) -> None:
        """Write a small file, whole or not at all."""
        self.forward.mkdir(parents=True, exist_ok=True)
        part = self.forward / f"{name}.part"
        part.write_text(text, encoding="utf-8")
        part.replace(self.forward / name)

    @property
    def said(self) -> State:
        """What the port-forward wrote last; nothing where it has not written."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            return State(**json.loads(self.state.read_text(encoding="utf-8")))
        return State()

    def end_forward(self) -> None:
        """End the port-forward."""
        while left := processes.marked(self.forward):
            processes.stop(left)
        for path in self.run.glob("*.json"):
            path.unlink(missing_ok=True)

    def down(self, *, purge: bool = False) -> None:
        """End the gateway, then the port-forward."""
        self.idled.unlink(missing_ok=True)
        Stack(self.directory, components=("gateway",)).down(purge=purge)
        self.end_forward()
        if purge:
            shutil.rmtree(self.forward, ignore_errors=True)

    def status(self) -> tuple[ComponentStatus, ...]:
        """Return the state of the port-forward and of the gateway."""
        record, said = self.record, self.said
        process = processes.alive(record, self.forward) if record is not None else None
        detail = said.error or (f"to {said.pod}" if said.pod else "")
        if process is not None and record is not None:
            state = "starting" if said.error or not said.pod else "running"
            forward = ComponentStatus(
                NAME, state, process.pid, record.port, process.memory_info().rss,
                time.time() - record.created, detail,
            )  # fmt: skip
        elif record is not None:
            forward = ComponentStatus(NAME, "died", port=record.port, detail=cause_in(self.logs, NAME))
        else:
            forward = ComponentStatus(NAME, "stopped", port=self.port)
        return (forward, *Stack(self.directory, components=("gateway",)).status().components)


def places(state_dir: Path) -> Iterator[tuple[str, Place]]:
    """Give the places of a project's session clusters, by their folders' names."""
    folder = state_dir.resolve() / "clusters"
    for directory in sorted(folder.iterdir()) if folder.is_dir() else []:
        if directory.is_dir():
            yield directory.name, Place(directory)


def down_all(state_dir: Path, *, purge: bool = False) -> None:
    """End the gateways and port-forwards of all session clusters of a project."""
    for _, place in places(state_dir):
        place.down(purge=purge)


def end_idle(directory: Path) -> bool:
    """End a place's gateway, called by its port-forward before that ends itself; False where it is in use."""
    place = Place(directory)
    try:
        with FileLock(place.lock, timeout=0):
            Stack(directory, components=("gateway",)).down()
            for path in place.run.glob("*.json"):
                path.unlink(missing_ok=True)
            place.idled.touch()
    except Timeout:
        return False
    return True
