"""Where a SELECT's rows go: files, tables that are there, new topics, several cells at once; all of it run."""

import json
import time
from pathlib import Path

import pyarrow.dataset as ds
import pytest

import sdp_kernel
from sdp_kernel.errors import NotValidated, ParameterError, PromoteError, SliceError, UsageError
from sdp_kernel.local import artifacts
from sdp_kernel.repository import job as jobs
from tests.repositories import git, make_team

pytestmark = pytest.mark.stack

TICKS = """CREATE TABLE {name} (id BIGINT, twice AS id * 2{more}) WITH ('connector' = 'datagen',
  'number-of-rows' = '20', 'fields.id.kind' = 'sequence', 'fields.id.start' = '0', 'fields.id.end' = '19')"""
SYMBOLS = "SELECT id, CASE id - id / 2 * 2 WHEN 0 THEN 'A' ELSE 'B' END AS symbol FROM ticks"
COUNTS = f"SELECT symbol, COUNT(*) AS n FROM ({SYMBOLS}) GROUP BY symbol"


@pytest.fixture
def repository(tmp_path, stack):
    """A team repository whose new topics are declared with Terraform."""
    return make_team(
        tmp_path / "team",
        stack,
        '[promote]\nkafka_cluster = "events"\n'
        'module_source = "git::https://git.example/modules.git//flink/sql-job?ref=v1"\n',
    )


@pytest.fixture
def wb(repository):
    with sdp_kernel.connect("local", directory=repository) as workbench:
        workbench.sql(TICKS.format(name="ticks", more=""))
        yield workbench


@pytest.fixture
def parquet(wb):
    """A session that has Parquet, which the embedded Flink comes without."""
    for jar in artifacts.ensure(["files"]):
        wb.sql(f"ADD JAR '{jar}'")


@pytest.fixture
def out(tmp_path):
    """A path for files, as Flink has it."""
    return f"file://{tmp_path}/out"


def content(plan, path):
    return next(file.content for file in plan.files if file.path == path)


def paths(plan):
    return [file.path for file in plan.files]


def codes(plan):
    return {finding.code for finding in plan.findings}


def run(wb, plan, *, until=("FINISHED",)):
    """Apply and run a plan, and wait for its job's end."""
    applied = plan.apply(run=True)
    deadline = time.monotonic() + 60
    while (state := wb.jobmanager.state(applied.job_id)) not in until:
        assert state not in {"FAILED", "CANCELED"}, wb.jobmanager.root_cause(applied.job_id)
        assert time.monotonic() < deadline, state
        time.sleep(0.1)
    return applied


def files_of(path):
    """The finished files below a path."""
    top = Path(path.removeprefix("file://"))
    return sorted(f for f in top.rglob("*") if f.is_file() and not f.name.startswith((".", "_")))


def lines(path):
    return [line for file in files_of(path) for line in file.read_text().splitlines()]


def rows(query):
    return sorted(query.arrow.to_pylist(), key=str)


def declare(wb, name, columns, path):
    """A table over JSON files, to be read back."""
    wb.sql(f"CREATE TABLE {name} ({columns}) WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = '{path}')")  # fmt: skip
    return path


# -- files


def test_rows_become_json_files(wb, job, out):
    query = wb.sql(SYMBOLS, name="q")
    plan = wb.promote("q", job=job, to=out, format="json")
    assert plan.topics == ()
    assert "SDP040" in codes(plan)
    run(wb, plan)
    assert sorted((json.loads(line) for line in lines(out)), key=str) == rows(query)
    again = wb.promote("q", job=job, to=out, format="json")
    assert again.unchanged
    assert wb.promote("q", job=job, to=out).unchanged
    with pytest.raises(UsageError, match="declared otherwise in the session"):
        wb.promote("q", job=job, to=out, format="csv")


