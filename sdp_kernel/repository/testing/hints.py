"""Takes options out of the ``OPTIONS`` hints in a text: a hint holds against what its table says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdp_kernel.flink.declared import pairs
from sdp_kernel.flink.script import significant
from sdp_kernel.references import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sdp_kernel.flink.script import Token


def without(text: str, dropped: Callable[[str], bool]) -> str:
    """Return the text without the options that ``dropped`` names; a hint that has no others goes too."""
    out, last = [], 0
    for token in significant(text):
        if token.kind != "hint":
            continue
        out += [text[last : token.start], _hint(token.text, dropped)]
        last = token.end
    return "".join([*out, text[last:]])


def _hint(text: str, dropped: Callable[[str], bool]) -> str:
    inner = text[3:-2]
    kept: list[str] = []
    for item in _items(significant(inner)):
        if item[0].upper == "OPTIONS":
            options = [(key, value) for key, value in pairs(item[2:]).items() if not dropped(key)]
            written = ", ".join(f"{quote(key)} = {quote(value)}" for key, value in options)
            kept += [f"OPTIONS({written})"] if options else []
        else:
            kept.append(inner[item[0].start : item[-1].end])
    return f"/*+ {', '.join(kept)} */" if kept else ""


def _items(tokens: Sequence[Token]) -> list[list[Token]]:
    """Split hints at their outermost commas."""
    items: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if token.text == "," and depth == 0:
            items.append([])
        else:
            items[-1].append(token)
    return [item for item in items if item]
