"""MessagePack values → Arrow columns, by the rules of ``decode_json``; binary data stays binary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgpack

from sdp_kernel.kafka.decode import VALUE, Decoded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sdp_kernel.kafka.decode import Options
    from sdp_kernel.kafka.registry import Registry

_UTC = 3


def _text_keys(pairs: dict[Any, Any]) -> dict[str, Any]:
    return pairs if all(type(key) is str for key in pairs) else {str(k): v for k, v in pairs.items()}


def load(value: bytes) -> Any:
    """Read one value.

    Raises
    ------
    ValueError
        It is not MessagePack, or more follows.
    """
    try:
        return msgpack.unpackb(value, raw=False, timestamp=_UTC, strict_map_key=False, object_hook=_text_keys)
    except (ValueError, TypeError, RecursionError, OverflowError, msgpack.UnpackException) as error:
        name = type(error).__name__
        raise ValueError(f"not MessagePack: {str(error) or name}") from None


class MsgpackDecoder:
    """One column for each key of the maps; what is no map goes to a column ``value``."""

    format = "msgpack"

    def __init__(self, *, options: Options | None = None, registry: Registry | None = None) -> None:
        del options, registry

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        """Read a batch; what is not MessagePack as a whole has an error."""
        from sdp_kernel.kafka.decode_json import columns_of  # noqa: PLC0415

        errors: dict[int, str] = {}
        maps: list[dict[str, Any] | None] = []
        others: list[Any] = []
        for row, value in enumerate(values):
            found = None
            if value is not None:
                try:
                    found = load(value)
                except ValueError as error:
                    errors[row] = str(error)
            maps.append(found if isinstance(found, dict) else None)
            others.append(None if isinstance(found, dict) else found)
        columns, fields, text = columns_of(maps, others, whole=VALUE)
        return Decoded(columns, fields, text, errors)
