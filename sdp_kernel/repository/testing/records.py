"""``input/TABLE.jsonl``: a Kafka record a line.

``{"key": …, "value": …, "headers": [["name", "text"]], "timestamp": "2026-01-05T09:00:00Z"}``, and where it
matters ``"partition": 0``. A timestamp may be a number as well: ms since the epoch. Key and value are JSON
as it stands there, digit for digit; text that is no JSON is under ``key_text`` and ``value_text``, bytes in
base64 under ``key_base64`` and ``value_base64``. What is left out is null: a record without a value is a
tombstone.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import msgspec

from sdp_kernel.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from typing_extensions import Self

_NULL = b"null"
_FORMS = "key, key_text or key_base64; value, value_text or value_base64; headers, timestamp, partition"
#: What all Pythons read alike, split so that they do: date, time, parts of a second, zone.
_MOMENT = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(?:(?<=:\d{2}:\d{2})\.(\d{1,9}))?"
    r"(?:([Zz])|([+-]\d{2}):?(\d{2}))?)?",
    re.ASCII,
)
_LARGEST = 2**63


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A record as a line has it."""

    key: msgspec.Raw = msgspec.Raw(_NULL)
    key_text: str | None = None
    key_base64: str | None = None
    value: msgspec.Raw = msgspec.Raw(_NULL)
    value_text: str | None = None
    value_base64: str | None = None
    headers: list[tuple[str, str | None]] = []
    timestamp: int | str | None = None
    partition: int | None = None

    @classmethod
    def of(
        cls,
        key: bytes | None,
        value: bytes | None,
        *,
        headers: Iterable[tuple[str, bytes | None]] = (),
        timestamp: int | None = None,
    ) -> Self:
        """Make the line of a record as Kafka has it; ``timestamp`` in ms since the epoch."""
        return cls(
            **_form("key", key),
            **_form("value", value),
            headers=[(name, None if v is None else v.decode("utf-8", "replace")) for name, v in headers],
            timestamp=None if timestamp is None else _iso(timestamp),
        )

    @property
    def key_bytes(self) -> bytes | None:
        """The key as it is sent."""
        return _bytes(self.key, self.key_text, self.key_base64)

    @property
    def value_bytes(self) -> bytes | None:
        """The value as it is sent."""
        return _bytes(self.value, self.value_text, self.value_base64)

    @property
    def milliseconds(self) -> int | None:
        """The timestamp in ms since the epoch; None for the time it is sent."""
        if not isinstance(self.timestamp, str):
            return self.timestamp
        return _milliseconds(self.timestamp)


_decode = msgspec.json.Decoder(Record).decode
_encode = msgspec.json.Encoder().encode


def read(file: Path) -> list[Record]:
    """Read the records of a file.

    Raises
    ------
    UsageError
        A line is no record; names the line.
    """
    found = []
    for number, line in enumerate(file.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            record = _decode(line)
            _check(record)
        except (ValueError, binascii.Error) as error:
            raise UsageError(
                f"{file.parent.name}/{file.name}, line {number}, is no record: {error}",
                hint=f"a line has {_FORMS}",
            ) from None
        found.append(record)
    return found


def lines(records: Sequence[Record]) -> str:
    """Write records, one a line."""
    return "".join(f"{_encode(record).decode()}\n" for record in records)


def _check(record: Record) -> None:
    for name in ("key", "value"):
        given = [bytes(getattr(record, name)) != _NULL]
        given += [getattr(record, f"{name}_{form}") is not None for form in ("text", "base64")]
        if sum(given) > 1:
            raise ValueError(f"it has two forms of its {name}")
    _ = record.key_bytes, record.value_bytes, record.milliseconds
    if not -_LARGEST <= (record.milliseconds or 0) < _LARGEST:
        raise ValueError(f"there is no time {record.timestamp}")
    if record.partition is not None and not 0 <= record.partition < 1000:  # noqa: PLR2004
        raise ValueError(f"there is no partition {record.partition}")


def _bytes(raw: msgspec.Raw, text: str | None, encoded: str | None) -> bytes | None:
    if encoded is not None:
        return base64.b64decode(encoded, validate=True)
    if text is not None:
        return text.encode()
    found = bytes(raw)
    return None if found == _NULL else found


def _form(name: str, value: bytes | None) -> dict[str, Any]:
    if value is None:
        return {}
    try:
        text = value.decode()
        compact = msgspec.json.format(value, indent=-1)
        msgspec.json.decode(compact)
        if compact != _NULL:
            return {name: msgspec.Raw(compact)}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(value).decode()}
    except (msgspec.DecodeError, RecursionError):
        pass
    return {f"{name}_text": text}


def _milliseconds(text: str) -> int:
    """Read a date and time of ISO 8601; without a zone it is UTC."""
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no time such as 2026-01-05T09:00:00.5Z")
    date, time, parts, _, hours, minutes = found.groups()
    zone = f"{hours}:{minutes}" if hours else "+00:00"
    moment = datetime.fromisoformat(f"{date}T{time or '00:00'}{zone}")
    return round(moment.timestamp()) * 1000 + int((parts or "")[:3].ljust(3, "0"))


def _iso(milliseconds: int) -> int | str:
    """Return a timestamp as people read it; the number where no calendar has it."""
    with contextlib.suppress(ValueError, OverflowError, OSError):
        moment = datetime.fromtimestamp(milliseconds // 1000, timezone.utc)
        if moment.year >= 1000:  # noqa: PLR2004 - years of four digits
            text = moment.replace(microsecond=milliseconds % 1000 * 1000).isoformat(timespec="milliseconds")
            return text.replace("+00:00", "Z")
    return milliseconds
