"""Bounds of DTMigration with a cloud, failures and lifecycles: against all plans of small instances, and heuristics."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from cases_migration import MODES, NAMES, SMALL, every_plan, replayed

import agents
from dtenv.oracle.migration import solve_episode, solve_slot
from dtenv.oracle.solution import tolerance
from dtenv.presets import resolve
from dtenv.scenario.deployment import DEPLOYMENTS
from dtenv.tasks.migration.task import MigrationTask

ID = "DTMigration-v0"


def instance(rng, control):
    """A small scenario with a cloud or failures, often tight."""
    users, stations, slots = ((2, 3, 3), (3, 2, 3), (2, 3, 4), (3, 3, 2), (1, 3, 4))[rng.integers(5)]
    if control == "focal":
        users, stations, slots = int(rng.integers(1, 6)), int(rng.integers(2, 5)), int(rng.integers(2, 5))
    mode = DEPLOYMENTS[rng.integers(3)]
    seats = -(-users // stations) + (1 if control == "focal" else 0) + int(rng.integers(2))
    settings = {"control": control, "num_users": users, "num_stations": stations, "num_slots": slots}
    settings |= {"deployment": mode, "twin_capacity": max(seats, users if control == "focal" else seats)}
    if mode != "edge":
        settings["cloud_capacity"] = users + int(rng.integers(2)) if mode == "cloud" else max(1, users - 1)
        settings["cloud_compute_hz"] = ((1e9, 2e9), (16e9, 400e9))[rng.integers(2)]
        settings["cloud_latency_s"] = (0.0, 0.02)[rng.integers(2)]
        settings["cloud_distance_m"] = (0.0, 400.0)[rng.integers(2)]
        if mode == "edge-cloud":
            settings["twin_capacity"] = max(1, settings["twin_capacity"])
    if rng.random() < 0.8:
        settings |= {"failure_rate_per_s": 0.02, "cloud_failure_rate_per_s": 0.02, "repair_s": 20.0}
    return settings | {
        "creation_s": (0.0, 0.5)[rng.integers(2)],
        "isolation_price": (0.0, 0.5, -0.0)[rng.integers(3)],
        "compute_sharing": ("equal", "sqrt", "slice")[rng.integers(3)],
        "kappa": (0.0, 0.1, 1.5)[rng.integers(3)],
        "deadline_penalty": (0.0, 0.1, 1.0)[rng.integers(3)],
        "consensus": ("none", "pbft")[rng.integers(2)],
        "cycles_per_bit": (500.0, 5000.0)[rng.integers(2)],
        "slot_seconds": 20.0,
        "area_m": 900.0,
        "background": ("payback", "best-latency", "never")[rng.integers(3)],
        "reward": ("score", "centred")[rng.integers(2)],
    }


def begun(seed, control):
    rng = np.random.default_rng([seed, control == "joint"])
    task = MigrationTask(resolve(None, ID, **instance(rng, control)))
    task.reset(0, np.random.default_rng(seed))
    for _ in range(int(rng.integers(task.scenario.episode.num_slots))):
        task.step(rng.integers(task.mask.shape[2], size=(1, task.mask.shape[1])))
    return task, task.scenario.episode.num_slots - int(task.state.slot[0]) + 1


@pytest.mark.parametrize("seed", range(60))
def test_a_focal_users_best_is_that_of_every_plan(seed):
    task, left = begun(seed, "focal")
    found, slot = solve_episode(task), solve_slot(task)
    for solution, best in ((found, every_plan(task, left)[0]), (slot, every_plan(task, 1)[0])):
        assert solution.value == pytest.approx(best, abs=1e-9) == solution.bound
    assert found.value == pytest.approx(replayed(task, found.action), abs=1e-12)


def check_joint(seeds):
    short, above, isolated = [], [], 0
    for seed in seeds:
        task, left = begun(seed, "joint")
        best = every_plan(task, left)[0]
        found = solve_episode(task)
        assert found.value == pytest.approx(replayed(task, found.action), abs=1e-12)
        assert found.bound >= best - 1e-9 and found.value <= best + 1e-9
        if found.proof == "dynamic programming":
            assert found.bound == pytest.approx(best, abs=1e-9)
        slot = solve_slot(task)
        assert slot.bound >= every_plan(task, 1)[0] - 1e-9
        short.append(best - found.value)
        above.append(found.bound - best)
        isolated += not task.tape.up.all()
    assert (np.array(short) < 1e-9).mean() > 0.95
    assert np.median(above) < 1e-3
    assert isolated > len(seeds) / 5


def test_joint_bounds_hold_for_every_plan():
    check_joint(range(40))


@pytest.mark.slow
def test_300_random_joint_instances():
    check_joint(range(1000, 1300))


@pytest.mark.parametrize("mode", MODES, ids=NAMES)
def test_no_heuristic_beats_the_bound_or_asks_for_what_it_may_not(mode):
    settings = SMALL | mode | {"twin_capacity": 6, "num_slots": 30}
    env = gym.make(ID, disable_env_checker=True, **settings)
    for seed in range(2):
        env.reset(seed=seed)
        best = solve_episode(env.unwrapped.task)
        for name in agents.HEURISTICS[ID]:
            policy = agents.load(name, ID, **settings)
            policy.reset(seed)
            (obs, info), scores = env.reset(seed=seed), []
            for _ in range(30):
                action = policy.act(obs)
                assert name == "random" or info["action_mask"][action]
                obs, _, _, _, info = env.step(action)
                scores.append(info["score"])
            assert np.mean(scores) <= best.bound + tolerance(best.bound), name
