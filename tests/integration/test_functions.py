"""Python functions on a real stack: registered, called, replaced, replayed, failing, promoted."""

import json
import re
import time

import httpx
import pytest
from jupyter_client.manager import start_new_kernel

import sdp_kernel
from sdp_kernel.deploy.session_cluster import run_sql_job
from sdp_kernel.errors import FunctionError, JobFailed, NotValidated, Position, UsageError
from sdp_kernel.flink import function_cell, function_faults, parameters
from sdp_kernel.flink.functions import Functions
from sdp_kernel.flink.ledger import Ledger
from sdp_kernel.flink.session import Session
from sdp_kernel.repository import notation
from tests.repositories import git, make_team

pytestmark = pytest.mark.stack

ANNOTATED = """from collections.abc import Iterator
from typing import NamedTuple

class Word(NamedTuple):
    word: str
    size: int

def one_more(x: int) -> int:
    return x + 1

def two_more(x: int | None) -> int | None:
    return None if x is None else one_more(one_more(x))

def words(s: str) -> Iterator[Word]:
    for word in s.split():
        yield Word(word, len(word))

def spread(s: str) -> dict[str, list[int]]:
    return {word.word: [word.size] for word in words(s)}
"""
DECORATED = """import pandas as pd
from pyflink.table import DataTypes
from pyflink.table.udf import AggregateFunction, udaf, udf, udtf

@udf(result_type=DataTypes.STRING())
def pair(a, b):
    return f"{a}-{b}"

@udf(result_type="DOUBLE", func_type="pandas")
def product(a: pd.Series, b: pd.Series) -> pd.Series:
    return a.astype(float) * b

@udaf(result_type="DOUBLE", func_type="pandas")
def mean(v):
    return v.mean()

class Weighted(AggregateFunction):
    def create_accumulator(self):
        return [0, 0]
    def accumulate(self, accumulator, value, weight):
        accumulator[0] += value * weight
        accumulator[1] += weight
    def retract(self, accumulator, value, weight):
        accumulator[0] -= value * weight
        accumulator[1] -= weight
    def get_value(self, accumulator):
        return accumulator[0] // accumulator[1] if accumulator[1] else None

weighted = udaf(Weighted(), result_type="BIGINT", accumulator_type="ARRAY<BIGINT>")
"""
THREE = "(VALUES (1, 4), (2, 5), (3, 6)) AS t(x, y)"


@pytest.fixture
def functions(session, tmp_path):
    """The session's functions, their modules in a directory of the test's own."""
    return Functions(session, tmp_path / "functions")


def register(functions, text, *names):
    return functions.register(function_cell.load(text, names, first_line=2))


def rows(session, sql, **bounds):
    return [tuple(row.values()) for row in session.execute(sql, timeout=60, **bounds).arrow.to_pylist()]


def test_annotated_functions_answer_in_sql_as_in_python(session, functions):
    done = register(functions, ANNOTATED)
    local = done.exports
    assert rows(session, "SELECT one_more(1), two_more(CAST(NULL AS BIGINT)), spread('a bb')") == [
        (local["one_more"](1), local["two_more"](None), [(w, s) for w, s in local["spread"]("a bb").items()])
    ]
    found = rows(
        session,
        "SELECT word, size FROM (VALUES ('a bb')) AS t(s), LATERAL TABLE(words(s))".replace("size", "`size`"),
    )
    assert found == [tuple(word) for word in local["words"]("a bb")]


def test_decorated_and_vectorised_functions_answer_in_sql_as_in_python(session, functions):
    local = register(functions, DECORATED).exports
    (row,) = rows(session, "SELECT pair(x, 'x'), product(x, y) FROM (VALUES (2, 3)) AS t(x, y)")
    assert row == (local["pair"](2, "x"), local["product"](2, 3)) == ("2-x", 6.0)
    assert rows(session, f"SELECT weighted(x, y) FROM {THREE}")[-1] == (
        local["weighted"]([1, 2, 3], [4, 5, 6]),
    )
    session.execute("SET 'execution.runtime-mode' = 'batch'")
    assert rows(session, f"SELECT mean(x) FROM {THREE}") == [(local["mean"]([1, 2, 3]),)]


