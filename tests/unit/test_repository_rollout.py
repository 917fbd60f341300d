"""Rolling a job back in a real repository, what is written down of its runs, and what is cut off on the way."""

import json

import httpx
import pytest

import sdp_kernel
from sdp_kernel.deploy import session_cluster
from sdp_kernel.errors import JobFailed, ReadOnly, RepositoryError, UsageError
from sdp_kernel.flink.jobs import JobManager
from sdp_kernel.repository import rollout
from sdp_kernel.repository.git import Repository
from sdp_kernel.repository.rollback import plan_rollback
from sdp_kernel.repository.rollout import Rollout
from sdp_kernel.repository.run_record import RunRecord, What
from sdp_kernel.repository.versions import committed
from tests.repositories import git, make_work, write

BRANCH = "sdp/j"
CALL = 'module "{job}" {{\n  sql = [\n    "${{path.root}}/../sql/tables/t.sql",\n    "${{path.root}}/../sql/jobs/{job}.sql",\n  ]\n}}\n'


@pytest.fixture
def work(tmp_path):
    return make_work(tmp_path / "work")


def save(work, message, files):
    for path, text in files.items():
        if text is None:
            (work / path).unlink()
        else:
            write(work, path, text)
    git(work, "add", "-A")
    git(work, "commit", "-q", "-m", message)
    return git(work, "rev-parse", "HEAD")


def files_of(job, sql, **more):
    return {f"sql/jobs/{job}.sql": sql, f"terraform/{job}.tf": CALL.format(job=job), **more}


def test_a_job_goes_back_to_before_the_last_commit_that_touched_it_as_a_new_commit(work):
    save(
        work,
        "Add",
        {**files_of("j", "one\n"), "sql/tables/t.sql": "t1\n", "sql/jobs/j.receipt.json": "{1}\n"},
    )
    changed = save(
        work,
        "Change",
        {"sql/jobs/j.sql": "two\n", "sql/jobs/j.receipt.json": "{2}\n", "tests/j/case.jsonl": "x\n"},
    )
    head = save(work, "Another", {"notes.md": "n\n"})
    plan = plan_rollback(Repository(work), "j", BRANCH)
    assert {file.path: file.status for file in plan.files} == {
        "sql/jobs/j.sql": "changed", "sql/jobs/j.receipt.json": "changed", "tests/j/case.jsonl": "deleted",
    }  # fmt: skip
    assert git(work, "rev-parse", "HEAD") == head
    assert git(work, "branch", "--list", BRANCH) == ""
    made = plan.apply()
    assert git(work, "rev-parse", BRANCH) == made
    assert git(work, "show", f"{made}:sql/jobs/j.sql") == "one"
    assert git(work, "show", f"{made}:sql/jobs/j.receipt.json") == "{1}"
    assert git(work, "show", f"{made}:notes.md") == "n"
    assert git(work, "ls-tree", "-r", "--name-only", made, "tests") == ""
    assert git(work, "rev-parse", f"{made}^") == head
    assert f"before {changed[:8]} (Change)" in git(work, "log", "-1", "--format=%B", made)
    assert git(work, "rev-parse", "HEAD") == head
    assert git(work, "status", "--porcelain") == ""


def test_the_job_s_branch_is_rolled_back_where_it_is_ahead(work):
    save(work, "Add", {**files_of("j", "one\n"), "sql/tables/t.sql": "t1\n"})
    git(work, "switch", "-q", "-c", BRANCH)
    save(work, "Change", {"sql/jobs/j.sql": "two\n"})
    git(work, "switch", "-q", "main")
    made = plan_rollback(Repository(work), "j", BRANCH).apply()
    assert git(work, "show", f"{made}:sql/jobs/j.sql") == "one"
    assert git(work, "rev-list", "--count", f"main..{BRANCH}") == "2"


def test_a_merged_change_goes_back_as_a_whole(work):
    save(work, "Add", {**files_of("j", "one\n"), "sql/tables/t.sql": "t1\n"})
    git(work, "switch", "-q", "-c", "topic")
    save(work, "Change", {"sql/jobs/j.sql": "two\n"})
    save(work, "Change again", {"sql/jobs/j.sql": "three\n"})
    git(work, "switch", "-q", "main")
    git(work, "merge", "-q", "--no-ff", "-m", "Merge topic", "topic")
    made = plan_rollback(Repository(work), "j", BRANCH).apply()
    assert git(work, "show", f"{made}:sql/jobs/j.sql") == "one"


