"""Queries of the corpus, promoted on a real stack and run from their repositories alone."""

import uuid

import pytest

from tests.promotions import harness

pytestmark = pytest.mark.stack

VARIED = (
    "cdc-aggregate",
    "files",
    "lookup-join",
    "python-table",
    "statement-set",
    "temporal-join-upsert",
    "top-n",
    "tumbling-window",
)


def test_a_promoted_query_gives_the_notebook_s_table_from_its_repository_alone(stack, tmp_path):
    outcomes = harness.run(stack, tmp_path, VARIED, prefix=f"p{uuid.uuid4().hex[:8]}")
    assert {outcome.name: outcome.problem for outcome in outcomes} == dict.fromkeys(VARIED, "")
