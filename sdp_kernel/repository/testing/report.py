"""Results of tests as text, HTML, JSON and JUnit's XML. Values come from topics: everything is escaped."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from sdp_kernel.repository.testing.result import ERROR, FAILED, PASSED, UPDATED
from sdp_kernel.repository.testing.values import dumps

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sdp_kernel.repository.testing.compare import Change, Difference
    from sdp_kernel.repository.testing.result import Result

#: So many rows of a sink are shown.
SHOWN = 20
_LONGEST = 400
_WORDS = {PASSED: "passed", FAILED: "FAILED", ERROR: "ERROR", UPDATED: "updated"}
#: Not allowed in XML 1.0, whatever is done to them.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Report:
    """The results of tests that ran together. ``seconds`` is what all of them took."""

    results: tuple[Result, ...]
    seconds: float
    untested: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong; also where there was no test."""
        return all(result.good for result in self.results)

    @property
    def summary(self) -> str:
        """Count them in one line."""
        counts = Counter(result.outcome for result in self.results)
        words = {PASSED: "passed", FAILED: "failed", ERROR: "in error", UPDATED: "updated"}
        said = [f"{counts[outcome]} {word}" for outcome, word in words.items() if counts[outcome]]
        without = f"; no tests: {', '.join(self.untested)}" if self.untested else ""
        return f"{', '.join(said) or 'no tests'} in {self.seconds:.1f} s{without}"

    def to_text(self) -> str:
        """Show them as text."""
        return "\n".join([*map(result_text, self.results), self.summary])

    def to_html(self) -> str:
        """Show them as HTML; everything in it is escaped."""
        return str(_page().render(report=self, lines=_lines, words=_WORDS))

    def to_json(self) -> dict[str, Any]:
        """Return them as plain values, numbers as they were read."""
        return {
            "passed": self.passed,
            "seconds": round(self.seconds, 3),
            "tests": [_plain(result) for result in self.results],
            "untested": list(self.untested),
        }

    def to_junit(self) -> str:
        """Return them as JUnit's XML, a test case for each test, by its job."""
        counts = Counter(result.outcome for result in self.results)
        totals = {
            "tests": str(len(self.results)),
            "failures": str(counts[FAILED]),
            "errors": str(counts[ERROR]),
            "time": f"{self.seconds:.3f}",
        }
        suites = ET.Element("testsuites", totals)
        suite = ET.SubElement(suites, "testsuite", {"name": "sdp test", **totals})
        for result in self.results:
            named = {"classname": result.case.job, "name": result.case.name, "time": f"{result.seconds:.3f}"}
            case = ET.SubElement(suite, "testcase", named)
            if result.outcome in {FAILED, ERROR}:
                tag = "failure" if result.outcome == FAILED else "error"
                lines = _lines(result)
                said = ET.SubElement(case, tag, {"message": _xml(lines[0] if lines else result.outcome)})
                said.text = _xml("\n".join(lines))
        ET.indent(suites)
        text = ET.tostring(suites, encoding="unicode")
        return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'

    def write_junit(self, file: Path) -> None:
        """Write JUnit's XML into a file; its directory is made."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.to_junit(), encoding="utf-8")

    def _repr_html_(self) -> str:
        return self.to_html()

    def __str__(self) -> str:
        return self.to_text()


def result_text(result: Result) -> str:
    """Show one result as text."""
    head = f"{_WORDS[result.outcome]:<8}{result.case!s:<40} {result.seconds:5.1f} s"
    return "\n".join([head, *(f"  {line}" for line in _lines(result))])


def _lines(result: Result) -> list[str]:
    """Say what is wrong: the reason first."""
    lines = [*result.reason.splitlines()]
    lines += [f"→ {result.hint}"] if result.hint else []
    for difference in result.differences:
        lines += difference_lines(difference)
    return [*lines, *(f"note: {note}" for note in result.notes)]


def difference_lines(difference: Difference) -> list[str]:
    """Show how a table differs: its counts, then up to 20 rows."""
    rows = list(_rows(difference))
    more = len(rows) - SHOWN
    lines = [f"{difference.table}: {difference.summary}", *(f"  {row}" for row in rows[:SHOWN])]
    return [*lines, f"  … and {more:,} more"] if more > 0 else lines


def _rows(difference: Difference) -> Iterator[str]:
    for change in difference.changed:
        yield f"~ {_change(change)}"
    for row in difference.missing:
        yield f"- {_cut(dumps(row))}"
    for row in difference.unexpected:
        yield f"+ {_cut(dumps(row))}"


def _change(change: Change) -> str:
    key = ", ".join(f"{name} = {_cut(dumps(value))}" for name, value in change.key.items())
    parts = []
    for name, (before, after) in change.columns.items():
        side = change.absent.get(name)
        left = "absent" if side == "expected" else _cut(dumps(before))
        right = "absent" if side == "found" else _cut(dumps(after))
        parts.append(f"{name} {left} → {right}")
    return f"{key}: {'; '.join(parts)}"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _plain(result: Result) -> dict[str, Any]:
    return {
        "job": result.case.job,
        "test": result.case.name,
        "outcome": result.outcome,
        "seconds": round(result.seconds, 3),
        "reason": result.reason or None,
        "hint": result.hint or None,
        "notes": list(result.notes),
        "differences": [_plain_difference(difference) for difference in result.differences],
    }


def _plain_difference(difference: Difference) -> Mapping[str, Any]:
    return {
        "table": difference.table,
        "expected": difference.expected,
        "found": difference.found,
        "missing": list(difference.missing),
        "unexpected": list(difference.unexpected),
        "changed": [
            {
                "key": change.key,
                "columns": {
                    name: {
                        side: value
                        for side, value in (("expected", before), ("found", after))
                        if change.absent.get(name) != side
                    }
                    for name, (before, after) in change.columns.items()
                },
            }
            for change in difference.changed
        ],
    }


def _xml(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)


def _page() -> Any:
    from jinja2 import Environment  # noqa: PLC0415 - a notebook's alone

    return Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(_HTML)


_HTML = """<style>
.sdp-tests{font:13px/1.5 var(--jp-ui-font-family,system-ui,sans-serif);color:var(--jp-ui-font-color1,#1a1a1a)}
.sdp-tests pre{font:12px/1.5 var(--jp-code-font-family,ui-monospace,monospace);margin:2px 0 6px;
padding:6px 10px;border:1px solid var(--jp-border-color2,#ddd);border-radius:4px;overflow:auto;
max-height:320px;background:transparent}
.sdp-tests .dim{color:var(--jp-ui-font-color2,#616161)}
.sdp-tests .passed,.sdp-tests .updated{color:var(--jp-success-color1,#2e7d32)}
.sdp-tests .failed,.sdp-tests .error{color:var(--jp-error-color1,#c62828);font-weight:600}
</style><div class="sdp-tests">
{% for result in report.results %}
<div><span class="{{ result.outcome }}">{{ words[result.outcome] }}</span> {{ result.case }}
<span class="dim">{{ "%.1f"|format(result.seconds) }} s</span></div>
{% with said = lines(result) %}
{% if said %}<pre>{{ said|join("\n") }}</pre>{% endif %}
{% endwith %}
{% endfor %}
<div class="dim">{{ report.summary }}</div></div>"""
