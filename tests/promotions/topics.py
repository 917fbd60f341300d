"""The topics the queries read: a small shop, the same on every run.

Event times are out of order by less than the watermarks allow, and no two of a topic are the same, so
that every query has one answer however its partitions are read.
"""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

if TYPE_CHECKING:
    from collections.abc import Iterator

_BEGIN = datetime(2026, 1, 5, 9, 0, tzinfo=timezone.utc)
_SKUS = [f"sku-{number}" for number in range(8)]
_CHANNELS = ("web", "web", "app", "shop")
_NOTES = (
    None,
    None,
    "  Gift wrap please ",
    "ring the bell",
    "test order",
    "Gift for two",
    "please ring twice",
)
_ORDERS, _CLICKS, _TICKS = 240, 400, 400

#: A record: key and value as plain values; None for no key, or for a tombstone.
_Record = tuple[Any, Any]


def produce(bootstrap: str, prefix: str) -> None:
    """Make the topics ``PREFIX.orders`` and so on, and write their records."""
    topics = _topics()
    admin = AdminClient({"bootstrap.servers": bootstrap})
    made = admin.create_topics([
        NewTopic(f"{prefix}.{name}", partitions, config={"retention.ms": "-1"})
        for name, (partitions, _) in topics.items()
    ])  # fmt: skip
    for future in made.values():
        future.result(30)
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 20})
    for name, (partitions, records) in topics.items():
        for key, value in records:
            producer.produce(
                f"{prefix}.{name}",
                key=None if key is None else json.dumps(key),
                value=None if value is None else json.dumps(value),
                partition=_place(key) % partitions,
            )
    if producer.flush(30):
        raise RuntimeError("not all records of the corpus reached Kafka")


def _topics() -> dict[str, tuple[int, list[_Record]]]:
    chance = random.Random(40)
    orders = list(_orders(chance))
    return {
        "orders": (2, orders),
        "clicks": (2, list(_clicks(chance))),
        "payments": (1, list(_payments(chance, orders))),
        "shipments": (1, list(_shipments(chance, orders))),
        "ticks": (1, list(_ticks(chance))),
        "customers": (1, list(_customers())),
        "products": (1, [({"sku": sku}, {"sku": sku, "title": f"Product {n}", "category": "ABC"[n % 3]})
                         for n, sku in enumerate(_SKUS)]),
        "stock": (1, list(_stock(chance))),
        "prices": (1, list(_prices(chance))),
        "price_changes": (1, list(_price_changes(chance))),
        "accounts": (1, list(_accounts(chance))),
    }  # fmt: skip


def _place(key: Any) -> int:
    number = next(iter(key.values())) if isinstance(key, dict) else 0
    return number if isinstance(number, int) else 0


def _at(seconds: float) -> str:
    moment = _BEGIN + timedelta(milliseconds=round(seconds * 1000))
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _seconds(text: str) -> float:
    return (datetime.fromisoformat(text.replace("Z", "+00:00")) - _BEGIN).total_seconds()


