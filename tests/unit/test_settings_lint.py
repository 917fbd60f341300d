"""``[lint]`` of ``sdp.toml``."""

import pytest

from sdp_kernel import settings
from sdp_kernel.errors import SettingsError
from sdp_kernel.lint_rules import RULES, SEVERITIES
from sdp_kernel.settings_lint import LintSettings


def load(tmp_path, text):
    (tmp_path / "sdp.toml").write_text(text, encoding="utf-8")
    return settings.load(tmp_path).lint


def test_without_the_section_the_rules_are_as_they_are(tmp_path):
    assert load(tmp_path, "") == settings.Settings(tmp_path).lint == LintSettings()
    assert LintSettings().severity_of("SDP010") == "error"


def test_everything_it_says(tmp_path):
    found = load(
        tmp_path,
        """[lint]
        disable = ["SDP005", "SDP014"]
        state_ttl = "12 h"
        idle_timeout = "30 s"
        state_rows = 1_000
        state_mb = 5
        skew = 0.25
        lateness = 1
        rate = 100
        busy = 0.5
        [lint.severity]
        SDP002 = "error"
        """,
    )
    assert found.disable == ("SDP005", "SDP014")
    assert (found.severity_of("SDP002"), found.severity_of("SDP001")) == ("error", "warning")
    assert (found.state_ttl, found.idle_timeout, found.state_rows, found.state_mb) == (
        "12 h",
        "30 s",
        1000,
        5,
    )
    assert (found.skew, found.lateness, found.rate, found.busy) == (0.25, 1.0, 100, 0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("disabled = []", r"lint\.disabled is not a setting"),
        ('disable = "SDP005"', r"lint\.disable must be a list of codes"),
        ('disable = ["SDP999"]', r"lint\.disable names 'SDP999', which is no code"),
        ("disable = [5]", r"lint\.disable names 5, which is no code"),
        ('disable = ["SDP010"]', r"lint\.disable cannot switch off SDP010, a literal secret"),
        ('severity = "error"', r"lint\.severity must be a table"),
        ('severity = {SDP999 = "error"}', r"lint\.severity names 'SDP999', which is no code"),
        ('severity = {SDP002 = "off"}', r"lint\.severity\.SDP002 is 'off'"),
        ('severity = {SDP010 = "info"}', r"lint\.severity\.SDP010 cannot be less than error"),
        ('state_ttl = "a week"', r"lint\.state_ttl is no duration: 'a week'"),
        ('state_ttl = "7 d\'; DROP"', r"lint\.state_ttl is no duration"),
        ("state_ttl = 7", r"lint\.state_ttl is no duration: 7"),
        ("state_rows = 0", r"lint\.state_rows must be a whole number above 0, not 0"),
        ("state_rows = true", r"lint\.state_rows must be a whole number"),
        ("skew = 0", r"lint\.skew must be above 0 and at most 1, not 0"),
        ("lateness = 2", r"lint\.lateness must be above 0 and at most 1"),
        ('busy = "much"', r"lint\.busy must be above 0 and at most 1"),
    ],
)
def test_what_cannot_be_is_refused_by_its_key(tmp_path, text, message):
    with pytest.raises(SettingsError, match=message) as caught:
        load(tmp_path, f"[lint]\n{text}\n")
    assert str(tmp_path / "sdp.toml") in str(caught.value)
    assert caught.value.hint


def test_the_rules_are_in_order_and_each_says_why():
    assert list(RULES) == sorted(RULES)
    for code, rule in RULES.items():
        assert (rule.code, rule.severity in SEVERITIES) == (code, True)
        assert rule.title
        assert rule.reason
    assert [rule.code for rule in RULES.values() if rule.always] == ["SDP010"]
