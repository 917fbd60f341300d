"""The smallest set of ledger statements a query needs, proven in a clean session.

Names in the text say what may be needed; Flink says what is: the set is replayed in a session of
its own, and what the plan stays the same without is left out.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from sdp_kernel.errors import SdpError, SliceError
from sdp_kernel.flink.frame_table import is_frame
from sdp_kernel.flink.script import identifiers, significant
from sdp_kernel.flink.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sdp_kernel.flink.ledger import Entry

    _Key = tuple[str, str, bool]  # what, target, temporary

_ALWAYS = frozenset(
    {f"{verb} {what}" for verb in ("CREATE", "ALTER", "DROP") for what in ("CATALOG", "DATABASE")}
    | {"USE", "ADD JAR", "REMOVE JAR", "LOAD", "UNLOAD"}
)
_VOLATILE = re.compile(r"\$[0-9a-f]{6,}|\b[0-9a-f]{32}\b")
_CLIENT_SETTING = "sql-client."
_DOTS = 2  # in catalog.database.name
_SCAN = re.compile(r"table=\[\[[^,\]]+, [^,\]]+, ([^,\]]+)")


@dataclass(frozen=True)
class Slice:
    """The statements a job needs, in order: settings and surroundings, then declarations.

    ``settings`` holds the SETs in force and the surroundings (USE, catalogs, databases, jars);
    a declaration is a CREATE or one of the ALTERs behind it.
    """

    settings: tuple[Entry, ...]
    declarations: tuple[Entry, ...]

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All of them."""
        return (*self.settings, *self.declarations)

    @property
    def sets(self) -> tuple[Entry, ...]:
        """The SET statements."""
        return tuple(entry for entry in self.settings if entry.kind == "SET")

    @property
    def surroundings(self) -> tuple[Entry, ...]:
        """What must be there before the first declaration: catalogs, databases, USE, jars."""
        return tuple(entry for entry in self.settings if entry.kind != "SET")

    @property
    def objects(self) -> tuple[tuple[Entry, ...], ...]:
        """The declarations by object: each CREATE with the ALTERs behind it."""
        groups: list[list[Entry]] = []
        for entry in self.declarations:
            if entry.kind.startswith("CREATE") or not groups:
                groups.append([entry])
            else:
                groups[-1].append(entry)
        return tuple(tuple(group) for group in groups)


def in_force(entries: tuple[Entry, ...]) -> Slice:
    """Reduce a ledger to what is still in force: last SETs, objects not dropped, in order."""
    settings: dict[str, Entry] = {}
    objects: dict[_Key, list[Entry]] = {}
    for number, entry in enumerate(entries):
        verb, _, what = entry.kind.partition(" ")
        key = (what, entry.target or "", entry.temporary)
        if entry.kind in {"SET", "RESET"}:
            option = setting_of(entry.text)
            if entry.kind == "SET" and option:
                settings.pop(option, None)
                settings[option] = entry
            elif entry.kind == "RESET":
                for known in [k for k in settings if not k.startswith("\0") and option in {"", k}]:
                    del settings[known]
        elif entry.kind in _ALWAYS:
            settings[f"\0{number}"] = entry
        elif verb == "CREATE":
            if "IF NOT EXISTS" not in _words(entry.text) or key not in objects:
                objects.pop(key, None)
                objects[key] = [entry]
        elif verb == "DROP":
            objects.pop(key, None)
        elif verb == "ALTER":
            _alter(objects, what, entry)
    kept = tuple(e for k, e in settings.items() if not k.startswith(_CLIENT_SETTING))
    seen = [group for key, group in objects.items() if key[2] or (*key[:2], True) not in objects]
    return Slice(kept, tuple(entry for group in seen for entry in group))


def _alter(objects: dict[_Key, list[Entry]], what: str, entry: Entry) -> None:
    """Put an ALTER behind the CREATE it changes: the temporary object's, where one hides another."""
    target = entry.target or ""
    key = next((k for k in ((what, target, True), (what, target, False)) if k in objects), None)
    if key is None:
        return
    group = objects[key]
    group.append(entry)
    name = _new_name(entry)
    if name is not None:
        del objects[key]
        objects[what, ".".join([*target.split(".")[:-1], name]), key[2]] = group


def _new_name(entry: Entry) -> str | None:
    """Return the name an ``ALTER … RENAME TO name`` gives."""
    tokens = significant(entry.text)
    for before, after in pairwise(range(len(tokens))):
        if (tokens[before].upper, tokens[after].upper) == ("RENAME", "TO") and tokens[before].kind == "word":
            names = [token.name for token in tokens[after + 1 :] if token.kind in {"word", "identifier"}]
            return names[-1] if names else None
    return None


def _words(text: str) -> str:
    return " ".join(token.upper for token in significant(text)[:8])


def setting_of(text: str) -> str:
    """Return the option that a SET or RESET names."""
    tokens = significant(text)[1:]
    key = "".join(token.text for token in tokens).partition("=")[0]
    return key.strip().strip("'")


