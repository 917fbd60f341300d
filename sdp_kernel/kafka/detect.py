"""The format of values, from the bytes of some of them."""

from __future__ import annotations

import functools
import re
import struct
from collections import Counter
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import SdpError
from sdp_kernel.kafka.wire import has_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sdp_kernel.kafka.registry import Registry

_VALUES = 100
_BYTES = 1 << 20
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f]")  # ESC stays: coloured log lines
_OF_REGISTRY = {"AVRO": "avro", "PROTOBUF": "protobuf", "JSON": "json-schema"}
_ASKED_IDS = 5
_MAXWELL_TYPES = {"insert", "update", "delete", "bootstrap-insert", "bootstrap-start", "bootstrap-complete"}
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)
_MAPS = {*range(0x81, 0x90), 0xDE, 0xDF}
_CSV_RECORDS, _CSV_LENGTH = 3, 64


def detect(values: Sequence[bytes | None], registry: Registry | None = None) -> str | None:
    """Tell the format of values from up to 100 of them, evenly spread.

    The first of these that holds for more than half: Confluent's prefix with an id that the
    registry knows; a change envelope of Debezium or Maxwell; JSON objects or arrays; NDJSON;
    MessagePack maps; CSV, where lines agree on their fields; UTF-8 without control
    characters. Else bytes. None where there is nothing to look at: only tombstones and empty
    values.
    """
    probe = _probe(values)
    if not probe:
        return None

    def most(holds: Callable[[bytes], bool]) -> bool:
        return 2 * sum(map(holds, probe)) > len(probe)

    if most(has_prefix):
        return (_of_registry(probe, registry) if registry is not None else None) or "bytes"
    if most(_is_json):
        objects = [_fields(value) for value in probe]
        for name, is_envelope in (("debezium-json", _is_debezium), ("maxwell-json", _is_maxwell)):
            if 2 * sum(map(is_envelope, objects)) > len(probe):
                return name
        return "json"
    if most(_is_ndjson):
        return "ndjson"
    if most(_is_msgpack):
        return "msgpack"
    if most(_is_text):
        return "csv" if _is_csv([value.decode() for value in probe if _is_text(value)]) else "text"
    return "bytes"


def _probe(values: Sequence[bytes | None]) -> list[bytes]:
    some = [value for value in values if value]
    probe: list[bytes] = []
    size = 0
    for value in some[:: -(-len(some) // _VALUES)] if some else ():
        probe.append(value)
        size += len(value)
        if size > _BYTES:
            break
    return probe


def _of_registry(probe: Sequence[bytes], registry: Registry) -> str | None:
    ids = Counter(struct.unpack_from(">I", value, 1)[0] for value in probe if has_prefix(value))
    kinds: Counter[str] = Counter()
    for number, times in ids.most_common(_ASKED_IDS):
        try:
            kinds[_OF_REGISTRY.get(registry.schema(number).type, "bytes")] += times
        except SdpError:
            continue
    return kinds.most_common(1)[0][0] if kinds else None


def _is_json(value: bytes) -> bool:
    return value.lstrip(b" \t\r\n")[:1] in {b"{", b"["} and _read(value, _json_readers()[0]) is not None


def _read(value: bytes, decode: Callable[[bytes], Any]) -> Any:
    import msgspec  # noqa: PLC0415

    try:
        return decode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


@functools.cache
def _json_readers() -> tuple[Callable[[bytes], Any], Callable[[bytes], Any]]:
    """Return what checks a document, and what gives an object's fields unread."""
    import msgspec  # noqa: PLC0415

    return msgspec.json.Decoder(msgspec.Raw).decode, msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def _fields(value: bytes) -> dict[str, Any]:
    """Return a JSON object's fields, those of a Connect payload where there is one; unread."""
    read = _json_readers()[1]
    fields = _read(value, read)
    if isinstance(fields, dict) and set(fields) <= {"schema", "payload"} and "payload" in fields:
        fields = _read(bytes(fields["payload"]), read)
    return fields if isinstance(fields, dict) else {}


def _is_debezium(fields: dict[str, Any]) -> bool:
    return "op" in fields and "source" in fields and bool({"after", "before"} & fields.keys())


def _is_maxwell(fields: dict[str, Any]) -> bool:
    if not {"database", "table", "type", "data"} <= fields.keys():
        return False
    return bytes(fields["type"]).decode("utf-8", "replace").strip('"') in _MAXWELL_TYPES


def _is_ndjson(value: bytes) -> bool:
    lines = [line for line in value.splitlines() if line.strip()]
    return len(lines) > 1 and all(map(_is_json, lines))


def _is_msgpack(value: bytes) -> bool:
    from sdp_kernel.kafka.decode_msgpack import load  # noqa: PLC0415

    if value[0] not in _MAPS:  # an array may be any bytes
        return False
    try:
        return isinstance(load(value), dict)
    except ValueError:
        return False


def _is_text(value: bytes) -> bool:
    try:
        return not _CONTROL.search(value.decode())
    except UnicodeDecodeError:
        return False


def _is_csv(texts: Sequence[str]) -> bool:
    """Tell whether all lines have the same number of short fields: prose and log lines do not."""
    from sdp_kernel.kafka.decode_lines import sniff  # noqa: PLC0415

    delimiter = sniff(texts)
    if delimiter is None or sum(len(text.splitlines()) for text in texts) < _CSV_RECORDS:
        return False
    lines = [line.split(delimiter) for text in texts for line in text.splitlines() if line]
    fields = [field for line in lines for field in line]
    if max(map(len, fields)) > _CSV_LENGTH and sum(map(len, fields)) > _CSV_LENGTH / 2 * len(fields):
        return False
    if sum(field[:1] == " " for field in fields) > len(fields) / 4:
        return False
    return any(
        all(len(line) > at and _NUMBER.fullmatch(line[at].strip('"')) for line in lines[1:])
        for at in range(len(lines[0]))
    )
