"""FlinkSessionJobs and FlinkStateSnapshots as tests make them, and the statuses that an operator writes."""

from __future__ import annotations

import contextlib
import json
import threading
import time

from sdp_kernel.deploy.kubernetes import FLINK_SESSION_JOB, Api
from sdp_kernel.deploy.resources import FLINK_STATE_SNAPSHOT
from sdp_kernel.errors import KubernetesError
from sdp_kernel.settings import KubernetesSettings

JOB_ID = "a1b2c3d4e5f60718293a4b5c6d7e8f90"
FAULT = json.dumps(
    {
        "type": "org.apache.flink.kubernetes.operator.exception.ReconciliationException",
        "message": "java.util.concurrent.ExecutionException: <b>no</b>",
        "throwableList": [
            {
                "type": "java.util.concurrent.ExecutionException",
                "message": "org.apache…RestClientException: [Internal",
            },
            {
                "type": "org.apache.flink.runtime.rest.util.RestClientException",
                "message": "[Internal server error., <Exception on server side:\n"
                "org.apache.flink.client.program.ProgramInvocationException: The main method caused an error\n"
                "\tat org.apache.flink.client.program.PackagedProgram.callMainMethod(PackagedProgram.java:373)\n"
                "Caused by: org.apache.flink.table.api.ValidationException: Table `orders` was <b>not</b> found.\n"
                "\tat org.apache.flink.table.Planner.x(Planner.java:1)\n\nEnd of exception on server side>]",
            },
        ],
    }
)


def kubernetes(api, namespace, user="admin", **more):
    return KubernetesSettings(namespace, "test", kubeconfig=api.kubeconfig(user), **more)


def add_job(
    api, namespace, name="orders", *, status=None, manager="tester", labels=None, cluster="session", **job
):
    """Create a FlinkSessionJob by server-side apply, as a manager."""
    body = {
        "apiVersion": "flink.apache.org/v1beta1", "kind": "FlinkSessionJob",
        "metadata": {"name": name, "namespace": namespace, **({"labels": labels} if labels else {})},
        "spec": {"deploymentName": cluster,
                 "job": {"parallelism": 2, "state": "running", "upgradeMode": "savepoint", **job}},
    }  # fmt: skip
    with Api(kubernetes(api, namespace)) as client:
        client.call(
            "PATCH", FLINK_SESSION_JOB.path(namespace, name), body=body,
            query={"fieldManager": manager}, content_type="application/apply-patch+yaml",
        )  # fmt: skip
        if status is not None:
            set_status(client, FLINK_SESSION_JOB, name, status)


def get(api, namespace, name="orders", kind=FLINK_SESSION_JOB):
    with Api(kubernetes(api, namespace)) as client:
        return client.get(kind, name)


def set_status(client, kind, name, status):
    """Write a status as the operator does; ``observedGeneration`` is the newest unless it is given."""
    seen = client.get(kind, name)["metadata"]["generation"]
    body = {"status": {"observedGeneration": seen, **status} if kind is not FLINK_STATE_SNAPSHOT else status}
    client.call(
        "PATCH", kind.path(client.settings.namespace, name, "status"), body=body,
        content_type="application/merge-patch+json",
    )  # fmt: skip


def running(**more):
    now = int(time.time() * 1000)
    told = {
        "state": "RUNNING",
        "jobId": JOB_ID,
        "startTime": str(now - 90_000),
        "updateTime": str(now),
        **more,
    }
    return {"lifecycleState": "STABLE", "reconciliationStatus": {"state": "DEPLOYED"}, "jobStatus": told}


SUSPENDED = {
    "lifecycleState": "SUSPENDED", "reconciliationStatus": {"state": "DEPLOYED"},
    "jobStatus": {"state": "FINISHED", "jobId": JOB_ID, "upgradeSavepointPath": "s3://b/savepoint-7"},
}  # fmt: skip


@contextlib.contextmanager
def operator(api, namespace, answer, *, snapshots=None):
    """Answer changes as an operator: ``answer(job)`` gives a status, None for none."""
    ended, settings = threading.Event(), kubernetes(api, namespace)

    def look():
        seen = {}
        with Api(settings) as client:
            while not ended.wait(0.05):
                with contextlib.suppress(KubernetesError):
                    for kind, make in ((FLINK_SESSION_JOB, answer), (FLINK_STATE_SNAPSHOT, snapshots)):
                        for found in client.list(kind) if make else ():
                            meta = found["metadata"]
                            mark = meta["uid"], meta["generation"]
                            if mark in seen:
                                continue
                            status = make(found)
                            if status is not None:
                                set_status(client, kind, meta["name"], status)
                            seen[mark] = True

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def obedient(job):
    return running() if job["spec"]["job"]["state"] == "running" else SUSPENDED
