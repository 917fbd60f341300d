"""A live table of one query: what the page is sent of it, and what the user asks for.

A frame is one page of the table, as texts. How it gets to the page is in ``live_host``, how it is
drawn there in ``live_table.js``.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sdp_kernel.notebook import display, html
from sdp_kernel.notebook.live_head import Rates, head
from sdp_kernel.notebook.live_host import HOST, LiveView, can_widget, part

if TYPE_CHECKING:
    from sdp_kernel.flink.query import Query
    from sdp_kernel.flink.rows import Still, Window

__all__ = ["Live", "can_widget"]

SIZES = (10, 25, 50, 100, 250)
_SIZE = 25
#: A page cleans an output's whole table whenever it is brought up to date: its longest task.
_SAVED_ROWS = 10
_HEAD_S = 0.9
_LIMIT = re.compile(r"\bLIMIT\s+(\d{1,9})\s*;?\s*\Z", re.IGNORECASE)

HOST.parts["table"] = part("live_table.js", "live.css")


class Live(LiveView):
    """The live table of a query: ``draw()`` in its cell, ``end()`` when it is over.

    Between them it draws itself, also for a query in the background. Rows can be sorted and paged
    for as long as the query is in memory.
    """

    part = "table"

    def __init__(self, query: Query, *, jobmanager_url: str | None = None) -> None:
        super().__init__(query)
        self._url = jobmanager_url
        self._rates = Rates()
        self._offset, self._size = 0, _SIZE
        self._sort: str | None = None
        self._descending = False
        self._sent: tuple[Any, ...] = ()
        self._still: Still | None = None
        self._head_at = 0.0

    def static(self, query: Query, *, last: bool) -> dict[str, Any]:
        """Return the first rows as HTML and as text; few while a page shows them living."""
        few = self.in_page and not last
        markup, text = display.query_bundle(query, rows=_SAVED_ROWS if few else display.SHOWN_ROWS)
        return {"text/html": markup, "text/plain": text}

    def take(self, action: dict[str, Any]) -> None:
        """Sort, page, pause, go on, or stop."""
        with self.lock:
            match action:
                case {"do": "sort", "column": str(column), "descending": bool(descending)}:
                    self._sort, self._descending, self._offset = column, descending, 0
                case {"do": "sort", "column": None}:
                    self._sort, self._offset = None, 0
                case {"do": "page", "offset": int(offset), "size": int(size)}:
                    self._offset, self._size = max(offset, 0), min(max(size, 1), SIZES[-1])
                case _:
                    super().take(action)

    def frame(self, now: float, *, whole: bool) -> dict[str, Any] | None:
        """Return the head, and one page of rows unless they are as they were."""
        query = self.query
        if query is None:
            return {"gone": "this result is not in memory any more: run the cell again"}
        with self.lock:
            paused, view = self.paused_at, (self._sort, self._descending, self._offset, self._size)
        if paused is None or query.rows is None:
            self._still = None
        elif self._still is None:
            self._still = query.rows.still()
            paused = self._still.version
            with self.lock:
                self.paused_at = None if self.paused_at is None else paused
        state: tuple[Any, ...] = (query.changes, query.state, len(query.columns), view)
        if self._still is not None:
            state = (self._still.version, len(query.columns), view)
        as_it_was = state == self._sent
        if not whole and as_it_was and (query.state != "running" or now - self._head_at < _HEAD_S):
            return None
        self._head_at = now
        frame: dict[str, Any] = {
            "title": self.title,
            "head": head(query, self._rates, now, jobmanager_url=self._url),
            "paused": paused is not None,
            "passed": query.changes - paused if paused is not None else 0,
            "note": self._note(query),
        }
        if whole or not as_it_was:
            frame["table"] = self._table(query)
            self._sent = state
        return frame

    def _note(self, query: Query) -> str:
        if query.error is not None:
            return str(query.error).split("\n", 1)[0]
        if query.state == "limit":
            return f"stopped at {query.limit} rows: raise --limit for more"
        dropped = query.rows.dropped if query.rows is not None else 0
        if dropped:
            return f"{html.number(dropped)} older rows are not kept; raise --keep for more"
        return self.silence or _limit_reached(query)

    def _table(self, query: Query) -> dict[str, Any] | None:
        """Return one page as texts."""
        if query.rows is None:
            return None
        with self.lock:
            sort, descending, offset, size = self._sort, self._descending, self._offset, self._size
        still = self._still
        names = [column.name for column in query.columns]
        sort = sort if sort in names else None
        window, offset = _page(query, offset, size, sort, descending=descending, still=still)
        texts = [
            [None if value is None else html.cell_text(value) for value in column.to_pylist()]
            for column in window.table.columns
        ]
        return {
            "columns": [
                [column.name, column.type.sql().removesuffix(" NOT NULL"), html.is_number(field.type)]
                for column, field in zip(query.columns, window.table.schema, strict=True)
            ],
            "keys": [names.index(name) for name in query.upsert_key if name in names],
            "ids": window.ids,
            "rows": list(zip(*texts, strict=True)) if texts else [],
            "total": _total(query, window),
            "offset": offset,
            "size": size,
            "sizes": SIZES,
            "sort": sort,
            "descending": descending,
        }


def _limit_reached(query: Query) -> str:
    """Return what a LIMIT of SQL does not do: end a query in streaming."""
    found = _LIMIT.search(query.statement.text) if query.state == "running" and not query.updating else None
    if found is None or len(query) < int(found[1]):
        return ""
    return (
        f"LIMIT {found[1]} is reached, but a streaming query goes on: --limit {found[1]} ends it, or --batch"
    )


def _total(query: Query, window: Window) -> int:
    return window.total if query.limit is None else min(window.total, query.limit)


def _page(
    query: Query, offset: int, size: int, sort: str | None, *, descending: bool, still: Still | None
) -> tuple[Window, int]:
    """Return a page that exists: the last where the table has become shorter.

    The newest rows come first where rows are only added: those beyond a limit are passed over.
    """
    standing = len(query.rows or ()) if still is None else still.table.num_rows
    beyond = max(standing - query.limit, 0) if query.limit is not None else 0
    skipped = beyond if sort is None and not query.updating else 0
    window = query.window(skipped + offset, size, sort=sort, descending=descending, still=still)
    total = _total(query, window)
    if offset and offset >= total:
        offset = max((total - 1) // size, 0) * size
        window = query.window(skipped + offset, size, sort=sort, descending=descending, still=still)
    shown = max(total - offset, 0)
    return replace(window, table=window.table.slice(0, shown), ids=window.ids[:shown]), offset
