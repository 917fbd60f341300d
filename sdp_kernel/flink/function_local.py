"""Registered functions as plain Python ones: what a decorator wrapped, called without Flink.

``udf`` and its kin give an object whose call describes a call to Flink's planner. In a notebook
one wants the answer.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from typing import Any


def is_wrapper(value: object) -> bool:
    """Whether ``value`` is what ``udf``, ``udtf``, ``udaf`` or ``udtaf`` gives."""
    return any(base.__name__ == "UserDefinedFunctionWrapper" for base in type(value).__mro__)


def kind_of(wrapper: Any) -> str:
    """Return scalar, table, aggregate or table aggregate, with ``vectorised`` before it for pandas."""
    names = {base.__name__ for base in type(wrapper).__mro__}
    kind = "scalar"
    if "UserDefinedTableFunctionWrapper" in names:
        kind = "table"
    elif "UserDefinedAggregateFunctionWrapper" in names:
        kind = "table aggregate" if wrapper._is_table_aggregate else "aggregate"  # noqa: SLF001
    return f"vectorised {kind}" if wrapper._func_type == "pandas" else kind  # noqa: SLF001


class Local:
    """A function of Flink's, callable in Python.

    A scalar function answers with its value, a table function with the list of its rows. An
    aggregate takes columns: an iterable for each argument. A vectorised function takes Series,
    lists or single values, and answers with a Series, a list or a value. An async function gives
    a coroutine.

    Attributes
    ----------
    flink
        What the decorator made, for the Table API.
    kind
        Such as ``scalar`` or ``vectorised aggregate``.
    """

    def __init__(self, wrapper: Any) -> None:
        self.flink = wrapper
        self.kind = kind_of(wrapper)
        self._function = wrapper._func  # noqa: SLF001
        self._opened = False
        plain = self._function if inspect.isroutine(self._function) else type(self._function)
        with contextlib.suppress(AttributeError, TypeError):
            functools.update_wrapper(self, plain, updated=())

    def __repr__(self) -> str:
        return f"<{self.kind} function {self.flink._name}>"  # noqa: SLF001

    def __call__(self, *arguments: Any) -> Any:
        """Call it on plain values."""
        function = self._open()
        if self.kind == "vectorised aggregate":
            return self._over_series(function, arguments)
        if self.kind.endswith("aggregate"):
            return self._accumulate(function, arguments)
        called = getattr(function, "eval", function)
        if self.kind == "vectorised scalar":
            return _vectorised(called, arguments)
        result = called(*arguments)
        if self.kind != "table":
            return result
        if result is None:
            return []
        return (
            list(result) if hasattr(result, "__iter__") and not isinstance(result, (str, tuple)) else [result]
        )

    def _open(self) -> Any:
        """Open a function that is an object, once, as a worker does before the first row."""
        if not self._opened and hasattr(self._function, "open"):
            from pyflink.table.udf import FunctionContext  # noqa: PLC0415

            self._function.open(FunctionContext(None, {}))
        self._opened = True
        return self._function

    def _over_series(self, function: Any, columns: tuple[Any, ...]) -> Any:
        import pandas as pd  # noqa: PLC0415

        series = [column if isinstance(column, pd.Series) else pd.Series(list(column)) for column in columns]
        if not hasattr(function, "accumulate"):
            return function(*series)
        accumulator = function.create_accumulator()
        function.accumulate(accumulator, *series)
        return function.get_value(accumulator)

    def _accumulate(self, function: Any, columns: tuple[Any, ...]) -> Any:
        accumulator = function.create_accumulator()
        for row in zip(*columns, strict=True):
            function.accumulate(accumulator, *row)
        if self.kind == "table aggregate":
            return list(function.emit_value(accumulator))
        return function.get_value(accumulator)


def _vectorised(function: Any, arguments: tuple[Any, ...]) -> Any:
    import pandas as pd  # noqa: PLC0415

    if any(isinstance(argument, pd.Series) for argument in arguments):
        return function(*arguments)
    if any(isinstance(argument, (list, tuple)) for argument in arguments):
        return list(function(*(pd.Series(list(argument)) for argument in arguments)))
    return function(*(pd.Series([argument]) for argument in arguments)).iloc[0]
