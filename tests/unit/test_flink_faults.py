import pytest

from sdp_kernel.errors import JobFailed, Position, StatementError
from sdp_kernel.flink import faults

VALIDATION = """<Exception on server side:
org.apache.flink.table.gateway.api.utils.SqlGatewayException: org.apache.flink.table.gateway.api.utils.SqlGatewayException: Failed to fetchResults.
\tat org.apache.flink.table.gateway.rest.handler.statement.FetchResultsHandler.handleRequest(FetchResultsHandler.java:91)
Caused by: org.apache.flink.table.gateway.service.utils.SqlExecutionException: Failed to execute the operation 2a05e09f.
\tat java.base/java.lang.Thread.run(Unknown Source)
Caused by: org.apache.flink.table.api.ValidationException: SQL validation failed. From line 2, column 8 to line 2, column 11: Column 'nope' not found in any table
\t... 1 more
Caused by: org.apache.calcite.runtime.CalciteContextException: From line 2, column 8 to line 2, column 11: Column 'nope' not found in any table
Caused by: org.apache.calcite.sql.validate.SqlValidatorException: Column 'nope' not found in any table
End of exception on server side>"""

PARSE = """Caused by: org.apache.flink.table.api.SqlParserException: SQL parse failed. Encountered "FORM" at line 1, column 10.
Was expecting one of:
    <EOF>
    "EXCEPT" ...
\tat x.y(Z.java:1)"""

RUNTIME = """Caused by: java.lang.RuntimeException: Failed to fetch next result
\tat x.y(Z.java:1)
Caused by: org.apache.flink.runtime.client.JobExecutionException: Job execution failed.
Caused by: java.lang.ArithmeticException: Division by zero
\tat a.b(C.java:3)"""


def test_the_reason_comes_first_and_the_place_is_taken_out():
    error = faults.to_error(["Internal server error.", VALIDATION])
    assert isinstance(error, StatementError)
    assert error.message == "Column 'nope' not found in any table"
    assert error.position == Position(2, 8)
    assert "DESCRIBE" in error.hint
    assert "Caused by" in error.detail
    assert "Caused by" not in str(error)


def test_a_parse_error_is_cut_before_the_list_of_tokens():
    fault = faults.read([PARSE])
    assert "expecting" not in fault.reason
    assert fault.place == Position(1, 10)


def test_a_failed_job_is_named_with_its_root_cause():
    error = faults.to_error([RUNTIME], job_id="ab" * 16)
    assert isinstance(error, JobFailed)
    assert "Division by zero" in error.message
    assert error.job_id == "ab" * 16


@pytest.mark.parametrize("errors", [[], [""], ["Internal server error."], ["<html>"]])
def test_errors_that_say_nothing_still_give_a_reason(errors):
    assert faults.read(errors).reason


@pytest.mark.parametrize(
    ("errors", "what"),
    [
        (["Session '1b2c' does not exist."], faults.SESSION),
        (["…", "Caused by: TaskManager with id tm-1 is no longer reachable."], "the TaskManager was lost"),
        (["The heartbeat of TaskManager with id tm-1 timed out."], "the TaskManager was lost"),
        (["Could not find Flink job (83dc3037cc034889bf8cc36acafd8f83)"], "the JobManager went away"),
        (
            ["Failed to submit JobGraph.", "Caused by: Connection refused: /127.0.0.1:1"],
            "the JobManager went away",
        ),
        (["Connection refused: jdbc"], None),
        (["Object 'x' not found"], None),
    ],
)
def test_what_went_away_is_told_from_what_is_wrong(errors, what):
    assert faults.what_was_lost(errors) == what


def test_a_class_that_the_cluster_has_not_is_named_as_such_with_what_to_do():
    stack = """org.apache.flink.streaming.runtime.tasks.StreamTaskException: Cannot load user class: com.acme.Source
ClassLoader info: URL ClassLoader:
Class not resolvable through given classloader.
\tat org.apache.flink.streaming.api.graph.StreamConfig.getStreamOperatorFactory(StreamConfig.java:414)
Caused by: java.lang.ClassNotFoundException: com.acme.Source
\tat java.base/java.net.URLClassLoader.findClass(Unknown Source)
"""
    fault = faults.read([stack])
    assert fault.reason == "ClassNotFoundException: com.acme.Source"
    assert "ADD JAR" in faults.hint(fault.reason, fault.stack)


def test_a_fault_in_a_query_chained_to_its_source_is_not_taken_for_a_broken_record():
    stack = [
        (
            "java.io.IOException: Failed to deserialize consumer record due to\n\tat x.Y.z(Y.java:1)\n"
            "Caused by: java.lang.ArithmeticException: / by zero"
        )
    ]
    fault = faults.read(stack)
    assert fault.reason == "ArithmeticException: / by zero"
    assert "NULLIF" in faults.hint(fault.reason, fault.stack)
