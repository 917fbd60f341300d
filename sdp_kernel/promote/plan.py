"""The plan of a promotion: built without side effects, shown, and applied as shown."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import Blocked, RepositoryError
from sdp_kernel.promote import evidence, render, sink, view
from sdp_kernel.promote.compose import compose, values_of, with_profile
from sdp_kernel.promote.lint import Finding, lint, lint_profile, lint_run
from sdp_kernel.promote.slice import minimal
from sdp_kernel.repository.git import Repository
from sdp_kernel.repository.planned import PlannedFile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sdp_kernel.flink.query import Query
    from sdp_kernel.flink.session import Session
    from sdp_kernel.promote.request import Request
    from sdp_kernel.settings import Settings


@dataclass(frozen=True)
class Topic:
    """The output topic that ``apply(run=True)`` makes sure of, and the table over it.

    ``ddl`` is empty where the session has the table already.
    """

    name: str
    alias: str
    config: Mapping[str, str]
    ddl: str


@dataclass(frozen=True)
class Actions:
    """What applying needs from outside: to make a topic, to run a script, to declare a table."""

    create_topic: Callable[[Topic], bool]
    run: Callable[[str, str], str]
    declare: Callable[[str], None]


@dataclass(frozen=True)
class Applied:
    """What applying did. ``commit`` is the branch's commit; ``job_id`` the job started, if any."""

    job: str
    branch: str
    commit: str
    files: tuple[str, ...]
    job_id: str | None = None
    topic_created: str | None = None

    def to_text(self) -> str:
        """Say it in plain text."""
        return view.applied_text(self)

    def to_html(self) -> str:
        """Say it in HTML."""
        return view.applied_html(self)