def test_a_shared_declaration_goes_back_with_it_and_names_the_others_that_use_it(work):
    save(work, "Add", {**files_of("j", "one\n"), **files_of("k", "k\n"), "sql/tables/t.sql": "t1\n"})
    save(work, "Change", {"sql/jobs/j.sql": "two\n", "sql/tables/t.sql": "t2\n"})
    plan = plan_rollback(Repository(work), "j", BRANCH)
    assert {file.path: file.touches for file in plan.files} == {
        "sql/jobs/j.sql": (),
        "sql/tables/t.sql": ("k",),
    }
    assert "used by k too" in plan.to_text()


def test_a_shared_declaration_that_has_changed_since_is_refused(work):
    save(work, "Add", {**files_of("j", "one\n"), **files_of("k", "k\n"), "sql/tables/t.sql": "t1\n"})
    save(work, "Change", {"sql/jobs/j.sql": "two\n", "sql/tables/t.sql": "t2\n"})
    head = save(work, "For k", {"sql/tables/t.sql": "t3\n"})
    with pytest.raises(RepositoryError, match=r"t\.sql has been changed since") as caught:
        plan_rollback(Repository(work), "j", BRANCH)
    assert "j, k" in str(caught.value)
    assert git(work, "rev-parse", "HEAD") == head


def test_rolling_back_twice_gives_the_newer_version_again(work):
    save(work, "Add", {**files_of("j", "one\n"), "sql/tables/t.sql": "t1\n"})
    save(work, "Change", {"sql/jobs/j.sql": "two\n"})
    plan_rollback(Repository(work), "j", BRANCH).apply()
    made = plan_rollback(Repository(work), "j", BRANCH).apply()
    assert git(work, "show", f"{made}:sql/jobs/j.sql") == "two"


def test_a_job_with_one_version_or_none_is_refused(work):
    save(work, "Add", {**files_of("j", "one\n"), "sql/tables/t.sql": "t1\n"})
    with pytest.raises(UsageError, match="no version before"):
        plan_rollback(Repository(work), "j", BRANCH)
    with pytest.raises(UsageError, match="has no job k"):
        plan_rollback(Repository(work), "k", BRANCH)


def test_a_rollback_after_the_repository_moved_on_is_refused(work):
    save(work, "Add", {**files_of("j", "one\n"), "sql/tables/t.sql": "t1\n"})
    save(work, "Change", {"sql/jobs/j.sql": "two\n"})
    plan = plan_rollback(Repository(work), "j", BRANCH)
    save(work, "Another", {"notes.md": "n\n"})
    with pytest.raises(RepositoryError, match="moved on"):
        plan.apply()
    assert git(work, "branch", "--list", BRANCH) == ""


def test_the_newest_committed_version_is_the_branch_s_until_it_is_merged(work):
    repository = Repository(work)
    assert committed(repository, BRANCH) == "HEAD"
    git(work, "switch", "-q", "-c", BRANCH)
    save(work, "Add", {"a": "x\n"})
    git(work, "switch", "-q", "main")
    assert committed(repository, BRANCH) == BRANCH
    git(work, "merge", "-q", BRANCH)
    assert committed(repository, BRANCH) == "HEAD"


ONE, TWO = What("j", "HEAD (1)", "1" * 40, "one", {"a": "b"}), What("j", "HEAD (2)", "2" * 40, "two")


def test_a_record_tells_what_a_job_is_and_where_its_state_was_left(tmp_path):
    record = RunRecord(tmp_path / "runs", "local", "j")
    assert record.what("a") is None
    assert record.savepoint_of(ONE) is None
    record.started("a", ONE, None)
    record.stopped("a", "file:/s/1")
    record.started("b", TWO, "file:/s/1")
    record.stopped("b", "file:/s/2")
    record.started("c", ONE, "file:/s/1")
    again = RunRecord(tmp_path / "runs", "local", "j")
    assert again.what("a") == again.what("c") == ONE
    assert again.what("b") == TWO
    assert again.savepoint_of(ONE) == "file:/s/1"
    assert again.savepoint_of(TWO) == "file:/s/2"
    assert RunRecord(tmp_path / "runs", "other", "j").what("a") is None


