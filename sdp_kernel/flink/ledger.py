"""The ledger: every statement that succeeded in a session, in order, with the cell it came from.

It rebuilds a lost session, and a promotion finds in it what a query needs. On disk it is one JSON
object a line, for its owner's eyes; a parameter whose name says that it is a secret stays in memory.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import msgspec

from sdp_kernel.flink.script import Statement
from sdp_kernel.references import names_secret

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def text_hash(text: str) -> str:
    """Return the sha256 of a cell's text, white space at its ends put aside."""
    return hashlib.sha256(text.strip().encode()).hexdigest()


@dataclass(frozen=True)
class Entry:
    """A statement that succeeded. ``text`` is as written, with ``${…}`` in place."""

    text: str
    kind: str
    target: str | None = None
    temporary: bool = False
    cell: str | None = None
    cell_hash: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    at: float = 0.0

    @property
    def statement(self) -> Statement:
        """The statement it records."""
        return Statement(self.text, 0, self.kind, self.target, self.temporary)


class Ledger:
    """Entries in the order they succeeded; appended to ``path`` where one is given."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._entries: list[Entry] = []

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries."""
        return tuple(self._entries)

    @property
    def shaping(self) -> tuple[Entry, ...]:
        """The entries that a replay needs: DDL, SET, USE, ADD JAR."""
        return tuple(entry for entry in self._entries if entry.statement.shapes_session)

    def record(
        self,
        statement: Statement,
        *,
        cell: str | None,
        source: str,
        parameters: Mapping[str, object],
    ) -> Entry:
        """Append a statement that succeeded."""
        entry = Entry(
            text=statement.text,
            kind=statement.kind,
            target=statement.target,
            temporary=statement.temporary,
            cell=cell,
            cell_hash=text_hash(source),
            parameters={name: str(value) for name, value in parameters.items()},
            at=time.time(),
        )
        self._entries.append(entry)
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            told = {name: value for name, value in entry.parameters.items() if not names_secret(name)}
            with open(os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as file:  # noqa: PTH123
                file.write(msgspec.json.encode(replace(entry, parameters=told)) + b"\n")
        return entry

    @classmethod
    def read(cls, path: Path) -> Ledger:
        """Read a ledger back; a last line cut off by a crash is left out."""
        ledger = cls(path)
        decoder = msgspec.json.Decoder(Entry)
        for line in path.read_bytes().splitlines():
            try:
                ledger._entries.append(decoder.decode(line))
            except msgspec.DecodeError:
                continue
        return ledger
