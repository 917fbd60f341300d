"""``--fix``: a job in the making → the same one, mended. Nothing but what a change names is touched.

Each fixer takes a job and what it may need, and gives the job as it should be, with what it changed; a job
that needs nothing comes back as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from sdp_kernel.flink.ledger import Entry
from sdp_kernel.flink.parameters import names
from sdp_kernel.flink.script import identifier
from sdp_kernel.promote.lints import planned, tables
from sdp_kernel.promote.lints import text as texts
from sdp_kernel.promote.lints.draft import short, where_of
from sdp_kernel.promote.lints.finding import Change
from sdp_kernel.promote.lints.statements import outermost
from sdp_kernel.references import quote
from sdp_kernel.settings_lint import LintSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sdp_kernel.flink.query import Query
    from sdp_kernel.promote.lints.draft import Draft, Table

    Fixer = Callable[[Draft, "Means"], tuple[Draft, list[Change]]]

_STOP, _RESET = "scan.bounded.", "properties.auto.offset.reset"
#: Parameters that may hold a job's name, for the group of a table that jobs share.
GROUP_PARAMETERS = ("group_id", "consumer_group", "kafka_group")


@dataclass(frozen=True)
class Means:
    """What fixers may use.

    Attributes
    ----------
    job
        The job's name.
    settings
        ``[lint]``.
    fragments
        The profile's connections by name: ``kafka.main``, ``registry.main``.
    columns
        The columns of a SELECT's result, in order; empty for an INSERT.
    """

    job: str
    settings: LintSettings = field(default_factory=LintSettings)
    fragments: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, job: str, queries: Sequence[Query], *, settings: LintSettings, fragments: Mapping[str, str]
    ) -> Means:
        """Return the means for a job of these cells: one SELECT says its columns, several do not."""
        one = queries[0] if len(queries) == 1 and queries[0].statement.is_query else None
        columns = tuple(column.name for column in one.columns) if one is not None else ()
        return cls(job, settings, fragments, columns)


def mend(draft: Draft, codes: Iterable[str], means: Means) -> tuple[Draft, tuple[Change, ...]]:
    """Mend what these codes name, as far as it can be."""
    wanted, changes = set(codes), []
    for code, fixer in FIXERS.items():
        if code in wanted:
            draft, made = fixer(draft, means)
            changes += made
    return draft, tuple(changes)


def _limits(draft: Draft, _means: Means) -> tuple[Draft, list[Change]]:
    changes: list[Change] = []

    def without(where: str, text: str) -> str:
        clauses = [clause for clause in texts.limits(text) if not clause.ordered]
        changes.extend(Change("SDP001", where, f"{clause.text(text)} taken out") for clause in clauses)
        return texts.cut(text, [token for clause in clauses for token in clause.tokens])

    def view(entry: Entry) -> Entry:
        if entry.kind != "CREATE VIEW":
            return entry
        return _with_text(entry, without(f"the view {short(entry.target)}", entry.text))

    return draft.with_statement(without("the job", draft.statement)).rewritten(view), changes


def _setting(code: str, key: str, draft: Draft, means: Means) -> tuple[Draft, list[Change]]:
    value = means.settings.state_ttl if key == planned.TTL else means.settings.idle_timeout
    text = f"SET {quote(key)} = {quote(value)}"
    if any(entry.text == text for entry in draft.part.sets):
        return draft, []
    return draft.with_setting(Entry(text, "SET")), [Change(code, "the job", f"{text} put in")]


def _unbounded(draft: Draft, _means: Means) -> tuple[Draft, list[Change]]:
    changes: list[Change] = []

    def without(where: str, text: str) -> str:
        found = {key for key, _ in texts.options(text) if key.startswith(_STOP)}
        if not found:
            return text
        changes.append(Change("SDP007", where, f"{', '.join(sorted(found))} taken out"))
        return texts.without(text, lambda key: key.startswith(_STOP))

    def declaration(entry: Entry) -> Entry | None:
        text = without(where_of(entry), entry.text)
        if entry.kind == "ALTER TABLE" and text != entry.text and not texts.pairs(text):
            return None
        return _with_text(entry, text)

    if draft.settings.get("execution.runtime-mode", "").lower() == "batch":
        return draft, []  # a batch needs an end
    return draft.with_statement(without("the job", draft.statement)).rewritten(declaration), changes


def _start(draft: Draft, _means: Means) -> tuple[Draft, list[Change]]:
    changes: list[Change] = []

    def earliest(where: str, text: str, *, grouped: bool, resets: bool) -> str:
        starts = [value for key, value in texts.options(text) if key == tables.START]
        if "latest-offset" not in map(str.lower, starts):
            return text
        mode = "group-offsets" if grouped else "earliest-offset"
        text = texts.with_value(text, tables.START, mode)
        said = f"'{tables.START}' = '{mode}'"
        if grouped and not resets:
            text = texts.with_pair(text, tables.START, _RESET, "earliest")
            said += f", '{_RESET}' = 'earliest'"
        elif grouped:
            text = texts.with_value(text, _RESET, "earliest")
        changes.append(Change("SDP004", where, said))
        return text

    read = {table.name: table for table in draft.tables if table.name in draft.read or not draft.written}

    def declaration(entry: Entry) -> Entry:
        table = read.get(short(entry.target)) if entry.kind.endswith(" TABLE") else None
        if entry.kind == "CREATE VIEW":
            return _with_text(entry, earliest(where_of(entry), entry.text, grouped=False, resets=False))
        if table is None:
            return entry
        grouped, resets = tables.GROUP in table.options, _RESET in table.options
        return _with_text(entry, earliest(table.where, entry.text, grouped=grouped, resets=resets))

    statement = earliest("the job", draft.statement, grouped=False, resets=False)
    return draft.with_statement(statement).rewritten(declaration), changes


def _group(draft: Draft, means: Means) -> tuple[Draft, list[Change]]:
    """Give each table a group by a parameter, since the declaration is shared and the group is the job's."""
    lacking = {
        table.name: table
        for table in draft.tables
        if table.name in draft.read and table.connector == "kafka" and tables.GROUP not in table.options
    }
    parameter = next((name for name in GROUP_PARAMETERS if _free(draft, name, means.job)), None)
    if parameter is None or not lacking:
        return draft, []
    changes: list[Change] = []

    def grouped(entry: Entry) -> Entry:
        table = lacking.get(short(entry.target)) if entry.kind == "CREATE TABLE" else None
        if table is None or "connector" not in dict(texts.options(entry.text)):
            return entry
        behind = tables.START if tables.START in dict(texts.options(entry.text)) else "connector"
        text = texts.with_pair(entry.text, behind, tables.GROUP, f"${{{parameter}}}")
        changes.append(
            Change("SDP005", table.where, f"'{tables.GROUP}' = '{means.job}', by ${{{parameter}}}")
        )
        return replace(entry, text=text, parameters={**entry.parameters, parameter: means.job})

    draft = draft.rewritten(grouped)
    values = {**draft.values, parameter: means.job} if changes else draft.values
    return replace(draft, values=values), changes


