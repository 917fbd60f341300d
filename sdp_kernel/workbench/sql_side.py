"""What a workbench does with Flink: run SQL, follow and stop queries, look after jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sdp_kernel.diagnose import Diagnosis
    from sdp_kernel.flink.hints import Reach
    from sdp_kernel.flink.jobs import Job, JobManager
    from sdp_kernel.flink.parameters import Rendered
    from sdp_kernel.flink.plan import Plan
    from sdp_kernel.flink.query import Query
    from sdp_kernel.flink.script import Statement
    from sdp_kernel.flink.session import Session
    from sdp_kernel.flink.vitals import ClusterVitals, Vitals
    from sdp_kernel.settings import Settings


class SqlSide:
    """The half of a workbench that asks Flink."""

    queries: dict[str, Query]
    settings: Settings
    _embedded: bool

    if TYPE_CHECKING:

        def _watch(self, query: Query) -> None: ...

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
        start: str | None = None,
        until: str | None = None,
        batch: bool = False,
        frames: Mapping[str, Any] | None = None,
        frame_keys: Mapping[str, Sequence[str]] | None = None,
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
            seconds without a change once rows have come (not in batch mode). None for no bound.
        keep
            How many of the newest rows stay in memory of a query that only appends.
        params
            Values for ``${name}``.
        first_line
            The cell's line the text starts at, for the places errors name.
        background
            Return while the last statement's query runs: ``query.wait()``, ``query.stop()``.
        start, until
            From and until when Kafka tables are read, whatever their declarations say:
            :func:`sdp_kernel.flink.hints.reach`.
        batch
            Run in batch mode; Kafka tables without an end are read up to now.
        frames
            DataFrames, Arrow tables or queries to use as tables, by the tables' names.
        frame_keys
            Key columns of such tables, which may then be looked up: ``JOIN … FOR SYSTEM_TIME AS OF``.
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
            query.silence = lambda: _certain(self.why(query))
            self._watch(query)
            if on_start is not None:
                on_start(query)

        if batch and idle is not None:
            raise UsageError(
                "idle does not go with batch: rows of a batch query come in buffers, so that a silence may "
                "lie in the middle of its answer",
                hint="a batch query ends by itself; --timeout and --limit stop it sooner",
            )
        before = self.queries.get(name) if name is not None else None
        if before is not None:
            before.stop()
        reach = _reach(start, until, batch=batch)
        settings = _settings(config, batch=batch)
        self._declare(frames, frame_keys)
        if savepoint is not None:
            from sdp_kernel.flink.places import SAVEPOINT  # noqa: PLC0415

            settings[SAVEPOINT] = savepoint
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
            rewrite=self._rewrite(reach),
            on_start=started,
            on_update=on_update,
            on_statement=on_statement,
        )

    def explain(
        self,
        text: str,
        *,
        params: Mapping[str, object] | None = None,
        start: str | None = None,
        until: str | None = None,
        batch: bool = False,
        frames: Mapping[str, Any] | None = None,
        frame_keys: Mapping[str, Sequence[str]] | None = None,
        config: Mapping[str, str] | None = None,
        first_line: int = 1,
    ) -> Plan:
        """Ask Flink for the plan of the last statement of a text; nothing is run.

        Parameters
        ----------
        params, start, until, batch, frames, frame_keys, config, first_line
            As in :meth:`sql`.

        Raises
        ------
        UsageError
            The text has no statement, or its last one has no plan.
        StatementError
            Flink rejects it.
        """
        from sdp_kernel.flink import plan  # noqa: PLC0415
        from sdp_kernel.flink.script import split  # noqa: PLC0415

        statements = split(text)
        if not statements or not (statements[-1].is_query or statements[-1].runs_job):
            what = statements[-1].kind if statements else "nothing"
            raise UsageError(
                f"there is no plan of {what}", hint="explain a SELECT, an INSERT or a statement set"
            )
        self._declare(frames, frame_keys)
        statement = statements[-1]
        rendered = self.session.render(statement.text, params)
        rewrite = self._rewrite(_reach(start, until, batch=batch))
        return plan.explain(
            self.session,
            rendered if rewrite is None else rewrite(statement, rendered),
            config=_settings(config, batch=batch),
            source=text,
            start=statement.start,
            first_line=first_line,
        )

    def _declare(
        self, frames: Mapping[str, Any] | None, keys: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """Make tables of frames, in the session."""
        for name, frame in (frames or {}).items():
            from sdp_kernel.flink import frame_table  # noqa: PLC0415

            directory = self.settings.make_state_dir() / "frames"
            frame_table.declare(
                self.session,
                name,
                frame,
                directory,
                shared_disk=self._embedded,
                key=(keys or {}).get(name, ()),
            )

    def _rewrite(self, reach: Reach) -> Callable[[Statement, Rendered], Rendered] | None:
        from sdp_kernel.flink.hints import rewriter  # noqa: PLC0415

        return None if reach.empty else rewriter(self.session, reach, self.session.notify)

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

    def savepoint(
        self, job: str, *, directory: str | None = None, stop: bool = False, drain: bool = False
    ) -> list[str]:
        """Take a savepoint of a job, as :meth:`job` finds it; returns where it is.

        Parameters
        ----------
        directory
            Where to write it, as the cluster sees it; the cluster's own place by default.
        stop
            End the job with it.
        drain
            With ``stop``: let windows fire first, as at the end of the data.

        Raises
        ------
        UsageError
            No running job is meant.
        JobFailed, SdpError
            The savepoint failed, with the reason.
        """
        if drain and not stop:
            raise UsageError("only a job that is stopped can be drained", hint="leave --drain out")
        manager = self.jobmanager
        return [
            manager.stop(known.id, directory, drain=drain) if stop else manager.savepoint(known.id, directory)
            for known in self.job(job)
        ]

    def cluster_vitals(self) -> ClusterVitals:
        """Return the cluster's slots and the memory of its TaskManagers."""
        from sdp_kernel.flink.vitals import read_cluster  # noqa: PLC0415

        return read_cluster(self.jobmanager)

    def why(self, query: Query | str) -> Diagnosis:
        """Say from evidence why a query gives no rows."""
        raise NotImplementedError

    def vitals(self, jobs: Iterable[Job]) -> dict[str, Vitals]:
        """Return the vital signs of the jobs that run, by id."""
        from sdp_kernel.flink.vitals import read  # noqa: PLC0415

        return {job.id: read(self.jobmanager, job.id) for job in jobs if not job.done}


def _certain(diagnosis: Diagnosis) -> str:
    """Return the strongest reason, where it is sure."""
    return str(diagnosis.first) if diagnosis.first.certain else ""


def _reach(start: str | None, until: str | None, *, batch: bool) -> Reach:
    from sdp_kernel.flink.hints import reach  # noqa: PLC0415

    return reach(start, until, batch=batch)


def _settings(config: Mapping[str, str] | None, *, batch: bool) -> dict[str, str]:
    from sdp_kernel.flink.hints import BATCH  # noqa: PLC0415

    return {**(BATCH if batch else {}), **(config or {})}
