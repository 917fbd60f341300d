import json

import httpx
import pytest

from sdp_kernel.errors import JobFailed, SdpError, Unreachable
from sdp_kernel.flink import jobs
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


def test_a_cause_that_flink_tells_late_is_waited_for():
    entry = {"stacktrace": "java.lang.RuntimeException: the disk is full\n"}
    told = [[], [], [entry]]

    def answer(_):
        return httpx.Response(200, json={"exceptionHistory": {"entries": told.pop(0)}})

    late = JobManager("http://test", transport=httpx.MockTransport(answer))
    assert [failure.reason for failure in late.causes("a")] == ["the disk is full"]


def test_a_job_without_a_cause_is_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(jobs, "_CACHED_S", 0.1)
    history = httpx.Response(200, json={"exceptionHistory": {"entries": []}})
    assert jobmanager({"/jobs/a/exceptions": history}).root_cause("a") == ""


def savepoint(*statuses, state="RUNNING", start=None):
    """A JobManager that takes a savepoint: its POST's answer, then one status after the other."""
    answers = iter(statuses)

    def answer(request):
        if request.url.path.endswith("/status"):
            return httpx.Response(200, json={"status": state})
        if request.method == "POST":
            return start or httpx.Response(202, json={"request-id": "t"})
        return httpx.Response(200, json=next(answers))

    return JobManager("http://test", transport=httpx.MockTransport(answer))


IN_PROGRESS = {"status": {"id": "IN_PROGRESS"}}


def completed(**operation):
    return {"status": {"id": "COMPLETED"}, "operation": operation}


def test_a_stop_waits_for_its_savepoint_and_returns_its_path():
    assert savepoint(IN_PROGRESS, IN_PROGRESS, completed(location="file:/s/1")).stop("a") == "file:/s/1"


def test_a_stop_is_asked_for_by_a_trigger_of_the_caller_s():
    asked = []

    def answer(request):
        if request.method == "POST":
            asked.append(json.loads(request.content))
            return httpx.Response(202, json={"request-id": asked[0]["triggerId"]})
        if request.url.path.endswith("/status"):
            return httpx.Response(200, json={"status": "RUNNING"})
        asked.append(request.url.path)
        return httpx.Response(200, json=completed(location="file:/s/1"))

    JobManager("http://test", transport=httpx.MockTransport(answer)).stop("a", trigger="f" * 32)
    assert asked == [{"drain": False, "triggerId": "f" * 32}, f"/jobs/a/savepoints/{'f' * 32}"]


def polled(*answers, timeout=5.0):
    """What becomes of a savepoint, by one answer after the other; the last one stays."""
    left = list(answers)

    def answer(request):
        one = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(one, Exception):
            raise one
        return one

    jobmanager = JobManager("http://test", transport=httpx.MockTransport(answer))
    return jobmanager.savepoint_path("a", "t", timeout=timeout)


def test_one_answer_that_fails_is_no_failure_of_the_savepoint():
    broken = httpx.Response(500, json={"errors": ["Internal server error."]})
    done = httpx.Response(200, json=completed(location="file:/s/1"))
    assert polled(httpx.ReadTimeout("slow"), broken, done) == "file:/s/1"


def test_a_savepoint_that_has_not_ended_or_is_not_answered_for_has_no_path_yet():
    assert polled(httpx.ConnectError("refused"), timeout=0.2) is None
    assert polled(httpx.Response(200, json=IN_PROGRESS), timeout=0.2) is None


def test_a_trigger_that_is_not_known_is_an_error_unless_it_is_on_its_way(monkeypatch):
    missing = httpx.Response(404, json={"errors": ["There is no savepoint operation with triggerId=t"]})
    assert polled(missing, httpx.Response(200, json=completed(location="file:/s/1"))) == "file:/s/1"
    monkeypatch.setattr(jobs, "_UNDERWAY_S", 0.1)
    with pytest.raises(SdpError, match="no savepoint operation"):
        polled(missing)


def test_a_savepoint_that_fails_gives_the_reason():
    cause = {
        "class": "x.CompletionException",
        "stack-trace": "x.E: Failed\nCaused by: y.IOException: no space left\n",
    }
    with pytest.raises(JobFailed, match="the savepoint of job a failed: no space left"):
        savepoint(completed(**{"failure-cause": cause})).savepoint("a")


def test_a_savepoint_that_does_not_end_says_so():
    with pytest.raises(JobFailed, match=r"has not ended within 0\.2 s"):
        savepoint(*[IN_PROGRESS] * 50).savepoint("a", timeout=0.2)


@pytest.mark.parametrize(
    ("state", "reason"), [("FINISHED", "it is FINISHED"), ("CANCELED", "it is CANCELED")]
)
def test_a_job_that_has_ended_gives_no_savepoint(state, reason):
    with pytest.raises(SdpError, match=reason):
        savepoint(state=state).stop("a")


def test_a_job_that_is_not_known_gives_no_savepoint():
    with pytest.raises(SdpError, match="it is not known to the JobManager"):
        jobmanager({}).stop("a")


def test_a_cluster_without_a_place_for_savepoints_says_what_to_set():
    refused = httpx.Response(
        500,
        json={
            "errors": [
                "x.RestHandlerException: Config key [execution.checkpointing.savepoint-dir] is not set. Property [targetDirectory] must be provided."
            ]
        },
    )
    with pytest.raises(SdpError, match="has no directory for savepoints") as error:
        savepoint(start=refused).savepoint("a")
    assert "execution.checkpointing.savepoint-dir" in error.value.hint


def test_metrics_that_are_not_measured_are_not_asked_for():
    asked = []

    def answer(request):
        names = request.url.params.get("get")
        asked.append(names)
        if names is None:
            return httpx.Response(200, json=[{"id": "a"}, {"id": "b"}])
        return httpx.Response(200, json=[{"id": n, "min": 1, "max": 2, "sum": 3} for n in names.split(",")])

    found = JobManager("http://test", transport=httpx.MockTransport(answer)).metrics(
        "j", "v", ["a", "gone", "b"]
    )
    assert asked == [None, "a,b"]
    assert (found["a"].min, found["b"].sum) == (1, 3)


def test_many_metrics_are_asked_for_in_lines_that_a_server_takes():
    names = [f"operator.{'x' * 80}.{number}" for number in range(100)]
    lengths = []

    def answer(request):
        if "get" not in request.url.params:
            return httpx.Response(200, json=[{"id": name} for name in names])
        lengths.append(len(str(request.url.raw_path)))
        some = request.url.params["get"].split(",")
        return httpx.Response(200, json=[{"id": n, "min": 1, "max": 1, "sum": 1} for n in some])

    found = JobManager("http://test", transport=httpx.MockTransport(answer)).metrics("j", "v", names)
    assert set(found) == set(names)
    assert max(lengths) < 4096


def test_values_that_are_no_numbers_are_left_out():
    answers = {
        "/jobs/a/metrics": httpx.Response(200, json=[{"id": "x", "value": "NaN"}, {"id": "y", "value": "2"}]),
    }
    assert jobmanager(answers).job_metrics("a", ["x", "y"]) == {"y": 2.0}
