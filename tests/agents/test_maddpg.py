"""MADDPG: its losses by hand, whose gradient goes where, training by running it."""

import numpy as np
import pytest
import torch
from cases_marl import ENV, SMALL, Guess, task_of

from agents import maddpg
from agents.networks import build
from agents.networks.decision import Decision


def test_critic_loss_is_the_slow_sum():
    """y = r + γ Q', without Q' where the episode terminated (31)."""
    rng = np.random.default_rng(0)
    q, next_q = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    reward, terminated = rng.normal(size=4), np.array([False, True, False, False])
    slow = 0.0
    for row in range(4):
        for k in range(3):
            target = reward[row] + (0.0 if terminated[row] else 0.7 * next_q[row, k])
            slow += (q[row, k] - target) ** 2 / 12
    loss = maddpg.critic_loss(*map(torch.tensor, (q, reward, next_q, terminated)), 0.7)
    assert loss.item() == pytest.approx(slow)


def test_targets_follow():
    slow, fast = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    expected = 0.9 * slow.weight.detach() + 0.1 * fast.weight.detach()
    maddpg.follow(slow, fast, 0.1)
    torch.testing.assert_close(slow.weight.detach(), expected)


def test_each_actor_follows_its_own_critic():
    """Station 1's loss moves actor 1 alone, through critic 1, with the others' played actions (30)."""
    torch.manual_seed(0)
    network, obs = build(ENV, "deterministic", SMALL, shared=False), torch.tensor(task_of(SMALL).obs)
    obs = network.see(obs)
    played = torch.rand(6, 3, 2)
    (-network.critics.of_own(obs, network.actors(obs), played)[:, 1].mean()).backward()
    moved = [any(p.grad is not None and p.grad.any() for p in actor.parameters()) for actor in network.actors.each]
    judged = [any(p.grad is not None and p.grad.any() for p in critic.parameters()) for critic in network.critics.each]
    assert moved == judged == [False, True, False]


def test_a_shared_actor_serves_other_sizes_and_orders():
    torch.manual_seed(0)
    network = build(ENV, "deterministic", SMALL).eval()
    task, order = task_of(SMALL), torch.tensor([2, 0, 1])
    view = task.layout.split(torch.tensor(task.obs))
    moved = torch.cat(
        [view["users"].flatten(1), view["stations"][:, order].flatten(1), view["links"][:, :, order].flatten(1)], 1
    )
    torch.testing.assert_close(
        network(moved).action.unflatten(1, (3, 2)),
        network(torch.tensor(task.obs)).action.unflatten(1, (3, 2))[:, order],
    )
    larger = SMALL.override(num_users=9, num_stations=4)
    other = build(ENV, "deterministic", larger)
    other.load_state_dict(network.state_dict())
    assert other(torch.tensor(task_of(larger).obs)).action.shape == (6, 8)


class Shown(torch.nn.Module):
    """Linear actors, and a critic of how far two numbers are apart."""

    def __init__(self):
        super().__init__()
        self.actors, self.critics = Guesses(), Judge()

    def see(self, obs):
        return obs

    def forward(self, obs, action=None, greedy=False):
        return Decision(self.actors(obs).flatten(1), torch.zeros(1), torch.zeros(1), torch.zeros(1))


class Guesses(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.mean = torch.nn.Linear(1, 1)

    def forward(self, obs):
        number = self.mean(obs[..., None]).squeeze(-1)
        return torch.stack([torch.ones_like(number), number], -1)


class Judge(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(2, 32), torch.nn.Tanh(), torch.nn.Linear(32, 1))

    def forward(self, obs, action):
        return self.layers(torch.stack([obs, action[..., 1]], -1)).squeeze(-1).mean(1, keepdim=True)

    def of_own(self, obs, chosen, played):
        return self.forward(obs, chosen)


def test_learns_to_name_what_it_is_shown():
    args = maddpg.Args(
        total_steps=16_000, num_envs=32, learning_starts=320, critic_learning_rate=0.01, actor_learning_rate=0.005
    )
    policy = maddpg.train(args, envs=Guess(32), network=Shown())
    envs = Guess(256)
    obs, _ = envs.reset(seed=1)
    assert envs.step(policy.act(obs))[1].mean() > -0.1  # the best constant: -0.15
