from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.errors import UsageError
from sdp_kernel.kafka.build import Assembly, Reading
from sdp_kernel.kafka.profile import profile
from sdp_kernel.kafka.read import Records
from sdp_kernel.kafka.sample import Sample
from sdp_kernel.notebook import sample_view

START = 1_760_000_000_000


def sampled(
    values: list[bytes | None],
    *,
    keys: list[bytes | None] | None = None,
    partitions: list[int] | None = None,
    times: list[int] | None = None,
) -> Sample:
    count = len(values)
    records = Records(
        values,
        keys or [None] * count,
        [None] * count,
        np.array(partitions or [0] * count, np.int32),
        np.arange(count),
        np.array(times or range(START, START + count), np.int64),
    )
    assembly = Assembly(Reading())
    assembly.add(records)
    built = assembly.finish()
    return Sample("t", built.value_format, built.table, count, count, {0: (0, count)}, built.errors,
                  built.tombstones, key_format=built.key_format, value_bytes=built.value_bytes)  # fmt: skip


def column(sample: Sample, name: str) -> Any:
    return next(c for c in profile(sample).columns if c.name == name)


def test_nulls_distinct_range_and_the_most_frequent() -> None:
    sample = sampled(
        [b'{"a": %d, "s": "x%d", "n": null}' % (i % 4, i % 2) for i in range(9)] + [b'{"s": "z"}']
    )
    a = column(sample, "a")
    assert (a.rows, a.nulls, a.distinct, a.low, a.high) == (10, 1, 4, 0, 3)
    assert a.top[0] == (0, 3)
    s = column(sample, "s")
    assert (s.distinct, s.low, s.high, s.top[0]) == (3, "x0", "z", ("x0", 5))
    assert column(sample, "n").nulls == 10
    assert column(sample, "n").distinct is None


def test_fields_of_structs_have_lines_of_their_own() -> None:
    sample = sampled([b'{"in": {"deep": {"x": %d}}, "list": [1, 2]}' % i for i in range(5)])
    assert column(sample, "in.deep.x").high == 4
    assert column(sample, "list").type.startswith("list")


def test_exact_decimals_and_huge_numbers_stay_exact() -> None:
    sample = sampled([b'{"d": 0.1000000000000000001}', b'{"d": 1234567890.5}'])
    assert str(column(sample, "d").high) == "1234567890.5000000000000000000"


def test_tombstones_and_failures_are_not_nulls() -> None:
    sample = sampled([b'{"a": 1}', None, b"{broken", b'{"a": 2}', b"{other", b'{"a": 3}'])
    p = profile(sample)
    a = column(sample, "a")
    assert (a.rows, a.nulls) == (3, 0)
    assert [(f.offset, f.raw) for f in p.failures] == [(2, b"{broken"), (4, b"{other")]
    assert sum(p.reasons.values()) == 2


def test_keys_partitions_and_sizes() -> None:
    sample = sampled(
        [b'{"a": 1}'] * 6, keys=[b"k", b"k", b"l", None, b"k", b"m"], partitions=[0, 0, 0, 1, 1, 0]
    )
    p = profile(sample)
    assert (p.keys.nulls, p.keys.distinct, p.keys.top[0]) == (1, 3, ("k", 3))
    assert dict(p.partitions) == {0: 4, 1: 2}
    assert p.value_bytes == (8.0, 8, 8)


def test_partitions_without_rows_count_in_the_skew() -> None:
    few = replace(sampled([b"{}"] * 6, partitions=[0] * 6), offsets={0: (0, 6), 1: (0, 0), 2: (4, 4)})
    text = sample_view.profile_bundle(profile(few))[1]
    assert "1 of 3 have rows of the sample, the fullest 3.0 x the mean" in text


