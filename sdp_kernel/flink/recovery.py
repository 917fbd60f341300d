"""What to do when something under a session goes away: say what it was, bring the session back.

A gateway that is restarted or times a session out has forgotten its tables; a TaskManager that dies
takes its jobs along; a JobManager that is restarted knows none. In each case the cluster is awaited,
the session's statements are replayed where they are gone, and queries run again from their start.
"""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING

from sdp_kernel.errors import GatewayUnreachable, SdpError, SessionLost, Unreachable
from sdp_kernel.flink import faults
from sdp_kernel.flink.gateway import GatewayFault
from sdp_kernel.flink.query import Lost
from sdp_kernel.flink.stopping import end_unread

if TYPE_CHECKING:
    from collections.abc import Callable

    from sdp_kernel.flink.query import Query
    from sdp_kernel.flink.session import Session

#: A query is not run again more often than this: what kills its TaskManager may be the query.
MOST_RUNS = 4
_AWAIT_S = 90.0
_POLL_S = 0.5
_TURN_S = 0.05
_SAME_EVENT_S = 10.0


class Recovery:
    """Brings one session back.

    Parameters
    ----------
    repair
        Starts what has died of a cluster or gateway that is this machine's own; None where it is not.
    reconnect
        Mends the way to a JobManager that is elsewhere, and whose silence says nothing about its jobs.
    """

    def __init__(
        self,
        session: Session,
        repair: Callable[[], None] | None,
        reconnect: Callable[[], None] | None = None,
    ) -> None:
        self.session = session
        self.repair = repair
        self.reconnect = reconnect
        self._one_at_a_time = threading.Lock()
        self._told = ("", 0.0)

    def what_is_lost(self, error: BaseException, query: Query) -> str | None:
        """Return in a sentence what went away, where that is why a query failed; None otherwise."""
        if query.stopping is not None or query.runs >= MOST_RUNS:
            return None
        if isinstance(error, Lost):
            return error.what
        if isinstance(error, GatewayUnreachable):
            return "the SQL gateway went away" if self.session.opened else None
        if isinstance(error, GatewayFault):
            what = faults.what_was_lost(error.errors)
            submitted = query.statement.runs_job and what not in {None, faults.SESSION}
            return None if submitted else what
        return None

    def recover(self, what: str, lost: str, query: Query) -> bool:
        """Wait for the cluster, and see to it that there is a session with its tables.

        ``lost`` is the session the query ran in; where another has taken its place, it stays.

        Returns
        -------
        bool
            False as soon as the query is asked to end; the cluster is then still seen to, behind it.

        Raises
        ------
        GatewayUnreachable
            The gateway does not come back.
        SessionLost
            A statement that once succeeded does not any more.
        """
        query.lost = what
        recovered: Future[None] = Future()
        job_id = query.job_id

        def work() -> None:
            try:
                self._bring_back(what, lost, query)
                end_unread(self.session.jobmanager, job_id)
                recovered.set_result(None)
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                recovered.set_exception(error)

        threading.Thread(target=work, daemon=True, name="sdp-recovery").start()
        while query.stopping is None:
            wait([recovered], _TURN_S)
            if recovered.done():
                recovered.result()
                return query.stopping is None
        return False

    def _bring_back(self, what: str, lost: str, query: Query) -> None:
        with self._one_at_a_time:
            if query.stopping is not None:
                return
            if self.repair is not None:
                self.repair()
            self._await_gateway(query)
            replayed = None
            if self.session.opened and self.session.handle == lost and not self.session.gateway.knows(lost):
                replayed = self.session.reopen()
            self._tell(what, replayed, query)

    def _tell(self, what: str, replayed: int | None, query: Query) -> None:
        """Say it in one line; not once more for each query that the same event hit."""
        before, at = self._told
        again = before == what and time.monotonic() - at < _SAME_EVENT_S
        if replayed is None and (again or query.stopping is not None):
            return
        self._told = (what, time.monotonic())
        done = [] if replayed is None else [f"opened a new session, replayed {replayed} statements"]
        if query.statement.is_query and query.job_id and query.stopping is None:
            done.append(f"{query.name or 'the query'} runs again from its start")
        self.session.notify(f"{what}: {'; '.join(done)}" if done else what)

    def _await_gateway(self, query: Query) -> None:
        until = time.monotonic() + _AWAIT_S
        while True:
            try:
                self.session.gateway.info()
            except GatewayUnreachable:
                if query.stopping is not None or time.monotonic() > until:
                    raise
                time.sleep(_POLL_S)
            else:
                return

    def replay(self) -> int:
        """Run the ledger's DDL, SET and USE again in the session; returns how many there were.

        One that fails does not keep those after it from the session, unless they would land elsewhere:
        behind a USE.

        Raises
        ------
        SessionLost
            A statement that once succeeded does not any more.
        """
        session = self.session
        runner = session.runner()
        entries = session.ledger.shaping
        failed: SessionLost | None = None
        for entry in entries:
            try:
                runner.declare(session.render(entry.text, entry.parameters).text)
            except SdpError as error:
                failed = failed or SessionLost(
                    f"the gateway lost the session, and {entry.kind} {entry.target or ''} does not "
                    f"replay: {error}",
                    hint="run its cell again",
                )
                if entry.kind.startswith("USE") or isinstance(error, GatewayUnreachable):
                    break
        if failed is not None:
            raise failed
        return len(entries)


class Watch:
    """Looks at the JobManager while queries run, and marks those whose job is gone.

    The gateway says nothing of a JobManager that is gone: it goes on answering empty pages.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self._seen: set[str] = set()
        self._silent = 0

    def look(self) -> None:
        """Ask once; cheap where nothing runs. Raises nothing."""
        queries = [q for q in self.session.running if q.statement.is_query and q.job_id and q.lost is None]
        jobmanager = self.session.jobmanager if queries else None
        if jobmanager is None:
            return
        try:
            states = jobmanager.states()
        except Unreachable:
            self._silent += 1
            if self._silent > 1:
                self._silence(queries)
            return
        except SdpError:
            return
        self._silent = 0
        self._seen |= set(states)
        for query in queries:
            state = states.get(query.job_id or "")
            if state is None and query.job_id in self._seen:
                self._lose([query], "the JobManager was restarted, and knows the job no more")
            elif state == "CANCELED" and not query.over() and self._session_lives():
                query.ask_to_end("stopped")

    def _session_lives(self) -> bool:
        """Whether somebody cancelled the job, and not the gateway as it gave up the session."""
        with contextlib.suppress(SdpError):
            return self.session.gateway.knows(self.session.handle)
        return False

    def _silence(self, queries: list[Query]) -> None:
        recovery = self.session.recovery
        if recovery.reconnect is not None:
            with contextlib.suppress(SdpError):
                recovery.reconnect()
        elif recovery.repair is not None:
            self._lose(queries, "the JobManager went away")

    def _lose(self, queries: list[Query], what: str) -> None:
        for query in queries:
            query.lost = what
