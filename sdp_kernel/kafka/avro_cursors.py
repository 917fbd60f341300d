"""Where reading Avro in columns is: one cursor a record, all in one buffer.

A record that runs over its end, or has a length, branch or symbol that cannot be, is marked and
held at its end, so its neighbours are read as if it were not there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

PADDING = 16
_LONG_TEXT = 48
_MAX_VARINT = 10


class Unplanned(Exception):  # noqa: N818 - a way out, not a fault
    """The schema, or these values of it, are not read in columns."""


class Cursors:
    """The records' bytes end to end, where each ends, and which are malformed.

    ``data`` (uint8) has ``PADDING`` bytes behind the last record, so a read of one number never
    leaves it.
    """

    def __init__(self, payloads: list[bytes]) -> None:
        lengths = np.fromiter(map(len, payloads), np.int64, len(payloads))
        self.data = np.frombuffer(b"".join([*payloads, bytes(PADDING)]), np.uint8)
        self.end = lengths.cumsum()
        self.start = self.end - lengths
        self.bad = np.zeros(len(payloads), bool)
        self.rounds = 0

    def hold(self, rows: Any, pos: Any) -> Any:
        """Mark records whose cursor is beyond their end, and put it there."""
        end = self.end[rows]
        over = pos > end
        if over.any():
            self.bad[rows[over]] = True
            return np.minimum(pos, end)
        return pos

    def varint(self, rows: Any, pos: Any) -> tuple[Any, Any]:
        """Read a zig-zag number (int64) of each record."""
        first = self.data[pos]
        value = first.astype(np.uint64)
        if not (first >= 0x80).any():  # noqa: PLR2004 - the bit that says more follow
            pos = pos + 1
        else:
            value &= np.uint64(0x7F)
            pos = pos + 1
            more = np.flatnonzero(first >= 0x80)  # noqa: PLR2004
            for number in range(1, _MAX_VARINT):
                byte = self.data[pos[more]]
                value[more] |= (byte & 0x7F).astype(np.uint64) << np.uint64(7 * number)
                pos[more] += 1
                more = more[byte >= 0x80]  # noqa: PLR2004
                if not len(more):
                    break
            else:
                self.bad[rows[more]] = True
        signed = (value >> np.uint64(1)).astype(np.int64) ^ -(value & np.uint64(1)).astype(np.int64)
        return signed, self.hold(rows, pos)

    def lengths(self, rows: Any, pos: Any) -> tuple[Any, Any]:
        """Read a length in bytes of each record; zero for those that are malformed."""
        length, pos = self.varint(rows, pos)
        wrong = (length < 0) | (length > self.end[rows] - pos)
        if wrong.any():
            self.bad[rows[wrong]] = True
            length = np.where(wrong, 0, length)
            pos = np.where(wrong, self.end[rows], pos)
        return length, pos

    def fixed(self, rows: Any, pos: Any, width: int) -> tuple[Any, Any]:
        """Read ``width`` bytes of each record: an array (records, width) of uint8."""
        after = self.hold(rows, pos + width)
        start = np.minimum(pos, len(self.data) - width) if width <= len(self.data) else pos
        if width > len(self.data):
            return np.zeros((len(rows), width), np.uint8), after
        return self.data[start[:, None] + np.arange(width)], after

    def gather(self, pos: Any, lengths: Any) -> tuple[Any, Any]:
        """Copy (offsets, bytes) of one piece of each record, end to end."""
        offsets = np.zeros(len(pos) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        total = int(offsets[-1])
        if total > 2**31 - 1:
            raise Unplanned
        if total > _LONG_TEXT * max(1, len(pos)):
            view = self.data.data
            content: Any = b"".join(
                [view[a : a + n] for a, n in zip(pos.tolist(), lengths.tolist(), strict=True)]
            )
        else:
            content = self.data[np.repeat(pos - offsets[:-1], lengths) + np.arange(total)]
        return offsets.astype(np.int32), content
