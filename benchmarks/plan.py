"""``plan``: how long the plan of a promotion takes to build, for a job that reads ten tables by five views.

From the call on a query that has run to the plan, with its slice, proof, lint, receipt and files. Beside it
what Flink itself takes to explain the same INSERT in a session that has all tables.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from confluent_kafka import Producer

import sdp_kernel
from benchmarks import common

if TYPE_CHECKING:
    from sdp_kernel.workbench import Workbench

TABLES, VIEWS = 10, 5
WARM_UP, RUNS = 5, 7
GOAL_S = 1.5


def _declarations() -> str:
    tables = [
        f"""CREATE TABLE part_{n} (id BIGINT, price DOUBLE) WITH ('connector' = 'kafka', ${{kafka.main}},
          'topic' = 'part-{n}', 'format' = 'json', 'scan.startup.mode' = 'earliest-offset',
          'scan.bounded.mode' = 'latest-offset')"""
        for n in range(TABLES)
    ]
    views = [
        f"CREATE TEMPORARY VIEW pair_{n} AS SELECT a.id, a.price + b.price AS price "
        f"FROM part_{2 * n} AS a JOIN part_{2 * n + 1} AS b ON a.id = b.id"
        for n in range(VIEWS)
    ]
    return ";\n".join([*tables, *views])


def _select() -> str:
    joined = " ".join(f"JOIN pair_{n} ON pair_{n}.id = pair_0.id" for n in range(1, VIEWS))
    total = " + ".join(f"pair_{n}.price" for n in range(VIEWS))
    return f"SELECT pair_0.id, {total} AS total FROM pair_0 {joined}"


def _project(directory: str, gateway: str, jobmanager: str, bootstrap: str) -> Path:
    root = Path(directory)
    (root / "sdp.toml").write_text(
        f'[profiles.local]\ngateway = "{gateway}"\njobmanager = "{jobmanager}"\n'
        f'[profiles.local.kafka.main]\n"bootstrap.servers" = "{bootstrap}"\n'
    )
    for words in (
        ["init", "-q", "-b", "main"], ["config", "user.name", "Ada"], ["config", "user.email", "ada@example.com"],
        ["config", "commit.gpgsign", "false"], ["add", "-A"], ["commit", "-q", "-m", "Begin"],
    ):  # fmt: skip
        subprocess.run(["git", *words], cwd=root, check=True)
    return root


def _produce(bootstrap: str) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    for n in range(TABLES):
        for number in range(20):
            producer.produce(f"part-{n}", json.dumps({"id": number, "price": number / 4}))
    producer.flush()


def _plan_s(workbench: Workbench) -> float:
    started = time.perf_counter()
    plan = workbench.promote("joined", job="joined", to="joined-out")
    taken = time.perf_counter() - started
    assert sum(file.path.startswith("sql/tables/part_") for file in plan.files) == TABLES
    assert sum(file.path.startswith("sql/views/pair_") for file in plan.files) == VIEWS
    assert plan.receipt["plan"]["compiled"] is not None
    return taken


def _explain_s(workbench: Workbench) -> float:
    started = time.perf_counter()
    workbench.session.runner().text(f"EXPLAIN CHANGELOG_MODE {_select()}")
    return time.perf_counter() - started


def run() -> list[dict[str, object]]:
    """Build the plan again and again, in turn with Flink's own EXPLAIN."""
    with common.stack() as info, tempfile.TemporaryDirectory() as directory:
        _produce(info.kafka)
        root = _project(directory, info.gateway, info.jobmanager, info.kafka)
        with sdp_kernel.connect("local", directory=root) as workbench:
            workbench.sql(_declarations())
            workbench.sql(_select(), name="joined", timeout=120, limit=20)
            for _ in range(WARM_UP):
                _plan_s(workbench)
                _explain_s(workbench)
            pairs = [(_plan_s(workbench), _explain_s(workbench)) for _ in range(RUNS)]
    plan, explain = (statistics.median(column) for column in zip(*pairs, strict=True))
    return [
        {
            "name": "plan",
            "value": round(plan, 2),
            "unit": "s",
            "goal": f"<= {GOAL_S:g} s",
            "holds": plan <= GOAL_S,
            "detail": f"{TABLES} tables, {VIEWS} views, compiled plan and receipt; most {max(p for p, _ in pairs):.2f} s "
            f"of {RUNS}; one EXPLAIN of the query {explain:.2f} s",
        }
    ]


if __name__ == "__main__":
    print(run())
