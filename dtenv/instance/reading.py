"""Reading of instances: fields checked by name, and numbers within JSON's range."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dtenv import validation

ABOVE_ZERO = math.ulp(0.0)
"""Least positive number, the lower bound of positive fields."""
WHOLE = 1 << 63
"""Integers from here on do not fit the kernels' 64 bits."""


class InstanceError(ValueError):
    """An invalid instance; the message names field and value."""


def loads(text: str) -> dict[str, Any]:
    """Instance from JSON text; NaN and Infinity are refused like other invalid numbers."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is a plain ValueError
        raise InstanceError(f"not JSON: {error}") from None


def fields(name: str, group: Any, known: tuple[str, ...]) -> None:
    """Raise InstanceError unless the group is an object of exactly the known fields."""
    if not isinstance(group, dict):
        raise InstanceError(f"{name} must be an object, got {group!r}")
    for field in group:
        if field not in known:
            raise InstanceError(f"{name} has an unknown field {field!r}; known: {', '.join(known)}")
    for field in known:
        if field not in group:
            raise InstanceError(f"{name} lacks the field {field!r}")


def number(name: str, value: Any, low: float = -math.inf, high: float = math.inf) -> float:
    """Return the value as a float in [low, high]."""
    try:
        as_float = validation.number(name, value)
    except ValueError as error:
        raise InstanceError(error) from None
    if not low <= value <= high:
        bounds = "nonnegative" if (low, high) == (0.0, math.inf) else f"in [{low:g}, {high:g}]"
        raise InstanceError(f"{name} must be {'positive' if low == ABOVE_ZERO else bounds}, got {value!r}")
    return as_float


def parameter(name: str, value: Any) -> int | float:
    """Return a finite number unchanged, for a scenario's group to check; integers beyond 64 bits become floats."""
    as_float = number(name, value)
    return as_float if isinstance(value, int) and not -WHOLE <= value < WHOLE else value


def length(name: str, values: Any) -> int:
    """Number of entries of a list, at least one."""
    if not isinstance(values, list) or not values:
        raise InstanceError(f"{name} must be a non-empty list, got {values!r}")
    return len(values)


def numbers(name: str, values: Any, count: int, low: float = -math.inf, high: float = math.inf) -> np.ndarray:
    """Array (count,) of a list of numbers in [low, high]."""
    return _list(name, values, count, lambda entry, value: number(entry, value, low, high))


def rows(name: str, values: Any, count: int, width: int, low: float = -math.inf, high: float = math.inf) -> np.ndarray:
    """Array (count, width) of a list of lists of numbers in [low, high]."""
    return _list(name, values, count, lambda entry, value: numbers(entry, value, width, low, high))


def indices(name: str, values: Any, length: int, count: int) -> np.ndarray:
    """Array (length,) of a list of integers in 0..count - 1."""

    def read(entry: str, value: Any) -> int:
        try:
            return validation.integer(entry, value, 0, count - 1)
        except ValueError as error:
            raise InstanceError(error) from None

    return _list(name, values, length, read).astype(np.int64)


def finite(value: float) -> float | str:
    """The number, or "inf" or "-inf" where JSON has none."""
    return float(value) if math.isfinite(value) else str(float(value))


def _list(name: str, values: Any, count: int, read: Callable[[str, Any], Any]) -> np.ndarray:
    if not isinstance(values, list):
        raise InstanceError(f"{name} must be a list, got {values!r}")
    if len(values) != count:
        raise InstanceError(f"{name} must have {count} entries, got {len(values)}")
    return np.array([read(f"{name}[{i}]", value) for i, value in enumerate(values)])
