"""Which records of a topic a sample is made of; refused before anything is asked of the cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from sdp_kernel.errors import UsageError
from sdp_kernel.kafka.offsets import At

MAX_BYTES = 512 << 20


@dataclass(frozen=True)
class Selection:
    """Which records of a topic.

    ``n`` is how many; ``at`` says from where: the newest (``tail``), the oldest (``head``), or
    uniformly at random over the offsets (``random``; ``seed`` repeats a choice). ``since`` and
    ``until`` (ms since the epoch), ``partitions`` and ``offset`` (negative: from the end) narrow
    the topic first. ``key`` and ``where`` filter while reading, until ``n`` are found or the range
    ends. Values of more than ``max_bytes`` in all are not kept.
    """

    n: int = 100
    at: At = "tail"
    since: int | None = None
    until: int | None = None
    partitions: tuple[int, ...] | None = None
    offset: int | None = None
    key: str | bytes | None = None
    where: str | None = None
    seed: int | None = None
    max_bytes: int = MAX_BYTES

    def __post_init__(self) -> None:
        if isinstance(self.n, bool) or not isinstance(self.n, int) or self.n < 1:
            raise UsageError(f"a sample of {self.n!r} records", hint="n must be a whole number from 1")
        if self.at not in get_args(At):
            raise UsageError(f"there is no place {self.at!r} in a topic", hint="use tail, head or random")
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise UsageError("the time window is empty: it ends before it begins", hint="swap from and until")
        if self.offset is not None and (self.partitions is None or len(self.partitions) != 1):
            raise UsageError("an offset belongs to one partition", hint="give the partition as well")

    @property
    def filtered(self) -> bool:
        """Whether records are dropped while reading."""
        return self.key is not None or self.where is not None


@dataclass(frozen=True)
class Progress:
    """Where a sample stands: records read, found, and how many there are to read at most."""

    read: int
    found: int
    most: int
