"""The jars of the embedded stack: named in a lock file, fetched in parallel, verified, cached.

``artifacts.lock.json`` names coordinates, sizes and sha256, by group; ``python -m
sdp_kernel.local.lock`` makes it. Fetching is jgo's business.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sdp_kernel.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

LOCK_FILE = Path(__file__).with_name("artifacts.lock.json")
_THREADS = 8


@dataclass(frozen=True)
class Artifact:
    """One jar: ``group:artifact:version``, sha256 and size in bytes."""

    coordinate: str
    sha256: str
    size: int

    @property
    def file_name(self) -> str:
        """``artifact-version.jar``."""
        _, name, version = self.coordinate.split(":")
        return f"{name}-{version}.jar"


def cache_dir() -> Path:
    """Return the user's cache: ``SDP_CACHE``, or the platform's place for caches."""
    if "SDP_CACHE" in os.environ:
        return Path(os.environ["SDP_CACHE"])
    import platformdirs  # noqa: PLC0415 - kept off the path of `sdp up` with all running

    return Path(platformdirs.user_cache_dir("sdp"))


def locked(group: str) -> list[Artifact]:
    """Return the artifacts of a group in the lock file, in class path order."""
    data = json.loads(LOCK_FILE.read_text(encoding="utf-8"))
    return [Artifact(a["coordinate"], a["sha256"], a["size"]) for a in data["groups"][group]]


def path_of(artifact: Artifact) -> Path:
    """Return where the cache keeps a jar; the hash is part of the path."""
    return cache_dir() / "jars" / artifact.sha256[:16] / artifact.file_name


def ensure(
    groups: Iterable[str],
    *,
    mirror: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Return the jars of ``groups``, fetching what the cache lacks.

    Parameters
    ----------
    mirror
        A Maven repository to fetch from, in place of Maven Central.
    progress
        Takes jars there and jars in all.

    Raises
    ------
    ArtifactError
        A jar cannot be fetched, or is not the one in the lock file. The cache holds whole,
        verified jars only.
    """
    artifacts = [artifact for group in groups for artifact in locked(group)]
    missing = [artifact for artifact in artifacts if not _present(artifact)]
    if missing:
        _fetch_all(missing, len(artifacts), mirror, progress)
    return [path_of(artifact) for artifact in artifacts]


def _present(artifact: Artifact) -> bool:
    try:
        return path_of(artifact).stat().st_size == artifact.size
    except OSError:
        return False


def _fetch_all(
    missing: list[Artifact],
    total: int,
    mirror: str | None,
    progress: Callable[[int, int], None] | None,
) -> None:
    there = total - len(missing)
    cache_dir().mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=cache_dir(), prefix="fetch-") as scratch,
        ThreadPoolExecutor(_THREADS) as pool,
    ):
        for _ in pool.map(lambda artifact: _fetch(artifact, Path(scratch), mirror), missing):
            there += 1
            if progress is not None:
                progress(there, total)


def _fetch(artifact: Artifact, scratch: Path, mirror: str | None) -> None:
    from jgo.maven import MavenContext  # noqa: PLC0415 - needed only where a jar is missing

    repositories = {"mirror": mirror} if mirror else None
    context = MavenContext(repo_cache=scratch, timeout=60, remote_repos=repositories)
    try:
        fetched = Path(context.create_dependency(artifact.coordinate).artifact.resolve())
    except Exception as error:
        raise ArtifactError(
            f"{artifact.coordinate} cannot be fetched: {error}",
            hint="check the network; behind a firewall set [local] maven = URL of a mirror in sdp.toml",
        ) from error
    actual = hashlib.sha256(fetched.read_bytes()).hexdigest()
    if actual != artifact.sha256:
        raise ArtifactError(
            f"{artifact.coordinate} has sha256 {actual}, the lock file says {artifact.sha256}",
            hint="the repository serves another file: check the mirror; nothing was kept",
        )
    target = path_of(artifact)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    shutil.move(fetched, part)
    part.replace(target)
