"""One of the two versions of a shadow run: its session, its throw-away topics, its job.

It is kept away from everything that the job of that name has: what cannot be is refused.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdp_kernel.errors import SdpError, SqlError, UsageError
from sdp_kernel.flink.jobs import TERMINAL
from sdp_kernel.flink.session import Session
from sdp_kernel.kafka.admin import delete_topic
from sdp_kernel.repository import retarget
from sdp_kernel.repository.guard import check_apart
from sdp_kernel.repository.reach import SERVERS, Reach, places
from sdp_kernel.repository.testing.options import without_hints

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from sdp_kernel.connection import KafkaCluster
    from sdp_kernel.flink.jobs import JobManager
    from sdp_kernel.repository.versions import Version

_A_DAY_MS = 86_400_000
_POLL_S, _CANCEL_S = 0.25, 20.0
#: For the two runs alone: to fail at once, and to let the one begin before the other has ended.
_CONFIG = {"restart-strategy.type": "none", "table.dml-sync": "false"}


@dataclass(frozen=True)
class Host:
    """Where a shadow run takes place.

    ``session`` is one to be like: its gateway, its cluster and its properties. ``mask`` is applied to the
    rows that are shown, ``say`` takes a line about each step.
    """

    session: Session
    kafka: Mapping[str, KafkaCluster]
    mask: Callable[[pa.Table], pa.Table]
    say: Callable[[str], None]


@dataclass(frozen=True)
class Run:
    """A version's run.

    ``records`` is None where a source reads several topics; ``state_bytes`` is the last checkpoint's, None
    where there was none.
    """

    label: str
    called: str
    job_id: str
    seconds: float
    records: int | None
    state_bytes: int | None

    @property
    def rate(self) -> float:
        """Records read a second, from submission to the end."""
        return (self.records or 0) / self.seconds if self.seconds else 0.0


class Side:
    """One of the two versions: its session, its throw-away topics, its job."""

    def __init__(self, label: str, version: Version, host: Host) -> None:
        self.label, self.version = label, version
        self.statements = version.job.statements
        check_apart(self.statements, _name(version))
        self.tables = retarget.tables(self.statements)
        self.sinks = tuple(table for table in self.tables if table.is_sink)
        _check_tables(version, self.tables)
        self.topics: dict[retarget.JobTable, tuple[str, str]] = {}
        self.texts: tuple[str, ...] = ()
        self.records: int | None = 0
        self.job_id = ""
        self._host = host
        self._made: list[tuple[str, str]] = []

    def open(self) -> None:
        """Open the session; nothing is asked of the gateway yet."""
        like = self._host.session
        self.session = Session(
            like.gateway.url,
            jobmanager=like.jobmanager.url if like.jobmanager else None,
            properties=like.properties,
            veiled=like.veiled,
            notify=self._host.say,
        )

    @property
    def jobmanager(self) -> JobManager:
        """The cluster's JobManager."""
        found = self.session.jobmanager
        if found is None:
            raise UsageError("the profile has no JobManager", hint="set jobmanager in sdp.toml")
        return found

    def aim(self, reach: Reach, prefix: str) -> None:
        """Point the sources to the offsets and the sinks to topics; nothing is made yet."""
        changes = {table: reach.of_source(table) for table in self.tables if table.is_source}
        servers = [table.options[SERVERS] for table in self.tables if SERVERS in table.options]
        servers += [known.bootstrap_servers for known in reach.kafka.values()]
        for number, table in enumerate(self.sinks):
            place = table.options.get(SERVERS) or next(iter(servers), "")
            if not place:
                raise UsageError(
                    f"there is no Kafka for a throw-away topic of {table.name}",
                    hint="name a cluster in the profile: [profiles.NAME.kafka.main]",
                )
            topic = f"{prefix}-{number}"
            self.topics[table] = (place, topic)
            changes[table] = reach.of_sink(table, topic, place)
        counts = [_count(reach, table) for table in self.tables if table.is_source and table.is_kafka]
        self.records = None if None in counts else sum(filter(None, counts))
        texts = retarget.retarget(self.statements, changes)
        self.texts = tuple(without_hints(text, places) for text in texts)

    def make_topics(self, reach: Reach) -> None:
        """Make the throw-away topics; their records go after a day, whatever happens to this process."""
        for servers, topic in self.topics.values():
            self._made.append((servers, topic))
            reach.cluster(servers).create_topic(
                topic, config={"retention.ms": str(_A_DAY_MS)}, exist_ok=False
            )

    def declare(self) -> None:
        """Carry out all statements but the last."""
        if self.session.runner().table("SHOW TABLES"):
            raise UsageError(
                "a new session of the gateway has tables already: its catalog keeps them, and changes too",
                hint="a shadow run needs a gateway whose default catalog is in memory",
            )
        with self._named():
            for text in self.texts[:-1]:
                self.session.runner().declare(text)

    def start(self) -> None:
        """Start the job."""
        name = f"sdp shadow {self.version.job.name} {self.label}"
        text = self.texts[-1].replace("${", "$${")
        with self._named():
            query = self.session.execute(text, config={**_CONFIG, "pipeline.name": name})
        self.job_id = query.job_id or ""
        if query.state != "submitted":
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Say which version it is that Flink refuses."""
        try:
            yield
        except SqlError as error:
            raise UsageError(
                f"{self.label} ({self.version.called}) does not run: {error.message}",
                hint=error.hint or "mend its SQL, and try again",
                detail=error.detail,
            ) from None

    def measured(self) -> Run:
        """Return what the JobManager says of the run."""
        detail = self.jobmanager.detail(self.job_id)
        checkpoints = self.jobmanager.checkpoints(self.job_id)
        return Run(
            self.label,
            self.version.called,
            self.job_id,
            (detail.duration_ms if detail else 0) / 1000,
            self.records,
            checkpoints.last_bytes,
        )

    def end(self, reach: Reach) -> None:
        """End the job, close the session and take the topics away, whatever happened before."""
        with contextlib.suppress(SdpError):
            self._cancel()
        self.session.close()
        for servers, topic in self._made:
            try:
                cluster = reach.cluster(servers)
                if topic in cluster.metadata().topics:
                    delete_topic(cluster, topic)
            except SdpError as error:
                self._host.say(f"the throw-away topic {topic} is left: {error.message}")

    def _cancel(self) -> None:
        if not self.job_id or self.jobmanager.state(self.job_id) in TERMINAL | {"UNKNOWN"}:
            return
        self.jobmanager.cancel(self.job_id)
        until = time.monotonic() + _CANCEL_S
        while self.jobmanager.state(self.job_id) not in TERMINAL and time.monotonic() < until:
            time.sleep(_POLL_S)


def _check_tables(version: Version, tables: Sequence[retarget.JobTable]) -> None:
    both = [table.name for table in tables if table.is_sink and table.is_source]
    if both:
        raise UsageError(
            f"{_name(version)} reads {both[0]} and writes it",
            hint="declare a second table over the topic, for the one or the other",
        )


def _name(version: Version) -> str:
    return f"{version.job.name} at {version.called}"


def _count(reach: Reach, table: retarget.JobTable) -> int | None:
    if len(table.topics) != 1:
        return None
    return sum(end - start for start, end in reach.spans[table.options[SERVERS], table.topics[0]].values())
