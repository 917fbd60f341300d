"""The fold of a changelog into its current table, as a multiset of rows.

A row is the JSON of its fields as it came: exact, hashable, and no larger than what was sent. An
UPDATE_AFTER takes the place its UPDATE_BEFORE left, so that a row keeps its place while it changes.
Memory is bounded by the live rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdp_kernel.flink.results import INSERT, UPDATE_AFTER, UPDATE_BEFORE

if TYPE_CHECKING:
    from collections.abc import Iterable


_ADDS = frozenset({INSERT, UPDATE_AFTER})


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
        #: Row → its place; further places of equal rows are in ``_more``.
        self._place: dict[bytes, int] = {}
        self._more: dict[bytes, list[int]] = {}
        self._next = 0
        self._freed: list[int] = []

    def __len__(self) -> int:
        return len(self._rows)

    def apply(self, changes: Iterable[tuple[str, bytes]]) -> None:
        """Apply changes in order; a kind is a name of Flink's ``RowKind``."""
        rows, place, more, freed = self._rows, self._place, self._more, self._freed
        count = 0
        for kind, row in changes:
            count += 1
            if kind in _ADDS:
                if kind == UPDATE_AFTER and freed:
                    slot = freed.pop()
                else:
                    slot = self._next
                    self._next += 1
                rows[slot] = row
                if place.setdefault(row, slot) != slot:
                    more.setdefault(row, []).append(slot)
            elif row not in place:
                self.unmatched += 1
            else:
                if row in more:
                    slot = more[row].pop()
                    if not more[row]:
                        del more[row]
                else:
                    slot = place.pop(row)
                del rows[slot]
                if kind == UPDATE_BEFORE:
                    freed.append(slot)
        self.changes += count

    def places(self) -> dict[int, bytes]:
        """Return place → live row; a row keeps its place while it is updated."""
        return dict(self._rows)

    def rows(self) -> list[bytes]:
        """Return the live rows, in the order of their places."""
        return [self._rows[slot] for slot in sorted(self._rows)]
