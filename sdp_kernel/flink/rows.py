"""The rows of one result as they come, and pages of them for whoever looks."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from sdp_kernel.errors import UsageError
from sdp_kernel.flink.changelog import Changelog
from sdp_kernel.flink.pages import next_token
from sdp_kernel.flink.results import INSERT, PageDecoder, fields
from sdp_kernel.flink.trace import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sdp_kernel.flink.types import Column

_BYTES_OF_INT = 8


@dataclass(frozen=True)
class Window:
    """One page of the current table.

    ``ids`` name the rows of ``table``: a row keeps its id while it is updated. ``total`` is the
    number of live rows, ``version`` the number of changes there were.
    """

    table: pa.Table
    ids: list[int]
    total: int
    version: int


@dataclass(frozen=True)
class Still:
    """A table as it stood at a ``version``, with its rows' ids in the order their first version came."""

    version: int
    table: pa.Table
    ids: list[int]
    newest_first: bool

    def places(self, offset: int, size: int) -> pa.Array:
        """Return where the rows of an unsorted page are in it."""
        total = self.table.num_rows
        places = range(offset, min(offset + size, total))
        return pa.array([total - 1 - at if self.newest_first else at for at in places], pa.int64())


class Rows:
    """The rows of a result: record batches where they are only added, a fold where they are retracted.

    Until it is known whether the query only appends, rows are kept as JSON; ``appends`` then
    decides. Memory: the batches, of which the newest ``keep`` rows stay where that is given, or the
    live rows. One thread may add while others look.
    """

    def __init__(self, columns: tuple[Column, ...], keep: int | None = None) -> None:
        self.decoder = PageDecoder(columns)
        self.changes = 0
        self.dropped = 0
        self.appends: bool | None = None
        self.key: tuple[str, ...] = ()
        self._keep = keep
        self._batches: deque[pa.RecordBatch] = deque()
        self._count = 0
        self._fold = Changelog()
        self.sample = Sample()
        self._lock = threading.RLock()
        self._decoded: tuple[int, pa.Table, list[int]] | None = None

    def __len__(self) -> int:
        return self._count + len(self._fold)

    @property
    def unmatched(self) -> int:
        """Retractions of rows that were not there."""
        return self._fold.unmatched

    def add(self, page: bytes) -> tuple[bool, int | None]:
        """Take a page in; returns end of results, next token.

        Raises
        ------
        ResultError
            It is no page, or a value does not have the type its column names.
        """
        token = next_token(page)
        batch = None
        if self.appends:
            batch = self.decoder.inserts(page)
        if self.appends and batch is None:
            rows, kinds = self.decoder.rows(page)
            batch = self.decoder.batch(rows) if kinds <= {INSERT} else None
        if batch is not None:
            self.take(batch)
        else:
            changes = self.decoder.changes(page)
            with self._lock:
                self.changes += len(changes)
                self._fold.take(changes)
                self.sample.take(changes)
        return token is None, token

    def take(self, batch: pa.RecordBatch) -> None:
        """Take rows in that are only added."""
        with self._lock:
            self.changes += batch.num_rows
            if batch.num_rows:
                self._append(batch)

    def only_appends(self, appends: bool) -> None:  # noqa: FBT001
        """Say what the plan says of the query's changelog."""
        with self._lock:
            self.appends = appends
            if appends:
                self.sample = Sample()
            if appends and len(self._fold):
                batch = self.decoder.batch_of_json(self._fold.rows())
                self._fold = Changelog()
                self._append(batch)

    def cut(self, limit: int) -> None:
        """Keep the first ``limit`` rows of the table as it stands: what came beyond was not asked for."""
        with self._lock:
            self._decoded = None
            if len(self._fold) > limit:
                first, self._fold = self._fold.rows()[:limit], Changelog()
                self._fold.apply([(INSERT, row) for row in first])
            elif self._count > limit:
                self._batches = deque(self._slices(0, limit))
                self._count = limit

    def _append(self, batch: pa.RecordBatch) -> None:
        self._batches.append(batch)
        self._count += batch.num_rows
        while self._keep is not None and self._count - self._batches[0].num_rows >= self._keep:
            oldest = self._batches.popleft().num_rows
            self._count -= oldest
            self.dropped += oldest

    def sampled(self) -> pa.Table:
        """Return the rows of some of the changes, retractions included; they are not masked."""
        with self._lock:
            rows = [fields(text) for text in self.sample.kept]
        return pa.Table.from_batches([self.decoder.batch_of_json(rows)], schema=self.decoder.schema)

    def table(self, limit: int | None = None) -> pa.Table:
        """Return the current table, its first ``limit`` rows where given."""
        with self._lock:
            batches, live = list(self._batches), self._fold.rows()
        if live:
            batches.append(self.decoder.batch_of_json(live))
        table = pa.Table.from_batches(batches, schema=self.decoder.schema)
        return table if limit is None else table.slice(0, limit)

    def head(self, n: int) -> pa.Table:
        """Return the first ``n`` rows without building the rest."""
        batches: list[pa.RecordBatch] = []
        left = n
        with self._lock:
            for batch in self._batches:
                if left <= 0:
                    break
                batches.append(batch.slice(0, left))
                left -= batches[-1].num_rows
            live = self._fold.rows()[:left] if left > 0 else []
        if live:
            batches.append(self.decoder.batch_of_json(live))
        return pa.Table.from_batches(batches, schema=self.decoder.schema)

    def window(
        self,
        offset: int,
        size: int,
        *,
        sort: str | None = None,
        descending: bool = False,
        mask: Callable[[pa.Table], pa.Table] = lambda table: table,
        still: Still | None = None,
    ) -> Window:
        """Return ``size`` rows from ``offset`` on, of the table as it stands or sorted by a column.

        Unsorted, rows that are only added come newest first, others in the order their first
        version came. Sorting decodes the whole table, once for each version looked at; values are
        compared as ``mask`` leaves them, so that an order tells nothing that is hidden. ``still``: of
        the table as it stood then.

        Raises
        ------
        UsageError
            There is no such column to sort by.
        """
        if sort is not None and sort not in self.decoder.schema.names:
            raise UsageError(
                f"the result has no column {sort!r}",
                hint=f"it has: {', '.join(self.decoder.schema.names)}",
            )
        if sort is not None:
            whole = still or Still(*self._whole(), newest_first=False)
            return self._sorted(whole, offset, size, sort, descending=descending, mask=mask)
        if still is not None:
            return self._of(still, still.places(offset, size), mask)
        with self._lock:
            total, version = len(self), self.changes
            if len(self._fold):
                places = self._fold.places()
                chosen = sorted(places)[offset : offset + size]
                live = [places[place] for place in chosen]
                batches: list[pa.RecordBatch] = []
                ids = chosen
            else:
                batches, ids = self._newest(offset, size)
                live = []
        if live:
            batches = [self.decoder.batch_of_json(live)]
        table = pa.Table.from_batches(batches, schema=self.decoder.schema)
        return Window(mask(table), self._identities(table, ids), total, version)

    def _newest(self, offset: int, size: int) -> tuple[list[pa.RecordBatch], list[int]]:
        """Return batches and ids of appended rows, counted from the newest back."""
        stop = max(self._count - offset, 0)
        start = max(stop - size, 0)
        table = pa.Table.from_batches(self._slices(start, stop), schema=self.decoder.schema)
        backwards = pa.array(range(table.num_rows - 1, -1, -1), pa.int64())
        ids = [self.dropped + index for index in range(stop - 1, start - 1, -1)]
        return table.take(backwards).to_batches(), ids

    def _slices(self, start: int, stop: int) -> list[pa.RecordBatch]:
        """Return the rows ``start`` to ``stop``, looked for from the end, where viewers look."""
        found: list[pa.RecordBatch] = []
        end = self._count
        for batch in reversed(self._batches):
            begin = end - batch.num_rows
            low, high = max(start, begin), min(stop, end)
            if low < high:
                found.append(batch.slice(low - begin, high - low))
            if begin <= start:
                break
            end = begin
        return found[::-1]

    def still(self) -> Still:
        """Return the table as it stands now, for :meth:`window`; what comes later changes nothing of it."""
        with self._lock:
            return Still(*self._whole(), newest_first=not len(self._fold))

    def _of(self, still: Still, chosen: pa.Array, mask: Callable[[pa.Table], pa.Table]) -> Window:
        page = still.table.take(chosen)
        numbers = [still.ids[index] for index in chosen.to_pylist()]
        return Window(mask(page), self._identities(page, numbers), still.table.num_rows, still.version)

    def _sorted(
        self,
        whole: Still,
        offset: int,
        size: int,
        sort: str,
        *,
        descending: bool,
        mask: Callable[[pa.Table], pa.Table],
    ) -> Window:
        column = mask(whole.table.select([sort])).column(0)
        if pa.types.is_interval(column.type):  # of months alone
            column = pa.array([None if value is None else value.months for value in column.to_pylist()])
        elif not _sortable(column.type):
            column = column.cast(pa.string()) if column.type.num_fields == 0 else _texts(column)
        order = "descending" if descending else "ascending"
        keyed = pa.table({"key": column, "at": pa.array(range(len(column)), pa.int64())})
        indices = pc.sort_indices(keyed, sort_keys=[("key", order), ("at", "ascending")])
        return self._of(whole, indices.slice(offset, size), mask)

    def _whole(self) -> tuple[int, pa.Table, list[int]]:
        """Return the version, the whole table and its rows' ids; kept until something changes."""
        with self._lock:
            known = self._decoded
            if known is not None and known[0] == self.changes:
                return known
            version, batches = self.changes, list(self._batches)
            places = self._fold.places()
            ids: list[int] = [self.dropped + index for index in range(self._count)]
        if places:
            chosen = sorted(places)
            batches.append(self.decoder.batch_of_json([places[place] for place in chosen]))
            ids += chosen
        decoded = (version, pa.Table.from_batches(batches, schema=self.decoder.schema), ids)
        self._decoded = decoded if places else None
        return decoded

    def _identities(self, table: pa.Table, places: list[int]) -> list[int]:
        """Name rows by their key where the query has one, by their place otherwise."""
        if not self.key or not set(self.key) <= set(table.column_names):
            return places
        columns = [table.column(name).to_pylist() for name in self.key]
        return _distinct(hash(repr(values)) for values in zip(*columns, strict=True))


def _distinct(ids: Iterable[int]) -> list[int]:
    """Give equal ids, which a multiset may hold, numbers of their own."""
    seen: dict[int, int] = {}
    out = []
    for id_ in ids:
        again = seen.get(id_, 0)
        seen[id_] = again + 1
        out.append(id_ if not again else hash((id_, again)))
    return [number & (2**53 - 1) for number in out]


def _sortable(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(type_)
        or pa.types.is_floating(type_)
        or pa.types.is_decimal(type_)
        or pa.types.is_boolean(type_)
        or (pa.types.is_temporal(type_) and not pa.types.is_interval(type_))
        or pa.types.is_string(type_)
        or pa.types.is_binary(type_)
    )


def _texts(column: Any) -> pa.Array:
    return pa.array([None if value is None else repr(value) for value in column.to_pylist()], pa.string())
