"""Points in time as people write them → ms since the epoch."""

from __future__ import annotations

import datetime as dt
import re
import time

from sdp_kernel.errors import UsageError

_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_AGO = re.compile(r"-?((?:\d{1,9}(?:ms|s|m|h|d|w))+)(?:\s+ago)?")
_PART = re.compile(r"(\d+)(ms|s|m|h|d|w)")
_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")
_EPOCH_MS = re.compile(r"\d{12,14}")
_HINT = "write 2h, 30m, 1d12h (ago), now, 2026-01-05, 2026-01-05T09:30, 09:30 (today, UTC), or epoch ms"


def epoch_ms(moment: str | float | dt.datetime, *, now: int | None = None) -> int:
    """Return a point in time as ms since the epoch.

    Parameters
    ----------
    moment
        A span before now (``2h``, ``1d12h``), ``now``, an ISO date or time, a time of today, or ms
        since the epoch; also a ``datetime``. Without a zone it is UTC, as ``_timestamp`` is shown.
    now
        ms since the epoch.

    Raises
    ------
    UsageError
        It is none of these.
    """
    now = time.time_ns() // 1_000_000 if now is None else now
    if isinstance(moment, dt.datetime):
        return _utc_ms(moment)
    text = str(int(moment)) if isinstance(moment, (int, float)) else moment.strip()
    if text.lower() == "now":
        return now
    if ago := _AGO.fullmatch(text.lower()):
        return now - sum(int(count) * _UNIT_MS[unit] for count, unit in _PART.findall(ago[1]))
    if _EPOCH_MS.fullmatch(text):
        return int(text)
    if _CLOCK.fullmatch(text):
        today = dt.datetime.fromtimestamp(now / 1000, dt.timezone.utc).date().isoformat()
        text = f"{today}T{text.zfill(5) if text.count(':') == 1 else text.zfill(8)}"
    try:
        return _utc_ms(dt.datetime.fromisoformat(text.replace("Z", "+00:00").replace("z", "+00:00")))
    except ValueError:
        raise UsageError(f"{moment!r} is no point in time", hint=_HINT) from None


def _utc_ms(moment: dt.datetime) -> int:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.timezone.utc)
    passed = moment - dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
    return (passed.days * 86_400 + passed.seconds) * 1000 + passed.microseconds // 1000
