"""The notebook behind the kernel: its path, and a cell's text as it stands on disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def notebook_path(namespace: Mapping[str, Any]) -> Path | None:
    """Return the notebook's path where the front end tells it; None otherwise.

    Jupyter Server sets ``JPY_SESSION_NAME`` for a kernel, VS Code ``__vsc_ipynb_file__``.
    """
    for value in (namespace.get("__vsc_ipynb_file__"), os.environ.get("JPY_SESSION_NAME")):
        if value and Path(value).suffix == ".ipynb" and Path(value).is_file():
            return Path(value)
    return None


def current_cell(notebook: Path, name: str, *, since: float) -> str | None:
    """Return the body of the ``%%flinksql NAME`` cell as saved after ``since`` (epoch seconds).

    None where the file is older, which says nothing, or where there is no one such cell.
    """
    from sdp_kernel.repository.notebooks import cell_bodies  # noqa: PLC0415 - loaded when somebody promotes

    try:
        if notebook.stat().st_mtime < since:
            return None
    except OSError:
        return None
    bodies = cell_bodies(notebook, name) or []
    return bodies[0] if len(bodies) == 1 else None
