import io
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

from sdp_kernel.errors import RepositoryError
from sdp_kernel.repository.git import Repository, _extract
from tests.repositories import BRANCH, FILES, commit, configure, git, make_work, snapshot, write, write_hook


@pytest.fixture
def work(tmp_path):
    """A repository with one commit on the branch ``main``."""
    return make_work(tmp_path / "work")


@pytest.fixture
def repository(work):
    return Repository.find(work)


def test_a_repository_is_found_from_below(work):
    (work / "a" / "b").mkdir(parents=True)
    assert Repository.find(work / "a" / "b").root == work


def test_a_directory_without_a_repository_is_refused(tmp_path):
    with pytest.raises(RepositoryError, match="is not in a git repository") as caught:
        Repository.find(tmp_path)
    assert "git init" in caught.value.hint


def test_a_directory_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(RepositoryError) as caught:
        Repository.find(tmp_path / "gone")
    assert "does not exist" in str(caught.value) + caught.value.detail


def test_a_repository_without_a_commit_is_refused(tmp_path):
    git(tmp_path, "init", "-q")
    with pytest.raises(RepositoryError, match="has no commit yet"):
        Repository.find(tmp_path)


def test_a_changed_tracked_file_is_refused(work, repository):
    write(work, "README.md", "changed\n")
    with pytest.raises(RepositoryError, match=r"uncommitted changes: README\.md"):
        repository.check()
    git(work, "add", "README.md")
    with pytest.raises(RepositoryError, match=r"uncommitted changes: README\.md"):
        repository.check()


def test_a_deleted_or_renamed_file_is_refused(work, repository):
    git(work, "mv", "README.md", "READ.md")
    with pytest.raises(RepositoryError, match=r"uncommitted changes: READ\.md"):
        repository.check()


@pytest.mark.parametrize("path", ["sql/tables/t.sql", "terraform/x.tf", "tests/x.py", "sql/ü b.sql"])
def test_an_untracked_file_where_jobs_go_is_refused(work, repository, path):
    write(work, path)
    with pytest.raises(RepositoryError, match=path):
        repository.check()


@pytest.mark.parametrize("path", ["notes.txt", "data/sql/x.sql", ".sdp/state.json", "sqlx/a"])
def test_an_untracked_file_elsewhere_does_not_matter(work, repository, path):
    write(work, path)
    repository.check()


def test_notebooks_may_be_changed_renamed_and_new(work, repository):
    write(work, "lab.ipynb", '{"cells": []}\n')
    write(work, "new.ipynb")
    repository.check()
    git(work, "add", "-A")
    git(work, "mv", "-f", "lab.ipynb", "b.ipynb")
    repository.check()
    git(work, "commit", "-q", "-m", "Rename")
    git(work, "mv", "b.ipynb", "renamed.ipynb")
    repository.check()


def test_a_branch_that_went_apart_from_its_upstream_is_refused(work, tmp_path):
    bare = tmp_path / "team.git"
    git(tmp_path, "clone", "-q", "--bare", str(work), str(bare))
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    for clone in (mine, theirs):
        git(tmp_path, "clone", "-q", str(bare), str(clone))
        configure(clone)
    repository = Repository.find(mine)
    repository.check()
    commit(mine, "a.txt")
    repository.check()
    commit(theirs, "b.txt")
    git(theirs, "push", "-q")
    git(mine, "fetch", "-q")
    with pytest.raises(RepositoryError, match=r"main.*diverged") as caught:
        repository.check()
    assert "git pull --rebase" in caught.value.hint
    git(mine, "reset", "-q", "--hard", "HEAD~1")
    repository.check()


def test_a_branch_may_have_ahead_and_behind_in_its_name(work, repository):
    git(work, "switch", "-q", "-c", "ahead-or-behind")
    repository.check()


def test_a_commit_makes_the_branch_and_leaves_checkout_and_index_alone(work, repository):
    head = git(work, "rev-parse", "HEAD")
    write(work, "lab.ipynb", "changed\n")
    git(work, "add", "lab.ipynb")
    before = snapshot(work)
    assert repository.base_for(BRANCH) == (head, None)
    made = repository.commit(BRANCH, FILES, "Add j\n\nBody.", base=head, tip=None)
    after = snapshot(work)
    assert git(work, "rev-parse", BRANCH) == made
    assert git(work, "rev-parse", f"{BRANCH}^") == head
    assert after[1:] == before[1:]
    assert {path: repository.read(made, path) for path in FILES} == FILES
    assert git(work, "show", "--format=%an|%s|%b", "--name-only", made).split("\n") == [
        "Ada|Add j|Body.",
        "",
        "",
        *sorted(FILES),
    ]


