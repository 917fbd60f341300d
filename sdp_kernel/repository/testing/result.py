"""What became of a test."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdp_kernel.repository.testing.case import rows_text
from sdp_kernel.repository.testing.compare import Difference, compare

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sdp_kernel.errors import SdpError
    from sdp_kernel.repository.testing.case import Case

PASSED, FAILED, ERROR, UPDATED = "passed", "failed", "error", "updated"


@dataclass(frozen=True)
class Table:
    """The final table of a sink, and the columns that tell its rows apart, where there are such."""

    rows: tuple[Mapping[str, Any], ...]
    key: tuple[str, ...] = ()

    def text(self, ignored: Collection[str] = ()) -> str:
        """Return it as ``expected.jsonl`` has it, without the columns that are not compared."""
        rows = [{name: value for name, value in row.items() if name not in ignored} for row in self.rows]
        return rows_text(rows, self.key)


@dataclass(frozen=True)
class Result:
    """What became of a test.

    Attributes
    ----------
    outcome
        ``passed``; ``failed``, where the tables differ; ``error``, where the job gave none; ``updated``.
    seconds
        From the job's start to its end.
    differences
        Of each sink whose table is not the one expected.
    reason, hint
        Why there is no table to compare, and what to do about it.
    tables
        What the sinks hold, by their names.
    files
        With what is expected, by sink, from the repository's top; those without one are in ``unwritten``.
    """

    case: Case
    outcome: str
    seconds: float = 0.0
    differences: tuple[Difference, ...] = ()
    reason: str = ""
    hint: str = ""
    notes: tuple[str, ...] = ()
    tables: Mapping[str, Table] = field(default_factory=dict, repr=False)
    unwritten: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return self.outcome in {PASSED, UPDATED}


def failure(case: Case, error: SdpError, seconds: float = 0.0, notes: Sequence[str] = ()) -> Result:
    """Return the result of a test whose job gave nothing to compare."""
    return Result(case, ERROR, seconds, reason=error.message, hint=error.hint, notes=tuple(notes))


def judge(case: Case, tables: Mapping[str, Table], seconds: float, notes: Sequence[str] = ()) -> Result:
    """Hold the tables of a job against what the test expects.

    Raises
    ------
    UsageError
        What is expected cannot be read.
    """
    options, sinks = case.options(), tuple(tables)
    differences, unwritten = [], []
    for name, table in tables.items():
        expected = case.expected(name, sinks)
        if expected is None:
            unwritten.append(case.shown(case.expected_file(name, sinks)))
        found = compare(
            name,
            expected or [],
            table.rows,
            key=table.key or options.key,
            ignore=options.ignored(name),
            tolerance=options.tolerances(name),
        )
        if found:
            differences.append(found)
    reason = f"there is no {', '.join(unwritten)}" if unwritten else ""
    hint = f"sdp test {case} --update writes what the job gave" if unwritten else ""
    outcome = FAILED if differences or unwritten else PASSED
    return Result(
        case, outcome, seconds, tuple(differences), reason, hint, tuple(notes), tables, tuple(unwritten)
    )


def update(result: Result) -> Result:
    """Write what a job gave in place of what was expected, where that differs."""
    if result.outcome != FAILED:
        return result
    sinks, options = tuple(result.tables), result.case.options()
    for name, table in result.tables.items():
        file = result.case.expected_file(name, sinks)
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(f".{file.name}.{os.getpid()}")
        new.write_text(table.text(options.ignored(name)), encoding="utf-8", newline="\n")
        new.replace(file)
    return Result(
        result.case, UPDATED, result.seconds, result.differences, notes=result.notes, tables=result.tables
    )
