"""One finding, and one change that mends one."""

from __future__ import annotations

from dataclasses import dataclass

from sdp_kernel.lint_rules import RULES


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes
    ----------
    code
        Of its rule: ``sdp_kernel.lint_rules.RULES``, and a section of ``docs/promotion/lints.md``.
    severity
        ``error`` (blocks), ``warning`` or ``info``.
    message, fix
        What was found, with the numbers where it was measured; what to do, or what was changed.
    where
        What it was found in: ``the job``, ``the table trades``.
    fixable
        Whether ``--fix`` mends it.
    fixed
        Whether it has been mended in the job that goes into the repository.
    """

    code: str
    severity: str
    message: str
    fix: str
    where: str = "the job"
    fixable: bool = False
    fixed: bool = False

    @property
    def blocks(self) -> bool:
        """Whether nothing is written while it stands."""
        return self.severity == "error" and not self.fixed

    @property
    def label(self) -> str:
        """How it is shown: its severity, or that it was mended."""
        return "fixed" if self.fixed else self.severity

    @property
    def advice(self) -> str:
        """What to do, or what was done."""
        return f"{self.fix} (--fix mends it)" if self.fixable and not self.fixed else self.fix


@dataclass(frozen=True)
class Change:
    """What was mended: ``what`` is said without any value that may be secret."""

    code: str
    where: str
    what: str


def found(code: str, message: str, fix: str, where: str = "the job") -> Finding:
    """Return a finding with its rule's own severity."""
    return Finding(code, RULES[code].severity, message, fix, where)