def test_ignored_files_are_committed_all_the_same(work, repository):
    head = commit(work, ".gitignore", "*.tf\n")
    made = repository.commit(BRANCH, FILES, "Add j", base=head, tip=None)
    assert repository.read(made, "terraform/j.tf") == FILES["terraform/j.tf"]


def test_a_second_commit_goes_on_top_of_the_branch(work, repository):
    head = git(work, "rev-parse", "HEAD")
    first = repository.commit(BRANCH, FILES, "Add j", base=head, tip=None)
    assert repository.base_for(BRANCH) == (first, first)
    second = repository.commit(BRANCH, {"sql/x.sql": "x\n"}, "More", base=first, tip=first)
    assert git(work, "rev-parse", f"{BRANCH}^") == first
    git(work, "merge", "-q", "--ff-only", BRANCH)
    newest = commit(work, "a.txt")
    assert repository.base_for(BRANCH) == (newest, second)


def test_a_hook_that_refuses_leaves_nothing(work, repository):
    write_hook(work / ".git", "pre-commit", "echo no SQL on Fridays >&2; exit 1")
    before = snapshot(work)
    left = set(Path(tempfile.gettempdir()).glob("sdp-promote-*"))
    with pytest.raises(RepositoryError, match="no SQL on Fridays"):
        repository.commit(BRANCH, FILES, "Add j", base=git(work, "rev-parse", "HEAD"), tip=None)
    assert snapshot(work) == before
    assert not list((work / ".git").glob("worktrees/*"))
    assert set(Path(tempfile.gettempdir()).glob("sdp-promote-*")) <= left


def test_without_an_identity_nothing_is_committed(work, repository, monkeypatch):
    git(work, "config", "--unset", "user.name")
    git(work, "config", "--unset", "user.email")
    git(work, "config", "user.useConfigOnly", "true")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    before = snapshot(work)
    with pytest.raises(RepositoryError, match="git commit failed"):
        repository.commit(BRANCH, FILES, "Add j", base=git(work, "rev-parse", "HEAD"), tip=None)
    assert snapshot(work) == before


def test_a_branch_that_moved_meanwhile_is_left_where_it_is(work, repository):
    head = git(work, "rev-parse", "HEAD")
    git(work, "branch", BRANCH)
    before = snapshot(work)
    with pytest.raises(RepositoryError, match=f"{BRANCH} was moved by somebody else") as caught:
        repository.commit(BRANCH, FILES, "Add j", base=head, tip=None)
    assert "promote again" in caught.value.hint
    assert snapshot(work) == before


def test_a_checked_out_branch_is_moved_with_its_files(work, repository):
    git(work, "switch", "-q", "-c", BRANCH)
    head = git(work, "rev-parse", "HEAD")
    made = repository.commit(BRANCH, FILES, "Add j", base=head, tip=head)
    assert git(work, "rev-parse", "HEAD") == made
    assert git(work, "status", "--porcelain") == ""
    assert (work / "sql/jobs/j.sql").read_text(encoding="utf-8") == FILES["sql/jobs/j.sql"]


def test_a_detached_checkout_stays_where_it_is(work, repository):
    head = git(work, "rev-parse", "HEAD")
    git(work, "switch", "-q", "--detach")
    made = repository.commit(BRANCH, FILES, "Add j", base=head, tip=None)
    assert git(work, "rev-parse", "HEAD") == head
    assert git(work, "rev-parse", BRANCH) == made


def test_git_s_own_variables_do_not_lead_elsewhere(work, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q", "-b", "other")
    configure(other)
    commit(other, "x.txt")
    refs = git(other, "for-each-ref")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    repository = Repository.find(work)
    assert repository.root == work
    base, tip = repository.base_for(BRANCH)
    made = repository.commit(BRANCH, FILES, "Add j", base=base, tip=tip)
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name)
    assert git(work, "rev-parse", BRANCH) == made
    assert git(other, "for-each-ref") == refs
    assert not (tmp_path / "index").exists()


def test_files_are_read_and_found_at_a_commit(work, repository):
    text = '"${path.root}/../sql/tables/t.sql"\n'
    made = commit(work, "terraform/a.tf", text)
    write(work, "terraform/a.tf", "changed\n")
    assert repository.read(made, "terraform/a.tf") == text
    assert repository.read(made, "terraform/b.tf") is None
    assert repository.mentions(made, "sql/tables/t.sql", "terraform") == ["terraform/a.tf"]
    assert repository.mentions(made, "sql/tables/u.sql", "terraform") == []


