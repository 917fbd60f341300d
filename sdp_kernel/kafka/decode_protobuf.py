"""Protobuf in Confluent's wire format → Arrow columns, by the field numbers' names in the schema.

protoc compiles a schema once; messages are read by the protobuf library and taken apart a field at
a time. A field that may be absent is null where it is; one that may not has its default.
"""

from __future__ import annotations

import base64
import importlib
import subprocess
import sys
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sdp_kernel.kafka.decode import Decoded
from sdp_kernel.kafka.merge import Group, merge
from sdp_kernel.kafka.wire import PREFIX, by_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sdp_kernel.kafka.decode import Options
    from sdp_kernel.kafka.registry import Registry, Schema

_COMPILE_SECONDS = 20.0
_MAIN = "sdp_schema.proto"
_MOST_INDEXES = 32
_DEPTH = 16
#: What a field raises that protobuf lets pass: a time beyond 64 bits, proto2's text that is not UTF-8.
_BAD_FIELD = (pa.ArrowInvalid, OverflowError, UnicodeDecodeError)
_NS = 10**9
_FAR = 2**63 // _NS - 1


class ProtobufDecoder:
    """One column for each field of the messages.

    64-bit integers stay integers, enums are their names, bytes stay bytes; ``Timestamp``,
    ``Duration`` and the wrappers are Arrow's own types. ``Struct``, ``Value``, ``Any`` and what
    contains itself are JSON text. ``extra`` has ``_schema_id``.
    """

    format = "protobuf"

    def __init__(self, *, options: Options | None = None, registry: Registry | None = None) -> None:
        assert registry is not None  # noqa: S101 - `decoder` sees to it
        del options
        self._registry = registry

    def decode(self, values: Sequence[bytes | None]) -> Decoded:
        """Read a batch; a malformed message, or one whose schema cannot be had, has an error."""
        errors: dict[int, str] = {}
        ids, schemas = by_schema(values, self._registry, "PROTOBUF", _compile, errors)
        groups: list[Group] = []
        for number, rows, schema in schemas:
            messages: dict[tuple[int, ...], tuple[list[int], list[Any]]] = {}
            for row in rows.tolist():
                try:
                    path, at = indexes(values[row] or b"", PREFIX)
                    message = schema.parse(path, (values[row] or b"")[at:])
                except ValueError as error:
                    errors[row] = f"not what schema id {number} describes: {error}"
                    continue
                places, some = messages.setdefault(path, ([], []))
                places.append(row)
                some.append(message)
            for path, (places, some) in messages.items():
                descriptor = schema.descriptor(path)
                try:
                    columns, text = _columns(descriptor, some, ())
                except _BAD_FIELD:
                    failed = _failing(descriptor, some, 0)
                    for index, why in failed.items():
                        errors[places[index]] = f"not what schema id {number} describes: {why}"
                        some[index] = None
                    columns, text = _columns(descriptor, some, ())
                groups.append(Group(np.array(places), columns, text, None, fields=True))
        merged, text_of_json = merge(groups, len(values))
        return Decoded(
            merged,
            {name: name for name in merged},
            frozenset(text_of_json),
            errors,
            {"_schema_id": ids},
        )


def _failing(descriptor: Any, messages: list[Any], first: int) -> dict[int, str]:
    """Return which messages hold a value that Arrow does not, by index from ``first``, and why."""
    try:
        _columns(descriptor, messages, ())
    except _BAD_FIELD as error:
        if len(messages) == 1:
            return {first: str(error)[:200]}
    else:
        return {}
    half = len(messages) // 2
    return {
        **_failing(descriptor, messages[:half], first),
        **_failing(descriptor, messages[half:], first + half),
    }


def indexes(value: bytes, at: int) -> tuple[tuple[int, ...], int]:
    """Return which message of the schema's file a value is, by index and nested index, and what follows.

    Raises
    ------
    ValueError
        There is no such list at ``at``.
    """
    count, at = _varint(value, at)
    if count == 0:  # the usual case, written short: the first message
        return (0,), at
    if not 0 < count <= _MOST_INDEXES:
        raise ValueError(f"{count} message indexes")
    path = []
    for _ in range(count):
        index, at = _varint(value, at)
        path.append(index)
    return tuple(path), at


