"""What completion knows of a session: a snapshot of its names, and how a name is written in SQL.

Plain data; ``catalog`` fills it from a gateway, tests by hand.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sdp_kernel.flink import connectors
from sdp_kernel.flink.script import identifier, split_fields

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLAIN = re.compile(r"[A-Za-z_]\w*\Z", re.ASCII)


@dataclass(frozen=True)
class Field:
    """A column, or a field of a ROW. ``type`` is SQL text, empty where not known."""

    name: str
    type: str = ""

    @property
    def is_time(self) -> bool:
        """Whether a window can be cut along it."""
        return self.type.upper().startswith("TIMESTAMP")


@dataclass(frozen=True)
class Table:
    """A table or view. ``connector`` and ``formats`` as its WITH says, where that is known."""

    name: str
    columns: tuple[Field, ...] = ()
    is_view: bool = False
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Names:
    """The names of a session at one moment.

    ``tables`` are those of the current database, by name; ``databases`` is catalog → databases,
    ``elsewhere`` (catalog, database) → tables, as far as they were looked up.
    """

    catalog: str = "default_catalog"
    database: str = "default_database"
    tables: Mapping[str, Table] = field(default_factory=dict)
    databases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    elsewhere: Mapping[tuple[str, str], Mapping[str, Table]] = field(default_factory=dict)
    functions: tuple[str, ...] = ()
    #: Cluster alias → topics.
    topics: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: Name → what to show beside it, such as its value.
    parameters: Mapping[str, str] = field(default_factory=dict)
    fragments: tuple[str, ...] = ()

    def table(self, path: tuple[str, ...]) -> Table | None:
        """Return a table by its name, qualified or not; names are case sensitive in Flink."""
        *where, name = path
        if not where:
            return self.tables.get(name)
        return self.tables_of(tuple(where)).get(name)

    def tables_of(self, where: tuple[str, ...]) -> Mapping[str, Table]:
        """Return the tables of ``(database,)`` or ``(catalog, database)``."""
        catalog, database = where if len(where) > 1 else (self.catalog, where[0])
        if (catalog, database) == (self.catalog, self.database):
            return self.tables
        return self.elsewhere.get((catalog, database), {})


def written(name: str) -> str:
    """Return a name as SQL takes it: in backquotes where it is a reserved word or no plain word."""
    return name if _PLAIN.match(name) and name.upper() not in connectors.reserved() else identifier(name)


def row_fields(type_: str) -> tuple[Field, ...]:
    """Return the fields of ``ROW<a INT, `b` ROW<c STRING>>``; none for other types."""
    text = type_.strip()
    match = re.match(r"ROW\s*[<(]", text, re.IGNORECASE)
    if match is None:
        return ()
    inner = text[match.end() : max(text.rfind(">"), text.rfind(")"))]
    fields = []
    for part in split_fields(inner):
        found = re.match(r"\s*(?:`((?:[^`]|``)*)`|(\w+))\s+(.*)\Z", part, re.DOTALL)
        if found is not None:
            name = found[1].replace("``", "`") if found[1] is not None else found[2]
            fields.append(Field(name, re.sub(r"\s+NOT NULL\Z|\s+'.*'\Z", "", found[3].strip())))
    return tuple(fields)
