"""From SELECT to INSERT: the output table, from the result's schema and the planner's key."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdp_kernel.errors import PromoteError, SdpError, UsageError
from sdp_kernel.flink.script import identifier
from sdp_kernel.promote.slice import clean_session, explain, replay
from sdp_kernel.settings import quote

if TYPE_CHECKING:
    from sdp_kernel.flink.query import Query
    from sdp_kernel.flink.session import Session
    from sdp_kernel.promote.slice import Slice

_TOPIC = re.compile(r"^[A-Za-z0-9._-]{1,249}\Z")
_SOURCE_ALIAS = re.compile(r"(?<!\$)\$\{kafka\.(\w+)\}")


@dataclass(frozen=True)
class Sink:
    """The output: its table, its topic, its key (empty where the query only appends)."""

    table: str
    topic: str
    alias: str
    key: tuple[str, ...]
    ddl: str

    @property
    def topic_config(self) -> dict[str, str]:
        """The topic's configuration: compacted where rows are updated by key."""
        return {"cleanup.policy": "compact"} if self.key else {}


def check_topic(name: str) -> str:
    """Return ``name`` if Kafka takes it for a topic."""
    if not _TOPIC.match(name) or name in {".", ".."}:
        raise UsageError(
            f"{name!r} is not a topic name",
            hint="use 1 to 249 letters, digits, dots, underscores or hyphens",
        )
    return name


def insert_text(query: Query, sink: Sink) -> str:
    """Return the SELECT as an INSERT, the cell's text unchanged behind it."""
    return f"INSERT INTO {identifier(sink.table)}\n{query.statement.text}"


def make(query: Query, session: Session, part: Slice, *, topic: str, key: tuple[str, ...] | None) -> Sink:
    """Declare the output of a SELECT.

    A query that only appends goes to a Kafka table. One that updates goes to an upsert-kafka
    table, whose key is asked of the planner: Flink 2.3 refuses a primary key that does not hold the
    query's upsert key, so columns are taken away for as long as it accepts the rest.

    Raises
    ------
    PromoteError
        The query updates rows and has no key, or not the one asked for; or the output would be
        named like what the query reads.
    """
    check_topic(topic)
    table = re.sub(r"\W", "_", topic)
    if any(entry.target == table for entry in part.declarations):
        raise PromoteError(
            f"the output {topic} would be the table {table}, which is what the query reads",
            hint="choose another name for the topic, or write the INSERT yourself",
        )
    aliases = {a for entry in part.declarations for a in _SOURCE_ALIAS.findall(entry.text)}
    alias = next(iter(aliases)) if len(aliases) == 1 else "main"
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

    def sink(columns_: tuple[str, ...]) -> Sink:
        return Sink(table, topic, alias, columns_, _ddl(query, table, topic, alias, columns_))

    if not query.updating and not key:
        return sink(())
    prober = _Prober(query, session, part)
    if key:
        if not prober.accepts(sink(key)):
            raise PromoteError(
                f"the planner does not take ({', '.join(key)}) as the key of {topic}: {prober.reason}",
                hint="leave --key out to have it found",
            )
        return sink(key)
    found = tuple(columns)
    if not prober.accepts(sink(found)):
        raise PromoteError(
            f"the query updates its rows, and the planner finds no key for them: {prober.reason}",
            hint="aggregate by a key, or write the INSERT yourself with an ON CONFLICT clause",
        )
    for name in reversed(columns):
        fewer = tuple(column for column in found if column != name)
        if fewer and prober.accepts(sink(fewer)):
            found = fewer
    return sink(found)


class _Prober:
    """Asks the planner whether it takes a sink."""

    def __init__(self, query: Query, session: Session, part: Slice) -> None:
        self.query = query
        self.session = session
        self.part = part
        self.reason = ""

    def accepts(self, sink: Sink) -> bool:
        """Whether EXPLAIN of the INSERT into the sink succeeds."""
        with clean_session(self.session) as clean:
            replay(clean, self.part.entries)
            try:
                clean.runner().text(clean.render(sink.ddl).text)
                explain(clean, insert_text(self.query, sink), self.query.parameters)
            except SdpError as error:
                self.reason = error.message.split(" This can lead")[0]
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
