"""Numbers that a user gives, and their bounds."""

from __future__ import annotations

from numbers import Integral, Real


def within(value: object, low: float, high: float = float("inf")) -> bool:
    """Tell whether a value is a number from ``low`` to ``high``; NaN and numbers written as text are not."""
    return isinstance(value, Real) and low <= float(value) <= high


def is_count(value: object) -> bool:
    """Tell whether a value is a whole number above 0."""
    return isinstance(value, Integral) and int(value) >= 1
