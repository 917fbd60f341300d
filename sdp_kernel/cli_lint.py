"""``sdp lint``: what is found in committed jobs by their text."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from sdp_kernel.cli_place import loaded
from sdp_kernel.lint_rules import RULES


@click.command()
@click.argument("jobs", nargs=-1)
@click.option("--list", "listed", is_flag=True, help="List all codes, and look at no job.")
@click.option(
    "--repository", type=click.Path(path_type=Path), help="The team's; that of [promote] otherwise."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def lint(jobs: tuple[str, ...], repository: Path | None, *, listed: bool, as_json: bool) -> None:
    """Look over JOBS, or all, by their text. Exits with 1 where a finding is an error.

    A job that cannot be read is an error too. What only a plan or a run shows is found by %promote.
    """
    if listed:
        click.echo(_rules(as_json=as_json))
        return
    from sdp_kernel.promote.lints.committed import look_over  # noqa: PLC0415

    ours = loaded()
    found = look_over(ours.repository(repository), jobs, ours)
    if as_json:
        told = {job: [dataclasses.asdict(one) for one in findings] for job, findings in found.items()}
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        lines = [
            " ".join(filter(None, [f"{job}: {one.severity}", one.code, one.message, "—", one.fix]))
            for job, findings in found.items()
            for one in findings
        ]
        click.echo("\n".join(lines) or f"nothing found in {len(found)} job{'s' * (len(found) != 1)}")
    if any(one.blocks for findings in found.values() for one in findings):
        click.get_current_context().exit(1)


def _rules(*, as_json: bool) -> str:
    if as_json:
        return json.dumps([dataclasses.asdict(rule) for rule in RULES.values()], indent=2)
    lines = []
    for rule in RULES.values():
        notes = f"{rule.severity:<8} {'--fix' if rule.fixable else '':<5}"
        lines.append(f"{rule.code} {notes} {rule.title}: {rule.reason}")
    return "\n".join(lines)
