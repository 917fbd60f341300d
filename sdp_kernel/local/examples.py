"""Example data: a small trading floor, the same on every machine.

Three topics: ``orders`` and ``quotes`` (JSON, keyed by symbol, event times a few seconds out of
order) and ``customers`` (compacted, keyed by customer). Everything comes from one seed and fixed
times, so the outputs in the notebooks can be compared.
"""

from __future__ import annotations

import random
import subprocess
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from sdp_kernel.errors import TopicError
from sdp_kernel.kafka.cluster import Cluster
from sdp_kernel.settings import KafkaCluster

if TYPE_CHECKING:
    from collections.abc import Iterator

_SEED = 20260105
_START = datetime(2026, 1, 5, 9, 0, tzinfo=timezone.utc)
_PRICES = {"ACME": 101.5, "BOLT": 48.2, "CHIP": 212.75, "DYNE": 17.4, "ECHO": 74.0, "FLUX": 133.1}
_COUNTRIES = ("AT", "BR", "CH", "DE", "FR", "GB", "JP", "US")
_FIRST_NAMES = ("Ada", "Björn", "Chidi", "Dara", "Eva", "Farid", "Grace", "Hana", "Iván", "Joon")
_LAST_NAMES = ("Abe", "Brandt", "Costa", "Dubois", "Eze", "Fischer", "Garcia", "Haddad", "Ito")
_TIERS = ("gold", "silver", "silver", "bronze", "bronze", "bronze")
_ODD_CUSTOMER = "<b>Müller & Söhne</b>"  # every front end that shows it has to escape it
_LATE_SHARE = 0.03
#: A topic that does not grow for so long is not being filled.
_SETTLES_S = 2.0
_FLUSH_SECONDS = 60
# The times lie in the past: without this the brokers would delete the records within minutes.
_KEEP = {"retention.ms": "-1"}

_Row = tuple[str, datetime, dict[str, Any]]


def seed(bootstrap: str, *, orders: int = 2000, quotes: int = 3000, customers: int = 100) -> dict[str, int]:
    """Create the example topics and fill those that are empty.

    Parameters
    ----------
    bootstrap
        ``host:port`` of a broker.
    orders, quotes, customers
        Records for each topic.

    Returns
    -------
    dict
        Topic → records it holds now. A topic that has any record is left as it is.

    Raises
    ------
    BrokerUnreachable
        Nobody answers at ``bootstrap``.
    TopicError
        The broker did not take the records.
    """
    cluster = Cluster(KafkaCluster("example", {"bootstrap.servers": bootstrap}))
    cluster.metadata()
    topics = {
        "orders": (3, _KEEP, orders, _orders(orders, customers)),
        "quotes": (2, _KEEP, quotes, _quotes(quotes)),
        "customers": (1, {**_KEEP, "cleanup.policy": "compact"}, customers, _customers(customers)),
    }
    held: dict[str, int] = {}
    for topic, (partitions, config, wanted, rows) in topics.items():
        created = cluster.create_topic(topic, partitions, config)
        there = 0 if created else _held(cluster, topic, wanted)
        held[topic] = there or _send(cluster, topic, partitions, rows)
    return held


def _held(cluster: Cluster, topic: str, wanted: int) -> int:
    """Return how many records a topic has; of one with fewer than ``wanted``, when it grows no more.

    Another process may be filling it just now.
    """
    before = -1
    until = time.monotonic() + _FLUSH_SECONDS
    while True:
        marks = cluster.watermarks(topic, cluster.partitions(topic))
        there = sum(high - low for low, high in marks.values())
        if there >= wanted or there in {0, before} or time.monotonic() > until:
            return there
        before = there
        time.sleep(_SETTLES_S)


