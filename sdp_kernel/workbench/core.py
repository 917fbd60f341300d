"""The workbench: one profile, opened.

What it does with topics is in ``kafka_side``, with queries and jobs in ``sql_side``, with Kubernetes in
``deploy_side``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sdp_kernel import settings as settings_
from sdp_kernel.errors import NotValidated, StatementError, TopicNotFound
from sdp_kernel.repository.command import without_credentials
from sdp_kernel.workbench.change_side import ChangeSide
from sdp_kernel.workbench.deploy_side import DeploySide
from sdp_kernel.workbench.evidence_side import EvidenceSide
from sdp_kernel.workbench.kafka_side import KafkaSide
from sdp_kernel.workbench.opening import open_session
from sdp_kernel.workbench.running_side import RunningSide
from sdp_kernel.workbench.session_clusters import clusters
from sdp_kernel.workbench.sql_side import SqlSide
from sdp_kernel.workbench.testing_side import TestingSide

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typing_extensions import Self

    from sdp_kernel.deploy.clusters import SessionCluster
    from sdp_kernel.deploy.remote import Remote
    from sdp_kernel.diagnose import Diagnosis
    from sdp_kernel.flink.functions import Functions
    from sdp_kernel.flink.query import Query
    from sdp_kernel.flink.session import Session
    from sdp_kernel.local.stack import Stack
    from sdp_kernel.promote import Plan, Topic


#: The same trouble with a session cluster is told no more often than this, in seconds.
_TELL_AGAIN_S = 60.0


def connect(
    profile: str = "local",
    *,
    directory: Path | None = None,
    gateway: str | None = None,
    notify: Callable[[str], None] | None = None,
    progress: Callable[[Any], None] | None = None,
    owners: tuple[str, ...] = (),
    on_taken_over: Callable[[Query], None] | None = None,
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
        Takes the progress while the embedded stack, or the way to a session cluster, is started.
    owners
        What this kernel and the one before it have in common, such as their connection file: the
        session of a dead process with one of these is taken over.
    on_taken_over
        Takes each query that was taken over.

    Raises
    ------
    SettingsError
        The file or the profile is wrong. Nothing is contacted yet: that happens at the first call.
    """
    loaded = settings_.load(directory)
    chosen = loaded.profile(profile)
    if gateway is not None:
        chosen = dataclasses.replace(chosen, gateway=gateway.rstrip("/"))
    return Workbench(
        loaded, chosen, notify=notify, progress=progress, owners=owners, on_taken_over=on_taken_over
    )


def _fragments(profile: settings_.Profile) -> dict[str, str]:
    """Return what ``${kafka.ALIAS}`` and ``${registry.ALIAS}`` stand for."""
    fragments = {f"kafka.{c.alias}": c.sql_fragment() for c in profile.kafka.values()}
    return fragments | {
        f"registry.{c.alias}": settings_.quote(c.registry_url)
        for c in profile.kafka.values()
        if c.registry_url is not None
    }


