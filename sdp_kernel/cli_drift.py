"""``sdp drift``: jobs in their cells, in the repository and on the cluster, held against each other."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sdp_kernel.cli_place import opened, tell


@click.command()
@click.argument("jobs", nargs=-1)
@click.option("--profile", default="local", show_default=True, help="Whose cluster is looked at.")
@click.option(
    "--repository", type=click.Path(path_type=Path), help="The team's; that of [promote] otherwise."
)
@click.option("--check", is_flag=True, help="Exit with 1 where a job has drifted.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--html", "as_html", is_flag=True, help="Print HTML.")
def drift(
    jobs: tuple[str, ...],
    profile: str,
    *,
    repository: Path | None,
    check: bool,
    as_json: bool,
    as_html: bool,
) -> None:
    """Compare jobs three ways: notebook cell, repository as checked out, cluster. Changes nothing."""
    with opened(profile) as workbench:
        found = workbench.drift(*jobs, repository=repository)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    elif as_html:
        click.echo(found.to_html())
    else:
        tell(found)
    if check and found.drifted:
        click.get_current_context().exit(1)
