"""A slice is what its query needs: it gives the same job, and no statement of it can be left out.

The job is its plan, the tables as ``SHOW CREATE TABLE`` tells them, and the session's configuration but
for what only steers the planner.
"""

import contextlib

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from sdp_kernel.errors import SdpError, SliceError
from sdp_kernel.flink.clean import clean_session
from sdp_kernel.flink.session import Session
from sdp_kernel.promote.slice import explain, minimal, without_idle_settings

pytestmark = pytest.mark.stack

SOURCE = "WITH ('connector' = 'datagen', 'rows-per-second' = '{rate}')"
#: What only steers the planner; and where the gateway keeps a session's files, which no two have alike.
APART = ("table.optimizer.", "table.plan.", "table.resources.download-dir")
SETS = {
    "table.exec.state.ttl": ["1 d", "2 d"],
    "pipeline.max-parallelism": ["8", "16"],
    "table.optimizer.agg-phase-strategy": ["ONE_PHASE", "TWO_PHASE"],
    "table.exec.mini-batch.enabled": ["false"],
    "table.optimizer.join-reorder-enabled": ["true"],
}


class Making:
    """Statements that Flink takes one after the other, and what they leave."""

    def __init__(self, draw):
        self.draw = draw
        self.said = []
        self.needs = {}
        self.kinds = {}
        self.number = 0
        self.make_table("t0", kinds=["TABLE"])

    def one_of(self, *choices):
        return self.draw(st.sampled_from(choices))

    def object(self, *, but=()):
        return self.one_of(*[name for name in self.needs if name not in but])

    def tables(self):
        return [name for name, kind in self.kinds.items() if kind.endswith("TABLE")]

    def behind(self, name):
        return {name}.union(*(self.behind(need) for need in self.needs[name]))

    def dependents(self, name):
        return [other for other in self.needs if other != name and name in self.behind(other)]

    def make_table(self, name, *, kinds=("TABLE", "TEMPORARY TABLE")):
        kind, more = self.one_of(*kinds), self.one_of("", ", w INT")
        self.said.append(f"CREATE {kind} {name} (k INT, v INT{more}) {SOURCE.format(rate=self.number + 1)}")
        self.needs[name], self.kinds[name] = (), kind

    def table(self):
        self.make_table(f"t{self.number}")

    def view(self, *, joined=False):
        name, kind = f"v{self.number}", self.one_of("VIEW", "TEMPORARY VIEW")
        others = [self.object(), *([self.object()] if joined else [])]
        join = f" JOIN {others[1]} b ON a.k = b.k" if joined else ""
        self.said.append(
            f"CREATE {kind} {name} AS SELECT a.k, a.v FROM {others[0]} a{join} WHERE a.v > {self.number}"
        )
        self.needs[name], self.kinds[name] = tuple(others), kind

    def join(self):
        self.view(joined=True)

    def like(self):
        base, name = self.one_of(*self.tables()), f"l{self.number}"
        self.said.append(f"CREATE TABLE {name} WITH ('fields.k.min' = '{self.number}') LIKE {base}")
        self.needs[name], self.kinds[name] = (base,), "TABLE"

    def alter(self):
        if lasting := [name for name, kind in self.kinds.items() if kind == "TABLE"]:
            option = self.one_of("rows-per-second", "fields.v.max")
            self.said.append(
                f"ALTER TABLE {self.one_of(*lasting)} SET ('{option}' = '{self.one_of(100, 200)}')"
            )

    def redefine(self):
        name = self.one_of(*[n for n in self.tables() if n.startswith("t")])
        self.said.append(f"DROP {self.kinds[name]} {name}")
        self.make_table(name)

    def review(self):
        if lasting := [name for name, kind in self.kinds.items() if kind == "VIEW"]:
            name = self.one_of(*lasting)
            base = self.object(but=[name, *self.dependents(name)])
            self.said.append(f"ALTER VIEW {name} AS SELECT k, v FROM {base} WHERE v < {self.number}")
            self.needs[name] = (base,)

    def drop(self):
        if free := [name for name in self.needs if name != "t0" and not self.dependents(name)]:
            name = self.one_of(*free)
            self.said.append(f"DROP {self.kinds.pop(name)} {name}")
            del self.needs[name]

    def set(self):
        option = self.one_of(*SETS)
        self.said.append(f"SET '{option}' = '{self.one_of(*SETS[option])}'")

    def reset(self):
        self.said.append(f"RESET '{self.one_of(*SETS)}'")

    def database(self):
        self.said += [f"CREATE DATABASE d{self.number}", f"USE d{self.number}", "USE default_database"]


