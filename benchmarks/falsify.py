"""Try to beat the proven bounds with random plans, hill climbing and every agent, on fresh seeds and random scenarios.

python -m benchmarks.falsify --minutes 20

Any success is a bug in dtenv: the instance and the plan that beat its bound are saved, and the command fails.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import tyro
from tqdm import tqdm

import agents
from agents.policy import Policy
from benchmarks.evaluate import manifest
from dtenv import presets
from dtenv.oracle import BoundExceeded, check_bound, solve_episode
from dtenv.oracle.replay import replay, row_of
from dtenv.scenario import Scenario

SEEDS = range(2_000_000, 1_000_000_000)
"""Seeds of falsification: above those of training and evaluation."""

VARIED: dict[str, dict[str, tuple[Any, ...]]] = {
    "DTAssociation-v0": {
        "num_users": (1, 2, 4, 8, 12, 20),
        "num_servers": (1, 2, 3, 9, 15, 21),
        "samples": ((100, 300), (1, 50), (100, 1000)),
        "n_syn": (0.1, 3.0, 10.0),
        "n_mig": (0.0, 3e-5, 1e-4),
        "f0": (50.0, 200.0, 1000.0),
        "emd": (0.0, 0.2, 0.6),
        "compute_capacity": ((1.4e3, 1.5e3), (3e2, 6e2)),
        "migrate_current_data": (True, False),
    },
    "DTPlacementMA-v0": {
        "num_users": (1, 3, 6, 12, 20, 50),
        "num_stations": (1, 2, 3, 5, 10),
        "compute_sharing": ("sqrt", "equal", "slice"),
        "access": ("strongest", "nearest", "direct"),
        "bandwidth_sharing": ("equal", "full"),
        "deadline_s": ((2.0, 6.0), (0.5, 2.0)),
        "host_cost": (0.0, 0.2, 1.0),
        "move_cost": (0.0, 0.1),
        "charge_initial": ("always", "on_change"),
    },
    "DTMigration-v0": {
        "num_users": (2, 5, 10, 50),
        "num_stations": (2, 3, 10),
        "compute_sharing": ("equal", "sqrt", "slice"),
        "kappa": (0.0, 0.3, 1.5, 10.0),
        "control": ("focal", "focal", "joint"),
        "background": ("payback", "never"),
        "shadowing_site_correlation": (0.0, 0.5),
    },
}
"""Values from which fields of a scenario are drawn; a field keeps the preset's own with probability 1/2."""


@dataclass
class Falsify:
    """Settings of the attempt."""

    minutes: float = 20.0
    """minutes to try"""
    env_id: str | None = None
    """one environment; by default all, in turn"""
    seed: int | None = None
    """first seed, at least 2,000,000; by default a fresh one"""
    bound_seconds: float = 20.0
    """time limit of each bound, seconds"""
    tries_seconds: float = 4.0
    """seconds spent trying to beat each bound"""
    out: Path = Path("runs/falsify")
    """folder to write to"""


def main(settings: Falsify) -> int:
    """Try until the time is over; return 1 if a bound was beaten, else 0."""
    seed = settings.seed if settings.seed is not None else int(np.random.default_rng().integers(SEEDS[0], SEEDS[-1]))
    first, env_ids = seed, [settings.env_id] if settings.env_id else list(VARIED)
    counts = {name: dict.fromkeys(("instances", "exact", "plans", "skipped"), 0) for name in env_ids}
    beaten: list[str] = []
    settings.out.mkdir(parents=True, exist_ok=True)
    end = time.perf_counter() + 60.0 * settings.minutes
    with tqdm(total=round(settings.minutes, 2), unit="min", bar_format="{l_bar}{bar}| {elapsed}{postfix}") as bar:
        while (left := end - time.perf_counter()) > 0.0:
            env_id = env_ids[(seed - first) % len(env_ids)]
            try:
                attempt(env_id, seed, settings, counts[env_id])
            except BoundExceeded as error:
                beaten.append(f"{env_id}, seed {seed}: {error}")
                tqdm.write(beaten[-1])
            seed += 1
            bar.n = round(settings.minutes - left / 60.0, 2)
            bar.set_postfix_str(f"{sum(c['plans'] for c in counts.values()):,} plans, {len(beaten)} bounds beaten")
    record = manifest(tried=counts, beaten=beaten, first_seed=first, last_seed=seed - 1)
    (settings.out / "falsify.json").write_text(json.dumps(record, indent=1) + "\n")
    for env_id, count in counts.items():
        tried = f"{count['plans']:,} plans against {count['instances']:,} bounds, of which {count['exact']:,} exact"
        print(f"{env_id}: {tried} ({count['skipped']:,} scenarios without room for all twins skipped)")
    print(f"{len(beaten)} bounds beaten; written to {settings.out}/falsify.json")
    return 1 if beaten else 0


