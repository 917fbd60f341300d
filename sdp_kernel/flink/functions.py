"""Python functions in a session: the module where the gateway finds it, CREATE FUNCTION, a proof.

Flink's gateway imports the module in a Python process of its own to learn what a function is, and
ships the file with each job to the workers. Both read ``python.files``, so that is what a
registration adds to; it is a SET in the ledger, as CREATE FUNCTION is, and is replayed with it.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import FunctionError, SdpError, UsageError
from sdp_kernel.flink import function_faults
from sdp_kernel.flink.function_source import MODULE_PREFIX
from sdp_kernel.flink.gateway import GatewayFault
from sdp_kernel.flink.script import identifier
from sdp_kernel.references import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from sdp_kernel.flink.function_cell import Cell, Function
    from sdp_kernel.flink.ledger import Entry
    from sdp_kernel.flink.session import Session

FILES = "python.files"
#: A function's class, as CREATE FUNCTION names it: a module of ours and an object in it.
CLASS_NAME = re.compile(rf"'({MODULE_PREFIX}[0-9a-f]+)\.(\w+)'")
_OURS = re.compile(rf"(?:^|/){MODULE_PREFIX}[0-9a-f]+\.py$")
_PROBE = "sdp_probe"
#: What Flink says of a call without arguments once it has read the function.
_READ = re.compile(
    r"No match found for function signature .*Supported signatures are|Pandas UDAFs are not supported",
    re.DOTALL,
)


@dataclass(frozen=True)
class Registration:
    """What a cell registered.

    ``fresh`` is False where all of it was there already; ``reserved`` holds the names that SQL
    takes only in backquotes.
    """

    cell: Cell
    file: Path
    fresh: bool
    reserved: frozenset[str] = frozenset()

    @property
    def functions(self) -> tuple[Function, ...]:
        """The functions, in the cell's order."""
        return self.cell.functions

    @property
    def exports(self) -> Mapping[str, Any]:
        """The names the cell defines; functions of Flink's as plain callables."""
        return self.cell.exports


class Functions:
    """The Python functions of a session.

    Parameters
    ----------
    session
        Where they are registered.
    directory
        Keeps the modules, by the hash of their text; replay and promotion read them from there.
    shared
        A directory or URI (``s3://bucket/path``) that this machine writes and the gateway reads.
        None where the gateway runs on this machine.
    """

    def __init__(self, session: Session, directory: Path, *, shared: str | None = None) -> None:
        self.session = session
        self.directory = directory
        self.shared = shared

    def register(self, cell: Cell) -> Registration:
        """Register the functions of a cell; a function of that name is replaced.

        Raises
        ------
        FunctionError
            Flink cannot read a function, or has one of that name. What was registered before stays.
        UsageError
            The gateway does not see the module, or cannot run Python; or the profile is read-only, and
            the module would have to be written to ``shared``.
        """
        if self.session.read_only and self.shared is not None:
            raise UsageError(
                f"this profile is read-only: the functions' file is not written to {self.shared}",
                hint="use a profile that may write, or take read_only out of sdp.toml",
            )
        file = store(self.directory, cell.module, cell.text)
        known = in_force(self.session.ledger.shaping)
        wanted = {found.name.lower(): (cell.module, found.target) for found in cell.functions}
        self.session.execute("SHOW USER FUNCTIONS")  # brings a lost session back first
        before = self._files()
        place = publish(file, self.shared)
        if wanted.items() <= known.items() and place in before:
            return Registration(cell, file, fresh=False, reserved=self._reserved(cell))
        self._refuse_built_ins(cell)
        kept = {module for name_, (module, _) in known.items() if name_ not in wanted}
        files = [entry for entry in before if not _OURS.search(entry) or _module(entry) in kept]
        files = [*(entry for entry in files if entry != place), place]
        self._prove(cell, before, files)
        statements = [f"SET '{FILES}' = {quote(','.join(files))}"]
        for found in cell.functions:
            statements.append(f"DROP TEMPORARY SYSTEM FUNCTION IF EXISTS {identifier(found.name)}")
            statements.append(create(found.name, cell.module, found.target))
        self.session.execute(";\n".join(s.replace("${", "$${") for s in statements))
        return Registration(cell, file, fresh=True, reserved=self._reserved(cell))

    def _files(self) -> list[str]:
        config = self.session.gateway.session_config(self.session.handle)
        return [entry for entry in config.get(FILES, "").split(",") if entry]

    def _refuse_built_ins(self, cell: Cell) -> None:
        """Refuse the names of Flink's own functions, which these would hide in every query."""
        run = self.session.runner().text
        mine = {line.lower() for line in run("SHOW USER FUNCTIONS").splitlines()}
        theirs = {line.lower() for line in run("SHOW FUNCTIONS").splitlines()} - mine
        for found in cell.functions:
            if found.name.lower() in theirs:
                raise cell.source.error(
                    f"{found.name} is a function of Flink's own, which this one would hide",
                    hint="give it another name",
                    line=cell.source.line(found.name) - cell.source.offset,
                )

    def _reserved(self, cell: Cell) -> frozenset[str]:
        """Return the names that Flink's parser does not take as they are."""
        return frozenset(found.name for found in cell.functions if not self._parses(found.name))

    def _parses(self, name: str) -> bool:
        try:
            self.session.runner().text(f"EXPLAIN SELECT {name}() FROM {_PROBE}_nowhere")  # noqa: S608 - an identifier
        except GatewayFault as fault:
            return "parse failed" not in "\n".join(fault.errors)
        return True

    def _prove(self, cell: Cell, before: list[str], files: list[str]) -> None:
        """Have Flink read each function under a name of no use; the session is as before where one fails."""
        run = self.session.runner().text
        run(f"SET '{FILES}' = {quote(','.join(files))}")
        try:
            plain = [f for f in cell.functions if f.kind.endswith("scalar") and f.arguments is not None]
            together = len(plain) > 1 and self._read_together(cell, plain)
            for found in cell.functions:
                if not (together and found in plain):
                    self._probe(cell, found)
        except BaseException:
            with contextlib.suppress(SdpError):
                run(f"SET '{FILES}' = {quote(','.join(before))}" if before else f"RESET '{FILES}'")
            raise

    def _read_together(self, cell: Cell, plain: list[Function]) -> bool:
        """Whether Flink reads functions in one statement: each statement that needs Python starts one."""
        run = self.session.runner().text
        names = [f"{_PROBE}_{number}" for number in range(len(plain))]
        calls = []
        try:
            for probe, found in zip(names, plain, strict=True):
                run(f"DROP TEMPORARY SYSTEM FUNCTION IF EXISTS {probe}")
                run(create(probe, cell.module, found.target))
                nulls = ", ".join(f"CAST(NULL AS {type_})" for type_ in found.arguments or ())
                calls.append(f"{probe}({nulls})")
            run(f"EXPLAIN SELECT {', '.join(calls)}")
        except GatewayFault:
            return False
        finally:
            for probe in names:
                with contextlib.suppress(SdpError):
                    run(f"DROP TEMPORARY SYSTEM FUNCTION IF EXISTS {probe}")
        return True

    def _probe(self, cell: Cell, found: Function) -> None:
        run = self.session.runner().text
        query = f"SELECT {_PROBE}()"
        if found.kind == "table":
            query = f"SELECT * FROM LATERAL TABLE({_PROBE}())"  # noqa: S608 - a fixed name
        run(f"DROP TEMPORARY SYSTEM FUNCTION IF EXISTS {_PROBE}")
        run(create(_PROBE, cell.module, found.target))
        try:
            run(f"EXPLAIN {query}")
        except GatewayFault as fault:
            if not _READ.search(str(fault)):
                raise self._unread(cell, found, fault) from None
        finally:
            with contextlib.suppress(SdpError):
                run(f"DROP TEMPORARY SYSTEM FUNCTION IF EXISTS {_PROBE}")

    def _unread(self, cell: Cell, found: Function, fault: GatewayFault) -> SdpError:
        stack = "\n".join(fault.errors)
        trouble = function_faults.of_the_gateway(stack, self.session.gateway.url)
        if trouble is not None:
            return trouble
        seen = function_faults.read(stack)
        reason = seen.reason if seen is not None else str(fault)
        error = cell.source.error(
            f"Flink cannot read {found.name}: {reason}",
            hint="check the types in its decorator; SQL's own names do, such as 'ARRAY<STRING>'",
            line=cell.source.line(found.name) - cell.source.offset,
        )
        error.detail = stack
        return error


