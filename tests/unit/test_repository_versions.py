"""A job at a revision: its files as they were, its functions kept where the cluster reads them."""

import pytest

from sdp_kernel.connection import KafkaCluster
from sdp_kernel.errors import UsageError
from sdp_kernel.promote import render
from sdp_kernel.repository.git import Repository
from sdp_kernel.repository.versions import Place, version
from tests.repositories import git, make_work, write

INSERT = "CREATE TABLE o (a INT) WITH ('connector' = 'blackhole', ${kafka.main});\nINSERT INTO o SELECT twice(1);\n"


@pytest.fixture
def work(tmp_path):
    return make_work(tmp_path / "work")


@pytest.fixture
def place(tmp_path):
    kafka = {"main": KafkaCluster("main", {"bootstrap.servers": "broker:9092"})}
    return Place(kafka, tmp_path / "state" / "functions")


def save(work, sql=INSERT, module="def twice(x): return 2 * x\n"):
    files = ["sql/jobs/j.session.sql", "sql/jobs/j.sql"]
    write(work, files[0], "SET 'python.files' = '${functions}/udf_twice.py';\n")
    write(work, files[1], sql)
    write(work, "sql/functions/udf_twice.py", module)
    write(work, "sql/functions/udf_other.py", "def other(): pass\n")
    call = render.terraform(
        "j",
        module_source="git::https://gitlab.example/modules.git//flink/sql-job",
        session_cluster="dev",
        files=files,
        arguments={},
        aliases=["functions", "kafka.main"],
    )
    write(work, "terraform/j.tf", call)
    git(work, "add", "-A")
    git(work, "commit", "-q", "-m", "Save")


def script_of(work, revision, place):
    with version(Repository(work), "j", revision, place) as found:
        pass
    return found.job.script


def test_a_version_is_that_of_its_commit_and_the_work_tree_is_one_too(work, place):
    save(work)
    write(work, "sql/jobs/j.sql", INSERT.replace("twice(1)", "twice(2)"))
    assert "twice(1)" in script_of(work, "HEAD", place)
    assert "twice(2)" in script_of(work, None, place)
    assert "'properties.bootstrap.servers' = 'broker:9092'" in script_of(work, None, place)


def test_functions_stay_after_the_copy_of_the_commit_is_gone_under_a_name_of_their_text(work, place):
    save(work)
    first = script_of(work, "HEAD", place)
    (file,) = place.directory.rglob("*.py")
    assert file.read_text(encoding="utf-8") == "def twice(x): return 2 * x\n"
    assert f"'{file}'" in first
    save(work, module="def twice(x): return x + x\n")
    assert script_of(work, "HEAD", place) != first
    assert script_of(work, "HEAD^", place) == first


def test_a_function_of_another_job_changes_nothing(work, place):
    save(work)
    first = script_of(work, "HEAD", place)
    write(work, "sql/functions/udf_other.py", "def other(): return 1\n")
    assert script_of(work, None, place) == first


def test_functions_go_to_the_place_that_the_cluster_reads(work, place, tmp_path):
    save(work)
    shared = tmp_path / "shared"
    there = Place(place.kafka, place.directory, str(shared))
    script = script_of(work, "HEAD", there)
    (file,) = shared.rglob("*.py")
    assert f"'{file}'" in script


def test_a_revision_or_a_job_that_is_not_there_is_refused(work, place):
    with (
        pytest.raises(UsageError, match="names no commit"),
        version(Repository(work), "j", "nowhere", place),
    ):
        pass
    with (
        pytest.raises(UsageError, match="there is no job j at HEAD"),
        version(Repository(work), "j", "HEAD", place),
    ):
        pass


def test_a_version_is_called_by_revision_and_commit(work, place):
    save(work)
    head = git(work, "rev-parse", "HEAD")
    called = []
    for revision in ("HEAD", head, "main", None):
        with version(Repository(work), "j", revision, place) as found:
            called.append(found.called)
    assert called == [f"HEAD ({head[:8]})", head[:8], f"main ({head[:8]})", "work tree"]
