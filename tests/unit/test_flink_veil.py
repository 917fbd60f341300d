"""What failing jobs say is shown without values where a masking policy is in force."""

import pytest

from sdp_kernel.errors import JobFailed, ResultError, StatementError
from sdp_kernel.flink import faults, job_detail
from sdp_kernel.flink.veil import NOTE, Veil

SQL = "SELECT CAST(ssn AS INT) AS ssn FROM people WHERE kind = 'x7'"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "For input string: '111-22'. Invalid character found.",
            "For input string: '…'. Invalid character found.",
        ),
        ('For input string: "12a"', 'For input string: "…"'),
        ("Text '111-22' could not be parsed at index 0", "Text '…' could not be parsed at index 0"),
        ('Failed to deserialize JSON \'{"n": "O\'Brien", "ssn": "1"}\'.', "Failed to deserialize JSON '…'."),
        ("Failed to deserialize CSV row 'Ada,\nLovelace'.", "Failed to deserialize CSV row '…'."),
        ("Key (ssn)=(111-22) already exists.", "Key … already exists."),
        ("cannot send to ada@example.org today", "cannot send to … today"),
        ("no such name: Zoë", "no such name: …"),
        ("Column 'ssn' is NOT NULL", "Column 'ssn' is NOT NULL"),
        ("no match for 'x7' in it", "no match for 'x7' in it"),
        ("/ by zero", "/ by zero"),
    ],
)
def test_what_stands_in_quotes_or_looks_like_a_value_is_hidden_but_for_the_statements_own_words(said, shown):
    assert Veil(SQL).message(said) == shown


STACK = """<Exception on server side:
org.apache.flink.table.gateway.api.utils.SqlGatewayException: Failed to fetchResults.
\tat org.apache.flink.table.gateway.rest.X.handle(X.java:91)
Caused by: org.apache.flink.runtime.client.JobExecutionException: Job execution failed.
\tat org.apache.flink.runtime.Y.z(Y.java:1)
Caused by: java.io.IOException: Failed to deserialize JSON '{"ssn": "111-22",
  "name": "Ada"}'.
\tat org.apache.flink.formats.json.J.deserialize(J.java:101)
\t... 15 more
Caused by: {cause}
\tat {frame}
End of exception on server side>"""


def _stack(cause, frame="org.apache.flink.table.data.binary.B.toInt(B.java:7)"):
    return STACK.replace("{cause}", cause).replace("{frame}", frame)


def test_a_job_fails_without_its_values_in_reason_and_stack():
    stack = _stack("java.lang.NumberFormatException: For input string: '111-22'. Invalid character found.")
    error = faults.to_error(["Internal server error.", stack], job_id="ab" * 16, veil=Veil(SQL))
    assert isinstance(error, JobFailed)
    assert "For input string: '…'. Invalid character found." in str(error)
    assert NOTE in str(error)
    shown = repr(error) + str(error) + error.detail + str(error.args)
    assert "111-22" not in shown
    assert "Ada" not in shown
    assert error.detail.count("\tat ") == stack.count("\tat ")
    assert "111-22" in faults.to_error([stack], job_id="ab" * 16).message


@pytest.mark.parametrize(
    ("cause", "frame"),
    [
        ("com.acme.BadName: Lovelace is bad", "com.acme.Names.check(Names.java:1)"),
        ("com.acme.NameException: Lovelace is bad", "com.acme.Names.check(Names.java:1)"),
        ("java.lang.RuntimeException: Lovelace is bad", "com.acme.Names.check(Names.java:1)"),
    ],
)
def test_of_what_code_that_is_not_flinks_own_says_the_kind_alone_stays(cause, frame):
    error = faults.to_error([_stack(cause, frame)], job_id="ab" * 16, veil=Veil(SQL))
    assert "Lovelace" not in str(error) + error.detail


def test_of_a_python_function_the_kind_and_the_line_stay():
    python = (
        "java.lang.RuntimeException: Error received from SDK harness: Traceback (most recent call last):\n"
        '  File "/x/site-packages/apache_beam/w.py", line 1, in _execute\n    response = task()\n'
        '  File "/x/cell_1.py", line 3, in check\n    raise ValueError(f"bad {name}")\n'
        "ValueError: bad Lovelace\n  of 111-22"
    )
    error = faults.to_error([_stack(python)], job_id="ab" * 16, veil=Veil(SQL))
    assert "Lovelace" not in str(error) + error.detail
    assert "111-22" not in error.detail
    assert "ValueError" in str(error)
    assert "line 3" in str(error)
    assert "raise ValueError" in str(error)


def test_what_flink_says_of_the_text_itself_stays():
    refused = (
        "org.apache.flink.table.api.ValidationException: SQL validation failed. Column 'nope7' not found\n"
        "\tat org.apache.flink.table.planner.X.y(X.java:1)"
    )
    error = faults.to_error([refused], job_id="ab" * 16, veil=Veil(SQL))
    assert isinstance(error, StatementError)
    assert "'nope7'" in error.message


def test_failures_of_jobs_are_read_without_values():
    stack = _stack("java.lang.NumberFormatException: For input string: '111-22'")
    answer = {"exceptionHistory": {"entries": [{"stacktrace": stack, "timestamp": 1}]}}
    (failure,) = job_detail.read_failures(answer, Veil())
    assert "111-22" not in failure.reason + failure.stack
    assert "masking" in failure.reason


def test_parts_of_the_cluster_still_say_which_of_them_went_away():
    lost = (
        "org.apache.flink.runtime.jobmaster.JobMasterException: TaskManager with id 10.0.0.1:4122 timed out"
    )
    assert faults.what_was_lost([Veil().stack(lost)]) == "the TaskManager was lost"


def test_a_value_that_does_not_fit_is_not_named():
    error = ResultError("a value does not fit Arrow: invalid value '111-22'", hint="CAST it")
    shown = Veil(SQL).error(error)
    assert isinstance(shown, ResultError)
    assert "111-22" not in str(shown)
    assert shown.hint == "CAST it"


def test_a_fault_behind_the_source_is_the_querys_own():
    chained = (
        "java.io.IOException: Failed to deserialize consumer record due to\n\tat x.Y.z(Y.java:1)\n"
        "Caused by: o.a.f.ExceptionInChainedOperatorException: Could not forward element to next operator\n"
        "\tat x.Y.z(Y.java:1)\nCaused by: java.lang.NumberFormatException: For input string: 'x'"
    )
    fault = faults.read([chained])
    assert fault.reason == "NumberFormatException: For input string: 'x'"
    assert "ignore-parse-errors" not in faults.hint(fault.reason, fault.stack)
