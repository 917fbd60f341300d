"""``python -m sdp_kernel.local.lock``: resolve the jars anew and write the lock file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from jgo.maven import MavenContext

from sdp_kernel.local.artifacts import LOCK_FILE, resolve

FLINK, KAFKA, APICURIO = "2.3.0", "4.3.1", "3.3.3"
#: Group → coordinates, each with whether its dependencies belong to it. Resolved one by one: as
#: inputs of one resolution, the versions that one POM manages would leak into the other's.
GROUPS: dict[str, dict[str, bool]] = {
    "gateway": {f"org.apache.flink:flink-sql-gateway:{FLINK}": False},
    "flink": {
        "org.apache.flink:flink-sql-connector-kafka:5.0.0-2.2": False,
        f"org.apache.flink:flink-sql-avro-confluent-registry:{FLINK}": False,
        "com.getindata:flink-http-connector:0.25.0": False,
    },
    "kafka": {
        f"org.apache.kafka:kafka_2.13:{KAFKA}": True,
        "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4": False,
    },
    # for tests and for looking: Flink's reporter for Prometheus, and Kafka Connect with Strimzi's exporter
    "metrics": {f"org.apache.flink:flink-metrics-prometheus:{FLINK}": False},
    # for tests: Parquet, whose writer needs Hadoop's classes, as the file system for S3 brings most of them
    "files": {
        f"org.apache.flink:flink-sql-parquet:{FLINK}": False,
        f"org.apache.flink:flink-s3-fs-hadoop:{FLINK}": False,
        "org.apache.hadoop:hadoop-mapreduce-client-core:3.3.4": False,
    },
    "connect": {
        f"org.apache.kafka:connect-runtime:{KAFKA}": True,
        f"org.apache.kafka:connect-json:{KAFKA}": True,
        f"org.apache.kafka:connect-file:{KAFKA}": False,
        "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4": False,
    },
    "jmx": {"io.prometheus.jmx:jmx_prometheus_javaagent:1.0.1": False},
    "flink-operator": {"org.apache.flink:flink-kubernetes-operator-api:1.10.0": False},
    "strimzi": {"io.strimzi:crd-generator:1.2.0": True, "io.strimzi:api:1.2.0": True},
    "registry": {f"io.apicurio:apicurio-registry-app:tar.gz:all:{APICURIO}": False},
}
_SCOPES = {None, "compile", "runtime"}


def coordinates(context: MavenContext, coordinate: str, *, transitive: bool) -> list[str]:
    """Return a coordinate, with those of its run-time dependencies if asked."""
    if not transitive:
        return [coordinate]
    inputs, others = context.resolver.resolve([context.create_dependency(coordinate)])
    artifacts: list[Any] = [d.artifact for d in [*inputs, *others] if d.scope in _SCOPES]
    return [f"{a.groupId}:{a.artifactId}:{a.version}" for a in artifacts]


def main() -> None:
    """Write the lock file."""
    context = MavenContext(timeout=60)
    groups: dict[str, list[dict[str, str | int]]] = {}
    for group, roots in GROUPS.items():
        groups[group] = []
        found = (c for r, deep in roots.items() for c in coordinates(context, r, transitive=deep))
        for coordinate in dict.fromkeys(found):
            content = Path(resolve(context, coordinate)).read_bytes()
            groups[group].append(
                {
                    "coordinate": coordinate,
                    "sha256": hashlib.sha256(content).hexdigest(),
                    "size": len(content),
                }
            )
    LOCK_FILE.write_text(json.dumps({"groups": groups}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
