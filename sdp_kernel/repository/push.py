"""Pushing a branch, and where it is offered for review: a merge request, or the page to open one.

GitLab makes the merge request itself, asked by push options. Git refuses those before anything is sent
where the other side does not take them; the branch is then pushed without.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from sdp_kernel.errors import PushFailed
from sdp_kernel.repository import command

if TYPE_CHECKING:
    from sdp_kernel.repository.git import Repository

_SCP = re.compile(r"(?:[^@/\s]+@)?(?P<host>\[[^\]]+\]|[^:/@\s]+):(?P<path>[^:].*)")
_NO_OPTIONS = "does not support push options"
_REVIEW = re.compile(r"https?://\S*(?:merge_requests|/pull/|/pulls/|/compare/|pull-requests|pullrequest)\S*")
_REFUSED = re.compile(r"^!\t\S+\t\[(?:remote )?(?:rejected|failure)\](?: \((?P<why>.*)\))?", re.MULTILINE)
_BEHIND = ("non-fast-forward", "fetch first", "needs force", "stale info")
_WHO = (
    "could not read Username", "could not read Password", "Authentication failed", "Permission denied",
    "Host key verification failed", "terminal prompts disabled", "HTTP Basic: Access denied",
    "returned error: 401", "returned error: 403",
)  # fmt: skip
_NOBODY = (
    "Could not resolve host", "Connection refused", "Connection timed out", "Could not connect",
    "Failed to connect", "Network is unreachable", "does not appear to be a git repository",
    "Repository not found", "not found", "No such file or directory",
)  # fmt: skip


@dataclass(frozen=True)
class Remote:
    """A remote, by the address that git pushes to.

    ``url`` may hold a password; ``shown`` does not. ``host`` and ``path`` are empty for a directory.
    """

    name: str
    url: str = field(repr=False)
    shown: str
    host: str = ""
    path: str = ""
    web: str = ""

    @property
    def kind(self) -> str:
        """``gitlab`` or ``github``, by the host's name; empty where that says nothing."""
        return next((kind for kind in ("gitlab", "github") if kind in self.host.lower()), "")

    def review_url(self, target: str, branch: str) -> str | None:
        """Return the page on which a branch is offered for review; None where it is not known."""
        if not self.web or not self.kind:
            return None
        if self.kind == "github":
            return f"{self.web}/compare/{_part(target)}...{_part(branch)}?expand=1"
        names = (("source_branch", branch), ("target_branch", target))
        query = "&".join(f"merge_request%5B{name}%5D={quote(value, safe='')}" for name, value in names)
        return f"{self.web}/-/merge_requests/new?{query}"


@dataclass(frozen=True)
class Pushed:
    """What pushing did. ``asked``: the other side was asked to open a merge request."""

    remote: str
    url: str
    branch: str
    target: str
    asked: bool
    new: bool
    review_url: str | None


def read_remote(name: str, url: str) -> Remote:
    """Read the address of a remote: ``https``, ``ssh``, ``git@host:path``, or a directory."""
    shown = command.without_credentials(url)
    host = path = web = ""
    if "://" in url:
        try:
            parts = urlsplit(shown)
            host, port, path = parts.hostname or "", parts.port, parts.path
        except ValueError:
            return Remote(name, url, shown)
        if parts.scheme in {"http", "https"}:
            web = f"{parts.scheme}://{_in_url(host)}{f':{port}' if port else ''}"
        elif parts.scheme in {"ssh", "git", "git+ssh", "ssh+git"}:
            web = f"https://{_in_url(host)}"
        else:
            host = path = ""
    elif found := _SCP.fullmatch(url):
        host, path = found["host"].strip("[]"), found["path"]
        web = f"https://{_in_url(host)}"
    path = path.strip("/").removesuffix(".git")
    return Remote(name, url, shown, host, path, f"{web}/{quote(path)}" if host and path else "")


def remote_of(repository: Repository) -> Remote | None:
    """Return the remote that is pushed to, as git chooses it; None where there is none."""
    known = repository.git("remote").splitlines()
    branch = _said(repository, "symbolic-ref", "--quiet", "--short", "HEAD")
    wanted = (
        _said(repository, "config", f"branch.{branch}.pushRemote"),
        _said(repository, "config", "remote.pushDefault"),
        _said(repository, "config", f"branch.{branch}.remote"),
        "origin",
        known[0] if len(known) == 1 else "",
    )
    name = next((name for name in wanted if name in known), None)
    return None if name is None else read_remote(name, repository.git("remote", "get-url", "--push", name))


