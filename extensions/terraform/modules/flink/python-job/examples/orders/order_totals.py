# ruff: noqa: INP001
"""Totals of orders by symbol, from a topic to a compacted topic."""

import argparse

from pyflink.table import EnvironmentSettings, TableEnvironment

COLUMNS = "symbol STRING, amount DECIMAL(10, 2)"


def main() -> None:
    """Declare both topics and start the INSERT; the driver ends, the job goes on."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--topic", required=True)
    given = parser.parse_args()

    table = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    servers = f"'properties.bootstrap.servers' = '{given.bootstrap_servers}'"
    table.execute_sql(
        f"CREATE TABLE orders ({COLUMNS}) WITH ('connector' = 'kafka', {servers}, 'topic' = '{given.topic}',"
        " 'properties.group.id' = 'order-totals', 'scan.startup.mode' = 'earliest-offset', 'format' = 'json')"
    )
    table.execute_sql(
        "CREATE TABLE totals (symbol STRING, total DECIMAL(38, 2), PRIMARY KEY (symbol) NOT ENFORCED)"
        f" WITH ('connector' = 'upsert-kafka', {servers}, 'topic' = '{given.topic}.totals',"
        " 'key.format' = 'json', 'value.format' = 'json')"
    )
    table.execute_sql("INSERT INTO totals SELECT symbol, SUM(amount) FROM orders GROUP BY symbol")


if __name__ == "__main__":
    main()