class _Clock:
    """Event times in about the order of their records: up to three seconds late, each one once."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._given: set[int] = set()

    def at(self, seconds: float) -> str:
        if self._chance.random() < 0.2:
            seconds -= self._chance.random() * 3
        moment = round(seconds * 1000)
        while moment in self._given:
            moment += 1
        self._given.add(moment)
        return _at(moment / 1000)


def _orders(chance: random.Random) -> Iterator[_Record]:
    clock, now = _Clock(chance), 10.0
    for number in range(_ORDERS):
        now += 1 + chance.random() * 4
        sku, customer, quantity = chance.choice(_SKUS), chance.randrange(1, 19), chance.randrange(1, 5)
        yield {"customer_id": customer}, {
            "order_id": 1000 + number, "customer_id": customer, "sku": sku, "quantity": quantity,
            "amount": chance.randrange(4, 300) * quantity / 4, "channel": chance.choice(_CHANNELS),
            "note": chance.choice(_NOTES), "order_time": clock.at(now),
            "items": [{"sku": sku, "quantity": quantity}, *(
                {"sku": other, "quantity": 1} for other in chance.sample(_SKUS, chance.randrange(3)) if other != sku)],
        }  # fmt: skip


def _clicks(chance: random.Random) -> Iterator[_Record]:
    clock, now = _Clock(chance), 5.0
    for _ in range(_CLICKS):
        now += chance.choice((0.3, 0.5, 1.0, 4.0)) + chance.random()
        user = chance.randrange(1, 11)
        context: dict[str, Any] = {
            "device": {"kind": chance.choice(("phone", "desk"))},
            "screen": [chance.choice((390, 1280))],
        }
        if chance.random() < 0.4:
            context["campaign"] = chance.choice(("spring", "it's on"))
        yield {"user_id": user}, {
            "user_id": user, "page": chance.choice(("/", "/cart", "/product", "/help")),
            "context": json.dumps(context) if chance.random() < 0.95 else None, "click_time": clock.at(now),
        }  # fmt: skip


def _payments(chance: random.Random, orders: list[_Record]) -> Iterator[_Record]:
    due = [
        (_seconds(order["order_time"]) + 5 + chance.random() * 240, order)
        for _, order in orders
        for _ in range(chance.choice((0, 1, 1, 1, 2)))
    ]
    clock = _Clock(chance)
    for number, (at, order) in enumerate(sorted(due, key=lambda pair: pair[0])):
        share = chance.choice((order["amount"], order["amount"], 10.25))
        yield None, {"payment_id": 5000 + number, "order_id": order["order_id"], "paid": share,
                     "paid_by": chance.choice(("card", "card", "invoice", "transfer")), "pay_time": clock.at(at)}  # fmt: skip


def _shipments(chance: random.Random, orders: list[_Record]) -> Iterator[_Record]:
    due = sorted(
        (_seconds(order["order_time"]) + 30 + chance.random() * 570, order["order_id"])
        for _, order in orders
        if chance.random() < 0.7
    )
    clock = _Clock(chance)
    for number, (at, order_id) in enumerate(due):
        yield None, {"shipment_id": 8000 + number, "order_id": order_id,
                     "carrier": chance.choice(("north", "south")), "ship_time": clock.at(at)}  # fmt: skip


def _ticks(chance: random.Random) -> Iterator[_Record]:
    clock, now = _Clock(chance), 0.0
    prices = {sku: 40 + 4 * number for number, sku in enumerate(_SKUS)}
    for _ in range(_TICKS):
        now += 0.5 + chance.random() * 2
        sku = chance.choice(_SKUS)
        prices[sku] = max(1, prices[sku] + chance.randrange(-3, 4))
        yield None, {"sku": sku, "price": prices[sku] / 4, "tick_time": clock.at(now)}


def _customers() -> Iterator[_Record]:
    for number in range(1, 25):
        yield {"customer_id": number}, {"customer_id": number, "name": f"Näme {number}", "tier": "bronze",
                                        "country": ("AT", "CH", "DE")[number % 3]}  # fmt: skip
    for number in (3, 7, 20, 3):
        yield {"customer_id": number}, {"customer_id": number, "name": f"Näme {number}", "tier": "gold",
                                        "country": "CH"}  # fmt: skip
    yield {"customer_id": 24}, None


def _stock(chance: random.Random) -> Iterator[_Record]:
    for sku in (*_SKUS[2:], "sku-98", "sku-99", *_SKUS[3:5]):
        yield {"sku": sku}, {"sku": sku, "units": chance.randrange(50)}
    yield {"sku": "sku-98"}, None


def _prices(chance: random.Random) -> Iterator[_Record]:
    now = -300.0
    for sku in _SKUS[1:]:
        now += 1
        yield {"sku": sku}, {"sku": sku, "price": chance.randrange(20, 80) / 4, "valid_from": _at(now)}
    now = 0.0
    while now < 700:
        now += 2 + chance.random() * 20
        sku = chance.choice(_SKUS)
        yield {"sku": sku}, {"sku": sku, "price": chance.randrange(20, 80) / 4, "valid_from": _at(now)}


def _price_changes(chance: random.Random) -> Iterator[_Record]:
    before: dict[str, Any] = {}
    for key, row in _prices(chance):
        sku = key["sku"]
        after = {"sku": sku, "price": row["price"], "changed_at": row["valid_from"]}
        yield (
            key,
            {"before": before.get(sku), "after": after, "op": "u" if sku in before else "c", "ts_ms": 0},
        )
        before[sku] = after


def _accounts(chance: random.Random) -> Iterator[_Record]:
    held: dict[int, Any] = {}
    for _ in range(150):
        number = chance.randrange(1, 21)
        before = held.get(number)
        after = {
            "account_id": number,
            "branch": ("north", "south", "east")[number % 3],
            "balance": chance.randrange(4000) / 4,
        }
        if before is not None and chance.random() < 0.2:
            yield None, {"before": before, "after": None, "op": "d", "ts_ms": 0}
            del held[number]
        else:
            yield None, {"before": before, "after": after, "op": "u" if before else "c", "ts_ms": 0}
            held[number] = after
