"""Which records a sample is made of: at random, by time, offset, key, condition; and following."""

from __future__ import annotations

import itertools
import json
import signal
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from sdp_kernel.errors import UsageError
from sdp_kernel.kafka.follow import follow
from sdp_kernel.kafka.sample import sample
from sdp_kernel.kafka.selection import Selection

if TYPE_CHECKING:
    from sdp_kernel.kafka.cluster import Cluster

pytestmark = pytest.mark.stack

START = 1_760_000_000_000


@pytest.fixture
def empty(cluster: Cluster) -> str:
    name = f"sel-{uuid.uuid4().hex[:12]}"
    cluster.create_topic(name, 2, exist_ok=False)
    return name


@pytest.fixture(scope="module")
def topic(cluster: Cluster) -> str:
    """30,000 records in 3 partitions; record i has time START + i seconds and key k(i % 7)."""
    name = f"sel-{uuid.uuid4().hex[:12]}"
    cluster.create_topic(name, 3, exist_ok=False)
    send(cluster, name, range(30_000))
    return name


def send(cluster: Cluster, topic: str, numbers: Any, partitions: int = 3) -> None:
    producer = cluster.producer({"queue.buffering.max.messages": 1_000_000})
    for i in numbers:
        value = json.dumps({"i": i, "half": i / 2, "name": None if i % 3 else f"n{i}", "in": {"a": i % 10}})
        producer.produce(topic, value, f"k{i % 7}", i % partitions, timestamp=START + 1000 * i)
    assert producer.flush(30) == 0


def numbers(got: Any) -> list[int]:
    found: list[int] = got.table["i"].to_pylist()
    return found


def test_random_is_uniform_over_the_offsets(cluster: Cluster, topic: str) -> None:
    seen = [i for seed in range(20) for i in numbers(sample(cluster, topic, n=300, at="random", seed=seed))]
    assert len(seen) == 20 * 300
    tenths = [sum(k * 3000 <= i < (k + 1) * 3000 for i in seen) for k in range(10)]
    assert min(tenths) > 480
    assert max(tenths) < 720
    assert all(1800 < sum(i % 3 == p for i in seen) < 2200 for p in range(3))


def test_random_has_no_record_twice_and_can_be_repeated(cluster: Cluster, topic: str) -> None:
    first = sample(cluster, topic, n=1000, at="random", seed=4)
    assert len(set(numbers(first))) == len(first) == 1000
    assert numbers(sample(cluster, topic, n=1000, at="random", seed=4)) == numbers(first)
    assert numbers(sample(cluster, topic, n=1000, at="random", seed=5)) != numbers(first)
    assert first.read < 10_000
    assert numbers(first) == sorted(numbers(first))  # by time


def test_random_of_more_than_there_is_gives_everything(cluster: Cluster, topic: str) -> None:
    assert numbers(sample(cluster, topic, n=50_000, at="random")) == list(range(30_000))


def test_a_time_window(cluster: Cluster, topic: str) -> None:
    got = sample(cluster, topic, n=1000, since=START + 5_000_000, until=START + 5_010_000)
    assert numbers(got) == list(range(5000, 5010))
    assert got.read == 10
    head = sample(cluster, topic, n=3, at="head", since=START + 29_990_500)
    assert numbers(head) == [29_991, 29_992, 29_993]
    assert numbers(sample(cluster, topic, n=2, until=START + 10_000)) == [8, 9]
    assert len(sample(cluster, topic, n=2, since=START + 40_000_000)) == 0
    picked = sample(cluster, topic, n=5, at="random", since=START, until=START + 100_000, seed=1)
    assert len(picked) == 5
    assert max(numbers(picked)) < 100


def test_a_partition_and_an_offset(cluster: Cluster, topic: str) -> None:
    got = sample(cluster, topic, n=4, partitions=[1], offset=100)
    assert got.table["_partition"].to_pylist() == [1] * 4
    assert got.table["_offset"].to_pylist() == [100, 101, 102, 103]
    assert sample(cluster, topic, n=9, partitions=[2], offset=-3).table["_offset"].to_pylist() == [
        9997,
        9998,
        9999,
    ]
    with pytest.raises(UsageError, match="no partition 3, 9") as error:
        sample(cluster, topic, partitions=[0, 3, 9])
    assert "0 to 2" in str(error.value)
    with pytest.raises(UsageError, match="belongs to one partition"):
        sample(cluster, topic, offset=3)


def test_a_key(cluster: Cluster, topic: str) -> None:
    got = sample(cluster, topic, n=5, key="k3")
    assert numbers(got) == [i for i in range(30_000) if i % 7 == 3][-5:]
    assert set(got.table["_key"].to_pylist()) == {"k3"}
    assert len(sample(cluster, topic, n=5, key="none such")) == 0


def test_a_condition_reads_until_enough_are_found(cluster: Cluster, topic: str) -> None:
    head = sample(cluster, topic, n=3, at="head", where="i % 100 = 7")
    assert numbers(head) == [7, 107, 207]
    assert head.complete
    tail = sample(cluster, topic, n=3, where="i % 100 = 7")
    assert numbers(tail) == [29_707, 29_807, 29_907]
    far = sample(cluster, topic, n=2, where="i < 5 AND name IS NOT NULL")
    assert numbers(far) == [0, 3]
    assert far.read == 30_000


