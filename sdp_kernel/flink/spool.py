"""Reads a bounded query's rows from files that its job writes on this machine, while they grow.

Flink's collect sink, behind every SELECT, hands over each row in system calls of its own, twice, and
writes it in three more encodings: four times the work of the query itself. A filesystem sink writes
text that Arrow reads at once. It needs a disk that the TaskManager and the kernel share, a query that
ends by itself and only adds rows, and scalar columns. The caller vouches for the disk and the end;
where the rest does not hold, the answer is None and the query goes the ordinary way.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
import uuid
from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow import csv

from sdp_kernel.errors import JobFailed, ResultError, SdpError, Unreachable
from sdp_kernel.flink import faults
from sdp_kernel.flink.flat import FlatReader
from sdp_kernel.flink.gateway import GatewayFault
from sdp_kernel.flink.jobs import TERMINAL
from sdp_kernel.flink.keys import OWN_PLACE
from sdp_kernel.flink.learning import Learning
from sdp_kernel.flink.query import Lost
from sdp_kernel.flink.results import temporal
from sdp_kernel.flink.rows import Rows
from sdp_kernel.flink.types import Column, LogicalType

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from sdp_kernel.flink.jobs import JobManager
    from sdp_kernel.flink.query import Query
    from sdp_kernel.flink.runner import Runner

_TURN_S, _ASK_EVERY_S = 0.02, 0.08
#: So many bytes of a file are read at once: some 40,000 rows.
_PIECE = 2 << 20
_TYPE = re.compile(r"([A-Z_]+)(?:\((\d+)(?:, (\d+))?\))?(?: \*\w+\*)?")
_ROOTS = {
    "INT": "INTEGER", "STRING": "VARCHAR", "TIMESTAMP": "TIMESTAMP_WITHOUT_TIME_ZONE",
    "TIMESTAMP_LTZ": "TIMESTAMP_WITH_LOCAL_TIME_ZONE", "TIME": "TIME_WITHOUT_TIME_ZONE",
    **{name: name for name in ("TINYINT", "SMALLINT", "BIGINT", "BOOLEAN", "DOUBLE", "FLOAT", "DECIMAL",
                               "CHAR", "VARCHAR", "DATE")},
}  # fmt: skip
_LENGTHS, _MOST = frozenset({"CHAR", "VARCHAR"}), 2**31 - 1
#: A task that is restarted would write its rows again.
_ONCE = {"restart-strategy.type": "none"}
_PARSING = csv.ParseOptions(double_quote=True, newlines_in_values=True, ignore_empty_lines=False)


class Stopped(Exception):  # noqa: N818
    """A query was asked to end while ``operation``, a part of it, was carried out."""

    def __init__(self, operation: str | None) -> None:
        super().__init__(operation)
        self.operation = operation


class Spool:
    """One query's way by files.

    Parameters
    ----------
    directory
        A directory that both the TaskManagers and this process reach under this path.
    """

    def __init__(self, runner: Runner, query: Query, sql: str, directory: Path) -> None:
        self._runner = runner
        self._query = query
        self._sql = sql
        name = uuid.uuid4().hex
        self._view, self._sink_table = f"{OWN_PLACE}.`{name}_v`", f"{OWN_PLACE}.`{name}`"
        self._place = directory / name
        self._null = f"null-{uuid.uuid4().hex}"

    def run(self) -> str | None:
        """Run the query to its end; returns its final state, or None where nothing was begun.

        Raises
        ------
        JobFailed
            The job failed. The rows that came are in the query.
        ResultError
            A value does not fit Arrow.
        """
        jobmanager = self._runner.jobmanager
        if jobmanager is None:
            return None
        files: Files | None = None
        operation, state = None, "failed"
        try:
            columns = self._begin()
            if columns is None:
                state = "finished"
                return None
            self._query.rows = Rows(columns, keep=self._query.bounds.keep)
            self._query.rows.only_appends(True)  # noqa: FBT003
            learning = Learning(self._runner, self._query, self._sql)
            files = Files(self._place, FlatReader(columns, temporal, self._null))
            state = self._follow(files, self._query.rows, jobmanager)
            learning.settle()
        except Stopped as stopped:
            operation, state = stopped.operation, self._query.stopping or "stopped"
        finally:
            if files is not None:
                files.close()
            if state == "finished":
                self._clean()
            else:
                appears = 6.0 if operation is not None else 0
                self._runner.stop(self._query, operation, appears=appears, collects=False, then=self._clean)
        return state

    def _begin(self) -> tuple[Column, ...] | None:
        """Start the job; returns the columns, or None where the query has to go the ordinary way."""
        query = self._query
        if not query.enters():
            raise Stopped(None)
        try:
            self._runner.table(f"CREATE TEMPORARY VIEW {self._view} AS {self._sql}", of=query)
            columns = _columns(self._runner.table(f"DESCRIBE {self._view}", of=query))
            if columns is None:
                return None
            self._place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._runner.table(self._sink(columns), of=query)
            config = query.job_config() | _ONCE
            self._runner.table(f"INSERT INTO {self._sink_table}\n{self._sql}", config, of=query)
        except GatewayFault:  # no query, not only appending, …: the ordinary way says what is wrong
            query.begin()
            return None
        return columns

    def _sink(self, columns: tuple[Column, ...]) -> str:
        fields = ", ".join(f"`c{n}` {_nullable(c.type)}" for n, c in enumerate(columns))
        return (
            f"CREATE TEMPORARY TABLE {self._sink_table} ({fields}) WITH ('connector' = 'filesystem', "
            f"'path' = '{self._place.as_uri()}', 'format' = 'csv', 'csv.null-literal' = '{self._null}', "
            "'csv.write-bigdecimal-in-scientific-notation' = 'false', "
            "'sink.rolling-policy.file-size' = '1 gb', 'sink.rolling-policy.rollover-interval' = '1 d')"
        )

    def _clean(self) -> None:
        """Take away what was made for the query: tables, and files, which its job may write to its end."""
        for what in (f"TABLE IF EXISTS {self._sink_table}", f"VIEW IF EXISTS {self._view}"):
            with contextlib.suppress(SdpError):
                self._runner.table(f"DROP TEMPORARY {what}")
        shutil.rmtree(self._place, ignore_errors=True)

    def _follow(self, files: Files, rows: Rows, jobmanager: JobManager) -> str:
        query, job_id = self._query, self._query.job_id or ""
        started = changed = time.monotonic()
        asked, state = 0.0, "RUNNING"
        bounds = query.bounds
        while True:
            now = time.monotonic()
            if now - asked > _ASK_EVERY_S:
                asked = now
                with contextlib.suppress(Unreachable):  # the session's watch says when it is gone
                    state = jobmanager.state(job_id)
            for batch in files.read(last=state == "FINISHED"):
                rows.take(batch)
                changed = now
                if bounds.limit is not None and len(rows) >= bounds.limit:
                    return "limit"
            if state == "FINISHED":
                return "finished"
            if query.stopping is not None:
                return query.stopping
            if state in TERMINAL and query.lost is None:
                raise _failed(jobmanager, job_id, state)
            if query.lost is not None or state == "UNKNOWN":
                raise Lost(query.lost or "the JobManager was restarted, and knows the job no more")
            reached = bounds.reached(len(rows), now - started, now - changed if len(rows) else None)
            if reached is not None:
                return reached
            time.sleep(_TURN_S)


class Files:
    """The files of one sink, read on as they grow; a file keeps its place when it is renamed."""

    def __init__(self, directory: Path, reader: FlatReader) -> None:
        self._directory = directory
        self._reader = reader
        self._open: dict[int, tuple[BinaryIO, bytes]] = {}

    def read(self, *, last: bool) -> Iterator[pa.RecordBatch]:
        """Yield what has come since; ``last``: nothing more will.

        Raises
        ------
        ResultError
            A value does not fit Arrow, or a file ends within a row.
        """
        self._find()
        for inode, (file, begun) in list(self._open.items()):
            rest = begun
            while piece := file.read(_PIECE):
                whole, rest = _rows(rest + piece)
                if whole:
                    yield self._batch(whole)
            self._open[inode] = (file, rest)
            if last and rest:
                raise ResultError("the job ended within a row of its result", hint="run it again")

    def close(self) -> None:
        """Close the files."""
        for file, _ in self._open.values():
            file.close()

    def _find(self) -> None:
        for directory, _, names in os.walk(self._directory):
            for name in names:
                if name.lstrip(".").startswith("part-"):
                    with contextlib.suppress(FileNotFoundError):  # renamed since it was listed
                        path = os.path.join(directory, name)  # noqa: PTH118 - a hot loop
                        if os.stat(path).st_ino not in self._open:  # noqa: PTH116
                            file = open(path, "rb")  # noqa: PTH123, SIM115
                            self._open[os.fstat(file.fileno()).st_ino] = (file, b"")

    def _batch(self, lines: bytes) -> pa.RecordBatch:
        try:
            return self._reader.read(lines, _PARSING)
        except pa.ArrowInvalid as error:
            raise ResultError(
                f"a value of the result does not fit Arrow: {error}",
                hint="CAST the column in the query, for example to TIMESTAMP(6) or STRING",
            ) from None


def _rows(text: bytes) -> tuple[bytes, bytes]:
    """Cut text after its last row: after a line's end that is in no quotes."""
    end = text.rfind(b"\n") + 1
    while end and text.count(b'"', 0, end) % 2:
        end = text.rfind(b"\n", 0, end - 1) + 1
    return text[:end], text[end:]


