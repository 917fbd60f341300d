"""The commands of a team repository's pipeline: ``sdp pipeline`` and ``sdp report``."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from sdp_kernel import settings
from sdp_kernel.errors import UsageError


@click.command()
@click.option("--diff", is_flag=True, help="Print what would be written, and write nothing.")
@click.option("--force", is_flag=True, help="Write over files with other content.")
def pipeline(*, diff: bool, force: bool) -> None:
    """Write the GitLab pipeline and its Terraform root; an environment is a profile with Kubernetes."""
    from sdp_kernel.repository.pipeline import pipeline_files, write  # noqa: PLC0415

    loaded = settings.load()
    files = pipeline_files(loaded, loaded.root)
    if diff:
        for file in files:
            click.echo(file.diff or f"{file.path}: the same")
        return
    written = write(files, loaded.root, force=force)
    for path in written:
        click.echo(f"wrote {path}")
    if not written:
        click.echo("everything is as it would be written")


@click.command()
@click.argument("jobs", nargs=-1)
@click.option("--since", default="", metavar="COMMIT", help="Only jobs changed since; all of them otherwise.")
@click.option("--environment", default="", help="Named in the title, and one comment each.")
@click.option("--plan", type=click.Path(exists=True, path_type=Path), help="Of terraform show -json.")
@click.option("--output", type=click.Path(path_type=Path), help="A file for the report, in Markdown.")
@click.option("--counts", type=click.Path(path_type=Path), help="A file for GitLab's terraform report.")
@click.option("--comment", "post", is_flag=True, help="Write it into the merge request as well.")
@click.option("--check", is_flag=True, help="Exit with 1 where a job is not proven by its receipt.")
def report(
    jobs: tuple[str, ...],
    since: str,
    environment: str,
    plan: Path | None,
    output: Path | None,
    counts: Path | None,
    *,
    post: bool,
    check: bool,
) -> None:
    """Show the evidence of JOBS, and what a Terraform plan changes."""
    from sdp_kernel.repository import gitlab, job  # noqa: PLC0415
    from sdp_kernel.repository import report as reports  # noqa: PLC0415

    root = settings.load().root
    names = jobs or (reports.changed_jobs(root, since) if since else job.names(root))
    evidence = [reports.evidence_of(root, name) for name in names]
    changes = reports.changes_of(_plan(plan)) if plan else None
    text = reports.markdown(evidence, changes, environment=environment)
    click.echo(text, nl=False)
    if output is not None:
        output.write_text(text, encoding="utf-8")
    if counts is not None and changes is not None:
        counts.write_text(json.dumps(changes.counts()), encoding="utf-8")
    if post:
        reason = gitlab.comment(text, environment=environment, variables=os.environ)
        click.echo(f"not written as a comment: {reason}" if reason else "written as a comment", err=True)
    unproven = [found for found in evidence if found.problem]
    if check and unproven:
        raise UsageError(
            "; ".join(f"{found.job}: {found.problem}" for found in unproven),
            hint="run the cell and promote it again, so that its receipt says what the files do",
        )


def _plan(path: Path) -> dict[str, object]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        raise UsageError(f"{path} is no JSON", hint="make it with: terraform show -json PLAN") from None
