"""Completion of Flink SQL: text, cursor and the session's names → candidates. No network.

The kind of place is told apart here; queries are in ``complete_query``, other statements in
``complete_statements``, options in ``complete_options``. Nothing is validated: too much is
offered rather than too little.
"""

from __future__ import annotations

import re

from sdp_kernel.flink import complete_words as words
from sdp_kernel.flink.complete_found import Candidate, Completion, Found
from sdp_kernel.flink.complete_names import Names
from sdp_kernel.flink.complete_options import in_text, option_keys
from sdp_kernel.flink.complete_query import QueryPlace
from sdp_kernel.flink.complete_scan import Cursor, scan, symbol
from sdp_kernel.flink.complete_statements import StatementPlace

_PARAMETER = re.compile(r"(?<!\$)\$\{\s*([\w.]*)\Z")
__all__ = ["Candidate", "Completion", "complete"]


def complete(text: str, offset: int, names: Names | None = None) -> Completion:
    """Return what may be written at ``offset``, the likeliest first.

    Parameters
    ----------
    text
        A cell's SQL; one or more statements, as unfinished as they are.
    offset
        The cursor, in code points.
    names
        What the session knows; keywords, functions and options need none.
    """
    names = names or Names()
    parameter = _PARAMETER.search(text[:offset])
    if parameter is not None:
        return _parameters(parameter[1], offset, text[offset:], names)
    cursor = scan(text, offset)
    if cursor is None:
        return Completion(offset, offset, ())
    found = Found(cursor, lower=_prefers_lower(text, cursor))
    if cursor.quote == "'":
        in_text(found, cursor, names)
    elif not _is_number(cursor):
        _Here(found, cursor, names).offer()
    return found.completion(offset)


def _parameters(prefix: str, offset: int, behind: str, names: Names) -> Completion:
    close = "" if behind.lstrip(" ").startswith("}") else "}"
    known = [(name, "parameter", value) for name, value in names.parameters.items()]
    known += [(name, "connection", "properties") for name in names.fragments]
    return Completion(
        offset - len(prefix),
        offset,
        tuple(
            Candidate(name + close, kind, detail)
            for name, kind, detail in known
            if name.lower().startswith(prefix.lower())
        ),
    )


def _is_number(cursor: Cursor) -> bool:
    return cursor.prefix[:1].isdigit()


def _prefers_lower(text: str, cursor: Cursor) -> bool:
    """Whether keywords are to be written in lower case: as the word begun is, or those before it."""
    if cursor.prefix and not cursor.quote:
        return cursor.prefix.islower()
    seen = re.findall(r"\b(?:select|from|where|create|insert|with|group|set|show)\b", text, re.IGNORECASE)
    return bool(seen) and all(each.islower() for each in seen)


class _Here(StatementPlace, QueryPlace):
    """The place of the cursor, whatever statement it is in."""

    def offer(self) -> None:
        """Find the kind of place, and offer what fits."""
        if symbol(self.previous) == ".":
            self.after_dot()
        elif len(self.cursor.path) == 1 and not self.before:
            self.keywords(words.STATEMENTS)
        elif option_keys(self.found, self.cursor, self.names):
            return
        elif not (self.in_definition() or self.named_objects()):
            self.in_query()
