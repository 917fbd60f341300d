"""``completion``: how long a completion takes in a real kernel, with 200 tables of 50 columns.

From the front end's request to its reply, over places of all kinds; once while the kernel is idle, once
while a cell reads a streaming SELECT. The peer is the gateway's own ``complete-statement``, asked in
the same run for the same places.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from jupyter_client.manager import start_new_kernel

from benchmarks import common
from sdp_kernel.errors import SdpError

TABLES, COLUMNS = 200, 50
REQUESTS = 240
GOAL_MS = 50.0

#: The cursor is at the ``|``; ``#`` is a table's number.
PLACES = (
    "SELECT | FROM table_#",
    "SELECT column_1| FROM table_#",
    "SELECT t.col| FROM table_# AS t JOIN table_1 AS o ON t.column_1 = o.column_1",
    "SELECT a.column_1 FROM table_# AS a JOIN table_1 AS b ON a.column_1 = b.|",
    "SELECT * FROM |",
    "SELECT * FROM table_#|",
    "SELECT * FROM table_# WHERE column_2 > 3 |",
    "WITH big AS (SELECT column_1, column_2 AS two FROM table_#) SELECT | FROM big",
    "SELECT x.| FROM (SELECT * FROM table_# UNION ALL SELECT * FROM table_2) AS x",
    "SELECT * FROM TABLE(TUMBLE(TABLE table_#, DESCRIPTOR(|",
    "INSERT INTO table_1 SELECT COUN| FROM table_#",
    "CREATE TABLE t (a INT) WITH ('connector' = 'kafka', 'topic' = 'a', 'scan|",
    "SELECT * FROM table_# /*+ OPTIONS('|') */",
    "SET 'table.exec|",
    "SEL|",
)

_SET_UP = """%load_ext sdp_kernel
from sdp_kernel.notebook import busy, completion, magics
_shell = get_ipython()
_magics = magics._MAGICS[id(_shell)]
if completion.completer_of(_shell) is None:
    completion.register(_shell, _magics)
assert busy.install(_shell)
_columns = ", ".join(f"column_{n} BIGINT" for n in range(COLUMNS - 1))
_with = "WITH ('connector' = 'datagen', 'rows-per-second' = '1000')"
_ = _magics.workbench.sql(";".join(f"CREATE TABLE table_{n} ({_columns}, stamp AS PROCTIME()) {_with}" for n in range(TABLES)))
assert len(completion.completer_of(_shell)._names.catalog.settle(120).tables) == TABLES
"""


def _places() -> list[tuple[str, int]]:
    """Return texts with cursors, as many as are asked for."""
    found = []
    for number in range(REQUESTS):
        marked = PLACES[number % len(PLACES)].replace("#", str(number % TABLES))
        found.append((marked.replace("|", ""), marked.index("|")))
    return found


def _p95(milliseconds: list[float]) -> float:
    return statistics.quantiles(milliseconds, n=20)[-1]


def _kernel_ms(client: Any) -> list[float]:
    """Ask a kernel for all places; returns how long each took."""
    head = "%%flinksql\n"
    taken = []
    for text, at in _places():
        started = time.perf_counter()
        asked = client.complete(head + text, len(head) + at)
        while True:
            reply = client.get_shell_msg(timeout=60)
            if reply["parent_header"].get("msg_id") == asked:
                break
        taken.append((time.perf_counter() - started) * 1000)
        assert reply["content"]["matches"], text
    return taken


def _gateway_ms(session: Any) -> list[float]:
    """Ask the gateway for all places, in a session with the same tables."""
    columns = ", ".join(f"column_{n} BIGINT" for n in range(COLUMNS - 1))
    for number in range(TABLES):
        session.execute(f"CREATE TABLE table_{number} ({columns}) WITH ('connector' = 'datagen')")
    taken = []
    for text, at in _places():
        started = time.perf_counter()
        try:
            session.gateway.complete(session.handle, text, at)
        except SdpError:
            continue
        finally:
            taken.append((time.perf_counter() - started) * 1000)
    return taken


def _run(client: Any, code: str) -> None:
    reply = client.execute_interactive(code, timeout=300, output_hook=lambda _message: None)["content"]
    assert reply["status"] == "ok", reply


def run() -> list[dict[str, object]]:
    """Time completions on one stack and one kernel."""
    with common.stack() as info, tempfile.TemporaryDirectory() as directory:
        Path(directory, "sdp.toml").write_text(
            f'[profiles.local]\ngateway = "{info.gateway}"\njobmanager = "{info.jobmanager}"\n'
            f'[profiles.local.kafka.main]\n"bootstrap.servers" = "{info.kafka}"\n'
        )
        manager, client = start_new_kernel(kernel_name="python3", cwd=directory, startup_timeout=120)
        try:
            _run(client, f"TABLES, COLUMNS = {TABLES}, {COLUMNS}\n")
            _run(client, _SET_UP)
            idle = _kernel_ms(client)
            cell = client.execute("_magics.workbench.sql('SELECT * FROM table_0', timeout=600)")
            time.sleep(5)
            busy = _kernel_ms(client)
            manager.interrupt_kernel()
            while client.get_shell_msg(timeout=60)["parent_header"].get("msg_id") != cell:
                pass
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
        session = common.session(info)
        peer = _gateway_ms(session)
        session.close()
    return [_row("completion", idle, peer), _row("completion-busy", busy, peer)]


def _row(name: str, taken: list[float], peer: list[float]) -> dict[str, object]:
    p95 = _p95(taken)
    return {
        "name": name,
        "value": round(p95, 1),
        "unit": "ms",
        "goal": f"p95 <= {GOAL_MS:g} ms",
        "holds": p95 <= GOAL_MS,
        "detail": f"median {statistics.median(taken):.1f}, most {max(taken):.1f} of {len(taken)}; "
        f"{TABLES} tables of {COLUMNS} columns; gateway's complete-statement: p95 {_p95(peer):.1f}",
    }


if __name__ == "__main__":
    print(run())
