"""Which offsets to read: plans made from watermarks and times, before anything is read.

A plan's cost grows with the sample asked for, never with the topic. Reading is in ``read``.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from sdp_kernel.kafka.cluster import admin_api

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sdp_kernel.kafka.cluster import Cluster

At = Literal["tail", "head", "random"]
Spans: TypeAlias = "Mapping[int, tuple[int, int]]"

# Reading this many records too many is cheaper than asking the brokers for offsets by time.
_SURPLUS = 20_000
_DAY_MS = 86_400_000
_RUNS = 50
_ROUNDS = 12
_FIRST_SCAN, _MOST_SCAN = 20_000, 1_000_000


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


def window(
    cluster: Cluster,
    topic: str,
    watermarks: Spans,
    *,
    since: int | None = None,
    until: int | None = None,
    offset: int | None = None,
) -> dict[int, tuple[int, int]]:
    """Narrow (low, high) of each partition to a time, or to start at an offset.

    Parameters
    ----------
    since, until
        ms since the epoch. From the first record at or after ``since``, and before the first at or
        after ``until``: with timestamps out of order the window can hold others, and records
        earlier than ``until`` can come after it.
    offset
        Where to start; negative counts from the end. Cut to what is kept.
    """
    spans = dict(watermarks)
    for moment, side in ((since, 0), (until, 1)):
        if moment is None:
            continue
        spec = admin_api().OffsetSpec.for_timestamp(moment)
        for (_, partition), answer in cluster.offsets({(topic, p): spec for p in spans}).items():
            if isinstance(answer, Exception):
                raise answer
            low, high = spans[partition]
            at = min(max(low, answer.offset), high) if answer.offset >= 0 else high
            spans[partition] = (at, high) if side == 0 else (low, at)
    if offset is not None:
        spans = {
            p: (min(max(low, offset if offset >= 0 else high + offset), high), high)
            for p, (low, high) in spans.items()
        }
    return spans


def rounds(
    cluster: Cluster, topic: str, spans: Spans, n: int, at: At, *, filtered: bool, seed: int | None = None
) -> Iterator[list[Range]]:
    """Give plans one after the other, for as long as more records are wanted.

    Offsets without a record (compaction, transactions) and records that a filter drops make one
    plan too few. ``filtered`` reads a tail in pieces of growing size, backwards, and a head as it is.
    """
    if at == "random":
        chance = random.Random(seed)  # noqa: S311
        total = sum(high - low for low, high in spans.values())
        wanted = n
        for _ in range(_ROUNDS):
            yield scatter(spans, wanted, chance)
            if wanted >= total:
                return
            wanted *= 2
    elif at == "head":
        yield (
            [Range(p, *span) for p, span in spans.items()]
            if filtered
            else plan(cluster, topic, spans, n, "head")
        )
    else:
        reach = max(_FIRST_SCAN // max(1, len(spans)), n) if filtered else n
        ranges = plan(cluster, topic, spans, reach, "tail")
        while ranges:
            yield ranges
            ranges = further_back(ranges, spans, most=_MOST_SCAN // max(1, len(spans)))


def scatter(spans: Spans, n: int, chance: random.Random) -> list[Range]:
    """Plan ``n`` offsets at random: each offset is as likely as any other.

    The offsets of all partitions, end to end, are cut into up to 50 parts of about one size; from each part
    comes a run of neighbouring offsets that begins at a random place in it. So the sample covers
    the topic evenly, and its cost is that of at most 50 seeks, however long the topic is.
    """
    total = sum(high - low for low, high in spans.values())
    if n >= total:
        return [Range(p, low, high) for p, (low, high) in spans.items() if high > low]
    runs = min(n, _RUNS)
    pieces: list[tuple[int, int]] = []
    for number in range(runs):
        before, behind = n * number // runs, n * (number + 1) // runs
        first, after = total * before // n, total * behind // n
        length = behind - before
        start = chance.randrange(first, after)
        pieces += [(start, min(start + length, after)), (first, max(first, start + length - after + first))]
        if start + length <= after:
            pieces.pop()
    return _located(sorted(pieces), spans)


def _located(pieces: Sequence[tuple[int, int]], spans: Spans) -> list[Range]:
    """Translate (start, end) on the line of all offsets into ranges of partitions."""
    ranges = []
    begin = 0
    for partition, (low, high) in spans.items():
        end = begin + high - low
        for start, stop in pieces:
            inside, outside = max(start, begin), min(stop, end)
            if inside < outside:
                ranges.append(Range(partition, low + inside - begin, low + outside - begin))
        begin = end
    return ranges


def plan(cluster: Cluster, topic: str, watermarks: Spans, n: int, at: Literal["tail", "head"]) -> list[Range]:
    """Plan the first or last ``n`` records of a topic by time.

    From each partition come its last (first) ``n`` offsets: the newest (oldest) ``n`` records of
    the topic are among them. Where that would read far more than ``n``, the ranges are narrowed
    to the offsets after (before) a time, found with ListOffsets.
    """
    ranges = []
    for partition, (low, high) in watermarks.items():
        if at == "tail":
            ranges.append(Range(partition, max(low, high - n), high))
        else:
            ranges.append(Range(partition, low, high, limit=n))
    ranges = [r for r in ranges if len(r)]
    reach = sum(min(len(r), n) for r in ranges)
    if len(ranges) < 2 or reach - n <= _SURPLUS:  # noqa: PLR2004
        return ranges
    return _narrow(ranges, n, at, lambda ms: _offsets_at(cluster, topic, ranges, ms))


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
    at: Literal["tail", "head"],
    offsets_at: Callable[[int], dict[int, int] | None],
) -> list[Range]:
    """Cut ``ranges`` at a time so that they hold at least ``n`` offsets, and few more."""

    def cut(ms: int) -> list[Range] | None:
        first = offsets_at(ms)
        if first is None:
            return None
        if at == "tail":
            return [replace(r, start=min(max(r.start, first[r.partition]), r.end)) for r in ranges]
        return [replace(r, end=max(min(r.end, first[r.partition]), r.start)) for r in ranges]

    def reach(cuts: list[Range]) -> int:
        return sum(len(r) if r.limit is None else min(len(r), r.limit) for r in cuts)

    best = ranges
    few, enough = (time.time_ns() // 1_000_000 + _DAY_MS, 0)
    if at == "head":
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


def further_back(ranges: Sequence[Range], watermarks: Spans, *, most: int = 2**62) -> list[Range]:
    """Plan the offsets before ``ranges``, twice as many but at most ``most`` a partition."""
    earlier = []
    for r in ranges:
        low = watermarks[r.partition][0]
        if r.start > low:
            reach = min(2 * max(len(r), 1), most)
            earlier.append(Range(r.partition, max(low, r.start - reach), r.start))
    return earlier
