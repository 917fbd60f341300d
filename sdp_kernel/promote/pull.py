"""A committed job back into a session: its declarations run, its query is a cell's text again."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sdp_kernel.errors import PromoteError, UsageError
from sdp_kernel.flink import parameters
from sdp_kernel.flink.functions import FILES
from sdp_kernel.flink.script import split
from sdp_kernel.promote.functions import FOLDER
from sdp_kernel.promote.lints.text import options
from sdp_kernel.promote.slice import in_force, setting_of
from sdp_kernel.repository.guard import check_planned
from sdp_kernel.repository.notation import untemplate
from sdp_kernel.repository.notebooks import query_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from sdp_kernel.flink.functions import Functions
    from sdp_kernel.flink.script import Statement
    from sdp_kernel.flink.session import Session
    from sdp_kernel.repository.job import CommittedJob

_MODULE = re.compile(r"'(udf_\w+)\.\w+'\s+LANGUAGE\s+PYTHON", re.IGNORECASE)
#: A table as promotions declare it for a SELECT's output.
_MADE = re.compile(
    r"CREATE TABLE `(?:[^`]|``)+` \(\n(?:  `.*\n)+(?:  PRIMARY KEY \((?P<key>.*)\) NOT ENFORCED\n)?"
    r"\) WITH \(\n"
    r"  'connector' = '(?:upsert-)?kafka',\n  \$\{kafka\.\w+\},\n  'topic' = '(?P<topic>(?:[^']|'')*)',\n"
)
_VARIABLE = re.compile(r"\W")


@dataclass(frozen=True)
class Pulled:
    """A job that is in the session again.

    Attributes
    ----------
    name
        What its cell is called.
    text
        The cell's text: the query as it was promoted, or the INSERT or statement set.
    parameters
        What the job runs with, by name; ``text`` names those that it uses.
    to, key
        Of a SELECT: the output to promote it to, and its key; None where the text names its own output.
    ran
        The statements that were run; what the session had already is left out.
    fingerprint
        Of the job's files as they are at the commit.
    """

    job: str
    commit: str
    name: str
    text: str
    parameters: Mapping[str, str]
    to: str | None = None
    key: tuple[str, ...] = ()
    ran: tuple[str, ...] = field(default=(), repr=False)
    fingerprint: str = field(default="", repr=False)

    @property
    def cell(self) -> str:
        """The whole cell: the magic's line, and the text."""
        used = [name for name in sorted(parameters.names(self.text)) if name in self.parameters]
        params = [f"--param {shlex.quote(f'{name}={self.parameters[name]}')}" for name in used]
        return "\n".join([" ".join(["%%flinksql", self.name, *params]), self.text])

    @property
    def command(self) -> str:
        """What promotes the cell again."""
        words = ["%promote", self.name, "--job", self.job]
        words += ["--to", shlex.quote(self.to)] if self.to else []
        words += ["--key", shlex.quote(",".join(self.key))] if self.key else []
        return " ".join(words)


@dataclass(frozen=True)
class _Step:
    """Statements to run: a CREATE with its ALTERs, or one other; or the Python file of a function."""

    statements: tuple[Statement, ...]
    module: str | None = None


