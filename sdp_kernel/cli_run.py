"""``sdp shadow``, ``run``, ``stop`` and ``rollback``: the repository's jobs on a session cluster."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sdp_kernel.cli_place import opened, say, tell

if TYPE_CHECKING:
    from collections.abc import Callable

_Command = TypeVar("_Command", bound="Callable[..., Any]")


def _common(command: _Command) -> _Command:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option("--yes", "confirm", is_flag=True, help="Confirm it; the embedded stack needs no word."),
        click.option("--profile", default="local", show_default=True, help="A profile of sdp.toml."),
        click.argument("job"),
    ):
        command = option(command)
    return command


_REPOSITORY = click.option(
    "--repository", type=click.Path(path_type=Path), help="The team's; that of [promote] otherwise."
)
_SAVEPOINTS = click.option(
    "--to",
    "directory",
    metavar="DIR",
    help="Where savepoints go, as the cluster sees it; its own place else.",
)
_OLD = click.option("--old", metavar="REV", help="The version that runs, where it was not started from here.")


@click.command()
@_common
@click.option("--old", metavar="REV", help="The old version; HEAD otherwise.")
@click.option("--new", metavar="REV", help="The new one; the job's branch or the work tree otherwise.")
@click.option("--from", "since", metavar="TIME", help="Read from then on: 1h, 2026-01-05T09:00.")
@click.option("--records", default=10_000, show_default=True, help="Or the newest of each topic.")
@click.option("--timeout", default=600.0, show_default=True, help="Seconds both have to come to the end.")
@click.option("--rows", "shown", default=10, show_default=True, help="Rows to show of each difference.")
@click.option("--html", type=click.Path(path_type=Path), help="A file for the report as HTML.")
@click.option("--check", is_flag=True, help="Exit with 1 where the final tables differ.")
@_REPOSITORY
def shadow(
    job: str,
    profile: str,
    html: Path | None,
    *,
    as_json: bool,
    check: bool,
    **options: Any,
) -> None:
    """Run a new version of JOB beside the old on the same offsets, and compare what they write.

    Both write to throw-away topics; nothing of the job that runs is touched.
    """
    with opened(profile) as workbench:
        found = workbench.shadow(job, say=say, **options)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    else:
        tell(found)
    if html is not None:
        html.write_text(found.to_html(), encoding="utf-8")
    if check and found.differs:
        click.get_current_context().exit(1)


@click.command()
@_common
@click.option("--rev", "revision", metavar="REV", help="The job's unmerged branch, or HEAD, otherwise.")
@click.option("--upgrade", is_flag=True, help="Put it in the place of the one that runs, with its state.")
@click.option("--savepoint", metavar="PATH|JOB", help="Where its state is; a running job is stopped for it.")
@click.option("--allow-non-restored-state", is_flag=True, help="Leave out state that has no place in it.")
@click.option("--status", is_flag=True, help="Only say how the one that runs does.")
@_OLD
@_SAVEPOINTS
@_REPOSITORY
def run(job: str, profile: str, *, as_json: bool, status: bool, **options: Any) -> None:
    """Start a committed JOB on the session cluster, or upgrade the one that runs."""
    with opened(profile) as workbench:
        if status:
            found = workbench.job_status(job)
            if as_json:
                click.echo(json.dumps(None if found is None else dataclasses.asdict(found), indent=2))
            else:
                click.echo(str(found) if found else f"no job {job} runs on the session cluster")
            return
        started = workbench.run_job(job, say=say, **options)
    click.echo(json.dumps(dataclasses.asdict(started), indent=2) if as_json else str(started))


@click.command()
@_common
@click.option("--savepoint", "directory", metavar="DIR", help="Where to write it; the cluster's place else.")
def stop(job: str, profile: str, *, as_json: bool, **options: Any) -> None:
    """Stop JOB on the session cluster with a savepoint; prints the savepoint's path."""
    with opened(profile) as workbench:
        path = workbench.stop_job(job, say=say, **options)
    click.echo(json.dumps({"job": job, "savepoint": path}) if as_json else path)


@click.command()
@_common
@click.option("--run", is_flag=True, help="Put it in the place of the one that runs, with its state.")
@click.option("--diff", is_flag=True, help="Print what would be committed, and commit nothing.")
@_OLD
@_SAVEPOINTS
@_REPOSITORY
def rollback(job: str, profile: str, *, as_json: bool, diff: bool, **options: Any) -> None:
    """Commit JOB as it was before its last change, on the job's branch."""
    with opened(profile) as workbench:
        if diff:
            click.echo(workbench.plan_rollback(job, repository=options["repository"]).to_text())
            return
        commit, started = workbench.rollback(job, say=say, **options)
    done = {"job": job, "commit": commit, "started": None if started is None else dataclasses.asdict(started)}
    if as_json:
        click.echo(json.dumps(done, indent=2))
        return
    click.echo(f"{job} is rolled back by {commit[:8]}")
    if started is not None:
        click.echo(str(started))
