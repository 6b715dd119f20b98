"""How dtenv compiles its kernels: one place for the options, the cache and the one notice to the user."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import sys
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
    _drop_stale_kernels(Path(inspect.getfile(function)).parent)
    return cast(F, numba.njit(**OPTIONS)(function))


def kernel(function: F) -> F:
    """`compiled` for functions that are handed arrays and neither return nor allocate any: references go uncounted.

    Numba counts them, by atomic additions, wherever a function is handed an array or takes a view of one. A kernel
    does not, nor does a `compiled` function that is first compiled from within it, so whatever loops over arrays had
    better say which it is. Numba refuses kernels that allocate. Functions that return arrays have to be `inlined`:
    compiled without counting, they would hand somebody who counts an array that is not theirs.
    """
    _drop_stale_kernels(Path(inspect.getfile(function)).parent)
    return cast(F, numba.njit(**OPTIONS | {"_nrt": False})(function))


def inlined(function: F) -> F:
    """`compiled` into its caller: for functions that return arrays, or that are handed many and called often."""
    _drop_stale_kernels(Path(inspect.getfile(function)).parent)
    return cast(F, numba.njit(**OPTIONS | {"inline": "always"})(function))


def as_record(*groups: Any) -> np.ndarray:
    """NamedTuples of scalars as one structured array of one, whose only element kernels read by field name.

    Numba unpacks one such array faster than a tuple of many scalars. Its fields are aligned: CUDA reads no others.
    """
    values = {name: value for group in groups for name, value in zip(group._fields, group, strict=True)}
    fields = np.dtype([(name, np.asarray(value).dtype) for name, value in values.items()], align=True)
    return np.array([tuple(values.values())], dtype=fields)


@cache
def _drop_stale_kernels(folder: Path) -> None:
    """Delete a folder's cached kernels once any source they may have been compiled from has changed.

    Numba's cache looks at a kernel's own file alone, so that a changed formula would leave its callers
    running the old one.
    """
    sources = {*Path(__file__).parent.rglob("*.py"), *folder.glob("*.py")}
    stats = "".join(f"{path}{path.stat().st_mtime_ns}{path.stat().st_size}" for path in sorted(sources))
    stamp = hashlib.sha256((numba.__version__ + stats).encode()).hexdigest()
    file = folder / "__pycache__" / "kernels.stamp"
    with contextlib.suppress(OSError):  # a read-only install: Numba then caches elsewhere
        if file.exists() and file.read_text() == stamp:
            return
        for kernel in file.parent.glob("*.nb[ic]"):
            kernel.unlink(missing_ok=True)
        file.parent.mkdir(exist_ok=True)
        file.write_text(stamp)
        # Told to people alone, on the first folder that `import dtenv` compiles from; scripts read stderr for errors.
        if folder.name == "physics" and (sys.stderr.isatty() or "ipykernel" in sys.modules):
            print("dtenv: compiling its kernels, once for this version (about half a minute)", file=sys.stderr)