def default_branch(repository: Repository, remote: Remote, *, ask: bool = False) -> str:
    """Return the branch that a remote's HEAD names, as git knows it here.

    Without that it is the branch that is checked out; ``ask`` asks the remote before.
    """
    known = _said(repository, "symbolic-ref", "--quiet", "--short", f"refs/remotes/{remote.name}/HEAD")
    if known:
        return known.removeprefix(f"{remote.name}/")
    if ask:
        done = _network(repository, "ls-remote", "--symref", "--", remote.name, "HEAD")
        if not done.code and (found := re.search(r"^ref: refs/heads/(\S+)\tHEAD$", done.text, re.MULTILINE)):
            return found[1]
    return _said(repository, "symbolic-ref", "--quiet", "--short", "HEAD") or "main"


def push(repository: Repository, branch: str, *, title: str) -> Pushed:
    """Push a branch of the repository, and ask for a merge request where the other side makes them.

    Parameters
    ----------
    title
        The merge request's, on one line.

    Raises
    ------
    PushFailed
        There is no remote, nobody answers there, it wants to know who is there, or it or a hook
        refused. The branch here stays as it is.
    """
    again = f"the commit stands on {branch} here"
    remote = remote_of(repository)
    if remote is None:
        raise PushFailed(
            f"{branch} was not pushed: the repository {repository.root} has no remote to push to",
            hint=f"{again}; git remote add origin URL, then git push -u origin {branch}",
        )
    target = default_branch(repository, remote, ask=True)
    words = ["push", "--porcelain", "--set-upstream"]
    where = ["--", remote.name, f"refs/heads/{branch}:refs/heads/{branch}"]
    options = [
        f"--push-option={option}"
        for option in (
            "merge_request.create",
            f"merge_request.target={target}",
            f"merge_request.title={title}",
        )
    ]
    asked = remote.kind != "github"
    done = _network(repository, *words, *(options if asked else ()), *where)
    if asked and done.code and _NO_OPTIONS in done.said:
        asked = False
        done = _network(repository, *words, *where)
    if done.code:
        raise _failed(done, remote, branch, again)
    new = not re.search(r"^=\t", done.text, re.MULTILINE)
    told = _REVIEW.search("\n".join(line for line in done.said.splitlines() if line.startswith("remote:")))
    url = told[0] if told else remote.review_url(target, branch)
    return Pushed(remote.name, remote.shown, branch, target, asked and new, new, url)


def _failed(done: command.Done, remote: Remote, branch: str, again: str) -> PushFailed:
    by_hand = f"git push -u {remote.name} {branch}"
    where = f"{remote.name} ({remote.shown})"
    refused = _REFUSED.search(done.text)
    why = (refused["why"] or "") if refused else ""
    told = [
        line.removeprefix("remote:").strip() for line in done.said.splitlines() if line.startswith("remote:")
    ]
    reason = "; ".join(filter(None, [*told[:5], why])) or done.said
    if any(word in why for word in _BEHIND):
        return PushFailed(
            f"{where} has commits on {branch} that are not here",
            hint=f"{again}; git fetch {remote.name} {branch} && git rebase FETCH_HEAD {branch},"
            f" then {by_hand}",
            detail=done.said,
        )
    if refused:
        return PushFailed(
            f"{where} refused {branch}: {reason}",
            hint=f"{again}; see to what it says, then {by_hand}",
            detail=done.said,
        )
    if any(word in done.said for word in _WHO):
        return PushFailed(
            f"{where} wants to know who pushes: {_last(done.said)}",
            hint=f"{again}; {by_hand} in a terminal asks for it; a credential helper or ssh agent keeps it",
            detail=done.said,
        )
    if any(word in done.said for word in _NOBODY):
        return PushFailed(
            f"{where} cannot be reached: {_last(done.said)}",
            hint=f"{again}; check its address (git remote -v), then {by_hand}",
            detail=done.said,
        )
    return PushFailed(
        f"{branch} was not pushed to {where}: {reason}",
        hint=f"{again}; where a pre-push hook said so, see to it, then {by_hand}",
        detail=done.said,
    )


def _last(said: str) -> str:
    """Return the line that says most: git's own, or else the last of ssh's."""
    lines = [line for line in said.splitlines() if line.strip()]
    told = [line for line in lines if any(word in line for word in (*_WHO, *_NOBODY))]
    return (told or lines or [""])[0].removeprefix("fatal: ")


def _network(repository: Repository, *arguments: str) -> command.Done:
    """Run what speaks to the remote; ssh asks nothing either, unless the user has chosen their own."""
    chosen = "GIT_SSH" in os.environ or _said(repository, "config", "core.sshCommand")
    ssh = {} if chosen else {"GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}
    return command.attempt(repository.root, *arguments, ours=ssh, alone=True)


def _said(repository: Repository, *arguments: str) -> str:
    done = command.attempt(repository.root, *arguments)
    return "" if done.code else done.text.strip()


def _part(name: str) -> str:
    return quote(name, safe="/")


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