def attempt(env_id: str, seed: int, settings: Falsify, count: dict[str, int]) -> None:
    """Bound one instance and try to beat the bound.

    Raises:
        BoundExceeded: it was beaten; the instance and the plan are saved.
    """
    rng = np.random.default_rng(seed)
    try:
        scenario = vary(env_id, rng)
    except ValueError:  # inconsistent values
        count["skipped"] += 1
        return
    env: Any = gym.make(env_id, scenario=scenario).unwrapped
    env.reset(seed=seed)
    task = env.task
    for _ in range(int(rng.integers(0, scenario.value("num_slots")))):  # to some state within the episode
        task.step(random_plan(task, 1, rng))
    solution = solve_episode(task, time_limit=settings.bound_seconds)
    count["instances"] += 1
    count["exact"] += int(solution.gap < 1e-7)
    slots = int(scenario.value("num_slots") - task.state.slot[0] + 1)
    best: tuple[float, np.ndarray] = (-np.inf, random_plan(task, slots, rng))

    def attempt_plan(plan: np.ndarray, by: str) -> float:
        nonlocal best
        value = float(np.mean(replay(task, 0, plan)))
        count["plans"] += 1
        try:
            check_bound(value, solution.bound, by)
        except BoundExceeded as error:
            about = {"env_id": env_id, "seed": seed, "slot": int(task.state.slot[0])}
            about |= {"server": task.state.server[0].tolist(), "plan": plan.tolist(), "value": value}
            record = manifest(scenario, **about, bound=solution.bound, proof=solution.proof, message=str(error))
            path = settings.out / f"beaten-{env_id}-{seed}.json"
            path.write_text(json.dumps(record, indent=1, default=str) + "\n")
            raise
        if value > best[0]:
            best = value, plan
        return value

    achieved = attempt_plan(np.reshape(solution.action, (slots, -1)), "the solver's own plan")
    if abs(achieved - solution.value) > 1e-9 * max(1.0, abs(achieved)):
        raise BoundExceeded(f"the solver's plan scores {achieved!r} when replayed, not {solution.value!r}")
    for name in (*agents.HEURISTICS[env_id], *agents.shipped(env_id, scenario.name)):
        policy = agents.load(name, env_id, scenario=scenario)
        policy.reset(seed)
        attempt_plan(played(policy, task), policy.name)
    until = time.perf_counter() + settings.tries_seconds
    climber = best
    while time.perf_counter() < until:
        if rng.random() < 0.2:
            attempt_plan(random_plan(task, slots, rng), "a random plan")
            continue
        if rng.random() < 0.02:  # restart from a random plan
            plan = random_plan(task, slots, rng)
            climber = attempt_plan(plan, "a random plan"), plan
        trial = neighbour(task, climber[1], rng)
        value = attempt_plan(trial, "hill climbing")
        if value >= climber[0]:
            climber = value, trial


def vary(env_id: str, rng: np.random.Generator) -> Scenario:
    """Draw a scenario from a random preset: short episodes, fields from VARIED."""
    names = [name for name in presets.PRESETS[env_id] if "literal" not in name]
    fields: dict[str, Any] = {"num_slots": int(rng.choice([1, 1, 2, 5, 20]))}
    for name, values in VARIED[env_id].items():
        if rng.random() < 0.5:
            fields[name] = values[rng.integers(len(values))]
    if env_id == "DTPlacementMA-v0":
        fields["action"] = "association"
    scenario = presets.resolve(str(rng.choice(names)), env_id, **fields)
    gym.make(env_id, scenario=scenario)  # raises ValueError without room for all twins
    return scenario


def random_plan(task: Any, slots: int, rng: np.random.Generator) -> np.ndarray:
    """Uniformly drawn actions (slots, users)."""
    return rng.integers(task.mask.shape[2], size=(slots, task.mask.shape[1]))


def neighbour(task: Any, plan: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A plan (slots, users) with one twin on another server for some slots, or one server's twins moved to another."""
    trial = plan.copy()
    start = rng.integers(len(trial))
    stop = rng.integers(start, len(trial)) + 1
    server = rng.integers(task.mask.shape[2])
    if rng.random() < 0.8:
        trial[start:stop, rng.integers(trial.shape[1])] = server
    else:
        window = trial[start:stop]
        window[window == rng.integers(task.mask.shape[2])] = server
    return trial


def played(policy: Policy, task: Any) -> np.ndarray:
    """Plan (slots, users) of an agent from the task's state on."""
    row, plan = row_of(task, 0), []
    while row.state.slot[0] <= row.scenario.value("num_slots"):
        plan.append(np.reshape(policy.act(row.obs[0]), -1))
        row.step(plan[-1][None])
    return np.array(plan)


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Falsify)))
