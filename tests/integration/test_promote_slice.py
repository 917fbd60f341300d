"""What a promotion takes from the session, and what the planner says of it, on a real stack."""

import hashlib
import json

import pytest

import sdp_kernel
from sdp_kernel.errors import Blocked, NotValidated, PromoteError, SliceError, UsageError
from tests.repositories import make_team

pytestmark = pytest.mark.stack

BOUNDED = "/*+ OPTIONS('scan.bounded.mode' = 'latest-offset') */"


def table(name, topic, columns="id BIGINT, symbol STRING, price DOUBLE", more=""):
    return f"""CREATE TABLE {name} ({columns}) WITH ('connector' = 'kafka', ${{kafka.main}}, 'topic' = '{topic}',
      'format' = 'json', 'scan.startup.mode' = 'earliest-offset'{more})"""


@pytest.fixture
def repository(tmp_path, stack):
    """A team repository whose profile sets one thing of the job's and one of the place's."""
    return make_team(
        tmp_path,
        stack,
        '[profiles.local.session]\n"table.local-time-zone" = "Asia/Tokyo"\n"parallelism.default" = "1"\n',
    )


@pytest.fixture
def wb(repository):
    with sdp_kernel.connect("local", directory=repository) as workbench:
        yield workbench


@pytest.fixture
def trades(wb, topic_name, produce):
    """The table ``trades``: 20 records, one of them without a symbol."""
    rows = [{"id": i, "symbol": "AB"[i % 2], "price": i / 4} for i in range(19)] + [{"id": 19, "price": 1.0}]
    produce(topic_name, [(None, json.dumps(row)) for row in rows])
    wb.sql(table("trades", topic_name))
    return topic_name


def content(plan, path):
    return next(file.content for file in plan.files if file.path == path)


def declared(plan):
    return [
        f.path.split("/", 1)[1]
        for f in plan.files
        if f.path.startswith(("sql/tables", "sql/views", "sql/func"))
    ]


def codes(plan, *severities):
    return {f.code for f in plan.findings if not severities or f.severity in severities}


def key(plan):
    return plan.script.split("PRIMARY KEY (")[1].split(")")[0].replace("`", "").split(", ")


def test_an_alter_that_no_plan_shows_is_kept(wb, trades):
    wb.sql("ALTER TABLE trades SET ('properties.group.id' = 'team-1')")
    wb.sql(f"SELECT id FROM trades {BOUNDED}", name="q")
    plan = wb.promote("q", job="j", to="out")
    assert "team-1" in content(plan, "sql/tables/trades.sql")
    assert "team-1" in plan.script


def test_a_temporary_table_that_hides_another_is_the_one_taken(wb, trades):
    wb.sql(
        table("trades", trades, more=", 'properties.group.id' = 'mine'").replace(
            "TABLE", "TEMPORARY TABLE", 1
        )
    )
    wb.sql(f"SELECT id FROM trades {BOUNDED}", name="q")
    plan = wb.promote("q", job="j", to="out")
    assert plan.script.count("CREATE") == 2
    assert "mine" in plan.script


def test_a_renamed_table_is_taken_with_its_rename(wb, trades):
    wb.sql("ALTER TABLE trades RENAME TO deals")
    wb.sql(f"SELECT id FROM deals {BOUNDED}", name="q")
    plan = wb.promote("q", job="j", to="out")
    assert declared(plan) == ["tables/trades.sql", "tables/out.sql"]
    assert "RENAME TO deals" in plan.script


def test_a_table_made_again_under_its_view_is_written_before_it(wb, trades):
    wb.sql("CREATE VIEW cheap AS SELECT id, price FROM trades WHERE price < 2")
    again = table("trades", trades, more=", 'scan.bounded.mode' = 'latest-offset'")
    wb.sql(f"DROP TABLE trades; {again}")
    wb.sql("SELECT id FROM cheap", name="q")
    assert declared(wb.promote("q", job="j", to="out")) == [
        "tables/trades.sql",
        "views/cheap.sql",
        "tables/out.sql",
    ]


def test_a_database_is_written_before_its_tables(wb, topic_name, produce):
    produce(topic_name, [(None, '{"id": 1}')])
    wb.sql(f"CREATE DATABASE team; USE team; {table('t', topic_name)}")
    wb.sql(f"SELECT id FROM t {BOUNDED}", name="q")
    plan = wb.promote("q", job="j", to="out")
    assert plan.files[0].path == "sql/jobs/j.session.sql"
    assert plan.files[0].content == "CREATE DATABASE team;\nUSE team;\n"
    order = [
        plan.script.index(text) for text in ("CREATE DATABASE", "USE team", "CREATE TABLE t", "INSERT INTO")
    ]
    assert order == sorted(order)
    terraform = content(plan, "terraform/j.tf")
    assert terraform.index("j.session.sql") < terraform.index("tables/t.sql") < terraform.index("jobs/j.sql")