def test_an_edited_cell_takes_effect_and_an_unchanged_one_does_nothing(session, functions):
    text = "def f(x: int) -> int:\n    return x + {n}\ndef g(x: int) -> int:\n    return x\n"
    assert register(functions, text.format(n=1)).fresh
    assert rows(session, "SELECT f(1)") == [(2,)]
    before = session.ledger.entries
    assert not register(functions, text.format(n=1)).fresh
    assert [e.kind for e in session.ledger.entries[len(before) :]] == ["SHOW"]
    assert register(functions, text.format(n=2), "f").fresh
    assert rows(session, "SELECT f(1), g(1)") == [(3, 1)]


def test_a_library_of_the_user_s_own_stays_beside_the_functions(session, functions, tmp_path):
    (tmp_path / "ownlib.py").write_text("def base():\n    return 40\n", encoding="utf-8")
    session.execute(f"SET 'python.files' = '{tmp_path / 'ownlib.py'}'")
    text = "def f(x: int) -> int:\n    import ownlib\n    return ownlib.base() + x\n"
    register(functions, text)
    assert rows(session, "SELECT f(2)") == [(42,)]


def test_a_function_flink_cannot_read_is_refused_at_its_line_and_leaves_the_session_as_it_was(
    session, functions
):
    register(functions, "def f(x: int) -> int:\n    return x\n")
    before = session.gateway.session_config(session.handle)["python.files"]
    text = "from pyflink.table.udf import udf\n\n@udf(result_type='BIGINTT')\ndef f(x):\n    return x\n"
    with pytest.raises(FunctionError, match="Flink cannot read f") as error:
        register(functions, text)
    assert error.value.position == Position(5, 1)
    assert session.gateway.session_config(session.handle)["python.files"] == before
    assert rows(session, "SELECT f(7)") == [(7,)]
    assert "sdp_probe" not in session.runner().text("SHOW USER FUNCTIONS")


def test_one_bad_function_among_many_is_the_one_that_is_named(session, functions):
    text = (
        "from pyflink.table.udf import udf\n@udf(result_type='BIGINT')\ndef good(x):\n    return x\n"
        "@udf(result_type='MAP<STRING')\ndef bad(x):\n    return x\n"
    )
    with pytest.raises(FunctionError, match="Flink cannot read bad"):
        register(functions, text)


def test_a_name_of_flink_s_own_function_is_refused(functions):
    with pytest.raises(FunctionError, match="upper is a function of Flink's own"):
        register(functions, "def upper(s: str) -> str:\n    return s\n")


def test_reserved_names_are_known(functions):
    done = register(
        functions, "def blob(s: str) -> str:\n    return s\ndef fine(s: str) -> str:\n    return s\n"
    )
    assert done.reserved == {"blob"}


def test_a_file_the_gateway_does_not_see_is_said_with_what_to_do(functions, monkeypatch, tmp_path):
    monkeypatch.setattr(
        "sdp_kernel.flink.functions.publish", lambda *_, **__: str(tmp_path / "elsewhere" / "sdp_fn_00.py")
    )
    with pytest.raises(UsageError, match="does not see the functions' file") as error:
        register(functions, "def f(x: int) -> int:\n    return x\n")
    assert "functions =" in error.value.hint


def test_a_shared_directory_serves_where_the_gateway_is_elsewhere(session, tmp_path):
    functions = Functions(session, tmp_path / "mine", shared=str(tmp_path / "shared"))
    register(functions, "def f(x: int) -> int:\n    return x + 1\n")
    assert str(tmp_path / "shared") in session.gateway.session_config(session.handle)["python.files"]
    assert rows(session, "SELECT f(1)") == [(2,)]


def test_a_worker_s_error_has_its_reason_and_the_cell_s_line(session, functions):
    register(functions, "def f(x: int) -> int:\n    return 1 // (x - 2)\n")
    with pytest.raises(JobFailed) as error:
        session.execute(f"SELECT f(x) FROM {THREE}")
    fault = function_faults.read(error.value.detail)
    assert fault.reason.startswith("ZeroDivisionError")
    assert (fault.frames[-1].line, fault.frames[-1].function) == (3, "f")
    assert "return 1 // (x - 2)" in str(fault)


def test_a_value_of_another_type_than_declared_is_said(session, functions):
    register(functions, "def f(x: int) -> int:\n    return 'abc'\n")
    with pytest.raises(JobFailed) as error:
        session.execute("SELECT f(1)")
    assert "the BIGINT it declares" in function_faults.read(error.value.detail).reason


