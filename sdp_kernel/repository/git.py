"""The team's git repository, through the user's own git: their identity, hooks and signing.

A commit is built in a worktree of its own, and a branch moved to it at the end: until then nothing
that the user sees has changed, and the checkout stays on its branch.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from sdp_kernel.errors import RepositoryError
from sdp_kernel.repository import command

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_OWNED = ("sql/", "terraform/", "tests/")
_IGNORED = (".sdp/",)
_ABSENT = "0" * 40
_UNFINISHED = {
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "BISECT_LOG": "bisect",
}
#: Git's words where a merge ends before it writes anything: the branch is elsewhere, or files are in the way.
_MOVED = ("Not possible to fast-forward", "Diverging branches")
_UNTOUCHED = ("would be overwritten", "index.lock", "unmerged files", "have not concluded")


@dataclass(frozen=True)
class Repository:
    """A git repository, by the top of its work tree."""

    root: Path

    @classmethod
    def find(cls, start: Path) -> Repository:
        """Find the repository around ``start``.

        Raises
        ------
        RepositoryError
            There is none, or it has no commit yet.
        """
        try:
            top = _git(start, "rev-parse", "--show-toplevel")
        except RepositoryError as error:
            if "dubious ownership" in error.message:
                raise
            if "must be run in a work tree" in error.message:
                raise RepositoryError(
                    f"{start} is a repository without a work tree", hint="git clone it, and work in the clone"
                ) from None
            raise RepositoryError(
                f"{start} is not in a git repository",
                hint="git init there, or set [promote] repository in sdp.toml",
                detail=str(error),
            ) from None
        repository = cls(Path(top))
        try:
            repository.git("rev-parse", "--verify", "HEAD^{commit}")
        except RepositoryError:
            raise RepositoryError(
                f"the repository {top} has no commit yet", hint="make a first commit, then promote again"
            ) from None
        return repository

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        """Run git and return what it printed; RepositoryError with git's own words otherwise."""
        return _git(cwd or self.root, *arguments)

    def check(self) -> None:
        """Refuse a work tree in the middle of something.

        Notebooks may be changed: they are what one works in. Untracked files matter only where a
        job's files go.

        Raises
        ------
        RepositoryError
            It cannot be written, a merge or the like is not finished, no branch is checked out,
            tracked files are changed, or the branch and its upstream have gone apart.
        """
        common = self.root / self.git("rev-parse", "--git-common-dir")
        closed = [path for path in (common, common / "objects", common / "refs") if not _writable(path)]
        if closed:
            raise RepositoryError(
                f"the repository {self.root} is read-only: {closed[0]} cannot be written",
                hint="promote into a clone of your own: [promote] repository, or --repository",
            )
        for mark, what in _UNFINISHED.items():
            if (self.root / self.git("rev-parse", "--git-path", mark)).exists():
                raise RepositoryError(
                    f"the repository {self.root} is in the middle of a {what}",
                    hint=f"git {what} {'reset' if what == 'bisect' else '--abort'}, or finish it; "
                    "then promote again",
                )
        status = self.git("status", "--porcelain=v1", "--branch", "--untracked-files=all", "-z").split("\0")
        head, fields = status[0], iter(status[1:])
        if head == "## HEAD (no branch)":
            raise RepositoryError(
                f"the repository {self.root} is at a commit, on no branch",
                hint="git switch to a branch first",
            )
        if re.search(r" \[ahead \d+, behind \d+\]$", head):
            raise RepositoryError(
                f"{head.removeprefix('## ')}: the branch and its upstream have diverged",
                hint="git pull --rebase, then promote again",
            )
        dirty = []
        for line in filter(None, fields):
            if _matters(line[:2], line[3:]):
                dirty.append(line[3:])
            if line[0] in "RC" and (before := next(fields)) and _matters(line[:2], before):
                dirty.append(before)
        if dirty:
            shown = ", ".join(dirty[:5]) + (f" and {len(dirty) - 5} more" if len(dirty) > 5 else "")  # noqa: PLR2004
            raise RepositoryError(
                f"the repository {self.root} has uncommitted changes: {shown}",
                hint="commit or stash them, then promote again",
            )

    def commit_of(self, revision: str) -> str | None:
        """Return the commit a revision names; None for none."""
        try:
            return self.git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
        except RepositoryError:
            return None

    def base_for(self, branch: str) -> tuple[str, str | None]:
        """Return the commit to build on for a branch, and the branch's own; HEAD unless it is ahead.

        Raises
        ------
        RepositoryError
            The branch and HEAD have gone apart, the branch is checked out in another worktree, or git
            takes no branch of that name.
        """
        if command.attempt(self.root, "check-ref-format", f"refs/heads/{branch}").code:
            raise RepositoryError(
                f"{branch!r} is not a branch name", hint="mend [promote] branch in sdp.toml"
            )
        head = self.git("rev-parse", "HEAD")
        tip = self.commit_of(f"refs/heads/{branch}")
        if tip is None:
            return head, None
        elsewhere = self._checked_out(branch)
        if elsewhere is not None:
            raise RepositoryError(
                f"the branch {branch} is checked out in {elsewhere}", hint=f"git worktree remove {elsewhere}"
            )
        common = self.git("merge-base", "--all", "HEAD", tip).splitlines()
        if tip in common:
            return head, tip
        if head in common:
            return tip, tip
        raise RepositoryError(
            f"the branch {branch} and what is checked out have gone apart",
            hint=f"git rebase HEAD {branch}; or, if it was merged, git branch -D {branch}",
        )

    def _checked_out(self, branch: str) -> str | None:
        """Return the other worktree that has a branch checked out."""
        path = ""
        for line in self.git("worktree", "list", "--porcelain").splitlines():
            key, _, value = line.partition(" ")
            if key == "worktree":
                path = value
            if key == "branch" and value == f"refs/heads/{branch}" and Path(path) != self.root:
                return path
        return None

    def read(self, commit: str, path: str) -> str | None:
        """Return a file's text at a commit; None where it is not there."""
        try:
            return _git(self.root, "cat-file", "blob", f"{commit}:{path}", strip=False)
        except RepositoryError:
            return None

    def export(self, commit: str, directory: Path) -> Path:
        """Write the job definitions as they are at a commit into ``directory``, and return that.

        Raises
        ------
        RepositoryError
            One of them leads out of the repository.
        """
        done = command.run(self.root, "archive", "--format=tar", commit)
        try:
            with tarfile.open(fileobj=io.BytesIO(done.output)) as archive:
                _extract(archive, directory)
        except tarfile.TarError as error:
            raise RepositoryError(
                f"the job definitions of {commit[:10]} cannot be read: {error}",
                hint="make that a plain file of the repository, and commit it",
            ) from None
        return directory

    def mentions(self, commit: str, text: str, folder: str) -> list[str]:
        """Return the files under ``folder`` at a commit that hold ``text``."""
        try:
            found = self.git("grep", "-l", "-F", "-e", text, commit, "--", folder)
        except RepositoryError:
            return []
        return [line.split(":", 1)[1] for line in found.splitlines()]

    def commit(
        self, branch: str, files: Mapping[str, str | None], message: str, *, base: str, tip: str | None
    ) -> str:
        """Commit ``files`` on top of ``base`` and move ``branch`` there; returns the commit.

        A file whose text is None is deleted.

        Raises
        ------
        RepositoryError
            A hook refused or changed what is committed, git has no identity, the disk is full, or the
            branch moved meanwhile. Nothing has changed.
        """
        with self._worktree(base) as tree:
            _write(tree, files)
            self.git("add", "--force", "--", *files, cwd=tree)
            planned = self.git("write-tree", cwd=tree)
            self.git("commit", "--quiet", "--message", message, cwd=tree)
            made, found = self.git("rev-parse", "HEAD", "HEAD^{tree}", cwd=tree).splitlines()
            if found != planned:
                changed = self.git("diff-tree", "-r", "--name-only", planned, found).replace("\n", ", ")
                raise RepositoryError(
                    f"a hook of the repository changed what is committed: {changed}",
                    hint="let the hook check and not change job definitions; the repository is as it was",
                )
        if self.git("rev-parse", "--symbolic-full-name", "HEAD") == f"refs/heads/{branch}":
            self._move_checked_out(made, files)
        else:
            self._move(branch, made, tip, message.splitlines()[0])
        return made

    @contextlib.contextmanager
    def _worktree(self, base: str) -> Iterator[Path]:
        """Give a worktree of a commit; nothing of it stays, whatever happens."""
        try:
            scratch = Path(tempfile.mkdtemp(prefix="sdp-promote-")).resolve()
        except OSError as error:
            raise RepositoryError(
                f"no room for a worktree: {error.strerror}", hint="make room on the disk, then promote again"
            ) from None
        tree = scratch / "tree"
        try:
            self.git("worktree", "add", "--quiet", "--detach", str(tree), base)
            yield tree
        finally:
            done = command.attempt(self.root, "worktree", "remove", "--force", str(tree))
            shutil.rmtree(scratch, ignore_errors=True)
            if done.code:
                self._forget(tree)

    def _forget(self, tree: Path) -> None:
        """Take away what git keeps of a worktree that it could not remove itself."""
        common = self.root / self.git("rev-parse", "--git-common-dir")
        for known in (common / "worktrees").glob("*"):
            with contextlib.suppress(OSError):
                if Path((known / "gitdir").read_text(encoding="utf-8").strip()).parent == tree:
                    shutil.rmtree(known, ignore_errors=True)

    def _move(self, branch: str, made: str, tip: str | None, why: str) -> None:
        """Move a branch by compare and swap."""
        done = command.attempt(
            self.root, "update-ref", "-m", f"sdp promote: {why}", f"refs/heads/{branch}", made, tip or _ABSENT
        )
        if done.code and self.commit_of(f"refs/heads/{branch}") != tip:
            raise RepositoryError(
                f"the branch {branch} was moved by somebody else meanwhile",
                hint="promote again: the plan is then made on what is there now",
                detail=done.said,
            )
        if done.code:
            raise RepositoryError(
                f"the branch {branch} cannot be moved: {done.said}", hint=command.hint(done.said)
            )

    def _move_checked_out(self, made: str, files: Mapping[str, str | None]) -> None:
        """Move the branch that is checked out, its files with it; both, or neither."""
        done = command.attempt(self.root, "merge", "--quiet", "--ff-only", made)
        if not done.code:
            return
        said = done.said or done.text.strip()
        if any(words in said for words in _MOVED):
            raise RepositoryError(
                "the branch that is checked out was moved by somebody else meanwhile",
                hint="promote again: the plan is then made on what is there now",
                detail=said,
            )
        if not any(words in said for words in _UNTOUCHED):
            self._put_back(files)
        raise RepositoryError(
            f"the branch that is checked out cannot be moved: {said}", hint=command.hint(said)
        )

    def _put_back(self, files: Mapping[str, str | None]) -> None:
        """Undo what a merge wrote before it failed: nobody else has these files since ``check``."""
        kept = [path for path in files if self.read("HEAD", path) is not None]
        for path in files.keys() - set(kept):
            with contextlib.suppress(OSError):
                if (files[path] or "").encode().startswith((self.root / path).read_bytes()):
                    (self.root / path).unlink()
            for above in Path(path).parents[:-1]:
                with contextlib.suppress(OSError):
                    (self.root / above).rmdir()
        if kept:
            command.attempt(self.root, "checkout", "--quiet", "HEAD", "--", *kept)


