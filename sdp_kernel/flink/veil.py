"""Hides what messages of a running job may hold of records, where a masking policy is in force.

A fault at run time quotes the value it choked on, or the whole record; so what stands in quotes is hidden,
and so are words that look like values. What the statement itself says stays: the reader wrote it. Of
exceptions that are not Flink's, Kafka's or Java's own, such as those of functions, the kind alone stays.
"""

from __future__ import annotations

import re

from sdp_kernel.errors import ResultError, StatementError
from sdp_kernel.flink.script import significant

HIDDEN = "…"
NOTE = " (masking hides values)"
HEAD = re.compile(r"^(?:Caused by: )?((?:[\w$]+\.)+[\w$]*(?:Exception|Error|Throwable)[\w$]*)(?:: (.*))?$")
_CAUSE = re.compile(r"^Caused by: ((?:[\w$]+\.)+[\w$]+)(?:: (.*))?$")
SERVER_SIDE = "<Exception on server side:"
_FRAME = re.compile(
    r"\s+at (?P<where>[\w.$<>/@-]+)\((?:[\w$-]+\.\w+(?::\d+)?|Unknown Source|Native Method)\)(?: ~?\[.*\])?$"
)
_DULL = re.compile(r"\s*\.\.\. \d+ (?:more|common frames omitted)$|End of exception on server side>$")
_KNOWN = re.compile(
    r"(?:java\.base/)?(?:java|javax|jdk|sun|scala|org\.apache\.(?:flink|kafka|pekko|calcite)"
    r"|com\.fasterxml)\.|\w+\$\d+\."
)
#: Exceptions of the cluster's own parts, which speak of hosts, ids and sizes, and never see a field.
_PLUMBING = re.compile(
    r"java\.net\.|java\.nio\.|org\.apache\.kafka\.|org\.apache\.pekko\."
    r"|org\.apache\.flink\.(?:runtime|client|table\.gateway|util\.FlinkJob)"
)
_TRACEBACK = "Traceback (most recent call last):"
_PYTHON_FRAME = re.compile(r'\s+File ".*", line \d+, in .+$')
_PYTHON_HEAD = re.compile(r"([A-Za-z_][\w.]*)(?::.*)?$")
_QUOTED = re.compile(r"""(?<!\w)(?:'([^'"]*)'|"([^'"]*)"|`([^`'"]*)`)(?!\w)""")
_FIRST_QUOTE = re.compile(r"""(?<!\w)['"`]""")
_QUOTE = re.compile(r"""['"`](?!\w)""")
#: Words that look like values, and that are none where a place is named.
_VALUE = re.compile(r"(?<![\w…])[^\s'\"`…]*(?:\d|@|[^\x00-\x7f…])[^\s'\"`…]*")
_PLACE = re.compile(r"\b(?:index|line:?|column:?|offset|partition)\s+$")
_JAVA_NAME = re.compile(r"(?:[a-z][\w$]*\.){2,}[\w$.]*:?$")


