"""Committed jobs, looked over by their text alone: without Flink, and without a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdp_kernel.errors import SdpError
from sdp_kernel.flink.ledger import Entry
from sdp_kernel.flink.script import split
from sdp_kernel.promote.lints.draft import Draft
from sdp_kernel.promote.lints.finding import Finding
from sdp_kernel.promote.lints.review import Run, look
from sdp_kernel.promote.slice import Slice
from sdp_kernel.repository import job as jobs
from sdp_kernel.repository.testing.prepare import aliases, read

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sdp_kernel.repository.job import CommittedJob
    from sdp_kernel.settings import Settings

_HINT = "mend the job's files"
_DECLARED = ("TABLE", "VIEW", "FUNCTION")


def look_over(root: Path, names: Iterable[str], settings: Settings) -> dict[str, tuple[Finding, ...]]:
    """Return what is found in jobs of a repository, by name; in all of them where none is named.

    A job that cannot be read has that as its one finding: an error without a code.

    Parameters
    ----------
    root
        The repository's top.
    settings
        ``[lint]``, and ``[promote] module_source``.

    Raises
    ------
    UsageError
        There is no job of a name.
    """
    known = aliases(root)
    wanted = tuple(jobs.check_known(root, name) for name in names) or jobs.names(root)
    found: dict[str, tuple[Finding, ...]] = {}
    for name in wanted:
        try:
            job = read(root, name, known, settings.promote.module_source)
            found[name] = look(draft_of(job), Run(), settings.lint)
        except SdpError as error:
            found[name] = (Finding("", "error", error.message, error.hint or _HINT, f"the job {name}"),)
    return found


def draft_of(job: CommittedJob) -> Draft:
    """Return a committed job as it was before it was composed."""
    *before, last = split(job.written)
    entries = [Entry(one.text, one.kind, one.target, one.temporary) for one in before]
    declared = [e for e in entries if e.kind.startswith(("CREATE", "ALTER")) and e.kind.endswith(_DECLARED)]
    rest = tuple(entry for entry in entries if entry not in declared)
    return Draft(last.text, Slice(rest, tuple(declared)), dict(job.arguments["args"]))