def _send(cluster: Cluster, topic: str, partitions: int, rows: Iterator[_Row]) -> int:
    failures: list[str] = []

    def delivered(error: Any, _: Any) -> None:
        if error is not None:
            failures.append(str(error))

    producer = cluster.producer({"linger.ms": 20})
    count = 0
    for key, moment, value in rows:
        producer.produce(
            topic,
            # Not by the key's hash: that leaves a partition empty, which holds back watermarks.
            partition=_place(key) % partitions,
            key=key.encode(),
            value=msgspec.json.encode(value),
            timestamp=int(moment.timestamp() * 1000),
            on_delivery=delivered,
        )
        producer.poll(0)
        count += 1
    waiting = producer.flush(_FLUSH_SECONDS)
    if failures or waiting:
        raise TopicError(
            f"{len(failures) + waiting} of {count} example records did not reach topic {topic!r}",
            hint="see the broker's log",
            detail="\n".join(failures[:3]),
        )
    return count


def _place(key: str) -> int:
    return list(_PRICES).index(key) if key in _PRICES else 0


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _late(rng: random.Random, moment: datetime) -> datetime:
    """Move a few event times back by up to four seconds."""
    if rng.random() < _LATE_SHARE:
        return moment - timedelta(milliseconds=rng.randrange(1000, 4900))
    return moment


def _orders(count: int, customers: int) -> Iterator[_Row]:
    rng = random.Random(_SEED)  # noqa: S311
    prices = dict(_PRICES)
    moment = _START
    for number in range(count):
        moment += timedelta(milliseconds=rng.randrange(100, 1000))
        symbol = rng.choice(list(prices))
        prices[symbol] = max(1.0, prices[symbol] * (1 + rng.gauss(0, 0.001)))
        event = _late(rng, moment)
        yield (
            symbol,
            moment,
            {
                "order_id": 100_001 + number,
                "customer_id": 1 + rng.randrange(max(1, customers)),
                "symbol": symbol,
                "side": rng.choice(("BUY", "SELL")),
                "quantity": 10 * rng.randrange(1, 51),
                "price": round(prices[symbol], 2),
                "event_time": _iso(event),
            },
        )


def _quotes(count: int) -> Iterator[_Row]:
    rng = random.Random(_SEED + 1)  # noqa: S311
    prices = dict(_PRICES)
    moment = _START
    for _ in range(count):
        moment += timedelta(milliseconds=rng.randrange(100, 700))
        symbol = rng.choice(list(prices))
        prices[symbol] = max(1.0, prices[symbol] * (1 + rng.gauss(0, 0.001)))
        event = _late(rng, moment)
        spread = max(0.02, prices[symbol] * 0.0005)
        yield (
            symbol,
            moment,
            {
                "symbol": symbol,
                "bid": round(prices[symbol] - spread / 2, 2),
                "ask": round(prices[symbol] + spread / 2, 2),
                "event_time": _iso(event),
            },
        )


def _customers(count: int) -> Iterator[_Row]:
    rng = random.Random(_SEED + 2)  # noqa: S311
    for number in range(1, count + 1):
        name = f"{rng.choice(_FIRST_NAMES)} {rng.choice(_LAST_NAMES)}"
        yield (
            str(number),
            _START,
            {
                "customer_id": number,
                "name": _ODD_CUSTOMER if number == min(7, count) else name,
                "country": rng.choice(_COUNTRIES),
                "tier": rng.choice(_TIERS),
            },
        )


def repository(path: Path | str = ".sdp/team-repository") -> Path:
    """Make a git repository to try promotion on, unless it is there; returns its path.

    A commit needs an author: where git has none configured, the repository gets one of its own.
    """
    root = Path(path).expanduser().resolve()
    if (root / ".git").exists():
        return root
    root.mkdir(parents=True, exist_ok=True)

    def git(*arguments: str) -> int:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, check=False, capture_output=True).returncode

    git("init", "--quiet", "--initial-branch", "main")
    if git("config", "user.email"):
        git("config", "user.name", "SDP tour")
        git("config", "user.email", "tour@localhost")
    (root / "README.md").write_text("# Streaming jobs of the team\n", encoding="utf-8")
    git("add", "README.md")
    git("commit", "--quiet", "--message", "Begin the team's repository")
    return root
