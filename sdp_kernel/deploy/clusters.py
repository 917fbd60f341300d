"""Flink session clusters on Kubernetes: FlinkDeployments without a job of their own."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from sdp_kernel.deploy.kubernetes import FLINK_DEPLOYMENT, POD, Api
from sdp_kernel.errors import KubernetesError, ResourceNotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sdp_kernel.settings import KubernetesSettings

REST_PORT = 8081
READY = "READY"


@dataclass(frozen=True)
class SessionCluster:
    """A session cluster, as the operator's status has it.

    ``flink_version`` is such as ``2.3``; ``state`` and ``jobmanager`` are the operator's words, such as
    STABLE and READY; ``slots`` is of all its task managers; ``error`` is the operator's reason.
    """

    namespace: str
    name: str
    flink_version: str
    state: str
    jobmanager: str
    task_managers: int | None
    slots: int | None
    created: datetime
    error: str = ""

    @property
    def age(self) -> float:
        """Its age in seconds."""
        return (datetime.now(timezone.utc) - self.created).total_seconds()

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it, with its creation time in ISO 8601."""
        return {**asdict(self), "created": self.created.isoformat()}


@dataclass(frozen=True)
class Deployment:
    """What a connection has to know of a session cluster: its version, port and configuration."""

    cluster: SessionCluster
    rest_port: int
    configuration: Mapping[str, str]


def session_clusters(settings: KubernetesSettings, *, everywhere: bool = False) -> list[SessionCluster]:
    """List the session clusters of a namespace, or of all of them, by namespace and name.

    Raises
    ------
    KubernetesError
        One of its kinds; the message says what is missing and whom to ask.
    """
    with Api(settings) as api:
        found = [
            _cluster(resource)
            for resource in api.list(FLINK_DEPLOYMENT, everywhere=everywhere)
            if not resource["spec"].get("job")
        ]
    return sorted(found, key=lambda cluster: (cluster.namespace, cluster.name))


def deployment(api: Api, name: str) -> Deployment:
    """Return a session cluster by its name.

    Raises
    ------
    ResourceNotFound
        There is none; the hint lists those that are there.
    KubernetesError
        It is not a session cluster, or one that a gateway elsewhere cannot use.
    """
    try:
        resource = api.get(FLINK_DEPLOYMENT, name)
    except ResourceNotFound:
        there = [r["metadata"]["name"] for r in api.list(FLINK_DEPLOYMENT) if not r["spec"].get("job")]
        raise ResourceNotFound(
            f"{api.where} has no FlinkDeployment {name} in the namespace {api.namespace}",
            hint=f"session clusters there: {', '.join(sorted(there)) or 'none'}; see sdp clusters",
        ) from None
    configuration = flattened(resource["spec"].get("flinkConfiguration") or {})
    if resource["spec"].get("job"):
        raise KubernetesError(
            f"the FlinkDeployment {name} runs a job of its own, and takes no queries",
            hint="name a session cluster: a FlinkDeployment without a job; sdp clusters lists them",
        )
    if configuration.get("security.ssl.rest.enabled", "false").lower() == "true":
        raise KubernetesError(
            f"the JobManager of {name} answers by TLS only (security.ssl.rest.enabled)",
            hint="use a SQL gateway inside the cluster: gateway = … in place of kubernetes in the profile",
        )
    return Deployment(_cluster(resource), rest_port(configuration), configuration)


def jobmanager_pod(api: Api, name: str) -> str:
    """Return the pod that a session cluster's JobManager runs in; of several the newest that is ready.

    Raises
    ------
    KubernetesError
        None runs; the message says what the pods there are do.
    """
    labels = f"app={name},component=jobmanager"
    pods = list(api.list(POD, labels=labels))
    running = [
        pod
        for pod in pods
        if pod.get("status", {}).get("phase") == "Running" and not pod["metadata"].get("deletionTimestamp")
    ]
    if not running:
        raise KubernetesError(
            f"no JobManager pod of {name} runs in the namespace {api.namespace}: {_states(pods)}",
            hint=f"sdp clusters shows the operator's reason; kubectl describe pod -l {labels} the pod's",
        )
    best = max(running, key=lambda pod: (_is_ready(pod), pod["metadata"]["creationTimestamp"]))
    return str(best["metadata"]["name"])


def flattened(configuration: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Return Flink configuration by full keys; newer operators take it nested as well."""
    flat: dict[str, str] = {}
    for key, value in configuration.items():
        if isinstance(value, dict):
            flat.update(flattened(value, f"{before}{key}."))
        else:
            flat[f"{before}{key}"] = str(value).lower() if isinstance(value, bool) else str(value)
    return flat


def _cluster(resource: Mapping[str, Any]) -> SessionCluster:
    meta, spec, status = resource["metadata"], resource["spec"], resource.get("status") or {}
    configuration = flattened(spec.get("flinkConfiguration") or {})
    task_managers = (status.get("taskManager") or {}).get("replicas")
    if task_managers is None:
        task_managers = (spec.get("taskManager") or {}).get("replicas")
    per_task_manager = _number(configuration.get("taskmanager.numberOfTaskSlots", "1"))
    return SessionCluster(
        namespace=meta["namespace"],
        name=meta["name"],
        flink_version=str(spec.get("flinkVersion") or "").lstrip("v").replace("_", "."),
        state=status.get("lifecycleState") or "",
        jobmanager=status.get("jobManagerDeploymentStatus") or "",
        task_managers=task_managers,
        slots=task_managers * per_task_manager if task_managers is not None and per_task_manager else None,
        created=datetime.fromisoformat(meta["creationTimestamp"].replace("Z", "+00:00")),
        error=reason(status.get("error") or ""),
    )


def reason(error: str) -> str:
    """Return what the operator's ``status.error`` says: the innermost cause of its JSON."""
    try:
        found = json.loads(error)
    except ValueError:
        return error.strip()
    if not isinstance(found, dict):
        return error.strip()
    causes = [found, *(cause for cause in found.get("throwableList") or [] if isinstance(cause, dict))]
    said = [str(cause["message"]).strip() for cause in causes if cause.get("message")]
    return said[-1] if said else str(found.get("type") or "")


def rest_port(configuration: Mapping[str, str]) -> int:
    """Return the port of the JobManager's REST API that a configuration says."""
    port = configuration.get("rest.bind-port") or configuration.get("rest.port") or ""
    return _number(port) or REST_PORT


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def _is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _states(pods: list[dict[str, Any]]) -> str:
    return ", ".join(f"{p['metadata']['name']} is {_state(p)}" for p in pods) or "there is none"


def _state(pod: Mapping[str, Any]) -> str:
    status = pod.get("status", {})
    if pod["metadata"].get("deletionTimestamp"):
        return "ending"
    for container in status.get("containerStatuses") or []:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason"):
            return str(waiting["reason"])
    return str(status.get("phase") or "Pending")
