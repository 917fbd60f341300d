"""The list of topics, and one topic: as HTML and as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import humanize

from sdp_kernel.kafka.describe import pretty
from sdp_kernel.notebook import html

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    from sdp_kernel.kafka.describe import SubjectDetail, TopicDetail
    from sdp_kernel.kafka.topics import Look, TopicSummary
    from sdp_kernel.notebook.display import View

_SKEWED = 2.0
#: Columns of the list, and which are set flush right.
_RIGHT = {
    "topic": False, "partitions": True, "messages": True, "size ≈": True, "per second": True,
    "last record": True, "key": False, "value": False, "schema": False, "retention": False, "cleanup": False,
}  # fmt: skip
_FIRST_LOOK = {"topic", "partitions", "messages", "last record"}


def size_text(size: float | None) -> str:
    """Write a number of bytes."""
    return "" if size is None else humanize.naturalsize(size).replace(" Bytes", " B").replace(" Byte", " B")


def age_text(age: timedelta | None) -> str:
    """Write how long ago something was."""
    if age is None:
        return ""
    return f"{humanize.naturaldelta(max(age, age * 0))} ago"


def topics(view: View, looks: Iterable[Look]) -> None:
    """Draw the list of topics, and draw it again when more is known."""
    for look in looks:
        view.show(*topics_bundle(look), last=look.complete)


def topics_bundle(look: Look) -> tuple[str, str]:
    """Return the list of topics as HTML and as text."""
    lines = [_cells(t) for t in look.topics]
    header = list(_RIGHT)
    if not look.complete:
        header = [name for name in header if name in _FIRST_LOOK]
    elif not any(line["schema"] for line in lines):
        header.remove("schema")
    rows = [[line[name] for name in header] for line in lines]
    right = [_RIGHT[name] for name in header]
    head = [
        html.title("topics"),
        html.fact(html.number(len(lines)), "topic" if len(lines) == 1 else "topics"),
    ]
    if not look.complete:
        head.append(html.fact("", "looking at formats, rates and configurations …"))
    notes = "; ".join(look.notes if lines else ["there is no such topic", *look.notes])
    text = html.text_grid(header, rows, right=right) + (f"\n{notes}" if notes else "")
    return html.panel(head, html.grid(header, rows, right=right), html.note(notes)), text


def _cells(t: TopicSummary) -> dict[str, object]:
    schemas = [t.schema or "", f"key {t.key_schema}" if t.key_schema else ""]
    kept = t.cleanup_policy not in {None, "compact"}
    return {
        "topic": t.name,
        "partitions": t.partitions,
        "messages": "?" if t.messages is None else html.number(t.messages),
        "size ≈": size_text(t.size),
        "per second": "" if t.rate is None else html.number(t.rate),
        "last record": age_text(t.age) or "—",
        "key": "—" if t.key_format == "empty" else t.key_format,
        "value": t.format,
        "schema": ", ".join(filter(None, schemas)),
        "retention": _retention(t.retention) if kept else "",
        "cleanup": t.cleanup_policy,
    }


def _retention(span: timedelta | None) -> str:
    return "for ever" if span is None else humanize.naturaldelta(span)


def topic_bundle(t: TopicDetail) -> tuple[str, str]:
    """Return one topic as HTML and as text."""
    span = _span(t)
    head = [
        html.title(t.name),
        html.fact(html.number(t.messages), "messages"),
        html.fact(size_text(t.size) or "0", "≈"),
        html.fact(str(len(t.partitions)), "partitions"),
        html.fact(t.format or "?", "value"),
        html.fact("none" if t.key_format == "empty" else t.key_format or "?", "key"),
        html.fact(t.cleanup_policy, "cleanup.policy"),
        html.fact(_retention(t.retention), "retention"),
    ]
    if t.skew is not None and t.skew > _SKEWED:
        head.append(html.chip(f"skewed: the fullest partition has {t.skew:.1f} x the mean", "warn"))
    partitions = (
        ["partition", "first offset", "end offset", "offsets", "share", "leader", "replicas", "in sync"],
        [
            [p.partition, p.low, p.high, p.offsets, _share(p.offsets, t.messages),
             p.leader if p.leader >= 0 else "none", _brokers(p.replicas), _brokers(p.isr)]
            for p in t.partitions
        ],
    )  # fmt: skip
    groups = (
        ["consumer group", "state", "lag", "lag by partition"],
        [
            [g.group, g.state.lower(), g.lag, ", ".join(f"{p}: {lag}" for p, lag in g.lags.items() if lag)]
            for g in t.groups
        ],
    )
    config = (["configuration", "value"], sorted(t.config.items()))
    notes = "; ".join(t.notes)
    markup = html.panel(
        head,
        html.note(span),
        html.grid(*partitions, right=(True,) * 6),
        html.grid(*groups, right=(False, False, True))
        if t.groups
        else html.note("no consumer group reads it"),
        *(_subject(s) for s in t.subjects),
        html.grid(*config) if t.config else "",
        html.note(notes),
    )
    parts = [
        f"{t.name}: {t.messages} messages in {len(t.partitions)} partitions, {span}",
        html.text_grid(*partitions, right=(True,) * 6),
        html.text_grid(*groups, right=(False, False, True)) if t.groups else "",
        *(f"{s.subject}: {s.versions[-1].schema.type}, version {s.versions[-1].version}" for s in t.subjects),
        html.text_grid(*config) if t.config else "",
        notes,
    ]
    return markup, "\n".join(filter(None, parts))


def _brokers(ids: tuple[int, ...]) -> str:
    return ", ".join(map(str, ids))


def _share(offsets: int | None, total: int) -> str:
    return "" if not total or offsets is None else f"{offsets / total:.0%}"


def _subject(s: SubjectDetail) -> str:
    latest = s.versions[-1]
    count = f"{len(s.versions)} version{'' if len(s.versions) == 1 else 's'}"
    return html.details(
        f"{s.subject}: {latest.schema.type}, {count}, latest id {latest.schema.id}",
        html.pre(pretty(latest.schema.text)),
        *(html.pre(diff) for diff in reversed(s.diffs) if diff),
    )


def _span(t: TopicDetail) -> str:
    if t.first_timestamp is None or t.last_timestamp is None:
        return "no records"
    first, last = html.cell_text(t.first_timestamp), html.cell_text(t.last_timestamp)
    return f"records from {first} to {last}, the newest {age_text(t.age)}"