def _free(draft: Draft, name: str, job: str) -> bool:
    """Whether a parameter's name is not taken, or stands for the job's name already."""
    used = any(name in names(text) for text in (draft.statement, *(e.text for e in draft.part.entries)))
    return draft.values.get(name) == job if name in draft.values else not used


def _connection(draft: Draft, means: Means) -> tuple[Draft, list[Change]]:
    known = {table.name: table for table in draft.tables}
    changes: list[Change] = []

    def declaration(entry: Entry) -> Entry:
        table = known.get(short(entry.target)) if entry.kind == "CREATE TABLE" else None
        if table is None:
            return entry
        text = _with_brokers(entry.text, table, means, changes)
        for key, value in texts.options(text):
            if tables.names_registry(key) and (name := _registry(value, means)):
                text = texts.in_place_of(text, key, f"{quote(key)} = ${{{name}}}")
                changes.append(Change("SDP006", table.where, f"{key} is ${{{name}}}"))
        return _with_text(entry, text)

    return draft.rewritten(declaration), changes


def _with_brokers(text: str, table: Table, means: Means, changes: list[Change]) -> str:
    """Write ``${kafka.ALIAS}`` in place of the brokers and of what else it stands for."""
    own = dict(texts.options(text))
    for name, fragment in sorted(means.fragments.items()):
        given = dict(texts.options(fragment))
        brokers = given.get(tables.BROKERS)
        same = brokers is not None and _servers(brokers) == _servers(own.get(tables.BROKERS, ""))
        if not name.startswith("kafka.") or not same or f"${{{name}}}" in text:
            continue
        rest = {key: value for key, value in given.items() if key != tables.BROKERS}
        if any(table.options.get(key, value) != value for key, value in rest.items()):
            continue
        text = texts.without(text, lambda key, rest=rest: key in rest)  # type: ignore[misc]
        text = texts.in_place_of(text, tables.BROKERS, f"${{{name}}}")
        changes.append(Change("SDP006", table.where, f"{tables.BROKERS} is ${{{name}}}"))
        break
    return text


def _servers(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(","))


def _registry(address: str, means: Means) -> str | None:
    for name, fragment in sorted(means.fragments.items()):
        if name.startswith("registry.") and texts.unquoted(fragment).rstrip("/") == address.rstrip("/"):
            return name
    return None


def _columns(draft: Draft, means: Means) -> tuple[Draft, list[Change]]:
    selects = outermost(draft.statement)
    one = len(selects) == 1 and selects[0].plain
    if not one or not means.columns or len(set(means.columns)) != len(means.columns):
        return draft, []
    star = selects[0].star[0]
    named = ", ".join(map(identifier, means.columns))
    text = draft.statement[: star.start] + named + draft.statement[star.end :]
    return draft.with_statement(text), [
        Change("SDP014", "the job", f"* is {len(means.columns)} columns by name")
    ]


def _with_text(entry: Entry, text: str) -> Entry:
    return entry if text == entry.text else replace(entry, text=text)


#: In this order: a start may go by the group that was put in before it.
FIXERS: dict[str, Fixer] = {
    "SDP001": _limits,
    "SDP002": partial(_setting, "SDP002", planned.TTL),
    "SDP005": _group,
    "SDP004": _start,
    "SDP006": _connection,
    "SDP007": _unbounded,
    "SDP014": _columns,
    "SDP015": partial(_setting, "SDP015", planned.IDLE),
}
