from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdp_kernel.errors import SettingsError, UsageError
from sdp_kernel.kafka import offsets
from sdp_kernel.kafka.cluster import Cluster, check_topic_name
from sdp_kernel.kafka.offsets import At, Range, further_back, plan
from sdp_kernel.settings import KafkaCluster


class NoCluster:
    def __getattr__(self, name: str) -> Any:
        raise AssertionError("a plan this small asks nothing of the brokers")


def test_tail_takes_the_last_of_each_partition() -> None:
    marks = {0: (0, 1000), 1: (5, 12), 2: (7, 7)}
    assert plan(NoCluster(), "t", marks, 10, "tail") == [Range(0, 990, 1000), Range(1, 5, 12)]


def test_head_stops_by_count_since_offsets_can_have_gaps() -> None:
    assert plan(NoCluster(), "t", {0: (3, 1000)}, 10, "head") == [Range(0, 3, 1000, limit=10)]


@given(
    st.lists(st.lists(st.integers(0, 1000), max_size=60), min_size=2, max_size=5),
    st.integers(1, 40),
    st.booleans(),
)
@settings(deadline=None)
def test_narrowing_by_time_keeps_enough_and_never_more(stamps: list[list[int]], n: int, where: At) -> None:
    partitions = {p: sorted(s) for p, s in enumerate(stamps)}
    tail = where == "tail"
    full = [
        Range(p, max(0, len(s) - n), len(s)) if tail else Range(p, 0, len(s), limit=n)
        for p, s in partitions.items()
        if s
    ]

    def at(ms: int) -> dict[int, int]:
        return {p: next((i for i, t in enumerate(s) if t >= ms), len(s)) for p, s in partitions.items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(offsets, "_SURPLUS", 0)
        cut = offsets._narrow(full, n, where, at)

    def chosen(ranges: list[Range]) -> list[int]:
        times = [t for r in ranges for t in partitions[r.partition][r.start : r.end][: r.limit]]
        return sorted(times)[-n:] if tail else sorted(times)[:n]

    assert chosen(cut) == chosen(full)
    assert sum(map(len, cut)) <= sum(map(len, full))


def test_going_further_back_doubles_and_ends_at_the_low_watermark() -> None:
    marks = {0: (0, 100), 1: (0, 100), 2: (90, 100)}
    back = further_back([Range(0, 90, 100), Range(1, 5, 100), Range(2, 90, 100)], marks)
    assert back == [Range(0, 70, 90), Range(1, 0, 5)]


@pytest.mark.parametrize("name", ["a b", "", ".", "..", "a/b", "ä", "a" * 250, "a\nb", "topic\n", "${x}"])
def test_names_kafka_does_not_allow_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="topic name"):
        check_topic_name(name)


@pytest.mark.parametrize("name", ["a", "A.b_c-1", "a" * 249, "...", "-"])
def test_names_kafka_allows_pass(name: str) -> None:
    assert check_topic_name(name) == name


def test_an_unknown_property_names_the_alias() -> None:
    cluster = Cluster(KafkaCluster("eu", {"bootstrap.servers": "127.0.0.1:1", "no.such": "x"}))
    with pytest.raises(SettingsError, match=r"kafka\.eu"):
        _ = cluster.admin


def test_importing_the_room_loads_no_heavy_module() -> None:
    code = (
        "import sys, sdp_kernel.kafka.cluster, sdp_kernel.kafka.sample, sdp_kernel.kafka.topics, sdp_kernel.kafka.infer;"
        "print([m for m in ('confluent_kafka', 'pyarrow', 'pandas', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
