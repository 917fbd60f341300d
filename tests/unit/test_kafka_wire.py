"""The prefix of Confluent's wire format: any bytes have an id or a reason, and nothing is raised."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.kafka.decode import REGISTRY_FORMATS, decoder
from sdp_kernel.kafka.decode_protobuf import indexes
from sdp_kernel.kafka.registry import Registry
from sdp_kernel.kafka.wire import schema_ids


@given(st.lists(st.none() | st.binary(max_size=8) | st.binary(max_size=6).map(lambda b: b"\x00" + b)))
def test_a_value_has_an_id_or_a_reason(values: list[bytes | None]) -> None:
    errors: dict[int, str] = {}
    ids = schema_ids(values, errors).tolist()
    for row, value in enumerate(values):
        known = value is not None and len(value) >= 5 and value[0] == 0
        number = struct.unpack(">i", value[1:5])[0] if value is not None and known else -1
        assert ids[row] == max(number, -1)
        assert (row in errors) == (value is not None and number < 0)


@pytest.mark.parametrize("name", REGISTRY_FORMATS)
@pytest.mark.parametrize("first", ["ffffffff", "80000000"])
def test_an_id_that_no_registry_gives_is_an_error_of_that_row(name: str, first: str) -> None:
    registry = Registry({"url": "http://127.0.0.1:1"})
    got = decoder(name, registry=registry).decode([b"\x00" + bytes.fromhex(first) + b"x", None])
    assert list(got.errors) == [0]
    assert got.extra["_schema_id"].to_pylist() == [None, None]


def test_message_indexes() -> None:
    assert indexes(b"\x00rest", 0) == ((0,), 1)
    assert indexes(b"\x04\x02\x00rest", 0) == ((1, 0), 3)
    for broken in (b"", b"\x04\x02", b"\xff" * 11, b"\x01"):
        with pytest.raises(ValueError, match="index"):
            indexes(broken, 0)
