"""How dtenv compiles its kernels: one place for the options, and for the one notice to the user."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile a scalar function or kernel: float64 without fast-math, cached on disk, IEEE division."""
    return cast(F, numba.njit(cache=True, error_model="numpy", nogil=True)(function))


def as_record(values: Any) -> np.ndarray:
    """A NamedTuple of scalars as a structured array of one, whose only element kernels read by field name.

    Handing a kernel one such array costs a fifth of handing it the tuple.
    """
    fields = [(name, np.asarray(value).dtype) for name, value in zip(values._fields, values, strict=True)]
    return np.array([tuple(values)], dtype=fields)


def announce_first_compilation() -> None:
    """Say once, on standard error, that a machine without cached kernels compiles them now."""
    cache = Path(__file__).parent / "tasks" / "__pycache__"
    if not any(cache.glob("*.nbi")) and "NUMBA_CACHE_DIR" not in os.environ:
        print("dtenv: compiling its kernels, once on this machine (about half a minute)", file=sys.stderr)
