"""Runs one statement through the gateway: submit, read pages in order, say when it ends.

Pages come from :mod:`sdp_kernel.flink.pages`; how a job is stopped is in
:mod:`sdp_kernel.flink.stopping`.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from sdp_kernel.errors import ResultError, SdpError
from sdp_kernel.flink import faults, stopping
from sdp_kernel.flink.gateway import GatewayFault
from sdp_kernel.flink.learning import LEARNS_S, Learning
from sdp_kernel.flink.pages import Pages
from sdp_kernel.flink.query import Lost
from sdp_kernel.flink.results import read_head
from sdp_kernel.flink.rows import Rows
from sdp_kernel.flink.script import identifier
from sdp_kernel.flink.spool import Spool, Stopped
from sdp_kernel.flink.types import Column

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sdp_kernel.flink.gateway import Gateway
    from sdp_kernel.flink.jobs import JobManager
    from sdp_kernel.flink.query import Query

_NOT_READY = b'{"resultType":"NOT_READY"'
#: Said before anything is carried out.
_NO_CONFIGURATION = "Unsupported statement for configuring session"
_SHORTEST_WAIT_S, _LONGEST_WAIT_S = 0.002, 0.03
_TURN_S = 0.05
_ENDED_BY_ITSELF = frozenset({"finished", "submitted", "ok"})
_JOB_ID = re.compile(r"^[0-9a-f]{32}$")


class Runner:
    """Runs statements of one gateway session.

    Parameters
    ----------
    jobmanager
        Asked after a stop whether the job is gone; None where no JobManager can be reached.
    spool
        A directory that the TaskManagers share with this process: rows of batch queries come by it.
    """

    def __init__(
        self, gateway: Gateway, session: str, jobmanager: JobManager | None, spool: Path | None = None
    ) -> None:
        self.gateway = gateway
        self.session = session
        self.jobmanager = jobmanager
        self._spool = spool
        self._stopping: list[threading.Thread] = []

    def run(self, query: Query, sql: str, *, token: int | None = None) -> str:
        """Run ``sql`` into ``query`` until it ends, a bound is reached, or it is asked to end.

        ``token``: the query's operation runs already, and is read on from this page.

        Returns
        -------
        str
            The query's final state; setting it is the caller's.

        Raises
        ------
        GatewayFault, ResultError
            Flink rejected the statement, its job failed, a page cannot be decoded. The rows that
            came are kept in ``query``.
        Lost
            The query's ``lost`` was set.
        """
        query.limit = query.bounds.limit if query.statement.is_query else None
        by_files = self._run_by_files(query, sql) if token is None else None
        if by_files is not None:
            return by_files
        reader = _Reader(self, query, sql)
        if token is not None:
            reader.operation, reader.token = query.operation, token
            query.enters()
        try:
            state = reader.read()
        except GatewayFault as fault:
            if not (faults.is_unserialisable(fault.errors) and query.statement.is_query):
                self.stop(query, reader.operation, appears=0)
                raise
            reader = self._in_safe_form(query, reader)
            state = reader.read()
        except BaseException:
            self.stop(query, reader.operation)
            raise
        if state == "submitted" and not query.keeps_job():
            state = query.stopping or "stopped"
        if state not in _ENDED_BY_ITSELF and reader.operation is not None:
            self.stop(query, reader.operation)
        return _cut(query, state)

    def _run_by_files(self, query: Query, sql: str) -> str | None:
        """Run a batch query by way of files; None where it has to go by pages."""
        batch = query.config.get("execution.runtime-mode", "").lower() == "batch"
        if self._spool is None or not batch or not query.statement.is_query:
            return None
        state = Spool(self, query, sql, self._spool).run()
        return None if state is None else _cut(query, state)

    def declare(self, sql: str) -> None:
        """Carry out what changes the session and starts no job: DDL, SET, USE, ADD JAR.

        One request each, where a statement with its result takes five and the time between them.
        """
        try:
            with self.gateway.turn(self.session):
                self.gateway.configure_session(self.session, sql)
        except GatewayFault as fault:
            if not any(_NO_CONFIGURATION in error for error in fault.errors):
                raise
            self.text(sql)

    def text(self, sql: str, config: dict[str, str] | None = None) -> str:
        """Run a statement whose answer is one text, such as EXPLAIN."""
        return "\n".join(str(row[next(iter(row))]) for row in self.table(sql, config))

    def table(
        self, sql: str, config: dict[str, str] | None = None, *, of: Query | None = None
    ) -> list[dict[str, object]]:
        """Run a statement of few rows, such as SHOW or DESCRIBE; beside what else runs.

        ``of``: the query that it is a part of.

        Raises
        ------
        Stopped
            That query was asked to end; the statement is not waited for.
        """
        operation = self.gateway.submit(self.session, sql, config)
        wait, token = _SHORTEST_WAIT_S, 0
        found: list[dict[str, object]] = []
        while True:
            if of is not None and of.stopping is not None:
                raise Stopped(operation)
            page = self.gateway.fetch(self.session, operation, token)
            if page.startswith(_NOT_READY):
                time.sleep(wait)
                wait = min(wait * 1.5, _LONGEST_WAIT_S)
                continue
            head = read_head(page)
            rows = Rows(head.columns or ())
            rows.add(page)
            found += rows.table().to_pylist()
            if head.end or head.token is None:
                with contextlib.suppress(SdpError):
                    self.gateway.close_operation(self.session, operation)
                return found
            token = head.token

    def stop(
        self,
        query: Query,
        operation: str | None,
        *,
        appears: float = 6.0,
        collects: bool | None = None,
        then: Callable[[], None] | None = None,
    ) -> None:
        """Stop a query's job and close its operation, in a thread; returns at once.

        ``appears``: seconds in which a job may still come that the JobManager does not know yet.
        ``collects``: whether it has a collect sink, as a SELECT's has where not said otherwise.
        ``then`` is called when the job has ended.
        """
        stop = stopping.Stop(
            self.gateway,
            self.session,
            operation,
            self.jobmanager,
            query.job_id,
            appears=appears,
            collects=query.statement.is_query if collects is None else collects,
            then=then,
        )
        thread = threading.Thread(target=stop.run, daemon=True, name="sdp-stop")
        self._stopping = [running for running in self._stopping if running.is_alive()] + [thread]
        query.ending = stop.quiet
        thread.start()

    def settle(self, until: float) -> list[threading.Thread]:
        """Wait for the stops under way, to a moment of the monotonic clock; returns those that go on."""
        for thread in self._stopping:
            thread.join(max(until - time.monotonic(), 0))
        return [thread for thread in self._stopping if thread.is_alive()]

    def _in_safe_form(self, query: Query, failed: _Reader) -> _Reader:
        """Return a reader of a query whose types the gateway cannot write as JSON, in a form that it can."""
        page = self.gateway.fetch(self.session, failed.operation or "", failed.token, "PLAIN_TEXT")
        columns = read_head(page).columns or ()
        self.stop(query, failed.operation)
        selected = [_safe_expression(column) for column in columns]
        types = tuple(
            column
            if column.type.json_safe or column.type.root != "MAP"
            else Column(column.name, replace(column.type, as_entries=True))
            for column in columns
        )
        query.begin()
        wrapped = f"SELECT {', '.join(selected)} FROM (\n{failed.sql}\n)"  # noqa: S608 - names are quoted
        return _Reader(self, query, wrapped, columns=types)


def _safe_expression(column: Column) -> str:
    name, type_ = identifier(column.name), column.type
    if type_.json_safe:
        return name
    if type_.root == "VARIANT":
        return f"JSON_STRING({name}) AS {name}"
    if type_.root == "MAP" and all(child.json_safe for child in type_.children):
        return f"MAP_ENTRIES({name}) AS {name}"
    raise ResultError(
        f"the column {column.name} is a {type_.sql()}, which the SQL gateway cannot send",
        hint="turn it into rows or text in the query: CROSS JOIN UNNEST, MAP_ENTRIES or JSON_STRING",
    )


class _Reader:
    """Reads the pages of one operation into a query."""

    def __init__(
        self, runner: Runner, query: Query, sql: str, *, columns: tuple[Column, ...] | None = None
    ) -> None:
        self.runner = runner
        self.query = query
        self.sql = sql
        self.columns = columns
        self.operation: str | None = None
        self.token = 0
        self._learning: Learning | None = None
        self._changed = 0.0

    def read(self) -> str:
        """Read until the end, a bound, or until the query is asked to end; returns its final state."""
        started = time.monotonic()
        query = self.query
        if self.operation is None and not self._submit():
            return query.stopping or "stopped"
        pages = Pages(self.runner.gateway, self.runner.session, self.operation or "", self.token)
        try:
            while True:
                page = pages.get(_TURN_S)
                self.token = pages.token
                before = query.changes
                state = None if page is None else self._take(page)
                now = time.monotonic()
                if query.changes > before:
                    self._changed = now
                query.trace.note(now - started, query.changes, len(query.rows or ()))
                state = state or query.stopping or self._reached(now - started, now)
                if state is None and query.lost is not None:
                    raise Lost(query.lost)
                if self._learning is not None:
                    self._learning.tell(within=LEARNS_S if state is not None and not query.stopping else 0)
                if state is not None:
                    query.trace.end(now - started, query.changes, len(query.rows or ()))
                    query.took_effect = state in _ENDED_BY_ITSELF or self._is_done()
                    return state
        finally:
            pages.stop()

    def _is_done(self) -> bool:
        """Whether a statement that starts no job was carried out before its answer was read."""
        statement, gateway = self.query.statement, self.runner.gateway
        if statement.is_query or statement.runs_job:
            return False
        with contextlib.suppress(SdpError):
            return gateway.status(self.runner.session, self.operation or "") == "FINISHED"
        return False

    def _reached(self, elapsed: float, now: float) -> str | None:
        rows = self.query.rows
        if not self.query.statement.is_query:
            return None
        quiet = now - self._changed if self._changed else None
        return self.query.bounds.reached(len(rows) if rows is not None else 0, elapsed, quiet)

    def _submit(self) -> bool:
        """Submit the statement, unless it is asked to end before its turn comes."""
        gateway, session, query = self.runner.gateway, self.runner.session, self.query
        starts_job = query.statement.is_query or query.statement.runs_job
        config = query.job_config() if starts_job else dict(query.config)
        with gateway.turn(session):
            if not query.enters():
                return False
            query.operation = self.operation = gateway.submit(session, self.sql, config)
        if query.statement.is_query:
            self._learning = Learning(self.runner, query, self.sql)
        return True

    def _take(self, page: bytes) -> str | None:
        query = self.query
        if query.rows is None:
            head = read_head(page)
            rows = Rows(self.columns or head.columns or (), keep=query.bounds.keep)
            if self._learning is None:
                rows.only_appends(True)  # noqa: FBT003
            query.rows = rows
        end, token = query.rows.add(page)
        if end or token is None:
            return self._end()
        self.token = token
        return None

    def _end(self) -> str:
        query = self.query
        with contextlib.suppress(SdpError):
            self.runner.gateway.close_operation(self.runner.session, self.operation or "")
        if query.statement.is_query:
            return "finished"
        if query.statement.runs_job:
            query.job_id = _job_id_row(query) or query.job_id
            return "submitted"
        return "ok"


def _cut(query: Query, state: str) -> str:
    """Take away the rows that came beyond the limit, in the page that reached it."""
    if state == "limit" and query.rows is not None and query.bounds.limit is not None:
        query.rows.cut(query.bounds.limit)
    return state


def _job_id_row(query: Query) -> str | None:
    """Find the job id an INSERT answers with: a row of one column ``job id``."""
    for row in query.head(1).to_pylist():
        for value in row.values():
            if isinstance(value, str) and _JOB_ID.match(value):
                return value
    return None