@dataclass(frozen=True)
class Plan:
    """A promotion, ready to be looked at and applied.

    Attributes
    ----------
    files
        What will be committed, with diffs.
    findings
        Of the lint; one of severity ``error`` blocks ``apply``.
    receipt
        The evidence: what ran, with what result, in which versions.
    script
        What a session cluster runs, parameters filled in; it holds no secrets.
    topic
        The output topic of a SELECT; None where the cell names its own sink.
    base, tip
        The commit built on, and the branch's own commit if it exists.
    """

    job: str
    files: tuple[PlannedFile, ...]
    findings: tuple[Finding, ...]
    receipt: Mapping[str, Any]
    statements: tuple[str, ...]
    script: str = field(repr=False)
    topic: Topic | None
    repository: Path
    branch: str
    base: str
    tip: str | None
    actions: Actions = field(repr=False, compare=False)

    @property
    def unchanged(self) -> bool:
        """Whether the repository has exactly this job already, its receipt aside."""
        return all(f.status == "same" for f in self.files if not f.path.endswith(".receipt.json"))

    def to_text(self) -> str:
        """Show the plan as text."""
        return view.plan_text(self)

    def to_html(self) -> str:
        """Show the plan as HTML; everything in it is escaped."""
        return view.plan_html(self)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain values."""
        return {
            "job": self.job,
            "branch": self.branch,
            "base": self.base,
            "files": [dataclasses.asdict(file) for file in self.files],
            "findings": [dataclasses.asdict(finding) for finding in self.findings],
            "receipt": dict(self.receipt),
            "topic": None if self.topic is None else self.topic.name,
        }

    def apply(self, *, run: bool = False) -> Applied:
        """Commit the files on the branch; with ``run``, start the job on the session cluster.

        The output's table is then declared in the session as well, to look at.

        Raises
        ------
        Blocked
            A finding of severity error stands. Nothing is written.
        RepositoryError
            The repository changed since the plan, or git refused. Nothing is written.
        JobFailed
            The job does not run; the commit stands.
        """
        errors = [finding for finding in self.findings if finding.severity == "error"]
        if errors:
            raise Blocked(
                "; ".join(f"{finding.code} {finding.message}" for finding in errors),
                hint="; ".join(finding.fix for finding in errors),
            )
        repository = Repository(self.repository)
        repository.check()
        if repository.base_for(self.branch) != (self.base, self.tip):
            raise RepositoryError("the repository has moved on since this plan", hint="promote again")
        written = {file.path: file.content for file in self.files if file.status != "same"}
        if self.unchanged:
            commit, written = self.tip or self.base, {}
        else:
            known = any(file.status != "new" for file in self.files if self.job in Path(file.path).stem)
            verb = "Change" if known else "Add"
            message = f"{verb} Flink SQL job {self.job}\n\nPromoted from {_origin(self.receipt)}."
            commit = repository.commit(self.branch, written, message, base=self.base, tip=self.tip)
        applied = Applied(self.job, self.branch, commit, tuple(written))
        return self._run(applied) if run else applied

    def _run(self, applied: Applied) -> Applied:
        created = None
        if self.topic is not None and self.actions.create_topic(self.topic):
            created = self.topic.name
        job_id = self.actions.run(self.script, self.job)
        if self.topic is not None and self.topic.ddl:
            self.actions.declare(self.topic.ddl)
        return dataclasses.replace(applied, job_id=job_id, topic_created=created)


def _origin(receipt: Mapping[str, Any]) -> str:
    cell = f"cell {receipt['cell']['name']}" if receipt["cell"]["name"] else "a cell"
    return f"{cell} of {receipt['cell']['notebook']}" if receipt["cell"]["notebook"] else cell


def build_plan(
    query: Query,
    session: Session,
    request: Request,
    *,
    settings: Settings,
    actions: Actions,
    shared: str | None = None,
) -> Plan:
    """Plan the job definition of a query. Nothing is written anywhere.

    Parameters
    ----------
    shared
        Where the session cluster reads Python files, if not on this machine.

    Raises
    ------
    UsageError
        The job or topic name, or the kind of statement, cannot be.
    NotValidated
        There is no evidence that exactly this text ran without error in this session.
    SliceError, PromoteError
        The job cannot be rebuilt from the ledger; the output cannot be declared.
    RepositoryError
        The repository is dirty or diverged, or holds other content under these names.
    """
    job = render.check_job_name(request.job)
    evidence.check_kind(query, request.to)
    evidence.check_ran(query, session, request.current_text)
    found = Repository.find(request.repository or settings.promote.repository or settings.root)
    found.check()
    branch = settings.promote.branch.format(job=job)
    base, tip = found.base_for(branch)

    part, _ = minimal(session, query.statement.text, query.parameters)
    evidence.check_since(query, session, part)
    statement, output = query.statement.text, None
    if query.statement.is_query:
        output = sink.make(query, session, part, topic=request.to or "", key=request.key)
        statement = sink.insert_text(query, output.table)
        if not output.ddl:
            part = sink.with_table(session, part, output)
    part, left_out = with_profile(part, session.properties)
    values = values_of(part, query, session)
    composed = compose(
        job, part, statement, output=output, values=values, settings=settings, session=session, shared=shared
    )
    receipt = evidence.receipt(
        query,
        session,
        composed.texts,
        job=job,
        values=values,
        plan=composed.plan,
        notebook=request.notebook,
        root=found.root,
    )
    if composed.python:
        receipt["python"] = {
            path: hashlib.sha256(text.encode()).hexdigest() for path, text in composed.python.items()
        }
    findings = (
        *lint_run(query, output, part.entries),
        *lint(statement, part.entries, updating=query.updating, plan=composed.plan),
        *lint_profile(left_out),
    )
    receipt["findings"] = [
        {"code": finding.code, "severity": finding.severity, "message": finding.message}
        for finding in findings
    ]
    contents = {
        **composed.contents,
        **composed.python,
        f"sql/jobs/{job}.receipt.json": render.receipt(receipt),
    }
    files = tuple(_planned(found, base, path, content) for path, content in contents.items())
    _check_conflicts(found, base, job, files, replace=request.replace)
    topic = Topic(output.topic, output.alias, output.topic_config, output.ddl) if output else None
    return Plan(
        job=job,
        files=files,
        findings=findings,
        receipt=receipt,
        statements=composed.statements,
        script=composed.script,
        topic=topic if topic is not None and topic.name else None,
        repository=found.root,
        branch=branch,
        base=base,
        tip=tip,
        actions=actions,
    )


def _planned(repository: Repository, base: str, path: str, content: str) -> PlannedFile:
    return PlannedFile.against(repository.read(base, path), path, content)


def _check_conflicts(
    repository: Repository, base: str, job: str, files: tuple[PlannedFile, ...], *, replace: bool
) -> None:
    for file in files:
        if file.status != "changed" or file.path.endswith(".receipt.json") or replace:
            continue
        if file.path.startswith(("sql/jobs/", "terraform/")):
            raise RepositoryError(
                f"the repository has a job {job} with other content",
                hint="choose another name, or --replace it",
                detail=file.diff,
            )
        users = _users(repository, base, file.path)
        raise RepositoryError(
            f"{file.path} has other content in the repository; it is used by {', '.join(users) or 'no job'}",
            hint="rename what it declares, run its committed declaration in the notebook, or --replace it",
            detail=file.diff,
        )


def _users(repository: Repository, commit: str, path: str) -> list[str]:
    """Return the jobs that use a file: modules list SQL, a job's own settings name Python."""
    if path.endswith(".py"):
        settings = repository.mentions(commit, f"/{Path(path).name}", "sql/jobs")
        return [Path(name).stem.removesuffix(".session") for name in settings]
    return [Path(name).stem for name in repository.mentions(commit, path, "terraform")]
