"""Fixtures: one API server for all tests of this folder, a namespace for each."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from tests import tools
from tests.kubernetes import apiserver

#: Users of the test server beside its admin, by token.
USERS = {f"{name}-token": (name, "") for name in ("reader", "nobody")}


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.kubernetes)


@pytest.fixture(scope="session")
def api(tmp_path_factory):
    """A real API server with the operators' CRDs and a node."""
    try:
        tools.cluster_binary("kube-apiserver")
    except tools.ToolMissingError as error:
        pytest.fail(str(error))
    with apiserver.running(tmp_path_factory.mktemp("kubernetes"), USERS) as server:
        yield server


@pytest.fixture
def namespace(api):
    """A namespace of its own."""
    from kubernetes import client

    name = f"t-{uuid.uuid4().hex[:8]}"
    client.CoreV1Api(api.client()).create_namespace({"metadata": {"name": name}})
    return name