def test_a_lost_session_gets_its_functions_back(session, functions):
    register(functions, "def f(x: int) -> int:\n    return x + 1\n")
    session.gateway.close_session(session.handle)
    assert rows(session, "SELECT f(1)") == [(2,)]


def test_another_process_gets_them_back_from_the_ledger_on_disk(stack, tmp_path):
    path = tmp_path / "ledger.jsonl"
    one = Session(stack.gateway, jobmanager=stack.jobmanager, ledger=Ledger(path))
    Functions(one, tmp_path).register(function_cell.load("def f(x: int) -> int:\n    return x + 1\n"))
    one.close()
    two = Session(stack.gateway, jobmanager=stack.jobmanager, ledger=Ledger.read(path))
    two.reopen()
    assert rows(two, "SELECT f(1)") == [(2,)]
    two.close()


def test_in_a_kernel_the_functions_are_plain_python_and_sql(stack, tmp_path):
    (tmp_path / "sdp.toml").write_text(
        f'[profiles.local]\ngateway = "{stack.gateway}"\njobmanager = "{stack.jobmanager}"\n',
        encoding="utf-8",
    )
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(tmp_path), startup_timeout=60)

    def run(code):
        shown = []
        reply = client.execute_interactive(
            code, output_hook=lambda m: shown.append(m["content"]), timeout=120
        )
        return reply["content"], [c["data"]["text/plain"] for c in shown if "text/plain" in c.get("data", {})]

    try:
        run("%load_ext sdp_kernel\nrate = 3")
        reply, shown = run(f"%%flinkudf pair weighted\n{DECORATED}")
        assert reply["status"] == "ok"
        assert re.search(r"^pair +\(…\) → VARCHAR +scalar$", shown[0], re.MULTILINE)
        assert run("pair(1, 'a'), weighted([1, 3], [1, 1])")[1] == ["('1-a', 2)"]
        reply, _ = run("%%flinksql q\nSELECT pair(1, 'a') AS j")
        assert reply["status"] == "ok"
        assert run("q.df['j'].tolist()")[1] == ["['1-a']"]
        reply, _ = run("%%flinkudf\ndef f(x: int) -> int:\n    return rate * x\n")
        assert reply["ename"] == "FunctionError"
        assert "rate is not defined in this cell" in reply["evalue"]
        assert "line 3" in reply["evalue"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


# promotion


@pytest.fixture
def repository(tmp_path, stack):
    """A team repository with the stack in its ``sdp.toml``."""
    return make_team(tmp_path / "repository", stack)


@pytest.fixture
def wb(repository, job):
    with sdp_kernel.connect("local", directory=repository) as workbench:
        yield workbench
        for known in workbench.jobs():
            if not known.done and known.name.startswith(job):
                workbench.jobmanager.cancel(known.id)


@pytest.fixture
def names(wb, topic_name, produce):
    """The table ``names`` over a topic of 20 records, and a view that calls a function on it."""
    produce(topic_name, [(None, json.dumps({"id": i, "name": " aB"[i % 3] + "x"})) for i in range(20)])
    wb.sql(
        f"CREATE TABLE names (id BIGINT, name STRING) WITH ('connector' = 'kafka', ${{kafka.main}}, "
        f"'topic' = '{topic_name}', 'format' = 'json', 'scan.startup.mode' = 'earliest-offset', "
        "'scan.bounded.mode' = 'latest-offset')"
    )
    return topic_name


TIDY = """def tidy(s: str) -> str:
    return stripped(s).upper()

def stripped(s: str) -> str:
    return s.strip()

def unused(s: str) -> str:
    return s
"""
COUNTS = "SELECT name, COUNT(*) AS n FROM tidied GROUP BY name"


def ran(wb):
    """Register the functions, declare the view, and run the query that is to be promoted."""
    wb.functions.register(function_cell.load(TIDY, ["tidy", "unused"], first_line=2))
    wb.sql("CREATE TEMPORARY VIEW tidied AS SELECT id, tidy(name) AS name FROM names")
    return wb.sql(COUNTS, name="counts", timeout=90)


def table_of(wb, topic, wanted, *, seconds=90):
    """Return the last value of each key of an upsert topic, once it is as wanted or time is over."""
    until = time.monotonic() + seconds
    while True:
        df = wb.sample(topic, n=1000, at="head", timeout=5).df if topic in set(wb.topics()["topic"]) else None
        found = {} if df is None or not len(df) else dict(zip(df["name"], df["n"], strict=True))
        if found == wanted or time.monotonic() > until:
            return found
        time.sleep(0.5)


def test_a_promoted_query_runs_with_its_functions_from_the_repository_s_files_alone(
    wb, names, repository, job, tmp_path, stack
):
    query = ran(wb)
    seen = {row["name"]: row["n"] for row in query.arrow.to_pylist()}
    assert seen == {"X": 7, "AX": 7, "BX": 6}
    plan = wb.promote("counts", job=job, to=f"{names}.out")
    contents = {file.path: file.content for file in plan.files}
    assert contents["sql/functions/udf_tidy.py"].startswith("def tidy(s: str)")
    assert contents["sql/functions/tidy.sql"] == (
        "CREATE TEMPORARY SYSTEM FUNCTION `tidy` AS 'udf_tidy._sdp_tidy' LANGUAGE PYTHON;\n"
    )
    assert "sql/functions/unused.sql" not in contents
    assert contents[f"sql/jobs/{job}.session.sql"] == "SET 'python.files' = '${functions}/udf_tidy.py';\n"
    assert "functions = var.functions" in re.sub(" +", " ", contents[f"terraform/{job}.tf"])
    assert "udf_tidy.py" not in contents[f"terraform/{job}.tf"]
    assert "sdp_fn_" not in "".join(contents.values())
    assert list(plan.receipt["python"]) == ["sql/functions/udf_tidy.py"]

    applied = plan.apply(run=True)
    assert table_of(wb, f"{names}.out", seen) == seen

    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "-b", applied.branch, str(repository), str(clone))
    module = (clone / f"terraform/{job}.tf").read_text(encoding="utf-8")
    listed = re.findall(r'path\.root}/\.\./([^"]+)"', module)
    fragments = {**wb.session.fragments, "functions": str(clone / "sql/functions")}
    text = notation.untemplate("\n".join((clone / path).read_text(encoding="utf-8") for path in listed))
    again = f"{names}.again"
    script = parameters.render(text.replace(f"'{names}.out'", f"'{again}'"), {}, fragments).text
    assert str(repository / ".sdp") not in script
    wb.cluster("main").create_topic(again, config={"cleanup.policy": "compact"})
    run_sql_job(wb.jobmanager, script, name=f"{job}-again")
    assert table_of(wb, again, seen) == seen


