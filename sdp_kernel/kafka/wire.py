"""Confluent's wire format: a zero byte, the schema's id in four bytes, then the value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import SdpError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sdp_kernel.kafka.registry import Registry, Schema

PREFIX = 5
_MOST_UNKNOWN = 100
_NOT_ASKED = f"schema id not looked up, after {_MOST_UNKNOWN} others that are no use: is this the format?"
_GREATEST_ID = 2**31 - 1
_NAMES = {"AVRO": "Avro", "PROTOBUF": "Protobuf", "JSON": "JSON Schema"}


def schema_ids(values: Sequence[bytes | None], errors: dict[int, str]) -> Any:
    """Return the id of each value as a numpy array (int64), -1 for tombstones and what has none.

    What has none gets a reason in ``errors``.
    """
    import numpy as np  # noqa: PLC0415

    heads = [v[:PREFIX] if v is not None else b"" for v in values]
    good = np.fromiter(map(has_prefix, heads), bool, len(heads))
    ids = np.full(len(heads), -1, np.int64)
    if good.all():
        joined = np.frombuffer(b"".join(heads), np.uint8).reshape(-1, PREFIX)
        return _no_ids_beyond(joined[:, 1:].copy().view(">u4").ravel().astype(np.int64), errors)
    for row, (value, head) in enumerate(zip(values, heads, strict=True)):
        if good[row]:
            ids[row] = int.from_bytes(head[1:], "big")
        elif value is not None:
            errors[row] = _no_prefix(value)
    return _no_ids_beyond(ids, errors)


def _no_ids_beyond(ids: Any, errors: dict[int, str]) -> Any:
    """Take out what is greater than any id: registries give signed 32-bit ones."""
    for row in (ids > _GREATEST_ID).nonzero()[0].tolist():
        errors[row] = f"no schema id: {ids[row]} is beyond {_GREATEST_ID}"
        ids[row] = -1
    return ids


def _no_prefix(value: bytes) -> str:
    if not value:
        return "no schema id: the value is empty"
    if value[0] != 0:
        return f"no schema id: the value begins with 0x{value[0]:02x}, not with 0x00"
    return f"no schema id: the value has {len(value)} bytes"


def has_prefix(value: bytes | None) -> bool:
    """Whether a value may begin with the prefix."""
    return value is not None and len(value) >= PREFIX and value[0] == 0


def by_schema(
    values: Sequence[bytes | None],
    registry: Registry,
    kind: str,
    make: Callable[[Schema, Registry], Any],
    errors: dict[int, str],
) -> tuple[Any, list[tuple[int, Any, Any]]]:
    """Group values by the schema they were written with; parameters otherwise as ``reader``.

    Returns
    -------
    tuple
        The ids as an Arrow array (int32, null for none), and for each id (number, rows, reader):
        rows is a numpy array of indices. What has no usable schema gets a reason in ``errors``.
    """
    import numpy as np  # noqa: PLC0415
    import pyarrow as pa  # noqa: PLC0415

    ids = schema_ids(values, errors)
    groups = []
    unknown = 0
    for number in np.unique(ids[ids >= 0]).tolist():
        rows = np.flatnonzero(ids == number)
        made = _NOT_ASKED if unknown >= _MOST_UNKNOWN else reader(registry, number, kind, make)
        if isinstance(made, str):
            unknown += 1
            errors.update(dict.fromkeys(rows.tolist(), made))
        else:
            groups.append((number, rows, made))
    return pa.array(ids, pa.int32(), mask=ids < 0), groups


def reader(registry: Registry, number: int, kind: str, make: Callable[[Schema, Registry], Any]) -> Any:
    """Return what reads a schema's values, or as text why there is none; kept once it is known.

    Parameters
    ----------
    kind
        ``AVRO``, ``PROTOBUF`` or ``JSON``: what the schema has to be.
    make
        Makes it of a schema; raises ValueError where the schema cannot be used.
    """
    if (kind, number) not in registry.readers:
        try:
            found = registry.schema(number)
            if found.type != kind:
                return f"schema id {number} is {_NAMES.get(found.type, found.type)}, not {_NAMES[kind]}"
            registry.readers[kind, number] = make(found, registry)
        except SdpError as error:  # may pass: not kept
            return f"schema id {number}: {error.message}"
        except ValueError as error:
            registry.readers[kind, number] = str(error)
    return registry.readers[kind, number]
