"""Vectorised multi-agent environment: rows equal the PettingZoo environment, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.error import ResetNeeded

import dtenv

SMALL = {"num_users": 8, "num_stations": 3, "num_slots": 4}
VIEWS = {
    "bid": {},
    "price local": {"action": "price", "reward": "local"},
    "binary": {"action": "binary"},
    "shared view": {"action": "price", "observe": "shared"},
}


def sample(env, rng):
    shape = (env.num_envs, 3, *env.single_action_space.shape)
    if env.single_action_space.dtype.kind == "i":
        return rng.integers(0, 2, shape)
    return rng.random(shape, np.float32)


@pytest.mark.parametrize("view", VIEWS)
def test_rows_are_the_parallel_environment_across_autoresets(view):
    settings = SMALL | VIEWS[view]
    env = dtenv.parallel_vector_env("DTPlacementMA-v0", num_envs=4, **settings)
    singles = [dtenv.parallel_env("DTPlacementMA-v0", **settings) for _ in range(4)]
    agents, rng = env.possible_agents, np.random.default_rng(0)
    assert agents == singles[0].possible_agents
    assert env.observation_space(agents[0]) == singles[0].observation_space(agents[0])
    assert env.action_space(agents[0]) == singles[0].action_space(agents[0])
    obs, infos = env.reset(seed=5)
    for b, single in enumerate(singles):
        first = single.reset(seed=5 + b)[0]
        np.testing.assert_array_equal(obs[b], np.stack([first[agent] for agent in agents]), strict=True)
    ends = 0
    for _ in range(14):
        actions = sample(env, rng)
        obs, rewards, terminations, truncations, infos = env.step(actions)
        assert not terminations.any() and env.state().shape == (4, *env.state_space.shape)
        for b, single in enumerate(singles):
            if not single.agents:
                seen = single.reset()[0]
                assert not rewards[b].any() and not truncations[b]
                assert "score" not in infos
            else:
                seen, paid, _, over, told = single.step(dict(zip(agents, actions[b], strict=True)))
                assert rewards[b].tolist() == list(paid.values())
                assert truncations[b] == over[agents[0]]
                assert infos["score"][b] == told[agents[0]]["score"]
                ends += truncations[b]
            np.testing.assert_array_equal(obs[b], np.stack([seen[agent] for agent in agents]), strict=True)
            np.testing.assert_array_equal(env.state()[b], single.state(), strict=True)
    assert ends == 12


def test_last_observations_are_kept_where_episodes_begin_in_the_same_step():
    env = dtenv.parallel_vector_env("DTPlacementMA-v0", num_envs=2, autoreset_mode="same_step", **SMALL)
    twin = dtenv.parallel_vector_env("DTPlacementMA-v0", num_envs=2, autoreset_mode="disabled", **SMALL)
    for each in (env, twin):
        each.reset(seed=0)
    actions = sample(env, np.random.default_rng(1))
    for _ in range(4):
        ours, theirs = env.step(actions), twin.step(actions)
    np.testing.assert_array_equal(np.stack(ours[4]["final_obs"]), theirs[0])
    np.testing.assert_array_equal(ours[1], theirs[1])
    with pytest.raises(ResetNeeded, match="after the end of row 0"):
        twin.step(actions)


def test_bad_actions_are_named():
    env = dtenv.parallel_vector_env("DTPlacementMA-v0", num_envs=2, **SMALL)
    env.reset(seed=0)
    actions = sample(env, np.random.default_rng(1))
    actions[1, 2, 4] = np.nan
    with pytest.raises(ValueError, match=r"actions\[1, 2, 4\] must be a finite number, got nan"):
        env.step(actions)
    with pytest.raises(ValueError, match="has no Parallel view; known: DTPlacementMA-v0"):
        dtenv.parallel_vector_env("DTMigration-v0", num_envs=2)
    with pytest.raises(ValueError, match="action must be 'bid', 'price' or 'binary' for stations"):
        dtenv.parallel_vector_env("DTPlacementMA-v0", num_envs=2, action="association")


@pytest.mark.parametrize("make", [dtenv.parallel_env, lambda *args, **kw: dtenv.parallel_vector_env(*args, 2, **kw)])
def test_seeding_one_agents_space_leaves_the_others_alone(make):
    env = make("DTPlacementMA-v0", scenario="small-20x5")
    first, second = (env.action_space(agent) for agent in env.possible_agents[:2])
    second.seed(3)
    expected = second.sample()
    second.seed(3)
    first.seed(5)
    first.sample()
    np.testing.assert_array_equal(second.sample(), expected)
