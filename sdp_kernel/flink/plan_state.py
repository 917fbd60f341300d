"""What an operator of a streaming plan keeps in state, and until when.

Derived from the operator's kind and attributes, since only a compiled plan lists state, and that is a
file on the gateway's disk. ``tests/integration/test_explain.py`` holds the derivation to compiled plans.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NONE, BOUNDED, UNBOUNDED = "none", "bounded", "unbounded"

_STATELESS = frozenset(
    {"TableSourceScan", "DataStreamScan", "LegacyTableSourceScan", "Values", "Calc", "PythonCalc",
     "AsyncCalc",
     "Correlate", "PythonCorrelate", "AsyncCorrelate", "WatermarkAssigner", "Union", "Expand", "DeltaJoin",
     "DropUpdateBefore", "MiniBatchAssigner", "MLPredictTableFunction", "VectorSearchTableFunction"}
)  # fmt: skip
_BUFFERING = {
    "LocalGroupAggregate": "the rows of a mini-batch",
    "LocalWindowAggregate": "a small buffer",
}
_GROUPED = frozenset(
    {"GroupAggregate", "GlobalGroupAggregate", "IncrementalGroupAggregate", "PythonGroupAggregate",
     "GroupTableAggregate", "PythonGroupTableAggregate"}
)  # fmt: skip
_WINDOWED = {
    "WindowAggregate": "an accumulator per group and open window",
    "GlobalWindowAggregate": "an accumulator per group and open window",
    "GroupWindowAggregate": "an accumulator per group and open window",
    "PythonGroupWindowAggregate": "rows per group and open window",
    "GroupWindowTableAggregate": "an accumulator per group and open window",
    "WindowJoin": "the rows of both sides in open windows",
    "WindowRank": "the first rows of open windows",
    "WindowDeduplicate": "a row per key and open window",
}
#: Aggregates whose accumulators hold every value, because one may be taken back or all are wanted.
_HOARDING = re.compile(
    r"\b(?:MIN|MAX|FIRST_VALUE|LAST_VALUE)_RETRACT\(|\b(?:LISTAGG|COLLECT|ARRAY_AGG|JSON_\w+AGG)"
)
_DISTINCT = re.compile(r"\bDISTINCT\b|\bdistinct\$")
_HINT = re.compile(r"STATE_TTL options:[\[{]([^\]}]*)[\]}]")
_DURATION = re.compile(r"^\s*(\d+)\s*([a-zµ]*)\s*$")
_MS = {"": 1, "ms": 1, "milli": 1, "s": 1000, "sec": 1000, "second": 1000, "m": 60_000, "min": 60_000,
       "minute": 60_000, "h": 3_600_000, "hour": 3_600_000, "d": 86_400_000, "day": 86_400_000}  # fmt: skip


@dataclass(frozen=True)
class State:
    """What an operator keeps.

    ``kind`` is none, bounded or unbounded: whether it can grow as long as the job runs. ``what`` is
    kept ``until``; both are empty for none. ``follows_ttl`` says that ``table.exec.state.ttl`` or a
    STATE_TTL hint applies to it.
    """

    kind: str = NONE
    what: str = ""
    until: str = ""
    follows_ttl: bool = False

    def __str__(self) -> str:
        return f"{self.what}, {self.until}" if self.what else "no state"


def milliseconds(duration: str) -> int:
    """Read a duration as Flink writes it (``1 h``, ``36 s``, ``0 ms``); 0 where it is none."""
    match = _DURATION.match(duration.lower())
    if match is None:
        return 0
    unit = match.group(2)
    return int(match.group(1)) * _MS.get(unit, _MS.get(unit.rstrip("s"), 0))


def in_words(ms: int) -> str:
    """Write a duration with its largest whole unit: ``1 h``, ``90 s``."""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000)):
        if ms >= size and ms % size == 0:
            return f"{ms // size} {unit}"
    return f"{ms} ms"


def state_of(name: str, attributes: Mapping[str, str], *, appends: Sequence[bool], ttl: int) -> State:
    """Return what an operator keeps.

    Parameters
    ----------
    name, attributes
        The operator's, as the plan has them.
    appends
        Of each input, whether it only inserts.
    ttl
        ``table.exec.state.ttl`` in ms; 0 for none.
    """
    if name in _STATELESS:
        return State()
    if name in _BUFFERING:
        return State(BOUNDED, _BUFFERING[name], "sent on soon")
    if name in _WINDOWED:
        return State(BOUNDED, _WINDOWED[name], "until the watermark passes the window")
    return _by_rule(name, attributes, appends, _Expiry.of(attributes.get("stateTtlHints", ""), ttl))


@dataclass(frozen=True)
class _Expiry:
    """When state is dropped that no window or interval bounds."""

    default: int
    hinted: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, hints: str, ttl: int) -> _Expiry:
        hinted = []
        for listed in _HINT.findall(hints):
            for part in listed.split(", "):
                side, _, duration = part.rpartition("=")
                hinted.append((side.lower(), milliseconds(duration)))
        return cls(ttl, tuple(hinted))

    def state(self, what: str) -> State:
        """Return state that is kept for ever, unless a time-to-live is set."""
        sides = dict(self.hinted)
        if set(sides) <= {""}:
            ttl = sides.get("", self.default)
            until = f"dropped after {in_words(ttl)} without change" if ttl else "kept for ever"
            return State(BOUNDED if ttl else UNBOUNDED, what, until, follows_ttl=True)
        both = {side: sides.get(side, self.default) for side in {"left", "right", *sides}}
        timed = ", ".join(f"{side} {in_words(ms)}" for side, ms in sorted(both.items()) if ms)
        endless = ", ".join(side for side, ms in sorted(both.items()) if not ms)
        until = f"dropped after {timed} without change" + (f"; {endless} kept for ever" if endless else "")
        return State(BOUNDED if all(both.values()) else UNBOUNDED, what, until, follows_ttl=True)


def _by_rule(name: str, attributes: Mapping[str, str], appends: Sequence[bool], expiry: _Expiry) -> State:
    if name in _GROUPED:
        return _group(attributes, expiry)
    if name == "Join":
        return expiry.state(f"left: {_side(attributes, 'left')}; right: {_side(attributes, 'right')}")
    if name == "MultiJoin":
        return expiry.state("the rows of all sides")
    if name == "IntervalJoin":
        return State(BOUNDED, "the rows of both sides", "dropped when the interval has passed")
    if name == "TemporalJoin":
        return _temporal(expiry)
    if name == "LookupJoin":
        kept = attributes.get("upsertMaterialize") == "true"
        return expiry.state("what was looked up per row") if kept else State()
    if name == "Deduplicate":
        return expiry.state(f"the {'first' if attributes.get('keep') == 'FirstRow' else 'last'} row per key")
    if name == "ChangelogNormalize":
        return expiry.state("the last row per key")
    if name in {"Rank", "SortLimit", "Limit"}:
        return _rank(attributes, appends, expiry)
    if name in {"OverAggregate", "PythonOverAggregate"}:
        return _over(attributes, expiry)
    if name == "TemporalSort":
        return State(BOUNDED, "rows", "sent on when the watermark passes them")
    if name == "WindowTableFunction":
        is_session = "SESSION(" in attributes.get("window", "")
        return (
            State(BOUNDED, "the rows of open sessions", "until their gap has passed")
            if is_session
            else State()
        )
    if name == "Match":
        return State(UNBOUNDED, "rows of unfinished matches", "kept for ever, unless the pattern has WITHIN")
    if name.endswith("Sink"):
        kept = attributes.get("upsertMaterialize") == "true"
        return expiry.state("the rows per primary key") if kept else State()
    return State(UNBOUNDED, f"what {name} keeps", "as it decides")


def _group(attributes: Mapping[str, str], expiry: _Expiry) -> State:
    calls = attributes.get("select", "")
    keys = attributes.get("groupBy", "")
    more = []
    if _DISTINCT.search(calls):
        more.append("distinct values")
    if _HOARDING.search(calls):
        more.append("all values")
    what = f"an accumulator per {keys}" if keys else "one accumulator"
    if more:
        return expiry.state(f"{what}, with {' and '.join(more)}")
    if not keys:
        return State(BOUNDED, what, "one row in all", follows_ttl=True)
    return expiry.state(what)


def _side(attributes: Mapping[str, str], side: str) -> str:
    spec = attributes.get(f"{side}InputSpec", "")
    return {"JoinKeyContainsUniqueKey": "a row per key", "HasUniqueKey": "a row per unique key"}.get(
        spec, "all rows"
    )


def _temporal(expiry: _Expiry) -> State:
    kept = expiry.state("a version per key; left rows ahead of the watermark")
    return State(kept.kind, kept.what, kept.until)


def _rank(attributes: Mapping[str, str], appends: Sequence[bool], expiry: _Expiry) -> State:
    strategy = attributes.get("strategy", "")
    if not strategy:
        strategy = "AppendFast" if all(appends) else "Retract"
    partition = attributes.get("partitionBy", "")
    whole = strategy.startswith("Retract")
    if whole:
        return expiry.state(f"all rows{f' per {partition}' if partition else ''}")
    rows = _rows_kept(attributes)
    if partition:
        return expiry.state(f"{rows} per {partition}")
    return State(BOUNDED, rows, "no more than these", follows_ttl=True)


def _rows_kept(attributes: Mapping[str, str]) -> str:
    end = re.search(r"rankEnd=(\d+)", attributes.get("rankRange", ""))
    if end:
        count = int(end.group(1))
    elif attributes.get("fetch", "").isdigit():
        count = int(attributes["fetch"]) + int(attributes.get("offset", "0") or 0)
    else:
        return "the first rows"
    return "the first row" if count == 1 else f"the first {count} rows"


def _over(attributes: Mapping[str, str], expiry: _Expiry) -> State:
    window, keys = attributes.get("window", ""), attributes.get("partitionBy", "")
    per = f" per {keys}" if keys else ""
    if "UNBOUNDED PRECEDING" in window:
        kept = expiry.state(f"an accumulator{per}")
    elif "ROWS" in window:
        kept = expiry.state(f"the rows of the frame{per}")
    else:
        return State(BOUNDED, f"the rows of the frame{per}", "dropped when they have left it")
    if not keys:
        return State(BOUNDED, kept.what, "no more than that")
    return State(kept.kind, kept.what, kept.until)