def test_lateness_is_counted_within_a_partition() -> None:
    at = [0, 10, 5, 20, 7, 30]
    values = [b'{"event_time": %d}' % (START + 1000 * t) for t in at]
    arrival = [START + 1000 * t + 500 for t in at]
    e = profile(sampled(values, times=arrival)).event_time
    assert e is not None
    assert (e.column, e.looked_at, e.late, e.late_ms[3]) == ("event_time", 6, 2, 13_000)
    assert e.lag_ms == (500, 500, 500, 500)
    assert e.delay == "INTERVAL '30' SECOND"
    apart = sampled(values, partitions=[0, 0, 1, 0, 1, 0], times=arrival)
    assert profile(apart).event_time.late == 0  # type: ignore[union-attr]


def test_the_column_of_event_times_can_be_named() -> None:
    sample = sampled([b'{"x": %d, "s": "a"}' % (START + i) for i in range(3)])
    assert profile(sample, event_time="x").event_time.column == "x"  # type: ignore[union-attr]
    with pytest.raises(UsageError, match="no column 'y'"):
        profile(sample, event_time="y")
    with pytest.raises(UsageError, match="holds no times"):
        profile(sample, event_time="s")


@pytest.mark.parametrize("values", [[], [None], [b""], [b"{}"], [b"[]"], [b"\xff\xfe"], [b"1e400"], [b"NaN"]])
def test_nothing_much_can_be_profiled_and_drawn(values: list[bytes | None]) -> None:
    p = profile(sampled(values))
    markup, text = sample_view.profile_bundle(p)
    assert markup.count("<div") == markup.count("</div>")
    assert text.startswith("t: ")


def test_what_a_topic_holds_cannot_reach_the_page() -> None:
    evil = "<img src=x onerror=alert(1)></script><!--"
    sample = sampled(
        [f'{{"{evil}": "{evil}", "n": {{"{evil}": 1}}}}'.encode(), b"{" + evil.encode()] * 3,
        keys=[evil.encode()] * 6,
    )
    markup, _ = sample_view.profile_bundle(profile(sample))
    assert "<img" not in markup
    assert "</script>" not in markup
    assert "<!--" not in markup
    assert "&lt;img src=x onerror=alert(1)&gt;" in markup


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(
        st.binary(max_size=20) | st.dictionaries(st.text(max_size=4), json_values, max_size=4) | st.none()
    )
)
def test_any_sample_has_a_profile_that_adds_up(items: list[Any]) -> None:
    import json

    sample = sampled([json.dumps(i).encode() if isinstance(i, dict) else i for i in items])
    p = profile(sample)
    sample_view.profile_bundle(p)
    for c in p.columns:
        assert 0 <= c.nulls <= c.rows
        assert sum(n for _, n in c.top) <= c.rows - c.nulls
        if c.distinct is not None:
            assert 1 <= c.distinct <= c.rows - c.nulls
    assert sum(p.partitions.values()) == len(items)
    assert sum(p.times) == len(items)


def test_booleans_binary_and_dates_have_profiles() -> None:
    table = pa.table(
        {
            "b": pa.array([True, False, None]),
            "x": pa.array([b"\x00", b"\x01", b"\x00"]),
            "d": pa.array([1, 2, 3], pa.date32()),
            "t": pa.array([1, 2, 3], pa.time64("us")),
            "e": pa.array(["A", "B", "A"]).dictionary_encode(),
            "_key": pa.nulls(3, pa.string()),
            "_partition": pa.array([0, 0, 0], pa.int32()),
            "_offset": pa.array([0, 1, 2], pa.int64()),
            "_timestamp": pa.array([START] * 3, pa.timestamp("ms", "UTC")),
            "_headers": pa.nulls(3),
        }
    )
    p = profile(Sample("t", "avro", table, 3, 3, {0: (0, 3)}, value_bytes=np.array([1, 2, 3])))
    by_name = {c.name: c for c in p.columns}
    assert by_name["b"].distinct == 2
    assert by_name["x"].top[0] == (b"\x00", 2)
    assert len(by_name["d"].bins) == 24
    assert by_name["t"].bins
    assert by_name["e"].top[0] == ("A", 2)
