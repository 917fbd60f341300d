"""A magic's line → its arguments, with quotes as a shell reads them."""

from __future__ import annotations

import difflib
import keyword
import shlex
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError as BadUsage

if TYPE_CHECKING:
    from argparse import Namespace


def words(line: str) -> list[str]:
    """Split a line into words; quotes keep blanks together and are taken off.

    Raises
    ------
    IPython.core.error.UsageError
        A quote is not closed.
    """
    try:
        return shlex.split(line)
    except ValueError as error:
        raise BadUsage(f"{line}: {error}") from None


def pair(text: str, option: str) -> tuple[str, str]:
    """Split NAME=VALUE; the value may hold further equals signs.

    Raises
    ------
    IPython.core.error.UsageError
        There is no equals sign; the message names the option.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise BadUsage(f"{option} takes NAME=VALUE, not {text!r}")
    return name, value


def parsed(magic: Any, line: str) -> Namespace:
    """Return the arguments of a magic made with ``magic_arguments``.

    IPython's own ``parse_argstring`` leaves the quotes on: ``--where "a > 1"`` would be text.

    Raises
    ------
    IPython.core.error.UsageError
        The magic does not take the line, with what may have been meant; or ``--help``, with the help.
    """
    given = words(line)
    name = _written(magic)
    if {"-h", "--help"} & set(given):
        raise BadUsage(
            magic.parser.format_help().removeprefix("::").replace(f"%{magic.__name__}", name).strip()
        )
    try:
        arguments: Namespace = magic.parser.parse_args(given)
    except BadUsage as error:
        raise BadUsage(f"{name}: {error}{_meant(magic, given)}\n→ {name}? lists what it takes") from None
    return arguments


def _written(magic: Any) -> str:
    """Return a magic's name as it is written: with two signs where it takes a cell."""
    cells = getattr(getattr(magic, "__self__", None), "magics", {}).get("cell", {})
    return f"{'%%' if magic.__name__ in cells else '%'}{magic.__name__}"


def _meant(magic: Any, given: list[str]) -> str:
    """Return a question for the option that was probably meant."""
    options = list(magic.parser._option_string_actions)  # noqa: SLF001 - argparse has no other way to them
    for word in given:
        option = word.partition("=")[0]
        if option.startswith("--") and not any(known.startswith(option) for known in options):
            close = difflib.get_close_matches(option, options, 1)
            return f"; did you mean {close[0]}?" if close else ""
    return ""


def pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    """Split each NAME=VALUE of an option that may be given several times."""
    return dict(pair(text, option) for text in texts or [])


def check_variable(name: str | None) -> None:
    """Refuse what cannot be a variable's name.

    Raises
    ------
    IPython.core.error.UsageError
        It is no identifier, or a keyword.
    """
    if name is not None and (not name.isidentifier() or keyword.iskeyword(name)):
        raise BadUsage(f"{name!r} cannot be a variable's name")
