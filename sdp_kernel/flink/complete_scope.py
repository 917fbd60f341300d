"""Which columns a place in a query sees: the FROM clause around it, subqueries, WITH, window functions.

Nothing is validated. A query that is half written gives what can be read of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sdp_kernel.flink import connectors
from sdp_kernel.flink.complete_columns import (
    Relation,
    Scope,
    column_names,
    item_at,
    measures,
    named,
    selected,
)
from sdp_kernel.flink.complete_names import Field, Table
from sdp_kernel.flink.complete_scan import (
    Group,
    Item,
    chain,
    forward_chain,
    inside,
    is_name,
    name_of,
    scan,
    split_at_commas,
    symbol,
    word,
)

if TYPE_CHECKING:
    from sdp_kernel.flink.complete_names import Names
    from sdp_kernel.flink.complete_scan import Cursor

WINDOWS = frozenset({"TUMBLE", "HOP", "CUMULATE", "SESSION"})
SET_OPERATIONS = frozenset({"UNION", "EXCEPT", "INTERSECT", "MINUS"})
_WINDOW_COLUMNS = (
    Field("window_start", "TIMESTAMP(3)"),
    Field("window_end", "TIMESTAMP(3)"),
    Field("window_time", "TIMESTAMP_LTZ(3)"),
)
_AFTER_FROM = frozenset(
    {"WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "FETCH", "WINDOW", "QUALIFY"}
)
_JOINING = frozenset(
    {"JOIN", "INNER", "LEFT", "RIGHT", "FULL", "OUTER", "CROSS", "NATURAL", "LATERAL", "SEMI", "ANTI"}
)
_DEEPEST = 12


class _Reader:
    """Reads relations and output columns; ``known`` are the names of WITH, which hide tables."""

    def __init__(self, names: Names, known: dict[str, Table] | None = None, depth: int = 0) -> None:
        self.names = names
        self.known = dict(known or {})
        self.depth = depth

    def inner(self) -> _Reader:
        return _Reader(self.names, self.known, self.depth + 1)

    def table(self, path: tuple[str, ...]) -> Table | None:
        if len(path) == 1 and path[0] in self.known:
            return self.known[path[0]]
        return self.names.table(path)

    def learn(self, items: list[Item]) -> None:
        """Take in ``WITH a AS (…), b (x, y) AS (…)`` among ``items``."""
        at = next(
            (i + 1 for i, item in enumerate(items) if word(item) == "WITH" and _is_named(items, i + 1)), None
        )
        while at is not None and at < len(items) and is_name(items[at]):
            name = name_of(items[at])
            columns: tuple[str, ...] = ()
            at += 1
            if at < len(items) and isinstance(items[at], Group) and word(item_at(items, at + 1)) == "AS":
                columns = column_names(items[at])
                at += 1
            if word(item_at(items, at)) != "AS":
                return
            body = item_at(items, at + 1)
            if not isinstance(body, Group):
                return
            found = named(self.inner().output(body.items), columns)
            self.known[name] = Table(name, found, is_view=True)
            at += 2
            if symbol(item_at(items, at)) != ",":
                return
            at += 1

    def output(self, items: list[Item]) -> tuple[Field, ...]:
        """Return the columns that a query yields, as far as they have a name."""
        if self.depth > _DEEPEST:
            return ()
        self.learn(items)
        items = _first_branch(items)
        select = next((i for i, item in enumerate(items) if word(item) == "SELECT"), None)
        if select is None:
            return self._without_select(items)
        start = select + 1
        if word(item_at(items, start)) in {"DISTINCT", "ALL"}:
            start += 1
        end = next((i for i in range(start, len(items)) if word(items[i]) == "FROM"), len(items))
        relations = self.relations(items)
        found: list[Field] = []
        for part in split_at_commas(items[start:end]):
            found += selected(part, relations)
        return tuple(found)

    def _without_select(self, items: list[Item]) -> tuple[Field, ...]:
        if word(item_at(items, 0)) == "TABLE":
            path, _ = forward_chain(items, 1)
            table = self.table(path) if path else None
            return table.columns if table is not None else ()
        first = item_at(items, 0)
        return self.inner().output(first.items) if isinstance(first, Group) and len(items) == 1 else ()

    def relations(self, items: list[Item]) -> list[Relation]:
        """Return what the FROM clause among ``items`` names."""
        start = next((i + 1 for i, item in enumerate(items) if word(item) == "FROM"), None)
        if start is None:
            return self._target(items)
        end = next((i for i in range(start, len(items)) if word(items[i]) in _AFTER_FROM), len(items))
        return self.joined(items[start:end])

    def _target(self, items: list[Item]) -> list[Relation]:
        """Return the table of an UPDATE."""
        if word(item_at(items, 0)) != "UPDATE":
            return []
        path, _ = forward_chain(items, 1)
        table = self.table(path) if path else None
        return [Relation(path[-1], table.columns, table)] if table is not None else []

    def joined(self, items: list[Item]) -> list[Relation]:
        """Return the relations of ``a AS x JOIN (SELECT …) y ON …``."""
        found: list[Relation] = []
        at = 0
        while at < len(items):
            here = word(items[at])
            if here in {"ON", "USING"}:
                at = _after_condition(items, at + 1)
            elif here == "TABLE" and isinstance(item_at(items, at + 1), Group):
                relation, at = self._call(inside(items[at + 1])), at + 2
                at = self._finish(found, relation, items, at)
            elif is_name(items[at]) and here not in _JOINING:
                path, after = forward_chain(items, at)
                follows = item_at(items, after)
                if isinstance(follows, Group):
                    relation = self._call(items[at : after + 1])
                    at = self._finish(found, relation, items, after + 1)
                else:
                    table = self.table(path)
                    columns = table.columns if table is not None else ()
                    at = self._finish(found, Relation(path[-1], columns, table), items, after)
            elif isinstance(items[at], Group):
                at = self._bracketed(found, items, at)
            else:
                at += 1
        return found

    def _bracketed(self, found: list[Relation], items: list[Item], at: int) -> int:
        group = items[at]
        assert isinstance(group, Group)  # noqa: S101 - told apart by the caller
        inner = self.inner()
        if self.depth > _DEEPEST:
            return at + 1
        if any(word(item) in {"SELECT", "VALUES"} for item in group.items):
            return self._finish(found, Relation("", inner.output(group.items)), items, at + 1)
        found += inner.joined(group.items)
        return at + 1

    def _call(self, items: list[Item]) -> Relation:
        """Return what a table function yields: a window function adds three columns."""
        path, after = forward_chain(items, 0)
        group = item_at(items, after)
        if not path or not isinstance(group, Group):
            return Relation("")
        read = next(
            (
                i
                for i, item in enumerate(group.items)
                if word(item) == "TABLE" and is_name(item_at(group.items, i + 1))
            ),
            None,
        )
        columns: tuple[Field, ...] = ()
        if read is not None:
            table = self.table(forward_chain(group.items, read + 1)[0])
            columns = table.columns if table is not None else ()
        if path[-1].upper() in WINDOWS:
            columns = (*columns, *_WINDOW_COLUMNS)
        return Relation("", columns)

    def _finish(self, found: list[Relation], relation: Relation, items: list[Item], at: int) -> int:
        """Read what may follow a relation: time travel, MATCH_RECOGNIZE, an alias with its columns."""
        while True:
            here = word(item_at(items, at))
            if here == "FOR":
                at = _after_time(items, at)
            elif here == "OPTIONS" and isinstance(item_at(items, at + 1), Group):
                at += 2
            elif here == "MATCH_RECOGNIZE" and isinstance(item_at(items, at + 1), Group):
                relation = Relation("", measures(items[at + 1]))
                at += 2
            else:
                break
        if word(item_at(items, at)) == "AS":
            at += 1
        alias = item_at(items, at)
        if _is_alias(alias):
            relation = replace(relation, name=name_of(alias))
            at += 1
            columns = item_at(items, at)
            if isinstance(columns, Group):
                relation = replace(relation, columns=named(relation.columns, column_names(columns)))
                at += 1
        found.append(relation)
        return at


def scope_at(cursor: Cursor, names: Names) -> Scope:
    """Return what the cursor's place sees."""
    reader = _Reader(names)
    levels: list[list[Relation]] = []
    output: tuple[Field, ...] = ()
    at = cursor.at
    indices = _indices(cursor)
    for group in cursor.path:
        reader.learn(group.items)
    for depth in range(len(cursor.path) - 1, -1, -1):
        group = cursor.path[depth]
        at = indices[depth]
        block, _ = _block(group.items, at)
        words = {word(item) for item in block}
        if "SELECT" in words or (depth == 0 and words & {"UPDATE", "FROM"}):
            output = output if levels else reader.inner().output(block)
            levels.append(reader.relations(block))
            if depth and _in_from(cursor.path[depth - 1].items, indices[depth - 1]):
                break
        elif group.opener is not None and word(group.opener) == "MATCH_RECOGNIZE" and depth:
            parent, _ = _block(cursor.path[depth - 1].items, indices[depth - 1])
            path, _ = chain(parent, parent.index(group) - 1)
            table = reader.table(tuple(path)) if path else None
            if table is not None:
                levels.append([Relation(path[-1], table.columns, table)])
                break
    first, *rest = levels or [[]]
    outer = tuple(relation for level in rest for relation in level)
    return Scope(tuple(first), outer, reader.known, output)


