import datetime as dt
import inspect
import json
import os
import subprocess
import sys
from decimal import Decimal

import pyarrow as pa
import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from sdp_kernel import errors
from sdp_kernel.local.stack import Stack
from sdp_kernel.notebook import arguments, display, html, source

SCRIPT = "<script>alert('1')</script>"


@pytest.mark.parametrize(
    "markup",
    [
        html.table(pa.table({"a": [SCRIPT]})),
        html.table(pa.table({SCRIPT: [1]})),
        html.table(pa.table({"a": [1]}), [SCRIPT]),
        html.table(pa.table({"a": [{SCRIPT: SCRIPT}], "b": [[SCRIPT]]})),
        html.grid([SCRIPT], [[SCRIPT]]),
        html.title(SCRIPT),
        html.chip(SCRIPT, "bad"),
        html.fact(SCRIPT, SCRIPT),
        html.note(SCRIPT),
        html.pre(SCRIPT),
    ],
)
def test_every_text_is_escaped(markup):
    assert "<script" not in markup
    assert "&lt;script&gt;" in markup


def test_a_null_is_told_from_the_text_null():
    markup = html.table(pa.table({"a": [None, "null"]}))
    assert '<td class="sdp-null">null</td>' in markup
    assert "<td>null</td>" in markup


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 200 + "…"),
        (b"\x00\xff", "0x00ff"),
        (b"\x00" * 99, "0x" + "00" * 99),
        (True, "true"),
        (1.5, "1.5"),
        (Decimal("1E-10"), "0.0000000001"),
        (dt.datetime(2026, 1, 5, 9, 30, tzinfo=dt.timezone.utc), "2026-01-05 09:30:00Z"),
        ({"a": dt.date(2026, 1, 5)}, '{"a": "2026-01-05"}'),
        (["ü", None], '["ü", null]'),
    ],
)
def test_a_value_as_text(value, text):
    assert html.cell_text(value) == text


@pytest.mark.parametrize("value", ["x" * 500, b"x" * 500, ["x"] * 500, {"a": "x" * 500}, 10**300])
def test_a_long_value_is_cut_at_200_characters(value):
    text = html.cell_text(value)
    assert len(text) <= 201
    assert text.endswith("…")


def test_a_table_as_text_is_aligned():
    table = pa.table({"name": ["a", None, "two\nlines"], "n": [1, 200, None]})
    assert display.table_text(table).split("\n") == [
        "name          n",
        "a             1",
        "null        200",
        "two⏎lines  null",
    ]


def test_a_table_without_rows_or_columns_is_text_too():
    assert display.table_text(pa.table({"a": pa.array([], pa.int64())})) == "a"
    assert display.table_text(pa.table({})) == ""


