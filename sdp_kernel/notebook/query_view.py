"""Chooses how a statement is shown: a live table, a live chart, or its answer once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from sdp_kernel.notebook import display

if TYPE_CHECKING:
    from sdp_kernel.flink.query import Query
    from sdp_kernel.workbench import Workbench


class Drawn(Protocol):
    """What is drawn first, again where something has changed, and for the last time."""

    def draw(self) -> None:
        """Draw first."""

    def update(self) -> None:
        """Draw again what has changed."""

    def end(self) -> None:
        """Draw for the last time."""


class _Answer:
    """A statement that yields no rows to follow: drawn when it has ended."""

    def __init__(self, query: Query) -> None:
        self._query = query

    def draw(self) -> None:
        """Draw nothing yet."""

    def update(self) -> None:
        """Draw nothing yet."""

    def end(self) -> None:
        """Draw the answer."""
        display.query(display.View(), self._query)


def chart_spec(words: list[str] | None) -> Any:
    """Read the words of ``--chart``; None without them."""
    if not words:
        return None
    from sdp_kernel.notebook import chart  # noqa: PLC0415

    return chart.parse(words)


def view_of(query: Query, workbench: Workbench, spec: Any = None) -> Drawn:
    """Return how a statement of a cell is shown; ``spec`` is of a chart."""
    if not query.statement.is_query:
        return _Answer(query)
    url = workbench.jobmanager.url
    if spec is not None:
        from sdp_kernel.notebook import chart  # noqa: PLC0415

        drawn: Drawn = chart.LiveChart(query, spec, jobmanager_url=url)
        return drawn
    from sdp_kernel.notebook import live  # noqa: PLC0415

    return live.Live(query, jobmanager_url=url)
