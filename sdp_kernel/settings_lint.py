"""``[lint]`` of ``sdp.toml``: what is switched off, how grave findings are, and where limits lie."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sdp_kernel.errors import SettingsError
from sdp_kernel.lint_rules import RULES, SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Mapping

_DURATION = re.compile(r"^[1-9]\d*\s*(ms|s|sec|seconds?|m|min|minutes?|h|hours?|d|days?)$")


@dataclass(frozen=True)
class LintSettings:
    """What ``[lint]`` says.

    Attributes
    ----------
    disable
        Codes that are not reported.
    severity
        Code → ``error``, ``warning`` or ``info``, in place of the rule's own.
    state_ttl, idle_timeout
        What ``--fix`` sets for SDP002 and SDP015, as Flink writes durations.
    state_rows, state_mb
        SDP030: rows of the result, and megabytes of state, that a day (or the TTL) may bring.
    skew
        SDP031: the share of the changes seen, 0 to 1, that one key may have.
    lateness
        SDP032: the share of records, 0 to 1, that windows may leave out as late.
    rate
        SDP033: records a second for each subtask of a source.
    busy
        SDP033: the share of time, 0 to 1, that the busiest subtask may work while records wait.
    """

    disable: tuple[str, ...] = ()
    severity: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    state_ttl: str = "7 d"
    idle_timeout: str = "1 min"
    state_rows: int = 10_000_000
    state_mb: int = 10_000
    skew: float = 0.5
    lateness: float = 0.01
    rate: int = 20_000
    busy: float = 0.9

    def severity_of(self, code: str) -> str:
        """Return how grave a finding of this code is."""
        return self.severity.get(code, RULES[code].severity)


def read(table: Mapping[str, Any], file: object) -> LintSettings:
    """Check ``[lint]``.

    Raises
    ------
    SettingsError
        A key or code is not known, a value cannot be, or SDP010 is switched off.
    """
    reader = _Reader(table, file)
    given: dict[str, Any] = {
        "disable": reader.disabled(),
        "severity": MappingProxyType(reader.severities()),
        **{name: reader.duration(name) for name in ("state_ttl", "idle_timeout") if name in table},
        **{name: reader.count(name) for name in ("state_rows", "state_mb", "rate") if name in table},
        **{name: reader.share(name) for name in ("skew", "lateness", "busy") if name in table},
    }
    return LintSettings(**given)


class _Reader:
    def __init__(self, table: Mapping[str, Any], file: object) -> None:
        self.table = table
        self.file = file
        known = [one.name for one in fields(LintSettings)]
        for key in table:
            if key not in known:
                raise self.fail(key, "is not a setting", f"known here: {', '.join(sorted(known))}")

    def fail(self, key: str, what: str, hint: str) -> SettingsError:
        return SettingsError(f"{self.file}: lint.{key} {what}", hint=hint)

    def code(self, key: str, code: object) -> str:
        if not isinstance(code, str) or code not in RULES:
            raise self.fail(
                key, f"names {code!r}, which is no code of the lint", "docs/promotion/lints.md has all"
            )
        return code

    def disabled(self) -> tuple[str, ...]:
        given = self.table.get("disable", [])
        if not isinstance(given, list):
            raise self.fail("disable", "must be a list of codes", 'write disable = ["SDP005"]')
        codes = tuple(self.code("disable", code) for code in given)
        for code in codes:
            if RULES[code].always:
                raise self.fail("disable", f"cannot switch off {code}, {RULES[code].title}", _SECRETS)
        return codes

    def severities(self) -> dict[str, str]:
        given = self.table.get("severity", {})
        if not isinstance(given, dict):
            raise self.fail("severity", "must be a table", "write it as [lint.severity]")
        for code, severity in given.items():
            if severity not in SEVERITIES:
                raise self.fail(
                    f"severity.{self.code('severity', code)}", f"is {severity!r}",
                    f"use one of: {', '.join(SEVERITIES)}; or name the code in lint.disable",
                )  # fmt: skip
            if RULES[self.code("severity", code)].always and severity != RULES[code].severity:
                raise self.fail(f"severity.{code}", f"cannot be less than {RULES[code].severity}", _SECRETS)
        return dict(given)

    def duration(self, key: str) -> str:
        value = self.table[key]
        if not isinstance(value, str) or not _DURATION.match(value):
            raise self.fail(key, f"is no duration: {value!r}", f'write {key} = "12 h", "7 d" or "30 s"')
        return value

    def count(self, key: str) -> int:
        value = self.table[key]
        if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            raise self.fail(key, f"must be a whole number above 0, not {value!r}", f"write {key} = 10_000")
        return value

    def share(self, key: str) -> float:
        value = self.table[key]
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value <= 1:
            raise self.fail(key, f"must be above 0 and at most 1, not {value!r}", f"write {key} = 0.5")
        return float(value)


_SECRETS = "put the secret into a variable or a file, and its reference (env:NAME) into sdp.toml"
