"""References to secrets: ``env:NAME`` and ``file:PATH``. Values are read when they are needed."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sdp_kernel.errors import SettingsError

REFERENCE = re.compile(r"^(env|file):(.+)$", re.DOTALL)
_SECRET_NAME = re.compile(
    r"^(?!.*[.-](url|source|file|location|path)$)"
    r".*(password|passphrase|secret|token|credential|\.jaas\.config$|(api|access|account|private)[._-]?key)",
    re.IGNORECASE | re.DOTALL,
)


def names_secret(key: str) -> bool:
    """Whether a property of this name has a secret for its value, such as ``s3.secret-key``."""
    return _SECRET_NAME.search(key) is not None


def resolve_secret(value: str, *, where: str) -> str:
    """Read the value behind a reference; any other text is returned as it is.

    Raises
    ------
    SettingsError
        The variable is not set, or the file cannot be read. The value is never in the message.
    """
    match = REFERENCE.match(value)
    if match is None:
        return value
    kind, name = match.groups()
    if kind == "env":
        if name not in os.environ:
            raise SettingsError(
                f"{where} refers to the environment variable {name}, which is not set",
                hint=f"export {name} before starting Jupyter",
            )
        return os.environ[name]
    try:
        return Path(name).expanduser().read_text(encoding="utf-8").rstrip("\n")
    except OSError as error:
        raise SettingsError(
            f"{where} refers to the file {name}, which cannot be read: {error.strerror}",
            hint="check the path and its permissions",
        ) from None


def quote(text: str) -> str:
    """Quote ``text`` as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
