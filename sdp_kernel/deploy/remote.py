"""The way to a session cluster on Kubernetes: a port-forward, and a SQL gateway on this machine before it.

All of a profile's stands in ``.sdp/clusters/PROFILE``. Kernels of the project share it; it is found,
repaired and ended as the embedded stack is, and ends by itself where no kernel has touched its heartbeat
for ten minutes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

from filelock import FileLock

from sdp_kernel.deploy import clusters, port_forward
from sdp_kernel.deploy.kubernetes import Api
from sdp_kernel.deploy.place import NAME, Place
from sdp_kernel.errors import KubernetesError, SdpError, UsageError
from sdp_kernel.local import processes
from sdp_kernel.local.components import HOST, flink_home, free_ports, listening, released
from sdp_kernel.local.info import Progress
from sdp_kernel.local.logs import cause_in
from sdp_kernel.local.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sdp_kernel.deploy.clusters import Deployment
    from sdp_kernel.settings import KubernetesSettings, LocalSettings

_FORWARD_S = 30.0
_HTTP_S = 10.0
#: What a job takes from the gateway's configuration, and should have from its cluster's.
_CLUSTERS_OWN = ("parallelism.default", "execution.checkpointing.", "state.", "restart-strategy",
                 "table.", "pipeline.", "python.")  # fmt: skip
#: Places of this machine, which a cluster elsewhere does not see; and patience with a way that drops.
_CONFIGURATION: dict[str, str | None] = {
    "execution.checkpointing.dir": None,
    "execution.checkpointing.savepoint-dir": None,
    "python.executable": None,
    "rest.retry.max-attempts": "300",
    "rest.retry.delay": "1s",
}


@dataclass(frozen=True)
class Addresses:
    """Where the gateway and the JobManager answer, on this machine."""

    gateway: str
    jobmanager: str


class Remote:
    """The way to the session cluster of one profile.

    Parameters
    ----------
    profile
        The profile's name.
    settings
        Where the session cluster is.
    state_dir
        The project's state directory.
    local
        Settings of the embedded stack, such as a mirror for jars.
    idle
        After so many seconds without a kernel it ends itself.
    """

    def __init__(
        self,
        profile: str,
        settings: KubernetesSettings,
        state_dir: Path,
        local: LocalSettings,
        *,
        idle: float = port_forward.IDLE_S,
    ) -> None:
        if settings.deployment is None:
            raise UsageError(
                f"the profile {profile} names no session cluster",
                hint=f'add deployment = "…" to [profiles.{profile}.kubernetes]; '
                f"sdp clusters --profile {profile} lists them",
            )
        self.deployment = settings.deployment
        self.settings = settings
        self.title = f"session cluster {settings.deployment}"
        self.place = Place.of(state_dir, profile)
        self._local = local
        self._idle = idle

    def touch(self) -> None:
        """Give a sign of life."""
        with contextlib.suppress(OSError):
            self.place.heartbeat.touch()

    def up(self, progress: Callable[[Progress], None] | None = None) -> Addresses:
        """Open the way where it is not open, and return when it can be used.

        Raises
        ------
        KubernetesError
            There is no such session cluster, or no way to it; nothing is left running.
        UsageError
            It runs another Flink than the gateway would.
        SdpError
            The gateway does not start.
        """
        self.place.directory.mkdir(parents=True, exist_ok=True)
        self.touch()
        found = self._running()
        if found is not None:
            return found
        with FileLock(self.place.lock):
            return self._running() or self._start(progress or (lambda _step: None))

    def repair(self) -> None:
        """Start again what has died; not what was stopped on purpose. Asks the API server nothing."""
        self.touch()
        with FileLock(self.place.lock):
            port, idled = self.place.port, self.place.idled.exists()
            if port is None or not self._same() or (self.place.record is None and not idled):
                return
            if not self.place.forwards():
                self._spawn(port)
            stack = self._stack(port)
            if idled or any(component.state == "died" for component in stack.status().components):
                stack.up()
                self.place.idled.unlink(missing_ok=True)

    def trouble(self) -> str:
        """Return why there was no way to the JobManager when it was last tried; nothing where there was."""
        return self.place.said.error

    def down(self) -> None:
        """End it; nothing is left running."""
        self.place.down()

    def _running(self) -> Addresses | None:
        port = self.place.port
        if port is None or not (self._same() and self.place.forwards() and listening(port)):
            return None
        info = self._stack(port).running()
        return _addresses(info.gateway, port) if info is not None else None

    def _start(self, progress: Callable[[Progress], None]) -> Addresses:
        flink_home()
        progress(Progress("forward", title=self.title))
        with Api(self.settings) as api:
            found = clusters.deployment(api, self.deployment)
            _check_version(found.cluster.flink_version, self.deployment)
            try:
                clusters.jobmanager_pod(api, self.deployment)
            except KubernetesError as error:
                raise _explained(error, found) from None
        if not self._same():
            self.place.down()
        try:
            port = self._forward()
            _check_version(self._await_jobmanager(port), self.deployment)
            stack = self._stack(port, found)
            if self._moved(stack, port):
                stack.down()
            info = stack.up(lambda step: progress(dataclasses.replace(step, title=self.title)))
            self.place.idled.unlink(missing_ok=True)
        except BaseException:
            self.place.down()
            raise
        return _addresses(info.gateway, port)

    def _stack(self, port: int, found: Deployment | None = None) -> Stack:
        configuration = dict(_CONFIGURATION)
        if found is not None:
            own = {k: v for k, v in found.configuration.items() if k.startswith(_CLUSTERS_OWN)}
            configuration.update(own)
            self.place.write("configuration", json.dumps(configuration))
        else:
            with contextlib.suppress(OSError, ValueError):
                configuration = json.loads(self.place.read("configuration"))
        return Stack(
            self.place.directory,
            components=("gateway",),
            settings=dataclasses.replace(self._local, with_=(), flink={}),
            ports={"jobmanager": port},
            configuration=configuration,
        )

    @staticmethod
    def _moved(stack: Stack, port: int) -> bool:
        """Whether a gateway runs that knows the JobManager at another port."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            ports = json.loads((stack.layout.run / "ports").read_text(encoding="utf-8"))
            return bool(ports["jobmanager"] != port)
        return False

    def _identity(self) -> str:
        return json.dumps([*map(str, (self.settings.kubeconfig, self.settings.context)),
                           self.settings.namespace, self.deployment])  # fmt: skip

    def _same(self) -> bool:
        """Whether what is there leads to this session cluster, and not to what the profile named before."""
        with contextlib.suppress(OSError):
            return self.place.read("identity") == self._identity()
        return False

    def _forward(self) -> int:
        port = self.place.port
        if port is not None and self.place.forwards() and listening(port):
            return port
        self.place.end_forward()
        if port is None or not released(port):
            port = free_ports(1)[0]
        self.place.write("port", str(port))
        self.place.write("identity", self._identity())
        self._spawn(port)
        return port

    def _spawn(self, port: int) -> None:
        where, settings = self.place, self.settings
        order = port_forward.Order(
            port, settings.namespace, self.deployment, settings.context,
            str(settings.kubeconfig) if settings.kubeconfig else None,
            str(where.heartbeat), str(where.state), self._idle,
        )  # fmt: skip
        where.state.unlink(missing_ok=True)
        command = [sys.executable, "-m", "sdp_kernel.deploy.port_forward", processes.mark(where.forward)]
        processes.spawn(
            NAME,
            [*command, json.dumps(dataclasses.asdict(order))],
            port=port,
            environment={},
            output=where.logs / f"{NAME}.out",
            records=where.run,
            state_dir=where.forward,
        )

    def _await_jobmanager(self, port: int) -> str:
        """Wait until the JobManager answers through the port-forward; returns its version."""
        deadline = time.monotonic() + _FORWARD_S
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while True:
            with (
                contextlib.suppress(OSError, urllib.error.URLError, ValueError, KeyError),
                opener.open(f"http://{HOST}:{port}/config", timeout=_HTTP_S) as answer,
            ):
                return str(json.load(answer)["flink-version"])
            if not self.place.forwards():
                reason = cause_in(self.place.logs, NAME)
                raise KubernetesError(
                    f"the port-forward to {self.deployment} died: {reason}",
                    hint=f"its log is in {self.place.logs}",
                )
            if time.monotonic() > deadline:
                reason = self.trouble() or "it is silent"
                raise KubernetesError(
                    f"the JobManager of {self.deployment} does not answer: {reason}",
                    hint=f"look at the pod's log; the port-forward's is in {self.place.logs}",
                )
            time.sleep(0.1)


def _addresses(gateway: str | None, port: int) -> Addresses:
    return Addresses(gateway or "", f"http://{HOST}:{port}")


def _check_version(version: str, deployment: str) -> None:
    """Refuse a cluster of another Flink: the gateway's jobs are of its own version's classes."""
    ours = metadata.version("apache-flink")
    if version and version.split(".")[:2] != ours.split(".")[:2]:
        raise UsageError(
            f"the session cluster {deployment} runs Flink {version}, the gateway on this machine is {ours}",
            hint="jobs go from one to the other only within a minor version: use a SQL gateway of the "
            "cluster's version (gateway = … in the profile), or another session cluster",
        )


def _explained(error: KubernetesError, found: Deployment) -> SdpError:
    """Add what the operator says to a JobManager that does not run."""
    cluster = found.cluster
    words = ": ".join(part for part in (cluster.jobmanager, cluster.error) if part)
    message = f"{error.message}; the operator says {words}" if words else error.message
    return KubernetesError(message, hint=error.hint)
