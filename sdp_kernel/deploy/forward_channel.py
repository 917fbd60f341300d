"""One TCP connection through a pod's ``portforward``: Kubernetes' channels in a WebSocket, both ways.

The ``kubernetes`` package's own class drops what it has not passed on when the pod closes, ends at the
first half-close, and blocks both directions on one; here each direction waits for itself, and nothing
that came is lost.
"""

from __future__ import annotations

import os
import select
import ssl
import struct
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit, urlunsplit

from sdp_kernel.deploy.kubernetes import POD

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from sdp_kernel.deploy.kubernetes import Api
    from sdp_kernel.errors import KubernetesError

_PROTOCOL = "v4.channel.k8s.io"
_OPEN_S = 10.0
_PIECE = 1 << 16
#: No more than this waits to be passed on in either direction.
_HELD = 1 << 20
_CONTINUED, _BINARY, _CLOSE, _PING, _PONG = 0, 2, 8, 9, 10
_DATA, _ERROR = 0, 1
#: How long an answer is awaited after the client has sent its last; and how long more of it.
_ANSWER_S, _REST_S = 60.0, 2.0
_UNAUTHORIZED = 401


def connect(api: Api, pod: str, port: int) -> Channel:
    """Open a connection to a port of a pod.

    Raises
    ------
    KubernetesError
        The API server does not answer, refuses it, or has no such pod.
    """
    import websocket  # noqa: PLC0415 - comes with the extra `kubernetes`

    try:
        return Channel(_upgraded(api, pod, port))
    except websocket.WebSocketBadStatusException as error:
        if error.status_code != _UNAUTHORIZED:
            raise _refusal(api, error, pod) from None
    api.close()  # credentials may have been renewed: they are read anew
    try:
        return Channel(_upgraded(api, pod, port))
    except websocket.WebSocketBadStatusException as error:
        raise _refusal(api, error, pod) from None


def _upgraded(api: Api, pod: str, port: int) -> Any:
    import websocket  # noqa: PLC0415

    credentials = api.credentials
    scheme, *rest = urlsplit(credentials.server + POD.path(api.namespace, quote(pod), "portforward"))
    url = urlunsplit(("wss" if scheme == "https" else "ws", *rest[:2], f"ports={port}", ""))
    options: dict[str, Any] = {"context": credentials.tls}
    if credentials.server_name:
        options["server_hostname"] = credentials.server_name
    proxy = urlsplit(credentials.proxy) if credentials.proxy else None
    through = {"http_proxy_host": proxy.hostname, "http_proxy_port": proxy.port} if proxy else {}
    opened: Any = websocket.WebSocket(sslopt=options)
    try:
        opened.connect(
            url,
            header=api.headers(),
            subprotocols=[_PROTOCOL],
            suppress_origin=True,
            timeout=_OPEN_S,
            **through,
        )
    except websocket.WebSocketBadStatusException:
        raise
    except (OSError, websocket.WebSocketException) as error:
        raise api.unreachable(error) from None
    return opened.sock


def _refusal(api: Api, error: Any, pod: str) -> KubernetesError:
    body = (getattr(error, "resp_body", None) or b"").decode("utf-8", errors="replace")
    return api.refusal(error.status_code, body, f"a port-forward to the pod {pod}")


