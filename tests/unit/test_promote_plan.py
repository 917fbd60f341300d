"""A plan as it is shown, and as it is applied to a real repository; Flink is not asked."""

import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.errors import Blocked, PushFailed, RepositoryError
from sdp_kernel.promote import Actions, Plan, PlannedFile, Topic
from sdp_kernel.promote.apply import Where, where
from sdp_kernel.promote.lint import Finding
from sdp_kernel.repository.git import Repository
from tests.repositories import commit, git, make_work, snapshot, write_hook
from tests.unit.test_promote_receipt import made

JOB = "totals"
BRANCH = f"sdp/{JOB}"
HERE = "local: embedded stack"
RECEIPT = made()
FILES = {
    f"sql/jobs/{JOB}.sql": "-- totals\nINSERT INTO o SELECT 1;\n",
    f"sql/jobs/{JOB}.receipt.json": "{}\n",
}


def nothing(*_):
    raise AssertionError("nobody asked for that")


def plan_for(work, *, files=None, findings=(), run=nothing, topic=nothing, topics=()):
    repository = Repository.find(work)
    base, tip = repository.base_for(BRANCH)
    planned = [PlannedFile.against(repository.read(base, p), p, text) for p, text in (files or FILES).items()]
    actions = Actions(create_topic=topic, run=run, declare=nothing, place=HERE)
    return Plan(
        job=JOB, files=tuple(planned), findings=tuple(findings), receipt=RECEIPT, statements=("SELECT 1",), script="SELECT 1;",
        topics=topics, declares=(), repository=repository.root, branch=BRANCH, base=base, tip=tip, actions=actions,
        where=where(repository, BRANCH, actions, "session"),
    )  # fmt: skip


@pytest.fixture
def team(tmp_path):
    git(tmp_path, "clone", "-q", "--bare", str(make_work(tmp_path / "first")), "team.git")
    return tmp_path / "team.git"


@pytest.fixture
def work(tmp_path, team):
    top = make_work(tmp_path / "work")
    git(top, "remote", "add", "origin", str(team))
    git(top, "fetch", "-q")
    git(top, "reset", "-q", "--hard", "origin/main")
    return top


def test_applying_commits_the_files_that_are_shown_and_nothing_else(work):
    before = snapshot(work)
    plan = plan_for(work)
    assert snapshot(work) == before
    applied = plan.apply()
    assert sorted(git(work, "diff", "--name-only", plan.base, applied.commit).splitlines()) == sorted(FILES)
    assert {p: Repository(work).read(applied.commit, p) for p in FILES} == FILES
    assert git(work, "show", "-s", "--format=%B", applied.commit).startswith(
        f"Add Flink SQL job {JOB}\n\nPromoted from cell q."
    )
    assert applied.to_json()["pushed"] is None
    assert "git push -u origin sdp/totals, or --push" in applied.to_text()


def test_the_same_job_again_is_not_committed_and_a_changed_one_says_change(work):
    plan_for(work).apply()
    again = plan_for(work)
    assert again.unchanged
    assert again.apply().files == ()
    changed = plan_for(work, files={**FILES, f"sql/jobs/{JOB}.sql": "-- other\n"}).apply()
    assert git(work, "show", "-s", "--format=%s", changed.commit) == f"Change Flink SQL job {JOB}"
    assert changed.files == (f"sql/jobs/{JOB}.sql",)


def test_an_error_of_the_lint_blocks_before_anything_is_written(work):
    before = snapshot(work)
    finding = Finding("SDP010", "error", "a literal password", "use a reference")
    with pytest.raises(Blocked, match="SDP010 a literal password"):
        plan_for(work, findings=[finding]).apply(run=True, push=True)
    assert snapshot(work) == before


def test_a_repository_that_moved_on_is_refused(work):
    plan = plan_for(work)
    commit(work, "other.txt")
    before = snapshot(work)
    with pytest.raises(RepositoryError, match="has moved on since this plan"):
        plan.apply()
    assert snapshot(work) == before


def test_pushing_comes_before_the_job_and_a_refused_push_starts_none(work, team):
    started = []
    write_hook(team, "pre-receive", "echo protected; exit 1")
    plan = plan_for(work, run=lambda script, name: started.append(name) or "a" * 32)
    with pytest.raises(PushFailed, match="protected"):
        plan.apply(run=True, push=True)
    assert started == []
    assert git(work, "log", "-1", "--format=%s", BRANCH) == f"Add Flink SQL job {JOB}"
    (team / "hooks" / "pre-receive").unlink()
    again = plan_for(work, run=lambda script, name: started.append(name) or "a" * 32).apply(
        run=True, push=True
    )
    assert started == [JOB]
    assert (again.files, again.pushed.new, again.job_id) == ((), True, "a" * 32)
    assert git(team, "rev-parse", BRANCH) == again.commit
    assert "Already pushed" in plan_for(work).apply(push=True).to_text()


