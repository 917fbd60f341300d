"""A real Kubernetes API for tests: etcd, kube-apiserver and a node that passes port-forwards on.

There are no controllers and no kubelet: what they would write into a status, a test writes. The
operators' CRDs are loaded, RBAC is on, and every address is on loopback.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from tests import tools

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADMIN = "admin"
_READY_S = 60.0


def free_port() -> int:
    """Return a port of loopback that nothing uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class ApiServer:
    """A running API server.

    ``users`` maps a token to a user, its uid and its groups; a token that is not there is what an
    expired one is. The admin's is there always.
    """

    directory: Path
    users: dict[str, tuple[str, str]] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    commands: dict[str, tuple[str, ...]] = field(default_factory=dict)
    port: int = 0
    node_port: int = 0

    @property
    def url(self) -> str:
        """The server's address."""
        return f"https://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start all of it, and load the CRDs; returns once the server is ready."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port, self.node_port = free_port(), free_port()
        etcd, peer = free_port(), free_port()
        tokens = {f"{ADMIN}-token": (ADMIN, "system:masters"), **self.users}
        lines = [f'{token},{user},{user},"{groups}"\n' for token, (user, groups) in tokens.items()]
        (self.directory / "tokens.csv").write_text("".join(lines))
        subprocess.run(
            ["openssl", "genrsa", "-out", self.directory / "sa.key", "2048"], check=True, capture_output=True
        )
        self._spawn(
            "etcd", "--unsafe-no-fsync", f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-urls=http://127.0.0.1:{etcd}", f"--advertise-client-urls=http://127.0.0.1:{etcd}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}", "--log-level=warn",
        )  # fmt: skip
        self._spawn("node", f"-port={self.node_port}")
        key = self.directory / "sa.key"
        self._spawn(
            "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{etcd}", "--bind-address=127.0.0.1",
            f"--secure-port={self.port}", f"--cert-dir={self.directory / 'certificates'}",
            f"--token-auth-file={self.directory / 'tokens.csv'}", "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.0.0.0/24", "--service-account-issuer=https://test",
            f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}",
            "--disable-admission-plugins=ServiceAccount", "--enable-priority-and-fairness=false",
            "--kubelet-preferred-address-types=InternalIP",
        )  # fmt: skip
        self._await_ready()

    def _spawn(self, name: str, *arguments: str) -> None:
        self.commands[name] = arguments
        with (self.directory / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [tools.cluster_binary(name), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop_part(self, name: str) -> None:
        """Kill one of ``kube-apiserver`` and ``node``, as a crash would; :meth:`start_part` brings it back."""
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)

    def start_part(self, name: str) -> None:
        """Start a part again, at the port it had; returns once the server is ready."""
        self._spawn(name, *self.commands[name])
        self._await_ready()

    def _await_ready(self) -> None:
        deadline = time.monotonic() + _READY_S
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPSConnection(
                    "127.0.0.1", self.port, context=self._trust(), timeout=5
                )
                connection.request("GET", "/readyz", headers={"Authorization": f"Bearer {ADMIN}-token"})
                if connection.getresponse().status == 200:
                    return
            dead = [process for process in self.processes.values() if process.poll() is not None]
            if dead or time.monotonic() > deadline:
                tails = [log.read_text()[-1500:] for log in sorted(self.directory.glob("*.log"))]
                self.stop()
                raise RuntimeError("the API server does not start:\n" + "\n".join(tails))
            time.sleep(0.1)

    @property
    def certificate(self) -> Path:
        """The certificate the server signed itself; there once it has started."""
        return self.directory / "certificates" / "apiserver.crt"

    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.certificate)

    def stop(self) -> None:
        """End all of it, the server before its etcd."""
        for process in reversed(self.processes.values()):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
        self.processes.clear()
        shutil.rmtree(self.directory / "etcd", ignore_errors=True)

    def kubeconfig(self, user: str = ADMIN, *, namespace: str = "default", context: str = "test") -> Path:
        """Write a kubeconfig with one context for a user; returns its path."""
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": context,
            "clusters": [
                {
                    "name": "test",
                    "cluster": {"server": self.url, "certificate-authority": str(self.certificate)},
                }
            ],
            "users": [{"name": user, "user": {"token": f"{user}-token"}}],
            "contexts": [
                {"name": context, "context": {"cluster": "test", "user": user, "namespace": namespace}}
            ],
        }
        path = self.directory / f"kubeconfig-{user}-{namespace}-{context}"
        with path.open("w") as file:
            YAML(typ="safe").dump(content, file)
        path.chmod(0o600)
        return path

    def client(self, user: str = ADMIN) -> Any:
        """Return a ``kubernetes`` ApiClient for a user."""
        from kubernetes import config

        return config.new_client_from_config(str(self.kubeconfig(user)))


def load_crds(server: ApiServer) -> None:
    """Load the operators' CRDs, and wait until the server serves them."""
    from kubernetes import client

    extensions = client.ApiextensionsV1Api(server.client())
    for crd in tools.crds().values():
        extensions.create_custom_resource_definition(crd)
    names = {crd["metadata"]["name"] for crd in tools.crds().values()}
    deadline = time.monotonic() + _READY_S
    while names:
        if time.monotonic() > deadline:
            raise RuntimeError(f"these CRDs are not established: {sorted(names)}")
        for item in extensions.list_custom_resource_definition().items:
            conditions = {c.type: c.status for c in (item.status.conditions if item.status else None) or []}
            if conditions.get("Established") == "True":
                names.discard(item.metadata.name)
        time.sleep(0.1)


def add_node(server: ApiServer) -> None:
    """Register the node that port-forwards go through."""
    from kubernetes import client

    core = client.CoreV1Api(server.client())
    core.create_node({"metadata": {"name": "node"}})
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": server.node_port}},
        "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
    }
    core.patch_node_status("node", {"status": status})


@contextlib.contextmanager
def running(directory: Path, users: dict[str, tuple[str, str]] | None = None) -> Iterator[ApiServer]:
    """Run an API server with the CRDs and a node."""
    server = ApiServer(directory, dict(users or {}))
    try:
        server.start()
        load_crds(server)
        add_node(server)
        yield server
    finally:
        server.stop()
