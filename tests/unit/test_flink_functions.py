"""Cells of Python functions without Flink: checks, signatures, local calls, what a traceback says."""

import datetime as dt
import re
import runpy
import sys
from decimal import Decimal
from typing import NamedTuple, Optional

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdp_kernel.errors import FunctionError, Position, SliceError, UsageError
from sdp_kernel.flink import function_cell, function_faults, function_source, function_types, functions
from sdp_kernel.flink.ledger import Entry
from sdp_kernel.promote import functions as carried
from sdp_kernel.promote.slice import Slice

DECORATED = """from pyflink.table.udf import AggregateFunction, ScalarFunction, TableAggregateFunction, udaf, udf, udtaf, udtf

RATE = 2

def shared(x):
    return RATE * x

@udf(result_type="BIGINT", input_types=["BIGINT"])
def double(x):
    "Twice."
    return shared(x)

@udtf(result_types=["STRING", "BIGINT"])
def words(s):
    for word in s.split():
        yield word, len(word)

@udf(result_type="DOUBLE", func_type="pandas")
def ratio(a, b):
    return a / b

@udaf(result_type="DOUBLE", func_type="pandas")
def average(v):
    return v.mean()

class Total(AggregateFunction):
    def create_accumulator(self):
        return [0]
    def accumulate(self, accumulator, value, weight):
        accumulator[0] += value * weight
    def get_value(self, accumulator):
        return accumulator[0]

total = udaf(Total(), result_type="BIGINT", accumulator_type="ARRAY<BIGINT>")

class Opened(ScalarFunction):
    def open(self, context):
        self.base = int(context.get_job_parameter("base", "7"))
    def eval(self, x):
        return self.base + x

opened = udf(Opened(), result_type="BIGINT")
"""


def test_decorated_functions_are_found_in_order_with_their_kinds():
    cell = function_cell.load(DECORATED)
    assert [(f.name, f.kind) for f in cell.functions] == [
        ("double", "scalar"),
        ("words", "table"),
        ("ratio", "vectorised scalar"),
        ("average", "vectorised aggregate"),
        ("total", "aggregate"),
        ("opened", "scalar"),
    ]
    assert cell.functions[0].signature == "(BIGINT) → BIGINT"
    assert cell.functions[1].signature == "(…) → STRING, BIGINT"


def test_what_a_decorator_made_is_called_as_plain_python():
    exports = function_cell.load(DECORATED).exports
    assert exports["double"](4) == 8
    assert exports["double"].__doc__ == "Twice."
    assert exports["words"]("a bb") == [("a", 1), ("bb", 2)]
    assert exports["ratio"](3, 2) == 1.5
    assert exports["ratio"]([3, 4], [2, 2]) == [1.5, 2.0]
    assert exports["ratio"](pd.Series([3]), pd.Series([4])).tolist() == [0.75]
    assert exports["average"]([1, 2, 6]) == 3
    assert exports["total"]([1, 2], [10, 20]) == 50
    assert exports["opened"](1) == 8
    assert exports["shared"](3) == 6
    assert exports["RATE"] == 2


def test_a_table_function_that_returns_one_value_or_none_gives_rows():
    cell = function_cell.load(
        "from pyflink.table.udf import udtf\n"
        "@udtf(result_types=['STRING'])\ndef one(s):\n    return s\n"
        "@udtf(result_types=['STRING'])\ndef none(s):\n    return None\n"
        "@udtf(result_types=['STRING', 'STRING'])\ndef pair(s):\n    return s, s\n"
    )
    assert cell.exports["one"]("ab") == ["ab"]
    assert cell.exports["none"]("ab") == []
    assert cell.exports["pair"]("ab") == [("ab", "ab")]


def test_only_the_functions_named_are_registered():
    assert [f.name for f in function_cell.load(DECORATED, ["words"]).functions] == ["words"]
    with pytest.raises(FunctionError, match="no function wrods") as error:
        function_cell.load(DECORATED, ["wrods"])
    assert "words" in error.value.hint


ANNOTATED = """from collections.abc import Iterator
from typing import NamedTuple

class Word(NamedTuple):
    text: str
    size: int

def twice(x: int) -> int:
    return 2 * x

def four_times(x: int) -> int:
    return twice(twice(x))

def split(s: str) -> Iterator[Word]:
    for word in s.split():
        yield Word(word, len(word))

def _hidden(x: int) -> int:
    return x

def unannotated(x):
    return x
"""