def test_a_job_that_is_merged_already_is_not_pushed(work, team):
    plan_for(work).apply()
    git(work, "merge", "-q", "--ff-only", BRANCH)
    git(work, "branch", "-q", "-D", BRANCH)
    applied = plan_for(work).apply(push=True)
    assert (applied.files, applied.pushed) == ((), None)
    assert git(team, "branch", "--list", BRANCH) == ""


def test_where_it_goes_is_said_beforehand(work):
    git(work, "remote", "set-url", "origin", "https://ada:hunter2@github.com/team/jobs.git")
    plan = plan_for(work)
    assert plan.where == Where(
        HERE, "session", "origin (https://github.com/team/jobs.git)", "main",
        "https://github.com/team/jobs/compare/main...sdp/totals?expand=1",
    )  # fmt: skip
    for shown in (plan.to_text(), plan.to_html(), json.dumps(plan.to_json())):
        assert "github.com/team/jobs.git" in shown
        assert HERE in shown
        assert "hunter2" not in shown


def test_a_plan_as_json_is_whole_and_the_same_again(work):
    topic = Topic("out", "main", {"cleanup.policy": "compact"}, "CREATE TABLE out", 3, new=True)
    finding = Finding("SDP002", "warning", "no TTL", "set one")
    one, two = (plan_for(work, topics=(topic,), findings=[finding]).to_json() for _ in "ab")
    assert json.dumps(one) == json.dumps(two)
    assert list(one) == [
        "version", "job", "repository", "branch", "base", "tip", "unchanged", "files", "touched", "findings", "blocked",
        "statements", "topics", "where", "change", "receipt",
    ]  # fmt: skip
    assert [file["path"] for file in one["files"]] == list(FILES)
    assert one["topics"][0]["config"] == {"cleanup.policy": "compact"}
    assert one["receipt"]["version"] == 2
    assert (
        "output topic  out on main, made with 3 partitions, cleanup.policy compact"
        in plan_for(work, topics=(topic,)).to_text()
    )


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_nothing_in_a_plan_becomes_markup(text, tmp_path_factory):
    marked = f"<b>{text}</b>"
    receipt = {**RECEIPT, "cell": {**RECEIPT["cell"], "name": marked}, "parameters": {marked: marked}}
    plan = Plan(
        job=marked, files=(PlannedFile(marked, marked, "changed", f"+{marked}", (marked,)),),
        findings=(Finding("SDP001", "warning", marked, marked),), receipt=receipt, statements=(marked,), script=marked,
        topics=(Topic(marked, marked, {marked: marked}, marked),), declares=(), repository=tmp_path_factory.getbasetemp(),
        branch=marked, base="0" * 40, tip=None, actions=Actions(nothing, nothing, nothing), where=Where(marked, marked, marked, marked),
    )  # fmt: skip
    assert "<b>" not in plan.to_html()
    assert marked.splitlines()[0] in plan.to_text()


@pytest.fixture
def promote(work):
    """The magic, over a workbench that has planned ``totals``; the repository is real."""
    from IPython.core.interactiveshell import InteractiveShell

    from sdp_kernel.notebook.magics import SdpMagics

    shell = InteractiveShell()
    magics = SdpMagics(shell)
    magics._workbench = SimpleNamespace(
        queries={}, promote=lambda *_, **__: plan_for(work), close=lambda: None
    )
    yield magics.promote
    shell.history_manager.end_session()


def test_the_magic_prints_a_plan_as_one_json_and_writes_nothing(promote, work, capsys):
    before = snapshot(work)
    assert promote(f"q --job {JOB} --plan --json") is None
    said = json.loads(capsys.readouterr().out)
    assert said == {"plan": plan_for(work).to_json(), "applied": None}
    assert snapshot(work) == before


def test_the_magic_pushes_where_it_is_told_to(promote, work, team, capsys):
    promote(f"q --job {JOB} --json")
    assert git(team, "branch", "--list", BRANCH) == ""
    promote(f"q --job {JOB} --push --json")
    said = capsys.readouterr().out.split("\n}\n{\n")
    assert json.loads("{\n" + said[1])["applied"]["pushed"]["new"] is True
    assert git(team, "rev-parse", BRANCH) == git(work, "rev-parse", BRANCH)