def test_a_condition_met_early_leaves_the_rest_unread(cluster: Cluster, empty: str) -> None:
    send(cluster, empty, range(40_000), partitions=1)
    assert sample(cluster, empty, n=3, at="head", where="i > 10").read <= 10_000
    assert sample(cluster, empty, n=3, where="i > 10").read <= 20_000


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ('"in".a = 3', 3000),
        ("_partition = 1 AND _offset < 10", 10),
        ("_key = 'k0' AND i < 70", 10),
        ("_timestamp >= '2025-10-09' AND i < 70", 70),
        ("name LIKE 'n29%'", 369),
        ("half > 14999", 1),
        ("name IS NULL AND i < 9", 6),
    ],
)
def test_conditions_over_fields_keys_times_and_places(
    cluster: Cluster, topic: str, where: str, count: int
) -> None:
    assert len(sample(cluster, topic, n=30_000, where=where)) == count


def test_a_condition_that_fits_nothing_is_told_with_the_columns(cluster: Cluster, topic: str) -> None:
    with pytest.raises(UsageError, match="nope") as error:
        sample(cluster, topic, where="nope > 3")
    assert "i, half, name, in" in str(error.value)
    with pytest.raises(UsageError, match="cannot be read"):
        sample(cluster, topic, where="i >")


def test_a_condition_that_fails_on_every_value_is_told(cluster: Cluster, topic: str) -> None:
    with pytest.raises(UsageError, match="Could not convert") as error:
        sample(cluster, topic, where="CAST(_key AS INTEGER) > 3")
    assert "fits no record" in str(error.value)
    some = sample(cluster, topic, n=9, where="CAST(CASE WHEN i < 9 THEN '1' ELSE _key END AS INTEGER) = 1")
    assert sorted(numbers(some)) == list(range(9))
    assert not len(sample(cluster, topic, where="CAST(i AS VARCHAR) = 'x'"))


def test_the_format_is_that_of_the_topic_not_of_what_is_left(cluster: Cluster, empty: str) -> None:
    producer = cluster.producer()
    for i in range(9):
        producer.produce(empty, f"word {i}", b"k", 0, timestamp=START + i)
    producer.produce(empty, b'{"i": 1}', b"k", 0, timestamp=START + 9)
    assert producer.flush(30) == 0
    got = sample(cluster, empty, where="value LIKE '{%'")
    assert (got.format, got.table["value"].to_pylist()) == ("text", ['{"i": 1}'])


@pytest.mark.parametrize(
    "where",
    [
        "i IN (SELECT 1)",
        "read_text('/etc/hostname') IS NULL",
        "1 = 1; COPY (SELECT 1) TO '/tmp/sdp-where'",
        "EXISTS (FROM read_csv('/etc/passwd'))",
    ],
)
def test_a_condition_cannot_reach_beyond_the_record(cluster: Cluster, topic: str, where: str) -> None:
    try:
        got = sample(cluster, topic, n=5, where=where)
    except UsageError:
        return
    assert all(name in got.table.column_names for name in ("i", "_key"))
    assert "/etc" not in where


def test_progress_is_told_while_reading(cluster: Cluster, topic: str) -> None:
    told: list[Any] = []
    sample(cluster, topic, n=5, where="i < 3", on_progress=told.append)
    assert told[0].most == 30_000
    assert all(a.read <= b.read for a, b in itertools.pairwise(told))


def test_an_interrupt_keeps_what_came(cluster: Cluster, topic: str) -> None:
    def stop(_progress: Any) -> None:
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a run in the background ignores it
    try:
        got = sample(cluster, topic, n=30_000, at="head", on_progress=stop)
    finally:
        signal.signal(signal.SIGINT, before)
    assert got.stopped == "interrupted"
    assert not got.complete
    assert 0 < len(got) < 30_000


def test_a_size_limit_ends_reading(cluster: Cluster, empty: str) -> None:
    producer = cluster.producer()
    for _ in range(2000):
        producer.produce(empty, b'{"a": "' + b"x" * 2000 + b'"}')
    producer.flush(20)
    got = sample(cluster, empty, n=2000, at="head", max_bytes=200_000)
    assert got.stopped == "size limit"
    assert 0 < len(got) < 2000


def test_a_sample_is_masked_before_a_condition_sees_it(cluster: Cluster, topic: str) -> None:
    def hide(table: Any) -> Any:
        import pyarrow as pa

        if "name" not in table.column_names:
            return table
        at = table.column_names.index("name")
        return table.set_column(at, "name", pa.nulls(len(table), pa.string()))

    assert len(sample(cluster, topic, n=10, where="name IS NOT NULL", mask=hide)) == 0
    assert sample(cluster, topic, n=10, mask=hide).table["name"].null_count == 10


def test_follow_shows_what_comes_and_keeps_the_newest(cluster: Cluster, empty: str) -> None:
    send(cluster, empty, range(5), partitions=2)
    writer = threading.Thread(target=_write_later, args=(cluster, empty))
    states: list[Any] = []

    def update(following: Any) -> None:
        if not states:
            writer.start()
        states.append(following)

    got = follow(cluster, empty, Selection(4, where="i % 2 = 0"), seconds=4.0, on_update=update)
    writer.join()
    assert numbers(got) == [22, 24, 26, 28]
    assert (states[-1].seen, states[-1].found) == (20, 10)
    assert len(states) < 25
    assert states[0].seen == 0


def _write_later(cluster: Cluster, topic: str) -> None:
    send(cluster, topic, range(10, 20), partitions=2)
    time.sleep(0.3)
    send(cluster, topic, range(20, 30), partitions=2)


def test_follow_begins_at_the_end_only(cluster: Cluster, empty: str) -> None:
    with pytest.raises(UsageError, match="begins at the end"):
        follow(cluster, empty, Selection(4, at="head"))
    assert len(follow(cluster, empty, Selection(4), seconds=0.3)) == 0