def test_annotated_functions_need_no_decorator_and_go_on_calling_one_another():
    cell = function_cell.load(ANNOTATED)
    assert [(f.name, f.kind, f.signature) for f in cell.functions] == [
        ("twice", "scalar", "(BIGINT) → BIGINT"),
        ("four_times", "scalar", "(BIGINT) → BIGINT"),
        ("split", "table", "(STRING) → ROW<`text` STRING, `size` BIGINT>"),
    ]
    assert cell.exports["four_times"](2) == 8


def test_annotated_functions_beside_decorated_ones_are_helpers():
    cell = function_cell.load(DECORATED + "\ndef helper(x: int) -> int:\n    return x\n")
    assert "helper" not in {f.name for f in cell.functions}
    assert [
        f.name
        for f in function_cell.load(DECORATED + "\ndef h(x: int) -> int:\n    return x\n", ["h"]).functions
    ] == ["h"]


def test_the_module_s_text_runs_by_itself_and_has_what_flink_asks_for(tmp_path):
    for text in (ANNOTATED, DECORATED):
        cell = function_cell.load(text, first_line=2)
        file = functions.store(tmp_path, cell.module, cell.text)
        names = runpy.run_path(str(file))
        for found in cell.functions:
            assert function_cell.is_wrapper(names[found.target])
            assert (
                names[found.target]._name == found.name or found.kind == "aggregate" or found.name == "opened"
            )


def test_the_module_s_lines_have_the_cell_s_numbers(tmp_path):
    cell = function_cell.load("def f(x: int) -> int:\n    return 1 // x\n", first_line=2)
    assert cell.text.split("\n")[1] == "def f(x: int) -> int:"
    with pytest.raises(ZeroDivisionError) as error:
        cell.exports["f"](0)
    assert error.traceback[-1].lineno + 1 == 3


def test_another_text_gives_another_module_and_the_same_text_the_same():
    first = function_cell.load("def f(x: int) -> int:\n    return 1\n")
    again = function_cell.load("def f(x: int) -> int:\n    return 1\n")
    other = function_cell.load("def f(x: int) -> int:\n    return 2\n")
    assert first.module == again.module
    assert first.module != other.module
    assert re.fullmatch(r"sdp_fn_[0-9a-f]{12}", first.module)


@pytest.mark.parametrize(
    ("text", "says", "place"),
    [
        ("def f(x: int) -> int:\n    return y\n", "y is not defined in this cell", Position(3, 12)),
        ("def f(x: int) -> int:\n    return 'ü' + y\n", "y is not defined in this cell", Position(3, 18)),
        ("n = len(rows)\ndef f(x: int) -> int:\n    return n\n", "rows is not defined", Position(2, 9)),
        ("def f(x: df) -> int:\n    return 1\n", "df is not defined", Position(2, 10)),
        ("class A:\n    def g(self):\n        return np.nan\n", "np is not defined", Position(4, 16)),
        ("def f(x: int) -> int:\n    return [z for a in range(x)]\n", "z is not defined", Position(3, 13)),
        ("def f(x: int) -> int\n    return 1\n", "not Python", Position(2, 21)),
        ("import json\n!ls\n", "not Python", Position(3, 1)),
        ("x = 1\n", "no function to register", None),
        ("def f(x):\n    return x\n", "no function to register", None),
        ("1 / 0\n", "ZeroDivisionError", Position(2, 1)),
        ("def f(x: int) -> int:\n    return x\nf(None) + nosuch()\n", "nosuch is not defined", Position(4, 11)),
        ("import nosuchmodule\n", "No module named 'nosuchmodule'", Position(2, 1)),
        ("def f(x: int) -> int:\n    return x\ndef F(x: int) -> int:\n    return x\n", "upper and lower case", None),
        ("from pyflink.table.udf import udf\n@udf(result_type='INT')\ndef f(n):\n    return n * f(n - 1)\n",
         "f uses f", Position(5, 16)),
        ("from pyflink.table.udf import udf\n@udf(result_type=3)\ndef f(n):\n    return n\n", "TypeError", Position(3, 1)),
    ],
)  # fmt: skip
def test_a_cell_that_cannot_be_is_refused_at_its_line(text, says, place):
    with pytest.raises(FunctionError, match=re.escape(says)) as error:
        function_cell.load(text, first_line=2)
    assert error.value.position == place
    assert error.value.hint
    assert not [name for name in sys.modules if name.startswith("sdp_fn_") and sys.modules[name] is None]


