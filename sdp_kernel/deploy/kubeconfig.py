"""Credentials for a Kubernetes API server: from a kubeconfig, or from the pod this runs in.

The ``kubernetes`` package reads them, runs credential plugins and renews tokens. What it says of a
faulty file may quote it, secrets included, so the reason is looked for here and its words are not shown.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import KubeconfigError, KubernetesError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sdp_kernel.settings import KubernetesSettings

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_LIKE_A_SECRET = re.compile(r"(?i)\b(?:bearer|basic)\s+\S+|\beyJ[\w-]+(?:\.[\w-]*)*|[A-Za-z0-9_+/=-]{32,}")


@dataclass(frozen=True)
class Credentials:
    """An API server and how to be let in.

    ``where`` says whose they are; ``namespace`` is the context's own; ``authorization`` gives the value of
    the header.
    """

    where: str
    namespace: str | None
    server: str
    tls: ssl.SSLContext
    server_name: str | None
    proxy: str | None
    authorization: Callable[[], str | None]


def read(settings: KubernetesSettings) -> Credentials:
    """Read the credentials of a context; in a pod without a kubeconfig, those of its service account.

    Raises
    ------
    KubeconfigError
        There are none, or they cannot be used.
    """
    client, config = _package()
    files = [path for path in places(settings) if path.exists()]
    configuration = client.Configuration()
    cluster: dict[str, Any] = {}
    if files:
        where, namespace, cluster = _examine(files, settings.context)
        with _heard() as said:
            try:
                config.load_kube_config(
                    os.pathsep.join(map(str, files)),
                    settings.context,
                    client_configuration=configuration,
                )
            except Exception as error:  # noqa: BLE001 - a faulty file fails in many ways
                raise KubeconfigError(
                    f"{where}: its credentials cannot be used ({type(error).__name__})",
                    hint=f"look at its cluster and user in {_names(files)}",
                ) from None
        if said:
            raise KubeconfigError(
                f"{where}: the credential plugin gave no credentials: {without_secrets(said[0])}",
                hint="run the plugin's command by hand; a log-in may have expired",
            )
    elif settings.kubeconfig is None and "KUBERNETES_SERVICE_HOST" in os.environ:
        where = "the pod's service account"
        namespace = _from_pod(config, configuration)
    else:
        raise KubeconfigError(
            f"there is no kubeconfig: {_names(places(settings))}",
            hint="set KUBECONFIG, or kubeconfig of the profile in sdp.toml",
        )

    def authorization() -> str | None:
        found = [value for value in configuration.auth_settings().values() if value["in"] == "header"]
        return str(found[0]["value"]) if found and found[0]["value"] else None

    return Credentials(
        where,
        namespace,
        configuration.host,
        _tls(configuration, where),
        cluster.get("tls-server-name"),
        cluster.get("proxy-url"),
        authorization,
    )


def places(settings: KubernetesSettings) -> list[Path]:
    """Return where a kubeconfig is looked for: the profile's, KUBECONFIG's, or the home directory's."""
    if settings.kubeconfig is not None:
        return [settings.kubeconfig]
    named = [part for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return [Path(part).expanduser() for part in named] or [Path("~/.kube/config").expanduser()]


def without_secrets(text: str) -> str:
    """Take away what may be a token or key."""
    return _LIKE_A_SECRET.sub("…", text)


def _package() -> tuple[Any, Any]:
    try:
        from kubernetes import client, config  # noqa: PLC0415 - an optional extra
    except ImportError:
        raise KubernetesError(
            "the package kubernetes is not installed", hint="pip install 'sdp-kernel[kubernetes]'"
        ) from None
    return client, config


def _names(files: list[Path]) -> str:
    return ", ".join(map(str, files))


def _examine(files: list[Path], context: str | None) -> tuple[str, str | None, dict[str, Any]]:
    """Check a context, with its cluster and user; returns what to call it, its namespace, its cluster."""
    contents = [(path, _parsed(path)) for path in files]
    named = {kind: _by_name(contents, kind) for kind in ("contexts", "clusters", "users")}
    if context is None:
        context = next((str(c["current-context"]) for _, c in contents if c.get("current-context")), None)
    known = ", ".join(sorted(named["contexts"])) or "none"
    if context is None:
        raise KubeconfigError(
            f"{_names(files)} has no current context", hint=f"set context in sdp.toml; known: {known}"
        )
    if context not in named["contexts"]:
        raise KubeconfigError(f"there is no context {context!r} in {_names(files)}", hint=f"known: {known}")
    chosen = named["contexts"][context].get("context") or {}
    for kind in ("cluster", "user"):
        wanted = chosen.get(kind)
        if (wanted is not None or kind == "cluster") and wanted not in named[f"{kind}s"]:
            raise KubeconfigError(
                f"the context {context} names the {kind} {wanted!r}, which {_names(files)} does not have",
                hint=f"known: {', '.join(sorted(named[f'{kind}s'])) or 'none'}",
            )
    cluster = named["clusters"][chosen["cluster"]].get("cluster") or {}
    if not cluster.get("server"):
        raise KubeconfigError(
            f"the cluster {chosen['cluster']} in {_names(files)} has no server",
            hint="write its address as server",
        )
    return f"context {context}", chosen.get("namespace"), cluster


def _parsed(path: Path) -> dict[str, Any]:
    import yaml  # noqa: PLC0415 - of the kubernetes package

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KubeconfigError(
            f"the kubeconfig {path} cannot be read: {error.strerror}", hint="check its permissions"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise KubeconfigError(
            f"the kubeconfig {path} is not YAML{line}", hint="mend it, or fetch it anew"
        ) from None
    if not isinstance(content, dict):
        raise KubeconfigError(f"the kubeconfig {path} holds no kubeconfig", hint="fetch it anew")
    return content


def _by_name(contents: list[tuple[Path, dict[str, Any]]], kind: str) -> dict[str, dict[str, Any]]:
    """Return the entries of a kind by name; of two with one name the first counts, as kubectl has it."""
    found: dict[str, dict[str, Any]] = {}
    for path, content in contents:
        entries = content.get(kind) or []
        if not isinstance(entries, list) or not all(isinstance(e, dict) and "name" in e for e in entries):
            raise KubeconfigError(
                f"the kubeconfig {path}: {kind} is not a list of named entries", hint="fetch it anew"
            )
        for entry in entries:
            found.setdefault(str(entry["name"]), entry)
    return found


@contextlib.contextmanager
def _heard() -> Iterator[list[str]]:
    """Collect what the package would only log: a credential plugin that fails.

    A handler keeps ``logging.error`` from setting the process's logging up.
    """
    said: list[str] = []
    thread = threading.get_ident()

    def keep(record: logging.LogRecord) -> bool:
        ours = record.thread == thread and Path(record.pathname).name == "kube_config.py"
        if ours:
            said.append(record.getMessage())
        return not ours

    root, quiet = logging.getLogger(), logging.NullHandler()
    root.addFilter(keep)
    root.addHandler(quiet)
    try:
        yield said
    finally:
        root.removeFilter(keep)
        root.removeHandler(quiet)


def _from_pod(config: Any, configuration: Any) -> str | None:
    loader = config.incluster_config.InClusterConfigLoader(
        token_filename=str(_SERVICE_ACCOUNT / "token"), cert_filename=str(_SERVICE_ACCOUNT / "ca.crt")
    )
    try:
        loader.load_and_set(configuration)
        return (_SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
    except (config.ConfigException, OSError) as error:
        raise KubeconfigError(
            f"there is no kubeconfig, and the pod's service account cannot be used: {error}",
            hint="set KUBECONFIG, or automountServiceAccountToken of the pod",
        ) from None


def _tls(configuration: Any, where: str) -> ssl.SSLContext:
    import certifi  # noqa: PLC0415

    try:
        context = ssl.create_default_context(cafile=configuration.ssl_ca_cert or certifi.where())
        if configuration.cert_file:
            context.load_cert_chain(configuration.cert_file, configuration.key_file)
    except OSError as error:  # ssl.SSLError is one
        raise KubeconfigError(
            f"{where}: a certificate or key cannot be used: {error.strerror or type(error).__name__}",
            hint="look at certificate-authority, client-certificate and client-key in the kubeconfig",
        ) from None
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
