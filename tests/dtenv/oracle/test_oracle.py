"""Bounds and optima through the public API: in environments, by seed, and as an error if a bound is exceeded."""

from __future__ import annotations

import math
import signal
import sys
import threading
import time

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded

import agents
import dtenv
from dtenv.oracle import BoundExceeded, Solution, check_bound, episode_bound, tolerance
from dtenv.oracle.association import slot as slot_module
from dtenv.oracle.budget import SolveBudget
from dtenv.physics.barrier import FEASIBILITY_TOLERANCE

SMALL = {
    "DTAssociation-v0": {"num_users": 5, "num_servers": 3, "num_slots": 4},
    "DTPlacementMA-v0": {"scenario": "small-20x5", "num_users": 5, "num_stations": 3, "num_slots": 4},
    "DTMigration-v0": {"num_users": 5, "num_stations": 3, "num_slots": 6},
}


@pytest.mark.parametrize("env_id", SMALL)
@pytest.mark.parametrize("horizon", [1, 3, None])
def test_the_optimums_plan_achieves_its_value(env_id, horizon):
    env = gym.make(env_id, **SMALL[env_id]).unwrapped
    env.reset(seed=4)
    solution = env.optimum(horizon=horizon)
    plan = [solution.action] if horizon == 1 else solution.action
    assert len(plan) == (horizon or SMALL[env_id]["num_slots"])
    infos = [env.step(action)[-1] for action in plan]
    assert np.mean([info["score"] for info in infos]) == pytest.approx(solution.value, abs=1e-12)
    assert solution.value <= solution.bound + tolerance(solution.bound)
    if env_id == "DTAssociation-v0":
        assert all(info["feasible"] for info in infos)


@pytest.mark.parametrize("action", ["bid", "binary", "association"])
def test_a_placements_optimum_is_playable_in_every_mode_that_expresses_it(action):
    settings = {**SMALL["DTPlacementMA-v0"], "action": action}
    env = gym.make("DTPlacementMA-v0", **settings).unwrapped
    env.reset(seed=1)
    solution = env.optimum()
    assert env.action_space.contains(solution.action)
    assert env.step(solution.action)[-1]["score"] == pytest.approx(solution.value, abs=1e-12)
    if action != "association":
        stations = dtenv.parallel_env("DTPlacementMA-v0", **settings)
        stations.reset(seed=1)
        theirs = stations.optimum()
        assert theirs.value == solution.value
        infos = stations.step(theirs.action)[-1]
        assert infos["station_0"]["score"] == pytest.approx(solution.value, abs=1e-12)


def test_with_prices_a_placements_optimum_is_an_association():
    env = gym.make("DTPlacementMA-v0", **SMALL["DTPlacementMA-v0"], action="price").unwrapped
    env.reset(seed=1)
    other = gym.make("DTPlacementMA-v0", **SMALL["DTPlacementMA-v0"], action="association").unwrapped
    other.reset(seed=1)
    np.testing.assert_array_equal(env.optimum().action, other.optimum().action)


def test_optimum_leaves_the_environment_as_it_is():
    for env_id, settings in SMALL.items():
        env, twin = (gym.make(env_id, **settings).unwrapped for _ in range(2))
        env.reset(seed=9)
        twin.reset(seed=9)
        env.optimum(horizon=2)
        env.action_space.seed(0)
        action = env.action_space.sample()
        for one, other in zip(env.step(action)[:2], twin.step(action)[:2], strict=True):
            np.testing.assert_array_equal(one, other)


def test_optimum_needs_a_slot():
    env = gym.make("DTMigration-v0", num_slots=1).unwrapped
    with pytest.raises(ResetNeeded, match="call reset"):
        env.optimum()
    env.reset(seed=0)
    env.step(0)
    with pytest.raises(ResetNeeded, match="call reset"):
        env.optimum()


@pytest.mark.parametrize("env_id", SMALL)
def test_an_episodes_bound_is_that_of_the_seeds_episode(env_id):
    env = gym.make(env_id, **SMALL[env_id]).unwrapped
    solution = episode_bound(env_id, env.scenario, 12)
    obs, _ = env.reset(seed=12)
    assert env.optimum(horizon=None).bound == solution.bound
    for name in agents.HEURISTICS[env_id]:
        policy = agents.load(name, env_id, scenario=env.scenario)
        player = gym.make(env_id, scenario=env.scenario.override(**policy.overrides)).unwrapped
        obs, _ = player.reset(seed=12)
        policy.reset(12)
        scores = []
        for _ in range(SMALL[env_id]["num_slots"]):
            obs, *_, info = player.step(policy.act(obs))
            scores.append(info["score"])
        check_bound(float(np.mean(scores)), solution.bound, name)
    assert episode_bound(env_id, env.scenario, 13).bound != solution.bound


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="env_id 'DTNothing-v0' is unknown"):
        episode_bound("DTNothing-v0")
    with pytest.raises(ValueError, match="scenario 'balance' is unknown"):
        episode_bound("DTMigration-v0", "balance", 0)


def test_a_beaten_bound_raises():
    check_bound(1.0 + 0.5 * FEASIBILITY_TOLERANCE, 1.0, "rounding")
    with pytest.raises(BoundExceeded, match=r"an agent achieved 1\.1, more than the proven bound 1\.0"):
        check_bound(1.1, 1.0, "an agent")


def test_gap_of_a_solution():
    assert Solution([0], 1.0, 1.5, "MILP", 0.1).gap == 0.5
    nothing_yet = Solution(None, -math.inf, 1.5, "MILP", 0.1)
    assert nothing_yet.gap == math.inf and not nothing_yet.infeasible
    never = Solution(None, -math.inf, -math.inf, "infeasible: MILP", 0.1)
    assert never.gap == 0.0 and never.infeasible
    assert list(never.as_dict()) == ["action", "value", "bound", "gap", "proof", "seconds"]


def test_a_search_ends_with_its_time_or_an_interrupt_and_gives_the_handler_back():
    before = signal.getsignal(signal.SIGINT)
    with SolveBudget("a", time_limit=0.05) as search:
        assert not search.exhausted
        time.sleep(0.06)
        assert search.exhausted and search.seconds_left == 0.0
    with SolveBudget("b") as search:
        assert search.seconds_left == math.inf
        signal.raise_signal(signal.SIGINT)
        assert search.exhausted
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    seen = []
    thread = threading.Thread(target=lambda: seen.append(episode_bound("DTMigration-v0", seed=0).gap))
    thread.start()  # outside the main thread signals are left alone
    thread.join()
    assert seen and seen[0] <= 1e-9


def test_without_highs_small_instances_are_solved_and_others_say_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "highspy", None)
    small = gym.make("DTAssociation-v0", **SMALL["DTAssociation-v0"]).unwrapped
    small.reset(seed=0)
    slot_module.load_kernels.cache_clear()
    assert small.optimum(horizon=2).gap < 1.0
    large = gym.make("DTAssociation-v0").unwrapped
    large.reset(seed=0)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "dtenv\[oracle\]"'):
        large.optimum()


def test_a_progress_bar_shows_best_and_bound(capsys):
    with SolveBudget("thing", progress=True) as search:
        search.report(1.0, 2.0, "slot 3")
    shown = capsys.readouterr().err
    assert "thing" in shown and "best 1, bound 2, slot 3" in shown
