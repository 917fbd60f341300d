"""Which records are kept while reading: those with a key, those for which a condition holds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sdp_kernel.kafka.build import EMPTY, Built, Reading, build
from sdp_kernel.kafka.where import Where

if TYPE_CHECKING:
    from collections.abc import Callable

    from sdp_kernel.kafka.read import Records


class Filter:
    """Keeps records by key and by an SQL condition over their columns.

    Parameters
    ----------
    mask
        Takes and returns a ``pyarrow.Table``; applied before the condition sees a value.

    Raises
    ------
    UsageError
        The condition cannot be read.
    """

    def __init__(
        self,
        reading: Reading,
        *,
        key: str | bytes | None = None,
        where: str | None = None,
        mask: Callable[[Any], Any],
    ) -> None:
        #: How to read what is kept: the formats found before anything was left out.
        self.reading = reading
        self._mask = mask
        self._key = key.encode() if isinstance(key, str) else key
        self._where = Where(where) if where is not None else None
        self._columns: list[str] = []

    def keep(self, records: Records) -> Records:
        """Return the records wanted, in their order."""
        import numpy as np  # noqa: PLC0415

        if self._key is not None:
            records = records.pick(np.flatnonzero([key == self._key for key in records.keys]))
        if self._where is None or not len(records):
            return records
        built = build(self.reading, records)
        self._settle(built)
        table = self._mask(built.table)
        self._columns = table.column_names
        rows = self._where.rows(table)
        return records.pick(rows if len(table) == len(records) else _records_of(table, rows))

    def _settle(self, built: Built) -> None:
        value = self.reading.value_format or (built.value_format if built.value_format != EMPTY else None)
        key = self.reading.key_format or (built.key_format if built.key_format != EMPTY else None)
        self.reading = replace(self.reading, value_format=value, key_format=key)

    def check(self) -> None:
        """Complain about a condition that could hold for nothing.

        Raises
        ------
        UsageError
            With the columns there are.
        """
        if self._where is not None:
            self._where.check(self._columns)


def _records_of(table: Any, rows: Any) -> Any:
    """Return the indices of the records that ``rows`` come from, where a record has several rows."""
    import numpy as np  # noqa: PLC0415

    places = list(zip(table["_partition"].to_pylist(), table["_offset"].to_pylist(), strict=True))
    number = {place: index for index, place in enumerate(dict.fromkeys(places))}
    return np.array(sorted({number[places[row]] for row in rows.tolist()}), np.int64)
