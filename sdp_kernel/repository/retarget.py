"""Points a job's tables elsewhere without touching their text: to other topics, to offsets with an end.

Each change becomes statements behind the table's own declaration, for a session that is thrown away.
Which tables a job has is read from its text; nothing is asked of Flink here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from sdp_kernel.errors import UsageError
from sdp_kernel.flink.declared import pairs, read_table
from sdp_kernel.flink.script import identifier, significant
from sdp_kernel.flink.sources import scan
from sdp_kernel.references import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sdp_kernel.flink.script import Statement, Token

_KAFKA = ("kafka", "upsert-kafka")
_ASIDE = "__sdp"


@dataclass(frozen=True)
class JobTable:
    """A table that a job declares.

    Attributes
    ----------
    parts
        Its name as declared: catalog and database only where they are written.
    options
        In force when the job starts: of WITH, of the table it is LIKE, of the ALTERs behind it.
    temporary, keyed, partitioned
        Whether it is TEMPORARY, has a primary key, is PARTITIONED BY something.
    is_source, is_sink
        Whether the job's last statement reads it, also through views, and whether it writes it.
    after
        The number of the last statement that says something of it.
    """

    parts: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=dict, hash=False)
    temporary: bool = False
    keyed: bool = False
    partitioned: bool = False
    is_source: bool = False
    is_sink: bool = False
    after: int = 0

    @property
    def name(self) -> str:
        """Its name with dots, as one writes it."""
        return ".".join(self.parts)

    @property
    def quoted(self) -> str:
        """Its name for a statement."""
        return ".".join(identifier(part) for part in self.parts)

    @property
    def connector(self) -> str:
        """Its connector; empty where none is named."""
        return self.options.get("connector", "")

    @property
    def is_kafka(self) -> bool:
        """Whether it is on a topic."""
        return self.connector in _KAFKA

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics it names; empty for a pattern and for what is no Kafka table."""
        return tuple(filter(None, (name.strip() for name in self.options.get("topic", "").split(";"))))


@dataclass(frozen=True)
class Change:
    """What becomes of a table.

    Attributes
    ----------
    options
        To set, by name; None takes one away.
    anew
        ``options`` are all there are, and of the declaration only columns that are written and the
        primary key stay: for a sink whose connector is another.
    """

    options: Mapping[str, str | None]
    anew: bool = False


def tables(statements: Sequence[Statement]) -> tuple[JobTable, ...]:
    """Return the tables that a job's statements declare, in order, with what its last statement does.

    A table of the same name that is declared again takes the place of the one before.

    Raises
    ------
    UsageError
        A name in an ALTER or LIKE may mean several of them.
    """
    found: dict[tuple[str, ...], JobTable] = {}
    for number, statement in enumerate(statements):
        if statement.kind == "CREATE TABLE" and not statement.is_ctas:
            created = _created(statement, found, number)
            if created.parts in found and "IF NOT EXISTS" in _words(statement):
                continue
            found.pop(created.parts, None)
            found[created.parts] = created
        elif statement.kind == "ALTER TABLE":
            _alter(statement, found, number)
        elif statement.kind == "DROP TABLE":
            found.pop(_name(significant(statement.text)), None)
    sources, sinks = _used(statements)
    return tuple(
        replace(
            table,
            is_source=any(same(table.parts, name) for name in sources),
            is_sink=any(same(table.parts, name) for name in sinks),
        )
        for table in found.values()
    )


def written(statement: Statement) -> tuple[tuple[str, ...], ...]:
    """Return the names that an INSERT or a statement set writes to, as it writes them."""
    return tuple(_written(significant(statement.text)))


def read(statements: Sequence[Statement]) -> frozenset[tuple[str, ...]]:
    """Return the names that a job's last statement reads, also through its views, as they are written."""
    return frozenset(_used(statements)[0])


