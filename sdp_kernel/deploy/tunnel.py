"""A port of loopback that leads to a JobManager for as long as a ``with`` block lasts, for a few questions.

What lasts, and is shared by kernels, is ``port_forward``.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

from sdp_kernel.deploy import clusters, forward_channel
from sdp_kernel.deploy.kubernetes import FLINK_DEPLOYMENT
from sdp_kernel.errors import KubernetesError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sdp_kernel.deploy.kubernetes import Api

_HOST = "127.0.0.1"


@contextlib.contextmanager
def tunnel(api: Api, deployment: str) -> Iterator[str]:
    """Give the address of a FlinkDeployment's JobManager, on this machine.

    Raises
    ------
    KubernetesError
        No pod of it runs, or it may not be forwarded to.
    """
    configuration = clusters.flattened(
        api.get(FLINK_DEPLOYMENT, deployment)["spec"].get("flinkConfiguration") or {}
    )
    if configuration.get("security.ssl.rest.enabled", "false").lower() == "true":
        raise KubernetesError(
            f"the JobManager of {deployment} answers by TLS only (security.ssl.rest.enabled)",
            hint="look at its Flink UI through an ingress",
        )
    pod = clusters.jobmanager_pod(api, deployment)
    port = clusters.rest_port(configuration)
    forward_channel.connect(api, pod, port).close()  # says now what would be said to nobody later
    with socket.create_server((_HOST, 0)) as server:
        threading.Thread(target=_accept, args=(server, api, pod, port), daemon=True, name="tunnel").start()
        try:
            yield f"http://{_HOST}:{server.getsockname()[1]}"
        finally:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)


def _accept(server: socket.socket, api: Api, pod: str, port: int) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = server.accept()
            threading.Thread(
                target=_pass_on, args=(client, api, pod, port), daemon=True, name="tunnel-connection"
            ).start()


def _pass_on(client: socket.socket, api: Api, pod: str, port: int) -> None:
    try:
        channel = forward_channel.connect(api, pod, port)
    except KubernetesError:
        client.close()
        return
    channel.pump(client)
