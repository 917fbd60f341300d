"""Changes to rendered SQL that keep the way back to the cell, so that errors name its own lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdp_kernel.flink.parameters import Rendered

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Edit:
    """``text`` in place of what stands from ``start`` to ``end``; an insertion where they are equal."""

    start: int
    end: int
    text: str


def apply(rendered: Rendered, edits: Iterable[Edit]) -> Rendered:
    """Make the edits, which do not overlap; a place in one's text leads back to where it was made."""
    text, last = rendered.text, 0
    out: list[str] = []
    pieces: list[tuple[int, int, int, bool]] = []
    length = 0
    for edit in [*sorted(edits, key=lambda edit: (edit.start, edit.end)), Edit(len(text), len(text), "")]:
        for start, end, source, literal in _cut(rendered, last, edit.start):
            pieces.append((length, length + end - start, source, literal))
            length += end - start
        out += [text[last : edit.start], edit.text]
        if edit.text:
            pieces.append((length, length + len(edit.text), rendered.source_offset(edit.start), False))
            length += len(edit.text)
        last = edit.end
    return Rendered("".join(out), tuple(pieces))


def _cut(rendered: Rendered, first: int, last: int) -> list[tuple[int, int, int, bool]]:
    """Return the parts of the pieces between two offsets."""
    whole = rendered.pieces or ((0, len(rendered.text), 0, True),)
    return [
        (max(start, first), min(end, last), source + (max(first - start, 0) if literal else 0), literal)
        for start, end, source, literal in whole
        if max(start, first) < min(end, last)
    ]
