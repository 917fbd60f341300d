"""Completion inside queries: relations, columns, functions, and the keywords of each clause."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdp_kernel.flink import complete_words as words
from sdp_kernel.flink.complete_place import Place
from sdp_kernel.flink.complete_scan import Group, Item, chain, forward_chain, literal, symbol, word
from sdp_kernel.flink.complete_scope import SET_OPERATIONS, WINDOWS, scope_at
from sdp_kernel.flink.script import Token

if TYPE_CHECKING:
    from sdp_kernel.flink.complete_columns import Scope
    from sdp_kernel.flink.complete_names import Field

_CLAUSES = frozenset(
    {"SELECT", "FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "ON", "PARTITION", "SET"}
    | {"WINDOW", "QUALIFY"}
)
_BEFORE_LITERALS = frozenset({"INTERVAL", "LIMIT", "OFFSET", "FETCH"})
#: Words that an operand follows.
_OPERATOR_WORDS = frozenset(
    {"AND", "OR", "NOT", "IN", "LIKE", "BETWEEN", "WHEN", "THEN", "ELSE", "CASE", "IS", "DISTINCT", "ALL"}
    | {"BY", "SELECT", "WHERE", "HAVING", "ON", "FROM", "SET", "ESCAPE", "TO", "VALUES", "RETURN", "ANY"}
    | {"SOME", "EXISTS", "SIMILAR", "OF", "JOIN", "LATERAL", "TABLE", "WITH"}
)


class QueryPlace(Place):
    """A place in a query."""

    def after_dot(self) -> None:
        """Offer what a qualified name goes on with."""
        path, at = chain(self.before, len(self.before) - 1)
        if not path:
            return
        if self._takes_table(at):
            where = tuple(path)
            self.tables(self.names.tables_of(where).values())
            if len(where) == 1:
                for database in self.names.databases.get(where[0], ()):
                    self.found.name(database, "database", "database")
            return
        scope = scope_at(self.cursor, self.names)
        self.columns(scope.resolve(path))

    def _takes_table(self, at: int) -> bool:
        """Whether a name that begins at index ``at`` names a table."""
        lead = self.before[at - 1] if at else None
        return word(lead) in {
            "FROM",
            "JOIN",
            "INTO",
            "TABLE",
            "DESCRIBE",
            "DESC",
            "UPDATE",
            "LIKE",
            "EXISTS",
        } or (symbol(lead) == "," and self._clause(at)[0] == "FROM")

    def in_query(self) -> None:
        """Offer what the clause around the cursor takes."""
        opener = word(self.opener)
        if opener in WINDOWS | {"DESCRIPTOR"}:
            self._in_window(opener)
            return
        clause, complete_operand = self._clause(len(self.before))
        if self.said in SET_OPERATIONS or (self.said == "ALL" and word(self._ahead(2)) == "UNION"):
            self.keywords(["SELECT", *(["ALL"] if self.said != "ALL" else [])])
        elif self.said == "TABLE" or (clause == "FROM" and not complete_operand):
            self._relations()
        elif self.said == "AS" and clause in {"SELECT", "FROM"} and opener != "OVER":
            return
        elif word(self._ahead(2)) == "INTERVAL" and literal(self.previous) is not None:
            self.keywords(words.UNITS)
        elif opener == "EXTRACT" and not self.before:
            self.keywords(words.EXTRACTED)
        elif self.said in _BEFORE_LITERALS or (self._begun() and self.continues(words.PHRASES)):
            return
        elif (
            not self.before
            and opener in {"", "AS", "IN", "EXISTS", "FROM", "JOIN"}
            and len(self.cursor.path) > 1
        ):
            self._expression(clause)
            self.keywords(["SELECT", "VALUES"])
        elif complete_operand:
            self._after_operand(clause)
        else:
            self._expression(clause)

    def _begun(self) -> bool:
        """Whether the word before the cursor begins a phrase that is not over, such as GROUP BY."""
        return self.said in words.BEGUN or (self.said == "NOT" and word(self._ahead(2)) == "IS")

    def _ahead(self, back: int) -> Item | None:
        return self.before[-back] if len(self.before) >= back else None

    def _clause(self, end: int) -> tuple[str, bool]:
        """Return the clause that index ``end`` is in, and whether an operand stands before it."""
        clause = ""
        for item in reversed(self.before[:end]):
            said = word(item)
            if said in SET_OPERATIONS:
                break
            if said == "JOIN":
                clause = "FROM"
                break
            if said in _CLAUSES:
                clause = said
                break
        last = self.before[end - 1] if end else None
        done = isinstance(last, (Group, Token)) and not (
            (isinstance(last, Token) and last.kind == "symbol" and last.text != "*")
            or (symbol(last) == "*" and not self._is_star(end))
            or word(last) in _OPERATOR_WORDS
        )
        return clause, done

    def _is_star(self, end: int) -> bool:
        """Whether the ``*`` before index ``end`` means all columns."""
        lead = self.before[end - 2] if end > 1 else None
        return word(lead) in {"SELECT", "DISTINCT", "ALL"} or symbol(lead) in {",", "."}

    def _relations(self) -> None:
        if self.said == "TABLE" and len(self.cursor.path) == 1 and len(self.before) > 1:
            self._window_functions()
        scope = scope_at(self.cursor, self.names)
        self.tables(scope.tables.values())
        self.tables(self.names.tables.values())
        self.places()
        if self.said != "TABLE":
            self._window_functions()
            self.keywords(words.READ_FROM)

    def _window_functions(self) -> None:
        for name in ("TUMBLE", "HOP", "CUMULATE", "SESSION"):
            self.found.function(name, "window")

    def _in_window(self, opener: str) -> None:
        """Offer the arguments of TUMBLE, HOP, CUMULATE, SESSION, and of DESCRIPTOR in them."""
        if opener == "DESCRIPTOR":
            columns = self._windowed()
            self.columns(sorted(columns, key=lambda column: not column.is_time))
            return
        if self.said == "TABLE":
            self.tables(scope_at(self.cursor, self.names).tables.values())
            self.tables(self.names.tables.values())
            self.places()
        elif word(self._ahead(2)) == "INTERVAL":
            self.keywords(words.UNITS)
        elif not self.before:
            self.keywords(["TABLE", "DATA => TABLE"])
        elif symbol(self.previous) == ",":
            self.found.function("DESCRIPTOR", "time column")
            self.keywords(["INTERVAL"])
        elif (
            isinstance(self.previous, Token)
            and self.previous.kind == "word"
            and "BY" not in {word(item) for item in self.before}
        ):
            self.keywords(["PARTITION BY"])

    def _windowed(self) -> tuple[Field, ...]:
        """Return the columns of the table that the window function around DESCRIPTOR reads."""
        around = self.cursor.path[-2].items if len(self.cursor.path) > 1 else []
        at = next((i for i, item in enumerate(around) if word(item) == "TABLE"), None)
        if at is None:
            return ()
        path, _ = forward_chain(around, at + 1)
        scope = scope_at(self.cursor, self.names)
        table = scope.tables.get(path[-1]) if len(path) == 1 else None
        table = table or (self.names.table(path) if path else None)
        return table.columns if table is not None else ()

    def _expression(self, clause: str) -> None:
        scope = scope_at(self.cursor, self.names)
        opener = word(self.opener)
        if clause == "GROUP":
            windows = [
                column for column in self._scoped(scope) if column.name in {"window_start", "window_end"}
            ]
            self.columns(windows)
        if clause == "ORDER" and opener != "OVER":
            self.columns(scope.output)
        self.columns(self._scoped(scope))
        for relation in scope.all:
            if relation.name:
                self.found.name(relation.name, "alias", relation.table.name if relation.table else "subquery")
        if opener == "OVER":
            self.keywords([*words.BEGINNING["OVER"], *words.FRAMES])
        if opener == "MATCH_RECOGNIZE":
            self.keywords(words.MEASURED)
        self.keywords([*words.BEGINNING.get(clause, ()), *words.OPERANDS])
        if self._in_case():
            self.keywords(words.CASE)
        self.functions()

    def _scoped(self, scope: Scope) -> list[Field]:
        return [column for relation in scope.all for column in relation.columns]

    def _after_operand(self, clause: str) -> None:
        opener = word(self.opener)
        if self._in_case():
            self.keywords(words.CASE)
        if opener == "OVER":
            self.keywords([*words.BEGINNING["OVER"], *words.FRAMES])
        if opener == "MATCH_RECOGNIZE":
            self.keywords(words.MEASURED)
        following = words.FOLLOWING.get(clause, ())
        if clause in {"FROM", "ORDER"}:
            self.keywords(following)
            return
        if clause in {"WHERE", "ON", "HAVING"}:
            self.keywords(words.OPERATORS)
            self.keywords(following)
        else:
            self.keywords(following)
            self.keywords(words.OPERATORS)
        if opener in {"CAST", "TRY_CAST"}:
            self.keywords(["AS"])

    def _in_case(self) -> bool:
        said = [word(item) for item in self.before]
        return said.count("CASE") > said.count("END")
