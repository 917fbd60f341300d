"""What the workbench shows: a query while it runs and after, topics, samples. HTML and plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.core.getipython import get_ipython
from IPython.display import display

from sdp_kernel.notebook import html

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from sdp_kernel.flink.jobs import Job
    from sdp_kernel.flink.query import Query
    from sdp_kernel.kafka.infer import TableSketch
    from sdp_kernel.kafka.sample import Sample
    from sdp_kernel.kafka.describe import TopicDetail

SHOWN_ROWS = 50
_STATES = {
    "running": ("running", "run"),
    "finished": ("finished", "good"),
    "ok": ("ok", "good"),
    "submitted": ("submitted", "good"),
    "limit": ("stopped at limit", "warn"),
    "timeout": ("stopped at time-out", "warn"),
    "idle": ("stopped when quiet", "good"),
    "interrupted": ("interrupted", "warn"),
    "failed": ("failed", "bad"),
}


class View:
    """One output that is redrawn in place; where nothing can be redrawn, only the last is drawn."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._redraws = hasattr(get_ipython(), "kernel")

    def show(self, markup: str, text: str, *, last: bool = True) -> None:
        """Draw, or draw again; ``last`` says that no other drawing follows."""
        if not (last or self._redraws):
            return
        bundle = {"text/html": markup, "text/plain": text}
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


def show(markup: str, text: str) -> None:
    """Draw once."""
    display({"text/html": markup, "text/plain": text}, raw=True)


def query(view: View, q: Query) -> None:
    """Draw a query as it stands."""
    view.show(*query_bundle(q), last=q.state != "running")


def query_bundle(q: Query) -> tuple[str, str]:
    """Return a query's panel as HTML and as text."""
    state, tone = _STATES[q.state]
    statement = q.statement
    title = q.name or (statement.kind.lower() if statement.is_query else _what(q))
    head = [html.title(title), html.chip(state, tone)]
    if statement.is_query:
        progress = q.progress()
        head.append(html.fact(html.number(progress.rows), "row" if progress.rows == 1 else "rows"))
        if progress.changes != progress.rows:
            head.append(html.fact(html.number(progress.changes), "changes"))
        head.append(html.fact(f"{progress.elapsed:.1f}", "s"))
        if q.state == "running" and progress.rate:
            head.append(html.fact(html.number(progress.rate), "changes/s"))
    if q.job_id:
        head.append(html.fact(q.job_id[:8], "job"))
    if statement.runs_job:
        return html.panel(head), f"{title}: {state}, job {q.job_id}"
    if q.rows is None or (not statement.is_query and _only_ok(q)):
        return html.panel(head), f"{title}: {state}"
    shown = q.head(SHOWN_ROWS)
    one_text = not statement.is_query and shown.num_columns == 1 and shown.num_rows == 1
    body = html.pre(str(shown.column(0)[0].as_py())) if one_text else html.table(shown, _types(q))
    left = len(q) - shown.num_rows
    more = (
        f"first {shown.num_rows} of {html.number(len(q))} rows; all of them in {q.name or '_'}.df"
        if left
        else ""
    )
    advice = f"raise --limit for more than {q.limit} rows" if q.state == "limit" else ""
    notes = html.note("; ".join(part for part in (more, advice) if part))
    return html.panel(head, body, notes), _query_text(q, shown, state, title)


def _what(q: Query) -> str:
    return f"{q.statement.kind} {q.statement.target}" if q.statement.target else q.statement.kind


def _types(q: Query) -> list[str]:
    return [column.type.sql().removesuffix(" NOT NULL") for column in q.columns]


def _only_ok(q: Query) -> bool:
    return len(q) == 1 and len(q.columns) == 1 and q.head(1).to_pylist()[0] == {"result": "OK"}


def _query_text(q: Query, shown: pa.Table, state: str, title: str) -> str:
    if not q.statement.is_query and shown.num_columns == 1 and shown.num_rows == 1:
        return str(shown.column(0)[0].as_py())
    count = f"{len(q)} row{'' if len(q) == 1 else 's'}"
    return f"{title}: {state}, {count}\n{table_text(shown)}"


