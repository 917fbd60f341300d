"""A topic enriched by a web service on the embedded stack, by the cell that the documentation shows."""

import json
import re
from pathlib import Path

import pytest

from sdp_kernel.repository.testing import lookups

pytestmark = pytest.mark.stack

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "queries.md"


def documented():
    """The cell under "Rows from a web service"."""
    section = DOCUMENTATION.read_text(encoding="utf-8").split("### Rows from a web service\n")[1]
    return re.search(r"```\n(.*?)```", section, re.DOTALL)[1]


def test_a_topic_is_enriched_without_bringing_a_jar(session, stack, produce, topic_name):
    produce(topic_name, [(None, json.dumps({"id": i, "customer_id": i % 3})) for i in range(9)])
    session.execute(
        f"CREATE TABLE orders (id INT, customer_id INT) WITH ('connector' = 'kafka', ${{kafka.main}}, "
        f"'topic' = '{topic_name}', 'scan.startup.mode' = 'earliest-offset', 'format' = 'json')"
    )
    cell = documented()
    assert cell.count("http://crm.example/customers") == 1
    with lookups.server() as server:
        server.serve("customers", [{"customer_id": n, "segment": f"s{n}"} for n in range(2)])
        cell = cell.replace("http://crm.example/customers", f"{server.url}/customers").replace(
            "'format' = 'json'",
            "'format' = 'json', 'gid.connector.http.source.lookup.result-type' = 'array'",
        )
        found = session.execute(cell, limit=9, timeout=60).arrow.to_pylist()
    assert sorted((row["id"], row["segment"]) for row in found) == [
        (i, f"s{i % 3}" if i % 3 < 2 else None) for i in range(9)
    ]
