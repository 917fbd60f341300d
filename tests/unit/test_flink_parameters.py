import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.errors import ParameterError
from sdp_kernel.flink.parameters import FORBIDDEN, names, render


def test_parameters_fragments_and_literals_are_filled_in():
    text = "SELECT '${symbol}', '$${x}' FROM t WITH (${kafka.main})"
    rendered = render(text, {"symbol": "ACME"}, {"kafka.main": "'a' = 'b'"})
    assert rendered.text == "SELECT 'ACME', '${x}' FROM t WITH ('a' = 'b')"


def test_a_fragment_is_not_filled_in_again():
    assert render("${kafka.main}", {"x": 1}, {"kafka.main": "'p' = '${env:P}'"}).text == "'p' = '${env:P}'"


@pytest.mark.parametrize(
    "value", ["a'b", 'a"b', "a;b", "a\nb", "${x}", "%{if}", "a--b", "a/*b", "a`b", "a\\b", "a\0b"]
)
def test_a_value_that_could_break_out_is_refused(value):
    with pytest.raises(ParameterError, match="break out"):
        render("SELECT '${x}'", {"x": value}, {})


def test_a_missing_parameter_names_itself_and_its_place():
    with pytest.raises(ParameterError, match=r"\$\{day\} has no value") as error:
        render("SELECT 1\nWHERE d = '${day}'", {}, {})
    assert "--param day=VALUE" in error.value.hint
    assert "WHERE d = '${day}'" in str(error.value)


def test_an_unknown_kafka_alias_lists_the_known_ones():
    with pytest.raises(ParameterError, match="no kafka connection 'other'") as error:
        render("${kafka.other}", {}, {"kafka.main": ""})
    assert "${kafka.main}" in error.value.hint


@pytest.mark.parametrize("text", ["${}", "${a b}", "${1x}", "${a", "${a.b.c}"])
def test_malformed_places_are_refused(text):
    with pytest.raises(ParameterError, match="is not a parameter"):
        render(text, {"a": 1}, {})


def test_names_lists_parameters_but_not_literals():
    assert names("${a} $${b} ${kafka.main}") == {"a", "kafka.main"}


def test_places_map_back_to_the_source():
    source = "a ${x} b ${y} c"
    rendered = render(source, {"x": "12345", "y": "1"}, {})
    assert source[rendered.source_offset(rendered.text.index("b"))] == "b"
    assert source[rendered.source_offset(rendered.text.index("c"))] == "c"
    assert rendered.source_offset(rendered.text.index("3")) == source.index("${x}")


@given(st.text().filter(lambda s: "${" not in s))
def test_text_without_places_is_unchanged(text):
    rendered = render(text, {}, {})
    assert rendered.text == text
    assert all(rendered.source_offset(i) == i for i in range(len(text)))


@given(st.text())
def test_a_value_is_inserted_as_it_is_or_refused(value):
    try:
        assert render("[${x}]", {"x": value}, {}).text == f"[{value}]"
    except ParameterError:
        assert any(mark in value for mark in FORBIDDEN)
