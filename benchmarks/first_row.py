"""``first-row``: a SELECT's first row through a session, against a bare REST client."""

from __future__ import annotations

import statistics
import time

import httpx

from benchmarks import common

RUNS = 9
GOAL = 1.3
SQL = "SELECT * FROM trades /*+ OPTIONS('scan.bounded.mode'='unbounded') */"


class Bare:
    """The least that gets a row: one connection, no decoding beyond finding a row."""

    def __init__(self, gateway: str, ddl: str) -> None:
        self.client = httpx.Client(base_url=f"{gateway}/v3", timeout=60)
        self.session = self.client.post("/sessions", json={}).json()["sessionHandle"]
        self.rows(ddl)

    def rows(self, sql: str) -> float:
        """Return seconds until the first row."""
        started = time.perf_counter()
        at = f"/sessions/{self.session}"
        operation = self.client.post(f"{at}/statements", json={"statement": sql}).json()["operationHandle"]
        token = 0
        while True:
            page = self.client.get(f"{at}/operations/{operation}/result/{token}?rowFormat=JSON").json()
            if page.get("results", {}).get("data"):
                seconds = time.perf_counter() - started
                self.client.delete(f"{at}/operations/{operation}/close")
                return seconds
            if page["resultType"] != "NOT_READY":
                token = int(page["nextResultUri"].rsplit("/", 1)[1].split("?")[0])
            time.sleep(0.002)


def run() -> list[dict[str, object]]:
    """Time both in turn on one warm stack."""
    with common.stack() as info:
        common.produce_trades(info.kafka, "trades", 20_000)
        ddl = common.trades_ddl(info.kafka, "trades")
        bare = Bare(info.gateway, ddl)
        session = common.session(info)
        session.execute(ddl)

        def ours() -> float:
            started = time.perf_counter()
            query = session.execute(SQL, limit=1)
            seconds = time.perf_counter() - started
            assert len(query) == 1
            return seconds

        for _ in range(3):
            bare.rows(SQL)
            ours()
            time.sleep(2)
        pairs = []
        for _ in range(RUNS):
            pairs.append((ours(), bare.rows(SQL)))
            time.sleep(1.5)  # the jobs just stopped take about a second to end
        session.close()
    ratio = statistics.median(o / b for o, b in pairs)
    return [
        {
            "name": "first-row",
            "value": round(ratio, 2),
            "unit": "x",
            "goal": f"<= {GOAL} x a bare REST client",
            "holds": ratio <= GOAL,
            "detail": f"{statistics.median(o for o, _ in pairs):.2f} s against "
            f"{statistics.median(b for _, b in pairs):.2f} s; {RUNS} pairs; the session's whole call",
        }
    ]


if __name__ == "__main__":
    print(run())
