"""What a promotion changes of a job that the repository has: its SQL, its plan, the state it can use."""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import SdpError
from sdp_kernel.flink.compiled import compiled_plan
from sdp_kernel.flink.functions import FILES
from sdp_kernel.flink.operator_graph import operator_graph
from sdp_kernel.flink.script import split
from sdp_kernel.promote import function_change
from sdp_kernel.promote.lints.text import options
from sdp_kernel.promote.module_block import merged
from sdp_kernel.promote.slice import setting_of
from sdp_kernel.repository import job as jobs
from sdp_kernel.repository import state
from sdp_kernel.repository.meaning import steps
from sdp_kernel.repository.planning import declared
from sdp_kernel.repository.state import Compatibility, Version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sdp_kernel.connection import KafkaCluster
    from sdp_kernel.flink.session import Session
    from sdp_kernel.repository.git import Repository

#: What says where a table reads; its offsets are of no use elsewhere.
_PLACE = ("connector", "topic", "topic-pattern", "path", "properties.bootstrap.servers")
_FOLDERS = re.compile(r"(?<=[',])[^',]*/")
_SHARED = ("sql/tables/", "sql/views/", "sql/functions/")


@dataclass(frozen=True)
class Part:
    """A statement of the script, or an operator of the plan: ``new``, ``gone``, ``changed`` or ``same``.

    ``diff`` has a line for each line that differs.
    """

    name: str
    status: str
    diff: str = ""


@dataclass(frozen=True)
class Change:
    """A job that exists, held against what it is to become.

    Attributes
    ----------
    base
        The commit compared with.
    own
        Whether it is this cell's own job: it was promoted from it, or pulled back into it.
    origin
        Where the committed version came from, in words.
    statements
        The script's, parameters and connections filled in.
    operators
        The plan's.
    state
        Whether the new version can go on from a savepoint of the old.
    """

    base: str
    own: bool
    origin: str
    statements: tuple[Part, ...]
    operators: tuple[Part, ...]
    state: Compatibility

    def covers(self, path: str, users: Sequence[str], job: str) -> bool:
        """Whether a changed file is this job's alone, so that changing it needs no ``--replace``."""
        return self.own and (not path.startswith(_SHARED) or list(users) == [job])

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "base": self.base,
            "own": self.own,
            "origin": self.origin,
            "statements": [dataclasses.asdict(part) for part in self.statements],
            "operators": [dataclasses.asdict(part) for part in self.operators],
            "state": {**dataclasses.asdict(self.state), "reason": self.state.reason},
        }


def change_of(
    repository: Repository,
    base: str,
    job: str,
    statements: Sequence[str],
    cell: Mapping[str, Any],
    *,
    session: Session,
    kafka: Mapping[str, KafkaCluster],
    functions: str | None = None,
    module_source: str = "",
    pulled: str | None = None,
    python: Mapping[str, str] | None = None,
) -> Change | None:
    """Compare what is to be promoted with the job of that name at a commit; None where there is none.

    Parameters
    ----------
    statements
        The new script's, filled in; the last one starts the job.
    cell
        The new receipt's ``cell``: the name and notebook promoted from.
    kafka, functions, module_source
        As :func:`sdp_kernel.repository.job.read` takes them.
    pulled
        :func:`fingerprint` of the job when it was pulled into the session.
    python
        The new functions' files, by their path in the repository.
    """
    if repository.read(base, f"{jobs.JOBS}/{job}.sql") is None:
        return None
    own, origin = _origin(repository, base, job, cell)
    own = own or (pulled is not None and pulled == fingerprint(repository, base, job))
    with tempfile.TemporaryDirectory(prefix="sdp-change-") as scratch:
        root = repository.export(base, Path(scratch))
        place = functions or str(root / "sql" / "functions")
        try:
            before = jobs.read(root, job, kafka=kafka, functions=place, module_source=module_source)
            old = [found.text for found in before.statements]
        except SdpError as error:
            why = f"the committed job cannot be read: {error.message}"
            return Change(base, own, origin, (), (), state.unknown(why))
        given = python or {}
        others = function_change.changes(
            old,
            statements,
            lambda path: repository.read(base, path),
            lambda path: given[path] if path in given else repository.read(base, path),
        )
        sql = tuple(_statements(*([_placeless(text) for text in texts] for texts in (old, statements))))
        if all(part.status == "same" for part in sql):
            same = Compatibility(state.SAME, state.SAVEPOINT)
            return Change(base, own, origin, sql, (), function_change.weighed(same, others, job))
        config = {"parallelism.default": str(before.arguments["parallelism"])}
        try:
            with ThreadPoolExecutor(1) as beside:
                was = beside.submit(version, session, old, config)
                after = version(session, statements, config)
                then = was.result()
            verdict = function_change.weighed(state.compare(then, after), others, job)
        except SdpError as error:
            verdict = function_change.weighed(state.unknown(error.message), others, job)
            return Change(base, own, origin, sql, (), verdict)
    plan = tuple(_operators(then.plan, after.plan))
    return Change(base, own, origin, sql, plan, verdict)


