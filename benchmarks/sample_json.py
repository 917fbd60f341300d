"""``sample-json``: 500,000 JSON messages → DataFrame, against kcat and against a loop by hand.

kcat reads the same messages and writes their bytes to /dev/null: nothing is decoded. It is told how
many there are (``-c``), as it would wait half a second for the end otherwise. The loop is the one
people write: ``consume``, ``json.loads``, ``pandas.DataFrame``.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import time
import uuid
from typing import Any

import pandas as pd
from confluent_kafka import Consumer, TopicPartition

from benchmarks import common
from sdp_kernel.kafka.cluster import Cluster
from sdp_kernel.kafka.sample import sample
from sdp_kernel.settings import KafkaCluster

RUNS = 5
KCAT_GOAL, LOOP_GOAL = 0.55, 2.5
TOPIC = "trades"


def _by_hand(bootstrap: str) -> float:
    started = time.perf_counter()
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex})
    consumer.assign([TopicPartition(TOPIC, 0, 0)])
    rows: list[Any] = []
    while len(rows) < common.ROWS:
        for message in consumer.consume(1000, timeout=1.0):
            if message.error() is None:
                rows.append(json.loads(message.value() or b"null"))  # noqa: PERF401 - as people write it
    frame = pd.DataFrame(rows)
    consumer.close()
    assert len(frame) == common.ROWS
    return time.perf_counter() - started


def _kcat(bootstrap: str) -> float | None:
    executable = shutil.which("kcat") or shutil.which("kafkacat")
    if executable is None:
        return None
    command = [executable, "-C", "-q", "-b", bootstrap, "-t", TOPIC, "-p", "0", "-o", "beginning"]
    started = time.perf_counter()
    subprocess.run([*command, "-c", str(common.ROWS)], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def run() -> list[dict[str, object]]:
    """Time the three in turn on one broker."""
    with common.kafka() as bootstrap:
        common.produce_trades(bootstrap, TOPIC)
        cluster = Cluster(KafkaCluster("main", {"bootstrap.servers": bootstrap}))
        len(sample(cluster, TOPIC, n=common.ROWS).df)
        ours, loops, kcats = [], [], []
        for _ in range(RUNS):
            started = time.perf_counter()
            assert len(sample(cluster, TOPIC, n=common.ROWS).df) == common.ROWS
            ours.append(time.perf_counter() - started)
            loops.append(_by_hand(bootstrap))
            kcats.append(_kcat(bootstrap))
    mine = statistics.median(ours)
    loop = statistics.median(ratio / own for ratio, own in zip(loops, ours, strict=True))
    rows: list[dict[str, object]] = [
        {
            "name": "sample-json loop",
            "value": round(loop, 1),
            "unit": "x",
            "goal": f">= {LOOP_GOAL:g} x the loop by hand",
            "holds": loop >= LOOP_GOAL,
            "detail": f"{mine:.2f} s against {statistics.median(loops):.2f} s; {common.ROWS:,} messages",
        }
    ]
    times = [seconds for seconds in kcats if seconds is not None]
    raw = statistics.median(k / o for k, o in zip(times, ours, strict=True)) if times else None
    return [
        *rows,
        {
            "name": "sample-json kcat",
            "value": round(raw, 2) if raw is not None else "not measured",
            "unit": "x" if raw is not None else "",
            "goal": f">= {KCAT_GOAL:g} x kcat's raw rate",
            "holds": raw is not None and raw >= KCAT_GOAL,
            "detail": f"{mine:.2f} s against {statistics.median(times):.2f} s, {RUNS} rounds"
            if times
            else "kcat is not installed; Debian has it in the package kcat",
        },
    ]


if __name__ == "__main__":
    print(run())
