"""A validated query becomes a job definition: slice, lint, plan, render, repository."""

from sdp_kernel.promote.lint import Finding
from sdp_kernel.promote.plan import Actions, Applied, Plan, Topic, build_plan
from sdp_kernel.promote.request import Request
from sdp_kernel.repository.planned import PlannedFile

__all__ = ["Actions", "Applied", "Finding", "Plan", "PlannedFile", "Request", "Topic", "build_plan"]
