"""How declarations are carried out; what a gateway answers is given."""

import json

import httpx
import pytest

from sdp_kernel.flink.gateway import Gateway, GatewayFault
from sdp_kernel.flink.runner import Runner

UNSUPPORTED = "Unsupported statement for configuring session: SHOW TABLES"


def runner(refusal=None):
    """Return a runner, and the paths it asks; ``refusal`` is what configure-session says."""
    asked = []

    def answer(request):
        path = request.url.path.removeprefix("/v3/sessions/s")
        asked.append(path)
        if path == "/configure-session":
            return (
                httpx.Response(500, json={"errors": [refusal]}) if refusal else httpx.Response(200, json={})
            )
        if path == "/statements":
            return httpx.Response(200, json={"operationHandle": "o"})
        if "/result/" in path:
            columns = [{"name": "result", "logicalType": {"type": "VARCHAR", "nullable": True, "length": 9}}]
            rows = [{"kind": "INSERT", "fields": ["OK"]}]
            page = {"resultType": "EOS", "results": {"columns": columns, "rowFormat": "JSON", "data": rows}}
            return httpx.Response(200, content=json.dumps(page, separators=(",", ":")))
        return httpx.Response(200, json={"status": "CLOSED"})

    return Runner(Gateway("http://test", transport=httpx.MockTransport(answer)), "s", None), asked


def test_a_declaration_is_one_request():
    run, asked = runner()
    run.declare("CREATE TABLE t (a INT)")
    assert asked == ["/configure-session"]


def test_what_configures_no_session_runs_as_a_statement():
    run, asked = runner(UNSUPPORTED)
    run.declare("SHOW TABLES")
    assert asked[:2] == ["/configure-session", "/statements"]


def test_a_declaration_that_flink_refuses_is_not_tried_again():
    run, asked = runner("org.apache.flink.table.api.ValidationException: no such connector")
    with pytest.raises(GatewayFault, match="no such connector"):
        run.declare("CREATE TABLE t (a INT)")
    assert asked == ["/configure-session"]
