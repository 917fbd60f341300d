"""A file that is to be written, held against what stands in its place."""

from __future__ import annotations

import difflib
from dataclasses import dataclass


@dataclass(frozen=True)
class PlannedFile:
    """A file to write. ``status`` is new, changed or same; ``diff`` against the one that is there.

    ``touches`` names the other jobs that use a shared declaration which changes.
    """

    path: str
    content: str
    status: str
    diff: str
    touches: tuple[str, ...] = ()

    @classmethod
    def against(cls, before: str | None, path: str, content: str) -> PlannedFile:
        """Compare with the text that is there now, or with None where there is no file."""
        status = "new" if before is None else "same" if before == content else "changed"
        diff = difflib.unified_diff(
            (before or "").splitlines(), content.splitlines(), f"a/{path}", f"b/{path}", lineterm=""
        )
        return cls(path, content, status, "\n".join(diff))
