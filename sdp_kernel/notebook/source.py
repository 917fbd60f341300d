"""The notebook behind the kernel: its path, and a cell's text as it stands on disk."""

from __future__ import annotations

import json
import os
import re
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
    head = re.compile(rf"^%%flinksql\s+(?:\S.*\s)?{re.escape(name)}(?:\s.*)?$")
    bodies = []
    try:
        if notebook.stat().st_mtime < since:
            return None
        for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
            source = cell.get("source", "")
            first, _, body = ("".join(source) if isinstance(source, list) else source).partition("\n")
            if cell.get("cell_type") == "code" and head.match(first.rstrip()):
                bodies.append(body)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return bodies[0] if len(bodies) == 1 else None
