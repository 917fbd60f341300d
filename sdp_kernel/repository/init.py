"""A team's repository, new: its layout, settings, Terraform root, pipeline, and an example to promote.

What is written is planned first; nothing is written over. The example is a notebook: its job comes of
running it, since no receipt can be made up.
"""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sdp_kernel import settings
from sdp_kernel.errors import RepositoryError, UsageError
from sdp_kernel.repository.git import Repository
from sdp_kernel.repository.pipeline import ENVIRONMENT, pipeline_files, template
from sdp_kernel.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Where the modules' copy goes, as Terraform writes it from its root.
COPIED = "./modules/flink/sql-job"
EXAMPLE_JOB = "order-totals"
NOTEBOOK = f"notebooks/{EXAMPLE_JOB}.ipynb"
_FOLDERS = ("sql/tables", "sql/views", "sql/functions", "sql/jobs", "tests", "notebooks")
_MODULES = ("flink/sql-job", "flink/sql-script", "flink/session-job", "kafka-topic")
_SHOWN = 8
_PINNED = re.compile(r"\?(?:.*&)?ref=[^&]+\Z")


@dataclass(frozen=True)
class Team:
    """What a new repository is made for.

    Attributes
    ----------
    name
        The heading of its README.
    environments
        Profiles on Kubernetes, each an environment of the pipeline.
    modules
        The Terraform source of the SQL job module; None for a copy of this version's modules.
    namespace, session_cluster
        Of the environments, to begin with.
    example
        Whether the example's notebook is part of it.
    """

    name: str
    environments: tuple[str, ...] = ("dev", "prod")
    modules: str | None = None
    namespace: str = "flink"
    session_cluster: str = "session"
    example: bool = True

    @property
    def module_source(self) -> str:
        """``[promote] module_source``."""
        return self.modules or COPIED


def contents(team: Team, root: Path) -> dict[str, str]:
    """Return the files of a new repository at ``root``, text by path. Nothing is written.

    Raises
    ------
    UsageError, SettingsError
        An environment, the source or a name cannot be.
    """
    _check(team)
    given = {
        "team": team,
        "version": __version__,
        "copied": team.modules is None,
        "toml": _toml,
        "job": EXAMPLE_JOB,
        "notebook": NOTEBOOK,
    }
    files = {
        path: template(f"init/{name}").render(given)
        for path, name in (
            ("sdp.toml", "sdp.toml.j2"),
            ("README.md", "README.md.j2"),
            (".gitignore", "gitignore.j2"),
        )
    }
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / settings.FILE_NAME).write_text(files["sdp.toml"], encoding="utf-8")
        pipeline = pipeline_files(settings.load(Path(scratch)), root)
    files |= {file.path: file.content for file in pipeline}
    if team.modules is None:
        files |= _modules()
    if team.example:
        files[NOTEBOOK] = _templates().joinpath("order-totals.ipynb").read_text(encoding="utf-8")
    kept = [f"{folder}/.gitkeep" for folder in _FOLDERS if not any(p.startswith(f"{folder}/") for p in files)]
    return {**files, **dict.fromkeys(kept, "")}


def _check(team: Team) -> None:
    if not team.environments:
        raise UsageError("a repository needs an environment to deploy to", hint="--environments dev,prod")
    for name in team.environments:
        if not ENVIRONMENT.match(name) or name == "local":
            raise UsageError(
                f"{name!r} cannot be an environment",
                hint="lower case letters, digits and hyphens; `local` is the embedded stack",
            )
    if len(set(team.environments)) < len(team.environments):
        raise UsageError(
            f"an environment is named twice: {', '.join(team.environments)}", hint="name each once"
        )
    if team.modules is not None:
        if not team.modules.strip() or not team.modules.isprintable() or "${" in team.modules:
            raise UsageError(
                f"{team.modules!r} is not a Terraform source", hint="for example git::https://…?ref=v1.0.0"
            )
        if team.modules.startswith("git::") and not _PINNED.search(team.modules):
            raise UsageError(
                f"the modules' source names no version: {team.modules}",
                hint="add ?ref=TAG, so that a plan is the same tomorrow",
            )


def _toml(text: str) -> str:
    """Quote text for TOML, whose basic strings are JSON's."""
    return json.dumps(text, ensure_ascii=False)


def _templates() -> Path:
    return Path(__file__).with_name("templates") / "init"


