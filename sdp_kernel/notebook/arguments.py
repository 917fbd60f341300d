"""A magic's line → its arguments, with quotes as a shell reads them."""

from __future__ import annotations

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
    """
    arguments: Namespace = magic.parser.parse_args(words(line))
    return arguments


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