def _extract(archive: tarfile.TarFile, directory: Path) -> None:
    """Write the job definitions of an archive, and nothing outside the directory."""
    wanted = [member for member in archive if member.name.startswith(_OWNED)]
    if hasattr(tarfile, "data_filter"):
        archive.extractall(directory, wanted, filter="data")
        return
    plain = [one for one in wanted if one.isreg() and ".." not in PurePosixPath(one.name).parts]
    archive.extractall(directory, plain)  # noqa: S202 - plain files, by names that stay inside


def _write(tree: Path, files: Mapping[str, str | None]) -> None:
    """Write files into a worktree, and through no symbolic link out of it."""
    for path, content in files.items():
        target = tree / path
        try:
            if not target.resolve().is_relative_to(tree.resolve()):
                raise RepositoryError(
                    f"{path} leads out of the repository through a symbolic link",
                    hint="make it a plain file, or choose another repository",
                )
            if content is None:
                target.unlink(missing_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content, encoding="utf-8", newline="\n")
        except OSError as error:
            full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
            raise RepositoryError(
                f"{path} cannot be written: {error.strerror}",
                hint="make room on the disk, then promote again; the repository is as it was"
                if full
                else "see what the repository has in its place",
            ) from None


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK) or not path.exists()


def _matters(state: str, path: str) -> bool:
    if path.startswith(_IGNORED) or path.endswith(".ipynb"):
        return False
    return path.startswith(_OWNED) if state == "??" else True


def _git(cwd: Path, *arguments: str, strip: bool = True) -> str:
    said = command.run(cwd, *arguments).text
    return said.strip() if strip else said
