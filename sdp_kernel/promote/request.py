"""What a promotion is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    Attributes
    ----------
    job
        The job's name.
    to
        The output topic of a SELECT, or a table of the session to write to; left out for an INSERT,
        which names its own.
    key
        The output's key columns, in place of the planner's.
    repository
        In place of ``[promote] repository``.
    current_text
        The cell as it stands now, where it is known.
    notebook
        The notebook's path.
    replace
        Take the place of a job of that name with other content.
    """

    job: str
    to: str | None = None
    key: tuple[str, ...] | None = None
    repository: Path | None = None
    current_text: str | None = None
    notebook: str | None = None
    replace: bool = False
