"""Changes to jobs on Kubernetes through their resources: suspend, resume, restart, savepoint, delete.

A job that Terraform applies is Terraform's: a change here would be undone, or stand in the way of its
next apply, so it has to be forced. A savepoint changes no job, and needs no force.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sdp_kernel.deploy import ownership
from sdp_kernel.deploy.resources import FLINK_STATE_SNAPSHOT, find, read, readable
from sdp_kernel.deploy.verdict import Verdict, await_verdict
from sdp_kernel.errors import Conflict, JobFailed, KubernetesError, MissingCrd, ResourceNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sdp_kernel.deploy.kubernetes import Api, Kind
    from sdp_kernel.deploy.resources import DeployedJob
    from sdp_kernel.flink.veil import Veil

WAIT_S, SAVEPOINT_S = 60.0, 300.0
_POLL_S = 0.25
_TRIES = 5
_MERGE = "application/merge-patch+json"


@dataclass(frozen=True)
class Savepoint:
    """A savepoint that was taken: its path, and the FlinkStateSnapshot that stands for it."""

    job: str
    path: str
    snapshot: str


def set_state(
    api: Api,
    name: str,
    state: str,
    *,
    force: bool = False,
    seconds: float = WAIT_S,
    on_look: Callable[[DeployedJob], None] | None = None,
    veil: Veil | None = None,
) -> Verdict:
    """Suspend a job, or let it go on: ``spec.job.state`` is ``suspended`` or ``running``.

    Raises
    ------
    Conflict
        Terraform manages the state, and ``force`` is not given.
    JobFailed
        The operator could not do it.
    ResourceNotFound, KubernetesError
        As their names say.
    """
    kind, resource = find(api, name)
    if (resource["spec"]["job"].get("state") or "running") == state:
        return await_verdict(
            api, kind, resource, before=resource, seconds=seconds, on_look=on_look, veil=veil
        )
    if not force:
        _refuse_managed(resource, "state", f'state = "{state}"', "spec", "job", "state")
    changed = _patch(api, kind, resource, {"spec": {"job": {"state": state}}})
    return await_verdict(api, kind, changed, before=resource, seconds=seconds, on_look=on_look, veil=veil)


def restart(
    api: Api,
    name: str,
    *,
    force: bool = False,
    seconds: float = WAIT_S,
    on_look: Callable[[DeployedJob], None] | None = None,
    veil: Veil | None = None,
) -> Verdict:
    """Restart a job by another ``spec.restartNonce``, as its ``upgradeMode`` says.

    Raises
    ------
    Conflict, JobFailed, ResourceNotFound, KubernetesError
        As :func:`set_state`.
    """
    kind, resource = find(api, name)
    nonce = (resource["spec"].get("restartNonce") or 0) + 1
    if not force:
        _refuse_managed(resource, "restart nonce", f"restart_nonce = {nonce}", "spec", "restartNonce")
    changed = _patch(api, kind, resource, {"spec": {"restartNonce": nonce}})
    return await_verdict(api, kind, changed, before=resource, seconds=seconds, on_look=on_look, veil=veil)


def savepoint(
    api: Api,
    name: str,
    *,
    directory: str | None = None,
    seconds: float = SAVEPOINT_S,
    veil: Veil | None = None,
) -> Savepoint:
    """Take a savepoint by a FlinkStateSnapshot, which stands for it from then on.

    The savepoint stays where its resource is deleted. A failed one is not tried again.

    Parameters
    ----------
    directory
        Where to write it, as the cluster sees it; the job's own place by default.

    Raises
    ------
    JobFailed
        It failed, or did not end in time.
    MissingCrd
        The operator is older than 1.10, and does not know FlinkStateSnapshot.
    """
    kind, resource = find(api, name)
    job = read(resource)
    if job.desired == "suspended" or not job.running:
        state = job.job_state or job.lifecycle or "no state yet"
        raise JobFailed(
            f"no savepoint of {job.name}: it does not run ({state})",
            hint=f"its newest one is {job.savepoint}" if job.savepoint else "sdp jobs shows its state",
        )
    body = {
        "apiVersion": "flink.apache.org/v1beta1",
        "kind": FLINK_STATE_SNAPSHOT.name,
        "metadata": {
            "generateName": f"{job.name}-savepoint-",
            "labels": {"app.kubernetes.io/part-of": "sdp", "sdp.job": job.name},
        },
        "spec": {
            "backoffLimit": 0,
            "jobReference": {"kind": kind.name, "name": job.name},
            "savepoint": {"disposeOnDelete": False, **({"path": directory} if directory else {})},
        },
    }
    try:
        path = FLINK_STATE_SNAPSHOT.path(job.namespace)
        made = api.call("POST", path, query={"fieldManager": ownership.MANAGER}, body=body)
    except (MissingCrd, ResourceNotFound) as error:
        raise MissingCrd(
            f"{api.where} has no FlinkStateSnapshot: its Flink operator is older than 1.10",
            hint="update the operator, or take the savepoint with the JobManager: %jobs savepoint JOB",
            detail=error.message,
        ) from None
    return _await_savepoint(api, job.name, made, seconds, veil)


def delete(api: Api, name: str, *, force: bool = False, seconds: float = WAIT_S) -> str:
    """Delete a job's resource; the operator then ends the job. Returns a line on what became of it.

    Raises
    ------
    Conflict
        Terraform manages it, and ``force`` is not given: its next apply would make it again.
    ResourceNotFound, KubernetesError
        As their names say.
    """
    kind, resource = find(api, name)
    meta = resource["metadata"]
    if not force:
        _refuse_managed(resource, "resource", "enabled = false", "spec")
    precondition = {"preconditions": {"uid": meta["uid"]}, "propagationPolicy": "Background"}
    api.call("DELETE", kind.path(meta["namespace"], meta["name"]), body=precondition)
    until = time.monotonic() + seconds
    while True:
        try:
            found = api.get(kind, meta["name"])
        except ResourceNotFound:
            return f"{meta['name']} is deleted"
        if found["metadata"]["uid"] != meta["uid"]:
            return f"{meta['name']} is deleted; another of that name was made since"
        if time.monotonic() >= until:
            held = ", ".join(found["metadata"].get("finalizers") or []) or "nothing"
            return f"{meta['name']} is being deleted: after {seconds:g} s it waits for {held}"
        time.sleep(_POLL_S)


def _refuse_managed(resource: Mapping[str, Any], what: str, setting: str, *path: str) -> None:
    managers = ownership.appliers(resource, *path)
    if managers:
        name = resource["metadata"]["name"]
        raise Conflict(
            f"the {what} of {name} is managed by {ownership.known_as(managers)}",
            hint=f"set {setting} in terraform/{name}.tf; --force changes it here, and the next apply there "
            "may then be refused",
        )


def _patch(api: Api, kind: Kind, resource: Mapping[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """Change what is still as it was looked at; the operator may tell its status meanwhile."""
    meta = resource["metadata"]
    path, version = kind.path(meta["namespace"], meta["name"]), meta["resourceVersion"]
    for _ in range(_TRIES):
        try:
            return api.call(
                "PATCH", path, body={**change, "metadata": {"resourceVersion": version}}, content_type=_MERGE,
                query={"fieldManager": ownership.MANAGER, "fieldValidation": "Strict"},
            )  # fmt: skip
        except Conflict:
            now = api.get(kind, meta["name"], namespace=meta["namespace"])
            if ownership.specification(now) != ownership.specification(resource):
                break
            version = now["metadata"]["resourceVersion"]
    raise Conflict(
        f"{meta['name']} was changed by another while it was looked at", hint="look again, and repeat"
    )


def _await_savepoint(
    api: Api, job: str, made: Mapping[str, Any], seconds: float, veil: Veil | None
) -> Savepoint:
    until, name = time.monotonic() + seconds, made["metadata"]["name"]
    while True:
        try:
            status = api.get(FLINK_STATE_SNAPSHOT, name).get("status") or {}
        except ResourceNotFound:
            raise KubernetesError(
                f"the FlinkStateSnapshot {name} was deleted before it ended", hint="take the savepoint again"
            ) from None
        state = status.get("state") or ""
        if state == "COMPLETED":
            return Savepoint(job, status.get("path") or "", name)
        if state in {"FAILED", "ABANDONED"}:
            why = readable(status.get("error") or "", veil) or "the job is gone, or stopped"
            raise JobFailed(
                f"the savepoint of {job} failed ({state.lower()}): {why}",
                hint=f"FlinkStateSnapshot {name} has more",
            )
        if time.monotonic() >= until:
            what = (
                f"is {state.lower().replace('_', ' ')}"
                if state
                else "was not looked at by any Flink operator"
            )
            raise JobFailed(
                f"the savepoint of {job} has not ended within {seconds:g} s: it {what}",
                hint=f"it may still complete; FlinkStateSnapshot {name} then has its path",
            )
        time.sleep(_POLL_S)
