"""The lint's page has every code, as the rules say it, and no other; and so has the code that finds them."""

import re
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from sdp_kernel.lint_rules import RULES
from sdp_kernel.promote.lint import FIXERS
from sdp_kernel.settings_lint import LintSettings, read

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/promotion/lints.md").read_text(encoding="utf-8")
SECTIONS = {
    match[1]: (match[2], match[3])
    for match in re.finditer(r"^## (SDP\d{3}): (.+)\n((?:(?!^## ).*\n?)*)", PAGE, re.MULTILINE)
}


def test_every_rule_has_its_section_and_no_section_is_without_a_rule():
    assert list(SECTIONS) == list(RULES)
    assert {title for title, _ in SECTIONS.values()} == {rule.title for rule in RULES.values()}


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.code)
def test_a_section_says_why_shows_an_example_and_tells_how_to_mend_it_and_switch_it_off(rule):
    text = SECTIONS[rule.code][1]
    notes = text.strip().splitlines()[0].strip("*").split(", ")
    assert notes[0] == rule.severity
    assert ("measured" in notes) is rule.measured
    assert ("`--fix` mends it" in notes) is rule.fixable
    for part in (
        r"\*\*Why\*\*: \S",
        r"```(sql|toml|text)\n\S",
        r"\*\*Mend\*\*: \S",
        r"\*\*Switch off\*\*: \S",
    ):
        assert re.search(part, text), part
    assert (f'disable = ["{rule.code}"]' in text) is not rule.always


def test_what_the_rules_call_fixable_has_a_fixer():
    assert {code for code, rule in RULES.items() if rule.fixable} == set(FIXERS)


def test_every_code_in_the_source_and_on_the_page_is_a_rule_s_and_every_rule_is_found_somewhere():
    sources = [*(ROOT / "sdp_kernel").rglob("*.py")]
    named = {
        code
        for path in sources
        if path.name != "lint_rules.py"
        for code in re.findall(r'"(SDP\d{3})"', path.read_text(encoding="utf-8"))
    }
    assert named == set(RULES)
    assert set(re.findall(r"SDP\d{3}", PAGE)) == set(RULES)


def test_the_page_s_settings_are_the_settings_with_their_defaults():
    written = tomllib.loads(re.search(r"```toml\n(\[lint\].+?)```", PAGE, re.DOTALL)[1])["lint"]
    assert set(written) == {one.name for one in fields(LintSettings)}
    found = read(written, "sdp.toml")
    for one in fields(LintSettings):
        if one.name not in {"disable", "severity"}:
            assert getattr(found, one.name) == getattr(LintSettings(), one.name)
