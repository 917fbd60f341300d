"""The embedded stack: artifacts, processes, stack."""
