"""Literal secrets in the Python files of a job's functions, by the names that they are given."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from sdp_kernel.promote.lints.finding import found
from sdp_kernel.promote.lints.secrets import HIDDEN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sdp_kernel.promote.compose import Composed
    from sdp_kernel.promote.lints.finding import Finding

#: Narrower than for options: in code, a token is mostly a word of a text.
_NAME = re.compile(
    r"(^|_)(password|passwd|passphrase|secret|(secret|api|access|private)_?key|(auth|access|api)_token)$",
    re.IGNORECASE,
)
_SHORTEST = 3


def hide(composed: Composed) -> tuple[Composed, tuple[Finding, ...]]:
    """Return the job without the secrets in its Python files, and a finding for each."""
    files: dict[str, str] = {}
    findings: list[Finding] = []
    for path, text in composed.python.items():
        literals = {(value.lineno, value.col_offset): (name, value) for name, value in _literals(text)}
        for _, (name, value) in sorted(literals.items(), reverse=True):
            files[path] = _without(files.get(path, text), value)
            findings.append(
                found(
                    "SDP010",
                    f"{path} holds a literal secret in {name}",
                    f"read it where the function runs: os.environ[{name.upper()!r}]",
                    path,
                )
            )
    if not findings:
        return composed, ()
    return replace(composed, python={**composed.python, **files}), tuple(reversed(findings))


def _literals(text: str) -> Iterator[tuple[str, ast.Constant]]:
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except SyntaxError:
        return
    for name, value in (pair for node in nodes for pair in _named(node)):
        if not isinstance(value, ast.Constant) or not isinstance(value.value, str) or value.value == HIDDEN:
            continue
        if _NAME.search(name) and len(value.value.strip()) >= _SHORTEST:
            yield name, value


def _named(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield names and what is assigned to them: by ``=``, as a keyword, in a dictionary."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield _name(target), node.value
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        yield _name(node.target), node.value
    elif isinstance(node, ast.keyword) and node.arg is not None:
        yield node.arg, node.value
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value, value


def _name(target: ast.expr) -> str:
    return target.id if isinstance(target, ast.Name) else getattr(target, "attr", "")


def _without(text: str, value: ast.Constant) -> str:
    lines = text.encode().splitlines(keepends=True)
    start = sum(map(len, lines[: value.lineno - 1])) + value.col_offset
    end = sum(map(len, lines[: (value.end_lineno or value.lineno) - 1])) + (value.end_col_offset or 0)
    whole = text.encode()
    return (whole[:start] + repr(HIDDEN).encode() + whole[end:]).decode()
