"""What a sample holds: each column, times and lateness, keys, and what could not be decoded.

Everything is counted on the sample, in Arrow and numpy; nothing is asked of Kafka again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import UsageError
from sdp_kernel.kafka.event_time import event_time as times_of
from sdp_kernel.kafka.event_time import interval, name_weight

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sdp_kernel.kafka.sample import Sample

MAX_COLUMNS = 300
MAX_FAILURES = 50
_BINS = 24
_TOP = 5
_DEPTH = 4
#: Event time is looked for in so many of the newest rows: text is read value by value.
_TIMED = 20_000


@dataclass(frozen=True)
class ColumnProfile:
    """One column, or one field of a struct (``customer.city``).

    Attributes
    ----------
    type
        Arrow's name.
    nulls
        Rows in which it is null or absent; tombstones and rows not decoded are not counted.
    rows
        Rows that were.
    distinct
        Different values; None for types that are not counted (lists, maps).
    low, high
        Least and greatest value, text by code point; None without values or an order.
    top
        The most frequent values, each with its count.
    bins
        Rows by value in equal steps from ``low`` to ``high``, for numbers and times; else empty.
    """

    name: str
    type: str
    nulls: int
    rows: int
    distinct: int | None = None
    low: Any = None
    high: Any = None
    top: tuple[tuple[Any, int], ...] = ()
    bins: tuple[int, ...] = ()


@dataclass(frozen=True)
class EventTimeProfile:
    """How a column of event times goes with the order of records in each partition.

    Attributes
    ----------
    looked_at
        Records with a time.
    late
        Records with a time before an earlier record's of their partition.
    late_ms
        How far behind that time records are: the 50th, 95th and 99th percentile of the late
        ones, and the most (ms); zeros where none is late.
    lag_ms
        The record's timestamp in Kafka minus its event time: 50th, 95th and 99th percentile, and
        the most (ms); None without record timestamps.
    delay
        A WATERMARK's delay that covers all of them, as SQL: ``INTERVAL '5' SECOND``.
    """

    column: str
    looked_at: int
    late: int
    late_ms: tuple[int, int, int, int]
    lag_ms: tuple[int, int, int, int] | None
    delay: str


@dataclass(frozen=True)
class KeyProfile:
    """Keys: rows without one, different ones, the most frequent with their counts."""

    nulls: int
    distinct: int
    top: tuple[tuple[Any, int], ...]


@dataclass(frozen=True)
class Failure:
    """A record that could not be decoded, with its bytes (None where only the key is bad)."""

    partition: int
    offset: int
    reason: str
    raw: bytes | None


@dataclass(frozen=True)
class SampleProfile:
    """A sample in figures.

    Attributes
    ----------
    columns
        In the sample's order, the value's first, then those that begin with an underscore; up to 300.
    times
        Rows by record timestamp, in equal steps from the first to the last.
    partitions
        Partition → rows.
    value_bytes
        Size of values: mean, 95th percentile, greatest (bytes); None for an empty sample.
    reasons
        Reason, without what differs from record to record → rows that could not be decoded.
    failures
        Up to 50 of them.
    more_columns
        Columns left out.
    """

    sample: Sample
    columns: tuple[ColumnProfile, ...]
    times: tuple[int, ...]
    partitions: Mapping[int, int]
    keys: KeyProfile
    event_time: EventTimeProfile | None
    value_bytes: tuple[float, int, int] | None
    reasons: Mapping[str, int]
    failures: tuple[Failure, ...]
    more_columns: int = 0


def profile(sample: Sample, *, event_time: str | None = None) -> SampleProfile:
    """Profile a sample.

    Parameters
    ----------
    event_time
        The column that holds the event's time; by default the one most like it.

    Raises
    ------
    UsageError
        There is no such column, or it holds no times.
    """
    import numpy as np  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    table = sample.table
    bad = table["_error"].is_valid() if "_error" in table.column_names else None
    decoded = table if bad is None else table.filter(pc.invert(bad))
    columns: list[ColumnProfile] = []
    more = 0
    for name, column in _leaves(table):
        if name in {"_error", "_raw", "_key", "_headers"}:
            continue
        if len(columns) == MAX_COLUMNS:
            more += 1
            continue
        of_value = not name.startswith("_")
        shown = column if bad is None or not of_value else column.filter(pc.invert(bad))
        columns.append(_column(name, shown, sample.tombstones if of_value else 0))
    places = np.unique(table["_partition"].to_numpy(), return_counts=True)
    sizes = sample.value_bytes
    reasons, failures = _failures(table, bad)
    return SampleProfile(
        sample=sample,
        columns=tuple(columns),
        times=_bins(table["_timestamp"].cast("int64")),
        partitions=dict(zip(*(side.tolist() for side in places), strict=True)),
        keys=_keys(table["_key"]),
        event_time=_event_time(sample, decoded, event_time),
        value_bytes=None
        if sizes is None or not len(sizes)
        else (float(sizes.mean()), int(np.percentile(sizes, 95)), int(sizes.max())),
        reasons=reasons,
        failures=failures,
        more_columns=more,
    )


def _leaves(table: Any) -> Iterator[tuple[str, Any]]:
    """Give columns, structs taken apart."""
    for name in table.column_names:
        yield from _parts(name, table[name], 0)


def _parts(name: str, column: Any, depth: int) -> Iterator[tuple[str, Any]]:
    import pyarrow as pa  # noqa: PLC0415

    if pa.types.is_struct(column.type) and depth < _DEPTH and column.type.num_fields and name != "_key":
        kind = column.type
        for field, child in zip(
            (kind.field(i) for i in range(kind.num_fields)), column.flatten(), strict=True
        ):
            yield from _parts(f"{name}.{field.name}", child, depth + 1)
    else:
        yield name, column


def _column(name: str, column: Any, tombstones: int) -> ColumnProfile:
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    kind, types = column.type, pa.types
    if types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    rows = max(0, len(column) - tombstones)
    nulls = max(0, column.null_count - tombstones)
    made = {"name": name, "type": str(kind), "nulls": nulls, "rows": rows}
    values = column.drop_null()
    if not len(values) or not (types.is_primitive(column.type) or _is_text(column.type)):
        if types.is_decimal(column.type) and len(values):
            return _decimals(values, made)
        return ColumnProfile(**made)
    counts = values.value_counts()
    if isinstance(counts, pa.ChunkedArray):
        counts = counts.combine_chunks()
    numbers, times = _is_number(column.type), types.is_temporal(column.type)
    low = high = None
    if numbers or times or _is_text(column.type):
        bounds = pc.min_max(values) if not _is_text(column.type) else None
        low, high = (
            (bounds["min"].as_py(), bounds["max"].as_py()) if bounds is not None else _text_bounds(counts)
        )
    return ColumnProfile(
        **made,
        distinct=len(counts),
        low=low,
        high=high,
        top=_top(counts),
        bins=_bins(values if numbers else _whole(values)) if numbers or times else (),
    )


def _is_text(kind: Any) -> bool:
    import pyarrow as pa  # noqa: PLC0415

    types = pa.types
    return bool(types.is_string(kind) or types.is_binary(kind) or types.is_large_string(kind)
                or types.is_fixed_size_binary(kind))  # fmt: skip


def _is_number(kind: Any) -> bool:
    import pyarrow as pa  # noqa: PLC0415

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _whole(values: Any) -> Any:
    return values.cast("int64") if values.type.bit_width == 64 else values.cast("int32")  # noqa: PLR2004


def _text_bounds(counts: Any) -> tuple[Any, Any]:
    texts = counts.field("values")
    order = texts.sort() if hasattr(texts, "sort") else texts
    return order[0].as_py(), order[len(order) - 1].as_py()


def _decimals(values: Any, made: Mapping[str, Any]) -> ColumnProfile:
    numbers = Counter(values.to_pylist())
    return ColumnProfile(
        **made,
        distinct=len(numbers),
        low=min(numbers),
        high=max(numbers),
        top=tuple(numbers.most_common(_TOP)),
        bins=_bins(values.cast("double", safe=False)),
    )


def _top(counts: Any) -> tuple[tuple[Any, int], ...]:
    """Return the most frequent values, the first seen first where they are as frequent."""
    import numpy as np  # noqa: PLC0415

    numbers = counts.field("counts").to_numpy()
    if len(numbers) > 4 * _TOP:
        part = np.argpartition(-numbers, _TOP)
        least = numbers[part[_TOP]]
        at = np.flatnonzero(numbers >= max(least, 1))[: 1000 if least > 1 else _TOP * 4]
    else:
        at = np.arange(len(numbers))
    at = at[np.argsort(-numbers[at], kind="stable")][:_TOP]
    values = counts.field("values").take(at).to_pylist()
    return tuple(zip(values, numbers[at].tolist(), strict=True))


def _bins(values: Any) -> tuple[int, ...]:
    import numpy as np  # noqa: PLC0415

    plain = values.drop_null().to_numpy()
    plain = plain[np.isfinite(plain)]
    if not len(plain):
        return ()
    low, high = plain.min().item(), plain.max().item()
    if low == high:
        return (len(plain),)
    span = float(high) - float(low)
    if not np.isfinite(span) or span == 0:
        return ()
    steps = np.minimum(((plain.astype(float) - low) / span * _BINS).astype(int), _BINS - 1)
    return tuple(np.bincount(steps, minlength=_BINS).tolist())


def _keys(column: Any) -> KeyProfile:
    import pyarrow as pa  # noqa: PLC0415

    values = column.drop_null()
    if not len(values):
        return KeyProfile(column.null_count, 0, ())
    if values.type.num_fields:
        seen = Counter(map(repr, values.to_pylist()))
        return KeyProfile(column.null_count, len(seen), tuple(seen.most_common(_TOP)))
    counts = values.value_counts()
    if isinstance(counts, pa.ChunkedArray):
        counts = counts.combine_chunks()
    return KeyProfile(column.null_count, len(counts), _top(counts))


def _failures(table: Any, bad: Any) -> tuple[Mapping[str, int], tuple[Failure, ...]]:
    import re  # noqa: PLC0415

    if bad is None:
        return {}, ()
    rows = table.filter(bad).select(["_partition", "_offset", "_error", "_raw"])
    alike = Counter(re.sub(r"\d+", "…", why) for why in rows["_error"].to_pylist())
    some = rows.slice(0, MAX_FAILURES).to_pylist()
    return dict(alike.most_common()), tuple(
        Failure(row["_partition"], row["_offset"], row["_error"], row["_raw"]) for row in some
    )


def _event_time(sample: Sample, decoded: Any, wanted: str | None) -> EventTimeProfile | None:
    if wanted is not None and wanted not in decoded.column_names:
        raise UsageError(
            f"the sample of {sample.topic!r} has no column {wanted!r}",
            hint=f"it has {', '.join(sample.value_columns[:20])}",
        )
    newest = decoded.slice(max(0, len(decoded) - _TIMED))
    names = [wanted] if wanted is not None else sample.value_columns
    found = []
    for name in names:
        column = newest[name]
        if hasattr(column, "combine_chunks"):
            column = column.combine_chunks()
        time = times_of(column, sample.fields.get(name, name) if wanted is None else "event_time", newest)
        if time is not None:
            made = _lateness(newest, name, time.millis)
            rank = (2 * made.late > made.looked_at, -name_weight(name), not time.standard, made.late)
            found.append((rank, name, made))
    if wanted is not None and not found:
        raise UsageError(
            f"the column {wanted!r} of {sample.topic!r} holds no times",
            hint="event time is a timestamp, ISO text, or a number of s, ms, µs or ns since 1970",
        )
    return min(found, key=lambda one: one[:2])[2] if found else None


def _lateness(table: Any, name: str, millis: tuple[int | None, ...]) -> EventTimeProfile:
    import numpy as np  # noqa: PLC0415

    has = np.array([ms is not None for ms in millis])
    event = np.array([ms for ms in millis if ms is not None], np.int64)
    partitions = table["_partition"].to_numpy()[has]
    offsets = table["_offset"].to_numpy()[has]
    order = np.lexsort((offsets, partitions))
    behind = np.zeros(len(event), np.int64)
    for partition in np.unique(partitions):
        at = order[partitions[order] == partition]
        behind[at] = np.maximum.accumulate(event[at]) - event[at]
    late = behind[behind > 0]
    stamps = table["_timestamp"].cast("int64")
    lag = None
    if stamps.null_count == 0 and len(event):
        lag = _percentiles(stamps.to_numpy()[has] - event)
    most = int(late.max()) if len(late) else 0
    return EventTimeProfile(name, len(event), len(late), _percentiles(late), lag, interval(most)[1])


def _percentiles(ms: Any) -> tuple[int, int, int, int]:
    import numpy as np  # noqa: PLC0415

    if not len(ms):
        return (0, 0, 0, 0)
    fifty, most, nearly = np.percentile(ms, [50, 95, 99]).tolist()
    return round(fifty), round(most), round(nearly), int(ms.max())
