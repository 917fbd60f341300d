from __future__ import annotations

import base64
import datetime as dt
import io
import json
from decimal import Decimal
from typing import Any

import fastavro
import msgpack
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given as generated
from hypothesis import strategies as st

from sdp_kernel.errors import ReadOnly, UsageError
from sdp_kernel.kafka.admin import check_not_internal, may_change
from sdp_kernel.kafka.encode import Unwritable, canonical_format, encode_texts, encode_values
from sdp_kernel.kafka.encode_avro import Chosen, derive, encode_registered
from sdp_kernel.kafka.encode_rows import given
from sdp_kernel.settings import Profile

UTC = dt.timezone.utc


def encoded(data: Any, name: str = "json", **options: Any) -> list[bytes]:
    return encode_values(given(data).rows(name), name, **options)


def exact(value: bytes) -> Any:
    return json.loads(value, parse_float=Decimal)


@pytest.mark.parametrize(("value", "kind", "text"), [
    (2**63 - 1, pa.int64(), "9223372036854775807"),
    (2**64 - 1, pa.uint64(), "18446744073709551615"),
    (Decimal("12345678901234567890.123456789"), pa.decimal128(38, 9), "12345678901234567890.123456789"),
    (1.0, pa.float64(), "1.0"),
    (0.1, pa.float64(), "0.1"),
    (True, pa.bool_(), "true"),
    ('a"\\\n\x00ä😀', pa.string(), '"a\\"\\\\\\n\\u0000ä😀"'),
    (b"\x00\xff", pa.binary(), '"AP8="'),
    (dt.datetime(2026, 1, 2, 3, 4, 5, 60_000, tzinfo=UTC), pa.timestamp("ms", "Europe/Berlin"), '"2026-01-02T03:04:05.060Z"'),
    (dt.datetime(2026, 1, 2, 3, 4, 5), pa.timestamp("s"), '"2026-01-02T03:04:05"'),
    (dt.date(2026, 1, 2), pa.date32(), '"2026-01-02"'),
    ([{"a": 1}, None, {"a": None}], pa.list_(pa.struct([("a", pa.int64())])), '[{"a":1},null,{"a":null}]'),
    ([("k", [1, 2]), ("l\n", None)], pa.map_(pa.string(), pa.list_(pa.int64())), '{"k":[1,2],"l\\n":null}'),
    ([], pa.list_(pa.string()), "[]"),
    ({}, pa.struct([]), "{}"),
])  # fmt: skip
def test_json_is_exact_for_every_arrow_type(value: Any, kind: Any, text: str) -> None:
    table = pa.table({"x": pa.array([None, value, None], kind)})
    assert encoded(table) == [b'{"x":null}', f'{{"x":{text}}}'.encode(), b'{"x":null}']
    assert encoded(table.slice(1)) == encoded(table)[1:]


def test_floats_keep_their_value() -> None:
    values = [5e-324, 1e300, -0.0, 2.0**53, 1 / 3, 1e16]
    got = [json.loads(v)["x"] for v in encoded(pa.table({"x": values}))]
    assert got == values
    assert all(isinstance(v, float) for v in got)


_json = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**80), 2**80), st.text(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.decimals(allow_nan=False, allow_infinity=False, places=12),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=8,
)  # fmt: skip


@generated(st.lists(st.dictionaries(st.text().filter(lambda n: not n.startswith("_")), _json), min_size=1))
def test_dicts_are_written_as_they_are(rows: list[dict[str, Any]]) -> None:
    for value, row in zip(encoded(rows), rows, strict=True):
        assert exact(value) == json.loads(json.dumps(row, default=float), parse_float=Decimal) or exact(
            value
        ) == _decimals(row)


def _decimals(value: Any) -> Any:
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, dict):
        return {k: _decimals(v) for k, v in value.items()}
    return [_decimals(v) for v in value] if isinstance(value, list) else value


@generated(st.lists(st.fixed_dictionaries({"s": st.text(), "n": st.integers(-(2**63), 2**63 - 1), "l": st.lists(st.one_of(st.none(), st.text()))}), min_size=1))  # fmt: skip
def test_columns_and_dicts_give_the_same_json(rows: list[dict[str, Any]]) -> None:
    table = pa.table(
        [pa.array([r["s"] for r in rows]), pa.array([r["n"] for r in rows]), pa.array([r["l"] for r in rows], pa.list_(pa.string()))],
        names=["s", "n", "l"],
    )  # fmt: skip
    assert [json.loads(v) for v in encoded(table)] == [json.loads(v) for v in encoded(rows)] == rows


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), Decimal("NaN")])
def test_nan_is_refused_with_its_row_and_column(bad: Any) -> None:
    with pytest.raises(Unwritable) as caught:
        encoded([{"a": 1}, {"deep": {"x": [bad]}}])
    assert (caught.value.row, caught.value.column) == (1, "deep.x")
    if isinstance(bad, float):
        for column in ([0.0, 1.0, bad], [[0.0], None, [1.0, bad]], [{"y": 1.0}, None, {"y": bad}]):
            with pytest.raises(Unwritable) as caught:
                encoded(pa.table({"x": pa.array(column)}))
            assert (caught.value.row, caught.value.column) == (2, "x")
        assert "row 2, column 'x'" in str(caught.value.refusal("json"))


