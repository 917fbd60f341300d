"""The smallest set of ledger statements a query needs, proven in a clean session.

Names in the text say what may be needed; Flink says what is: the set is replayed in a session of
its own, and what the plan stays the same without is left out.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdp_kernel.errors import SdpError, SliceError
from sdp_kernel.flink.script import identifiers, significant
from sdp_kernel.flink.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sdp_kernel.flink.ledger import Entry

_ALWAYS = frozenset(
    {f"{verb} {what}" for verb in ("CREATE", "ALTER", "DROP") for what in ("CATALOG", "DATABASE")}
    | {"USE", "ADD JAR", "REMOVE JAR", "LOAD", "UNLOAD"}
)
_VOLATILE = re.compile(r"\$[0-9a-f]{6,}|\b[0-9a-f]{32}\b")
_CLIENT_SETTING = "sql-client."


@dataclass(frozen=True)
class Slice:
    """The statements a job needs, in order: settings and surroundings, then declarations."""

    settings: tuple[Entry, ...]
    declarations: tuple[Entry, ...]

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All of them."""
        return (*self.settings, *self.declarations)


def in_force(entries: tuple[Entry, ...]) -> Slice:
    """Reduce a ledger to what is still in force: last SETs, objects not dropped, in order."""
    settings: dict[str, Entry] = {}
    objects: dict[tuple[str, str], list[Entry]] = {}
    for number, entry in enumerate(entries):
        verb, _, what = entry.kind.partition(" ")
        target = entry.target or ""
        if entry.kind in {"SET", "RESET"}:
            key = _setting(entry.text)
            if entry.kind == "SET" and key:
                settings.pop(key, None)
                settings[key] = entry
            elif entry.kind == "RESET":
                for known in [k for k in settings if not k.startswith("\0") and key in {"", k}]:
                    del settings[known]
        elif entry.kind in _ALWAYS:
            settings[f"\0{number}"] = entry
        elif verb == "CREATE":
            if "IF NOT EXISTS" not in _words(entry.text) or (what, target) not in objects:
                objects.pop((what, target), None)
                objects[what, target] = [entry]
        elif verb == "DROP":
            objects.pop((what, target), None)
        elif verb == "ALTER" and (what, target) in objects:
            objects[what, target].append(entry)
    kept = tuple(e for k, e in settings.items() if not k.startswith(_CLIENT_SETTING))
    return Slice(kept, tuple(entry for group in objects.values() for entry in group))


def _words(text: str) -> str:
    return " ".join(token.upper for token in significant(text)[:8])


def _setting(text: str) -> str:
    tokens = significant(text)[1:]
    key = "".join(token.text for token in tokens).partition("=")[0]
    return key.strip().strip("'")


def reachable(text: str, known: Slice) -> Slice:
    """Keep the declarations whose name stands in ``text``, or in one that is kept."""
    wanted: set[int] = set()
    names = identifiers(text)
    grown = True
    while grown:
        grown = False
        for number, entry in enumerate(known.declarations):
            if number not in wanted and _named(entry, names):
                wanted.add(number)
                names |= identifiers(entry.text)
                grown = True
    return Slice(known.settings, tuple(known.declarations[number] for number in sorted(wanted)))


def _named(entry: Entry, names: set[str]) -> bool:
    """Whether the object's name is among ``names``: last part or whole, a function's in any case."""
    target = entry.target or ""
    forms = {target, target.rsplit(".", 1)[-1]}
    if entry.kind.endswith("FUNCTION"):
        return bool({form.lower() for form in forms} & {name.lower() for name in names})
    return bool(forms & names)


@contextlib.contextmanager
def clean_session(like: Session) -> Iterator[Session]:
    """Open a session of its own on the same gateway, with the same profile, and close it."""
    session = Session(
        like.gateway.url,
        jobmanager=like.jobmanager.url if like.jobmanager else None,
        properties=like.properties,
        fragments=like.fragments,
        defaults=like.defaults,
    )
    try:
        yield session
    finally:
        session.close()


def replay(session: Session, entries: tuple[Entry, ...]) -> None:
    """Run entries in a clean session.

    Raises
    ------
    SliceError
        One does not run there.
    """
    for entry in entries:
        try:
            session.runner().text(session.render(entry.text, entry.parameters).text)
        except SdpError as error:
            raise SliceError(
                f"{entry.kind} {entry.target or ''} does not run in a clean session: {error}",
                hint="run its cell again in a fresh session, and then the query's",
            ) from None


def explain(session: Session, statement: str, parameters: dict[str, str]) -> str:
    """Explain a statement with its changelog modes; ids that differ from run to run are cut."""
    sql = session.render(statement, parameters).text
    return _VOLATILE.sub("", session.runner().text(f"EXPLAIN CHANGELOG_MODE {sql}"))


def minimal(session: Session, statement: str, parameters: dict[str, str]) -> tuple[Slice, str]:
    """Return the smallest slice that gives the statement's plan, and that plan.

    Raises
    ------
    SliceError
        The statement does not compile from the ledger alone.
    """
    found = reachable(statement, in_force(session.ledger.shaping))
    with clean_session(session) as clean:
        replay(clean, found.entries)
        try:
            plan = explain(clean, statement, parameters)
        except SdpError as error:
            raise SliceError(
                f"the query does not compile from its session's statements alone: {error}",
                hint="declare in a cell what it needs, and run it again",
            ) from None
    kept = list(found.declarations)
    for entry in found.declarations:
        if f", {(entry.target or '').rsplit('.', 1)[-1]}]" in plan:
            continue
        without = Slice(found.settings, tuple(e for e in kept if e is not entry))
        if _same_plan(session, without, statement, parameters, plan):
            kept.remove(entry)
    return Slice(found.settings, tuple(kept)), plan


def _same_plan(session: Session, part: Slice, statement: str, parameters: dict[str, str], plan: str) -> bool:
    with clean_session(session) as clean:
        try:
            replay(clean, part.entries)
            return explain(clean, statement, parameters) == plan
        except SdpError:
            return False
