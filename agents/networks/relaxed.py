"""Deterministic actors that score choices in [-1, 1], with critics of these scores: the continuous relaxation of κ."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor, nn

from agents.networks.decision import Decision, choose, orthogonal
from agents.networks.perceptron import stack
from dtenv.tasks.registry import task_of
from dtenv.wrappers import Relaxation

SHARPNESS = 5.0
"""Factor from scores to logits where a heuristic is cloned."""


class Relaxed(nn.Module):
    """Scores (B, parts x choices) and their value; the action is every part's highest score.

    The log-probabilities of a Decision are those of a softmax of the scores, for cloning; decisions are deterministic.
    """

    def __init__(self, actions: spaces.Space):
        super().__init__()
        self.relaxation = Relaxation(actions)

    @abstractmethod
    def scores(self, obs: Tensor) -> Tensor:
        """The actor: scores (B, parts x choices) in [-1, 1]."""

    @abstractmethod
    def value(self, obs: Tensor, scores: Tensor) -> Tensor:
        """The critic: Q (B,) of scores."""

    def forward(self, obs: Tensor, action: Tensor | None = None, greedy: bool = False) -> Decision:
        """Decide, or evaluate the given actions."""
        relaxation, scores = self.relaxation, self.scores(obs)
        logits = SHARPNESS * scores.view(-1, relaxation.parts, relaxation.choices)
        return choose(logits, self.value(obs, scores), action, True, relaxation.scalar)


class RelaxedPerceptron(Relaxed):
    """Perceptrons for actor and critic, two hidden layers of 128."""

    def __init__(self, observations: spaces.Space, actions: spaces.Space, hidden: int = 128):
        super().__init__(actions)
        size, outputs = int(observations.shape[0]), self.relaxation.parts * self.relaxation.choices  # type: ignore[index]
        self.actor = stack(size, outputs, 0.01, hidden)
        self.critic = stack(size + outputs, 1, 1.0, hidden)

    def scores(self, obs: Tensor) -> Tensor:
        """The actor: scores (B, parts x choices) in [-1, 1]."""
        return self.actor(obs).tanh()

    def value(self, obs: Tensor, scores: Tensor) -> Tensor:
        """The critic: Q (B,) of scores."""
        return self.critic(torch.cat([obs, scores], -1)).squeeze(-1)


class Exchangeable(nn.Module):
    """A layer on pairs (B, U, S, inputs) that sees each pair and the means of its user, its server and all pairs.

    Permuting users or servers permutes its output (Hartford et al. 2018).
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.own, self.user, self.server, self.all = (orthogonal(nn.Linear(inputs, outputs)) for _ in range(4))

    def forward(self, pairs: Tensor) -> Tensor:
        """Output (B, U, S, outputs)."""
        by_user, by_server = pairs.mean(2, keepdim=True), pairs.mean(1, keepdim=True)
        mixed = self.own(pairs) + self.user(by_user) + self.server(by_server) + self.all(by_user.mean(1, keepdim=True))
        return torch.relu(0.5 * mixed)  # four terms of unit size


class RelaxedEquivariant(Relaxed):
    """Scores of user-server pairs from layers that serve any number of users and servers."""

    width = 32
    """Width of the pair layers."""

    def __init__(self, scenario: Any):
        task = task_of(scenario)
        super().__init__(task.action_space)
        self.layout = task.layout
        users, servers, *links = (len(block.entries) for block in self.layout.blocks)
        self.hosts = self.layout.blocks[2].column("hosts")
        inputs = users + servers + sum(links)
        self.actor = nn.Sequential(Exchangeable(inputs, self.width), Exchangeable(self.width, self.width))
        self.actor_score = orthogonal(nn.Linear(self.width, 1), 0.01)
        self.stay = nn.Parameter(torch.tensor(1.0))  # initially, twins move by exploration only
        self.critic = nn.Sequential(Exchangeable(inputs + 1, self.width), Exchangeable(self.width, self.width))
        self.critic_value = nn.Linear(self.width, 1)

    def scores(self, obs: Tensor) -> Tensor:
        """The actor: scores (B, parts x choices) in [-1, 1]."""
        view = self.layout.split(obs)
        score = self.actor_score(self.actor(self.pairs(view))).squeeze(-1)
        return (score + self.stay * view["links"][..., self.hosts]).tanh().flatten(1)

    def value(self, obs: Tensor, scores: Tensor) -> Tensor:
        """The critic: Q (B,) of scores."""
        pairs = self.pairs(self.layout.split(obs))
        pairs = torch.cat([pairs, scores.view(*pairs.shape[:3], 1)], -1)
        return self.critic_value(self.critic(pairs).mean((1, 2))).squeeze(-1)

    def pairs(self, view: dict[str, Tensor]) -> Tensor:
        """Observed entries of each pair (B, U, S, entries): its user's, its server's and its own."""
        users, servers, *links = view.values()
        shape = (*links[0].shape[:3], -1)
        return torch.cat([users[:, :, None].expand(shape), servers[:, None].expand(shape), *links], -1)