def create(name: str, module: str, target: str) -> str:
    """Return the CREATE FUNCTION of an object in a module."""
    return f"CREATE TEMPORARY SYSTEM FUNCTION {identifier(name)} AS '{module}.{target}' LANGUAGE PYTHON"


def in_force(entries: Iterable[Entry]) -> dict[str, tuple[str, str]]:
    """Return the functions of cells that a ledger leaves: module and object by name in lower case."""
    known: dict[str, tuple[str, str]] = {}
    for entry in entries:
        name = (entry.target or "").lower()
        if entry.kind == "DROP FUNCTION":
            known.pop(name, None)
        elif entry.kind == "CREATE FUNCTION":
            match = CLASS_NAME.search(entry.text)
            if match:
                known[name] = (match.group(1), match.group(2))
    return known


def is_ours(file: str) -> bool:
    """Whether an entry of ``python.files`` is the module of a cell."""
    return bool(_OURS.search(file))


def _module(file: str) -> str:
    return file.rsplit("/", 1)[-1].removesuffix(".py")


def store(directory: Path, module: str, text: str) -> Path:
    """Write a module's file, whole or not at all; one with that text stays as it is."""
    path = directory / f"{module}.py"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        directory.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.part")
        partial.write_text(text, encoding="utf-8", newline="\n")
        partial.replace(path)
    return path


def publish(file: Path, shared: str | None, *, under: str = "") -> str:
    """Put a file where the gateway reads it, and return how it names it there.

    Raises
    ------
    UsageError
        The shared directory cannot be written, or the path holds a comma, which ``python.files``
        splits at.
    """
    if shared is None:
        place = str(file.resolve())
    else:
        place = "/".join(
            part.strip("/") if n else part.rstrip("/")
            for n, part in enumerate([shared, under, file.name])
            if part
        )
        _copy(file, place)
    if "," in place:
        raise UsageError(
            f"{place} holds a comma, at which Flink splits {FILES}", hint="use another directory"
        )
    return place


def _copy(file: Path, place: str) -> None:
    from pyarrow import fs  # noqa: PLC0415

    try:
        if "://" not in place:
            system, path = fs.LocalFileSystem(), place
        else:
            system, path = fs.FileSystem.from_uri(place)
        system.create_dir(path.rsplit("/", 1)[0], recursive=True)
        with system.open_output_stream(path) as out:
            out.write(file.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{place} cannot be written: {error}",
            hint="check the profile's functions directory in sdp.toml, and your access to it",
        ) from None


__all__ = [
    "FILES",
    "FunctionError",
    "Functions",
    "Registration",
    "create",
    "in_force",
    "is_ours",
    "publish",
    "store",
]
