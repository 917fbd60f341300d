"""SQL as ``templatefile`` reads it, and text as HCL writes it."""

from __future__ import annotations

import re

_ESCAPED = re.compile(r'["\\\x00-\x1f\x7f]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def template(text: str) -> str:
    """Return SQL as Terraform's ``templatefile`` reads it: ``${…}`` stays, ``%{`` is made literal."""
    return text.replace("%{", "%%{")


def untemplate(text: str) -> str:
    """Return what ``template`` was given."""
    return text.replace("%%{", "%{")


_OPENING, _BRACE = re.compile(r"(?<=[$%])\{"), r"\\u007b"


def hcl_string(text: str) -> str:
    """Quote ``text`` for HCL; no ``${`` or ``%{`` in it is ever evaluated.

    They are doubled; but python-hcl2 reads what is doubled only where a ``}`` follows.
    """
    quoted = _ESCAPED.sub(lambda match: _SHORT.get(match.group()) or f"\\u{ord(match.group()):04x}", text)
    closed, brace, rest = quoted.rpartition("}")
    closed = closed.replace("${", "$${").replace("%{", "%%{")
    return f'"{closed}{brace}{_OPENING.sub(_BRACE, rest)}"'
