"""A validated query becomes a job definition: slice, lint, plan, render, repository."""
