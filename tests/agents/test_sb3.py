"""SB3's learners by name: each trains, runs repeat, and policies reload without pickle."""

import dataclasses
import json

import gymnasium as gym
import numpy as np
import pytest

import agents
from dtenv import presets

sb3 = pytest.importorskip("agents.sb3", exc_type=ImportError)

SITES = {"DTAssociation-v0": "num_servers", "DTPlacementMA-v0": "num_stations", "DTMigration-v0": "num_stations"}
NARROW = '{"net_arch": [16]}'
STEPS = '{"n_steps": 8, "batch_size": 16}'
OFF_POLICY = '{"learning_starts": 8, "buffer_size": 100, "batch_size": 16}'
RUNS = {
    "PPO association": ("PPO", "DTAssociation-v0", STEPS),
    "A2C placement": ("A2C", "DTPlacementMA-v0", "{}"),
    "MaskablePPO association": ("MaskablePPO", "DTAssociation-v0", STEPS),
    "MaskablePPO migration": ("MaskablePPO", "DTMigration-v0", STEPS),
    "RecurrentPPO migration": ("RecurrentPPO", "DTMigration-v0", STEPS),
    "TRPO migration": ("TRPO", "DTMigration-v0", STEPS),
    "SAC placement": ("SAC", "DTPlacementMA-v0", OFF_POLICY),
    "SAC association": ("SAC", "DTAssociation-v0", OFF_POLICY),
    "DDPG association": ("DDPG", "DTAssociation-v0", OFF_POLICY),
    "TD3 migration": ("TD3", "DTMigration-v0", OFF_POLICY),
    "TQC association": ("TQC", "DTAssociation-v0", OFF_POLICY),
    "CrossQ association": ("CrossQ", "DTAssociation-v0", OFF_POLICY),
    "DQN migration": ("DQN", "DTMigration-v0", OFF_POLICY),
    "QRDQN migration": ("QRDQN", "DTMigration-v0", OFF_POLICY),
}


def small(env_id):
    return presets.resolve(None, env_id, num_users=5, num_slots=6, **{SITES[env_id]: 4})


def brief(name, **more):
    algorithm, env_id, own = RUNS[name]
    args = sb3.Args(algorithm=algorithm, env_id=env_id, settings=own, policy_kwargs=NARROW, total_steps=64, num_envs=4)
    return dataclasses.replace(args, **more), small(env_id)


def observations(policy, scenario, env_id):
    played = scenario.override(**policy.overrides)
    envs = gym.make_vec(env_id, num_envs=6, vectorization_mode="vector_entry_point", scenario=played)
    return envs.reset(seed=7)[0], envs


@pytest.mark.parametrize("name", RUNS)
def test_every_learner_trains_and_its_policy_reloads(tmp_path, name):
    args, scenario = brief(name, save=tmp_path / "p.safetensors")
    rows: list[dict] = []
    policy = sb3.train(args, scenario=scenario, report=rows.append)
    loaded = agents.load("sb3", args.env_id, scenario=scenario, checkpoint=args.save)
    obs, envs = observations(policy, scenario, args.env_id)
    for agent in (policy, loaded):
        agent.reset(0)
    for _ in range(3):
        action = policy.act(obs)
        np.testing.assert_array_equal(loaded.act(obs), action)
        obs, *_ = envs.step(action)
    policy.reset(0)
    assert np.array_equal(policy.act(obs[0]).shape, envs.single_action_space.shape)
    assert rows[-1]["charts/progress"] == 1.0 and np.isfinite(rows[-1]["charts/score"]) and rows[-1]["charts/SPS"] > 0
    assert json.loads((tmp_path / "p.json").read_text())["algorithm"] == args.algorithm


@pytest.mark.parametrize("name", ["PPO association", "SAC association", "DQN migration"])
def test_runs_repeat(name):
    args, scenario = brief(name)
    same, again = sb3.train(args, scenario=scenario), sb3.train(args, scenario=scenario)
    other = sb3.train(dataclasses.replace(args, seed=2), scenario=scenario)
    ours, theirs, others = ([p.detach() for p in x.policy.parameters()] for x in (same, again, other))
    assert all((a == b).all() for a, b in zip(ours, theirs, strict=True))
    assert any((a != b).any() for a, b in zip(ours, others, strict=True))


@pytest.mark.parametrize("name", ["PPO association", "SAC association", "MaskablePPO migration"])
def test_single_environments_serve_too(name):
    args, scenario = brief(name, vec="dummy", num_envs=2, scaled_reward=True)
    policy = sb3.train(args, scenario=scenario)
    obs, envs = observations(policy, scenario, args.env_id)
    assert envs.action_space.contains(policy.act(obs))


@pytest.mark.parametrize(
    ("env_id", "fields"),
    [("DTAssociation-v0", {}), ("DTMigration-v0", {"control": "joint", "num_stations": 4, "twin_capacity": 6})],
    ids=["association", "migration"],
)
def test_masks_read_back_are_the_environments(env_id, fields):
    scenario = presets.resolve(None, env_id, num_users=20, num_slots=6, **fields)
    envs = gym.make_vec(env_id, num_envs=16, vectorization_mode="vector_entry_point", scenario=scenario)
    envs.action_space.seed(0)
    obs, _ = envs.reset(seed=0)
    marked, read = [], sb3.MaskWrapper(scenario)
    for _ in range(5):
        masks = envs.action_masks().reshape(16, -1)
        np.testing.assert_array_equal(read(obs), masks)
        marked.append(masks.mean())
        obs, *_ = envs.step(envs.action_space.sample())
    assert 0.0 < np.mean(marked) < 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"algorithm": "DQN"}, r"DQN cannot play DTAssociation-v0's actions, MultiDiscrete"),
        ({"algorithm": "MaskablePPO", "env_id": "DTPlacementMA-v0"}, "MaskablePPO cannot play DTPlacementMA-v0"),
        ({"algorithm": "PP0"}, "algorithm must be one of A2C, .*, got 'PP0'"),
        ({"resume": True}, "resume must be False for sb3"),
    ],
    ids=["space", "masks", "name", "resume"],
)
def test_what_cannot_be_is_said(changes, message):
    args = dataclasses.replace(sb3.Args(num_envs=2, total_steps=16), **changes)
    with pytest.raises(ValueError, match=message):
        sb3.train(args, scenario=small(args.env_id))


def test_checkpoints_that_do_not_fit_say_so(tmp_path):
    args, scenario = brief("PPO association", save=tmp_path / "p.safetensors")
    sb3.train(args, scenario=scenario)
    with pytest.raises(ValueError, match="does not fit num_users=5, num_servers=3"):
        agents.load("sb3", scenario=scenario, num_servers=3, checkpoint=args.save)
    with pytest.raises(ValueError, match="is for DTAssociation-v0, not for DTMigration-v0"):
        agents.load("sb3", "DTMigration-v0", checkpoint=args.save)
    with pytest.raises(ValueError, match="checkpoint must be given"):
        agents.load("sb3")
    with pytest.raises(FileNotFoundError, match=r"none\.safetensors"):
        agents.load("sb3", checkpoint=tmp_path / "none.safetensors")
