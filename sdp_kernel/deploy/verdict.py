"""Waits for what the operator makes of a change, and says so; also where no operator answers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sdp_kernel.deploy.resources import DeployedJob, read
from sdp_kernel.errors import JobFailed, KubernetesUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sdp_kernel.deploy.kubernetes import Api, Kind
    from sdp_kernel.flink.veil import Veil

_POLL_S = 0.25
_STOPPED = {"SUSPENDED", "FINISHED", "CANCELED"}


@dataclass(frozen=True)
class Verdict:
    """What the operator has made of a change.

    ``settled`` is False where the time was up; ``answered`` says whether the operator had looked at it
    at all. ``text`` is one line.
    """

    settled: bool
    answered: bool
    text: str
    job: DeployedJob


def await_verdict(
    api: Api,
    kind: Kind,
    applied: Mapping[str, Any],
    *,
    before: Mapping[str, Any] | None,
    seconds: float,
    on_look: Callable[[DeployedJob], None] | None = None,
    veil: Veil | None = None,
) -> Verdict:
    """Wait until a job is what its resource asks for, or the operator says why not.

    Parameters
    ----------
    applied
        The resource after the change.
    before
        It before the change, None where it was not there: an error that stood there already is old.
    on_look
        Called with each new state.
    veil
        Hides values in the operator's errors.

    Raises
    ------
    JobFailed
        The operator has an error, or the job failed; with its reason.
    """
    until, name = time.monotonic() + seconds, applied["metadata"]["name"]
    stale = _status(before)
    resource: Mapping[str, Any] = applied
    shown: DeployedJob | None = None
    while True:
        job = read(resource, veil=veil)
        if on_look is not None and job != shown:
            on_look(job)
        shown = job
        status = _status(resource)
        counts = status.get("observedGeneration") is not None  # operators before 1.5 do not count
        answered = job.current if counts else status != stale and bool(job.lifecycle)
        _raise_if_failed(job, status.get("error") or "", stale.get("error") or "", answered=answered)
        if answered and (text := _settled(job)) is not None:
            return Verdict(settled=True, answered=True, text=text, job=job)
        if time.monotonic() >= until:
            return Verdict(
                settled=False, answered=answered, text=_unsettled(job, seconds, answered=answered), job=job
            )
        time.sleep(min(_POLL_S, max(until - time.monotonic(), 0)))
        try:
            resource = api.get(kind, name)
        except KubernetesUnreachable:  # the change is made; a server that is away comes back
            if time.monotonic() >= until:
                raise


def _status(resource: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return (resource or {}).get("status") or {}


def _raise_if_failed(job: DeployedJob, error: str, stale: str, *, answered: bool) -> None:
    if error and (answered or error != stale):
        raise JobFailed(
            f"the Flink operator could not run {job.name}: {job.error}",
            job_id=job.job_id,
            hint="mend what it names and apply again; the resource stays as it is now",
        )
    if answered and (job.lifecycle in {"FAILED", "ROLLED_BACK"} or job.job_state == "FAILED"):
        back = job.lifecycle == "ROLLED_BACK"
        raise JobFailed(
            f"the job {job.name} {'was rolled back to its last stable version' if back else 'has failed'}",
            job_id=job.job_id,
            hint="the Flink UI has the reason",
        )


def _settled(job: DeployedJob) -> str | None:
    if job.desired == "suspended":
        if job.lifecycle == "SUSPENDED" or (job.job_state in _STOPPED and job.lifecycle == "STABLE"):
            return f"{job.name} is suspended" + (f"; savepoint {job.savepoint}" if job.savepoint else "")
        return None
    if job.lifecycle in {"STABLE", "DEPLOYED"} and job.job_state in {"RUNNING", "FINISHED"}:
        ended = " and has finished" if job.job_state == "FINISHED" else ""
        return f"{job.name} runs{ended}: job {job.job_id or 'unknown'}"
    return None


def _unsettled(job: DeployedJob, seconds: float, *, answered: bool) -> str:
    if not answered:
        return (
            f"no Flink operator has looked at {job.name} within {seconds:g} s: the change is stored, "
            f"and one that watches the namespace {job.namespace} will carry it out"
        )
    states = ", ".join(filter(None, [job.lifecycle, job.job_state])) or "no state yet"
    return f"{job.name} is not {job.desired} after {seconds:g} s: {states}; the operator goes on"