def retarget(statements: Sequence[Statement], changes: Mapping[JobTable, Change]) -> tuple[str, ...]:
    """Return a job's statements as text, with each change behind the last word on its table.

    Permanent tables are altered; Flink refuses that for temporary ones, so these are made again. A
    table made anew hides the job's own behind a temporary one of its name. Hints in queries stay, and
    hold against these changes: see :func:`sdp_kernel.repository.reach.places`.
    """
    behind: dict[int, list[str]] = {}
    for table, change in changes.items():
        behind.setdefault(table.after, []).extend(_statements(table, change))
    whole = {table.parts for table, change in changes.items() if change.anew and table.partitioned}
    return tuple(
        text
        for number, statement in enumerate(statements)
        for text in (_unpartitioned(statement, whole), *behind.get(number, ()))
    )


def _unpartitioned(statement: Statement, names: set[tuple[str, ...]]) -> str:
    """Take PARTITIONED BY out of the declarations of these tables: Flink's EXCLUDING leaves it in."""
    tokens = significant(statement.text)
    if statement.kind != "CREATE TABLE" or _name(tokens) not in names:
        return statement.text
    start = next(at for at, token in outside(tokens) if token.upper == "PARTITIONED")
    end = next(at for at in range(start, len(tokens)) if tokens[at].text == ")")
    return statement.text[: tokens[start].start] + statement.text[tokens[end].end :]


def _statements(table: JobTable, change: Change) -> Iterator[str]:
    kept = {} if change.anew else dict(table.options)
    options = {k: v for k, v in {**kept, **change.options}.items() if v is not None}
    like = "EXCLUDING ALL INCLUDING CONSTRAINTS" if change.anew else "EXCLUDING OPTIONS"
    if table.temporary:
        aside = ".".join(identifier(part) for part in (*table.parts[:-1], table.parts[-1] + _ASIDE))
        yield f"CREATE TEMPORARY TABLE {aside} WITH ({_with(options)}) LIKE {table.quoted} ({like})"
        yield f"DROP TEMPORARY TABLE {table.quoted}"
        yield f"CREATE TEMPORARY TABLE {table.quoted} LIKE {aside}"
        return
    if change.anew:
        yield f"CREATE TEMPORARY TABLE {table.quoted} WITH ({_with(options)}) LIKE {table.quoted} ({like})"
        return
    gone = [key for key, value in change.options.items() if value is None and key in table.options]
    if gone:
        yield f"ALTER TABLE {table.quoted} RESET ({', '.join(map(quote, gone))})"
    wanted = {key: value for key, value in change.options.items() if value is not None}
    if wanted:
        yield f"ALTER TABLE {table.quoted} SET ({_with(wanted)})"


def _with(options: Mapping[str, str]) -> str:
    return ", ".join(f"{quote(key)} = {quote(value)}" for key, value in options.items())


def _created(statement: Statement, known: Mapping[tuple[str, ...], JobTable], number: int) -> JobTable:
    tokens = significant(statement.text)
    outermost = list(outside(tokens))
    words = [token.upper if token.kind == "word" else "" for _, token in outermost]
    keyed = any(a.upper == "PRIMARY" and b.upper == "KEY" for a, b in pairwise(tokens))
    options = dict(read_table(statement.text).options)
    if "LIKE" in words:
        at = outermost[words.index("LIKE")][0]
        base = _find(known, parts_at(tokens, at + 1))
        said = " ".join(token.upper for token in tokens[at:])
        if base is not None and _includes(said, "OPTIONS"):
            options = {**base.options, **options}
        keyed = keyed or (base is not None and base.keyed and _includes(said, "CONSTRAINTS"))
    return JobTable(
        _name(tokens),
        options,
        temporary=statement.temporary,
        keyed=keyed,
        partitioned="PARTITIONED" in words,
        after=number,
    )


def _includes(said: str, what: str) -> bool:
    """Whether a LIKE clause takes something over: all of it does, unless it says otherwise."""
    if f"EXCLUDING {what}" in said:
        return False
    return "EXCLUDING ALL" not in said or f"INCLUDING {what}" in said or f"OVERWRITING {what}" in said


