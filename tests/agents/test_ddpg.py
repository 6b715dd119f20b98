"""DDPG: targets and replay against slow references, learning on the identity environment."""

import dataclasses

import gymnasium as gym
import numpy as np
import pytest
import torch
from toy_envs import SPACES, Identity, mean_reward

import agents
import dtenv
from agents import ddpg
from agents.networks import build
from agents.networks.relaxed import RelaxedPerceptron
from agents.training.dagger import clone
from agents.training.replay import ReplayBuffer
from dtenv import presets
from dtenv.wrappers import Relaxation

SMALL = presets.resolve("balanced", num_users=5, num_servers=4, num_slots=6)
BRIEF = ddpg.Args(num_envs=16, num_steps=4, updates=6, batch_size=64, value_updates=5, gamma=0.5, tau=0.05)


def observations():
    return np.random.default_rng(0).uniform(0, 1, (8, 5 * 8 + 4 * 8 + 5 * 4 * 4)).astype(np.float32)


def test_targets_bootstrap_but_past_a_termination():
    generator = torch.Generator().manual_seed(0)
    reward, value = torch.randn(2, 5, generator=generator)
    terminated = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0])
    slow = [reward[i].item() + (0.0 if terminated[i] else 0.9 * value[i].item()) for i in range(5)]
    assert ddpg.td_target(reward, terminated, value, 0.9).tolist() == pytest.approx(slow)


def test_targets_follow_the_share_tau():
    slow, fast = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    expected = [0.9 * a + 0.1 * b for a, b in zip(slow.parameters(), fast.parameters(), strict=True)]
    ddpg.follow(slow, fast, 0.1)
    for a, b in zip(slow.parameters(), expected, strict=True):
        torch.testing.assert_close(a, b)


def test_replay_keeps_the_newest_and_goes_on_from_its_state():
    buffer, kept = ReplayBuffer(5, x=(2,), y=()), []
    for first in (0, 3, 6, 8, 20):
        rows = torch.arange(first, first + (3 if first < 20 else 7), dtype=torch.float32)
        buffer.add(x=torch.stack([rows, -rows], 1), y=rows)
        kept = (kept + rows.tolist())[-5:]
        assert sorted(buffer.all("y").tolist()) == sorted(kept) and len(buffer) == len(kept)
    drawn = buffer.sample(50)
    assert set(drawn["y"].tolist()) == set(kept) and (drawn["x"][:, 1] == -drawn["y"]).all()
    other = ReplayBuffer(5, x=(2,), y=())
    other.load_state_dict(buffer.state_dict())
    for each in (buffer, other):
        each.add(x=torch.zeros(2, 2), y=torch.zeros(2))
    assert torch.equal(buffer.all("y"), other.all("y"))
    with pytest.raises(ValueError, match="rows must be of x, y, got x"):
        buffer.add(x=torch.zeros(1, 2))


@pytest.mark.parametrize("name", SPACES)
def test_relaxed_actions_play_the_highest_score(name):
    relaxation, generator = Relaxation(SPACES[name]), np.random.default_rng(0)
    scores = generator.uniform(-1, 1, (6, *relaxation.space.shape))
    for row, action in zip(scores, relaxation.chosen(scores), strict=True):
        parts = np.array_split(row, relaxation.parts)
        assert np.atleast_1d(action).tolist() == [max(range(len(p)), key=p.__getitem__) for p in parts]
        assert SPACES[name].contains(relaxation.chosen(row))


def test_relaxed_environments_play_as_the_plain_ones():
    plain = gym.make_vec("DTAssociation-v0", num_envs=3, vectorization_mode="vector_entry_point", scenario=SMALL)
    batch = dtenv.RelaxedVectorAction(
        gym.make_vec("DTAssociation-v0", num_envs=3, vectorization_mode="vector_entry_point", scenario=SMALL)
    )
    single = dtenv.RelaxedAction(gym.make("DTAssociation-v0", scenario=SMALL))
    scores = np.random.default_rng(0).uniform(-1, 1, batch.action_space.shape).astype(np.float32)
    for env in (plain, batch, single):
        env.reset(seed=4)
    expected = plain.step(scores.reshape(3, 5, 4).argmax(-1))
    obs, reward, *_ = batch.step(scores)
    np.testing.assert_array_equal(obs, expected[0])
    np.testing.assert_array_equal(reward, expected[1])
    assert single.step(scores[0])[1] == expected[1][0]
    with pytest.raises(ValueError, match="actions must be Discrete or MultiDiscrete"):
        dtenv.RelaxedAction(gym.make("DTPlacementMA-v0"))


@pytest.mark.parametrize("name", SPACES)
def test_solves_the_identity(name):
    envs = Identity(SPACES[name])
    torch.manual_seed(0)
    network = RelaxedPerceptron(envs.single_observation_space, SPACES[name], hidden=32)
    args = dataclasses.replace(BRIEF, warm_start="none", total_steps=6_000, learning_rate=2e-3, noise=0.5)
    policy = ddpg.train(args, envs=envs, network=network)
    assert mean_reward(policy, envs) > 0.9


def test_steps_that_only_reset_stay_out_of_the_replay(monkeypatch):
    """Episodes of two slots: a third of all rows only reset."""
    kept = []
    monkeypatch.setattr(ReplayBuffer, "add", lambda self, **rows: kept.append(rows) or setattr(self, "size", 1))
    envs = Identity(SPACES["discrete"], num_envs=4, num_slots=2)
    network = RelaxedPerceptron(envs.single_observation_space, SPACES["discrete"], hidden=8)
    args = dataclasses.replace(BRIEF, warm_start="none", num_envs=4, num_steps=9, total_steps=36, value_updates=0)
    ddpg.train(args, envs=envs, network=network)
    assert [len(rows["obs"]) for rows in kept] == [4 * 6]


def test_permuting_servers_permutes_the_scores():
    torch.manual_seed(0)
    network, obs = build("DTAssociation-v0", "relaxed-equivariant", SMALL), torch.as_tensor(observations())
    order, view = torch.tensor([2, 0, 3, 1]), network.layout.split(torch.as_tensor(observations()))
    shuffled = [view["users"], view["servers"][:, order], view["links"][:, :, order]]
    moved = torch.cat([block.flatten(1) for block in shuffled], 1)
    plain = network.scores(obs).view(8, 5, 4)
    torch.testing.assert_close(network.scores(moved).view(8, 5, 4), plain[:, :, order])
    torch.testing.assert_close(
        network.value(moved, plain[:, :, order].flatten(1)), network.value(obs, plain.flatten(1))
    )


def test_scores_take_after_a_cloned_heuristic():
    torch.manual_seed(0)
    envs = gym.make_vec("DTAssociation-v0", num_envs=8, vectorization_mode="vector_entry_point", scenario=SMALL)
    network, expert = build("DTAssociation-v0", "relaxed-equivariant", SMALL), agents.load("nearest", scenario=SMALL)
    network.stay.data.fill_(0.0)
    obs, _ = envs.reset(seed=5)
    agree = lambda: (network(torch.as_tensor(obs)).action.numpy() == expert.act(obs)).mean()  # noqa: E731
    before = agree()
    clone(network, expert, envs, slots=800, rounds=2, epochs=10, stride=1, minibatch=32)
    assert agree() > 0.75 > before


def test_another_learners_network_is_refused():
    with pytest.raises(ValueError, match="network must be a relaxed one for ddpg, got 'perceptron'"):
        ddpg.train(ddpg.Args(network="perceptron", num_envs=2), scenario=SMALL)
