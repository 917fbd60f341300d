"""The panel over a sample, and a topic that is followed: as HTML and as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import humanize

from sdp_kernel.notebook import html
from sdp_kernel.notebook.topic_view import size_text

if TYPE_CHECKING:
    from sdp_kernel.kafka.follow import Following
    from sdp_kernel.kafka.produce import Produced
    from sdp_kernel.kafka.profile import ColumnProfile, Failure, SampleProfile
    from sdp_kernel.kafka.sample import Progress, Sample

_CUT = 28
_FOLLOWED = 20
_MOSTLY = 0.5
_STOPPED = {
    "time-out": "incomplete: the brokers gave nothing more",
    "size limit": "stopped at the size limit",
    "interrupted": "interrupted",
}
_HEADER = ["column", "type", "nulls", "distinct", "distribution", "min", "max", "values"]
_OF_FIELDS = {"json", "ndjson", "msgpack", "json-schema"}
_ABOUT_RECORDS = ("_partition", "_offset", "_timestamp")


def profile_bundle(p: SampleProfile) -> tuple[str, str]:
    """Return the panel over a sample as HTML and as text."""
    s = p.sample
    rows = [_row(c) for c in p.columns if c.name not in _ABOUT_RECORDS]
    right = (False, False, True, True)
    facts = [line for line in (_times(p), _event_time(p), _keys(p), _partitions(p)) if line]
    if s.format in _OF_FIELDS and not s.fields and "value" in s.value_columns:
        facts.append(
            "the values are no objects, or have more than 1,000 fields: they are JSON text in 'value'"
        )
    if p.more_columns:
        facts.append(f"{p.more_columns} more columns are in the frame")
    markup = html.panel(
        _head(s, p),
        html.grid(_HEADER, rows, right=right) if rows else "",
        *(html.note(line) for line in facts),
        _failures(p),
    )
    failed = f"{s.errors} not decoded: " + "; ".join(f"{n} x {why}" for why, n in p.reasons.items())
    text = "\n".join(
        [_title(s), html.text_grid(_HEADER, rows, right=right), *facts, *([failed] if s.errors else [])]
    )
    return markup, text


def _title(s: Sample) -> str:
    stopped = f", {_STOPPED[s.stopped]}" if s.stopped else ""
    return f"{s.topic}: {html.number(len(s))} rows, {s.format}{stopped}"


def _head(s: Sample, p: SampleProfile) -> list[str]:
    head = [html.title(s.topic), html.fact(html.number(len(s)), "rows"), html.fact(s.format, "value")]
    if s.key_format != "empty":
        head.append(html.fact(s.key_format, "key"))
    if p.value_bytes is not None:
        mean, _, most = p.value_bytes
        head.append(html.fact(size_text(mean), f"a value, at most {size_text(most)}"))
    if s.read > s.requested or not len(s):
        head.append(html.fact(html.number(s.read), "records read"))
    if s.tombstones:
        head.append(html.fact(html.number(s.tombstones), "tombstone" if s.tombstones == 1 else "tombstones"))
    if s.errors:
        head.append(html.chip(f"{s.errors} not decoded: see _error and _raw", "bad"))
    if s.stopped:
        head.append(html.chip(_STOPPED[s.stopped], "warn"))
    return head


def _row(c: ColumnProfile) -> list[Any]:
    share = c.nulls / c.rows if c.rows else 0.0
    nulls = "—" if not c.rows else f"{share:.0%}" if share in {0.0, 1.0} or share >= 0.01 else "<1%"  # noqa: PLR2004
    frequent = c.top if c.top and c.top[0][1] > 1 else ()
    if frequent and c.distinct is not None and c.distinct <= _MOSTLY * (c.rows - c.nulls):
        values = ", ".join(f"{_short(v)} ({n / c.rows:.0%})" for v, n in frequent[:3])
    else:
        values = ", ".join(_short(v) for v, _ in c.top[:2])
    distinct = "" if c.distinct is None else html.number(c.distinct)
    return [c.name, c.type, nulls, distinct, html.spark(c.bins), _short(c.low), _short(c.high), values]


def _short(value: Any) -> str:
    if value is None:
        return ""
    text = html.cell_text(value)
    return text if len(text) <= _CUT else text[:_CUT] + "…"


def _times(p: SampleProfile) -> str:
    column = next(c for c in p.columns if c.name == "_timestamp")
    if column.low is None:
        return ""
    if column.low == column.high:
        return f"every record is of {_short(column.low)}"
    span = humanize.precisedelta(column.high - column.low, minimum_unit="milliseconds", format="%d")
    return f"records from {_short(column.low)} to {_short(column.high)}, over {span}: {html.spark(p.times)}"


def _event_time(p: SampleProfile) -> str:
    e = p.event_time
    if e is None:
        return ""
    order = (
        f"{html.number(e.late)} of {html.number(e.looked_at)} out of order, by {_ms(e.late_ms[1])} (95 %)"
        f" to {_ms(e.late_ms[3])}"
        if e.late
        else f"none of {html.number(e.looked_at)} out of order"
    )
    lag = (
        f"; it reaches Kafka {_ms(e.lag_ms[0])} (50 %) to {_ms(e.lag_ms[2])} (99 %) later" if e.lag_ms else ""
    )
    return f"event time {e.column}: {order}{lag}; a watermark needs {e.delay}"


def _ms(ms: int) -> str:
    from datetime import timedelta  # noqa: PLC0415

    sign = "-" if ms < 0 else ""
    if abs(ms) < 10_000:  # noqa: PLR2004
        return f"{sign}{abs(ms) / 1000:.3g} s"
    return sign + humanize.naturaldelta(timedelta(milliseconds=abs(ms)))


def _keys(p: SampleProfile) -> str:
    k, rows = p.keys, len(p.sample)
    if not k.distinct:
        return "no record has a key" if rows else ""
    none = f", {html.number(k.nulls)} without" if k.nulls else ""
    top = ", ".join(f"{_short(v)} ({n / rows:.0%})" for v, n in k.top[:3]) if k.top[0][1] > 1 else ""
    return f"keys: {html.number(k.distinct)} different{none}" + (f"; most often {top}" if top else "")


def _partitions(p: SampleProfile) -> str:
    counts = [p.partitions.get(number, 0) for number in sorted(p.sample.offsets)]
    if len(counts) < 2 or not sum(counts):  # noqa: PLR2004
        return ""
    skew = max(counts) * len(counts) / sum(counts)
    filled = len(counts) - counts.count(0)
    return (
        f"partitions: {html.spark(counts)} {filled} of {len(counts)} have rows of the sample,"
        f" the fullest {skew:.1f} x the mean"
    )


def _failures(p: SampleProfile) -> str:
    if not p.failures:
        return ""
    reasons = "; ".join(f"{html.number(n)} x {why}" for why, n in list(p.reasons.items())[:5])
    return html.details(
        f"{html.number(p.sample.errors)} not decoded: {reasons}",
        html.grid(["partition", "offset", "reason", "bytes"], map(_failure, p.failures), right=(True, True)),
    )


def _failure(f: Failure) -> list[Any]:
    if f.raw is None:
        return [f.partition, f.offset, f.reason, ""]
    text = "".join(chr(b) if 32 <= b < 127 else "·" for b in f.raw[:60])  # noqa: PLR2004
    return [f.partition, f.offset, f.reason, f"{f.raw[:24].hex(' ')}  {text}"]


def progress_bundle(topic: str, progress: Progress) -> tuple[str, str]:
    """Return where a sample stands, while it is read."""
    share = f", {progress.read / progress.most:.0%} of the range" if progress.most else ""
    text = f"{html.number(progress.found)} found in {html.number(progress.read)} records{share}"
    return html.panel(
        [html.title(topic), html.chip("reading", "run"), html.fact("", text)]
    ), f"{topic}: {text}"


def following_bundle(f: Following, *, running: bool) -> tuple[str, str]:
    """Return a followed topic: counts, and the newest rows, the newest first."""
    import pyarrow as pa  # noqa: PLC0415

    s = f.sample
    head = [
        html.title(s.topic),
        html.chip("following", "run") if running else html.chip("stopped", "good"),
        html.fact(html.number(f.seen), "records"),
        html.fact(html.number(f.rate), "a second"),
    ]
    if f.found != f.seen:
        head.append(html.fact(html.number(f.found), "match"))
    if s.errors:
        head.append(html.chip(f"{s.errors} not decoded: see _error and _raw", "bad"))
    rows = len(s.table)
    newest = s.table.slice(max(0, rows - _FOLLOWED))
    newest = newest.take(pa.array(range(len(newest) - 1, -1, -1), pa.int64()))
    shown = [
        c for c in newest.column_names if c not in {"_headers", "_raw"} or newest[c].null_count < len(newest)
    ]
    body = html.table(newest.select(shown)) if rows else html.note("no record yet")
    more = html.note(f"the newest {len(newest)} of {html.number(rows)} kept") if rows > len(newest) else ""
    text = f"{s.topic}: {f.seen} records, {f.found} kept or shown, {f.rate:.1f} a second"
    return html.panel(head, body, more), text


def produced_bundle(p: Produced) -> tuple[str, str]:
    """Return what became of rows that were written."""
    head = [html.title(p.topic), html.fact(html.number(p.sent), "written")]
    head.append(html.fact(f"{p.key_format} → {p.format}", "key and value"))
    if p.tombstones:
        head.append(html.fact(html.number(p.tombstones), "tombstones"))
    if p.schema_id is not None:
        head.append(html.fact(str(p.schema_id), "schema id"))
    if p.failed:
        head.append(html.chip(f"{len(p.failed)} not written", "bad"))
    failed = [[f.row, f.reason] for f in p.failed[:_FOLLOWED]]
    places = ", ".join(f"{number}: {low} to {high - 1}" for number, (low, high) in p.offsets.items())
    text = f"{p.topic}: {p.sent} written" + (f", {len(p.failed)} not" if p.failed else "")
    body = html.grid(["row", "not written because"], failed, right=(True,)) if failed else ""
    return html.panel(head, html.note(f"offsets by partition: {places}") if places else "", body), text
