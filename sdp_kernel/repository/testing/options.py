"""A table's options in the text: those of a CREATE TABLE written anew, those in hints taken out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sdp_kernel.flink.declared import pairs
from sdp_kernel.flink.script import significant
from sdp_kernel.references import quote
from sdp_kernel.repository.retarget import outside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sdp_kernel.flink.script import Token

#: Formats that a schema registry is needed for, and those that carry the same rows without one.
_PLAIN = {"avro-confluent": "json", "debezium-avro-confluent": "debezium-json"}
_FORMAT = re.compile(r"(?:key\.|value\.)?format\Z")


def without_registry(options: Mapping[str, str]) -> dict[str, str | None]:
    """Return the changes that put plain formats in the place of those of a schema registry.

    None takes an option away: all that say where the registry is, and under which subject it registers.
    """
    changes: dict[str, str | None] = {}
    for key, value in options.items():
        if _FORMAT.match(key) and value in _PLAIN:
            prefix = f"{key.removesuffix('format')}{value}."
            changes |= dict.fromkeys(name for name in options if name.startswith(prefix))
            changes[key] = _PLAIN[value]
    return changes


def written(text: str, options: Mapping[str, str]) -> str | None:
    """Return a CREATE TABLE with other options.

    None for one that has none, and for ``… LIKE t``, where those of ``t`` would come back.
    """
    tokens = significant(text)
    depth = 0
    if any(token.upper == "LIKE" and token.kind == "word" for _, token in outside(tokens)):
        return None
    for at, token in enumerate(tokens[:-1]):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0 and token.kind == "word" and token.upper == "WITH" and tokens[at + 1].text == "(":
            closing = next(i for i in range(at, len(tokens)) if tokens[i].text == ")")
            new = f"WITH ({_pairs(options.items())})"
            return f"{text[: token.start]}{new}{text[tokens[closing].end :]}"
    return None


def _pairs(options: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{quote(key)} = {quote(value)}" for key, value in options)


def without_hints(text: str, dropped: Callable[[str], bool]) -> str:
    """Take the options that ``dropped`` names out of hints, which hold against what their table says.

    A hint that has no others goes too.
    """
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
            kept += [f"OPTIONS({_pairs(options)})"] if options else []
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
