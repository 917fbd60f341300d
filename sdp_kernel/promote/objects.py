"""What of a ledger is still in force, and what of that a text names: by its words alone, without Flink."""

from __future__ import annotations

from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import TYPE_CHECKING

from sdp_kernel.errors import SliceError
from sdp_kernel.flink.script import identifier, identifiers, significant

if TYPE_CHECKING:
    from sdp_kernel.flink.ledger import Entry

    _Key = tuple[str, str, bool]  # what, target, temporary

_ALWAYS = frozenset(
    {f"{verb} {what}" for verb in ("CREATE", "ALTER", "DROP") for what in ("CATALOG", "DATABASE")}
    | {"USE", "ADD JAR", "REMOVE JAR", "LOAD", "UNLOAD"}
)
#: Settings of the client that ran the cell: nothing of them reaches a job.
_OF_THE_CLIENT = ("sql-client.", "sql-gateway.", "table.display.")
#: The catalog and database a session begins in.
_AT_FIRST = ("default_catalog", "default_database")
_DOTS = 2  # in catalog.database.name


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
    kept = tuple(e for k, e in settings.items() if not k.startswith(_OF_THE_CLIENT))
    seen = [group for key, group in objects.items() if key[2] or (*key[:2], True) not in objects]
    return Slice(kept, tuple(entry for group in seen for entry in group))


def _alter(objects: dict[_Key, list[Entry]], what: str, entry: Entry) -> None:
    """Put an ALTER behind the CREATE it changes: the temporary object's, where one hides another."""
    target = entry.target or ""
    key = next((k for k in ((what, target, True), (what, target, False)) if k in objects), None)
    if key is None:
        return
    group = objects[key]
    name = _new_name(entry)
    if what == "VIEW" and name is None:
        group[:] = [_as_created(entry, temporary=key[2])]
        return
    group.append(entry)
    if name is not None:
        del objects[key]
        objects[what, ".".join([*target.split(".")[:-1], name]), key[2]] = group


def _as_created(entry: Entry, *, temporary: bool) -> Entry:
    """Write ``ALTER VIEW v AS …`` as the CREATE it amounts to: what the view was before may be gone."""
    text = f"CREATE {'TEMPORARY ' * temporary}{entry.text[significant(entry.text)[1].start :]}"
    return replace(entry, text=text, kind="CREATE VIEW", temporary=temporary)


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


def circle(part: Slice) -> tuple[str, ...]:
    """Return the views that read each other in a circle, the first once more at the end; () for none."""
    views = {g[0].target or "": g for g in part.objects if g[0].kind.endswith("VIEW")}
    needs: dict[str, list[str]] = {}
    for name, group in views.items():
        others = [other for other, their in views.items() if other != name and _needs(group, their)]
        needs[name] = [*others, name] if _reads_itself(group) else others
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        return tuple(reversed(error.args[1]))
    return ()


def _reads_itself(group: tuple[Entry, ...]) -> bool:
    words = [token.name for token in significant(group[0].text) if token.kind in {"word", "identifier"}]
    return sum(word in object_names(group) for word in words) > 1


def object_names(group: tuple[Entry, ...]) -> set[str]:
    """Return the forms an object's name may be written in: last part or whole, renamed or not."""
    target = group[0].target or ""
    renamed = {name for entry in group[1:] if (name := _new_name(entry)) is not None}
    return {target, target.rsplit(".", 1)[-1]} | renamed


def declared_name(group: tuple[Entry, ...]) -> str:
    """Return a table's or view's name as SQL, quoted; empty for others, and for what was renamed."""
    what = group[0].kind.split()[-1]
    if what not in {"TABLE", "VIEW"} or any(_new_name(entry) is not None for entry in group[1:]):
        return ""
    tokens = significant(group[0].text)
    at = next(n for n, token in enumerate(tokens) if token.upper == what) + 1
    at += 3 if [token.upper for token in tokens[at : at + 3]] == ["IF", "NOT", "EXISTS"] else 0
    parts = [identifier(tokens[at].name)]
    while tokens[at + 1 : at + 2] and tokens[at + 1].text == ".":
        at += 2
        parts.append(identifier(tokens[at].name))
    return ".".join(parts)


def _named(group: tuple[Entry, ...], names: set[str] | frozenset[str]) -> bool:
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
    current = _AT_FIRST
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
