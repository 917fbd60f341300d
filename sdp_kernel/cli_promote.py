"""``sdp verify``: whether committed jobs are still what their receipts prove."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sdp_kernel.cli_place import opened


@click.command()
@click.argument("jobs", nargs=-1)
@click.option("--profile", default="local", show_default=True, help="Whose Flink is asked for the plans.")
@click.option("--offline", is_flag=True, help="Only files, parameters and cells; no Flink.")
@click.option(
    "--repository", type=click.Path(path_type=Path), help="The team's; that of [promote] otherwise."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(
    jobs: tuple[str, ...], profile: str, *, offline: bool, repository: Path | None, as_json: bool
) -> None:
    """Check JOBS, or all, against their receipts. Exits with 1 where one is not what it was.

    A notebook's cell or a version of the cluster that has changed is a warning.
    """
    with opened(profile) as workbench:
        found = workbench.verify(*jobs, repository=repository, offline=offline)
    if as_json:
        click.echo(json.dumps([one.to_json() for one in found], indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(one.to_text() for one in found) or "there is no job to verify")
    if any(one.failed for one in found):
        click.get_current_context().exit(1)
