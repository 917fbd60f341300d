"""What a merge request shows: the evidence of its jobs, and what applying it would change.

Markdown, for a comment. Everything from receipts, file names and plans is escaped.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import RepositoryError, SdpError, UsageError
from sdp_kernel.flink.script import split
from sdp_kernel.repository import job as jobs
from sdp_kernel.repository.notation import untemplate
from sdp_kernel.repository.receipt import sha256

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

_FILE = re.compile(r'"\$\{path\.root\}/\.\./([^"]+)"')
_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+!|~@$&-])")
_ACTIONS = {("create",): "create", ("update",): "update", ("delete",): "delete"}


@dataclass(frozen=True)
class JobEvidence:
    """A job of the repository, and what its receipt says of it.

    Attributes
    ----------
    files
        The SQL files its module call lists, in the order they run.
    receipt
        ``sql/jobs/JOB.receipt.json``; None where there is none.
    problem
        Why the receipt does not prove what the files say; None where it does.
    """

    job: str
    files: tuple[str, ...]
    receipt: Mapping[str, Any] | None
    problem: str | None


@dataclass(frozen=True)
class Changes:
    """What applying a Terraform plan changes: ``(address, action)``, replacing is ``replace``."""

    resources: tuple[tuple[str, str], ...] = field(default=())

    def counts(self) -> dict[str, int]:
        """Return the numbers GitLab shows beside a merge request (its ``terraform`` report)."""
        made = [action for _, action in self.resources]
        replaced = made.count("replace")
        return {
            "create": made.count("create") + replaced,
            "update": made.count("update"),
            "delete": made.count("delete") + replaced,
        }


def evidence_of(root: Path, job: str) -> JobEvidence:
    """Read a job's files and receipt, and hold them against each other.

    Raises
    ------
    UsageError
        The repository has no such job.
    """
    module = root / "terraform" / f"{job}.tf"
    if not module.is_file():
        known = ", ".join(jobs.names(root)) or "none"
        raise UsageError(f"{root} has no job {job}: there is no terraform/{job}.tf", hint=f"jobs: {known}")
    try:
        files = tuple(_FILE.findall(module.read_text(encoding="utf-8")))
    except UnicodeDecodeError:
        return JobEvidence(job, (), None, f"terraform/{job}.tf is not UTF-8")
    path = root / "sql" / "jobs" / f"{job}.receipt.json"
    if not path.is_file():
        return JobEvidence(job, files, None, "it has no receipt: it was not promoted from a cell")
    try:
        receipt = json.loads(path.read_text(encoding="utf-8"))
        expected = list(receipt["statements"])
    except (ValueError, KeyError, TypeError):
        return JobEvidence(job, files, None, "its receipt cannot be read")
    missing = [file for file in files if not (root / file).is_file()]
    if missing:
        return JobEvidence(job, files, receipt, f"{', '.join(missing)} is not there")
    texts = {file: _text(root / file) for file in files}
    spoilt = [file for file, text in texts.items() if text is None]
    if spoilt:
        return JobEvidence(job, files, receipt, f"{', '.join(spoilt)} is not UTF-8")
    try:
        found = split("\n".join(untemplate(text or "") for text in texts.values()))
    except SdpError as error:
        return JobEvidence(job, files, receipt, f"its SQL cannot be read: {error.message}")
    actual = [sha256(statement.text) for statement in found]
    changed = None if actual == expected else "its SQL was changed after it was promoted"
    return JobEvidence(job, files, receipt, changed)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def changed_jobs(root: Path, since: str) -> tuple[str, ...]:
    """Return the jobs that a file changed since a commit belongs to.

    Raises
    ------
    RepositoryError
        Git does not know the commit.
    """
    done = subprocess.run(
        ["git", "diff", "--name-only", "-z", f"{since}...HEAD", "--"],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RepositoryError(
            f"git cannot compare with {since!r}: {done.stderr.strip()}",
            hint="fetch the whole history: GIT_DEPTH is 0",
        )
    changed = set(filter(None, done.stdout.split("\0")))
    names = []
    for job in jobs.names(root):
        own = {f"terraform/{job}.tf", f"sql/jobs/{job}.receipt.json", *evidence_of(root, job).files}
        if own & changed:
            names.append(job)
    return tuple(names)


def changes_of(plan: Mapping[str, Any]) -> Changes:
    """Return what a plan changes, of ``terraform show -json``.

    Raises
    ------
    UsageError
        It is no such JSON.
    """
    try:
        found = [
            (str(change["address"]), _ACTIONS.get(tuple(change["change"]["actions"]), "replace"))
            for change in plan.get("resource_changes", [])
            if change["change"]["actions"] not in (["no-op"], ["read"])
        ]
    except (AttributeError, KeyError, TypeError):
        raise UsageError(
            "that is not a Terraform plan as JSON", hint="make one with: terraform show -json PLAN"
        ) from None
    return Changes(tuple(found))


def markdown(evidence: Sequence[JobEvidence], changes: Changes | None, *, environment: str = "") -> str:
    """Write the comment."""
    title = f"Jobs in {_plain(environment)}" if environment else "Jobs"
    lines = [f"### {title}", ""]
    if not evidence:
        lines += ["There is no job to report on.", ""]
    for found in evidence:
        lines += _job(found)
    if changes is not None:
        lines += _plan(changes)
    return "\n".join(lines).rstrip() + "\n"


def _job(found: JobEvidence) -> list[str]:
    lines = [f"#### {_plain(found.job)}", ""]
    if found.problem:
        lines += [f":warning: **Not proven**: {_plain(found.problem)}", ""]
    if found.receipt is None:
        return lines
    rows = [f"| {name} | {_plain(value)} |" for name, value in facts(found.receipt)]
    lines += ["| | |", "|---|---|", *rows, ""]
    for finding in found.receipt.get("findings") or []:
        text = f"{finding.get('code', '')} {finding.get('message', '')}".strip()
        lines += [f"- {_plain(finding.get('severity', 'finding'))}: {_plain(text)}"]
    return [*lines, ""] if found.receipt.get("findings") else lines


def facts(receipt: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a receipt says, in words, by what it is about; what it does not know is left out."""
    cell, run, versions = (receipt.get(key) or {} for key in ("cell", "run", "versions"))
    where = [f"cell {cell['name']}" if cell.get("name") else "a cell", cell.get("notebook")]
    ran = [run.get("started"), f"for {run['seconds']:.1f} s" if run.get("seconds") is not None else None]
    seen = [f"{run[key]:,} {key}" for key in ("rows", "changes") if isinstance(run.get(key), int)]
    records = (
        [f"{run['records']:,} records, when it was last measured"] if run.get("records") is not None else []
    )
    plan = receipt.get("plan") or {}
    found = [
        ("promoted from", ", ".join(filter(None, where))),
        ("ran", " ".join(filter(None, [*ran, f"({run.get('state')})" if run.get("state") else None]))),
        ("read", "; ".join([*(_read(read) for read in run.get("reads") or []), *records])),
        ("seen", ", ".join(seen)),
        ("columns", ", ".join(f"{c.get('name')} {c.get('type')}" for c in run.get("columns") or [])),
        ("values", "; ".join(_column(c) for c in (run.get("statistics") or {}).get("columns") or [])),
        ("parameters", ", ".join(f"{k} = {v}" for k, v in (receipt.get("parameters") or {}).items())),
        ("plan", _compiled(plan) if "compiled" in plan else ""),
        ("with", ", ".join(_versions(versions))),
    ]
    return [(name, said) for name, said in found if said]