def test_a_function_changed_after_the_query_ran_is_refused_and_an_unrelated_one_is_not(wb, names, job):
    ran(wb)
    wb.functions.register(function_cell.load("def other(s: str) -> str:\n    return s\n"))
    wb.promote("counts", job=job, to=f"{names}.out")
    wb.functions.register(function_cell.load(TIDY.replace("upper", "lower"), ["tidy"], first_line=2))
    with pytest.raises(NotValidated, match="function tidy was changed"):
        wb.promote("counts", job=job, to=f"{names}.out")


def test_planning_leaves_the_gateway_s_other_sessions_alone(wb, names, job, stack):
    ran(wb)
    before = httpx.get(f"{stack.gateway}/v3/sessions/{wb.session.handle}").json()
    wb.promote("counts", job=job, to=f"{names}.out")
    assert httpx.get(f"{stack.gateway}/v3/sessions/{wb.session.handle}").json() == before


def test_a_read_only_profile_takes_functions_of_its_session_and_writes_nothing_elsewhere(stack, tmp_path):
    reader = Session(stack.gateway, jobmanager=stack.jobmanager, read_only=True)
    try:
        shared = tmp_path / "shared"
        elsewhere = Functions(reader, tmp_path / "functions", shared=str(shared))
        with pytest.raises(UsageError, match=f"read-only.*{shared}"):
            register(elsewhere, ANNOTATED, "one_more")
        assert not shared.exists()
        assert not reader.opened
        register(Functions(reader, tmp_path / "functions"), ANNOTATED, "one_more")
        assert rows(reader, f"SELECT one_more(x) FROM {THREE}") == [(2,), (3,), (4,)]
    finally:
        reader.close()
