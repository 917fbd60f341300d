"""From where to where a query read its topics: their offsets as it started and when it had ended.

Flink tells nobody which offsets a bounded source has read once its job is gone, so Kafka is asked beside
the query, in a thread that the query does not wait for.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import SdpError
from sdp_kernel.flink.declared import pairs, read_table
from sdp_kernel.flink.script import significant
from sdp_kernel.flink.sources import scan
from sdp_kernel.promote.objects import in_force, object_names, reachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sdp_kernel.flink.ledger import Entry
    from sdp_kernel.flink.query import Query
    from sdp_kernel.flink.session import Session
    from sdp_kernel.kafka.cluster import Cluster

_ALIAS = re.compile(r"(?<!\$)\$\{kafka\.(\w+)\}")
_KAFKA = frozenset({"kafka", "upsert-kafka"})
_ALL_READ = "finished"
_SETTLE_S = 3.0
_SPECIFIC = re.compile(r"partition:(\d+),offset:(\d+)")


@dataclass
class _Table:
    """A Kafka table that a query may read, and the offsets of its topics, as (low, high)."""

    name: str
    alias: str | None
    topics: tuple[str, ...]
    connector: str
    options: dict[str, str]
    begin: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    end: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    reason: str | None = None


class Reading:
    """Watches the topics of one query, from its start on."""

    def __init__(self, query: Query, session: Session, cluster: Callable[[str], Cluster]) -> None:
        self._query = query
        self._session = session
        self._cluster = cluster
        self._tables: list[_Table] = []
        self._views: list[str] = []
        self._thread = threading.Thread(target=self._watch, daemon=True, name="sdp-offsets")
        self._thread.start()

    def _watch(self) -> None:
        try:
            self._tables, self._views = _tables_of(self._query, self._session)
            self._look("begin")
            if self._tables:
                self._query.over(None)
                self._look("end")
        except Exception as error:  # noqa: BLE001 - what nobody waits for fails nobody
            for table in self._tables:
                table.reason = table.reason or f"its offsets cannot be had: {error}"

    def _look(self, side: str) -> None:
        for table in self._tables:
            if table.reason is not None or table.alias is None:
                continue
            try:
                cluster = self._cluster(table.alias)
                for topic in table.topics:
                    marks = cluster.watermarks(topic, cluster.partitions(topic))
                    getattr(table, side).update({(topic, p): span for p, span in marks.items()})
            except SdpError as error:
                table.reason = f"Kafka did not tell: {error.message}"

    def reads(self) -> list[dict[str, Any]]:
        """Return what was read of each table, as a receipt has it; waits a moment for what is on its way."""
        if self._query.over():
            self._thread.join(_SETTLE_S)
        hints = _hints([self._query.sql, *self._views])
        return [self._read(table, {**table.options, **hints.get(table.name, {})}) for table in self._tables]

    def _read(self, table: _Table, options: Mapping[str, str]) -> dict[str, Any]:
        upsert = table.connector == "upsert-kafka"
        start = "earliest-offset" if upsert else options.get("scan.startup.mode", "group-offsets")
        stop = options.get("scan.bounded.mode", "unbounded")
        batch = self._query.config.get("execution.runtime-mode", "").lower() == "batch"
        found: dict[str, Any] = {
            "table": table.name, "cluster": table.alias, "topics": list(table.topics),
            "startup": start, "bounded": stop, "partitions": None, "offsets": None, "exact": False,
            "reason": table.reason,
        }  # fmt: skip
        if table.reason is not None:
            return found
        if not table.begin or not table.end:
            return {**found, "reason": "its offsets were not looked at from the start to the end of the run"}
        spans = {key: _span(key, table, start, stop, options, self._cluster) for key in sorted(table.begin)}
        known = all(first is not None for first, _ in spans.values())
        moved = table.begin != {key: table.end.get(key) for key in table.begin}
        ended = self._query.state == _ALL_READ and (stop != "unbounded" or batch)
        why = None
        if not known:
            why = f"Kafka does not tell where {start} began"
        elif not ended:
            why = f"the run was ended ({self._query.state}): it read no further than this, and maybe less"
        elif moved and stop == "latest-offset":
            why = "records came or went during the run: it may have read a few more"
        return {
            **found,
            "partitions": [
                {"topic": topic, "partition": partition, "start": first, "end": last}
                for (topic, partition), (first, last) in spans.items()
            ],
            "offsets": sum(max(last - (first or 0), 0) for first, last in spans.values()) if known else None,
            "exact": why is None,
            "reason": why,
        }


def _span(
    key: tuple[str, int],
    table: _Table,
    start: str,
    stop: str,
    options: Mapping[str, str],
    cluster: Callable[[str], Cluster],
) -> tuple[int | None, int]:
    """Return the first offset read of a partition, None where not known, and the one after the last."""
    low, high = table.begin[key]
    first: int | None = {"earliest-offset": low, "latest-offset": high}.get(start)
    if start == "specific-offsets":
        first = _specific(options.get("scan.startup.specific-offsets", "")).get(key[1])
    elif start == "timestamp":
        first = _at(cluster, table, key, options.get("scan.startup.timestamp-millis"), table.end[key][1])
    last = high if stop == "latest-offset" else table.end.get(key, (low, high))[1]
    if stop == "specific-offsets":
        last = _specific(options.get("scan.bounded.specific-offsets", "")).get(key[1], last)
    elif stop == "timestamp":
        last = _at(cluster, table, key, options.get("scan.bounded.timestamp-millis"), last) or last
    return first, last


def _at(
    cluster: Callable[[str], Cluster],
    table: _Table,
    key: tuple[str, int],
    moment: str | None,
    otherwise: int,
) -> int | None:
    """Return the first offset at or after a time in epoch ms."""
    if table.alias is None or moment is None or not moment.isdigit():
        return None
    from sdp_kernel.kafka.cluster import admin_api  # noqa: PLC0415 - loads Kafka's client

    answer = cluster(table.alias).offsets({key: admin_api().OffsetSpec.for_timestamp(int(moment))})[key]
    if isinstance(answer, Exception):
        return None
    return int(answer.offset) if answer.offset >= 0 else otherwise


def _specific(text: str) -> dict[int, int]:
    return {int(partition): int(offset) for partition, offset in _SPECIFIC.findall(text)}


def _tables_of(query: Query, session: Session) -> tuple[list[_Table], list[str]]:
    """Return the Kafka tables whose names a query's text leads to, and the texts of views on the way.

    What an INSERT writes to is none of them.
    """
    part = reachable(query.statement.text, in_force(session.ledger.shaping))
    groups = part.objects
    views = [
        session.render(entry.text, entry.parameters).text
        for group in groups
        for entry in group
        if entry.kind.endswith("VIEW")
    ]
    texts = [session.render(query.statement.text, query.parameters).text, *views]
    read = {reference.parts[-1] for text in texts for reference in scan(text).references}
    tables = []
    for group in groups:
        if group[0].kind.endswith("TABLE") and object_names(group) & read:
            options = _options(session, group)
            if options.get("connector") in _KAFKA:
                name = min(object_names(group) & read)
                tables.append(_table(name, group, options))
    return tables, views


def _options(session: Session, group: tuple[Entry, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in group:
        text = session.render(entry.text, entry.parameters).text
        if entry.kind.startswith("CREATE"):
            found.update(read_table(text).options)
        else:
            found.update(pairs(significant(text)))
    return found


def _table(name: str, group: tuple[Entry, ...], options: dict[str, str]) -> _Table:
    aliases = {alias for entry in group for alias in _ALIAS.findall(entry.text)}
    topics = tuple(filter(None, options.get("topic", "").split(";")))
    table = _Table(name, next(iter(aliases), None), topics, options["connector"], options)
    if table.alias is None:
        table.reason = "its connection is written out and none of the profile's"
    elif not topics:
        table.reason = "its topics are given by a pattern"
    return table


def _hints(texts: list[str]) -> dict[str, dict[str, str]]:
    """Return the options in hints behind tables' names, by the last part of the name."""
    found: dict[str, dict[str, str]] = {}
    for text in texts:
        for reference in scan(text).references:
            if reference.hint is not None:
                inner = significant(reference.hint.text.removeprefix("/*+").removesuffix("*/"))
                starts = [at for at, token in enumerate(inner) if token.upper == "OPTIONS"]
                for at in starts:
                    found.setdefault(reference.parts[-1], {}).update(pairs(inner[at + 1 :]))
    return found