def test_a_record_that_was_cut_off_is_read_up_to_there_and_goes_on(tmp_path):
    record = RunRecord(tmp_path, "local", "j")
    record.started("a", ONE, None)
    with record.path.open("ab") as file:
        file.write(b'{"event":"star\n')
    record.started("b", TWO, None)
    assert record.what("a") == ONE
    assert record.what("b") == TWO


def workbench(tmp_path, profile):
    (tmp_path / "sdp.toml").write_text(profile, encoding="utf-8")
    return sdp_kernel.connect("dev", directory=tmp_path)


READ_ONLY = '[profiles.dev]\ngateway = "http://127.0.0.1:1"\nread_only = true\n'
CALLS = [
    ("run_job", {}), ("run_job", {"upgrade": True}), ("stop_job", {}), ("rollback", {"run": True}), ("shadow", {}),
]  # fmt: skip


@pytest.mark.parametrize(("call", "options"), CALLS)
def test_a_read_only_profile_runs_stops_and_rolls_back_nothing(tmp_path, call, options):
    with workbench(tmp_path, READ_ONLY) as wb, pytest.raises(ReadOnly, match="is read-only"):
        getattr(wb, call)("j", confirm=True, **options)


@pytest.mark.parametrize(("call", "options"), CALLS)
def test_any_profile_but_the_embedded_stack_wants_a_confirmation(tmp_path, call, options):
    with (
        workbench(tmp_path, READ_ONLY.replace("true", "false")) as wb,
        pytest.raises(ReadOnly, match="not confirmed"),
    ):
        getattr(wb, call)("j", **options)


@pytest.mark.parametrize(("call", "options"), CALLS[:-1])
def test_jobs_on_kubernetes_are_left_to_the_commands_for_them(tmp_path, call, options):
    profile = '[profiles.dev.kubernetes]\nnamespace = "jobs"\n'
    with workbench(tmp_path, profile) as wb, pytest.raises(UsageError, match="on Kubernetes") as caught:
        getattr(wb, call)("j", confirm=True, **options)
    assert "sdp apply j" in str(caught.value)


def test_an_upgrade_takes_its_state_from_the_job_that_runs(tmp_path):
    with workbench(tmp_path, READ_ONLY) as wb, pytest.raises(UsageError, match="takes its state"):
        wb.run_job("j", upgrade=True, savepoint="/s")


class Flink:
    """A session cluster's REST interface whose answers can be cut off; ``jobs`` are state and what started them.

    ``cut`` is raised by the first request for what becomes of a savepoint, while Flink finishes it.
    """

    def __init__(self, cut=None, *, ends=True):
        self.jobs = {}
        self.cut, self.ends = cut, ends
        self.trigger = None

    def __call__(self, request):
        method, parts = request.method, request.url.path.strip("/").split("/")
        if parts == ["jobs", "overview"]:
            listed = [
                {"jid": job, "name": "j", "state": state, "start-time": 1, "duration": 1}
                for job, (state, _) in self.jobs.items()
            ]
            return httpx.Response(200, json={"jobs": listed})
        if parts == ["jars", "upload"]:
            return httpx.Response(200, json={"filename": "/x/1.jar"})
        if parts[-1] == "run":
            job = f"job{len(self.jobs)}"
            self.jobs[job] = ("RUNNING", json.loads(request.read()))
            return httpx.Response(200, json={"jobid": job})
        if parts[-1] == "stop":
            self.trigger = json.loads(request.read())["triggerId"]
            if self.ends:
                self.jobs[parts[1]] = ("FINISHED", self.jobs[parts[1]][1])
            return httpx.Response(202, json={"request-id": self.trigger})
        if "savepoints" in parts:
            assert parts[-1] == self.trigger
            if self.cut is not None:
                cut, self.cut = self.cut, None
                raise cut
            status = {"status": {"id": "IN_PROGRESS"}}
            if self.ends:
                status = {"status": {"id": "COMPLETED"}, "operation": {"location": "file:/s/1"}}
            return httpx.Response(200, json=status)
        if method == "DELETE":
            return httpx.Response(200, json={})
        if parts[-1] == "status":
            return httpx.Response(200, json={"status": self.jobs[parts[1]][0]})
        return httpx.Response(200, json={"vertices": [{"tasks": {"RUNNING": 1}}]})

    def running(self):
        return [(job, body) for job, (state, body) in self.jobs.items() if state == "RUNNING"]


