"""The stack, topics and peers that several benchmarks use."""

from __future__ import annotations

import json
import random
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from confluent_kafka import Producer

from sdp_kernel.flink.session import Session
from sdp_kernel.local.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = 500_000


@contextmanager
def stack() -> Iterator[Any]:
    """Start the embedded stack in a directory of its own, and stop it."""
    with tempfile.TemporaryDirectory(prefix="sdp-bench-") as directory:
        embedded = Stack(Path(directory))
        try:
            yield embedded.up()
        finally:
            embedded.down(purge=True)


@contextmanager
def kafka() -> Iterator[str]:
    """Start a broker alone; gives its address."""
    with tempfile.TemporaryDirectory(prefix="sdp-bench-") as directory:
        embedded = Stack(Path(directory), components=("kafka",))
        try:
            yield str(embedded.up().kafka)
        finally:
            embedded.down(purge=True)


def produce_trades(bootstrap: str, topic: str, rows: int = ROWS) -> None:
    """Write JSON records of five fields, the same ones each time."""
    producer = Producer(
        {"bootstrap.servers": bootstrap, "linger.ms": 20, "queue.buffering.max.messages": 2_000_000}
    )
    chance = random.Random(7)
    for number in range(rows):
        producer.produce(
            topic,
            json.dumps(
                {
                    "id": number,
                    "symbol": f"S{number % 100}",
                    "price": round(chance.random() * 100, 2),
                    "quantity": chance.randrange(1000),
                    "at": f"2026-01-05T09:{number // 60000 % 60:02d}:{number // 1000 % 60:02d}.{number % 1000:03d}Z",
                }
            ),
        )
        if number % 10_000 == 0:
            producer.poll(0)
    producer.flush()


def trades_ddl(bootstrap: str, topic: str) -> str:
    """Return the CREATE TABLE for those records, bounded at the newest."""
    return f"""CREATE TABLE trades (
      id BIGINT, symbol STRING, price DOUBLE, quantity INT, `at` TIMESTAMP_LTZ(3)
    ) WITH ('connector' = 'kafka', 'properties.bootstrap.servers' = '{bootstrap}', 'topic' = '{topic}',
      'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset', 'format' = 'json',
      'json.timestamp-format.standard' = 'ISO-8601')"""


def session(info: Any) -> Session:
    """Open a session with the stack's gateway."""
    return Session(info.gateway, jobmanager=info.jobmanager, spool=info.state_dir / "spool")
