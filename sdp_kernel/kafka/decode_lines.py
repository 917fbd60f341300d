"""Values of several lines: NDJSON and CSV. A line is a row; an empty value is one row of nulls."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sdp_kernel.kafka.decode import Decoded, Options
from sdp_kernel.kafka.json_bulk import exact_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sdp_kernel.kafka.registry import Registry

DELIMITERS = (",", ";", "\t", "|")
_PROBED = 200
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})", re.ASCII)
_FRACTION = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+([eE][+-]?[0-9]{1,3})?", re.ASCII)
_NAME = re.compile(r"[^\W\d][\w .$-]{0,63}")
_MOST_DIGITS = 38


class NdjsonDecoder:
    """JSON documents, one a line; columns as of ``json``."""

    format = "ndjson"

    def __init__(self, *, options: Options | None = None, registry: Registry | None = None) -> None:
        del options, registry

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        """Read a batch; a malformed line has an error, its neighbours do not."""
        from sdp_kernel.kafka.decode_json import JsonDecoder  # noqa: PLC0415

        documents: list[bytes | None] = []
        rows: list[int] = []
        for row, value in enumerate(values):
            lines = [line for line in value.splitlines() if line.strip()] if value else []
            some: list[bytes | None] = list(lines) if lines else [value]
            documents += some
            rows += [row] * len(some)
        return replace(JsonDecoder().decode(documents), rows=np.array(rows, np.int64))


class CsvDecoder:
    """Fields parted by a delimiter, quoted as RFC 4180 says.

    Columns are named by ``Options.header``, else by a first line that every value repeats, else
    ``column_1``, …. A column is int64, float64, decimal128 or boolean where all its fields are,
    exactly and without leading zeros, and an empty field is null there; any other is text.
    """

    format = "csv"

    def __init__(self, *, options: Options | None = None, registry: Registry | None = None) -> None:
        del registry
        self._options = options or Options()

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        """Read a batch; a line with another number of fields than most has an error."""
        errors: dict[int, str] = {}
        texts = _texts(values, errors)
        delimiter = self._options.delimiter or sniff([text for text in texts if text]) or ","
        rows: list[int] = []
        lines: list[list[str] | None] = []
        failed: dict[int, str] = {}
        for row, text in enumerate(texts):
            some, why = _lines(text, delimiter)
            if row in errors or why:
                failed[len(lines)] = errors.get(row) or why
            lines += some or [None]
            rows += [row] * max(1, len(some))
        header = self._options.header
        if header is None and (first := _repeated_header(lines, rows)):
            header = tuple(first)
            keep = [i for i, (line, row) in enumerate(zip(lines, rows, strict=True))
                    if line != first or i + 1 == len(rows) or rows[i + 1] != row]  # fmt: skip
            failed = {new: failed[old] for new, old in enumerate(keep) if old in failed}
            lines = [None if lines[i] == first else lines[i] for i in keep]
            rows = [rows[i] for i in keep]
        width = len(header) if header else _usual(lines)
        for index, line in enumerate(lines):
            if line is not None and len(line) != width:
                failed[index] = f"not CSV of {width} fields: {len(line)} fields"
                lines[index] = None
        names = _names(header, width)
        columns = {
            name: _column([None if line is None else line[at] for line in lines])
            for at, name in enumerate(names)
        }
        whole = len(rows) == len(values)
        return Decoded(
            columns,
            {name: name for name in names},
            errors=failed,
            rows=None if whole else np.array(rows, np.int64),
            found=replace(self._options, delimiter=delimiter, header=header),
        )


def _texts(values: Sequence[bytes | None], errors: dict[int, str]) -> list[str | None]:
    texts: list[str | None] = []
    for row, value in enumerate(values):
        try:
            texts.append(None if value is None else value.decode())
        except UnicodeDecodeError as error:
            errors[row] = f"not UTF-8: {error.reason} at byte {error.start}"
            texts.append(None)
    return texts


def _lines(text: str | None, delimiter: str) -> tuple[list[list[str] | None], str]:
    """Return a value's lines as fields, and why it cannot be read."""
    if not text:
        return [], ""
    if len(delimiter) != 1 or ('"' not in text and "\n" not in text and "\r" not in text):
        return [line.split(delimiter) for line in text.splitlines() if line], ""
    try:
        found = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True)
        return [line for line in found if line], ""
    except csv.Error as error:
        return [], f"not CSV: {error}"


def sniff(texts: Sequence[str]) -> str | None:
    """Return the delimiter that parts all lines into as many fields, two or more; None without one.

    Where several do, the one that gives the most fields.
    """
    best: tuple[int, str | None] = (1, None)
    some = texts[:: max(1, len(texts) // _PROBED)]
    for delimiter in DELIMITERS:
        counts: Counter[int] = Counter()
        for text in some:
            lines, why = _lines(text, delimiter)
            counts.update(len(line) for line in lines if line)
            if why:
                counts[0] += 1
        usual, times = counts.most_common(1)[0] if counts else (0, 0)
        if usual > best[0] and times >= 0.9 * counts.total():
            best = (usual, delimiter)
    return best[1]


def _usual(lines: Sequence[list[str] | None]) -> int:
    counts = Counter(len(line) for line in lines if line is not None)
    return counts.most_common(1)[0][0] if counts else 0


def _repeated_header(lines: Sequence[list[str] | None], rows: Sequence[int]) -> list[str] | None:
    """Return the line of names that begins every value which has several lines, if there is one."""
    starts = [i for i, row in enumerate(rows) if i == 0 or rows[i - 1] != row]
    several = [i for i in starts if i + 1 < len(rows) and rows[i + 1] == rows[i]]
    if not several:
        return None
    first = lines[several[0]]
    if first is None or len(set(first)) < len(first) or not all(map(_NAME.fullmatch, first)):
        return None
    return first if all(lines[i] is None or lines[i] == first for i in starts) else None


def _names(header: Sequence[str] | None, width: int) -> list[str]:
    names: dict[str, None] = {}
    for number in range(1, width + 1):
        name = header[number - 1] if header else f"column_{number}"
        while name in names:
            name += "_"
        names[name] = None
    return list(names)


def _column(fields: list[str | None]) -> Any:
    known = [f for f in fields if f]
    if not known:
        return pa.array(fields, pa.string())
    if all(map(_WHOLE.fullmatch, known)):
        return pa.array([int(f) if f else None for f in fields], pa.int64())
    if all(_WHOLE.fullmatch(f) or _FRACTION.fullmatch(f) for f in known):
        array = _fractions(fields)
        if array is not None:
            return array
    if set(known) <= {"true", "false"}:
        return pa.array([f == "true" if f else None for f in fields], pa.bool_())
    return pa.array(fields, pa.string())


def _fractions(fields: list[str | None]) -> Any:
    """Return numbers as float64 where that holds all of them, else as decimals; None where neither does."""
    from decimal import Decimal  # noqa: PLC0415

    read = [exact_number(f) if f else None for f in fields]
    if not any(isinstance(value, Decimal) for value in read):
        return pa.array(read, pa.float64())
    exact = [Decimal(f) if f else None for f in fields]
    scale = max(-int(d.as_tuple().exponent) for d in exact if d is not None)
    whole = max(len(d.as_tuple().digits) + int(d.as_tuple().exponent) for d in exact if d is not None)
    if not 0 <= scale <= _MOST_DIGITS or max(whole, 1) + scale > _MOST_DIGITS:
        return None
    return pa.array(exact, pa.decimal128(max(whole, 1) + scale, scale))
