"""The composition root: the one place that wires the rooms together. Magics and CLI call this."""

from __future__ import annotations

import contextlib
import os
import uuid
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sdp_kernel import settings as settings_
from sdp_kernel.errors import NotValidated, StatementError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    import pandas as pd
    from typing_extensions import Self

    from sdp_kernel.flink.jobs import Job, JobManager
    from sdp_kernel.flink.query import Query
    from sdp_kernel.flink.session import Session
    from sdp_kernel.kafka.cluster import Cluster
    from sdp_kernel.kafka.infer import TableSketch
    from sdp_kernel.kafka.offsets import At
    from sdp_kernel.kafka.sample import Progress, Sample
    from sdp_kernel.kafka.topics import TopicDetail
    from sdp_kernel.local.stack import Stack
    from sdp_kernel.masking import Policy
    from sdp_kernel.promote import Plan, Topic


def connect(
    profile: str = "local",
    *,
    directory: Path | None = None,
    gateway: str | None = None,
    notify: Callable[[str], None] | None = None,
    progress: Callable[[Any], None] | None = None,
) -> Workbench:
    """Open a workbench on a profile.

    Parameters
    ----------
    profile
        A profile of ``sdp.toml``; ``local``, the embedded stack, needs no file.
    directory
        Where to look for ``sdp.toml`` from, upward; the working directory by default.
    gateway
        A gateway's address, to use in place of the profile's.
    notify
        Takes one line about something done behind the user's back.
    progress
        Takes the embedded stack's progress while it starts.

    Raises
    ------
    SettingsError
        The file or the profile is wrong. Nothing is contacted yet: that happens at the first call.
    """
    import dataclasses  # noqa: PLC0415

    loaded = settings_.load(directory)
    chosen = loaded.profile(profile)
    if gateway is not None:
        chosen = dataclasses.replace(chosen, gateway=gateway.rstrip("/"))
    return Workbench(loaded, chosen, notify=notify, progress=progress)


def _fragments(profile: settings_.Profile) -> dict[str, str]:
    """Return what ``${kafka.ALIAS}`` and ``${registry.ALIAS}`` stand for."""
    fragments = {f"kafka.{c.alias}": c.sql_fragment() for c in profile.kafka.values()}
    return fragments | {
        f"registry.{c.alias}": settings_.quote(c.registry_url)
        for c in profile.kafka.values()
        if c.registry_url is not None
    }


