"""Samples: some records of a topic as a table. Joins no consumer group and commits nothing."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import UsageError
from sdp_kernel.kafka.build import FIELD, JSON_TEXT, METADATA, Assembly, Built, Reading
from sdp_kernel.kafka.cluster import check_topic_name
from sdp_kernel.kafka.decode import FORMATS, KEY_FORMATS, REGISTRY_FORMATS, Options, decoder
from sdp_kernel.kafka.filter import Filter
from sdp_kernel.kafka.offsets import rounds, window
from sdp_kernel.kafka.read import Ending, Records, collector_paused, join, stream
from sdp_kernel.kafka.selection import MAX_BYTES, Progress, Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    import pandas as pd

    from sdp_kernel.kafka.cluster import Cluster
    from sdp_kernel.kafka.offsets import At

__all__ = ["FIELD", "JSON_TEXT", "METADATA", "Progress", "Sample", "Selection", "sample"]
_EVALUATED = 20_000
_PROGRESS_SECONDS = 0.25


@dataclass(frozen=True)
class Sample:
    """Some records of a topic, oldest first.

    Attributes
    ----------
    topic, format, key_format
        Name, and the formats values and keys were read as; ``empty`` where there was none to detect.
    table
        ``pyarrow.Table``: the value's fields in the order first seen, then ``_key``,
        ``_partition``, ``_offset``, ``_timestamp`` (timestamp[ms, UTC]) and ``_headers``, then what
        the format adds (``_schema_id``, ``_op``); where something could not be decoded, also
        ``_error`` (reason) and ``_raw`` (the value's bytes).
    requested
        Records asked for; ``len()`` is what there is.
    read
        Records read from the brokers to find them.
    offsets
        Partition → (first offset looked at, one after the last).
    errors
        Rows that could not be decoded.
    tombstones
        Records without a value.
    complete
        False where reading ended early; ``stopped`` says why.
    stopped
        ``""``, ``time-out`` (the brokers gave nothing more), ``size limit`` or ``interrupted``.
    value_bytes
        Size of each row's value in bytes (numpy, int64).
    options
        How the format was read.
    """

    topic: str
    format: str
    table: Any = field(repr=False)
    requested: int
    read: int
    offsets: Mapping[int, tuple[int, int]] = field(repr=False)
    errors: int = 0
    tombstones: int = 0
    stopped: str = ""
    key_format: str = "empty"
    value_bytes: Any = field(default=None, repr=False)
    options: Options = field(default_factory=Options, repr=False)

    @classmethod
    def of(
        cls,
        topic: str,
        built: Built,
        *,
        mask: Callable[[Any], Any],
        requested: int,
        read: int,
        offsets: Mapping[int, tuple[int, int]],
        stopped: str,
    ) -> Sample:
        """Make a sample of what was built, masked."""
        return cls(
            topic=topic,
            format=built.value_format,
            table=mask(built.table),
            requested=requested,
            read=read,
            offsets=offsets,
            errors=built.errors,
            tombstones=built.tombstones,
            stopped=stopped,
            key_format=built.key_format,
            value_bytes=built.value_bytes,
            options=built.options,
        )

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def complete(self) -> bool:
        """Whether everything planned was read."""
        return not self.stopped

    @cached_property
    def df(self) -> pd.DataFrame:
        """The table as a pandas DataFrame; integers with nulls stay integers (``Int64``)."""
        from sdp_kernel.frames import to_pandas  # noqa: PLC0415

        return to_pandas(self.table)

    @property
    def value_columns(self) -> list[str]:
        """Names of the columns that come from the record's value."""
        names = self.table.column_names
        return list(names[: names.index("_key")])

    @property
    def fields(self) -> dict[str, str]:
        """Column → the value's field it shows.

        They differ where the field has the name of a metadata column: ``_key`` is shown as
        ``_key_``. A column that shows the whole value is not listed.
        """
        return {
            column.name: column.metadata[FIELD].decode()
            for column in self.table.schema
            if column.metadata and FIELD in column.metadata
        }

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Give the table to polars, DuckDB and others without a copy (Arrow PyCapsule)."""
        return self.table.__arrow_c_stream__(requested_schema)


def sample(
    cluster: Cluster,
    topic: str,
    *,
    n: int = 100,
    at: At = "tail",
    since: int | None = None,
    until: int | None = None,
    partitions: Collection[int] | None = None,
    offset: int | None = None,
    key: str | bytes | None = None,
    where: str | None = None,
    seed: int | None = None,
    format: str | None = None,  # noqa: A002
    key_format: str | None = None,
    options: Options | None = None,
    timeout: float = 10.0,
    max_bytes: int = MAX_BYTES,
    mask: Callable[[Any], Any] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Sample:
    """Read some records of a topic: see :class:`Selection` for which.

    Newest and oldest go by the records' timestamps, then partition and offset; rows are in that
    order. An interrupt ends reading and keeps what came.

    Parameters
    ----------
    format, key_format
        One of ``decode.FORMATS``; None to detect it from the bytes.
    options
        How to read the format.
    timeout
        Seconds without a new record after which reading stops.
    mask
        Takes and returns a ``pyarrow.Table``; applied before anything is compared with ``where``.
    on_progress
        Called up to four times a second while reading.

    Raises
    ------
    UsageError
        An argument cannot be right; nothing has been asked of the cluster. Also where ``where``
        names a column that no record has.
    TopicNotFound
        With close matches in the hint.
    BrokerUnreachable
        Nobody answers.
    TopicError
        Kafka refused to give records.
    """
    check_topic_name(topic)
    if not timeout > 0:
        raise UsageError(f"the time-out is {timeout:g} s", hint="give more than 0 seconds")
    chosen = Selection(
        n, at, since, until, tuple(sorted(set(partitions))) if partitions is not None else None,
        offset, key, where, seed, max_bytes,
    )  # fmt: skip
    reading = reading_of(cluster, format, key_format, options)
    if offset is not None and at == "tail":
        chosen = replace(chosen, at="head")
    run = _Run(cluster, topic, chosen, reading, mask, on_progress)
    return run.sample(timeout)


def reading_of(
    cluster: Cluster, value_format: str | None, key_format: str | None, options: Options | None = None
) -> Reading:
    """Return how to read a topic's bytes.

    Raises
    ------
    UsageError
        There is no such format, or it needs a schema registry and the cluster has none.
    """
    for name, known in ((value_format, FORMATS), (key_format, KEY_FORMATS)):
        if name is not None and name not in known:
            raise UsageError(f"there is no format {name!r} here", hint=f"use one of: {', '.join(known)}")
        if name in REGISTRY_FORMATS:
            decoder(name, registry=cluster.registry)
    return Reading(value_format, key_format, options or Options(), cluster.registry)


def chosen_spans(cluster: Cluster, topic: str, selection: Selection) -> dict[int, tuple[int, int]]:
    """Return the offsets (low, high) a selection is made from, by partition.

    Raises
    ------
    UsageError
        The topic has no such partition, or no topic can have this name.
    TopicNotFound, BrokerUnreachable
        As their names say.
    """
    s = selection
    there = cluster.partitions(topic)
    if s.partitions is not None and (unknown := sorted(set(s.partitions) - set(there))):
        raise UsageError(
            f"topic {topic!r} has no partition {', '.join(map(str, unknown))}",
            hint=f"it has the partitions 0 to {len(there) - 1}",
        )
    watermarks = cluster.watermarks(topic, there if s.partitions is None else s.partitions)
    return window(cluster, topic, watermarks, since=s.since, until=s.until, offset=s.offset)


class _Run:
    """One sample in the making."""

    def __init__(
        self,
        cluster: Cluster,
        topic: str,
        selection: Selection,
        reading: Reading,
        mask: Callable[[Any], Any] | None,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self.cluster, self.topic, self.selection, self.reading = cluster, topic, selection, reading
        self.mask = mask or (lambda table: table)
        self.on_progress = on_progress
        self.filter = Filter(reading, key=selection.key, where=selection.where, mask=self.mask)
        self.assembly = Assembly(reading)
        self.read = self.bytes = self.most = 0
        self.last: dict[int, int] = {}
        self.reached: dict[int, int] = {}
        self.seen: dict[int, tuple[int, int]] = {}
        self.known: set[tuple[int, int]] = set()
        self.stopped = ""
        self._next = 0.0

    def sample(self, timeout: float) -> Sample:
        spans = chosen_spans(self.cluster, self.topic, self.selection)
        self.most = sum(high - low for low, high in spans.values())
        s = self.selection
        with closing(self.assembly), collector_paused():
            try:
                for ranges in rounds(
                    self.cluster, self.topic, spans, s.n, s.at, filtered=s.filtered, seed=s.seed
                ):
                    for r in ranges:
                        low, high = self.seen.get(r.partition, (r.start, r.end))
                        self.seen[r.partition] = (min(low, r.start), max(high, r.end))
                    self._read(ranges, timeout)
                    if self.stopped or len(self.assembly) >= s.n:
                        break
            except KeyboardInterrupt:
                self.stopped = "interrupted"
            built = self.assembly.finish(self._order)
        if not len(self.assembly):
            self.filter.check()
        return self._made(built, spans)

    def _read(self, ranges: list[Any], timeout: float) -> None:
        ending = Ending()
        s = self.selection
        pending: list[Records] = []
        with closing(stream(self.cluster, {self.topic: ranges}, timeout=timeout, ending=ending)) as parts:
            for _, records in parts:
                self.read += len(records)
                self._note(records)
                if not s.filtered:
                    self._keep(records)
                else:
                    pending.append(records)
                    if sum(map(len, pending)) >= _EVALUATED or s.at == "head":
                        self._keep(self.filter.keep(join(pending)))
                        pending = []
                self._tell()
                if self.stopped or (s.filtered and s.at == "head" and self._enough(ranges)):
                    return
        if pending:
            self._keep(self.filter.keep(join(pending)))
        if not ending.complete:
            self.stopped = "time-out"

    def _note(self, records: Records) -> None:
        import numpy as np  # noqa: PLC0415

        for partition in np.unique(records.partitions).tolist():
            mine = records.partitions == partition
            self.last[partition] = max(self.last.get(partition, -1), int(records.offsets[mine].max()))
            self.reached[partition] = max(
                self.reached.get(partition, -1), int(records.timestamps[mine].max())
            )

    def _enough(self, ranges: list[Any]) -> bool:
        """Whether the oldest matches are found: no partition can still give an older one."""
        if len(self.assembly) < self.selection.n:
            return False
        oldest = self.assembly.oldest(self.selection.n)
        return all(
            self.reached.get(r.partition, -1) >= oldest or self.last.get(r.partition, -1) >= r.end - 1
            for r in ranges
        )

    def _keep(self, records: Records) -> None:
        import numpy as np  # noqa: PLC0415

        s = self.selection
        if s.since is not None or s.until is not None:
            low = -(2**63) if s.since is None else s.since
            high = 2**63 - 1 if s.until is None else s.until
            inside = (records.timestamps >= low) & (records.timestamps < high)
            records = records.pick(np.flatnonzero(inside))
        if s.at == "random":  # a later round may meet an offset again
            keys = zip(records.partitions.tolist(), records.offsets.tolist(), strict=True)
            new = [row for row, at in enumerate(keys) if at not in self.known]
            records = records.pick(np.array(new, np.int64))
            self.known.update(zip(records.partitions.tolist(), records.offsets.tolist(), strict=True))
        sizes = records.sizes.cumsum() + self.bytes
        if len(sizes) and sizes[-1] > s.max_bytes:
            self.stopped = "size limit"
            fitting = int(np.searchsorted(sizes, s.max_bytes, side="right"))
            records = records.pick(np.arange(fitting if len(self.assembly) else max(fitting, 1)))
        self.bytes = int(sizes[-1]) if len(sizes) else self.bytes
        self.assembly.reading = self.filter.reading
        self.assembly.add(records)

    def _order(self, timestamps: Any, partitions: Any, offsets: Any) -> Any:
        """Order by (timestamp, partition, offset) and keep the last or first ``n``."""
        import numpy as np  # noqa: PLC0415

        s = self.selection
        if bool(np.all(np.diff(timestamps) >= 0)) and len(set(partitions[:1]) | set(self.last)) < 2:  # noqa: PLR2004
            order = np.arange(len(timestamps))
        else:
            order = np.lexsort((offsets, partitions, timestamps))
        if len(order) <= s.n:
            return order
        if s.at == "random":  # a round may find more than were missing
            chosen = np.random.default_rng(s.seed).choice(len(order), s.n, replace=False)
            return order[np.sort(chosen)]
        return order[-s.n :] if s.at == "tail" else order[: s.n]

    def _tell(self) -> None:
        now = time.monotonic()
        if self.on_progress is not None and now >= self._next:
            self._next = now + _PROGRESS_SECONDS
            self.on_progress(Progress(self.read, len(self.assembly), self.most))

    def _made(self, built: Built, spans: Mapping[int, tuple[int, int]]) -> Sample:
        offsets = {}
        partial = self.selection.at == "head" or bool(self.stopped)
        for partition, (_, high) in spans.items():
            low, end = self.seen.get(partition, (high, high))
            if partial and partition in self.seen:
                end = min(end, self.last.get(partition, low - 1) + 1)
            offsets[partition] = (low, end)
        return Sample.of(
            self.topic,
            built,
            mask=self.mask,
            requested=self.selection.n,
            read=self.read,
            offsets=offsets,
            stopped=self.stopped,
        )
