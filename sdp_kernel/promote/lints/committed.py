"""Committed jobs, looked over by their text alone: without Flink, and without a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdp_kernel.flink.ledger import Entry
from sdp_kernel.flink.script import split
from sdp_kernel.promote.lints.draft import Draft
from sdp_kernel.promote.lints.review import Run, look
from sdp_kernel.promote.slice import Slice
from sdp_kernel.repository import job as jobs
from sdp_kernel.repository.testing.prepare import aliases, read

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sdp_kernel.promote.lints.finding import Finding
    from sdp_kernel.repository.job import CommittedJob
    from sdp_kernel.settings import Settings

_DECLARED = ("TABLE", "VIEW", "FUNCTION")


def look_over(root: Path, names: Iterable[str], settings: Settings) -> dict[str, tuple[Finding, ...]]:
    """Return what is found in jobs of a repository, by name; in all of them where none is named.

    Parameters
    ----------
    root
        The repository's top.
    settings
        ``[lint]``, and ``[promote] module_source``.

    Raises
    ------
    UsageError, ParameterError
        There is no such job, or its files cannot be read or filled in.
    """
    known = aliases(root)
    source = settings.promote.module_source
    return {
        name: look(draft_of(read(root, name, known, source)), Run(), settings.lint)
        for name in tuple(names) or jobs.names(root)
    }


def draft_of(job: CommittedJob) -> Draft:
    """Return a committed job as it was before it was composed."""
    *before, last = split(job.written)
    entries = [Entry(one.text, one.kind, one.target, one.temporary) for one in before]
    declared = [e for e in entries if e.kind.startswith(("CREATE", "ALTER")) and e.kind.endswith(_DECLARED)]
    rest = tuple(entry for entry in entries if entry not in declared)
    return Draft(last.text, Slice(rest, tuple(declared)), dict(job.arguments["args"]))