def test_magics_in_the_cell_are_named_as_such():
    with pytest.raises(FunctionError) as error:
        function_source.read("%matplotlib inline\n")
    assert "cell of their own" in error.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "import json\ndef f(x: str) -> int:\n    return len(json.loads(x))\n",
        "import os.path as p\ndef f(x: str) -> str:\n    return p.join(x)\n",
        "def f(x: int) -> int:\n    return g(x)\ndef g(x: int) -> int:\n    return x\n",
        "def f(x: int) -> int:\n    global seen\n    seen = x\n    return seen\n",
        "def f(x: int) -> int:\n    return sum(i for i in range(x) if (j := i))\n",
        "def f(x: int) -> int:\n    def inner():\n        return x\n    return inner()\n",
        "try:\n    import nosuch\nexcept ImportError as error:\n    nosuch = str(error)\ndef f(x: int) -> int:\n    return x\n",
        "class A:\n    b = 1\n    c = b + 1\ndef f(x: int) -> int:\n    return A.c\n",
        "for i in range(3):\n    k = i\ndef f(x: int) -> int:\n    return k + i\n",
        "from math import *\ndef f(x: float) -> float:\n    return sqrt(x)\n",
        "def f(x: int) -> str:\n    return __name__ + str(ValueError)\n",
    ],
)
def test_what_a_cell_defines_or_imports_it_may_read(text):
    assert "f" in {f.name for f in function_cell.load(text).functions}


def test_table_aggregates_are_refused_since_sql_cannot_call_them():
    text = """from pyflink.table.udf import TableAggregateFunction, udtaf
class Top(TableAggregateFunction):
    def create_accumulator(self):
        return [0]
    def accumulate(self, accumulator, x):
        accumulator[0] = max(accumulator[0], x)
    def emit_value(self, accumulator):
        yield accumulator[0]
top = udtaf(Top(), result_type="BIGINT", accumulator_type="ARRAY<BIGINT>")
"""
    with pytest.raises(FunctionError, match="SQL cannot call") as error:
        function_cell.load(text)
    assert error.value.position == Position(9, 1)


class Pair(NamedTuple):
    a: int
    b: Optional[str]  # noqa: UP045


@pytest.mark.parametrize(
    ("hint", "sql"),
    [
        (int, "BIGINT"),
        (bool, "BOOLEAN"),
        (float, "DOUBLE"),
        (str, "STRING"),
        (bytes, "BYTES"),
        (Decimal, "DECIMAL(38, 18)"),
        (dt.datetime, "TIMESTAMP(3)"),
        (dt.date, "DATE"),
        (dt.time, "TIME(0)"),
        (Optional[int], "BIGINT"),  # noqa: UP045
        (int | None, "BIGINT"),
        (list[str], "ARRAY<STRING>"),
        (dict[str, list[int]], "MAP<STRING, ARRAY<BIGINT>>"),
        (Pair, "ROW<`a` BIGINT, `b` STRING>"),
        (tuple[int, str], "ROW<f0 BIGINT, f1 STRING>"),
    ],
)
def test_annotations_have_sql_types(hint, sql):
    assert function_types.sql_type(hint) == sql


@pytest.mark.parametrize("hint", [set, object, pd.Series, int | str, None, list, dict, tuple, "int"])
def test_other_annotations_have_none(hint):
    with pytest.raises(function_types.NoType):
        function_types.sql_type(hint)


def test_a_function_named_without_usable_annotations_says_which_is_missing():
    for text, says in [
        ("def f(x, y: int) -> int: return 1", "argument x has no annotation"),
        ("def f(x: set) -> int: return 1", "argument x is a set"),
        ("def f(x: int): return 1", "result has no annotation"),
        ("def f(*x: int) -> int: return 1", "argument x is not positional"),
        ("def f(x: int) -> None: return 1", "result has no annotation|result is a NoneType"),
    ]:
        with pytest.raises(FunctionError, match=says) as error:
            function_cell.load(text, ["f"])
        assert error.value.position == Position(1, 1)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_function_error(text):
    try:
        function_source.read(text, first_line=2)
    except FunctionError as error:
        assert error.hint  # noqa: PT017


# tracebacks, as Flink 2.3 gives them

WORKER = """org.apache.flink.runtime.JobException: Recovery is suppressed by NoRestartBackoffTimeStrategy
Caused by: java.util.concurrent.ExecutionException: java.lang.RuntimeException: Error received from SDK harness for instruction 1: Traceback (most recent call last):
  File "/opt/venv/lib/python3.11/site-packages/apache_beam/runners/worker/sdk_worker.py", line 311, in _execute
    response = task()
               ^^^^^^
  File "apache_beam/runners/worker/operations.py", line 567, in apache_beam.runners.worker.operations.Operation.output
  File "/opt/venv/lib/python3.11/site-packages/pyflink/fn_execution/table/operations.py", line 114, in process_element
    return self.func(value)
           ^^^^^^^^^^^^^^^^
  File "<string>", line 1, in <lambda>
  File "/var/tmp/pyflink/4e43b5fb/98146ec1/sdp_fn_0123456789ab.py", line 13, in bad
    return helper(x)
           ^^^^^^^^^
  File "/var/tmp/python-dist-6fb/python-files/blob_p-465/sdp_fn_0123456789ab.py", line 6, in helper
    return 10 // (x - 5)
           ~~~^^~~~~~~~~
{exception}

\t... 3 more

End of exception on server side>"""