def apart(work):
    """Make ``main`` and another branch touch the same line; returns git's attempt as a call."""
    git(work, "switch", "-q", "-c", "other")
    commit(work, "README.md", "theirs\n")
    git(work, "switch", "-q", "main")
    commit(work, "README.md", "mine\n")


@pytest.mark.parametrize("what", ["merge", "rebase", "cherry-pick"])
def test_a_tree_in_the_middle_of_something_is_refused(work, repository, what):
    apart(work)
    subprocess.run(["git", what, "other"], cwd=work, capture_output=True, check=False)
    with pytest.raises(RepositoryError, match=f"in the middle of a {what}") as caught:
        repository.check()
    assert f"git {what} --abort" in caught.value.hint
    git(work, what, "--abort")
    repository.check()


def test_a_bisection_is_refused(work, repository):
    git(work, "bisect", "start")
    with pytest.raises(RepositoryError, match="bisect") as caught:
        repository.check()
    assert "git bisect reset" in caught.value.hint


def test_a_checkout_without_a_branch_is_refused(work, repository):
    git(work, "switch", "-q", "--detach")
    with pytest.raises(RepositoryError, match="on no branch"):
        repository.check()


def test_a_branch_that_went_apart_from_the_checkout_is_refused(work, repository):
    repository.commit(BRANCH, FILES, "Add j", base=git(work, "rev-parse", "HEAD"), tip=None)
    commit(work, "a.txt")
    with pytest.raises(RepositoryError, match="have gone apart") as caught:
        repository.base_for(BRANCH)
    git(work, "rebase", "-q", "HEAD", BRANCH)
    git(work, "switch", "-q", "main")
    assert f"git rebase HEAD {BRANCH}" in caught.value.hint
    assert repository.base_for(BRANCH)[0] == git(work, "rev-parse", BRANCH)


def test_a_branch_checked_out_in_another_worktree_is_refused(work, repository, tmp_path):
    repository.commit(BRANCH, FILES, "Add j", base=git(work, "rev-parse", "HEAD"), tip=None)
    other = tmp_path / "other tree"
    git(work, "worktree", "add", "-q", str(other), BRANCH)
    with pytest.raises(RepositoryError, match=r"checked out in .*other tree"):
        repository.base_for(BRANCH)


@pytest.mark.parametrize("link", ["sql", "sql/jobs", "sql/jobs/j.sql"])
def test_nothing_is_written_through_a_symbolic_link(work, repository, tmp_path, link):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "j.sql").write_text("theirs\n", encoding="utf-8")
    (work / link).parent.mkdir(parents=True, exist_ok=True)
    (work / link).symlink_to(outside / "j.sql" if link.endswith(".sql") else outside)
    git(work, "add", "-A")
    git(work, "commit", "-q", "-m", "Link")
    before = snapshot(work)
    with pytest.raises(RepositoryError, match="symbolic link"):
        repository.commit(BRANCH, FILES, "Add j", base=git(work, "rev-parse", "HEAD"), tip=None)
    assert [p.name for p in outside.iterdir()] == ["j.sql"]
    assert (outside / "j.sql").read_text(encoding="utf-8") == "theirs\n"
    assert snapshot(work) == before


def test_a_file_where_a_directory_must_be_is_refused(work, repository):
    commit(work, "sql")
    before = snapshot(work)
    with pytest.raises(RepositoryError, match=r"sql/jobs/j\.sql cannot be written"):
        repository.commit(BRANCH, FILES, "Add j", base=git(work, "rev-parse", "HEAD"), tip=None)
    assert snapshot(work) == before


def test_a_branch_under_a_branch_s_name_is_refused_by_git(work, repository):
    git(work, "branch", "sdp")
    before = snapshot(work)
    with pytest.raises(RepositoryError, match=f"{BRANCH} cannot be moved: .*'refs/heads/sdp' exists"):
        repository.commit(BRANCH, FILES, "Add j", base=git(work, "rev-parse", "HEAD"), tip=None)
    assert snapshot(work) == before


@pytest.mark.parametrize("branch", ["a b", "x..y", "sdp/", "j.lock", "a~1", ""])
def test_a_branch_that_git_does_not_take_is_refused(repository, branch):
    with pytest.raises(RepositoryError, match="is not a branch name") as caught:
        repository.base_for(branch)
    assert "[promote] branch" in caught.value.hint


def test_a_repository_without_a_work_tree_is_refused(work, tmp_path):
    git(tmp_path, "clone", "-q", "--bare", str(work), "bare.git")
    with pytest.raises(RepositoryError, match="without a work tree") as caught:
        Repository.find(tmp_path / "bare.git")
    assert "git clone" in caught.value.hint


