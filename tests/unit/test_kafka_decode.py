from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdp_kernel.errors import UsageError
from sdp_kernel.kafka import decode_json, json_bulk
from sdp_kernel.kafka.decode import BytesDecoder, TextDecoder, decode_keys, decoder, detect
from sdp_kernel.kafka.decode_json import JsonDecoder

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
LIKE_TIME = st.sampled_from(["2026-01-05T09:00:00Z", "2026-01-05 09:00:00", "2026-01-05", "12:00:00"])
NUMBERS = st.one_of(
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.sampled_from([2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**40]),
    st.floats(allow_nan=False, allow_infinity=False),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXT, LIKE_TIME)
NAMES = st.one_of(st.sampled_from(["a", "b", "value", "_key", "", "t"]), TEXT)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)
OBJECTS = st.dictionaries(NAMES, JSON, max_size=5)
SAME_TYPE_OBJECTS = st.sampled_from([st.integers(), NUMBERS, TEXT, LIKE_TIME, st.booleans()]).flatmap(
    lambda kind: st.lists(st.dictionaries(st.sampled_from("abc"), kind | st.none()), max_size=8)
)


def encode(value: Any, indent: int | None = None) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=indent).encode()


def rows(values: list[bytes | None]) -> tuple[list[dict[str, Any]], Any]:
    decoded = JsonDecoder().decode(values)
    columns = {name: column.to_pylist() for name, column in decoded.columns.items()}
    assert all(len(column) == len(values) for column in columns.values())
    return [{n: c[i] for n, c in columns.items()} for i in range(len(values))], decoded


def one(*documents: bytes, column: str = "a") -> list[Any]:
    got, decoded = rows(list(documents))
    assert not decoded.errors
    return [row[column] for row in got]


def same(got: Any, want: Any) -> bool:
    """Compare with what JSON says: exact numbers, absent fields null, JSON text where mixed."""
    if isinstance(got, str) and not isinstance(want, str):
        return same_text(json.loads(got, parse_float=Decimal), want)
    if isinstance(got, str) and got != want:
        return bool(json.loads(got) == want)  # a string in a column of JSON text
    if isinstance(want, bool) or want is None or isinstance(want, str):
        return bool(got == want and type(got) is type(want))
    if isinstance(want, (int, float)):
        return not isinstance(got, bool) and Decimal(repr(want)) == (
            Decimal(repr(got)) if isinstance(got, float) else Decimal(got)
        )
    if isinstance(want, list):
        return isinstance(got, list) and len(got) == len(want) and all(map(same, got, want))
    return (
        isinstance(got, dict) and all(same(v, want.get(k)) for k, v in got.items()) and set(want) <= set(got)
    )


def same_text(got: Any, want: Any) -> bool:
    if isinstance(want, dict):
        return (
            isinstance(got, dict)
            and got.keys() == want.keys()
            and all(same_text(got[k], want[k]) for k in want)
        )
    if isinstance(want, list):
        return isinstance(got, list) and len(got) == len(want) and all(map(same_text, got, want))
    if isinstance(want, (int, float)) and not isinstance(want, bool):
        return not isinstance(got, bool) and Decimal(repr(want)) == got
    return bool(got == want and type(got) is type(want))


@given(st.lists(OBJECTS, max_size=8), st.sampled_from([None, 1]))
@settings(max_examples=400, deadline=None)
def test_any_objects_keep_every_value(objects: list[dict[str, Any]], indent: int | None) -> None:
    got, decoded = rows([encode(o, indent) for o in objects])
    assert not decoded.errors
    for row, want in zip(got, objects, strict=True):
        assert same(row, {k: want.get(k) for k in row}), (row, want)
        assert set(want) <= set(row)


@given(SAME_TYPE_OBJECTS)
@settings(max_examples=300, deadline=None)
def test_objects_of_one_type_keep_every_value(objects: list[dict[str, Any]]) -> None:
    got, decoded = rows([encode(o) for o in objects])
    assert not decoded.errors
    for row, want in zip(got, objects, strict=True):
        assert same(row, {k: want.get(k) for k in row}), (row, want)


@given(st.lists(st.one_of(st.none(), st.binary(max_size=20), JSON.map(encode)), max_size=10))
@settings(max_examples=400, deadline=None)
def test_any_bytes_give_a_row_each_and_never_raise(values: list[bytes | None]) -> None:
    got, decoded = rows(values)
    assert len(got) == len(values) or not decoded.columns
    for row, value in enumerate(values):
        if value is None:
            assert row not in decoded.errors
        if row in decoded.errors:
            assert all(v is None for v in got[row].values())


