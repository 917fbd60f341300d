"""The composition root: the one place that wires the rooms together. Magics and CLI call this."""

from sdp_kernel.workbench.core import Workbench, connect
from sdp_kernel.workbench.session_clusters import clusters

__all__ = ["Workbench", "clusters", "connect"]
