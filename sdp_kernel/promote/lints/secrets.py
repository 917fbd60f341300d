"""Literal secrets: in options, settings, comments and parameters. They are found, and hidden at once.

A plan that is shown holds no secret, and a job with one is not written.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from sdp_kernel.flink.parameters import names
from sdp_kernel.flink.script import significant
from sdp_kernel.promote.lints import text as texts
from sdp_kernel.promote.lints.draft import where_of
from sdp_kernel.promote.lints.finding import found
from sdp_kernel.references import names_secret, quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sdp_kernel.flink.ledger import Entry
    from sdp_kernel.promote.lints.draft import Draft
    from sdp_kernel.promote.lints.finding import Finding

HIDDEN = "********"
_REFERENCE = re.compile(r"^\$\$\{(env|file):")
_IN_JAAS = re.compile(r"(password|secret)\s*=(?!\s*[\"\\]*\$\$\{)", re.IGNORECASE)
_OTHER_NAME = re.compile(r"(user-info|\.authorization)$", re.IGNORECASE)
_IN_ADDRESS = re.compile(r"://[^/\s:@]*:(?!\$\$\{)[^/\s@]+@")
_IN_QUERY = re.compile(r"[?&;](password|secret|token)=(?!\$\$\{|&|$)", re.IGNORECASE)
_IN_VALUE = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b")
_USE = "use ${kafka.ALIAS} with an env: or file: reference in sdp.toml"


def is_secret(key: str, value: str) -> bool:
    """Whether a pair holds a secret, and no reference to one."""
    if not value or value == HIDDEN:
        return False
    if key.lower().endswith("jaas.config"):
        return bool(_IN_JAAS.search(value))
    if names_secret(key) or _OTHER_NAME.search(key):
        return not _REFERENCE.match(value)
    return any(pattern.search(value) for pattern in (_IN_ADDRESS, _IN_QUERY, _IN_VALUE))


def hide(draft: Draft) -> tuple[Draft, tuple[Finding, ...]]:
    """Return the job without the secrets in it, and a finding for each."""
    findings = list(dict.fromkeys(_all(draft)))
    if not findings:
        return draft, ()
    part = replace(
        draft.part,
        settings=tuple(_hidden_entry(entry) for entry in draft.part.settings),
        declarations=tuple(_hidden_entry(entry) for entry in draft.part.declarations),
    )
    values = {name: HIDDEN if _is_secret_parameter(draft, name) else v for name, v in draft.values.items()}
    return replace(draft, statement=_hidden(draft.statement), part=part, values=values), tuple(findings)


def _all(draft: Draft) -> Iterator[Finding]:
    written = [("the query", draft.statement), *((where_of(e), e.text) for e in draft.part.entries)]
    for where, text in written:
        for key, value in texts.options(text):
            if is_secret(key, value):
                yield found("SDP010", f"{where} holds a literal secret in {key}", _USE, where)
        for pair in texts.commented(text):
            if is_secret(pair.key, pair.value):
                yield found("SDP010", f"{where} holds a literal secret in a comment: {pair.key}",
                            "take the comment out: it is committed as it is", where)  # fmt: skip
    for entry in draft.part.sets:
        key, value = texts.setting(entry.text)
        if is_secret(key, value):
            yield found("SDP010", f"{where_of(entry)} holds a literal secret in {key}", _USE, where_of(entry))
    for name in draft.values:
        if _is_secret_parameter(draft, name):
            yield found(
                "SDP010",
                f"the parameter ${{{name}}} is a secret, and is written into the module call",
                f"{_USE}; or give the parameter another name if it is none",
            )


def _is_secret_parameter(draft: Draft, name: str) -> bool:
    """Whether a parameter is named like a secret, or stands where one is."""
    if draft.values.get(name, "") in {"", HIDDEN}:
        return False
    if names_secret(name):
        return True
    written = (draft.statement, *(entry.text for entry in draft.part.entries))
    return any(
        name in names(value) and is_secret(key, value)
        for text in written
        for key, value in texts.options(text)
    )


def _hidden_entry(entry: Entry) -> Entry:
    text = _hidden(entry.text)
    if entry.kind == "SET" and is_secret(*texts.setting(text)):
        text = f"SET {quote(texts.setting(text)[0])} = {quote(HIDDEN)}"
    return entry if text == entry.text else replace(entry, text=text)


def _hidden(text: str) -> str:
    found_ = [*texts.pairs(text), *texts.commented(text)]
    for pair in sorted(found_, key=lambda pair: pair.start, reverse=True):
        if is_secret(pair.key, pair.value):
            text = text[: pair.start] + quote(HIDDEN) + text[pair.end :]
    for token in reversed([token for token in significant(text) if token.kind == "hint"]):
        inner = _hidden(texts.inside(token))
        text = f"{text[: token.start]}/*+{inner}*/{text[token.end :]}"
    return text
