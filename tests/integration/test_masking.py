"""A masking policy holds for samples, followed topics and results of SQL alike."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

import sdp_kernel
from sdp_kernel.errors import SdpError
from sdp_kernel.notebook import chart, diagnose_view, display, live

pytestmark = pytest.mark.stack


@pytest.fixture
def masked(stack: Any, tmp_path: Any) -> Any:
    (tmp_path / "sdp.toml").write_text(
        f'[profiles.here]\ngateway = "{stack.gateway}"\njobmanager = "{stack.jobmanager}"\n'
        f'[profiles.here.kafka.main]\n"bootstrap.servers" = "{stack.kafka}"\n'
        '[masking.columns]\nssn = "redact"\nemail = "hash"\n'
    )
    with sdp_kernel.connect("here", directory=tmp_path) as workbench:
        yield workbench


def test_nobody_sees_what_is_masked(masked: Any, topic_name: str, produce: Any, tmp_path: Any) -> None:
    rows = [{"id": i, "ssn": f"123-45-{i:04d}", "in": {"email": f"ada{i % 2}@example.org"}} for i in range(6)]
    produce(topic_name, [(None, json.dumps(row)) for row in rows])
    sample = masked.sample(topic_name)
    profile = masked.describe(sample)
    masked.sql(_ddl(topic_name))
    query = masked.sql("SELECT id, ssn, `in` FROM people")
    query.to_parquet(str(tmp_path / "people.parquet"))
    shown = [
        sample.df.to_string(),
        str(sample.table.to_pylist()),
        repr(profile),
        masked.table(topic_name).ddl,
        query.df.to_string(),
        str(query.head(5).to_pylist()),
    ]
    assert all("123-45" not in text and "ada" not in text for text in shown)
    saved = (tmp_path / "people.parquet").read_bytes()
    assert b"123-45" not in saved
    assert b"ada0" not in saved
    assert set(sample.df["ssn"]) == {"•••"}
    hashes = [row["email"] for row in sample.table["in"].to_pylist()]
    assert len(set(hashes)) == 2
    assert hashes == [row["email"] for row in query.arrow["in"].to_pylist()]
    assert len(masked.sample(topic_name, where="ssn LIKE '123%'")) == 0


def _ddl(topic: str) -> str:
    return (
        "CREATE TABLE people (id INT, ssn STRING, `in` ROW<email STRING>) WITH ('connector' = 'kafka',"
        f" ${{kafka.main}}, 'topic' = '{topic}', 'scan.startup.mode' = 'earliest-offset',"
        " 'scan.bounded.mode' = 'latest-offset', 'format' = 'json')"
    )


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT CAST(ssn AS INT) AS ssn FROM people",
        "SELECT CAST(ssn AS TIMESTAMP) AS t FROM people",
        "SELECT CAST(ssn AS BOOLEAN) AS b FROM people",
        "SELECT PARSE_JSON(ssn) AS j FROM people",
        "INSERT INTO counts SELECT CAST(ssn AS INT) FROM people",
    ],
)
def test_a_job_that_fails_on_a_masked_value_does_not_show_it(
    masked: Any,
    topic_name: str,
    produce: Any,
    sql: str,
    batch: bool,  # noqa: FBT001
) -> None:
    produce(topic_name, [(None, json.dumps({"id": 1, "ssn": "123-45-6789", "in": {"email": "ada@x.org"}}))])
    masked.sql(_ddl(topic_name) + ";CREATE TABLE counts (n INT) WITH ('connector' = 'blackhole')")
    shown = []
    try:
        query = masked.sql(sql, name="q", timeout=30, batch=batch)
        shown.append(masked.jobmanager.root_cause(query.job_id))
    except SdpError as error:
        shown += [str(error), repr(error), error.detail]
    found = masked.why("q")
    shown += [str(found), str(found.findings), *display.query_bundle(masked.query("q"))]
    assert any("masking hides values" in text for text in shown)
    assert all("123-45" not in text and "ada@" not in text for text in shown)


def test_live_tables_charts_frames_and_diagnoses_are_masked_too(
    masked: Any, topic_name: str, produce: Any
) -> None:
    rows = [{"id": i, "ssn": f"123-45-{i:04d}", "in": {"email": f"ada{i}@x.org"}} for i in range(4)]
    produce(topic_name, [(None, json.dumps(row)) for row in rows])
    produce(f"{topic_name}-broken", [(None, "ssn: 123-45-6789"), (None, "ssn=123-45-6789")])
    masked.sql(_ddl(topic_name))
    masked.sql(
        _ddl(f"{topic_name}-broken")
        .replace("people", "broken")
        .replace("'scan.bounded.mode' = 'latest-offset', ", "")
        .replace("'json'", "'json', 'json.ignore-parse-errors' = 'true'")
    )
    shown: list[Any] = []
    for sql in ("SELECT id, ssn FROM people", "SELECT ssn, COUNT(*) AS id FROM people GROUP BY ssn"):
        query = masked.sql(sql, name="q", timeout=30)
        table = live.Live(query)
        table.take({"do": "sort", "column": "ssn", "descending": True})
        drawn = chart.LiveChart(query, chart.parse(["bar", "x=ssn", "y=id"]))
        last = drawn.static(query, last=True)
        shown += [table.frame(0, whole=True), table.static(query, last=True), drawn.frame(0, whole=True)]
        shown += [
            last["application/vnd.vegalite.v5+json"],
            last["text/plain"],
            drawn.static(query, last=False),
        ]
    again = masked.sql("SELECT * FROM q", frames={"q": query}, timeout=30)
    shown += [again.df.to_string(), again.plan, masked.explain("SELECT * FROM q", frames={"q": query}).text]
    silent = masked.sql("SELECT ssn FROM broken", name="silent", background=True)
    try:
        until = time.monotonic() + 30
        while "undecodable" not in (found := masked.why("silent")).kinds and time.monotonic() < until:
            time.sleep(0.5)
        assert "undecodable" in found.kinds
        shown += [str(found), str(found.findings), *diagnose_view.bundle(found)]
    finally:
        silent.stop()
    assert "•••" in str(shown)
    assert all("123-45" not in str(what) and "ada" not in str(what) for what in shown)
