"""The Python functions a job needs: files of the repository, under names that stay.

In a session a module is named after its text's hash, so that an edited cell takes effect; in the
repository it is named after the cell's first function, so that an edit is a diff. The job finds
its files under ``${functions}``, a directory or URI that the cluster reads.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdp_kernel.errors import SliceError
from sdp_kernel.flink.functions import CLASS_NAME, FILES, is_ours, publish, store
from sdp_kernel.flink.ledger import Entry
from sdp_kernel.promote.slice import Slice, setting_of
from sdp_kernel.references import quote

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: The fragment that stands for where the cluster finds the files.
FRAGMENT = "functions"
FOLDER = "sql/functions"
_PREFIX = "udf_"
_PLACE = re.compile(r"^# %%flinkudf\n")
_VALUE = re.compile(r"=\s*'((?:[^']|'')*)'\s*$")


@dataclass(frozen=True)
class Carried:
    """A slice whose functions come from the repository's files.

    Attributes
    ----------
    part
        The slice, CREATE FUNCTION rewritten, without the session's own ``python.files``.
    setting
        The job's ``python.files``; None where it needs none. It comes before the first declaration,
        since a view that calls a function needs it.
    files
        Python files by their path in the repository.
    """

    part: Slice
    setting: Entry | None
    files: Mapping[str, str]

    def materialise(self, directory: Path, shared: str | None) -> str:
        """Put the files where the session cluster reads them; returns what ``${functions}`` is there.

        Raises
        ------
        UsageError
            The place cannot be written.
        """
        content = "\0".join(part for pair in sorted(self.files.items()) for part in pair)
        under = f"jobs/{hashlib.sha256(content.encode()).hexdigest()[:12]}"
        places = [
            publish(store(directory / under, _stem(path), text), shared, under=under)
            for path, text in self.files.items()
        ]
        return places[0].rsplit("/", 1)[0]


def _stem(path: str) -> str:
    return path.rsplit("/", 1)[-1].removesuffix(".py")


def carry(part: Slice, ledger: tuple[Entry, ...], directory: Path) -> Carried:
    """Take the functions that were registered from cells out of the session and into files.

    Parameters
    ----------
    ledger
        All of the session's entries: the first function registered with a module names its file.
    directory
        Where the session's modules are kept.

    Raises
    ------
    SliceError
        A module's file is gone, or two cells would have a file of one name.
    """
    first: dict[str, str] = {}
    for entry in ledger:
        match = CLASS_NAME.search(entry.text) if entry.kind == "CREATE FUNCTION" else None
        if match:
            first.setdefault(match.group(1), (entry.target or "").lower())
    files: dict[str, str] = {}
    origin: dict[str, str] = {}
    declarations = []
    for entry in part.declarations:
        match = CLASS_NAME.search(entry.text) if entry.kind == "CREATE FUNCTION" else None
        if not match:
            declarations.append(entry)
            continue
        module, target = match.groups()
        name = f"{_PREFIX}{first[module]}"
        path = f"{FOLDER}/{name}.py"
        if origin.setdefault(path, module) != module:
            raise SliceError(
                f"the job needs functions of two cells that both begin with {first[module]}",
                hint=f"put them into one cell, or rename {first[module]} in one of them, and run both again",
            )
        files[path] = _text(directory, module, entry)
        text = CLASS_NAME.sub(f"'{name}.{target}'", entry.text)
        declarations.append(dataclasses.replace(entry, text=text))
    others = [file for entry in part.sets if setting_of(entry.text) == FILES for file in _listed(entry)]
    settings = tuple(entry for entry in part.settings if setting_of(entry.text) != FILES)
    listed = [*others, *(f"${{{FRAGMENT}}}/{path.rsplit('/', 1)[-1]}" for path in files)]
    setting = Entry(f"SET '{FILES}' = {quote(','.join(listed))}", "SET") if listed else None
    return Carried(Slice(settings, tuple(declarations)), setting, files)


def _listed(entry: Entry) -> list[str]:
    """Return the files a SET names beside the session's own modules, as they are written."""
    match = _VALUE.search(entry.text)
    named = match.group(1).replace("''", "'").split(",") if match else []
    return [file for file in named if file and not is_ours(file)]


def _text(directory: Path, module: str, entry: Entry) -> str:
    path = directory / f"{module}.py"
    try:
        return _PLACE.sub("", path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SliceError(
            f"the module of the function {entry.target} cannot be read: {path}: {error.strerror}",
            hint="run its %%flinkudf cell again, and then the query's",
        ) from None


def without_modules(settings: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """Return settings to compare, without the session's own modules: their CREATE FUNCTION tells more."""
    files = [entry for entry in settings if entry.kind == "SET" and setting_of(entry.text) == FILES]
    rest = tuple(entry for entry in settings if entry not in files)
    return (*rest, *(Entry(",".join(named), "SET") for entry in files if (named := _listed(entry))))
