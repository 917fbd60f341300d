import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.errors import SliceError, UsageError
from sdp_kernel.flink.ledger import Entry
from sdp_kernel.flink.query import Query
from sdp_kernel.flink.script import split
from sdp_kernel.promote import several
from sdp_kernel.promote.objects import Slice
from sdp_kernel.promote.request import Request
from sdp_kernel.promote.several import Piece


def query(text, name="q"):
    return Query(text, split(text)[-1], name=name)


SELECT, INSERT = query("SELECT 1 AS x", "s"), query("INSERT INTO t SELECT 1", "i")


def part(text):
    entries = [Entry(s.text, s.kind, s.target, s.temporary) for s in split(text)]
    return Slice(
        tuple(e for e in entries if e.kind in {"SET", "USE"}),
        tuple(e for e in entries if e.kind not in {"SET", "USE"}),
    )


@pytest.mark.parametrize("none", [[], ()])
def test_nothing_is_no_job(none):
    with pytest.raises(UsageError, match="no cell"):
        several.queries_of(none)


def test_a_cell_is_named_once():
    with pytest.raises(UsageError, match="s is named twice"):
        several.queries_of([SELECT, INSERT, SELECT])


def test_outputs_go_to_the_selects_in_their_order():
    other = query("SELECT 2 AS x", "o")
    assert several.targets([SELECT, INSERT, other], Request("j", to=("a", "b"))) == ("a", None, "b")
    assert several.targets([SELECT], Request("j", to="a")) == ("a",)
    assert several.targets([SELECT], Request("j")) == (None,)
    assert several.targets([INSERT], Request("j", to="t")) == ("t",)


@pytest.mark.parametrize(
    ("queries", "request_", "match"),
    [
        ([SELECT, INSERT], Request("j"), r"1 of the cells are SELECTs \(s\), and 0 outputs"),
        ([SELECT, INSERT], Request("j", to=("a", "b")), "and 2 outputs are given"),
        ([SELECT], Request("j", to=("a", "b")), "one cell has one output"),
        ([SELECT, query("SELECT 2", "o")], Request("j", to=("a", "a")), "would write to a"),
        ([SELECT, query("SELECT 2", "o")], Request("j", to=("a", "b"), key=("x",)), "--key is for one"),
    ],
)
def test_outputs_that_do_not_match_the_cells_are_refused(queries, request_, match):
    with pytest.raises(UsageError, match=match):
        several.targets(queries, request_)


def test_what_is_in_a_cell_now_is_told_by_its_place():
    assert [Request("j", current_text="a").text_now(n) for n in (0, 1)] == ["a", None]
    assert [Request("j", current_text=("a", None)).text_now(n) for n in (0, 1, 2)] == ["a", None, None]
    assert Request("j").text_now(0) is None


BODIES = st.sampled_from(
    [
        "INSERT INTO a SELECT x FROM t",
        "INSERT INTO b\nSELECT ';' AS x -- END;\nFROM t",
        "INSERT INTO `END` SELECT CASE WHEN x > 1 THEN 1 ELSE 2 END FROM t",
        "INSERT INTO c (x) SELECT 1 /* ; */ AS y",
        "EXECUTE STATEMENT SET BEGIN INSERT INTO d SELECT 1; INSERT INTO e SELECT 2; END",
        "BEGIN STATEMENT SET; INSERT INTO f SELECT 1; END",
    ]
)


@given(st.lists(BODIES, min_size=1, max_size=6))
def test_inserts_and_those_of_statement_sets_become_one_statement_set(statements):
    joined = several.statement_set(statements)
    (whole,) = split(joined)
    assert (whole.kind, whole.text) == ("STATEMENT SET", joined)
    inserts = [insert for statement in statements for insert in several._inserts(statement)]
    assert len(inserts) == sum(2 if "INTO d" in s else 1 for s in statements)
    assert several._inserts(joined) == inserts
    assert all(split(insert)[0].kind == "INSERT" for insert in inserts)


def test_the_union_holds_what_is_shared_once_in_the_ledger_s_order():
    one = part("SET 'a' = '1'; CREATE TABLE t (x INT); CREATE VIEW v AS SELECT x FROM t")
    two = Slice(one.settings, (*one.objects[0], *part("CREATE VIEW w AS SELECT x FROM t").declarations))
    ledger = (*one.entries, *two.declarations)
    whole, statement = several.joined(
        [Piece(SELECT, two, "INSERT INTO b SELECT 2"), Piece(INSERT, one, "INSERT INTO a SELECT 1")], ledger
    )
    assert [entry.target for entry in whole.declarations] == ["t", "w", "v"]
    assert whole.settings == one.settings
    assert statement == ("EXECUTE STATEMENT SET BEGIN\nINSERT INTO b SELECT 2;\nINSERT INTO a SELECT 1;\nEND")


def test_one_cell_stays_as_it_is():
    piece = Piece(INSERT, part("CREATE TABLE t (x INT)"), "INSERT INTO t SELECT 1")
    assert several.joined([piece], ()) == (piece.part, piece.statement)


@pytest.mark.parametrize(
    ("one", "other", "match"),
    [
        ("SET 'a.b' = '1'", "SET 'a.b' = '2'", r"different values of a\.b"),
        ("CREATE TABLE t (x INT)", "CREATE TABLE t (y INT)", "different tables t"),
    ],
)
def test_cells_that_need_different_things_under_one_name_are_refused(one, other, match):
    pieces = [Piece(SELECT, part(one), "INSERT INTO a SELECT 1"), Piece(INSERT, part(other), INSERT.text)]
    with pytest.raises(SliceError, match=match):
        several.joined(pieces, ())


def one_receipt(name, rows, started):
    return {
        "version": 1,
        "job": "j",
        "cell": {"name": name, "sha256": name * 2, "notebook": "n.ipynb"},
        "run": {
            "state": "finished", "job_id": name, "started": started, "seconds": 1.5, "rows": rows,
            "changes": rows, "columns": [],
        },
    }  # fmt: skip


def test_the_receipt_of_several_has_each_cell_s_evidence_and_their_sum():
    receipts = [one_receipt("a", 3, "2026-02-01T00:00:00Z"), one_receipt("b", None, "2026-01-01T00:00:00Z")]
    both = several.receipt(receipts)
    assert [(cell["name"], cell["run"]["rows"]) for cell in both["cells"]] == [("a", 3), ("b", None)]
    assert (both["cell"]["name"], both["run"]["rows"], both["run"]["seconds"]) == ("a, b", 3, 3.0)
    assert both["run"]["started"] == "2026-01-01T00:00:00Z"
    assert several.receipt(receipts[:1]) == receipts[0]
    assert several.receipt([receipts[1]])["run"]["rows"] is None
