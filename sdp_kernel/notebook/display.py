"""What the workbench shows of queries and jobs, as HTML and as text; topics are in ``topic_view``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.core.getipython import get_ipython
from IPython.display import display

from sdp_kernel.notebook import html

if TYPE_CHECKING:
    import pyarrow as pa

    from sdp_kernel.flink.query import Query
    from sdp_kernel.kafka.infer import TableSketch

SHOWN_ROWS = 50
#: A query's state → how it is written, and in which tone.
STATES = {
    "running": ("running", "run"),
    "finished": ("finished", "good"),
    "ok": ("ok", "good"),
    "submitted": ("submitted", "good"),
    "limit": ("stopped at limit", "warn"),
    "timeout": ("stopped at time-out", "warn"),
    "idle": ("stopped when quiet", "good"),
    "interrupted": ("interrupted", "warn"),
    "stopped": ("stopped", "warn"),
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


def query_bundle(q: Query, *, rows: int = SHOWN_ROWS) -> tuple[str, str]:
    """Return a query's panel as HTML and as text, with so many of its rows."""
    state, tone = STATES[q.state]
    statement = q.statement
    if statement.is_query:
        title = q.name or statement.kind.lower()
    else:
        title = (q.name if statement.runs_job else None) or _what(q)
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
        said = remarks(q)
        return html.panel(head, *map(html.note, said)), "\n".join([f"{title}: {state}", *said])
    shown = q.head(rows)
    one_text = not statement.is_query and shown.num_columns == 1 and shown.num_rows == 1
    body = html.pre(str(shown.column(0)[0].as_py())) if one_text else html.table(shown, _types(q))
    left = len(q) - shown.num_rows
    more = (
        f"first {shown.num_rows} of {html.number(len(q))} rows; all of them in {q.name or '_'}.df"
        if left
        else ""
    )
    advice = f"raise --limit for more than {q.limit} rows" if q.state == "limit" else ""
    notes = html.note("; ".join(part for part in (more, advice, *remarks(q)) if part))
    return html.panel(head, body, notes), _query_text(q, shown, state, title)


def remarks(q: Query) -> list[str]:
    """Return what a reader of the rows has to know: rows let go, runs begun again, why it failed."""
    found = []
    if q.rows is not None and q.rows.dropped:
        found.append(f"the oldest {html.number(q.rows.dropped)} rows are let go; --keep keeps more")
    if q.runs > 1:
        found.append(f"run {q.runs}: something under it was lost, and it began again")
    if q.background and q.error is not None:
        found.append(str(q.error))
    return found


def _what(q: Query) -> str:
    kind = "statement" if q.statement.kind == "OTHER" else q.statement.kind
    return f"{kind} {q.statement.target}" if q.statement.target else kind


def _types(q: Query) -> list[str]:
    return [column.type.sql().removesuffix(" NOT NULL") for column in q.columns]


def _only_ok(q: Query) -> bool:
    return len(q) == 1 and len(q.columns) == 1 and q.head(1).to_pylist()[0] == {"result": "OK"}


def _query_text(q: Query, shown: pa.Table, state: str, title: str) -> str:
    if not q.statement.is_query and shown.num_columns == 1 and shown.num_rows == 1:
        return str(shown.column(0)[0].as_py())
    count = f"{len(q)} row{'' if len(q) == 1 else 's'}"
    return "\n".join([f"{title}: {state}, {count}", table_text(shown), *remarks(q)])


def table_text(table: pa.Table) -> str:
    """Write a table as aligned text."""
    columns = [["null" if v is None else v for v in column.to_pylist()] for column in table.columns]
    right = [html.is_number(field.type) for field in table.schema]
    return html.text_grid(table.column_names, zip(*columns, strict=True), right=right)


def sketch(s: TableSketch) -> None:
    """Draw an inferred CREATE TABLE."""
    show(html.panel([html.title("CREATE TABLE, inferred")], html.pre(s.ddl)), s.ddl)