@pytest.fixture
def notebook(tmp_path):
    def write(*sources, kind="code"):
        path = tmp_path / "lab.ipynb"
        cells = [{"cell_type": kind, "source": text} for text in sources]
        path.write_text(json.dumps({"cells": cells}), encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(
    "head",
    [
        "%%flinksql q",
        "%%flinksql q --limit 5",
        "%%flinksql --limit 5 q",
        "%%flinksql  q  ",
    ],
)
def test_the_cell_of_a_name_is_found(notebook, head):
    path = notebook(
        "x = 1", f"{head}\nSELECT 1\nFROM t", "%%flinksql other\nSELECT 2", "%%flinksql\nSELECT q"
    )
    assert source.current_cell(path, "q", since=0) == "SELECT 1\nFROM t"


def test_the_cell_s_lines_may_be_a_list(notebook):
    path = notebook(["%%flinksql q\n", "SELECT 1\n", "FROM t"])
    assert source.current_cell(path, "q", since=0) == "SELECT 1\nFROM t"


@pytest.mark.parametrize(
    "sources",
    [
        ("%%flinksql q\nSELECT 1", "%%flinksql q\nSELECT 2"),
        ("%%flinksql qq\nSELECT 1",),
        ("# %%flinksql q\nSELECT 1",),
        ("%%flinksql\nq",),
        (),
    ],
)
def test_without_exactly_one_such_cell_there_is_none(notebook, sources):
    assert source.current_cell(notebook(*sources), "q", since=0) is None


def test_markdown_does_not_count(notebook):
    assert source.current_cell(notebook("%%flinksql q\nSELECT 1", kind="markdown"), "q", since=0) is None


def test_a_file_saved_before_the_cell_ran_says_nothing(notebook):
    path = notebook("%%flinksql q\nSELECT 1")
    os.utime(path, (1000, 1000))
    assert source.current_cell(path, "q", since=1001) is None
    assert source.current_cell(path, "q", since=999) == "SELECT 1"


@pytest.mark.parametrize("text", ["", "{", "{}"])
def test_a_file_that_is_no_notebook_says_nothing(tmp_path, text):
    path = tmp_path / "lab.ipynb"
    path.write_text(text, encoding="utf-8")
    assert source.current_cell(path, "q", since=0) is None
    assert source.current_cell(tmp_path / "gone.ipynb", "q", since=0) is None


def test_the_notebook_s_path_is_the_front_end_s(notebook, tmp_path, monkeypatch):
    path = notebook()
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    assert source.notebook_path({}) is None
    assert source.notebook_path({"__vsc_ipynb_file__": str(path)}) == path
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    assert source.notebook_path({}) == path
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "gone.ipynb"))
    assert source.notebook_path({}) is None


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """A shell with the magics loaded, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setattr(Stack, "up", lambda *_: pytest.fail("the stack was started"))
    InteractiveShell.clear_instance()
    made = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    made.run_line_magic("load_ext", "sdp_kernel")
    yield made
    made.run_line_magic("unload_ext", "sdp_kernel")
    InteractiveShell.clear_instance()


def test_loading_the_extension_loads_no_heavy_module():
    code = (
        "import sys; from IPython.core.interactiveshell import InteractiveShell;"
        "InteractiveShell.instance().run_line_magic('load_ext', 'sdp_kernel');"
        "heavy = ('confluent_kafka', 'duckdb', 'httpx', 'jinja2', 'numpy', 'pandas', 'pyarrow');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--param symbol", "NAME=VALUE"),
        ("1st", "'1st' cannot be a variable's name"),
        ("a-b", "'a-b' cannot be a variable's name"),
        ("--limit ten", "--limit"),
        ("--nonsense", "--nonsense"),
        ("--limti 5", "^%%flinksql: .*did you mean --limit"),
        ("--help", "(?s)^%%flinksql .*--from-savepoint PATH"),
        ("a b", "unrecognized arguments: b"),
    ],
)
def test_flinksql_refuses_wrong_arguments(shell, line, said):
    with pytest.raises(UsageError, match=said):
        shell.run_cell_magic("flinksql", line, "SELECT 1")


@pytest.mark.parametrize(
    ("magic", "line", "said"),
    [
        ("sample", "t --head --tail", "only one of --head, --tail, --random"),
        ("sample", "t --partition x", "--partition takes numbers"),
        ("sample", "t --where 'a > 1", "No closing quotation"),
        ("sample", "t --follow --head", "--follow begins at the end"),
        ("topic", "create t --config retention", "NAME=VALUE"),
        ("topic", "rename a b", "%topic TOPIC"),
        ("produce", "t nothing_of_this_name", "there is no variable"),
        ("sample", "", "topic"),
        ("sample", "t -n many", "-n"),
        ("topic", "", "TOPIC"),
        ("promote", "q", "--job"),
        ("promote", "--job j", "name"),
        ("jobs", "cancel", "%jobs cancel JOB"),
        ("jobs", "end x", "invalid choice"),
        ("jobs", "savepoint", "%jobs savepoint JOB"),
        ("queries", "end", "^%queries: .*invalid choice"),
        ("jobs", "cancel q --drain", "--drain goes with %jobs stop"),
        ("jobs", "cancel q --to d", "--to goes with"),
        ("sdp", "nonsense", "%sdp up"),
        ("sdp", "logs", "%sdp up"),
        ("sdp", "test --updaet", "^%sdp test: No such option.*--update"),
        ("sdp", "shadow", "^%sdp shadow: Missing argument 'JOB'.*%sdp shadow --help"),
        ("sdp", "shadow j --records many", "'many' is not a valid integer"),
    ],
)
def test_line_magics_refuse_wrong_arguments(shell, magic, line, said):
    with pytest.raises(UsageError, match=said):
        shell.run_line_magic(magic, line)


def test_a_command_about_committed_jobs_is_that_of_the_command_line(shell, tmp_path, capsys):
    (tmp_path / "sdp.toml").write_text("")
    shell.run_line_magic("sdp", "drift -h")
    assert "Usage: %sdp drift" in capsys.readouterr().out
    shell.run_line_magic("sdp", "drift --help")
    assert "Usage: %sdp drift [OPTIONS] [JOBS]..." in capsys.readouterr().out
    shell.run_line_magic("sdp", "lint --list")
    assert "SDP001" in capsys.readouterr().out
    with pytest.raises(errors.RepositoryError, match="is not in a git repository"):
        shell.run_line_magic("sdp", "test")


def test_wrong_arguments_contact_nothing(shell):
    with pytest.raises(UsageError):
        shell.run_cell_magic("flinksql", "--param x", "SELECT 1")
    assert not os.path.exists(".sdp")  # noqa: PTH110


def test_every_magic_has_help(shell):
    for name in ("topics", "topic", "sample", "table", "produce", "jobs", "promote"):
        assert shell.find_line_magic(name).__doc__.startswith("::")
    assert shell.find_cell_magic("flinksql").__doc__.startswith("::")


def test_parameters_may_hold_equals_signs():
    assert arguments.pairs(["a=b=c", "d="], "--param") == {"a": "b=c", "d": ""}
    assert arguments.pairs(None, "--param") == {}


def all_errors():
    found = [
        cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, errors.SdpError)
    ]
    return sorted(found, key=lambda cls: cls.__name__)


@pytest.mark.parametrize("cls", all_errors())
def test_an_error_is_shown_without_a_stack_trace(shell, capsys, cls):
    arguments = ("kafka", "it broke") if cls is errors.ComponentError else ("it broke",)
    error = cls(*arguments, hint="mend it")
    assert error._render_traceback_() == [f"{cls.__name__}: it broke\n→ mend it"]

    def fail():
        raise error

    shell.user_ns["fail"] = fail
    shell.run_cell("fail()")
    shown = "".join(capsys.readouterr())
    assert f"{cls.__name__}: it broke\n→ mend it" in shown
    assert "Traceback" not in shown
    assert "raise error" not in shown


@pytest.mark.parametrize("text", ["[]", '{"cells": null}', '{"cells": [1]}', "{}", "not json"])
def test_a_broken_notebook_says_nothing(tmp_path, text):
    path = tmp_path / "n.ipynb"
    path.write_text(text)
    assert source.current_cell(path, "q", since=0) is None


@pytest.mark.parametrize("line", ["%sdp logs 'x", "%sample t --as 1st", "%sample t --as class"])
def test_bad_arguments_are_refused_before_anything_starts(shell, line):
    result = shell.run_cell(line)
    assert type(result.error_in_exec).__name__ == "UsageError"


def test_a_keyword_cannot_name_a_query(shell):
    result = shell.run_cell("%%flinksql class\nSELECT 1")
    assert type(result.error_in_exec).__name__ == "UsageError"


def test_frames_are_given_by_name_under_another_and_with_a_key(shell):
    from sdp_kernel.notebook.magics import _MAGICS

    shell.user_ns["df"] = frame = object()
    taken = _MAGICS[id(shell)].sql._frames(["df", "limits=df:symbol, side"])
    assert taken == {
        "frames": {"df": frame, "limits": frame},
        "frame_keys": {"limits": ["symbol", "side"]},
    }
    with pytest.raises(UsageError, match="there is no variable 'nobody'"):
        shell.run_cell_magic("flinksql", "--with nobody", "SELECT 1")
