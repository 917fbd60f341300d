"""The final table of a changelog, and how two of them differ.

Used wherever two runs of a job are compared: a shadow run, a job's test. How a difference is shown
is in :mod:`sdp_kernel.repository.tables_view`.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

from sdp_kernel.flink.script import identifier
from sdp_kernel.repository import tables_view

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

    from sdp_kernel.flink.session import Session

    Row = tuple[Hashable, ...]

_Value = TypeVar("_Value")
_SHOWN = 10
#: Digits that count of a DOUBLE and of a FLOAT: sums come out a little different in another order.
_DOUBLE_DIGITS, _FLOAT_DIGITS = 12, 6
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


def fold(changes: Iterable[tuple[Hashable | None, _Value | None]]) -> list[_Value]:
    """Fold changes into the rows that are left, in the order their keys came first.

    Parameters
    ----------
    changes
        ``(key, row)`` as in an upsert topic: a row takes the place of the one with its key, and None
        takes that away. Without a key (None) a row is one more.
    """
    kept: dict[object, _Value] = {}
    for key, row in changes:
        place: object = object() if key is None else ("key", key)
        if row is None:
            kept.pop(place, None)
        else:
            kept[place] = row
    return list(kept.values())


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
    notes: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether the tables are not the same, columns included."""
        return bool(
            self.only_old or self.only_new or self.changed.count or self.columns_old or self.columns_new
        )

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

    Numbers of DOUBLE and FLOAT are equal where twelve and six digits are: a sum depends on the order.

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
    keyed = _by_key(rows, [common.index(name) for name in key if name in common]) if key else None
    if key and keyed is None:
        notes.append(f"{', '.join(key)} does not tell the rows apart; they are compared as a whole")
        key = ()
    before, after, pairs = keyed if keyed is not None else _as_multisets(rows)
    differing = [(i, j) for i, j in pairs if rows[0][i] != rows[1][j]]
    columns = Counter(
        name
        for i, j in differing
        for name, a, b in zip(common, rows[0][i], rows[1][j], strict=True)
        if a != b
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
        notes=tuple(notes),
    )


def _by_key(
    rows: tuple[Sequence[Row], Sequence[Row]], places: Sequence[int]
) -> tuple[list[int], list[int], list[tuple[int, int]]] | None:
    """Return rows only in the one, only in the other, and pairs of one key; None if keys are not unique."""
    by_key = [{tuple(row[place] for place in places): number for number, row in enumerate(side)}
              for side in rows]  # fmt: skip
    if any(len(found) < len(side) for found, side in zip(by_key, rows, strict=True)):
        return None
    before, after = by_key
    return (
        [number for key, number in before.items() if key not in after],
        [number for key, number in after.items() if key not in before],
        [(number, after[key]) for key, number in before.items() if key in after],
    )


def _as_multisets(
    rows: tuple[Sequence[Row], Sequence[Row]],
) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    left: dict[Row, list[int]] = {}
    for number, row in enumerate(rows[1]):
        left.setdefault(row, []).append(number)
    before, pairs = [], []
    for number, row in enumerate(rows[0]):
        if left.get(row):
            pairs.append((number, left[row].pop(0)))
        else:
            before.append(number)
    return before, sorted(number for numbers in left.values() for number in numbers), pairs


def _take(table: pa.Table, numbers: Sequence[int]) -> pa.Table:
    return table.take(pa.array(numbers, pa.int64()))


def _rows(table: pa.Table) -> list[Row]:
    """Return rows that can be compared and hashed."""
    if not table.num_columns:
        return [()] * table.num_rows
    columns = []
    for field_, column in zip(table.schema, table.columns, strict=True):
        digits = _FLOAT_DIGITS if pa.types.is_float32(field_.type) else _DOUBLE_DIGITS
        plain = not (pa.types.is_nested(field_.type) or pa.types.is_floating(field_.type))
        values = column.to_pylist()
        is_map = pa.types.is_map(field_.type)
        columns.append(values if plain else [_comparable(value, digits, is_map=is_map) for value in values])
    return list(zip(*columns, strict=True))


def _comparable(value: Any, digits: int, *, is_map: bool = False) -> Hashable:
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else float(f"{value:.{digits}g}")
    if isinstance(value, dict):
        return tuple((name, _comparable(inner, digits)) for name, inner in value.items())
    if isinstance(value, (list, tuple)):
        values = [_comparable(inner, digits) for inner in value]
        return frozenset(values) if is_map else tuple(values)
    return value  # type: ignore[no-any-return]