def test_partitions_are_folders_of_parquet_files(wb, parquet, job, out):
    query = wb.sql(SYMBOLS, name="q")
    run(wb, wb.promote("q", job=job, to=out, format="parquet", partition_by=["symbol"]))
    assert {file.parent.name for file in files_of(out)} == {"symbol=A", "symbol=B"}
    table = ds.dataset(out.removeprefix("file://"), format="parquet", partitioning="hive").to_table()
    assert sorted(table.to_pylist(), key=str) == rows(query)


def test_a_format_that_flink_has_not_is_said_so(wb, job):
    wb.sql(SYMBOLS, name="q")
    with pytest.raises(PromoteError, match="this Flink writes no parquet: s3://lake/x") as caught:
        wb.promote("q", job=job, to="s3://lake/x")
    assert "--format json" in caught.value.hint


def test_csv_files_hold_the_rows(wb, job, out):
    wb.sql(SYMBOLS, name="q")
    run(wb, wb.promote("q", job=job, to=out, format="csv"))
    assert sorted(lines(out)) == sorted(f"{i},{'AB'[i % 2]}" for i in range(20))


def test_an_endless_query_s_files_are_finished_by_checkpoints(wb, parquet, job, out):
    wb.sql(
        """CREATE TABLE endless (id BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '50',
          'fields.id.kind' = 'sequence', 'fields.id.start' = '0', 'fields.id.end' = '1000000');
        SET 'execution.checkpointing.interval' = '500 ms'"""
    )
    wb.sql("SELECT id FROM endless", name="q", limit=5)
    plan = wb.promote("q", job=job, to=out, format="parquet")
    assert "SDP040" not in codes(plan)
    applied = run(wb, plan, until=("RUNNING",))
    try:
        deadline = time.monotonic() + 40
        while not files_of(out) and time.monotonic() < deadline:
            time.sleep(0.2)
        found = ds.dataset(files_of(out), format="parquet").to_table()["id"].to_pylist()
    finally:
        wb.jobmanager.cancel(applied.job_id)
    assert sorted(found) == list(range(len(found)))
    assert found


def test_a_query_that_updates_is_refused_but_for_its_changes(wb, job, out):
    query = wb.sql(COUNTS, name="q")
    with pytest.raises(PromoteError, match="updates its rows, and json files hold rows that stay") as caught:
        wb.promote("q", job=job, to=out)
    assert "debezium-json" in caught.value.hint
    run(wb, wb.promote("q", job=job, to=out, format="debezium-json"))
    table = {}
    for change in map(json.loads, lines(out)):
        if change["op"] == "d":
            assert table.pop(change["before"]["symbol"]) == change["before"]
        else:
            table[change["after"]["symbol"]] = change["after"]
    assert sorted(table.values(), key=str) == rows(query)


def test_in_batch_mode_a_group_s_rows_are_final(wb, job, out):
    wb.sql("SET 'execution.runtime-mode' = 'batch'")
    query = wb.sql(COUNTS, name="q")
    plan = wb.promote("q", job=job, to=out)
    assert "SDP040" not in codes(plan)
    run(wb, plan)
    assert sorted((json.loads(line) for line in lines(out)), key=str) == rows(query)


