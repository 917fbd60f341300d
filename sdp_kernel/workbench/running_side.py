"""What a workbench does with the jobs of the team's repository on its session cluster: run, stop, compare."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdp_kernel.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sdp_kernel.flink.jobs import Job, JobManager
    from sdp_kernel.flink.query import Query
    from sdp_kernel.flink.session import Session
    from sdp_kernel.flink.vitals import Vitals
    from sdp_kernel.masking import Policy
    from sdp_kernel.repository.git import Repository
    from sdp_kernel.repository.rollback import Rollback
    from sdp_kernel.repository.rollout import Rollout, Started
    from sdp_kernel.repository.shadow import Shadow
    from sdp_kernel.repository.versions import Place
    from sdp_kernel.settings import Profile, Settings


@dataclass(frozen=True)
class JobStatus:
    """A job of the repository on the session cluster.

    Attributes
    ----------
    called
        Which version it is; empty where it was not started from here.
    vitals
        Records, lag of its sources, watermark, checkpoints, back pressure.
    """

    job: str
    job_id: str
    state: str
    called: str
    vitals: Vitals

    def __str__(self) -> str:
        vitals = self.vitals
        said = [f"{self.job} is {self.state}: job {self.job_id}"]
        said += [self.called or "not started from here"]
        said += [f"{vitals.records_in:,} records in, {vitals.records_out:,} out"]
        said += [] if vitals.lag is None else [f"lag {vitals.lag:,}"]
        said += [f"{vitals.checkpoints:,} checkpoints"]
        said += [f"{vitals.restarts:,} restarts"] if vitals.restarts else []
        return ", ".join(said)


def _quiet(_line: str) -> None:
    """Say nothing."""


class RunningSide:
    """The part of a workbench that runs what is committed."""

    queries: dict[str, Query]
    settings: Settings

    @property
    def profile(self) -> Profile:
        """The profile, with all addresses."""
        raise NotImplementedError

    @property
    def session(self) -> Session:
        """The gateway session."""
        raise NotImplementedError

    @property
    def jobmanager(self) -> JobManager:
        """The session cluster's JobManager."""
        raise NotImplementedError

    @property
    def masking(self) -> Policy:
        """What is hidden."""
        raise NotImplementedError

    def _check_change(self, what: str, *, confirm: bool) -> None:
        """Refuse on a read-only profile, and what is not confirmed on any but the embedded stack."""
        raise NotImplementedError

    def savepoint(
        self, job: str, *, directory: str | None = None, stop: bool = False, drain: bool = False
    ) -> list[str]:
        """Take a savepoint of a job."""
        raise NotImplementedError

    def shadow(
        self,
        job: str,
        *,
        old: str | None = None,
        new: str | None = None,
        since: str | None = None,
        records: int = 10_000,
        timeout: float = 600.0,
        shown: int = 10,
        repository: Path | None = None,
        confirm: bool = False,
        say: Callable[[str], None] = _quiet,
    ) -> Shadow:
        """Run a new version of a job beside the old one on the same offsets, and compare what they write.

        Both write to throw-away topics, which are gone at the end.

        Parameters
        ----------
        old
            A revision; HEAD by default.
        new
            A revision; by default the job's branch where it is not merged yet, else the work tree.
        since
            Read from this time on (``1h``, ``2026-01-05T09:00``), in place of the newest ``records``.
        timeout
            Seconds both have to come to the end.
        shown
            Rows to show of each kind of difference.
        confirm
            Needed on any profile but the embedded stack.
        say
            Takes a line for each step.

        Raises
        ------
        ReadOnly
            The profile is read-only, or nobody confirmed.
        UsageError, RepositoryError
            There is no such version, or it cannot be kept away from what it writes to.
        StatementError, JobFailed
            A version does not run.
        """
        from sdp_kernel.masking import mask  # noqa: PLC0415
        from sdp_kernel.repository import shadow as shadows  # noqa: PLC0415
        from sdp_kernel.repository import versions  # noqa: PLC0415
        from sdp_kernel.times import epoch_ms  # noqa: PLC0415

        from_ms = epoch_ms(since) if since is not None else None
        self._check_change(f"run {job} twice into throw-away topics", confirm=confirm)
        found = self._repository(repository)
        if new is None:
            newest = versions.committed(found, self._branch(job))
            new = None if newest == "HEAD" else newest
        host = shadows.Host(self.session, self.profile.kafka, lambda table: mask(table, self.masking), say)
        with contextlib.ExitStack() as kept:
            before, after = (
                kept.enter_context(versions.version(found, job, revision, self._place))
                for revision in (old or "HEAD", new)
            )
            return shadows.shadow(
                before, after, host, since=from_ms, records=records, timeout=timeout, shown=shown
            )

    def run_job(
        self,
        job: str,
        *,
        revision: str | None = None,
        upgrade: bool = False,
        old: str | None = None,
        savepoint: str | None = None,
        allow_non_restored_state: bool = False,
        directory: str | None = None,
        repository: Path | None = None,
        confirm: bool = False,
        say: Callable[[str], None] = _quiet,
    ) -> Started:
        """Start a committed job on the session cluster, or put it in the place of the one that runs.

        Parameters
        ----------
        revision
            By default the job's branch where it is not merged yet, else HEAD.
        upgrade
            Stop the one that runs with a savepoint, and start from that. Where the new version does not
            run, the old one is started again from the same savepoint.
        old
            With ``upgrade``: the revision that runs, where it was not started from here.
        savepoint
            Where its state comes from; a running query's or job's name stops that one with a savepoint.
        allow_non_restored_state
            Leave out state that has no place in the job.
        directory
            Where savepoints go, as the cluster sees it; the cluster's own place by default.
        confirm, say
            As for :meth:`shadow`.

        Raises
        ------
        ReadOnly
            The profile is read-only, or nobody confirmed.
        UsageError
            There is no such job; or with ``upgrade``, none runs.
        JobFailed
            It does not run; the hint says what runs now.
        """
        from sdp_kernel.repository import versions  # noqa: PLC0415
        from sdp_kernel.repository.run_record import What  # noqa: PLC0415

        if upgrade and savepoint is not None:
            raise UsageError(
                "an upgrade takes its state from the job that runs", hint="leave --savepoint or --upgrade out"
            )
        rollout = self._rollout(job, f"run {job}", directory=directory, confirm=confirm, say=say)
        found = self._repository(repository)
        revision = revision or versions.committed(found, self._branch(job))
        with versions.version(found, job, revision, self._place) as version:
            what = What.of(version)
        self._check_compiles(what.script, what.called)
        if upgrade:
            before = None
            if old is not None:
                with versions.version(found, job, old, self._place) as version:
                    before = What.of(version)
            return rollout.upgrade(what, old=before, allow_non_restored_state=allow_non_restored_state)
        rollout.check_free()
        return rollout.start(
            what,
            savepoint=self._state_of(savepoint, directory),
            allow_non_restored_state=allow_non_restored_state,
        )

    def stop_job(
        self,
        job: str,
        *,
        directory: str | None = None,
        confirm: bool = False,
        say: Callable[[str], None] = _quiet,
    ) -> str:
        """Stop a job of the session cluster with a savepoint; returns the savepoint's path.

        Raises
        ------
        ReadOnly, UsageError
            The profile is read-only or nobody confirmed; or no such job runs.
        JobFailed, SdpError
            The savepoint failed, and the job goes on.
        """
        return self._rollout(job, f"stop {job}", directory=directory, confirm=confirm, say=say).stop()

    def rollback(
        self,
        job: str,
        *,
        run: bool = False,
        old: str | None = None,
        directory: str | None = None,
        repository: Path | None = None,
        confirm: bool = False,
        say: Callable[[str], None] = _quiet,
    ) -> tuple[str, Started | None]:
        """Commit a job as it was before its last change, on its branch; returns the commit.

        Parameters
        ----------
        run
            Put it in the place of the one that runs, with the state it left when it was stopped there;
            without state where there is none, or where that does not fit.
        old, directory, confirm, say
            As for :meth:`run_job`; without ``run`` nothing has to be confirmed.

        Raises
        ------
        UsageError, RepositoryError
            The job has no version before, or the repository does not allow it. Nothing is written.
        JobFailed
            It does not run; the commit stands, and the hint says what runs now.
        """
        from sdp_kernel.repository import versions  # noqa: PLC0415
        from sdp_kernel.repository.run_record import What  # noqa: PLC0415

        rollout = None
        if run:
            rollout = self._rollout(job, f"roll back {job}", directory=directory, confirm=confirm, say=say)
        found = self._repository(repository)
        plan = self.plan_rollback(job, repository=repository)
        commit = plan.apply()
        say(f"committed {commit[:8]} on {plan.branch}")
        if rollout is None:
            return commit, None
        with versions.version(found, job, commit, self._place) as version:
            what = What.of(version)
        self._check_compiles(what.script, what.called)
        before = None
        with (
            contextlib.nullcontext() if old else contextlib.suppress(UsageError),
            versions.version(found, job, old or plan.base, self._place) as version,
        ):
            before = What.of(version)
        return commit, rollout.back(what, old=before)

    def plan_rollback(self, job: str, *, repository: Path | None = None) -> Rollback:
        """Return what :meth:`rollback` would commit; nothing is written."""
        from sdp_kernel.repository.rollback import plan_rollback  # noqa: PLC0415

        return plan_rollback(self._repository(repository), job, self._branch(job))

    def job_status(self, job: str) -> JobStatus | None:
        """Return how a job of the session cluster does: state, version, lag; None where none runs.

        Raises
        ------
        UsageError
            Several of that name run.
        """
        from sdp_kernel.flink.vitals import read  # noqa: PLC0415

        self._check_no_operator(job)
        rollout = self._rollout_of(job)
        running: Job | None = rollout.running
        if running is None:
            return None
        what = rollout.record.what(running.id)
        return JobStatus(
            job, running.id, running.state, what.called if what else "", read(self.jobmanager, running.id)
        )

    def may_run(self, what: str) -> None:
        """Let a job be started, or raise ReadOnly."""
        self._check_change(what, confirm=True)

    def start_promoted(
        self, script: str, job: str, *, savepoint: str | None = None, allow_non_restored_state: bool = False
    ) -> str:
        """Start a job that has just been promoted; returns its id. As :meth:`run_job`, of its script."""
        from sdp_kernel.deploy.script_mark import function_texts, functions_hash  # noqa: PLC0415
        from sdp_kernel.repository.run_record import What  # noqa: PLC0415

        self.may_run(f"run {job}")
        rollout = self._rollout_of(job)
        rollout.check_free()
        started = rollout.start(
            What(job, "the promoted version", "", script, functions=functions_hash(function_texts(script))),
            savepoint=self._state_of(savepoint, None),
            allow_non_restored_state=allow_non_restored_state,
        )
        return started.job_id

    def _state_of(self, savepoint: str | None, directory: str | None) -> str | None:
        """Return a savepoint's path: as it is given, or of the query or job that is stopped for it."""
        if savepoint is None or "/" in savepoint or "\\" in savepoint:
            return savepoint
        paths = self.savepoint(savepoint, directory=directory, stop=True)
        if len(paths) != 1:
            raise UsageError(
                f"{len(paths)} jobs were called {savepoint}; they are stopped",
                hint="their savepoints: " + ", ".join(paths),
            )
        return paths[0]

    def _check_compiles(self, script: str, called: str) -> None:
        """Refuse what Flink does not compile, before anything is stopped for it."""
        from sdp_kernel.repository.rollout import check_compiles  # noqa: PLC0415

        check_compiles(self.session, script, called)

    def _rollout(
        self, job: str, what: str, *, directory: str | None, confirm: bool, say: Callable[[str], None]
    ) -> Rollout:
        self._check_no_operator(job)
        self._check_change(what, confirm=confirm)
        return self._rollout_of(job, directory=directory, say=say)

    def _check_no_operator(self, job: str) -> None:
        if self.profile.kubernetes is not None:
            raise UsageError(
                f"the profile {self.profile.name} is on Kubernetes, where the operator runs jobs",
                hint=f"sdp apply {job}; sdp jobs lists, suspends and resumes them, and takes savepoints",
            )

    def _rollout_of(
        self, job: str, *, directory: str | None = None, say: Callable[[str], None] = _quiet
    ) -> Rollout:
        from sdp_kernel.repository.rollout import Rollout  # noqa: PLC0415
        from sdp_kernel.repository.run_record import RunRecord  # noqa: PLC0415

        record = RunRecord(self.settings.make_state_dir() / "runs", self.profile.name, job)
        return Rollout(self.jobmanager, record, directory=directory, say=say)

    def _repository(self, repository: Path | None) -> Repository:
        from sdp_kernel.repository.git import Repository  # noqa: PLC0415

        return Repository.find(self.settings.repository(repository))

    def _branch(self, job: str) -> str:
        from sdp_kernel.errors import SettingsError  # noqa: PLC0415

        try:
            return self.settings.promote.branch.format(job=job)
        except (KeyError, IndexError, ValueError):
            raise SettingsError(
                f"[promote] branch is not a pattern: {self.settings.promote.branch!r}",
                hint='write it as "sdp/{job}"',
            ) from None

    @property
    def _place(self) -> Place:
        from sdp_kernel.repository.versions import Place  # noqa: PLC0415

        return Place(
            self.profile.kafka,
            self.settings.make_state_dir() / "functions",
            self.profile.functions,
            self.settings.promote.module_source,
        )
