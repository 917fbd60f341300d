"""A gateway session: runs cells, keeps the ledger, beats, and comes back after a loss."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
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
_UPDATE_EVERY_S = 0.25
#: How long an interrupt waits for a query to end before the cell goes on without it.
_INTERRUPT_S = 3.0
_CLOSE_S = 5.0


@dataclass(frozen=True)
class _Task:
    """A query to run, and what is needed to say where it went wrong."""

    query: Query
    rendered: parameters.Rendered
    bounds: Bounds
    first_line: int
    on_end: Callable[[Query], None] | None


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
        self._replaying = threading.Lock()
        self._running: list[Query] = []
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
        running = self.running
        for query in running:
            query.ask_to_end("stopped")
        for query in running:
            query.over(_CLOSE_S)
        if self._runner is not None:
            self._runner.settle()
        with contextlib.suppress(SdpError):
            if self._handle is not None:
                self.gateway.close_session(self._handle)
        self._handle = None
        self.gateway.close()
        if self._jobmanager is not None:
            self._jobmanager.close()

    @property
    def running(self) -> list[Query]:
        """The queries that have not ended."""
        self._running = [query for query in self._running if not query.over()]
        return list(self._running)

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
        background: bool = False,
        on_start: Callable[[Query], None] | None = None,
        on_update: Callable[[Query], None] | None = None,
        on_statement: Callable[[Query], None] | None = None,
    ) -> Query:
        """Run a cell; returns the query of its last statement.

        A query runs in a thread of its own. An interrupt asks it to end and waits for that for up to
        three seconds; the job is stopped in any case, also where the gateway has not answered yet.

        Parameters
        ----------
        limit, timeout, idle
            Where a SELECT is stopped: :class:`sdp_kernel.flink.query.Bounds`.
        first_line
            The cell's line the text starts at, for the places errors name.
        background
            Return while the last statement's query runs; its ``error`` is set where it fails.
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
            query.background = background and statement.is_query and index == len(statements) - 1
            if on_start is not None:
                on_start(query)
            task = _Task(query, rendered[index], bounds, first_line, on_statement)
            self._running = [*self.running, query]
            thread = threading.Thread(target=self._run, args=(task,), daemon=True, name="sdp-query")
            thread.start()
            if query.background:
                return query
            self._follow(query, on_update)
            if on_statement is not None:
                on_statement(query)
            if query.error is not None:
                raise query.error
            if query.state == "interrupted":
                break
        return query

    def _follow(self, query: Query, on_update: Callable[[Query], None] | None) -> None:
        """Wait until a query is over; at an interrupt, ask it to end."""
        try:
            while not query.over(_UPDATE_EVERY_S):
                if on_update is not None:
                    on_update(query)
        except KeyboardInterrupt:
            query.ask_to_end("interrupted")
            query.over(_INTERRUPT_S)
            query.finish("interrupted")

    def _check(self, statements: list[Statement]) -> None:
        for statement in statements:
            if self.read_only and not (
                statement.reads_only or (statement.shapes_session and not statement.runs_job)
            ):
                raise UsageError(
                    f"this profile is read-only: {statement.kind} is refused",
                    hint="use a profile that may write, or take read_only out of sdp.toml",
                )

    def _run(self, task: _Task) -> None:
        """Run a query to its end, in a thread; what goes wrong is the query's ``error``."""
        query = task.query
        try:
            state = self._through_losses(query, task.rendered.text, task.bounds)
        except (GatewayFault, StatementError) as fault:
            query.finish("failed", _placed(fault, task))
        except BaseException as error:  # noqa: BLE001 - raised again where the query is waited for
            query.finish("failed", error)
        else:
            self.ledger.record(
                query.statement, cell=query.name, source=query.text, parameters=query.parameters
            )
            query.finish(state)
        if query.background and task.on_end is not None:
            task.on_end(query)

    def _through_losses(self, query: Query, sql: str, bounds: Bounds) -> str:
        while True:
            runner = self.runner()
            query.session = runner.session
            try:
                return runner.run(query, sql, bounds)
            except GatewayFault as fault:
                if not faults.is_lost_session(fault.errors) or query.stopping:
                    raise
            self.replay(lost=runner.session)
            runner.cancel(query.job_id)
            query.begin()

    def replay(self, *, lost: str | None = None) -> None:
        """Open a new session and run the ledger's DDL, SET and USE again.

        ``lost`` is the session that is gone; where another has taken its place, nothing is done.

        Raises
        ------
        SessionLost
            A statement that once succeeded does not any more.
        """
        with self._replaying:
            if lost is None or self._handle == lost:
                self._replay()

    def _replay(self) -> None:
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


def _placed(fault: GatewayFault | StatementError, task: _Task) -> SdpError:
    """Turn a fault in a rendered statement into an error at the cell's own line and column."""
    query, rendered = task.query, task.rendered
    error = faults.to_error(fault.errors, job_id=query.job_id) if isinstance(fault, GatewayFault) else fault
    if not isinstance(error, StatementError):
        return error
    place = None
    if error.position is not None:
        offset = rendered.source_offset(offset_at(rendered.text, error.position))
        place = position_at(query.text, query.statement.start + offset)
    else:
        place = position_at(query.text, query.statement.start)
    error.statement = query.statement.text
    return _moved(error, query.text, place, task.first_line)


def _moved(error: StatementError, text: str, place: Position | None, first_line: int) -> StatementError:
    """Set the place, and count lines from the cell's first."""
    if place is not None:
        error.excerpt = excerpt(text, place)
        error.position = type(place)(place.line + first_line - 1, place.column)
    return error
