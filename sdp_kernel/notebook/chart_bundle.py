"""Vega for the page, out of a wheel: one script, made once and kept in the user's cache.

JupyterLab has a Vega of its own, but lets no widget use it.
"""

from __future__ import annotations

import os
import tempfile
from importlib.metadata import version
from pathlib import Path

from sdp_kernel.notebook.chart_spec import vegalite_version


def cache_file() -> Path:
    """Return where the script of the installed versions is kept; ``SDP_CACHE`` moves it."""
    import platformdirs  # noqa: PLC0415

    base = os.environ.get("SDP_CACHE") or platformdirs.user_cache_dir("sdp")
    versions = (version("vl-convert-python"), vegalite_version())
    return Path(base) / "vega" / f"vega-{'-'.join(versions)}.mjs"


def bundle() -> dict[str, str]:
    """Return the script, which exports ``vegaEmbed``: from the cache, or made in about two seconds."""
    path = cache_file()
    if not path.exists():
        import vl_convert  # noqa: PLC0415

        script = vl_convert.javascript_bundle("export { vegaEmbed };", vl_version=vegalite_version())
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as part:
            part.write(script)
        Path(part.name).replace(path)
    return {"script": path.read_text(encoding="utf-8"), "style": ""}