def test_a_table_of_another_database_is_refused(wb, topic_name, produce):
    produce(topic_name, [(None, '{"id": 1}')])
    wb.sql(f"CREATE DATABASE team; USE team; {table('t', topic_name)}; USE default_database")
    wb.sql(f"SELECT id FROM team.t {BOUNDED}", name="q")
    with pytest.raises(SliceError):
        wb.promote("q", job="j", to="out")


def test_planner_settings_of_the_profile_go_with_the_job(wb, trades):
    wb.sql(f"SELECT id, CAST(TO_TIMESTAMP_LTZ(0, 3) AS STRING) AS t FROM trades {BOUNDED}", name="q")
    plan = wb.promote("q", job="j", to="out")
    assert content(plan, "sql/jobs/j.sql").startswith("-- j\nSET 'table.local-time-zone' = 'Asia/Tokyo';\n")
    assert "parallelism" not in plan.script
    assert [f.message for f in plan.findings if f.code == "SDP012"] == [
        "the profile sets parallelism.default, which is not part of the job"
    ]


def test_a_table_changed_after_the_query_ran_calls_for_another_run(wb, trades):
    wb.sql(f"SELECT id FROM trades {BOUNDED}", name="q")
    wb.sql("ALTER TABLE trades SET ('properties.group.id' = 'team-1')")
    with pytest.raises(NotValidated, match="table trades was changed after q ran"):
        wb.promote("q", job="j", to="out")
    wb.sql(f"SELECT id FROM trades {BOUNDED}", name="q")
    wb.promote("q", job="j", to="out")


def test_a_query_without_a_row_in_its_time_proves_nothing(wb, topic_name, produce):
    produce(topic_name, [])
    wb.sql(table("t", topic_name))
    wb.sql("SELECT id FROM t", name="q", timeout=3)
    with pytest.raises(NotValidated, match="before its first row"):
        wb.promote("q", job="j", to="out")


def test_a_bounded_query_without_rows_has_its_columns(wb, trades):
    wb.sql(f"SELECT id, symbol FROM trades {BOUNDED} WHERE id < 0", name="q")
    assert "`symbol` " in wb.promote("q", job="j", to="out").script


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ("symbol, COUNT(*) AS n", ["symbol"]),
        ("COUNT(*) AS n, symbol AS s", ["s"]),
        ("COUNT(*) AS n, symbol, symbol AS other", ["symbol"]),
        ("MAX(price) AS p, symbol, id", ["symbol", "id"]),
        ("id, MIN(price) AS a, MAX(price) AS b, symbol, COUNT(*) AS n", ["id", "symbol"]),
    ],
)
def test_the_planner_s_key_is_found_wherever_it_stands(wb, trades, select, expected):
    by = "symbol, id" if " id" in select or select.startswith("id") else "symbol"
    wb.sql(f"SELECT {select} FROM trades {BOUNDED} WHERE symbol IS NOT NULL GROUP BY {by}", name="q")
    assert sorted(key(wb.promote("q", job="j", to="out"))) == sorted(expected)


def test_an_updating_query_whose_key_is_not_in_the_result_is_refused(wb, trades):
    wb.sql(f"SELECT COUNT(*) AS n FROM trades {BOUNDED} GROUP BY symbol", name="q")
    with pytest.raises(PromoteError, match="finds no key") as caught:
        wb.promote("q", job="j", to="out")
    assert "--key" in caught.value.hint
    assert "sdp_probe" not in str(caught.value)


def test_a_null_key_that_was_seen_blocks(wb, trades):
    wb.sql(f"SELECT symbol, COUNT(*) AS n FROM trades {BOUNDED} GROUP BY symbol", name="q")
    plan = wb.promote("q", job="j", to="out")
    assert codes(plan, "error") == {"SDP011"}
    with pytest.raises(Blocked, match="1 of the 3 rows seen have no symbol"):
        plan.apply()
    wb.sql("SET 'table.exec.sink.not-null-enforcer' = 'DROP'")
    wb.sql(f"SELECT symbol, COUNT(*) AS n FROM trades {BOUNDED} GROUP BY symbol", name="q")
    assert codes(wb.promote("q", job="j", to="out"), "error") == set()


