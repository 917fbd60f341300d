"""A job as the repository holds it: its module call read, its script rendered."""

import pytest

from sdp_kernel.connection import KafkaCluster
from sdp_kernel.errors import ParameterError, UsageError
from sdp_kernel.flink.ledger import Entry
from sdp_kernel.promote import render
from sdp_kernel.repository import job as jobs

TABLE = "CREATE TABLE orders (id INT, note STRING) WITH ('connector' = 'kafka', ${kafka.main}, 'topic' = '${topic}')"
INSERT = "INSERT INTO out SELECT * FROM orders WHERE note <> '%{x}' AND id > ${least}"
KAFKA = {"main": KafkaCluster("main", {"bootstrap.servers": "localhost:1"})}


def write(root, path, text):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text, encoding="utf-8")


def make(root, name="big-orders", *, files=("sql/tables/orders.sql", "sql/jobs/big-orders.sql"), args=None):
    write(root, "sql/tables/orders.sql", render.declaration(Entry(TABLE, "CREATE TABLE", "orders")))
    write(root, f"sql/jobs/{name}.sql", render.job_sql(name, [], INSERT))
    call = render.terraform(
        name,
        module_source="git::https://gitlab.example/modules.git//flink/sql-job",
        session_cluster="dev",
        files=list(files),
        arguments=args or {"topic": "orders.v1", "least": "100"},
        aliases=["kafka.main"],
    )
    write(root, f"terraform/{name}.tf", call)
    return root


def test_a_job_is_read_with_its_files_in_order_and_its_script_filled_in(tmp_path):
    job = jobs.read(make(tmp_path), "big-orders", kafka=KAFKA)
    assert job.files == ("sql/tables/orders.sql", "sql/jobs/big-orders.sql")
    assert [s.kind for s in job.statements] == ["CREATE TABLE", "INSERT"]
    assert "'topic' = 'orders.v1'" in job.script
    assert "'properties.bootstrap.servers' = 'localhost:1'" in job.script
    assert job.statements[-1].text.endswith("note <> '%{x}' AND id > 100")
    assert "id > ${least}" in job.written
    assert "'%{x}'" in job.written
    assert job.arguments["parallelism"] == 1


def test_jobs_are_those_with_sql_and_a_module_call(tmp_path):
    make(tmp_path)
    write(tmp_path, "sql/jobs/stray.sql", "SELECT 1;\n")
    write(tmp_path, "terraform/variables.tf", "")
    assert jobs.names(tmp_path) == ("big-orders",)
    assert jobs.names(tmp_path / "nowhere") == ()


def test_a_job_that_is_not_there_is_refused_with_those_that_are(tmp_path):
    with pytest.raises(UsageError, match="has no job small") as refused:
        jobs.read(make(tmp_path), "small", kafka=KAFKA)
    assert "big-orders" in refused.value.hint


@pytest.mark.parametrize("name", ["../terraform/big-orders", "", "a/b"])
def test_a_job_s_name_is_no_path(tmp_path, name):
    with pytest.raises(UsageError, match="has no job"):
        jobs.read(make(tmp_path), name, kafka=KAFKA)


def test_a_parameter_without_a_value_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="least"):
        jobs.read(make(tmp_path, args={"topic": "t"}), "big-orders", kafka=KAFKA)


def test_a_file_outside_the_repository_is_refused(tmp_path):
    write(tmp_path, "elsewhere.sql", "SELECT 1;\n")
    root = make(tmp_path / "team", files=["../elsewhere.sql", "sql/jobs/big-orders.sql"])
    with pytest.raises(UsageError, match="outside the repository"):
        jobs.read(root, "big-orders", kafka=KAFKA)


@pytest.mark.parametrize("text", ["", "-- nothing yet\n"])
def test_a_job_without_a_statement_is_refused_where_it_is_read(tmp_path, text):
    root = make(tmp_path, files=("sql/jobs/big-orders.sql",), args={"least": "1"})
    write(root, "sql/jobs/big-orders.sql", text)
    with pytest.raises(UsageError, match=r"does nothing: sql/jobs/big-orders\.sql has no statement"):
        jobs.read(root, "big-orders", kafka=KAFKA)