class Workbench(KafkaSide, SqlSide, DeploySide, ChangeSide, TestingSide, EvidenceSide, RunningSide):
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
        owners: tuple[str, ...] = (),
        on_taken_over: Callable[[Query], None] | None = None,
    ) -> None:
        super().__init__(embedded=profile.embedded)
        self.settings = settings
        self._profile = profile
        self._notify = notify
        self._progress = progress
        self._owners = owners
        self._on_taken_over = on_taken_over
        self._resolved = not profile.embedded
        self._told = ("", 0.0)
        self._session: Session | None = None
        self._opening = threading.RLock()
        self.queries: dict[str, Query] = {}
        self._pulled = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Workbench {self.place}>"

    @property
    def place(self) -> str:
        """The profile, and where it works: ``local: embedded stack``."""
        kubernetes = self._profile.kubernetes
        where = f"{kubernetes.namespace}/{kubernetes.deployment}" if kubernetes else self._profile.gateway
        return f"{self._profile.name}: {without_credentials(where or 'embedded stack')}"

    @property
    def stack(self) -> Stack:
        """The embedded stack of this project."""
        return self._stack()

    def _stack(self, *more: str) -> Stack:
        from sdp_kernel.local.stack import Stack  # noqa: PLC0415

        return Stack(self.settings.make_state_dir(), settings=self.settings.local.adding(more))

    def start(self, *more: str, progress: Callable[[Any], None] | None = None) -> None:
        """Start the embedded stack, with components such as ``registry`` beside the usual ones.

        What is open goes on: the session then knows ``${registry.main}`` too.
        """
        info = self._stack(*more).up(progress)
        if self._embedded:
            self._profile = info.to_profile(self._profile)
            self._resolved = True
            self._clusters.clear()
            if self._session is not None:
                self._session.fragments = _fragments(self._profile)

    @property
    def profile(self) -> settings_.Profile:
        """The profile, with the embedded stack's addresses filled in; starts it if need be."""
        if not self._resolved:
            self.start(progress=self._progress)
        return self._profile

    @property
    def session(self) -> Session:
        """The gateway session; the one of the kernel before, where this one is its successor."""
        with self._opening:
            if self._session is None:
                remote = self._remote
                if remote is not None:
                    found = remote.up(self._progress)
                    self._profile = dataclasses.replace(
                        self._profile, gateway=found.gateway, jobmanager=found.jobmanager
                    )
                self._session, queries = open_session(
                    self.profile,
                    self.settings.make_state_dir(),
                    fragments=_fragments(self.profile),
                    notify=self._notify,
                    mask=self._mask,
                    veiled=bool(self.masking),
                    repair=self._repair if self._embedded else remote.repair if remote else None,
                    reconnect=self._reconnect if remote else None,
                    touch=remote.touch if remote else None,
                    shared_disk=self._embedded,
                    owners=self._owners,
                )
                for query in queries:
                    if query.name is not None:
                        self.queries[query.name] = query
                    if self._on_taken_over is not None:
                        self._on_taken_over(query)
            return self._session

    def _repair(self) -> None:
        """Start again what has died of the embedded stack; not what was stopped on purpose."""
        if any(component.state == "died" for component in self.stack.status().components):
            self.start()

    @cached_property
    def _remote(self) -> Remote | None:
        """The way to a session cluster on Kubernetes; None where the profile has a gateway or the stack."""
        if self._profile.kubernetes is None or self._profile.gateway is not None:
            return None
        from sdp_kernel.deploy.remote import Remote  # noqa: PLC0415

        return Remote(
            self._profile.name, self._profile.kubernetes, self.settings.make_state_dir(), self.settings.local
        )

    def _reconnect(self) -> None:
        """Mend the way to the session cluster; say once what stands in it."""
        remote = self._remote
        if remote is None:
            return
        remote.repair()
        trouble = remote.trouble()
        told, at = self._told
        if trouble and self._notify and (trouble != told or time.monotonic() - at > _TELL_AGAIN_S):
            self._told = (trouble, time.monotonic())
            self._notify(f"no way to the session cluster {remote.deployment}; queries wait: {trouble}")

    def clusters(self, *, everywhere: bool = False) -> list[SessionCluster]:
        """List the Flink session clusters of the profile's namespace, or of all of them: :func:`clusters`."""
        return clusters(self._profile.name, everywhere=everywhere, directory=self.settings.root)

    def down(self) -> None:
        """End the embedded stack, and the gateways and port-forwards of session clusters."""
        from sdp_kernel.deploy.place import down_all  # noqa: PLC0415

        self.close()
        down_all(self.settings.state_dir)
        self.stack.down()

    def promote(
        self,
        query: Query | str | Sequence[Query | str],
        *,
        job: str,
        to: str | Sequence[str] | None = None,
        key: Sequence[str] | None = None,
        repository: Path | None = None,
        current_text: str | Sequence[str | None] | None = None,
        notebook: str | None = None,
        replace: bool = False,
        format: str | None = None,  # noqa: A002 - the option's name
        partition_by: Sequence[str] = (),
        partitions: int | None = None,
        retention: str | None = None,
        with_test: bool = False,
        test_rows: int | None = None,
        test_ignore: Sequence[str] = (),
        fix: Sequence[str] | bool = False,
        from_savepoint: str | None = None,
        allow_non_restored_state: bool = False,
    ) -> Plan:
        """Plan the job definition of a validated query. Nothing is written: ``plan.apply()`` does.

        Parameters
        ----------
        query
            A query of this workbench, or its name; several become one job, a statement set.
        job
            The job's name, a Kubernetes name.
        to
            The output of a SELECT: a topic, a table, or a path of files such as ``s3://bucket/path``; for
            several, one for each SELECT in their order.
        key
            The output's key columns, where the planner's own are not wanted.
        current_text
            The cell's text as it stands now, where it is known; for several, one for each.
        format, partition_by
            Of files: ``parquet``, ``json``, ``csv`` or ``debezium-json``; the columns that make folders.
        with_test, test_rows, test_ignore
            Freeze a test of the newest records of each source (50 by default), masked; columns of the output
            that it does not compare.
        partitions, retention
            Of a new topic: as many as the largest that is read, and Kafka's default, where not given.
        fix
            Codes of findings to mend in what is written; True for all that can be.
        from_savepoint, allow_non_restored_state
            Where the state of ``apply(run=True)`` comes from: a savepoint's path, or a query or job that is
            stopped for it; and whether state without a place in the job is left out.

        Raises
        ------
        NotValidated, SliceError, UsageError, RepositoryError
            As their names say; nothing has been written.
        """
        from sdp_kernel.promote import Actions, Request, build_plan, check_fix  # noqa: PLC0415

        named = list(query) if isinstance(query, Sequence) and not isinstance(query, str) else [query]
        queries = [self._ran(found) if isinstance(found, str) else found for found in named]
        session = self.session

        def run(script: str, name: str) -> str:
            return self.start_promoted(
                script, name, savepoint=from_savepoint, allow_non_restored_state=allow_non_restored_state
            )

        def declare(ddl: str) -> None:
            with contextlib.suppress(StatementError):
                session.execute(ddl)

        def create_topic(topic: Topic) -> bool:
            return self.cluster(topic.alias).create_topic(
                topic.name, topic.partitions, config=dict(topic.config)
            )

        def count(alias: str, topic: str) -> int | None:
            try:
                return len(self.cluster(alias).partitions(topic))
            except TopicNotFound:
                return None

        return build_plan(
            queries,
            session,
            Request(
                job=job,
                to=to if to is None or isinstance(to, str) else tuple(to),
                key=tuple(key) if key else None,
                repository=repository,
                current_text=tuple(current_text)
                if current_text is not None and not isinstance(current_text, str)
                else current_text,
                notebook=notebook,
                replace=replace,
                format=format,
                partition_by=tuple(partition_by),
                partitions=partitions,
                retention=retention,
                with_test=with_test,
                test_rows=test_rows,
                test_ignore=tuple(test_ignore),
                fix=check_fix(fix),
                pulled=self._pulled[job].fingerprint if job in self._pulled else None,
            ),
            settings=self.settings,
            actions=Actions(
                create_topic=create_topic,
                run=run,
                declare=declare,
                partitions=count,
                may_run=self.may_run,
                place=self.place,
                freezing=self.freezing,
            ),
            shared=self.profile.functions,
            kafka=self.profile.kafka,
            witness=self.witness,
        )

    def _ran(self, name: str) -> Query:
        if name not in self.queries:
            known = ", ".join(sorted(self.queries)) or "none"
            raise NotValidated(
                f"no cell named {name!r} has run", hint=f"run %%flinksql {name} first; known: {known}"
            )
        return self.queries[name]

    @property
    def functions(self) -> Functions:
        """The Python functions of the session."""
        from sdp_kernel.flink.functions import Functions  # noqa: PLC0415

        directory = self.settings.make_state_dir() / "functions"
        return Functions(self.session, directory, shared=self.profile.functions)

    def why(self, query: Query | str) -> Diagnosis:
        """Say from evidence why a query gives no rows; reads only, and takes about two seconds.

        Raises
        ------
        UsageError
            No query has that name.
        """
        from sdp_kernel import diagnose  # noqa: PLC0415

        return diagnose.why(self.query(query) if isinstance(query, str) else query, self)

    def close(self, *, leave_background: bool = False) -> None:
        """Close the session and the clients. The embedded stack goes on; ``stack.down()`` ends it.

        ``leave_background`` leaves background queries to a successor, for as long as the gateway
        keeps the session: a minute or two.
        """
        if self._session is not None:
            self._session.close(leave_background=leave_background)
            self._session = None
        self._clusters.clear()
