"""Flink SQL text: quoted names and literals, comments, and the ``CREATE TABLE`` put together.

Nothing here knows a sample. What comes from a topic reaches a statement only through
:func:`identifier`, :func:`literal` and :func:`comment`, so it stays inside its quotes or its line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

MAX_IDENTIFIER = 256  # UTF-16 units; Flink's parser refuses more
_MAX_SHOWN = 80


@dataclass(frozen=True)
class ColumnSketch:
    """One column: its name (unquoted), Flink type, and a note for its comment.

    ``clause`` is empty for a column of the record's value or key; else ``METADATA FROM …`` or, for
    a computed column, ``AS …``, whose ``type`` is what Flink makes of the expression.
    """

    name: str
    type: str
    note: str = ""
    clause: str = ""

    @property
    def definition(self) -> str:
        """The column as it stands in the statement, without its comment."""
        if self.clause.startswith("AS "):
            return f"{identifier(self.name)} {self.clause}"
        return " ".join(filter(None, (identifier(self.name), self.type, self.clause)))


@dataclass(frozen=True)
class TableSketch:
    """A proposed table.

    Attributes
    ----------
    ddl
        The statement, without a final semicolon.
    columns
        Every column, in the order of the statement.
    event_time, watermark
        The column the watermark is for, and its delay in ms; None where there is none.
    notes
        The comments at the head of the statement.
    connector
        ``kafka`` or ``upsert-kafka``.
    primary_key
        Columns of the primary key, none where there is no key.
    """

    name: str
    topic: str
    format: str
    ddl: str
    columns: tuple[ColumnSketch, ...]
    event_time: str | None = None
    watermark: int | None = None
    notes: tuple[str, ...] = ()
    connector: str = "kafka"
    primary_key: tuple[str, ...] = ()


def quotable(name: str) -> bool:
    """Tell whether Flink's parser and planner take the name between backquotes; a blank one they do not."""
    units = len(name) + sum(char > "\uffff" for char in name)
    return bool(name.strip()) and units <= MAX_IDENTIFIER and not re.search(r"[\r\n]|[\ud800-\udfff]", name)


def identifier(name: str) -> str:
    """Quote an identifier, with ``${`` kept from being a parameter."""
    return _no_parameter("`" + name.replace("`", "``") + "`")


def literal(text: str) -> str:
    """Quote a string literal, with ``${`` kept from being a parameter."""
    return _no_parameter("'" + text.replace("'", "''") + "'")


def comment(text: str) -> str:
    """Return text for a ``--`` comment: one line, everything that is not printable escaped."""
    return _no_parameter("".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text))


def shown(name: str) -> str:
    """Return a name for a comment, in quotes and not too long."""
    return repr(name if len(name) <= _MAX_SHOWN else f"{name[: _MAX_SHOWN - 1]}…")


def count(number: int, noun: str) -> str:
    """Return a number and its noun: ``1 record``, ``2 records``."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def free(name: str, taken: Collection[str]) -> str:
    """Return ``name``, with underscores behind it until no column in ``taken`` has it."""
    name = name[: MAX_IDENTIFIER // 2 - 8]
    while name in taken:
        name += "_"
    return name


class Fragment(str):
    """A connection fragment such as ``${registry.main}``; it expands to text that is quoted."""

    __slots__ = ()


def create_table(
    name: str,
    *,
    notes: Sequence[str],
    columns: Sequence[ColumnSketch],
    constraints: Sequence[tuple[str, str]],
    options: Sequence[tuple[str, str]],
) -> str:
    """Put a statement together.

    Parameters
    ----------
    constraints
        Watermark and primary key, each with the comment above it.
    options
        Names and values as they are, to be quoted. A :class:`Fragment` is not quoted; as a name it
        stands alone.
    """
    lines = [f"-- {comment(note)}" for note in notes]
    lines.append(f"CREATE TABLE {identifier(name)} (")
    body = [("", column.definition, column.note) for column in columns]
    body += [(above, text, "") for text, above in constraints]
    for index, (above, text, note) in enumerate(body):
        if above:
            lines.append(f"  -- {comment(above)}")
        comma = "," if index + 1 < len(body) else ""
        lines.append(f"  {text}{comma}" + (f"  -- {comment(note)}" if note else ""))
    lines.append(") WITH (")
    lines.append(",\n".join(f"  {_option(key, value)}" for key, value in options))
    lines.append(")")
    return "\n".join(lines)


def _option(key: str, value: str) -> str:
    if isinstance(key, Fragment):
        return key
    return f"{literal(key)} = {value if isinstance(value, Fragment) else literal(value)}"


def _no_parameter(text: str) -> str:
    return text.replace("${", "$${")