STEPS = ["table", "view", "view", "join", "like", "alter", "alter", "redefine", "review", "drop", "set", "set",
         "reset", "database"]  # fmt: skip
QUERIES = [
    "SELECT k, v FROM {}",
    "SELECT k, COUNT(*) AS n FROM {} GROUP BY k",
    "SELECT a.k FROM {} a LEFT JOIN {} b ON a.k = b.v",
]


@st.composite
def ledgers(draw):
    """A session's statements, and a query over what they leave."""
    making = Making(draw)
    for step in draw(st.lists(st.sampled_from(STEPS), min_size=2, max_size=9)):
        making.number += 1
        getattr(making, step)()
    return making.said, making.one_of(*QUERIES).format(making.object(), making.object())


#: A statement of each kind that is not needed, named in the query where only its name may tell.
IDLE = [
    f"CREATE TABLE t0 (k INT, v INT) {SOURCE.format(rate=1)}",
    "ALTER TABLE t0 SET ('rows-per-second' = '100')",
    "ALTER TABLE t0 SET ('fields.v.max' = '9')",
    "ALTER TABLE t0 SET ('rows-per-second' = '200')",
    f"CREATE TABLE t3 (k INT, v INT) {SOURCE.format(rate=3)}",
    "CREATE VIEW v4 AS SELECT k, v FROM t3",
    "CREATE VIEW v5 AS SELECT k, v FROM t0 WHERE v > 5",
    "ALTER VIEW v5 AS SELECT k, v FROM t0 WHERE v > 6",
    "SET 'table.exec.state.ttl' = '1 d'",
    "SET 'table.exec.state.ttl' = '2 d'",
    "SET 'table.optimizer.join-reorder-enabled' = 'true'",
    "CREATE DATABASE d6",
    "USE d6",
    "USE default_database",
]


def job(like, texts, query, tables):
    """What the statements make of the query, in a session of their own; None where one does not run."""
    with clean_session(like) as clean:
        try:
            for text in texts:
                clean.runner().text(text)
            shown = [clean.runner().text(f"SHOW CREATE TABLE {name}") for name in tables]
            plan = explain(clean, query)
        except SdpError:
            return None
        config = clean.gateway.session_config(clean.handle)
        return plan, shown, {key: value for key, value in config.items() if not key.startswith(APART)}


