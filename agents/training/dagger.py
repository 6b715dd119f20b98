"""Warm start: clone a heuristic by DAgger, which labels the states that the student visits."""

from __future__ import annotations

from collections.abc import Callable

import gymnasium as gym
import numpy as np
import torch
from torch import nn

from agents.policy import Policy
from agents.training.learner import descend

LEARNING_RATE = 2e-3
"""Learning rate of Adam."""


def clone(
    network: nn.Module,
    expert: Policy,
    envs: gym.vector.VectorEnv,
    *,
    slots: int = 4096,
    rounds: int = 4,
    epochs: int = 6,
    stride: int = 3,
    minibatch: int = 64,
    seed: int = 0,
    report: Callable[[int, float], None] = lambda labelled, loss: None,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Train the network's actor to imitate the expert (Ross et al. 2011).

    The expert acts in the first round, the student in later ones; the expert labels every `stride`-th slot of both.

    Args:
        network: gives a Decision for (obs, action).
        expert: the policy to clone.
        envs: environments to visit; reset here.
        slots: number of states to label in total.
        rounds: number of trainings, each on all states labelled so far.
        epochs: passes over these states in each round.
        stride: slots between labels, so that labelled states differ.
        minibatch: states per gradient step.
        seed: seed of the environments and of the shuffling.
        report: called after each round with the number of labelled states and the latest loss.
        stop: called before each round; cloning ends once it returns True.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    shuffle = torch.Generator().manual_seed(seed)
    seen: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    obs, _ = envs.reset(seed=seed)
    done = np.zeros(envs.num_envs, np.bool_)
    for turn in range(rounds):
        if stop():
            return
        while sum(map(len, seen)) < slots * (turn + 1) // rounds:
            label = expert.act(obs)
            seen.append(obs[~done].copy())
            labels.append(label[~done])
            for _ in range(stride):
                if turn > 0:
                    with torch.no_grad():
                        label = network(torch.as_tensor(obs)).action.numpy()
                obs, _, _, done, _ = envs.step(label)
        states, targets = torch.as_tensor(np.concatenate(seen)), torch.as_tensor(np.concatenate(labels))
        for _ in range(epochs):
            for rows in torch.randperm(len(states), generator=shuffle).split(minibatch):
                loss = -network(states[rows], targets[rows]).log_prob.mean()
                descend(optimizer, loss, network.parameters(), 1.0)
        report(len(states), loss.item())
