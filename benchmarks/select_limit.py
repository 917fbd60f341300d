"""``select-limit``: 500,000 JSON rows from Kafka into a DataFrame, against the engine's own limit.

Both run in batch mode, as ``--batch`` does. That limit is the same query as an INSERT into a blackhole table, on the same cluster, in turn with
ours. Both are counted from the call on: ours to the DataFrame, the INSERT to the end that the
JobManager names (asking for it is no part of it: the JobManager answers with a state up to three
seconds old).
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

import httpx

from benchmarks import common
from benchmarks.select_bounded import _to_pandas

if TYPE_CHECKING:
    from sdp_kernel.flink.session import Session

PAIRS = 7
PEERS = 3
WARM_UP = 3
GOAL_PANDAS, GOAL_LIMIT = 10.0, 1.8
SELECT = "SELECT * FROM trades"
BATCH = {"execution.runtime-mode": "batch"}
SINK = """CREATE TABLE nowhere (
  id BIGINT, symbol STRING, price DOUBLE, quantity INT, `at` TIMESTAMP_LTZ(3)
) WITH ('connector' = 'blackhole')"""


def _blackhole(session: Session, jobmanager: str) -> float:
    """Return the seconds from the call to the end of the job."""
    started = time.time()
    query = session.execute(f"INSERT INTO nowhere {SELECT}", config=BATCH)
    while True:
        time.sleep(0.25)
        job: dict[str, Any] = httpx.get(f"{jobmanager}/jobs/{query.job_id}", trust_env=False).json()
        if job["state"] == "FINISHED":
            return float(job["end-time"]) / 1000 - started
        assert job["state"] in {"INITIALIZING", "CREATED", "RUNNING"}, job["state"]


def _ours(session: Session) -> float:
    started = time.time()
    assert len(session.execute(SELECT, config=BATCH).df) == common.ROWS
    return time.time() - started


def run() -> list[dict[str, object]]:
    """Time both in turn on one stack, then PyFlink in turn with ours."""
    with common.stack() as info:
        common.produce_trades(info.kafka, "trades")
        ddl = common.trades_ddl(info.kafka, "trades")
        session = common.session(info)
        session.execute(f"{ddl};\n{SINK}")
        for _ in range(WARM_UP):
            _blackhole(session, info.jobmanager)
            _ours(session)
        pairs = [(_ours(session), _blackhole(session, info.jobmanager)) for _ in range(PAIRS)]
        rates = [(common.ROWS / _ours(session), _to_pandas(info, ddl)) for _ in range(PEERS)]
        session.close()
    limit = statistics.median(ours / blackhole for ours, blackhole in pairs)
    faster = statistics.median(ours / peer for ours, peer in rates)
    ours, blackhole = (statistics.median(column) for column in zip(*pairs, strict=True))
    rate, peer = (statistics.median(column) for column in zip(*rates, strict=True))
    return [
        {
            "name": "select-limit",
            "value": round(limit, 2),
            "unit": "x",
            "goal": f"<= {GOAL_LIMIT:g} x the same query into a blackhole",
            "holds": limit <= GOAL_LIMIT,
            "detail": f"{ours:.2f} s against {blackhole:.2f} s from the call to the job's end; "
            f"{common.ROWS:,} rows, {PAIRS} pairs",
        },
        {
            "name": "select-limit pandas",
            "value": round(faster, 1),
            "unit": "x",
            "goal": f">= {GOAL_PANDAS:g} x to_pandas()",
            "holds": faster >= GOAL_PANDAS,
            "detail": f"{rate:,.0f} rows/s against {peer:,.0f}; {PEERS} pairs",
        },
    ]


if __name__ == "__main__":
    print(run())
