"""Completion of statements that are no queries: DDL, SHOW, DESCRIBE, USE, and the target of an INSERT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdp_kernel.flink import complete_words as words
from sdp_kernel.flink import connectors
from sdp_kernel.flink.complete_names import Field
from sdp_kernel.flink.complete_place import Place
from sdp_kernel.flink.complete_scan import (
    Group,
    forward_chain,
    is_name,
    literal,
    name_of,
    split_at_commas,
    word,
)

if TYPE_CHECKING:
    from sdp_kernel.flink.complete_scan import Item


class StatementPlace(Place):
    """A place in a statement that is no query."""

    def in_definition(self) -> bool:
        """Handle types, and the columns of a CREATE TABLE."""
        if self.said == "AS" and word(self.opener) in {"CAST", "TRY_CAST"}:
            self._types()
            return True
        group = self._defined()
        if group is None:
            return False
        columns = [
            Field(name_of(part[0])) for part in split_at_commas(group.items) if part and is_name(part[0])
        ]
        known = [
            column for column in columns if column.name.upper() not in {"WATERMARK", "PRIMARY", "CONSTRAINT"}
        ]
        if self.cursor.group is not group:
            self.columns(known)
            if word(self.opener) != "KEY":
                self.functions()
            return True
        line = self._line()
        first = word(line[0]) if line else ""
        if not line:
            self.keywords(words.COLUMN_LINES)
        elif first == "WATERMARK":
            if self.continues(words.COLUMN_LINES):
                return True
            if self.said == "FOR" or "AS" in {word(item) for item in line}:
                self.columns(known)
                self._operators_or_units(line)
            else:
                self.keywords(["AS"])
        elif len(line) == 1:
            self._types()
            self.keywords(["AS", "METADATA"])
        elif "AS" in {word(item) for item in line[1:]}:
            self.columns(known)
            self.functions()
            self._operators_or_units(line)
        else:
            self.keywords(words.COLUMN_PARTS)
        return True

    def _operators_or_units(self, line: list[Item]) -> None:
        if len(line) > 1 and word(line[-2]) == "INTERVAL" and literal(line[-1]) is not None:
            self.keywords(words.UNITS)
        else:
            self.keywords(["INTERVAL"])

    def _line(self) -> list[Item]:
        """Return the items of the cursor's own line in a list with commas, those before it."""
        return split_at_commas(self.before)[-1]

    def _defined(self) -> Group | None:
        """Return the column list of the CREATE TABLE around the cursor, if it is in one."""
        if self.top[:1] != ["CREATE"] or "TABLE" not in self.top or len(self.cursor.path) == 1:
            return None
        first = next((item for item in self.cursor.top if isinstance(item, Group)), None)
        return first if first is self.cursor.path[1] and word(first.opener) != "WITH" else None

    def _types(self) -> None:
        for type_ in words.TYPES:
            self.found.keyword(type_, kind="type")

    def named_objects(self) -> bool:
        """Handle what takes the name of a table, view, database, catalog or function."""
        first, said = self.top[0] if self.top else "", self.said
        at_top = len(self.cursor.path) == 1
        if at_top and first in {
            "DROP",
            "ALTER",
            "DESCRIBE",
            "DESC",
            "SHOW",
            "USE",
            "TRUNCATE",
            "ANALYZE",
            "REMOVE",
        }:
            return self._administration(first)
        if at_top and first == "CREATE" and self.said != "SELECT" and not self.has_query():
            return self._creation()
        if at_top and first == "EXPLAIN" and not self.has_query() and self.said != "INTO":
            self.keywords(words.EXPLAINED)
            return True
        if said in {"INTO", "OVERWRITE", "UPDATE"}:
            self.tables(self.names.tables.values(), views=False)
            self.places()
            return True
        if at_top and first == "INSERT" and not self.has_query():
            self.keywords(words.AFTER_TARGET if "INTO" in self.top else ["INTO", "OVERWRITE"])
            return True
        if first == "INSERT" and not at_top and not self.has_query() and is_name(self.opener):
            path, _ = forward_chain(self.cursor.top, 3 if self.top[2:3] == ["TABLE"] else 2)
            table = self.names.table(path) if path else None
            self.columns(table.columns if table is not None else ())
            return True
        if at_top and first in {"SET", "RESET"}:
            if len(self.before) == 1:
                for option in connectors.session_options():
                    self.found.text(option.key, "option", option.detail)
            return True
        return (
            at_top
            and first in {"ADD", "LOAD", "UNLOAD", "CALL", "BEGIN", "EXECUTE", "COMPILE", "END"}
            and (self.continues(words.STATEMENTS) or not self.has_query())
        )

    def has_query(self) -> bool:
        """Whether a query has begun before the cursor, in its own brackets."""
        return any(
            word(item) in {"SELECT", "VALUES"} or (word(item) == "WITH" and self.top[:1] != ["CREATE"])
            for item in self.before
        )

    def _administration(self, first: str) -> bool:
        said = [word(item) for item in self.before]
        tables = self.names.tables.values()
        if self.said in {"IF", "NOT"} or (self.said == "EXISTS" and len(said) < 3):  # noqa: PLR2004
            self.continues(words.STATEMENTS)
        elif "VIEW" in said[1:3] and self.said in {"VIEW", "EXISTS"}:
            self.tables(tables, only_views=True)
            self.keywords(["IF EXISTS"] if first == "DROP" and self.said == "VIEW" else [])
        elif "TABLE" in said[1:3] and self.said in {"TABLE", "EXISTS"}:
            self.tables(tables, views=first not in {"DROP", "ALTER"})
            self.places()
            self.keywords(["IF EXISTS"] if first == "DROP" and self.said == "TABLE" else [])
        elif self.said in {"DESCRIBE", "DESC", "EXTENDED"}:
            self.tables(tables)
            self.places()
            self.keywords(["CATALOG", "DATABASE", "FUNCTION", "JOB"])
        elif self.said == "CATALOG":
            for catalog in self.names.databases or {self.names.catalog: ()}:
                self.found.name(catalog, "catalog", "catalog")
        elif self.said in {"DATABASE", "USE"} or (self.said in {"FROM", "IN"} and "COLUMNS" not in said):
            self.places()
            self.keywords(["CATALOG", "MODULES"] if self.said == "USE" else [])
        elif self.said in {"FROM", "IN"}:
            self.tables(tables)
        elif "FUNCTION" in said[1:3] and self.said in {"FUNCTION", "EXISTS"}:
            for function in self.names.functions:
                self.found.name(function, "function", "function")
        elif first == "ALTER":
            self.keywords(words.AFTER_ALTERED)
        else:
            self.continues(words.STATEMENTS)
        return True

    def _creation(self) -> bool:
        said = {word(item) for item in self.before}
        if self.continues(words.STATEMENTS) or self.continues(words.AFTER_COLUMNS):
            return True
        if self.said in {"TABLE", "VIEW", "FUNCTION", "CATALOG", "DATABASE", "IF", "NOT"}:
            self.keywords(["IF NOT EXISTS"])
        elif self.said == "LIKE":
            self.tables(self.names.tables.values())
        elif "FUNCTION" in said:
            self.keywords(["AS", "LANGUAGE JAVA", "LANGUAGE PYTHON", "LANGUAGE SCALA", "USING JAR"])
        elif "VIEW" in said:
            self.keywords(["SELECT", "WITH"] if self.said == "AS" else ["AS SELECT", "COMMENT"])
        elif self.said == "AS":
            self.keywords(["SELECT", "WITH"])
        elif "TABLE" in said:
            self.keywords(words.AFTER_COLUMNS)
        else:
            self.keywords(["WITH"])
        return True
