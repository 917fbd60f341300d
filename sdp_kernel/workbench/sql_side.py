"""What a workbench does with Flink: run SQL, follow and stop queries, look after jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdp_kernel.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sdp_kernel.flink.jobs import Job, JobManager
    from sdp_kernel.flink.query import Query
    from sdp_kernel.flink.session import Session

_SAVEPOINT = "execution.state-recovery.path"


class SqlSide:
    """The half of a workbench that asks Flink."""

    queries: dict[str, Query]

    @property
    def session(self) -> Session:
        """The gateway session."""
        raise NotImplementedError

    def sql(
        self,
        text: str,
        *,
        name: str | None = None,
        limit: int | None = None,
        timeout: float | None = None,
        idle: float | None = None,
        keep: int | None = None,
        params: Mapping[str, object] | None = None,
        first_line: int = 1,
        background: bool = False,
        savepoint: str | None = None,
        config: Mapping[str, str] | None = None,
        on_start: Callable[[Query], None] | None = None,
        on_update: Callable[[Query], None] | None = None,
        on_statement: Callable[[Query], None] | None = None,
    ) -> Query:
        """Run one or more SQL statements; returns the last one's :class:`Query`.

        Parameters
        ----------
        name
            Keeps the query under this name, for ``promote``. A query of that name that still runs is
            stopped first: its cell is run again.
        limit, timeout, idle
            Where a SELECT is stopped: at rows of the current table, at seconds from its start, at
            seconds without a change once rows have come. None for no bound.
        keep
            How many of the newest rows stay in memory of a query that only appends.
        params
            Values for ``${name}``.
        first_line
            The cell's line the text starts at, for the places errors name.
        background
            Return while the last statement's query runs: ``query.wait()``, ``query.stop()``.
        savepoint
            Where the state of the queries and jobs is read from.
        config
            Flink configuration for the queries and jobs of this text alone.
        on_start, on_update, on_statement
            Callbacks of :meth:`sdp_kernel.flink.session.Session.execute`.

        Raises
        ------
        UsageError, ParameterError, StatementError, JobFailed, ResultError, GatewayUnreachable
            As their names say.
        """

        def started(query: Query) -> None:
            if name is not None:
                self.queries[name] = query
            if on_start is not None:
                on_start(query)

        before = self.queries.get(name) if name is not None else None
        if before is not None:
            before.stop()
        settings = dict(config or {})
        if savepoint is not None:
            settings[_SAVEPOINT] = savepoint
        return self.session.execute(
            text,
            name=name,
            limit=limit,
            timeout=timeout,
            idle=idle,
            keep=keep,
            params=params,
            first_line=first_line,
            background=background,
            config=settings,
            on_start=started,
            on_update=on_update,
            on_statement=on_statement,
        )

    def query(self, name: str) -> Query:
        """Return the query of a name.

        Raises
        ------
        UsageError
            None has it.
        """
        if name not in self.queries:
            known = ", ".join(sorted(self.queries)) or "none"
            raise UsageError(f"no query is called {name!r}", hint=f"known: {known}")
        return self.queries[name]

    def stop(self, name: str | None = None) -> list[Query]:
        """Stop a query, or all that run; returns those that were stopped.

        Raises
        ------
        UsageError
            No query has that name.
        """
        running = [self.query(name)] if name is not None else self.session.running
        stopped = [query for query in running if not query.over()]
        for query in stopped:
            query.ask_to_end("stopped")
        for query in stopped:
            query.stop()
        return stopped

    @property
    def jobmanager(self) -> JobManager:
        """The session cluster's JobManager."""
        found = self.session.jobmanager
        if found is None:
            raise UsageError("the profile has no JobManager", hint="set jobmanager in sdp.toml")
        return found

    def jobs(self) -> list[Job]:
        """List the session cluster's jobs, newest first."""
        return self.jobmanager.jobs()

    def job(self, job: str) -> list[Job]:
        """Return the running jobs of an id, of the beginning of one, of a name, or of a query's name.

        Raises
        ------
        UsageError
            No running job is meant.
        """
        of_query = self.queries[job].job_id if job in self.queries else None
        found = [
            known
            for known in self.jobs()
            if not known.done
            and (known.id == of_query or known.name == job or (len(job) >= 4 and known.id.startswith(job)))  # noqa: PLR2004
        ]
        if not found:
            raise UsageError(f"no running job is called {job!r}", hint="%jobs lists them")
        return found

    def cancel(self, job: str) -> None:
        """Cancel a job, as :meth:`job` finds it.

        Raises
        ------
        UsageError
            No running job is meant.
        """
        for known in self.job(job):
            self.jobmanager.cancel(known.id)
