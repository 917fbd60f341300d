"""From SELECT to INSERT: the output table, from the result's schema and the planner's key."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdp_kernel.errors import PromoteError, SdpError, UsageError
from sdp_kernel.flink.keys import named_keys
from sdp_kernel.flink.script import identifier
from sdp_kernel.promote.lint import options
from sdp_kernel.promote.slice import (
    Slice,
    clean_session,
    explain,
    in_force,
    object_names,
    reachable,
    replay,
)
from sdp_kernel.settings import quote

if TYPE_CHECKING:
    from typing_extensions import Self

    from sdp_kernel.flink.ledger import Entry
    from sdp_kernel.flink.query import Query
    from sdp_kernel.flink.session import Session

_TOPIC = re.compile(r"^[A-Za-z0-9._-]{1,249}\Z")
_NO_KEY = re.compile(r"upsert key: (none)?\.?$")
_SOURCE_ALIAS = re.compile(r"(?<!\$)\$\{kafka\.(\w+)\}")


@dataclass(frozen=True)
class Sink:
    """The output: its table, its topic, its key (empty where the query only appends).

    ``ddl`` is empty where the table is one of the session's own; ``topic`` is empty where that
    table is no Kafka topic.
    """

    table: str
    topic: str
    alias: str
    key: tuple[str, ...]
    ddl: str
    compacted: bool = False

    @property
    def topic_config(self) -> dict[str, str]:
        """The topic's configuration: compacted where rows are updated by key."""
        return {"cleanup.policy": "compact"} if self.key or self.compacted else {}


def check_topic(name: str) -> str:
    """Return ``name`` if Kafka takes it for a topic."""
    if not _TOPIC.match(name) or name in {".", ".."}:
        raise UsageError(
            f"{name!r} is not a topic name",
            hint="use 1 to 249 letters, digits, dots, underscores or hyphens",
        )
    return name


def insert_text(query: Query, table: str) -> str:
    """Return the SELECT as an INSERT, the cell's text unchanged behind it."""
    return f"INSERT INTO {identifier(table)}\n{query.statement.text}"


def make(query: Query, session: Session, part: Slice, *, topic: str, key: tuple[str, ...] | None) -> Sink:
    """Find or declare the output of a SELECT.

    A table of the session that is named ``topic``, or is declared over it, is taken as it is.
    Else one is declared: a query that only appends goes to a Kafka table, one that updates to an
    upsert-kafka table whose key is asked of the planner (Flink 2.3 refuses a primary key that does
    not hold an upsert key of the query, and names them).

    Raises
    ------
    PromoteError
        The query updates rows and has no key, or not the one asked for; the planner does not take
        the table; or the output is what the query reads.
    """
    check_topic(topic)
    table = re.sub(r"\W", "_", topic)
    alias = _alias(part)
    _check_apart(session, part, topic, table, alias)
    existing = _existing(session, topic, table)
    if existing is not None:
        if key:
            raise UsageError(
                f"the table {existing.table} is declared with its own key", hint="leave --key out"
            )
        return existing
    if f"kafka.{alias}" not in session.fragments:
        raise PromoteError(
            f"the profile has no Kafka cluster {alias!r} to write {topic} to",
            hint=f"add [profiles.NAME.kafka.{alias}] to sdp.toml",
        )
    columns = [column.name for column in query.columns]
    for name in key or ():
        if name not in columns:
            raise UsageError(
                f"the key column {name!r} is not in the result", hint=f"it has: {', '.join(columns)}"
            )
    with _Prober(query, session, part, topic, alias) as prober:
        found = prober.find(key)
    return Sink(table, topic, alias, found, _ddl(query, table, topic, alias, found))


def _alias(part: Slice) -> str:
    aliases = {a for entry in part.declarations for a in _SOURCE_ALIAS.findall(entry.text)}
    return next(iter(aliases)) if len(aliases) == 1 else "main"


def _check_apart(session: Session, part: Slice, topic: str, table: str, alias: str) -> None:
    """Refuse an output that the query reads: the job would feed itself."""
    for group in part.objects:
        names = object_names(group)
        if {topic, table} & names:
            raise PromoteError(
                f"the output {topic} would be the table {table}, which is what the query reads",
                hint="choose another name for the topic, or write the INSERT yourself",
            )
        with_ = _rendered_options(session, group)
        aliases = set(_SOURCE_ALIAS.findall(group[0].text))
        if topic in with_.get("topic", "").split(";") and aliases <= {alias}:
            raise PromoteError(
                f"the query reads the topic {topic}, through the table {group[0].target}: "
                "the job would feed itself",
                hint="choose another output topic",
            )


