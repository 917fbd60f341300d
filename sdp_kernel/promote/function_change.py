"""Functions of a job that become others: no plan says what a function does, so their text is compared."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from sdp_kernel.flink.script import split
from sdp_kernel.promote.functions import FOLDER
from sdp_kernel.repository import state

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sdp_kernel.repository.state import Compatibility

    Read = Callable[[str], str | None]

_CLASS = re.compile(r"\bAS\s+'((?:[^']|'')*)'(\s+LANGUAGE\s+PYTHON\b)?", re.IGNORECASE)
_AGGREGATES = re.compile(r"\b(?:udaf|udtaf|(?:Table)?AggregateFunction)\b")


def changes(old: Sequence[str], new: Sequence[str], was: Read, becomes: Read) -> tuple[str, ...]:
    """Say of each function that both scripts declare, and that is another in each, what that means.

    Parameters
    ----------
    old, new
        The scripts' statements.
    was, becomes
        Return a Python file's text by its path in the repository, before and after; None where it is not
        there.
    """
    before, after = _functions(old, was), _functions(new, becomes)
    found: dict[str, list[str]] = {}
    kept: set[str] = set()
    for name in before.keys() & after.keys():
        if before[name][1:] != after[name][1:]:
            where = after[name][0]
            found.setdefault(where, []).append(name)
            if any(_AGGREGATES.search(text) for text in (before[name][2], after[name][2])):
                kept.add(where)
    return tuple(_said(where, sorted(found[where]), aggregates=where in kept) for where in sorted(found))


def weighed(verdict: Compatibility, changed: Sequence[str], job: str) -> Compatibility:
    """Return what is left of a verdict where functions are others: none, unless state is lost anyhow."""
    if not changed or verdict.verdict == state.INCOMPATIBLE:
        return verdict
    advice = f'where that does not serve, write upgrade_mode = "stateless" into terraform/{job}.tf'
    known = (*verdict.notes, *changed) if verdict.verdict == state.UNKNOWN else (*changed, *verdict.notes)
    return dataclasses.replace(
        verdict,
        verdict=state.UNKNOWN,
        upgrade_mode="",
        allow_non_restored_state=False,
        notes=(*known, advice),
    )


def _functions(statements: Sequence[str], read: Read) -> dict[str, tuple[str, str, str]]:
    """Return by name where a function is from, what it is called there, and the text of that, if known."""
    found: dict[str, tuple[str, str, str]] = {}
    for text in statements:
        (statement, *_) = split(text)
        named = _CLASS.search(text) if statement.kind == "CREATE FUNCTION" else None
        if named is None or not statement.target:
            continue
        name = statement.target.rpartition(".")[2].lower()
        module, _, called = named[1].rpartition(".")
        path = f"{FOLDER}/{module}.py"
        content = read(path) if named[2] else None
        found[name] = (named[1], named[1], "") if content is None else (path, called, content)
    return found


def _said(where: str, names: Sequence[str], *, aggregates: bool) -> str:
    called = ", ".join(names)
    if aggregates:
        return (
            f"{where} is another text, of {called}: an aggregate's accumulator may be another, "
            "which Flink does not always notice"
        )
    return f"{where} is another text, of {called}: what it gave before stays in the state"
