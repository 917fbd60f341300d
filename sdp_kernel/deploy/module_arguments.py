"""The arguments of the SQL job module: their types, their defaults, and what is refused.

It is ``extensions/terraform/modules/flink/sql-job/variables.tf`` once more; a test holds the two to each
other. Values are converted as Terraform converts them: 5 to "5", "true" to true.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import UsageError
from sdp_kernel.flink.parameters import FORBIDDEN
from sdp_kernel.references import REFERENCE, names_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_FILE_SYSTEM = re.compile(r"(s3|s3a|s3p|gs|abfss?|wasbs?|oss|hdfs|file)://[^\t\n\f\r ]+")
_DURATION = re.compile(r"[1-9][0-9]* ?(ms|s|sec|secs|seconds?|m|min|minutes?|h|hours?|d|days?)")
_ALIAS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ARGUMENT = re.compile(r"[A-Za-z_]\w*")
_LABEL = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
_FILE = re.compile(r"(?:file:)?(?:/[^/:}]+)+")
_DOTS = re.compile(r"/\.{1,2}(/|\Z)")
_CONFIGURED_SECRET = re.compile(
    r"password|passphrase|secret|credential|token\Z|http[._-]headers?\Z|(api|access|account|private)[._-]?key",
    re.IGNORECASE,
)
_NO_SECRET = re.compile(
    r"[.-](url|source|file|location|path|provider|enabled)\Z"
    r"|\Akubernetes\.(secrets|env\.secretkeyref|container\.image\.pull-secrets)\Z",
    re.IGNORECASE,
)
_OPERATORS_OWN = {"kubernetes.namespace", "kubernetes.cluster-id", "high-availability.cluster-id"}
_IN_FILES = {"ssl.certificate.location", "ssl.key.location"}
_TAKEN = ("kafka", "registry", "functions")
_MOST_PARALLEL = 32_768
_NAME_RULE = "lower case letters, digits and hyphens, beginning with a letter, not ending with a hyphen"


class _WrongTypeError(ValueError):
    """A value that Terraform would not convert either; its text says what is wanted."""


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(_plain(value))
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    raise _WrongTypeError("text")


def _plain(value: float) -> int | str:
    """Return a number without an exponent, as Terraform writes it."""
    if float(value).is_integer():
        return int(value)
    return f"{Decimal(repr(value)):f}"


def _number(value: Any) -> int | float | None:
    if value is None:
        return None
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", value):
        try:
            value = Decimal(value)
        except InvalidOperation:
            raise _WrongTypeError("a number") from None
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise _WrongTypeError("a number")
    return int(value) if math.floor(value) == value else float(value)


def _boolean(value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    found = (
        {"true": True, "1": True, "false": False, "0": False}.get(value) if isinstance(value, str) else None
    )
    if found is None:
        raise _WrongTypeError("true or false")
    return found


def _texts(value: Any) -> list[str | None]:
    if not isinstance(value, list):
        raise _WrongTypeError("a list of text")
    return [_text(item) for item in value]


def _map(value: Any) -> dict[str, str | None]:
    if not isinstance(value, dict):
        raise _WrongTypeError("an object of text")
    return {key: _text(item) for key, item in value.items()}


def _maps(value: Any) -> dict[str, dict[str, str | None]]:
    if not isinstance(value, dict):
        raise _WrongTypeError("an object of objects")
    return {key: _map(item) for key, item in value.items()}


def _checkpoints(value: Any) -> dict[str, str | None] | None:
    if value is None:
        return None
    found = _map(value)
    known = {"interval": "1 min", "timeout": None, "s3_path": None}
    if unknown := sorted(set(found) - set(known)):
        raise _WrongTypeError(f"an object of interval, timeout and s3_path, without {', '.join(unknown)}")
    return {key: default if found.get(key) is None else found[key] for key, default in known.items()}


def _matching(pattern: str, rule: str, most: int) -> Callable[[Any, Path], str]:
    return lambda value, _: (
        "" if re.fullmatch(pattern, value) else f"is {value!r}: {rule}, at most {most} characters"
    )


def _one_of(*allowed: str) -> Callable[[Any, Path], str]:
    return lambda value, _: "" if value in allowed else f"is {value!r}: it is one of {', '.join(allowed)}"


def _whole(value: Any, _: Path) -> str:
    return "" if value is None or isinstance(value, int) else f"is {value}: it is a whole number"


def _parallelism(value: Any, _: Path) -> str:
    right = isinstance(value, int) and 1 <= value <= _MOST_PARALLEL
    return "" if right else f"is {value}: it is a whole number from 1 to {_MOST_PARALLEL}"


def _files(value: list[str | None], directory: Path) -> str:
    if not value:
        return "is empty: a job needs at least the file with its INSERT"
    missing = [str(file) for file in value if file is None or not (directory / file).is_file()]
    return f"names files that are not there: {', '.join(missing)}" if missing else ""


def breaks_out(value: str | None) -> bool:
    """Whether a value could break out of the statement it is put into."""
    return value is None or any(mark in value for mark in FORBIDDEN)


_BREAKS_OUT = (
    "could break out of its statement: it holds a quote, a backslash, ;, a line break, --, /*, */, ${ or %{"
)


def _args(value: Mapping[str, str | None], _: Path) -> str:
    if wrong := [name for name in value if not _ARGUMENT.fullmatch(name)]:
        return f"has {', '.join(map(repr, wrong))}: a name is a letter or _, then letters, digits and _"
    if taken := [name for name in _TAKEN if name in value]:
        return f"has {' and '.join(taken)}: these are arguments of the module itself, or follow from kafka"
    if null := [name for name, text in value.items() if text is None]:
        return f"has no value for {', '.join(null)}"
    if wrong := [name for name, text in value.items() if breaks_out(text)]:
        return f"has a value that {_BREAKS_OUT}: {', '.join(wrong)}"
    return ""


def _kafka(value: Mapping[str, Mapping[str, str | None]], _: Path) -> str:
    if wrong := [alias for alias in value if not _ALIAS.fullmatch(alias)]:
        return f"has {', '.join(map(repr, wrong))}: an alias is a letter or _, then letters, digits and _"
    if wrong := [alias for alias, properties in value.items() if not properties.get("bootstrap.servers")]:
        return f"has no bootstrap.servers for {', '.join(wrong)}"
    each = [(f"{a}.{key}", key, text) for a, properties in value.items() for key, text in properties.items()]
    if null := [place for place, _, text in each if text is None]:
        return f"has no value for {', '.join(null)}"
    if wrong := [place for place, key, text in each if names_secret(key) and not REFERENCE.match(text or "")]:
        return f"holds a literal secret: {', '.join(wrong)}; write env:NAME or file:PATH"
    paths = [(p, text or "") for p, key, text in each if (text or "").startswith("file:") or key in _IN_FILES]
    if wrong := [p for p, text in paths if not _FILE.fullmatch(text) or _DOTS.search(text)]:
        return f"has no absolute path for {', '.join(wrong)}: the task managers read /directory/name"
    return ""


def _functions(value: str | None, _: Path) -> str:
    return "" if value is None or not breaks_out(value) else _BREAKS_OUT


def _checkpoint_config(value: Mapping[str, str | None] | None, _: Path) -> str:
    if value is None:
        return ""
    for name in ("interval", "timeout"):
        text = value[name]
        if text is not None and not _DURATION.fullmatch(text):
            return (
                f"has the {name} {text!r}: a duration is a whole number and ms, s, min, h or d, such as 30 s"
            )
    return _uri(value["s3_path"], _).replace("is ", "has the s3_path ", 1)


def _uri(value: str | None, _: Path) -> str:
    right = value is None or _FILE_SYSTEM.fullmatch(value)
    return (
        ""
        if right
        else f"is {value!r}: it is a URI of a file system that Flink knows, such as s3://bucket/flink"
    )


def _configuration(value: Mapping[str, str | None], _: Path) -> str:
    if own := sorted(_OPERATORS_OWN & set(value)):
        return f"has {', '.join(own)}, which the operator sets itself"
    secret = [key for key in value if _CONFIGURED_SECRET.search(key) and not _NO_SECRET.search(key)]
    return f"holds a secret in clear text: {', '.join(secret)}" if secret else ""


def _labels(value: Mapping[str, str | None], _: Path) -> str:
    wrong = [
        f"{key}={text}"
        for key, text in value.items()
        if text is None or not _LABEL.fullmatch(key) or not _LABEL_VALUE.fullmatch(text)
    ]
    return f"has no labels of Kubernetes: {', '.join(wrong)}" if wrong else ""


def _anything(_: Any, __: Path) -> str:
    return ""


@dataclass(frozen=True)
class Argument:
    """An argument: how it is converted and checked, what it is where it is not given."""

    convert: Callable[[Any], Any]
    check: Callable[[Any, Path], str] = _anything
    default: Any = None
    nullable: bool = True
    required: bool = False


def _needed(convert: Callable[[Any], Any], check: Callable[[Any, Path], str]) -> Argument:
    return Argument(convert, check, nullable=False, required=True)


def _with(
    convert: Callable[[Any], Any], default: Any, check: Callable[[Any, Path], str] = _anything
) -> Argument:
    return Argument(convert, check, default, nullable=False)


ARGUMENTS: Mapping[str, Argument] = {
    "enabled": _with(_boolean, default=True),
    "job_name": _needed(_text, _matching(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", _NAME_RULE, 63)),
    "namespace": _with(
        _text,
        "flink",
        _matching(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", "lower case letters, digits and hyphens", 63),
    ),
    "session_cluster": _needed(_text, _matching(r"[a-z]([a-z0-9-]{0,43}[a-z0-9])?", _NAME_RULE, 45)),
    "parallelism": _with(_number, 1, _parallelism),
    "state": _with(_text, "running", _one_of("running", "suspended")),
    "upgrade_mode": _with(_text, "savepoint", _one_of("savepoint", "last-state", "stateless")),
    "sql": _needed(_texts, _files),
    "args": _with(_map, {}, _args),
    "kafka": _with(_maps, {}, _kafka),
    "functions": Argument(_text, _functions),
    "checkpoint_config": Argument(_checkpoints, _checkpoint_config),
    "flink_configuration": _with(_map, {}, _configuration),
    "labels": _with(_map, {}, _labels),
    "initial_savepoint_path": Argument(_text, _uri),
    "allow_non_restored_state": Argument(_boolean),
    "restart_nonce": Argument(_number, _whole),
    "savepoint_trigger_nonce": Argument(_number, _whole),
    "savepoint_redeploy_nonce": Argument(_number, _whole),
}


def checked(given: Mapping[str, Any], directory: Path, *, file: str) -> dict[str, Any]:
    """Return every argument of the module, converted and with its default.

    Parameters
    ----------
    directory
        Where relative paths begin: the Terraform root.
    file
        What the messages name.

    Raises
    ------
    UsageError
        An argument is unknown, missing, or one that the module refuses.
    """
    if unknown := sorted(set(given) - set(ARGUMENTS)):
        raise UsageError(
            f"{file}: {', '.join(unknown)}: not an argument of the SQL job module",
            hint=f"it takes {', '.join(ARGUMENTS)}",
        )
    values = {}
    for name, argument in ARGUMENTS.items():
        value = given.get(name)
        if value is None and not argument.nullable:
            if argument.required:
                raise UsageError(f"{file}: {name} is not given", hint="add it to the module call")
            value = argument.default
        elif name not in given:
            value = argument.default
        try:
            values[name] = argument.convert(value)
        except _WrongTypeError as error:
            raise UsageError(
                f"{file}: {name} must be {error}", hint=f"it is {type(value).__name__}: {value!r}"
            ) from None
        if fault := argument.check(values[name], directory):
            raise UsageError(f"{file}: {name} {fault}", hint=f"mend {name} in {file}")
    if values["savepoint_redeploy_nonce"] is not None and values["initial_savepoint_path"] is None:
        raise UsageError(
            f"{file}: savepoint_redeploy_nonce needs initial_savepoint_path, which is not set",
            hint=f"set initial_savepoint_path in {file}",
        )
    return values


def check_job_name(name: str) -> None:
    """Refuse what is no name of a job, before it is made a file's name.

    Raises
    ------
    UsageError
        It is none.
    """
    if fault := ARGUMENTS["job_name"].check(name, Path()):
        raise UsageError(f"the job's name {fault}", hint="the job is the name of its file: terraform/JOB.tf")
