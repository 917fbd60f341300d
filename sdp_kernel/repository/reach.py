"""The same records for two versions of a job: each source's offsets are looked up once, and have an end."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sdp_kernel.connection import KafkaCluster
from sdp_kernel.errors import UsageError
from sdp_kernel.flink.declared import pairs
from sdp_kernel.flink.script import significant
from sdp_kernel.kafka.cluster import Cluster
from sdp_kernel.kafka.offsets import window
from sdp_kernel.repository.retarget import Change
from sdp_kernel.repository.testing.options import without_registry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sdp_kernel.repository.retarget import JobTable

    Spans = Mapping[int, tuple[int, int]]

SERVERS = "properties.bootstrap.servers"
#: What a source says of where it begins and ends, and as whom it reads. Nothing of the job's group is used.
_OF_READING = re.compile(
    r"scan\.(startup|bounded)\..*|source\.monitor-interval"
    r"|properties\.(group\.id|group\.instance\.id|auto\.offset\.reset|commit\.offsets\.on\.checkpoint)"
)
#: What a sink says of where it writes; transactions of the job's own prefix would be fenced off, and a
#: schema would be registered under the job's own subject.
_OF_WRITING = re.compile(
    r"topic-pattern|scan\.(startup|bounded)\..*|properties\.(group\.id|transactional\.id)"
    r"|sink\.(delivery-guarantee|transactional-id-prefix|transaction-naming-strategy|partitioner)"
    r"|.*\.subject"
)
_CHANGES = "debezium-json"
#: What is read to its end, or only looked up: nothing is left on another's side.
_ENDS = ("filesystem", "jdbc", "rest-lookup")
_DATAGEN_ROWS = "number-of-rows"


def places(option: str) -> bool:
    """Whether an option says where a table is read from or written to, and not how."""
    return option == "topic" or bool(_OF_READING.fullmatch(option) or _OF_WRITING.fullmatch(option))


@dataclass
class Reach:
    """From where to where a job's sources are read.

    Attributes
    ----------
    kafka
        The profile's clusters by alias.
    records
        How many of the newest records of each topic, where ``since`` is None.
    since, now
        ms since the epoch.
    spans
        What was looked up: (servers, topic) → partition → (first offset, one after the last).
    notes
        What differs from what one would expect.
    """

    kafka: Mapping[str, KafkaCluster]
    records: int
    since: int | None
    now: int
    spans: dict[tuple[str, str], Spans] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _clusters: dict[str, Cluster] = field(default_factory=dict)
    _marks: dict[tuple[str, str], Spans] = field(default_factory=dict)
    _narrowed: dict[tuple[str, str], Spans] = field(default_factory=dict)

    def cluster(self, servers: str) -> Cluster:
        """Return the cluster at an address, with the profile's credentials where it is one of its own."""
        if servers not in self._clusters:
            wanted = {server.strip() for server in servers.split(",")}
            settings = next(
                (known for known in self.kafka.values() if wanted & set(known.bootstrap_servers.split(","))),
                KafkaCluster("of the job", {"bootstrap.servers": servers}),
            )
            self._clusters[servers] = Cluster(settings)
        return self._clusters[servers]

    def of_source(self, table: JobTable) -> Change:
        """Return what bounds a source.

        Raises
        ------
        TopicNotFound, TopicError, BrokerUnreachable
            Its topic cannot be asked for offsets.
        UsageError
            Its connector may have no end, or leave a trace on the side that it reads from.
        """
        gone: dict[str, str | None] = {
            option: None for option in table.options if _OF_READING.fullmatch(option)
        }
        if table.is_kafka:
            return Change({**gone, **self._kafka(table)})
        if table.connector == "datagen":
            self._note(f"{table.name} is made at random (datagen): each version reads other rows")
            return Change({_DATAGEN_ROWS: table.options.get(_DATAGEN_ROWS, str(self.records))})
        if table.connector not in _ENDS:
            kind = f"the connector {table.connector}" if table.connector else "no connector of its own"
            raise UsageError(
                f"{table.name} has {kind}: whether reading it ends, and what that leaves there, is not known",
                hint="a shadow run reads kafka, upsert-kafka, filesystem, datagen, jdbc and rest-lookup; "
                "put the source's records on a topic, and have both versions read that",
            )
        if table.connector != "filesystem":
            self._note(f"{table.name} ({table.connector}) is read as it is at the time of each run")
        return Change(gone)

    def of_sink(self, table: JobTable, topic: str, servers: str) -> Change:
        """Return what turns a sink to a topic, to be read from its beginning to its end.

        A sink that is no Kafka table becomes a topic of changes at ``servers``, which takes updates with a
        key and without.
        """
        ends = {"topic": topic, "scan.bounded.mode": "latest-offset"}
        begins = {"scan.startup.mode": "earliest-offset"}
        if table.connector == "upsert-kafka":
            begins = {}
        if table.is_kafka:
            gone: dict[str, str | None] = {
                option: None for option in table.options if _OF_WRITING.fullmatch(option)
            }
            return Change({**gone, **without_registry(table.options), **ends, **begins})
        own = pairs(significant(self.cluster(servers).settings.sql_fragment()))
        return Change({"connector": "kafka", "format": _CHANGES, **own, **ends, **begins}, anew=True)

    def _kafka(self, table: JobTable) -> dict[str, str]:
        servers = table.options.get(SERVERS, "")
        if len(table.topics) != 1:
            self._note(
                f"{table.name} reads several topics, which Flink reads by time and not by offsets: "
                "a record that comes late may be in one run alone"
            )
            begin = (
                {"scan.startup.mode": "earliest-offset"}
                if self.since is None
                else {"scan.startup.mode": "timestamp", "scan.startup.timestamp-millis": str(self.since)}
            )
            begin = {} if table.connector == "upsert-kafka" else begin
            return {
                **begin,
                "scan.bounded.mode": "timestamp",
                "scan.bounded.timestamp-millis": str(self.now),
            }
        spans = self._look_up(servers, table.topics[0], whole=table.connector == "upsert-kafka")
        made = {
            "scan.bounded.mode": "specific-offsets",
            "scan.bounded.specific-offsets": _written({p: end for p, (_, end) in spans.items()}),
        }
        if table.connector == "kafka":
            made |= {
                "scan.startup.mode": "specific-offsets",
                "scan.startup.specific-offsets": _written({p: start for p, (start, _) in spans.items()}),
            }
        return made

    def _look_up(self, servers: str, topic: str, *, whole: bool) -> Spans:
        if not servers:
            raise UsageError(f"a table on the topic {topic} names no servers", hint="give it ${kafka.ALIAS}")
        key = (servers, topic)
        if key not in self._marks:
            cluster = self.cluster(servers)
            self._marks[key] = cluster.watermarks(topic, cluster.partitions(topic))
        if whole:
            self._note(f"{topic} is read from its beginning: an upsert table has no other start")
            self.spans[key] = self._marks[key]
            return self._marks[key]
        if key not in self._narrowed:
            self._narrowed[key] = self._narrow(self.cluster(servers), topic, self._marks[key])
            self.spans.setdefault(key, self._narrowed[key])
        return self._narrowed[key]

    def _narrow(self, cluster: Cluster, topic: str, marks: Spans) -> Spans:
        if self.since is not None:
            return window(cluster, topic, marks, since=self.since)
        share = -(-self.records // max(len(marks), 1))
        return {partition: (max(low, high - share), high) for partition, (low, high) in marks.items()}

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def _written(offsets: Mapping[int, int]) -> str:
    return ";".join(f"partition:{partition},offset:{offset}" for partition, offset in sorted(offsets.items()))
