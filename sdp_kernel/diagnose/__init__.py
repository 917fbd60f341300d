"""Why a query gives no rows, from evidence: :func:`why`. Data only; drawing it is the notebook's."""

from sdp_kernel.diagnose.findings import Diagnosis, Finding
from sdp_kernel.diagnose.why import why

__all__ = ["Diagnosis", "Finding", "why"]
