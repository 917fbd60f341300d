"""Columns of relations: what an alias has, what a SELECT list or a MATCH_RECOGNIZE yields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sdp_kernel.flink.complete_names import Field, Table, row_fields
from sdp_kernel.flink.complete_scan import (
    Group,
    Item,
    chain,
    forward_chain,
    inside,
    is_name,
    name_of,
    split_at_commas,
    symbol,
    word,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_KNOWN_TYPES = {"COUNT": "BIGINT", "ROW_NUMBER": "BIGINT", "RANK": "BIGINT"}


@dataclass(frozen=True)
class Relation:
    """Something a query reads from: what it is called there, and its columns."""

    name: str
    columns: tuple[Field, ...] = ()
    table: Table | None = None


@dataclass(frozen=True)
class Scope:
    """What a place sees: ``relations`` of its own query, ``outer`` those of the queries around it.

    ``tables`` are the names of WITH, ``output`` what the own query yields, for ORDER BY.
    """

    relations: tuple[Relation, ...] = ()
    outer: tuple[Relation, ...] = ()
    tables: Mapping[str, Table] = field(default_factory=dict)
    output: tuple[Field, ...] = ()

    @property
    def all(self) -> tuple[Relation, ...]:
        """All relations, the nearest first."""
        return self.relations + self.outer

    def resolve(self, path: list[str]) -> tuple[Field, ...]:
        """Return what may stand after ``path`` and a dot: columns of an alias, fields of a ROW."""
        for relation in self.all:
            if relation.name.lower() == path[0].lower():
                if len(path) == 1:
                    return relation.columns
                return _inside(relation.columns, path[1:])
        return next(
            (inner for relation in self.all if (inner := _inside(relation.columns, path))),
            (),
        )


def _inside(columns: tuple[Field, ...], path: list[str]) -> tuple[Field, ...]:
    for name in path:
        found = next((column for column in columns if column.name.lower() == name.lower()), None)
        columns = row_fields(found.type) if found is not None else ()
    return columns


def selected(part: list[Item], relations: list[Relation]) -> list[Field]:
    """Return the columns of one item of a SELECT list."""
    if not part:
        return []
    if symbol(part[-1]) == "*":
        names, _ = chain(part, len(part) - 2)
        return [
            column
            for relation in relations
            if not names or relation.name.lower() == names[-1].lower()
            for column in relation.columns
        ]
    names, at = chain(part, len(part))
    if not names:
        return []
    if at == 0:
        return [Field(names[-1], _type_of(names, relations))]
    if len(names) > 1 or symbol(part[at - 1]) in set("+-/*%<>=|."):
        return []
    expression = part[: at - 1] if word(part[at - 1]) == "AS" else part[:at]
    return [Field(names[0], _type(expression, relations))]


def _type(expression: list[Item], relations: list[Relation]) -> str:
    names, end = forward_chain(expression, 0)
    if names and end == len(expression):
        return _type_of(list(names), relations)
    group = item_at(expression, end)
    if isinstance(group, Group) and end + 1 == len(expression) and len(names) == 1:
        if names[0].upper() in {"CAST", "TRY_CAST"}:
            at = next((i for i, item in enumerate(group.items) if word(item) == "AS"), None)
            return " ".join(word(item) for item in group.items[at + 1 :]) if at is not None else ""
        return _KNOWN_TYPES.get(names[0].upper(), "")
    return ""


def _type_of(names: list[str], relations: list[Relation]) -> str:
    *before, last = names
    columns = Scope(tuple(relations)).resolve(before) if before else [c for r in relations for c in r.columns]
    return next((column.type for column in columns if column.name == last), "")


def measures(item: Item) -> tuple[Field, ...]:
    """Return the columns that a MATCH_RECOGNIZE yields: its partition, then its measures."""
    items = inside(item)
    found: list[Field] = []
    words = [word(part) for part in items]
    if words[:2] == ["PARTITION", "BY"]:
        end = next((i for i, w in enumerate(words) if w in {"ORDER", "MEASURES"}), len(items))
        found += [
            Field(name_of(part[-1])) for part in split_at_commas(items[2:end]) if part and is_name(part[-1])
        ]
    found += [
        Field(name_of(items[i + 1]))
        for i, w in enumerate(words)
        if w == "AS" and is_name(item_at(items, i + 1)) and "DEFINE" not in words[:i]
    ]
    return tuple(found)


def column_names(item: Item) -> tuple[str, ...]:
    """Return the names in a list of columns in brackets, such as that of an alias."""
    parts = split_at_commas(item.items) if isinstance(item, Group) else []
    return tuple(name_of(part[0]) for part in parts if part and is_name(part[0]))


def named(columns: tuple[Field, ...], names: tuple[str, ...]) -> tuple[Field, ...]:
    """Give columns the names of an alias's list, where it has one."""
    if not names:
        return columns
    types = [column.type for column in columns] if len(columns) == len(names) else [""] * len(names)
    return tuple(Field(name, type_) for name, type_ in zip(names, types, strict=True))


def item_at(items: list[Item], at: int) -> Item | None:
    """Return the item at an index; None where there is none."""
    return items[at] if 0 <= at < len(items) else None
