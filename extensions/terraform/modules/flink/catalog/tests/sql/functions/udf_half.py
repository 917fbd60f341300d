# ruff: noqa: INP001
"""A function's file, carried as it is."""


def half(x: float) -> float:
    """Return half of ``x``."""
    return x / 2
