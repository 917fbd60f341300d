"""The commands for Kubernetes where the extra is not installed."""

import subprocess
import sys

import pytest

WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {'kubernetes', 'websocket', 'gitlab'}:
            raise ImportError(name)
sys.meta_path.insert(0, Missing())
from sdp_kernel.cli import main
main()
"""


@pytest.mark.parametrize("arguments", [["jobs", "--profile", "dev"], ["clusters", "--profile", "dev"]])
def test_a_command_says_what_to_install(tmp_path, arguments):
    (tmp_path / "sdp.toml").write_text('[profiles.dev.kubernetes]\nnamespace = "n"\n')
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "pip install 'sdp-kernel[kubernetes]'" in done.stderr
    assert "Traceback" not in done.stderr
