"""Jobs on Kubernetes as their custom resources say it: FlinkSessionJobs, FlinkDeployments with a job.

What the operator writes into a status is read here; changes are in ``operations``. A job's records and
checkpoints are the JobManager's to tell.
"""

from __future__ import annotations

import contextlib
import re
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sdp_kernel.deploy.clusters import reason
from sdp_kernel.deploy.kubernetes import FLINK_DEPLOYMENT, FLINK_SESSION_JOB, Api, Kind
from sdp_kernel.deploy.ownership import appliers
from sdp_kernel.errors import Forbidden, MissingCrd, ResourceNotFound, UsageError
from sdp_kernel.flink import faults
from sdp_kernel.flink.jobs import TERMINAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sdp_kernel.flink.veil import Veil

FLINK_STATE_SNAPSHOT = Kind("flink.apache.org", "v1beta1", "flinkstatesnapshots", "FlinkStateSnapshot")
KINDS = {kind.name: kind for kind in (FLINK_SESSION_JOB, FLINK_DEPLOYMENT)}
_PLACE = re.compile(r"\{\{\s*(name|namespace)\s*\}\}")
_CAPTURE = re.compile(r"\(/\|\$\).*\Z")


@dataclass(frozen=True)
class DeployedJob:
    """A job's resource and what the operator says of it.

    Attributes
    ----------
    kind
        ``FlinkSessionJob`` or ``FlinkDeployment``.
    cluster
        The FlinkDeployment it runs on; its own where it is one.
    desired
        What is asked for: ``running`` or ``suspended``.
    lifecycle, reconciliation
        The operator's words: STABLE, UPGRADING, …; empty where no operator has looked at it.
    job_state, job_id
        Flink's; empty until there is a job.
    started_ms, duration_ms
        Epoch ms of its start, ms since then or until its end; None where it has not started.
    savepoint, checkpoint
        The newest that the operator knows; empty where it knows none.
    error
        Why the operator could not do what is asked for.
    managers
        Who applies it, by field manager; ``sdp`` is left out.
    current
        Whether the operator has seen the newest change.
    ui
        The Flink UI that an ingress leads to; empty without one.
    """

    name: str
    kind: str
    namespace: str
    cluster: str
    desired: str
    lifecycle: str
    reconciliation: str
    job_state: str
    job_id: str
    started_ms: int | None
    duration_ms: int | None
    parallelism: int | None
    upgrade_mode: str
    savepoint: str
    checkpoint: str
    error: str
    managers: tuple[str, ...]
    current: bool
    deleting: bool
    ui: str

    @property
    def running(self) -> bool:
        """Whether Flink has a job of it that has not ended."""
        return bool(self.job_id) and self.job_state not in TERMINAL and bool(self.job_state)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {**asdict(self), "managers": list(self.managers)}


def deployed_jobs(api: Api, *, veil: Veil | None = None) -> list[DeployedJob]:
    """List the jobs of the profile's namespace, by name.

    Session clusters are looked at for their ingress, and snapshots for the newest savepoint, as far as
    the user may see them. ``veil`` hides values in the operator's errors.

    Raises
    ------
    KubernetesError
        One of its kinds; the message says what is missing and whom to ask.
    """
    resources = list(api.list(FLINK_SESSION_JOB))
    deployments: list[dict[str, Any]] = []
    with contextlib.suppress(Forbidden):
        deployments = list(api.list(FLINK_DEPLOYMENT))
    snapshots = _snapshots(api) if resources or deployments else []
    pages = {found["metadata"]["name"]: _ui(found) for found in deployments}
    resources += [found for found in deployments if found["spec"].get("job")]
    jobs = [read(resource, snapshots=snapshots, pages=pages, veil=veil) for resource in resources]
    return sorted(jobs, key=lambda job: (job.name, job.kind))


def find(api: Api, name: str) -> tuple[Kind, dict[str, Any]]:
    """Return a job's resource by its name, or by ``KIND/NAME`` where two kinds have one of that name.

    Raises
    ------
    ResourceNotFound
        None has it; the hint lists those that are there.
    UsageError
        Two have it, or the kind is unknown.
    """
    kind_name, slash, rest = name.rpartition("/")
    kinds = {known.lower(): kind for known, kind in KINDS.items()}
    if slash and kind_name.lower() not in kinds:
        raise UsageError(f"{kind_name!r} is no kind of job", hint=f"known: {', '.join(KINDS)}")
    found, barred = [], None
    for kind in [kinds[kind_name.lower()]] if slash else list(KINDS.values()):
        try:
            found.append((kind, _job(api, kind, rest)))
        except ResourceNotFound:
            continue
        except Forbidden as error:
            barred = error
    if barred is not None and not found:
        raise barred
    if len(found) > 1:
        raise UsageError(
            f"a FlinkSessionJob and a FlinkDeployment are called {rest!r}",
            hint=f"name one: FlinkSessionJob/{rest} or FlinkDeployment/{rest}",
        )
    if not found:
        known = ", ".join(job.name for job in deployed_jobs(api)) or "none"
        raise ResourceNotFound(
            f"{api.where} has no job {rest!r} in the namespace {api.settings.namespace}",
            hint=f"jobs there: {known}",
        )
    return found[0]


