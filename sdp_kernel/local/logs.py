"""A component's log and what it printed: their tail, and the line that says why it died."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

KILLED = "its log ends without an error: it was killed from outside, or the machine restarted"

_TAIL_BYTES = 1 << 20
_RECORD = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[,.]\d{3} +([A-Z]+)\b")
_SPOKEN = re.compile(
    r"^(ERROR|FATAL)\b|^Error:|^Exception in thread|Error occurred during|fatal error|Could not|"
    r"^[\w.$]+(Exception|Error)\b"
)
_NOISE = re.compile(
    r"Hadoop|NoClassDefFoundError : |security\.token|"
    # the gateway logs what it answers to a faulty statement as its own error
    r"\b(SqlGatewayServiceImpl|OperationManager|FetchResultsHandler|ExecuteStatementHandler|HandlerUtils)\b"
)


def tail(directory: Path, component: str, lines: int) -> str:
    """Return the last lines of what a component logged, then printed; at most 1 MiB of each file."""
    found = [*_read(directory / f"{component}.log", lines), *_read(directory / f"{component}.out", lines)]
    return "\n".join(found[-lines:])


def keep_previous(directory: Path, component: str) -> None:
    """Keep the last run's files as ``COMPONENT.previous.*``: a repair must not destroy the evidence."""
    for suffix in ("log", "out"):
        path = directory / f"{component}.{suffix}"
        if path.exists():
            path.replace(directory / f"{component}.previous.{suffix}")


def cause_in(directory: Path, component: str, lines: int = 400) -> str:
    """Find the line that says why a component died, in the last lines of its files."""
    logged = _read(directory / f"{component}.log", lines)
    printed = _read(directory / f"{component}.out", lines)
    found = _reason(logged) or _reason(printed)
    return found or (KILLED if logged or printed else "it left no log")


def cause(log: str) -> str:
    """Find the line of a log that says why: of its last error the innermost cause, else the message."""
    lines = log.splitlines()
    return _reason(lines) or (KILLED if lines else "it left no log")


def _reason(lines: list[str]) -> str:
    reason, telling = "", True  # a line without a time belongs to the record above it, if there is one
    for line in map(str.strip, lines):
        record = _RECORD.match(line)
        if record:
            telling = record.group(1) in {"ERROR", "FATAL"} and not _NOISE.search(line)
            reason = line[record.start(1) :] if telling else reason
        elif telling and line.startswith("Caused by: "):
            reason = line.removeprefix("Caused by: ")
        elif telling and _SPOKEN.search(line) and not _NOISE.search(line):
            reason = line
    return reason


def _read(path: Path, lines: int) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return file.read().decode("utf-8", errors="replace").splitlines()[-lines:]
    except OSError:
        return []
