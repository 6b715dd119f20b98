"""How long `benchmarks.speed`'s environments take to start: a fresh process imports, makes, resets, and plays a step.

Cold, the folder of compiled kernels is empty, a temporary one that NUMBA_CACHE_DIR names; warm, it is what the cold
process left there. Python's own byte code stays cached.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parents[2]
MAKE = {
    "single": "gymnasium.make({env_id!r})",
    "vector": 'gymnasium.make_vec({env_id!r}, num_envs={num_envs}, vectorization_mode="vector_entry_point")',
}
CODE = "import gymnasium, dtenv; env = {make}; env.reset(seed=0); env.step(env.action_space.sample())"


def start_rows(env_ids: Sequence[str], num_envs: int, cold: int, warm: int) -> list[dict[str, Any]]:
    """Median seconds of whole processes, from the interpreter's start to its end.

    Args:
        env_ids: which environments.
        num_envs: rows of a batch.
        cold: processes with an empty folder of kernels; with none, the installation's own folders serve the warm ones.
        warm: processes with a full one, after each cold one.
    """
    rows = []
    for env_id in env_ids:
        for door, make in MAKE.items():
            code = CODE.format(make=make.format(env_id=env_id, num_envs=num_envs))
            first: list[float] = []
            later: list[float] = []
            for _ in range(cold):
                with TemporaryDirectory(prefix="kernels") as folder:
                    first.append(seconds(code, folder))
                    later += [seconds(code, folder) for _ in range(warm)]
            if not cold:
                later = [seconds(code) for _ in range(warm)]
            rows.append(
                {"env_id": env_id, "door": door, "num_envs": num_envs if door == "vector" else 1}
                | {"cold_s": round(statistics.median(first), 2) if first else None, "cold_processes": len(first)}
                | {"warm_s": round(statistics.median(later), 2), "warm_processes": len(later)}
            )
    return rows


def seconds(code: str, folder: str | None = None) -> float:
    """Wall time of a process that runs some code, with its kernels kept in a folder."""
    kept = {} if folder is None else {"NUMBA_CACHE_DIR": folder}
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ | kept, check=True)
    return time.perf_counter() - start