def _varint(value: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if at >= len(value) or shift > 63:  # noqa: PLR2004
            raise ValueError("its message indexes end too early")
        byte = value[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004
            return (number >> 1) ^ -(number & 1), at
        shift += 7


class _Compiled:
    """A schema's file: its messages by index path."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._classes: dict[tuple[int, ...], Any] = {}

    def descriptor(self, path: tuple[int, ...]) -> Any:
        """Return the descriptor of a message."""
        found: Any = None
        inside = list(self._file.message_types_by_name.values())
        for index in path:
            if not 0 <= index < len(inside):
                raise ValueError(f"the schema has no message {list(path)}")
            found = inside[index]
            inside = list(found.nested_types)
        return found

    def parse(self, path: tuple[int, ...], payload: bytes) -> Any:
        """Read a message.

        Raises
        ------
        ValueError
            The bytes are not of this message, or there is no such one.
        """
        from google.protobuf.message import DecodeError  # noqa: PLC0415
        from google.protobuf.message_factory import GetMessageClass  # noqa: PLC0415

        if path not in self._classes:
            self._classes[path] = GetMessageClass(self.descriptor(path))
        try:
            return self._classes[path].FromString(payload)
        except DecodeError as error:
            raise ValueError(str(error) or "the message is cut short") from None


def _compile(schema: Schema, registry: Registry) -> _Compiled:
    referred = registry.resolve(schema)
    try:
        return _of_texts(schema, referred)
    except (ValueError, OSError) as error:  # OSError: names of references that are no files' names
        raise ValueError(f"schema id {schema.id} cannot be compiled: {error}") from None


def _of_texts(schema: Schema, referred: dict[str, Schema]) -> _Compiled:
    """Compile a schema's text with protoc, or take the file that it holds in base64.

    Raises
    ------
    ValueError
        It is neither.
    """
    from google.protobuf.descriptor_pool import DescriptorPool  # noqa: PLC0415

    serialized = _serialized(schema.text)
    if serialized is not None:  # as Confluent's Python client registers them
        files = [f for s in referred.values() if (f := _serialized(s.text)) is not None]
        files = [*_well_known([*files, serialized]), *files, serialized]
    else:
        files = _protoc({**{name: s.text for name, s in referred.items()}, _MAIN: schema.text})
    pool = DescriptorPool()
    try:
        for file in files:
            pool.Add(file)
        return _Compiled(pool.FindFileByName(files[-1].name))
    except (TypeError, KeyError) as error:
        raise ValueError(str(error)) from None


def _serialized(text: str) -> Any:
    from google.protobuf.descriptor_pb2 import FileDescriptorProto  # noqa: PLC0415
    from google.protobuf.message import DecodeError  # noqa: PLC0415

    try:
        file = FileDescriptorProto.FromString(base64.b64decode(text, validate=True))
    except (ValueError, DecodeError):
        return None
    return file if file.name else None


def _well_known(files: list[Any]) -> list[Any]:
    """Return the files of ``google/protobuf`` that others depend on; they come with the library."""
    from google.protobuf.descriptor_pb2 import FileDescriptorProto  # noqa: PLC0415

    there = {file.name for file in files}
    found: dict[str, Any] = {}
    for name in {name for file in files for name in file.dependency if name.startswith("google/protobuf/")}:
        if name not in there:
            module = importlib.import_module(name.removesuffix(".proto").replace("/", ".") + "_pb2")
            found[name] = FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)
    return list(found.values())


def _protoc(texts: dict[str, str]) -> list[Any]:
    """Compile files by name; those that others import come first."""
    from google.protobuf.descriptor_pb2 import FileDescriptorSet  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="sdp-protobuf-") as name:
        directory = Path(name)
        for path, text in texts.items():
            inside = PurePosixPath(path)
            if inside.is_absolute() or ".." in inside.parts:
                raise ValueError(f"it refers to {path!r}, which is no name within a schema")
            (directory / inside).parent.mkdir(parents=True, exist_ok=True)
            (directory / inside).write_text(text, encoding="utf-8")
        out = directory / "out.bin"
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{directory}", "--include_imports"]
        try:
            done = subprocess.run(
                [*command, f"--descriptor_set_out={out}", _MAIN],
                capture_output=True, text=True, check=False, timeout=_COMPILE_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise ValueError(f"protoc took more than {_COMPILE_SECONDS:.0f} s") from None
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if ".proto:" in line and "] " not in line]
            reason = " ".join(said) or done.stderr.strip()
            raise ValueError(reason.replace(f"{directory}/", "")[:300])
        return list(FileDescriptorSet.FromString(out.read_bytes()).file)


# --- messages → columns --------------------------------------------------------------------


def _columns(descriptor: Any, messages: list[Any], above: tuple[str, ...]) -> tuple[dict[str, Any], set[str]]:
    """Return a column for each field of messages (None for an absent one), and those of JSON text."""
    columns: dict[str, Any] = {}
    text: set[str] = set()
    inside = (*above, descriptor.full_name)
    for field in descriptor.fields:
        columns[field.name], is_text = _field(field, messages, inside)
        if is_text:
            text.add(field.name)
    return columns, text


def _field(field: Any, messages: list[Any], above: tuple[str, ...]) -> tuple[Any, bool]:
    name = field.name
    if _is_repeated(field):
        lists = [None if m is None else getattr(m, name) for m in messages]
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            return _maps(field, lists, above)
        flat = [item for items in lists if items is not None for item in items]
        values, is_text = _values(field, flat, above)
        offsets = _offsets(lists)
        return pa.ListArray.from_arrays(offsets, values), is_text
    if field.has_presence:
        some = [None if m is None or not m.HasField(name) else getattr(m, name) for m in messages]
    else:
        some = [None if m is None else getattr(m, name) for m in messages]
    return _values(field, some, above)


def _is_repeated(field: Any) -> bool:
    if hasattr(field, "is_repeated"):  # protobuf from 6.31 on, where label goes away
        return bool(field.is_repeated)
    return bool(field.label == field.LABEL_REPEATED)


def _offsets(lists: list[Any]) -> Any:
    ends = np.cumsum([0 if items is None else len(items) for items in lists])
    offsets = np.concatenate([[0], ends]).astype(np.int32)
    absent = np.array([items is None for items in lists] + [False])
    return pa.array(offsets, mask=absent)


def _maps(field: Any, lists: list[Any], above: tuple[str, ...]) -> tuple[Any, bool]:
    parts = field.message_type.fields_by_name
    keys = [key for items in lists if items is not None for key in items]
    items = [items[key] for items in lists if items is not None for key in items]
    values, is_text = _values(parts["value"], items, above)
    return pa.MapArray.from_arrays(_offsets(lists), _values(parts["key"], keys, above)[0], values), is_text


def _values(field: Any, values: list[Any], above: tuple[str, ...]) -> tuple[Any, bool]:
    """Return single values of a field as an array, and whether it is JSON text."""
    if field.message_type is not None:
        return _messages(field.message_type, values, above)
    if field.enum_type is not None:
        names = {number: value.name for number, value in field.enum_type.values_by_number.items()}
        return pa.array([None if v is None else names.get(v, str(v)) for v in values], pa.string()), False
    return pa.array(values, _SCALARS[field.cpp_type](field)), False


def _messages(descriptor: Any, values: list[Any], above: tuple[str, ...]) -> tuple[Any, bool]:
    known = _WELL_KNOWN.get(descriptor.full_name)
    if known is not None:
        return known(values), False
    wrapped = descriptor.full_name.startswith("google.protobuf.") and descriptor.full_name.endswith("Value")
    if wrapped and set(descriptor.fields_by_name) == {"value"}:
        inner = descriptor.fields_by_name["value"]
        return _values(inner, [None if v is None else v.value for v in values], above)
    if descriptor.full_name in above or len(above) > _DEPTH or descriptor.full_name in _AS_JSON:
        from google.protobuf.json_format import MessageToJson  # noqa: PLC0415

        def text(message: Any) -> str:
            try:
                made: str = MessageToJson(message, preserving_proto_field_name=True, indent=None)
            except (TypeError, ValueError):  # an Any of a type that nobody knows here
                return str(message)
            return made

        return pa.array([None if v is None else text(v) for v in values], pa.string()), True
    columns, _ = _columns(descriptor, values, above)
    absent = pa.array([v is None for v in values])
    if not columns:
        return pa.array([None if v is None else {} for v in values], pa.struct([])), False
    return pa.StructArray.from_arrays(list(columns.values()), names=list(columns), mask=absent), False


def _timestamps(values: list[Any]) -> Any:
    far = any(v is not None and abs(v.seconds) > _FAR for v in values)
    unit, per_second = ("us", 10**6) if far else ("ns", _NS)
    whole = [None if v is None else v.seconds * per_second + v.nanos * per_second // _NS for v in values]
    return pa.array(whole, pa.int64()).cast(pa.timestamp(unit, "UTC"))


def _durations(values: list[Any]) -> Any:
    far = any(v is not None and abs(v.seconds) > _FAR for v in values)
    unit, per_second = ("us", 10**6) if far else ("ns", _NS)
    whole = [None if v is None else v.seconds * per_second + v.nanos * per_second // _NS for v in values]
    return pa.array(whole, pa.int64()).cast(pa.duration(unit))


_WELL_KNOWN: dict[str, Callable[[list[Any]], Any]] = {
    "google.protobuf.Timestamp": _timestamps,
    "google.protobuf.Duration": _durations,
}
_AS_JSON = {
    "google.protobuf.Struct",
    "google.protobuf.Value",
    "google.protobuf.ListValue",
    "google.protobuf.Any",
}
#: FieldDescriptor.cpp_type → Arrow type; 9 is text or bytes.
_SCALARS: dict[int, Callable[[Any], Any]] = {
    1: lambda _: pa.int32(),
    2: lambda _: pa.int64(),
    3: lambda _: pa.uint32(),
    4: lambda _: pa.uint64(),
    5: lambda _: pa.float64(),
    6: lambda _: pa.float32(),
    7: lambda _: pa.bool_(),
    9: lambda field: pa.binary() if field.type == field.TYPE_BYTES else pa.string(),
}
