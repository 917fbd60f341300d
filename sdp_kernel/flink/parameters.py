"""``${name}`` in SQL text, in the syntax of Terraform's ``templatefile``.

``${name}`` is a parameter, ``${kafka.main}`` a connection fragment, ``$${`` a literal ``${``. The
text that is promoted is the text of the cell, and Terraform fills in the same names from the
module's ``args``; so both sides refuse the same values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdp_kernel.errors import ParameterError
from sdp_kernel.flink.script import excerpt, position_at

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLACE = re.compile(r"\$\$\{|\$\{([^}\n]*)\}?")
_NAME = re.compile(r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)?$")
FORBIDDEN = ("'", '"', "`", ";", "\n", "\r", "\0", "${", "%{", "--", "/*", "*/", "\\")


@dataclass(frozen=True)
class Rendered:
    """SQL with its parameters filled in, and the way back to the source.

    ``pieces`` maps ranges: ``(start in text, end in text, start in source, literal)``.
    """

    text: str
    pieces: tuple[tuple[int, int, int, bool], ...]

    def source_offset(self, offset: int) -> int:
        """Return the offset in the source of an offset in ``text``."""
        for start, end, source, literal in self.pieces:
            if start <= offset < end:
                return source + (offset - start if literal else 0)
        if not self.pieces:
            return offset
        start, end, source, literal = self.pieces[-1]
        return source + (end - start if literal else 0)


def names(text: str) -> set[str]:
    """Return the parameter names in ``text``, connection fragments included."""
    return {match.group(1).strip() for match in _PLACE.finditer(text) if match.group(1) is not None}


def check_value(name: str, value: str) -> str:
    """Return ``value`` if it cannot break out of the text it is put into.

    Raises
    ------
    ParameterError
        It holds a quote, ``;``, a newline, a comment mark, a backslash, ``${`` or ``%{``.
    """
    for mark in FORBIDDEN:
        if mark in value:
            raise ParameterError(
                f"the value of ${{{name}}} holds {mark!r}, which could break out of the statement",
                hint="pass plain words and numbers; write quotes around ${…} in the cell itself",
            )
    return value


def render(text: str, parameters: Mapping[str, object], fragments: Mapping[str, str]) -> Rendered:
    """Fill in ``text``.

    Parameters
    ----------
    parameters
        Values by name; ``str()`` of each is checked and inserted as it is.
    fragments
        Trusted text by name (``kafka.main``), inserted unchecked.

    Raises
    ------
    ParameterError
        A name is unknown or malformed, or a value could break out.
    """
    out: list[str] = []
    pieces: list[tuple[int, int, int, bool]] = []
    length = last = 0

    def put(piece: str, source: int, *, literal: bool) -> None:
        nonlocal length
        if piece:
            out.append(piece)
            pieces.append((length, length + len(piece), source, literal))
            length += len(piece)

    for match in _PLACE.finditer(text):
        put(text[last : match.start()], last, literal=True)
        last = match.end()
        if match.group(1) is None:
            put("${", match.start(), literal=False)
            continue
        put(_value(text, match, parameters, fragments), match.start(), literal=False)
    put(text[last:], last, literal=True)
    return Rendered("".join(out), tuple(pieces))


def _value(
    text: str,
    match: re.Match[str],
    parameters: Mapping[str, object],
    fragments: Mapping[str, str],
) -> str:
    name = match.group(1).strip()
    position = position_at(text, match.start())
    where = f"\n{excerpt(text, position)}"
    if not _NAME.match(name) or not match.group().endswith("}"):
        raise ParameterError(
            f"{match.group()} is not a parameter (line {position.line}, column {position.column}){where}",
            hint="write ${name}; for a literal ${ write $${",
        )
    if name in fragments:
        return fragments[name]
    if name in parameters:
        return check_value(name, str(parameters[name]))
    if "." in name:
        kind, alias = name.split(".", 1)
        known = ", ".join(sorted(f"${{{known}}}" for known in fragments)) or "none"
        raise ParameterError(
            f"the profile has no {kind} connection {alias!r}{where}",
            hint=f"known here: {known}; add [profiles.NAME.kafka.{alias}] to sdp.toml",
        )
    raise ParameterError(
        f"the parameter ${{{name}}} has no value{where}",
        hint=f"pass --param {name}=VALUE, or set it in [profiles.NAME.parameters] of sdp.toml",
    )
