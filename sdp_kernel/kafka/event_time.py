"""Which columns are times, in which notation, how Flink reads them, and how late records come."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

ISO = "ISO-8601"
SQL = "SQL"
NATIVE = "native"  # the format has a type for it

_TIME = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})(?P<sep>[T ])(?P<time>[0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?:\.(?P<fraction>[0-9]{1,9}))?(?P<zone>Z|[+-][0-9]{2}:?[0-9]{2}|)",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  times are taken as they are written
_DELAYS = (  # ms, literal: Flink's interval fields have two digits unless told otherwise
    *((s * 1_000, f"INTERVAL '{s}' SECOND") for s in (1, 2, 5, 10, 30)),
    *((m * 60_000, f"INTERVAL '{m}' MINUTE") for m in (1, 2, 5, 10, 30)),
    *((h * 3_600_000, f"INTERVAL '{h}' HOUR") for h in (1, 2, 6, 12)),
    *((d * 86_400_000, f"INTERVAL '{d}' DAY") for d in (1, 2, 7, 14, 30, 90)),
)
# Whole numbers of the years 2001 to 2100 are no other unit's: unit → (per second, what gives ms).
_UNITS = {"s": 1, "ms": 1_000, "µs": 1_000_000, "ns": 1_000_000_000}
_FROM, _TO = 978_307_200, 4_102_444_800
_TIME_WORDS = {
    "ts", "time", "timestamp", "timestamps", "at", "on", "date", "datetime", "created", "updated", "modified",
    "occurred", "epoch", "millis", "micros", "nanos", "when", "since", "until", "ms", "us", "ns", "sec",
}  # fmt: skip
_OTHER_WORDS = {"id", "ids", "key", "number", "no", "num", "count", "phone", "amount", "price", "size"}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_RISING, _CLOSE_MS = 0.95, 366 * 86_400_000
_LEAST_RISING = 5


@dataclass(frozen=True)
class EventTime:
    """A column of times.

    Attributes
    ----------
    standard
        The ``json.timestamp-format.standard`` that reads it, or ``native``; empty where no option of
        the format does and a computed column is needed.
    zoned
        Whether its values are instants (``Z``, an offset, an epoch).
    precision
        Digits of the second Flink's type needs: 3, 6 or 9.
    millis
        Milliseconds since the epoch by row, None for null.
    unit
        ``s``, ``ms``, ``µs`` or ``ns`` for an epoch; else empty.
    storage
        What the values are: ``text``, ``whole`` or ``float``.
    zone_width
        Length of the offset in characters where the values have one: 6 with a colon, 5 without.
    iso
        Whether a ``T`` parts date and time.
    evidence
        Why it is taken for a time, for a comment.
    """

    standard: str
    zoned: bool
    precision: int
    millis: tuple[int | None, ...]
    unit: str = ""
    storage: str = "text"
    zone_width: int = 0
    iso: bool = True
    evidence: str = ""

    @property
    def type(self) -> str:
        """The Flink SQL type of a column whose format reads it."""
        return f"TIMESTAMP{'_LTZ' if self.zoned else ''}({self.precision})"

    @property
    def computed_type(self) -> str:
        """The Flink SQL type of :meth:`expression`."""
        return f"TIMESTAMP{'_LTZ' if self.zoned else ''}(3)"

    def expression(self, column: str) -> str:
        """Return the SQL that makes a time of a column (quoted) of the plain type.

        NULL where a value is none. ``TO_TIMESTAMP_LTZ(text, pattern)`` reads an offset and ignores
        it, so the offset is given as the time zone.
        """
        if self.unit:
            return self._epoch(column)
        if not self.zoned:
            return f"TO_TIMESTAMP({column})" if not self.iso else f"TO_TIMESTAMP(REPLACE({column}, 'T', ' '))"
        separator = "''T''" if self.iso else " "
        pattern = f"'yyyy-MM-dd{separator}HH:mm:ss{self._fractions()}'"
        if not self.zone_width:
            return f"TO_TIMESTAMP_LTZ(REPLACE({column}, 'Z', ''), {pattern}, 'UTC')"
        zero = "+00:00" if self.zone_width == len("+00:00") else "+0000"
        text = f"REPLACE({column}, 'Z', '{zero}')"
        local = f"SUBSTRING({text} FROM 1 FOR CHAR_LENGTH({text}) - {self.zone_width})"
        return f"TO_TIMESTAMP_LTZ({local}, {pattern}, 'GMT' || RIGHT({text}, {self.zone_width}))"

    def _epoch(self, column: str) -> str:
        if self.storage == "text":
            column = f"TRY_CAST({column} AS BIGINT)"
        per_second = _UNITS[self.unit]
        if self.storage == "float":
            sums = {"s": f"{column} * 1000", "ms": column}.get(self.unit, f"{column} / {per_second // 1000}")
            return f"TO_TIMESTAMP_LTZ(CAST({sums} AS BIGINT), 3)"
        if self.unit in {"s", "ms"}:
            return f"TO_TIMESTAMP_LTZ({column}, {0 if self.unit == 's' else 3})"
        return f"TO_TIMESTAMP_LTZ({column} / {per_second // 1000}, 3)"

    @staticmethod
    def _fractions() -> str:
        return "".join(f"[.{'S' * digits}]" for digits in range(9, 0, -1))


def event_time(column: Any, name: str = "", table: Any = None) -> EventTime | None:
    """Read a column as times; None unless every value is one, in one notation.

    Whole and decimal numbers are epochs where all lie in the years 2001 to 2100 in one unit, and
    either the name says time or, with ``table`` given, they rise with the offset near the records'
    own time.
    """
    if column.null_count == len(column):
        return None
    kind = str(column.type)
    if kind == "string":
        values = column.to_pylist()
        return _text(values) or _digits(values, name)
    if kind.startswith("timestamp["):
        per_second = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}[column.type.unit]
        whole = column.cast("int64").to_pylist()
        millis = tuple(None if v is None else v * 1000 // per_second for v in whole)
        precision = {"s": 0, "ms": 3, "us": 6, "ns": 9}[column.type.unit]
        return EventTime(NATIVE, "tz=" in kind, precision, millis)
    if kind in {"int64", "double"}:
        return _number(column.to_pylist(), name, table, "whole" if kind == "int64" else "float")
    return None


def _text(values: list[str | None]) -> EventTime | None:
    zones: set[str] = set()
    separators: set[str] = set()
    digits = 0
    millis: list[int | None] = []
    for text in values:
        if text is None:
            millis.append(None)
            continue
        match = _TIME.fullmatch(text)
        if match is None:
            return None
        zone = match["zone"]
        separators.add(match["sep"])
        zones.add(zone if zone in {"", "Z"} else str(len(zone)))
        if len(separators) > 1 or len(zones - {"Z"}) > 1 or {"", "Z"} <= zones:
            return None
        try:
            moment = datetime.fromisoformat(f"{match['date']}T{match['time']}") - _shift(zone)
        except (ValueError, OverflowError):
            return None
        fraction = match["fraction"] or ""
        digits = max(digits, len(fraction))
        passed = moment - _EPOCH
        millis.append(passed.days * 86_400_000 + passed.seconds * 1_000 + int(fraction.ljust(3, "0")[:3]))
    iso = separators == {"T"}
    width = next((int(z) for z in zones if z.isdigit()), 0)
    precision = 3 if digits <= 3 else 6 if digits <= 6 else 9  # noqa: PLR2004
    standard = "" if width else ISO if iso else SQL
    return EventTime(standard, bool(zones - {""}), precision, tuple(millis), zone_width=width, iso=iso)


def _shift(zone: str) -> timedelta:
    if zone in {"", "Z"}:
        return timedelta()
    hours, minutes = int(zone[1:3]), int(zone[-2:])
    if hours > 18 or minutes > 59:  # noqa: PLR2004  what java.time takes
        raise ValueError(zone)
    return timedelta(hours=hours, minutes=minutes) * (-1 if zone[0] == "-" else 1)


def _digits(values: list[str | None], name: str) -> EventTime | None:
    if any(v is not None and not re.fullmatch("[0-9]{10,19}", v) for v in values):
        return None
    return _number([None if v is None else int(v) for v in values], name, None, "text")


def _number(values: list[Any], name: str, table: Any, storage: str) -> EventTime | None:
    known = [v for v in values if v is not None]
    unit = next((u for u, p in _UNITS.items() if all(_FROM * p <= v < _TO * p for v in known)), None)
    if unit is None:
        return None
    factor = _UNITS[unit]
    millis = tuple(None if v is None else int(v * 1000 // factor) for v in values)
    words = {word.lower() for word in _WORD.findall(name)}
    if words & _TIME_WORDS and not words & _OTHER_WORDS:
        reason = "its name says so"
    elif storage == "whole" and not words & _OTHER_WORDS and _follows(table, millis):
        reason = "it rises with the offset, near the records' own time"
    else:
        return None
    first, last = (datetime.fromisoformat(_iso(f([m for m in millis if m is not None]))) for f in (min, max))
    evidence = f"epoch in {unit}: every value lies from {first:%Y-%m-%d} to {last:%Y-%m-%d}, and {reason}"
    return EventTime(
        "", zoned=True, precision=3, millis=millis, unit=unit, storage=storage, evidence=evidence
    )


def _iso(ms: int) -> str:
    return (_EPOCH + timedelta(milliseconds=ms)).isoformat()


def _follows(table: Any, millis: tuple[int | None, ...]) -> bool:
    """Tell whether values rise with the offset and are within a year of the records' time."""
    known = [m for m in millis if m is not None]
    if table is None or len(known) < _LEAST_RISING or len(set(known)) < _LEAST_RISING:
        return False
    late, _ = lateness(table, EventTime("", zoned=True, precision=3, millis=millis))
    if late > (1 - _RISING) * len(known):
        return False
    stamps = table.column("_timestamp").cast("int64").to_pylist()
    gaps = [abs(m - s) for m, s in zip(millis, stamps, strict=True) if m is not None and s is not None]
    return bool(gaps) and max(gaps) <= _CLOSE_MS


def name_weight(name: str) -> int:
    """Return how much a name speaks for the time of the event itself, 0 to 2."""
    words = [word.lower() for word in _WORD.findall(name)]
    if words in (["ts"], ["time"], ["timestamp"]) or {"event", "occurred"} & set(words):
        return 2
    return int(bool(set(words) & _TIME_WORDS))


def common_standard(times: list[EventTime]) -> str | None:
    """Return the ``json.timestamp-format.standard`` most columns follow; on a tie ISO-8601."""
    seen = Counter(time.standard for time in times if time.standard in {ISO, SQL})
    if not seen:
        return None
    return SQL if seen[SQL] > seen[ISO] else ISO


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
