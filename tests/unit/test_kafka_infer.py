from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdp_kernel.errors import TopicError, UsageError
from sdp_kernel.kafka.build import Assembly, Reading
from sdp_kernel.kafka.event_time import interval
from sdp_kernel.kafka.infer import identifier, infer_table, table_name
from sdp_kernel.kafka.infer_avro import unreadable
from sdp_kernel.kafka.read import Records
from sdp_kernel.kafka.sample import FIELD, Sample

TOKEN = re.compile(
    r"(?P<comment>--[^\r\n]*)|(?P<name>`(?:[^`\r\n]|``)+`)|(?P<text>'(?:[^']|'')*')"
    r"|(?P<parameter>(?<!\$)\$\{kafka\.[A-Za-z_]\w*\})|(?P<word>[A-Za-z_][A-Za-z_0-9]*|[0-9]+)"
    r"|(?P<punctuation>[(),<>=.*/|-])|(?P<space>\s+)"
)
WORDS = {
    "CREATE",
    "TABLE",
    "WITH",
    "BIGINT",
    "DOUBLE",
    "DECIMAL",
    "BOOLEAN",
    "STRING",
    "BYTES",
    "TIMESTAMP",
    "TIMESTAMP_LTZ",
    "ROW",
    "ARRAY",
    "WATERMARK",
    "FOR",
    "AS",
    "INTERVAL",
    "SECOND",
    "MINUTE",
    "HOUR",
    "DAY",
    "CAST",
    *(
        "INT",
        "MAP",
        "METADATA",
        "FROM",
        "VIRTUAL",
        "TO_TIMESTAMP_LTZ",
        "TO_TIMESTAMP",
        "REPLACE",
        "SUBSTRING",
    ),
    *("CHAR_LENGTH", "RIGHT", "TRY_CAST", "PRIMARY", "KEY", "NOT", "ENFORCED"),
}


def sample_of(
    *values: Any,
    topic: str = "orders",
    format_name: str | None = None,
    keys: list[bytes | None] | None = None,
    headers: list[tuple[str, bytes | None]] | None = None,
) -> Sample:
    raw = [v if v is None or isinstance(v, bytes) else json.dumps(v).encode() for v in values]
    n = len(raw)
    records = Records(
        raw,
        keys or [None] * n,
        [headers] * n,
        np.zeros(n, np.int32),
        np.arange(n, dtype=np.int64),
        np.full(n, 1_767_600_000_000, np.int64),
    )
    assembly = Assembly(Reading(format_name))
    assembly.add(records)
    built = assembly.finish()
    return Sample(
        topic,
        built.value_format,
        built.table,
        100,
        n,
        {0: (0, n)},
        built.errors,
        built.tombstones,
        key_format=built.key_format,
    )


