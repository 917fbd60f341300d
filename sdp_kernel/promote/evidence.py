"""What a query's run proves: whether it may be promoted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdp_kernel.errors import NotValidated, UsageError
from sdp_kernel.flink.ledger import text_hash
from sdp_kernel.promote.functions import without_modules
from sdp_kernel.promote.sink import check_output
from sdp_kernel.promote.slice import in_force

if TYPE_CHECKING:
    from sdp_kernel.flink.query import Query
    from sdp_kernel.flink.session import Session
    from sdp_kernel.promote.slice import Slice

_SELECT_STATES = frozenset({"finished", "limit", "timeout", "idle", "interrupted"})
_STOPPED_EARLY = frozenset({"timeout", "idle", "interrupted"})
_JOB_FAILED = frozenset({"FAILED", "FAILING", "RESTARTING"})


def check_kind(query: Query, to: str | None) -> None:
    """Refuse a statement that is no job, and an output that cannot be.

    Raises
    ------
    UsageError
        With what to pass in its place.
    """
    kind = query.statement.kind
    if query.statement.is_query:
        if to is None:
            raise UsageError(
                "a SELECT needs an output topic, table or path",
                hint="add --to TOPIC, or --to s3://bucket/path",
            )
        check_output(to)
    elif kind not in {"INSERT", "STATEMENT SET"}:
        raise UsageError(
            f"a cell that ends in {kind} is not a job",
            hint="promote a cell that ends in a SELECT or an INSERT",
        )
    elif to is not None and to != query.statement.target:
        raise UsageError(f"the {kind} names its own output", hint="leave --to out")


def check_ran(query: Query, session: Session, current_text: str | None) -> None:
    """Refuse a query that did not run without error, in this text, in this session.

    A SELECT over an endless topic counts once a row came; one that ended counts with none.

    Raises
    ------
    NotValidated
        With the reason, and to run it again.
    """
    name, again = query.name or "the cell", _again(query)
    if current_text is not None and text_hash(current_text) != query.cell_hash:
        raise NotValidated(f"{name} was edited after it ran", hint=again)
    if query.state == "running":
        raise NotValidated(f"{name} is still running", hint="stop it first")
    expected = _SELECT_STATES if query.statement.is_query else {"submitted"}
    recorded = any(entry.cell_hash == query.cell_hash for entry in session.ledger.entries)
    if query.state not in expected or not recorded:
        raise NotValidated(f"{name} did not run without error: {query.state}", hint=again)
    if query.state in _STOPPED_EARLY and not query.changes:
        raise NotValidated(
            f"{name} was stopped ({query.state}) before its first row: that proves nothing",
            hint="give it more time, or bound its source: 'scan.bounded.mode' = 'latest-offset'",
        )
    jobmanager = session.jobmanager
    if query.state == "submitted" and query.job_id and jobmanager is not None:
        state = jobmanager.state(query.job_id)
        if state in _JOB_FAILED:
            cause = jobmanager.root_cause(query.job_id)
            raise NotValidated(f"the job of {name} is {state}: {cause}", hint=again)


def check_since(query: Query, session: Session, part: Slice) -> None:
    """Refuse a query whose tables or settings were changed after it ran.

    Raises
    ------
    NotValidated
        What ran is not what would be promoted.
    """
    name, again = query.name or "the cell", _again(query)
    for entry in part.declarations:
        if entry.at > query.started:
            what = f"{entry.kind.split()[-1].lower()} {entry.target or ''}"
            raise NotValidated(f"the {what} was changed after {name} ran", hint=again)
    shaping = session.ledger.shaping
    then = in_force(tuple(entry for entry in shaping if entry.at <= query.started))
    if without_modules(then.settings) != without_modules(in_force(shaping).settings):
        raise NotValidated(f"the session's settings were changed after {name} ran", hint=again)


def _again(query: Query) -> str:
    return f"run %%flinksql {query.name} again, then promote" if query.name else "run it again, then promote"
