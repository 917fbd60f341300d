"""The text of an EXPLAIN → trees of operators. What an operator keeps is in ``plan_state``.

The physical plan writes literals as SQL does, so brackets and quotes in it can be trusted; the
execution plan does not, and only its lines are read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_SECTION = re.compile(r"^== (.+?) ==$", re.MULTILINE)
_LINE = re.compile(
    r"^(?P<indent>(?:(?:[:|] {2})|(?: {3}))*)(?:(?P<branch>[:+]- ))?(?P<name>[A-Z]\w*)(?P<rest>[(].*)$"
)
_REUSE = re.compile(r"\(reuse_id=\[(\d+)\]\)$")
_REFERENCE = re.compile(r"^Reused\(reference_id=\[(\d+)\]\)$")
_ADVICE = re.compile(r"^advice\[(\d+)\]: \[(\w+)\] ((?:.|\n(?!advice\[|\n))*)", re.MULTILINE)
_ATTRIBUTE = re.compile(r"(\w+)=")
_OPENING = "_UTF-16LE'"
_LITERAL = re.compile(r"_UTF-16LE'(?:[^']|'')*'(?!')")
_OPEN, _CLOSE = "([{", ")]}"


@dataclass
class Operator:
    """A line of a plan: ``text`` without the tree's strokes, ``attributes`` those of a physical plan."""

    name: str
    text: str
    inputs: list[Operator] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)


def sections(explained: str) -> dict[str, str]:
    """Split an EXPLAIN at its ``== … ==`` lines."""
    parts = _SECTION.split(explained)
    return {title: text.strip("\n") for title, text in zip(parts[1::2], parts[2::2], strict=True)}


def advices(text: str) -> list[tuple[int, str, str]]:
    """Return number, kind and text of each advice below a physical plan."""
    return [(int(number), kind, " ".join(body.split())) for number, kind, body in _ADVICE.findall(text)]


def physical(text: str) -> list[Operator]:
    """Read the trees of an optimized physical plan, with attributes."""
    roots = _trees(_ADVICE.split(text)[0].removesuffix("No available advice...\n"))
    for operator in walk(roots):
        operator.attributes = attributes(operator.text)
    return roots


def execution(text: str) -> list[Operator]:
    """Read the trees of an optimized execution plan; what is shared is one object in all of them."""
    roots = _trees(text)
    known: dict[str, Operator] = {}
    definitions: set[int] = set()
    for operator in walk(roots):
        if match := _REUSE.search(operator.text):
            operator.text = operator.text[: match.start()]
            known[match.group(1)] = operator
            definitions.add(id(operator))
    for operator in walk(roots):
        operator.inputs = [_shared(one, known) for one in operator.inputs]
    tops = [_shared(root, known) for root in roots]
    inside = {id(one) for root in tops for operator in walk([root]) for one in operator.inputs}
    return [root for root in tops if id(root) not in inside]


def _shared(operator: Operator, known: dict[str, Operator]) -> Operator:
    match = _REFERENCE.match(operator.text)
    return known.get(match.group(1), operator) if match else operator


def walk(roots: list[Operator]) -> list[Operator]:
    """Return every operator once, a root before its inputs."""
    found: list[Operator] = []
    seen: set[int] = set()
    left = list(reversed(roots))
    while left:
        operator = left.pop()
        if id(operator) not in seen:
            seen.add(id(operator))
            found.append(operator)
            left += reversed(operator.inputs)
    return found


def _trees(text: str) -> list[Operator]:
    roots: list[Operator] = []
    path: list[Operator] = []
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None or (path and _inside_literal(path[-1].text)):
            if path and (line.strip() or _inside_literal(path[-1].text)):
                path[-1].text += "\n" + line
            continue
        operator = Operator(match["name"], match["name"] + match["rest"])
        depth = len(match["indent"]) // 3 + (match["branch"] is not None)
        del path[depth:]
        (path[-1].inputs if path else roots).append(operator)
        path.append(operator)
    return roots


def _inside_literal(text: str) -> bool:
    """Whether a line of the plan goes on in the next: its text literal has a line break."""
    return _OPENING in text and _OPENING in _LITERAL.sub("", text)


def attributes(text: str) -> dict[str, str]:
    """Read ``Name(key=[value], …)``; values without their outer brackets.

    Keys of nested parts are not told.
    """
    found: dict[str, str] = {}
    at = text.find("(") + 1
    while match := _ATTRIBUTE.match(text, at):
        end = _end_of_value(text, match.end())
        value = text[match.end() : end]
        found[match.group(1)] = value[1:-1] if value[:1] == "[" and value[-1:] == "]" else value
        at = end + 2
    return found


def _end_of_value(text: str, at: int) -> int:
    """Return where a value ends: at the comma or bracket outside its own brackets and quotes."""
    depth = 0
    while at < len(text):
        char = text[at]
        if literal := _LITERAL.match(text, at):
            at = literal.end()
            continue
        if char in _OPEN:
            depth += 1
        elif char in _CLOSE and depth == 0:
            return at
        elif char in _CLOSE:
            depth -= 1
        elif char == "," and depth == 0:
            return at
        at += 1
    return at


def split_list(text: str) -> list[str]:
    """Split ``a, b(c, d), e`` at its outer commas."""
    parts, at = [], 0
    while at < len(text):
        end = _end_of_value(text, at)
        parts.append(text[at:end].strip())
        at = end + 1
    return [part for part in parts if part]
