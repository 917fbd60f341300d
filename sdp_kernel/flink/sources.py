"""Which tables a query's text reads, and where: a scan over its tokens, no parser.

It knows where a table may stand: behind FROM, JOIN and the commas between, and behind TABLE in the
arguments of a function. Names of WITH are told apart from tables by where they are in sight.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sdp_kernel.flink.script import Token, significant

_AFTER_FROM = {"WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "LIMIT", "OFFSET", "FETCH"}
_SET_OPERATIONS = {"UNION", "INTERSECT", "EXCEPT", "MINUS"}
_NO_ALIAS = (
    _AFTER_FROM
    | _SET_OPERATIONS
    | {"", "ON", "USING", "JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL", ")", ",", ";", "END"}
)
_BEGIN_QUERY = {"SELECT", "WITH", "VALUES", "TABLE"}
#: Behind these, TABLE names no table that is read.
_BEFORE_OTHER_TABLE = {"CREATE", "TEMPORARY", "INTO", "OVERWRITE", "LATERAL", "REPLACE", "DROP", "ALTER"}


@dataclass(frozen=True)
class Reference:
    """A table that is read.

    ``parts`` is its name, ``start`` and ``end`` where the name stands; ``explicit`` the start of the
    word TABLE before it, where there is one. ``hint`` is the hint behind the name; ``bare`` says that no
    alias can be there. ``query`` numbers the outermost queries of the text.
    """

    parts: tuple[str, ...]
    start: int
    end: int
    query: int
    explicit: int | None = None
    hint: Token | None = None
    bare: bool = False


@dataclass(frozen=True)
class Outermost:
    """A query that stands in no other: where it starts, and where a name of WITH may be put before it."""

    start: int
    #: Behind the word WITH that it begins with; None without one.
    behind_with: int | None = None


@dataclass(frozen=True)
class Scan:
    """What a text reads; ``names`` are those that its WITHs give."""

    references: tuple[Reference, ...]
    queries: tuple[Outermost, ...]
    names: frozenset[str]


@dataclass
class _Frame:
    """A pair of parentheses, or the text outside all."""

    clause: str = ""
    expects_table: bool = False
    expects_name: bool = False
    names: list[str] = field(default_factory=list)
    pending: str | None = None

    def begin(self) -> None:
        """Begin the body of a query: the last name of its WITH is in sight now."""
        self.settle()
        self.expects_name = self.expects_table = False

    def settle(self) -> None:
        """Bring the name into sight whose query has just been read."""
        if self.pending is not None:
            self.names.append(self.pending)
        self.pending = None


def scan(text: str) -> Scan:
    """Find the tables that ``text`` reads.

    Parameters
    ----------
    text
        A query, INSERT, statement set or CREATE TABLE … AS.

    Raises
    ------
    StatementError
        A quote or comment is never closed.
    """
    return _Scanner(text).run()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.tokens = significant(text)
        self.frames = [_Frame()]
        self.references: list[Reference] = []
        self.queries: list[Outermost] = []
        self.names: set[str] = set()
        self.in_query = False

    def run(self) -> Scan:
        at = 0
        while at < len(self.tokens):
            at = self._step(at)
        return Scan(tuple(self.references), tuple(self.queries), frozenset(self.names))

    def _word(self, at: int) -> str:
        """Return the token in upper case if it is a word; a quoted name is none."""
        if not 0 <= at < len(self.tokens):
            return ""
        token = self.tokens[at]
        return token.upper if token.kind == "word" else token.text if token.kind == "symbol" else ""

    def _step(self, at: int) -> int:
        token, frame = self.tokens[at], self.frames[-1]
        self._maybe_outermost(at)
        if token.text == "(":
            if frame.clause == "with" and self._word(at - 1) == ")":
                frame.begin()
                frame.clause = ""
            self.frames.append(_Frame("from", expects_table=True) if frame.expects_table else _Frame())
            frame.expects_table = frame.expects_name = False
        elif token.text == ")":
            if len(self.frames) > 1:
                self.frames.pop()
        elif token.text == ",":
            frame.expects_table = frame.clause == "from"
            if frame.clause == "with":
                frame.settle()
                frame.expects_name = True
        elif token.text == ";":
            self.frames, self.in_query = [_Frame()], False
        elif token.kind in {"word", "identifier"} and self._word(at - 1) != ".":
            return self._name_or_keyword(at)
        return at + 1

    def _name_or_keyword(self, at: int) -> int:
        token, frame, word = self.tokens[at], self.frames[-1], self._word(at)
        if frame.clause == "with" and frame.expects_name:
            frame.pending, frame.expects_name = token.name, False
            self.names.add(token.name)
        elif word in {"SELECT", "VALUES"}:
            frame.begin()
            frame.clause = "select" if word == "SELECT" else ""
        elif word == "WITH" and self._word(at + 1) != "(" and frame.clause != "select":
            if frame.clause == "" or frame.expects_table:
                frame.clause, frame.expects_name, frame.expects_table = "with", True, False
        elif word == "TABLE" and self._names_read_table(at):
            frame.begin()
            return self._reference(at + 1, explicit=token.start)
        elif frame.expects_table and word != "LATERAL":
            frame.expects_table = False
            return self._reference(at)
        elif word == "FROM":
            if frame.clause == "select" and not self._compares(at):
                frame.clause, frame.expects_table = "from", True
        elif word == "JOIN":
            frame.expects_table = frame.clause == "from"
        elif (word in _AFTER_FROM and frame.clause == "from") or word in _SET_OPERATIONS:
            frame.clause = ""
        return at + 1

    def _compares(self, at: int) -> bool:
        """Whether FROM belongs to ``IS [NOT] DISTINCT FROM``."""
        return self._word(at - 1) == "DISTINCT" and self._word(at - 2) in {"IS", "NOT"}

    def _names_read_table(self, at: int) -> bool:
        following = self.tokens[at + 1] if at + 1 < len(self.tokens) else None
        return (
            following is not None
            and following.kind in {"word", "identifier"}
            and self._word(at - 1) not in _BEFORE_OTHER_TABLE
        )

    def _reference(self, at: int, explicit: int | None = None) -> int:
        """Read a name where a table may stand; returns the token to go on with."""
        first, parts = at, []
        while at < len(self.tokens) and self.tokens[at].kind in {"word", "identifier"}:
            parts.append(self.tokens[at].name)
            at += 1
            if self._word(at) != ".":
                break
            at += 1
        last = self.tokens[at - 1]
        if self._word(at) == "(" or (len(parts) == 1 and self._in_sight(parts[0])):
            return at
        hint = self.tokens[at] if at < len(self.tokens) and self.tokens[at].kind == "hint" else None
        behind = at + (hint is not None)
        named = behind < len(self.tokens) and self.tokens[behind].kind == "identifier"
        bare = explicit is None and not named and self._word(behind) in _NO_ALIAS
        query = len(self.queries) - 1
        self.references.append(
            Reference(tuple(parts), self.tokens[first].start, last.end, query, explicit, hint, bare)
        )
        return at

    def _in_sight(self, name: str) -> bool:
        return any(name in frame.names for frame in self.frames)

    def _maybe_outermost(self, at: int) -> None:
        if self.in_query or len(self.frames) > 1:
            return
        word, following = self._word(at), self._word(at + 1)
        begins = word == "(" and (following in _BEGIN_QUERY or following == "(")
        begins = begins or word in {"SELECT", "VALUES"} or (word == "WITH" and following != "(")
        if begins or (word == "TABLE" and self._names_read_table(at)):
            self.in_query = True
            token = self.tokens[at]
            self.queries.append(Outermost(token.start, token.end if word == "WITH" else None))