def table_text(table: pa.Table) -> str:
    """Write a table as aligned text."""
    columns = [
        [name, *("null" if v is None else html.cell_text(v).replace("\n", "⏎") for v in column.to_pylist())]
        for name, column in zip(table.column_names, table.columns, strict=True)
    ]
    right = [html.is_number(field.type) for field in table.schema]
    widths = [max(map(len, column)) for column in columns]
    lines = []
    for row in zip(*columns, strict=True):
        cells = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True))
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _age(value: Any) -> str | None:
    """Write a timedelta in its largest unit."""
    if value is None or value != value:  # noqa: PLR0124 - NaT
        return None
    seconds = value.total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def topics(frame: pd.DataFrame) -> None:
    """Draw the list of topics."""
    rows = [
        [r["topic"], r["partitions"], r["messages"], r["format"], _age(r["age"])]
        for r in frame.to_dict("records")
    ]
    header = ["topic", "partitions", "messages", "format", "last record"]
    shown = [[r[0], r[1], html.number(r[2]), r[3], "—" if r[4] is None else f"{r[4]} ago"] for r in rows]
    markup = html.panel(
        [html.title("topics"), html.fact(html.number(len(rows)), "topics")],
        html.grid(header, shown, right=(False, True, True)),
    )
    text = "\n".join("  ".join(str(value) for value in row) for row in [header, *shown])
    show(markup, text)


def topic(detail: TopicDetail) -> None:
    """Draw one topic: partitions and configuration."""
    partitions = [
        [
            p.partition,
            p.low,
            p.high,
            None if p.high is None or p.low is None else p.high - p.low,
            p.leader if p.leader >= 0 else "none",
            len(p.replicas),
            len(p.isr),
        ]
        for p in detail.partitions
    ]
    header = ["partition", "first offset", "end offset", "offsets", "leader", "replicas", "in sync"]
    config = sorted(detail.config.items())
    markup = html.panel(
        [
            html.title(detail.name),
            html.fact(html.number(detail.messages), "messages"),
            html.fact(str(len(partitions)), "partitions"),
            html.fact(detail.format or "empty", "format"),
            html.fact(detail.cleanup_policy, "cleanup.policy"),
        ],
        html.grid(header, partitions, right=(True,) * 7),
        html.note(_span(detail)),
        html.grid(["configuration", "value"], config) if config else "",
    )
    lines = [f"{detail.name}: {detail.messages} messages in {len(partitions)} partitions, {_span(detail)}"]
    lines.append("  ".join(header))
    lines += ["  ".join(str(value) for value in row) for row in partitions]
    lines += [f"{key} = {value}" for key, value in config]
    show(markup, "\n".join(lines))


def _span(detail: TopicDetail) -> str:
    if detail.first_timestamp is None or detail.last_timestamp is None:
        return "no records"
    return f"records from {html.cell_text(detail.first_timestamp)} to {html.cell_text(detail.last_timestamp)}"


def sample(s: Sample) -> None:
    """Draw the panel over a sample: a line for each column with type, nulls, range."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    rows = []
    for name, column in zip(s.table.column_names, s.table.columns, strict=True):
        nulls = f"{column.null_count / len(column):.0%}" if len(column) else "—"
        low = high = None
        if len(column) and (html.is_number(column.type) or pa.types.is_temporal(column.type)):
            bounds = pc.min_max(column).as_py()
            low, high = bounds["min"], bounds["max"]
        example = (
            next((v for v in column.slice(0, 50).to_pylist() if v not in {None, ""}), None)
            if _plain(column.type)
            else None
        )
        rows.append([name, str(column.type), nulls, low, high, example])
    head = [
        html.title(s.topic),
        html.fact(html.number(len(s.table)), "messages"),
        html.fact(s.format, "format"),
    ]
    if s.errors:
        head.append(html.chip(f"{s.errors} not decoded: see _error and _raw", "bad"))
    if not s.complete:
        head.append(html.chip("incomplete: the brokers stopped answering", "warn"))
    header = ["column", "type", "nulls", "min", "max", "example"]
    text = f"{s.topic}: {len(s.table)} messages, {s.format}" + (
        f", {s.errors} not decoded" if s.errors else ""
    )
    show(html.panel(head, html.grid(header, rows, right=(False, False, True))), text)


def _plain(type_: Any) -> bool:
    import pyarrow as pa  # noqa: PLC0415

    return bool(pa.types.is_string(type_) or pa.types.is_boolean(type_))


def jobs(listed: list[Job], *, url: str) -> None:
    """Draw the jobs of the session cluster."""
    header = ["name", "state", "seconds", "job"]
    rows = [[" ".join(j.name.split())[:80], j.state, f"{j.duration_ms / 1000:.0f}", j.id] for j in listed]
    markup = html.panel(
        [html.title("jobs"), html.fact(url, "Flink UI")], html.grid(header, rows, right=(False, False, True))
    )
    show(markup, "\n".join("  ".join(row) for row in (header, *rows)))


def sketch(s: TableSketch) -> None:
    """Draw an inferred CREATE TABLE."""
    show(html.panel([html.title("CREATE TABLE, inferred")], html.pre(s.ddl)), s.ddl)
