"""The embedded stack as a session cluster in Kubernetes: its resource, and its pod on the test's node."""

from __future__ import annotations

import uuid

from kubernetes import client

from sdp_kernel.deploy.kubernetes import FLINK_DEPLOYMENT

STABLE = {"lifecycleState": "STABLE", "jobManagerDeploymentStatus": "READY"}


def place(namespace):
    return FLINK_DEPLOYMENT.group, FLINK_DEPLOYMENT.version, namespace, FLINK_DEPLOYMENT.plural


def add_deployment(
    api, namespace, name="session", *, status=STABLE, version="v2_3", configuration=None, job=None
):
    """Create a FlinkDeployment, and write the status that the operator would."""
    objects = client.CustomObjectsApi(api.client())
    spec = {
        "flinkVersion": version, "image": "flink:2.3", "serviceAccount": "flink",
        "flinkConfiguration": configuration or {},
        "jobManager": {"resource": {"cpu": 1, "memory": "1g"}},
        "taskManager": {"resource": {"cpu": 1, "memory": "1g"}},
        **({"job": job} if job else {}),
    }  # fmt: skip
    objects.create_namespaced_custom_object(
        *place(namespace),
        {"apiVersion": "flink.apache.org/v1beta1", "kind": "FlinkDeployment",
         "metadata": {"name": name}, "spec": spec},
    )  # fmt: skip
    objects.patch_namespaced_custom_object_status(*place(namespace), name, {"status": status})


def add_pod(api, namespace, deployment="session", name="session-jobmanager", phase="Running"):
    """Create the JobManager's pod; with host networking, its ports are this machine's."""
    core = client.CoreV1Api(api.client())
    core.create_namespaced_pod(
        namespace,
        {"metadata": {"name": name, "labels": {"app": deployment, "component": "jobmanager"}},
         "spec": {"nodeName": "node", "hostNetwork": True, "containers": [{"name": "c", "image": "i"}]}},
    )  # fmt: skip
    core.patch_namespaced_pod_status(name, namespace, {"status": {"phase": phase}})


def delete_pod(api, namespace, name="session-jobmanager"):
    client.CoreV1Api(api.client()).delete_namespaced_pod(name, namespace, grace_period_seconds=0)


def grant(api, user, namespace, *rules):
    """Give a user rules in a namespace, each (group, resources, verbs)."""
    rbac = client.RbacAuthorizationV1Api(api.client())
    name = f"{user}-{uuid.uuid4().hex[:8]}"
    rbac.create_namespaced_role(
        namespace,
        {"metadata": {"name": name},
         "rules": [{"apiGroups": [g], "resources": r, "verbs": v} for g, r, v in rules]},
    )  # fmt: skip
    rbac.create_namespaced_role_binding(
        namespace,
        {"metadata": {"name": name},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
         "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}]},
    )  # fmt: skip