def _job(api: Api, kind: Kind, name: str) -> dict[str, Any]:
    if "/" in name or not name:
        raise UsageError(f"{name!r} is no job's name", hint="sdp jobs --profile PROFILE lists them")
    resource = api.get(kind, name)
    if not resource["spec"].get("job"):
        raise ResourceNotFound(f"{name} is a session cluster", hint="sdp clusters lists them")
    return resource


def read(
    resource: Mapping[str, Any],
    *,
    snapshots: Iterable[Mapping[str, Any]] = (),
    pages: Mapping[str, str] | None = None,
    veil: Veil | None = None,
) -> DeployedJob:
    """Read a job's resource.

    Parameters
    ----------
    snapshots
        FlinkStateSnapshots of the namespace.
    pages
        Flink UIs by FlinkDeployment.
    veil
        Hides values in the error.
    """
    meta, spec, status = resource["metadata"], resource["spec"], resource.get("status") or {}
    job, told = spec.get("job") or {}, status.get("jobStatus") or {}
    kind = resource["kind"]
    cluster = spec.get("deploymentName") or "" if kind == FLINK_SESSION_JOB.name else meta["name"]
    state = told.get("state") or ""
    started = _number(told.get("startTime"))
    ended = _number(told.get("updateTime")) if state in TERMINAL else int(time.time() * 1000)
    savepoint, checkpoint = _newest(meta["name"], kind, told, snapshots)
    ui, job_id = (pages or {}).get(cluster, ""), told.get("jobId") or ""
    return DeployedJob(
        name=meta["name"],
        kind=kind,
        namespace=meta["namespace"],
        cluster=cluster,
        desired=job.get("state") or "running",
        lifecycle=status.get("lifecycleState") or "",
        reconciliation=(status.get("reconciliationStatus") or {}).get("state") or "",
        job_state=state,
        job_id=job_id,
        started_ms=started,
        duration_ms=max(ended - started, 0) if started is not None and ended is not None else None,
        parallelism=job.get("parallelism"),
        upgrade_mode=job.get("upgradeMode") or "stateless",
        savepoint=savepoint,
        checkpoint=checkpoint,
        error=readable(status.get("error") or "", veil),
        managers=appliers(resource),
        current=(status.get("observedGeneration") or 0) >= meta.get("generation", 0),
        deleting="deletionTimestamp" in meta,
        ui=f"{ui}/#/job/running/{job_id}" if ui and job_id else ui,
    )


def readable(error: str, veil: Veil | None = None) -> str:
    """Return the reason in a status' ``error``: one line, without the Java stack."""
    said = reason(error)
    if "\n" in said:
        said = faults.read([said], veil).reason or said.splitlines()[0]
    if veil is not None:
        said = veil.message(said)
    return " ".join(said.split())


def _snapshots(api: Api) -> list[dict[str, Any]]:
    with contextlib.suppress(Forbidden, MissingCrd, ResourceNotFound):
        return list(api.list(FLINK_STATE_SNAPSHOT))
    return []


def _newest(
    name: str, kind: str, told: Mapping[str, Any], snapshots: Iterable[Mapping[str, Any]]
) -> tuple[str, str]:
    """Return the newest savepoint and the newest checkpoint that is known of a job."""
    savepoints: list[tuple[float, str]] = []
    checkpoints: list[tuple[float, str]] = []
    last = (told.get("savepointInfo") or {}).get("lastSavepoint") or {}
    if last.get("location"):
        savepoints.append(((last.get("timeStamp") or 0) / 1000, last["location"]))
    for snapshot in snapshots:
        spec, status = snapshot["spec"], snapshot.get("status") or {}
        if spec.get("jobReference") != {"kind": kind, "name": name} or status.get("state") != "COMPLETED":
            continue
        if status.get("path"):
            kept = checkpoints if spec.get("checkpoint") is not None else savepoints
            kept.append((_epoch(status.get("resultTimestamp")), status["path"]))
    savepoint = max(savepoints)[1] if savepoints else told.get("upgradeSavepointPath") or ""
    return savepoint, max(checkpoints)[1] if checkpoints else ""


def _epoch(text: str | None) -> float:
    try:
        return datetime.fromisoformat((text or "").replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0


def _number(text: Any) -> int | None:
    return int(text) if str(text or "").isdigit() else None


def _ui(deployment: Mapping[str, Any]) -> str:
    """Return the address that a FlinkDeployment's ingress has, as the operator fills its template in."""
    meta, ingress = deployment["metadata"], deployment["spec"].get("ingress") or {}
    if not ingress.get("template"):
        return ""
    place = _PLACE.sub(lambda match: str(meta[match[1]]), ingress["template"])
    scheme = "https" if ingress.get("tls") else "http"
    return f"{scheme}://{_CAPTURE.sub('', place).rstrip('/')}"
