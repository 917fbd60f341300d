"""Masking: fields that nobody sees, in whatever table they turn up.

A policy names fields by pattern and says what becomes of them; ``mask`` applies it to an Arrow
table, columnwise, wherever a field is nested. What is in text as JSON is masked inside the text.
Values are masked by their field's name alone; text and bytes in which a masked name stands before
``:``, ``=`` or ``>`` and that cannot be masked inside are masked whole.
"""

from __future__ import annotations

import hmac
import os
import secrets
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import SettingsError, UsageError
from sdp_kernel.masking.text import canonical, mention
from sdp_kernel.settings import MASKING_ACTIONS, resolve_secret

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pyarrow as pa

    from sdp_kernel.settings import Settings

__all__ = ["REDACTED", "Policy", "mask"]

REDACTED = "•••"
KEY_FILE = "masking.key"
#: In a path: the key of a map, whichever it is.
ANY = "\0any"
_HASH_DIGITS = 16
_REMEMBERED = 100_000


class Policy:
    """What is masked, and how. Without columns it masks nothing and is false.

    Parameters
    ----------
    columns
        Pattern → action; the first pattern that matches a field decides. A pattern (``*``, ``?``,
        ``[…]``; case does not count) without a dot matches a field of that name at any depth:
        inside structs, lists, maps (their keys) and JSON text. One with dots matches the whole
        path from the column: ``customer.ssn``, ``_headers.authorization``. Actions: ``hash`` (16
        hex digits of HMAC-SHA-256; equal values have equal hashes, ``1`` and ``1.0`` and ``"1"``
        too), ``redact`` (``•••`` for text, null for anything else), ``null``.
    key
        For ``hash``.

    Raises
    ------
    UsageError
        There is no such action, or there is one that needs a key and no key.
    """

    def __init__(self, columns: Mapping[str, str], key: bytes = b"") -> None:
        self.columns = dict(columns)
        self._rules = [(pattern.lower(), action) for pattern, action in self.columns.items()]
        for pattern, action in self.columns.items():
            if action not in MASKING_ACTIONS:
                raise UsageError(
                    f"there is no masking action {action!r} (for {pattern!r})",
                    hint=f"use one of: {', '.join(MASKING_ACTIONS)}",
                )
        if not key and "hash" in self.columns.values():
            raise UsageError(
                "a policy with the action hash has no key", hint="give a key of 16 or more bytes"
            )
        self._key = key
        self.mention = mention(pattern for pattern, _ in self._rules)
        self._decided: dict[tuple[str, ...], str | None] = {}

    @classmethod
    def from_settings(cls, settings: Settings) -> Policy:
        """Make the policy of a project; its key is read, or made once in the state directory.

        Raises
        ------
        SettingsError
            The key cannot be read. Nothing is shown unmasked instead.
        """
        wanted = settings.masking
        if "hash" not in wanted.columns.values():
            return cls(wanted.columns)
        if wanted.key is None:
            return cls(wanted.columns, _own_key(settings.make_state_dir() / KEY_FILE))
        key = resolve_secret(wanted.key, where="masking.key").encode()
        if not key:
            raise SettingsError("masking.key is empty", hint="set the secret that it refers to")
        return cls(wanted.columns, key)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def __repr__(self) -> str:
        return f"Policy({self.columns!r})"

    def action(self, path: tuple[str, ...]) -> str | None:
        """Return what becomes of the field at ``path``; None for nothing."""
        try:
            return self._decided[path]
        except KeyError:
            pass
        found = next((action for pattern, action in self._rules if _matches(pattern, path)), None)
        if len(self._decided) < _REMEMBERED:  # keys of maps come from the data, without end
            self._decided[path] = found
        return found

    def hash(self, value: Any) -> str:
        """Return the hash of a value by its canonical text."""
        text = value if isinstance(value, bytes) else canonical(value).encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, text, "sha256").hex()[:_HASH_DIGITS]


def mask(table: pa.Table, policy: Policy) -> pa.Table:
    """Return the table with the fields masked that the policy names; itself where nothing is.

    A hashed column is text. A struct, list or map that is named is masked as a whole. In a sample,
    ``_raw`` is nulled under any policy, since bytes that could not be decoded may hold anything; so
    is a whole value (format text or bytes) that is binary or broken JSON, and each row of CSV that
    is something else (``{"email":``).
    """
    if not policy:
        return table
    import pyarrow as pa  # noqa: PLC0415

    from sdp_kernel.masking.columns import Masker  # noqa: PLC0415

    masker = Masker(policy, sample="_offset" in table.column_names)
    fields, columns = [], []
    hidden = masker.rows_to_hide(table) if masker.sample else None
    for field, column in zip(table.schema, table.columns, strict=True):
        done, new = masker.column(field, column, hidden)
        fields.append(field if done is column else new)
        columns.append(done)
    if all(done is column for done, column in zip(columns, table.columns, strict=True)):
        return table
    return pa.Table.from_arrays(columns, schema=pa.schema(fields, table.schema.metadata))


def _own_key(path: Path) -> bytes:
    """Read the project's own key; made on first use, for its owner alone."""
    new = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        if not path.exists():
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_hex(32))
            try:
                os.link(new, path)  # whole, or not at all: two kernels may start at once
            except FileExistsError:
                pass
            finally:
                new.unlink()
        key = path.read_text(encoding="ascii").strip().encode()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"the masking key {path} cannot be read or made: {error}",
            hint='check its permissions, or set [masking] key = "env:SDP_MASKING_KEY"',
        ) from None
    if not key:
        raise SettingsError(f"the masking key {path} is empty", hint="remove it; a new one is made")
    return key


def _matches(pattern: str, path: tuple[str, ...]) -> bool:
    whole = ".".join(path).lower()
    if fnmatchcase(whole, pattern):
        return True
    if "." not in pattern:
        names = {path[-1].lower(), whole.rpartition(".")[2]}  # a name may hold dots itself
        return any(fnmatchcase(name, pattern) for name in names)
    parts = pattern.split(".")
    return (
        ANY in path
        and len(parts) == len(path)
        and all(
            name == ANY or fnmatchcase(name.lower(), part) for name, part in zip(path, parts, strict=True)
        )
    )
