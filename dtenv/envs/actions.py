"""Actions as `step` is given them: checked before anything is played, for one episode or for a batch of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dtenv.compiled import compiled

Rows = np.ndarray | None
"""Rows of a batch that are looked at, whole numbers; None where all are, or where there is no batch."""


def as_array(name: str, values: Any) -> np.ndarray:
    """The values as an array.

    Raises:
        ValueError: lists of different lengths within one; the message names them.
    """
    try:
        return np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} must be an array, got a ragged sequence {values!r}") from None


def _shaped(name: str, values: Any, shape: tuple[int, ...] | None, whole: bool, of_what: str = "") -> np.ndarray:
    """The values as an array of numbers of this shape, which are to be whole or not.

    Raises:
        ValueError: wrong shape or dtype.
    """
    array = as_array(name, values)
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, {of_what}got shape {array.shape}")
    if array.dtype.kind not in ("iu" if whole else "fiu"):
        raise ValueError(f"{name} must hold {'whole ' if whole else ''}numbers, got dtype {array.dtype}")
    return array


def read_indices(
    name: str, values: Any, shape: tuple[int, ...], count: int, what: str, rows: Rows = None
) -> np.ndarray:
    """Whole numbers in 0 … count - 1 of the given shape, as int64.

    Raises:
        ValueError: wrong shape, dtype or range; the message names the entry.
    """
    given = _shaped(name, values, shape, True, f"one {what} a user, ")
    indices = given.astype(np.int64, order="C", copy=False)
    looked_at = indices if rows is None else indices[rows]
    outside = first_outside(looked_at.reshape(-1), count)
    if outside >= 0:
        wrong = (given if rows is None else given[rows]).reshape(-1)[outside]  # as given: uint64 may wrap around
        raise ValueError(f"{name}{_place(outside, shape, rows)} must be a {what} in 0..{count - 1}, got {wrong}")
    return indices


def read_numbers(name: str, values: Any, shape: tuple[int, ...] | None, rows: Rows = None) -> np.ndarray:
    """Finite numbers of the given shape as float64, clipped to [0, 1].

    Raises:
        ValueError: wrong shape or dtype, or a number that is not finite; the message names the entry.
    """
    numbers = _shaped(name, values, shape, False).astype(np.float64)
    _refuse(name, numbers, np.isfinite(numbers), "be a finite number", rows)
    return np.clip(numbers, 0.0, 1.0, out=numbers)


def read_shares(name: str, values: Any, shape: tuple[int, ...], rows: Rows = None) -> np.ndarray:
    """Numbers in [0, 1] of the given shape as float64.

    Raises:
        ValueError: wrong shape, or a number outside; the message names the entry.
    """
    shares = np.asarray(values, dtype=np.float64)
    if shares.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got shape {shares.shape}")
    _refuse(name, shares, (shares >= 0.0) & (shares <= 1.0), "lie in [0, 1]", rows)
    return shares


def read_bits(name: str, values: Any, shape: tuple[int, ...] | None, rows: Rows = None) -> np.ndarray:
    """Zeros and ones of the given shape as float64.

    Raises:
        ValueError: wrong shape, dtype or range; the message names the entry.
    """
    bits = _shaped(name, values, shape, True)
    _refuse(name, bits, (bits == 0) | (bits == 1), "be 0 or 1", rows)
    return bits.astype(np.float64)


def read_server_and_history(name: str, values: Any) -> tuple[Any, Any]:
    """The two entries of DTAssociation's action where the agent chooses γ too.

    Raises:
        ValueError: something else than a dict of both.
    """
    if not isinstance(values, Mapping) or set(values) != {"server", "history"}:
        raise ValueError(f'{name} must be a dict of "server" and "history", got {values!r}')
    return values["server"], values["history"]


def _refuse(name: str, values: np.ndarray, good: np.ndarray, what: str, rows: Rows) -> None:
    """Raise ValueError for the first value that is not good."""
    if rows is not None:
        values, good = values[rows], good[rows]
    if not good.all():
        wrong = int(np.flatnonzero(~good)[0])
        place = _place(wrong, values.shape, rows)
        raise ValueError(f"{name}{place} must {what}, got {values.reshape(-1)[wrong]}")


def _place(flat: int, shape: tuple[int, ...], rows: Rows) -> str:
    """The brackets that name an entry of an array by its place among those looked at."""
    if not shape:
        return ""
    axes = [int(i) for i in np.unravel_index(flat, (len(rows), *shape[1:]) if rows is not None else shape)]
    if rows is not None:
        axes[0] = int(rows[axes[0]])
    return str(axes)


@compiled
def first_outside(indices: np.ndarray, count: int) -> int:
    """First place whose index is not in 0 … count - 1, or -1."""
    for u in range(len(indices)):
        if indices[u] < 0 or indices[u] >= count:
            return u
    return -1