class Veil:
    """What may be shown of messages about one statement: what its own ``texts`` say, and Flink's words."""

    def __init__(self, *texts: str) -> None:
        words: set[str] = set()
        for text in texts:
            for token in _tokens(text):
                words |= {token, token[1:-1]} if token[:1] in {"'", '"', "`"} else {token}
        self._own = words

    def message(self, text: str, *, plumbing: bool = False) -> str:
        """Return a message on one line, with what may be a value hidden.

        ``plumbing``: it is of a part of the cluster that sees no fields, so its numbers stay.
        """
        text = " ".join(text.split())
        whole = _QUOTED.sub(lambda m: "" if self._says(m) else m.group(), text)
        if _FIRST_QUOTE.search(whole) or _QUOTE.search(whole):
            text = _covered(text)
        if plumbing:
            return text
        return _VALUE.sub(lambda m: self._word(m, text), text)

    def stack(self, text: str) -> str:
        """Return a stack of Java, Python's in it, without the values that its messages hold."""
        lines = text.replace("\r", "").split("\n")
        shown: list[str] = []
        at = 0
        while at < len(lines):
            line = lines[at]
            at += 1
            if _FRAME.match(line) or _DULL.match(line) or not line.strip() or line.strip() == SERVER_SIDE:
                shown.append(line)
                continue
            end = at
            while end < len(lines) and not (_FRAME.match(lines[end]) or _begins(lines[end])):
                end += 1
            shown += self._said([line, *lines[at:end]], lines[end] if end < len(lines) else "")
            at = end
        return "\n".join(shown)

    def error(self, error: BaseException) -> BaseException:
        """Return an error about a result, such as a value that does not fit, without the value."""
        if not isinstance(error, ResultError):
            return error
        shown = noted(self.message(error.message))
        return error if shown == error.message else ResultError(shown, hint=error.hint)

    def _said(self, lines: list[str], following: str) -> list[str]:
        """Return what may be shown of one message, its lines joined, and of a Python traceback in it."""
        start = next((n for n, line in enumerate(lines) if _TRACEBACK in line), len(lines))
        said = lines[:start]
        python = lines[start + 1 :]
        if start < len(lines):
            said = [*said, lines[start].split(_TRACEBACK, 1)[0]]
        first = said[0].strip().removeprefix(SERVER_SIDE) if said else ""
        head = HEAD.match(first) or _CAUSE.match(first)
        text = "\n".join([(head.group(2) or "") if head else first, *said[1:]]).strip()
        frame = _FRAME.match(following)
        kind = head.group(1) if head else ""
        known = not head or (_KNOWN.match(kind) and (frame is None or _KNOWN.match(frame.group("where"))))
        text = self.message(text, plumbing=bool(_PLUMBING.match(kind))) if known else HIDDEN if text else ""
        before = "Caused by: " if first.startswith("Caused by: ") else ""
        lead = f"{before}{kind}: {text}".rstrip(": ") if head else text
        if start == len(lines):
            return [lead]
        return [f"{lead}{': ' if head else ' '}{_TRACEBACK}".strip(), *_python(python)]

    def _says(self, match: re.Match[str]) -> bool:
        """Whether the statement says what is quoted."""
        found = next(group for group in match.groups() if group is not None)
        return not found or found in self._own

    def _word(self, match: re.Match[str], text: str) -> str:
        word = match.group()
        bare = word.strip("()[]{},;:.")
        keeps = bare in self._own or _JAVA_NAME.match(word) or _PLACE.search(text[: match.start()])
        return word if keeps else HIDDEN


def noted(reason: str) -> str:
    """Return a reason with a word about masking, where something in it is hidden."""
    return f"{reason}{NOTE}" if HIDDEN in reason and NOTE not in reason else reason


def _covered(text: str) -> str:
    """Hide all from the first quote to the last: values may hold quotes themselves."""
    first = _FIRST_QUOTE.search(text) or _QUOTE.search(text)
    assert first is not None  # noqa: S101 - by the caller
    last = max(text.rfind(quote) for quote in "'\"`")
    mark = text[first.start()]
    return f"{text[: first.start()]}{mark}{HIDDEN}{mark}{text[max(last, first.start()) + 1 :]}"


def _begins(line: str) -> bool:
    """Whether another cause begins in a line, or nothing more is said."""
    bare = line.strip().removeprefix(SERVER_SIDE)
    return bool(HEAD.match(bare) or _CAUSE.match(bare) or _DULL.match(line) or line.strip() == SERVER_SIDE)


def _python(lines: list[str]) -> list[str]:
    """Return a Python traceback with the kinds of its exceptions alone."""
    shown: list[str] = []
    over = False
    for number, line in enumerate(lines):
        if line.strip() == _TRACEBACK:
            shown.append(line)
            over = False
        elif over:
            continue
        elif _PYTHON_FRAME.match(line) or _is_source(lines, number):
            shown.append(line)
        elif line and not line[0].isspace() and (head := _PYTHON_HEAD.match(line)):
            shown.append(f"{head.group(1)}: {HIDDEN}" if ":" in line else head.group(1))
            over = True
    return shown


def _tokens(text: str) -> set[str]:
    try:
        return {token.text for token in significant(text)}
    except StatementError:
        return set()


def _is_source(lines: list[str], number: int) -> bool:
    """Whether a line of a traceback is the text of the code in the line before."""
    return number > 0 and lines[number].startswith("    ") and bool(_PYTHON_FRAME.match(lines[number - 1]))
