"""A place in a statement: what stands before it, and how names and keywords are offered there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdp_kernel.flink import complete_words as words
from sdp_kernel.flink import connectors
from sdp_kernel.flink.complete_scan import word

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sdp_kernel.flink.complete_found import Found
    from sdp_kernel.flink.complete_names import Field, Names, Table
    from sdp_kernel.flink.complete_scan import Cursor


class Place:
    """Where the cursor stands; ``found`` takes what may be written there."""

    def __init__(self, found: Found, cursor: Cursor, names: Names) -> None:
        self.found = found
        self.cursor = cursor
        self.names = names
        self.before = cursor.before
        self.previous = self.before[-1] if self.before else None
        self.said = word(self.previous)
        self.top = [word(item) for item in cursor.top[:6]]
        self.opener = cursor.group.opener

    def tables(self, tables: Iterable[Table], *, views: bool = True, only_views: bool = False) -> None:
        """Offer tables, and views unless they are not wanted."""
        for table in tables:
            if (table.is_view and not views) or (only_views and not table.is_view):
                continue
            detail = "view" if table.is_view else table.options.get("connector", "table")
            self.found.name(table.name, "view" if table.is_view else "table", detail)

    def places(self) -> None:
        """Offer databases and catalogs, to qualify a table's name with."""
        for catalog, databases in self.names.databases.items():
            if catalog == self.names.catalog:
                for database in databases:
                    self.found.name(database, "database", "database")
        for catalog in self.names.databases:
            self.found.name(catalog, "catalog", "catalog")

    def columns(self, columns: Iterable[Field]) -> None:
        """Offer columns with their types."""
        for column in columns:
            self.found.name(column.name, "column", column.type)

    def keywords(self, phrases: Iterable[str]) -> None:
        """Offer phrases, and the rest of those whose first words stand before the cursor."""
        for phrase in phrases:
            rest = self._rest(phrase)
            self.found.keyword(rest or phrase, first=bool(rest))

    def continues(self, phrases: Iterable[str]) -> bool:
        """Offer only the rest of phrases begun before the cursor; says whether there are any."""
        rests = [rest for phrase in phrases if (rest := self._rest(phrase))]
        for rest in rests:
            self.found.keyword(rest, first=True)
        return bool(rests)

    def _rest(self, phrase: str) -> str:
        said = [word(item) for item in self.before[-4:]]
        parts = phrase.split(" ")
        for count in range(min(len(said), len(parts) - 1), 0, -1):
            if said[-count:] == parts[:count]:
                return " ".join(parts[count:])
        return ""

    def functions(self) -> None:
        """Offer the user's functions, then Flink's."""
        for name in self.names.functions:
            self.found.function(name, "your function", plain=True)
        for name in connectors.functions():
            if name in words.BARE_FUNCTIONS:
                self.found.keyword(name, kind="function")
            else:
                self.found.function(name, "function")
