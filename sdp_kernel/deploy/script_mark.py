"""Which script a job runs: a hash that goes with the job, and can be asked of the cluster."""

from __future__ import annotations

import hashlib

from sdp_kernel.flink.script import significant, split

#: The setting it goes by, among the job's own.
SCRIPT = "sdp.script.sha256"
_FILES = "'python.files'"


def script_hash(script: str) -> str:
    """Return the hash of a script's statements, as they are written.

    Where Python functions lie differs from place to place, and is left out; white space and comments
    between statements are as well.
    """
    texts = [found.text for found in split(script)]
    kept = [text for text in texts if [token.text for token in significant(text)[:2]] != ["SET", _FILES]]
    return hashlib.sha256("\0".join(kept).encode()).hexdigest()