def pull(
    job: CommittedJob,
    session: Session,
    functions: Functions,
    *,
    commit: str,
    receipt: Mapping[str, Any] | None,
    fingerprint: str = "",
) -> Pulled:
    """Run a job's declarations and settings in a session; returns what its cell is.

    What the session has already in the same words stays as it is.

    Parameters
    ----------
    job
        Read from a directory with the repository's files.
    receipt
        The job's; it says what the cell was called, and whether it was a SELECT.

    Raises
    ------
    PromoteError
        The session has something else under a name that the job declares. Nothing has been run.
    UsageError
        The job's last statement starts no job, one before it would write, or a file of its functions is not
        there. Nothing has been run.
    StatementError
        Flink refuses a statement; those before it keep their effect.
    """
    texts = [untemplate(job.text(file)) for file in job.files]
    statements = [found for text in texts for found in split(text)]
    if not statements or not statements[-1].runs_job:
        raise UsageError(f"the job {job.name} ends in no INSERT", hint="look at sql/jobs in the repository")
    check_planned([one.text for one in statements], job.name)
    values = {name: str(value) for name, value in job.arguments["args"].items()}
    insert = statements.pop()
    text, table = query_of(insert, receipt)
    made = _output(statements, table)
    steps = list(_steps(job, [one for one in statements if made is None or one is not made[0]]))
    steps = [step for step in steps if not _is_there(session, step, values)]
    ran: list[str] = []
    for step in steps:
        if step.module is not None:
            _register(functions, step.module)
        else:
            for one in step.statements:
                session.execute(one.text, params=values)
        ran += [one.text for one in step.statements]
    to, key = (made[1], made[2]) if made else (table, ())
    name = _name(receipt, job.name)
    return Pulled(job.name, commit, name, text, values, to, key, tuple(ran), fingerprint)


def _name(receipt: Mapping[str, Any] | None, job: str) -> str:
    cell = (receipt or {}).get("cell")
    name = cell.get("name") if isinstance(cell, dict) else None
    return name if isinstance(name, str) and name.isidentifier() else _VARIABLE.sub("_", job)


def _output(statements: list[Statement], table: str | None) -> tuple[Statement, str, tuple[str, ...]] | None:
    """Return the declaration that a promotion made for the output, with its topic and key.

    It is made again from the query, which may be another by then.
    """
    for one in statements:
        found = _MADE.match(one.text) if table is not None and one.target == table else None
        topic = dict(options(one.text)).get("topic", "") if found else ""
        if found and re.sub(r"\W", "_", topic) == table:
            key = re.findall(r"`((?:[^`]|``)+)`", found["key"] or "")
            return one, topic, tuple(name.replace("``", "`") for name in key)
    return None


def _steps(job: CommittedJob, statements: list[Statement]) -> Iterator[_Step]:
    """Put the functions' files in the place of what names them: a session has modules of its own."""
    at = 0
    while at < len(statements):
        one, start = statements[at], at
        at += 1
        module = _MODULE.search(one.text) if one.kind == "CREATE FUNCTION" else None
        if module is not None:
            path = f"{FOLDER}/{module.group(1)}.py"
            if not (job.root / path).is_file():
                raise UsageError(f"{path} is not in the repository", hint=f"{one.text} needs it")
            yield _Step((one,), job.text(path))
        elif not (one.kind == "SET" and setting_of(one.text) == FILES and "${functions}" in one.text):
            while one.kind.startswith("CREATE") and at < len(statements) and _alters(statements[at], one):
                at += 1
            yield _Step(tuple(statements[start:at]))


def _alters(one: Statement, created: Statement) -> bool:
    return one.kind == created.kind.replace("CREATE", "ALTER") and one.target == created.target


def _is_there(session: Session, step: _Step, values: Mapping[str, str]) -> bool:
    """Whether the session has a declaration in the same words; PromoteError for one in others."""
    one = step.statements[0]
    if step.module is not None or not one.kind.startswith("CREATE"):
        return False
    for group in in_force(session.ledger.shaping).objects:
        if (group[0].kind, group[0].target) != (one.kind, one.target):
            continue
        theirs = [session.render(entry.text, entry.parameters).text for entry in group]
        if theirs == [session.render(part.text, values).text for part in step.statements]:
            return True
        what = f"{one.kind.removeprefix('CREATE ').lower()} {one.target}"
        raise PromoteError(
            f"the session has another {what} than the job",
            hint=f"DROP {one.kind.split()[-1]} {one.target}, or pull the job in a fresh session",
        )
    return False


def _register(functions: Functions, text: str) -> None:
    from sdp_kernel.flink import function_cell  # noqa: PLC0415 - needs PyFlink

    functions.register(function_cell.load(text))