def _read(read: Mapping[str, Any]) -> str:
    table = str(read.get("table"))
    if not isinstance(read.get("offsets"), int):
        return f"{table}: not known, {read.get('reason')}"
    amount = f"{'' if read.get('exact') else 'up to '}{read['offsets']:,} offsets"
    count = len(read.get("partitions") or ())
    return f"{table}: {amount} of {count} partition{'s' * (count != 1)}"


def _column(column: Mapping[str, Any]) -> str:
    low, high = column.get("min"), column.get("max")
    said = ["" if low is None else f"{low}" if low == high else f"{low} to {high}"]
    said += [f"{column['distinct']:,} distinct" if isinstance(column.get("distinct"), int) else ""]
    said += [f"{column['nulls']:,} null" if column.get("nulls") else ""]
    words = ", ".join(filter(None, said)) or column.get("reason") or "no null"
    return f"{column.get('name')}: {words}"


def _compiled(plan: Mapping[str, Any]) -> str:
    compiled = plan.get("compiled")
    return f"{compiled['file']}, sha256 {compiled['sha256'][:12]}" if compiled else str(plan.get("reason"))


def _versions(versions: Mapping[str, Any]) -> Iterable[str]:
    for name, version in versions.items():
        if name == "connectors":
            yield from (f"{jar} {its}" for jar, its in (version or {}).items())
        elif name == "jobmanager":
            if version and version != versions.get("flink"):
                yield f"{name} {version}"
        elif version and not name.endswith("_reason"):
            yield f"{name} {version}"


def _plan(changes: Changes) -> list[str]:
    counts = changes.counts()
    total = f"{counts['create']} to add, {counts['update']} to change, {counts['delete']} to destroy"
    lines = [f"**Plan**: {total}", ""]
    if changes.resources:
        rows = [f"| {_plain(address)} | {action} |" for address, action in changes.resources]
        lines += ["| resource | action |", "|---|---|", *rows, ""]
    return lines


def _plain(text: object) -> str:
    """Escape text for Markdown: no markup, link, mention or table cell comes of it."""
    return _MARKUP.sub(lambda match: f"&#{ord(match.group())};", " ".join(str(text).split()))
