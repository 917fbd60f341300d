"""The job before its last change: its files as they were, as a new commit. History stays."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sdp_kernel.errors import RepositoryError, UsageError
from sdp_kernel.repository.planned import PlannedFile

if TYPE_CHECKING:
    from sdp_kernel.repository.git import Repository

_LISTED = re.compile(r'"\$\{path\.root\}/\.\./([^"]+)"')
_SHORT = 8


@dataclass(frozen=True)
class Rollback:
    """What rolling a job back will commit: built without side effects, shown, and applied as shown.

    Attributes
    ----------
    undone, subject
        The commit whose changes to the job are taken back, and its first line.
    files
        What will be written, with diffs; a file that did not exist has status ``deleted``. ``touches``
        names the other jobs that use it.
    base, tip
        The commit built on, and the branch's own commit if it exists.
    """

    job: str
    undone: str
    subject: str
    files: tuple[PlannedFile, ...]
    repository: Repository
    branch: str
    base: str
    tip: str | None

    def to_text(self) -> str:
        """Show it as text."""
        undone = f"{self.undone[:_SHORT]} ({self.subject})"
        lines = [f"Roll back {self.job} on branch {self.branch}: as it was before {undone}"]
        for file in self.files:
            touched = f", used by {', '.join(file.touches)} too" if file.touches else ""
            lines += [f"{file.status} {file.path}{touched}", *([file.diff] if file.diff else [])]
        return "\n".join(lines)

    def apply(self) -> str:
        """Commit it; returns the commit.

        Raises
        ------
        RepositoryError
            The repository changed since, or git refused. Nothing is written.
        """
        self.repository.check()
        if self.repository.base_for(self.branch) != (self.base, self.tip):
            raise RepositoryError(
                "the repository has moved on since this was planned", hint="roll back again"
            )
        message = (
            f"Roll back Flink SQL job {self.job}\n\nAs it was before {self.undone[:_SHORT]} ({self.subject})."
        )
        contents = {file.path: None if file.status == "deleted" else file.content for file in self.files}
        return self.repository.commit(self.branch, contents, message, base=self.base, tip=self.tip)


def plan_rollback(repository: Repository, job: str, branch: str) -> Rollback:
    """Plan a job as it was before the last commit that touched its SQL or its module call.

    With these go back its receipt, its plan and its tests, and shared declarations that the same commit
    changed. Topics stay. Nothing is written.

    Raises
    ------
    UsageError
        There is no such job, or it has no version before.
    RepositoryError
        The repository is dirty or diverged; or a shared file has been changed since.
    """
    repository.check()
    base, tip = repository.base_for(branch)
    tells = [f"sql/jobs/{job}.sql", f"sql/jobs/{job}.session.sql", f"terraform/{job}.tf"]
    own = [*tells, f"sql/jobs/{job}.plan.json", f"sql/jobs/{job}.receipt.json", f"tests/{job}/"]
    call = repository.read(base, f"terraform/{job}.tf")
    if call is None or repository.read(base, f"sql/jobs/{job}.sql") is None:
        raise UsageError(f"{repository.root} has no job {job}", hint="sql/jobs/ holds the jobs' SQL")
    undone = repository.git("log", "-1", "--first-parent", "--format=%H", base, "--", *tells)
    before = repository.commit_of(f"{undone}^")
    earlier = repository.read(before, f"terraform/{job}.tf") if before else None
    if before is None or earlier is None:
        raise UsageError(
            f"{job} has no version before {undone[:_SHORT]}, which brought it",
            hint="to take the job away, delete its files",
        )
    paths = [*own, *sorted({*_LISTED.findall(call), *_LISTED.findall(earlier)} - set(own))]
    changed = repository.git("diff", "--name-only", "--no-renames", "-z", before, undone, "--", *paths).split(
        "\0"
    )
    files = []
    for path in filter(None, changed):
        then, now = repository.read(before, path), repository.read(base, path)
        users: tuple[str, ...] = ()
        if path not in own and not path.startswith(f"tests/{job}/"):
            users = _other_jobs(repository, base, path, job)
            if now != repository.read(undone, path):
                raise RepositoryError(
                    f"{path} has been changed since {undone[:_SHORT]}; it is used by "
                    f"{', '.join((job, *users))}",
                    hint="git revert it by hand, or change it in a cell and promote that",
                )
            if then is None and users:
                continue
        file = PlannedFile.against(now, path, then or "")
        status = "deleted" if then is None else file.status
        files.append(PlannedFile(path, then or "", status, file.diff, users))
    subject = repository.git("log", "-1", "--format=%s", undone)
    return Rollback(job, undone, subject, tuple(files), repository, branch, base, tip)


def _other_jobs(repository: Repository, commit: str, path: str, job: str) -> tuple[str, ...]:
    found = {Path(name).stem for name in repository.mentions(commit, path, "terraform")}
    return tuple(sorted(found - {job}))
