"""Ratios beside the limits that are set for them: figures in a table, never assertions."""

from __future__ import annotations


def at_most(ratio: float, limit: float) -> str:
    """A cell: the ratio, and whether it keeps to the limit."""
    digits = 2 if limit >= 1 else 3
    return f"{ratio:.{digits}f}, ≤ {limit:.2f} {'met' if ratio <= limit else 'missed'}"


def at_least(ratio: float, limit: float) -> str:
    """A cell: the ratio, and whether it reaches the limit."""
    return f"{ratio:.2f}, ≥ {limit:.2f} {'met' if ratio >= limit else 'missed'}"
