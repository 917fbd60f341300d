"""Applying a plan: commit, push, topics, job, in this order; and what was done."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import Blocked, RepositoryError
from sdp_kernel.promote import view
from sdp_kernel.repository import push as pushing
from sdp_kernel.repository.git import Repository

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sdp_kernel.promote.freeze import Freezing
    from sdp_kernel.promote.outputs import Topic
    from sdp_kernel.promote.plan import Plan
    from sdp_kernel.repository.push import Pushed, Remote


@dataclass(frozen=True)
class Actions:
    """What applying needs from outside: to make a topic, to run a script, to declare a table.

    ``partitions`` says how many a topic has, by alias and name; None where there is no such topic.
    ``may_run`` raises where nothing may be run.
    ``place`` names where the script runs.
    ``freezing`` is what a frozen test needs; None where none can be made.
    """

    create_topic: Callable[[Topic], bool]
    run: Callable[[str, str], str]
    declare: Callable[[str], None]
    partitions: Callable[[str, str], int | None] = lambda _alias, _topic: None
    may_run: Callable[[str], None] = lambda _what: None
    place: str = "the profile's session cluster"
    freezing: Freezing | None = None


@dataclass(frozen=True)
class Where:
    """Where a plan's job goes.

    Attributes
    ----------
    runs_on
        What starts it now, with ``run``.
    deployed_on
        The session cluster that Terraform gives it to.
    remote, target
        What is pushed to, without credentials, and the branch that the job is offered to; None where the
        repository has no remote.
    review_url
        The page on which it can be offered, where it is known beforehand.
    """

    runs_on: str
    deployed_on: str
    remote: str | None = None
    target: str | None = None
    review_url: str | None = None


@dataclass(frozen=True)
class Applied:
    """What applying did. ``commit`` is the branch's commit; ``job_id`` the job started, if any.

    ``pushed`` is None where nothing was pushed; ``remote`` is the one to push to, if there is one.
    """

    job: str
    branch: str
    commit: str
    files: tuple[str, ...]
    job_id: str | None = None
    topics_created: tuple[str, ...] = ()
    pushed: Pushed | None = None
    remote: Remote | None = None

    @property
    def topic_created(self) -> str | None:
        """The topics that were created, with commas; None for none."""
        return ", ".join(self.topics_created) or None

    def to_text(self) -> str:
        """Say it in plain text."""
        return view.applied_text(self)

    def to_html(self) -> str:
        """Say it in HTML."""
        return view.applied_html(self)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "job": self.job,
            "branch": self.branch,
            "commit": self.commit,
            "files": list(self.files),
            "topics_created": list(self.topics_created),
            "job_id": self.job_id,
            "pushed": None if self.pushed is None else dataclasses.asdict(self.pushed),
        }


def where(repository: Repository, branch: str, actions: Actions, deployed_on: str) -> Where:
    """Say where a job goes, without asking anybody."""
    remote = pushing.remote_of(repository)
    if remote is None:
        return Where(actions.place, deployed_on)
    target = pushing.default_branch(repository, remote)
    url = remote.review_url(target, branch)
    return Where(actions.place, deployed_on, f"{remote.name} ({remote.shown})", target, url)


def apply(plan: Plan, *, run: bool, push: bool) -> Applied:
    """Do what a plan shows, as :meth:`sdp_kernel.promote.plan.Plan.apply` says."""
    errors = [finding for finding in plan.findings if finding.blocks]
    if errors:
        raise Blocked(
            "; ".join(f"{finding.code} {finding.message}" for finding in errors),
            hint="; ".join(finding.fix for finding in errors),
        )
    if run:
        plan.actions.may_run(f"run {plan.job}")
    repository = Repository(plan.repository)
    repository.check()
    if repository.base_for(plan.branch) != (plan.base, plan.tip):
        raise RepositoryError("the repository has moved on since this plan", hint="promote again")
    title = _title(plan)
    if plan.unchanged:
        applied = Applied(plan.job, plan.branch, plan.tip or plan.base, ())
    else:
        files = {file.path: file.content for file in plan.files if file.status != "same"}
        message = f"{title}\n\nPromoted from {_origin(plan.receipt)}."
        message += f"\n\nState: {plan.change.state.reason}." if plan.change is not None else ""
        commit = repository.commit(plan.branch, files, message, base=plan.base, tip=plan.tip)
        applied = Applied(plan.job, plan.branch, commit, tuple(files))
    applied = dataclasses.replace(applied, remote=pushing.remote_of(repository))
    if push and repository.commit_of(f"refs/heads/{plan.branch}") == applied.commit:
        pushed = pushing.push(repository, plan.branch, title=title)
        applied = dataclasses.replace(applied, pushed=pushed)
    return _run(plan, applied) if run else applied


def _run(plan: Plan, applied: Applied) -> Applied:
    created = tuple(topic.name for topic in plan.topics if plan.actions.create_topic(topic))
    job_id = plan.actions.run(plan.script, plan.job)
    for ddl in plan.declares:
        plan.actions.declare(ddl)
    return dataclasses.replace(applied, job_id=job_id, topics_created=created)


def _title(plan: Plan) -> str:
    known = any(file.status != "new" for file in plan.files if plan.job in Path(file.path).stem)
    return f"{'Change' if known else 'Add'} Flink SQL job {plan.job}"


def _origin(receipt: Mapping[str, Any]) -> str:
    cell = f"cell {receipt['cell']['name']}" if receipt["cell"]["name"] else "a cell"
    return f"{cell} of {receipt['cell']['notebook']}" if receipt["cell"]["notebook"] else cell
