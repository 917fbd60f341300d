"""A job's final table, and how two of them differ.

Used wherever two runs of a job are compared: a shadow run, a job's test. How a difference is shown
is in :mod:`sdp_kernel.repository.tables_view`.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sdp_kernel.flink.script import identifier
from sdp_kernel.repository import tables_view

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

    from sdp_kernel.flink.session import Session

    Row = tuple[Hashable, ...]

_SHOWN = 10
#: By how much of their size DOUBLEs and FLOATs may differ, half of their twelfth and sixth digit: sums come
#: out a little different in another order.
_OF_DOUBLE, _OF_FLOAT = 5e-12, 5e-6
#: Of an upsert table, changes of one key are folded in Flink, many at a time, and not sent one by one.
_BUNDLED = {
    "table.exec.mini-batch.enabled": "true",
    "table.exec.mini-batch.allow-latency": "10 s",
    "table.exec.mini-batch.size": "50000",
}


@dataclass(frozen=True)
class FinalTable:
    """What a job has written, once all its changes are applied. ``key`` is empty where there is none."""

    data: pa.Table
    key: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        return tuple(self.data.column_names)


class Reading:
    """A table's final content, while Flink reads it: all that is written to it until now.

    Only what a job writes is read: neither computed columns nor metadata that Kafka gives.

    Parameters
    ----------
    session
        It has the table declared so that reading begins at the first record and ends.
    table
        Its name, quoted.

    Raises
    ------
    StatementError
        Flink does not know the table, or cannot read it.
    """

    def __init__(self, session: Session, table: str) -> None:
        described = session.runner().table(f"DESCRIBE {table}")
        written = [row for row in described if _is_written(str(row.get("extras") or ""))]
        self.key = tuple(str(row["name"]) for row in written if str(row.get("key") or "").startswith("PRI"))
        self.names = [str(row["name"]) for row in written]
        selected = ", ".join(identifier(name) for name in self.names)
        self._query = session.execute(f"SELECT {selected} FROM {table}", background=True, config=_BUNDLED)  # noqa: S608

    def result(self) -> FinalTable:
        """Wait for it.

        Raises
        ------
        JobFailed, ResultError
            Flink could not read all of it.
        """
        data = self._query.wait().arrow
        return FinalTable(
            data if data.column_names else pa.table({name: [] for name in self.names}), self.key
        )


def _is_written(extras: str) -> bool:
    return not (extras.startswith("AS ") or extras.endswith("VIRTUAL"))


@dataclass(frozen=True)
class Changed:
    """Rows that both tables have, with other values: the first of them, and how many differ by column."""

    count: int
    columns: Mapping[str, int]
    old: pa.Table = field(repr=False)
    new: pa.Table = field(repr=False)


@dataclass(frozen=True)
class TableDiff:
    """How two final tables differ, in the columns that both have.

    Attributes
    ----------
    table
        Its name.
    labels
        What the two are called, such as ``("old", "new")``.
    key
        The columns that tell rows apart; empty where rows are compared as a whole.
    rows
        How many rows each has.
    same
        How many are equal.
    only_old, only_new
        How many only one of them has; the first are in ``first_old`` and ``first_new``.
    changed
        Those with one key and other values; none where there is no key.
    columns_old, columns_new
        Columns that only one of them has.
    types
        Of columns that both have, those whose types are not the same: (old, new) by name.
    notes
        What else should be known.
    """

    table: str
    labels: tuple[str, str]
    key: tuple[str, ...]
    rows: tuple[int, int]
    same: int
    only_old: int
    only_new: int
    changed: Changed
    first_old: pa.Table = field(repr=False)
    first_new: pa.Table = field(repr=False)
    columns_old: tuple[str, ...] = ()
    columns_new: tuple[str, ...] = ()
    types: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether the tables are not the same, columns and their types included."""
        rows = self.only_old or self.only_new or self.changed.count
        return bool(rows or self.columns_old or self.columns_new or self.types)

    def masked(self, mask: Callable[[pa.Table], pa.Table]) -> TableDiff:
        """Return it with the rows it shows masked; what differs was found before."""
        return replace(
            self,
            changed=replace(self.changed, old=mask(self.changed.old), new=mask(self.changed.new)),
            first_old=mask(self.first_old),
            first_new=mask(self.first_new),
        )

    def to_text(self) -> str:
        """Show it as text."""
        return tables_view.text(self)

    def to_html(self) -> str:
        """Show it as HTML; everything in it is escaped."""
        return tables_view.html(self)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return tables_view.plain(self)