def test_s3_needs_no_credentials_and_takes_parameters(wb, parquet, job):
    wb.sql("SELECT id, '${lake}' AS lake FROM ticks", name="q", params={"lake": "team"})
    plan = wb.promote("q", job=job, to="s3://${lake}-lake/ticks")
    table = content(plan, "sql/tables/lake_lake_ticks.sql")
    assert "'path' = 's3://${lake}-lake/ticks',\n  'format' = 'parquet'" in table
    assert "'path' = 's3://team-lake/ticks'" in plan.script
    assert 'lake = "team"' in content(plan, f"terraform/{job}.tf")
    with pytest.raises(ParameterError, match="has no value"):
        wb.promote("q", job=job, to="s3://${other}/ticks")


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"format": "orc"}, UsageError, "'orc' is not a format"),
        ({"partition_by": ["nope"]}, UsageError, "'nope' is not in the result"),
        ({"partition_by": ["id", "symbol"]}, UsageError, "every column is a partition column"),
        ({"key": ["id"]}, UsageError, "cannot have --key"),
        ({"partitions": 3}, UsageError, "cannot have --partitions"),
        ({"to": "s3://key:hunter2@lake/x"}, UsageError, "may be a password"),
        ({"to": "ftp://host/x"}, UsageError, "no file system for ftp"),
    ],
)
def test_files_that_cannot_be_are_refused(wb, job, out, options, error, match):
    wb.sql(SYMBOLS, name="q")
    with pytest.raises(error, match=match) as caught:
        wb.promote("q", job=job, **{"to": out, **options})
    assert "hunter2" not in str(caught.value)


def test_a_type_that_files_cannot_hold_is_refused(wb, job, out):
    wb.sql("SELECT id, PARSE_JSON('1') AS v FROM ticks", name="q")
    with pytest.raises(PromoteError, match="cannot be written to") as caught:
        wb.promote("q", job=job, to=out)
    assert "__sdp" not in str(caught.value)


def test_files_that_the_query_reads_are_no_output(wb, job, out):
    declare(wb, "mine", "id BIGINT", f"{out}/in")
    wb.sql("INSERT INTO mine SELECT id FROM ticks", name="fill")
    query = wb.queries["fill"]
    deadline = time.monotonic() + 30
    while wb.jobmanager.state(query.job_id) != "FINISHED" and time.monotonic() < deadline:
        time.sleep(0.1)
    wb.sql("SELECT id FROM mine", name="q")
    for to in (f"{out}/in", out, f"{out}/in/deeper"):
        with pytest.raises(PromoteError, match="would feed itself"):
            wb.promote("q", job=job, to=to)


# -- tables that are there


def test_columns_are_matched_by_name_and_the_others_stay_null(wb, job, out):
    declare(wb, "sink", "symbol STRING, note STRING, id BIGINT", out)
    wb.sql(SYMBOLS, name="q")
    plan = wb.promote("q", job=job, to="sink")
    assert "INSERT INTO `sink` (`id`, `symbol`)\nSELECT id" in plan.script
    assert [f.message for f in plan.findings if f.code == "SDP042"] == ["columns of sink stay NULL: note"]
    run(wb, plan)
    found = sorted((json.loads(line) for line in lines(out)), key=lambda row: row["id"])
    assert found == [{"symbol": "AB"[i % 2], "note": None, "id": i} for i in range(20)]


def test_a_with_clause_takes_a_column_list_too(wb, job, out):
    declare(wb, "sink", "a BIGINT, b BIGINT", out)
    wb.sql("WITH w AS (SELECT id AS b, twice AS a FROM ticks) SELECT b, a FROM w", name="q")
    run(wb, wb.promote("q", job=job, to="sink"))
    assert sorted((json.loads(line) for line in lines(out)), key=str) == sorted(
        ({"a": 2 * i, "b": i} for i in range(20)), key=str
    )