def test_an_export_has_the_job_definitions_of_a_commit_and_nothing_else(work, repository, tmp_path):
    first = commit(work, "sql/jobs/j.sql", "-- ü\r\n")
    commit(work, "sql/jobs/j.sql", "-- later\n")
    exported = repository.export(first, tmp_path / "then")
    assert (exported / "sql/jobs/j.sql").read_bytes() == "-- ü\r\n".encode()
    assert [path.name for path in exported.iterdir()] == ["sql"]


@pytest.fixture
def outside(tmp_path):
    """A file outside the repository."""
    (tmp_path / "outside.sql").write_text("theirs\n", encoding="utf-8")
    return tmp_path / "outside.sql"


@pytest.mark.parametrize("absolute", [True, False])
def test_an_export_follows_no_link_out_of_the_repository(work, repository, tmp_path, outside, absolute):
    (work / "sql/jobs").mkdir(parents=True)
    (work / "sql/jobs/j.sql").symlink_to(outside if absolute else Path("../../../outside.sql"))
    git(work, "add", "-A")
    git(work, "commit", "-q", "-m", "Link")
    with pytest.raises(RepositoryError, match=r"cannot be read: .*sql/jobs/j\.sql") as caught:
        repository.export(git(work, "rev-parse", "HEAD"), tmp_path / "then")
    assert "plain file" in caught.value.hint
    assert outside.read_text(encoding="utf-8") == "theirs\n"


def test_an_older_python_exports_plain_files(work, repository, tmp_path, outside, monkeypatch):
    def old(archive, path, members, *, extract=tarfile.TarFile.extractall):
        return extract(archive, path, members)

    monkeypatch.delattr(tarfile, "data_filter")
    monkeypatch.setattr(tarfile.TarFile, "extractall", old)
    write(work, "sql/jobs/j.sql", "-- ü\n")
    (work / "sql/jobs/k.sql").symlink_to(outside)
    (work / "sql/l").symlink_to(outside.parent)
    git(work, "add", "-A")
    git(work, "commit", "-q", "-m", "Link")
    exported = repository.export(git(work, "rev-parse", "HEAD"), tmp_path / "then")
    assert [path.relative_to(exported).as_posix() for path in exported.rglob("*") if not path.is_dir()] == [
        "sql/jobs/j.sql"
    ]
    assert (exported / "sql/jobs/j.sql").read_bytes() == "-- ü\n".encode()


def test_an_older_python_writes_no_file_outside(tmp_path, monkeypatch):
    monkeypatch.delattr(tarfile, "data_filter")
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name in ("sql/../../evil.sql", "/sql/evil.sql", "sql/good.sql"):
            archive.addfile(tarfile.TarInfo(name))
    made.seek(0)
    with tarfile.open(fileobj=made) as archive:
        _extract(archive, tmp_path / "a" / "b")
    assert [path.name for path in tmp_path.rglob("*.sql")] == ["good.sql"]


def test_a_branch_that_moves_while_hooks_run_costs_no_uncommitted_edit(work, repository):
    base = commit(work, "sql/jobs/j.sql", "-- before\n")
    ours = "unset GIT_DIR GIT_INDEX_FILE GIT_WORK_TREE GIT_PREFIX"
    write_hook(
        work / ".git",
        "pre-commit",
        f"{ours}\ncd {work}\ngit commit -q --no-verify --allow-empty -m theirs\necho '-- edited' > sql/jobs/j.sql",
    )
    with pytest.raises(RepositoryError, match="moved by somebody else meanwhile") as caught:
        repository.commit("main", FILES, "Add j", base=base, tip=base)
    assert "promote again" in caught.value.hint
    assert git(work, "log", "-1", "--format=%s") == "theirs"
    assert (work / "sql/jobs/j.sql").read_text(encoding="utf-8") == "-- edited\n"
    assert not (work / "terraform").exists()


def test_a_merge_begun_while_hooks_run_costs_no_uncommitted_edit(work, repository):
    commit(work, "sql/jobs/j.sql", "-- before\n")
    apart(work)
    base = git(work, "rev-parse", "HEAD")
    ours = "unset GIT_DIR GIT_INDEX_FILE GIT_WORK_TREE GIT_PREFIX"
    write_hook(
        work / ".git",
        "pre-commit",
        f"{ours}\ncd {work}\ngit merge -q other && exit 1\necho '-- edited' > sql/jobs/j.sql",
    )
    with pytest.raises(RepositoryError, match="cannot be moved"):
        repository.commit("main", FILES, "Add j", base=base, tip=base)
    assert (work / "sql/jobs/j.sql").read_text(encoding="utf-8") == "-- edited\n"


