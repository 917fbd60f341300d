"""The fold of a changelog into its current table, as a multiset of rows.

A row is the JSON of its fields as it came: exact, hashable, and no larger than what was sent. An
UPDATE_AFTER takes the place its UPDATE_BEFORE left, so that a row keeps its place while it changes.
Memory is bounded by the live rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdp_kernel.flink.results import change

if TYPE_CHECKING:
    from collections.abc import Iterable

#: A change's first byte tells INSERT, DELETE and the two updates apart, its eighth these two.
_INSERT, _UPDATE, _BEFORE = ord("I"), ord("U"), ord("B")
_WHICH = len("UPDATE_")
_ROW_OF_INSERT, _ROW_OF_BEFORE, _ROW_OF_AFTER = (
    len(change(kind, b"")) for kind in ("INSERT", "UPDATE_BEFORE", "UPDATE_AFTER")
)
#: Places kept for an UPDATE_AFTER to come; a filter can let its UPDATE_BEFORE alone pass.
_SPARE = 10_000


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
        self.take([change(kind, row) for kind, row in changes])

    def take(self, changes: list[bytes]) -> None:
        """Apply changes in order, each as :func:`sdp_kernel.flink.results.change` writes them."""
        rows, place, more, freed = self._rows, self._place, self._more, self._freed
        for text in changes:
            first = text[0]
            if first == _UPDATE and text[_WHICH] != _BEFORE:
                row = text[_ROW_OF_AFTER:]
                slot = freed.pop() if freed else self._new()
            elif first == _INSERT:
                row = text[_ROW_OF_INSERT:]
                slot = self._new()
            else:
                updates = first == _UPDATE
                row = text[_ROW_OF_BEFORE if updates else _ROW_OF_INSERT :]
                slot = self._one_of(row) if more and row in more else place.pop(row, -1)
                if slot < 0:
                    self.unmatched += 1
                elif updates:
                    freed.append(slot)  # its row goes below, unless another has come by then
                else:
                    del rows[slot]
                continue
            rows[slot] = row
            if place.setdefault(row, slot) != slot:
                more.setdefault(row, []).append(slot)
        for slot in reversed(freed):
            if rows.pop(slot, None) is None:
                break  # those below went with an earlier page
        del freed[:-_SPARE]
        self.changes += len(changes)

    def _new(self) -> int:
        self._next += 1
        return self._next - 1

    def _one_of(self, row: bytes) -> int:
        """Take away one of the further places of a row."""
        slots = self._more[row]
        slot = slots.pop()
        if not slots:
            del self._more[row]
        return slot

    def places(self) -> dict[int, bytes]:
        """Return place → live row; a row keeps its place while it is updated."""
        return dict(self._rows)

    def rows(self) -> list[bytes]:
        """Return the live rows, in the order of their places."""
        return [self._rows[slot] for slot in sorted(self._rows)]
