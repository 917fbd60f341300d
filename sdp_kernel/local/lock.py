"""``python -m sdp_kernel.local.lock``: resolve the jars anew and write the lock file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from jgo.maven import MavenContext

from sdp_kernel.local.artifacts import LOCK_FILE

FLINK, KAFKA = "2.3.0", "4.3.1"
#: Group → coordinates, each with whether its dependencies belong to it. Resolved one by one: as
#: inputs of one resolution, the versions that one POM manages would leak into the other's.
GROUPS: dict[str, dict[str, bool]] = {
    "gateway": {f"org.apache.flink:flink-sql-gateway:{FLINK}": False},
    "flink": {"org.apache.flink:flink-sql-connector-kafka:5.0.0-2.2": False},
    "kafka": {
        f"org.apache.kafka:kafka_2.13:{KAFKA}": True,
        "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4": False,
    },
}
_SCOPES = {None, "compile", "runtime"}


def resolve(context: MavenContext, coordinate: str, *, transitive: bool) -> list[Any]:
    """Return the artifact of a coordinate, with its run-time dependencies if asked."""
    dependency = context.create_dependency(coordinate)
    if not transitive:
        return [dependency.artifact]
    inputs, others = context.resolver.resolve([dependency])
    return [d.artifact for d in [*inputs, *others] if d.scope in _SCOPES]


def main() -> None:
    """Write the lock file."""
    context = MavenContext(timeout=60)
    groups: dict[str, list[dict[str, str | int]]] = {}
    for group, coordinates in GROUPS.items():
        groups[group] = []
        artifacts = [a for c, deep in coordinates.items() for a in resolve(context, c, transitive=deep)]
        for artifact in artifacts:
            content = Path(artifact.resolve()).read_bytes()
            groups[group].append(
                {
                    "coordinate": f"{artifact.groupId}:{artifact.artifactId}:{artifact.version}",
                    "sha256": hashlib.sha256(content).hexdigest(),
                    "size": len(content),
                }
            )
    LOCK_FILE.write_text(json.dumps({"groups": groups}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
