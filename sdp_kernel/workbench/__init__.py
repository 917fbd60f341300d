"""The composition root: the one place that wires the rooms together. Magics and CLI call this."""

from sdp_kernel.workbench.core import Workbench, connect

__all__ = ["Workbench", "connect"]