@given(st.lists(OBJECTS, min_size=1, max_size=6))
@settings(max_examples=200, deadline=None)
def test_bulk_and_row_by_row_agree(objects: list[dict[str, Any]]) -> None:
    values = [encode(o) for o in objects]
    bulk = json_bulk.parse(values)
    if bulk is None:
        return
    slow, text = decode_json._struct_columns([msgspec.json.decode(v) for v in values], 0)
    assert not text
    assert set(bulk.column_names) == set(slow)
    for name, column in slow.items():
        for quick, exact in zip(bulk.column(name).to_pylist(), column.to_pylist(), strict=True):
            assert same(quick, exact)
            assert same(exact, quick)


def test_plain_objects_take_the_bulk_path() -> None:
    values = [b'{"id":%d,"p":%d.25,"t":"2026-01-05T09:00:00Z","s":"x"}' % (i, i) for i in range(5000)]
    table = json_bulk.parse(values)
    assert table is not None
    assert [str(t) for t in table.schema.types] == ["int64", "double", "string", "string"]


def test_columns_come_in_the_order_first_seen() -> None:
    _, decoded = rows([b'{"z":1,"a":"2026-01-05 00:00:00"}', b'{"m":true,"z":2}'])
    assert list(decoded.columns) == ["z", "a", "m"]


def test_strings_like_timestamps_stay_strings() -> None:
    assert one(b'{"a":"2026-01-05T09:00:00Z"}', b'{"a":null}') == ["2026-01-05T09:00:00Z", None]
    assert one(b'{"a":{"t":["2026-01-05"]}}') == [{"t": ["2026-01-05"]}]


@pytest.mark.parametrize(
    ("documents", "kind", "values"),
    [
        ([b'{"a":9223372036854775807}'], "int64", [2**63 - 1]),
        ([b'{"a":9223372036854775808}', b'{"a":1}'], "decimal128(19, 0)", [Decimal(2**63), Decimal(1)]),
        (
            [b'{"a":9007199254740993}', b'{"a":0.5}'],
            "decimal128(17, 1)",
            [Decimal(2**53 + 1), Decimal("0.5")],
        ),
        ([b'{"a":1.10}'], "double", [1.1]),
        ([b'{"a":0.30000000000000004}'], "double", [0.30000000000000004]),
        ([b'{"a":0.12345678901234567890}'], "decimal128(20, 20)", [Decimal("0.12345678901234567890")]),
        ([b'{"a":1e400}'], "string", ["1E+400"]),
        ([b'{"a":1e-400}'], "string", ["1E-400"]),
        ([b'{"a":1}', b'{"a":2.5}'], "double", [1.0, 2.5]),
        ([b'{"a":1}', b'{"a":"x"}'], "string", ["1", '"x"']),
        ([b'{"a":true}', b'{"a":{"b":1}}'], "string", ["true", '{"b":1}']),
    ],
)
def test_numbers_are_exact_or_text(documents: list[bytes], kind: str, values: list[Any]) -> None:
    _, decoded = rows(list(documents))
    assert str(decoded.columns["a"].type) == kind
    assert decoded.columns["a"].to_pylist() == values
    assert not decoded.errors


def test_large_ids_beside_prices_stay_int64_in_bulk() -> None:
    table = json_bulk.parse([b'{"id":1234567890123456789,"p":1.5}'])
    assert table is not None
    assert table.to_pylist() == [{"id": 1234567890123456789, "p": 1.5}]


def test_the_last_of_duplicate_fields_counts() -> None:
    assert one(b'{"a":1,"a":2}', b'{"a":3}') == [2, 3]


def test_mixed_columns_are_named() -> None:
    _, decoded = rows([b'{"a":1,"b":1}', b'{"a":"x","b":2}'])
    assert decoded.text_of_json == {"a"}


@pytest.mark.parametrize(
    "bad",
    [b"", b" ", b"{", b'{"a":NaN}', b'{"a":Infinity}', b'{"a":1}{"a":2}', b'{"a":"\xff"}', b'{"a":"\\ud800"}',
     b'\xef\xbb\xbf{"a":1}', b'{"a":1}\x00', b"\x00\x00\x00\x00\x01abc", b'{"a":' + b"9" * 5000 + b"}"],
)  # fmt: skip
def test_a_malformed_value_is_a_row_with_a_reason(bad: bytes) -> None:
    got, decoded = rows([b'{"a":1}', bad, b'{"a":2}'])
    assert [row["a"] for row in got] == [1, None, 2]
    assert list(decoded.errors) == [1]
    assert decoded.errors[1]