def tokens(ddl: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(ddl):
        match = TOKEN.match(ddl, at)
        assert match, f"a token that is none at {ddl[at : at + 40]!r}"
        assert match.lastgroup is not None
        found.append((match.lastgroup, match[0]))
        at = match.end()
    return found


def types(ddl: str) -> dict[str, str]:
    return dict(re.findall(r"^  `([^`]+)` ([A-Z_]+(?:[(<][^\n]*[)>])?)", ddl, re.MULTILINE))


def test_a_flat_topic_gives_the_table_a_person_would_write() -> None:
    ddl = infer_table(
        sample_of(
            {"id": 1, "price": 1.5, "ok": True, "who": "x", "event_time": "2026-01-05T09:00:03.000Z"},
            {"id": 2, "price": 2, "ok": None, "who": "y", "event_time": "2026-01-05T09:00:00.500Z"},
        ),
        metadata=False,
    ).ddl
    assert ddl.splitlines()[1:] == [
        "CREATE TABLE `orders` (",
        "  `id` BIGINT,",
        "  `price` DOUBLE,",
        "  `ok` BOOLEAN,",
        "  `who` STRING,",
        "  `event_time` TIMESTAMP_LTZ(3),",
        "  -- 1 record of 2 out of order, by at most 2500 ms",
        "  WATERMARK FOR `event_time` AS `event_time` - INTERVAL '5' SECOND",
        ") WITH (",
        "  'connector' = 'kafka',",
        "  ${kafka.main},",
        "  'topic' = 'orders',",
        "  'scan.startup.mode' = 'earliest-offset',",
        "  'properties.group.id' = 'sdp-orders',",
        "  'format' = 'json',",
        "  'json.timestamp-format.standard' = 'ISO-8601'",
        ")",
    ]


def test_nested_values_become_rows_and_arrays() -> None:
    ddl = infer_table(sample_of({"a": {"b": [1], "c": {"d": "x"}}, "e": [], "f": {}, "g": [{"h`": 1.5}]})).ddl
    assert types(ddl)["a"] == "ROW<`b` ARRAY<BIGINT>, `c` ROW<`d` STRING>>"
    assert types(ddl)["e"] == "ARRAY<STRING>"
    assert types(ddl)["f"] == "STRING"
    assert "ARRAY<ROW<`h``` DOUBLE>>" in ddl


def test_digits_demand_a_decimal() -> None:
    assert types(infer_table(sample_of(b'{"a":12345678901234567890.25}')).ddl)["a"] == "DECIMAL(22, 2)"


@pytest.mark.parametrize(
    ("values", "kind", "standard"),
    [
        (["2026-01-05T09:00:00Z"], "TIMESTAMP_LTZ(3)", "ISO-8601"),
        (["2026-01-05T09:00:00"], "TIMESTAMP(3)", "ISO-8601"),
        (["2026-01-05 09:00:00.5"], "TIMESTAMP(3)", "SQL"),
        (["2026-01-05 09:00:00Z"], "TIMESTAMP_LTZ(3)", "SQL"),
        (["2026-01-05T09:00:00.123456Z", None], "TIMESTAMP_LTZ(6)", "ISO-8601"),
        (["2026-01-05T09:00:00Z", "yesterday"], "STRING", None),
        (["2026-01-05T09:00:00Z", "2026-01-05T11:00:00+02:00"], "STRING", None),
        (["2026-01-05T09:00:00Z", "2026-01-05T09:00:00"], "STRING", None),
        (["2026-01-05T09:00:00+01:00"], "STRING", None),
        (["2026-02-30T09:00:00Z"], "STRING", None),
        (["2026-01-05"], "STRING", None),
    ],
)
def test_only_what_flink_reads_becomes_a_timestamp(
    values: list[Any], kind: str, standard: str | None
) -> None:
    ddl = infer_table(sample_of(*({"t": v} for v in values))).ddl
    assert types(ddl)["t"] == kind
    assert (f"'json.timestamp-format.standard' = '{standard}'" in ddl) == (standard is not None)


def test_a_finer_event_time_gets_a_column_a_watermark_can_use() -> None:
    ddl = infer_table(sample_of({"t": "2026-01-05T09:00:00.123456Z"})).ddl
    assert "`t_ms` AS CAST(`t` AS TIMESTAMP_LTZ(3))," in ddl
    assert "WATERMARK FOR `t_ms` AS `t_ms` - INTERVAL '1' SECOND" in ddl


def test_the_lesser_notation_stays_text() -> None:
    ddl = infer_table(sample_of({"a": "2026-01-05T09:00:00Z", "b": "2026-01-05 09:00:00"})).ddl
    assert types(ddl)["a"] == "TIMESTAMP_LTZ(3)"
    assert types(ddl)["b"] == "STRING"
    assert "`b_ts` AS TO_TIMESTAMP(`b`)" in ddl


def test_columns_of_nulls_and_of_mixed_types_say_so() -> None:
    ddl = infer_table(sample_of({"a": None, "b": 1, "c": 1}, {"b": "x", "c": 1})).ddl
    assert "`a` STRING,  -- only nulls in the sample" in ddl
    assert "`b` STRING,  -- values of several types: 1 number, 1 string" in ddl


def test_malformed_records_are_skipped_and_counted() -> None:
    ddl = infer_table(sample_of({"a": 1}, {"a": 1}, {"a": 1}, b"oops", [1])).ddl
    assert "-- 1 malformed, 1 not an object of 5 records: such records are skipped" in ddl
    assert "'json.ignore-parse-errors' = 'true'" in ddl


def test_fields_named_like_metadata_keep_their_name() -> None:
    sample = sample_of({"_key": 1, "_key_": 2, "_offset": 3})
    assert sample.table.column_names[:3] == ["_key__", "_key_", "_offset_"]
    sketch = infer_table(sample)
    assert [(c.name, c.type) for c in sketch.columns[:3]] == [
        ("_key", "BIGINT"), ("_key_", "BIGINT"), ("_offset", "BIGINT")
    ]  # fmt: skip
    assert [c.name for c in sketch.columns[3:]] == ["_partition", "_offset_", "_timestamp"]


def test_text_and_bytes_are_raw() -> None:
    assert types(infer_table(sample_of(b"hello")).ddl)["value"] == "STRING"
    assert types(infer_table(sample_of(b"\x00\x01")).ddl)["value"] == "BYTES"
    assert "'format' = 'raw'" in infer_table(sample_of(b"hello")).ddl


def test_tombstones_point_to_upsert_kafka() -> None:
    assert "upsert-kafka" in infer_table(sample_of({"a": 1}, None)).ddl


def test_an_empty_partition_does_not_hold_back_the_watermark() -> None:
    sample = sample_of({"t": "2026-01-05T09:00:00Z"})
    idle = Sample(sample.topic, sample.format, sample.table, 1, 1, {0: (0, 1), 1: (4, 4)})
    assert "'scan.watermark.idle-timeout' = '30 s'" in infer_table(idle).ddl


def test_an_empty_topic_shows_no_columns() -> None:
    with pytest.raises(TopicError, match="no record"):
        infer_table(sample_of())


@pytest.mark.parametrize(
    "arguments", [{"name": ""}, {"name": " "}, {"name": "a\nb"}, {"alias": "a}'"}, {"startup": "now"}]
)
def test_arguments_that_cannot_be_right_are_refused(arguments: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        infer_table(sample_of({"a": 1}), **arguments)


@pytest.mark.parametrize(
    ("topic", "name"), [("Orders.v1-eu", "Orders_v1_eu"), ("2026.x", "t_2026_x"), ("orders", "orders")]
)
def test_table_names_come_from_topic_names(topic: str, name: str) -> None:
    assert table_name(topic) == name


@pytest.mark.parametrize(
    ("most", "text"),
    [
        (0, "INTERVAL '1' SECOND"),
        (1001, "INTERVAL '2' SECOND"),
        (31_000, "INTERVAL '1' MINUTE"),
        (10**12, "INTERVAL '90' DAY"),
    ],
)
def test_delays_are_round_and_have_two_digits(most: int, text: str) -> None:
    assert interval(most)[1] == text


ODD = st.one_of(
    st.sampled_from(
        ["${x}", "$${x}", "a`b", "a'b", "--", "/*", "*/", "a\nb", ";", "\\", "'; DROP TABLE x; --", "", "`"]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)
VALUES = st.one_of(st.none(), st.integers(), st.booleans(), ODD, st.just("2026-01-05T09:00:00Z"))


@given(
    st.lists(
        st.dictionaries(ODD, VALUES | st.dictionaries(ODD, VALUES, max_size=2), min_size=1, max_size=5),
        min_size=1,
        max_size=3,
    ),
    ODD.filter(lambda n: n.strip() and not re.search("[\r\n\0]", n)),
    st.from_regex(r"[a-zA-Z0-9._-]{1,20}", fullmatch=True),
)
@settings(max_examples=400, deadline=None)
def test_no_name_leaves_its_quotes(objects: list[dict[str, Any]], name: str, topic: str) -> None:
    sketch = infer_table(sample_of(*objects, topic=topic, format_name="json"), name=name)
    found = tokens(sketch.ddl)
    assert {text for kind, text in found if kind == "word" and not text.isdigit()} <= WORDS
    assert [text for kind, text in found if kind == "parameter"] == ["${kafka.main}"]
    assert found[-1] == ("punctuation", ")")
    # What the parameter syntax leaves of the text holds exactly one parameter: the cluster.
    assert re.findall(r"(?<!\$)\$\{[^}]*\}?", re.sub(r"\$\$\{", "", sketch.ddl)) == ["${kafka.main}"]
    assert ("name", identifier(name)) in found


@given(ODD)
def test_identifiers_read_back_as_the_name(name: str) -> None:
    quoted = identifier(name)
    assert quoted[1:-1].replace("$${", "${").replace("``", "`") == name


def note_of(sample: Sample, column: str, **arguments: Any) -> str:
    return next(c.note for c in infer_table(sample, **arguments).columns if c.name == column)


@pytest.mark.parametrize(
    ("field", "value", "expression"),
    [
        ("ts", 1_767_600_000, "TO_TIMESTAMP_LTZ(`ts`, 0)"),
        ("createdAt", 1_767_600_000_000, "TO_TIMESTAMP_LTZ(`createdAt`, 3)"),
        ("time", 1_767_600_000_000_000, "TO_TIMESTAMP_LTZ(`time` / 1000, 3)"),
        ("time", 1_767_600_000_000_000_000, "TO_TIMESTAMP_LTZ(`time` / 1000000, 3)"),
        ("time", 1_767_600_000.25, "TO_TIMESTAMP_LTZ(CAST(`time` * 1000 AS BIGINT), 3)"),
        ("time", "1767600000", "TO_TIMESTAMP_LTZ(TRY_CAST(`time` AS BIGINT), 0)"),
    ],
)
def test_epochs_become_computed_columns_in_their_unit(field: str, value: Any, expression: str) -> None:
    sketch = infer_table(sample_of({field: value}))
    column = next(c for c in sketch.columns if c.name == f"{field}_ltz")
    assert (column.type, column.clause) == ("TIMESTAMP_LTZ(3)", f"AS {expression}")
    assert "its name says so" in column.note
    assert sketch.event_time == f"{field}_ltz"


@pytest.mark.parametrize("field", ["order_id", "amount", "x"])
def test_a_number_in_the_range_of_epochs_is_none_without_a_sign_of_it(field: str) -> None:
    assert infer_table(sample_of({field: 1_767_600_000}, {field: 1_000_000_001})).event_time is None


def test_numbers_that_rise_with_the_offset_near_the_records_time_are_epochs() -> None:
    rising = infer_table(sample_of(*({"x": 1_767_600_000_000 + i} for i in range(9))))
    assert rising.event_time == "x_ltz"
    assert infer_table(sample_of(*({"x": 1_267_600_000_000 + i} for i in range(9)))).event_time is None
    assert infer_table(sample_of(*({"id": 1_767_600_000_000 + i} for i in range(9)))).event_time is None


def test_an_event_time_with_nulls_gets_no_watermark_and_says_why() -> None:
    sketch = infer_table(sample_of({"t": "2026-01-05T09:00:00Z"}, {"t": None}))
    assert sketch.event_time is None
    assert any("null in 1 record" in note for note in sketch.notes)
    whole = infer_table(sample_of({"t": "2026-01-05T09:00:00Z"}, None, b"oops", format_name="json"))
    assert whole.event_time == "t"


def test_objects_with_ever_new_names_are_maps() -> None:
    sample = sample_of(*({"m": {f"k{i}": i}, "r": {"a": i, "b": i}} for i in range(20)))
    found = types(infer_table(sample).ddl)
    assert found["m"] == "MAP<STRING, BIGINT>"
    assert found["r"] == "ROW<`a` BIGINT, `b` BIGINT>"
    assert note_of(sample, "m") == (
        "a map: 20 names in 20 objects, 1.0 in each on average, all values BIGINT"
    )
    mixed = sample_of(*({"m": {f"k{i}": i if i % 2 else "x"}} for i in range(20)))
    assert types(infer_table(mixed).ddl)["m"].startswith("ROW<")


def test_rare_fields_and_shapes_of_records_are_told() -> None:
    sample = sample_of(*({"a": i} | ({"b": 1} if i == 50 else {}) for i in range(60)))
    assert note_of(sample, "b") == "in 1.7 % of the records (1 of 60)"
    versions = sample_of(*({"a": i} | ({"b": 1} if i >= 30 else {}) for i in range(60)))
    assert "2 shapes of record: 30 records without 'b'; 30 records with all" in infer_table(versions).notes


def test_a_structured_key_is_read_by_field_only_where_every_record_has_one() -> None:
    keys = [b'{"id":1}', b'{"id":2}']
    sketch = infer_table(sample_of({"x": 1}, {"x": 2}, keys=keys))
    assert [c.name for c in sketch.columns[:2]] == ["id", "x"]
    assert "'key.format' = 'json',\n  'key.fields' = 'id',\n  'value.fields-include'" in sketch.ddl
    clash = infer_table(sample_of({"id": 1}, {"id": 2}, keys=keys))
    assert [c.name for c in clash.columns[:2]] == ["key_id", "id"]
    assert "'key.fields-prefix' = 'key_'" in clash.ddl
    lost = infer_table(sample_of({"x": 1}, {"x": 2}, keys=[*keys[:1], None]))
    assert (lost.columns[0].name, lost.columns[0].type) == ("_key", "STRING")
    assert "'key.format' = 'raw'" in lost.ddl


def test_a_key_named_like_a_fragment_stays_in_its_quotes() -> None:
    sketch = infer_table(sample_of({"x": 1}, keys=[b'{"${registry.main}":1}']))
    assert "'key.fields' = '$${registry.main}'" in sketch.ddl


def test_headers_are_a_column_only_where_there_are_any() -> None:
    assert "METADATA FROM 'headers'" not in infer_table(sample_of({"a": 1})).ddl
    sample = sample_of({"a": 1}, headers=[("h", b"1"), ("h", b"2")])
    assert note_of(sample, "_headers") == "1 record with a header named twice: a map keeps the last one"


def test_metadata_can_be_left_out() -> None:
    assert "METADATA FROM" not in infer_table(sample_of({"a": 1}), metadata=False).ddl.split("CREATE")[1]


def test_upsert_takes_its_primary_key_from_the_key() -> None:
    sketch = infer_table(sample_of({"a": 1}, None, keys=[b"k", b"k"]), upsert=True)
    assert (sketch.connector, sketch.primary_key) == ("upsert-kafka", ("_key",))
    assert "PRIMARY KEY (`_key`) NOT ENFORCED" in sketch.ddl
    assert "scan.startup.mode" not in sketch.ddl
    assert "key.fields'" not in sketch.ddl


@pytest.mark.parametrize(
    ("keys", "arguments"),
    [(None, {}), ([b"k", None], {}), ([b"k", b"k"], {"startup": "latest-offset"})],
)
def test_upsert_is_refused_where_flink_would_fail(keys: Any, arguments: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        infer_table(sample_of({"a": 1}, {"a": 2}, keys=keys), upsert=True, **arguments)


def test_comments_escape_what_is_not_printable() -> None:
    name = "a\nb\u2028c\u202e${x}"
    ddl = infer_table(sample_of({name: 1, "x": 1})).ddl
    assert "\\u202e" in ddl
    assert "\u2028" not in ddl
    assert not re.search(r"(?<!\$)\$\{x\}", ddl)


def avro_sample(**columns: Any) -> Sample:
    base = sample_of(*([{"a": 1}] * len(next(iter(columns.values())))))
    rest = base.table.drop_columns(["a"])
    fields = [pa.field(n, c.type, metadata={FIELD: n.encode()}) for n, c in columns.items()]
    schema = pa.schema([*fields, *rest.schema])
    table = pa.Table.from_arrays([*columns.values(), *rest.columns], schema=schema)
    return replace(base, format="avro", table=table)


def test_avro_is_read_as_flinks_format_can() -> None:
    sample = avro_sample(
        i=pa.array([1], pa.int32()),
        d=pa.array([1], pa.decimal128(9, 2)),
        at=pa.array([1_767_600_000_000], pa.timestamp("ms", "UTC")),
        micros=pa.array([1_767_600_000_000_000], pa.timestamp("us", "UTC")),
        local=pa.array([1_767_600_000_000], pa.timestamp("ms")),
        m=pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
        n=pa.array([{"t": 1}], pa.struct([("t", pa.timestamp("ms", "UTC"))])),
        e=pa.array(["A"]),
    )
    schema = json.dumps({"type": "record", "name": "R", "fields": [
        {"name": "e", "type": ["null", {"type": "enum", "name": "E", "symbols": ["A"]}]}]})  # fmt: skip
    sketch = infer_table(sample, alias="eu", schema=schema, metadata=False)
    assert [(c.name, c.type) for c in sketch.columns] == [
        ("i", "INT"), ("d", "DECIMAL(9, 2)"), ("at", "TIMESTAMP(3)"), ("micros", "BIGINT"),
        ("local", "TIMESTAMP(3)"), ("m", "MAP<STRING, BIGINT>"), ("n", "ROW<`t` TIMESTAMP(3)>"),
        ("at_ltz", "TIMESTAMP_LTZ(3)"), ("micros_ltz", "TIMESTAMP_LTZ(3)"),
    ]  # fmt: skip
    assert "'avro-confluent.url' = ${registry.eu}" in sketch.ddl
    assert any("'e' (an enum)" in note for note in sketch.notes)
    assert sketch.event_time == "at_ltz"


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ({"type": "fixed", "name": "F", "size": 2}, "fixed"),
        (["null", "int", "string"], "a union"),
        ({"type": "array", "items": {"type": "enum", "name": "E", "symbols": ["A"]}}, "an enum"),
        ({"type": "record", "name": "N", "fields": [{"name": "x", "type": ["int", "string"]}]}, "a union"),
        (["null", "string"], None),
        (["null", "R"], "a recursion"),
        (
            {"type": "record", "name": "R2", "fields": [{"name": "next", "type": ["null", "R2"]}]},
            "a recursion",
        ),
    ],
)
def test_what_avro_confluent_cannot_read_is_known_from_the_schema(kind: Any, why: str | None) -> None:
    schema = json.dumps({"type": "record", "name": "R", "fields": [{"name": "x", "type": kind}]})
    assert unreadable(schema) == ({"x": why} if why else {})


@pytest.mark.parametrize("name", ["a;b", '"', "'a", " a", "a ", "\x1b"])
def test_a_key_whose_fields_cannot_be_listed_stays_whole(name: str) -> None:
    sketch = infer_table(sample_of({"x": 1}, keys=[json.dumps({name: 1}).encode()]))
    assert (sketch.columns[0].name, sketch.columns[0].type) == ("_key", "STRING")
