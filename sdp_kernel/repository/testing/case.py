"""A test of a job: ``tests/JOB/CASE/``, its options in ``test.toml``, what is expected of each sink."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import UsageError
from sdp_kernel.repository import job as jobs
from sdp_kernel.repository.testing.values import canonical, dumps, loads

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SAMPLE = "sample"
OPTIONS, INPUT, EXPECTED = "test.toml", "input", "expected"
_TIMEOUT_S = 120.0
_WATERMARKS = ("end", "each")
_KNOWN = "parameters, timeout, watermarks, key, ignore, tolerance"


@dataclass(frozen=True)
class Options:
    """What ``test.toml`` says.

    Attributes
    ----------
    parameters
        Of the job, in place of those that its module call passes.
    timeout
        Seconds the job may take.
    watermarks
        ``end``: event time ends with the input and nothing is late, whatever the order. ``each``: it moves
        with each record, so that records can be late.
    key
        Columns that tell the rows of a sink without a key apart, for the diff.
    ignore
        Columns that are not compared: ``column`` or ``TABLE.column``.
    tolerance
        Column → by how much a number may differ.
    """

    parameters: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    timeout: float = _TIMEOUT_S
    watermarks: str = "end"
    key: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    tolerance: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    def ignored(self, table: str) -> frozenset[str]:
        """Return the columns of a sink that are not compared."""
        return frozenset(_own(name, table) for name in self.ignore)

    def tolerances(self, table: str) -> dict[str, float]:
        """Return by how much columns of a sink may differ."""
        return {_own(name, table): value for name, value in self.tolerance.items()}


def _own(name: str, table: str) -> str:
    return name.removeprefix(f"{table}.")


@dataclass(frozen=True)
class Case:
    """A test of a job. ``root`` is the repository's top, or a copy of it."""

    job: str
    name: str
    root: Path

    def __str__(self) -> str:
        return f"{self.job}/{self.name}"

    @property
    def directory(self) -> Path:
        """Where it is."""
        return self.root / jobs.TESTS / self.job / self.name

    def options(self) -> Options:
        """Read ``test.toml``.

        Raises
        ------
        UsageError
            It is no TOML, or has what no test has.
        """
        file = self.directory / OPTIONS
        if not file.is_file():
            return Options()
        try:
            return read_options(tomllib.loads(file.read_text(encoding="utf-8")))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError, ValueError) as error:
            hint = error.hint if isinstance(error, UsageError) else f"it may have: {_KNOWN}"
            what = error.message if isinstance(error, UsageError) else error
            raise UsageError(f"{self.shown(file)}: {what}", hint=hint) from None

    def input(self, table: str) -> Path | None:
        """Return the file, or the directory of files, with a source's input."""
        for path in (self.directory / INPUT / f"{table}.jsonl", self.directory / INPUT / table):
            if path.exists():
                return path
        return None

    @property
    def inputs(self) -> tuple[str, ...]:
        """The tables that there is input for."""
        return tuple(sorted(path.name.removesuffix(".jsonl") for path in (self.directory / INPUT).glob("*")))

    def expected_file(self, table: str, sinks: Sequence[str]) -> Path:
        """Return the file of what a sink is expected to hold: ``expected.jsonl`` where it is the only one."""
        name = f"{EXPECTED}.jsonl" if len(sinks) == 1 else f"{EXPECTED}/{table}.jsonl"
        return self.directory / name

    def expected(self, table: str, sinks: Sequence[str]) -> list[dict[str, Any]] | None:
        """Read what a sink is expected to hold; None where there is no file.

        Raises
        ------
        UsageError
            A line is no row.
        """
        file = self.expected_file(table, sinks)
        if not file.is_file():
            return None
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise UsageError(f"{self.shown(file)} is no UTF-8: {error}", hint="save it as UTF-8") from None
        rows = []
        for number, line in enumerate(text.split("\n"), start=1):
            if not line.strip():
                continue
            try:
                row = loads(line)
            except ValueError as error:
                raise UsageError(
                    f"{self.shown(file)}, line {number}, is no JSON: {error}", hint="a line is a row"
                ) from None
            if not isinstance(row, dict):
                raise UsageError(
                    f"{self.shown(file)}, line {number}, is no row", hint="a row is a JSON object"
                )
            rows.append(row)
        return rows

    def shown(self, file: Path) -> str:
        """Return a file's path in the repository."""
        return file.relative_to(self.root).as_posix()