def test_other_names_go_by_place_which_is_said(wb, job, out):
    declare(wb, "sink", "number BIGINT, letter STRING", out)
    wb.sql(SYMBOLS, name="q")
    plan = wb.promote("q", job=job, to="sink")
    assert [f.message for f in plan.findings if f.code == "SDP041"] == [
        "columns go into sink by their place: id into number, symbol into letter"
    ]
    run(wb, plan)
    assert {"number": 3, "letter": "B"} in [json.loads(line) for line in lines(out)]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("symbol STRING, id BIGINT, must STRING NOT NULL", ["must STRING NOT NULL is not in the result"]),
        ("a BIGINT", ["id is not in the table", "symbol is not in the table", "a is not in the result"]),
        ("symbol STRING, other BIGINT", ["symbol is in the place of other"]),
        ("id STRING, symbol STRING", ["id BIGINT does not go into id STRING: CAST(`id` AS STRING)"]),
        ("id DATE, symbol STRING", ["id BIGINT does not go into id DATE: no CAST makes one of the other"]),
        ("id INT, symbol INT", ["id BIGINT does not go into id INT: CAST(`id` AS INT)",
                                "does not go into symbol INT: CAST(`symbol` AS INT)"]),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_column_by_column(wb, job, out, columns, said):
    declare(wb, "sink", columns, out)
    wb.sql(SYMBOLS, name="q")
    with pytest.raises(PromoteError, match="does not fit the table sink") as caught:
        wb.promote("q", job=job, to="sink")
    for line in said:
        assert line in caught.value.message


def test_a_wider_type_takes_what_fits_in_it(wb, job, out):
    declare(wb, "sink", "id DECIMAL(20, 0), twice DOUBLE", out)
    wb.sql("SELECT id, twice FROM ticks", name="q")
    run(wb, wb.promote("q", job=job, to="sink"))
    assert {"id": 7, "twice": 14.0} in [json.loads(line) for line in lines(out)]


def test_a_table_is_named_with_its_catalog_and_database(wb, job, out):
    wb.sql("CREATE CATALOG lake WITH ('type' = 'generic_in_memory'); CREATE DATABASE lake.team")
    declare(wb, "lake.team.sink", "id BIGINT, symbol STRING", out)
    wb.sql("CREATE CATALOG unused WITH ('type' = 'generic_in_memory')")
    wb.sql(SYMBOLS, name="q")
    plan = wb.promote("q", job=job, to="lake.team.sink")
    assert "INSERT INTO `lake`.`team`.`sink`" in plan.script
    assert content(plan, f"sql/jobs/{job}.session.sql").count("CREATE") == 2
    assert "unused" not in plan.script
    run(wb, plan)
    assert len(lines(out)) == 20


def test_an_updating_query_does_not_go_into_a_table_that_only_appends(wb, job, out):
    declare(wb, "sink", "symbol STRING, n BIGINT", out)
    wb.sql(COUNTS, name="q")
    with pytest.raises(PromoteError, match="doesn't support consuming update changes"):
        wb.promote("q", job=job, to="sink")


# -- new topics


def test_a_key_that_the_planner_does_not_know_keeps_the_last_row_of_each(wb, job, topic_name, repository):
    query = wb.sql(f"SELECT LOWER(symbol) AS s, n FROM ({COUNTS})", name="q")
    with pytest.raises(PromoteError, match="finds no key") as refused:
        wb.promote("q", job=job, to="sink", key=None)
    assert "--key" in refused.value.hint
    plan = wb.promote("q", job=job, to=topic_name, key=["s"])
    assert content(plan, f"sql/jobs/{job}.sql").endswith("\nON CONFLICT DO DEDUPLICATE;\n")
    assert "SDP043" in codes(plan)
    first = run(wb, plan)
    table = topic_name.replace("-", "_").replace(".", "_")
    read = wb.sql(f"SELECT s, n FROM {table}", until="now", timeout=60)
    assert rows(read) == rows(query) == [{"n": 10, "s": "a"}, {"n": 10, "s": "b"}]
    git(repository, "merge", "-q", "--ff-only", first.branch)
    wb.sql(f"DROP TABLE {table}")
    pulled = wb.pull(job)
    assert (pulled.text, pulled.key) == (query.statement.text, ("s",))