def adapted(
    contents: Mapping[str, str], repository: Repository, base: str, job: str, change: Change | None
) -> dict[str, str]:
    """Return the files to write, the job's Terraform file as the team has it: see ``module_block``."""
    path = f"{jobs.TERRAFORM}/{job}.tf"
    old = repository.read(base, path)
    if change is None or old is None or path not in contents:
        return dict(contents)
    runs_same = all(part.status == "same" for part in change.statements)
    state_now = None if runs_same or not change.statements else change.state
    return {**contents, path: merged(old, contents[path], state_now)}


def version(session: Session, statements: Sequence[str], config: Mapping[str, str]) -> Version:
    """Compile a script's last statement in a clean session, where the others have run.

    Raises
    ------
    SdpError
        A statement before the last would do more than declare, or does not run there; or there is no
        compiled plan, with the reason.
    """
    with declared(session, statements) as clean:
        plan = compiled_plan(clean, statements[-1], config=config)
        return Version(plan, operator_graph(clean, statements[-1], config=config), _places(statements))


def _places(statements: Sequence[str]) -> dict[str, str]:
    """Return where tables read, by name: their connector, and what it is told of the place."""
    found: dict[str, dict[str, str]] = {}
    for text in statements[:-1]:
        (statement, *_) = split(text)
        if statement.kind in {"CREATE TABLE", "ALTER TABLE"} and statement.target:
            told = {key: value for key, value in options(text) if key in _PLACE}
            found.setdefault(statement.target.rpartition(".")[2], {}).update(told)
    return {name: " ".join(told[key] for key in _PLACE if key in told) for name, told in found.items()}


def fingerprint(repository: Repository, commit: str, job: str) -> str:
    """Return what changes with the job's own files at a commit."""
    own = (f"{jobs.JOBS}/{job}.sql", f"{jobs.TERRAFORM}/{job}.tf")
    return json.dumps([repository.read(commit, path) for path in own])


def _origin(repository: Repository, base: str, job: str, cell: Mapping[str, Any]) -> tuple[bool, str]:
    """Say where the committed job came from, and whether from the cell that is promoted now."""
    text = repository.read(base, f"{jobs.JOBS}/{job}.receipt.json")
    try:
        known = json.loads(text or "")["cell"]
        name, notebook = known["name"], known["notebook"]
    except (ValueError, KeyError, TypeError):
        return False, "it has no receipt"
    words = f"cell {name}" if name else "a cell without a name"
    words += f" of {notebook}" if notebook else ""
    same = bool(name and notebook) and name == cell.get("name") and _alike(notebook, cell.get("notebook"))
    return same, words


def _alike(one: str, other: str | None) -> bool:
    """Whether two notebooks are the same, where one may be known by its file name alone."""
    if other is None or one == other:
        return one == other
    first, second = PurePosixPath(one), PurePosixPath(other)
    return first.name == second.name and (len(first.parts) == 1 or len(second.parts) == 1)


def _statements(old: Sequence[str], new: Sequence[str]) -> Iterator[Part]:
    """Pair statements of the same kind and name, in the new script's order; those gone come last."""
    before: dict[tuple[str, str], list[str]] = {}
    for text in old:
        before.setdefault(_key(text), []).append(text)
    for text in new:
        known = before.get(_key(text))
        was = known.pop(0) if known else None
        name = " ".join(filter(None, _key(text)))
        status = "new" if was is None else "same" if was == text else "changed"
        yield Part(name, status, "" if status == "same" else _diff(was or "", text))
    for key, texts in before.items():
        for text in texts:
            yield Part(" ".join(filter(None, key)), "gone", _diff(text, ""))


def _placeless(text: str) -> str:
    """Return a statement without where Python files lie: each place has its own."""
    (found, *_) = split(text)
    is_files = found.kind == "SET" and setting_of(text) == FILES
    return _FOLDERS.sub("", text) if is_files else text


def _key(text: str) -> tuple[str, str]:
    """Return what tells a statement from the others: a SET's option counts as its name."""
    (found, *_) = split(text)
    name = found.text.partition("=")[0].split(None, 1)[-1].strip() if found.kind == "SET" else found.target
    return ("job" if found.runs_job else found.kind), "" if found.runs_job else name or ""


def _operators(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Part]:
    """Pair operators in the plans' order; one in the place of another of the same name has changed."""
    before, after = steps(old), steps(new)
    matcher = difflib.SequenceMatcher(a=before, b=after, autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            yield from (Part(text.partition("(")[0], "same") for text in after[j1:j2])
            continue
        gone = list(before[i1:i2])
        for text in after[j1:j2]:
            name = text.partition("(")[0]
            was = next((one for one in gone if one.partition("(")[0] == name), None)
            if was is not None:
                gone.remove(was)
            yield Part(name, "new" if was is None else "changed", _diff(was or "", text))
        yield from (Part(text.partition("(")[0], "gone", _diff(text, "")) for text in gone)


def _diff(old: str, new: str) -> str:
    lines = difflib.ndiff(old.splitlines(), new.splitlines())
    return "\n".join(line.rstrip() for line in lines if line[:1] in "+- ")