class Channel:
    """An open port-forward. ``sock`` is the upgraded connection to the API server."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)  # noqa: FBT003
        self.sock = sock
        self.opened = time.monotonic()
        #: What the node says of a pod that does not take the connection.
        self.error = ""
        self._received = bytearray()
        self._begun: set[int] = set()
        self._channel = -1
        self._closing = False
        self._to_pod = bytearray()
        self._to_client = bytearray()

    def close(self) -> None:
        """Close it, as it is."""
        self.sock.close()

    def stale(self) -> bool:
        """Whether an unused one is of no use any more: its other end has closed it."""
        self._read_pod()
        return self._closing or bool(self._to_client)

    def pump(self, client: socket.socket) -> None:
        """Pass on what comes in both directions, until both are done. Closes both."""
        client.setblocking(False)  # noqa: FBT003
        sending, asked, answered, last = True, False, False, time.monotonic()
        try:
            while True:
                if self._closing and not self._to_client:
                    return
                now = time.monotonic()
                patience = _ANSWER_S if asked and not answered else _REST_S
                if not sending and not self._to_pod and now - last > patience:
                    return
                readable = self._pollable(client, sending=sending)
                if client in readable and sending and len(self._to_pod) < _HELD:
                    piece = _received(client)
                    if piece == b"":
                        sending, last = False, now
                    elif piece is not None:
                        asked, answered, last = True, False, now
                        self._to_pod += _frame(_BINARY, bytes([_DATA]) + piece)
                if self._read_pod():
                    answered, last = True, now
                self._flush(client)
        except OSError:
            return  # one side is gone, and the other has nothing to wait for
        finally:
            client.close()
            self.close()

    def _pollable(self, client: socket.socket, *, sending: bool) -> list[socket.socket]:
        readers = [] if self._closing or len(self._to_client) >= _HELD else [self.sock]
        if sending and not self._closing and len(self._to_pod) < _HELD:
            readers.append(client)
        writers = [s for s, held in ((self.sock, self._to_pod), (client, self._to_client)) if held]
        # what TLS has read and not handed over, select does not know of
        waiting = isinstance(self.sock, ssl.SSLSocket) and self.sock in readers and self.sock.pending() > 0
        readable, _, _ = select.select(readers, writers, [], 0 if waiting else 1.0)
        return readable

    def _flush(self, client: socket.socket) -> None:
        for sock, held in ((self.sock, self._to_pod), (client, self._to_client)):
            if held and not (sock is self.sock and self._closing):
                try:
                    del held[: sock.send(held[:_HELD])]
                except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    continue

    def _read_pod(self) -> bool:
        """Take in what has come from the pod; returns whether any of it is for the client."""
        before = len(self._to_client)
        while not self._closing and len(self._to_client) < _HELD:
            piece = _received(self.sock)
            if piece is None:
                break
            if piece == b"":
                self._closing = True
                break
            self._received += piece
            for opcode, payload in _frames(self._received):
                self._take(opcode, payload)
        return len(self._to_client) > before

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == _CLOSE:
            self._closing = True
        elif opcode == _PING:
            self._to_pod += _frame(_PONG, payload)
        elif opcode == _CONTINUED:
            self._give(payload)
        elif opcode == _BINARY and payload:
            self._channel = payload[0]
            if self._channel in self._begun:
                self._give(payload[1:])
            self._begun.add(self._channel)  # its first message is the port's number

    def _give(self, payload: bytes) -> None:
        if self._channel == _DATA:
            self._to_client += payload
        elif self._channel == _ERROR:
            self.error += payload.decode("utf-8", errors="replace")


def _received(sock: socket.socket) -> bytes | None:
    """Return what has come, nothing at the end of it, None where there is nothing yet."""
    try:
        return sock.recv(_PIECE)
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return None
    except (ssl.SSLEOFError, ConnectionResetError):
        return b""


def _frame(opcode: int, payload: bytes) -> bytes:
    """Return a client's frame (RFC 6455): final and masked."""
    size = len(payload)
    if size < 126:  # noqa: PLR2004 - RFC 6455, 5.2
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
    mask = os.urandom(4)
    key = (mask * (size // 4 + 1))[:size]
    hidden = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
    return head + mask + hidden.to_bytes(size, "big")


def _frames(received: bytearray) -> Iterator[tuple[int, bytes]]:
    """Take the whole frames off the beginning of what has come; a server's are not masked."""
    while len(received) >= 2:  # noqa: PLR2004
        opcode, size, start = received[0] & 0x0F, received[1] & 0x7F, 2
        if size >= 126:  # noqa: PLR2004
            start = 4 if size == 126 else 10  # noqa: PLR2004
            if len(received) < start:
                return
            size = int.from_bytes(received[2:start], "big")
        if len(received) < start + size:
            return
        payload = bytes(received[start : start + size])
        del received[: start + size]
        yield opcode, payload
