"""What a cluster has installed: versions of Flink and of the jars that jobs may use."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import SdpError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sdp_kernel.flink.session import Session

_JAR = re.compile(r"(?P<name>[A-Za-z][\w.-]*?)-(?P<version>\d[\w.]*(?:-[\w.]+)*)\.jar")
#: Jars of Flink's distribution, whose version is Flink's.
_FLINKS_OWN = re.compile(
    r"flink-(?:dist|scala|table-|cep|csv|json|python|connector-files|metrics-|sql-gateway|sql-client|examples|"
    r"state-|queryable-|shaded-|gelly|azure-|oss-|core|runtime)|log4j|slf4j|sdp-"
)


@dataclass(frozen=True)
class Installed:
    """Versions on a cluster.

    Attributes
    ----------
    gateway, jobmanager
        Flink's version on each; None where nobody answers.
    connectors
        Version by jar: connectors, formats, file systems and drivers on the class path; None where the
        JobManager does not tell, with the ``reason``.
    """

    gateway: str | None
    jobmanager: str | None
    connectors: Mapping[str, str] | None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return them as a receipt has them."""
        return {
            "flink": self.gateway,
            "jobmanager": self.jobmanager,
            "connectors": None if self.connectors is None else dict(self.connectors),
            "connectors_reason": self.reason,
        }


def installed(session: Session) -> Installed:
    """Ask gateway and JobManager, in three requests; what they do not tell is None."""
    gateway = _or_none(lambda: str(session.gateway.info()["version"]))
    manager = session.jobmanager
    if manager is None:
        return Installed(gateway, None, None, "the profile has no JobManager to ask")
    version = _or_none(lambda: str(manager.overview()["flink-version"]))
    try:
        found = jars(manager.class_path())
    except (SdpError, LookupError, TypeError) as error:
        said = error.message if isinstance(error, SdpError) else "its answer has no class path"
        return Installed(gateway, version, None, f"the JobManager does not tell its class path: {said}")
    return Installed(gateway, version, found)


def jars(class_path: Iterable[str]) -> dict[str, str]:
    """Return version by name of the jars on a class path that are not Flink's own distribution."""
    found: dict[str, str] = {}
    for entry in class_path:
        jar = _JAR.fullmatch(re.split(r"[/\\]", entry)[-1])
        if jar and not _FLINKS_OWN.match(jar["name"]):
            found[jar["name"]] = jar["version"]
    return dict(sorted(found.items()))


def _or_none(ask: Any) -> str | None:
    try:
        return str(ask())
    except (SdpError, LookupError, TypeError):
        return None
