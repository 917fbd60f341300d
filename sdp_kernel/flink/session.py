"""A gateway session: runs cells, keeps the ledger, beats, and comes back after a loss."""

from __future__ import annotations

import contextlib
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from sdp_kernel.errors import SdpError, StatementError, UsageError
from sdp_kernel.flink import parameters, places, running, trace
from sdp_kernel.flink.gateway import Gateway
from sdp_kernel.flink.jobs import JobManager
from sdp_kernel.flink.ledger import Ledger
from sdp_kernel.flink.query import Bounds, Query
from sdp_kernel.flink.recovery import Recovery, Watch
from sdp_kernel.flink.runner import Runner
from sdp_kernel.flink.running import Task
from sdp_kernel.flink.script import Statement, split
from sdp_kernel.flink.veil import Veil

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import pyarrow as pa

    from sdp_kernel.flink.vitals import Vitals

_HEARTBEAT_S = 15.0
_WATCH_S = 1.0
_UPDATE_EVERY_S = 0.25
#: How long an interrupt waits for a query to end before the cell goes on without it.
_INTERRUPT_S = 3.0
#: How long closing waits: a front end kills a kernel that takes five seconds to leave.
_CLOSE_S = 4.0
#: So many queries that have ended stay listed.
_REMEMBERED = 100


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
    veiled
        Whether what failing jobs say is shown without the values it may hold.
    repair
        Starts again what has died of the cluster, where that is in this machine's hands.
    reconnect
        Mends the way to a cluster that is elsewhere, when its JobManager is silent.
    spool
        A directory that the cluster shares with this process; rows of batch queries come by it.
    on_change
        Called when a query starts or ends, and when the session is another.
    on_close
        Called when the session is closed and nothing of it stays.
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
        veiled: bool = False,
        repair: Callable[[], None] | None = None,
        reconnect: Callable[[], None] | None = None,
        spool: Path | None = None,
        on_change: Callable[[], None] | None = None,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self.gateway = Gateway(url)
        self.mask = mask
        self.veiled = veiled
        self.properties = dict(properties or {})
        self.fragments = dict(fragments or {})
        self.defaults = dict(defaults or {})
        self.ledger = ledger or Ledger()
        self.read_only = read_only
        self.notify = notify or (lambda _line: None)
        self.recovery = Recovery(self, repair, reconnect)
        self.on_change = on_change or (lambda: None)
        self._on_close = on_close or (lambda: None)
        self._spool = spool
        self._jobmanager_url = jobmanager
        self._jobmanager: JobManager | None = None
        self._handle: str | None = None
        self._runner: Runner | None = None
        self._closed = threading.Event()
        self._opening = threading.RLock()
        self._queries: list[Query] = []
        self._beat: threading.Thread | None = None

    @property
    def opened(self) -> bool:
        """Whether the gateway has given a session."""
        return self._handle is not None

    @property
    def handle(self) -> str:
        """The session handle; opens the session where there is none yet."""
        with self._opening:
            if self._handle is None:
                self.take_over(self.gateway.open_session("sdp", self.properties))
            return self._handle or ""

    @property
    def jobmanager(self) -> JobManager | None:
        """The cluster's JobManager, from the profile or from the session's configuration."""
        if self._jobmanager is None:
            url = self._jobmanager_url
            if url is None:
                config = self.gateway.session_config(self.handle)
                url = f"http://{config.get('rest.address', 'localhost')}:{config.get('rest.port', '8081')}"
            self._jobmanager = JobManager(url, veil=Veil() if self.veiled else None)
        return self._jobmanager

    def take_over(self, handle: str) -> None:
        """Use a session that the gateway has."""
        self._handle = handle
        if self._beat is None:
            self._beat = threading.Thread(target=self._keep_alive, daemon=True, name="sdp-heartbeat")
            self._beat.start()
        self.on_change()

    def reopen(self) -> int:
        """Open a new session in place of one that is gone; returns how many statements were replayed.

        Raises
        ------
        SessionLost
            A statement that once succeeded does not any more.
        """
        with self._opening:
            self.take_over(self.gateway.open_session("sdp", self.properties))
            return self.recovery.replay()

    def _keep_alive(self) -> None:
        """Beat, and look after the jobs of running queries."""
        watch, turns = Watch(self), 0
        while not self._closed.wait(_WATCH_S):
            turns += 1
            if self._handle is not None and turns % int(_HEARTBEAT_S / _WATCH_S) == 0:
                with contextlib.suppress(SdpError):
                    self.gateway.heartbeat(self._handle)
                self.on_change()
            with contextlib.suppress(SdpError):
                watch.look()
                trace.look_at(self)

    def close(self, *, leave_background: bool = False) -> None:
        """Close the session; its SELECT jobs end with it. Takes four seconds at most.

        ``leave_background`` leaves the session to the gateway's idle time-out where queries run in the
        background, so that a successor can take it over.
        """
        if self._closed.is_set():
            return
        self._closed.set()
        until = time.monotonic() + _CLOSE_S
        staying = [q for q in self.running if q.background] if leave_background else []
        ending = [q for q in self._queries if q not in staying]
        for query in ending:
            if not query.over():
                query.ask_to_end("stopped")
        for query in ending:
            query.ended(max(until - time.monotonic(), 0))
        stops = self._runner.settle(until) if self._runner is not None else []
        if not staying and self._handle is not None:
            with contextlib.suppress(SdpError):
                self.gateway.close_session(self._handle)
        self._handle = None
        leave = partial(self._leave, stops, stays=bool(staying))
        if stops:
            threading.Thread(target=leave, daemon=True, name="sdp-close").start()
        else:
            leave()

    def _leave(self, stops: list[threading.Thread], *, stays: bool) -> None:
        """Close the connections when nothing needs them any more; a job may still be seen to."""
        for stop in stops:
            stop.join()
        if not stays:
            self._on_close()
        self.gateway.close()
        if self._jobmanager is not None:
            self._jobmanager.close()

    @property
    def queries(self) -> list[Query]:
        """The SELECTs and submitted jobs of this session, the oldest first; of those ended, the last 100."""
        return list(self._queries)

    @property
    def running(self) -> list[Query]:
        """The queries that have not ended."""
        return [query for query in self._queries if not query.over()]

    def runner(self) -> Runner:
        """Return the runner on this session."""
        if self._runner is None or self._runner.session != self.handle:
            self._runner = Runner(self.gateway, self.handle, self.jobmanager, self._spool)
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
        keep: int | None = None,
        first_line: int = 1,
        background: bool = False,
        config: Mapping[str, str] | None = None,
        rewrite: Callable[[Statement, parameters.Rendered], parameters.Rendered] | None = None,
        on_start: Callable[[Query], None] | None = None,
        on_update: Callable[[Query], None] | None = None,
        on_statement: Callable[[Query], None] | None = None,
    ) -> Query:
        """Run a cell; returns the query of its last statement.

        A query runs in a thread of its own. An interrupt asks it to end and waits for that for up to
        three seconds, or until the next interrupt; the query is returned as it is then. Its job is
        stopped in any case, also where the gateway has not answered yet.

        Parameters
        ----------
        limit, timeout, idle, keep
            Where a SELECT is stopped: :class:`sdp_kernel.flink.query.Bounds`.
        first_line
            The cell's line the text starts at, for the places errors name.
        background
            Return while the last statement's query runs; its ``error`` is set where it fails.
        config
            Flink configuration for the queries and jobs of this cell alone.
        rewrite
            Changes a query's or job's text before it is submitted, such as by hints.
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
        bounds = Bounds(limit, timeout, idle, keep)
        try:
            statements = split(text)
        except StatementError as error:
            raise places.moved(error, text, error.position, first_line) from None
        if not statements:
            raise UsageError("the cell has no statement, only white space or comments", hint="write one")
        self._check(statements)
        rendered = [self.render(statement.text, params) for statement in statements]
        used = {n: str({**self.defaults, **(params or {})}[n])
                for n in parameters.names(text) if n not in self.fragments}  # fmt: skip
        for index, statement in enumerate(statements):
            is_job = statement.is_query or statement.runs_job
            query = self.new_query(text, statement, name=name)
            query.statements = tuple(statements)
            query.parameters = used
            query.bounds = bounds
            query.config = dict(config or {}) if is_job else {}
            query.background = background and statement.is_query and index == len(statements) - 1
            task = Task(query, rendered[index], first_line, on_statement)
            if rewrite is not None and is_job:
                task.prepare = partial(rewrite, statement)
            interrupted = self._await(task, on_start, on_update)
            if query.background and task.refused is None:
                return query
            if on_statement is not None and not query.background:
                on_statement(query)
            if query.error is not None:
                raise query.error
            if interrupted or query.state == "interrupted":
                break
        return query

    def new_query(self, text: str, statement: Statement, *, name: str | None) -> Query:
        """Make the query of a statement, with what it may be asked while it runs."""
        holds_data = statement.is_query or not statement.reads_only
        query = Query(text, statement, name=name, mask=self.mask if holds_data else None)
        query.examine = self._examine
        query.on_change = self.on_change
        return query

    def start(self, task: Task) -> None:
        """Run a query in a thread of its own."""
        task.query.sql = task.rendered.text
        self.remember(task.query)
        threading.Thread(target=running.run, args=(self, task), daemon=True, name="sdp-query").start()

    def remember(self, query: Query) -> None:
        """List a query among those of the session."""
        kept = [q for q in self._queries if not q.over() or q.statement.is_query or q.statement.runs_job]
        ended = [q for q in kept if q.over()]
        forgotten = set(map(id, ended[: max(len(ended) - _REMEMBERED, 0)]))
        self._queries = [*(q for q in kept if id(q) not in forgotten), query]

    def _examine(self, job_id: str) -> Vitals | None:
        from sdp_kernel.flink import vitals  # noqa: PLC0415 - loaded when somebody looks

        with contextlib.suppress(SdpError):
            if self.jobmanager is not None:
                return vitals.read(self.jobmanager, job_id)
        return None

    def _await(
        self,
        task: Task,
        on_start: Callable[[Query], None] | None,
        on_update: Callable[[Query], None] | None,
    ) -> bool:
        """Start a query and wait as its cell does; returns whether that was interrupted."""
        query = task.query
        try:
            if on_start is not None:
                on_start(query)
            self.start(task)
            if query.background:
                while not task.prepared.wait(_UPDATE_EVERY_S):
                    pass
            else:
                while not query.over(_UPDATE_EVERY_S):
                    if on_update is not None:
                        on_update(query)
        except KeyboardInterrupt:
            query.end_interrupted(_INTERRUPT_S)
            query.background = False
            return True
        return False

    def _check(self, statements: list[Statement]) -> None:
        for statement in statements:
            if self.read_only and not (
                statement.reads_only or (statement.shapes_session and not statement.runs_job)
            ):
                raise UsageError(
                    f"this profile is read-only: {statement.kind} is refused",
                    hint="use a profile that may write, or take read_only out of sdp.toml",
                )
