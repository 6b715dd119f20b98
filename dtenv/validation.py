"""Checks of settings: each raises ValueError with the name and value of the setting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

Range = tuple[float, float]


def number(name: str, value: Any) -> float:
    """Return the value as a float; ValueError unless it is a finite number."""
    try:
        if not isinstance(value, bool | np.bool_ | str | bytes) and np.isscalar(value) and math.isfinite(value):  # type: ignore[arg-type]
            return float(value)  # type: ignore[arg-type]
    except (TypeError, OverflowError):
        pass  # complex, or an integer too large for a float
    raise ValueError(f"{name} must be a finite number, got {value!r}")


def numbers(name: str, values: Any) -> tuple[float, ...]:
    """Return the values as floats; ValueError names the invalid entry."""
    if isinstance(values, str) or not np.iterable(values):
        raise ValueError(f"{name} must be a sequence of numbers, got {values!r}")
    return tuple(number(f"{name}[{i}]", value) for i, value in enumerate(values))


def positive_number(name: str, value: Any) -> float:
    """Return the value as a float; ValueError unless it is finite and positive."""
    if number(name, value) <= 0.0:
        raise ValueError(f"{name} must be positive, got {value!r}")
    return float(value)


def integer(name: str, value: Any, low: int = 1, high: int | None = None) -> int:
    """Return the value as an int; ValueError unless it is an integer of at least `low`, and at most `high`."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        kinds = {0: "a non-negative integer", 1: "a positive integer"}
        kind = kinds.get(low, f"an integer of at least {low}") if high is None else f"an integer in {low}..{high}"
        raise ValueError(f"{name} must be {kind}, got {value!r}")
    return int(value)


def at_least(group: Any, low: float, *names: str) -> None:
    """Check that fields of a group are at least `low`."""
    for name in names:
        if number(name, getattr(group, name)) < low:
            raise ValueError(f"{name} must be at least {low:g}, got {getattr(group, name)!r}")


def positive(group: Any, *names: str) -> None:
    """Check that fields of a group are positive."""
    for name in names:
        positive_number(name, getattr(group, name))


def in_unit_interval(group: Any, *names: str) -> None:
    """Check that fields of a group lie in [0, 1]."""
    for name in names:
        if not 0.0 <= number(name, getattr(group, name)) <= 1.0:
            raise ValueError(f"{name} must lie in [0, 1], got {getattr(group, name)!r}")


def is_bool(group: Any, *names: str) -> None:
    """Check that fields of a group are booleans."""
    for name in names:
        if not isinstance(getattr(group, name), bool | np.bool_):
            raise ValueError(f"{name} must be True or False, got {getattr(group, name)!r}")


def positive_integer(group: Any, *names: str) -> None:
    """Check that fields of a group are positive integers, and convert them to int."""
    for name in names:
        object.__setattr__(group, name, integer(name, getattr(group, name)))


def one_of(group: Any, name: str, known: Sequence[str]) -> None:
    """Check that a field is one of the known words."""
    value = getattr(group, name)
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")


def ordered_pair(group: Any, low: float, *names: str) -> None:
    """Check that fields of a group are pairs low <= a <= b, and convert them to floats."""
    for name in names:
        value = getattr(group, name)
        try:
            a, b = numbers(name, value)
        except ValueError:
            raise ValueError(f"{name} must be a pair (low, high), got {value!r}") from None
        if not low <= a <= b:
            raise ValueError(f"{name} must be a pair {low:g} <= low <= high, got {value!r}")
        object.__setattr__(group, name, (a, b))
