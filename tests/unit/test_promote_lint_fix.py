"""``--fix``: what is mended, that nothing else is touched, and that mending twice is mending once."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdp_kernel.errors import SliceError, UsageError
from sdp_kernel.flink.script import significant, split
from sdp_kernel.promote.compose import Composed
from sdp_kernel.promote.lint import FIXERS, Means, Run, check_fix, review
from sdp_kernel.promote.lints import text as texts
from sdp_kernel.promote.lints.mend import mend
from sdp_kernel.settings_lint import LintSettings
from tests.lints import draft, explained, table

KAFKA = "'connector' = 'kafka'"
MAIN = "'properties.bootstrap.servers' = 'k1:9092,k2:9092', 'properties.security.protocol' = 'SSL'"
MEANS = Means(
    "totals", LintSettings(), {"kafka.main": MAIN, "registry.main": "'http://r:8081'"}, ("x", "y z")
)


def mended(code, statement="INSERT INTO o SELECT x FROM t", ledger="", means=MEANS, **values):
    made, changes = mend(draft(statement, ledger, **values), [code], means)
    assert {change.code for change in changes} <= {code}
    again, more = mend(made, [code], means)
    assert (again, more) == (made, ())
    return made, changes


def statement_of(code, statement, means=MEANS):
    return mended(code, statement, means=means)[0].statement


def table_of(code, *options, more="", **kwargs):
    made, _ = mended(code, ledger=f"{table(*options)}{more}", **kwargs)
    return made.part.declarations[0].text.partition("WITH ")[2]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("INSERT INTO o SELECT x FROM t LIMIT 5", "INSERT INTO o SELECT x FROM t"),
        ("INSERT INTO o (SELECT x FROM t LIMIT ${n}) UNION ALL SELECT 1", "INSERT INTO o (SELECT x FROM t) UNION ALL SELECT 1"),
        ("INSERT INTO o SELECT x FROM t -- all\nLIMIT 5 OFFSET 2 ROWS -- so\n", "INSERT INTO o SELECT x FROM t -- all\n -- so\n"),
        ("INSERT INTO o SELECT x FROM t FETCH NEXT 5 ROWS ONLY", "INSERT INTO o SELECT x FROM t"),
        ("INSERT INTO o SELECT x FROM t FETCH FIRST ROW ONLY", "INSERT INTO o SELECT x FROM t"),
        ("INSERT INTO o SELECT x FROM (SELECT x FROM t ORDER BY x LIMIT 3) LIMIT 5", "INSERT INTO o SELECT x FROM (SELECT x FROM t ORDER BY x LIMIT 3)"),
        ("INSERT INTO o SELECT x FROM t ORDER BY x LIMIT 3", "INSERT INTO o SELECT x FROM t ORDER BY x LIMIT 3"),
    ],
)  # fmt: skip
def test_sdp001_takes_a_limit_out_and_leaves_one_by_order(before, after):
    assert statement_of("SDP001", before) == after


def test_sdp001_of_a_view_says_so():
    made, changes = mended("SDP001", ledger="CREATE VIEW v AS SELECT x FROM t LIMIT 3")
    assert made.part.declarations[0].text == "CREATE VIEW v AS SELECT x FROM t"
    assert [(change.where, change.what) for change in changes] == [("the view v", "LIMIT 3 taken out")]


def test_sdp002_and_sdp015_set_what_the_settings_say():
    means = Means("j", LintSettings(state_ttl="12 h", idle_timeout="5 s"))
    made, _ = mended("SDP002", ledger="SET 'table.exec.state.ttl' = '0'", means=means)
    assert [entry.text for entry in made.part.sets] == ["SET 'table.exec.state.ttl' = '12 h'"]
    made, _ = mended("SDP015", means=means)
    assert [entry.text for entry in made.part.sets] == ["SET 'table.exec.source.idle-timeout' = '5 s'"]


def test_sdp004_starts_by_the_group_where_there_is_one_and_at_the_earliest_else():
    latest = "'scan.startup.mode' = 'latest-offset'"
    assert table_of("SDP004", KAFKA, latest) == f"({KAFKA}, 'scan.startup.mode' = 'earliest-offset')"
    assert table_of("SDP004", latest, "'properties.group.id' = 'g'") == (
        "('scan.startup.mode' = 'group-offsets', 'properties.auto.offset.reset' = 'earliest', "
        "'properties.group.id' = 'g')"
    )
    reset = "'properties.auto.offset.reset' = 'latest'"
    assert reset.replace("latest", "earliest") in table_of(
        "SDP004", latest, "'properties.group.id' = 'g'", reset
    )
    hint = "INSERT INTO o SELECT x FROM t /*+ OPTIONS('scan.startup.mode'='{}') */ AS a"
    assert statement_of("SDP004", hint.format("latest-offset")) == hint.format("X").replace(
        "'scan.startup.mode'='X'", " 'scan.startup.mode'='earliest-offset'"
    ).replace("OPTIONS( ", "OPTIONS(")


def test_sdp005_gives_a_table_a_group_by_a_parameter_since_jobs_share_it():
    made, changes = mended("SDP005", ledger=table(KAFKA, "'scan.startup.mode' = 'earliest-offset'"))
    entry = made.part.declarations[0]
    assert "'scan.startup.mode' = 'earliest-offset', 'properties.group.id' = '${group_id}')" in entry.text
    assert (entry.parameters, made.values) == ({"group_id": "totals"}, {"group_id": "totals"})
    assert changes[0].what == "'properties.group.id' = 'totals', by ${group_id}"
    taken = "INSERT INTO o SELECT x FROM t WHERE g = '${group_id}'"
    made, _ = mended("SDP005", taken, table(KAFKA), group_id="mine")
    assert made.values == {"group_id": "mine", "consumer_group": "totals"}
    made, _ = mended("SDP005", ledger=f"{table(KAFKA)}; {table(KAFKA, name='unread')}")
    assert "group" not in made.part.declarations[1].text


def test_sdp005_and_sdp004_together_start_by_the_group():
    made, _ = mend(
        draft(ledger=table(KAFKA, "'scan.startup.mode' = 'latest-offset'")), ["SDP004", "SDP005"], MEANS
    )
    assert "'scan.startup.mode' = 'group-offsets'" in made.part.declarations[0].text
    assert "'properties.auto.offset.reset' = 'earliest'" in made.part.declarations[0].text


def test_sdp006_names_the_profile_s_cluster_where_it_is_the_same_one():
    own = "'properties.bootstrap.servers' = 'k2:9092, k1:9092'"
    assert table_of("SDP006", KAFKA, own) == f"({KAFKA}, ${{kafka.main}})"
    ssl = "'properties.security.protocol' = 'SSL'"
    assert table_of("SDP006", ssl, own, "'topic' = 't'") == "(${kafka.main}, 'topic' = 't')"
    other = "'properties.security.protocol' = 'PLAINTEXT'"
    assert table_of("SDP006", KAFKA, own, other) == f"({KAFKA}, {own}, {other})"
    elsewhere = "'properties.bootstrap.servers' = 'k3:9092'"
    assert table_of("SDP006", elsewhere) == f"({elsewhere})"
    assert table_of("SDP006", "'avro-confluent.url' = 'http://r:8081/'") == (
        "('avro-confluent.url' = ${registry.main})"
    )


def test_sdp007_takes_the_end_of_a_source_out_of_tables_alters_and_hints():
    bounded = "'scan.bounded.mode' = 'timestamp'", "'scan.bounded.timestamp-millis' = '1'"
    assert table_of("SDP007", KAFKA, *bounded, "'topic' = 't'") == f"({KAFKA}, 'topic' = 't')"
    assert table_of("SDP007", *bounded, KAFKA) == f"({KAFKA})"
    assert table_of("SDP007", KAFKA, *bounded) == f"({KAFKA})"
    made, changes = mended("SDP007", ledger=f"{table(KAFKA)}; ALTER TABLE t SET ({bounded[0]})")
    assert [entry.kind for entry in made.part.declarations] == ["CREATE TABLE"]
    assert changes[0].what == "scan.bounded.mode taken out"
    hint = "INSERT INTO o SELECT x FROM t /*+ OPTIONS({}) */ AS a"
    assert statement_of("SDP007", hint.format(bounded[0])) == "INSERT INTO o SELECT x FROM t AS a"
    assert statement_of("SDP007", hint.format(f"'a'='b', {bounded[0]}")) == hint.format("'a'='b'")
    two = "INSERT INTO o SELECT /*+ STATE_TTL('a'='1d'), OPTIONS({}) */ x FROM t"
    assert statement_of("SDP007", two.format(bounded[0])) == two.format("").replace(", OPTIONS()", "")


def test_sdp007_leaves_a_batch_its_end():
    ledger = "SET 'execution.runtime-mode' = 'batch'; " + table("'scan.bounded.mode' = 'latest-offset'")
    made, changes = mended("SDP007", ledger=ledger)
    assert (made, changes) == (draft(ledger=ledger), ())


def test_sdp014_names_the_columns_where_one_thing_is_read():
    assert (
        statement_of("SDP014", "INSERT INTO o\nSELECT * FROM t") == "INSERT INTO o\nSELECT `x`, `y z` FROM t"
    )
    for left in ("SELECT * FROM t JOIN u ON t.a = u.a", "SELECT t.* FROM t", "SELECT *, 1 FROM t",
                 "SELECT * FROM t UNION ALL SELECT * FROM u"):  # fmt: skip
        assert statement_of("SDP014", f"INSERT INTO o {left}") == f"INSERT INTO o {left}"
    twice = Means("j", columns=("x", "x"))
    assert (
        statement_of("SDP014", "INSERT INTO o SELECT * FROM t", means=twice)
        == "INSERT INTO o SELECT * FROM t"
    )


def test_the_codes_to_mend_are_checked():
    assert check_fix(None) == check_fix(()) == check_fix(False) == ()
    assert check_fix(True) == tuple(FIXERS)
    assert check_fix([" sdp001", "SDP004", "SDP001"]) == ("SDP001", "SDP004")
    with pytest.raises(UsageError, match=r"SDP010 \(a literal secret\) is not mended by --fix"):
        check_fix(["SDP010"])
    with pytest.raises(UsageError, match="there is no SDP999"):
        check_fix(["SDP999"])


GROUPED = explained(
    "Sink(table=[c.d.o], fields=[x], changelogMode=[NONE])",
    "+- GroupAggregate(groupBy=[x], select=[x, COUNT(*) AS n], changelogMode=[I,UA])",
    "   +- TableSourceScan(table=[[c, d, t]], fields=[x], changelogMode=[I])",
)


def composed(made):
    return Composed({"sql": made.statement}, (), made.statement, (), GROUPED)


def test_a_review_mends_what_was_asked_for_composes_that_and_says_both():
    made = draft("INSERT INTO o SELECT x FROM t LIMIT 5", table("'connector' = 'print'"))
    seen = []
    found = review(
        made, lambda d: seen.append(d) or composed(d), run=Run(), means=MEANS, fix=("SDP001", "SDP007")
    )
    assert [one.statement for one in seen] == [made.statement, "INSERT INTO o SELECT x FROM t"]
    assert found.composed.script == "INSERT INTO o SELECT x FROM t"
    assert [(f.code, f.label, f.fix) for f in found.findings if f.fixed] == [
        ("SDP001", "fixed", "LIMIT 5 taken out")
    ]
    assert [(f.code, f.fixable) for f in found.findings if not f.fixed] == [
        ("SDP002", True),
        ("SDP003", False),
    ]
    said = found.receipt()
    assert said["fixes"] == [{"code": "SDP001", "where": "the job", "change": "LIMIT 5 taken out"}]
    assert [one["severity"] for one in said["findings"]] == ["fixed", "warning", "warning"]


def test_a_review_without_fix_changes_nothing_and_says_what_could_be():
    made = draft("INSERT INTO o SELECT x FROM t LIMIT 5")
    found = review(made, composed, run=Run(), means=MEANS)
    assert (found.draft, found.changes, "fixes" in found.receipt()) == (made, (), False)
    assert [(f.code, f.fixable) for f in found.findings] == [("SDP001", True), ("SDP002", True)]
    assert all("--fix mends it" in f.advice for f in found.findings)


def test_a_secret_is_hidden_before_anything_is_composed():
    made = draft(ledger=table("'sasl.password' = 'hunter2'"))
    found = review(made, composed, run=Run(), means=MEANS)
    assert "hunter2" not in found.draft.part.declarations[0].text
    assert [f.code for f in found.findings if f.blocks] == ["SDP010"]


def test_a_mended_job_that_does_not_compile_names_what_was_mended():
    made = draft("INSERT INTO o SELECT x FROM t LIMIT 5")

    def refuse(one):
        if "LIMIT" not in one.statement:
            raise SliceError("the job's INSERT does not compile: no")
        return composed(one)

    with pytest.raises(SliceError, match=r"mended \(SDP001\), the job's INSERT does not compile"):
        review(made, refuse, run=Run(), means=MEANS, fix=("SDP001",))


WORDS = st.sampled_from(
    ["x", "t", "'a'", "'it''s'", "(", ")", ",", "=", "LIMIT", "5", "ORDER", "BY", "${n}", "FETCH", "FIRST",
     "ROWS", "ONLY", "OFFSET", "-- c LIMIT 1\n", "/* LIMIT 2 */", "/*+ OPTIONS('a' = 'b') */", "`limit`",
     "SELECT", "*", ";", "'scan.bounded.mode' = 'x'", "/*+ OPTIONS('scan.bounded.mode' = 'x', 'k'='v') */"]
)  # fmt: skip
TEXTS = st.lists(st.tuples(WORDS, st.sampled_from([" ", "\n", "\t  "]))).map(
    lambda parts: "".join(f"{word}{blank}" for word, blank in parts)
)
#: Without what is neither an option nor beside one: a sign or text alone.
OPTIONS = st.lists(WORDS.filter(lambda word: word not in {"=", "'a'", "'it''s'"})).map(" ".join)


def marks(text):
    return [token.text for token in significant(text)]


@settings(deadline=None)
@given(TEXTS)
def test_taking_limits_out_takes_their_tokens_out_and_no_other(text):
    clauses = texts.limits(text)
    gone = [token for clause in clauses for token in clause.tokens]
    starts = {token.start for token in gone}
    after = texts.cut(text, gone)
    assert marks(after) == [token.text for token in significant(text) if token.start not in starts]
    assert comments(after) == comments(text)


def comments(text):
    return [t.text for t in texts.tokens(text) if t.kind == "comment"]


@settings(deadline=None)
@given(OPTIONS)
def test_taking_options_out_leaves_all_others_and_is_done_once(text):
    after = texts.without(text, lambda key: key.startswith("scan.bounded."))
    assert not [key for key, _ in texts.options(after) if key.startswith("scan.bounded.")]
    kept = [pair for pair in texts.options(text) if not pair[0].startswith("scan.bounded.")]
    assert list(texts.options(after)) == kept
    assert texts.without(after, lambda key: key.startswith("scan.bounded.")) == after
    assert comments(after) == comments(text)
    words = [token.text for token in significant(text) if token.kind in {"word", "identifier", "number"}]
    assert [t.text for t in significant(after) if t.kind in {"word", "identifier", "number"}] == words


@settings(deadline=None)
@given(st.lists(st.sampled_from(["'a' = 'b'", "${kafka.main}", "'scan.bounded.mode' = 'latest-offset'",
                                 "'scan.startup.mode' = 'latest-offset'", "'connector' = 'kafka'",
                                 "'properties.bootstrap.servers' = 'k1:9092,k2:9092'"]), unique=True),
       st.sets(st.sampled_from(sorted(FIXERS))))  # fmt: skip
def test_mending_twice_is_mending_once_and_gives_a_statement(options, chosen):
    made = draft("INSERT INTO o SELECT * FROM t LIMIT 3", table(*options))
    once, changes = mend(made, chosen, MEANS)
    assert mend(once, chosen, MEANS) == (once, ())
    assert bool(changes) == (once != made)
    for entry in once.part.declarations:
        (statement,) = split(entry.text)
        assert (statement.kind, statement.target) == ("CREATE TABLE", "t")
        listed = entry.text.partition("WITH (")[2].rstrip(")").split(", ")
        assert all(listed) or listed == [""]
