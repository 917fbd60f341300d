"""Which script a job runs: a hash that goes with the job, and can be asked of the cluster."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sdp_kernel.flink.script import significant, split

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The name it goes by, among the parameters that a job carries.
SCRIPT = "sdp.script.sha256"
_PARAMETERS = "pipeline.global-job-parameters"
_FILES = "'python.files'"


def marked(config: Mapping[str, str], script: str) -> dict[str, str]:
    """Return a job's configuration with the mark of its script: ``GET /jobs/:id/config`` shows it."""
    mark = f"{SCRIPT}:{script_hash(script)}"
    return {**config, _PARAMETERS: ",".join(filter(None, [config.get(_PARAMETERS), mark]))}


def script_hash(script: str) -> str:
    """Return the hash of a script's statements, as they are written.

    Where Python functions lie differs from place to place, and is left out; white space and comments
    between statements are as well.
    """
    texts = [found.text for found in split(script)]
    kept = [text for text in texts if [token.text for token in significant(text)[:2]] != ["SET", _FILES]]
    return hashlib.sha256("\0".join(kept).encode()).hexdigest()
