"""A job as it is at some commit, on a branch, or in the work tree, ready to run."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sdp_kernel.errors import RepositoryError, UsageError
from sdp_kernel.flink.functions import publish, store
from sdp_kernel.repository import job as jobs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sdp_kernel.connection import KafkaCluster
    from sdp_kernel.repository.git import Repository
    from sdp_kernel.repository.job import CommittedJob

FUNCTIONS = "sql/functions"
_SHORT = 8
_SOMEWHERE = "/sdp-functions"


@dataclass(frozen=True)
class Place:
    """What a job's module call is filled in with on a profile.

    Attributes
    ----------
    kafka
        What ``var.kafka`` is.
    directory
        Where the files of Python functions are kept for as long as jobs run.
    functions
        A place for these that the cluster reads, where it is on another machine.
    module_source
        As in ``[promote]``.
    """

    kafka: Mapping[str, KafkaCluster]
    directory: Path
    functions: str | None = None
    module_source: str = ""


@dataclass(frozen=True)
class Version:
    """A job as it is somewhere.

    Attributes
    ----------
    commit
        Empty for the work tree.
    called
        How it is named to the user: ``HEAD (1a2b3c4d)``, ``work tree``.
    """

    job: CommittedJob
    commit: str
    called: str


def committed(repository: Repository, branch: str) -> str:
    """Return the revision that holds a job's newest committed version.

    The job's branch, where it has one that is not merged yet; HEAD otherwise.
    """
    tip = repository.commit_of(f"refs/heads/{branch}")
    if tip is not None and tip not in repository.git("merge-base", "--all", "HEAD", tip).splitlines():
        return branch
    return "HEAD"


@contextlib.contextmanager
def version(repository: Repository, job: str, revision: str | None, place: Place) -> Iterator[Version]:
    """Give a job as it is at a revision, or with None in the work tree; its files stay until the end.

    Raises
    ------
    UsageError, ParameterError
        There is no such revision, or no such job there; or its file cannot be read.
    """
    if revision is None:
        yield _read(repository.root, job, "", "work tree", place)
        return
    commit = repository.commit_of(revision)
    if commit is None:
        raise UsageError(
            f"{revision!r} names no commit of {repository.root}", hint="a branch, a tag or a commit"
        )
    called = commit[:_SHORT] if commit.startswith(revision) else f"{revision} ({commit[:_SHORT]})"
    with tempfile.TemporaryDirectory(prefix="sdp-version-") as scratch:
        try:
            root = repository.export(commit, Path(scratch))
        except RepositoryError as error:
            raise UsageError(f"{called} cannot be read: {error.message}", hint=error.hint) from None
        if job not in jobs.names(root):
            known = ", ".join(jobs.names(root)) or "none"
            raise UsageError(f"there is no job {job} at {called}", hint=f"jobs there: {known}")
        yield _read(root, job, commit, called, place)


def _read(root: Path, job: str, commit: str, called: str, place: Place) -> Version:
    """Read a job, its functions put where the cluster reads them, under a name that their text gives."""

    def reading(functions: str | None) -> CommittedJob:
        return jobs.read(root, job, kafka=place.kafka, functions=functions, module_source=place.module_source)

    modules = sorted((root / FUNCTIONS).glob("*.py"))
    read = reading(_SOMEWHERE if modules else None)
    used = [path for path in modules if f"{_SOMEWHERE}/{path.name}" in read.script]
    if not used:
        return Version(read, commit, called)
    texts = {path.stem: path.read_text(encoding="utf-8") for path in used}
    digest = hashlib.sha256("\0".join(part for pair in texts.items() for part in pair).encode()).hexdigest()
    under = f"jobs/{digest[:12]}"
    published = [
        publish(store(place.directory / under, name, text), place.functions, under=under)
        for name, text in texts.items()
    ]
    return Version(reading(published[0].rpartition("/")[0]), commit, called)
