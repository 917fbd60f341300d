"""Rules on the text of queries and settings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sdp_kernel.flink.script import significant
from sdp_kernel.promote.lints import text as texts
from sdp_kernel.promote.lints.finding import found

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sdp_kernel.flink.script import Token
    from sdp_kernel.promote.lints.draft import Draft
    from sdp_kernel.promote.lints.finding import Finding

_SET_OPERATIONS = {"UNION", "INTERSECT", "EXCEPT", "MINUS"}
_OF_THE_PLACE = re.compile(
    r"^(parallelism\.default|table\.exec\.resource\.default-parallelism|pipeline\.(name|max-parallelism)"
    r"|execution\.(savepoint\.|state-recovery\.|attached$|target$|checkpointing\.(dir|savepoint-dir)$)"
    r"|state\.(checkpoints\.dir|savepoints\.dir|backend|backend\.type)$"
    r"|(jobmanager|taskmanager|rest|high-availability|kubernetes|s3|fs)\.)"
)


def check(draft: Draft) -> Iterator[Finding]:
    """Look over the queries' text and the settings."""
    for where, text in draft.queries:
        yield from _limits(where, text)
        if any("WITHIN" not in words for words in _patterns(text)):
            yield found(
                "SDP022",
                f"{where} has a MATCH_RECOGNIZE without WITHIN: a match that has begun is kept for ever",
                "WITHIN INTERVAL '1' HOUR behind the PATTERN",
                where,
            )
    if any(len(select.star) for select in outermost(draft.statement)):
        yield found(
            "SDP014",
            "the job writes SELECT *: a column that is added to what it reads changes it",
            "name the columns",
        )
    for entry in draft.part.entries:
        if entry.kind == "ADD JAR":
            yield found(
                "SDP013",
                f"{entry.text}: a jar of this gateway's machine, which the job's cluster may not have",
                "put the jar into the cluster's image, or name it by an address the cluster can read",
                "ADD JAR",
            )
    for key in draft.settings:
        if _OF_THE_PLACE.match(key):
            yield found(
                "SDP021",
                f"the job sets {key}, which belongs to where it runs",
                "take the SET out: parallelism and upgrades are arguments of the module call, "
                "the rest is the cluster's configuration",
            )


def left_behind(keys: Iterable[str]) -> Iterator[Finding]:
    """Say which of the profile's session settings do not go with the job."""
    for name in sorted(keys):
        yield found(
            "SDP012",
            f"the profile sets {name}, which is not part of the job",
            f"SET '{name}' in the cell if the job needs it",
            "the profile",
        )


def _limits(where: str, text: str) -> Iterator[Finding]:
    clauses = texts.limits(text)
    if any(not clause.ordered for clause in clauses):
        yield found(
            "SDP001", f"{where} has a LIMIT: it ends, or keeps only so many rows", "take LIMIT out", where
        )
    if any(clause.ordered for clause in clauses):
        yield found(
            "SDP001",
            f"{where} has an ORDER BY with a LIMIT: it keeps these rows alone, in one task",
            "take both out; or ROW_NUMBER() with PARTITION BY, if the first rows are what it is for",
            where,
        )


def _patterns(text: str) -> Iterator[set[str]]:
    """Yield the words of each MATCH_RECOGNIZE; no plan of Flink's shows its WITHIN."""
    tokens = significant(text)
    for number, token in enumerate(tokens):
        if _word(token) != "MATCH_RECOGNIZE":
            continue
        words, depth = set(), 0
        for inner in tokens[number + 1 :]:
            depth += {"(": 1, ")": -1}.get(inner.text, 0)
            words |= {_word(inner)} if depth == 1 else set()
            if depth == 0:
                break
        yield words


class Select:
    """An outermost SELECT: its list's ``star`` (``*`` or ``a.*``), and whether nothing else is in it."""

    def __init__(self, listed: list[Token], rest: list[Token]) -> None:
        self.listed = listed
        self.rest = rest
        self.star = _star(listed)

    @property
    def plain(self) -> bool:
        """Whether it is ``SELECT * FROM`` one thing, so that columns can be named without a prefix."""
        return len(self.listed) == 1 and bool(self.star) and not _joins(self.rest)


def outermost(statement: str) -> list[Select]:
    """Return the SELECTs whose rows an INSERT writes."""
    found_ = significant(statement)
    selects: list[Select] = []
    depth, number = 0, 0
    while number < len(found_):
        token = found_[number]
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        number += 1
        if depth == 0 and _word(token) == "SELECT":
            end = _end(found_, number, {"FROM"} | _SET_OPERATIONS)
            last = _end(found_, end, _SET_OPERATIONS | {"SELECT"})
            listed = [
                t for t in found_[number:end] if t.kind != "hint" and _word(t) not in {"ALL", "DISTINCT"}
            ]
            selects.append(Select(listed, found_[end:last]))
            number = end
    return selects


def _end(tokens: list[Token], start: int, words: set[str]) -> int:
    """Return the next token outside parentheses that is one of the words, or ends the statement."""
    depth = 0
    for number in range(start, len(tokens)):
        if depth == 0 and (_word(tokens[number]) in words or tokens[number].text == ";"):
            return number
        depth += {"(": 1, ")": -1}.get(tokens[number].text, 0)
    return len(tokens)


def _word(token: Token) -> str:
    return token.upper if token.kind == "word" else ""


def _star(listed: list[Token]) -> list[Token]:
    """Return the stars of a select list that stand for columns, and do not multiply or count."""
    stars, depth, start = [], 0, True
    for number, token in enumerate(listed):
        if depth == 0 and token.text == "*" and (start or listed[number - 1].text == "."):
            stars.append(token)
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        start = depth == 0 and token.text == ","
    return stars


def _joins(rest: list[Token]) -> bool:
    """Whether FROM names more than one thing."""
    depth = 0
    for token in rest:
        if depth == 0 and (_word(token) in {"JOIN", "LATERAL"} or token.text == ","):
            return True
        if depth == 0 and _word(token) in {"WHERE", "GROUP", "HAVING", "WINDOW", "ORDER"}:
            return False
        depth += {"(": 1, ")": -1}.get(token.text, 0)
    return False