def test_a_new_topic_comes_as_terraform(wb, job, topic_name, produce, repository):
    produce(f"{topic_name}.in", [(None, json.dumps({"id": i})) for i in range(6)], partitions=3)
    wb.sql(
        f"""CREATE TABLE src (id BIGINT) WITH ('connector' = 'kafka', ${{kafka.main}}, 'topic' = '{topic_name}.in',
          'format' = 'json', 'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset')"""
    )
    query = wb.sql("SELECT id - id / 2 * 2 AS odd, COUNT(*) AS n FROM src GROUP BY id - id / 2 * 2", name="q")
    file = f"terraform/topic.{topic_name}.tf"
    plan = wb.promote("q", job=job, to=topic_name, retention="7 d")
    assert content(plan, file) == (
        f'module "topic-{topic_name}" {{\n'
        '  source = "git::https://git.example/modules.git//kafka-topic?ref=v1"\n\n'
        f'  name       = "{topic_name}"\n  cluster    = "events"\n  partitions = 3\n\n'
        '  config = {\n    "cleanup.policy" = "compact,delete"\n    "retention.ms"   = "604800000"\n  }\n}\n'
    )
    assert (plan.topic.partitions, plan.topic.config) == (
        3,
        {"cleanup.policy": "compact,delete", "retention.ms": "604800000"},
    )
    first = run(wb, plan)
    assert first.topic_created == topic_name
    assert file in first.files
    assert len(wb.cluster().partitions(topic_name)) == 3
    assert {(r["odd"], r["n"]) for r in rows(query)} == {(0, 3), (1, 3)}
    again = wb.promote("q", job=job, to=topic_name)
    assert file not in paths(again)
    assert again.unchanged
    git(repository, "merge", "-q", "--ff-only", first.branch)
    assert jobs.names(repository) == (job,)


def test_a_topic_of_the_cluster_or_of_no_named_kafka_has_no_terraform(
    wb, job, topic_name, produce, repository
):
    wb.sql("SELECT id FROM ticks", name="q")
    assert f"terraform/topic.{topic_name}.tf" in paths(wb.promote("q", job=job, to=topic_name))
    produce(topic_name, [])
    assert f"terraform/topic.{topic_name}.tf" not in paths(wb.promote("q", job=job, to=topic_name))
    text = (repository / "sdp.toml").read_text().replace('kafka_cluster = "events"', "")
    (repository / "sdp.toml").write_text(text)
    git(repository, "commit", "-q", "-a", "-m", "No Kafka in Kubernetes")
    with sdp_kernel.connect("local", directory=repository) as other:
        other.sql(TICKS.format(name="ticks", more=""))
        other.sql("SELECT id FROM ticks", name="q")
        plan = other.promote("q", job=job, to=f"{topic_name}.new", partitions=5)
        assert [path for path in paths(plan) if "topic." in path] == []
        assert plan.topic.partitions == 5


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"partitions": 0}, "cannot have 0 partitions"),
        ({"retention": "a week"}, "not a time"),
        ({"format": "json"}, "cannot have --format"),
    ],
)
def test_a_topic_that_cannot_be_is_refused(wb, job, topic_name, options, match):
    wb.sql("SELECT id FROM ticks", name="q")
    with pytest.raises(UsageError, match=match):
        wb.promote("q", job=job, to=topic_name, **options)


# -- several cells, shared declarations


