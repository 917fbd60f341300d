"""From where to where a query reads its Kafka tables, put into its text as hints.

The declaration of a table stays as it is. Flink takes a hint behind a table's name, but neither behind
one that follows TABLE in a function's arguments nor behind a view's: there, the table becomes a
subquery, and the view's own query is put before the statement in a WITH, hinted in turn.

A batch cannot select the event time of a table that was declared while its session streams: Flink takes
it for an attribute of time when it checks the query, for a timestamp when it plans it. There, too, the
table becomes a subquery, in which that column is cast to what it is.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sdp_kernel.errors import UsageError
from sdp_kernel.flink.asking import ask
from sdp_kernel.flink.declared import Declared, declared, pairs
from sdp_kernel.flink.edits import Edit, apply
from sdp_kernel.flink.script import identifier, significant
from sdp_kernel.flink.sources import scan
from sdp_kernel.times import epoch_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sdp_kernel.flink.parameters import Rendered
    from sdp_kernel.flink.script import Statement
    from sdp_kernel.flink.session import Session
    from sdp_kernel.flink.sources import Reference, Scan

    Look = Callable[[tuple[str, ...]], Declared | None]

BATCH = {"execution.runtime-mode": "batch"}
_OFFSETS = re.compile(r"\d+@\d+(?:,\d+@\d+)*")
_HINT_NAME = re.compile(r"[\w`]")
_TEMPORAL = re.compile(r"\s+FOR\s+SYSTEM_TIME\b", re.IGNORECASE)
_START, _STOP = "scan.startup.", "scan.bounded."
_ENDLESS = "unbounded"
_WAIT = "properties.fetch.max.wait.ms"
#: For a source that ends: its consumer is closed once the last fetch is answered, which takes half a second
#: at the end of a topic, unless the broker is asked to answer sooner.
PROMPT = {_WAIT: "20"}


@dataclass(frozen=True)
class Reach:
    """From where to where Kafka tables are read; an empty mapping leaves the table's own options.

    ``default_stop`` is for tables that say nothing of their own: a batch needs an end.
    """

    start: Mapping[str, str] = field(default_factory=dict)
    stop: Mapping[str, str] = field(default_factory=dict)
    batch: bool = False

    @property
    def empty(self) -> bool:
        """Whether there is nothing to change."""
        return not (self.start or self.stop or self.batch)


def reach(
    start: str | None = None, until: str | None = None, *, batch: bool = False, now: int | None = None
) -> Reach:
    """Read ``--from``, ``--until`` and ``--batch``.

    Parameters
    ----------
    start
        ``earliest``, ``latest``, ``group`` (the consumer group's offsets), a time as ``%sample`` takes it
        (``2h``, ``2026-01-05T09:00``), or ``PARTITION@OFFSET`` with commas between.
    until
        ``now`` (the last record at the start of the query), a time that has passed, ``PARTITION@OFFSET``,
        or ``never``.
    batch
        The query runs in batch mode: tables without an end are read up to now.
    now
        ms since the epoch.

    Raises
    ------
    UsageError
        One is none of these, or the end is before the start.
    """
    now = time.time_ns() // 1_000_000 if now is None else now
    first, start_ms = _end_point(start, now, "--from") if start else ({}, None)
    last, stop_ms = _end_point(until, now, "--until") if until else ({}, None)
    if start_ms is not None and stop_ms is not None and start_ms >= stop_ms:
        raise UsageError(
            f"--from {start} is not before --until {until}",
            hint="a span counts back from now: 2h is earlier than 1h",
        )
    if batch and last.get("mode") == _ENDLESS:
        raise UsageError("a batch needs an end: --until never has none", hint="leave --until or --batch out")
    return Reach(
        {_START + key: value for key, value in first.items()},
        {_STOP + key: value for key, value in last.items()},
        batch,
    )


def _end_point(text: str, now: int, option: str) -> tuple[dict[str, str], int | None]:
    """Return the options' last words with their values, and the time if it is one."""
    text = text.strip()
    word, is_start = text.lower(), option == "--from"
    known = (
        {
            "earliest": "earliest-offset",
            "latest": "latest-offset",
            "now": "latest-offset",
            "group": "group-offsets",
        }
        if is_start
        else {"now": "latest-offset", "latest": "latest-offset", "never": _ENDLESS, "group": "group-offsets"}
    )
    if word in known:
        return {"mode": known[word]}, None
    if _OFFSETS.fullmatch(text.replace(" ", "")):
        places = (place.split("@") for place in text.replace(" ", "").split(","))
        value = ";".join(f"partition:{partition},offset:{offset}" for partition, offset in places)
        return {"mode": "specific-offsets", "specific-offsets": value}, None
    try:
        moment = epoch_ms(text, now=now)
    except UsageError as error:
        words = ", ".join(known)
        raise UsageError(
            f"{option} {text}: {error.message}", hint=f"{error.hint}; or {words}, or PARTITION@OFFSET"
        ) from None
    if not is_start and moment > now:
        raise UsageError(
            f"--until {text} has not come yet, and Flink looks for the last record when the query starts",
            hint="--until now; or leave it out, and stop with --timeout",
        )
    return {"mode": "timestamp", "timestamp-millis": str(moment)}, moment


@dataclass(frozen=True)
class Hinted:
    """A statement with hints: ``tables`` are those that have them, ``notes`` what else should be known."""

    rendered: Rendered
    tables: tuple[str, ...]
    notes: tuple[str, ...]


def hinted(rendered: Rendered, look: Look, reach: Reach) -> Hinted:
    """Put hints behind every Kafka table that a statement reads.

    Options of a hint in the text stay, unless the reach says otherwise.

    Parameters
    ----------
    rendered
        A query, INSERT, statement set or CREATE TABLE … AS, parameters filled in.
    look
        Finds out what a name means.

    Raises
    ------
    UsageError
        It reads no Kafka table; or one that cannot be read so.
    """
    hinter = _Hinter(look, reach)
    found = scan(rendered.text)
    edits = hinter.edits(rendered.text, found)
    edits += [
        Edit(query.start if query.behind_with is None else query.behind_with,
             query.start if query.behind_with is None else query.behind_with,
             hinter.with_clause(number, joins=query.behind_with is not None))
        for number, query in enumerate(found.queries)
    ]  # fmt: skip
    if not hinter.tables and not (reach.batch and not reach.start and not reach.stop):
        raise UsageError(
            "--from and --until are for Kafka tables, and the statement reads none",
            hint="leave them out; what another connector reads is set in its table's options",
        )
    return Hinted(apply(rendered, edits), tuple(hinter.tables), tuple(hinter.notes))


def rewriter(
    session: Session, reach: Reach, note: Callable[[str], None] | None = None
) -> Callable[[Statement, Rendered], Rendered]:
    """Return what :meth:`Session.execute` takes as ``rewrite``; ``note`` takes each of the notes."""

    def rewrite(_statement: Statement, rendered: Rendered) -> Rendered:
        result = ask(
            session,
            lambda: hinted(
                rendered, lambda parts: declared(session.runner(), parts, rowtime=reach.batch), reach
            ),
        )
        for line in result.notes if note is not None else ():
            note(line)  # type: ignore[misc]
        return result.rendered

    return rewrite


class _Hinter:
    """Collects the edits of one statement, and the views that it needs in a WITH."""

    def __init__(self, look: Look, reach: Reach) -> None:
        self.look = look
        self.reach = reach
        self.tables: dict[str, None] = {}
        self.notes: dict[str, None] = {}
        self._known: dict[tuple[str, ...], Declared | None] = {}
        self._views: dict[tuple[str, ...], tuple[str, str] | None] = {}
        self._needed: dict[int, dict[tuple[str, ...], None]] = {}
        self._taken: set[str] = set()

    def edits(self, text: str, found: Scan, query: int | None = None) -> list[Edit]:
        """Return the edits of ``text``; ``query`` is the outermost one, for the text of a view."""
        self._taken |= found.names
        edits = []
        for reference in found.references:
            number = reference.query if query is None else query
            table = self._look(reference.parts)
            if table is None:
                continue
            if table.query is not None:
                edits += self._view(reference, table, number)
            elif (options := self._options(table)) or (self.reach.batch and table.rowtime):
                edits.append(_hinted(text, reference, table, options, self.notes))
        return edits

    def with_clause(self, query: int, *, joins: bool) -> str:
        """Return the WITH that an outermost query needs; ``joins`` where it has one already."""
        views = [view for key in self._needed.get(query, ()) if (view := self._views[key]) is not None]
        if not views:
            return ""
        listed = ", ".join(f"{identifier(name)} {body}" for name, body in views)
        return f" {listed}," if joins else f"WITH {listed} "

    def _look(self, parts: tuple[str, ...]) -> Declared | None:
        if parts not in self._known:
            self._known[parts] = self.look(parts)
        return self._known[parts]

    def _options(self, table: Declared) -> dict[str, str]:
        """Return the options for a table's hint; empty where it needs none."""
        if table.connector not in {"kafka", "upsert-kafka"}:
            return {}
        reach = self.reach
        ends = table.options.get(f"{_STOP}mode", _ENDLESS) != _ENDLESS
        stop = dict(reach.stop) or ({f"{_STOP}mode": "latest-offset"} if reach.batch and not ends else {})
        if stop.get(f"{_STOP}mode", _ENDLESS) != _ENDLESS and _WAIT not in table.options:
            stop |= PROMPT
        if table.connector == "upsert-kafka":
            self._check_upsert(table)
            return stop
        options = {**reach.start, **stop}
        if options or reach.batch:
            self.tables[table.name] = None
        return options

    def _check_upsert(self, table: Declared) -> None:
        if self.reach.batch:
            raise UsageError(
                f"{table.name} is an upsert-kafka table, which Flink does not read in batch mode",
                hint="--until now in place of --batch ends as well, with the same final rows",
            )
        if self.reach.stop:
            self.tables[table.name] = None
        if self.reach.start and self.reach.start[f"{_START}mode"] != "earliest-offset":
            self.notes[
                f"{table.name} is an upsert-kafka table: read from its first record, "
                "since its rows may be older than --from"
            ] = None

    def _view(self, reference: Reference, view: Declared, query: int) -> list[Edit]:
        """Take a view's query into the WITH, if it reads Kafka; returns the edit of its name."""
        key = view.parts
        if key not in self._views:
            self._views[key] = None
            text = view.query or ""
            found = scan(text)
            edits = self.edits(text, found, query)
            if edits:
                name = self._free_name(view.name)
                columns = ", ".join(identifier(column) for column in view.columns)
                self._views[key] = name, f"({columns}) AS ({_edited(text, edits)})"
        elif self._views[key] is not None and key not in self._needed.setdefault(query, {}):
            self.edits(view.query or "", scan(view.query or ""), query)
        if (known := self._views[key]) is None:
            return []
        self._needed.setdefault(query, {})[key] = None
        alias = f" AS {identifier(view.name)}" if known[0] != view.name and reference.bare else ""
        return [Edit(reference.start, reference.end, identifier(known[0]) + alias)]

    def _free_name(self, wanted: str) -> str:
        name, number = wanted, 2
        while name in self._taken:
            name, number = f"{wanted}_{number}", number + 1
        self._taken.add(name)
        return name


def _edited(text: str, edits: list[Edit]) -> str:
    for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def _hinted(
    text: str, reference: Reference, table: Declared, options: Mapping[str, str], notes: dict[str, None]
) -> Edit:
    """Return the edit that gives a table its hint, and casts its event time where that was asked for."""
    hint = "" if reference.hint is None else reference.hint.text
    end = reference.end if reference.hint is None else reference.hint.end
    if options:
        hint = _hint(hint, reference.parts[-1], options, notes)
    behind = f" {hint}" if hint else ""
    columns = "*" if _TEMPORAL.match(text, end) else _columns(table)
    if columns == "*" and reference.explicit is None:
        return Edit(reference.end, end, behind)
    start = reference.start if reference.explicit is None else reference.explicit
    alias = f" AS {identifier(reference.parts[-1])}" if reference.bare else ""
    name = text[reference.start : reference.end]
    return Edit(start, end, f"(SELECT {columns} FROM {name}{behind}){alias}")  # noqa: S608 - the text's own


def _columns(table: Declared) -> str:
    """Return what to select of a table for its rows as they are, the event time as a timestamp."""
    if table.rowtime is None:
        return "*"
    column, kind = table.rowtime
    cast = f"CAST({identifier(column)} AS {kind}) AS {identifier(column)}"
    return ", ".join(cast if name == column else identifier(name) for name in table.columns)


def _hint(hint: str, table: str, options: Mapping[str, str], notes: dict[str, None]) -> str:
    """Return a hint with options, merged with the one that is there; empty for none."""
    others, own = _read_hint(hint) if hint else ([], {})
    gone = [key for key in own if _governs(options, key)]
    for key in gone:
        if own[key] != options.get(key):
            notes[f"{table}: the hint's {key} gives way to the option of the cell"] = None
    given = {key: value for key, value in options.items() if key != _WAIT or key not in own}
    merged = {key: value for key, value in own.items() if key not in gone} | given
    listed = ", ".join(f"{_quoted(key)}={_quoted(value)}" for key, value in merged.items())
    return f"/*+ {', '.join([*others, f'OPTIONS({listed})'])} */"


def _governs(options: Mapping[str, str], key: str) -> bool:
    """Whether the options take the place of ``key``: all of the start's, or all of the end's."""
    return any(key.startswith(kind) and f"{kind}mode" in options for kind in (_START, _STOP))


def _read_hint(hint: str) -> tuple[list[str], dict[str, str]]:
    """Split a hint into its OPTIONS and the text of the others."""
    inner = hint[3:-2]
    tokens = significant(inner)
    others: list[str] = []
    own: dict[str, str] = {}
    start = depth = 0
    for number, token in enumerate(tokens):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        last = number + 1 == len(tokens)
        if depth == 0 and (token.text == "," or last):
            part = tokens[start : number + last]
            if part and part[0].name.upper() == "OPTIONS":
                own |= pairs(part[1:])
            elif part:
                others.append(inner[part[0].start : part[-1].end])
            start = number + 1
    return others, own


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
