"""The plan of a promotion: built without side effects, shown, and applied as shown."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import RepositoryError
from sdp_kernel.promote import evidence, freeze, render, several, view
from sdp_kernel.promote import receipt as receipts
from sdp_kernel.promote.apply import Actions, Applied, Where, apply, where
from sdp_kernel.promote.change import Change, adapted, change_of
from sdp_kernel.promote.compose import Composed, compose, values_of, with_profile
from sdp_kernel.promote.lint import Draft, Finding, Means, Run, review
from sdp_kernel.promote.outputs import Topic, lint_outputs, pieces_of, topic_files, topics_of
from sdp_kernel.promote.slice import without_idle_settings
from sdp_kernel.repository.git import Repository
from sdp_kernel.repository.planned import PlannedFile
from sdp_kernel.repository.receipt import is_evidence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sdp_kernel.connection import KafkaCluster
    from sdp_kernel.flink.query import Query
    from sdp_kernel.flink.session import Session
    from sdp_kernel.promote.request import Request
    from sdp_kernel.settings import Settings


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
    topics
        The output topics of SELECTs; none where the cells name their own sinks.
    declares
        The tables that a SELECT's rows go to, as they are declared for the job.
    base, tip
        The commit built on, and the branch's own commit if it exists.
    where
        Where the job will run, and what is pushed to.
    change
        Of a job that the repository has: its SQL, its plan, its state; None for a new job.
    """

    job: str
    files: tuple[PlannedFile, ...]
    findings: tuple[Finding, ...]
    receipt: Mapping[str, Any]
    statements: tuple[str, ...]
    script: str = field(repr=False)
    topics: tuple[Topic, ...]
    declares: tuple[str, ...] = field(repr=False)
    repository: Path
    branch: str
    base: str
    tip: str | None
    actions: Actions = field(repr=False, compare=False)
    where: Where
    change: Change | None = None

    @property
    def topic(self) -> Topic | None:
        """The first output topic; None where there is none."""
        return self.topics[0] if self.topics else None

    @property
    def touched(self) -> Mapping[str, tuple[str, ...]]:
        """The other jobs that use a declaration which changes, by its file."""
        return {file.path: file.touches for file in self.files if file.touches}

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
        """Return the plan as plain values, the same for the same plan; the receipt's times aside."""
        return view.plan_json(self)

    def apply(self, *, run: bool = False, push: bool = False) -> Applied:
        """Commit the files on the branch; push it, and start the job, where that is asked for.

        Parameters
        ----------
        push
            Push the branch, and offer it for review: by push options where the other side takes them.
        run
            Start the job on the session cluster; its output's topics are made before, and their tables
            declared in the session, to look at.

        Raises
        ------
        Blocked
            A finding of severity error stands. Nothing is written.
        RepositoryError
            The repository changed since the plan, or git refused. Nothing is written.
        PushFailed
            The branch was not pushed, and no job was started; the commit stands.
        JobFailed
            The job does not run; the commit stands.
        """
        return apply(self, run=run, push=push)


