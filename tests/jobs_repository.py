"""A team's repository of small jobs with tests, as the tests and the benchmark of ``sdp test`` use it.

Four kinds: a filter, windows, a join of two topics, a statement set of two sinks over a view.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sdp_kernel.promote import render

if TYPE_CHECKING:
    from pathlib import Path

_READS = "'connector' = 'kafka', ${kafka.main}, 'scan.startup.mode' = 'group-offsets', 'properties.group.id' = 'g', 'format' = 'json'"
_UPSERTS = "'connector' = 'upsert-kafka', ${kafka.main}, 'key.format' = 'json', 'value.format' = 'json'"
TABLES = {
    "orders": "CREATE TABLE orders (id INT, customer INT, symbol STRING, amount DECIMAL(20, 2), `at` TIMESTAMP(3), "
    f"WATERMARK FOR `at` AS `at` - INTERVAL '5' SECOND) WITH ('topic' = 'orders.v1', {_READS}, "
    "'json.timestamp-format.standard' = 'ISO-8601')",
    "customers": "CREATE TABLE customers (id INT, name STRING, PRIMARY KEY (id) NOT ENFORCED) "
    f"WITH ('topic' = 'customers.v1', {_UPSERTS})",
    "big": f"CREATE TABLE big (id INT, amount DECIMAL(20, 2)) WITH ('topic' = 'big', {_READS})",
    "small": f"CREATE TABLE small (id INT, symbol STRING) WITH ('topic' = 'small', {_READS})",
    "totals": "CREATE TABLE totals (symbol STRING, since TIMESTAMP(3), `until` TIMESTAMP(3), n BIGINT, total DECIMAL(38, 2), "
    f"PRIMARY KEY (symbol, since, `until`) NOT ENFORCED) WITH ('topic' = 'totals', {_UPSERTS})",
    "named": "CREATE TABLE named (id INT, customer INT, name STRING, amount DECIMAL(20, 2), PRIMARY KEY (id, customer) NOT ENFORCED) "
    f"WITH ('topic' = 'named', {_UPSERTS})",
}
VIEW = "CREATE VIEW sized AS SELECT id, symbol, amount, amount > 100 AS is_big FROM orders"

#: Kind → the tables, in their order, the view where it has one, and the statement.
KINDS = {
    "filter": (("orders", "big"), "INSERT INTO big SELECT id, amount FROM orders WHERE amount > ${least}"),
    "window": (
        ("orders", "totals"),
        (
            "INSERT INTO totals SELECT symbol, window_start, window_end, COUNT(*), SUM(amount) FROM "
            "TUMBLE(TABLE orders, DESCRIPTOR(`at`), INTERVAL '1' MINUTE) GROUP BY symbol, window_start, window_end "
            "ON CONFLICT DO NOTHING"
        ),
    ),
    "join": (
        ("orders", "customers", "named"),
        (
            "INSERT INTO named SELECT o.id, o.customer, c.name, o.amount FROM (SELECT id, customer, MAX(amount) AS amount "
            "FROM orders GROUP BY id, customer) o JOIN customers c ON o.customer = c.id"
        ),
    ),
    "split": (
        ("orders", "big", "small"),
        (
            "EXECUTE STATEMENT SET BEGIN INSERT INTO big SELECT id, amount FROM sized WHERE is_big; "
            "INSERT INTO small SELECT id, symbol FROM sized WHERE NOT is_big; END"
        ),
    ),
}
ORDERS = [
    {
        "id": i,
        "customer": i % 3,
        "symbol": "AB"[i % 2],
        "amount": i * 25.5,
        "at": f"2026-01-05T09:{i % 3:02d}:{i:02d}.000",
    }
    for i in range(10)
]
CUSTOMERS = [
    (0, {"id": 0, "name": "Ada"}),
    (1, {"id": 1, "name": "Bob"}),
    (2, {"id": 2, "name": "Eve"}),
    (2, None),
    (1, {"id": 1, "name": "Bo"}),
]
#: Kind → what its sinks are to hold; by sink where there are several.
EXPECTED = {
    "filter": [{"id": i, "amount": i * 25.5} for i in range(4, 10)],
    "window": [
        {
            "symbol": symbol,
            "since": f"2026-01-05 09:0{minute}:00",
            "until": f"2026-01-05 09:0{minute + 1}:00",
            "n": len(ids),
            "total": sum(ids) * 25.5,
        }
        for minute in range(3)
        for symbol, rest in (("A", 0), ("B", 1))
        if (ids := [i for i in range(10) if i % 3 == minute and i % 2 == rest])
    ],
    "join": [
        {"id": i, "customer": i % 3, "name": {0: "Ada", 1: "Bo"}[i % 3], "amount": i * 25.5}
        for i in range(10)
        if i % 3 != 2
    ],
    "split": {
        "big": [{"id": i, "amount": i * 25.5} for i in range(4, 10)],
        "small": [{"id": i, "symbol": "AB"[i % 2]} for i in range(4)],
    },
}


def write(root: Path, path: str, text: str) -> Path:
    """Write a file, and its directory."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def lines(rows: list[object]) -> str:
    """Write JSON lines."""
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def add_job(root: Path, name: str, kind: str) -> None:
    """Add a job of a kind, with its test ``sample``, which passes."""
    tables, statement = KINDS[kind]
    files = [f"sql/tables/{table}.sql" for table in tables]
    for table, file in zip(tables, files, strict=True):
        write(root, file, f"{TABLES[table]};\n")
    if "sized" in statement:
        write(root, "sql/views/sized.sql", f"{VIEW};\n")
        files.append("sql/views/sized.sql")
    write(root, f"sql/jobs/{name}.sql", render.job_sql(name, [], statement))
    call = render.terraform(
        name,
        module_source="git::https://gitlab.example/modules.git//flink/sql-job",
        session_cluster="dev",
        files=[*files, f"sql/jobs/{name}.sql"],
        arguments={"least": "100"} if "${least}" in statement else {},
        aliases=["kafka.main"],
    )
    write(root, f"terraform/{name}.tf", call)
    test = f"tests/{name}/sample"
    write(root, f"{test}/test.toml", "")
    write(root, f"{test}/input/orders.jsonl", lines([{"value": row} for row in ORDERS]))
    if "customers" in tables:
        records = [{"key": {"id": key}, **({"value": value} if value else {})} for key, value in CUSTOMERS]
        write(root, f"{test}/input/customers.jsonl", lines(records))
    expected = EXPECTED[kind]
    if isinstance(expected, dict):
        for sink, rows in expected.items():
            write(root, f"{test}/expected/{sink}.jsonl", lines(rows))
    else:
        write(root, f"{test}/expected.jsonl", lines(expected))