def test_a_late_row_is_numbered_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sdp_kernel.kafka.encode._PIECE", 10)
    with pytest.raises(Unwritable) as caught:
        encoded(pa.table({"x": [1.0] * 25 + [float("nan")]}))
    assert caught.value.row == 25


def test_a_frame_keeps_integers_times_and_nulls() -> None:
    frame = pd.DataFrame(
        {
            "i": pd.array([2**53 + 1, None], "Int64"),
            "f": [1.5, np.nan],
            "t": pd.to_datetime(["2026-01-01T00:00:00.123456789Z", None]),
            "o": [{"a": [1]}, None],
        },
        index=pd.Index([7, 8]),
    )
    assert encoded(frame) == [
        b'{"i":9007199254740993,"f":1.5,"t":"2026-01-01T00:00:00.123456789Z","o":{"a":[1]}}',
        b'{"i":null,"f":null,"t":null,"o":null}',
    ]
    named = frame[["f"]].rename_axis("id")
    assert encoded(named)[0] == b'{"id":7,"f":1.5}'


def test_columns_about_records_never_go_into_the_value() -> None:
    table = pa.table({
        "_id": [1], "a": [2], "_key": ["k"], "_partition": [0], "_offset": [0], "_schema_id": [7], "mine": [3],
    })  # fmt: skip
    assert encoded(table) == [b'{"_id":1,"a":2,"mine":3}']
    assert encoded([{"a": 1, "_key": "k", "_headers": {"h": "v"}, "_own": 2}]) == [b'{"a":1,"_own":2}']


def test_fields_keep_their_own_names_and_json_text_is_not_quoted() -> None:
    schema = pa.schema([
        pa.field("_key_", pa.string(), metadata={b"sdp.field": b"_key"}),
        pa.field("mixed", pa.string(), metadata={b"sdp.field": b"mixed", b"sdp.json_text": b"true"}),
        pa.field("value", pa.list_(pa.int64())),
        ("_key", pa.string()), ("_offset", pa.int64()),
    ])  # fmt: skip
    table = pa.table([["a", None], ['{"x":1.50}', None], [None, [1, 2]], ["k", "k"], [0, 1]], schema=schema)
    assert encoded(table) == [b'{"_key":"a","mixed":{"x":1.50}}', b"[1,2]"]
    broken = table.set_column(1, schema.field(1), pa.array(['{"x"', None]))
    with pytest.raises(Unwritable, match="no longer JSON"):
        encoded(broken)


@pytest.mark.parametrize("data", [
    "text", 5, [1], [{1: 2}], pd.DataFrame([[1, 2]], columns=["a", "a"]), pd.DataFrame({"a": [1, "x"]}),
    pa.table([[1], [2]], names=["a", "a"]),
])  # fmt: skip
def test_what_has_no_rows_or_clear_columns_is_refused(data: Any) -> None:
    with pytest.raises(UsageError):
        given(data)


def test_text_and_bytes_write_one_column() -> None:
    assert encoded(pa.table({"line": ["ä", ""]}), "text") == ["ä".encode(), b""]
    assert encoded([{"value": b"\x00"}], "bytes") == [b"\x00"]
    assert encoded(pa.table({"n": [1]}), "text") == [b"1"]
    for data in ([{"a": 1, "b": 2}], [{"value": 1, "b": 2}], [{}]):
        with pytest.raises(UsageError):
            encoded(data, "text")


def test_csv_quotes_what_must_be_quoted() -> None:
    table = pa.table({"a": ['x,"y"\n', None], "b": pa.array([Decimal("1.50"), None]), "c": [True, None]})
    assert encoded(table, "csv") == [b'"x,""y""\n",1.50,true', b",,"]
    assert encoded([{"a": "x;y", "b": 1}], "csv", delimiter=";") == [b'"x;y";1']
    with pytest.raises(Unwritable) as caught:
        encoded([{"a": 1, "b": [1]}], "csv")
    assert caught.value.column == "b"


def test_msgpack_refuses_what_it_would_round() -> None:
    row = {"i": 2**64 - 1, "b": b"\xff", "l": [None, {"a": 1.5}]}
    assert msgpack.unpackb(encoded([row], "msgpack")[0]) == row
    maps = pa.table({"m": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64()))})
    assert msgpack.unpackb(encoded(maps, "msgpack")[0]) == {"m": {"a": 1}}
    with pytest.raises(Unwritable) as caught:
        encoded([{"ok": 1, "d": Decimal("1.5")}], "msgpack")
    assert (caught.value.row, caught.value.column) == (0, "d")


