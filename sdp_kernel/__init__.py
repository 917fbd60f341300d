"""SDP workbench: Kafka topics and Flink SQL in Jupyter, and the way from a cell to a job.

>>> import sdp_kernel
>>> wb = sdp_kernel.connect("local")          # doctest: +SKIP
>>> wb.sql("SELECT 1 AS n").df              # doctest: +SKIP

In a notebook, ``%load_ext sdp_kernel`` adds the magics over the same calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sdp_kernel.version import __version__

__all__ = ["Workbench", "__version__", "clusters", "connect", "errors", "load_ipython_extension"]

if TYPE_CHECKING:
    from sdp_kernel import errors
    from sdp_kernel.workbench import Workbench, clusters, connect


def __getattr__(name: str) -> Any:
    """Load the public names when they are first used: loading the extension stays quick."""
    if name in {"Workbench", "clusters", "connect"}:
        from sdp_kernel import workbench  # noqa: PLC0415

        return getattr(workbench, name)
    if name == "errors":
        import importlib  # noqa: PLC0415

        return importlib.import_module("sdp_kernel.errors")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load_ipython_extension(ipython: Any) -> None:
    """Register the magics (``%load_ext sdp_kernel``)."""
    from sdp_kernel.notebook.magics import register  # noqa: PLC0415

    register(ipython)


def unload_ipython_extension(ipython: Any) -> None:
    """Close the workbench (``%unload_ext sdp_kernel``)."""
    from sdp_kernel.notebook.magics import unregister  # noqa: PLC0415

    unregister(ipython)
