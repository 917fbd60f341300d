"""One text for equal values, whatever their type: what is hashed."""

from __future__ import annotations

import json
import re
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_PLAIN_EXPONENT = 400
_NAME = r"[\w.$-]"
_GLOB = {"*": f"{_NAME}*", "?": _NAME}


def mention(patterns: Iterable[str]) -> str:
    r"""Return an RE2 expression for text in which a name that a pattern matches is given a value.

    ``email=…``, ``"email": …``, ``<email>…``; also JSON's escapes (``\\u0065``), which hide names.
    """
    names = sorted({_name(pattern.rpartition(".")[2]) for pattern in patterns} - {""})
    found = "|".join(names)
    return rf"(?i)(?:^|[^\w])(?:{found})(?:\\*[\"'`])*\s*[:=>]|\\u00[2-7]"


def _name(pattern: str) -> str:
    parts = re.split(r"([*?]|\[!?\]?[^\]]*\])", pattern)
    return "".join(
        _GLOB.get(part) or (part.replace("[!", "[^", 1) if at % 2 else re.escape(part))
        for at, part in enumerate(parts)
    )


def canonical(value: Any) -> str:
    """Return a text that equal values share, whatever their type."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float, Decimal)):
        return _number(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (datetime, time)):
        if value.tzinfo is not None and isinstance(value, datetime):
            value = value.astimezone(timezone.utc)
        return (
            re.sub(r"(\.\d*?)0+(?=[+Z]|$)", r"\1", value.isoformat())
            .replace("+00:00", "Z")
            .replace(".Z", "Z")
        )
    if isinstance(value, timedelta):
        return _number(Decimal(value // timedelta(microseconds=1)) / 1_000_000)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        shown = sorted((str(k), v) for k, v in value.items() if v is not None)
        return "{" + ",".join(f"{json.dumps(k)}:{_nested(v)}" for k, v in shown) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(_nested, value)) + "]"
    return "null" if value is None else str(value)


def _nested(value: Any) -> str:
    return json.dumps(value) if isinstance(value, str) else canonical(value)


def _number(value: float | Decimal) -> str:
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite():
        return str(number).lower()
    sign, digits, exponent = number.as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    bare = text.rstrip("0")
    exponent = int(exponent) + len(text) - len(bare)
    if not bare:
        return "0"
    start = "-" if sign else ""
    if abs(exponent) > _PLAIN_EXPONENT:
        return f"{start}{bare}E{exponent}"
    return f"{start}{Decimal((0, tuple(map(int, bare)), exponent)):f}"
