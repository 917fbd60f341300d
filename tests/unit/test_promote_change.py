"""A job that exists and what a promotion makes of it: whose it is, its file of the platform's, its cell."""

import json
import subprocess

import pytest

from sdp_kernel.connection import KafkaCluster
from sdp_kernel.errors import PromoteError, UsageError
from sdp_kernel.flink import parameters
from sdp_kernel.flink.ledger import Entry, Ledger
from sdp_kernel.flink.script import split
from sdp_kernel.promote import change_view, function_change, render
from sdp_kernel.promote.change import (
    Change,
    Part,
    _operators,
    _origin,
    _placeless,
    _statements,
    change_of,
)
from sdp_kernel.promote.module_block import merged
from sdp_kernel.promote.pull import pull
from sdp_kernel.repository import job as jobs
from sdp_kernel.repository.git import Repository
from sdp_kernel.repository.state import (
    COMPATIBLE,
    INCOMPATIBLE,
    SAME,
    Compatibility,
    OperatorState,
    unknown,
)

NOTHING = Compatibility(SAME, "savepoint")
ANEW = Compatibility(INCOMPATIBLE, "stateless", operators=(OperatorState("Join", "lost", "is gone"),))
SKIPPING = Compatibility(COMPATIBLE, "savepoint", allow_non_restored_state=True)
TABLE = "CREATE TABLE orders (id INT) WITH ('connector' = 'kafka', ${kafka.main}, 'topic' = '${topic}')"


def call(files=("sql/tables/orders.sql", "sql/jobs/big.sql"), args=None, aliases=("kafka.main",)):
    return render.terraform(
        "big", module_source="./modules/flink/sql-job", session_cluster="dev", files=list(files),
        arguments=args or {"topic": "orders"}, aliases=list(aliases),
    )  # fmt: skip


def by_the_team(text):
    return (
        text.replace("parallelism     = 1", "parallelism     = 4 # eight cores")
        .replace("  state  ", "  # nightly\n  state  ")
        .replace("\n}\n", '\n\n  labels = {\n    team = "x"\n  }\n}\n')
    )  # fmt: skip


def test_the_team_s_own_arguments_and_comments_stay():
    old = by_the_team(call())
    new = call(files=["sql/tables/orders.sql", "sql/views/v.sql", "sql/jobs/big.sql"], args={"topic": "o2"})
    text = merged(old, new, NOTHING)
    for kept in (
        "parallelism     = 4 # eight cores",
        "  # nightly\n",
        '  labels = {\n    team = "x"\n  }\n}\n',
    ):
        assert kept in text
    assert "sql/views/v.sql" in text
    assert 'topic = "o2"' in text
    assert '"orders"' not in text
    assert merged(text, new, NOTHING) == text


def test_a_file_that_needs_no_change_stays_as_it_is_byte_for_byte():
    old = by_the_team(call()).replace("    topic = ", "    topic     =  ")
    assert merged(old, call(), None) == old
    assert merged(call(), call(), NOTHING) == call()


def test_what_the_job_no_longer_needs_goes_and_what_it_needs_now_comes():
    assert "var.kafka" not in merged(call(), call(aliases=()), None)
    text = merged(by_the_team(call()), call(aliases=("kafka.main", "functions")), None)
    assert "functions = var.functions" in text
    assert text.endswith("}\n")
    assert text.count("\n}\n") == 1


def test_the_upgrade_mode_follows_the_state():
    lost = merged(call(), call(), ANEW)
    assert '  upgrade_mode    = "stateless"\n' in lost
    back = merged(lost, call(), NOTHING)
    assert '  upgrade_mode    = "savepoint"\n' in back
    skipping = merged(call(), call(), SKIPPING)
    assert '"savepoint"\n  allow_non_restored_state = true\n' in skipping
    assert "allow_non_restored_state = false" in merged(skipping, call(), NOTHING)
    last = call().replace('"savepoint"', '"last-state"')
    assert merged(last, call(), NOTHING) == last
    assert merged(lost, call(), unknown("no plan")) == lost


