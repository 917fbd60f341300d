"""A validated query becomes a job definition: slice, lint, plan, render, repository."""

from sdp_kernel.promote.lint import Finding
from sdp_kernel.promote.plan import Actions, Applied, Plan, Topic, build_plan
from sdp_kernel.promote.planned import PlannedFile

__all__ = ["Actions", "Applied", "Finding", "Plan", "PlannedFile", "Topic", "build_plan"]
