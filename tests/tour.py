"""``make tour``: execute the tour headless, in a project and on a stack of its own.

Exits with 1 if a cell fails, or if an output marked for comparison differs. The executed notebook
is left in ``build/tour.ipynb`` and ``build/tour.html``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from sdp_kernel.local.examples import seed
from sdp_kernel.local.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "notebooks" / "tour.ipynb"


@contextlib.contextmanager
def project() -> Iterator[Path]:
    """Make a directory with settings, a running and seeded stack, and the notebook; clean it up."""
    with tempfile.TemporaryDirectory(prefix="sdp-tour-") as directory:
        root = Path(directory)
        (root / "sdp.toml").write_text("")
        shutil.copy(NOTEBOOK, root)
        stack = Stack(root / ".sdp")
        try:
            seed(stack.up().kafka or "")
            yield root
        finally:
            stack.down(purge=True)


def environment() -> dict[str, str]:
    """Return the environment a headless kernel runs in."""
    return {
        **os.environ,
        "JUPYTER_PLATFORM_DIRS": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


def main() -> int:
    """Execute the tour; returns the exit status."""
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    with project() as root:
        execute = [
            sys.executable,
            "-m",
            "nbconvert",
            "--execute",
            "--log-level=WARN",
            "--output-dir",
            str(build),
        ]
        for form in ("notebook", "html"):
            source = str(root / "tour.ipynb") if form == "notebook" else str(build / "tour.ipynb")
            flags = execute if form == "notebook" else [f for f in execute if f != "--execute"]
            done = subprocess.run([*flags, "--to", form, source], cwd=root, env=environment(), check=False)
            if done.returncode:
                return done.returncode
    sys.stdout.write(f"the tour ran: {build.relative_to(ROOT) / 'tour.html'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
