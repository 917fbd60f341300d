"""What goes wrong around a commit: nothing to write on, a disk that gets full, others at the same time."""

import os
import subprocess
import sys
import tempfile

import pytest

from sdp_kernel.errors import RepositoryError
from sdp_kernel.repository.git import Repository
from tests.repositories import BRANCH, FILES, configure, git, make_work, snapshot


@pytest.fixture
def work(tmp_path):
    """A repository with one commit on the branch ``main``."""
    return make_work(tmp_path / "work")


@pytest.fixture
def repository(work):
    return Repository.find(work)


@pytest.fixture
def read_only(work):
    """The repository, on which nobody can write: not even root, whom modes do not bind."""
    if os.geteuid():
        subprocess.run(["chmod", "-R", "a-w", work], check=True)
        yield work
        subprocess.run(["chmod", "-R", "u+w", work], check=True)
        return
    mount("--bind", work, work)
    subprocess.run(["mount", "-o", "remount,ro,bind", work], check=True)
    yield work
    subprocess.run(["umount", work], check=True)


def mount(*arguments):
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")


def test_a_read_only_repository_is_refused(read_only):
    repository = Repository.find(read_only)
    before = snapshot(read_only)
    with pytest.raises(RepositoryError, match="is read-only") as caught:
        repository.check()
    assert "a clone of your own" in caught.value.hint
    with pytest.raises(RepositoryError, match="git worktree failed"):
        repository.commit(BRANCH, FILES, "Add j", base=git(read_only, "rev-parse", "HEAD"), tip=None)
    assert snapshot(read_only) == before


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 2 MB. ``fill(path, free)`` leaves so many bytes on it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount("-t", "tmpfs", "-o", "size=2m", "tmpfs", disk)
    yield disk
    subprocess.run(["umount", disk], check=True)


def leave(disk, free):
    (disk / "ballast").unlink(missing_ok=True)
    there = os.statvfs(disk)
    (disk / "ballast").write_bytes(b"\0" * max(there.f_bavail * there.f_bsize - free, 0))


BIG = {f"sql/tables/t{n}.sql": f"-- {n}\n" * 4000 for n in range(10)}


def on_small_disk(work, small_disk):
    """Return the repository cloned onto the small disk."""
    git(small_disk, "clone", "-q", str(work), "work")
    moved = small_disk / "work"
    configure(moved)
    return moved


@pytest.mark.parametrize("checked_out", [False, True])
def test_a_disk_that_gets_full_in_the_middle_leaves_nothing(work, small_disk, checked_out):
    moved = on_small_disk(work, small_disk)
    head = git(moved, "rev-parse", "HEAD")
    branch = "main" if checked_out else BRANCH
    repository = Repository.find(moved)
    refused = 0
    for free in (0, 4096, 16_384, 32_768, 65_536, 131_072, 262_144):
        leave(small_disk, free)
        before = snapshot(moved)
        try:
            made = repository.commit(branch, BIG, "Add j", base=head, tip=head if checked_out else None)
        except RepositoryError as error:
            refused += 1
            assert "disk" in error.hint  # noqa: PT017
            assert snapshot(moved) == before
            assert not list((moved / ".git").glob("worktrees/*"))
            assert not list((moved / ".git").rglob("*.lock"))
        else:
            assert {path: repository.read(made, path) for path in BIG} == BIG
            assert git(moved, "rev-parse", branch) == made
            break
    assert refused > 1
    leave(small_disk, 2**21)
    git(moved, "fsck", "--no-dangling")
    repository.check()
    if git(moved, "rev-parse", branch if checked_out else "HEAD") == head:
        repository.commit("sdp/again", BIG, "Add j", base=head, tip=None)


def test_a_full_place_for_worktrees_leaves_nothing(work, repository, small_disk, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    before = snapshot(work)
    for free in (0, 4096, 65_536):
        leave(small_disk, free)
        with pytest.raises(RepositoryError, match=r"No space left|unable to write|no room") as caught:
            repository.commit(BRANCH, BIG, "Add j", base=git(work, "rev-parse", "HEAD"), tip=None)
        assert "disk" in caught.value.hint
        assert snapshot(work) == before
        assert [path.name for path in small_disk.iterdir()] == ["ballast"]
        assert not list((work / ".git").glob("worktrees/*"))


PROMOTE = """
import sys
from pathlib import Path
from sdp_kernel.errors import RepositoryError
from sdp_kernel.repository.git import Repository
repository = Repository.find(Path(sys.argv[1]))
base, tip = repository.base_for(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
try:
    repository.commit(sys.argv[2], {f"sql/jobs/{sys.argv[3]}.sql": sys.argv[3]}, "Add", base=base, tip=tip)
    print("landed")
except RepositoryError as error:
    print(error.message)
"""


def at_once(work, *jobs):
    """Promote in a process for each (branch, job), all at the same time; returns what each said."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROMOTE, work, branch, job],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for branch, job in jobs
    ]  # fmt: skip
    for process in running:
        assert process.stdout.readline() == "ready\n"
    for process in running:
        process.stdin.write("\n")
        process.stdin.flush()
    return [process.communicate(timeout=60)[0].strip() for process in running]


def test_two_promotes_of_two_jobs_at_once_both_land(work, repository):
    before = snapshot(work)
    assert at_once(work, ("sdp/a", "a"), ("sdp/b", "b"), ("sdp/c", "c")) == ["landed"] * 3
    assert [repository.read(f"sdp/{name}", f"sql/jobs/{name}.sql") for name in "abc"] == ["a", "b", "c"]
    assert snapshot(work)[1:] == before[1:]


def test_of_two_promotes_to_one_branch_one_lands_and_the_other_is_told(work, repository):
    before = snapshot(work)
    said = sorted(at_once(work, (BRANCH, "a"), (BRANCH, "b")))
    assert (
        said
        == [f"the branch {BRANCH} was moved by somebody else meanwhile", "landed"][
            :: 1 if said[0] != "landed" else -1
        ]
    )
    there = [repository.read(BRANCH, f"sql/jobs/{name}.sql") for name in "ab"]
    assert sorted(there, key=str) == sorted([None, "a" if there[0] else "b"], key=str)
    assert git(work, "rev-list", "--count", f"HEAD..{BRANCH}") == "1"
    assert snapshot(work)[1:] == before[1:]
