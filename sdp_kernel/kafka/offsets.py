"""Which offsets to read: plans made from watermarks and times, before anything is read.

A plan's cost grows with the sample asked for, never with the topic. Reading is in ``read``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from sdp_kernel.kafka.cluster import admin_api

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sdp_kernel.kafka.cluster import Cluster

Where = Literal["tail", "head"]

# Reading this many records too many is cheaper than asking the brokers for offsets by time.
_SURPLUS = 20_000
_DAY_MS = 86_400_000


@dataclass(frozen=True)
class Range:
    """Offsets ``start`` (inclusive) to ``end`` (exclusive) of one partition.

    ``limit`` is the number of records after which reading stops before ``end``; None for all.
    """

    partition: int
    start: int
    end: int
    limit: int | None = None

    def __len__(self) -> int:
        return max(0, self.end - self.start)


def plan(
    cluster: Cluster, topic: str, watermarks: Mapping[int, tuple[int, int]], n: int, where: Where
) -> list[Range]:
    """Plan the first or last ``n`` records of a topic by time.

    From each partition come its last (first) ``n`` offsets: the newest (oldest) ``n`` records of
    the topic are among them. Where that would read far more than ``n``, the ranges are narrowed
    to the offsets after (before) a time, found with ListOffsets.
    """
    ranges = []
    for partition, (low, high) in watermarks.items():
        if where == "tail":
            ranges.append(Range(partition, max(low, high - n), high))
        else:
            ranges.append(Range(partition, low, high, limit=n))
    ranges = [r for r in ranges if len(r)]
    reach = sum(min(len(r), n) for r in ranges)
    if len(ranges) < 2 or reach - n <= _SURPLUS:  # noqa: PLR2004
        return ranges
    return _narrow(ranges, n, where, lambda ms: _offsets_at(cluster, topic, ranges, ms))


def _offsets_at(cluster: Cluster, topic: str, ranges: Sequence[Range], ms: int) -> dict[int, int] | None:
    """Return partition → first offset with a timestamp of at least ``ms``; None on any error."""
    spec = admin_api().OffsetSpec.for_timestamp(ms)
    answers = cluster.offsets({(topic, r.partition): spec for r in ranges})
    if any(isinstance(answer, Exception) for answer in answers.values()):
        return None
    ends = {r.partition: r.end for r in ranges}
    return {
        partition: answer.offset if answer.offset >= 0 else ends[partition]
        for (_, partition), answer in answers.items()
    }


def _narrow(
    ranges: list[Range],
    n: int,
    where: Where,
    offsets_at: Callable[[int], dict[int, int] | None],
) -> list[Range]:
    """Cut ``ranges`` at a time so that they hold at least ``n`` offsets, and few more."""

    def cut(ms: int) -> list[Range] | None:
        at = offsets_at(ms)
        if at is None:
            return None
        if where == "tail":
            return [replace(r, start=min(max(r.start, at[r.partition]), r.end)) for r in ranges]
        return [replace(r, end=max(min(r.end, at[r.partition]), r.start)) for r in ranges]

    def reach(cuts: list[Range]) -> int:
        return sum(len(r) if r.limit is None else min(len(r), r.limit) for r in cuts)

    best = ranges
    few, enough = (time.time_ns() // 1_000_000 + _DAY_MS, 0)
    if where == "head":
        few, enough = enough, few
    while abs(few - enough) > 1 and reach(best) - n > _SURPLUS:
        middle = (few + enough) // 2
        cuts = cut(middle)
        if cuts is None:
            return ranges
        if reach(cuts) >= n:
            best, enough = cuts, middle
        else:
            few = middle
    return [r for r in best if len(r)]


def further_back(ranges: Sequence[Range], watermarks: Mapping[int, tuple[int, int]]) -> list[Range]:
    """Plan the offsets before ``ranges``, twice as many.

    Compaction and transactions leave offsets without a record, so a range can hold fewer
    records than offsets.
    """
    earlier = []
    for r in ranges:
        low = watermarks[r.partition][0]
        if r.start > low:
            earlier.append(Range(r.partition, max(low, r.start - 2 * max(len(r), 1)), r.start))
    return earlier
