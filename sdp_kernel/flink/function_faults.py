"""What a Python traceback inside a Java stack means: the reason, and the line of the cell.

A worker's exception comes as text in the middle of Java's causes, below the frames of Beam and
PyFlink; only those of the function's own module say anything to its author.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sdp_kernel.errors import UsageError

_TRACEBACK = "Traceback (most recent call last):"
_FRAME = re.compile(r'^\s+File "(.*)", line (\d+), in (.+)$')
_EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(?::|$)")
_LIBRARY = re.compile(r"/(?:site-packages|dist-packages|lib/python3\.\d+)/|^<|\.pyx$|^apache_beam/|^pyflink/")
_CODER = re.compile(r"(\w+?)CoderImpl\.encode_to_stream")
_TYPES = {
    "BigInt": "BIGINT", "Int": "INT", "SmallInt": "SMALLINT", "TinyInt": "TINYINT", "Boolean": "BOOLEAN",
    "Float": "FLOAT", "Double": "DOUBLE", "Char": "STRING", "Binary": "BYTES", "Date": "DATE", "Time": "TIME",
    "Timestamp": "TIMESTAMP", "LocalZonedTimestamp": "TIMESTAMP_LTZ", "Decimal": "DECIMAL",
    "BigDecimal": "DECIMAL", "GenericArray": "ARRAY", "BasicArray": "ARRAY", "PrimitiveArray": "ARRAY",
    "Map": "MAP", "Row": "ROW",
}  # fmt: skip


@dataclass(frozen=True)
class Frame:
    """A place in a function's module: file name, line from 1, function, and the line's text if known."""

    file: str
    line: int
    function: str
    text: str


@dataclass(frozen=True)
class PythonFault:
    """A Python exception: its last line, and the frames of the user's own code, outermost first."""

    reason: str
    frames: tuple[Frame, ...]
    traceback: str

    @property
    def hint(self) -> str:
        """What to do next."""
        if "NoneType" in self.reason:
            return "a NULL comes as None: let the function answer for it, or filter it out before"
        if self.reason.startswith("ModuleNotFoundError"):
            return "the cluster's Python does not have it: install it there, or write it into the cell"
        if not self.frames:
            return "make what the function returns fit its result_type, or declare another"
        return "call the function in the notebook with the value that fails"

    def __str__(self) -> str:
        if not self.frames:
            return self.reason
        last = self.frames[-1]
        line = f"\n  {last.text}" if last.text else ""
        return f"{self.reason} (line {last.line} of the function's cell, in {last.function}){line}"


def read(stack: str) -> PythonFault | None:
    """Find the Python exception in a Java stack; None where there is none."""
    start = stack.rfind(_TRACEBACK)
    if start < 0:
        return None
    lines = stack[start:].replace("\r", "").split("\n")[1:]
    frames: list[Frame] = []
    said: list[str] = []
    coder = ""
    for number, line in enumerate(lines):
        match = _FRAME.match(line)
        if match and not said:
            path, at, function = match.group(1), int(match.group(2)), match.group(3)
            found = _CODER.search(function)
            coder = found.group(1) if found else coder
            if not _LIBRARY.search(path):
                below = lines[number + 1].strip() if number + 1 < len(lines) else ""
                text = "" if _FRAME.match(lines[number + 1]) or _EXCEPTION.match(lines[number + 1]) else below
                frames.append(Frame(path.rsplit("/", 1)[-1], at, function, text))
        elif said and (not line.strip() or line.lstrip().startswith(("at ", "... ", "Caused by:"))):
            break
        elif said or (line and not line.startswith((" ", "\t")) and _EXCEPTION.match(line)):
            said.append(line)
    reason = "\n".join(said).strip() or "the Python worker failed"
    if coder and not frames:
        expected = _TYPES.get(coder.removesuffix("s"), coder.upper())
        reason = f"a Python function returned something else than the {expected} it declares ({reason})"
    return PythonFault(reason, tuple(frames), "\n".join([_TRACEBACK, *lines]))


def of_the_gateway(stack: str, url: str) -> UsageError | None:
    """Return the error where Python itself is not to be had at the gateway, or the file is not there."""
    if re.search(r"NoSuchFileException|FileNotFoundException", stack):
        return UsageError(
            f"the gateway at {url} does not see the functions' file: it runs on another machine",
            hint='name a directory or bucket that both reach: functions = "s3://bucket/path" in the profile',
            detail=stack,
        )
    if "UnsupportedFileSystemSchemeException" in stack:
        return UsageError(
            f"the gateway at {url} has no file system for the profile's functions directory",
            hint="put Flink's plugin for it on the gateway and the JobManager, such as flink-s3-fs-hadoop",
            detail=stack,
        )
    if re.search(
        r'Cannot run program "[^"]*python|Failed to start Python process|No module named .?pyflink', stack
    ):
        return UsageError(
            f"the gateway at {url} cannot run PyFlink",
            hint="its host needs Python with apache-flink: SET 'python.client.executable' and "
            "'python.executable' to one",
            detail=stack,
        )
    if re.search(r"ClassNotFoundException: org\.apache\.flink\.client\.python|flink-python", stack) and (
        "Traceback" not in stack
    ):
        return UsageError(
            f"the gateway at {url} has no flink-python jar",
            hint="put it into the gateway's lib",
            detail=stack,
        )
    return None
