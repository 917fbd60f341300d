"""What a job is composed of, before it is: its INSERT, the statements it needs, its parameters."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from sdp_kernel.flink.script import significant
from sdp_kernel.flink.sources import scan
from sdp_kernel.promote.lints import text as texts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sdp_kernel.flink.ledger import Entry
    from sdp_kernel.flink.script import Token
    from sdp_kernel.promote.slice import Slice

_OPTIONS_OF = frozenset({"CREATE TABLE", "ALTER TABLE"})


@dataclass(frozen=True)
class Table:
    """A declared table: its CREATE with the ALTERs behind it.

    ``options`` are those in force, as they are written: ``${…}`` stays in them.
    """

    name: str
    entries: tuple[Entry, ...]
    options: Mapping[str, str]

    @property
    def where(self) -> str:
        """How findings name it."""
        return f"the table {self.name}"

    @property
    def connector(self) -> str:
        """Its connector; empty where it has that from another table."""
        return self.options.get("connector", "")


@dataclass(frozen=True)
class Draft:
    """A job in the making. Changing one gives another.

    Attributes
    ----------
    statement
        The INSERT or statement set, as it will be written.
    part
        The statements it needs.
    values
        Its parameters.
    """

    statement: str
    part: Slice
    values: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """The tables that it declares."""
        return tuple(
            Table(short(group[0].target), group, _in_force(group))
            for group in self.part.objects
            if group[0].kind == "CREATE TABLE"
        )

    @cached_property
    def queries(self) -> tuple[tuple[str, str], ...]:
        """The texts of queries, each with how findings name it: the job's own, then its views'."""
        views = [entry for entry in self.part.declarations if entry.kind == "CREATE VIEW"]
        return (("the job", self.statement), *((_view(entry), entry.text) for entry in views))

    @cached_property
    def read(self) -> frozenset[str]:
        """The names of the tables and views that are read, without catalog and database."""
        return frozenset(one.parts[-1] for _, text in self.queries for one in scan(text).references)

    @cached_property
    def written(self) -> frozenset[str]:
        """The names of the tables that are written."""
        return frozenset(targets(self.statement))

    @cached_property
    def settings(self) -> Mapping[str, str]:
        """The SETs in force."""
        return dict(texts.setting(entry.text) for entry in self.part.sets)

    def with_statement(self, statement: str) -> Draft:
        """Return the job with another INSERT."""
        return replace(self, statement=statement)

    def with_setting(self, entry: Entry) -> Draft:
        """Return the job with one more SET, in place of an earlier one of the option."""
        key, _ = texts.setting(entry.text)
        kept = tuple(
            known
            for known in self.part.settings
            if known.kind != "SET" or texts.setting(known.text)[0] != key
        )
        return replace(self, part=replace(self.part, settings=(*kept, entry)))

    def rewritten(self, change: Callable[[Entry], Entry | None]) -> Draft:
        """Return the job with other declarations; one that becomes None is left out."""
        changed = (change(entry) for entry in self.part.declarations)
        declarations = tuple(entry for entry in changed if entry is not None)
        return replace(self, part=replace(self.part, declarations=declarations))


def short(name: str | None) -> str:
    """Return the last part of a name."""
    return (name or "").rpartition(".")[2]


def _view(entry: Entry) -> str:
    return f"the view {short(entry.target)}"


def where_of(entry: Entry) -> str:
    """Return how findings name a declaration or setting."""
    kind = entry.kind.rpartition(" ")[2].lower()
    return f"the {kind} {short(entry.target)}" if entry.target else entry.kind


def _in_force(group: tuple[Entry, ...]) -> dict[str, str]:
    options: dict[str, str] = {}
    for entry in group:
        if entry.kind not in _OPTIONS_OF:
            continue
        found = significant(entry.text)
        if entry.kind == "ALTER TABLE" and any(token.upper == "RESET" for token in found):
            for key in [texts.unquoted(token.text) for token in found if token.kind == "string"]:
                options.pop(key, None)
        else:
            options |= {pair.key: pair.value for pair in texts.pairs(entry.text)}
    return options


def targets(statement: str) -> list[str]:
    """Return the tables that an INSERT or statement set writes, without catalog and database."""
    found = significant(statement)
    names = []
    for number, token in enumerate(found):
        if token.kind == "word" and token.upper in {"INTO", "OVERWRITE"} and _inserts(found, number):
            at = number + 1 + (found[number + 1].upper == "TABLE" and found[number + 1].kind == "word")
            while at + 2 < len(found) and found[at + 1].text == ".":
                at += 2
            names.append(found[at].name)
    return names


def _inserts(found: list[Token], number: int) -> bool:
    before = found[number - 1] if number else None
    return (
        before is not None and before.kind == "word" and before.upper == "INSERT" and number + 1 < len(found)
    )
