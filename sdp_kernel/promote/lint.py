"""Findings about a job before it is written: each with a code, a reason and a way to mend it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdp_kernel.flink.script import significant
from sdp_kernel.references import names_secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sdp_kernel.flink.ledger import Entry
    from sdp_kernel.flink.query import Query
    from sdp_kernel.flink.script import Token
    from sdp_kernel.promote.sink import Sink

_REFERENCE = re.compile(r"^\$\$\{(env|file):")
_IN_JAAS = re.compile(r"password\s*=(?!\s*[\"\\]*\$\$\{)", re.IGNORECASE)
_UNNAMED = re.compile(r"^EXPR\$\d+$")
#: Operators that keep state for ever, by their names in an EXPLAIN; windowed ones have other names.
_STATEFUL = re.compile(
    r"(?:^|[-+|:\s])(?:(?:Incremental|Global)?GroupAggregate|Join|MultiJoin|Rank|Deduplicate|ChangelogNormalize)\("
)


@dataclass(frozen=True)
class Finding:
    """One finding. ``severity`` is error (blocks), warning or info."""

    code: str
    severity: str
    message: str
    fix: str


def lint(
    statement: str, entries: tuple[Entry, ...], *, updating: bool, plan: str = ""
) -> tuple[Finding, ...]:
    """Look over a job's text: the INSERT, and the statements it needs.

    Parameters
    ----------
    plan
        ``EXPLAIN`` of the INSERT: it shows what keeps state, where ``updating`` only guesses.
    """
    return (
        *_of_statement(statement, entries, updating=updating, plan=plan),
        *_of_tables(statement, entries),
    )


def lint_run(query: Query, sink: Sink | None, entries: tuple[Entry, ...]) -> tuple[Finding, ...]:
    """Look over what ran: how many jobs the cell starts, and whether its rows fit the output."""
    return (*_of_cell(query), *(_of_rows(query, sink, entries) if sink is not None else ()))


def lint_profile(left_out: Iterable[str]) -> tuple[Finding, ...]:
    """Say which of the profile's session settings do not go with the job."""
    return tuple(
        Finding("SDP012", "info", f"the profile sets {name}, which is not part of the job",
                f"SET '{name}' in the cell if the job needs it")
        for name in sorted(left_out)
    )  # fmt: skip


def _of_cell(query: Query) -> Iterator[Finding]:
    jobs = sum(s.runs_job for s in query.statements) + query.statement.is_query
    if jobs > 1:
        yield Finding(
            "SDP008",
            "error",
            f"the cell starts {jobs} jobs, and a job definition holds one",
            "split the cell, or join its INSERTs: EXECUTE STATEMENT SET BEGIN … END",
        )


def _of_rows(query: Query, sink: Sink, entries: tuple[Entry, ...]) -> Iterator[Finding]:
    for column in query.columns:
        if _UNNAMED.match(column.name):
            yield Finding(
                "SDP009",
                "warning",
                f"a column has no name: it is written as {column.name}",
                f"name it in the query: … AS {column.name.replace('EXPR$', 'column_')}",
            )
    if any("table.exec.sink.not-null-enforcer" in entry.text for entry in entries if entry.kind == "SET"):
        return
    table = query.arrow
    for name in sink.key:
        nulls = table.column(name).null_count
        if nulls:
            yield Finding(
                "SDP011",
                "error",
                f"{nulls} of the rows seen have no {name}, which is the output's key: the job would fail",
                f"WHERE {name} IS NOT NULL, or SET 'table.exec.sink.not-null-enforcer' = 'DROP'",
            )


def _of_statement(text: str, entries: tuple[Entry, ...], *, updating: bool, plan: str) -> Iterator[Finding]:
    views = [entry for entry in entries if entry.kind == "CREATE VIEW"]
    for name, part in (("the job", text), *((f"the view {view.target}", view.text) for view in views)):
        if {"LIMIT", "FETCH"} & {token.upper for token in significant(part) if token.kind == "word"}:
            yield Finding(
                "SDP001",
                "warning",
                f"{name} has a LIMIT: it ends, or keeps only so many rows",
                "take LIMIT out",
            )
    settings = " ".join(entry.text for entry in entries if entry.kind == "SET")
    bounded = "table.exec.state.ttl" in settings or any(
        token.kind == "hint" and "STATE_TTL" in token.upper for token in significant(text)
    )
    stateful = bool(_STATEFUL.search(plan)) if plan else updating
    if stateful and not bounded:
        yield Finding(
            "SDP002",
            "warning",
            "the query keeps state for every key, and nothing bounds it",
            "SET 'table.exec.state.ttl' = '7 d', or use a window",
        )
    for entry in entries:
        if entry.kind == "ADD JAR":
            yield Finding(
                "SDP013",
                "warning",
                f"{entry.text}: a jar of this gateway's machine, which the job's cluster may not have",
                "put the jar into the cluster's image, or name it by an address the cluster can read",
            )


def _of_tables(statement: str, entries: tuple[Entry, ...]) -> Iterator[Finding]:
    for entry in entries:
        name = f"{entry.kind} {entry.target or ''}".strip()
        with_ = dict(options(entry.text))
        yield from _secrets(name, with_)
        if "scan.bounded.mode" in with_:
            yield Finding(
                "SDP007", "warning", f"{name} is bounded: the job will end", "take 'scan.bounded.mode' out"
            )
        if entry.kind != "CREATE TABLE":
            continue
        connector = with_.get("connector", "")
        if connector in {"print", "blackhole", "datagen"}:
            yield Finding("SDP003", "warning", f"{name} uses the connector {connector}", "use the real table")
        if with_.get("scan.startup.mode") == "latest-offset":
            yield Finding(
                "SDP004",
                "warning",
                f"{name} starts at latest-offset: a fresh start loses what came before it",
                "'scan.startup.mode' = 'group-offsets' or 'earliest-offset'",
            )
        if connector == "kafka" and "scan.startup.mode" in with_ and "properties.group.id" not in with_:
            yield Finding(
                "SDP005",
                "info",
                f"{name} has no consumer group: its lag is not to be seen",
                "set 'properties.group.id'",
            )
        if "properties.bootstrap.servers" in with_:
            yield Finding(
                "SDP006",
                "warning",
                f"{name} names its brokers: it works in one environment only",
                "write ${kafka.main} in place of 'properties.bootstrap.servers'",
            )
    hinted = dict(options(statement))
    if "scan.bounded.mode" in hinted:
        yield Finding("SDP007", "warning", "a hint bounds a source: the job will end", "take the hint out")
    yield from _secrets("the query", hinted)


def _secrets(name: str, with_: dict[str, str]) -> Iterator[Finding]:
    for key, value in with_.items():
        literal = names_secret(key) and not _REFERENCE.match(value)
        if key.lower().endswith("jaas.config"):
            literal = bool(_IN_JAAS.search(value))
        if literal:
            yield Finding(
                "SDP010",
                "error",
                f"{name} holds a literal secret in {key}",
                "use ${kafka.ALIAS} with an env: or file: reference in sdp.toml",
            )


def options(text: str) -> Iterator[tuple[str, str]]:
    """Yield the ``'key' = 'value'`` pairs of a statement."""
    tokens: list[Token] = []
    for token in significant(text):
        tokens += significant(token.text[3:-2]) if token.kind == "hint" else [token]
    for key, equals, value in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if key.kind == value.kind == "string" and equals.text == "=":
            yield _unquoted(key.text), _unquoted(value.text)


def _unquoted(text: str) -> str:
    return text[1:-1].replace("''", "'")