def diff(
    table: str,
    old: FinalTable,
    new: FinalTable,
    *,
    labels: tuple[str, str] = ("old", "new"),
    shown: int = _SHOWN,
) -> TableDiff:
    """Compare two final tables: by key where both have the same, else as multisets of rows.

    Numbers of DOUBLE and FLOAT are equal where they differ by no more than 5e-12 and 5e-6 of their size: a
    sum depends on the order of its numbers.

    Parameters
    ----------
    shown
        How many rows of each kind are kept to show.
    """
    common = [name for name in old.columns if name in new.columns]
    ours, theirs = old.data.select(common), new.data.select(common)
    rows = (_rows(ours), _rows(theirs))
    key, notes = old.key, []
    if old.key != new.key:
        words = [", ".join(key) or "none" for key in (old.key, new.key)]
        notes.append(f"the keys are not the same: {words[0]} and {words[1]}; rows are compared as a whole")
        key = ()
    within = [max(*both) for both in zip(_tolerances(ours), _tolerances(theirs), strict=True)]
    keyed = _by_key(rows, [common.index(name) for name in key if name in common], within) if key else None
    if key and keyed is None:
        notes.append(f"{', '.join(key)} does not tell the rows apart; they are compared as a whole")
        key = ()
    before, after, pairs = keyed if keyed is not None else _as_multisets(rows, within)
    differing = [(i, j) for i, j in pairs if not _alike(rows[0][i], rows[1][j], within)]
    columns = Counter(
        name
        for i, j in differing
        for name, a, b, tolerance in zip(common, rows[0][i], rows[1][j], within, strict=True)
        if not _close(a, b, tolerance)
    )
    first = differing[:shown]
    return TableDiff(
        table=table,
        labels=labels,
        key=key,
        rows=(len(rows[0]), len(rows[1])),
        same=len(pairs) - len(differing),
        only_old=len(before),
        only_new=len(after),
        changed=Changed(
            len(differing),
            {name: columns[name] for name in common if columns[name]},
            _take(ours, [i for i, _ in first]),
            _take(theirs, [j for _, j in first]),
        ),
        first_old=_take(old.data, before[:shown]),
        first_new=_take(new.data, after[:shown]),
        columns_old=tuple(name for name in old.columns if name not in common),
        columns_new=tuple(name for name in new.columns if name not in common),
        types=_types(ours.schema, theirs.schema),
        notes=tuple(notes),
    )


def _types(old: pa.Schema, new: pa.Schema) -> dict[str, tuple[str, str]]:
    """Return the types of columns that differ; whether a value inside may be null is no difference."""
    found = {}
    for before, after in zip(old, new, strict=True):
        names = [str(one.type).replace(" not null", "") for one in (before, after)]
        if names[0] != names[1] and not any(pa.types.is_null(one.type) for one in (before, after)):
            found[before.name] = (names[0], names[1])
    return found


def _by_key(
    rows: tuple[Sequence[Row], Sequence[Row]], places: Sequence[int], within: Sequence[float]
) -> tuple[list[int], list[int], list[tuple[int, int]]] | None:
    """Return rows only in the one, only in the other, and pairs of one key; None if keys are not unique."""
    old, new = ([tuple(row[place] for place in places) for row in side] for side in rows)
    if any(len(set(keys)) < len(keys) for keys in (old, new)):
        return None
    return _as_multisets((old, new), [within[place] for place in places])


def _as_multisets(
    rows: tuple[Sequence[Row], Sequence[Row]], within: Sequence[float]
) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """Return rows only in the one, only in the other, and pairs: the equal, and of the others the close."""
    left: dict[Row, list[int]] = {}
    for number, row in reversed(list(enumerate(rows[1]))):
        left.setdefault(row, []).append(number)
    before, pairs = [], []
    for number, row in enumerate(rows[0]):
        if left.get(row):
            pairs.append((number, left[row].pop()))
        else:
            before.append(number)
    after = [number for numbers in left.values() for number in numbers]
    close = list(_close_pairs(rows, before, after, within))
    ours, theirs = ({pair[side] for pair in close} for side in (0, 1))
    return (
        [number for number in before if number not in ours],
        sorted(number for number in after if number not in theirs),
        sorted([*pairs, *close]),
    )


