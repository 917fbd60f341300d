"""Vega for the page, out of a wheel: one script, made once and kept in the user's cache.

JupyterLab has a Vega of its own, but lets no widget use it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from importlib.metadata import version
from pathlib import Path

from sdp_kernel.notebook.chart_spec import vegalite_version

_MOST_S = 120
_MAKING = threading.Lock()
_MAKE = """
import sys, vl_convert
script = vl_convert.javascript_bundle("export { vegaEmbed };", vl_version=sys.argv[1])
open(sys.argv[2], "w", encoding="utf-8").write(script)
"""


def cache_file() -> Path:
    """Return where the script of the installed versions is kept; ``SDP_CACHE`` moves it."""
    import platformdirs  # noqa: PLC0415

    base = os.environ.get("SDP_CACHE") or platformdirs.user_cache_dir("sdp")
    versions = (version("vl-convert-python"), vegalite_version())
    return Path(base) / "vega" / f"vega-{'-'.join(versions)}.mjs"


def bundle() -> dict[str, str]:
    """Return the script, which exports ``vegaEmbed``: from the cache, or made in a few seconds."""
    path = cache_file()
    with _MAKING:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=path.parent) as place:
                made = Path(place) / path.name
                # In a process of its own: vl-convert would hold the interpreter, and every thread, meanwhile.
                command = [sys.executable, "-c", _MAKE, vegalite_version(), str(made)]
                subprocess.run(command, check=True, timeout=_MOST_S)
                made.replace(path)
    return {"script": path.read_text(encoding="utf-8"), "style": ""}
