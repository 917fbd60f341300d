"""The smallest set of ledger statements a query needs, proven in a clean session.

Names in the text say what may be needed; Flink says what is. The set is replayed in a session of its
own, and a statement is left out where the job stays the same without it: its plan, the tables it reads
and writes as ``SHOW CREATE TABLE`` tells them, and its configuration. SETs are configuration, so each
one in force stays; but one that only steers the planner stays only where the plan differs without it.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from sdp_kernel.errors import SdpError, SliceError
from sdp_kernel.flink.clean import clean_session
from sdp_kernel.flink.frame_table import is_frame
from sdp_kernel.flink.script import significant
from sdp_kernel.flink.sources import scan
from sdp_kernel.promote.objects import (
    Slice,
    calls,
    check_places,
    circle,
    declared_name,
    in_force,
    object_names,
    reachable,
    setting_of,
)
from sdp_kernel.references import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sdp_kernel.flink.ledger import Entry
    from sdp_kernel.flink.session import Session

__all__ = [
    "Slice", "calls", "check_places", "explain", "in_force", "minimal", "object_names",
    "reachable", "replay", "setting_of", "without_idle_settings",
]  # fmt: skip

_VOLATILE = re.compile(r"\$[0-9a-f]{6,}|\b[0-9a-f]{32}\b")
_SCAN = re.compile(r"table=\[\[[^,\]]+, [^,\]]+, ([^,\]]+)")
_SINK = re.compile(r"\bSink\(table=\[[^\[\]]*?([^.\[\]]+)\]")
_MISSING = re.compile(r"(?:Object|Table|View) '([^']+)' not found")
#: Settings that only steer the planner: what they do is in the plan, or they do nothing.
_OF_THE_PLANNER = ("table.optimizer.", "table.plan.")
_ENDS = {"DROP", "UNLOAD", "REMOVE"}


def replay(session: Session, entries: Iterable[Entry]) -> None:
    """Run entries in a clean session.

    Raises
    ------
    SliceError
        One does not run there.
    """
    for entry in entries:
        try:
            session.runner().declare(session.render(entry.text, entry.parameters).text)
        except SdpError as error:
            raise SliceError(
                f"{entry.kind} {entry.target or ''} does not run in a clean session: {error}",
                hint="run its cell again in a fresh session, and then the query's",
            ) from None


def explain(session: Session, statement: str, parameters: Mapping[str, str] | None = None) -> str:
    """Explain a statement with its changelog modes; ids that differ from run to run are cut.

    Parameters
    ----------
    parameters
        To fill in; None where the statement is filled in already.
    """
    sql = statement if parameters is None else session.render(statement, parameters).text
    return _VOLATILE.sub("", session.runner().text(f"EXPLAIN CHANGELOG_MODE {sql}"))


def minimal(session: Session, statement: str, parameters: Mapping[str, str]) -> tuple[Slice, str]:
    """Return the smallest slice that gives the statement's plan, and that plan.

    Planner settings that the plan is the same without are still in it: see :func:`without_idle_settings`.

    Raises
    ------
    SliceError
        The statement does not compile from the ledger alone: something is unknown, views read each other
        in a circle, or a statement ran in another database.
    """
    ledger = session.ledger.shaping
    found = reachable(statement, in_force(ledger))
    search = _Search(session, statement, parameters)
    with ThreadPoolExecutor(1, "sdp-slice") as beside, clean_session(session) as clean:
        ours = beside.submit(explain, session, statement, parameters)
        try:
            replay(clean, found.entries)
            plan = explain(clean, statement, parameters)
        except SdpError as error:
            check_places(ledger, found)
            raise _refusal(session, found, error) from None
        part = search.without_idle_views(clean, found, plan)
    part = search.smallest(part, plan)
    check_places(ledger, part)
    search.check_same(part, plan, ours.result())
    frames = [entry.target for entry in part.declarations if is_frame(entry)]
    if frames:
        raise SliceError(
            f"the query reads the frame {frames[0]}, which exists only in this kernel",
            hint="write it to a topic with %produce, and declare a table over that",
        )
    return part, plan


def _refusal(session: Session, part: Slice, error: SdpError) -> SliceError:
    """Say why a query does not compile from its ledger, as far as that can be known."""
    if views := circle(part):
        return SliceError(
            f"the views read each other in a circle: {' → '.join(views)}",
            hint="CREATE one of them again over tables, and run the query again",
        )
    missing = _MISSING.search(error.message)
    name = missing.group(1) if missing else ""
    made = [e for e in session.ledger.entries if e.kind == "CREATE TABLE" and e.statement.is_ctas]
    if name and any((e.target or "").rsplit(".", 1)[-1] == name.rsplit(".", 1)[-1] for e in made):
        return SliceError(
            f"the table {name} was made by CREATE TABLE … AS SELECT, which runs a job each time",
            hint=f"declare {name} with its columns, and make its rows a job of its own",
        )
    if name:
        return SliceError(
            f"the query needs {name}, which no statement of this session declares",
            hint=f"CREATE {name} in a cell, and run the query again",
        )
    if isinstance(error, SliceError):
        return error
    return SliceError(
        f"the query does not compile from its session's statements alone: {error}",
        hint="declare in a cell what it needs, and run it again",
    )


class _Search:
    """Takes statements out of a slice for as long as the job stays the same."""

    def __init__(self, session: Session, statement: str, parameters: Mapping[str, str]) -> None:
        self._session = session
        self._statement = statement
        self._parameters = parameters

    def plan_of(self, part: Slice) -> str:
        """Replay a slice in a clean session, and return the statement's plan there."""
        with clean_session(self._session) as clean:
            replay(clean, part.entries)
            return explain(clean, self._statement, self._parameters)

    def check_same(self, part: Slice, plan: str, here: str) -> None:
        """Refuse a slice that gives another job than the session's own: what it reads was changed since.

        A view, or a table LIKE another, keeps what that was when it was made; run again, it does not.
        ``here`` is the plan in the session.

        Raises
        ------
        SliceError
            The plan is another, or a table is.
        """
        mine = self._session.runner()
        if here != plan and here == explain(self._session, self._statement, self._parameters):
            # two that differ here as well are other ones each time
            raise SliceError(
                "the session's statements, run again, give the query another plan than it has here",
                hint="what its views read was changed after they were made: CREATE them again",
            )
        tables = [group for group in part.objects if group[0].kind.endswith("TABLE")]
        like = [declared_name(g) for g in tables if "LIKE" in {t.upper for t in significant(g[0].text)}]
        if not any(like):
            return
        with clean_session(self._session) as clean:
            replay(clean, part.entries)
            for name in filter(None, like):
                show = f"SHOW CREATE TABLE {name}"
                if mine.text(show) != clean.runner().text(show):
                    raise SliceError(
                        f"the table {name} was made LIKE one that was changed afterwards",
                        hint=f"CREATE {name} again, and run the query again",
                    )

    def without_idle_views(self, clean: Session, part: Slice, plan: str) -> Slice:
        """Drop view by view where all is declared; one that the plan is the same without is left out.

        A view is looked up where it is used, so that does what a replay without it would, in less time.
        One that is read by its name alone need not be tried: there is nothing else of that name.
        """
        kept: list[tuple[Entry, ...]] = []
        names = Counter(name for group in part.objects for name in object_names(group))
        plain = not part.surroundings and not [name for name, count in names.items() if count > 1]
        for group in reversed(part.objects):
            name = declared_name(group) if group[0].kind.endswith("VIEW") else ""
            if name and not (plain and object_names(group) & self._read(kept)):
                clean.runner().declare(f"DROP {'TEMPORARY ' * group[0].temporary}VIEW {name}")
                with contextlib.suppress(SdpError):
                    if explain(clean, self._statement, self._parameters) == plan:
                        continue
                replay(clean, group)
            kept.append(group)
        return Slice(part.settings, _flat(reversed(kept)))

    def _read(self, groups: Iterable[tuple[Entry, ...]]) -> set[str]:
        """Return the names without catalog and database that the statement and views read."""
        said = [(self._statement, self._parameters)]
        said += [(e.text, e.parameters) for group in groups for e in group if e.kind.endswith("VIEW")]
        texts = [self._session.render(text, parameters).text for text, parameters in said]
        found = [reference.parts for text in texts for reference in scan(text).references]
        return {parts[0] for parts in found if len(parts) == 1}

    def smallest(self, part: Slice, plan: str) -> Slice:
        """Return the slice without the objects, ALTERs and surroundings the plan is the same without."""

        def fewer(candidate: Slice) -> Slice | None:
            with contextlib.suppress(SdpError):
                return candidate if self.plan_of(candidate) == plan else None
            return None

        groups = part.objects
        names = Counter(name for group in groups for name in object_names(group))
        shown = {n for n in (*_SCAN.findall(plan), *_SINK.findall(plan)) if names[n] == 1}
        kept = list(groups)
        for group in reversed(groups):
            others = [other for other in kept if other is not group]
            texts = [self._statement, *(entry.text for other in others for entry in other)]
            kind = group[0].kind.split()[-1]
            if kind == "VIEW" and declared_name(group):
                continue
            if (kind == "TABLE" and object_names(group) & shown) or calls(group, texts):
                continue
            if fewer(Slice(part.settings, _flat(others))) is not None:
                kept = others
        part, before = Slice(part.settings, _flat(kept)), None
        while part != before:
            before = part
            for gone in _leavable(part.surroundings):
                if all(entry in part.settings for entry in gone):
                    left = tuple(entry for entry in part.settings if entry not in gone)
                    part = fewer(Slice(left, part.declarations)) or part
        return Slice(part.settings, _flat(self._without_idle_alters(part)))

    def _without_idle_alters(self, part: Slice) -> list[tuple[Entry, ...]]:
        """Take out ALTERs that the table is declared the same without, as those that later ones undo."""
        if all(len(group) == 1 for group in part.objects):
            return list(part.objects)
        kept = []
        with clean_session(self._session) as clean:
            replay(clean, part.settings)
            for whole in part.objects:
                group, name = whole, declared_name(whole)
                if len(whole) > 1 and name:
                    told = _shown(clean, group, name)
                    for entry in whole[1:]:
                        without = tuple(other for other in group if other is not entry)
                        if told is not None and _shown(clean, without, name) == told:
                            group = without
                replay(clean, group)
                kept.append(group)
        return kept


