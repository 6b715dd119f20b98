"""Compilation of the kernels: Numba options, cache, and the notice to the user."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import sys
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])

OPTIONS: dict[str, Any] = {"cache": True, "error_model": "numpy", "nogil": True}


def compiled(function: F) -> F:
    """Compile a scalar function or kernel: float64 without fast-math, cached on disk, IEEE division."""
    return _jit(function)


def kernel(function: F) -> F:
    """`compiled` without reference counting, for functions that neither return nor allocate arrays.

    Numba counts references by atomic additions wherever a function receives an array or takes a view of one. A kernel
    does not, nor does a `compiled` function that is first compiled from within it, so decorate every function that
    loops over arrays explicitly. Numba refuses kernels that allocate. Functions that return arrays must be `inlined`:
    compiled without counting, they would return arrays that a counting caller does not own.
    """
    return _jit(function, _nrt=False)


def inlined(function: F) -> F:
    """`compiled` into its caller: for functions that return arrays, or that take many and are called often."""
    return _jit(function, inline="always")


def _jit(function: F, **options: Any) -> F:
    """Compile with the cache, or without it where no folder for it can be written to."""
    _drop_stale_kernels(Path(inspect.getfile(function)).parent)
    try:
        return cast(F, numba.njit(**OPTIONS | options)(function))
    except RuntimeError as error:
        if "no locator available" not in str(error):
            raise
    _warn_of_no_cache()
    return cast(F, numba.njit(**OPTIONS | options | {"cache": False})(function))


@cache
def _warn_of_no_cache() -> None:
    text = "dtenv: neither its folder nor HOME can be written to, so kernels are compiled again in every process"
    warnings.warn(f"{text}; set NUMBA_CACHE_DIR to a folder that can be", stacklevel=4)


def as_record(*groups: Any) -> np.ndarray:
    """Pack NamedTuples of scalars into a structured array of length 1, whose element kernels read by field name.

    Numba unpacks such an array faster than a tuple of many scalars. Fields are aligned, as CUDA requires.
    """
    values = {name: value for group in groups for name, value in zip(group._fields, group, strict=True)}
    fields = np.dtype([(name, np.asarray(value).dtype) for name, value in values.items()], align=True)
    return np.array([tuple(values.values())], dtype=fields)


@cache
def _drop_stale_kernels(folder: Path) -> None:
    """Delete a folder's cached kernels if any of their possible sources has changed.

    Numba's cache checks only the kernel's own file, so its callers would keep running an old version of a formula.
    """
    sources = {*Path(__file__).parent.rglob("*.py"), *folder.glob("*.py")}
    stats = "".join(f"{path}{path.stat().st_mtime_ns}{path.stat().st_size}" for path in sorted(sources))
    stamp = hashlib.sha256((numba.__version__ + stats).encode()).hexdigest()
    file = folder / "__pycache__" / "kernels.stamp"
    with contextlib.suppress(OSError):  # read-only installation: Numba caches elsewhere
        if file.exists() and file.read_text() == stamp:
            return
        for kernel in file.parent.glob("*.nb[ic]"):
            kernel.unlink(missing_ok=True)
        file.parent.mkdir(exist_ok=True)
        file.write_text(stamp)
        # Only in interactive use, for the first folder that `import dtenv` compiles; scripts read stderr for errors.
        if folder.name == "physics" and (sys.stderr.isatty() or "ipykernel" in sys.modules):
            print("dtenv: compiling its kernels, once for this version (about half a minute)", file=sys.stderr)
