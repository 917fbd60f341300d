"""A validated query becomes a job definition: slice, lint, plan, render, repository."""

from sdp_kernel.promote.apply import Actions, Applied, Where
from sdp_kernel.promote.lint import Finding, check_fix
from sdp_kernel.promote.outputs import Topic
from sdp_kernel.promote.plan import Plan, build_plan
from sdp_kernel.promote.receipt import Witness
from sdp_kernel.promote.request import Request
from sdp_kernel.repository.planned import PlannedFile

__all__ = [
    "Actions", "Applied", "Finding", "Plan", "PlannedFile", "Request", "Topic", "Where",
    "Witness", "build_plan", "check_fix",
]  # fmt: skip