def test_keys_are_texts() -> None:
    assert encode_texts(pa.array([1, None])) == [b"1", None]
    assert encode_texts(pa.array(["ä\n", "", None])) == ["ä\n".encode(), b"", None]
    assert encode_texts(pa.array([b"\xff"])) == [b"\xff"]
    assert encode_texts(pa.array([{"id": 1}])) == [b'{"id":1}']
    assert encode_texts([dt.datetime(2026, 1, 1, tzinfo=UTC), "x", None, {"a": 1}]) == [
        b"2026-01-01T00:00:00Z", b"x", None, b'{"a":1}',
    ]  # fmt: skip


def test_formats_are_named_by_what_can_be_written() -> None:
    assert canonical_format("ndjson") == "json"
    with pytest.raises(UsageError, match="protobuf"):
        canonical_format("protobuf")


def avro(data: Any, schema: Any) -> list[Any]:
    chosen = Chosen("t-value", "AVRO", json.dumps(schema), 1)
    payloads = encode_registered(given(data).rows("avro"), "avro", chosen)
    return [fastavro.schemaless_reader(io.BytesIO(p), schema, None) for p in payloads]


def test_a_derived_avro_schema_holds_every_value() -> None:
    table = pa.table({
        "i": pa.array([1, None], pa.int32()), "l": [2**62, None], "d": pa.array([Decimal("1.23"), None]),
        "t": pa.array([dt.datetime(2026, 1, 1, 0, 0, 0, 123_456, tzinfo=UTC), None], pa.timestamp("ns", "UTC")),
        "s": [{"x": [1.5, None]}, None], "m": pa.array([[("k", "v")], None], pa.map_(pa.string(), pa.string())),
        "b": [b"\x00", None], "day": pa.array([dt.date(2026, 1, 1), None]),
    })  # fmt: skip
    schema = derive(given(table).rows("avro"), "my-topic-value")
    assert schema["name"] == "my_topic"
    assert avro(table, schema) == given(table).rows("avro").records()
    with pytest.raises(UsageError, match="no field named"):
        derive(given([{"a-b": 1}]).rows("avro"), "t-value")


@pytest.mark.parametrize(("row", "column"), [
    ({"a": "x"}, "a"), ({"a": 1, "more": 2}, "more"), ({}, "a"), ({"a": 2**40}, "a"),
    ({"a": 1, "t": dt.datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)}, "t"), ({"a": 1.5}, "a"),
])  # fmt: skip
def test_avro_refuses_what_the_schema_does_not_hold(row: dict[str, Any], column: str) -> None:
    schema = {
        "type": "record", "name": "r", "fields": [
            {"name": "a", "type": "int"},
            {"name": "t", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": None},
        ],
    }  # fmt: skip
    with pytest.raises(Unwritable) as caught:
        avro([{"a": 1}, row], schema)
    assert (caught.value.row, caught.value.column) == (1, column)


def test_a_json_schema_is_held_to() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    chosen = Chosen("t-value", "JSON", json.dumps(schema), 1)
    assert encode_registered(given([{"a": 1}]).rows("json-schema"), "json-schema", chosen) == [b'{"a":1}']
    with pytest.raises(Unwritable) as caught:
        encode_registered(given([{"a": 1}, {"a": "x"}]).rows("json-schema"), "json-schema", chosen)
    assert (caught.value.row, caught.value.column) == (1, "a")


def test_a_change_needs_a_profile_that_allows_it() -> None:
    local, remote = Profile("local"), Profile("team", gateway="http://x:1")
    may_change(local, "delete the topic 'a'", confirmed=False)
    may_change(remote, "delete the topic 'a'", confirmed=True)
    with pytest.raises(ReadOnly, match="not confirmed: delete the topic 'a'") as caught:
        may_change(remote, "delete the topic 'a'", confirmed=False)
    assert "confirm=True" in caught.value.hint
    for profile in (Profile("local", read_only=True), Profile("prod", gateway="http://x:1", read_only=True)):
        with pytest.raises(ReadOnly, match=f"'{profile.name}' is read-only.*delete"):
            may_change(profile, "delete the topic 'a'", confirmed=True)


@pytest.mark.parametrize("name", ["__consumer_offsets", "_schemas", "no/name"])
def test_internal_topics_are_left_alone(name: str) -> None:
    with pytest.raises(UsageError):
        check_not_internal(name, "delete")


def test_bytes_in_json_are_base64() -> None:
    assert base64.b64decode(json.loads(encoded([{"b": b"\x01"}])[0])["b"]) == b"\x01"