def _columns(described: list[dict[str, object]]) -> tuple[Column, ...] | None:
    """Read DESCRIBE's rows; None where a column is not a scalar that CSV keeps exactly."""
    columns = []
    for row in described:
        match = _TYPE.fullmatch(str(row["type"]))
        root = _ROOTS.get(match.group(1)) if match else None
        if match is None or root is None:
            return None
        first, second = (int(group) if group else None for group in match.groups()[1:])
        sized = {"length": first or _MOST} if root in _LENGTHS else {"precision": first, "scale": second}
        columns.append(
            Column(str(row["name"]), LogicalType(root, nullable=row["null"] is not False, **sized))
        )
    return tuple(columns) or None


def _failed(jobmanager: JobManager, job_id: str, state: str) -> Exception:
    """Return what to raise for a job that ended early: it failed, or what it ran on is gone."""
    failures = jobmanager.causes(job_id)
    what = faults.what_was_lost([failure.stack for failure in failures])
    if what is not None:
        return Lost(what)
    reason = failures[0].reason if failures else f"its job is {state}"
    return JobFailed(f"the job failed: {reason}", job_id=job_id, hint=faults.hint(reason, ""))


def _nullable(type_: LogicalType) -> str:
    return type_.sql().removesuffix(" NOT NULL")
