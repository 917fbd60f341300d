"""A job's Terraform file written anew: what a promotion says is its own, all else is as the team has it.

The platform's people set parallelism, checkpoints or labels in the file that a promotion wrote. It is
read here line by line in the form in which promotions and ``terraform fmt`` write it; a file in another
form is left to the diff.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdp_kernel.repository.state import INCOMPATIBLE, STATELESS

if TYPE_CHECKING:
    from sdp_kernel.repository.state import Compatibility

_ARGUMENT = re.compile(r"^  (\w+)\s*=")
_LEADING = re.compile(r"^\s*(?:(?:#|//).*)?$")
_OPENING = re.compile(r"^module \S+ \{$")
#: What a promotion decides.
_OURS = ("sql", "args", "kafka", "functions")
_MODE, _SKIP = "upgrade_mode", "allow_non_restored_state"


@dataclass
class _Argument:
    """An argument's lines, and the blank lines and comments that stand before it."""

    lead: list[str]
    lines: list[str]

    @property
    def value(self) -> list[str]:
        """The lines without how they are spaced."""
        return [re.sub(r"\s+", " ", line).strip() for line in self.lines]

    @property
    def text(self) -> str:
        """The value of an argument of one line, out of its quotes."""
        return self.lines[0].partition("=")[2].strip().strip('"')


def merged(old: str, new: str, compatibility: Compatibility | None) -> str:
    """Return the file to write: the old one with the new one's SQL and arguments, and the upgrade mode.

    Parameters
    ----------
    old, new
        The committed file, and the one a promotion writes for a job that there is not.
    compatibility
        Of the state; None where nothing that runs changes, and the upgrade mode stays.
    """
    theirs, ours = _arguments(old), _arguments(new)
    if theirs is None or ours is None:
        return new
    for name in _OURS:
        if name not in ours:
            theirs.pop(name, None)
        elif name not in theirs:
            theirs[name] = ours[name]
        elif theirs[name].value != ours[name].value:
            theirs[name].lines = ours[name].lines
    if compatibility is not None:
        _set_mode(theirs, compatibility)
    lines = [line for one in theirs.values() for line in (*one.lead, *one.lines)]
    return "\n".join([*lines, "}", ""])


def _set_mode(arguments: dict[str, _Argument], compatibility: Compatibility) -> None:
    known = arguments.get(_MODE)
    if compatibility.verdict == INCOMPATIBLE:
        _assign(arguments, _MODE, f'"{STATELESS}"')
    elif compatibility.upgrade_mode and known is not None and known.text == STATELESS:
        _assign(arguments, _MODE, f'"{compatibility.upgrade_mode}"')
    if compatibility.allow_non_restored_state:
        _assign(arguments, _SKIP, "true", after=_MODE)
    elif compatibility.upgrade_mode and _SKIP in arguments:
        _assign(arguments, _SKIP, "false")


def _assign(arguments: dict[str, _Argument], name: str, value: str, *, after: str = "") -> None:
    """Set an argument of one line, in place or behind another."""
    if name in arguments:
        head = arguments[name].lines[0].partition("=")[0]
        arguments[name].lines = [f"{head}= {value}"]
    elif after in arguments:
        arguments[after].lines.append(f"  {name} = {value}")
    else:
        arguments[name] = _Argument([], [f"  {name} = {value}"])


def _arguments(text: str) -> dict[str, _Argument] | None:
    """Split a file of one module call at its arguments; None where it has another form.

    What stands before the first argument has the empty name.
    """
    lines = text.rstrip("\n").split("\n")
    if sum(bool(_OPENING.match(line)) for line in lines) != 1 or "<<" in text or lines.pop() != "}":
        return None
    found = {"": _Argument([], [])}
    current = found[""]
    for line in lines:
        match = _ARGUMENT.match(line)
        if match is not None:
            if match.group(1) in found:
                return None
            lead: list[str] = []
            while current.lines and _LEADING.match(current.lines[-1]):
                lead.insert(0, current.lines.pop())
            current = found[match.group(1)] = _Argument(lead, [])
        current.lines.append(line)
    return found