@pytest.mark.parametrize(
    "other",
    ["", "locals {}\n", call() + call(), call().replace('"dev"', "<<EOT\ndev\nEOT"), "module x {\n}\n#"],
)
def test_a_file_of_another_form_is_left_to_the_diff(other):
    assert merged(other, call(), ANEW) == call()


def test_statements_are_paired_by_what_they_declare():
    old = ["SET 'a' = '1'", TABLE, "CREATE VIEW v AS SELECT 1", "INSERT INTO o\nSELECT id FROM orders"]
    new = ["SET 'a' = '2'", "SET 'b' = '1'", TABLE, "INSERT INTO p\nSELECT id FROM orders"]
    parts = list(_statements(old, new))
    assert [(part.name, part.status) for part in parts] == [
        ("SET 'a'", "changed"), ("SET 'b'", "new"), ("CREATE TABLE orders", "same"), ("job", "changed"),
        ("CREATE VIEW v", "gone"),
    ]  # fmt: skip
    assert parts[3].diff == "- INSERT INTO o\n+ INSERT INTO p\n  SELECT id FROM orders"


def test_where_python_files_lie_is_no_change():
    one = _placeless("SET 'python.files' = '/a/b/udf_f.py,s3://c/udf_g.py'")
    assert one == _placeless("SET 'python.files' = '/tmp/x/udf_f.py,udf_g.py'")
    assert one == "SET 'python.files' = 'udf_f.py,udf_g.py'"
    assert _placeless("SET 'path' = '/a/b'") == "SET 'path' = '/a/b'"


def plan(*descriptions):
    nodes = [{"id": n, "type": "stream-exec-calc_1", "description": d} for n, d in enumerate(descriptions)]
    return {"nodes": nodes, "edges": []}


def test_operators_are_paired_in_the_plan_s_order():
    old = plan("TableSourceScan(a)", "GroupAggregate(n)", "Sink(o)")
    new = plan("TableSourceScan(a)", "Calc(x)", "GroupAggregate(m)", "Sink(o)")
    assert [(part.name, part.status) for part in _operators(old, new)] == [
        ("TableSourceScan", "same"), ("Calc", "new"), ("GroupAggregate", "changed"), ("Sink", "same"),
    ]  # fmt: skip
    assert [part.status for part in _operators(new, plan("TableSourceScan(a)"))] == ["same", *["gone"] * 3]


def change(**values):
    parts = {"statements": (), "operators": (), "state": NOTHING}
    return Change(base="a" * 40, own=True, origin="cell q of n.ipynb", **parts | values)


def test_only_the_job_s_own_files_change_without_replace():
    own = change()
    assert own.covers("sql/jobs/j.sql", [], "j")
    assert own.covers("sql/tables/t.sql", ["j"], "j")
    assert not own.covers("sql/tables/t.sql", ["j", "k"], "j")
    other = Change(base="a", own=False, origin="", statements=(), operators=(), state=NOTHING)
    assert not other.covers("sql/jobs/j.sql", [], "j")


def test_a_change_is_shown_escaped_and_what_is_as_it_was_is_not():
    parts = (Part("job", "changed", "- SELECT '<b>'\n+ SELECT 2"), Part("SET", "same"))
    shown = change(statements=parts, state=ANEW)
    page, text = change_view.html(shown), "\n".join(change_view.lines(shown))
    assert "<b>" not in page
    assert "&lt;b&gt;" in page
    for word in ("incompatible", "stateless", "Join", "cell q of n.ipynb"):
        assert word in page
        assert word in text
    assert "SET" not in text
    assert not change_view.html(change(statements=(Part("job", "same"),)))
    assert not list(change_view.lines(None))
    assert json.loads(json.dumps(shown.to_json()))["state"]["verdict"] == "incompatible"


