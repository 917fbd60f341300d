"""A live chart of one query: its newest rows, as points that are added, changed and taken away.

What a chart shows is in ``chart_spec``; how it gets to the page in ``live_host``.
"""

from __future__ import annotations

import base64
import contextlib
import threading
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import UsageError
from sdp_kernel.notebook import chart_spec, display, html
from sdp_kernel.notebook.chart_bundle import bundle
from sdp_kernel.notebook.chart_spec import ChartSpec, parse
from sdp_kernel.notebook.live_head import Rates, head
from sdp_kernel.notebook.live_host import HOST, LiveView, can_widget, part

if TYPE_CHECKING:
    from sdp_kernel.flink.query import Query

__all__ = ["ChartSpec", "LiveChart", "parse"]

#: So many rows are drawn, the newest.
MOST_POINTS = 5_000
_HEAD_S = 0.9
_END_S = 3.0

HOST.parts["chart"] = part("chart.js", "live.css")
HOST.parts["vega"] = bundle


def _load() -> None:
    """Load what charts need while the query starts; what goes wrong is told where it is used."""
    with contextlib.suppress(Exception):
        if can_widget():
            bundle()
        chart_spec.warm_up()


class LiveChart(LiveView):
    """The live chart of a query: ``draw()`` in its cell, ``end()`` when it is over.

    Between them it draws itself; ``update()`` stops the query and raises where the result lacks a
    column that the chart needs.
    """

    part = "chart"

    def __init__(self, query: Query, spec: ChartSpec, *, jobmanager_url: str | None = None) -> None:
        super().__init__(query)
        self.spec = spec
        self._url = jobmanager_url
        self._rates = Rates()
        self._sent: dict[int, list[Any]] = {}
        self._state: tuple[Any, ...] = ()
        self._head_at = 0.0
        self._built: dict[str, Any] | None = None
        self._described = False
        self._fault: UsageError | None = None

    def draw(self) -> None:
        """Draw for the first time; what charts need is loaded while the query starts."""
        threading.Thread(target=_load, daemon=True, name="sdp-live-chart").start()
        super().draw()

    def update(self) -> None:
        """Look after the thread that draws.

        Raises
        ------
        UsageError
            The result cannot be drawn as asked. The query has been asked to end.
        """
        query = self.query
        if query is not None:
            self._build(query)
            if self._fault is not None:
                query.ask_to_end("stopped")
                query.over(_END_S)
                self.end()
                raise self._fault
        super().update()

    def end(self) -> None:
        """Draw the end.

        Raises
        ------
        UsageError
            The result could not be drawn as asked.
        """
        super().end()
        query = self.query
        if self._fault is not None and query is not None and not query.background:
            raise self._fault

    def _build(self, query: Query) -> dict[str, Any] | None:
        """Return the specification, as soon as the columns are known and if they will do."""
        with self.lock:
            if self._built is None and self._fault is None and query.columns:
                try:
                    self._built = chart_spec.build(self.spec, query.window(0, 1).table.schema)
                except UsageError as fault:
                    self._fault = fault
            return self._built

    def _points(self, query: Query) -> dict[int, list[Any]]:
        """Return the newest rows by id, with the values of ``c0``, ``c1`` …."""
        offset = max(len(query) - MOST_POINTS, 0) if query.updating else 0
        window = query.window(offset, MOST_POINTS)
        names = self.spec.columns(window.table.column_names)
        columns = [chart_spec.values(window.table.column(name)) for name in names]
        rows = [list(row) for row in zip(*columns, strict=True)]
        if not query.updating:
            rows, ids = rows[::-1], window.ids[::-1]
        else:
            ids = window.ids
        return dict(zip(ids, rows, strict=True))

    def frame(self, now: float, *, whole: bool) -> dict[str, Any] | None:
        """Return the head, and the points that have come, changed or gone since the last frame."""
        query = self.query
        if query is None:
            return None
        paused = self.paused_at
        state = (query.changes, query.state, paused)
        moved = state != self._state and (paused is None or not self._sent)
        if not whole and not moved and (query.state != "running" or now - self._head_at < _HEAD_S):
            return None
        self._state, self._head_at = state, now
        built = self._build(query)
        frame: dict[str, Any] = {
            "title": self.title,
            "head": head(query, self._rates, now, jobmanager_url=self._url),
            "paused": paused is not None,
            "passed": query.changes - paused if paused is not None else 0,
            "note": self._note(query),
        }
        if built is None or not (whole or moved):
            return frame
        whole = whole or not self._described
        if whole:
            frame["spec"], self._described = built, True
        if paused is None or not self._sent:
            points = self._points(query)
            known = {} if whole else self._sent
            put = [[id_, *row] for id_, row in points.items() if known.get(id_) != row]
            frame["points"] = {"all": whole, "put": put, "gone": [i for i in known if i not in points]}
            self._sent = points
        elif whole:
            frame["points"] = {"all": True, "put": [[i, *row] for i, row in self._sent.items()], "gone": []}
        return frame

    def _note(self, query: Query) -> str:
        if self._fault is not None:
            return f"{self._fault.message}; {self._fault.hint}" if self._fault.hint else self._fault.message
        if query.error is not None:
            return str(query.error).split("\n", 1)[0]
        if len(query) > MOST_POINTS:
            return f"the newest {html.number(MOST_POINTS)} of {html.number(len(query))} rows are drawn"
        return self.silence

    def _saved(self, query: Query) -> dict[str, Any] | None:
        """Return the specification with its data; None where there is nothing to draw."""
        built = self._build(query)
        if built is None or not len(query):
            return None
        points = self._points(query)
        rows = [{f"c{index}": value for index, value in enumerate(row)} for row in points.values()]
        facts = head(query, Rates(), 0.0, jobmanager_url=None)
        words = [facts["state"], *(f"{value} {unit}".strip() for value, unit, _ in facts["facts"])]
        subtitle = ", ".join(filter(None, [*words[:4], self._note(query)]))
        return chart_spec.with_rows(built, rows, self.title, subtitle)

    def static(self, query: Query, *, last: bool) -> dict[str, Any]:
        """Return a picture in HTML; at the end a Vega-Lite chart and a picture of it."""
        markup, text = display.query_bundle(query)
        saved = self._saved(query)
        if saved is None:
            note = html.note(self._note(query)) if self._fault is not None else ""
            return {"text/html": markup + note, "text/plain": text}
        if last:
            png, _ = chart_spec.picture(saved)
            themed = chart_spec.themed(saved)
            return {"application/vnd.vegalite.v5+json": themed, "image/png": png, "text/plain": text}
        data = base64.b64encode(chart_spec.svg_of(saved).encode()).decode()
        return {"text/html": f'<img alt="chart" src="data:image/svg+xml;base64,{data}">', "text/plain": text}