class Workbench:
    """One profile, opened: its gateway session, its Kafka clusters, its queries.

    Parts are opened when first used. Also a context manager.
    """

    def __init__(
        self,
        settings: settings_.Settings,
        profile: settings_.Profile,
        *,
        notify: Callable[[str], None] | None = None,
        progress: Callable[[Any], None] | None = None,
    ) -> None:
        self.settings = settings
        self._profile = profile
        self._notify = notify
        self._progress = progress
        self._resolved = not profile.embedded
        self._session: Session | None = None
        self._clusters: dict[str, Cluster] = {}
        self.queries: dict[str, Query] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        where = self._profile.gateway or "embedded stack"
        return f"<Workbench {self._profile.name}: {where}>"

    @cached_property
    def masking(self) -> Policy:
        """What is hidden in samples and results, as ``[masking]`` says."""
        from sdp_kernel.masking import Policy  # noqa: PLC0415

        return Policy.from_settings(self.settings)

    @property
    def stack(self) -> Stack:
        """The embedded stack of this project."""
        from sdp_kernel.local.stack import Stack  # noqa: PLC0415

        return Stack(self.settings.make_state_dir(), settings=self.settings.local)

    @property
    def profile(self) -> settings_.Profile:
        """The profile, with the embedded stack's addresses filled in; starts it if need be."""
        if not self._resolved:
            self._profile = self.stack.up(self._progress).to_profile(self._profile)
            self._resolved = True
        return self._profile

    @property
    def session(self) -> Session:
        """The gateway session."""
        if self._session is None:
            from sdp_kernel.flink.ledger import Ledger  # noqa: PLC0415
            from sdp_kernel.flink.session import Session  # noqa: PLC0415

            profile = self.profile
            name = f"{profile.name}-{os.getpid()}-{uuid.uuid4().hex[:8]}.jsonl"
            self._session = Session(
                profile.gateway or "",
                jobmanager=profile.jobmanager,
                properties=profile.session,
                fragments=_fragments(profile),
                defaults=profile.parameters,
                ledger=Ledger(self.settings.make_state_dir() / "ledgers" / name),
                read_only=profile.read_only,
                notify=self._notify,
            )
        return self._session

    def cluster(self, alias: str | None = None) -> Cluster:
        """Return a Kafka cluster of the profile; the only one, or ``main``, by default."""
        from sdp_kernel.kafka.cluster import Cluster  # noqa: PLC0415

        known = self.profile.kafka
        if alias is None:
            alias = next(iter(known)) if len(known) == 1 else "main"
        if alias not in known:
            names = ", ".join(sorted(known)) or "none"
            raise UsageError(
                f"the profile {self.profile.name} has no Kafka cluster {alias!r}",
                hint=f"known: {names}; add [profiles.{self.profile.name}.kafka.{alias}] to sdp.toml",
            )
        if alias not in self._clusters:
            self._clusters[alias] = Cluster(known[alias])
        return self._clusters[alias]

    def sql(
        self,
        text: str,
        *,
        name: str | None = None,
        limit: int | None = None,
        timeout: float | None = None,
        idle: float | None = None,
        params: Mapping[str, object] | None = None,
        first_line: int = 1,
        on_start: Callable[[Query], None] | None = None,
        on_update: Callable[[Query], None] | None = None,
        on_statement: Callable[[Query], None] | None = None,
    ) -> Query:
        """Run one or more SQL statements; returns the last one's :class:`Query`.

        Parameters
        ----------
        name
            Keeps the query under this name, for ``promote``.
        limit, timeout, idle
            Where a SELECT is stopped: at rows of the current table, at seconds from its start, at
            seconds without a change once rows have come. None for no bound.
        params
            Values for ``${name}``.
        first_line
            The cell's line the text starts at, for the places errors name.
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

        return self.session.execute(
            text,
            name=name,
            limit=limit,
            timeout=timeout,
            idle=idle,
            params=params,
            first_line=first_line,
            on_start=started,
            on_update=on_update,
            on_statement=on_statement,
        )

    def topics(self, *, cluster: str | None = None, internal: bool = False) -> pd.DataFrame:
        """List topics: one row each, columns topic, partitions, messages, size, format, last, age."""
        import pandas as pd  # noqa: PLC0415

        from sdp_kernel.kafka.topics import list_topics  # noqa: PLC0415

        summaries = list_topics(self.cluster(cluster), internal=internal)
        return pd.DataFrame(
            [
                {
                    "topic": s.name,
                    "partitions": s.partitions,
                    "messages": s.messages,
                    "size": s.size,
                    "format": s.format,
                    "last": s.last_timestamp,
                    "age": s.age,
                }
                for s in summaries
            ],
            columns=["topic", "partitions", "messages", "size", "format", "last", "age"],
        )

    def topic(self, name: str, *, cluster: str | None = None) -> TopicDetail:
        """Describe a topic: partitions, leaders, offsets, configuration, time range."""
        from sdp_kernel.kafka.topics import describe_topic  # noqa: PLC0415

        return describe_topic(self.cluster(cluster), name)

    def sample(
        self,
        topic: str,
        *,
        n: int = 100,
        at: At = "tail",
        since: str | float | datetime | None = None,
        until: str | float | datetime | None = None,
        partition: int | Collection[int] | None = None,
        offset: int | None = None,
        key: str | bytes | None = None,
        where: str | None = None,
        seed: int | None = None,
        format: str | None = None,  # noqa: A002 - the word Kafka and Flink use
        key_format: str | None = None,
        unwrap: bool = False,
        delimiter: str | None = None,
        header: Sequence[str] | None = None,
        cluster: str | None = None,
        timeout: float = 10.0,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Sample:
        """Read ``n`` messages without joining a group or committing.

        Parameters
        ----------
        at
            ``tail`` (the newest), ``head`` (the oldest) or ``random`` (uniform over the offsets;
            ``seed`` repeats a choice).
        since, until
            A time window: ``2h`` (ago), ``now``, an ISO time (UTC where it has no zone), epoch ms.
            With ``since`` alone the sample begins there.
        partition, offset
            Only these partitions; start at an offset (negative: from the end).
        key, where
            Only records with this key; only rows for which an SQL condition over the columns holds.
        format, key_format
            Detected from the bytes where not given.
        unwrap
            Show the row inside a Debezium or Maxwell envelope.
        delimiter, header
            CSV's.
        on_progress
            Called up to four times a second while reading.

        Raises
        ------
        UsageError, TopicNotFound, TopicError, BrokerUnreachable
            As :func:`sdp_kernel.kafka.sample.sample`.
        """
        from sdp_kernel.kafka.decode import Options  # noqa: PLC0415
        from sdp_kernel.kafka.sample import sample  # noqa: PLC0415
        from sdp_kernel.kafka.times import epoch_ms  # noqa: PLC0415

        return sample(
            self.cluster(cluster),
            topic,
            n=n,
            at="head" if at == "tail" and since is not None and until is None else at,
            since=None if since is None else epoch_ms(since),
            until=None if until is None else epoch_ms(until),
            partitions=(partition,) if isinstance(partition, int) else partition,
            offset=offset,
            key=key,
            where=where,
            seed=seed,
            format=format,
            key_format=key_format,
            options=Options(unwrap, delimiter, tuple(header) if header is not None else None),
            timeout=timeout,
            mask=self._mask,
            on_progress=on_progress,
        )

    def table(
        self,
        topic: str,
        *,
        n: int = 1000,
        name: str | None = None,
        cluster: str | None = None,
        startup: str = "earliest-offset",
        metadata: bool = True,
        upsert: bool = False,
        changelog: bool = True,
        **options: Any,
    ) -> TableSketch:
        """Infer a CREATE TABLE from a sample of ``n`` messages.

        Parameters
        ----------
        startup
            ``scan.startup.mode``.
        metadata
            Declare the record's time, partition, offset and headers too.
        upsert
            Make it an ``upsert-kafka`` table: the newest record of each key.
        changelog
            Read Debezium and Maxwell envelopes as changes; false shows them as they are.
        options
            As :meth:`sample` takes.
        """
        from sdp_kernel.kafka.infer import infer_table  # noqa: PLC0415

        opened = self.cluster(cluster)
        sample = self.sample(topic, n=n, cluster=cluster, **options)
        return infer_table(
            sample, name=name, alias=opened.alias, startup=startup, metadata=metadata, upsert=upsert,
            changelog=changelog, schema=self._schema(opened, sample),
        )  # fmt: skip

    def _schema(self, cluster: Cluster, sample: Sample) -> str | None:
        """Return the newest schema that an Avro sample was written with."""
        if (
            sample.format != "avro"
            or cluster.registry is None
            or "_schema_id" not in sample.table.column_names
        ):
            return None
        ids = [number for number in sample.table["_schema_id"].to_pylist() if number is not None]
        return cluster.registry.schema(ids[-1]).text if ids else None

    def _mask(self, table: Any) -> Any:
        from sdp_kernel.masking import mask  # noqa: PLC0415

        return mask(table, self.masking)

    def promote(
        self,
        query: Query | str,
        *,
        job: str,
        to: str | None = None,
        key: Sequence[str] | None = None,
        repository: Path | None = None,
        current_text: str | None = None,
        notebook: str | None = None,
        replace: bool = False,
    ) -> Plan:
        """Plan the job definition of a validated query. Nothing is written: ``plan.apply()`` does.

        Parameters
        ----------
        query
            A query of this workbench, or its name.
        job
            The job's name, a Kubernetes name.
        to
            The output topic of a SELECT.
        key
            The output's key columns, where the planner's own are not wanted.
        current_text
            The cell's text as it stands now, where it is known.

        Raises
        ------
        NotValidated, SliceError, UsageError, RepositoryError
            As their names say; nothing has been written.
        """
        from sdp_kernel.deploy.session_cluster import run_sql_job  # noqa: PLC0415
        from sdp_kernel.promote import Actions, build_plan  # noqa: PLC0415

        if isinstance(query, str):
            if query not in self.queries:
                known = ", ".join(sorted(self.queries)) or "none"
                raise NotValidated(
                    f"no cell named {query!r} has run", hint=f"run %%flinksql {query} first; known: {known}"
                )
            query = self.queries[query]
        session = self.session

        def run(script: str, name: str) -> str:
            return run_sql_job(self.jobmanager, script, name=name)

        def declare(ddl: str) -> None:
            with contextlib.suppress(StatementError):
                session.execute(ddl)

        def create_topic(topic: Topic) -> bool:
            return self.cluster(topic.alias).create_topic(topic.name, config=dict(topic.config))

        return build_plan(
            query,
            session,
            job=job,
            to=to,
            key=tuple(key) if key else None,
            settings=self.settings,
            actions=Actions(create_topic=create_topic, run=run, declare=declare),
            repository=repository,
            current_text=current_text,
            notebook=notebook,
            replace=replace,
        )

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

    def cancel(self, job: str) -> None:
        """Cancel a job by its id, or all running jobs of a name.

        Raises
        ------
        UsageError
            No running job has that id or name.
        """
        running = [known for known in self.jobs() if not known.done and job in {known.id, known.name}]
        if not running:
            raise UsageError(f"no running job is called {job!r}", hint="%jobs lists them")
        for known in running:
            self.jobmanager.cancel(known.id)

    def close(self) -> None:
        """Close the session and the clients. The embedded stack goes on; ``stack.down()`` ends it."""
        if self._session is not None:
            self._session.close()
            self._session = None
        self._clusters.clear()