def _shown(session: Session, group: tuple[Entry, ...], name: str) -> str | None:
    """Return how a table is declared after its statements, and take it away again."""
    temporary = "TEMPORARY " * group[0].temporary
    with contextlib.suppress(SdpError):
        try:
            replay(session, group)
            return session.runner().text(f"SHOW CREATE TABLE {name}")
        finally:
            session.runner().declare(f"DROP {temporary}TABLE IF EXISTS {name}")
    return None


def _flat(groups: Iterable[tuple[Entry, ...]]) -> tuple[Entry, ...]:
    return tuple(entry for group in groups for entry in group)


def _leavable(surroundings: tuple[Entry, ...]) -> list[tuple[Entry, ...]]:
    """Return what of the surroundings may be left out together, the last first.

    An ALTER goes with what it changes, and what was made and dropped again goes as a whole. A jar that was
    added is configuration, and stays.
    """
    by_thing: dict[str, list[Entry]] = {}
    for number, entry in enumerate(surroundings):
        verb, _, what = entry.kind.partition(" ")
        words = [token.name for token in significant(entry.text)]
        thing = (
            f"{number}" if verb == "USE" else f"{what or 'MODULE'} {entry.target or words[-1 if what else 2]}"
        )
        by_thing.setdefault(thing, []).append(entry)
    found = []
    for entries in by_thing.values():
        ends = [at for at, entry in enumerate(entries) if entry.kind.split()[0] in _ENDS]
        jar = entries[0].kind.endswith(" JAR")
        if ends and (jar or ends[-1] + 1 < len(entries)):
            found.append(tuple(entries[: ends[-1] + 1]))
        if not jar:
            found.append(tuple(entries))
    every = tuple(entry for entry in surroundings if any(entry in group for group in found))
    return [every, *reversed(found)] if len(found) > 1 else found


def without_idle_settings(
    session: Session, part: Slice, statement: str, parameters: Mapping[str, str], *, ddls: Iterable[str] = ()
) -> Slice:
    """Leave out the SETs that only steer the planner and that the job's plan is the same without.

    Parameters
    ----------
    statement
        The job's INSERT or statement set.
    ddls
        Tables that it needs beside the slice's, as written.
    """
    steering = [e for e in part.sets if setting_of(e.text).startswith(_OF_THE_PLANNER)]
    if not steering:
        return part
    idle = []
    with clean_session(session) as clean:
        replay(clean, part.entries)
        for ddl in ddls:
            clean.runner().declare(clean.render(ddl, parameters).text)
        plan = explain(clean, statement, parameters)
        for entry in steering:
            clean.runner().declare(f"RESET {quote(setting_of(entry.text))}")
            with contextlib.suppress(SdpError):
                if explain(clean, statement, parameters) == plan:
                    idle.append(entry)
                    continue
            replay(clean, (entry,))
    return Slice(tuple(entry for entry in part.settings if entry not in idle), part.declarations)
