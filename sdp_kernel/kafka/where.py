"""``--where``: an SQL expression evaluated by DuckDB on batches of decoded records."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

_ROW = "_sdp_row"
_MISSING = re.compile(r'Referenced column "((?:[^"]|"")+)" not found')
_LOCKED = {
    "enable_external_access": "false",
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
    "python_enable_replacements": "false",
    "threads": "1",
}


class Where:
    """A condition over a sample's columns: ``amount > 100 AND customer.city LIKE 'B%'``.

    Text, times and lists compare as in DuckDB's SQL; a text that looks like a time compares with
    ``_timestamp``. A column that a batch does not have is null there.

    Raises
    ------
    UsageError
        The expression is not one; nothing has been read.
    """

    def __init__(self, expression: str) -> None:
        import duckdb  # noqa: PLC0415

        self.expression = expression
        self._missing: set[str] | None = None
        self._trouble = ""
        self._connection = duckdb.connect(":memory:", config=dict(_LOCKED))
        self._connection.execute("SET TimeZone = 'UTC'; SET lock_configuration = true")
        try:
            duckdb.SQLExpression(expression)
        except duckdb.Error as error:
            raise UsageError(
                f"where {expression!r} cannot be read: {_reason(error)}",
                hint="write a condition over the columns, in SQL: amount > 100 AND city = 'Berlin'",
            ) from None

    def rows(self, table: pa.Table) -> Any:
        """Return the indices of the rows it holds for, ascending, as a numpy array (int64).

        Where it cannot be evaluated on a batch, that batch has no such rows: ``check`` tells.
        """
        import duckdb  # noqa: PLC0415
        import numpy as np  # noqa: PLC0415
        import pyarrow as pa  # noqa: PLC0415

        table = table.append_column(_ROW, pa.array(np.arange(len(table))))
        expression, missing = self.expression, set[str]()
        while True:
            try:
                relation = self._connection.from_arrow(table)
                found = relation.filter(expression).project(_ROW).fetchnumpy()[_ROW]
                if expression != self.expression and not len(found):
                    known = relation.filter(f"{expression} IS NOT NULL").project(_ROW)
                    if not len(known.fetchnumpy()[_ROW]):  # it fails on every row, or is null there
                        return np.array([], np.int64)
            except duckdb.BinderException as error:
                self._trouble = _reason(error)
                match = _MISSING.search(str(error))
                name = match[1].replace('""', '"') if match else None
                if name is None or name in missing:
                    return np.array([], np.int64)
                missing.add(name)
                table = table.append_column(name, pa.nulls(len(table)))
            except duckdb.Error as error:
                self._trouble = _reason(error)
                if expression != self.expression:
                    return np.array([], np.int64)
                expression = f"TRY(({expression}\n))"  # a value that cannot be compared is no match
            else:
                self._missing = missing if self._missing is None else self._missing & missing
                return np.sort(np.asarray(found, np.int64))

    def check(self, columns: list[str]) -> None:
        """Complain if it could be evaluated on no batch, or names what no batch had.

        Raises
        ------
        UsageError
            With the columns there are.
        """
        if self._trouble and (self._missing is None or self._missing):
            shown = ", ".join(columns[:20]) + (", …" if len(columns) > 20 else "")  # noqa: PLR2004
            raise UsageError(
                f"where {self.expression!r} fits no record: {self._trouble}",
                hint=f"the columns are: {shown}" if columns else "",
            )


def _reason(error: Exception) -> str:
    text = str(error).split("\n", 1)[0]
    return re.sub(r"^\w+ Error: ", "", text)
