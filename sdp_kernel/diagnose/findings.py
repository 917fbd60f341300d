"""A diagnosis as data: findings, each with a kind, a fact with figures, and what to do next."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


@dataclass(frozen=True)
class Finding:
    """One reason why no rows come.

    Attributes
    ----------
    kind
        A word for programs, such as ``empty-topic``; ``docs/diagnosis.md`` lists them.
    fact
        One sentence with the figures.
    advice
        What to do next; empty where there is nothing to do but wait.
    certain
        Whether it explains the silence by itself; otherwise it only says how things stand.
    evidence
        The figures by name, as they were read.
    """

    kind: str
    fact: str
    advice: str = ""
    certain: bool = True
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.fact}\n→ {self.advice}" if self.advice else self.fact


@dataclass(frozen=True)
class Diagnosis:
    """What was found about a query, the strongest reason first.

    ``seconds`` is how long looking took; ``rows`` how many the query had.
    """

    name: str
    state: str
    rows: int
    findings: tuple[Finding, ...]
    seconds: float = 0.0

    @property
    def first(self) -> Finding:
        """The strongest reason."""
        return self.findings[0]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of all findings, in order."""
        return tuple(finding.kind for finding in self.findings)

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings))


def count(number: int, what: str) -> str:
    """Write a number of things: ``1 record``, ``1,200 records``."""
    plural = what if number == 1 else (f"{what[:-1]}ies" if what.endswith("y") else f"{what}s")
    return f"{number:,} {plural}"


def moment(ms: int) -> str:
    """Write a moment in UTC, to the second, with milliseconds where there are any."""
    try:
        at = dt.datetime.fromtimestamp(ms // 1000, dt.timezone.utc)
    except (OverflowError, ValueError, OSError):
        return f"{ms} ms"
    fraction = f".{ms % 1000:03d}" if ms % 1000 else ""
    return f"{at:%Y-%m-%d %H:%M:%S}{fraction}Z"


def span(ms: float) -> str:
    """Write a length of time in its largest unit that is at least one."""
    seconds = abs(ms) / 1000
    if seconds < 1:
        return f"{abs(ms):.0f} ms"
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= size:
            value = seconds / size
            return f"{value:.0f} {unit}" if value == int(value) or value >= 10 else f"{value:.1f} {unit}"  # noqa: PLR2004
    return f"{seconds:.0f} s" if seconds == int(seconds) or seconds >= 10 else f"{seconds:.1f} s"  # noqa: PLR2004