def test_a_top_level_null_does_not_reach_pyarrow() -> None:
    got, decoded = rows([b"null", b'{"a":1}', None])
    assert [row["a"] for row in got] == [None, 1, None]
    assert not decoded.errors


def test_values_that_are_no_objects_get_a_column_of_their_own() -> None:
    got, decoded = rows([b"[1,2]", b'{"a":1}', b"[3]"])
    assert [row["value"] for row in got] == [[1, 2], None, [3]]
    assert decoded.fields == {"a": "a"}
    got, _ = rows([b"7", b'{"value":1}'])
    assert got == [{"value": None, "value_": 7}, {"value": 1, "value_": None}]


def test_line_breaks_between_tokens_are_white_space() -> None:
    assert one(b'{\r\n  "a" : 1\r\n}', b'{"a":\n2\n}\n', b'{"a":3}') == [1, 2, 3]


def test_a_value_larger_than_a_block_is_read() -> None:
    assert one(encode({"a": "x" * 6_000_000}), b'{"a":"y"}')[0] == "x" * 6_000_000


def test_too_many_fields_become_json_text() -> None:
    _, decoded = rows([b'{"k%d":1}' % i for i in range(json_bulk.MAX_FIELDS + 500)])
    assert list(decoded.columns) == ["value"]
    assert decoded.columns["value"].to_pylist()[1] == '{"k1":1}'


def test_deep_nesting_becomes_json_text_or_an_error() -> None:
    deep = b'{"a":' + b"[" * 100 + b"]" * 100 + b"}"
    _, decoded = rows([deep])
    pa.table(dict(decoded.columns)).to_pandas()
    assert not decoded.errors
    _, decoded = rows([b'{"a":' + b"[" * 100_000])
    assert list(decoded.errors) == [0]


def test_empty_lists_and_objects_keep_their_rows() -> None:
    assert one(b'{"a":[]}', b'{"a":null}', b'{"a":[]}') == [[], None, []]
    got, decoded = rows([b"{}", b"{}"])
    assert (got, dict(decoded.errors)) == ([{}, {}], {})


def test_nulls_in_lists_are_kept() -> None:
    assert one(b'{"a":[null, true]}', b'{"a":[false]}') == [[None, True], [False]]
    assert one(b'{"a":[null,null]}', b'{"a":[]}') == [[None, None], []]
    assert one(b'{"a":{"b":[[null,null,null]]}}') == [{"b": [[None, None, None]]}]


def test_text_marks_what_is_not_utf8() -> None:
    decoded = TextDecoder().decode(["ä".encode(), b"\xff", None, b""])
    assert decoded.columns["value"].to_pylist() == ["ä", None, None, ""]
    assert list(decoded.errors) == [1]


def test_bytes_are_kept() -> None:
    assert BytesDecoder().decode([b"\xff", None]).columns["value"].to_pylist() == [b"\xff", None]


def test_keys_are_text_only_if_all_are() -> None:
    assert decode_keys([b"a", None]).to_pylist() == ["a", None]
    assert decode_keys([b"a", b"\xff"]).to_pylist() == [b"a", b"\xff"]


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ([b'{"a":1}', b"[1]"], "json"),
        ([b'{"a":1}', b'{"a":2}', b"oops"], "json"),
        ([b"hello", b'{"a":1}', b"{x"], "text"),
        ([b"1", b"2"], "text"),
        ([b"\x00\x00\x00\x00\x01abc"], "bytes"),
        ([b"\xff\xfe"], "bytes"),
        ([], None),
        ([None, b""], None),
        ([None, b'{"a":1}'], "json"),
        ([b"\x1b[31mred\x1b[0m"], "text"),
    ],
)
def test_formats_are_detected_from_the_bytes(values: list[bytes | None], name: str | None) -> None:
    assert detect(values) == name


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(UsageError, match="xml"):
        decoder("xml")


def test_no_float_is_made_up() -> None:
    got = one(b'{"a":-0.0}', b'{"a":0}')
    assert math.copysign(1, got[0]) == -1
