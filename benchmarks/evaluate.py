"""Evaluation of policies on common episodes: one row per episode and agent."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import platform
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

import dtenv
from agents.policy import Policy
from benchmarks.env_settings import ENV_SETTINGS
from dtenv.reporting.source import commit
from dtenv.scenario import Scenario

EVALUATION_SEEDS = range(100_000, 1_000_000)
"""Seeds of evaluation episodes. Training and offline datasets use larger ones, tuning smaller ones."""

TUNING_SEEDS = range(EVALUATION_SEEDS.start)
"""Seeds of episodes by which settings are chosen."""


def run_episodes(
    policy: Policy,
    env_id: str,
    scenario: Scenario,
    seeds: Sequence[int],
    progress: Callable[[int], Any] = lambda slots: None,
) -> list[dict[str, Any]]:
    """Run a policy on one episode per seed, as one batch, and return one row per episode.

    The columns are those of benchmarks.env_settings. The policy is reset once, with the first seed; `progress` is
    called with the number of slots just played.
    """
    means = ENV_SETTINGS[env_id].columns
    envs = side_by_side(env_id, scenario.override(**policy.overrides), len(seeds))
    obs, _ = envs.reset(seed=[int(seed) for seed in seeds])
    policy.reset(int(seeds[0]))
    slots, sums = 0, np.zeros((len(seeds), len(means)))
    running = True
    while running:
        obs, reward, _, truncated, info = envs.step(policy.act(obs))
        seen = {**info, "reward": reward, "violation_rate": ~info["feasible"]}
        sums += np.stack([np.asarray(seen[name], np.float64) for name in means], axis=1)
        slots += 1
        progress(len(seeds))
        running = not truncated[0]  # all episodes of a scenario are equally long
    envs.close()
    return [
        {"agent": policy.name, "env_id": env_id, "scenario": scenario.name, "seed": int(seed)}
        | {"num_users": scenario.value("num_users"), "num_servers": scenario.num_sites, "slots": slots}
        | dict(zip(means, (row / slots).tolist(), strict=True))
        for seed, row in zip(seeds, sums, strict=True)
    ]


def side_by_side(env_id: str, scenario: Scenario, num_envs: int) -> Any:
    """Make a vector environment without autoreset, whose episodes end together."""
    settings = {"vectorization_mode": "vector_entry_point", "autoreset_mode": "disabled"}
    return gym.make_vec(env_id, num_envs=num_envs, scenario=scenario, **settings)


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows as CSV, floats to the last bit."""
    rows = list(rows)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_study(out: Path, rows: Iterable[dict[str, Any]], record: dict[str, Any], table: str) -> None:
    """Write rows.csv, manifest.json and table.md of a study into a folder, and print the table."""
    out.mkdir(parents=True, exist_ok=True)
    write_rows(out / "rows.csv", rows)
    (out / "manifest.json").write_text(json.dumps(record, indent=1, default=str) + "\n")
    (out / "table.md").write_text(table)
    print(table)
    print(f"written to {out}/")


def manifest(*scenarios: Scenario, **about: Any) -> dict[str, Any]:
    """Record how to repeat a run: command, commit, versions, hardware and scenario (a list, if there are several)."""
    packages = ("numpy", "numba", "gymnasium", "torch")
    every = [scenario.as_dict() for scenario in scenarios]
    settings = every[0] if len(every) == 1 else every
    return {
        "command": " ".join(["python", "-m", *_module(), *sys.argv[1:]]),
        "dtenv": dtenv.__version__,
        "commit": commit(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
        "machine": f"{platform.machine()}, {platform.system()}, {cores()} cores",
        "scenario": settings,
        "scenario_sha256": hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest(),
        **about,
    }


def _module() -> list[str]:
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return [spec.name.removesuffix(".__main__")] if spec else [Path(sys.argv[0]).name]


def cores() -> int:
    """Number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
