"""What a cell leaves behind: a :class:`Query` with its rows, its job, and its evidence."""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sdp_kernel.errors import UsageError
from sdp_kernel.flink.ledger import text_hash
from sdp_kernel.flink.rows import Window
from sdp_kernel.flink.trace import Trace
from sdp_kernel.flink.types import arrow_schema
from sdp_kernel.frames import to_pandas

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from sdp_kernel.flink.rows import Rows, Still
    from sdp_kernel.flink.script import Statement
    from sdp_kernel.flink.types import Column
    from sdp_kernel.flink.vitals import Vitals


_STOP_SECONDS = 10.0
_LOOK_EVERY_S = 1.0
#: Configuration by which a client chooses a job's id (PipelineOptionsInternal).
_FIXED_JOB_ID = "$internal.pipeline.job-id"


class Lost(Exception):  # noqa: N818
    """What a query ran on is gone; ``what`` says it in a sentence."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


@dataclass(frozen=True)
class Bounds:
    """Where a SELECT is stopped that does not end by itself; None for not.

    ``limit`` is in rows of the current table, ``timeout`` in seconds from the start, ``idle`` in
    seconds without a change, counted from the first row on. ``keep`` stops nothing: of a query that
    only appends, so many of the newest rows stay in memory.
    """

    limit: int | None = None
    timeout: float | None = None
    idle: float | None = None
    keep: int | None = None

    def __post_init__(self) -> None:
        for name in ("limit", "timeout", "idle", "keep"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UsageError(f"{name} must be above 0, not {value}", hint="leave it out for no bound")

    def reached(self, rows: int, elapsed: float, quiet: float | None) -> str | None:
        """Return the bound that is reached, as the query's final state.

        ``quiet``: seconds since something changed; None before anything has.
        """
        if self.limit is not None and rows >= self.limit:
            return "limit"
        if self.idle is not None and quiet is not None and quiet > self.idle:
            return "idle"
        return "timeout" if self.timeout is not None and elapsed > self.timeout else None


@dataclass(frozen=True)
class Progress:
    """A moment of a running query. ``elapsed`` in seconds, ``rate`` in changes a second."""

    state: str
    rows: int
    changes: int
    elapsed: float
    rate: float
    job_id: str | None


class Query:
    """The result of a cell.

    Attributes
    ----------
    name
        The name given in ``%%flinksql NAME``; None without one.
    text
        The cell's text, as run, ``${…}`` in place.
    statement
        The statement whose result this is: the last of the cell.
    sql
        The statement as submitted: parameters filled in, hints added.
    state
        ``running``, then ``finished``, ``limit``, ``timeout``, ``idle``, ``interrupted``, ``stopped`` or
        ``failed``; ``submitted`` for a job left running on the cluster; ``ok`` for a statement without
        rows.
    background
        Whether it runs beside other cells.
    error
        Why it failed; None unless it did.
    job_id
        The Flink job; None where none ran. It is chosen here, so a job is known before it is submitted.
    config
        Flink configuration of this statement alone.
    bounds
        Where it is stopped.
    plan
        Flink's explanation of a query with its changelog modes; empty for other statements.
    upsert_key
        The columns that tell rows of an updating query apart; empty where there are none, or where they
        are not known yet.
    lost
        What went away under it, in a sentence; it is then run again. None while nothing did.
    took_effect
        Whether the gateway has carried out a statement that is no query, interrupted or not.
    on_change
        Called when what a successor of this process has to know has changed.
    silence
        Says in a sentence why there are no rows; None where nobody can tell. Asks Kafka and Flink.
    runs
        How often it was started: more than once where something under it was lost.
    trace
        What is kept of its run when its job is gone.
    left
        Set while no thread works on what it has on the cluster.
    """

    def __init__(
        self,
        text: str,
        statement: Statement,
        *,
        name: str | None = None,
        mask: Callable[[pa.Table], pa.Table] | None = None,
    ) -> None:
        self.name = name
        self._mask = mask or (lambda table: table)
        self.text = text
        self.statement = statement
        self.statements: tuple[Statement, ...] = (statement,)
        self.parameters: dict[str, str] = {}
        self.sql = statement.text
        self.session = ""
        self.operation: str | None = None
        self.ending: threading.Event | None = None
        self.state = "running"
        self.job_id: str | None = None
        self.plan = ""
        self.limit: int | None = None
        self.started = time.time()
        self.elapsed = 0.0
        self.rows: Rows | None = None
        self.background = False
        self.error: BaseException | None = None
        self.config: dict[str, str] = {}
        self.bounds = Bounds()
        self.upsert_key: tuple[str, ...] = ()
        self.lost: str | None = None
        self.took_effect = False
        self.runs = 1
        self.vitals: Vitals | None = None
        self.trace = Trace()
        self.on_change: Callable[[], None] | None = None
        self.silence: Callable[[], str] | None = None
        self.examine: Callable[[str], Vitals | None] | None = None
        self._looked = 0.0
        self._wanted: str | None = None
        self._deciding = threading.Lock()
        self._entered = self._stays = False
        self._over = threading.Event()
        self.left = threading.Event()
        self.left.set()
        self._last_rate = (0.0, 0)

    @property
    def cell_hash(self) -> str:
        """sha256 of the cell's text."""
        return text_hash(self.text)

    @property
    def columns(self) -> tuple[Column, ...]:
        """Names and Flink types of the columns."""
        return self.rows.decoder.columns if self.rows is not None else ()

    @property
    def updating(self) -> bool:
        """Whether the query's changelog retracts rows."""
        return self.rows is not None and self.rows.appends is False

    @property
    def changes(self) -> int:
        """Changelog rows read, retractions counted."""
        return self.rows.changes if self.rows is not None else 0

    @property
    def arrow(self) -> pa.Table:
        """The current table, masked."""
        return self._mask(self.rows.table(self.limit)) if self.rows is not None else pa.table({})

    @property
    def df(self) -> pd.DataFrame:
        """The current table as a DataFrame; integers with nulls are ``Int64``."""
        return to_pandas(self.arrow)

    def head(self, n: int = 20) -> pa.Table:
        """Return the first ``n`` rows of the current table."""
        n = n if self.limit is None else min(n, self.limit)
        return self._mask(self.rows.head(n)) if self.rows is not None else pa.table({})

    def window(
        self,
        offset: int = 0,
        size: int = 50,
        *,
        sort: str | None = None,
        descending: bool = False,
        still: Still | None = None,
    ) -> Window:
        """Return one page of the current table, masked; see :meth:`sdp_kernel.flink.rows.Rows.window`.

        Raises
        ------
        UsageError
            There is no column ``sort``.
        """
        if self.rows is None:
            return Window(pa.table({}), [], 0, 0)
        self.rows.key = self.upsert_key
        return self.rows.window(offset, size, sort=sort, descending=descending, mask=self._mask, still=still)

    def look(self) -> Vitals | None:
        """Ask the JobManager about the query's job, once a second at most; None where it cannot tell."""
        now = time.monotonic()
        if self.examine is not None and self.job_id and now - self._looked >= _LOOK_EVERY_S:
            self._looked = now
            self.vitals = self.examine(self.job_id) or self.vitals
        return self.vitals

    def __len__(self) -> int:
        count = len(self.rows) if self.rows is not None else 0
        return count if self.limit is None else min(count, self.limit)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Export the table over the Arrow C stream interface (polars, DuckDB, pyarrow)."""
        return self.arrow.__arrow_c_stream__(requested_schema)

    def to_parquet(self, path: str) -> None:
        """Write the current table to a Parquet file."""
        import pyarrow.parquet as pq  # noqa: PLC0415 - loaded when it is used

        pq.write_table(self.arrow, path)

    def progress(self) -> Progress:
        """Return where the query stands; ``rate`` is since the last call."""
        if self.state == "running":
            self.elapsed = time.time() - self.started
        before, changes = self._last_rate
        span = self.elapsed - before
        rate = (self.changes - changes) / span if span > 0 else 0.0
        self._last_rate = (self.elapsed, self.changes)
        return Progress(self.state, len(self), self.changes, self.elapsed, rate, self.job_id)

    @property
    def stopping(self) -> str | None:
        """The final state that was asked for, where the query was asked to end."""
        return self._wanted

    def ask_to_end(self, state: str) -> None:
        """Ask the query to end in ``state``; returns at once.

        One of which nothing was submitted yet has ended with that, whatever its thread waits for.
        """
        with self._deciding:
            if self._stays:
                return
            self._wanted = self._wanted or state
            if self._entered:
                return
        self.finish(self._wanted)

    def enters(self) -> bool:
        """Whether it may be submitted: it was not asked to end before its turn came."""
        with self._deciding:
            self._entered = self._wanted is None
            if self._entered:
                self.left.clear()
            return self._entered

    def keeps_job(self) -> bool:
        """Whether its job may stay on the cluster: it was not asked to end before that was submitted."""
        with self._deciding:
            self._stays = self._wanted is None
            return self._stays

    def stop(self, timeout: float = _STOP_SECONDS) -> Query:
        """Stop the query on the cluster; what came stays. Does nothing where its job has ended.

        Returns when its job has ended, or after ``timeout`` seconds; the job is then still seen to. A query
        that was asked to end before is waited for all the same: it is over sooner than its job is.
        """
        if self.state == "running":
            self.ask_to_end("stopped")
        if self._wanted is not None:
            self.ended(timeout)
            self.finish(self._wanted)
        return self

    def end_interrupted(self, timeout: float) -> None:
        """Ask the query to end, and wait for that; no longer than until the next interrupt."""
        try:
            self.ask_to_end("interrupted")
            self.ended(timeout)
        except KeyboardInterrupt:
            self.ask_to_end("interrupted")
        self.finish("interrupted")

    def ended(self, timeout: float) -> bool:
        """Whether the query is over and its job has ended, or does within ``timeout`` seconds."""
        until = time.monotonic() + timeout
        for event in (self._over, self.left):
            if not event.wait(max(until - time.monotonic(), 0)):
                return False
        return self.ending is None or self.ending.wait(max(until - time.monotonic(), 0))

    def over(self, timeout: float | None = 0.0) -> bool:
        """Whether the query has ended, or ends within ``timeout`` seconds."""
        return self._over.wait(timeout)

    def wait(self, timeout: float | None = None) -> Query:
        """Wait until the query ends, ``timeout`` seconds at most.

        Raises
        ------
        SdpError
            It failed.
        """
        self._over.wait(timeout)
        if self.error is not None:
            raise self.error
        return self

    def begin(self) -> None:
        """Set the query back to its start, where it has to run again."""
        self.state, self.rows, self.error, self.lost = "running", None, None, None
        self.job_id, self.operation, self.upsert_key = None, None, ()
        self.trace = Trace()
        with self._deciding:
            self._entered = False
            self.left.set()

    def new_job(self) -> str:
        """Choose the id of the job to come, 32 hexadecimal digits, and let a successor know it."""
        job_id = self.job_id = uuid.uuid4().hex
        if self.on_change is not None:
            self.on_change()
        return job_id

    def job_config(self) -> dict[str, str]:
        """Return the configuration to submit the query with, for a job whose id is chosen here.

        A SELECT's job is named after the query, so that it is found among the cluster's.
        """
        named = {"pipeline.name": f"sdp {self.name or 'query'}"} if self.statement.is_query else {}
        return {**self.config, **named, _FIXED_JOB_ID: self.new_job()}

    def finish(self, state: str, error: BaseException | None = None) -> None:
        """Set the final state; the first one stays."""
        with self._deciding:
            if self._over.is_set():
                return
            self.elapsed = time.time() - self.started
            self.state, self.error = state, error
            self._over.set()

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the table."""
        return arrow_schema(self.columns)

    def __repr__(self) -> str:
        name = f" {self.name}" if self.name else ""
        job = f", job {self.job_id}" if self.job_id else ""
        return f"<Query{name}: {self.state}, {len(self)} rows, {self.changes} changes{job}>"
