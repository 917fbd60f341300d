"""Why a query gives no rows: asks the JobManager, the catalog and Kafka, within about two seconds."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from sdp_kernel.connection import KafkaCluster
from sdp_kernel.diagnose import decoding, event_time, flow, job, tables, topic
from sdp_kernel.diagnose.bounded import Call, Late
from sdp_kernel.diagnose.findings import Diagnosis, Finding, count
from sdp_kernel.errors import SdpError
from sdp_kernel.flink.jobs import TERMINAL
from sdp_kernel.kafka.cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sdp_kernel.diagnose.job import Evidence
    from sdp_kernel.diagnose.tables import Table
    from sdp_kernel.diagnose.topic import Stock
    from sdp_kernel.flink.query import Query
    from sdp_kernel.flink.session import Session
    from sdp_kernel.kafka.sample import Sample
    from sdp_kernel.settings import Profile

_FLINK_S, _KAFKA_S = 1.5, 1.5
_BEHIND_A_FAILURE = {"no-such-topic", "broker-unreachable"}
#: Said only where nothing else is known.
_OTHERWISE = {"not-measured", "nothing-read"}
#: How a query ended, by its state; of any other its job's says more.
_ENDS = {
    "finished": "it came to its end",
    "limit": "it was stopped at its limit of rows",
    "timeout": "it was stopped at its time-out",
    "idle": "it was stopped when nothing changed any more",
    "interrupted": "it was interrupted",
    "stopped": "it was stopped",
}
_ZONE = "table.local-time-zone"
_LONGEST = 300
_SERVERS = "properties.bootstrap.servers"


class Bench(Protocol):
    """What a diagnosis needs of a workbench."""

    @property
    def session(self) -> Session:
        """The gateway session that the query runs in."""

    @property
    def profile(self) -> Profile:
        """The profile with its Kafka clusters."""

    def cluster(self, alias: str | None = None) -> Cluster:
        """Return a Kafka cluster of the profile."""


def why(query: Query, workbench: Bench) -> Diagnosis:
    """Say from evidence why a query gives no rows, the strongest reason first.

    Reads only: no consumer group is joined and nothing is committed; records that are looked at are
    masked. Takes about two seconds at most, and raises nothing: what cannot be asked is a finding.

    Parameters
    ----------
    query
        A SELECT or a job of the session, running or not.
    workbench
        The workbench it belongs to.
    """
    began = time.monotonic()
    try:
        found = list(_Look(query, workbench).findings())
    except Exception as error:  # noqa: BLE001 - a diagnosis never stands in the way of what it looks at
        message = error.message if isinstance(error, SdpError) else f"{type(error).__name__}: {error}"
        found = [Finding("unclear", f"the diagnosis itself failed: {message}", certain=False)]
    if any(finding.certain for finding in found):
        found = [finding for finding in found if finding.kind not in _OTHERWISE]
    ordered = sorted(found, key=lambda finding: not finding.certain)
    if not ordered:
        ordered = [Finding("unclear", "nothing was found that holds the query up", certain=False)]
    return Diagnosis(query.name or "query", query.state, len(query), tuple(ordered), time.monotonic() - began)


class _Look:
    """One look at a query."""

    def __init__(self, query: Query, workbench: Bench) -> None:
        self.query = query
        self.workbench = workbench
        self.session = workbench.session

    def findings(self) -> Iterator[Finding]:
        """Yield what is found, the reasons that lie deeper first."""
        query = self.query
        if query.error is not None:
            yield _failed(query.error)
            yield from self._behind_a_failure()
            return
        if not (query.statement.is_query or query.statement.runs_job):
            yield Finding("no-job", f"{query.statement.kind} runs no job and gives no rows", certain=False)
            return
        deadline = time.monotonic() + _FLINK_S
        read = Call(self._evidence)
        named = Call(lambda: tables.read_by(self.session.runner(), query.sql))
        evidence: Evidence | None = None
        try:
            evidence = read.result(deadline)
        except (Late, SdpError) as error:
            yield _silent_jobmanager(error)
        if evidence is not None:
            yield from job.findings(evidence, query.job_id or "", since_s=time.time() - query.started)
        try:
            known = named.result(deadline)
        except (Late, SdpError):
            known = []
        yield from self._of_data(evidence or job.Evidence(None), known)

    def _behind_a_failure(self) -> Iterator[Finding]:
        """Yield what Kafka says of the tables, where that explains why a query failed."""
        named = Call(lambda: tables.read_by(self.session.runner(), self.query.sql))
        with contextlib.suppress(Late, SdpError):
            known = named.result(time.monotonic() + _FLINK_S)
            found = self._of_data(job.Evidence(None), known)
            yield from (finding for finding in found if finding.kind in _BEHIND_A_FAILURE)

    def _evidence(self) -> Evidence:
        jobmanager = self.session.jobmanager
        if jobmanager is None or not self.query.job_id:
            return job.Evidence(None)
        return job.read(jobmanager, self.query.job_id)

    def _of_data(self, evidence: Evidence, known: Sequence[Table]) -> Iterator[Finding]:
        """Yield what Kafka's offsets, a few records and the operators' counts say."""
        now_ms = evidence.job.now_ms if evidence.job is not None else int(time.time() * 1000)
        began_ms = evidence.job.start_ms if evidence.job is not None else int(self.query.started * 1000)
        looks = [(table, Call(partial(self._look_at, table, began_ms))) for table in known]
        deadline = time.monotonic() + _KAFKA_S
        stocks: list[Stock] = []
        seen: list[tuple[Table, Sample | None]] = []
        for table, look in looks:
            read, _ = _counts(table, evidence, alone=len(known) == 1)
            try:
                stock, sample = look.result(deadline)
            except Late:
                yield _late_broker(table)
            except Exception as error:  # noqa: BLE001 - of whatever kind, it is a finding
                trouble = topic.trouble(table, error)
                yield replace(trouble, certain=trouble.certain and not read)
            else:
                stocks.append(stock)
                seen.append((table, sample))
        for stock in stocks:
            read, _ = _counts(stock.table, evidence, alone=len(known) == 1)
            for finding in topic.findings(
                stock, read=read, caught_up=_caught_up(stock.table, evidence), now_ms=now_ms
            ):
                yield replace(finding, certain=_blocks(evidence, stocks))
        for table, sample in seen:
            read, decoded = _counts(table, evidence, alone=len(known) == 1)
            finding_ = decoding.undecodable(table, sample, read=read, decoded=decoded)
            if finding_ is not None:
                yield finding_
                continue
            drops = " ".join(str(f.evidence.get("description", "")) for f in flow.dropped(evidence))
            nulls = decoding.missing_fields(table, sample, drops)
            if nulls is not None:
                yield nulls
        yield from event_time.findings(evidence, stocks, zoned=self._zoned())
        yield from flow.dropped(evidence)
        if evidence.job is not None and evidence.job.state in TERMINAL:
            yield _ended(self.query, evidence)
        yield from flow.standing(
            evidence, stocks, rows=len(self.query), is_query=self.query.statement.is_query
        )

    def _zoned(self) -> bool:
        """Whether the session has been given a time zone."""
        sets = [entry.text for entry in self.session.ledger.entries if entry.kind == "SET"]
        return _ZONE in self.session.properties or any(_ZONE in text for text in sets)

    def _look_at(self, table: Table, began_ms: int) -> tuple[Stock, Sample | None]:
        cluster = self._cluster(table)
        stock = topic.take_stock(cluster, table, began_ms=began_ms)
        sample = decoding.look(cluster, table, self.session.mask) if stock.kept else None
        return stock, sample

    def _cluster(self, table: Table) -> Cluster:
        """Return the profile's cluster with the table's servers; one of its own where there is none."""
        servers = table.options.get(_SERVERS, "")
        for alias, settings in self.workbench.profile.kafka.items():
            if _set(settings.bootstrap_servers) & _set(servers):
                return self.workbench.cluster(alias)
        return Cluster(KafkaCluster(table.name, {"bootstrap.servers": servers}))


def _set(servers: str) -> set[str]:
    return {server.strip() for server in servers.split(",") if server.strip()}


def _counts(table: Table, evidence: Evidence, *, alone: bool) -> tuple[int | None, int | None]:
    """Return how many records the job has read of a table, and how many rows it made of them."""
    sources = [source for source in evidence.sources if table.is_read_by(source)]
    if not sources and alone and len(evidence.sources) == 1:
        sources = evidence.sources
    if not sources:
        return None, None
    return sum(source.passed for source in sources), sum(source.records_out or 0 for source in sources)


def _caught_up(table: Table, evidence: Evidence) -> bool:
    """Whether the job's sources of a table say that nothing is left to read."""
    sources = [source for source in evidence.sources if table.is_read_by(source)]
    return bool(sources) and all(source.pending == 0 for source in sources)