def test_the_commit_message_goes_through_the_repository_s_hook(work, repository):
    head = git(work, "rev-parse", "HEAD")
    write_hook(work / ".git", "commit-msg", 'echo "Ticket: DATA-7" >> "$1"')
    made = repository.commit(BRANCH, FILES, "Add j", base=head, tip=None)
    assert git(work, "show", "-s", "--format=%B", made) == "Add j\nTicket: DATA-7"
    write_hook(work / ".git", "commit-msg", "echo no ticket >&2; exit 1")
    before = snapshot(work)
    with pytest.raises(RepositoryError, match="no ticket"):
        repository.commit(BRANCH, {"sql/x.sql": "x"}, "More", base=made, tip=made)
    assert snapshot(work) == before


def test_a_hook_that_changes_what_is_committed_is_refused(work, repository):
    write_hook(work / ".git", "pre-commit", "echo '-- formatted' >> sql/jobs/j.sql; git add sql/jobs/j.sql")
    before = snapshot(work)
    with pytest.raises(RepositoryError, match=r"hook .* changed what is committed: sql/jobs/j\.sql"):
        repository.commit(BRANCH, FILES, "Add j", base=git(work, "rev-parse", "HEAD"), tip=None)
    assert snapshot(work) == before


def test_a_commit_is_signed_where_git_is_told_to_sign(work, repository, tmp_path):
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"],
        check=True,
        capture_output=True,
    )
    (tmp_path / "signers").write_text(f"ada@example.com {(tmp_path / 'key.pub').read_text()}")
    git(work, "config", "gpg.format", "ssh")
    git(work, "config", "user.signingkey", str(tmp_path / "key.pub"))
    git(work, "config", "gpg.ssh.allowedSignersFile", str(tmp_path / "signers"))
    git(work, "config", "commit.gpgsign", "true")
    made = repository.commit(BRANCH, FILES, "Add j", base=git(work, "rev-parse", "HEAD"), tip=None)
    git(work, "verify-commit", made)
    (tmp_path / "key").unlink()
    before = snapshot(work)
    with pytest.raises(RepositoryError, match="git commit failed"):
        repository.commit(BRANCH, {"sql/x.sql": "x"}, "More", base=made, tip=made)
    assert snapshot(work) == before


def test_a_linked_worktree_is_promoted_into_like_any_other(work, tmp_path):
    linked = tmp_path / "linked"
    git(work, "worktree", "add", "-q", "-b", "feature", str(linked))
    head = commit(linked, "a.txt")
    before = snapshot(work)
    repository = Repository.find(linked)
    assert repository.root == linked
    repository.check()
    made = repository.commit(BRANCH, FILES, "Add j", base=head, tip=None)
    assert git(work, "rev-parse", f"{BRANCH}^") == head
    assert repository.read(made, "a.txt") == "x\n"
    assert snapshot(work)[1:] == before[1:]


def test_a_submodule_is_a_repository_of_its_own(work, tmp_path):
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "-q", "-b", "main")
    configure(outer)
    git(outer, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(work), "jobs")
    git(outer, "commit", "-q", "-m", "Add submodule")
    configure(outer / "jobs")
    before = snapshot(outer)
    inner = Repository.find(outer / "jobs")
    assert inner.root == outer / "jobs"
    inner.check()
    made = inner.commit(BRANCH, FILES, "Add j", base=git(inner.root, "rev-parse", "HEAD"), tip=None)
    assert git(outer / "jobs", "rev-parse", BRANCH) == made
    assert snapshot(outer) == before
    assert git(work, "branch", "--list", BRANCH) == ""
    around = Repository.find(outer)
    around.check()
    around.commit(BRANCH, FILES, "Add j", base=git(outer, "rev-parse", "HEAD"), tip=None)
    assert git(outer, "ls-tree", "--name-only", BRANCH).split() == [".gitmodules", "jobs", "sql", "terraform"]
    assert snapshot(outer)[1:] == before[1:]


def test_a_repository_inside_another_leaves_the_other_alone(work):
    inside = work / "inside"
    inside.mkdir()
    git(inside, "init", "-q", "-b", "main")
    configure(inside)
    head = commit(inside, "a.txt")
    before = snapshot(work)
    repository = Repository.find(inside)
    assert repository.root == inside
    repository.check()
    repository.commit(BRANCH, FILES, "Add j", base=head, tip=None)
    assert git(inside, "branch", "--list", "--format=%(refname:short)") == f"main\n{BRANCH}"
    assert snapshot(work) == before
