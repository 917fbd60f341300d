"""Completion in ``%%flinksql`` cells and on the lines of our magics.

An IPython context matcher answers for our cells alone. The same answer is given by ``busy`` while a
cell runs, so nothing here touches IPython's completer, waits for a network, or starts anything:
names come from a cache that is read in a thread.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from IPython.core.completer import SimpleCompletion, context_matcher

from sdp_kernel.notebook.completion_names import NameCache, with_head

if TYPE_CHECKING:
    from IPython.core.completer import CompletionContext, SimpleMatcherResult
    from IPython.core.interactiveshell import InteractiveShell

    from sdp_kernel.flink.complete import Completion
    from sdp_kernel.notebook.magics import SdpMagics

#: Cell magics whose body is Flink SQL.
SQL_MAGICS = frozenset({"flinksql"})
_CELL = re.compile(r"\s*%%(\w+)([^\n]*)(?:\n|\Z)")
_LINE = re.compile(r"(?:^|=)\s*%(\w+)(?=\s)")
_TYPES_KEY = "_jupyter_types_experimental"
_COMPLETERS: dict[int, Completer] = {}


@dataclass(frozen=True)
class Part:
    """The part of a cell the cursor is in: text of its own, that begins at ``start`` in the cell.

    ``magic`` is None in SQL; on a magic's line its name, ``is_cell`` with two percent signs. ``body``
    is the text below a cell magic's line, ``head`` that line where the cursor is below it.
    """

    text: str
    start: int
    offset: int
    magic: str | None = None
    is_cell: bool = False
    body: str = ""
    head: str = ""


def part_at(code: str, offset: int) -> Part | None:
    """Return the part of a cell at ``offset`` that may be ours; None for Python."""
    cell = _CELL.match(code)
    if cell is not None and offset >= cell.start(1) - 2:
        if offset > cell.end(2):
            start = cell.end()
            if cell[1] not in SQL_MAGICS:
                return None
            return Part(code[start:], start, offset - start, head=cell[2])
        if offset > cell.end(1):
            start = cell.end(1)
            return Part(cell[2], start, offset - start, cell[1], is_cell=True, body=code[cell.end() :])
        return None
    begin = code.rfind("\n", 0, offset) + 1
    end = code.find("\n", offset)
    line = code[begin : end if end >= 0 else len(code)]
    magic = _LINE.search(line[: offset - begin])
    if magic is None:
        return None
    start = begin + magic.end()
    return Part(line[magic.end() :], start, offset - start, magic[1])


class Completer:
    """Completion for one shell."""

    def __init__(self, shell: InteractiveShell, magics: SdpMagics) -> None:
        self._shell = shell
        self._names = NameCache(magics)

    def is_ours(self, code: str, offset: int) -> bool:
        """Whether the cursor is in Flink SQL, or on the line of one of our magics."""
        part = part_at(code, offset)
        return part is not None and (part.magic is None or self._magic(part) is not None)

    def complete(self, code: str, offset: int) -> Completion | None:
        """Return what may stand at the cursor, offsets in the cell; None where that is not ours."""
        part = part_at(code, offset)
        if part is None:
            return None
        if part.magic is None:
            from sdp_kernel.flink.complete import complete  # noqa: PLC0415 - loads when first used

            names = with_head(self._names.for_text(part.text, part.offset), part.head, self._shell.user_ns)
            found = complete(part.text, part.offset, names)
        else:
            magic = self._magic(part)
            if magic is None:
                return None
            from sdp_kernel.notebook.completion_lines import complete_line  # noqa: PLC0415

            found = complete_line(part, magic, self._names, self._shell.user_ns)
        return replace(found, start=found.start + part.start, end=found.end + part.start)

    def reply(self, code: str, offset: int) -> dict[str, Any] | None:
        """Return the content of a ``complete_reply``; None where the cell is not ours."""
        found = self.complete(code, offset)
        if found is None:
            return None
        types = [
            {"start": found.start, "end": found.end, "text": each.text, "type": each.kind}
            | {"signature": each.detail}
            for each in found.candidates
        ]
        return {
            "matches": [each.text for each in found.candidates],
            "cursor_start": found.start,
            "cursor_end": found.end,
            "metadata": {_TYPES_KEY: types},
            "status": "ok",
        }

    def read_ahead(self, *_: object) -> None:
        """Read what the last cell has changed, before anybody asks."""
        self._names.refresh()

    def _magic(self, part: Part) -> Any:
        """Return one of our magics by its name; None for those of others."""
        kind = "cell" if part.is_cell else "line"
        found = self._shell.find_magic(part.magic, kind)
        owner = type(getattr(found, "__self__", None)).__module__
        return found if owner.startswith("sdp_kernel.") else None

    @context_matcher(identifier="sdp_kernel")  # type: ignore[untyped-decorator, unused-ignore]
    def matcher(self, context: CompletionContext) -> SimpleMatcherResult:
        """Answer IPython's completer; in our cells nobody else does."""
        lines = context.full_text.split("\n")
        offset = sum(len(line) + 1 for line in lines[: context.cursor_line]) + context.cursor_position
        found = self.complete(context.full_text, offset)
        if found is None:
            return {"completions": [], "suppress": False}
        return {
            "completions": _Only(SimpleCompletion(each.text, type=each.kind) for each in found.candidates),
            "matched_fragment": context.full_text[found.start : offset],
            "suppress": True,
            "ordered": True,
        }


class _Only(list[SimpleCompletion]):
    """Candidates that count as some even where there are none.

    IPython lets a matcher silence the others only if it has candidates; Python's names are wrong in
    SQL all the same.
    """

    def __len__(self) -> int:
        return max(super().__len__(), 1)


def register(shell: InteractiveShell, magics: SdpMagics) -> Completer:
    """Add completion to a shell."""
    unregister(shell)
    completer = _COMPLETERS[id(shell)] = Completer(shell, magics)
    if shell.Completer is not None:
        shell.Completer.custom_matchers.append(completer.matcher)
    shell.events.register("post_run_cell", completer.read_ahead)
    return completer


def unregister(shell: InteractiveShell) -> None:
    """Take completion out of a shell."""
    completer = _COMPLETERS.pop(id(shell), None)
    if completer is None:
        return
    if shell.Completer is not None and completer.matcher in shell.Completer.custom_matchers:
        shell.Completer.custom_matchers.remove(completer.matcher)
    shell.events.unregister("post_run_cell", completer.read_ahead)


def completer_of(shell: InteractiveShell) -> Completer | None:
    """Return the shell's completer, if completion is registered."""
    return _COMPLETERS.get(id(shell))
