"""Candidates as they are collected: filtered by what is typed, written as SQL takes them, ranked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdp_kernel.flink.complete_names import written
from sdp_kernel.flink.script import identifier

if TYPE_CHECKING:
    from sdp_kernel.flink.complete_scan import Cursor

_MOST = 500
_INSIDE_FROM = 2
#: What is also found by a part inside its name.
_FOUND_INSIDE = frozenset({"column", "table", "view", "topic", "option"})


@dataclass(frozen=True)
class Candidate:
    """Something to insert. ``kind`` is column, table, keyword, …; ``detail`` such as a column's type."""

    text: str
    kind: str
    detail: str = ""


@dataclass(frozen=True)
class Completion:
    """What may replace the text from ``start`` to ``end``, offsets in code points."""

    start: int
    end: int
    candidates: tuple[Candidate, ...]


class Found:
    """Collects candidates for one place, in the order of likelihood."""

    def __init__(self, cursor: Cursor, *, lower: bool) -> None:
        self._prefix = cursor.prefix.lower()
        self._start = cursor.start
        self._quote = cursor.quote
        self._behind = cursor.behind
        self._lower = lower
        self._ranked: tuple[dict[str, Candidate], ...] = ({}, {}, {})

    def _add(self, match: str, candidate: Candidate, *, first: bool = False) -> None:
        low = match.lower()
        if low.startswith(self._prefix):
            rank = 0 if first else 1
        elif candidate.kind in _FOUND_INSIDE and len(self._prefix) >= _INSIDE_FROM and self._prefix in low:
            rank = 2
        else:
            return
        self._ranked[rank].setdefault(candidate.text, candidate)

    def name(self, name: str, kind: str, detail: str = "") -> None:
        """Add a name, in backquotes where it needs them or has them already."""
        text = written(name)
        if self._quote in {"`", '"'}:
            text = identifier(name)
            text = text[:-1] if self._behind.startswith("`") else text
        self._add(name, Candidate(text, kind, detail))

    def keyword(self, phrase: str, *, kind: str = "keyword", first: bool = False) -> None:
        """Add a keyword or a phrase of them, in the case that is used here."""
        if not self._quote:
            self._add(phrase, Candidate(phrase.lower() if self._lower else phrase, kind), first=first)

    def function(self, name: str, detail: str, *, plain: bool = False) -> None:
        """Add a function with its bracket; ``plain`` keeps its case."""
        if not self._quote:
            written_ = written(name) if plain else name.lower() if self._lower else name
            bracket = "" if self._behind.startswith("(") else "("
            self._add(name, Candidate(written_ + bracket, "function", detail))

    def text(self, text: str, kind: str, detail: str = "", *, first: bool = False) -> None:
        """Add a text in single quotes: those that are missing are added."""
        escaped = text.replace("'", "''")
        close = "" if self._quote and self._behind.startswith("'") else "'"
        self._add(text, Candidate(f"'{escaped}{close}", kind, detail), first=first)

    def part(self, text: str, kind: str, *, prefix: str, detail: str = "") -> None:
        """Add the last part of a text in quotes, such as a topic after ``;``: ``prefix`` is kept."""
        if text.lower().startswith(self._prefix[len(prefix) :]):
            close = "" if self._behind.startswith("'") else "'"
            added = Candidate(f"'{prefix}{text}{close}", kind, detail)
            self._ranked[1].setdefault(added.text, added)

    def completion(self, offset: int) -> Completion:
        """Return what was collected."""
        merged: dict[str, Candidate] = {}
        for ranked in self._ranked:
            for text, candidate in ranked.items():
                merged.setdefault(text, candidate)
        return Completion(self._start, offset, tuple(merged.values())[:_MOST])
