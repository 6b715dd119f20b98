"""Start-up time of `benchmarks.speed`'s environments: import, make, reset and one step in a fresh process.

A cold start has an empty folder of compiled kernels, a temporary NUMBA_CACHE_DIR; a warm start has the cold one's.
Python's byte code stays cached.
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
        env_ids: environments to start.
        num_envs: rows of a batch.
        cold: number of cold starts; without any, warm ones use the kernels of the installation.
        warm: number of warm starts after each cold one.
    """
    rows = []
    for env_id in env_ids:
        for door, make in MAKE.items():
            code = CODE.format(make=make.format(env_id=env_id, num_envs=num_envs))
            first, later = [], []
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
    """Wall time of a process that runs `code`, with compiled kernels in `folder`."""
    cache = {} if folder is None else {"NUMBA_CACHE_DIR": folder}
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ | cache, check=True)
    return time.perf_counter() - start
