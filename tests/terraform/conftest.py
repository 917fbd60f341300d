"""Terraform and its provider; without Go or Terraform these tests are left out, but never in CI."""

import os

import pytest

from tests import tools


@pytest.fixture(scope="session", autouse=True)
def programs():
    try:
        tools.terraform()
        tools.environment()
    except tools.ToolMissingError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error).splitlines()[0])
