"""Whether a job's new version can go on from a savepoint of the version before it.

Flink finds an operator's state by the operator's id. It refuses a savepoint with state that no operator
takes, and fails where the state is laid out otherwise; it does not notice where state of the same layout
means something else, such as counts by another column. All three are found here, from both versions'
operators and compiled plans.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdp_kernel.repository.meaning import Stateful, stateful

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from sdp_kernel.flink.operator_graph import StreamOperator

SAME, COMPATIBLE, INCOMPATIBLE, UNKNOWN = "same", "compatible", "incompatible", "unknown"
SAVEPOINT, STATELESS = "savepoint", "stateless"
_FRESH = "starts empty: it has seen nothing of what came before"


@dataclass(frozen=True)
class Version:
    """A version of a job: its compiled plan, the operators that it runs as, and where its tables read.

    ``places`` are by table, in words: a plan does not say which topic a table is over.
    """

    plan: Mapping[str, Any]
    operators: tuple[StreamOperator, ...]
    places: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class OperatorState:
    """What becomes of one operator's state.

    Attributes
    ----------
    operator
        As the plan names it.
    becomes
        ``kept``, ``new``, ``dropped``, ``lost`` (it would be of use, and is not found) or ``changed`` (it
        is found, and does not serve).
    reason
        Empty for what is kept as it is.
    noticed
        Whether Flink itself refuses a savepoint with it.
    """

    operator: str
    becomes: str
    reason: str = ""
    noticed: bool = False


@dataclass(frozen=True)
class Compatibility:
    """The verdict.

    Attributes
    ----------
    verdict
        ``same``: nothing of the state changes. ``compatible``: what is kept is kept whole, some is new or
        dropped. ``incompatible``: the new version begins without state. ``unknown``: with the reason.
    upgrade_mode
        The Terraform module's ``upgrade_mode`` to deploy it with; empty where that is not known.
    allow_non_restored_state
        Whether Flink takes the savepoint only with ``allow_non_restored_state``.
    operators
        What becomes of the state of each operator.
    notes
        What to know beside it.
    """

    verdict: str
    upgrade_mode: str
    allow_non_restored_state: bool = False
    operators: tuple[OperatorState, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """The verdict in one sentence."""
        named = {
            becomes: ", ".join(
                dict.fromkeys(one.operator for one in self.operators if one.becomes == becomes)
            )
            for becomes in ("kept", "new", "dropped", "lost", "changed")
        }
        if self.verdict == SAME:
            return "it goes on from a savepoint: no operator's state changes"
        if self.verdict == COMPATIBLE:
            parts = [f"{word} {named[word]}" for word in ("kept", "new", "dropped") if named[word]]
            return f"it goes on from a savepoint; state is {'; '.join(parts)}"
        if self.verdict == INCOMPATIBLE:
            first = next(one for one in self.operators if one.becomes in {"lost", "changed"})
            return f"it has to begin without state: {first.operator} {first.reason}"
        return self.notes[0] if self.notes else "it is not known"


def unknown(why: str) -> Compatibility:
    """Return the verdict that there is none."""
    return Compatibility(UNKNOWN, "", notes=(why,))


def compare(before: Version, after: Version) -> Compatibility:
    """Say whether ``after`` can start from a savepoint of ``before``.

    Raises
    ------
    PlanUnavailable
        The operators of one of them cannot be told apart by its compiled plan.
    """
    old = stateful(before.plan, before.operators, before.places)
    new = stateful(after.plan, after.operators, after.places)
    found = tuple(_fates(old, new, {operator.id for operator in after.operators}))
    if any(one.becomes in {"lost", "changed"} for one in found):
        return Compatibility(INCOMPATIBLE, STATELESS, operators=found, notes=(_ANEW,))
    notes = tuple(_notes(old, new))
    skipped = any(one.noticed for one in found)
    same = not skipped and not notes and all(one.becomes == "kept" for one in found)
    return Compatibility(SAME if same else COMPATIBLE, SAVEPOINT, skipped, found, notes)


_ANEW = (
    "without state it reads from its tables' scan.startup.mode again; "
    "an output that only appends gets those rows twice"
)


def _fates(
    old: Mapping[str, Stateful], new: Mapping[str, Stateful], ids: AbstractSet[str]
) -> Iterator[OperatorState]:
    """Say what becomes of each state; ``ids`` are those of all operators of the new version."""
    kept = [number for number in old if number in new and old[number].kind == new[number].kind]
    gone = [state for number, state in old.items() if number not in kept]
    come = [state for number, state in new.items() if number not in kept]
    for number in kept:
        yield _kept(old[number], new[number])
    for before in gone:
        yield _gone(before, come, new.get(before.id), noticed=before.id not in ids)
    replaced = any(before.role == "keyed" for before in gone)
    known = {before.kind for before in gone}
    for after in come:
        if after.role == "keyed" and not replaced:
            yield OperatorState(after.name, "new", _FRESH)
        elif after.role == "source" and after.kind not in known:
            yield OperatorState(after.name, "new", "reads from its scan.startup.mode")


def _kept(before: Stateful, after: Stateful) -> OperatorState:
    if before.layout != after.layout:
        reason = f"keeps other values than before: {_difference(before.layout, after.layout)}"
        return OperatorState(before.name, "changed", reason, noticed=True)
    if before.meaning != after.meaning:
        reason = (
            f"would take the old state for something else, and Flink does not notice: "
            f"{_difference(before.meaning, after.meaning)}"
        )
        return OperatorState(before.name, "changed", reason)
    return OperatorState(before.name, "kept")


def _gone(before: Stateful, come: list[Stateful], heir: Stateful | None, *, noticed: bool) -> OperatorState:
    if before.role == "sink":
        why = "only transactions in flight, and the savepoint has closed those"
        return OperatorState(before.name, "dropped", why, noticed=noticed)
    if any(after.kind == before.kind for after in come):
        why = "is found no more: the operators around it changed, and so its id"
        return OperatorState(before.name, "lost", why, noticed=noticed)
    others = [after.name for after in come if after.role == "keyed"]
    if heir is not None:
        return OperatorState(before.name, "lost", f"would go to {heir.name}, which has its id now")
    if before.role == "keyed" and others:
        why = f"is no more part of the query, and {', '.join(others)} would begin without what it knew"
        return OperatorState(before.name, "lost", why, noticed=noticed)
    return OperatorState(before.name, "dropped", "is no more part of the query", noticed=noticed)


def _notes(old: Mapping[str, Stateful], new: Mapping[str, Stateful]) -> Iterator[str]:
    for number in (one for one in old if one in new):
        before, after = old[number], new[number]
        if before.feed != after.feed and after.role == "keyed":
            yield f"{after.name}: what the state holds came through the query as it was before"
        if before.ttl != after.ttl:
            yield f"{after.name}: its time-to-live goes from {before.ttl} to {after.ttl}"


def _difference(before: tuple[str, ...], after: tuple[str, ...]) -> str:
    gone = [one for one in before if one not in after]
    come = [one for one in after if one not in before]
    if gone and come:
        return f"{', '.join(gone)} → {', '.join(come)}"
    if gone or come:
        return f"{'without' if gone else 'with'} {', '.join(gone or come)}"
    return f"{', '.join(before)} → {', '.join(after)}"
