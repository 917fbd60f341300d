"""Draws a diagnosis: the strongest reason as a headline with what to do, the others under it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from sdp_kernel.diagnose.findings import count
from sdp_kernel.notebook.display import STATES
from sdp_kernel.notebook.html import cell_text, chip, details, note, panel, title

if TYPE_CHECKING:
    from sdp_kernel.diagnose import Diagnosis, Finding


def bundle(diagnosis: Diagnosis) -> tuple[str, str]:
    """Draw a diagnosis as HTML and as text."""
    first, others = diagnosis.findings[0], diagnosis.findings[1:]
    tone = "warn" if first.certain else "run"
    state, state_tone = STATES.get(diagnosis.state, (diagnosis.state, "run"))
    head = [
        title(f"{_flat(diagnosis.name)}: why no rows"),
        chip(_flat(state), state_tone),
        chip(_words(first.kind), tone),
    ]
    reasons = [finding for finding in others if finding.certain]
    standing = [finding for finding in others if not finding.certain]
    body = [
        _drawn(first, strong=True),
        *(_drawn(finding) for finding in reasons),
        *(note(_flat(finding.fact)) for finding in standing),
        details("evidence", *(_evidence(finding) for finding in diagnosis.findings)),
    ]
    return panel(head, *body), _text(diagnosis)


def inline(diagnosis: Diagnosis) -> tuple[str, str]:
    """Draw the strongest reason alone, for a place under a running query: HTML without a panel, and text."""
    first = diagnosis.first
    return _drawn(first), _flat(first.fact) + (f"\n→ {_flat(first.advice)}" if first.advice else "")


def _drawn(finding: Finding, *, strong: bool = False) -> str:
    fact = escape(_flat(finding.fact))
    advice = f'<div class="sdp-note">→ {escape(_flat(finding.advice))}</div>' if finding.advice else ""
    return f"<div>{f'<b>{fact}</b>' if strong else fact}</div>{advice}"


def _evidence(finding: Finding) -> str:
    pairs = ", ".join(f"{name} = {cell_text(value)}" for name, value in finding.evidence.items())
    return note(_flat(f"{finding.kind}: {pairs}" if pairs else finding.kind))


def _text(diagnosis: Diagnosis) -> str:
    state = STATES.get(diagnosis.state, (diagnosis.state, ""))[0]
    heading = f"{diagnosis.name} ({state}, {count(diagnosis.rows, 'row')}): {_words(diagnosis.first.kind)}"
    lines = [_flat(heading)]
    for finding in diagnosis.findings:
        lines.append(f"- {_flat(finding.fact)}")
        if finding.advice:
            lines.append(f"  → {_flat(finding.advice)}")
    return "\n".join(lines)


def _words(kind: str) -> str:
    """Write a finding's kind as words."""
    return _flat(kind.replace("-", " "))


def _flat(text: str) -> str:
    """Put text on one line, control characters as pictures; nothing is cut."""
    return "".join(cell_text(char) for char in " ".join(text.split()))
