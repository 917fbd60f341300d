"""Runs a job from its repository alone: a clone, the stack's addresses, nothing of the notebook.

The tables that it reads get an end, the last record there is, so that the job ends and its last windows
close; its text stays as it is committed.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdp_kernel import settings
from sdp_kernel.deploy.session_cluster import run_sql_job
from sdp_kernel.errors import JobFailed
from sdp_kernel.flink.jobs import TERMINAL, JobManager
from sdp_kernel.flink.session import Session
from sdp_kernel.kafka.cluster import Cluster
from sdp_kernel.repository import job as jobs
from sdp_kernel.repository.retarget import Change, JobTable, retarget, tables
from sdp_kernel.repository.tables import FinalTable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sdp_kernel.flink.script import Statement

_JOB_S, _READ_S, _TURN_S = 120.0, 60.0, 0.2
_TO_THE_END = {"scan.bounded.mode": "latest-offset"}
_FROM_THE_BEGINNING = {"scan.startup.mode": "earliest-offset"}


@dataclass(frozen=True)
class Place:
    """Where a job runs: what a profile says of a running stack."""

    gateway: str
    jobmanager: str
    kafka: str


def replay(clone: Path, name: str, place: Place) -> dict[str, FinalTable]:
    """Run a job of a clone to its end; returns what is in the tables that it writes, by their names.

    Raises
    ------
    SdpError
        It cannot be read or run; its outputs cannot be read.
    """
    cluster = Cluster(settings.KafkaCluster("main", {"bootstrap.servers": place.kafka}))
    found = jobs.read(
        clone,
        name,
        kafka={"main": cluster.settings},
        functions=str(clone / "sql" / "functions"),
        module_source=settings.load(clone).promote.module_source,
    )
    statements = found.statements
    declared = tables(statements)
    sinks = [table for table in declared if table.is_sink]
    for sink in sinks:
        _empty(cluster, sink)
    ends = {table: Change(_TO_THE_END) for table in declared if table.is_source and table.is_kafka}
    _run(";\n".join(retarget(statements, ends)), name, place)
    session = Session(place.gateway, jobmanager=place.jobmanager)
    try:
        return {sink.name: _read(session, statements, sink) for sink in sinks}
    finally:
        session.close()


def attempt(clone: Path, name: str, place: Place) -> dict[str, FinalTable] | str:
    """Replay, and return what went wrong as text: errors of ours do not travel between processes."""
    try:
        return replay(clone, name, place)
    except Exception as error:  # noqa: BLE001 - each is an outcome
        return f"{type(error).__name__}: {error}"


def _empty(cluster: Cluster, sink: JobTable) -> None:
    """Take away what the notebook wrote to a sink: its topics are made anew, its folder is deleted."""
    from sdp_kernel.kafka.admin import delete_topic

    if sink.connector == "filesystem":
        shutil.rmtree(sink.options["path"].removeprefix("file://"))
    for topic in sink.topics:
        if topic in cluster.metadata().topics:
            delete_topic(cluster, topic)
        cluster.create_topic(topic)


def _run(script: str, name: str, place: Place) -> None:
    manager = JobManager(place.jobmanager)
    try:
        job_id = run_sql_job(manager, f"{script};\n", name=name)
        await_end(manager, job_id, name)
    finally:
        manager.close()


def await_end(manager: JobManager, job_id: str, name: str) -> None:
    """Wait until a job has read all its topics.

    Raises
    ------
    JobFailed
        It failed, or did not end in time.
    """
    until = time.monotonic() + _JOB_S
    while (state := manager.state(job_id)) != "FINISHED":
        if state in TERMINAL or time.monotonic() > until:
            raise JobFailed(f"the job {name} is {state}: {manager.root_cause(job_id)}", job_id=job_id)
        time.sleep(_TURN_S)


def _read(session: Session, statements: Sequence[Statement], sink: JobTable) -> FinalTable:
    options = {**_TO_THE_END, **(_FROM_THE_BEGINNING if sink.connector == "kafka" else {})}
    own = [s for s in statements if s.kind == "CREATE TABLE" and s.target == sink.name]
    (declared,) = tables(own)
    for text in retarget(own, {declared: Change(options)} if sink.is_kafka else {}):
        session.execute(text.replace("${", "$${"))
    return FinalTable(session.execute(f"SELECT * FROM {sink.quoted}", timeout=_READ_S).arrow)
