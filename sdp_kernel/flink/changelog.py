"""The fold of a changelog into its current table, as a multiset of rows.

A row is the JSON of its fields as it came: exact, hashable, and no larger than what was sent. An
UPDATE_AFTER takes the place its UPDATE_BEFORE left, so that a row keeps its place while it changes.
Memory is bounded by the live rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdp_kernel.flink.results import DELETE, INSERT, UPDATE_AFTER, UPDATE_BEFORE

if TYPE_CHECKING:
    from collections.abc import Iterable


class Changelog:
    """The current table of a changelog.

    Attributes
    ----------
    changes
        Changes applied so far.
    unmatched
        Retractions of rows that were not there. Not zero only if the changelog is not one.
    """

    def __init__(self) -> None:
        self.changes = 0
        self.unmatched = 0
        self._rows: dict[int, bytes] = {}
        self._slots: dict[bytes, list[int]] = {}
        self._next = 0
        self._freed: list[int] = []

    def __len__(self) -> int:
        return len(self._rows)

    def insert(self, row: bytes) -> None:
        """Apply an INSERT."""
        self.changes += 1
        self._add(row, self._next)
        self._next += 1

    def apply(self, changes: Iterable[tuple[str, bytes]]) -> None:
        """Apply changes in order; a kind is a name of Flink's ``RowKind``."""
        for kind, row in changes:
            if kind == INSERT:
                self.insert(row)
                continue
            self.changes += 1
            if kind == UPDATE_AFTER:
                if self._freed:
                    self._add(row, self._freed.pop())
                else:
                    self._add(row, self._next)
                    self._next += 1
            elif kind in {UPDATE_BEFORE, DELETE}:
                slot = self._remove(row)
                if slot is None:
                    self.unmatched += 1
                elif kind == UPDATE_BEFORE:
                    self._freed.append(slot)

    def rows(self) -> list[bytes]:
        """Return the live rows, in the order of their places."""
        return [self._rows[slot] for slot in sorted(self._rows)]

    def _add(self, row: bytes, slot: int) -> None:
        self._rows[slot] = row
        self._slots.setdefault(row, []).append(slot)

    def _remove(self, row: bytes) -> int | None:
        slots = self._slots.get(row)
        if not slots:
            return None
        slot = slots.pop()
        if not slots:
            del self._slots[row]
        del self._rows[slot]
        return slot
