"""What Kafka holds for a table that a silent query reads, and what of it lies where the query reads.

Only offsets are asked for here. No consumer group is joined, nothing is committed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sdp_kernel.diagnose.findings import Finding, count, moment, span
from sdp_kernel.errors import SdpError, TopicNotFound, Unreachable
from sdp_kernel.kafka.cluster import admin_api

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sdp_kernel.diagnose.tables import Table
    from sdp_kernel.kafka.cluster import Cluster

_SPECIFIC = re.compile(r"partition:(\d+),offset:(\d+)")
_FROM_THE_START = (
    "read from the beginning: --from earliest on the cell, or 'scan.startup.mode' = 'earliest-offset'"
)
_MOST_PARTITIONS = 5


@dataclass(frozen=True)
class Stock:
    """What the topics of a table hold. Keys are (topic, partition).

    ``spans`` are (first offset kept, one after the last); ``starts`` where the query begins, as far
    as it can be told; ``ends`` where it stops; ``newest_ms`` the greatest record timestamp.
    """

    table: Table
    spans: Mapping[tuple[str, int], tuple[int, int]]
    starts: Mapping[tuple[str, int], int]
    ends: Mapping[tuple[str, int], int]
    newest_ms: int | None = None
    group: str = ""

    @property
    def kept(self) -> int:
        """Records the topics hold; offsets, so a few more where a topic is compacted."""
        return sum(high - low for low, high in self.spans.values())

    @property
    def ahead(self) -> int | None:
        """Records from where the query begins; None where that is not known."""
        if len(self.starts) < len(self.spans):
            return None
        return sum(max(high - max(self.starts[key], low), 0) for key, (low, high) in self.spans.items())

    @property
    def within(self) -> int | None:
        """Records from where the query begins to where it stops; None where that is not known."""
        if len(self.starts) < len(self.spans):
            return None
        return sum(
            max(min(self.ends.get(key, high), high) - max(self.starts[key], low), 0)
            for key, (low, high) in self.spans.items()
        )

    @property
    def to_read(self) -> set[tuple[str, int]]:
        """Partitions known to have records behind where the query begins."""
        return {
            key
            for key, (low, high) in self.spans.items()
            if key in self.starts and high > max(self.starts[key], low)
        }

    @property
    def silent(self) -> list[int]:
        """Partitions without a record behind where the query begins, where others have some."""
        if len(self.starts) < len(self.spans):
            return []
        with_none = [
            partition
            for (topic, partition), (low, high) in self.spans.items()
            if high <= max(self.starts[topic, partition], low)
        ]
        return sorted(with_none) if len(with_none) < len(self.spans) else []


def take_stock(cluster: Cluster, table: Table, *, began_ms: int | None) -> Stock:
    """Ask Kafka for the offsets of a table's topics.

    Parameters
    ----------
    began_ms
        When the query's job was started.

    Raises
    ------
    TopicNotFound, BrokerUnreachable, TopicError
        As their names say.
    """
    spans: dict[tuple[str, int], tuple[int, int]] = {}
    for topic in table.topics:
        partitions = cluster.partitions(topic)
        spans |= {(topic, p): span_ for p, span_ in cluster.watermarks(topic, partitions).items()}
    newest = cluster.offsets(dict.fromkeys(spans, admin_api().OffsetSpec.max_timestamp()))
    times = [answer.timestamp for answer in newest.values() if not isinstance(answer, Exception)]
    return Stock(
        table,
        spans,
        _starts(cluster, table, spans, began_ms),
        _ends(cluster, table, spans),
        max((t for t in times if t >= 0), default=None),
        table.group,
    )


def _starts(
    cluster: Cluster, table: Table, spans: Mapping[tuple[str, int], tuple[int, int]], began_ms: int | None
) -> dict[tuple[str, int], int]:
    mode, options = table.startup, table.options
    if mode == "earliest-offset":
        return {key: low for key, (low, _) in spans.items()}
    if mode == "timestamp":
        return _at(cluster, spans, options.get("scan.startup.timestamp-millis", ""))
    if mode == "latest-offset":
        return _at(cluster, spans, str(began_ms or ""))
    if mode == "specific-offsets":
        given = dict(_SPECIFIC.findall(options.get("scan.startup.specific-offsets", "")))
        return {key: int(given[str(key[1])]) for key in spans if str(key[1]) in given}
    if mode == "group-offsets" and table.group:
        return _committed(cluster, table, spans)
    return {}


def _ends(
    cluster: Cluster, table: Table, spans: Mapping[tuple[str, int], tuple[int, int]]
) -> dict[tuple[str, int], int]:
    if table.options.get("scan.bounded.mode") == "timestamp":
        return _at(cluster, spans, table.options.get("scan.bounded.timestamp-millis", ""))
    return {}


def _at(
    cluster: Cluster, spans: Mapping[tuple[str, int], tuple[int, int]], ms: str
) -> dict[tuple[str, int], int]:
    """Return the first offset at or after a time, one after the last where there is none."""
    if not ms.isdigit():
        return {}
    answers = cluster.offsets(dict.fromkeys(spans, admin_api().OffsetSpec.for_timestamp(int(ms))))
    return {
        key: answer.offset if answer.offset >= 0 else spans[key][1]
        for key, answer in answers.items()
        if not isinstance(answer, Exception)
    }


def _committed(
    cluster: Cluster, table: Table, spans: Mapping[tuple[str, int], tuple[int, int]]
) -> dict[tuple[str, int], int]:
    from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition  # noqa: PLC0415

    asked = ConsumerGroupTopicPartitions(table.group, [TopicPartition(*key) for key in spans])
    answer = cluster.result(cluster.admin.list_consumer_group_offsets([asked])[table.group])
    reset = table.options.get("properties.auto.offset.reset", "")
    starts = {}
    for partition in answer.topic_partitions:
        key = (partition.topic, partition.partition)
        if partition.offset >= 0:
            starts[key] = partition.offset
        elif reset in {"earliest", "latest"}:
            starts[key] = spans[key][0 if reset == "earliest" else 1]
    return starts


def trouble(table: Table, error: Exception) -> Finding:
    """Say what stands in the way of looking at a table's topics."""
    topics = ", ".join(table.topics)
    if isinstance(error, TopicNotFound):
        return Finding(
            "no-such-topic",
            f"{error.message}, which the table {table.name} reads",
            error.hint or "%topics lists what there is",
            evidence={"table": table.name, "topic": topics},
        )
    if isinstance(error, Unreachable):
        return Finding(
            "broker-unreachable", error.message, error.hint, evidence={"table": table.name, "topic": topics}
        )
    message = error.message if isinstance(error, SdpError) else f"{type(error).__name__}"
    return Finding(
        "kafka-unclear",
        f"{named(table)} could not be looked at: {message}",
        error.hint if isinstance(error, SdpError) else "",
        certain=False,
        evidence={"table": table.name, "topic": topics},
    )


