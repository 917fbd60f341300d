"""Protobuf messages that the library accepts and Arrow does not are rows with an error."""

from __future__ import annotations

from typing import Any

import pytest

from sdp_kernel.kafka.decode import Decoded, decoder
from sdp_kernel.kafka.registry import Registry, Schema

TIMES = """syntax = "proto3";
import "google/protobuf/timestamp.proto"; import "google/protobuf/duration.proto";
message M { google.protobuf.Timestamp at = 1; google.protobuf.Duration took = 2; int32 n = 3; }"""


def varint(number: int) -> bytes:
    out = bytearray()
    number &= 2**64 - 1
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def seconds(field: int, number: int) -> bytes:
    inner = b"\x08" + varint(number)
    return bytes([field << 3 | 2, len(inner)]) + inner


def read(text: str, *messages: bytes) -> Decoded:
    registry: Any = Registry({"url": "http://127.0.0.1:1"})
    registry._schemas[1] = Schema(1, "PROTOBUF", text)
    return decoder("protobuf", registry=registry).decode(
        [b"\x00\x00\x00\x00\x01\x00" + message for message in messages]
    )


@pytest.mark.parametrize("field", [1, 2])
@pytest.mark.parametrize("far", [2**62, -(2**62)])
def test_a_time_beyond_64_bits_leaves_its_neighbours_alone(field: int, far: int) -> None:
    good = seconds(1, 5) + seconds(2, 7) + b"\x18\x09"
    got = read(TIMES, good, seconds(field, far) + b"\x18\x01", good)
    assert list(got.errors) == [1]
    assert "schema id 1" in got.errors[1]
    assert got.columns["n"].to_pylist() == [9, None, 9]
    assert [int(at.timestamp()) for at in got.columns["at"].to_pylist() if at] == [5, 5]
    assert str(got.columns["at"].type) == "timestamp[ns, tz=UTC]"


def test_text_that_is_not_utf8_is_an_error_of_its_own() -> None:
    got = read('syntax = "proto2"; message M { optional string a = 1; }', b"\x0a\x01\xff", b"\x0a\x01a")
    assert list(got.errors) == [0]
    assert got.columns["a"].to_pylist() == [None, "a"]


def test_a_schema_that_does_not_compile_is_the_reason() -> None:
    got = read('syntax = "proto3"; message M { int32 a = 0; }', b"", b"")
    assert sorted(got.errors) == [0, 1]
    assert "cannot be compiled" in got.errors[0]
