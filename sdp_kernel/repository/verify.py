"""Whether committed jobs are still what their receipts prove: files, parameters, cell, plan, versions.

Files are held against hashes. The plan is asked of Flink once more, from the repository alone.
"""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sdp_kernel.connection import KafkaCluster
from sdp_kernel.errors import SdpError
from sdp_kernel.flink.ledger import text_hash
from sdp_kernel.repository import job as jobs
from sdp_kernel.repository import receipt as receipts
from sdp_kernel.repository.git import Repository
from sdp_kernel.repository.notebooks import cell_bodies
from sdp_kernel.repository.report import evidence_of
from sdp_kernel.repository.versions import version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from sdp_kernel.flink.installed import Installed
    from sdp_kernel.repository.versions import Place

OK, WARNING, FAILED, SKIPPED = "ok", "warning", "failed", "skipped"
_ALIAS = re.compile(r"(?<!\$)\$\{(?:kafka|registry)\.(\w+)\}")
_SHOWN = 40


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: ``state`` is ok, warning, failed or skipped; ``detail`` a diff."""

    name: str
    state: str
    message: str
    detail: str = ""


@dataclass(frozen=True)
class Verification:
    """What was found of one job."""

    job: str
    checks: tuple[Check, ...]

    @property
    def failed(self) -> bool:
        """Whether the job is not what its receipt proves."""
        return any(check.state == FAILED for check in self.checks)

    def to_text(self) -> str:
        """Say it in plain text."""
        lines = [f"{self.job}: {'NOT VERIFIED' if self.failed else 'verified'}"]
        for check in self.checks:
            lines.append(f"  {check.state:<8} {check.name:<14} {check.message}")
            lines += [f"           {line}" for line in check.detail.splitlines()]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"job": self.job, "verified": not self.failed, "checks": [asdict(c) for c in self.checks]}


@dataclass(frozen=True)
class Flink:
    """What is asked of a session cluster.

    Attributes
    ----------
    place
        What the job's module call is filled in with.
    prove
        Runs a script's statements in a clean session, and returns the text of the last one's plan, the
        compiled plan, and why there is none.
    installed
        What the cluster has.
    """

    place: Place
    prove: Callable[[tuple[str, ...]], tuple[str, Mapping[str, Any] | None, str | None]]
    installed: Installed


def verify(root: Path, job: str, flink: Flink | None = None, *, module_source: str = "") -> Verification:
    """Check a job against its receipt.

    Parameters
    ----------
    root
        The repository's top, as it is checked out.
    flink
        None to leave out what takes a cluster.
    module_source
        As in ``[promote]``.

    Raises
    ------
    UsageError
        There is no such job.
    """
    jobs.check_known(root, job)
    receipt, fault = _read(root, job)
    if receipt is None:
        return Verification(job, (Check("receipt", FAILED, fault),))
    checks = [
        Check("receipt", OK, f"as its schema, version {receipts.VERSION}, says"),
        *_files(root, job, receipt),
        _statements(root, job),
        _parameters(root, job, receipt, module_source),
        *_cells(root, receipt),
        *(_on_flink(root, job, receipt, flink) if flink else _left_out()),
    ]
    return Verification(job, tuple(checks))


def _read(root: Path, job: str) -> tuple[dict[str, Any] | None, str]:
    path = root / receipts.path_of(job)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None, "it has none: it was not promoted from a cell"
    except (OSError, ValueError):
        return None, f"{receipts.path_of(job)} cannot be read as JSON"
    if faults := receipts.faults(found):
        return None, f"{'; '.join(faults)}; promote the cell again"
    if found["job"] != job:
        return None, f"it is of the job {found['job']}"
    return found, ""


def _files(root: Path, job: str, receipt: Mapping[str, Any]) -> Iterator[Check]:
    """Hold the files against their hashes; what is Terraform's is the operators' to change."""
    changed = {path: _changed(root, path, expected) for path, expected in receipt["files"].items()}
    wrong = [f"{path} {what}" for path, what in changed.items() if what and not _theirs(path)]
    theirs = [f"{path} {what}" for path, what in changed.items() if what and _theirs(path)]
    more = [
        f"{path} runs too, and the receipt does not know it"
        for path in evidence_of(root, job).files
        if path not in receipt["files"]
    ]
    if wrong or more:
        yield Check("files", FAILED, "; ".join([*wrong, *more]))
    else:
        yield Check("files", OK, f"{len(changed) - len(theirs)} as they were promoted")
    if theirs:
        yield Check("terraform", WARNING, "; ".join(theirs))


def _theirs(path: str) -> bool:
    return path.startswith(f"{jobs.TERRAFORM}/")


def _changed(root: Path, path: str, expected: str) -> str:
    try:
        if not (root / path).resolve().is_relative_to(root.resolve()):
            return "is outside the repository"
        text = (root / path).read_bytes().decode("utf-8").replace("\r\n", "\n")
    except FileNotFoundError:
        return "is not there"
    except (OSError, UnicodeDecodeError):
        return "cannot be read"
    return "" if receipts.sha256(text) == expected else "was changed after it was promoted"


def _statements(root: Path, job: str) -> Check:
    found = evidence_of(root, job)
    if found.problem:
        return Check("statements", FAILED, found.problem)
    return Check("statements", OK, f"{len((found.receipt or {})['statements'])} as they were promoted")


def _parameters(root: Path, job: str, receipt: Mapping[str, Any], module_source: str) -> Check:
    """Hold the module's ``args`` against the values that the query ran with; connections do not matter."""
    texts = [
        (root / file).read_text(encoding="utf-8", errors="replace")
        for file in evidence_of(root, job).files
        if (root / file).is_file()
    ]
    aliases = {alias for text in texts for alias in _ALIAS.findall(text)}
    stand_in = {"bootstrap.servers": "localhost:9092", "schema.registry.url": "http://localhost:8081"}
    try:
        read = jobs.read(
            root, job, kafka={alias: KafkaCluster(alias, stand_in) for alias in aliases},
            functions="functions", module_source=module_source,
        )  # fmt: skip
    except SdpError as error:
        return Check("parameters", FAILED, f"terraform/{job}.tf cannot be read: {error.message}")
    now, then = dict(read.arguments["args"]), receipt["parameters"]
    differ = [
        f"{name} was {_short(then.get(name))} and is {_short(now.get(name))}"
        for name in sorted(now.keys() | then.keys())
        if now.get(name) != then.get(name)
    ]
    if differ:
        return Check("parameters", FAILED, "; ".join(differ))
    return Check("parameters", OK, f"{len(then)} as the query ran with" if then else "there are none")


