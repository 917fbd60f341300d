"""Terraform's ``templatefile`` over SQL files, for what ``sql/`` of a team's repository holds.

``${name}`` and ``${kafka.ALIAS}`` are filled in, ``$${`` and ``%%{`` are literal. Terraform knows more
(directives, functions, ``~``); such a file is refused here, since only Terraform can say what it means.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from sdp_kernel.errors import ParameterError, UsageError
from sdp_kernel.flink import parameters
from sdp_kernel.flink.script import position_at

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_DIRECTIVE = re.compile(r"%%\{|%\{")


def templatefile(
    file: Path, values: Mapping[str, str], fragments: Mapping[str, str], *, shown: str = ""
) -> str:
    """Return a file's text, filled in.

    Parameters
    ----------
    values
        Arguments by name; they are checked.
    fragments
        Trusted text by name, such as ``kafka.main``.
    shown
        What the file is called in messages.

    Raises
    ------
    UsageError
        The file cannot be read as UTF-8, or holds a directive of templates.
    ParameterError
        A name has no value.
    """
    name = shown or str(file)
    try:
        text = file.read_bytes().decode("utf-8")
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}", hint="check its permissions") from None
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{name} is not UTF-8: byte {error.start} cannot be read", hint="save the file as UTF-8"
        ) from None
    if text.startswith("\ufeff"):
        raise UsageError(f"{name} begins with a byte order mark", hint="save the file as UTF-8 without one")
    for match in _DIRECTIVE.finditer(text):
        if match.group() == "%{":
            position = position_at(text, match.start())
            raise UsageError(
                f"{name} holds a directive of Terraform's templates, line {position.line}: %{{",
                hint="for a literal %{ write %%{; what needs a directive is applied with Terraform",
            )
    try:
        filled = parameters.render(text.replace("%%{", "%{"), values, fragments).text
    except ParameterError as error:
        raise ParameterError(f"{name}: {error.message}", hint=_hint(error)) from None
    return unicodedata.normalize("NFC", filled)


def _hint(error: ParameterError) -> str:
    if "has no value" in error.message:
        return "add it to args in the job's .tf file"
    if "connection" in error.message:
        return "add the Kafka cluster to the profile in sdp.toml"
    return error.hint