def build_plan(
    query: Query | Sequence[Query],
    session: Session,
    request: Request,
    *,
    settings: Settings,
    actions: Actions,
    shared: str | None = None,
    kafka: Mapping[str, KafkaCluster] | None = None,
    witness: receipts.Witness | None = None,
) -> Plan:
    """Plan the job definition of a query, or of several as one statement set. Nothing is written anywhere.

    Parameters
    ----------
    query
        Each has run, on its own; a SELECT's output is the request's.
    shared
        Where the session cluster reads Python files, if not on this machine.
    kafka
        The profile's Kafka clusters by alias: a job that the repository has is read with them.
    witness
        What is known of the runs beside the queries.

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
    freeze.check(request)
    queries = several.queries_of(query)
    outputs = several.targets(queries, request)
    for number, (ran, to) in enumerate(zip(queries, outputs, strict=True)):
        evidence.check_kind(ran, to)
        evidence.check_ran(ran, session, request.text_now(number))
    found = _repository(request, settings)
    found.check()
    branch = settings.promote.branch.format(job=job)
    base, tip = found.base_for(branch)

    pieces = pieces_of(queries, outputs, session, request)
    sinks = tuple(piece.output for piece in pieces if piece.output is not None)
    part, statement = several.joined(pieces, session.ledger.shaping)
    values = values_of(part, pieces, session)
    declares = tuple(sink.ddl for sink in sinks if sink.ddl)
    part = without_idle_settings(session, part, statement, values, ddls=declares)
    part, left_out = with_profile(part, session.properties)

    def composed_of(draft: Draft) -> Composed:
        return compose(
            job, draft.part, draft.statement, outputs=sinks, values=draft.values, settings=settings,
            session=session, shared=shared,
        )  # fmt: skip

    reviewed = review(
        Draft(statement, part, values),
        composed_of,
        run=Run.of(pieces, session, left_out=left_out, others=lint_outputs(sinks, part, session)),
        means=Means.of(job, queries, settings=settings.lint, fragments=session.fragments),
        fix=request.fix,
    )
    composed, values = reviewed.composed, dict(reviewed.draft.values)
    topics = topics_of(sinks, part, session, request, actions.partitions)
    receipt = receipts.of_job(
        queries, session, composed, job=job, values=values, notebook=request.notebook, root=found.root,
        witness=witness,
    )  # fmt: skip
    receipt |= reviewed.receipt()
    contents = {
        **composed.contents,
        **composed.python,
        **topic_files(topics, settings.promote, known=lambda path: found.read(base, path) is not None),
        **receipts.plan_file(composed, job),
    }
    change = change_of(
        found, base, job, composed.statements, receipt["cell"], session=session, kafka=kafka or {},
        functions=shared, module_source=settings.promote.module_source, pulled=request.pulled,
        python=composed.python,
    )  # fmt: skip
    contents = adapted(contents, found, base, job, change)
    frozen = freeze.of_request(job, contents, request, actions.freezing)
    receipt |= {"tests": frozen.receipt} if frozen is not None else {}
    contents |= receipts.receipt_file(receipt, contents, job)
    contents |= frozen.files if frozen is not None else {}
    files = tuple(_planned(found, base, path, content, job) for path, content in contents.items())
    _check_conflicts(found, base, job, files, replace=request.replace, change=change)
    return Plan(
        job=job,
        files=files,
        findings=reviewed.findings,
        receipt=receipt,
        statements=composed.statements,
        script=composed.script,
        topics=topics,
        declares=declares,
        repository=found.root,
        branch=branch,
        base=base,
        tip=tip,
        actions=actions,
        where=where(found, branch, actions, settings.promote.session_cluster),
        change=change,
    )


def _repository(request: Request, settings: Settings) -> Repository:
    """Find the repository; one around the project's directory is not meant unless it is named."""
    named = request.repository or settings.promote.repository
    found = Repository.find(named or settings.root)
    if named is None and settings.file is not None and settings.root.resolve() != found.root.resolve():
        raise RepositoryError(
            f"{settings.root} has an sdp.toml, and is inside another repository: {found.root}",
            hint=f"git init {settings.root}, or name the one that is meant: [promote] repository",
        )
    return found


def _planned(repository: Repository, base: str, path: str, content: str, job: str) -> PlannedFile:
    file = PlannedFile.against(repository.read(base, path), path, content)
    if file.status != "changed" or file.path.startswith(("sql/jobs/", "terraform/")):
        return file
    users = _users(repository, base, path)
    return dataclasses.replace(file, touches=tuple(user for user in users if user != job))


def _check_conflicts(
    repository: Repository,
    base: str,
    job: str,
    files: tuple[PlannedFile, ...],
    *,
    replace: bool,
    change: Change | None,
) -> None:
    for file in files:
        if file.status != "changed" or is_evidence(file.path) or freeze.is_test(file.path) or replace:
            continue
        if change is not None and change.covers(file.path, _users(repository, base, file.path), job):
            continue
        if file.path.startswith(("sql/jobs/", "terraform/")):
            raise RepositoryError(
                f"the repository has a job {job} with other content"
                + (f", from {change.origin}" if change is not None else ""),
                hint=f"choose another name, %promote --from-job {job} to go on from it, or --replace it",
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