def _short(value: object) -> str:
    return "not there" if value is None else repr(str(value)[:_SHOWN])


def _cells(root: Path, receipt: Mapping[str, Any]) -> Iterator[Check]:
    for cell in receipt.get("cells") or [receipt["cell"]]:
        name, notebook = cell["name"], cell["notebook"]
        if name is None or notebook is None:
            yield Check("cell", SKIPPED, "the receipt names no cell of a notebook")
            continue
        bodies = cell_bodies(root / notebook, name)
        called = f"the cell {name} of {notebook}"
        if bodies is None:
            yield Check("cell", SKIPPED, f"{notebook} is not in the repository, or cannot be read")
        elif len(bodies) != 1:
            yield Check("cell", WARNING, f"{notebook} has {len(bodies) or 'no'} cells {name}")
        elif text_hash(bodies[0]) != cell["sha256"]:
            yield Check("cell", WARNING, f"{called} was edited after it was promoted")
        else:
            yield Check("cell", OK, f"{called} is as it was promoted")


def _left_out() -> list[Check]:
    return [Check(name, SKIPPED, "left out: --offline") for name in ("versions", "plan", "compiled plan")]


def _on_flink(root: Path, job: str, receipt: Mapping[str, Any], flink: Flink) -> Iterator[Check]:
    versions = _versions(receipt["versions"], flink.installed)
    yield versions
    try:
        with version(Repository(root), job, None, flink.place) as found:
            statements = tuple(statement.text for statement in found.job.statements)
            text, compiled, reason = flink.prove(statements)
    except SdpError as error:
        yield Check("plan", FAILED, f"the job does not run from the repository alone: {error.message}")
        return
    plan = receipt["plan"]
    elsewhere = "; the cluster has other versions than it ran on" if versions.state == WARNING else ""
    if receipts.sha256(text) == plan["sha256"]:
        yield Check("plan", OK, f"Flink plans it as it did then ({plan['of']})")
    else:
        yield Check("plan", FAILED, f"Flink plans it in another way than then ({plan['of']}){elsewhere}")
    yield _compiled(root, plan, compiled, reason, elsewhere)


def _compiled(
    root: Path, plan: Mapping[str, Any], now: Mapping[str, Any] | None, reason: str | None, elsewhere: str
) -> Check:
    then = plan["compiled"]
    if then is None:
        return Check("compiled plan", SKIPPED, f"the receipt has none: {plan['reason']}")
    if now is None:
        return Check("compiled plan", SKIPPED, str(reason))
    text = receipts.plan_text(now)
    if receipts.sha256(text) == then["sha256"]:
        return Check("compiled plan", OK, f"{len(now['nodes'])} operators, as they were")
    diff = ""
    if not _changed(root, then["file"], then["sha256"]):
        before = (root / then["file"]).read_text(encoding="utf-8")
        diff = _diff(before.splitlines(), text.splitlines(), then["file"])
    return Check("compiled plan", FAILED, f"Flink compiles another plan than then{elsewhere}", diff)


def _diff(before: Sequence[str], now: Sequence[str], file: str) -> str:
    lines = list(difflib.unified_diff(before, now, f"then/{file}", f"now/{file}", lineterm="", n=1))
    more = [f"… and {len(lines) - _SHOWN} lines more"] if len(lines) > _SHOWN else []
    return "\n".join([*lines[:_SHOWN], *more])


def _versions(then: Mapping[str, Any], now: Installed) -> Check:
    """Compare what both sides know."""
    pairs = [
        ("Flink's gateway", then["flink"], now.gateway),
        ("Flink's cluster", then["jobmanager"], now.jobmanager),
    ]
    if then["connectors"] is not None and now.connectors is not None:
        names = sorted(then["connectors"].keys() | now.connectors.keys())
        pairs += [
            (name, then["connectors"].get(name, "none"), now.connectors.get(name, "none")) for name in names
        ]
    known = [(name, was, is_) for name, was, is_ in pairs if was is not None and is_ is not None]
    if not known:
        return Check("versions", SKIPPED, now.reason or then["connectors_reason"] or "nobody tells them")
    differ = [f"{name} {was} then, {is_} now" for name, was, is_ in known if was != is_]
    if differ:
        return Check("versions", WARNING, "; ".join(differ))
    return Check("versions", OK, f"{len(known)} as it ran on")