def test_a_type_the_topic_cannot_hold_is_refused(wb, trades):
    wb.sql(f"SELECT id, PARSE_JSON('1') AS n FROM trades {BOUNDED}", name="q")
    with pytest.raises(PromoteError, match="cannot be written to the topic out") as caught:
        wb.promote("q", job="j", to="out")
    assert "CAST" in caught.value.hint


def test_a_join_that_appends_keeps_state_too(wb, trades):
    wb.sql(f"SELECT a.id, b.price FROM trades {BOUNDED} a JOIN trades {BOUNDED} b ON a.id = b.id", name="q")
    assert "SDP002" in codes(wb.promote("q", job="j", to="out"))
    wb.sql(f"SELECT id FROM trades {BOUNDED}", name="q")
    assert "SDP002" not in codes(wb.promote("q", job="j", to="out"))


def test_a_table_of_the_session_is_taken_as_the_output(wb, trades):
    wb.sql(table("sink", "elsewhere", "id BIGINT"))
    wb.sql(f"SELECT id FROM trades {BOUNDED}", name="q")
    plan = wb.promote("q", job="j", to="sink")
    assert declared(plan) == ["tables/trades.sql", "tables/sink.sql"]
    assert (plan.topic.name, plan.topic.ddl) == ("elsewhere", "")
    by_topic = wb.promote("q", job="j", to="sink")
    assert "INSERT INTO `sink`" in by_topic.script


def test_a_table_of_the_session_that_does_not_fit_is_refused(wb, trades):
    wb.sql(table("sink", "elsewhere", "id BIGINT, more STRING NOT NULL"))
    wb.sql(f"SELECT id FROM trades {BOUNDED}", name="q")
    with pytest.raises(PromoteError, match="more STRING NOT NULL is not in the result") as caught:
        wb.promote("q", job="j", to="sink")
    assert "--to" in caught.value.hint


def test_a_name_that_another_object_has_is_refused(wb, trades):
    wb.sql(table("a_b", "elsewhere", "id BIGINT"))
    wb.sql("CREATE VIEW v AS SELECT 1 AS x")
    wb.sql(f"SELECT id FROM trades {BOUNDED}", name="q")
    for to, what in (("a.b", "another table"), ("v", "another view")):
        with pytest.raises(PromoteError, match=what):
            wb.promote("q", job="j", to=to)


def test_a_job_is_not_fed_with_its_own_output(wb, trades):
    wb.sql(f"SELECT id FROM trades {BOUNDED}", name="q")
    with pytest.raises(PromoteError, match="would feed itself"):
        wb.promote("q", job="j", to=trades)


def test_a_second_job_in_the_cell_blocks(wb, trades):
    wb.sql("CREATE TABLE hole (id BIGINT) WITH ('connector' = 'blackhole')")
    wb.sql(f"INSERT INTO hole SELECT id FROM trades {BOUNDED}; SELECT id FROM trades {BOUNDED}", name="q")
    with pytest.raises(Blocked, match="SDP008"):
        wb.promote("q", job="j", to="out").apply()


def test_a_parameter_that_belongs_to_the_connections_is_refused(wb, trades):
    wb.sql(f"SELECT id FROM trades {BOUNDED} WHERE symbol = '${{kafka}}'", name="q", params={"kafka": "A"})
    with pytest.raises(UsageError, match="cannot be a parameter"):
        wb.promote("q", job="j", to="out")


def test_a_job_runs_once(wb, trades, repository):
    job = f"once-{trades}"
    wb.sql("SELECT id FROM trades", name="q", limit=3)
    plan = wb.promote("q", job=job, to=f"{trades}.out")
    applied = plan.apply(run=True)
    try:
        wb.sql("SELECT id FROM trades", name="q", limit=3)
        with pytest.raises(sdp_kernel.errors.JobFailed, match="already runs"):
            wb.promote("q", job=job, to=f"{trades}.out").apply(run=True)
        assert sum(known.name == job for known in wb.jobs()) == 1
    finally:
        wb.jobmanager.cancel(applied.job_id)


def test_a_receipt_hashes_the_statements_as_they_are_written(wb, trades):
    wb.sql(f"SELECT id FROM trades {BOUNDED} WHERE symbol = '${{s}}'", name="q", params={"s": "A"})
    plan = wb.promote("q", job="j", to="out")
    insert = f"INSERT INTO `out`\nSELECT id FROM trades {BOUNDED} WHERE symbol = '${{s}}'"
    assert plan.receipt["statements"][-1] == hashlib.sha256(insert.encode()).hexdigest()
    assert plan.receipt["parameters"] == {"s": "A"}
    assert plan.receipt["run"]["rows"] == 10
    assert str(wb.profile.gateway) not in json.dumps(plan.receipt)
