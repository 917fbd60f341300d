"""Runs a committed job on a session cluster: starts it, stops it, puts another version in its place.

Whatever fails on the way, a job that ran goes on or is started again from the state it left.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdp_kernel.deploy.session_cluster import run_sql_job
from sdp_kernel.errors import JobFailed, SdpError, SqlError, Unreachable, UsageError
from sdp_kernel.flink.script import split
from sdp_kernel.repository.planning import declared

if TYPE_CHECKING:
    from collections.abc import Callable

    from sdp_kernel.flink.jobs import Job, JobManager
    from sdp_kernel.flink.session import Session
    from sdp_kernel.repository.run_record import RunRecord, What

_CANCEL_S, _POLL_S = 30.0, 0.2
#: How long it is asked what becomes of a savepoint, where the call that waited for it was cut off.
_LATE_S = 60.0
_NO_PLACE = "Cannot map"
_STATE_WORDS = ("savepoint", "non-restored", "cannot map", "failed to restore", "state migration",
                "serializer")  # fmt: skip


@dataclass(frozen=True)
class Started:
    """A job that runs. ``savepoint`` is where its state came from; None for none.

    ``left`` is the savepoint of the job in whose place it is; None where there was none.
    """

    job: str
    job_id: str
    called: str
    savepoint: str | None = None
    left: str | None = None

    def __str__(self) -> str:
        state = f"from {self.savepoint}" if self.savepoint else "without state"
        return f"{self.job} runs {self.called} as job {self.job_id}, {state}"


class Rollout:
    """One job on one session cluster.

    Parameters
    ----------
    directory
        Where savepoints go, as the cluster sees it; None for the cluster's own place.
    say
        Takes a line for each step, before or as it is done.
    """

    def __init__(
        self,
        jobmanager: JobManager,
        record: RunRecord,
        *,
        directory: str | None = None,
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.jobmanager = jobmanager
        self.record = record
        self.directory = directory
        self.say = say

    @property
    def job(self) -> str:
        """The job's name, here and on the cluster."""
        return self.record.job

    @property
    def running(self) -> Job | None:
        """The cluster's job of that name that has not ended.

        Raises
        ------
        UsageError
            There are several.
        """
        found = [known for known in self.jobmanager.jobs() if known.name == self.job and not known.done]
        if len(found) > 1:
            raise UsageError(
                f"{len(found)} jobs called {self.job} run on the session cluster",
                hint=f"cancel those that should not: %jobs cancel {found[-1].id}",
            )
        return found[0] if found else None

    def check_free(self) -> None:
        """Refuse where a job of that name runs.

        Raises
        ------
        JobFailed
            One does.
        """
        running = self.running
        if running is not None:
            raise JobFailed(
                f"a job {self.job} already runs on the session cluster: {running.id}",
                job_id=running.id,
                hint=f"sdp run {self.job} --upgrade puts one in its place, with its state",
            )

    def start(
        self, what: What, *, savepoint: str | None = None, allow_non_restored_state: bool = False
    ) -> Started:
        """Start a version where none runs.

        Raises
        ------
        JobFailed, SdpError
            One runs already, or this one does not.
        """
        return self._start(what, savepoint, allow_non_restored_state)

    def stop(self) -> str:
        """Stop the job that runs with a savepoint; returns the savepoint's path.

        Raises
        ------
        UsageError
            None runs.
        JobFailed, SdpError
            The savepoint failed; the job goes on.
        """
        running = self.running
        if running is None:
            raise UsageError(
                f"no job {self.job} runs on the session cluster", hint="%jobs lists those that do"
            )
        trigger = uuid.uuid4().hex
        try:
            return self._stop(running.id, trigger)
        except BaseException as error:
            left = self._left(running.id, trigger, error)
            if left is None or not isinstance(error, SdpError):
                raise
            return left

    def upgrade(
        self, new: What, *, old: What | None = None, allow_non_restored_state: bool = False
    ) -> Started:
        """Put a version in the place of the one that runs, with its state.

        Parameters
        ----------
        old
            The version that runs, where it was not started from here.

        Raises
        ------
        UsageError
            None runs, or it is not known which. Nothing has been done.
        JobFailed
            The new one does not run; the old one does again, from the state it left. Or the savepoint
            failed, and the old one goes on.
        """
        running, before = self._known(old, "upgrade")
        if before.same_as(new):
            return self._same(running, before, new)
        return self._replace(running, before, new, lambda left: [(left, allow_non_restored_state)])

    def back(self, new: What, *, old: What | None = None) -> Started:
        """Put an earlier version in the place of the one that runs.

        It takes up the state that it left when it was stopped before; where there is none or
        Flink does not take it, it begins without. Where only its configuration is another, it goes on
        from the state of the one that runs.

        Raises
        ------
        UsageError, JobFailed
            As :meth:`upgrade`.
        """
        kept = self.record.savepoint_of(new)
        attempts: list[tuple[str | None, bool]] = [(kept, False)] if kept else []
        if self.running is None:
            return self._first_that_runs(new, [*attempts, (None, False)])
        running, before = self._known(old, "roll back")
        if before.same_as(new):
            return self._same(running, before, new)
        if before.script_hash == new.script_hash:
            return self._replace(running, before, new, lambda left: [(left, False)])
        return self._replace(running, before, new, lambda _left: [*attempts, (None, False)])

    def _known(self, old: What | None, verb: str) -> tuple[Job, What]:
        running = self.running
        if running is None:
            raise UsageError(
                f"no job {self.job} runs on the session cluster: there is nothing to {verb}",
                hint=f"start it: sdp run {self.job}",
            )
        before = self.record.what(running.id) or old
        if before is None:
            raise UsageError(
                f"job {running.id} was not started from here: its version of {self.job} is not known",
                hint="name its commit with --old: if the new version does not run, that one is started again",
            )
        return running, before

    def _same(self, running: Job, before: What, new: What) -> Started:
        self.say(f"{self.job} runs {before.called} already, which is the same as {new.called}")
        return Started(self.job, running.id, before.called)

    def _replace(
        self,
        running: Job,
        before: What,
        new: What,
        attempts: Callable[[str], list[tuple[str | None, bool]]],
    ) -> Started:
        """Stop the job and start another version; ``attempts`` are of the path of the state it left."""
        trigger, left = uuid.uuid4().hex, None
        try:
            left = self._stop(running.id, trigger)
            started = self._first_that_runs(new, attempts(left))
        except BaseException as error:
            left = left or self._left(running.id, trigger, error)
            if left is None:
                raise
            self.say(f"{new.called} does not run; starting {before.called} again from {left}")
            again = self._again(before, left)
            if not isinstance(error, SdpError):
                raise
            raise JobFailed(
                f"{self.job} was not changed to {new.called}: {error.message}",
                job_id=again.job_id,
                hint=f"{before.called} runs again from the state it left, as job {again.job_id}; "
                f"{error.hint}",
                detail=error.detail,
            ) from None
        return Started(started.job, started.job_id, started.called, started.savepoint, left)

    def _again(self, before: What, left: str) -> Started:
        try:
            self._clear()
            return self._start(before, left, allow=False)
        except SdpError as error:
            raise JobFailed(
                f"{self.job} does not run: {before.called} could not be started again: {error.message}",
                hint=f"nothing is lost: its state is {left}; mend what fails, then "
                f"sdp run {self.job} --rev {before.commit or 'COMMIT'} --savepoint {left}",
                detail=error.detail,
            ) from None

    def _first_that_runs(self, what: What, attempts: list[tuple[str | None, bool]]) -> Started:
        for savepoint, allow in attempts[:-1]:
            try:
                return self._start(what, savepoint, allow)
            except SdpError as error:
                if not _is_about_state(error):
                    raise
                self.say(f"its state does not serve: {error.message}")
                self._clear()
        savepoint, allow = attempts[-1]
        return self._start(what, savepoint, allow)

    def _start(self, what: What, savepoint: str | None, allow: bool) -> Started:  # noqa: FBT001
        state = f"from {savepoint}" if savepoint else "without state"
        self.say(f"starting {what.called} {state}")
        try:
            job_id = run_sql_job(
                self.jobmanager,
                what.script,
                name=self.job,
                savepoint=savepoint,
                allow_non_restored_state=allow,
                config=what.config,
                functions=what.functions,
            )
        except SdpError as error:
            if savepoint and _is_about_state(error):
                way = "--allow-non-restored-state leaves out what has no place any more; or "
                way = way if _NO_PLACE in error.message else ""
                error.hint = (
                    f"its state does not fit this version: {way}stop {self.job} and run it without state. "
                    f"The savepoint stays: {savepoint}"
                )
            elif savepoint:
                error.hint = f"{error.hint}; the savepoint stays: {savepoint}".lstrip("; ")
            raise
        self.record.started(job_id, what, savepoint)
        self.say(f"{what.called} runs as job {job_id}")
        return Started(self.job, job_id, what.called, savepoint)

    def _stop(self, job_id: str, trigger: str) -> str:
        self.say(f"stopping job {job_id} with a savepoint")
        path = self.jobmanager.stop(job_id, self.directory, trigger=trigger)
        self.record.stopped(job_id, path)
        self.say(f"stopped; its state is {path}")
        return path

    def _left(self, job_id: str, trigger: str, error: BaseException) -> str | None:
        """Return the savepoint that a job ended with though waiting for it was cut off.

        None where the job goes on, or where that stays unknown; the error then says so.
        """
        if isinstance(error, SdpError) and not isinstance(error, (JobFailed, Unreachable)):
            return None
        self.say(f"asking what became of the savepoint of job {job_id}, for up to {_LATE_S:g} s")
        try:
            path = self.jobmanager.savepoint_path(job_id, trigger, timeout=_LATE_S)
        except SdpError:
            return None
        if path is None:
            ask = f"GET /jobs/{job_id}/savepoints/{trigger}"
            known = (
                f"if job {job_id} has ended meanwhile, {ask} gives the path of its state: "
                f"sdp run {self.job} --savepoint PATH"
            )
            self.say(known)
            if isinstance(error, SdpError):
                error.hint = f"{error.hint}; {known}".lstrip("; ")
            return None
        with contextlib.suppress(OSError):
            self.record.stopped(job_id, path)
        self.say(f"stopped; its state is {path}")
        return path

    def _clear(self) -> None:
        """End what was submitted and does not run: it waits for slots, or restarts."""
        until = time.monotonic() + _CANCEL_S
        for known in self.jobmanager.jobs():
            if known.name == self.job and not known.done:
                with contextlib.suppress(SdpError):  # one that has just ended
                    self.jobmanager.cancel(known.id)
        while self.running is not None and time.monotonic() < until:
            time.sleep(_POLL_S)


def _is_about_state(error: SdpError) -> bool:
    said = f"{error.message} {error.detail}".lower()
    return any(word in said for word in _STATE_WORDS)


def check_compiles(session: Session, script: str, called: str) -> None:
    """Have Flink plan a script's job in a session of its own; nothing is run.

    Raises
    ------
    UsageError
        A statement before the last would do more than declare, or does not run; or the job does not compile.
    """
    texts = [statement.text for statement in split(script)]
    try:
        with declared(session, texts, called) as clean:
            clean.runner().text(f"EXPLAIN {texts[-1]}")
    except SqlError as error:
        raise UsageError(
            f"{called} does not compile: {error.message}",
            hint="mend its SQL; whatever runs goes on",
            detail=error.detail,
        ) from None
