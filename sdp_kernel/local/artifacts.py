"""The jars of the embedded stack: named in a lock file, fetched in parallel, verified, cached.

``artifacts.lock.json`` names coordinates, sizes and sha256, by group; ``python -m
sdp_kernel.local.lock`` makes it. Fetching is jgo's business.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

LOCK_FILE = Path(__file__).with_name("artifacts.lock.json")
_THREADS = 8
_STALE_S = 24 * 3600


@dataclass(frozen=True)
class Artifact:
    """One jar: ``group:artifact:version``, sha256 and size in bytes.

    What is no jar has a packaging and a classifier before its version, as Maven writes it.
    """

    coordinate: str
    sha256: str
    size: int

    @property
    def file_name(self) -> str:
        """``artifact-version.jar``, or with classifier and packaging."""
        _, name, *kind, version = self.coordinate.split(":")
        return f"{name}-{version}-{kind[1]}.{kind[0]}" if kind else f"{name}-{version}.jar"


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
    return [path for paths in by_group(groups, mirror=mirror, progress=progress).values() for path in paths]


def by_group(
    groups: Iterable[str],
    *,
    mirror: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, list[Path]]:
    """Return the jars of each group; otherwise like ``ensure``."""
    artifacts = {group: locked(group) for group in groups}
    every = [artifact for members in artifacts.values() for artifact in members]
    missing = [artifact for artifact in every if not _present(artifact)]
    if missing:
        _fetch_all(missing, len(every), mirror, progress)
    return {group: [path_of(artifact) for artifact in members] for group, members in artifacts.items()}


def resolve(context: Any, coordinate: str) -> str:
    """Fetch one artifact with a ``jgo.maven.MavenContext``; returns its path."""
    group, name, *kind, version = coordinate.split(":")
    if not kind:
        return str(context.create_dependency(coordinate).artifact.resolve())
    packaging, classifier = kind
    return str(context.project(group, name).at_version(version).artifact(classifier, packaging).resolve())


def unpacked(archive: Path) -> Path:
    """Return the directory with a cached tar.gz's content; unpacked on first use, whole or not at all."""
    target = archive.with_name("content")
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=archive.parent, prefix="unpack-") as scratch:
            part = Path(scratch) / "content"
            with tarfile.open(archive) as file:
                file.extractall(part, filter="data")
            try:
                part.rename(target)
            except OSError:
                if not target.exists():  # another process was first
                    raise
    return target


def _stamp(artifact: Artifact) -> int:
    """Return the modification time, epoch seconds, that a verified jar is given: 2001 to 2033."""
    return 10**9 + int(artifact.sha256[:8], 16) % 10**9


def _present(artifact: Artifact) -> bool:
    """Whether the cache holds the jar: by size and stamp; without the stamp by its hash, once."""
    path = path_of(artifact)
    try:
        found = path.stat()
        if found.st_size != artifact.size:
            return False
        if found.st_mtime != _stamp(artifact):
            if _sha256(path) != artifact.sha256:
                return False
            os.utime(path, (_stamp(artifact), _stamp(artifact)))
    except OSError:
        return False
    return True


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _fetch_all(
    missing: list[Artifact],
    total: int,
    mirror: str | None,
    progress: Callable[[int, int], None] | None,
) -> None:
    there = total - len(missing)
    cache_dir().mkdir(parents=True, exist_ok=True)
    for left in cache_dir().glob("fetch-*"):  # by a process that was killed
        if time.time() - left.stat().st_mtime > _STALE_S:
            shutil.rmtree(left, ignore_errors=True)
    with (
        tempfile.TemporaryDirectory(dir=cache_dir(), prefix="fetch-") as scratch,
        ThreadPoolExecutor(_THREADS) as pool,
    ):
        try:
            for _ in pool.map(lambda artifact: _fetch(artifact, Path(scratch), mirror), missing):
                there += 1
                if progress is not None:
                    progress(there, total)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # where one fails, do not try the others
            raise


def _fetch(artifact: Artifact, scratch: Path, mirror: str | None) -> None:
    from jgo.maven import MavenContext  # noqa: PLC0415 - needed only where a jar is missing

    repositories = {"mirror": mirror} if mirror else None
    context = MavenContext(repo_cache=scratch, timeout=60, remote_repos=repositories)
    try:
        fetched = Path(resolve(context, artifact.coordinate))
    except Exception as error:
        raise ArtifactError(
            f"{artifact.coordinate} cannot be fetched: {error}",
            hint="check the network; behind a firewall set [local] maven = URL of a mirror in sdp.toml",
        ) from error
    actual = _sha256(fetched)
    if actual != artifact.sha256:
        raise ArtifactError(
            f"{artifact.coordinate} has sha256 {actual}, the lock file says {artifact.sha256}",
            hint="the repository serves another file: check the mirror; nothing was kept",
        )
    target = path_of(artifact)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    shutil.move(fetched, part)
    os.utime(part, (_stamp(artifact), _stamp(artifact)))
    part.replace(target)
