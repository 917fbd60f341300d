"""What is never carried out of a job that is only planned."""

import pytest

from sdp_kernel.errors import SdpError, UsageError
from sdp_kernel.flink.script import split
from sdp_kernel.promote.change import version
from sdp_kernel.promote.compose import prove
from sdp_kernel.repository.guard import check_planned
from sdp_kernel.repository.job import CommittedJob
from sdp_kernel.repository.rollout import check_compiles
from sdp_kernel.workbench.change_side import _SessionCluster

LAKE = "CREATE CATALOG lake WITH ('type' = 'hive');"
OURS = "CREATE CATALOG ours WITH ('type' = 'generic_in_memory');"


def texts(script):
    return [statement.text for statement in split(script + ";INSERT INTO b SELECT 1")]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO a SELECT 1",
        "EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1; END",
        "CREATE TABLE a WITH ('connector' = 'x') AS SELECT 1",
        "EXECUTE PLAN '/p.json'",
        "COMPILE PLAN '/p.json' FOR INSERT INTO a SELECT 1",
        "CALL sys.go()",
        "TRUNCATE TABLE a",
        "DELETE FROM a",
        "UPDATE a SET b = 1",
        "ANALYZE TABLE a COMPUTE STATISTICS",
        "SELECT 1",
        "CREATE MATERIALIZED TABLE a AS SELECT 1",
        "REPLACE TABLE a AS SELECT 1",
    ],
)
def test_what_writes_is_refused_by_name(statement):
    with pytest.raises(UsageError, match="j cannot be planned without being run") as refused:
        check_planned(texts(statement), "j")
    assert statement.removeprefix("EXECUTE ").split()[0] in str(refused.value)


@pytest.mark.parametrize(
    "script",
    [
        "DROP TABLE lake.db.t",
        "ALTER TABLE lake.db.t SET ('a' = 'b')",
        "CREATE TABLE lake.db.t (id INT)",
        "CREATE TABLE `lake`.`d.b`.t (id INT)",
        "CREATE DATABASE lake.db",
        "DROP VIEW lake.db.v",
        f"{LAKE} USE /* x */ CATALOG lake; CREATE TABLE t (id INT)",
        "USE lake.db; DROP FUNCTION f",
        "DROP TABLE temporary.db.t",
        f"{OURS} DROP CATALOG ours; CREATE CATALOG ours WITH ('type' = 'hive'); CREATE DATABASE ours.a",
    ],
)
def test_what_would_stay_in_another_catalog_is_refused(script):
    with pytest.raises(UsageError, match="without changing the catalog") as refused:
        check_planned(texts(script))
    assert "IF NOT EXISTS" in refused.value.hint


@pytest.mark.parametrize(
    "script",
    [
        "SET 'a' = 'b'; RESET 'a'; LOAD MODULE m; ADD JAR '/j.jar'; USE MODULES core",
        "CREATE DATABASE d; USE d; CREATE TABLE t (id INT); ALTER TABLE t SET ('a' = 'b'); DROP TABLE t",
        "CREATE VIEW v AS SELECT 1; CREATE TEMPORARY SYSTEM FUNCTION f AS 'F'; CREATE FUNCTION g AS 'G'",
        f"{LAKE} USE CATALOG lake; CREATE TABLE IF NOT EXISTS t (id INT); CREATE TEMPORARY VIEW v AS SELECT 1",
        f"{LAKE} USE CATALOG lake; USE CATALOG default_catalog; CREATE TABLE t (id INT); DROP CATALOG lake",
        f"{OURS} CREATE DATABASE ours.team; CREATE TABLE ours.team.t (id INT); USE CATALOG ours",
    ],
)
def test_a_job_s_own_declarations_pass(script):
    check_planned(texts(script))


class Unasked:
    """A session that must not be asked anything: a statement would be carried out."""

    def __getattr__(self, name):
        raise AssertionError(f"the session's {name} was asked for")


SCRIPT = "INSERT INTO a SELECT 1; INSERT INTO b SELECT 1"


@pytest.mark.parametrize(
    "look",
    [
        lambda: check_compiles(Unasked(), SCRIPT, "j"),
        lambda: prove(Unasked(), texts("INSERT INTO a SELECT 1")),
        lambda: version(Unasked(), texts("INSERT INTO a SELECT 1"), {}),
    ],
)
def test_no_session_is_opened_for_a_script_that_would_be_carried_out(look):
    with pytest.raises(SdpError, match="INSERT a stands before its last statement"):
        look()


def test_drift_says_why_a_job_is_not_planned():
    cluster = _SessionCluster.__new__(_SessionCluster)
    cluster._session = Unasked()
    assert "INSERT a stands before" in cluster._expected(CommittedJob("j", None, {}, (), SCRIPT))
