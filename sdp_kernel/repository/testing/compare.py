"""Two tables held against each other: what is missing, what is too much, what has changed."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sdp_kernel.repository.testing.values import canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    Row = Mapping[str, Any]

_ABSENT = object()


@dataclass(frozen=True)
class Change:
    """A row that is there with other values: its key, and column → (expected, found).

    A column that one side has not is left out of that side: ``None`` stands for null alone, and
    ``absent`` names the columns that are missing on the side ``expected`` or ``found``.
    """

    key: Mapping[str, Any]
    columns: Mapping[str, tuple[Any, Any]]
    absent: Mapping[str, str]


@dataclass(frozen=True)
class Difference:
    """How a sink's table differs from the one expected. It is false where they are the same."""

    table: str
    expected: int
    found: int
    missing: tuple[Row, ...] = ()
    unexpected: tuple[Row, ...] = ()
    changed: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.changed)

    @property
    def summary(self) -> str:
        """Say it in one line."""
        counts = [
            f"{len(rows):,} {what}"
            for rows, what in (
                (self.missing, "missing"), (self.unexpected, "unexpected"), (self.changed, "changed"),
            )
            if rows
        ]  # fmt: skip
        same = self.expected - len(self.missing) - len(self.changed)
        return ", ".join([f"{same:,} of {self.expected:,} rows as expected", *counts])


def compare(
    table: str,
    expected: Sequence[Row],
    found: Sequence[Row],
    *,
    key: Sequence[str] = (),
    ignore: Collection[str] = (),
    tolerance: Mapping[str, float] | None = None,
) -> Difference:
    """Compare two tables: by key where it tells the rows of both apart, else as multisets.

    Parameters
    ----------
    key
        Columns; one that a row lacks counts as absent.
    ignore
        Columns that are not looked at.
    tolerance
        Column → by how much a number may differ.
    """
    left, right = ([_without(row, ignore) for row in rows] for rows in (expected, found))
    allowed = {name: Decimal(str(value)) for name, value in (tolerance or {}).items()}
    names = [name for name in key if name not in ignore]
    if names:
        by_key = _by_key(left, names), _by_key(right, names)
        if by_key[0] is not None and by_key[1] is not None:
            return _keyed(table, by_key[0], by_key[1], names, allowed)
    missing, unexpected = _multiset(left, right, allowed)
    return Difference(table, len(left), len(right), missing, unexpected)


def _without(row: Row, ignore: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ignore}


def _by_key(rows: Iterable[Row], names: Sequence[str]) -> dict[tuple[Any, ...], Row] | None:
    """Return the rows by their key; None where two have the same, or one has none of it."""
    found: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        if not any(name in row for name in names):
            return None
        identity = tuple(canonical(row[name]) if name in row else () for name in names)
        if identity in found:
            return None
        found[identity] = row
    return found


def _keyed(
    table: str,
    left: Mapping[tuple[Any, ...], Row],
    right: Mapping[tuple[Any, ...], Row],
    names: Sequence[str],
    allowed: Mapping[str, Decimal],
) -> Difference:
    changed = []
    for identity, row in left.items():
        other = right.get(identity)
        change = None if other is None else _change(row, other, names, allowed)
        if change is not None:
            changed.append((identity, change))
    return Difference(
        table,
        len(left),
        len(right),
        tuple(left[identity] for identity in sorted(left.keys() - right.keys())),
        tuple(right[identity] for identity in sorted(right.keys() - left.keys())),
        tuple(change for _, change in sorted(changed, key=lambda pair: pair[0])),
    )


def _change(row: Row, other: Row, names: Sequence[str], allowed: Mapping[str, Decimal]) -> Change | None:
    columns, absent = {}, {}
    for column in dict.fromkeys((*row, *other)):
        before, after = row.get(column, _ABSENT), other.get(column, _ABSENT)
        if before is _ABSENT or after is _ABSENT:
            absent[column] = "expected" if before is _ABSENT else "found"
            columns[column] = (row.get(column), other.get(column))
        elif not _same(before, after, allowed.get(column)):
            columns[column] = (before, after)
    key = {name: row[name] for name in names if name in row}
    return Change(key, columns, absent) if columns else None


def _same(one: Any, other: Any, allowed: Decimal | None) -> bool:
    if canonical(one) == canonical(other):
        return True
    if allowed is None or not (_is_number(one) and _is_number(other)):
        return False
    return abs(Decimal(str(one)) - Decimal(str(other))) <= allowed


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def _multiset(
    left: Sequence[Row], right: Sequence[Row], allowed: Mapping[str, Decimal]
) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Return what only one side has, how often it has it more than the other."""
    counts = Counter(map(canonical, left))
    counts.subtract(map(canonical, right))
    missing = _taken(left, {row: count for row, count in counts.items() if count > 0})
    unexpected = _taken(right, {row: -count for row, count in counts.items() if count < 0})
    if allowed and missing and unexpected:
        missing, unexpected = _matched(missing, unexpected, allowed)
    return tuple(sorted(missing, key=canonical)), tuple(sorted(unexpected, key=canonical))


def _taken(rows: Iterable[Row], wanted: dict[tuple[Any, ...], int]) -> list[Row]:
    found = []
    for row in rows:
        text = canonical(row)
        if wanted.get(text):
            wanted[text] -= 1
            found.append(row)
    return found


def _matched(
    missing: list[Row], unexpected: list[Row], allowed: Mapping[str, Decimal]
) -> tuple[list[Row], list[Row]]:
    """Take away pairs of rows that differ by what is allowed: the rest of their columns is the same."""
    rest_of: Callable[[Row], tuple[Any, ...]] = lambda row: canonical(  # noqa: E731
        {name: None if name in allowed and _is_number(value) else value for name, value in row.items()}
    )
    candidates: defaultdict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in sorted(unexpected, key=canonical):
        candidates[rest_of(row)].append(row)
    left = []
    for row in sorted(missing, key=canonical):
        near = candidates[rest_of(row)]
        at = next((i for i, other in enumerate(near) if _near(row, other, allowed)), None)
        if at is None:
            left.append(row)
        else:
            del near[at]
    return left, [row for rows in candidates.values() for row in rows]


def _near(row: Row, other: Row, allowed: Mapping[str, Decimal]) -> bool:
    return all(_same(value, other[name], allowed.get(name)) for name, value in row.items())
