"""Episodes of DTPlacementMA: plans replayed in the environment, bounds against all plans and heuristics."""

from __future__ import annotations

import itertools

import gymnasium as gym
import numpy as np
import pytest

import agents
from benchmarks.evaluate import run_episodes
from dtenv.oracle import tolerance
from dtenv.oracle.placement import solve_episode
from dtenv.scenario import PlacementScenario
from dtenv.tasks.placement.kernels import ASSOCIATION
from dtenv.tasks.placement.task import PlacementTask

ENV_ID = "DTPlacementMA-v0"
PASTS = (
    {},
    {"move_cost": 0.3},
    {"charge_initial": "on_change"},
    {"move_cost": 0.1, "charge_initial": "on_change", "compute_sharing": "equal", "access": "direct"},
    {"handover_margin_db": 6.0, "shadowing_decorrelation_m": 50.0},
)


def task_of(seed=0, batch=1, **settings):
    task = PlacementTask(PlacementScenario().override(**settings), batch)
    for b in range(batch):
        task.reset(b, np.random.default_rng([seed, b]))
    return task


def best_plan(settings, seed, num_slots):
    """Best mean score over all plans, each stepped in the task from its start."""
    task, best = task_of(seed, **settings), -np.inf
    task.mode = ASSOCIATION
    users, stations = task.state.gain_db.shape[1:]
    for plan in itertools.product(itertools.product(range(stations), repeat=users), repeat=num_slots):
        task.reset(0, np.random.default_rng([seed, 0]))
        total = 0.0
        for server in plan:
            if (np.bincount(server, minlength=stations) > task.fixed.capacity).any():
                break
            task.step(np.array([server]))
            total += task.reward()
        else:
            best = max(best, total / num_slots)
    return best


@pytest.mark.parametrize("past", range(len(PASTS)))
@pytest.mark.parametrize("seed", range(3))
def test_all_plans(seed, past):
    settings = {"num_users": 3, "num_stations": 2, "num_slots": 4, "twin_capacity": 2 + seed % 2, **PASTS[past]}
    solution = solve_episode(task_of(seed, **settings), horizon=3)
    best = best_plan(settings, seed, 3)
    assert best <= solution.bound + tolerance(solution.bound)
    assert solution.value <= best + tolerance(best)
    if past in (0, 4):
        assert solution.value == pytest.approx(best, rel=1e-9) and solution.gap < 1e-6
    else:
        assert solution.value >= best - 0.05 * abs(best)


@pytest.mark.parametrize("past", range(3))
def test_a_plan_replays_in_the_environment(past):
    env = gym.make(ENV_ID, scenario="small-20x5", action="association", num_slots=8, **PASTS[past])
    env.reset(seed=4)
    before = [field.copy() for field in env.unwrapped.task.state]
    solution = solve_episode(env.unwrapped.task, time_limit=3.0)
    assert all((a == b).all() for a, b in zip(before, env.unwrapped.task.state, strict=True))
    scores, done = [], False
    for server in solution.action:
        *_, done, info = env.step(server)
        assert info["server"].tolist() == server.tolist()
        scores.append(info["score"])
    assert done and solution.value == pytest.approx(np.mean(scores), rel=1e-12)
    assert solution.gap < (1e-3 if past == 0 else 0.4)


def test_it_looks_ahead_from_any_row_and_slot():
    """Rows and slots of a batch give the same result as a single task, in every action mode."""
    settings = {"num_users": 8, "num_stations": 3, "num_slots": 6, "move_cost": 0.2}
    batch, alone = task_of(2, 3, **settings), task_of(2, 3, **settings, action="association")
    for task in (batch, alone):
        task.mode = ASSOCIATION
        for _ in range(2):
            task.step(np.tile(np.arange(8) % 3, (3, 1)))
    batch.mode = 0
    one, other = solve_episode(batch, 1), solve_episode(alone, 1)
    assert one.action.shape == (4, 8)
    assert one.value == other.value and one.bound == other.bound
    assert solve_episode(batch, 2).value != one.value
    assert solve_episode(batch, 1, horizon=1).bound >= one.bound - 1.0


@pytest.mark.parametrize("past", range(2))
def test_no_heuristic_beats_the_bound(past):
    settings = {"scenario": "small-20x5", "num_slots": 6, **PASTS[past]}
    env = gym.make(ENV_ID, **settings)
    env.reset(seed=7)
    solution = solve_episode(env.unwrapped.task)
    for name in agents.HEURISTICS[ENV_ID]:
        policy = agents.load(name, ENV_ID, **settings)
        (row,) = run_episodes(policy, ENV_ID, env.unwrapped.scenario, [7])
        assert row["score"] <= solution.bound + tolerance(solution.bound), name


def test_horizons_out_of_range_are_refused():
    task = task_of(num_users=4, num_stations=2, num_slots=3)
    assert len(solve_episode(task, horizon=4).action) == 3
    for horizon in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="horizon"):
            solve_episode(task, horizon=horizon)
    with pytest.raises(ValueError, match="gap"):
        solve_episode(task, gap=-1.0)
    task.mode = ASSOCIATION
    for _ in range(3):
        task.step(task.state.server.copy())
    with pytest.raises(ValueError, match="its episode is over"):
        solve_episode(task)


@pytest.mark.parametrize("past", range(3))
def test_a_tiny_time_limit_leaves_a_plan_and_a_bound(past):
    task = task_of(num_users=20, num_stations=5, num_slots=5, **PASTS[past])
    solution = solve_episode(task, time_limit=1e-6)
    assert solution.action.shape == (5, 20)
    full = solve_episode(task, time_limit=2.0)
    assert solution.value <= full.value + 1e-9 and full.bound <= solution.bound + 1e-9


@pytest.mark.slow
def test_a_whole_episode_of_a_hundred_users():
    env = gym.make(ENV_ID, scenario="paper-100x10")
    env.reset(seed=0)
    solution = solve_episode(env.unwrapped.task, time_limit=500.0)
    assert solution.gap <= 5e-4 * abs(solution.value)
