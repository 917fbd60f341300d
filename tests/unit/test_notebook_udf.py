"""``%%flinkudf`` without Flink: its arguments, what it refuses, what it shows."""

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from sdp_kernel.errors import FunctionError
from sdp_kernel.flink import function_cell
from sdp_kernel.flink.functions import Registration
from sdp_kernel.local.stack import Stack
from sdp_kernel.notebook import magics, udf_magics

CELL = "def clean(s: str) -> str:\n    return s.strip()\n\n\ndef size(s: str) -> int:\n    return len(s)\n"


@pytest.fixture
def shell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = Config()
    config.HistoryManager.enabled = False
    made = InteractiveShell(config=config)
    magics.register(made)
    yield made
    magics.unregister(made)


def registration(text, *, fresh=True, reserved=()):
    cell = function_cell.load(text)
    return Registration(cell, None, fresh=fresh, reserved=frozenset(reserved))


def test_the_magic_is_registered_and_describes_itself(shell):
    magic = shell.find_cell_magic("flinkudf")
    assert "Python functions" in magic.__doc__


def test_a_wrong_cell_is_refused_before_any_gateway_is_asked(shell, monkeypatch):
    def unreachable(*_):
        raise AssertionError("the stack was started")

    monkeypatch.setattr(Stack, "up", unreachable)
    for cell in ("def f(x): return y\n", "x = 1\n", "!ls\n"):
        with pytest.raises(FunctionError):
            shell.run_cell_magic("flinkudf", "", cell)
    assert "f" not in shell.user_ns


def test_lines_are_counted_with_the_magic_s_own(shell):
    with pytest.raises(FunctionError) as error:
        shell.run_cell_magic("flinkudf", "", "def f(x: int) -> int:\n    return y\n")
    assert error.value.position.line == 3


def test_what_is_shown_has_names_types_and_kinds():
    markup, text = udf_magics.bundle(registration(CELL))
    for shown in (markup, text):
        assert "clean" in shown
        assert "(STRING) → BIGINT" in shown
    assert "registered" in markup
    assert "unchanged" in udf_magics.bundle(registration(CELL, fresh=False))[0]


def test_names_that_sql_reserves_are_shown_in_backquotes():
    assert "`size`" in udf_magics.bundle(registration(CELL, reserved=["size"]))[1]


def test_where_a_vectorised_aggregate_runs_is_said():
    text = "from pyflink.table.udf import udaf\n@udaf(result_type='DOUBLE', func_type='pandas')\ndef m(v):\n    return v.mean()\n"
    assert "OVER windows" in udf_magics.bundle(registration(text))[1]
    assert "OVER windows" not in udf_magics.bundle(registration(CELL))[1]


def test_types_in_a_decorator_are_escaped():
    cell = "from pyflink.table.udf import udf\n@udf(result_type='ROW<`<script>` INT>')\ndef f(x):\n    return x\n"
    markup, _ = udf_magics.bundle(registration(cell))
    assert "<script" not in markup
