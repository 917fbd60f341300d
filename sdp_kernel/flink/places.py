"""Where in a cell an error is: at the place Flink gives, or at the one thing that its reason names.

Where neither is known, no place is better than a wrong one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sdp_kernel.errors import StatementError
from sdp_kernel.flink.script import excerpt, offset_at, position_at, significant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sdp_kernel.errors import Position
    from sdp_kernel.flink.parameters import Rendered
    from sdp_kernel.flink.query import Query

#: Configuration by which a query starts from a savepoint.
SAVEPOINT = "execution.state-recovery.path"
_NAMED = re.compile(
    r"(?:[Tt]able|view\)|[Cc]olumn|[Ff]unction|[Cc]atalog|[Dd]atabase|[Mm]odel|[Ii]dentifier|name|sink for"
    r"|[Cc]ast from '[^']*' to|connector using option:)\s*[:=]?\s*"
    r"(?:'(?P<single>[^']+)'|\[(?P<square>[^\]]+)\]|`(?P<back>[^`]+)`|(?P<dotted>\w+(?:\.\w+)+))"
)


def placed(error: StatementError, query: Query, rendered: Rendered, first_line: int) -> StatementError:
    """Set an error's place and the line it shows, from the statement as submitted to the cell's own text."""
    error.statement = query.statement.text
    place = error.position or named(error.message, rendered.text)
    if place is not None:
        offset = rendered.source_offset(offset_at(rendered.text, place))
        return moved(error, query.text, position_at(query.text, query.statement.start + offset), first_line)
    if len(query.statements) > 1:
        line = position_at(query.text, query.statement.start).line + first_line - 1
        error.excerpt = f"  in the statement at line {line}: {query.statement.text.splitlines()[0]}"
    return error


def moved(error: StatementError, text: str, place: Position | None, first_line: int) -> StatementError:
    """Set the place, and count lines from the cell's first."""
    if place is not None:
        error.excerpt = excerpt(text, place)
        error.position = type(place)(place.line + first_line - 1, place.column)
    return error


def named(reason: str, text: str) -> Position | None:
    """Return the place of what a reason names, where the text has it once."""
    for name in _names(reason.split("\n", 1)[0]):
        found = list(_found(name, text))
        if len(found) == 1:
            return position_at(text, found[0])
    return None


def about(message: str, config: Mapping[str, str]) -> str:
    """Return a message with the option it is about before it, where it is about one of the cell's own."""
    for key, value in config.items():
        if key == SAVEPOINT and f"'{value}'" in message:
            return f"--from-savepoint {value}: {message}"
        if f"key '{key}'" in message:
            return f"--set {key}: {message}"
    return message


def _names(reason: str) -> Iterator[str]:
    for match in _NAMED.finditer(reason):
        name = next(group for group in match.groups() if group is not None)
        yield name
        if "." in name:
            yield name.rpartition(".")[2]


def _found(name: str, text: str) -> Iterator[int]:
    try:
        tokens = significant(text)
    except StatementError:
        return
    if re.fullmatch(r"\w+", name):
        yield from (token.start for token in tokens if token.name == name or token.text == f"'{name}'")
        return
    words = [token.text for token in significant(name)]
    for at in range(len(tokens)):
        if [token.text for token in tokens[at : at + len(words)]] == words:
            yield tokens[at].start
