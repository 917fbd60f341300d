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
        The output of a SELECT: a topic, a table, or the path of files (``s3://bucket/path``). For several
        cells one for each SELECT, in their order. Left out for an INSERT, which names its own.
    key
        The output's key columns, in place of the planner's.
    repository
        In place of ``[promote] repository``.
    current_text
        The cell as it stands now, where it is known; for several cells one for each.
    notebook
        The notebook's path.
    replace
        Take the place of a job of that name with other content.
    pulled
        What the job was when it was pulled back into this session: promoting it is a change of that job.
    format, partition_by
        Of files: ``parquet``, ``json``, ``csv``, ``debezium-json``; the columns whose values are folders.
    fix
        Codes of findings to mend: ``sdp_kernel.promote.lint.check_fix``.
    partitions, retention
        Of a new topic: their number, and for how long it keeps records (``7 d``).
    with_test
        Freeze a test, of the newest ``test_rows`` records of each source; ``test_ignore`` are columns of the
        output that it does not compare.
    """

    job: str
    to: str | tuple[str, ...] | None = None
    key: tuple[str, ...] | None = None
    repository: Path | None = None
    current_text: str | tuple[str | None, ...] | None = None
    notebook: str | None = None
    replace: bool = False
    pulled: str | None = None
    format: str | None = None
    partition_by: tuple[str, ...] = ()
    partitions: int | None = None
    fix: tuple[str, ...] = ()
    retention: str | None = None
    with_test: bool = False
    test_rows: int | None = None
    test_ignore: tuple[str, ...] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs asked for."""
        return (self.to,) if isinstance(self.to, str) else self.to or ()

    def text_now(self, cell: int) -> str | None:
        """Return what a cell's text is now, by its place among those promoted; None where it is not known."""
        if self.current_text is None or isinstance(self.current_text, str):
            return self.current_text if cell == 0 else None
        return self.current_text[cell] if cell < len(self.current_text) else None
