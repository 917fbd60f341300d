"""``python -m sdp_kernel.deploy.port_forward``: a port of loopback that leads to a JobManager's.

A detached process. Each connection it takes gets a port-forward of its own, to the pod that runs the
JobManager at that time; so a forward that dropped, a pod that was restarted and an API server that was
away are behind the next connection. It ends itself where no kernel has given a sign of life for long.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sdp_kernel.deploy import clusters, forward_channel
from sdp_kernel.deploy.kubernetes import Api
from sdp_kernel.deploy.place import NAME, State, end_idle
from sdp_kernel.errors import Expired, KubeconfigError, KubernetesError
from sdp_kernel.settings import KubernetesSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from sdp_kernel.deploy.forward_channel import Channel

IDLE_S = 600.0
_LOOK_S = 1.0
#: How long a connection is kept waiting while there is no way through.
_PATIENCE_S = 8.0
_AGAIN_S = 0.5
#: Forwards that are opened ahead, and how long one may wait: load balancers drop silent connections.
_SPARES, _SPARE_S = 2, 15.0

_log = logging.getLogger(NAME)


@dataclass(frozen=True)
class Order:
    """What the process is to do; in JSON on its command line, and without a secret.

    ``heartbeat`` is the file that kernels touch; ``state`` the one that says how it goes.
    """

    port: int
    namespace: str
    deployment: str
    context: str | None
    kubeconfig: str | None
    heartbeat: str
    state: str
    idle: float = IDLE_S

    @property
    def settings(self) -> KubernetesSettings:
        """What the API server's client takes."""
        kubeconfig = Path(self.kubeconfig) if self.kubeconfig else None
        return KubernetesSettings(self.namespace, self.context, self.deployment, kubeconfig)


class Way:
    """Opens port-forwards to a session cluster's JobManager; the pod is remembered while it answers."""

    def __init__(self, api: Api, deployment: str, tell: Callable[[State], None]) -> None:
        self.api = api
        self.deployment = deployment
        self._tell = tell
        self._lock = threading.Lock()
        self._target: tuple[str, int] | None = None
        self._spares: list[Channel] = []
        self._wanted = threading.Semaphore(0)
        threading.Thread(target=self._open_ahead, daemon=True, name="ahead").start()

    def take(self) -> Channel:
        """Return a forward: one that was opened ahead, or a new one.

        Raises
        ------
        KubernetesError
            There was no way through in time.
        """
        self._wanted.release()
        while (spare := self._spare()) is not None:
            if not spare.stale():
                return spare
            self.report(spare.error)
            spare.close()
        return self._open()

    def report(self, error: str) -> None:
        """Take note of a pod that did not take a connection; it is looked for anew."""
        if error:
            self._failed(KubernetesError(error.strip()))

    def _spare(self) -> Channel | None:
        with self._lock:
            while self._spares:
                found = self._spares.pop()
                if time.monotonic() - found.opened < _SPARE_S:
                    return found
                found.close()
        return None

    def _open_ahead(self) -> None:
        """After each connection, have the next forward ready: clients of Flink's open one a request."""
        while True:
            wanted = self._wanted.acquire(timeout=_SPARE_S)
            with self._lock:
                old = [s for s in self._spares if time.monotonic() - s.opened >= _SPARE_S]
                self._spares = [s for s in self._spares if s not in old]
                enough = len(self._spares) >= _SPARES
            for spare in old:
                spare.close()
            if enough or not wanted or self._target is None:
                continue
            with contextlib.suppress(KubernetesError):
                channel = forward_channel.connect(self.api, *self._target)
                with self._lock:
                    self._spares.append(channel)

    def _open(self) -> Channel:
        until = time.monotonic() + _PATIENCE_S
        while True:
            try:
                target = self._target or (
                    clusters.jobmanager_pod(self.api, self.deployment),
                    clusters.deployment(self.api, self.deployment).rest_port,
                )
                channel = forward_channel.connect(self.api, *target)
            except KubernetesError as error:
                self._failed(error)
                if time.monotonic() > until or isinstance(error, (Expired, KubeconfigError)):
                    raise
                time.sleep(_AGAIN_S)
            else:
                if self._target is None:
                    _log.info("to %s, port %s", *target)
                    self._tell(State(pod=target[0], at=time.time()))
                self._target = target
                return channel

    def _failed(self, error: KubernetesError) -> None:
        self._target = None
        with self._lock:
            spares, self._spares = self._spares, []
        for spare in spares:
            spare.close()
        _log.error("%s", str(error).replace("\n", " "))
        self._tell(State(error=str(error), at=time.time()))


def _serve(client: socket.socket, way: Way) -> None:
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        channel = way.take()
    except Exception as error:  # noqa: BLE001 - whatever it is, the next connection tries again
        if not isinstance(error, KubernetesError):
            _log.exception("a connection failed")
        client.close()
        return
    channel.pump(client)
    way.report(channel.error)


class _Life:
    """Whether kernels are there: by changes of the heartbeat's time, so that a machine may be suspended."""

    def __init__(self, heartbeat: Path, idle: float) -> None:
        self._file = heartbeat
        self._idle = idle
        self._seen: float | None = None
        self._since = time.monotonic()

    def over(self) -> bool:
        with contextlib.suppress(OSError):
            beat = self._file.stat().st_mtime
            if beat != self._seen:
                self._seen, self._since = beat, time.monotonic()
        return time.monotonic() - self._since > self._idle


def run(order: Order, ended: Callable[[], bool]) -> None:
    """Serve until nobody needs it; ``ended`` tidies up, and says whether that is so."""
    state = Path(order.state)
    told = threading.Lock()

    def tell(now: State) -> None:
        with told, contextlib.suppress(OSError):
            part = state.with_suffix(".part")
            part.write_text(json.dumps(asdict(now)), encoding="utf-8")
            part.replace(state)

    way = Way(Api(order.settings), order.deployment, tell)
    life = _Life(Path(order.heartbeat), order.idle)
    with socket.create_server(("127.0.0.1", order.port), backlog=128) as server:
        server.settimeout(_LOOK_S)
        _log.info("127.0.0.1:%s leads to %s in %s", order.port, order.deployment, order.namespace)
        while True:
            with contextlib.suppress(TimeoutError):
                client, _ = server.accept()
                threading.Thread(target=_serve, args=(client, way), daemon=True).start()
            if life.over() and ended():
                _log.info("no kernel has given a sign of life for %s s", order.idle)
                return


def main(mark: str, text: str) -> None:
    """Run what the command line says; ``mark`` is how the process is found again."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)-5s %(message)s")
    _log.setLevel(logging.INFO)
    directory = Path(mark.partition("=")[2]).parent
    run(Order(**json.loads(text)), lambda: end_idle(directory))


if __name__ == "__main__":
    main(*sys.argv[1:])