def _existing(session: Session, topic: str, table: str) -> Sink | None:
    """Return the session's own table for an output, if it has one."""
    for group in in_force(session.ledger.shaping).objects:
        names = object_names(group)
        if not {topic, table} & names:
            continue
        name = next(n for n in (topic, table) if n in names)
        with_ = _rendered_options(session, group)
        over = with_.get("topic", "") if with_.get("connector") in {"kafka", "upsert-kafka"} else ""
        if not group[0].kind.endswith("TABLE") or topic not in {name, over}:
            raise PromoteError(
                f"the output {topic} would be the table {table}, and the session has another "
                f"{group[0].kind.split()[-1].lower()} of that name",
                hint=f"choose another topic, or DROP {group[0].kind.split()[-1]} {identifier(table)}",
            )
        aliases = _SOURCE_ALIAS.findall(group[0].text)
        compacted = with_.get("connector") == "upsert-kafka"
        return Sink(name, over, aliases[0] if aliases else "main", (), "", compacted)
    return None


def with_table(session: Session, part: Slice, output: Sink) -> Slice:
    """Add the session's own table of an output to the slice, last, with what it needs itself."""
    known = reachable(identifier(output.table), in_force(session.ledger.shaping))
    more = tuple(entry for entry in known.declarations if entry not in part.declarations)
    return Slice(part.settings, (*part.declarations, *more))


def _rendered_options(session: Session, group: tuple[Entry, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in group:
        found.update(options(session.render(entry.text, entry.parameters).text))
    return found


class _Prober:
    """Asks the planner, in a clean session, which key the output may have."""

    def __init__(self, query: Query, session: Session, part: Slice, topic: str, alias: str) -> None:
        self.query = query
        self.part = part
        self.topic = topic
        self.alias = alias
        self.reason = ""
        self._probes = 0
        self._opened = clean_session(session)

    def __enter__(self) -> Self:
        self.session = self._opened.__enter__()
        replay(self.session, self.part.entries)
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.__exit__(None, None, None)

    def find(self, key: tuple[str, ...] | None) -> tuple[str, ...]:
        """Return the key: the one given if the planner takes it, else its own; () for appends."""
        if key:
            if not self.accepts(key):
                raise PromoteError(
                    f"the planner does not take ({', '.join(key)}) as the key of {self.topic}: {self.reason}",
                    hint="leave --key out to have it found",
                )
            return key
        if not self.query.updating:
            if not self.accepts(()):
                raise PromoteError(
                    f"the result cannot be written to the topic {self.topic}: {self.reason}",
                    hint="CAST the column it names to another type, or write the INSERT yourself",
                )
            return ()
        return self._upsert_key()

    def _upsert_key(self) -> tuple[str, ...]:
        columns = tuple(column.name for column in self.query.columns)
        for column in columns:
            if self.accepts((column,)):
                return (column,)
            named = [k for k in named_keys(self.reason, columns) if self.accepts(k)]
            if named:
                return min(named, key=lambda k: (len(k), [columns.index(name) for name in k]))
            if _NO_KEY.search(self.reason):
                break
        if not self.accepts(columns):
            raise PromoteError(
                f"the query updates its rows, and the planner finds no key for them: {self.reason}",
                hint="aggregate by a key that is in the result, give --key, or write the INSERT yourself "
                "with an ON CONFLICT clause",
            )
        found = columns
        for name in reversed(columns):
            fewer = tuple(column for column in found if column != name)
            if fewer and self.accepts(fewer):
                found = fewer
        return found

    def accepts(self, key: tuple[str, ...]) -> bool:
        """Whether EXPLAIN of the INSERT succeeds with this key."""
        self._probes += 1
        table = f"sdp_probe_{self._probes}"
        try:
            runner = self.session.runner()
            runner.text(self.session.render(_ddl(self.query, table, self.topic, self.alias, key)).text)
            explain(self.session, insert_text(self.query, table), self.query.parameters)
        except SdpError as error:
            self.reason = error.message.split(" This can lead")[0].replace(
                f"'default_catalog.default_database.{table}'", self.topic
            )
            return False
        return True


def _ddl(query: Query, table: str, topic: str, alias: str, key: tuple[str, ...]) -> str:
    lines = []
    for column in query.columns:
        type_ = column.type.sql().removesuffix(" NOT NULL") + (" NOT NULL" if column.name in key else "")
        lines.append(f"  {identifier(column.name)} {type_}")
    if key:
        lines.append(f"  PRIMARY KEY ({', '.join(map(identifier, key))}) NOT ENFORCED")
    options = [("connector", "upsert-kafka" if key else "kafka"), None, ("topic", topic)]
    formats = ("key.format", "value.format") if key else ("format",)
    for option in formats:
        options.append((option, "json"))
        prefix = option.removesuffix("format")
        options.append((f"{prefix}json.timestamp-format.standard", "ISO-8601"))
    written = [f"  ${{kafka.{alias}}}" if o is None else f"  {quote(o[0])} = {quote(o[1])}" for o in options]
    body, with_ = ",\n".join(lines), ",\n".join(written)
    return f"CREATE TABLE {identifier(table)} (\n{body}\n) WITH (\n{with_}\n)"
