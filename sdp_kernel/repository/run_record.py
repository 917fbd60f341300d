"""What was started and stopped from here: which version a running job is, and where its savepoints are.

A file of JSON lines for each job, in the project's state directory. The cluster knows neither the commit
nor the text of what it runs; without this an upgrade could not go back.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from sdp_kernel.deploy.script_mark import function_texts, functions_hash

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sdp_kernel.repository.job import CommittedJob
    from sdp_kernel.repository.versions import Version

FUNCTIONS = "sql/functions"
STARTED, STOPPED = "started", "stopped"


@dataclass(frozen=True)
class What:
    """A version as it is started.

    Attributes
    ----------
    script
        What runs. It holds no secrets, only references to them.
    config
        Flink configuration that the job's module gives it; empty where it is not known.
    functions
        The hash of its Python functions' text; empty where there are none, or it is not known.
    """

    job: str
    called: str
    commit: str
    script: str = field(repr=False)
    config: Mapping[str, str] = field(default_factory=dict)
    functions: str = ""

    @classmethod
    def of(cls, version: Version) -> What:
        """Return what running a version means; its files have to be there."""
        job = version.job
        return cls(job.name, version.called, version.commit, job.script, config_of(job), functions_of(job))

    @property
    def script_hash(self) -> str:
        """sha256 of the script: two versions with the same take each other's state."""
        return hashlib.sha256(self.script.encode()).hexdigest()

    def same_as(self, other: What) -> bool:
        """Whether it does what another does: script and configuration are the same."""
        return self.script_hash == other.script_hash and dict(self.config) == dict(other.config)


def config_of(job: CommittedJob) -> dict[str, str]:
    """Return the Flink configuration that a job's module gives it, its parallelism among it."""
    config = {str(key): str(value) for key, value in job.arguments["flink_configuration"].items()}
    return {**config, "parallelism.default": str(job.arguments["parallelism"])}


def functions_of(job: CommittedJob) -> str:
    """Return the hash of the Python functions' text that a job names; empty for none."""
    return functions_hash(function_texts(job.script, job.root / FUNCTIONS))


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """A job that was started or stopped. ``at`` in seconds since the epoch.

    ``savepoint`` is where a started job took its state from, or where a stopped one left it.
    """

    event: str
    at: float
    job_id: str
    called: str = ""
    commit: str = ""
    script_hash: str = ""
    savepoint: str = ""
    script: str = ""
    config: dict[str, str] = {}
    functions: str = ""


_decode = msgspec.json.Decoder(Event).decode
_encode = msgspec.json.Encoder().encode


class RunRecord:
    """The events of one job on one profile."""

    def __init__(self, directory: Path, profile: str, job: str) -> None:
        self.job = job
        self.path = directory / f"{profile}--{job}.jsonl"

    def started(self, job_id: str, what: What, savepoint: str | None) -> None:
        """Write down that a version runs."""
        self._write(
            Event(
                STARTED, time.time(), job_id, what.called, what.commit, what.script_hash, savepoint or "",
                what.script, dict(what.config), what.functions,
            )
        )  # fmt: skip

    def stopped(self, job_id: str, savepoint: str) -> None:
        """Write down that a job was stopped, and where its state is."""
        what = self.what(job_id)
        self._write(
            Event(
                STOPPED, time.time(), job_id, what.called if what else "", what.commit if what else "",
                what.script_hash if what else "", savepoint,
            )
        )  # fmt: skip

    def what(self, job_id: str) -> What | None:
        """Return the version that a job is; None where it was not started from here."""
        for event in reversed(list(self.events())):
            if event.event == STARTED and event.job_id == job_id:
                return What(self.job, event.called, event.commit, event.script, event.config, event.functions)
        return None

    def savepoint_of(self, what: What) -> str | None:
        """Return the newest savepoint that this version was stopped with."""
        return next(
            (
                event.savepoint
                for event in reversed(list(self.events()))
                if event.event == STOPPED and event.savepoint and event.script_hash == what.script_hash
            ),
            None,
        )

    def events(self) -> Iterator[Event]:
        """Yield what is written down, the oldest first; a line that was cut off is left out."""
        if not self.path.is_file():
            return
        for line in self.path.read_bytes().splitlines():
            with contextlib.suppress(msgspec.DecodeError):
                yield _decode(line)

    def _write(self, event: Event) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.write(_encode(event) + b"\n")