def _blocks(evidence: Evidence, stocks: Sequence[Stock]) -> bool:
    """Whether one table without records keeps the whole query silent: it is the only one, or is joined."""
    if len(stocks) == 1 or not any(stock.ahead for stock in stocks) or evidence.job is None:
        return True
    lines = " ".join(line for vertex in evidence.job.vertices for line in vertex.operators)
    return "joinType=[InnerJoin]" in lines


def _failed(error: BaseException) -> Finding:
    message = error.message if isinstance(error, SdpError) else str(error)
    hint = error.hint if isinstance(error, SdpError) else ""
    return Finding("failed", message, hint, evidence={"error": type(error).__name__})


def _silent_jobmanager(error: Late | SdpError) -> Finding:
    if isinstance(error, SdpError):
        return Finding("jobmanager-unreachable", error.message, error.hint)
    return Finding(
        "jobmanager-unreachable",
        f"the JobManager has not answered within {_FLINK_S:g} s",
        "sdp status shows whether it runs; on another cluster look at its load and its log",
    )


def _late_broker(table: Table) -> Finding:
    servers = table.options.get(_SERVERS, "")
    return Finding(
        "broker-unreachable",
        f"Kafka at {servers} has not answered within {_KAFKA_S:g} s about {', '.join(table.topics)}",
        "check that it runs, and the address in the table's options; sdp status for the embedded stack",
        certain=False,
        evidence={"table": table.name, "servers": servers},
    )


def _ended(query: Query, evidence: Evidence) -> Finding:
    """Say that a job has ended, and how much it read."""
    assert evidence.job is not None  # noqa: S101 - by the caller
    read = max(
        sum(vertex.records_in for vertex in evidence.job.sources),
        sum(vertex.records_out for vertex in evidence.job.sources),
    )
    conditions = [
        line.partition(":")[2]
        for vertex in evidence.job.vertices
        for line in vertex.operators
        if "where=[" in line
    ]
    how = _ENDS.get(query.state) or f"its job was {evidence.job.state.lower()}"
    fact = f"the query has ended: {how}; it read {count(read, 'record')}"
    if read and not len(query) and query.statement.is_query:
        behind = f": the conditions are in {'; '.join(conditions)[:_LONGEST]}" if conditions else ""
        fact = f"{fact} and no row came of {'it' if read == 1 else 'them'}{behind}"
    return Finding(
        "ended",
        fact,
        "run it again to see more",
        certain=False,
        evidence={"state": evidence.job.state, "read": read, "conditions": conditions},
    )
