"""``sdp clusters``: the Flink session clusters on Kubernetes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sdp_kernel.deploy.clusters import SessionCluster

_COLUMNS = ("namespace", "name", "flink", "state", "jobmanager", "task managers", "slots", "age")
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"))


@click.command()
@click.option("--profile", help="A profile with kubernetes; the only one otherwise.")
@click.option("--context", help="A context of the kubeconfig, in place of a profile.")
@click.option("--namespace", help="Its session clusters; those of the profile or context otherwise.")
@click.option("--all-namespaces", is_flag=True, help="The session clusters of all namespaces.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def clusters(
    profile: str | None, context: str | None, namespace: str | None, *, all_namespaces: bool, as_json: bool
) -> None:
    """List Flink session clusters on Kubernetes: FlinkDeployments without a job."""
    from sdp_kernel.workbench import clusters as list_clusters  # noqa: PLC0415

    if namespace is not None and all_namespaces:
        raise click.UsageError("--namespace and --all-namespaces exclude each other")
    found = list_clusters(profile, context=context, namespace=namespace, everywhere=all_namespaces)
    if as_json:
        click.echo(json.dumps([cluster.to_dict() for cluster in found], indent=2))
        return
    if not found:
        click.echo("no session clusters")
        return
    rows = [_COLUMNS, *map(_row, found)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_COLUMNS))]
    for row, cluster in zip(rows, (None, *found), strict=True):
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
        if cluster is not None and cluster.error:
            click.echo(f"  {cluster.error}")


def _row(cluster: SessionCluster) -> tuple[str, ...]:
    return (
        cluster.namespace, cluster.name, cluster.flink_version or "-", cluster.state or "-",
        cluster.jobmanager or "-", _count(cluster.task_managers), _count(cluster.slots), _age(cluster.age),
    )  # fmt: skip


def _count(number: int | None) -> str:
    return "-" if number is None else str(number)


def _age(seconds: float) -> str:
    unit = next(((size, name) for size, name in _UNITS if seconds >= size), (1, "s"))
    return f"{max(seconds, 0) // unit[0]:.0f}{unit[1]}"
