"""Benchmarks: what users wait for, each as a ratio to a peer or a limit of the same run."""
