"""Pages of flat rows → Arrow through Arrow's own reader of delimited text: no Python object a value.

A page whose rows are all INSERTs and whose columns are scalars is, but for what stands between two
rows, delimited text: numbers bare, text in quotes, absent values ``null``. What is not exactly that
is left to :class:`sdp_kernel.flink.results.PageDecoder`, which reads everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow import csv

from sdp_kernel.flink.types import arrow_schema

if TYPE_CHECKING:
    from collections.abc import Callable

    from sdp_kernel.flink.types import Column

#: What starts the first row, stands between two, and ends the last. The quotes are JSON's own: one
#: inside a value is written ``\"``, and a value's end is never followed by a letter.
_FIRST, _BETWEEN, _LAST = b'"data":[{"kind":"INSERT","fields":[', b']},{"kind":"INSERT","fields":[', b"]}]"
_KIND = b'"kind":"'
_TAIL = 400
_BARE = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "BOOLEAN", "DOUBLE", "FLOAT", "DECIMAL",
                   "CHAR", "VARCHAR", "DATE"})  # fmt: skip
_TIMES = frozenset({"TIMESTAMP_WITHOUT_TIME_ZONE", "TIMESTAMP_WITH_LOCAL_TIME_ZONE",
                    "TIME", "TIME_WITHOUT_TIME_ZONE"})  # fmt: skip


class FlatReader:
    """Reads rows of scalar columns from delimited text.

    Parameters
    ----------
    temporal
        Makes an Arrow time or timestamp of a column of texts, where Arrow's reader cannot or would
        let nanoseconds wrap around.
    null
        What stands for an absent value, without quotes.
    """

    def __init__(
        self,
        columns: tuple[Column, ...],
        temporal: Callable[[pa.Array, pa.DataType], pa.Array],
        null: str = "null",
    ) -> None:
        self._schema = arrow_schema(columns)
        self._temporal = temporal
        self._later = [
            index
            for index, column in enumerate(columns)
            if column.type.root in _TIMES and not _reads_itself(column.type.arrow())
        ]
        names = [str(index) for index in range(len(columns))]
        types = {
            name: pa.string() if int(name) in self._later else column.type.arrow()
            for name, column in zip(names, columns, strict=True)
        }
        self._reading = csv.ReadOptions(use_threads=False, block_size=1 << 30, column_names=names)
        self._converting = csv.ConvertOptions(
            column_types=types,
            null_values=[null],
            true_values=["true"],
            false_values=["false"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )

    @staticmethod
    def fits(columns: tuple[Column, ...]) -> bool:
        """Whether rows of these columns can be delimited text."""
        return bool(columns) and all(column.type.root in _BARE | _TIMES for column in columns)

    def page(self, page: bytes) -> pa.RecordBatch | None:
        """Return the rows of a result page; None where it has none, or is not for this reader."""
        first = page.find(_FIRST)
        last = page.rfind(_LAST, max(len(page) - _TAIL, 0))
        if first < 0 or last < first:
            return None
        lines = page[first + len(_FIRST) : last].replace(_BETWEEN, b"\n")
        escapes = b"\\" in lines
        if _KIND in lines or (escapes and b"\\" in lines.replace(b"\\\\", b"").replace(b'\\"', b"")):
            return None  # retractions, or escapes of other characters than quotes and themselves
        try:
            return self.read(lines, csv.ParseOptions(
                double_quote=False, escape_char="\\" if escapes else False, ignore_empty_lines=False
            ))  # fmt: skip
        except pa.ArrowInvalid:
            return None

    def read(self, lines: bytes, parsing: csv.ParseOptions) -> pa.RecordBatch:
        """Return the rows of lines of text.

        Raises
        ------
        pyarrow.ArrowInvalid
            A value is not of its column's type, or a line not of so many columns.
        """
        table = csv.read_csv(
            pa.py_buffer(lines),
            read_options=self._reading,
            parse_options=parsing,
            convert_options=self._converting,
        )
        arrays = [_whole(column) for column in table.columns]
        for index in self._later:
            arrays[index] = self._temporal(arrays[index], self._schema.field(index).type)
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


def _reads_itself(type_: pa.DataType) -> bool:
    """Whether Arrow's reader takes texts of this type, and refuses those out of range."""
    return bool(pa.types.is_timestamp(type_) and type_.unit != "ns")
