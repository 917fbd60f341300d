"""What a receipt says of the rows that a query gave: counts, and no values but the ends of a range.

Columns that ``[masking]`` hides have none of it. Texts and what is nested are only counted: a value of a
topic may be anybody's name.
"""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_ROWS = 100_000
_NESTED = "only its nulls are counted: it is nested"
_COUNTED = "its values are counted and not shown"


def statistics(table: pa.Table, masked: Callable[[str], bool]) -> dict[str, Any]:
    """Return counts of a table's columns, as plain values.

    Parameters
    ----------
    table
        The first rows of a result, masked.
    masked
        Whether a column of a name is hidden.
    """
    columns = [
        _of_column(name, column, hidden=masked(name))
        for name, column in zip(table.column_names, table.columns, strict=True)
    ]
    return {"rows": len(table), "columns": columns}


def _of_column(name: str, column: pa.ChunkedArray, *, hidden: bool) -> dict[str, Any]:
    found: dict[str, Any] = dict.fromkeys(("name", "nulls", "distinct", "min", "max", "reason"))
    found["name"] = name
    if hidden:
        return {**found, "reason": "masked"}
    found["nulls"] = column.null_count
    if pa.types.is_nested(column.type) or pa.types.is_null(column.type):
        return {**found, "reason": _NESTED if pa.types.is_nested(column.type) else None}
    try:
        found["distinct"] = int(pc.count_distinct(column, mode="only_valid").as_py())
    except pa.ArrowNotImplementedError:
        return {**found, "reason": "Arrow cannot count values of its type"}
    if not _has_range(column.type):
        return {**found, "reason": _COUNTED}
    ends = pc.min_max(column).as_py()
    return {**found, "min": _plain(ends["min"]), "max": _plain(ends["max"])}


def _has_range(kind: pa.DataType) -> bool:
    of = pa.types
    return any(
        is_kind(kind)
        for is_kind in (of.is_integer, of.is_floating, of.is_decimal, of.is_date, of.is_timestamp)
    )


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; one that JSON has no number for as text."""
    if isinstance(value, (dt.date, dt.datetime)):
        return value.isoformat()
    if isinstance(value, Decimal) or (isinstance(value, float) and not math.isfinite(value)):
        return str(value)
    return value
