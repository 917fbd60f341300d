"""Runs one statement through the gateway: submit, read pages in order, stop.

Pages come from :mod:`sdp_kernel.flink.pages`; what is decided here is when a query ends, and how
its job is stopped.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from sdp_kernel.errors import ResultError, SdpError
from sdp_kernel.flink import faults
from sdp_kernel.flink.gateway import GatewayFault
from sdp_kernel.flink.pages import Pages
from sdp_kernel.flink.query import Bounds, Query
from sdp_kernel.flink.results import read_head
from sdp_kernel.flink.rows import Rows
from sdp_kernel.flink.script import identifier
from sdp_kernel.flink.types import Column

if TYPE_CHECKING:
    from sdp_kernel.flink.gateway import Gateway
    from sdp_kernel.flink.jobs import JobManager

_NOT_READY = b'{"resultType":"NOT_READY"'
_SHORTEST_WAIT_S, _LONGEST_WAIT_S = 0.002, 0.1
_TURN_S = 0.05
_STOP_CHECK_S = 3.0
_START_CHECK_S = 8.0
_ENDED_BY_ITSELF = frozenset({"finished", "submitted", "ok"})
_UNBOUNDED = Bounds()
_ENDED = frozenset({"CANCELED", "FINISHED", "FAILED", "UNKNOWN"})
_JOB_ID = re.compile(r"^[0-9a-f]{32}$")
_ROOT_MODE = re.compile(r"== Optimized Physical Plan ==\n.*?changelogMode=\[([^\]]*)\]")


class Runner:
    """Runs statements of one gateway session.

    Parameters
    ----------
    jobmanager
        Asked after a stop whether the job is gone; None where no JobManager can be reached.
    """

    def __init__(self, gateway: Gateway, session: str, jobmanager: JobManager | None) -> None:
        self.gateway = gateway
        self.session = session
        self.jobmanager = jobmanager
        self._stopping: list[threading.Thread] = []

    def run(self, query: Query, sql: str, bounds: Bounds = _UNBOUNDED) -> str:
        """Run ``sql`` into ``query`` until it ends, a bound is reached, or it is asked to end.

        Returns
        -------
        str
            The query's final state; setting it is the caller's.

        Raises
        ------
        GatewayFault, ResultError
            Flink rejected the statement, its job failed, a page cannot be decoded. The rows that
            came are kept in ``query``.
        """
        query.limit = bounds.limit if query.statement.is_query else None
        bounds = bounds if query.statement.is_query else _UNBOUNDED
        reader = _Reader(self, query, sql)
        try:
            state = reader.read(bounds)
        except GatewayFault as fault:
            if not (faults.is_unserialisable(fault.errors) and query.statement.is_query):
                raise
            reader = self._in_safe_form(query, reader)
            state = reader.read(bounds)
        except BaseException:
            self.stop(reader)
            raise
        if state not in _ENDED_BY_ITSELF:
            self.stop(reader)
        return state

    def text(self, sql: str) -> str:
        """Run a statement whose answer is one text, such as EXPLAIN."""
        operation = self.gateway.submit(self.session, sql)
        wait, token, parts = _SHORTEST_WAIT_S, 0, []
        while True:
            page = self.gateway.fetch(self.session, operation, token)
            if page.startswith(_NOT_READY):
                time.sleep(wait)
                wait = min(wait * 1.5, _LONGEST_WAIT_S)
                continue
            head = read_head(page)
            rows = Rows(head.columns or ())
            rows.add(page)
            parts += [str(row[next(iter(row))]) for row in rows.table().to_pylist()]
            if head.end or head.token is None:
                with contextlib.suppress(SdpError):
                    self.gateway.close_operation(self.session, operation)
                return "\n".join(parts)
            token = head.token

    def stop(self, reader: _Reader) -> None:
        """Stop a query: close its operation, and see to it that its job ends. Returns at once."""
        thread = threading.Thread(target=self._stop, args=(reader,), daemon=True, name="sdp-stop")
        self._stopping = [running for running in self._stopping if running.is_alive()] + [thread]
        thread.start()

    def cancel(self, job_id: str | None) -> None:
        """Cancel a job that nobody reads any more, if it still runs."""
        if job_id is not None and self.jobmanager is not None:
            with contextlib.suppress(SdpError, OSError):
                if self.jobmanager.state(job_id) not in _ENDED:
                    self.jobmanager.cancel(job_id)

    def settle(self, timeout: float = 10.0) -> None:
        """Wait until the stops under way are done, ``timeout`` seconds each at most."""
        for thread in self._stopping:
            thread.join(timeout)

    def _stop(self, reader: _Reader) -> None:
        with contextlib.suppress(SdpError, OSError):
            if reader.operation is None:
                return
            if not reader.query.changes:
                self._await_tasks(reader)
            self.gateway.close_operation(self.session, reader.operation)
        with contextlib.suppress(SdpError, OSError):
            self._see_it_end(reader.query.job_id)

    def _await_tasks(self, reader: _Reader) -> None:
        """Wait until the tasks run, where no row has shown yet that they do.

        A collect sink cancelled while its task initialises fails in a way that Flink 2.3 takes for
        fatal: the whole TaskManager ends ("this.bufferLock" is null, CollectSinkFunction).
        """
        until = time.monotonic() + _START_CHECK_S
        while reader.query.job_id is None and time.monotonic() < until:
            page = self.gateway.fetch(self.session, reader.operation or "", reader.token, reader.row_format)
            if not page.startswith(_NOT_READY):
                reader.query.job_id = read_head(page).job_id
            time.sleep(_LONGEST_WAIT_S)
        job_id = reader.query.job_id
        while job_id and self.jobmanager is not None and time.monotonic() < until:
            if not self.jobmanager.starting(job_id):
                return
            time.sleep(_LONGEST_WAIT_S)

    def _see_it_end(self, job_id: str | None) -> None:
        if job_id is None or self.jobmanager is None:
            return
        until = time.monotonic() + _STOP_CHECK_S
        while time.monotonic() < until:
            if self.jobmanager.state(job_id) in _ENDED:
                return
            time.sleep(0.2)
        self.jobmanager.cancel(job_id)

    def _in_safe_form(self, query: Query, failed: _Reader) -> _Reader:
        """Return a reader of a query whose types the gateway cannot write as JSON, in a form that it can."""
        page = self.gateway.fetch(self.session, failed.operation or "", failed.token, "PLAIN_TEXT")
        head = read_head(page)
        columns, query.job_id = head.columns or (), head.job_id
        failed.row_format = "PLAIN_TEXT"
        self._stop(failed)
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
        self.row_format = "JSON"
        self._explain: str | None = None
        self._changed = 0.0

    def read(self, bounds: Bounds) -> str:
        """Read until the end, a bound, or until the query is asked to end; returns its final state."""
        started = time.monotonic()
        self._submit()
        pages = Pages(self.runner.gateway, self.runner.session, self.operation or "")
        try:
            while True:
                page = pages.get(_TURN_S)
                self.token = pages.token
                before = self.query.changes
                state = None if page is None else self._take(page)
                now = time.monotonic()
                if self.query.changes > before:
                    self._changed = now
                state = state or self.query.stopping or self._reached(bounds, now - started, now)
                self._settle_mode(finally_=state is not None)
                if state is not None:
                    return state
        finally:
            pages.stop()

    def _reached(self, bounds: Bounds, elapsed: float, now: float) -> str | None:
        """Return the bound that is reached, as the query's final state."""
        rows = self.query.rows
        if bounds.limit is not None and rows is not None and len(rows) >= bounds.limit:
            return "limit"
        if bounds.idle is not None and self._changed and now - self._changed > bounds.idle:
            return "idle"
        return "timeout" if bounds.timeout is not None and elapsed > bounds.timeout else None

    def _submit(self) -> None:
        gateway, session = self.runner.gateway, self.runner.session
        self.operation = gateway.submit(session, self.sql, self._config())
        if self.query.statement.is_query and self.query.stopping is None:
            self._explain = gateway.submit(session, f"EXPLAIN CHANGELOG_MODE {self.sql}")

    def _config(self) -> dict[str, str]:
        """Name a query's job after the query, so that it is found among the cluster's jobs."""
        query = self.query
        return {"pipeline.name": f"sdp {query.name or 'query'}"} if query.statement.is_query else {}

    def _take(self, page: bytes) -> str | None:
        query = self.query
        if query.rows is None:
            head = read_head(page)
            query.rows = Rows(self.columns or head.columns or ())
            if not query.statement.is_query:
                query.rows.only_appends(True)  # noqa: FBT003
        end, token, job_id = query.rows.add(page)
        query.job_id = query.job_id or job_id
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
            query.job_id = query.job_id or _job_id_row(query)
            return "submitted"
        return "ok"

    def _settle_mode(self, *, finally_: bool = False) -> None:
        """Take in what the plan says of the changelog, once it is there."""
        if self._explain is None or self.query.rows is None:
            return
        gateway, session = self.runner.gateway, self.runner.session
        try:
            page = gateway.fetch(session, self._explain, 0)
            while finally_ and page.startswith(_NOT_READY):
                time.sleep(_SHORTEST_WAIT_S)
                page = gateway.fetch(session, self._explain, 0)
            if page.startswith(_NOT_READY):
                return
            rows = Rows(read_head(page).columns or ())
            rows.add(page)
            plan = "\n".join(str(value) for value in rows.table().column(0).to_pylist())
            gateway.close_operation(session, self._explain)
        except (SdpError, IndexError):
            plan = ""
        self._explain = None
        self.query.plan = plan
        mode = _ROOT_MODE.search(plan)
        self.query.rows.only_appends(mode is not None and mode.group(1) == "I")


def _job_id_row(query: Query) -> str | None:
    """Find the job id an INSERT answers with: a row of one column ``job id``."""
    for row in query.head(1).to_pylist():
        for value in row.values():
            if isinstance(value, str) and _JOB_ID.match(value):
                return value
    return None
