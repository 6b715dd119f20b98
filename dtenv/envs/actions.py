"""Validation of actions before a step, for one episode or a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dtenv.compiled import compiled

Rows = np.ndarray | None
"""Indices of the rows to check; None for all of them, or without a batch."""


def as_array(name: str, values: Any) -> np.ndarray:
    """Return `np.asarray(values)`; ValueError for ragged sequences."""
    try:
        return np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} must be an array, got a ragged sequence {values!r}") from None


def _shaped(name: str, values: Any, shape: tuple[int, ...] | None, whole: bool, of_what: str = "") -> np.ndarray:
    """Return the values as an array of numbers or integers; ValueError for another shape or dtype."""
    array = as_array(name, values)
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, {of_what}got shape {array.shape}")
    if array.dtype.kind not in ("iu" if whole else "fiu"):
        raise ValueError(f"{name} must hold {'integers' if whole else 'numbers'}, got dtype {array.dtype}")
    return array


def read_indices(
    name: str, values: Any, shape: tuple[int, ...], count: int, what: str, rows: Rows = None
) -> np.ndarray:
    """Return integers in 0 … count - 1 as int64; ValueError names the entry of wrong shape, dtype or range."""
    given = _shaped(name, values, shape, True, f"one {what} per user, ")
    indices = given.astype(np.int64, order="C", copy=False)
    looked_at = indices if rows is None else indices[rows]
    outside = first_outside(looked_at.reshape(-1), count)
    if outside >= 0:
        wrong = (given if rows is None else given[rows]).reshape(-1)[outside]  # as given: uint64 may wrap around
        raise ValueError(f"{name}{_place(outside, shape, rows)} must be a {what} in 0..{count - 1}, got {wrong}")
    return indices


def read_numbers(name: str, values: Any, shape: tuple[int, ...] | None, rows: Rows = None) -> np.ndarray:
    """Return numbers as float64, clipped to [0, 1]; ValueError for a wrong shape or dtype or a non-finite entry."""
    numbers = _shaped(name, values, shape, False).astype(np.float64)
    _refuse(name, numbers, np.isfinite(numbers), "be a finite number", rows)
    return np.clip(numbers, 0.0, 1.0, out=numbers)


def read_shares(name: str, values: Any, shape: tuple[int, ...], rows: Rows = None) -> np.ndarray:
    """Return numbers in [0, 1] as float64; ValueError for a wrong shape or an entry out of range."""
    shares = np.asarray(values, dtype=np.float64)
    if shares.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got shape {shares.shape}")
    _refuse(name, shares, (shares >= 0.0) & (shares <= 1.0), "lie in [0, 1]", rows)
    return shares


def read_bits(name: str, values: Any, shape: tuple[int, ...] | None, rows: Rows = None) -> np.ndarray:
    """Return zeros and ones as float64; ValueError for a wrong shape or dtype or another entry."""
    bits = _shaped(name, values, shape, True)
    _refuse(name, bits, (bits == 0) | (bits == 1), "be 0 or 1", rows)
    return bits.astype(np.float64)


def read_server_and_history(name: str, values: Any) -> tuple[Any, Any]:
    """Return both entries of DTAssociation's Dict action; ValueError unless it is a dict of exactly these."""
    if not isinstance(values, Mapping) or set(values) != {"server", "history"}:
        raise ValueError(f'{name} must be a dict of "server" and "history", got {values!r}')
    return values["server"], values["history"]


def _refuse(name: str, values: np.ndarray, good: np.ndarray, what: str, rows: Rows) -> None:
    """Raise ValueError that names the first value that is not good."""
    if rows is not None:
        values, good = values[rows], good[rows]
    if not good.all():
        wrong = int(np.flatnonzero(~good)[0])
        place = _place(wrong, values.shape, rows)
        raise ValueError(f"{name}{place} must {what}, got {values.reshape(-1)[wrong]}")


def _place(flat: int, shape: tuple[int, ...], rows: Rows) -> str:
    """Index of a checked entry in the whole array, in brackets; "" for a scalar."""
    if not shape:
        return ""
    axes = [int(i) for i in np.unravel_index(flat, (len(rows), *shape[1:]) if rows is not None else shape)]
    if rows is not None:
        axes[0] = int(rows[axes[0]])
    return str(axes)


@compiled
def first_outside(indices: np.ndarray, count: int) -> int:
    """Position of the first index outside 0 … count - 1, or -1."""
    for u in range(len(indices)):
        if indices[u] < 0 or indices[u] >= count:
            return u
    return -1