def output_of(text: str, names: Names) -> tuple[Field, ...]:
    """Return the columns that the last query in ``text`` yields, as far as they have a name."""
    cursor = scan(f"{text} ", len(text) + 1)
    return _Reader(names).output(cursor.top) if cursor is not None else ()


def _indices(cursor: Cursor) -> list[int]:
    """Return where the cursor stands in each group on its path."""
    found = []
    for depth, group in enumerate(cursor.path[:-1]):
        child = cursor.path[depth + 1]
        found.append(next(i for i, item in enumerate(group.items) if item is child))
    return [*found, cursor.at]


def _block(items: list[Item], at: int) -> tuple[list[Item], int]:
    """Return the branch of a UNION that index ``at`` is in, and the index there."""
    start = max((i + 1 for i in range(min(at, len(items))) if word(items[i]) in SET_OPERATIONS), default=0)
    end = next((i for i in range(at, len(items)) if word(items[i]) in SET_OPERATIONS), len(items))
    return items[start:end], at - start


def _in_from(items: list[Item], at: int) -> bool:
    """Whether index ``at`` is a relation of a FROM clause, which does not see its neighbours."""
    block, inside = _block(items, at)
    last = next(
        (
            word(item)
            for item in reversed(block[:inside])
            if word(item) in _AFTER_FROM | {"FROM", "SELECT", "ON"}
        ),
        "",
    )
    return last == "FROM" and word(item_at(block, inside - 1)) != "LATERAL"


def _first_branch(items: list[Item]) -> list[Item]:
    end = next((i for i, item in enumerate(items) if word(item) in SET_OPERATIONS), len(items))
    return items[:end]


def _after_condition(items: list[Item], at: int) -> int:
    while at < len(items) and symbol(items[at]) != "," and word(items[at]) not in _JOINING:
        at += 1
    return at


def _after_time(items: list[Item], at: int) -> int:
    """Skip ``FOR SYSTEM_TIME AS OF expression``."""
    at += 1
    while word(item_at(items, at)) in {"SYSTEM_TIME", "AS", "OF", "TIMESTAMP"}:
        at += 1
    _, after = forward_chain(items, at)
    at = max(after, at + 1)
    return at + 1 if isinstance(item_at(items, at), Group) else at


def _is_alias(item: Item | None) -> bool:
    """Whether an item after a relation is its alias, and no keyword that goes on."""
    if not is_name(item):
        return False
    return not word(item) or word(item) not in connectors.reserved() | {"OPTIONS"}


def _is_named(items: list[Item], at: int) -> bool:
    return is_name(item_at(items, at)) and (
        word(item_at(items, at + 1)) == "AS" or isinstance(item_at(items, at + 1), Group)
    )