def _modules() -> dict[str, str]:
    """Return the Terraform modules that jobs and their topics need, as they belong to this version."""
    packed = Path(__file__).with_name("modules")
    place = packed if packed.is_dir() else Path(__file__).parents[2] / "extensions" / "terraform" / "modules"
    return {
        f"terraform/modules/{module}/{file.name}": file.read_text(encoding="utf-8")
        for module in _MODULES
        for file in sorted((place / module).iterdir())
        if file.suffix in {".tf", ".md"}
    }


@dataclass(frozen=True)
class Ground:
    """What is at a place before: whether git knows it, and whether there is a commit to build on."""

    root: Path
    is_repository: bool
    has_commits: bool


def survey(root: Path) -> Ground:
    """Look at the place for a new repository.

    Raises
    ------
    RepositoryError
        It is inside another repository; there is no git; or git knows no author for the first commit.
    """
    there = next(path for path in (root, *root.parents) if path.is_dir())
    at = Repository(there)
    try:
        top = Path(at.git("rev-parse", "--show-toplevel")).resolve()
    except RepositoryError as error:
        if "not a git repository" not in error.message:
            raise
        top = None
    if top is not None and top != root.resolve():
        raise RepositoryError(
            f"{root} is inside the repository {top}, and a team's repository is one of its own",
            hint=f"choose a directory outside of it; or, for one inside all the same: git init {root}",
        )
    has_commits = top is not None and at.commit_of("HEAD") is not None
    if not has_commits:
        try:
            at.git("var", "GIT_AUTHOR_IDENT")
            at.git("var", "GIT_COMMITTER_IDENT")
        except RepositoryError as error:
            raise RepositoryError(
                "git has no author for the first commit",
                hint="git config --global user.name NAME, and user.email ADDRESS",
                detail=error.message,
            ) from None
    return Ground(root, top is not None, has_commits)


def create(ground: Ground, files: Mapping[str, str]) -> str | None:
    """Write a new repository, and commit it; where there are commits, committing is the user's.

    Returns
    -------
    str or None
        The commit; None where none was made.

    Raises
    ------
    RepositoryError
        One of the files is there already: nothing is written. Or it cannot be written: what was is
        taken away again. Or git refuses the commit; the files stay.
    """
    root = ground.root
    there = [path for path in sorted(files) if _taken(root, path)]
    if there:
        more = f" and {len(there) - _SHOWN} more" if len(there) > _SHOWN else ""
        raise RepositoryError(
            f"{root} has already: {', '.join(there[:_SHOWN])}{more}; nothing was written",
            hint="move them away, or choose another directory",
        )
    _write(root, files)
    if ground.has_commits:
        return None
    repository = Repository(root)
    if not ground.is_repository:
        repository.git("init", "--quiet", "--initial-branch", "main")
    repository.git("add", "--force", "--", *sorted(files))
    repository.git("commit", "--quiet", "--message", "Begin the team's repository", "--", *sorted(files))
    return repository.git("rev-parse", "HEAD")


def _taken(root: Path, path: str) -> bool:
    """Whether a path is taken: by whatever is there, or by a file where it needs a folder."""
    target = root / path
    return target.is_symlink() or target.exists() or any(
        parent.is_symlink() or (parent.exists() and not parent.is_dir())
        for parent in target.parents
        if parent != root and parent.is_relative_to(root)
    )  # fmt: skip


def _write(root: Path, files: Mapping[str, str]) -> None:
    made: list[Path] = []
    try:
        for path, text in files.items():
            target = root / path
            missing = [folder for folder in (target.parent, *target.parent.parents) if not folder.exists()]
            for folder in reversed(missing):
                folder.mkdir()
                made.append(folder)
            made.append(target)
            target.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        for path_ in reversed(made):
            with contextlib.suppress(OSError):
                path_.rmdir() if path_.is_dir() else path_.unlink()
        raise RepositoryError(
            f"{error.filename or root} cannot be written: {error.strerror}",
            hint="mend that, and run it again: nothing is left of this try",
        ) from None


def take_in(root: Path, branch: str) -> str:
    """Bring what a promotion committed on its branch into the one checked out; returns the commit."""
    repository = Repository(root)
    repository.git("merge", "--quiet", "--ff-only", branch)
    repository.git("branch", "--quiet", "--delete", branch)
    return repository.git("rev-parse", "HEAD")
