"""Terraform's ``jsonencode``, byte for byte, so that a module's text and ours can be compared."""

from __future__ import annotations

import json
from typing import Any

#: Go's encoder escapes them, so that JSON may stand in HTML and in JavaScript.
_ESCAPED = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


def jsonencode(value: Any) -> str:
    """Return ``value`` as Terraform's function of this name does: keys sorted, no spaces."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.translate(_ESCAPED)
