"""Reads ``terraform/JOB.tf``: one call of the SQL job module, its arguments as plain values.

What is evaluated is what promotions write: literals, lists, objects, ``${path.root}`` and the few
variables of the Terraform root. Everything else is Terraform's to evaluate, and is refused with its name.
What the arguments mean is in ``module_arguments``.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import SdpError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_MODULE = re.compile(r"(.*/)?flink/sql-job/?(\?.*)?\Z")
_HARMLESS = {"output", "module"}
_META = {"count", "for_each", "depends_on", "providers"}
_KEPT = {"__is_block__", "__comments__", "__inline_comments__", "source", "version"}
_WHOLE = re.compile(r"\$\{([^{}]*)\}\Z", re.DOTALL)
_PART = re.compile(r"\$\$\{|%%\{|\$\{(?P<expression>[^{}]*)\}|(?P<directive>%\{)|(?P<open>\$\{)")
_ESCAPE = re.compile(r'\\(?:([nrt"\\])|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))', re.DOTALL)
_SIMPLE = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_INDEX = re.compile(r'\A(?P<name>[\w.-]+?)(?:\["(?P<quoted>[^"\\$%]*)"\]|\.(?P<plain>[A-Za-z_][\w-]*))?\Z')
#: So many decimal digits survive a double.
_EXACT_DIGITS = 15
_WITH_TERRAFORM = "apply it with Terraform, which evaluates all of HCL"


@dataclass(frozen=True)
class ModuleCall:
    """A call of the SQL job module: its name in the file, its source, its arguments."""

    name: str
    source: str
    arguments: Mapping[str, Any]


def read_call(file: Path, variables: Mapping[str, Any], *, module_source: str = "") -> ModuleCall:
    """Return the module call of a job's Terraform file.

    Parameters
    ----------
    variables
        Values of ``var.NAME``, by name.
    module_source
        A source that is the SQL job module too, beside those whose path ends with ``flink/sql-job``.

    Raises
    ------
    UsageError
        The file is not there or not HCL, calls something else as well, or has an expression.
    """
    blocks = _parsed(file)
    others = sorted(set(blocks) - _HARMLESS - {"__comments__", "__inline_comments__"})
    if others:
        raise UsageError(
            f"{file.name} holds {', '.join(f'a block {name}' for name in others)} beside the job's module",
            hint=_WITH_TERRAFORM,
        )
    calls = [(_unquoted(name), body) for block in blocks.get("module", ()) for name, body in block.items()]
    if len(calls) != 1:
        raise UsageError(
            f"{file.name} calls {len(calls)} modules: {', '.join(name for name, _ in calls) or 'none'}",
            hint=f"what can be applied here is one call of flink/sql-job; {_WITH_TERRAFORM}",
        )
    ((name, body),) = calls
    reader = _Evaluation(file.name, variables)
    source = reader.value(body.get("source"), "source")
    if not isinstance(source, str) or not (_MODULE.match(source) or source == module_source):
        raise UsageError(
            f"{file.name} calls {source!r}, which is not the SQL job module",
            hint=f"what can be applied here is a call of flink/sql-job; {_WITH_TERRAFORM}",
        )
    arguments = {}
    for key, given in body.items():
        if key in _META or (isinstance(given, list) and any(_is_block(item) for item in given)):
            raise UsageError(f"{file.name} has {key} in its module call", hint=_WITH_TERRAFORM)
        if key not in _KEPT:
            arguments[key] = reader.value(given, key)
    return ModuleCall(name, source, arguments)


def _parsed(file: Path) -> dict[str, Any]:
    import hcl2  # noqa: PLC0415 - slow to load

    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        known = ", ".join(sorted(found.stem for found in file.parent.glob("*.tf"))) or "none"
        raise UsageError(
            f"there is no {file}", hint=f"%promote writes it; jobs and other files there: {known}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}", hint="it is a text file in UTF-8") from None
    try:
        tree = hcl2.parses_to_tree(text)
        blocks = dict(hcl2.serialize(hcl2.transform(tree)))
    except Exception as error:  # noqa: BLE001 - lark's many errors, and hcl2's own
        line = getattr(error, "line", None)
        where = f", line {line}" if isinstance(line, int) and line > 0 else ""
        raise UsageError(
            f"{file.name} is not valid HCL{where}", hint="terraform validate says more", detail=str(error)
        ) from None
    _check(tree, file.name)
    return blocks


def _check(tree: Any, file: str) -> None:
    """Refuse what hcl2's dictionaries have lost: a second value of an argument, a number's last digits."""
    for body in tree.find_data("body"):
        direct = [child for child in body.children if getattr(child, "data", "") == "attribute"]
        names = [str(child.children[0].children[0]) for child in direct]
        if twice := [name for name in names if names.count(name) > 1]:
            raise UsageError(f"{file} sets {twice[0]} twice in one block", hint="leave one of them")
    for number in tree.find_data("float_lit"):
        digits = re.sub(r"\D", "", str(number.children[0]))
        if len(digits) > _EXACT_DIGITS:
            raise UsageError(
                f"{file} has a number of {len(digits)} digits: {number.children[0]}", hint="write it as text"
            )


def _is_block(value: Any) -> bool:
    return isinstance(value, dict) and bool(value.get("__is_block__"))


def _unquoted(text: str) -> str:
    return text[1:-1] if text[:1] == '"' == text[-1:] and len(text) > 1 else text


class _Evaluation:
    """Evaluates hcl2's notation: text in its quotes, ``${…}`` for expressions, the rest plain."""

    def __init__(self, file: str, variables: Mapping[str, Any]) -> None:
        self._file = file
        self._known = {"path.root": ".", "path.module": "."} | {
            f"var.{name}": value for name, value in variables.items()
        }

    def value(self, given: Any, where: str) -> Any:
        if isinstance(given, dict):
            return {
                self._key(str(key), where): self.value(item, f"{where}.{_unquoted(str(key))}")
                for key, item in given.items()
                if key not in {"__comments__", "__inline_comments__"}
            }
        if isinstance(given, list):
            return [self.value(item, f"{where}[{at}]") for at, item in enumerate(given)]
        if not isinstance(given, str):
            return given
        if given.startswith('"<<'):
            raise self._refused(where, "a heredoc")
        if given[:1] == '"':
            return self._text(given[1:-1], where)
        expression = _WHOLE.match(given)
        if expression is None:
            raise self._refused(where, given)
        return self._reference(expression[1], where)

    def _key(self, key: str, where: str) -> str:
        if key.startswith("${"):
            raise self._refused(where, key)
        return self._text(key[1:-1], where) if key[:1] == '"' else key

    def _text(self, raw: str, where: str) -> Any:
        whole = _WHOLE.match(raw)
        if whole is not None and not raw.startswith("$$"):
            return self._reference(whole[1], where)
        parts, last = [], 0
        for match in _PART.finditer(raw):
            parts.append(self._unescaped(raw[last : match.start()], where))
            last = match.end()
            if match["directive"] or match["open"]:
                raise self._refused(where, raw)
            if match["expression"] is None:
                parts.append(match.group()[1:])
                continue
            value = self._reference(match["expression"], where)
            if not isinstance(value, str):
                raise self._refused(where, raw)
            parts.append(value)
        parts.append(self._unescaped(raw[last:], where))
        return unicodedata.normalize("NFC", "".join(parts))

    def _unescaped(self, raw: str, where: str) -> str:
        def plain(match: re.Match[str]) -> str:
            simple, short, long, other = match.groups()
            code = int(short or long or "0", 16)
            if other or code > 0x10FFFF or 0xD800 <= code < 0xE000:  # noqa: PLR2004 - Unicode's bounds
                raise UsageError(
                    f"{self._file}: {where} has the escape {match.group()}, which HCL does not know",
                    hint="write \\\\ for a backslash",
                )
            return _SIMPLE[simple] if simple else chr(code)

        return _ESCAPE.sub(plain, raw)

    def _reference(self, expression: str, where: str) -> Any:
        name = expression.strip()
        if name in self._known:
            return self._known[name]
        match = _INDEX.match(name)
        if match is not None and match["name"] in self._known:
            value, key = self._known[match["name"]], match["quoted"] or match["plain"]
            if isinstance(value, dict) and key in value:
                return value[key]
        if name.startswith("var."):
            known = ", ".join(sorted(key for key in self._known if key.startswith("var.")))
            raise UsageError(
                f"{self._file}: {where} is {name}, which has no value here",
                hint=f"known: {known}; with more variables, {_WITH_TERRAFORM}",
            )
        raise self._refused(where, name)

    def _refused(self, where: str, what: str) -> SdpError:
        return UsageError(f"{self._file}: {where} is an expression: {what}", hint=_WITH_TERRAFORM)