@settings(
    max_examples=10,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(ledgers())
@example(made=(IDLE, "SELECT k, v AS v4 FROM v5"))
@example(made=(IDLE, "SELECT k, COUNT(*) AS t3 FROM v5 GROUP BY k"))
def test_a_slice_gives_the_same_job_and_no_statement_of_it_can_be_left_out(stack, made):
    said, query = made
    session = Session(stack.gateway, jobmanager=stack.jobmanager)
    try:
        for text in said:
            session.execute(text)
        part = None
        with contextlib.suppress(SliceError):
            part = without_idle_settings(session, minimal(session, query, {})[0], query, {})
        if part is None:  # what another is LIKE was changed: its statement makes another table now
            assert any(" LIKE " in text for text in said)
            return
        texts = [entry.text for entry in part.entries]
        tables = [group[0].target for group in part.objects if group[0].kind == "CREATE TABLE"]
        whole = job(session, texts, query, tables)
        assert whole is not None
        assert job(session, texts, query, tables) == whole
        assert whole[0] == explain(session, query)
        assert whole[1] == [session.runner().text(f"SHOW CREATE TABLE {name}") for name in tables]
        for number, text in enumerate(texts):
            assert job(session, texts[:number] + texts[number + 1 :], query, tables) != whole, text
    finally:
        session.close()


@pytest.fixture
def ran(session):
    def run(*texts):
        for text in texts:
            session.execute(text)
        return session

    return run


def sliced(session, query):
    return [entry.text for entry in minimal(session, query, {})[0].entries]


T = f"CREATE TABLE t (k INT, v INT) {SOURCE.format(rate=1)}"


def test_views_in_a_circle_are_refused(ran):
    session = ran(T, "CREATE VIEW a AS SELECT k FROM t", "CREATE VIEW b AS SELECT k FROM a")
    ran("ALTER VIEW a AS SELECT k FROM b")
    with pytest.raises(SliceError, match=r"read each other in a circle: [ab] → [ab] → [ab]"):
        minimal(session, "SELECT k FROM b", {})


def test_what_no_statement_declares_is_named(ran):
    session = ran(T)
    with pytest.raises(SliceError, match="the query needs nowhere, which no statement"):
        minimal(session, "SELECT k FROM nowhere", {})


def test_a_view_whose_table_is_gone_is_refused(ran):
    session = ran(T, "CREATE VIEW a AS SELECT k FROM t", "DROP TABLE t")
    with pytest.raises(SliceError, match="the query needs t, which no statement"):
        minimal(session, "SELECT k FROM a", {})


def test_a_table_made_by_a_job_is_refused(ran, tmp_path):
    session = ran(
        f"CREATE TABLE made WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = '{tmp_path}/x')"
        " AS SELECT 1 AS k"
    )
    with pytest.raises(SliceError, match=r"made was made by CREATE TABLE … AS SELECT"):
        minimal(session, "SELECT k FROM made", {})


def test_every_insert_of_a_statement_set_has_its_tables(ran):
    hole = "CREATE TABLE {} (k INT) WITH ('connector' = 'blackhole')"
    session = ran(T, T.replace("TABLE t", "TABLE u"), *map(hole.format, ("s1", "s2", "s3")))
    query = "EXECUTE STATEMENT SET BEGIN INSERT INTO s1 SELECT k FROM t; INSERT INTO s3 SELECT v FROM t; END"
    assert sliced(session, query) == [T, hole.format("s1"), hole.format("s3")]


def test_a_table_like_one_that_was_changed_afterwards_is_refused(ran):
    session = ran(T, "CREATE TABLE l WITH ('fields.k.min' = '2') LIKE t", "ALTER TABLE t SET ('rows-per-second' = '9')")  # fmt: skip
    with pytest.raises(SliceError, match="`l` was made LIKE one that was changed"):
        minimal(session, "SELECT k FROM l", {})


def test_a_view_over_what_was_changed_afterwards_is_refused(ran):
    session = ran(T, "CREATE VIEW a AS SELECT * FROM t", "DROP TABLE t", T.replace("v INT", "w INT, v INT"))
    with pytest.raises(SliceError, match="give the query another plan"):
        minimal(session, "SELECT * FROM a", {})


def test_a_table_like_another_comes_with_that(ran):
    like = "CREATE TABLE l WITH ('rows-per-second' = '2') LIKE t"
    session = ran(T.replace("TABLE t", "TABLE u"), T, like)
    assert sliced(session, "SELECT k FROM l") == [T, like]


def test_surroundings_stay_only_where_something_is_in_them(ran):
    catalog = "CREATE CATALOG c WITH ('type' = 'generic_in_memory')"
    inside = T.replace("TABLE t", "TABLE c.team.t")
    session = ran(
        "CREATE DATABASE unused", "USE unused", "USE default_database", "CREATE CATALOG other WITH ('type' = 'generic_in_memory')",
        "DROP CATALOG other", catalog, "CREATE DATABASE c.team", inside, T,
    )  # fmt: skip
    assert sliced(session, "SELECT k FROM t") == [T]
    assert sliced(session, "SELECT k FROM c.team.t") == [catalog, "CREATE DATABASE c.team", inside]


def test_a_planner_setting_stays_where_it_changes_the_plan(ran):
    one = "SET 'table.optimizer.agg-phase-strategy' = 'ONE_PHASE'"
    ttl = "SET 'table.exec.state.ttl' = '1 d'"
    session = ran(T, ttl, "SET 'table.optimizer.join-reorder-enabled' = 'true'", one,
                  "SET 'table.exec.mini-batch.enabled' = 'true'", "SET 'table.exec.mini-batch.size' = '5'",
                  "SET 'table.exec.mini-batch.allow-latency' = '1 s'")  # fmt: skip

    def kept(query):
        part = without_idle_settings(session, minimal(session, query, {})[0], query, {})
        return [e.text for e in part.sets if "mini-batch" not in e.text]

    assert kept("SELECT k, v FROM t") == [ttl]
    assert kept("SELECT k, COUNT(*) AS n FROM t GROUP BY k") == [ttl, one]