def reachable(text: str, known: Slice) -> Slice:
    """Keep the objects whose name stands in ``text``, or in one that is kept."""
    wanted: set[int] = set()
    names = identifiers(text)
    groups = known.objects
    grown = True
    while grown:
        grown = False
        for number, group in enumerate(groups):
            if number not in wanted and _named(group, names):
                wanted.add(number)
                names |= {name for entry in group for name in identifiers(entry.text)}
                grown = True
    ordered = _after_their_needs([groups[number] for number in sorted(wanted)])
    return Slice(known.settings, tuple(entry for group in ordered for entry in group))


def _after_their_needs(groups: list[tuple[Entry, ...]]) -> list[tuple[Entry, ...]]:
    """Put each object behind those it names: a table made again stands in the ledger after its views."""
    left, ordered = list(groups), []
    while left:
        ready = next(
            (g for g in left if not any(_needs(g, other) for other in left if other is not g)), left[0]
        )
        left.remove(ready)
        ordered.append(ready)
    return ordered


def _needs(group: tuple[Entry, ...], other: tuple[Entry, ...]) -> bool:
    names = {name for entry in group for name in identifiers(entry.text)} - object_names(group)
    return _named(other, names)


def object_names(group: tuple[Entry, ...]) -> set[str]:
    """Return the forms an object's name may be written in: last part or whole, renamed or not."""
    target = group[0].target or ""
    renamed = {name for entry in group[1:] if (name := _new_name(entry)) is not None}
    return {target, target.rsplit(".", 1)[-1]} | renamed


def _named(group: tuple[Entry, ...], names: set[str]) -> bool:
    """Whether the object's name is among ``names``; a function's in any case."""
    forms = object_names(group)
    if group[0].kind.endswith("FUNCTION"):
        return bool({form.lower() for form in forms} & {name.lower() for name in names})
    return bool(forms & names)


def calls(group: tuple[Entry, ...], texts: list[str]) -> bool:
    """Whether a function is called; it may stand in for a built-in one, which no plan shows."""
    if not group[0].kind.endswith("FUNCTION"):
        return False
    forms = {form.lower() for form in object_names(group)}
    return any(
        before.name.lower() in forms and after.text == "("
        for text in texts
        for before, after in pairwise(significant(text))
    )


def check_places(ledger: tuple[Entry, ...], part: Slice) -> None:
    """Refuse declarations made under another current catalog or database than the last.

    They are files of their own, replayed under one USE.

    Raises
    ------
    SliceError
        One was, and does not name its catalog and database.
    """
    current = ("", "")
    places: dict[int, tuple[str, str]] = {}
    for entry in ledger:
        if entry.kind == "USE":
            current = _used(entry, current)
        places[id(entry)] = current
    for entry in part.declarations:
        if places.get(id(entry), current) != current and (entry.target or "").count(".") < _DOTS:
            raise SliceError(
                f"{entry.kind} {entry.target or ''} ran in another database than the query",
                hint="name it with its catalog and database, or run its cell again after the last USE",
            )


def _used(entry: Entry, current: tuple[str, str]) -> tuple[str, str]:
    tokens = significant(entry.text)[1:]
    if tokens[0].upper == "MODULES":
        return current
    if tokens[0].upper == "CATALOG":
        return tokens[1].name, ""
    names = [token.name for token in tokens if token.text != "."]
    return (names[0], names[1]) if len(names) > 1 else (current[0], names[0])


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


def explain(session: Session, statement: str, parameters: Mapping[str, str] | None = None) -> str:
    """Explain a statement with its changelog modes; ids that differ from run to run are cut.

    Parameters
    ----------
    parameters
        To fill in; None where the statement is filled in already.
    """
    sql = statement if parameters is None else session.render(statement, parameters).text
    return _VOLATILE.sub("", session.runner().text(f"EXPLAIN CHANGELOG_MODE {sql}"))


def minimal(session: Session, statement: str, parameters: dict[str, str]) -> tuple[Slice, str]:
    """Return the smallest slice that gives the statement's plan, and that plan.

    Raises
    ------
    SliceError
        The statement does not compile from the ledger alone.
    """
    ledger = session.ledger.shaping
    found = reachable(statement, in_force(ledger))
    with clean_session(session) as clean:
        replay(clean, found.entries)
        try:
            plan = explain(clean, statement, parameters)
        except SdpError as error:
            raise SliceError(
                f"the query does not compile from its session's statements alone: {error}",
                hint="declare in a cell what it needs, and run it again",
            ) from None
    scanned = set(_SCAN.findall(plan))
    groups = found.objects
    kept = list(groups)
    for group in reversed(groups):
        texts = [statement, *(entry.text for other in kept if other is not group for entry in other)]
        if object_names(group) & scanned or calls(group, texts):
            continue
        fewer = tuple(entry for other in kept if other is not group for entry in other)
        if _same_plan(session, Slice(found.settings, fewer), statement, parameters, plan):
            kept.remove(group)
    part = Slice(found.settings, tuple(entry for group in kept for entry in group))
    check_places(ledger, part)
    frames = [entry.target for entry in part.declarations if is_frame(entry)]
    if frames:
        raise SliceError(
            f"the query reads the frame {frames[0]}, which exists only in this kernel",
            hint="write it to a topic with %produce, and declare a table over that",
        )
    return part, plan


def _same_plan(session: Session, part: Slice, statement: str, parameters: dict[str, str], plan: str) -> bool:
    with clean_session(session) as clean:
        try:
            replay(clean, part.entries)
            return explain(clean, statement, parameters) == plan
        except SdpError:
            return False
