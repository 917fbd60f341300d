"""SQL text: tokens, statements, their kinds and the names they create. No network, no files.

Only the lexical rules of Flink's parser live here (Calcite's, with backquotes); what a statement
means is Flink's business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from sdp_kernel.errors import Position, StatementError

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<hint>/\*\+.*?\*/)
    | (?P<comment>--[^\n]*|/\*(?!\+).*?\*/)
    | (?P<string>'(?:[^']|'')*')
    | (?P<identifier>`(?:[^`]|``)*`|"(?:[^"]|"")*")
    | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    | (?P<word>[^\W\d][\w$]*)
    | (?P<open>/\*|['`"])
    | (?P<symbol>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_OPENERS = {"'": "text in quotes", "`": "name in backquotes", '"': "name in quotes", "/*": "comment"}
_IGNORED = {"space", "comment"}
_QUERY_WORDS = {"SELECT", "WITH", "VALUES", "TABLE", "FROM"}
_OBJECTS = {"TABLE", "VIEW", "FUNCTION", "CATALOG", "DATABASE", "MODEL"}
_MATERIALIZED = "MATERIALIZED TABLE"
#: What takes effect outside the session, and must not be carried out again when that is rebuilt.
_OUTSIDE = {"CALL", "ANALYZE", "TRUNCATE", "COMPILE PLAN", "OTHER"}
_READING = {"SHOW", "DESCRIBE", "DESC", "EXPLAIN", "QUERY"}

#: Longer texts, such as rows written out, are read anew each time, in characters.
_LONG = 20_000


@dataclass(frozen=True)
class Token:
    """One lexical token; ``start`` and ``end`` are offsets into the text."""

    kind: str
    text: str
    start: int
    end: int

    @property
    def upper(self) -> str:
        """The text in upper case, for keywords."""
        return self.text.upper()

    @property
    def name(self) -> str:
        """The identifier without its quotes."""
        quote = self.text[0]
        if self.kind == "identifier":
            return self.text[1:-1].replace(quote * 2, quote)
        return self.text


@dataclass(frozen=True)
class Statement:
    """One statement as it stands in the source.

    ``text`` runs from its first token to its last, without the ``;``. ``start`` is its offset in
    the source. ``kind`` is upper case: ``QUERY``, ``INSERT``, ``STATEMENT SET``,
    ``CREATE TABLE``, ``SET``, …; ``target`` the name that a CREATE, DROP, ALTER or INSERT names.
    """

    text: str
    start: int
    kind: str
    target: str | None = None
    temporary: bool = False

    @property
    def is_query(self) -> bool:
        """Whether it yields rows of a query: SELECT, WITH, VALUES."""
        return self.kind == "QUERY"

    @property
    def runs_job(self) -> bool:
        """Whether it starts a job that outlives the statement."""
        return self.kind in {"INSERT", "STATEMENT SET", "UPDATE", "DELETE", "EXECUTE PLAN"} or (
            self.kind == "CREATE TABLE" and self.is_ctas
        )

    @property
    def is_ctas(self) -> bool:
        """Whether it is CREATE TABLE … AS SELECT, which runs a job."""
        depth = 0
        for token in significant(self.text):
            depth += {"(": 1, ")": -1}.get(token.text, 0)
            if depth == 0 and token.upper == "AS" and token.kind == "word":
                return self.kind == "CREATE TABLE"
        return False

    @property
    def reads_only(self) -> bool:
        """Whether it changes nothing, in the session or outside."""
        return self.kind in _READING

    @property
    def shapes_session(self) -> bool:
        """Whether replaying it rebuilds a part of the session: DDL, SET, USE, ADD JAR."""
        outside = self.kind in _OUTSIDE or self.kind.endswith(_MATERIALIZED)  # that has a job of its own
        return not (self.reads_only or self.runs_job or outside)


def tokens(text: str) -> Iterator[Token]:
    """Yield all tokens of ``text``, white space and comments included.

    Raises
    ------
    StatementError
        A quote or comment is never closed; its position is the opening.
    """
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "symbol"
        if kind == "open":
            position = position_at(text, match.start())
            what = _OPENERS[match.group()]
            raise StatementError(
                f"a {what} opens here and is never closed",
                hint=f"close it with {'*/' if match.group() == '/*' else match.group()}",
                position=position,
                excerpt=excerpt(text, position),
            )
        yield Token(kind, match.group(), match.start(), match.end())


def significant(text: str) -> list[Token]:
    """Return the tokens of ``text`` without white space and comments."""
    if len(text) > _LONG:
        return [token for token in tokens(text) if token.kind not in _IGNORED]
    return list(_significant(text))


@lru_cache(maxsize=512)
def _significant(text: str) -> tuple[Token, ...]:
    return tuple(token for token in tokens(text) if token.kind not in _IGNORED)


def split(text: str) -> list[Statement]:
    """Split a script at its top-level ``;``.

    ``BEGIN … END`` of a statement set holds its own ``;`` and stays together. Text of comments
    alone gives no statement.
    """
    statements: list[Statement] = []
    run: list[Token] = []
    in_set = False
    for token in significant(text):
        if token.text == ";" and not in_set:
            if run:
                statements.append(_statement(text, run))
            run = []
            continue
        run.append(token)
        if token.kind == "word":
            if not in_set and token.upper in {"BEGIN", "SET"} and _opens_set(run):
                in_set = True
            elif in_set and token.upper == "END" and run[-2].text in {";", "SET", "BEGIN"}:
                in_set = False
    if run:
        statements.append(_statement(text, run))
    return statements


def _opens_set(run: list[Token]) -> bool:
    words = [token.upper for token in run[-3:]]
    return words in (["STATEMENT", "SET", "BEGIN"], ["BEGIN", "STATEMENT", "SET"])


def _statement(text: str, run: list[Token]) -> Statement:
    start, end = run[0].start, run[-1].end
    kind, target = _classify(run)
    temporary = any(token.upper in {"TEMPORARY", "TEMP"} for token in run[1:4])
    return Statement(text[start:end], start, kind, target, temporary)


def _classify(run: list[Token]) -> tuple[str, str | None]:
    words = [token.upper if token.kind == "word" else token.text for token in run[:8]]
    first = words[0]
    if first in _QUERY_WORDS or first == "(":
        return "QUERY", None
    if first == "INSERT":
        at = 2 + (words[2:3] == ["TABLE"])
        return "INSERT", _qualified(run, at)
    if words[:3] in (["EXECUTE", "STATEMENT", "SET"], ["BEGIN", "STATEMENT", "SET"]):
        return "STATEMENT SET", None
    if "PLAN" in words[:4] and first in {"EXECUTE", "COMPILE"}:
        return ("EXECUTE PLAN" if "EXECUTE" in words[:3] else "COMPILE PLAN"), None
    if first in {"CREATE", "DROP", "ALTER"}:
        for index, word in enumerate(words):
            if word in _OBJECTS and run[index].kind == "word":
                what = _MATERIALIZED if words[index - 1] == "MATERIALIZED" else word
                return f"{first} {what}", _qualified(run, _after_conditions(words, index + 1))
    if first in {"DESCRIBE", "DESC"}:
        return "DESCRIBE", None
    if first in {"ADD", "REMOVE"}:
        return f"{first} JAR", None
    if first in {
        "SET",
        "RESET",
        "USE",
        "SHOW",
        "EXPLAIN",
        "LOAD",
        "UNLOAD",
        "UPDATE",
        "DELETE",
        "CALL",
        "ANALYZE",
        "TRUNCATE",
    }:
        return first, None
    return "OTHER", None


def _after_conditions(words: list[str], at: int) -> int:
    for condition in (["IF", "NOT", "EXISTS"], ["IF", "EXISTS"]):
        if words[at : at + len(condition)] == condition:
            return at + len(condition)
    return at


def _qualified(run: list[Token], at: int) -> str | None:
    parts: list[str] = []
    while at < len(run) and run[at].kind in {"word", "identifier"}:
        parts.append(run[at].name)
        if at + 1 < len(run) and run[at + 1].text == ".":
            at += 2
        else:
            break
    return ".".join(parts) or None


def identifiers(text: str) -> frozenset[str]:
    """Return every word and quoted name in ``text``, quotes taken off."""
    return frozenset(token.name for token in significant(text) if token.kind in {"word", "identifier"})


def position_at(text: str, offset: int) -> Position:
    """Turn an offset into line and column, both from 1."""
    before = text[:offset]
    return Position(before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1)


def offset_at(text: str, position: Position) -> int:
    """Turn line and column into an offset, kept inside ``text``."""
    lines = text.split("\n")
    line = min(position.line, len(lines))
    return min(sum(len(part) + 1 for part in lines[: line - 1]) + position.column - 1, len(text))


def excerpt(text: str, position: Position) -> str:
    """Return the line at ``position`` with a caret under the column."""
    lines = text.split("\n")
    if not 1 <= position.line <= len(lines):
        return ""
    line = lines[position.line - 1]
    caret = "".join("\t" if char == "\t" else " " for char in line[: position.column - 1])
    return f"  {line}\n  {caret}^"


def identifier(name: str) -> str:
    """Quote ``name`` as an identifier."""
    return "`" + name.replace("`", "``") + "`"


def split_fields(text: str) -> list[str]:
    """Split the fields of a ROW, as Flink writes its type, at commas outside of brackets and quotes."""
    parts, depth, quote, start = [], 0, "", 0
    for index, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "`'":
            quote = char
        elif char in "<(":
            depth += 1
        elif char in ">)":
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    return [*parts, text[start:]]