def test_several_cells_become_one_job(wb, job, out, topic_name):
    wb.sql(TICKS.format(name="others", more=""))
    wb.sql("CREATE VIEW symbols AS " + SYMBOLS)
    declare(wb, "ids", "id BIGINT", f"{out}/ids")
    odd = wb.sql("SELECT id FROM symbols WHERE symbol = '${odd}'", name="odd", params={"odd": "B"})
    even = wb.sql("SELECT id, symbol FROM symbols WHERE symbol = 'A'", name="even")
    wb.sql("INSERT INTO ids SELECT id FROM others WHERE id < 3", name="ins")
    plan = wb.promote(["odd", "ins", "even"], job=job, to=[f"{out}/odd", f"{out}/even"], format="json")
    assert plan.statements[-1].startswith("EXECUTE STATEMENT SET BEGIN\nINSERT INTO ")
    assert [(c["name"], c["run"]["rows"]) for c in plan.receipt["cells"]] == [
        ("odd", 10), ("ins", None), ("even", 10),
    ]  # fmt: skip
    assert plan.receipt["cell"]["name"] == "odd, ins, even"
    assert paths(plan).count("sql/tables/ticks.sql") == 1
    assert 'odd = "B"' in content(plan, f"terraform/{job}.tf")
    assert "odd, ins, even" in plan.to_text() or plan.job in plan.to_text()
    before = len(lines(f"{out}/ids"))
    applied = run(wb, plan)
    assert sum(known.id == applied.job_id for known in wb.jobs()) == 1
    for query, path in ((odd, f"{out}/odd"), (even, f"{out}/even")):
        assert sorted((json.loads(line) for line in lines(path)), key=str) == rows(query)
    assert len(lines(f"{out}/ids")) >= before + 3


def test_a_topic_and_files_in_one_job(wb, job, out, topic_name):
    wb.sql(COUNTS, name="counts")
    files = wb.sql(SYMBOLS, name="all_rows")
    plan = wb.promote(["counts", "all_rows"], job=job, to=[topic_name, out])
    assert [topic.name for topic in plan.topics] == [topic_name]
    applied = run(wb, plan)
    assert applied.topics_created == (topic_name,)
    assert sorted((json.loads(line) for line in lines(out)), key=str) == rows(files)
    latest = wb.sample(topic_name, n=100, at="head", timeout=5).df
    assert dict(zip(latest["symbol"], latest["n"], strict=True)) == {"A": 10, "B": 10}


def test_cells_that_cannot_be_one_job_are_refused(wb, job, out):
    wb.sql("SELECT id FROM ticks WHERE id > ${n}", name="a", params={"n": 1})
    wb.sql("SELECT id FROM ticks WHERE id < ${n}", name="b", params={"n": 9})
    with pytest.raises(SliceError, match=r"\$\{n\} had another value"):
        wb.promote(["a", "b"], job=job, to=[f"{out}/a", f"{out}/b"])
    with pytest.raises(UsageError, match="2 of the cells are SELECTs"):
        wb.promote(["a", "b"], job=job, to=f"{out}/a")
    with pytest.raises(NotValidated, match="b was edited"):
        wb.promote(["a", "b"], job=job, to=[f"{out}/a", f"{out}/b"], current_text=[None, "SELECT 1"])
    wb.sql("SET 'table.exec.state.ttl' = '1 d'")
    wb.sql("SELECT id FROM ticks WHERE id < ${n}", name="b", params={"n": 1})
    with pytest.raises(NotValidated, match="settings were changed after a ran"):
        wb.promote(["a", "b"], job=job, to=[f"{out}/a", f"{out}/b"])


def test_a_changed_declaration_shows_the_jobs_it_touches(wb, job, out, repository):
    wb.sql("CREATE VIEW small AS SELECT id FROM ticks WHERE id < 5")
    wb.sql("SELECT id FROM small", name="q")
    first = wb.promote("q", job=job, to=f"{out}/1").apply()
    git(repository, "merge", "-q", "--ff-only", first.branch)
    wb.sql(f"DROP TABLE ticks; {TICKS.format(name='ticks', more=', seen AS 1')}")
    wb.sql("SELECT id FROM ticks", name="q")
    plan = wb.promote("q", job=f"{job}-2", to=f"{out}/2", replace=True)
    assert plan.touched == {"sql/tables/ticks.sql": (job,)}
    assert plan.to_json()["touched"] == {"sql/tables/ticks.sql": [job]}
    assert f"sql/tables/ticks.sql (touches {job})" in plan.to_text()
    assert f"touches {job}" in plan.to_html()
    wb.sql("SELECT id FROM small", name="q")
    own = wb.promote("q", job=job, to=f"{out}/1", replace=True)
    assert own.touched == {}
