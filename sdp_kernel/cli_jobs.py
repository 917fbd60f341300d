"""``sdp jobs`` and ``sdp apply``: jobs on the Kubernetes of a profile."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sdp_kernel.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sdp_kernel.deploy.apply import Change
    from sdp_kernel.deploy.deployed import Deployed
    from sdp_kernel.deploy.figures import Figures
    from sdp_kernel.deploy.resources import DeployedJob
    from sdp_kernel.deploy.verdict import Verdict
    from sdp_kernel.workbench import Workbench

_Command = TypeVar("_Command", bound="Callable[..., Any]")
_COLUMNS = ("job", "state", "operator", "on", "parallelism", "lag", "checkpoints", "savepoint", "id")
_PROFILE = click.option("--profile", help="A profile with kubernetes; the only one otherwise.")


@contextmanager
def _workbench(profile: str | None) -> Iterator[Workbench]:
    from sdp_kernel import settings  # noqa: PLC0415
    from sdp_kernel.workbench import connect  # noqa: PLC0415

    if profile is None:
        known = sorted(name for name, found in settings.load().profiles.items() if found.kubernetes)
        if len(known) != 1:
            raise UsageError(
                "it is not clear which profile is meant",
                hint=f"--profile NAME; on Kubernetes are: {', '.join(known) or 'none'}",
            )
        (profile,) = known
    with connect(profile) as workbench:
        yield workbench


@click.group(invoke_without_command=True)
@_PROFILE
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def jobs(ctx: click.Context, profile: str | None, *, as_json: bool) -> None:
    """List the jobs on Kubernetes; or suspend, resume, restart, delete one, or take its savepoint.

    A star says that the operator has not seen the newest change yet.
    """
    if ctx.invoked_subcommand is not None:
        ctx.obj = profile
        return
    with _workbench(profile) as workbench:
        deployed = workbench.deployed
        found = deployed.jobs()
        figures = deployed.figures(found)
    if as_json:
        click.echo(json.dumps([_as_json(job, figures) for job in found], indent=2, ensure_ascii=False))
    else:
        _list(found, figures, deployed.kubernetes.namespace)
    for said in figures.notes:
        click.echo(said, err=True)


def _as_json(job: DeployedJob, figures: Figures) -> dict[str, Any]:
    vitals = figures.vitals.get(job.job_id)
    more = {} if vitals is None else {
        "lag": vitals.lag, "records_in": vitals.records_in, "records_out": vitals.records_out,
        "backpressure": vitals.backpressure, "checkpoints": vitals.checkpoints,
        "failed_checkpoints": vitals.failed_checkpoints, "restarts": vitals.restarts,
        "watermark": vitals.watermark,
    }  # fmt: skip
    return {**job.to_dict(), "figures": more or None}


def _list(found: list[DeployedJob], figures: Figures, namespace: str) -> None:
    if not found:
        click.echo(f"no jobs in the namespace {namespace}")
        return
    rows = [_COLUMNS, *(_row(job, figures) for job in found)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_COLUMNS))]
    for row, job in zip(rows, (None, *found), strict=True):
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
        if job is not None and job.error:
            click.echo(f"  {job.error}")


def _row(job: DeployedJob, figures: Figures) -> tuple[str, ...]:
    vitals = figures.vitals.get(job.job_id)
    operator = job.lifecycle or "not looked at"
    if job.lifecycle and not job.current:
        operator += "*"
    return (
        job.name, job.job_state or job.desired, operator,
        job.cluster, str(job.parallelism or "-"),
        "-" if vitals is None or vitals.lag is None else str(vitals.lag),
        "-" if vitals is None else str(vitals.checkpoints),
        job.savepoint or "-", job.job_id or "-",
    )  # fmt: skip


def _change(command: _Command) -> _Command:
    for option in (
        click.option("--wait", default=60.0, show_default=True, help="Seconds to wait for the operator."),
        click.option("--force", is_flag=True, help="Change what Terraform manages as well."),
        click.option("--yes", "confirm", is_flag=True, help="Confirm the change."),
        _PROFILE,
        click.argument("name"),
    ):
        command = option(command)
    return command


@contextmanager
def _deployed(profile: str | None) -> Iterator[Deployed]:
    context = click.get_current_context()
    with _workbench(profile or context.obj) as workbench:
        yield workbench.deployed


def _looked(job: DeployedJob) -> None:
    words = ", ".join(filter(None, [job.lifecycle, job.job_state])) or "waits for the operator"
    click.echo(f"{job.name}: {words}", err=True)


def _say(verdict: Verdict) -> None:
    click.echo(verdict.text)
    if not verdict.settled:
        click.get_current_context().exit(1)


@jobs.command()
@_change
def suspend(name: str, profile: str | None, **options: Any) -> None:
    """Stop a job as its upgrade mode says, so that it can go on later."""
    with _deployed(profile) as deployed:
        _say(deployed.suspend(name, on_look=_looked, **options))


@jobs.command()
@_change
def resume(name: str, profile: str | None, **options: Any) -> None:
    """Let a suspended job go on."""
    with _deployed(profile) as deployed:
        _say(deployed.resume(name, on_look=_looked, **options))


@jobs.command()
@_change
def restart(name: str, profile: str | None, **options: Any) -> None:
    """Restart a job as its upgrade mode says."""
    with _deployed(profile) as deployed:
        _say(deployed.restart(name, on_look=_looked, **options))


@jobs.command()
@_change
def delete(name: str, profile: str | None, **options: Any) -> None:
    """Delete a job; the operator ends it."""
    with _deployed(profile) as deployed:
        click.echo(deployed.delete(name, **options))


@jobs.command()
@click.argument("name")
@_PROFILE
@click.option(
    "--to", "directory", help="Where to write it, as the cluster sees it; the job's place otherwise."
)
@click.option("--yes", "confirm", is_flag=True, help="Confirm it.")
@click.option("--wait", default=300.0, show_default=True, help="Seconds to wait for it.")
def savepoint(name: str, profile: str | None, **options: Any) -> None:
    """Take a savepoint of a job that goes on; prints its path."""
    with _deployed(profile) as deployed:
        click.echo(deployed.savepoint(name, **options).path)


@click.command()
@click.argument("job")
@_PROFILE
@click.option("--dry-run", is_flag=True, help="Print what the server would change, and change nothing.")
@click.option("--yes", "confirm", is_flag=True, help="Confirm it; not needed for a dry run.")
@click.option("--force-conflicts", is_flag=True, help="Take fields over from another manager: Terraform.")
@click.option("--wait", default=60.0, show_default=True, help="Seconds to wait for the operator; 0: none.")
@click.option(
    "--repository", type=click.Path(path_type=Path), help="The team's; that of [promote] otherwise."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def apply(job: str, profile: str | None, *, as_json: bool, **options: Any) -> None:
    """Apply terraform/JOB.tf to a profile's namespace without Terraform, for development.

    Exits with 1 where the operator has not run the job in time.
    """

    def planned(change: Change) -> None:
        if not as_json and change.diff:
            click.echo(change.diff)

    with _workbench(profile) as workbench:
        applied = workbench.apply(job, on_plan=planned, on_look=None if as_json else _looked, **options)
    click.echo(json.dumps(applied.to_dict(), indent=2, ensure_ascii=False) if as_json else str(applied))
    if applied.verdict is not None and not applied.verdict.settled:
        click.get_current_context().exit(1)
