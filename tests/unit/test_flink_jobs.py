import httpx
import pytest

from sdp_kernel.errors import SdpError, Unreachable
from sdp_kernel.flink.jobs import JobManager
from sdp_kernel.local.components import free_ports


def jobmanager(answers):
    """A JobManager whose REST answers are given: for states a cluster cannot be brought to on purpose."""
    return JobManager(
        "http://test",
        transport=httpx.MockTransport(
            lambda r: answers.get(r.url.path, httpx.Response(404, json={"errors": ["Not found."]}))
        ),
    )


def vertices(**tasks):
    return {"/jobs/a": httpx.Response(200, json={"vertices": [{"tasks": tasks}]})}


@pytest.mark.parametrize("call", [lambda j: j.state("a"), lambda j: j.jobs(), lambda j: j.cancel("a")])
def test_nobody_at_the_address_is_told_with_the_address(call):
    port = free_ports(1)[0]
    with pytest.raises(Unreachable, match=str(port)):
        call(JobManager(f"http://127.0.0.1:{port}"))


def test_a_job_that_is_not_known_is_unknown_and_no_error():
    assert jobmanager({}).state("a") == "UNKNOWN"


@pytest.mark.parametrize("state", ["CREATED", "SCHEDULED", "DEPLOYING", "INITIALIZING"])
def test_a_job_starts_while_one_task_does(state):
    assert jobmanager(vertices(**{state: 1, "RUNNING": 3})).starting("a")


def test_a_job_whose_tasks_run_has_started():
    assert not jobmanager(vertices(RUNNING=2, INITIALIZING=0)).starting("a")


def test_a_refusal_says_what_was_asked_and_why():
    stack = "org.apache.flink.runtime.rest.handler.RestHandlerException: Job a is in terminal state\n\tat x.y(Z.java:1)"
    refusing = jobmanager({"/jobs/a": httpx.Response(409, json={"errors": [stack]})})
    with pytest.raises(SdpError, match="refused PATCH /jobs/a: Job a is in terminal state"):
        refusing.cancel("a")


def test_the_root_cause_is_the_newest_entry_of_the_history():
    history = {
        "exceptionHistory": {
            "entries": [
                {"stacktrace": "java.lang.RuntimeException: x\nCaused by: a.BException: the disk is full\n"}
            ]
        }
    }
    assert (
        jobmanager({"/jobs/a/exceptions": httpx.Response(200, json=history)}).root_cause("a")
        == "the disk is full"
    )