def test_a_worker_s_exception_is_named_with_the_line_of_the_cell():
    found = function_faults.read(
        WORKER.format(exception="ZeroDivisionError: integer division or modulo by zero")
    )
    assert found.reason == "ZeroDivisionError: integer division or modulo by zero"
    assert [(f.file, f.line, f.function) for f in found.frames] == [
        ("sdp_fn_0123456789ab.py", 13, "bad"),
        ("sdp_fn_0123456789ab.py", 6, "helper"),
    ]
    assert str(found).startswith(
        "ZeroDivisionError: integer division or modulo by zero (line 6 of the function's cell, in helper)\n"
        "  return 10 // (x - 5)"
    )


def test_an_exception_over_several_lines_and_one_without_text_are_whole():
    assert function_faults.read(WORKER.format(exception="ValueError: a\nb")).reason == "ValueError: a\nb"
    assert function_faults.read(WORKER.format(exception="KeyError")).reason == "KeyError"
    assert function_faults.read(WORKER.format(exception="my.mod.Odd: x")).reason == "my.mod.Odd: x"


def test_a_null_that_a_function_does_not_expect_has_its_own_hint():
    found = function_faults.read(
        WORKER.format(exception="TypeError: unsupported operand: 'int' and 'NoneType'")
    )
    assert "NULL comes as None" in found.hint


def test_a_value_of_another_type_than_declared_is_named_by_the_declared_type():
    stack = (
        "java.lang.RuntimeException: Error received: Traceback (most recent call last):\n"
        '  File "pyflink/fn_execution/coder_impl_fast.pyx", line 341, in pyflink.fn_execution.coder_impl_fast.FlattenRowCoderImpl.encode_to_stream\n'
        '  File "pyflink/fn_execution/coder_impl_fast.pyx", line 539, in pyflink.fn_execution.coder_impl_fast.BigIntCoderImpl.encode_to_stream\n'
        "TypeError: an integer is required\n\n\t... 7 more\n"
    )
    found = function_faults.read(stack)
    assert "something else than the BIGINT it declares (TypeError: an integer is required)" in found.reason
    assert "result_type" in found.hint


def test_a_stack_without_python_has_no_python_fault():
    assert function_faults.read("java.lang.ArithmeticException: / by zero\n\tat a.B.c(D.java:1)") is None


@given(st.text(max_size=200))
def test_any_text_after_a_traceback_is_read(text):
    found = function_faults.read(f"Traceback (most recent call last):{text}")
    assert found is not None
    assert found.reason


@pytest.mark.parametrize(
    ("stack", "says"),
    [
        ("Caused by: java.nio.file.NoSuchFileException: /tmp/x/sdp_fn_1.py", "runs on another machine"),
        ("Caused by: org.apache.flink.core.fs.UnsupportedFileSystemSchemeException: s3", "no file system"),
        ('java.io.IOException: Cannot run program "python": error=2', "cannot run PyFlink"),
        ("Caused by: java.lang.ClassNotFoundException: org.apache.flink.client.python.PythonFunctionFactory", "no flink-python jar"),
    ],
)  # fmt: skip
def test_what_a_gateway_lacks_is_said_with_a_way_out(stack, says):
    error = function_faults.of_the_gateway(stack, "http://gateway:8083")
    assert isinstance(error, UsageError)
    assert says in str(error)
    assert "http://gateway:8083" in str(error)
    assert error.hint
    assert function_faults.of_the_gateway("Caused by: X: Function does not exist", "u") is None


# the session's ledger, and what is promoted of it


def entry(text, kind, target=None, at=0.0):
    return Entry(text, kind, target, temporary=True, at=at)


def created(name, module, target=None):
    return entry(functions.create(name, module, target or name), "CREATE FUNCTION", name)