def _alter(statement: Statement, found: dict[tuple[str, ...], JobTable], number: int) -> None:
    tokens = significant(statement.text)
    table = _find(found, _name(tokens))
    if table is None:
        return
    words = [token.upper if token.kind == "word" else "" for token in tokens]
    options, parts = dict(table.options), table.parts
    if "RENAME" in words and "TO" in words and words.index("TO") == words.index("RENAME") + 1:
        new = parts_at(tokens, words.index("TO") + 1)
        parts = new if len(new) > 1 else (*parts[:-1], *new)
    elif "RESET" in words:
        for token in tokens[words.index("RESET") :]:
            if token.kind == "string":
                options.pop(token.text[1:-1].replace("''", "'"), None)
    elif "SET" in words:
        options |= pairs(tokens[words.index("SET") + 1 :])
    keyed = table.keyed or ("PRIMARY" in words and "DROP" not in words)
    del found[table.parts]
    found[parts] = replace(table, parts=parts, options=options, keyed=keyed, after=number)


def _used(statements: Sequence[Statement]) -> tuple[set[tuple[str, ...]], set[tuple[str, ...]]]:
    """Return the names that the last statement reads, through views as well, and those it writes."""
    if not statements:
        return set(), set()
    last = statements[-1].text
    views = {
        tuple((statement.target or "").split(".")): statement.text
        for statement in statements
        if statement.kind == "CREATE VIEW"
    }
    read: set[tuple[str, ...]] = set()
    left = [last]
    while left:
        for reference in scan(_query_of(left.pop())).references:
            if reference.parts not in read:
                read.add(reference.parts)
                left += [text for name, text in views.items() if same(name, reference.parts)]
    return read, set(_written(significant(last)))


def _query_of(text: str) -> str:
    """Return a view's query; any other text as it is."""
    tokens = significant(text)
    if [token.upper for token in tokens[:1]] != ["CREATE"]:
        return text
    start = next((t.end for _, t in outside(tokens) if t.upper == "AS" and t.kind == "word"), 0)
    return text[start:]


def _written(tokens: Sequence[Token]) -> Iterator[tuple[str, ...]]:
    words = [token.upper if token.kind == "word" else token.text for token in tokens]
    for at, word in enumerate(words):
        if word == "INSERT" and words[at + 1 : at + 2] in (["INTO"], ["OVERWRITE"]):
            yield parts_at(tokens, at + 2 + (words[at + 2 : at + 3] == ["TABLE"]))


def _name(tokens: Sequence[Token]) -> tuple[str, ...]:
    """Return the name that a CREATE, ALTER or DROP TABLE gives."""
    words = [token.upper if token.kind == "word" else "" for token in tokens]
    at = words.index("TABLE") + 1
    for condition in (["IF", "NOT", "EXISTS"], ["IF", "EXISTS"]):
        if words[at : at + len(condition)] == condition:
            at += len(condition)
    return parts_at(tokens, at)


def _words(statement: Statement) -> str:
    return " ".join(token.upper for token in significant(statement.text)[:8])


def parts_at(tokens: Sequence[Token], at: int) -> tuple[str, ...]:
    """Return the parts of the name that stands at a token; () where none does."""
    parts: list[str] = []
    while at < len(tokens) and tokens[at].kind in {"word", "identifier"}:
        parts.append(tokens[at].name)
        if at + 1 >= len(tokens) or tokens[at + 1].text != ".":
            break
        at += 2
    return tuple(parts)


def _find(known: Mapping[tuple[str, ...], JobTable], parts: tuple[str, ...]) -> JobTable | None:
    """Return the table that a name means.

    Raises
    ------
    UsageError
        It may mean several: which one depends on the database that is current there.
    """
    found = [table for name, table in known.items() if same(name, parts)]
    if len(found) > 1:
        names = " or ".join(table.name for table in found)
        raise UsageError(
            f"{'.'.join(parts)} may mean {names}",
            hint="name tables with their database wherever two are called the same",
        )
    return found[0] if found else None


def same(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether two names mean one table: equal as far as both are written."""
    shared = min(len(one), len(other))
    return shared > 0 and one[-shared:] == other[-shared:]


def outside(tokens: Sequence[Token]) -> Iterator[tuple[int, Token]]:
    """Yield the tokens outside all parentheses, an opening one included, with their numbers."""
    depth = 0
    for number, token in enumerate(tokens):
        if depth == 0:
            yield number, token
        depth += {"(": 1, ")": -1}.get(token.text, 0)
