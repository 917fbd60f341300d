"""Python annotations → SQL types, so that a plain annotated function needs no decorator."""

from __future__ import annotations

import collections.abc
import datetime as dt
import inspect
import types
import typing
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sdp_kernel.flink.script import identifier

if TYPE_CHECKING:
    from collections.abc import Callable

_PLAIN: dict[object, str] = {
    bool: "BOOLEAN",
    int: "BIGINT",
    float: "DOUBLE",
    str: "STRING",
    bytes: "BYTES",
    Decimal: "DECIMAL(38, 18)",
    dt.datetime: "TIMESTAMP(3)",
    dt.date: "DATE",
    dt.time: "TIME(0)",
}
_MANY = (collections.abc.Iterator, collections.abc.Iterable, collections.abc.Generator)
#: What can be annotated, for a hint.
KNOWN = (
    "bool, int, float, str, bytes, Decimal, datetime, date, time, list[…], dict[…, …], X | None, NamedTuple"
)


class NoType(TypeError):  # noqa: N818
    """An annotation has no SQL type."""


@dataclass(frozen=True)
class Signature:
    """A function's SQL types; ``table`` where it yields rows."""

    arguments: tuple[str, ...]
    result: str
    table: bool

    def decorated(self, name: str) -> str:
        """Return the Python expression that describes the function ``name`` to Flink."""
        inputs = f"input_types={list(self.arguments)!r}"
        if self.table:
            return f"_sdp_udf.udtf({name}, {inputs}, result_types={self.result!r}, name={name!r})"
        return f"_sdp_udf.udf({name}, {inputs}, result_type={self.result!r}, name={name!r})"


def sql_type(hint: Any) -> str:
    """Return the SQL type of an annotation.

    Raises
    ------
    NoType
        It has none.
    """
    if isinstance(hint, typing.Hashable) and hint in _PLAIN:
        return _PLAIN[hint]
    if fields := _fields(hint):
        return f"ROW<{', '.join(f'{identifier(name)} {sql_type(type_)}' for name, type_ in fields)}>"
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        rest = [argument for argument in arguments if argument is not types.NoneType]
        if len(rest) == 1:
            return sql_type(rest[0])
    if origin is list:
        return f"ARRAY<{sql_type(arguments[0])}>"
    if origin is dict:
        return f"MAP<{sql_type(arguments[0])}, {sql_type(arguments[1])}>"
    if origin is tuple and arguments and ... not in arguments:
        return f"ROW<{', '.join(f'f{i} {sql_type(a)}' for i, a in enumerate(arguments))}>"
    raise NoType(getattr(hint, "__name__", None) or str(hint))


def _fields(hint: Any) -> list[tuple[str, Any]]:
    """Return the fields of a NamedTuple."""
    if isinstance(hint, type) and issubclass(hint, tuple) and hasattr(hint, "_fields"):
        return list(typing.get_type_hints(hint).items())
    return []


def signature(function: Callable[..., Any]) -> Signature:
    """Read a function's annotations.

    Raises
    ------
    NoType
        An annotation is missing or has no SQL type, or an argument is not positional; the message
        names it.
    """
    try:
        hints = typing.get_type_hints(function)
    except Exception as error:  # noqa: BLE001 - an annotation may be any expression
        raise NoType(f"its annotations cannot be read: {error}") from None
    arguments = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind not in {parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD}:
            raise NoType(f"its argument {name} is not positional: SQL calls by position")
        arguments.append(_named(f"its argument {name}", hints.get(name)))
    result = hints.get("return")
    origin = typing.get_origin(result)
    if origin in _MANY:
        row = typing.get_args(result)[0]
        type_ = _named("what it yields", row)
        return Signature(
            tuple(arguments), type_ if type_.startswith("ROW<") else f"ROW<f0 {type_}>", table=True
        )
    return Signature(tuple(arguments), _named("its result", result), table=False)


def _named(what: str, hint: Any) -> str:
    if hint is None:
        raise NoType(f"{what} has no annotation")
    try:
        return sql_type(hint)
    except NoType as error:
        raise NoType(f"{what} is a {error}, which has no SQL type") from None