def test_the_functions_in_force_follow_creates_and_drops_in_any_case():
    ledger = [
        created("Tidy", "sdp_fn_aa"),
        created("other", "sdp_fn_aa"),
        entry("CREATE FUNCTION j AS 'com.example.J'", "CREATE FUNCTION", "j"),
        entry("DROP TEMPORARY SYSTEM FUNCTION IF EXISTS `tidy`", "DROP FUNCTION", "tidy"),
        created("tidy", "sdp_fn_bb", "_sdp_tidy"),
        entry("DROP FUNCTION other", "DROP FUNCTION", "other"),
    ]
    assert functions.in_force(ledger) == {"tidy": ("sdp_fn_bb", "_sdp_tidy")}


def test_a_published_path_with_a_comma_is_refused(tmp_path):
    file = functions.store(tmp_path / "a,b", "sdp_fn_aa", "x = 1\n")
    with pytest.raises(UsageError, match="comma"):
        functions.publish(file, None)


def test_a_module_is_copied_to_a_shared_directory(tmp_path):
    file = functions.store(tmp_path / "mine", "sdp_fn_aa", "x = 1\n")
    place = functions.publish(file, str(tmp_path / "shared"), under="jobs/1")
    assert place == str(tmp_path / "shared" / "jobs/1" / "sdp_fn_aa.py")
    assert (tmp_path / "shared/jobs/1/sdp_fn_aa.py").read_text() == "x = 1\n"


def test_a_shared_directory_that_cannot_be_written_is_named(tmp_path):
    file = functions.store(tmp_path, "sdp_fn_aa", "x = 1\n")
    for shared in (str(file), "nosuch://bucket/x"):
        with pytest.raises(UsageError, match="cannot be written"):
            functions.publish(file, shared)


def test_a_promoted_function_comes_from_a_file_named_after_its_cell_s_first(tmp_path):
    functions.store(tmp_path, "sdp_fn_aa", "# %%flinkudf\ndef first(): ...\n")
    ledger = (created("first", "sdp_fn_aa"), created("second", "sdp_fn_aa", "_sdp_second"))
    files = entry("SET 'python.files' = '/lib/own.zip,/state/sdp_fn_aa.py'", "SET")
    other = entry("SET 'a' = 'b'", "SET")
    job = carried.carry(Slice((files, other), ledger[1:]), ledger, tmp_path)
    assert job.files == {"sql/functions/udf_first.py": "def first(): ...\n"}
    assert job.setting.text == "SET 'python.files' = '/lib/own.zip,${functions}/udf_first.py'"
    assert [e.text for e in job.part.entries] == [
        "SET 'a' = 'b'",
        "CREATE TEMPORARY SYSTEM FUNCTION `second` AS 'udf_first._sdp_second' LANGUAGE PYTHON",
    ]
    place = job.materialise(tmp_path, None)
    assert (tmp_path / place / "udf_first.py").read_text() == "def first(): ...\n"
    assert job.materialise(tmp_path, None) == place


def test_a_job_without_python_keeps_its_own_python_files_and_not_the_session_s(tmp_path):
    ours = entry("SET 'python.files' = '/state/sdp_fn_aa.py'", "SET")
    job = carried.carry(Slice((ours,), ()), (), tmp_path)
    assert (job.setting, job.files, job.part.entries) == (None, {}, ())
    own = entry("SET 'python.files' = '/lib/own.zip'", "SET")
    assert carried.carry(Slice((own,), ()), (), tmp_path).setting.text == own.text


def test_two_cells_that_begin_with_the_same_function_cannot_go_into_one_job(tmp_path):
    for module in ("sdp_fn_aa", "sdp_fn_bb"):
        functions.store(tmp_path, module, f"# {module}\n")
    ledger = (created("f", "sdp_fn_aa"), created("g", "sdp_fn_aa"), created("f", "sdp_fn_bb"))
    with pytest.raises(SliceError, match="two cells that both begin with f"):
        carried.carry(Slice((), ledger[1:]), ledger, tmp_path)


def test_a_module_whose_file_is_gone_is_named(tmp_path):
    ledger = (created("f", "sdp_fn_aa"),)
    with pytest.raises(SliceError, match="function f cannot be read"):
        carried.carry(Slice((), ledger), ledger, tmp_path)


def test_registering_more_functions_is_no_change_of_settings_but_another_library_is():
    def settings(value):
        return (entry("SET 'a' = '1'", "SET"), entry(f"SET 'python.files' = '{value}'", "SET"))

    one = carried.without_modules(settings("/state/sdp_fn_aa.py"))
    assert one == carried.without_modules(settings("/state/sdp_fn_aa.py,/state/sdp_fn_bb.py"))
    assert one == carried.without_modules(settings("")[:1])
    assert one != carried.without_modules(settings("/lib/x.zip,/state/sdp_fn_aa.py"))
