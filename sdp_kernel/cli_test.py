"""``sdp test``: the tests that come with jobs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sdp_kernel.cli_place import notebook, opened, tell
from sdp_kernel.errors import SettingsError, UsageError

if TYPE_CHECKING:
    from sdp_kernel.repository.testing.report import Report

_FAILED, _WRONG = 1, 2


@click.command()
@click.argument("jobs", nargs=-1, metavar="[JOB[/CASE]]…")
@click.option("--update", is_flag=True, help="Write what the jobs give in place of what was expected.")
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), help="Write JUnit's XML there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--repository",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The team's; that of [promote] otherwise.",
)
def test(
    jobs: tuple[str, ...], junit: Path | None, *, repository: Path | None, update: bool, as_json: bool
) -> None:
    """Run the tests of jobs at once, on the embedded stack; of all jobs where none is named.

    Exits with 0 where all passed, with 1 where one did not, with 2 where there is no such job or test.
    """
    try:
        report = _run(jobs, repository, update=update)
    except (UsageError, SettingsError) as error:
        if notebook() is not None:
            raise
        click.echo(f"{type(error).__name__}: {error}", err=True)
        click.get_current_context().exit(_WRONG)
    if junit is not None:
        report.write_junit(junit)
    if as_json:
        from sdp_kernel.repository.testing.values import dumps  # noqa: PLC0415

        click.echo(dumps(report.to_json()))
    else:
        tell(report)
    if not report.passed:
        click.get_current_context().exit(_FAILED)


def _run(jobs: tuple[str, ...], repository: Path | None, *, update: bool) -> Report:
    said: list[str] = []

    def starting(step: object) -> None:
        """Say what the stack does while it starts, where it has to."""
        if str(step) not in said[-1:]:
            said.append(str(step))
            click.echo(said[-1], err=True)

    with opened("local", starting) as workbench:
        return workbench.test(jobs, repository=repository, update=update)
