"""Applies a job's manifest to a namespace by server-side apply, as the field manager ``sdp``.

Nothing is applied that a dry run of the server's did not take first. Fields that another manager
applies, such as Terraform's provider, are left alone unless that is forced.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdp_kernel.deploy import ownership
from sdp_kernel.deploy.kubernetes import FLINK_DEPLOYMENT, FLINK_SESSION_JOB
from sdp_kernel.deploy.outline import outline
from sdp_kernel.errors import Conflict, Forbidden, KubernetesError, ResourceNotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sdp_kernel.deploy.kubernetes import Api
    from sdp_kernel.deploy.manifest import Manifest
    from sdp_kernel.deploy.verdict import Verdict

_APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True)
class Change:
    """What applying a manifest would do, as the server says: ``created``, ``configured`` or ``unchanged``.

    ``diff`` is between what is there and what would be, defaults of the server included; ``taken`` names
    the managers that fields would be taken from.
    """

    manifest: Manifest
    action: str
    diff: str
    before: Mapping[str, Any] | None = field(repr=False)
    taken: tuple[str, ...] = ()


@dataclass(frozen=True)
class Applied:
    """A change, carried out or only shown; ``verdict`` is the operator's, None where nobody waited."""

    change: Change
    dry_run: bool
    verdict: Verdict | None = None

    def __str__(self) -> str:
        manifest = self.change.manifest
        shown = "would be " if self.dry_run and self.change.action != "unchanged" else ""
        line = f"{manifest.namespace}/{manifest.job}: {shown}{self.change.action}"
        return f"{line}\n{self.verdict.text}" if self.verdict is not None else line

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "job": self.change.manifest.job,
            "namespace": self.change.manifest.namespace,
            "action": self.change.action,
            "dry_run": self.dry_run,
            "diff": self.change.diff,
            "settled": self.verdict.settled if self.verdict else None,
            "answered": self.verdict.answered if self.verdict else None,
            "verdict": self.verdict.text if self.verdict else None,
        }


def plan(api: Api, manifest: Manifest, *, force: bool = False) -> Change:
    """Ask the server what applying would change; nothing is changed.

    Parameters
    ----------
    force
        Take fields from their managers.

    Raises
    ------
    UsageError
        The manifest is not for this namespace, or says that the job is not to exist.
    ResourceNotFound
        The session cluster is not there.
    Conflict
        Another session cluster has a job of that name, or another manager has its fields.
    MissingCrd, Forbidden, Expired, KubernetesError
        The server refuses it.
    """
    _check_place(api, manifest)
    before = _existing(api, manifest)
    _check_cluster(api, manifest)
    after, taken = _apply(api, manifest, force=force, dry_run=True)
    diff = "\n".join(
        difflib.unified_diff(
            outline(before) if before is not None else [],
            outline(after),
            f"{api.where}, now",
            f"terraform/{manifest.job}.tf",
            lineterm="",
        )
    )
    action = "created" if before is None else "configured" if diff else "unchanged"
    return Change(manifest, action, diff, before, taken)


def carry_out(api: Api, change: Change, *, force: bool = False) -> dict[str, Any]:
    """Apply what was planned; returns the resource as it is now. Raises as :func:`plan`."""
    return _apply(api, change.manifest, force=force, dry_run=False)[0]


def _check_place(api: Api, manifest: Manifest) -> None:
    ours = api.settings.namespace
    if manifest.namespace != ours:
        raise UsageError(
            f"{manifest.job}.tf is for the namespace {manifest.namespace}, and the profile's is {ours}",
            hint="write namespace = var.namespace, or use the profile of that namespace",
        )
    if not manifest.enabled:
        raise UsageError(
            f"{manifest.job}.tf has enabled = false: there is nothing to apply",
            hint=f"to end what runs: sdp jobs delete {manifest.job}",
        )


def _existing(api: Api, manifest: Manifest) -> dict[str, Any] | None:
    try:
        found = api.get(FLINK_SESSION_JOB, manifest.job)
    except ResourceNotFound:
        return None
    theirs = found["spec"].get("deploymentName")
    if theirs != manifest.session_cluster:
        raise Conflict(
            f"a job {manifest.job} of the session cluster {theirs} is there already, "
            f"and this one is for {manifest.session_cluster}",
            hint="the operator moves no job to another cluster: choose another name, or delete that one",
        )
    if "deletionTimestamp" in found["metadata"]:
        raise Conflict(
            f"the job {manifest.job} is being deleted", hint="wait until sdp jobs does not show it any more"
        )
    return found


def _check_cluster(api: Api, manifest: Manifest) -> None:
    """Check that the session cluster is there, as far as the user may see that."""
    name = manifest.session_cluster
    try:
        found = api.get(FLINK_DEPLOYMENT, name)
    except Forbidden:
        return
    except ResourceNotFound:
        there = [d["metadata"]["name"] for d in api.list(FLINK_DEPLOYMENT) if not d["spec"].get("job")]
        raise ResourceNotFound(
            f"{api.where} has no session cluster {name} in the namespace {manifest.namespace}",
            hint=f"session clusters there: {', '.join(sorted(there)) or 'none'}",
        ) from None
    if found["spec"].get("job"):
        raise UsageError(
            f"the FlinkDeployment {name} runs a job of its own, and takes no others",
            hint="name a session cluster: a FlinkDeployment without a job",
        )


def _apply(
    api: Api, manifest: Manifest, *, force: bool, dry_run: bool
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Send the manifest; fields that our own commands have changed are ours to take back."""
    try:
        return _send(api, manifest, force=False, dry_run=dry_run), ()
    except Conflict as error:
        theirs = ownership.conflicts(error)
        others = {manager: fields for manager, fields in theirs.items() if manager != ownership.MANAGER}
        if not theirs or (others and not force):
            raise _managed(manifest, others) if others else error from None
    return _send(api, manifest, force=True, dry_run=dry_run), tuple(others)


def _send(api: Api, manifest: Manifest, *, force: bool, dry_run: bool) -> dict[str, Any]:
    query = {
        "fieldManager": ownership.MANAGER,
        "fieldValidation": "Strict",
        "force": str(force).lower(),
        **({"dryRun": "All"} if dry_run else {}),
    }
    path = FLINK_SESSION_JOB.path(manifest.namespace, manifest.job)
    try:
        return api.call("PATCH", path, query=query, body=json.loads(manifest.text), content_type=_APPLY)
    except KubernetesError as error:
        if "field not declared in schema" in error.message or "unknown field" in error.message:
            raise KubernetesError(
                f"the Flink operator's CRD does not know all of the job: {error.message}",
                hint="the operator is older than the argument: leave it out, or update the operator's CRDs",
                detail=error.detail,
            ) from None
        raise


def _managed(manifest: Manifest, fields: Mapping[str, list[str]]) -> Conflict:
    names = sorted({name for found in fields.values() for name in found})
    return Conflict(
        f"{manifest.job} is managed by {ownership.known_as(fields)}: {', '.join(names)}",
        hint="change it there, or remove it there; --force-conflicts takes the fields over",
    )
