"""A shadow run: two versions of a job beside each other, on the same offsets, into throw-away topics.

Nothing of the job that runs is touched: neither its sinks, its consumer group nor its transactions. What
the two have written is compared once both have come to the end of what they read.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import JobFailed, UsageError
from sdp_kernel.flink.jobs import TERMINAL
from sdp_kernel.repository import shadow_view
from sdp_kernel.repository.reach import Reach
from sdp_kernel.repository.shadow_side import Host, Run, Side
from sdp_kernel.repository.tables import FinalTable, Reading, TableDiff, diff

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sdp_kernel.repository.versions import Version

__all__ = ["Host", "Run", "Shadow", "shadow"]
PREFIX = "sdp-shadow"
LABELS = ("old", "new")
_POLL_S = 0.25
_LONGEST_NAME = 60


@dataclass(frozen=True)
class Shadow:
    """What a shadow run has found.

    Attributes
    ----------
    tables
        The difference of each sink's final table.
    offsets
        Topic → partition → (first offset read, one after the last).
    same_text
        Whether both versions are the same, so that a difference is of the job's own making.
    """

    job: str
    runs: tuple[Run, Run]
    tables: tuple[TableDiff, ...]
    offsets: Mapping[str, Mapping[int, tuple[int, int]]] = field(repr=False)
    same_text: bool
    notes: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether a final table differs."""
        return any(table.differs for table in self.tables)

    def to_text(self) -> str:
        """Show it as text."""
        return shadow_view.text(self)

    def to_html(self) -> str:
        """Show it as HTML; everything in it is escaped."""
        return shadow_view.html(self)

    def _repr_html_(self) -> str:
        return self.to_html()

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return shadow_view.plain(self)


def shadow(
    old: Version,
    new: Version,
    host: Host,
    *,
    since: int | None = None,
    records: int = 10_000,
    timeout: float = 600.0,
    shown: int = 10,
) -> Shadow:
    """Run two versions of a job on the same records, and compare what they write.

    Parameters
    ----------
    since
        Read what came at or after this time (ms since the epoch), in place of the newest ``records``.
    records
        Of each topic; an upsert table is read from its beginning all the same.
    timeout
        Seconds both versions have to come to the end.
    shown
        Rows to show of each kind of difference.

    Raises
    ------
    UsageError
        A version cannot be kept away from what it writes to, or reads what has no end.
    StatementError, JobFailed
        A version does not run. All throw-away topics are gone.
    """
    if records < 1:
        raise UsageError(f"{records} records cannot be compared", hint="--records takes a number from 1")
    reach = Reach(host.kafka, records, since, time.time_ns() // 1_000_000)
    stamp = uuid.uuid4().hex[:8]
    sides = [Side(label, version, host) for label, version in zip(LABELS, (old, new), strict=True)]
    for side in sides:
        side.aim(reach, f"{PREFIX}-{old.job.name[:_LONGEST_NAME]}-{stamp}-{side.label}")
    with contextlib.ExitStack() as ending:
        for side in sides:
            side.open()
            ending.callback(side.end, reach)
        for side in sides:
            side.make_topics(reach)
            side.declare()
        for side in sides:
            side.start()
            host.say(f"{side.label}: {side.version.called} runs as job {side.job_id}")
        _await_end(sides, timeout)
        runs = [side.measured() for side in sides]
        tables = tuple(
            diff(name, *found, shown=shown).masked(host.mask) for name, *found in _final_tables(sides)
        )
    return Shadow(
        old.job.name,
        (runs[0], runs[1]),
        tables,
        {topic: dict(spans) for (_, topic), spans in reach.spans.items()},
        same_text=old.job.script == new.job.script,
        notes=tuple(reach.notes),
    )


def _await_end(sides: Sequence[Side], timeout: float) -> None:
    until = time.monotonic() + timeout
    left = list(sides)
    while left:
        for side in list(left):
            state = side.jobmanager.state(side.job_id)
            if state == "FINISHED":
                left.remove(side)
            elif state in TERMINAL | {"FAILING", "UNKNOWN"}:
                cause = side.jobmanager.root_cause(side.job_id) if state != "UNKNOWN" else "it is not known"
                raise JobFailed(
                    f"{side.label} ({side.version.called}) is {state}: {cause}",
                    job_id=side.job_id,
                    hint="the throw-away topics are gone; mend the job, and try again",
                )
        if time.monotonic() > until:
            names = " and ".join(f"{side.label} ({side.version.called})" for side in left)
            raise JobFailed(
                f"{names} did not come to the end within {timeout:g} s",
                job_id=left[0].job_id,
                hint="--records fewer, or --timeout longer; or a source has no end",
            )
        if left:
            time.sleep(_POLL_S)


def _final_tables(sides: Sequence[Side]) -> list[tuple[str, FinalTable, FinalTable]]:
    """Return name, old and new of each sink; one that a version has not is empty there."""
    readings = [
        {table.parts[-1]: Reading(side.session, table.quoted) for table in side.sinks} for side in sides
    ]
    read = [{name: reading.result() for name, reading in side.items()} for side in readings]
    old, new = read
    if len(old) == len(new) == 1 and old.keys() != new.keys():
        (before, left), (after, right) = *old.items(), *new.items()
        return [(f"{before} → {after}", left, right)]
    return [
        (
            name,
            old[name] if name in old else _empty(new[name]),
            new[name] if name in new else _empty(old[name]),
        )
        for name in dict.fromkeys((*old, *new))
    ]


def _empty(like: FinalTable) -> FinalTable:
    return FinalTable(like.data.slice(0, 0), like.key)
