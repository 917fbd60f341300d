"""Calls on a Kubernetes API server. One client a profile; every refusal says what to ask for.

Requests go through httpx: the ``kubernetes`` package's own client changes its methods from release to
release, and is asked for credentials only.
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from sdp_kernel.deploy import kubeconfig
from sdp_kernel.errors import (
    Conflict,
    Expired,
    Forbidden,
    KubernetesError,
    KubernetesUnreachable,
    MissingCrd,
    ResourceNotFound,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from typing_extensions import Self

    from sdp_kernel.settings import KubernetesSettings

_CONNECT_S, _READ_S = 5.0, 30.0
_PAGE = "250"
#: Who brings the kinds of a group.
_OPERATORS = {
    "flink.apache.org": "the Flink operator",
    "kafka.strimzi.io": "the Strimzi operator",
    "monitoring.coreos.com": "the Prometheus operator",
}
_REFUSED = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)" in API group '
    r'"(?P<group>[^"]*)"(?: in the namespace "(?P<namespace>[^"]*)")?'
)


@dataclass(frozen=True)
class Kind:
    """A kind of resource, as the API's paths name it."""

    group: str
    version: str
    plural: str
    name: str

    def path(self, namespace: str | None, name: str = "", part: str = "") -> str:
        """Return the path of a resource, of a part of it such as ``status``, or of all in a namespace."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        within = f"namespaces/{namespace}" if namespace else ""
        return "/".join(piece for piece in (root, within, self.plural, name, part) if piece)


POD = Kind("", "v1", "pods", "Pod")
FLINK_DEPLOYMENT = Kind("flink.apache.org", "v1beta1", "flinkdeployments", "FlinkDeployment")
FLINK_SESSION_JOB = Kind("flink.apache.org", "v1beta1", "flinksessionjobs", "FlinkSessionJob")


class Api:
    """The API server of a context, as its user. Also a context manager.

    Nothing is read or contacted until the first call. Credentials that the server refuses are read
    anew once: another program may have renewed them.
    """

    def __init__(self, settings: KubernetesSettings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._credentials: kubeconfig.Credentials | None = None
        self._client: httpx.Client | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            if self._client is not None:
                self._client.close()
            self._client = self._credentials = None

    @property
    def credentials(self) -> kubeconfig.Credentials:
        """The server and how to be let in."""
        with self._lock:
            if self._credentials is None:
                self._credentials = kubeconfig.read(self.settings)
            return self._credentials

    @property
    def where(self) -> str:
        """What messages call it: its context, or the pod's service account."""
        return self.credentials.where

    @property
    def namespace(self) -> str:
        """The settings' namespace; where that is empty, the context's own."""
        return self.settings.namespace or self.credentials.namespace or "default"

    def get(self, kind: Kind, name: str, *, namespace: str | None = None) -> dict[str, Any]:
        """Return one resource.

        Raises
        ------
        ResourceNotFound, KubernetesError
            As their names say.
        """
        return self.call("GET", kind.path(namespace or self.namespace, name))

    def list(
        self, kind: Kind, *, namespace: str | None = None, everywhere: bool = False, labels: str = ""
    ) -> Iterator[dict[str, Any]]:
        """Give the resources of a kind in a namespace, or in all of them, a page at a time."""
        path = kind.path(None if everywhere else namespace or self.namespace)
        query = {"limit": _PAGE, **({"labelSelector": labels} if labels else {})}
        while True:
            page = self.call("GET", path, query=query)
            yield from page["items"]
            following = page.get("metadata", {}).get("continue")
            if not following:
                return
            query["continue"] = following

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        """Make one call; returns the answer's JSON.

        Raises
        ------
        KubernetesUnreachable, Expired, Forbidden, MissingCrd, ResourceNotFound, Conflict
            As their names say.
        KubernetesError
            The server refused it for another reason; ``detail`` is its answer.
        """
        content = None if body is None else json.dumps(body).encode()
        response = self._send(method, path, query, content, content_type)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self.close()
            response = self._send(method, path, query, content, content_type)
        if not response.is_success:
            raise self.refusal(response.status_code, response.text, f"{method} {path}")
        return dict(response.json())

    def headers(self) -> dict[str, str]:
        """Return the headers that let a request in; a token about to expire is renewed first."""
        authorization = self.credentials.authorization()
        return {"Authorization": authorization} if authorization else {}

    def _send(
        self, method: str, path: str, query: Mapping[str, str] | None, content: bytes | None, kind: str
    ) -> httpx.Response:
        credentials = self.credentials
        with self._lock:
            if self._client is None:
                self._client = httpx.Client(
                    base_url=credentials.server,
                    verify=credentials.tls,
                    proxy=credentials.proxy,
                    trust_env=not _on_loopback(credentials.server),
                    timeout=httpx.Timeout(_READ_S, connect=_CONNECT_S),
                )
            client = self._client
        extensions = {"sni_hostname": credentials.server_name} if credentials.server_name else {}
        headers = {"Accept": "application/json", **self.headers()}
        if content is not None:
            headers["Content-Type"] = kind
        try:
            return client.request(
                method, path, params=query, content=content, headers=headers, extensions=extensions
            )
        except httpx.TransportError as error:
            raise self.unreachable(error) from None

    def unreachable(self, error: Exception) -> KubernetesUnreachable:
        """Return the error of a server that does not answer."""
        credentials = self.credentials
        text = str(error) or type(error).__name__
        hint = "check the address and the network; a VPN may be needed"
        if "CERTIFICATE_VERIFY_FAILED" in text:
            hint = "the kubeconfig's certificate-authority did not sign its certificate: fetch it anew"
        return KubernetesUnreachable(
            f"no API server answers at {credentials.server} ({credentials.where}): {text}", hint=hint
        )

    def refusal(self, status: int, text: str, asked: str) -> KubernetesError:
        """Return the error that a refused call is; ``asked`` is its method and path."""
        answer = _parsed(text)
        message = self._without_token(str(answer.get("message") or text.strip() or f"HTTP {status}"))
        where = self.where
        if status == httpx.codes.UNAUTHORIZED:
            return Expired(
                f"the API server of {where} does not accept the credentials",
                hint="they are expired or not its own: log in again, or fetch the kubeconfig anew",
            )
        if status == httpx.codes.FORBIDDEN:
            return _forbidden(message, where)
        if status == httpx.codes.NOT_FOUND:
            return self._not_found(answer, message, asked)
        if status == httpx.codes.CONFLICT:
            return Conflict(
                f"{where}: {message}", hint="look at who made it, and choose another name or take it over",
                detail=json.dumps(answer.get("details", {})),
            )  # fmt: skip
        return KubernetesError(
            f"the API server of {where} refused {asked}: {message}",
            hint="mend what it names" if status < httpx.codes.INTERNAL_SERVER_ERROR else "try again later",
            detail=json.dumps(answer.get("details", {})),
        )

    def _not_found(self, answer: dict[str, Any], message: str, asked: str) -> KubernetesError:
        details = answer.get("details") or {}
        if details.get("name"):
            return ResourceNotFound(
                f"{self.where}: {message}", hint="check the name and the namespace", detail=asked
            )
        group = next((name for name in _OPERATORS if f"/apis/{name}/" in asked), None)
        if group is None:
            return ResourceNotFound(
                f"the API server of {self.where} does not know {asked}", hint="check its version"
            )
        return MissingCrd(
            f"{_OPERATORS[group]} is not installed on {self.where}: it has no {group}",
            hint=f"check the context; if it is the right one, install {_OPERATORS[group]} with its CRDs",
        )

    def _without_token(self, text: str) -> str:
        token = (self.credentials.authorization() or "").partition(" ")[2]
        return text.replace(token, "…") if token else text


def _on_loopback(server: str) -> bool:
    return (urlsplit(server).hostname or "").startswith(("127.", "localhost", "::1"))


def _parsed(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _forbidden(message: str, where: str) -> Forbidden:
    match = _REFUSED.search(message)
    if match is None:
        return Forbidden(
            f"{where}: {message}", hint="ask the cluster's administrators for a Role that allows it"
        )
    resource, verb, namespace = match["resource"], match["verb"], match["namespace"]
    within = f"in the namespace {namespace}" if namespace else "in all namespaces"
    role = f"a Role in {namespace}" if namespace else "a ClusterRole"
    return Forbidden(
        f"{where}: the user {match['user']} may not {verb} {resource} {within}",
        hint=f'ask for {role} with the rule apiGroups: ["{match["group"]}"], resources: ["{resource}"], '
        f'verbs: ["{verb}"]',
    )
