"""Findings about a job before it is written: each with a code, a reason and a way to mend it.

The rules are listed in ``sdp_kernel.lint_rules``, found by the modules of ``promote.lints`` and told in
``docs/promotion/lints.md``.
"""

from sdp_kernel.promote.lints.draft import Draft
from sdp_kernel.promote.lints.finding import Change, Finding
from sdp_kernel.promote.lints.mend import FIXERS, Means
from sdp_kernel.promote.lints.review import Reviewed, Run, check_fix, look, review
from sdp_kernel.promote.lints.text import options

__all__ = [
    "FIXERS", "Change", "Draft", "Finding", "Means", "Reviewed", "Run", "check_fix", "look", "options",
    "review",
]  # fmt: skip
