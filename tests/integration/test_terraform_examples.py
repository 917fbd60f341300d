"""The SQL of the Terraform examples is SQL that Flink plans."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.stack

EXAMPLES = Path(__file__).parents[2] / "extensions" / "terraform" / "examples"
TOPICS = {
    "from": "order-totals.public.orders",
    "to": "order-totals.result",
    "group": "order-totals",
    "least": 100,
}


@pytest.mark.parametrize(
    ("example", "files"),
    [
        ("composed", ["orders.sql", "order_totals.sql", "job.sql"]),
        ("platform", ["orders.sql", "large_orders.sql", "job.sql"]),
    ],
)
def test_flink_plans_the_sql_of_an_example(session, example, files):
    *tables, job = ((EXAMPLES / example / "sql" / name).read_text() for name in files)
    for table in tables:
        session.execute(table, params=TOPICS)
    plan = session.execute(f"EXPLAIN {job}", params=TOPICS).df.iloc[0, 0]
    assert "Sink(table=[default_catalog.default_database." in plan
