"""A gateway session: runs cells, keeps the ledger, beats, and comes back after a loss."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from sdp_kernel.errors import GatewayUnreachable, SdpError, SessionLost, StatementError, UsageError
from sdp_kernel.flink import faults, parameters
from sdp_kernel.flink.gateway import Gateway, GatewayFault
from sdp_kernel.flink.jobs import JobManager
from sdp_kernel.flink.ledger import Ledger
from sdp_kernel.flink.query import Bounds, Query
from sdp_kernel.flink.runner import Runner
from sdp_kernel.flink.script import Statement, excerpt, offset_at, position_at, split

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

    from sdp_kernel.errors import Position

_HEARTBEAT_S = 20.0


class Session:
    """A session with a Flink SQL gateway.

    Parameters
    ----------
    url
        The gateway's address.
    jobmanager
        The JobManager's; where None, the session's own configuration is asked for it.
    properties
        Session properties, as SET would make them.
    fragments
        Connection fragments by name, such as ``kafka.main``.
    defaults
        Values for ``${name}`` where a cell passes none.
    ledger
        Where successful statements are recorded.
    read_only
        Refuse statements that start a job which writes.
    notify
        Takes one line when something happened behind the user's back, such as a replay.
    mask
        Takes and returns a ``pyarrow.Table``: applied to results before anybody sees them.
        EXPLAIN, SHOW and DESCRIBE have no data to hide.
    """

    def __init__(
        self,
        url: str,
        *,
        jobmanager: str | None = None,
        properties: Mapping[str, str] | None = None,
        fragments: Mapping[str, str] | None = None,
        defaults: Mapping[str, str] | None = None,
        ledger: Ledger | None = None,
        read_only: bool = False,
        notify: Callable[[str], None] | None = None,
        mask: Callable[[pa.Table], pa.Table] | None = None,
    ) -> None:
        self.gateway = Gateway(url)
        self.mask = mask
        self.properties = dict(properties or {})
        self.fragments = dict(fragments or {})
        self.defaults = dict(defaults or {})
        self.ledger = ledger or Ledger()
        self.read_only = read_only
        self.notify = notify or (lambda _line: None)
        self._jobmanager_url = jobmanager
        self._jobmanager: JobManager | None = None
        self._handle: str | None = None
        self._runner: Runner | None = None
        self._closed = threading.Event()
        self._beat: threading.Thread | None = None

    @property
    def handle(self) -> str:
        """The session handle; opens the session where there is none yet."""
        if self._handle is None:
            self._open()
        return self._handle or ""

    @property
    def jobmanager(self) -> JobManager | None:
        """The cluster's JobManager, from the profile or from the session's configuration."""
        if self._jobmanager is None:
            url = self._jobmanager_url
            if url is None:
                config = self.gateway.session_config(self.handle)
                url = f"http://{config.get('rest.address', 'localhost')}:{config.get('rest.port', '8081')}"
            self._jobmanager = JobManager(url)
        return self._jobmanager

    def _open(self) -> None:
        self._handle = self.gateway.open_session("sdp", self.properties)
        if self._beat is None:
            self._beat = threading.Thread(target=self._keep_alive, daemon=True, name="sdp-heartbeat")
            self._beat.start()

    def _keep_alive(self) -> None:
        while not self._closed.wait(_HEARTBEAT_S):
            if self._handle is not None:
                with contextlib.suppress(SdpError):
                    self.gateway.heartbeat(self._handle)

    def close(self) -> None:
        """Close the session; its SELECT jobs end with it."""
        if self._closed.is_set():
            return
        self._closed.set()
        if self._runner is not None:
            self._runner.settle()
        with contextlib.suppress(SdpError):
            if self._handle is not None:
                self.gateway.close_session(self._handle)
        self._handle = None
        self.gateway.close()
        if self._jobmanager is not None:
            self._jobmanager.close()

    def runner(self) -> Runner:
        """Return the runner on this session."""
        if self._runner is None or self._runner.session != self.handle:
            self._runner = Runner(self.gateway, self.handle, self.jobmanager)
        return self._runner

    def render(self, text: str, values: Mapping[str, object] | None = None) -> parameters.Rendered:
        """Fill in the parameters and connection fragments of ``text``."""
        return parameters.render(text, {**self.defaults, **(values or {})}, self.fragments)

    def execute(
        self,
        text: str,
        *,
        name: str | None = None,
        params: Mapping[str, object] | None = None,
        limit: int | None = None,
        timeout: float | None = None,
        idle: float | None = None,
        first_line: int = 1,
        on_start: Callable[[Query], None] | None = None,
        on_update: Callable[[Query], None] | None = None,
        on_statement: Callable[[Query], None] | None = None,
    ) -> Query:
        """Run a cell; returns the query of its last statement.

        Parameters
        ----------
        limit, timeout, idle
            Where a SELECT is stopped: :class:`sdp_kernel.flink.query.Bounds`.
        first_line
            The cell's line the text starts at, for the places errors name.
        on_start, on_update, on_statement
            Called when a statement starts, at most four times a second while rows come, and when
            it has ended.

        Raises
        ------
        UsageError
            The text has no statement, or writes where the profile is read-only.
        ParameterError, StatementError, JobFailed, ResultError
            As they are named; the statements before the failed one keep their effect.
        """
        bounds = Bounds(limit, timeout, idle)
        try:
            statements = split(text)
        except StatementError as error:
            raise _moved(error, text, error.position, first_line) from None
        if not statements:
            raise UsageError("the cell has no statement, only white space or comments", hint="write one")
        self._check(statements)
        rendered = [self.render(statement.text, params) for statement in statements]
        used = {n: str({**self.defaults, **(params or {})}[n])
                for n in parameters.names(text) if n not in self.fragments}  # fmt: skip
        for index, statement in enumerate(statements):
            holds_data = statement.is_query or not statement.reads_only
            query = Query(text, statement, name=name, mask=self.mask if holds_data else None)
            query.statements = tuple(statements)
            query.parameters = used
            if on_start is not None:
                on_start(query)
            try:
                self._run(query, rendered[index].text, bounds=bounds, on_update=on_update)
            except (GatewayFault, StatementError) as fault:
                raise _placed(fault, text, statement, rendered[index], query, first_line) from None
            finally:
                if on_statement is not None:
                    on_statement(query)
            query.session = self.handle
            self.ledger.record(statement, cell=name, source=text, parameters=used)
            if query.state == "interrupted":
                break
        return query

    def _check(self, statements: list[Statement]) -> None:
        for statement in statements:
            if self.read_only and not (
                statement.reads_only or (statement.shapes_session and not statement.runs_job)
            ):
                raise UsageError(
                    f"this profile is read-only: {statement.kind} is refused",
                    hint="use a profile that may write, or take read_only out of sdp.toml",
                )

    def _run(
        self, query: Query, sql: str, *, bounds: Bounds, on_update: Callable[[Query], None] | None
    ) -> None:
        try:
            self.runner().run(query, sql, bounds=bounds, on_update=on_update)
        except GatewayFault as fault:
            if not faults.is_lost_session(fault.errors):
                raise
            self.replay()
            query.state, query.rows = "running", None
            self.runner().run(query, sql, bounds=bounds, on_update=on_update)

    def replay(self) -> None:
        """Open a new session and run the ledger's DDL, SET and USE again.

        Raises
        ------
        SessionLost
            A statement that once succeeded does not any more.
        """
        self._open()
        runner = self.runner()
        entries = self.ledger.shaping
        for entry in entries:
            try:
                runner.text(self.render(entry.text, entry.parameters).text)
            except (SdpError, GatewayUnreachable) as error:
                raise SessionLost(
                    f"the gateway lost the session, and {entry.kind} {entry.target or ''} does not "
                    f"replay: {error}",
                    hint="run its cell again",
                ) from None
        self.notify(f"the gateway had lost the session: opened a new one, replayed {len(entries)} statements")


def _placed(
    fault: GatewayFault | StatementError,
    text: str,
    statement: Statement,
    rendered: parameters.Rendered,
    query: Query,
    first_line: int,
) -> SdpError:
    """Turn a fault in a rendered statement into an error at the cell's own line and column."""
    error = faults.to_error(fault.errors, job_id=query.job_id) if isinstance(fault, GatewayFault) else fault
    if not isinstance(error, StatementError):
        return error
    place = None
    if error.position is not None:
        offset = rendered.source_offset(offset_at(rendered.text, error.position))
        place = position_at(text, statement.start + offset)
    else:
        place = position_at(text, statement.start)
    error.statement = statement.text
    return _moved(error, text, place, first_line)


def _moved(error: StatementError, text: str, place: Position | None, first_line: int) -> StatementError:
    """Set the place, and count lines from the cell's first."""
    if place is not None:
        error.excerpt = excerpt(text, place)
        error.position = type(place)(place.line + first_line - 1, place.column)
    return error
