"""The myopic optimum as a policy: the oracle's decision, from the observation alone."""

import gymnasium as gym
import numpy as np
import pytest

import agents
import dtenv  # noqa: F401

SMALL = {
    "DTAssociation-v0": {"num_users": 5, "num_servers": 3, "num_slots": 3},
    "DTPlacementMA-v0": {"num_users": 8, "num_stations": 3, "num_slots": 3, "action": "association"},
}


@pytest.mark.parametrize("env_id", SMALL)
def test_it_plays_the_oracles_slots(env_id):
    """Observations are float32, so that scores agree to some six digits, and no heuristic does better in a slot."""
    env = gym.make(env_id, **SMALL[env_id])
    policy = agents.load("optimum", env_id, **SMALL[env_id])
    obs, _ = env.reset(seed=2)
    for _ in range(3):
        best = env.unwrapped.optimum().value
        obs, _, _, _, info = env.step(policy.act(obs))
        assert info["score"] == pytest.approx(best, rel=1e-5, abs=1e-6)


def test_a_batch_is_decided_row_by_row():
    settings = SMALL["DTAssociation-v0"]
    policy = agents.load("optimum", "DTAssociation-v0", **settings)
    envs = gym.make_vec("DTAssociation-v0", num_envs=3, vectorization_mode="vector_entry_point", **settings)
    obs, _ = envs.reset(seed=0)
    np.testing.assert_array_equal(policy.act(obs), [policy.act(row) for row in obs])


def test_migration_has_none():
    with pytest.raises(ValueError, match="agent 'optimum' is unknown for DTMigration-v0"):
        agents.load("optimum", "DTMigration-v0")
