"""An output topic: its table, and the key that the planner lets it have."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sdp_kernel.errors import PromoteError, UsageError
from sdp_kernel.flink.keys import named_keys
from sdp_kernel.flink.script import identifier
from sdp_kernel.promote.lint import options
from sdp_kernel.promote.objects import Slice, declared_name, in_force, object_names
from sdp_kernel.promote.sink import Sink
from sdp_kernel.promote.sinks.probe import refusal
from sdp_kernel.settings import quote

if TYPE_CHECKING:
    from sdp_kernel.flink.ledger import Entry
    from sdp_kernel.flink.query import Query
    from sdp_kernel.flink.session import Session

_NO_KEY = re.compile(r"upsert key: (none)?\.?$")
SOURCE_ALIAS = re.compile(r"(?<!\$)\$\{kafka\.(\w+)\}")


def table_of(topic: str) -> str:
    """Return the name of the table that is declared over a topic."""
    return re.sub(r"\W", "_", topic)


def make(query: Query, session: Session, part: Slice, *, topic: str, key: tuple[str, ...] | None) -> Sink:
    """Declare the table of a new output topic.

    A query that only appends goes to a Kafka table, one that updates to an upsert-kafka table whose key is
    asked of the planner (Flink 2.3 refuses a primary key that does not hold an upsert key of the query, and
    names them).

    Raises
    ------
    PromoteError
        The query updates rows and has no key, or not the one asked for; or the planner does not take the
        table.
    """
    table, alias = table_of(topic), _alias(part)
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
    prober = _Prober(query, session, topic, alias)
    found = prober.find(key)
    ddl = _ddl(query, table, topic, alias, found)
    return Sink(table, topic, alias, found, ddl, deduplicated=prober.deduplicates)


def _alias(part: Slice) -> str:
    aliases = {a for entry in part.declarations for a in SOURCE_ALIAS.findall(entry.text)}
    return next(iter(aliases)) if len(aliases) == 1 else "main"


def declared(session: Session, reads: Slice, topic: str) -> Sink | None:
    """Return the session's own table of that name or over that topic, if it has one.

    Raises
    ------
    PromoteError
        The job reads it, or the name is another object's.
    """
    table = table_of(topic)
    _check_apart(session, reads, topic, table, _alias(reads))
    for group in in_force(session.ledger.shaping).objects:
        names = object_names(group)
        if not {topic, table} & names:
            continue
        name = next(n for n in (topic, table) if n in names)
        with_ = rendered_options(session, group)
        over = with_.get("topic", "") if with_.get("connector") in {"kafka", "upsert-kafka"} else ""
        if not group[0].kind.endswith("TABLE") or topic not in {name, over}:
            raise PromoteError(
                f"the output {topic} would be the table {table}, and the session has another "
                f"{group[0].kind.split()[-1].lower()} of that name",
                hint=f"choose another topic, or DROP {group[0].kind.split()[-1]} {identifier(table)}",
            )
        aliases = SOURCE_ALIAS.findall(group[0].text)
        return Sink(
            name,
            over,
            aliases[0] if aliases else "main",
            compacted=with_.get("connector") == "upsert-kafka",
            written=declared_name(group) or identifier(name),
        )
    return None


def _check_apart(session: Session, part: Slice, topic: str, table: str, alias: str) -> None:
    """Refuse an output that the query reads: the job would feed itself."""
    for group in part.objects:
        names = object_names(group)
        if {topic, table} & names:
            raise PromoteError(
                f"the output {topic} would be the table {table}, which is what the query reads",
                hint="choose another name for the topic, or write the INSERT yourself",
            )
        with_ = rendered_options(session, group)
        aliases = set(SOURCE_ALIAS.findall(group[0].text))
        if topic in with_.get("topic", "").split(";") and aliases <= {alias}:
            raise PromoteError(
                f"the query reads the topic {topic}, through the table {group[0].target}: "
                "the job would feed itself",
                hint="choose another output topic",
            )


def rendered_options(session: Session, group: tuple[Entry, ...]) -> dict[str, str]:
    """Return an object's options after its ALTERs, parameters filled in."""
    found: dict[str, str] = {}
    for entry in group:
        found.update(options(session.render(entry.text, entry.parameters).text))
    return found


class _Prober:
    """Asks the planner, in the session itself, which key the output may have."""

    def __init__(self, query: Query, session: Session, topic: str, alias: str) -> None:
        self.query = query
        self.session = session
        self.topic = topic
        self.alias = alias
        self.reason = ""
        self.deduplicates = False

    def find(self, key: tuple[str, ...] | None) -> tuple[str, ...]:
        """Return the key: the one given if the planner takes it, else its own; () for appends."""
        if key:
            if not self.accepts(key) and not self._accepts_as_last(key):
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

    def _accepts_as_last(self, key: tuple[str, ...]) -> bool:
        """Whether the last row of each key can be kept, where the planner knows of no key to go by."""
        if not _NO_KEY.search(self.reason):
            return False
        reason, self.deduplicates = self.reason, True
        if not self.accepts(key):
            self.reason, self.deduplicates = reason, False
        return self.deduplicates

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
                hint="aggregate by a key that is in the result, or name one with --key: "
                "of rows with one key the last is kept",
            )
        found = columns
        for name in reversed(columns):
            fewer = tuple(column for column in found if column != name)
            if fewer and self.accepts(fewer):
                found = fewer
        return found

    def accepts(self, key: tuple[str, ...]) -> bool:
        """Whether EXPLAIN of the INSERT succeeds with this key."""

        def insert(name: str) -> str:
            text = Sink(self.topic, written=name, deduplicated=self.deduplicates).insert(self.query)
            return self.session.render(text, self.query.parameters).text

        body = self.session.render(_body(self.query, self.topic, self.alias, key)).text
        reason = refusal(self.session, body, insert, shown=self.topic)
        self.reason = (reason or "").split(" This can lead")[0]
        return reason is None


def _ddl(query: Query, table: str, topic: str, alias: str, key: tuple[str, ...]) -> str:
    return f"CREATE TABLE {identifier(table)} {_body(query, topic, alias, key)}"


def _body(query: Query, topic: str, alias: str, key: tuple[str, ...]) -> str:
    lines = column_lines(query, key)
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
    return f"(\n{body}\n) WITH (\n{with_}\n)"


def column_lines(query: Query, required: tuple[str, ...] = ()) -> list[str]:
    """Return the result's columns as DDL, nullable but for those required."""
    return [
        f"  {identifier(column.name)} {column.type.sql().removesuffix(' NOT NULL')}"
        + " NOT NULL" * (column.name in required)
        for column in query.columns
    ]
