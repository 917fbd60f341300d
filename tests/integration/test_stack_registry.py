"""The embedded stack's schema registry."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest

from sdp_kernel.local import processes
from sdp_kernel.local.stack import Stack

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.stack

SCHEMA = {"type": "record", "name": "Order", "fields": [{"name": "id", "type": "long"}]}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("registry")
    yield path
    Stack(path, components=("registry",)).down(purge=True)


def test_schemas_outlive_a_restart(directory: Path) -> None:
    stack = Stack(directory, components=("registry",))
    info = stack.up()
    assert info.registry is not None
    assert (info.kafka, info.gateway) == (None, None)
    made = httpx.post(f"{info.registry}/subjects/orders-value/versions", json={"schema": json.dumps(SCHEMA)})
    number = made.raise_for_status().json()["id"]
    assert [c.name for c in stack.status().components] == ["registry"]
    stack.down()
    assert not processes.marked(directory)
    info = stack.up()
    found = httpx.get(f"{info.registry}/schemas/ids/{number}").raise_for_status().json()
    assert json.loads(found["schema"]) == SCHEMA


def test_it_listens_on_loopback_only(directory: Path) -> None:
    Stack(directory, components=("registry",)).up()
    (process,) = processes.marked(directory)
    listening = [c for c in process.net_connections() if c.status == psutil.CONN_LISTEN]
    assert listening
    assert {c.laddr.ip.removeprefix("::ffff:") for c in listening} <= {"127.0.0.1", "::1"}


def test_another_up_leaves_it_and_tells_its_address(directory: Path) -> None:
    with_it = Stack(directory, components=("registry",)).up()
    without = Stack(directory, components=())
    assert without.up().registry == with_it.registry
    assert [c.name for c in without.status().components] == ["registry"]
    assert "Quarkus" in without.logs("registry") or "apicurio" in without.logs("registry")
