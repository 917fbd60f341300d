"""Findings about a job before it is written: each with a code, a reason and a way to mend it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdp_kernel.flink.script import significant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sdp_kernel.flink.ledger import Entry
    from sdp_kernel.flink.script import Token

_SECRET = re.compile(
    r"^(?!.*[.-](url|source)$).*(password|secret|token|credential|api[._-]?key|sasl\.jaas\.config)",
    re.IGNORECASE | re.DOTALL,
)
_REFERENCE = re.compile(r"^\$\$\{(env|file):")
_IN_JAAS = re.compile(r"password\s*=(?!\s*[\"\\]*\$\$\{)", re.IGNORECASE)


@dataclass(frozen=True)
class Finding:
    """One finding. ``severity`` is error (blocks), warning or info."""

    code: str
    severity: str
    message: str
    fix: str


def lint(statement: str, entries: tuple[Entry, ...], *, updating: bool) -> tuple[Finding, ...]:
    """Look over a job's text: the INSERT, and the statements it needs."""
    return (*_of_statement(statement, entries, updating=updating), *_of_tables(statement, entries))


def _of_statement(text: str, entries: tuple[Entry, ...], *, updating: bool) -> Iterator[Finding]:
    words = [token.upper for token in significant(text) if token.kind == "word"]
    if "LIMIT" in words:
        yield Finding(
            "SDP001", "warning", "the job has a LIMIT: it ends, or keeps only so many rows", "take LIMIT out"
        )
    settings = " ".join(entry.text for entry in entries if entry.kind == "SET")
    if updating and "table.exec.state.ttl" not in settings:
        yield Finding(
            "SDP002",
            "warning",
            "the query keeps state for every key, and nothing bounds it",
            "SET 'table.exec.state.ttl' = '7 d', or use a window",
        )


def _of_tables(statement: str, entries: tuple[Entry, ...]) -> Iterator[Finding]:
    for entry in entries:
        name = f"{entry.kind} {entry.target or ''}".strip()
        options = dict(_options(entry.text))
        yield from _secrets(name, options)
        if "scan.bounded.mode" in options:
            yield Finding(
                "SDP007", "warning", f"{name} is bounded: the job will end", "take 'scan.bounded.mode' out"
            )
        if entry.kind != "CREATE TABLE":
            continue
        connector = options.get("connector", "")
        if connector in {"print", "blackhole", "datagen"}:
            yield Finding("SDP003", "warning", f"{name} uses the connector {connector}", "use the real table")
        if options.get("scan.startup.mode") == "latest-offset":
            yield Finding(
                "SDP004",
                "warning",
                f"{name} starts at latest-offset: a fresh start loses what came before it",
                "'scan.startup.mode' = 'group-offsets' or 'earliest-offset'",
            )
        if connector == "kafka" and "scan.startup.mode" in options and "properties.group.id" not in options:
            yield Finding(
                "SDP005",
                "info",
                f"{name} has no consumer group: its lag is not to be seen",
                "set 'properties.group.id'",
            )
        if "properties.bootstrap.servers" in options:
            yield Finding(
                "SDP006",
                "warning",
                f"{name} names its brokers: it works in one environment only",
                "write ${kafka.main} in place of 'properties.bootstrap.servers'",
            )
    hinted = dict(_options(statement))
    if "scan.bounded.mode" in hinted:
        yield Finding("SDP007", "warning", "a hint bounds a source: the job will end", "take the hint out")
    yield from _secrets("the query", hinted)


def _secrets(name: str, options: dict[str, str]) -> Iterator[Finding]:
    for key, value in options.items():
        literal = _SECRET.search(key) and not _REFERENCE.match(value)
        if key.lower().endswith("jaas.config"):
            literal = bool(_IN_JAAS.search(value))
        if literal:
            yield Finding(
                "SDP010",
                "error",
                f"{name} holds a literal secret in {key}",
                "use ${kafka.ALIAS} with an env: or file: reference in sdp.toml",
            )


def _options(text: str) -> Iterator[tuple[str, str]]:
    """Yield the ``'key' = 'value'`` pairs of a statement."""
    tokens: list[Token] = []
    for token in significant(text):
        tokens += significant(token.text[3:-2]) if token.kind == "hint" else [token]
    for key, equals, value in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if key.kind == value.kind == "string" and equals.text == "=":
            yield _unquoted(key.text), _unquoted(value.text)


def _unquoted(text: str) -> str:
    return text[1:-1].replace("''", "'")
