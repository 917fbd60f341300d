"""Calls on the Flink SQL Gateway's REST API, v3. One method an endpoint; one policy.

The policy: the statements of a session are submitted one after the other. The gateway runs them so in
any case, but lets the next one wait in a thread of its HTTP server, of which it has two for each core;
a handful of waiting statements, and no page of any session is answered any more.

Own code rather than ``py-flink-sql-gateway``: that client needs Python 3.11 (the workbench runs
on 3.10), and joins the gateway's error list into one text, where the reason and the place of a
fault can no longer be told apart.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx

from sdp_kernel.errors import GatewayUnreachable, SqlError
from sdp_kernel.flink import faults

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONNECT_S, _READ_S = 5.0, 60.0
_BUSY = frozenset({"INITIALIZED", "PENDING", "RUNNING"})
_SHORTEST_WAIT_S, _LONGEST_WAIT_S = 0.002, 0.03


class GatewayFault(SqlError):  # noqa: N818
    """The gateway answered with an error; ``errors`` is its list."""

    def __init__(self, errors: list[str], status: int) -> None:
        super().__init__(faults.read(errors).reason, detail="\n".join(errors))
        self.errors = errors
        self.status = status


class Gateway:
    """A Flink SQL gateway.

    Parameters
    ----------
    url
        ``http://host:port``; the API version is added here.
    transport
        For tests: an ``httpx`` transport in place of the network.
    """

    def __init__(self, url: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self.url = url.rstrip("/")
        self._turn = threading.RLock()
        self._last: tuple[str, str] | None = None
        here = self.url.startswith(("http://127.", "http://localhost"))
        self._client = httpx.Client(
            base_url=f"{self.url}/v3",
            timeout=httpx.Timeout(_READ_S, connect=_CONNECT_S),
            transport=transport,
            trust_env=not here,
            verify=not here,  # reading certificates takes a tenth of a second
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def info(self) -> dict[str, str]:
        """``GET /info``: productName and version."""
        return dict(self._call("GET", "/info"))

    def open_session(self, name: str, properties: dict[str, str]) -> str:
        """``POST /sessions``; returns the session handle."""
        body = {"sessionName": name, "properties": properties}
        return str(self._call("POST", "/sessions", body)["sessionHandle"])

    def close_session(self, session: str) -> None:
        """``DELETE /sessions/:session``: ends its operations and their SELECT jobs."""
        self._call("DELETE", f"/sessions/{session}")

    def configure_session(self, session: str, statement: str) -> None:
        """``POST …/configure-session``: carries out a DDL or a SET; no result is to be fetched."""
        self._call("POST", f"/sessions/{session}/configure-session", {"statement": statement})

    def session_config(self, session: str) -> dict[str, str]:
        """``GET /sessions/:session``: the session's configuration."""
        return dict(self._call("GET", f"/sessions/{session}")["properties"])

    def heartbeat(self, session: str) -> None:
        """``POST …/heartbeat``: keeps the session from its idle time-out."""
        self._call("POST", f"/sessions/{session}/heartbeat", {})

    @contextlib.contextmanager
    def turn(self, session: str) -> Iterator[None]:
        """Wait until the session's last statement has been carried out; nobody else submits within."""
        with self._turn:
            last, wait = self._last, _SHORTEST_WAIT_S
            while last is not None and last[0] == session and self.status(*last) in _BUSY:
                time.sleep(wait)
                wait = min(wait * 1.5, _LONGEST_WAIT_S)
            yield

    def knows(self, session: str) -> bool:
        """Whether the gateway has the session still; asking keeps it from its idle time-out."""
        try:
            self.heartbeat(session)
        except GatewayFault:
            return False
        return True

    def submit(self, session: str, statement: str, config: dict[str, str] | None = None) -> str:
        """``POST …/statements`` when it is its turn; returns the operation handle at once."""
        body = {"statement": statement, "executionConfig": config or {}}
        with self.turn(session):
            answer = self._call("POST", f"/sessions/{session}/statements", body)
            operation = str(answer["operationHandle"])
            self._last = (session, operation)
        return operation

    def status(self, session: str, operation: str) -> str:
        """``GET …/operations/:operation/status``; ``CLOSED`` where the gateway does not know it."""
        try:
            return str(self._call("GET", f"/sessions/{session}/operations/{operation}/status")["status"])
        except GatewayFault:
            return "CLOSED"

    def fetch(self, session: str, operation: str, token: int, row_format: str = "JSON") -> bytes:
        """``GET …/operations/:operation/result/:token``: the page as it came."""
        path = f"/sessions/{session}/operations/{operation}/result/{token}?rowFormat={row_format}"
        return self._send("GET", path).content

    def close_operation(self, session: str, operation: str) -> None:
        """``DELETE …/close``: frees the operation; a SELECT's job ends about a second later."""
        self._call("DELETE", f"/sessions/{session}/operations/{operation}/close")
        if self._turn.acquire(blocking=False):
            if self._last == (session, operation):  # what is closed need not be asked for its status
                self._last = None
            self._turn.release()

    def cancel_operation(self, session: str, operation: str) -> None:
        """``POST …/cancel``: works until rows have come."""
        self._call("POST", f"/sessions/{session}/operations/{operation}/cancel", {})

    def complete(self, session: str, statement: str, position: int) -> list[str]:
        """``GET …/complete-statement``, with a body."""
        body = {"statement": statement, "position": position}
        return list(self._call("GET", f"/sessions/{session}/complete-statement", body)["candidates"])

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        return self._send(method, path, body).json()

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        try:
            response = self._client.request(method, path, json=body)
        except (httpx.TransportError, RuntimeError) as error:
            if not (self._client.is_closed or isinstance(error, httpx.TransportError)):
                raise
            raise GatewayUnreachable(
                f"no Flink SQL gateway answers at {self.url}: {error or type(error).__name__}",
                hint="check the gateway of the profile in sdp.toml; for the embedded stack: sdp up",
            ) from None
        if response.status_code != httpx.codes.OK:
            raise GatewayFault(_errors(response), response.status_code)
        return response


def _errors(response: httpx.Response) -> list[str]:
    try:
        errors = response.json()["errors"]
    except (ValueError, KeyError, TypeError):
        return [f"HTTP {response.status_code} {response.reason_phrase} from {response.url}"]
    return [str(error) for error in errors]
