"""The queries, read from their files."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parent
_DIRECTIVE = re.compile(r"^-- (needs|params|functions): (.+)\n", re.MULTILINE)


@dataclass(frozen=True)
class Cell:
    """A query of the corpus.

    Attributes
    ----------
    tables
        Declarations of the shared topics that it reads, by table.
    declarations
        Its own: views, sinks, settings. Empty where it has none.
    text
        The cell that is promoted.
    params
        Values for the parameters of its own.
    functions
        A cell of Python functions; None where it calls none.
    """

    name: str
    title: str
    tables: Mapping[str, str] = field(repr=False)
    declarations: str = field(repr=False)
    text: str = field(repr=False)
    params: Mapping[str, str] = field(default_factory=dict)
    functions: str | None = field(default=None, repr=False)


def read(name: str) -> Cell:
    """Read a query by its name."""
    written = (HERE / "queries" / f"{name}.sql").read_text(encoding="utf-8")
    directives = dict(_DIRECTIVE.findall(written))
    head, _, text = written.partition("-- cell\n")
    title, _, declarations = _DIRECTIVE.sub("", head).partition("\n")
    needs = [need.strip() for need in directives["needs"].split(",")]
    params = [pair.split("=") for pair in directives.get("params", "").split(", ") if pair]
    functions = directives.get("functions")
    return Cell(
        name,
        title.removeprefix("-- "),
        {need: (HERE / "tables" / f"{need}.sql").read_text(encoding="utf-8") for need in needs},
        declarations.strip(),
        text.strip(),
        dict(params),
        (HERE / "functions" / functions).read_text(encoding="utf-8") if functions else None,
    )


def names() -> list[str]:
    """Return the names of all queries."""
    return sorted(path.stem for path in (HERE / "queries").glob("*.sql"))
