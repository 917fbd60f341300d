"""Follow a topic: its newest records, again and again, until somebody has seen enough."""

from __future__ import annotations

import time
from collections import deque
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import UsageError
from sdp_kernel.kafka.build import build
from sdp_kernel.kafka.filter import Filter
from sdp_kernel.kafka.offsets import Range
from sdp_kernel.kafka.read import join, stream
from sdp_kernel.kafka.sample import Sample, chosen_spans, reading_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sdp_kernel.kafka.build import Reading
    from sdp_kernel.kafka.cluster import Cluster
    from sdp_kernel.kafka.decode import Options
    from sdp_kernel.kafka.read import Records
    from sdp_kernel.kafka.selection import Selection

_DRAW_SECONDS = 0.25
_RATE_SECONDS = 5.0
_FOREVER = 2**62


@dataclass(frozen=True)
class Following:
    """Where it stands: the newest records, how many were seen and found since the start.

    ``rate`` is records seen a second, over the last 5 seconds.
    """

    sample: Sample
    seen: int
    found: int
    rate: float
    seconds: float


def follow(
    cluster: Cluster,
    topic: str,
    selection: Selection,
    *,
    format: str | None = None,  # noqa: A002
    key_format: str | None = None,
    options: Options | None = None,
    seconds: float | None = None,
    mask: Callable[[Any], Any] | None = None,
    on_update: Callable[[Following], None] | None = None,
) -> Sample:
    """Read what comes from now on, and keep the newest ``selection.n`` records.

    Ends at an interrupt or after ``seconds``. Kept are only records that ``selection.key`` and
    ``selection.where`` let through.

    Parameters
    ----------
    on_update
        Called up to four times a second.

    Raises
    ------
    UsageError, TopicNotFound, BrokerUnreachable, TopicError
        As ``sample``.
    """
    if selection.at != "tail" or selection.since is not None or selection.until is not None:
        raise UsageError(
            "following begins at the end of the topic",
            hint="leave out head, random, from and until; take a sample for what was before",
        )
    reading = reading_of(cluster, format, key_format, options)
    spans = chosen_spans(cluster, topic, selection)
    run = _Run(topic, selection, reading, mask or (lambda table: table), spans)
    started = time.monotonic()
    drawn = 0.0
    wanted = {topic: [Range(p, high, _FOREVER) for p, (_, high) in spans.items()]}
    end = float("inf") if seconds is None else started + seconds
    stopped = ""
    try:
        with closing(stream(cluster, wanted, timeout=float("inf"), until=end, follow=True)) as parts:
            for _, records in parts:
                run.add(records)
                now = time.monotonic()
                if on_update is not None and now >= drawn + _DRAW_SECONDS:
                    drawn = now
                    on_update(run.state(now - started))
    except KeyboardInterrupt:
        stopped = "interrupted"
    last = run.state(time.monotonic() - started, stopped)
    if on_update is not None:
        on_update(last)
    return last.sample


class _Run:
    """The records kept, and counts."""

    def __init__(
        self,
        topic: str,
        selection: Selection,
        reading: Reading,
        mask: Callable[[Any], Any],
        spans: Mapping[int, tuple[int, int]],
    ) -> None:
        self.topic, self.selection, self.reading, self.mask = topic, selection, reading, mask
        self.filter = Filter(reading, key=selection.key, where=selection.where, mask=mask)
        self.spans = {p: (high, high) for p, (_, high) in spans.items()}
        self.seen = self.found = 0
        self._kept: Records = join([])
        self._made: Sample | None = None
        self._times: deque[tuple[float, int]] = deque()

    def add(self, records: Records) -> None:
        now = time.monotonic()
        self._times.append((now, len(records)))
        while self._times[0][0] < now - _RATE_SECONDS:
            self._times.popleft()
        if not len(records):
            return
        self.seen += len(records)
        for partition, offset in zip(records.partitions.tolist(), records.offsets.tolist(), strict=True):
            low, end = self.spans[partition]
            self.spans[partition] = (low, max(end, offset + 1))
        records = self.filter.keep(records)
        self.found += len(records)
        if len(records):
            self._kept = _newest([self._kept, records], self.selection)
            self._made = None

    def state(self, seconds: float, stopped: str = "") -> Following:
        if self._made is None or stopped:
            self._made = self._sample(stopped)
        rate = sum(count for _, count in self._times) / min(max(seconds, 0.25), _RATE_SECONDS)
        return Following(self._made, self.seen, self.found, rate, seconds)

    def _sample(self, stopped: str) -> Sample:
        return Sample.of(
            self.topic,
            build(self.filter.reading, self._kept),
            mask=self.mask,
            requested=self.selection.n,
            read=self.seen,
            offsets=dict(self.spans),
            stopped=stopped,
        )


def _newest(parts: list[Records], selection: Selection) -> Records:
    """Return the newest records by time, no more than wanted and no more than fit."""
    import numpy as np  # noqa: PLC0415

    both = join(parts)
    rows = np.lexsort((both.offsets, both.partitions, both.timestamps))[-selection.n :]
    sizes = both.sizes[rows][::-1].cumsum()
    fitting = max(1, int(np.searchsorted(sizes, selection.max_bytes, side="right")))
    return both.pick(rows[-fitting:])
