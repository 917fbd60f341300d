"""After a kernel: write down what runs, take it over in the next kernel, end what nobody takes over.

The gateway keeps a session for a minute or two after its last call, and the rows of a query that only
appends can be read on from where the last kernel stopped. The rows that it had read, and the table of
a query that updates, went with its memory: such a query runs again from its start.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sdp_kernel.flink import parameters
from sdp_kernel.flink.gateway import GatewayFault
from sdp_kernel.flink.jobs import TERMINAL
from sdp_kernel.flink.ledger import Ledger
from sdp_kernel.flink.query import Bounds, Query
from sdp_kernel.flink.record import QueryRecord
from sdp_kernel.flink.running import Task
from sdp_kernel.flink.script import split
from sdp_kernel.flink.stopping import end_unread
from sdp_kernel.references import names_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sdp_kernel.flink.record import SessionRecord
    from sdp_kernel.flink.session import Session

_EXPECTED = re.compile(r"Expecting token to be (\d+)")
_NAMED = re.compile(r"\$\$\{|\$\{([\w.]+)\}")


@dataclass(frozen=True)
class TakenOver:
    """What became of a dead kernel's session: its named queries, and a line for each thing to know."""

    queries: tuple[Query, ...]
    lines: tuple[str, ...]


def running(session: Session) -> tuple[QueryRecord, ...]:
    """Return what a successor has to know of a session's queries: those that run, and submitted jobs.

    One that is being stopped is written down as a SELECT that a cell waits for: its job ends with its kernel.
    """
    found = []
    for query in session.queries:
        if query.job_id and (query.state == "submitted" or not query.ended(0)):
            stays = query.stopping is None
            appends = query.rows.appends if query.rows is not None else None
            found.append(
                QueryRecord(
                    text=query.text,
                    start=query.statement.start,
                    sql=_by_name(session, query),
                    job_id=query.job_id,
                    is_query=query.statement.is_query or not stays,
                    background=query.background and stays,
                    name=query.name,
                    operation=query.operation,
                    appends=appends,
                    parameters=_shown(query.parameters),
                    config=_shown(query.config),
                    withheld=tuple(sorted(filter(names_secret, {**query.parameters, **query.config}))),
                    bounds=vars(query.bounds),
                    started=query.started,
                )
            )
    return tuple(found)


def take_over(session: Session, record: SessionRecord) -> TakenOver:
    """Take over the session of a dead kernel: its statements, its session, its background queries.

    Raises
    ------
    GatewayUnreachable, SessionLost
        The gateway does not answer; a statement does not replay.
    """
    if record.ledger is not None and Path(record.ledger).is_file():
        session.ledger = Ledger.read(Path(record.ledger))
    count = len(session.ledger.shaping)
    kept = session.gateway.knows(record.handle)
    if kept:
        session.take_over(record.handle)
        lines = [f"took over the session of the kernel before, with {count} statements"]
    else:
        session.reopen()
        lines = [f"the session of the kernel before is gone: opened a new one, replayed {count} statements"]
    queries = []
    for old in record.queries:
        query, line = _take_over_query(session, old, kept=kept)
        lines.append(line)
        if query is not None:
            queries.append(query)
    return TakenOver(tuple(queries), tuple(line for line in lines if line))


def _take_over_query(session: Session, old: QueryRecord, *, kept: bool) -> tuple[Query | None, str]:
    label = old.name or "a query without a name"
    if not old.is_query:
        return _job(session, old, label)
    if not old.background:
        end_unread(session.jobmanager, old.job_id)
        return None, ""
    query = _query(session, old)
    token = _next_token(session, old) if kept and old.appends else None
    if token is not None:
        query.job_id, query.operation = old.job_id, old.operation
        session.start(Task(query, parameters.Rendered(query.sql, ()), token=token))
        lost = f"; not kept on disk, for its next run: {', '.join(old.withheld)}" if old.withheld else ""
        return query, f"{label} goes on; the rows that it had are gone{lost}"
    end_unread(session.jobmanager, old.job_id)
    if old.withheld:
        missing = ", ".join(old.withheld)
        return None, f"{label} is not run again: {missing} is secret and not kept on disk; run its cell again"
    session.start(Task(query, parameters.Rendered(query.sql, ())))
    return query, f"{label} runs again from its start"


def _job(session: Session, old: QueryRecord, label: str) -> tuple[Query | None, str]:
    state = session.jobmanager.state(old.job_id) if session.jobmanager is not None else "UNKNOWN"
    if state == "UNKNOWN":
        return None, f"the job {old.job_id} of {label} is gone: the JobManager does not know it"
    query = _query(session, old)
    query.job_id = old.job_id
    query.finish("submitted")
    session.remember(query)
    ended = f"has ended: {state}" if state in TERMINAL else "runs on"
    return query, f"the job {old.job_id[:8]} of {label} {ended}"


def _query(session: Session, old: QueryRecord) -> Query:
    statements = split(old.text)
    statement = next(s for s in statements if s.start == old.start)
    query = session.new_query(old.text, statement, name=old.name)
    query.statements = tuple(statements)
    query.parameters, query.config = dict(old.parameters), dict(old.config)
    query.bounds, query.background, query.started = Bounds(**old.bounds), old.background, old.started
    query.sql = _filled_in(session, old.sql)
    return query


def _shown(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if not names_secret(name)}


def _by_name(session: Session, query: Query) -> str:
    """Put names in the place of connection fragments, which are the profile's own, and of secrets.

    The text is then as a cell's: a ``${`` that was one already is escaped.
    """
    secret = {name: value for name, value in query.parameters.items() if names_secret(name)}
    names = {value: name for name, value in {**secret, **session.fragments}.items() if value}
    longest_first = sorted(names, key=len, reverse=True)
    places = "|".join([*map(re.escape, longest_first), re.escape("${")])
    return re.sub(places, lambda m: f"${{{names[m[0]]}}}" if m[0] in names else "$${", query.sql)


def _filled_in(session: Session, sql: str) -> str:
    """Undo :func:`_by_name`; a name without a value stays."""

    def value(match: re.Match[str]) -> str:
        return "${" if match[1] is None else session.fragments.get(match[1], match[0])

    return _NAMED.sub(value, sql)


def _next_token(session: Session, old: QueryRecord) -> int | None:
    """Return the page to go on with: the gateway names it when asked for another."""
    if old.operation is None:
        return None
    try:
        session.gateway.fetch(session.handle, old.operation, 0)
    except GatewayFault as fault:
        match = _EXPECTED.search("\n".join(fault.errors))
        return int(match.group(1)) if match else None
    return 0


def end_orphans(session: Session, record: SessionRecord) -> int:
    """End the SELECT jobs of a kernel that nobody succeeded; returns how many still ran."""
    return sum(
        end_unread(session.jobmanager, old.job_id)
        for old in record.queries
        if old.is_query and (record.given_up or not old.background)
    )