def rows_text(rows: Iterable[Mapping[str, Any]], key: Sequence[str] = ()) -> str:
    """Write rows as ``expected.jsonl`` has them: by key, then by their columns."""
    ordered = sorted(rows, key=lambda row: (canonical([row.get(name) for name in key]), canonical(row)))
    return "".join(f"{dumps(row)}\n" for row in ordered)


def read_options(table: Mapping[str, Any]) -> Options:
    """Read the content of ``test.toml``.

    Raises
    ------
    UsageError
        It has what no test has.
    """
    given = dict(table)
    parameters = _table(given, "parameters")
    tolerance = _table(given, "tolerance")
    timeout, watermarks = given.pop("timeout", _TIMEOUT_S), given.pop("watermarks", "end")
    key, ignore = _texts(given, "key"), _texts(given, "ignore")
    if given:
        raise UsageError(f"{min(given)!r} is no option of a test", hint=f"it may have: {_KNOWN}")
    if not _is_number(timeout) or timeout <= 0:
        raise UsageError(f"the timeout is {timeout!r}", hint="give seconds, more than 0")
    if watermarks not in _WATERMARKS:
        raise UsageError(f"watermarks is {watermarks!r}", hint=f"use one of: {', '.join(_WATERMARKS)}")
    wrong = [name for name, value in tolerance.items() if not _is_number(value) or value < 0]
    if wrong:
        raise UsageError(
            f"the tolerance of {wrong[0]} is {tolerance[wrong[0]]!r}", hint="give a number from 0"
        )
    bad = [name for name, value in parameters.items() if not isinstance(value, (str, int, float))]
    if bad:
        raise UsageError(f"the parameter {bad[0]} is no text and no number", hint="give one value")
    return Options(
        MappingProxyType({name: _parameter(value) for name, value in parameters.items()}),
        float(timeout),
        watermarks,
        key,
        ignore,
        MappingProxyType({name: float(value) for name, value in tolerance.items()}),
    )


def _table(given: dict[str, Any], name: str) -> dict[str, Any]:
    found = given.pop(name, {})
    if not isinstance(found, dict):
        raise UsageError(f"{name} is no table", hint=f"write [{name}] and NAME = VALUE under it")
    return found


def _texts(given: dict[str, Any], name: str) -> tuple[str, ...]:
    found = given.pop(name, [])
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise UsageError(f"{name} is no list of column names", hint=f'write {name} = ["column"]')
    return tuple(found)


def _is_number(value: object) -> bool:
    """Whether it is a number that a float can hold: no NaN, and not without bound."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _parameter(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def find(root: Path, wanted: Sequence[str] = ()) -> tuple[Case, ...]:
    """Find the tests of a repository, or of some jobs: ``JOB`` or ``JOB/CASE``.

    Raises
    ------
    UsageError
        There is no such job, or no such test.
    """
    known = jobs.names(root)
    if not wanted:
        return tuple(case for job in known for case in _cases(root, job))
    found: dict[tuple[str, str], Case] = {}
    for text in wanted:
        job, _, name = text.partition("/")
        jobs.check_known(root, job)
        cases = _cases(root, job)
        chosen = [case for case in cases if not name or case.name == name]
        if not chosen:
            has = f"it has: {', '.join(case.name for case in cases)}" if cases else ""
            what = f"no test {name}" if name else "no test"
            raise UsageError(
                f"the job {job} has {what} in {jobs.TESTS}/{job}",
                hint=has or f"%promote … --job {job} --with-test writes one",
            )
        found |= {(case.job, case.name): case for case in chosen}
    return tuple(found.values())


def _cases(root: Path, job: str) -> list[Case]:
    directory = root / jobs.TESTS / job
    marks = (OPTIONS, INPUT, EXPECTED, f"{EXPECTED}.jsonl")
    return [
        Case(job, path.name, root)
        for path in (sorted(directory.iterdir()) if directory.is_dir() else ())
        if any((path / mark).exists() for mark in marks)
    ]
