"""Completion in a shell: which part of a cell is ours, and what magic lines offer. No processes."""

import pandas as pd
import pyarrow as pa
import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

from sdp_kernel.notebook import busy, completion, magics
from sdp_kernel.notebook.completion import part_at


@pytest.fixture
def shell():
    made = InteractiveShell()
    magics.register(made)
    completion.register(made, magics._MAGICS[id(made)])
    yield made
    completion.unregister(made)
    magics.unregister(made)


def texts(shell, marked):
    offset = marked.index("|")
    found = completion.completer_of(shell).complete(marked.replace("|", "", 1), offset)
    return [each.text for each in found.candidates] if found is not None else None


def ipython(shell, marked):
    """What IPython itself answers."""
    offset = marked.index("|")
    with provisionalcompleter():
        reply = list(shell.Completer.completions(marked.replace("|", "", 1), offset))
    return {each.text: each.type for each in reply}


@pytest.mark.parametrize(
    ("marked", "text", "magic"),
    [
        ("%%flinksql q\nSELECT |1", "SELECT 1", None),
        ("\n\n%%flinksql\nSELECT |", "SELECT ", None),
        ("%%flinksql q --li|\nSELECT 1", " q --li", "flinksql"),
        ("a = 1\n%sample or|\nb = 2", " or", "sample"),
        ("df = %sample or|", " or", "sample"),
    ],
)
def test_the_part_the_cursor_is_in(marked, text, magic):
    offset = marked.index("|")
    part = part_at(marked.replace("|", "", 1), offset)
    assert (part.text, part.magic) == (text, magic)
    assert marked.replace("|", "", 1)[part.start : part.start + part.offset] == text[: part.offset]


@pytest.mark.parametrize("marked", ["SELECT |", "%%time\nSELECT |", "%%flin|ksql", "%sam|", "x % y |"])
def test_python_is_left_to_others(marked):
    assert part_at(marked.replace("|", "", 1), marked.index("|")) is None


def test_commands_about_jobs_and_their_options_are_offered(shell):
    assert {"test", "drift", "shadow", "rollback"} <= set(texts(shell, "%sdp |"))
    assert texts(shell, "%sdp shadow j --ti|") == ["--timeout"]


def test_magics_of_others_are_left_to_them(shell):
    assert texts(shell, "%timeit --|") is None
    assert texts(shell, "%%time |\npass") is None


def test_ipython_offers_sql_and_nothing_else_in_our_cells(shell):
    shell.user_ns["selection"] = 1
    offered = ipython(shell, "%%flinksql\nsel|")
    assert offered == {"select": "keyword"}
    assert ipython(shell, "%%flinksql\nDROP TABLE selec|") == {}


def test_ipython_goes_on_with_python_elsewhere(shell):
    shell.user_ns["selection"] = 1
    assert "selection" in ipython(shell, "selec|")


def test_offsets_are_those_of_the_cell_in_code_points(shell):
    code = "%%flinksql\n-- 𝄞\nSELECT COU"
    reply = completion.completer_of(shell).reply(code, len(code))
    assert reply["matches"][0] == "COUNT("
    assert code[reply["cursor_start"] : reply["cursor_end"]] == "COU"
    (types, *_) = reply["metadata"]["_jupyter_types_experimental"]
    assert types["type"] == "function"


def test_options_come_from_the_magics_own_parser(shell):
    assert texts(shell, "%%flinksql q --lim|") == ["--limit"]
    assert "--event-time" in texts(shell, "%sample orders --|")
    assert texts(shell, "%jobs c|") == ["cancel"]
    assert texts(shell, "%sdp |")[:2] == ["up", "down"]


def test_values_of_options(shell):
    shell.user_ns["frame"] = pd.DataFrame({"a": [1]})
    assert texts(shell, "%produce orders fr|") == ["frame"]
    assert texts(shell, "%sample orders --format av|") == ["avro"]
    assert "frame" in texts(shell, "%%flinksql --with |\nSELECT 1")
    assert texts(shell, "%%flinksql --set execution.runtime-mode=B|\nSELECT 1") == [
        "execution.runtime-mode=BATCH"
    ]


def test_what_the_first_line_names_is_known_below(shell):
    shell.user_ns["rates"] = pd.DataFrame({"currency": ["EUR"], "rate": [1.0]})
    assert texts(shell, "%%flinksql --with rates\nSELECT | FROM rates")[:2] == ["currency", "rate"]
    assert texts(shell, "%%flinksql --with other=rates\nSELECT o.| FROM other o") == ["currency", "rate"]
    assert texts(shell, "%%flinksql --param day=1 --param hour=2\nSELECT ${|") == ["day}", "hour}"]
    shell.user_ns["arrow"] = pa.table({"n": [1]})
    assert texts(shell, "%%flinksql q --with arrow\nSELECT | FROM arrow")[0] == "n"


def test_a_chart_takes_the_columns_of_the_query_below(shell):
    assert texts(shell, "%%flinksql --chart |\nSELECT 1 AS a")[:2] == ["line", "bar"]
    assert texts(shell, "%%flinksql --chart line x=|\nSELECT 1 AS a, 2 AS b") == ["x=a", "x=b"]


def test_completion_opens_no_workbench(shell):
    for marked in ("%sample |", "%%flinksql\nSELECT * FROM |", "%promote |", "%%flinksql\nSELECT ${|"):
        texts(shell, marked)
    assert magics._MAGICS[id(shell)]._workbench is None


def test_it_is_gone_after_unregister(shell):
    completion.unregister(shell)
    assert completion.completer_of(shell) is None
    assert "select" not in ipython(shell, "%%flinksql\nsel|")


def test_registering_twice_answers_once(shell):
    completion.register(shell, magics._MAGICS[id(shell)])
    ours = [m for m in shell.Completer.custom_matchers if m.matcher_identifier == "sdp_kernel"]
    assert len(ours) == 1


def test_without_a_kernel_nothing_is_installed(shell):
    assert busy.install(shell) is False
    busy.uninstall(shell)
