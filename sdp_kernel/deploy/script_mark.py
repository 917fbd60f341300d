"""What a job runs: hashes that go with the job, and can be asked of the cluster."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from sdp_kernel.flink.script import significant, split

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The names they go by, among the parameters that a job carries.
SCRIPT, CONFIG, FUNCTIONS = "sdp.script.sha256", "sdp.config.sha256", "sdp.functions.sha256"
_PARAMETERS = "pipeline.global-job-parameters"
_FILES = "'python.files'"
_PYTHON = re.compile(r"[^;,']+\.py\b")


def marked(
    config: Mapping[str, str],
    script: str,
    *,
    given: Mapping[str, str] | None = None,
    functions: str = "",
) -> dict[str, str]:
    """Return a job's configuration with marks of what it runs: ``GET /jobs/:id/config`` shows them.

    Parameters
    ----------
    given
        The configuration that its module gives; None or empty where it is not known, and not marked.
    functions
        The hash of its Python functions' text; empty where it is not known.
    """
    marks = {SCRIPT: script_hash(script)}
    if given:
        marks[CONFIG] = config_hash(given)
    if functions:
        marks[FUNCTIONS] = functions
    said = [f"{name}:{value}" for name, value in marks.items()]
    return {**config, _PARAMETERS: ",".join(filter(None, [config.get(_PARAMETERS), *said]))}


def script_hash(script: str) -> str:
    """Return the hash of a script's statements, as they are written.

    Where Python functions lie differs from place to place, and is left out; white space and comments
    between statements are as well.
    """
    kept = [text for text in _texts(script) if not _names_files(text)]
    return hashlib.sha256("\0".join(kept).encode()).hexdigest()


def config_hash(config: Mapping[str, str]) -> str:
    """Return the hash of a configuration."""
    return hashlib.sha256(json.dumps(dict(config), sort_keys=True).encode()).hexdigest()


def functions_hash(texts: Mapping[str, str]) -> str:
    """Return the hash of Python files, by their names; empty for none."""
    return config_hash(texts) if texts else ""


def function_texts(script: str, directory: Path | None = None) -> dict[str, str]:
    """Return the text of the Python files that a script names, by their names.

    It is empty where the script names none, or one of them cannot be read.

    Parameters
    ----------
    directory
        Where they lie; None for where the script says.
    """
    texts: dict[str, str] = {}
    for path in (path for text in _texts(script) if _names_files(text) for path in _files(text)):
        file = Path(path) if directory is None else directory / Path(path).name
        try:
            texts[file.name] = file.read_text(encoding="utf-8")
        except (OSError, ValueError):
            return {}
    return texts


def names_functions(script: str) -> bool:
    """Whether a script names files of Python functions."""
    return any(map(_names_files, _texts(script)))


def _texts(script: str) -> list[str]:
    return [found.text for found in split(script)]


def _names_files(text: str) -> bool:
    return [token.text for token in significant(text)[:2]] == ["SET", _FILES]


def _files(text: str) -> list[str]:
    return [found.removeprefix("file://") for found in _PYTHON.findall(text.split("=", 1)[-1])]
