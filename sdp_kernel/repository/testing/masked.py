"""Sampled records, masked, as the input of a test.

They are masked as samples are; a hashed number becomes a number, since its column is one, and equal ones
stay equal, so that joins hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import UsageError
from sdp_kernel.masking import REDACTED, mask
from sdp_kernel.repository.testing.records import Record
from sdp_kernel.repository.testing.values import dumps, loads

if TYPE_CHECKING:
    from sdp_kernel.kafka.read import Records
    from sdp_kernel.masking import Policy
    from sdp_kernel.repository.retarget import JobTable

_JSON = frozenset({"json", "debezium-json", "maxwell-json", "canal-json", "ogg-json"})
_INT = 2**31 - 1
_LARGE = 10**15


def masked(records: Records, table: JobTable, policy: Policy) -> tuple[list[Record], int]:
    """Return the records as a test has them, and how many were left out, as nobody can say what is in them.

    Keys and headers that the table does not read are left out of records.

    Raises
    ------
    UsageError
        There is a policy, and the table's records are not JSON.
    """
    reads_keys = table.connector == "upsert-kafka" or "key.format" in table.options
    keys = records.keys if reads_keys else [None] * len(records)
    values: Sequence[bytes | None] = records.values
    kept = [True] * len(records)
    if policy:
        _check(table, reads_keys=reads_keys)
        keys, lost_keys = _texts(keys, "_key", policy)
        values, lost = _texts(values, "value", policy)
        kept = [not (a or b) for a, b in zip(lost, lost_keys, strict=True)]
    made = [
        Record.of(key, value, timestamp=int(stamp) if stamp > 0 else None)
        for key, value, stamp, keep in zip(keys, values, records.timestamps, kept, strict=True)
        if keep
    ]
    return made, kept.count(False)


def _check(table: JobTable, *, reads_keys: bool) -> None:
    formats = {"values": table.options.get("value.format") or table.options.get("format")}
    if reads_keys:
        formats["keys"] = table.options.get("key.format")
    for what, name in formats.items():
        if name not in _JSON:
            raise UsageError(
                f"the {what} of {table.name} are {name or 'of no format'}, and only JSON is masked in a test",
                hint="write the test's input by hand; without [masking] in sdp.toml, any format is frozen",
            )


def _texts(
    content: Sequence[bytes | None], column: str, policy: Policy
) -> tuple[list[bytes | None], list[bool]]:
    """Return JSON texts masked, and which of them are lost: hidden whole, since they are no JSON."""
    import pyarrow as pa  # noqa: PLC0415 - slow to load

    before = [_decoded(text) for text in content]
    offsets = pa.array(range(len(before)), pa.int64())
    table = pa.table({column: pa.array(before, pa.string()), "_offset": offsets})
    after = mask(table, policy)[column].to_pylist()
    lost = [
        (text is not None and _loaded(text) is None) or (raw is not None and (new is None or new == REDACTED))
        for raw, text, new in zip(content, before, after, strict=True)
    ]
    texts = [
        new if old is None or new is None or gone or new == old else dumps(typed(loads(old), loads(new)))
        for old, new, gone in zip(before, after, lost, strict=True)
    ]
    return [None if text is None else text.encode() for text in texts], lost


def _decoded(content: bytes | None) -> str | None:
    if content is None:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def _loaded(text: str) -> Any:
    try:
        return loads(text)
    except ValueError:
        return None


def typed(before: Any, after: Any) -> Any:
    """Return what was masked with numbers where numbers stood: a hash becomes one."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return {name: typed(before.get(name), value) for name, value in after.items()}
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [typed(old, new) for old, new in zip(before, after, strict=True)]
    if not isinstance(after, str) or not isinstance(before, (int, Decimal)):
        return after
    number = int(after, 16)
    if isinstance(before, bool):
        return number % 2 == 0
    return number % (_INT if abs(Decimal(before)) <= _INT else _LARGE)
