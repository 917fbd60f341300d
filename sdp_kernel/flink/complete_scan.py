"""Half-written SQL around a cursor: tokens that forgive open quotes, and brackets as a tree.

Text before and after the cursor is read apart, so that a quote opened at the cursor does not turn
the rest of the cell inside out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sdp_kernel.errors import StatementError
from sdp_kernel.flink.script import Token, offset_at, tokens


@dataclass
class Group:
    """What stands between brackets; ``opener`` is the token before the bracket, if any."""

    opener: Token | None
    items: list[Item] = field(default_factory=list)
    closed: bool = False


Item = Token | Group


@dataclass(frozen=True)
class Cursor:
    """Where the cursor stands.

    ``path`` leads from the statement (its top level is a group too) to the group that holds the
    cursor; ``at`` is the cursor's index in the last group's items. ``prefix`` is what has been
    typed of the word at the cursor, from ``start`` on; ``quote`` the quote it stands in, if any.
    ``behind`` is the text after the cursor, ``hint`` whether it stands in a hint.
    """

    path: tuple[Group, ...]
    at: int
    prefix: str
    start: int
    quote: str
    behind: str
    hint: bool = False

    @property
    def group(self) -> Group:
        """The innermost group."""
        return self.path[-1]

    @property
    def before(self) -> list[Item]:
        """The items before the cursor, in its group."""
        return self.group.items[: self.at]

    @property
    def top(self) -> list[Item]:
        """The statement's items."""
        return self.path[0].items


def scan(text: str, offset: int) -> Cursor | None:
    """Return where the cursor at ``offset`` stands; None inside a comment."""
    before, rest = _tokens(text[:offset])
    hint = False
    if rest is not None and rest.text.startswith("/*+"):
        inner, rest = _tokens(rest.text[3:], rest.start + 3)
        before, hint = [*before, *inner], True
    elif rest is not None and rest.text.startswith("/*"):
        return None
    if before and before[-1].kind == "comment" and before[-1].text.startswith("--"):
        return None
    behind = text[offset:]
    quote, prefix, start = "", "", offset
    if rest is not None:
        quote, prefix, start = rest.text[0], rest.text[1:], rest.start
        behind_tokens = _after_quote(behind, quote)
    else:
        if before and before[-1].kind in {"word", "number"}:
            word = before.pop()
            prefix, start = word.text, word.start
        behind_tokens = _tokens(behind[_word_length(behind) :])[0]
    if hint:
        behind_tokens = _tokens(behind.partition("*/")[2])[0]
    path, at = _tree(before, _until_end(behind_tokens))
    return Cursor(path, at, prefix, start, quote, behind, hint)


def _tokens(text: str, base: int = 0) -> tuple[list[Token], Token | None]:
    """Return the tokens up to an open quote or comment, and the open rest as one token."""
    found: list[Token] = []
    try:
        found.extend(
            Token(token.kind, token.text, token.start + base, token.end + base) for token in tokens(text)
        )
    except StatementError as error:
        at = offset_at(text, error.position) if error.position is not None else len(text)
        return found, Token("open", text[at:], at + base, len(text) + base)
    return found, None


def _after_quote(behind: str, quote: str) -> list[Token]:
    """Return the tokens after an open quote.

    It is closed where an odd number of quotes follows on its line; else it is still to be closed, and
    ends where its word does.
    """
    line = behind.split("\n", 1)[0]
    closed = line.count(quote) % 2 == 1
    return _tokens(behind[line.index(quote) + 1 if closed else _word_length(line) :])[0]


def _word_length(text: str) -> int:
    length = 0
    while length < len(text) and (text[length].isalnum() or text[length] in "_$"):
        length += 1
    return length


def _until_end(behind: list[Token]) -> list[Token]:
    for index, token in enumerate(behind):
        if token.text == ";":
            return behind[:index]
    return behind


def _tree(before: list[Token], behind: list[Token]) -> tuple[tuple[Group, ...], int]:
    """Build the statement's tree; returns the path to the cursor and its index in the last group."""
    path = [Group(None)]
    for token in before:
        if token.text == ";":
            path = [Group(None)]
        else:
            _put(path, token)
    found, at = tuple(path), len(path[-1].items)
    for token in behind:
        _put(path, token)
    return found, at


def _put(path: list[Group], token: Token) -> None:
    if token.kind in {"space", "comment", "hint"}:
        return
    items = path[-1].items
    if token.text == "(":
        opener = items[-1] if items and isinstance(items[-1], Token) else None
        group = Group(opener)
        items.append(group)
        path.append(group)
    elif token.text == ")":
        if len(path) > 1:
            path.pop().closed = True
    else:
        items.append(token)


def word(item: Item | None) -> str:
    """Return an item's text in upper case where it is a keyword or bare name; empty otherwise."""
    return item.upper if isinstance(item, Token) and item.kind == "word" else ""


def is_name(item: Item | None) -> bool:
    """Whether an item can be a name: a word or a quoted one."""
    return isinstance(item, Token) and item.kind in {"word", "identifier"}


def name_of(item: Item | None) -> str:
    """Return the name an item is, its quotes taken off."""
    return item.name if isinstance(item, Token) else ""


def inside(item: Item | None) -> list[Item]:
    """Return what stands in brackets; nothing for a token."""
    return item.items if isinstance(item, Group) else []


def chain(items: list[Item], end: int) -> tuple[list[str], int]:
    """Read ``a.b.c`` backwards, ending before index ``end``; returns the names and where they begin."""
    names: list[str] = []
    at = end
    while at >= 1 and is_name(items[at - 1]):
        names.insert(0, name_of(items[at - 1]))
        at -= 1
        if symbol(items[at - 1] if at else None) == ".":
            at -= 1
        else:
            break
    return names, at


def forward_chain(items: list[Item], start: int) -> tuple[tuple[str, ...], int]:
    """Read ``a.b.c`` from index ``start``; returns the names and the index after them."""
    names: list[str] = []
    at = start
    while at < len(items) and is_name(items[at]):
        names.append(name_of(items[at]))
        at += 1
        if at + 1 < len(items) and symbol(items[at]) == "." and is_name(items[at + 1]):
            at += 1
        else:
            break
    return tuple(names), at


def symbol(item: Item | None) -> str:
    """Return the text of a symbol; empty for anything else."""
    return item.text if isinstance(item, Token) and item.kind == "symbol" else ""


def literal(item: Item | None) -> str | None:
    """Return the value of a text in quotes; None for anything else."""
    if isinstance(item, Token) and item.kind == "string":
        return item.text[1:-1].replace("''", "'")
    return None


def split_at_commas(items: list[Item]) -> list[list[Item]]:
    """Split items at their own commas; those inside brackets are in groups and do not count."""
    parts: list[list[Item]] = [[]]
    for item in items:
        if symbol(item) == ",":
            parts.append([])
        else:
            parts[-1].append(item)
    return parts
