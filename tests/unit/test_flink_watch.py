"""What is made of a job that was cancelled behind a query's back."""

from types import SimpleNamespace

import pytest

from sdp_kernel.errors import GatewayUnreachable
from sdp_kernel.flink.recovery import Watch


def watched(knows):
    asked = []
    query = SimpleNamespace(
        statement=SimpleNamespace(is_query=True),
        job_id="j",
        lost=None,
        over=lambda: False,
        ask_to_end=asked.append,
    )
    session = SimpleNamespace(
        running=[query],
        handle="s",
        jobmanager=SimpleNamespace(states=lambda: {"j": "CANCELED"}),
        gateway=SimpleNamespace(knows=knows),
    )
    Watch(session).look()
    return asked


def unreachable(_handle):
    raise GatewayUnreachable("nobody there")


@pytest.mark.parametrize(
    ("knows", "asked"),
    [
        pytest.param(lambda _handle: True, ["stopped"], id="somebody cancelled it"),
        pytest.param(lambda _handle: False, [], id="the gateway gave up its session"),
        pytest.param(unreachable, [], id="the gateway is away"),
    ],
)
def test_a_cancelled_job_ends_its_query_only_where_its_session_lives(knows, asked):
    assert watched(knows) == asked