@pytest.fixture
def repository(tmp_path):
    """A function that commits files, and returns the repository and the commit."""
    git = ["git", "-C", str(tmp_path), "-c", "user.name=Ada", "-c", "user.email=a@example.com"]
    subprocess.run([*git, "init", "-q"], check=True)

    def committed(files):
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text, encoding="utf-8")
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-q", "-m", "x"], check=True)
        return Repository(tmp_path), Repository(tmp_path).git("rev-parse", "HEAD")

    return committed


@pytest.mark.parametrize(
    ("known", "now", "own"),
    [
        (("q", "n.ipynb"), ("q", "n.ipynb"), True),
        (("q", "n.ipynb"), ("q", "deep/n.ipynb"), True),
        (("q", "a/n.ipynb"), ("q", "b/n.ipynb"), False),
        (("q", "n.ipynb"), ("p", "n.ipynb"), False),
        (("q", None), ("q", None), False),
        (("q", "n.ipynb"), ("q", None), False),
        ((None, "n.ipynb"), (None, "n.ipynb"), False),
    ],
)
def test_a_job_is_the_cell_s_own_where_the_receipt_names_cell_and_notebook(repository, known, now, own):
    cell = dict(zip(("name", "notebook"), known, strict=True))
    found, commit = repository({"sql/jobs/j.receipt.json": json.dumps({"cell": cell})})
    mine, origin = _origin(found, commit, "j", dict(zip(("name", "notebook"), now, strict=True)))
    assert mine is own
    assert all(word in origin for word in known if word)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cell": 1}', "null"])
def test_a_receipt_that_cannot_be_read_makes_no_job_anybody_s_own(repository, text):
    found, commit = repository({"sql/jobs/j.receipt.json": text, "x": "y"})
    assert _origin(found, commit, "j", {"name": "q", "notebook": "n.ipynb"}) == (False, "it has no receipt")


FUNCTION = "CREATE TEMPORARY SYSTEM FUNCTION `most` AS 'udf_most.most' LANGUAGE PYTHON"
SETTING = "SET 'python.files' = '${functions}/udf_most.py'"
QUERY = "INSERT INTO out SELECT most(id) FROM orders"
SCALAR = "@udf(result_type='INT')\ndef most(x):\n    return x + 1\n"
AGGREGATE = "most = udaf(Most(), result_type='INT')\n"


@pytest.fixture
def with_function(repository):
    """A function that commits a job with a Python function, and says what promoting it again changes."""

    def changed(was, becomes, *, function=FUNCTION):
        found, base = repository({
            "sql/functions/udf_most.py": was,
            "sql/jobs/big.session.sql": f"{SETTING};\n{FUNCTION};\n",
            "sql/jobs/big.sql": f"{QUERY};\n",
            "terraform/big.tf": call(
                ["sql/jobs/big.session.sql", "sql/jobs/big.sql"], {"x": "y"}, ["functions"]
            ),
        })  # fmt: skip
        new = [SETTING.replace("${functions}", "/elsewhere"), function, QUERY]
        python = None if becomes is None else {"sql/functions/udf_most.py": becomes}
        return change_of(found, base, "big", new, {}, session=None, kafka={}, python=python)

    return changed


@pytest.mark.parametrize("becomes", [SCALAR, None])
def test_a_function_that_stays_leaves_the_state_the_same(with_function, becomes):
    assert with_function(SCALAR, becomes).state.verdict == "same"


@pytest.mark.parametrize(
    ("text", "says"),
    [(SCALAR, "what it gave before stays in the state"), (AGGREGATE, "accumulator may be another")],
)
def test_an_edited_python_function_is_never_the_same(with_function, text, says):
    found = with_function(text, text.replace("INT", "BIGINT"))
    assert {part.status for part in found.statements} == {"same"}
    assert (found.state.verdict, found.state.upgrade_mode) == ("unknown", "")
    assert found.state.reason.startswith("sql/functions/udf_most.py is another text, of most: ")
    assert says in found.state.reason
    for shown in (change_view.html(found), "\n".join(change_view.lines(found))):
        assert shown.count(says) == 1
        assert "stateless" in shown
    assert merged(call(), call(), found.state) == call()


