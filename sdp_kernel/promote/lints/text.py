"""Options and clauses in SQL text: found and changed by tokens, so that all else stays as it is written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdp_kernel.errors import StatementError
from sdp_kernel.flink.script import significant, tokens
from sdp_kernel.references import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sdp_kernel.flink.script import Token

_IN_COMMENT = re.compile(r"'([^'\n]+)'\s*=\s*'([^'\n]*)'")
_HINT_ENDS = 3, -2  # of /*+ … */
_WORDLIKE = re.compile(r"\w")
_OPTIONS = 3  # tokens of an OPTIONS() that holds nothing


@dataclass(frozen=True)
class Pair:
    """``'key' = 'value'`` in a text: at which of its significant tokens, and where the value stands."""

    key: str
    value: str
    at: int
    start: int
    end: int


def pairs(text: str) -> list[Pair]:
    """Return the pairs of a text, those in its hints left out."""
    return _pairs(significant(text))


def _pairs(found: Sequence[Token]) -> list[Pair]:
    listed: list[Pair] = []
    for number, (key, sign, value) in enumerate(zip(found, found[1:], found[2:], strict=False)):
        if key.kind != "string" or value.kind != "string" or sign.text != "=":
            continue
        if not listed or key.start >= listed[-1].end:
            listed.append(Pair(unquoted(key.text), unquoted(value.text), number, value.start, value.end))
    return listed


def options(text: str) -> Iterator[tuple[str, str]]:
    """Yield key and value of each pair of a statement, those in its hints too."""
    for token in significant(text):
        if token.kind == "hint":
            yield from ((pair.key, pair.value) for pair in pairs(inside(token)))
    yield from ((pair.key, pair.value) for pair in pairs(text))


def hinted(text: str) -> dict[str, str]:
    """Return the options in the hints of a text."""
    inner = (inside(token) for token in significant(text) if token.kind == "hint")
    return {pair.key: pair.value for part in inner for pair in pairs(part)}


def commented(text: str) -> list[Pair]:
    """Return what looks like a pair in the comments of a text; ``at`` is 0, since it is no token."""
    return [
        Pair(match[1], match[2], 0, token.start + match.start(2) - 1, token.start + match.end(2) + 1)
        for token in tokens(text)
        if token.kind == "comment"
        for match in _IN_COMMENT.finditer(token.text)
    ]


def setting(text: str) -> tuple[str, str]:
    """Return key and value of a SET; quotes around them may be left out."""
    found = significant(text)[1:]
    sign = next((number for number, token in enumerate(found) if token.text == "="), len(found))
    key, value = ("".join(token.text for token in part) for part in (found[:sign], found[sign + 1 :]))
    return unquoted(key), unquoted(value)


def unquoted(text: str) -> str:
    """Take the quotes of an SQL text literal off."""
    return text[1:-1].replace("''", "'") if text[:1] == "'" and text[-1:] == "'" and len(text) > 1 else text


def inside(hint: Token) -> str:
    """Return the text inside ``/*+ … */``."""
    return hint.text[slice(*_HINT_ENDS)]


def cut(text: str, gone: Sequence[Token]) -> str:
    """Take tokens out, with the blanks before them; comments stay, and neighbours are kept apart."""
    for token in sorted(gone, key=lambda token: token.start, reverse=True):
        start, end = token.start, token.end
        while start and text[start - 1].isspace() and "\n" not in _line_comment(text, start):
            start -= 1
        before, after = text[:start], text[end:]
        after = after.lstrip(" ") if before.endswith("(") else after
        apart = bool(before and after and _WORDLIKE.match(before[-1]) and _WORDLIKE.match(after[0]))
        text = f"{before} {after}" if apart else before + after
    return text.lstrip() if gone else text


def _line_comment(text: str, start: int) -> str:
    """Return the line break at ``start`` where a comment ends with it, which must stay; else nothing."""
    if text[start - 1] != "\n":
        return ""
    try:
        last = next((t for t in reversed(list(tokens(text[: start - 1]))) if t.kind != "space"), None)
    except StatementError:
        return "\n"
    return "\n" if last is not None and last.text.startswith("--") else ""


def without(text: str, unwanted: Callable[[str], bool]) -> str:
    """Take the pairs out whose key is unwanted, in hints too, each with a comma beside it."""
    while True:
        found = significant(text)
        pair = next((pair for pair in _pairs(found) if unwanted(pair.key)), None)
        if pair is None:
            return _in_hints(text, lambda inner: without(inner, unwanted))
        text = cut(text, _with_comma(found, pair.at, pair.at + 3))


def with_value(text: str, key: str, value: str) -> str:
    """Give the pairs of this key another value, in hints too."""
    for pair in reversed(pairs(text)):
        if pair.key == key:
            text = text[: pair.start] + quote(value) + text[pair.end :]
    return _in_hints(text, lambda inner: with_value(inner, key, value))


def with_pair(text: str, behind: str, key: str, value: str) -> str:
    """Put a pair behind that of the key ``behind``, in hints too."""
    for pair in reversed(pairs(text)):
        if pair.key == behind:
            text = f"{text[: pair.end]}, {quote(key)} = {quote(value)}{text[pair.end :]}"
    return _in_hints(text, lambda inner: with_pair(inner, behind, key, value))


def in_place_of(text: str, key: str, written: str) -> str:
    """Write something in place of the pairs of this key, outside hints."""
    found = significant(text)
    for pair in reversed(_pairs(found)):
        if pair.key == key:
            text = text[: found[pair.at].start] + written + text[pair.end :]
    return text


def _in_hints(text: str, change: Callable[[str], str]) -> str:
    """Change what is inside hints; one that then says nothing goes."""
    for token in reversed([token for token in significant(text) if token.kind == "hint"]):
        inner = change(inside(token))
        if inner == inside(token):
            continue
        inner = _without_empty(inner)
        if significant(inner):
            text = f"{text[: token.start]}/*+{_spaced(inner)}*/{text[token.end :]}"
        else:
            text = cut(text, [token])
    return text


def _spaced(inner: str) -> str:
    return f" {inner.strip()} "


def _without_empty(inner: str) -> str:
    """Take ``OPTIONS()`` out of the inside of a hint, with a comma beside it."""
    found = significant(inner)
    for number in range(len(found) - _OPTIONS + 1):
        name, *rest = found[number : number + _OPTIONS]
        if name.upper == "OPTIONS" and [token.text for token in rest] == ["(", ")"]:
            return cut(inner, _with_comma(found, number, number + _OPTIONS))
    return inner


def _with_comma(found: Sequence[Token], first: int, last: int) -> Sequence[Token]:
    """Return an item of a list, with the comma behind it, or else the one before it."""
    if _at(found, last) == ",":
        return found[first : last + 1]
    return found[first - 1 : last] if first and found[first - 1].text == "," else found[first:last]


@dataclass(frozen=True)
class Clause:
    """A LIMIT or FETCH with its OFFSET: its tokens, and whether an ORDER BY stands before it."""

    tokens: tuple[Token, ...]
    ordered: bool

    def text(self, whole: str) -> str:
        """Return it as it is written."""
        return whole[self.tokens[0].start : self.tokens[-1].end]


def limits(text: str) -> list[Clause]:
    """Return the clauses of a text that keep only so many rows."""
    found = significant(text)
    clauses: list[Clause] = []
    ordered = [False]
    number = 0
    while number < len(found):
        token = found[number]
        if token.text == "(":
            ordered.append(False)
        elif token.text == ")" and len(ordered) > 1:
            ordered.pop()
        elif token.text == ";" or (_is_word(token, "SELECT") and ordered[-1]):
            ordered[-1] = False
        elif _is_word(token, "ORDER"):
            ordered[-1] = True
        last = _end_of_limit(found, number)
        if last > number and any(_is_word(one, "LIMIT", "FETCH") for one in found[number:last]):
            clauses.append(Clause(tuple(found[number:last]), ordered[-1]))
        number = max(last, number + 1)
    return clauses


def _is_word(token: Token, *words: str) -> bool:
    return token.kind == "word" and token.upper in words


def _end_of_limit(found: Sequence[Token], start: int) -> int:
    """Return the token behind the LIMIT, OFFSET and FETCH clauses that begin at ``start``."""
    at = start
    while at < len(found) and _is_word(found[at], "LIMIT", "OFFSET", "FETCH"):
        behind = at + 1 + (_is_word(found[at], "FETCH") and _at(found, at + 1) in {"FIRST", "NEXT"})
        behind = _end_of_count(found, behind)
        if behind <= at + 1 and _at(found, at + 1) not in {"ROW", "ROWS"}:
            return at
        while _at(found, behind) in {"ROW", "ROWS", "ONLY"}:
            behind += 1
        at = behind
    return at


def _at(found: Sequence[Token], number: int) -> str:
    return found[number].upper if number < len(found) else ""


def _end_of_count(found: Sequence[Token], at: int) -> int:
    """Return the token behind a number, ALL, or a parameter."""
    if at < len(found) and (found[at].kind == "number" or _at(found, at) == "ALL"):
        return at + 1
    if _at(found, at) == "$" and _at(found, at + 1) == "{":
        closing = next((n for n in range(at, len(found)) if found[n].text == "}"), None)
        return at if closing is None else closing + 1
    return at
