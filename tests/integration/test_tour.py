"""The tour, cell by cell, by nbval: no cell fails, and marked outputs are the ones in the file."""

import subprocess
import sys

import pytest

from tests.tour import environment, project

pytestmark = pytest.mark.stack


def test_the_tour_runs_and_gives_the_outputs_it_shows():
    with project() as root:
        command = [
            sys.executable,
            "-m",
            "pytest",
            "--nbval-lax",
            "-q",
            "-p",
            "no:cacheprovider",
            "tour.ipynb",
        ]
        done = subprocess.run(
            command, cwd=root, env=environment(), capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
