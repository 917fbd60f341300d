"""A magic's line → its arguments, with quotes as a shell reads them."""

from __future__ import annotations

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