def test_what_an_edited_function_leaves_of_another_verdict():
    edited = function_change.changes([FUNCTION], [FUNCTION], {FILE: "1"}.get, {FILE: "2"}.get)
    assert function_change.weighed(ANEW, edited, "j") == ANEW
    assert function_change.weighed(SKIPPING, edited, "j").allow_non_restored_state is False
    no_plan = function_change.weighed(unknown("no plan"), edited, "j")
    assert (no_plan.reason, no_plan.notes[1:2]) == ("no plan", edited)
    assert function_change.weighed(NOTHING, (), "j") == NOTHING


FILE = "sql/functions/udf_most.py"
JAVA = "CREATE FUNCTION c.d.most AS 'com.example.Most'"


@pytest.mark.parametrize(
    ("new", "becomes", "count"),
    [
        (FUNCTION, {FILE: "1"}, 0),
        (FUNCTION.replace("udf_most.most", "udf_all.most"), {"sql/functions/udf_all.py": "1"}, 0),
        (FUNCTION.replace("udf_most.most", "udf_all.most"), {"sql/functions/udf_all.py": "2"}, 1),
        (FUNCTION.replace("udf_most.most", "udf_most.other"), {FILE: "1"}, 1),
        (FUNCTION.replace("`most`", "`least`"), {FILE: "2"}, 0),
        (JAVA, {}, 1),
    ],
)
def test_a_function_is_another_where_its_text_or_its_place_in_it_is(new, becomes, count):
    assert len(function_change.changes([FUNCTION], [new], {FILE: "1"}.get, becomes.get)) == count
    assert not function_change.changes([new], [new], becomes.get, becomes.get)


def test_a_committed_job_without_a_statement_has_no_state_to_go_on_from(repository):
    found, base = repository(
        {"sql/jobs/big.sql": "-- later\n", "terraform/big.tf": call(["sql/jobs/big.sql"], {"x": "y"}, [])}
    )
    change = change_of(found, base, "big", [QUERY], {}, session=None, kafka={})
    assert change.state.verdict == "unknown"
    assert "sql/jobs/big.sql has no statement" in change.state.reason


class FakeSession:
    """A session's ledger and parameters, without a gateway: what pulling looks at before it runs anything."""

    def __init__(self, *entries):
        self.ledger = Ledger()
        self.ran = []
        for text in entries:
            (statement,) = split(text)
            self.ledger.record(statement, cell=None, source=text, parameters={"topic": "orders"})

    def render(self, text, values=None):
        return parameters.render(text, values or {}, {"kafka.main": "'p' = 'q'"})

    def execute(self, text, *, params=None):
        self.ran.append((text, params))


OUTPUT = """CREATE TABLE `out_v1` (
  `n` BIGINT NOT NULL,
  `s` STRING NOT NULL,
  PRIMARY KEY (`s`) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  ${kafka.main},
  'topic' = 'out.v1',
  'key.format' = 'json'
)"""
INSERT = "INSERT INTO `out_v1`\nSELECT COUNT(*) AS n, s FROM orders WHERE id > ${least} GROUP BY s"


@pytest.fixture
def committed(tmp_path):
    """A function that writes a job of files of SQL, and reads it."""

    def write(tables, insert, sets=(), args=None):
        files = []
        for name, text in tables.items():
            files.append(f"sql/tables/{name}.sql")
            (tmp_path / files[-1]).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / files[-1]).write_text(f"{text};\n")
        files.append("sql/jobs/big.sql")
        (tmp_path / "sql/jobs").mkdir(parents=True, exist_ok=True)
        (tmp_path / files[-1]).write_text(render.job_sql("big", [Entry(s, "SET") for s in sets], insert))
        (tmp_path / "terraform").mkdir(exist_ok=True)
        (tmp_path / "terraform/big.tf").write_text(call(files, args or {"topic": "orders", "least": "3"}))
        return jobs.read(tmp_path, "big", kafka={"main": KafkaCluster("main", {"bootstrap.servers": "b:1"})})

    return write


