"""A few records of many topics at once: what they look like, and how large they are."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdp_kernel.kafka.cluster import CALL_SECONDS
from sdp_kernel.kafka.decode import decode_key_column, detect
from sdp_kernel.kafka.offsets import Range
from sdp_kernel.kafka.read import Records, read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sdp_kernel.kafka.cluster import Cluster

_RECORDS = 5
_FURTHER = 500  # where the newest offsets hold nothing: markers of transactions, aborted or compacted records
_QUIET_SECONDS = 2.0


@dataclass(frozen=True)
class Peek:
    """What a few records show; ``mean_bytes`` is of key and value together."""

    format: str | None
    key_format: str | None
    mean_bytes: float

    def size_of(self, messages: int) -> int:
        """Estimate the bytes of so many messages."""
        return round(self.mean_bytes * messages)


def peek(cluster: Cluster, newest: Mapping[str, tuple[int, int, int] | None]) -> dict[str, Peek]:
    """Look at the newest records of topics; a topic that does not answer in time is left out.

    Parameters
    ----------
    newest
        Topic → (partition, low, high) to look at; None for a topic without records.
    """
    until = time.monotonic() + CALL_SECONDS
    places = {topic: place for topic, place in newest.items() if place is not None}
    seen: dict[str, Peek] = {}
    for back in (_RECORDS, _FURTHER):
        wanted = {
            topic: [Range(number, max(low, high - back), high)]
            for topic, (number, low, high) in places.items()
            if topic not in seen
        }
        if not wanted:
            break
        records = read(
            cluster,
            wanted,
            timeout=_QUIET_SECONDS,
            until=until,
            forgive=True,  # one topic that may be described but not read must not hide the others
        )
        seen |= {topic: _peek(cluster, some) for topic, some in records.items() if len(some)}
    return seen


def _peek(cluster: Cluster, records: Records) -> Peek:
    bytes_ = sum(len(v or b"") + len(k or b"") for v, k in zip(records.values, records.keys, strict=True))
    keys = decode_key_column(records.keys, None, cluster.registry)[0] if any(records.keys) else "empty"
    return Peek(detect(records.values, cluster.registry) or "empty", keys, bytes_ / len(records))
