"""What a session's catalog says of a table or view: its options, or the query it stands for."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sdp_kernel.errors import SqlError
from sdp_kernel.flink.script import identifier, significant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sdp_kernel.flink.runner import Runner
    from sdp_kernel.flink.script import Token

_UNKNOWN = re.compile(r"Table with identifier .* does not exist", re.DOTALL)
_ROWTIME = " *ROWTIME*"
_IS_VIEW = re.compile(r"is only supported for tables, but .* is a view", re.DOTALL)


@dataclass(frozen=True)
class Declared:
    """A table with its options, or a view with its columns and its query, whose names are whole.

    ``parts`` are catalog, database and name. ``rowtime`` is a table's event time: the column's name and
    type; it is read on request, and the names of the columns with it.
    """

    parts: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    query: str | None = None
    rowtime: tuple[str, str] | None = None

    @property
    def name(self) -> str:
        """The name without catalog and database."""
        return self.parts[-1]

    @property
    def connector(self) -> str:
        """The table's connector; empty for a view."""
        return self.options.get("connector", "")


def declared(runner: Runner, parts: Sequence[str], *, rowtime: bool = False) -> Declared | None:
    """Look a name up, as it stands in a query; None where there is no such table.

    ``rowtime`` asks for its event time too, which takes another statement where there is a watermark.

    Raises
    ------
    GatewayFault
        The gateway cannot say.
    """
    name = ".".join(identifier(part) for part in parts)
    try:
        ddl = runner.text(f"SHOW CREATE TABLE {name}")
    except SqlError as error:
        if _UNKNOWN.search(error.message):
            return None
        if not _IS_VIEW.search(error.message):
            raise
        return read_view(runner.text(f"SHOW CREATE VIEW {name}"))
    table = read_table(ddl)
    if not (rowtime and _has_watermark(ddl)):
        return table
    types = {str(row["name"]): str(row["type"]) for row in runner.table(f"DESCRIBE {name}")}
    times = [(key, kind.removesuffix(_ROWTIME)) for key, kind in types.items() if kind.endswith(_ROWTIME)]
    return replace(table, columns=tuple(types), rowtime=times[0]) if times else table


def _has_watermark(ddl: str) -> bool:
    tokens = significant(ddl)
    return any(
        (first.upper, second.upper) == ("WATERMARK", "FOR") for first, second in itertools.pairwise(tokens)
    )


def read_table(ddl: str) -> Declared:
    """Read the options in a CREATE TABLE, as Flink writes it."""
    tokens = significant(ddl)
    start = next((i for i, token in _outside(tokens) if token.upper == "WITH"), None)
    return Declared(_name(tokens, "TABLE"), {} if start is None else pairs(tokens[start + 1 :]))


def read_view(ddl: str) -> Declared:
    """Read columns and query in a CREATE VIEW, as Flink writes it."""
    tokens = significant(ddl)
    words = dict(_outside(tokens))
    start = next(i for i, token in words.items() if token.upper == "AS" and token.kind == "word")
    opening = next((i for i, token in words.items() if token.text == "(" and i < start), start)
    closing = next((i for i in range(opening, start) if tokens[i].text == ")"), opening)
    columns = tuple(token.name for token in tokens[opening:closing] if token.kind in {"word", "identifier"})
    return Declared(_name(tokens, "VIEW"), columns=columns, query=ddl[tokens[start].end :].strip())


def _name(tokens: Sequence[Token], behind: str) -> tuple[str, ...]:
    """Return the parts of the name behind the first word ``behind``."""
    at = next(number for number, token in enumerate(tokens) if token.upper == behind) + 1
    parts = [tokens[at].name]
    while at + 2 < len(tokens) and tokens[at + 1].text == ".":
        at += 2
        parts.append(tokens[at].name)
    return tuple(parts)


def pairs(tokens: Sequence[Token]) -> dict[str, str]:
    """Read ``'key' = 'value'`` pairs from tokens, up to the first closing parenthesis."""
    found: dict[str, str] = {}
    for key, sign, value in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if key.text == ")":
            break
        if key.kind == "string" and sign.text == "=" and value.kind == "string":
            found[_unquoted(key.text)] = _unquoted(value.text)
    return found


def _outside(tokens: Sequence[Token]) -> list[tuple[int, Token]]:
    """Return the tokens outside all parentheses, an opening one included, with their numbers."""
    found, depth = [], 0
    for number, token in enumerate(tokens):
        if depth == 0:
            found.append((number, token))
        depth += {"(": 1, ")": -1}.get(token.text, 0)
    return found


def _unquoted(text: str) -> str:
    return text[1:-1].replace("''", "'")