SELECT_RAN = {"cell": {"name": "counts"}, "run": {"rows": 2}}


def test_a_select_comes_back_with_its_output_to_promote_it_to(committed):
    job = committed({"orders": TABLE, "out_v1": OUTPUT}, INSERT, ["SET 'a' = 'b'"])
    session = FakeSession()
    pulled = pull(job, session, None, commit="c", receipt=SELECT_RAN)
    assert pulled.cell == f"%%flinksql counts --param least=3\n{INSERT.partition(chr(10))[2]}"
    assert pulled.command == "%promote counts --job big --to out.v1 --key s"
    assert [text for text, _ in session.ran] == [TABLE, "SET 'a' = 'b'"]
    assert session.ran[0][1] == {"topic": "orders", "least": "3"}


def test_an_insert_comes_back_as_it_is(committed):
    job = committed({"orders": TABLE, "out_v1": OUTPUT}, INSERT)
    pulled = pull(job, FakeSession(), None, commit="c", receipt={"cell": {}, "run": {"rows": None}})
    assert (pulled.name, pulled.text, pulled.to) == ("big", INSERT, None)
    assert pulled.ran == (TABLE, OUTPUT)
    assert pull(job, FakeSession(), None, commit="c", receipt=None).text == INSERT


def test_a_job_that_would_write_before_its_last_statement_is_not_pulled(committed):
    session = FakeSession()
    job = committed({"orders": TABLE, "more": INSERT}, INSERT)
    with pytest.raises(UsageError, match="stands before its last statement"):
        pull(job, session, None, commit="c", receipt=SELECT_RAN)
    assert session.ran == []


def test_a_table_of_the_user_s_own_is_declared_and_is_the_output(committed):
    own = "CREATE TABLE out_v1 (n BIGINT, s STRING) WITH ('connector' = 'blackhole')"
    pulled = pull(committed({"orders": TABLE, "out_v1": own}, INSERT), FakeSession(), None, commit="c",
                  receipt=SELECT_RAN)  # fmt: skip
    assert pulled.ran == (TABLE, own)
    assert pulled.to == "out_v1"


def test_what_the_session_has_in_the_same_words_is_not_run_again(committed):
    job = committed({"orders": TABLE, "out_v1": OUTPUT}, INSERT)
    session = FakeSession(TABLE)
    assert pull(job, session, None, commit="c", receipt=SELECT_RAN).ran == ()
    altered = FakeSession(TABLE, "ALTER TABLE orders ADD x INT")
    for other in (altered, FakeSession(TABLE.replace("id INT", "id BIGINT"))):
        with pytest.raises(PromoteError, match="another table orders") as refused:
            pull(job, other, None, commit="c", receipt=SELECT_RAN)
        assert "DROP TABLE orders" in refused.value.hint
        assert other.ran == []


def test_an_alter_goes_with_its_table(committed):
    alter = "ALTER TABLE orders ADD (x INT)"
    job = committed({"orders": f"{TABLE};\n{alter}"}, "INSERT INTO o SELECT * FROM orders")
    assert pull(job, FakeSession(), None, commit="c", receipt=None).ran == (TABLE, alter)
    assert pull(job, FakeSession(TABLE, alter), None, commit="c", receipt=None).ran == ()


def test_a_job_without_an_insert_or_without_its_functions_is_refused(committed):
    with pytest.raises(UsageError, match="ends in no INSERT"):
        pull(committed({}, "SELECT 1"), FakeSession(), None, commit="c", receipt=None)
    function = "CREATE TEMPORARY SYSTEM FUNCTION `f` AS 'udf_f.f' LANGUAGE PYTHON"
    session = FakeSession()
    with pytest.raises(UsageError, match=r"sql/functions/udf_f\.py is not in the repository"):
        pull(committed({"orders": TABLE, "f": function}, INSERT), session, None, commit="c", receipt=None)
    assert session.ran == []