def findings(stock: Stock, *, read: int | None, caught_up: bool, now_ms: int) -> Iterator[Finding]:
    """Say whether there is nothing to read.

    Parameters
    ----------
    read
        Records that the job's source has read; None where that is not known.
    caught_up
        Whether the source says that nothing is left to read.
    now_ms
        The cluster's clock.
    """
    table, topics = stock.table, ", ".join(stock.table.topics)
    evidence: dict[str, Any] = {
        "table": table.name,
        "topic": topics,
        "records": stock.kept,
        "partitions": len(stock.spans),
        "startup": table.startup,
        "read": read,
        "newest_ms": stock.newest_ms,
    }
    if read or not stock.spans:
        return
    if not stock.kept:
        ever = sum(high for _, high in stock.spans.values())
        past = f" any more: the {count(ever, 'record')} it had are deleted" if ever else ""
        where = count(len(stock.spans), "partition")
        yield Finding(
            "empty-topic",
            f"{named(table)} has no record{past}, in {where}",
            f"%topic {table.topics[0]} shows its configuration; write to it, or read another topic",
            evidence={**evidence, "deleted": ever},
        )
        return
    if stock.ahead == 0 or (read == 0 and caught_up and table.startup != "earliest-offset"):
        yield Finding(
            "startup-past-data",
            f"{table.name} begins {_where(table)}, and all {count(stock.kept, 'record')}{_of(table)} "
            f"lie before that{_newest(stock, now_ms)}",
            _FROM_THE_START,
            evidence={**evidence, "ahead": stock.ahead},
        )
    elif stock.within == 0:
        yield Finding(
            "nothing-between",
            f"{table.name} begins {_where(table)} and ends before "
            f"{_time(table, 'scan.bounded.timestamp-millis')}: of {_whose(table)} "
            f"{count(stock.kept, 'record')}{_of(table)} none lies between{_newest(stock, now_ms)}",
            "widen it with --from and --until",
            evidence={**evidence, "within": 0},
        )


def named(table: Table) -> str:
    """Return a table's topics in words, and the table where it has another name."""
    topics, of_ = ", ".join(table.topics), f" of {table.name}"
    return f"the topic{'s' * (len(table.topics) > 1)} {topics}{of_ * (topics != table.name)}"


def _whose(table: Table) -> str:
    return "the" if _of(table) else "its"


def _of(table: Table) -> str:
    topics = ", ".join(table.topics)
    return f" of {topics}" if topics != table.name else ""


def _newest(stock: Stock, now_ms: int) -> str:
    if stock.newest_ms is None:
        return ""
    return f"; the newest is of {moment(stock.newest_ms)}, {span(now_ms - stock.newest_ms)} ago"


def _where(table: Table) -> str:
    mode = table.startup
    if mode == "latest-offset":
        return "at latest-offset, with what comes after the start of the query"
    if mode == "timestamp":
        return f"at {_time(table, 'scan.startup.timestamp-millis')}"
    if mode == "group-offsets":
        return f"at the offsets of the consumer group {table.group}"
    if mode == "specific-offsets":
        return f"at {table.options.get('scan.startup.specific-offsets', 'given offsets')}"
    return f"at {mode}"


def _time(table: Table, option: str) -> str:
    ms = table.options.get(option, "")
    return moment(int(ms)) if ms.isdigit() else "a given time"