@pytest.fixture
def rolling(tmp_path, monkeypatch):
    monkeypatch.setattr(session_cluster, "_STEADY_S", 0.01)
    monkeypatch.setattr(session_cluster, "_TURN_S", 0.01)
    monkeypatch.setattr(rollout, "_LATE_S", 0.3)
    said = []

    def rolling(flink):
        jobmanager = JobManager("http://test", transport=httpx.MockTransport(flink))
        made = Rollout(jobmanager, RunRecord(tmp_path, "local", "j"), say=said.append)
        made.said = said
        made.start(ONE)
        return made

    return rolling


def test_an_upgrade_that_is_interrupted_while_the_job_stops_starts_the_old_version_again(rolling):
    flink = Flink(KeyboardInterrupt())
    made = rolling(flink)
    with pytest.raises(KeyboardInterrupt):
        made.upgrade(TWO)
    ((job, body),) = flink.running()
    assert body["programArgsList"] == ["--script", "one"]
    assert body["savepointPath"] == "file:/s/1"
    assert made.record.what(job) == ONE
    assert made.record.savepoint_of(ONE) == "file:/s/1"


def test_a_savepoint_that_took_too_long_and_then_ends_is_taken_up_by_the_old_version(rolling, monkeypatch):
    flink = Flink()
    made = rolling(flink)

    def late(job_id, directory, *, trigger):
        made.jobmanager._call("POST", f"/jobs/{job_id}/stop", json={"triggerId": trigger})
        raise JobFailed("the savepoint has not ended within 120 s", job_id=job_id)

    monkeypatch.setattr(made.jobmanager, "stop", late)
    with pytest.raises(
        JobFailed, match=r"was not changed to HEAD \(2\): the savepoint has not ended"
    ) as caught:
        made.upgrade(TWO)
    ((job, body),) = flink.running()
    assert f"runs again from the state it left, as job {job}" in caught.value.hint
    assert body["savepointPath"] == "file:/s/1"


def test_a_poll_that_fails_does_not_stop_an_upgrade(rolling):
    flink = Flink(httpx.ReadTimeout("slow"))
    made = rolling(flink)
    made.upgrade(TWO)
    ((_, body),) = flink.running()
    assert body["programArgsList"] == ["--script", "two"]


def test_a_savepoint_that_never_ends_leaves_the_job_and_says_how_to_ask_for_it(rolling):
    flink = Flink(ends=False)
    made = rolling(flink)
    flink.cut = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        made.upgrade(TWO)
    assert [job for job, _ in flink.running()] == ["job0"]
    assert f"GET /jobs/job0/savepoints/{flink.trigger}" in made.said[-1]


def test_a_stop_that_is_interrupted_writes_down_where_the_state_is(rolling):
    made = rolling(Flink(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        made.stop()
    assert made.record.savepoint_of(ONE) == "file:/s/1"
    assert made.running is None


def test_an_upgrade_to_another_configuration_is_one(rolling):
    flink = Flink()
    made = rolling(flink)
    four = What("j", "HEAD (4)", "4" * 40, "one", {"a": "b", "parallelism.default": "4"})
    assert made.upgrade(ONE).job_id == "job0"
    started = made.upgrade(four)
    assert started.savepoint == "file:/s/1"
    ((_, body),) = flink.running()
    assert body["flinkConfiguration"]["parallelism.default"] == "4"
    back = made.back(ONE)
    assert back.savepoint == "file:/s/1"
    ((_, body),) = flink.running()
    assert "parallelism.default" not in body["flinkConfiguration"]
