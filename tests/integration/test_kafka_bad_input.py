"""Whatever a topic holds, a sample of it comes back, and a bad record is a row of its own."""

from __future__ import annotations

import json
import os
import signal
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from sdp_kernel.errors import BrokerUnreachable
from sdp_kernel.kafka.cluster import Cluster
from sdp_kernel.kafka.decode import FORMATS
from sdp_kernel.kafka.infer import infer_table
from sdp_kernel.kafka.profile import profile
from sdp_kernel.kafka.sample import sample
from sdp_kernel.kafka.topics import list_topics
from sdp_kernel.local import processes
from sdp_kernel.local.stack import Stack
from sdp_kernel.notebook import sample_view
from sdp_kernel.settings import KafkaCluster
from tests.corpus import BAD_JSON, GOOD

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.stack


def topic_of(cluster: Cluster, *values: bytes | None, key: bytes | None = None, **config: str) -> str:
    name = f"bad-{uuid.uuid4().hex[:12]}"
    cluster.create_topic(name, config={k.replace("_", "."): v for k, v in config.items()}, exist_ok=False)
    producer = cluster.producer({"message.max.bytes": 30_000_000})
    for value in values:
        producer.produce(name, value, key)
    assert producer.flush(60) == 0
    return name


@pytest.fixture(scope="module")
def mixed(cluster: Cluster) -> str:
    """Every bad record with a good one before it, and many good ones: the topic is JSON."""
    records = [value for bad, _ in BAD_JSON.values() for value in (GOOD, bad)]
    return topic_of(cluster, *records, *[GOOD] * len(records))


@pytest.mark.parametrize("name", BAD_JSON)
def test_a_bad_record_leaves_its_neighbours_as_they_are(cluster: Cluster, name: str) -> None:
    value, unreadable = BAD_JSON[name]
    got = sample(cluster, topic_of(cluster, GOOD, value, GOOD, GOOD, GOOD), format="json")
    assert len(got) == 5
    assert got.errors == int(unreadable)
    good = [row for i, row in enumerate(got.table.to_pylist()) if i != 1]
    assert all(json.loads(_json(row)) == {"id": 1, "name": "a"} for row in good)
    if unreadable:
        assert got.table["_raw"][1].as_py() == value
        assert got.table["_error"][1].as_py()
    sample_view.profile_bundle(profile(got))
    assert infer_table(got, name="t", alias="main").ddl


def _json(row: dict[str, Any]) -> str:
    """Return a good record's fields, where a neighbour has made text of numbers, or of the whole."""
    if "id" not in row:
        return str(row["value"])
    number = row["id"] if not isinstance(row["id"], str) else json.loads(row["id"])
    name = row["name"]
    if isinstance(name, str) and name.startswith('"'):
        name = json.loads(name)
    return json.dumps({"id": int(number), "name": name})


@pytest.mark.parametrize("name", [None, *FORMATS])
def test_all_of_them_at_once_in_any_format(cluster: Cluster, mixed: str, name: str | None) -> None:
    got = sample(cluster, mixed, n=1000, format=name)
    offsets = set(got.table["_offset"].to_pylist())
    assert offsets == set(range(4 * len(BAD_JSON)))
    assert got.complete
    markup, _ = sample_view.profile_bundle(profile(got))
    assert "<script>" not in markup
    assert "<img" not in markup
    sketch = infer_table(got, name="t", alias="main")
    assert "DROP TABLE t; --" not in sketch.ddl.replace("``; DROP TABLE t; --", "")


def test_the_majority_tells_the_format(cluster: Cluster, mixed: str) -> None:
    got = sample(cluster, mixed, n=1000)
    assert got.format == "json"
    assert got.errors == sum(unreadable for _, unreadable in BAD_JSON.values())


def test_terminal_escapes_do_not_reach_the_terminal(cluster: Cluster) -> None:
    name = topic_of(cluster, BAD_JSON["terminal escapes"][0])
    _, text = sample_view.profile_bundle(profile(sample(cluster, name)))
    assert "\x1b" not in text
    assert "\x07" not in text


def test_messages_of_20_megabytes(cluster: Cluster) -> None:
    value = b'{"a": "' + b"x" * (20 << 20) + b'"}'
    name = topic_of(cluster, GOOD, value, GOOD, max_message_bytes="26214400")
    got = sample(cluster, name)
    assert [v and len(v) for v in got.table["a"].to_pylist()] == [None, 20 << 20, None]
    assert len(sample_view.profile_bundle(profile(got))[0]) < 100_000
    few = sample(cluster, name, at="head", max_bytes=1 << 20)
    assert (len(few), few.stopped) == (1, "size limit")


def test_compacted_and_transactional_topics_and_their_gaps(stack: Any, cluster: Cluster) -> None:
    from confluent_kafka import Producer

    name = topic_of(cluster)
    producer = Producer({"bootstrap.servers": stack.kafka, "transactional.id": uuid.uuid4().hex})
    producer.init_transactions(20)
    for round_ in range(6):
        producer.begin_transaction()
        for i in range(3):
            producer.produce(name, json.dumps({"round": round_, "i": i}).encode())
        producer.flush(20)
        if round_ % 2:
            producer.abort_transaction(20)
        else:
            producer.commit_transaction(20)
    for at in ("tail", "head", "random"):
        got = sample(cluster, name, n=100, at=at)  # type: ignore[arg-type]
        assert sorted(got.table["round"].to_pylist()) == [0] * 3 + [2] * 3 + [4] * 3
    assert sample(cluster, name, n=4).table["round"].to_pylist() == [2, 4, 4, 4]
    producer.begin_transaction()
    for _ in range(20):
        producer.produce(name, b"taken back")
    producer.flush(20)
    producer.abort_transaction(20)
    (line,) = list_topics(cluster, pattern=name)
    assert line.format == "json"  # the newest offsets hold only what was taken back


def test_keys_that_cannot_be_read_are_told_apart_from_values(cluster: Cluster) -> None:
    got = sample(cluster, topic_of(cluster, GOOD, key=b"\xff{"), key_format="json")
    assert got.table["id"].to_pylist() == [1]
    assert got.table["_error"][0].as_py().startswith("key: ")
    assert got.table["_raw"][0].as_py() is None


@pytest.fixture
def own(tmp_path: Path) -> Any:
    stack = Stack(tmp_path, components=("kafka",))
    info = stack.up()
    yield stack, Cluster(KafkaCluster("main", {"bootstrap.servers": str(info.kafka)}))
    stack.down(purge=True)


def test_a_broker_that_goes_away_in_the_middle(own: Any) -> None:
    stack, cluster = own
    cluster.create_topic("t", exist_ok=False)
    producer = cluster.producer({"queue.buffering.max.messages": 2_000_000})
    for i in range(600_000):
        producer.produce("t", b'{"i": %d, "pad": "%s"}' % (i, b"x" * 200))
        if i % 50_000 == 0:
            producer.poll(0)
    assert producer.flush(60) == 0
    killed = False

    def kill(_progress: Any) -> None:
        nonlocal killed
        if not killed:
            killed = True
            record = processes.recorded(stack.layout.run)["kafka"]
            os.kill(record.pid, signal.SIGKILL)

    started = time.monotonic()
    got = sample(cluster, "t", n=600_000, at="head", where="i >= 0", timeout=3, on_progress=kill)
    assert killed
    assert got.stopped == "time-out"
    assert 0 < len(got) < 600_000
    assert got.table["i"].to_pylist() == list(range(len(got)))
    assert time.monotonic() - started < 60
    with pytest.raises(BrokerUnreachable, match="'main'"):
        sample(cluster, "t", timeout=1)
