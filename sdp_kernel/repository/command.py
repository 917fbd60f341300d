"""Git as a process: the user's own, never waiting at a terminal, and with no password in what it says."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdp_kernel.errors import RepositoryError

if TYPE_CHECKING:
    from pathlib import Path

#: What of the environment git may see; GIT_DIR and its like would point it elsewhere.
_KEPT = ("GIT_CONFIG", "GIT_SSH", "GIT_ASKPASS", "GIT_AUTHOR", "GIT_COMMITTER")
#: Plain words, no question at a terminal, and no lock for what only looks.
_OURS = {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
_NAME = r"[?&][^=&\s'\"]*(?:token|secret|password|key)[^=&\s'\"]*="
_TOKEN = re.compile(rf"({_NAME})[^&\s'\"]+", re.IGNORECASE)
#: Up to the last @: a password may have some of its own.
_CREDENTIALS = re.compile(r"(?<=://)[^/\s'\"]+@")
#: An @ that ends a password, or is part of a token.
_EITHER = re.compile(rf"(?<=://)[^/\s'\"]*{_NAME}[^/\s'\"]*@[^\s'\"]*", re.IGNORECASE)
_HIDDEN = "********"
_UNWRITTEN = re.compile(r"(unable to|[Cc]ould not|couldn't|cannot) write")


@dataclass(frozen=True)
class Done:
    """A run of git that ended: its exit code, and what it printed, credentials in URLs taken out."""

    code: int
    output: bytes
    said: str

    @property
    def text(self) -> str:
        """The output as text."""
        return self.output.decode("utf-8", "replace").replace("\r\n", "\n")


def without_credentials(text: str) -> str:
    """Take ``user:password@`` out of all URLs in a text, and hide the tokens that their queries hold."""
    plain = _CREDENTIALS.sub("", _EITHER.sub(_HIDDEN, text))
    return _TOKEN.sub(rf"\1{_HIDDEN}", plain)


def attempt(cwd: Path, *arguments: str, ours: dict[str, str] | None = None, alone: bool = False) -> Done:
    """Run git to its end, whatever comes of it.

    Parameters
    ----------
    ours
        Environment variables where the user has none of that name.
    alone
        In a session without a terminal, where no program that git calls can ask for a password.

    Raises
    ------
    RepositoryError
        Git is not installed, or the directory is none.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k.startswith(_KEPT)}
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=cwd,
            env={**(ours or {}), **environment, **_OURS},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            start_new_session=alone,
        )
    except FileNotFoundError:
        what = "git is not installed" if cwd.is_dir() else f"the directory {cwd} does not exist"
        raise RepositoryError(what, hint="install git, or mend [promote] repository in sdp.toml") from None
    except NotADirectoryError:
        raise RepositoryError(f"{cwd} is not a directory", hint="mend [promote] repository") from None
    return Done(
        done.returncode, done.stdout, without_credentials(done.stderr.decode("utf-8", "replace").strip())
    )


def run(cwd: Path, *arguments: str) -> Done:
    """Run git; RepositoryError with git's own words where it fails."""
    done = attempt(cwd, *arguments)
    if done.code:
        said = done.said or without_credentials(done.text.strip())
        raise RepositoryError(f"git {arguments[0]} failed: {said}", hint=hint(said))
    return done


def hint(said: str) -> str:
    """Return what to do about a failure, by git's own words."""
    if "No space left on device" in said or "Disk quota exceeded" in said:
        return "make room on the disk, then promote again; the repository is as it was"
    if ".lock': File exists" in said:
        return "another git is at work there; try again when it has ended. The repository is as it was"
    if _UNWRITTEN.search(said):
        return "see whether the disk is full and who may write there; the repository is as it was"
    if "Permission denied" in said or "Read-only file system" in said:
        return "it takes the right to write into the repository, which is as it was"
    return "the repository is as it was"
