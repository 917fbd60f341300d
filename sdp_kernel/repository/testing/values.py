"""JSON values as tests hold them against each other: exact numbers, one order, no type taken for another."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec

_DIGITS_OF_INT64 = 18
_dump = msgspec.json.Encoder(decimal_format="number").encode


def _whole(text: str) -> int | Decimal:
    return int(text) if len(text.lstrip("-")) <= _DIGITS_OF_INT64 else Decimal(text)


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


_decoder = json.JSONDecoder(parse_float=Decimal, parse_int=_whole, parse_constant=_no_number)


def loads(text: str) -> Any:
    """Read JSON text; numbers keep all their digits (``int`` and ``Decimal``).

    Raises
    ------
    ValueError
        It is no JSON, or nested deeper than Python reads.
    """
    try:
        return _decoder.decode(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def dumps(value: Any) -> str:
    """Write a value as JSON on one line, as :func:`loads` read it."""
    return _dump(value).decode()


def canonical(value: Any) -> tuple[Any, ...]:
    """Return what equal JSON values share, and what orders all of them: numbers by size, text by code.

    ``1`` and ``1.0`` are one number; ``1``, ``"1"`` and ``true`` are three values.
    """
    if value is None:
        return (0,)
    if isinstance(value, bool):
        return (1, value)
    if isinstance(value, (int, float, Decimal)):
        return (2, value if isinstance(value, Decimal) else Decimal(str(value)))
    if isinstance(value, str):
        return (3, value)
    if isinstance(value, (list, tuple)):
        return (4, tuple(map(canonical, value)))
    return (5, tuple(sorted((str(name), canonical(item)) for name, item in value.items())))
