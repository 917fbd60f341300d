"""Batches of raw record values → Arrow columns, whole batch at a time, never raising.

A decoder takes the values as Kafka gave them and returns columns of the same length; what it
cannot read is null in every column and has a reason in ``errors``. JSON is in ``decode_json``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from sdp_kernel.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

FORMATS = ("json", "text", "bytes")
VALUE = "value"
FormatName = Literal["json", "text", "bytes"]

_DETECT_VALUES = 100
_DETECT_BYTES = 1 << 20
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f]")  # ESC stays: coloured log lines


@dataclass(frozen=True)
class Decoded:
    """Columns of one batch, each as long as the batch.

    ``columns`` maps a name to an Arrow array; ``fields`` maps the columns that are fields of the
    value to the field's name (a column that is the whole value is not in it); ``text_of_json``
    names the columns that hold JSON text because their values have no common type; ``errors``
    maps a row to the reason it could not be read.
    """

    columns: Mapping[str, Any]
    fields: Mapping[str, str] = field(default_factory=dict)
    text_of_json: frozenset[str] = frozenset()
    errors: Mapping[int, str] = field(default_factory=dict)


class Decoder(Protocol):
    """Reads batches of one format."""

    @property
    def format(self) -> str:
        """The format's name, as in ``%sample --format``."""

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        """Read a batch; None is a tombstone and gives nulls."""


class TextDecoder:
    """UTF-8 text in one column ``value``."""

    format = "text"

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        """Read a batch; what is not UTF-8 has an error."""
        import pyarrow as pa  # noqa: PLC0415

        errors: dict[int, str] = {}
        texts: list[str | None]
        try:
            texts = [None if v is None else v.decode() for v in values]
        except UnicodeDecodeError:
            texts = []
            for row, value in enumerate(values):
                try:
                    texts.append(None if value is None else value.decode())
                except UnicodeDecodeError as error:
                    texts.append(None)
                    errors[row] = f"not UTF-8: {error.reason} at byte {error.start}"
        return Decoded({VALUE: pa.array(texts, pa.string())}, errors=errors)


class BytesDecoder:
    """The bytes as they are, in one column ``value``."""

    format = "bytes"

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        """Keep a batch; nothing can fail."""
        import pyarrow as pa  # noqa: PLC0415

        return Decoded({VALUE: pa.array(values, pa.binary())})


def _json() -> Decoder:
    from sdp_kernel.kafka.decode_json import JsonDecoder  # noqa: PLC0415

    return JsonDecoder()


_DECODERS: dict[str, Callable[[], Decoder]] = {
    "json": _json,
    "text": TextDecoder,
    "bytes": BytesDecoder,
}


def decoder(name: str) -> Decoder:
    """Return the decoder of a format.

    Raises
    ------
    UsageError
        There is no such format.
    """
    if name not in _DECODERS:
        raise UsageError(f"there is no format {name!r}", hint=f"use one of: {', '.join(FORMATS)}")
    return _DECODERS[name]()


def detect(values: Sequence[bytes | None]) -> FormatName | None:
    """Tell the format of values from the bytes of up to 100 of them, evenly spread.

    JSON where more than half are JSON objects or arrays; else text where more than half are
    UTF-8 without control characters; else bytes. None where there is nothing to look at:
    only tombstones and empty values.
    """
    import msgspec  # noqa: PLC0415

    some = [value for value in values if value]
    if not some:
        return None
    probe: list[bytes] = []
    size = 0
    for value in some[:: -(-len(some) // _DETECT_VALUES)]:
        probe.append(value)
        size += len(value)
        if size > _DETECT_BYTES:
            break
    skim = msgspec.json.Decoder(msgspec.Raw).decode

    def is_json(value: bytes) -> bool:
        if value.lstrip(b" \t\r\n")[:1] not in {b"{", b"["}:
            return False
        try:
            skim(value)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return False
        return True

    def is_text(value: bytes) -> bool:
        try:
            return not _CONTROL.search(value.decode())
        except UnicodeDecodeError:
            return False

    if 2 * sum(map(is_json, probe)) > len(probe):
        return "json"
    return "text" if 2 * sum(map(is_text, probe)) > len(probe) else "bytes"


def decode_keys(keys: Sequence[bytes | None]) -> Any:
    """Return record keys as an Arrow array: string if all are UTF-8, else binary."""
    import pyarrow as pa  # noqa: PLC0415

    try:
        return pa.array([None if k is None else k.decode() for k in keys], pa.string())
    except UnicodeDecodeError:
        return pa.array(keys, pa.binary())
