"""The receipt of a promotion: what ran, what it read and gave, on what, and what is committed of it.

How it is read again is in :mod:`sdp_kernel.repository.receipt`, with its published schema. What cannot be
had is null, with a reason beside it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdp_kernel.flink.installed import installed
from sdp_kernel.promote import render, several
from sdp_kernel.promote.statistics import MOST_ROWS, statistics
from sdp_kernel.repository import receipt as receipts
from sdp_kernel.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sdp_kernel.flink.query import Query
    from sdp_kernel.flink.session import Session
    from sdp_kernel.promote.compose import Composed


@dataclass(frozen=True)
class Witness:
    """What is known of a run beside the query itself.

    Attributes
    ----------
    reads
        What was read of Kafka tables; None where nobody looked.
    masked
        Whether a column of a name is hidden.
    """

    reads: Callable[[Query], list[dict[str, Any]] | None] = lambda _query: None
    masked: Callable[[str], bool] = lambda _name: False


def of_job(
    queries: Sequence[Query],
    session: Session,
    composed: Composed,
    *,
    job: str,
    values: Mapping[str, str],
    notebook: str | None,
    root: Path,
    witness: Witness | None = None,
) -> dict[str, Any]:
    """Return the record of what ran and of what it becomes, as plain values; ``files`` are still missing.

    Parameters
    ----------
    notebook
        Its path, where it is known.
    root
        The repository: the notebook is named from there, or by its file name alone.
    """
    witness = witness or Witness()
    compiled = None
    if composed.compiled is not None:
        text = receipts.plan_text(composed.compiled)
        compiled = {"file": receipts.plan_path_of(job), "sha256": receipts.sha256(text)}
    about = {
        "statements": [receipts.sha256(text) for text in composed.texts],
        "files": {},
        "parameters": dict(sorted(values.items())),
        "plan": {
            "sha256": receipts.sha256(composed.plan),
            "of": "EXPLAIN CHANGELOG_MODE",
            "compiled": compiled,
            "reason": composed.not_compiled,
        },
    }
    versions = {**installed(session).to_dict(), "sdp_kernel": __version__}
    each: list[dict[str, Any]] = [
        {
            "version": receipts.VERSION,
            "job": job,
            "cell": _cell(query, notebook, root),
            **about,
            "run": _run(query, witness),
            "versions": versions,
        }
        for query in queries
    ]
    found = several.receipt(each)
    if len(each) > 1:
        found["run"] |= {
            "reads": [read for one in each for read in one["run"]["reads"] or ()],
            "statistics": None,
            "statistics_reason": "each cell has its own",
        }
    if composed.python:
        found["python"] = {path: receipts.sha256(text) for path, text in composed.python.items()}
    return found


def plan_file(composed: Composed, job: str) -> dict[str, str]:
    """Return the file of the compiled plan, where there is one."""
    if composed.compiled is None:
        return {}
    return {receipts.plan_path_of(job): receipts.plan_text(composed.compiled)}


def receipt_file(receipt: dict[str, Any], contents: Mapping[str, str], job: str) -> dict[str, str]:
    """Return the receipt's own file; the receipt then has the hashes of all others in ``contents``."""
    receipt["files"] = {path: receipts.sha256(text) for path, text in sorted(contents.items())}
    return {receipts.path_of(job): render.receipt(receipt)}


def _cell(query: Query, notebook: str | None, root: Path) -> dict[str, Any]:
    return {
        "name": query.name,
        "sha256": query.cell_hash,
        "notebook": _relative(notebook, root),
        "notebook_sha256": None if notebook is None else receipts.notebook_sha256(Path(notebook)),
    }


def _run(query: Query, witness: Witness) -> dict[str, Any]:
    seen = query.statement.is_query
    measured = query.trace.last
    records = None if measured is None else measured.vitals.records_in
    reads = witness.reads(query)
    no_rows = "an INSERT gives no rows to look at"
    return {
        "state": query.state,
        "job_id": query.job_id,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(query.started)),
        "seconds": round(query.elapsed, 3),
        "rows": len(query) if seen else None,
        "changes": query.changes if seen else None,
        "columns": [{"name": c.name, "type": c.type.sql()} for c in query.columns] if seen else None,
        "records": records,
        "records_reason": "its metrics were not measured while it ran" if records is None else None,
        "reads": reads,
        "reads_reason": "the offsets of its topics were not looked at" if reads is None else None,
        "statistics": statistics(query.head(MOST_ROWS), witness.masked) if seen else None,
        "statistics_reason": None if seen else no_rows,
    }


def _relative(notebook: str | None, root: Path) -> str | None:
    if notebook is None:
        return None
    path = Path(notebook)
    if not path.is_absolute():
        return path.as_posix()
    path, root = path.resolve(), root.resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
