"""A resource as lines to compare: long texts line by line, without what changes by itself."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from sdp_kernel.references import names_secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_OF_THE_SERVER = {"managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink"}
_PLAIN = re.compile(r"[A-Za-z_./][A-Za-z0-9_./ -]*\Z")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off"}
_REFERENCE = re.compile(r"\$\{\w+:[^}]*\}\Z")


def outline(resource: Mapping[str, Any]) -> list[str]:
    """Return a resource's lines, in YAML's manner. Values of fields with secrets' names are not shown."""
    shown = {
        **{key: value for key, value in resource.items() if key not in {"status", "metadata"}},
        "metadata": {k: v for k, v in resource["metadata"].items() if k not in _OF_THE_SERVER},
    }
    return list(_lines(shown, ""))


def _lines(value: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key in sorted(value):
        yield from _entry(f"{indent}{_scalar(key)}:", key, value[key], indent)


def _entry(head: str, key: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, dict) and value:
        yield head
        yield from _lines(value, f"{indent}  ")
    elif isinstance(value, list) and value:
        yield head
        for item in value:
            yield from _entry(f"{indent}-", key, item, indent)
    elif isinstance(value, str) and "\n" in value:
        yield f"{head} |"
        yield from (f"{indent}  {line}" for line in value.split("\n"))
    elif isinstance(value, str) and names_secret(key) and not _REFERENCE.match(value):
        yield f"{head} (hidden)"
    else:
        yield f"{head} {_scalar(value)}"


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.match(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)
