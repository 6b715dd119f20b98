"""Memory of batches for `benchmarks.speed`, each batch in a process of its own.

    python -m benchmarks.speed.memory DTMigration-v0 4096

prints bytes per environment and the process's resident memory, from Linux's /proc, as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

import dtenv  # noqa: F401 (registers its environments)

ROOT = Path(__file__).parents[2]
STATUS = Path("/proc/self/status")


def memory_rows(env_ids: Sequence[str], counts: Sequence[int]) -> list[dict[str, Any]]:
    """Memory of batches of several sizes, each in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.speed.memory"]
    batches = [[env_id, str(count)] for env_id in env_ids for count in counts]
    return [json.loads(subprocess.check_output([*command, *batch], cwd=ROOT)) for batch in batches]


def measure(env_id: str, num_envs: int) -> dict[str, Any]:
    """Memory of a batch; `growth_mib` is the growth of the process from its first step over two episodes."""
    few: Any = gym.make_vec(env_id, num_envs=1, vectorization_mode="vector_entry_point")
    play(few, 1)  # loads the kernels
    before = resident("VmRSS")
    env: Any = gym.make_vec(env_id, num_envs=num_envs, vectorization_mode="vector_entry_point")
    play(env, 1)
    first = resident("VmRSS")
    for _ in range(2):
        play(env, env.scenario.episode.num_slots)
    return {
        "env_id": env_id,
        "num_envs": num_envs,
        "array_bytes_per_env": round(array_bytes(env.task) / num_envs),
        "resident_bytes_per_env": round((first - before) * 2**20 / num_envs),
        "growth_mib": round(resident("VmRSS") - first, 1),
        "peak_mib": round(resident("VmHWM"), 1),
    }


def play(env: Any, slots: int) -> None:
    """Reset, and play some slots with one random action."""
    env.reset(seed=0)
    env.action_space.seed(0)
    action = env.action_space.sample()
    for _ in range(slots):
        env.step(action)


def array_bytes(holder: Any) -> int:
    """Bytes of all arrays in an object's attributes, each counted once."""
    found: dict[int, int] = {}

    def look(value: Any) -> None:
        if isinstance(value, np.ndarray):
            while isinstance(value.base, np.ndarray):
                value = value.base
            found[id(value)] = value.nbytes
        elif isinstance(value, list | tuple):
            for part in value:
                look(part)

    look(list(vars(holder).values()))
    return sum(found.values())


def resident(field: str) -> float:
    """Resident memory of this process in MiB, now ("VmRSS") or at its peak ("VmHWM"); nan where unknown."""
    if not STATUS.exists():
        return float("nan")
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
