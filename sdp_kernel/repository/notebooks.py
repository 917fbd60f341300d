"""Cells of notebooks on disk, and what of a job's SQL was a cell's text."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from sdp_kernel.flink.script import split

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sdp_kernel.flink.script import Statement

#: Behind the INSERT of a SELECT whose key the planner does not know.
DEDUPLICATED = "\nON CONFLICT DO DEDUPLICATE"
_FROM_SELECT = re.compile(r"INSERT INTO `(?P<table>(?:[^`]|``)+)`\n(?P<query>.+)", re.DOTALL)


def cell_bodies(notebook: Path, name: str) -> list[str] | None:
    """Return the bodies of the ``%%flinksql NAME`` cells of a notebook; None where it cannot be read."""
    head = re.compile(rf"^%%flinksql\s+(?:\S.*\s)?{re.escape(name)}(?:\s.*)?$")
    bodies = []
    try:
        for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
            source = cell.get("source", "")
            first, _, body = ("".join(source) if isinstance(source, list) else source).partition("\n")
            if cell.get("cell_type") == "code" and head.match(first.rstrip()):
                bodies.append(body)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return bodies


def query_of(insert: Statement, receipt: Mapping[str, Any] | None) -> tuple[str, str | None]:
    """Return the text that a cell had, and the table it was promoted to where it was a SELECT.

    Parameters
    ----------
    insert
        The job's last statement.
    receipt
        It says whether the cell was a SELECT: then rows were seen.
    """
    ran = (receipt or {}).get("run")
    found = _FROM_SELECT.match(insert.text)
    if not (isinstance(ran, dict) and ran.get("rows") is not None and found):
        return insert.text, None
    text = found["query"].removesuffix(DEDUPLICATED)
    query = split(text)
    if len(query) != 1 or not query[0].is_query:
        return insert.text, None
    return text, found["table"].replace("``", "`")
