"""What the planner says of a query that runs: its changelog mode, and its upsert key.

Asked behind the query and not before it, so that its first row does not wait.
"""

from __future__ import annotations

import contextlib
import re
import threading
from typing import TYPE_CHECKING

from sdp_kernel.errors import SdpError
from sdp_kernel.flink.frame_table import without_values
from sdp_kernel.flink.keys import upsert_key

if TYPE_CHECKING:
    from sdp_kernel.flink.query import Query
    from sdp_kernel.flink.runner import Runner

_ROOT_MODE = re.compile(r"== Optimized Physical Plan ==\n.*?changelogMode=\[([^\]]*)\]")
_POLL_S = 0.05
#: How long the end of a query waits for its plan.
LEARNS_S = 30.0


class Learning:
    """Asks in a thread of its own; :meth:`tell` brings what is known to the query's rows."""

    def __init__(self, runner: Runner, query: Query, sql: str) -> None:
        self._runner = runner
        self._query = query
        self._sql = sql
        self._told = False
        self._plan: str | None = None
        self._planned = threading.Event()
        threading.Thread(target=self._run, daemon=True, name="sdp-plan").start()

    def tell(self, *, within: float = 0.0) -> None:
        """Say to the query's rows whether they are only added, once it is known.

        ``within``: seconds to wait for it; if it is not known then, rows may be retracted.
        """
        rows = self._query.rows
        if self._told or rows is None or not (self._planned.wait(within) or within):
            return
        self._told = True
        rows.only_appends(_only_appends(self._plan or ""))
        if self._query.on_change is not None:
            self._query.on_change()

    def settle(self) -> None:
        """Wait until the plan is known, which is evidence for a promotion."""
        if self._query.stopping is None:
            self._planned.wait(LEARNS_S)

    def _run(self) -> None:
        query = self._query
        try:
            plan = self._runner.text(f"EXPLAIN CHANGELOG_MODE {self._sql}", dict(query.config))
            query.plan = self._plan = without_values(plan)
        except SdpError:
            self._plan = ""
        finally:
            self._planned.set()
        while query.rows is None or query.rows.appends is None:
            if query.over(_POLL_S) or query.lost is not None:
                return
        if query.updating and not query.over():
            with contextlib.suppress(SdpError):
                query.upsert_key = upsert_key(self._runner, self._sql, query.columns)


def _only_appends(plan: str) -> bool:
    """Whether a plan's root only inserts; in batch mode there are no changelog modes."""
    mode = _ROOT_MODE.search(plan)
    return mode.group(1) == "I" if mode is not None else bool(plan) and "changelogMode" not in plan