def _close_pairs(
    rows: tuple[Sequence[Row], Sequence[Row]],
    before: Sequence[int],
    after: Sequence[int],
    within: Sequence[float],
) -> Iterator[tuple[int, int]]:
    """Pair rows that are equal but for the last digits of their numbers, each with the first that is left."""
    ours, theirs = _by_rest(rows[0], before), _by_rest(rows[1], after)
    for rest, candidates in theirs.items():
        place = _telling(candidates)
        left = sorted((numbers[place], number) for numbers, number in candidates)
        for value, number in sorted((numbers[place], number) for numbers, number in ours.get(rest, ())):
            margin = 0.0 if math.isinf(value) else 2 * max(within) * abs(value)
            at = bisect_left(left, (value - margin, -1))
            while at < len(left) and left[at][0] <= value + margin:
                if _alike(rows[0][number], rows[1][left[at][1]], within):
                    yield number, left.pop(at)[1]
                    break
                at += 1


def _by_rest(rows: Sequence[Row], numbers: Sequence[int]) -> dict[Hashable, list[tuple[list[float], int]]]:
    """Group rows that have floating-point numbers by all that they have beside these."""
    found: dict[Hashable, list[tuple[list[float], int]]] = {}
    for number in numbers:
        rest, values = _apart(rows[number])
        if values:
            found.setdefault(rest, []).append((values, number))
    return found


def _telling(candidates: Sequence[tuple[list[float], int]]) -> int:
    """Return which of the numbers tells the most rows apart, so that few are compared with each."""
    counts = [len({values[at] for values, _ in candidates}) for at in range(len(candidates[0][0]))]
    return counts.index(max(counts))


def _apart(value: Hashable) -> tuple[Hashable, list[float]]:
    """Return a value with its floating-point numbers taken out, and these in order."""
    if isinstance(value, float):
        return (float,), [value]
    if not isinstance(value, tuple):
        return value, []
    parts = [_apart(inner) for inner in value]
    return tuple(rest for rest, _ in parts), [number for _, numbers in parts for number in numbers]


def _alike(old: Row, new: Row, within: Sequence[float]) -> bool:
    return old == new or all(map(_close, old, new, within))


def _close(old: Hashable, new: Hashable, tolerance: float) -> bool:
    if isinstance(old, float) and isinstance(new, float):
        return math.isclose(old, new, rel_tol=tolerance)
    if isinstance(old, tuple) and isinstance(new, tuple) and len(old) == len(new):
        return all(_close(a, b, tolerance) for a, b in zip(old, new, strict=True))
    return old == new


def _tolerances(table: pa.Table) -> list[float]:
    return [_OF_FLOAT if pa.types.is_float32(column.type) else _OF_DOUBLE for column in table.schema]


def _take(table: pa.Table, numbers: Sequence[int]) -> pa.Table:
    return table.take(pa.array(numbers, pa.int64()))


def _rows(table: pa.Table) -> list[Row]:
    """Return rows that can be compared and hashed."""
    if not table.num_columns:
        return [()] * table.num_rows
    columns = []
    for field_, column in zip(table.schema, table.columns, strict=True):
        plain = not (pa.types.is_nested(field_.type) or pa.types.is_floating(field_.type))
        values = column.to_pylist()
        is_map = pa.types.is_map(field_.type)
        columns.append(values if plain else [_comparable(value, is_map=is_map) for value in values])
    return list(zip(*columns, strict=True))


def _comparable(value: Any, *, is_map: bool = False) -> Hashable:
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else value
    if isinstance(value, dict):
        return tuple((name, _comparable(inner)) for name, inner in value.items())
    if isinstance(value, (list, tuple)):
        values = [_comparable(inner) for inner in value]
        return tuple(sorted(values, key=lambda entry: repr(entry[0])) if is_map else values)  # type: ignore[index]
    return value  # type: ignore[no-any-return]
