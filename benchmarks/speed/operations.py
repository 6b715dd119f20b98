"""Arithmetic of a slot: the kernels run as plain Python on numbers that count their operations.

    python -m benchmarks.speed.operations DTAssociation-v0

Counts, per slot of random actions, additions, subtractions, multiplications, divisions and powers of float64, and
separately calls of `math` (exponentials, logarithms, roots). Comparisons and integer arithmetic do not count.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np

import dtenv  # noqa: F401

SLOTS = 3
COUNTED = Counter[str]()
FUNCTIONS = ("sqrt", "exp", "expm1", "log", "log1p", "log2", "log10", "tanh", "hypot", "cos", "sin")


class Number(float):
    """A float64 that counts its arithmetic."""

    __array_ufunc__ = None  # NumPy's scalars defer to this class

    def __neg__(self):
        return Number(float.__neg__(self))

    def __abs__(self):
        return Number(float.__abs__(self))


def _counting(name: str) -> Any:
    plain = getattr(float, name)

    def operation(self: float, other: Any) -> Any:
        result = plain(self, float(other))
        COUNTED["operations"] += 1
        return Number(result)

    return operation


def _comparing(name: str) -> Any:
    plain = getattr(float, name)
    return lambda self, other: plain(self, float(other))


for _name in ("add", "sub", "mul", "truediv", "pow", "radd", "rsub", "rmul", "rtruediv", "rpow"):
    setattr(Number, f"__{_name}__", _counting(f"__{_name}__"))
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(Number, f"__{_name}__", _comparing(f"__{_name}__"))


def _counting_function(name: str) -> Any:
    plain = getattr(math, name)

    def function(*given: float) -> Number:
        COUNTED["functions"] += 1
        return Number(plain(*given))

    return function


def count(env_id: str, overrides: Mapping[str, Any]) -> dict[str, float]:
    """Operations and functions per slot of an environment, counted in a process with uncompiled kernels."""
    command = [sys.executable, "-m", "benchmarks.speed.operations", env_id, json.dumps(dict(overrides))]
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "NUMBA_ENABLE_CUDASIM": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def _counted(array: np.ndarray) -> np.ndarray:
    numbers = np.empty(array.shape, object)
    numbers.ravel()[:] = [Number(x) for x in array.ravel()]
    return numbers


def _count_here(env_id: str, overrides: dict[str, Any]) -> dict[str, float]:
    env: Any = gym.make(env_id, disable_env_checker=True, **overrides).unwrapped
    task = env.task
    task._arrays = tuple(array.view(np.recarray) if array.dtype.names else array for array in task._arrays)
    env.reset(seed=0)
    env.action_space.seed(0)
    task._arrays = tuple(_counted(array) if array.dtype == np.float64 else array for array in task._arrays)
    for name in FUNCTIONS:
        setattr(math, name, _counting_function(name))
    slots = min(SLOTS, env.scenario.episode.num_slots)
    for _ in range(slots):
        action = env.read_action("action", env.action_space.sample(), task, ())
        task.step(*(part[None] for part in action))
    return {name: COUNTED[name] / slots for name in ("operations", "functions")}


if __name__ == "__main__":
    if os.environ.get("NUMBA_DISABLE_JIT") == "1":
        print(json.dumps(_count_here(sys.argv[1], json.loads(sys.argv[2]))))
    else:
        print(json.dumps(count(sys.argv[1], json.loads(sys.argv[2]) if len(sys.argv) > 2 else {})))
