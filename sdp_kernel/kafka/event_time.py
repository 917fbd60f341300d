"""Which columns are event times, in which notation, and how late records come."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

ISO = "ISO-8601"
SQL = "SQL"
STANDARDS = (ISO, SQL)

# Flink's json format: with a zone only 'Z' is read, and seconds are given
# (org.apache.flink.formats.common.TimeFormats).
_TIME = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})(?P<sep>[T ])(?P<time>[0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?:\.(?P<fraction>[0-9]{1,9}))?(?P<zone>Z?)",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  times are taken as they are written
_DELAYS = (  # ms, literal: Flink's interval fields have two digits unless told otherwise
    *((s * 1_000, f"INTERVAL '{s}' SECOND") for s in (1, 2, 5, 10, 30)),
    *((m * 60_000, f"INTERVAL '{m}' MINUTE") for m in (1, 2, 5, 10, 30)),
    *((h * 3_600_000, f"INTERVAL '{h}' HOUR") for h in (1, 2, 6, 12)),
    *((d * 86_400_000, f"INTERVAL '{d}' DAY") for d in (1, 2, 7, 14, 30, 90)),
)


@dataclass(frozen=True)
class EventTime:
    """A column of timestamps as text.

    ``standard`` is the ``json.timestamp-format.standard`` that reads it; ``zoned`` tells whether
    its values end with ``Z``; ``millis`` are ms since the epoch by row, None for null.
    """

    standard: str
    zoned: bool
    precision: int
    millis: tuple[int | None, ...]

    @property
    def type(self) -> str:
        """The Flink SQL type."""
        return f"TIMESTAMP{'_LTZ' if self.zoned else ''}({self.precision})"


def event_time(column: Any) -> EventTime | None:
    """Read a string column as timestamps; None unless every value is one, in one notation."""
    if str(column.type) != "string" or column.null_count == len(column):
        return None
    seen: set[tuple[str, str]] = set()
    digits = 0
    millis: list[int | None] = []
    for text in column.to_pylist():
        if text is None:
            millis.append(None)
            continue
        match = _TIME.fullmatch(text)
        if match is None:
            return None
        seen.add((match["sep"], match["zone"]))
        if len(seen) > 1:
            return None
        try:
            moment = datetime.fromisoformat(f"{match['date']}T{match['time']}")
        except ValueError:
            return None
        fraction = match["fraction"] or ""
        digits = max(digits, len(fraction))
        passed = moment - _EPOCH
        millis.append(passed.days * 86_400_000 + passed.seconds * 1_000 + int(fraction.ljust(3, "0")[:3]))
    ((sep, zone),) = seen
    precision = 3 if digits <= 3 else 6 if digits <= 6 else 9  # noqa: PLR2004
    return EventTime(ISO if sep == "T" else SQL, bool(zone), precision, tuple(millis))


def lateness(table: Any, time: EventTime) -> tuple[int, int]:
    """Return how many records come after a later one of their partition, and by how much (ms)."""
    arrivals = sorted(
        zip(
            table.column("_partition").to_pylist(),
            table.column("_offset").to_pylist(),
            time.millis,
            strict=True,
        ),
        key=lambda arrival: arrival[:2],
    )
    newest: dict[int, int] = {}
    late = most = 0
    for partition, _, ms in arrivals:
        if ms is None:
            continue
        before = newest.setdefault(partition, ms)
        if ms < before:
            late += 1
            most = max(most, before - ms)
        else:
            newest[partition] = ms
    return late, most


def interval(most: int) -> tuple[int, str]:
    """Return the least round delay of at least ``most`` ms, and its SQL literal; 1 s or more."""
    return next((delay for delay in _DELAYS if delay[0] >= most), _DELAYS[-1])
