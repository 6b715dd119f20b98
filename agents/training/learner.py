"""Steps shared by the learners: set-up of a run, gradient steps, target networks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import gymnasium as gym
import torch
from torch import Tensor, nn

from agents.networks import build
from agents.training.rollout import training_envs
from dtenv.scenario import Scenario


def set_up(
    args: Any,
    fields: Mapping[str, Any],
    scenario: Scenario | None,
    envs: gym.vector.VectorEnv | None,
    network: nn.Module | None,
    **options: Any,
) -> tuple[Scenario, gym.vector.VectorEnv, Any, int]:
    """Return the scenario with `fields` overridden, the environments and the network; those that are None are built.

    The last entry is the number of slots over which episode starts are to be spread: 0 in environments given.
    """
    scenario = (args.resolve() if scenario is None else scenario).override(**fields)
    spread = 0
    if envs is None:
        envs, spread = training_envs(args, scenario, args.num_envs), scenario.value("num_slots")
    if network is None:
        network = build(args.env_id, args.network, scenario, **options)
    return scenario, envs, network, spread


def actor_and_critic(network: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Parameters of the actor and of the critic, whose names start with "critic"."""
    critic = [parameter for name, parameter in network.named_parameters() if name.startswith("critic")]
    actor = [parameter for name, parameter in network.named_parameters() if not name.startswith("critic")]
    return actor, critic


def descend(
    optimizer: torch.optim.Optimizer, loss: Tensor, parameters: Iterable[nn.Parameter], max_norm: float
) -> None:
    """Take one gradient step, with the gradient of `parameters` clipped to `max_norm`."""
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(parameters, max_norm)
    optimizer.step()


@torch.no_grad()
def follow(target: nn.Module, network: nn.Module, tau: float) -> None:
    """Move the target's parameters by the share τ towards the network's."""
    for slow, fast in zip(target.parameters(), network.parameters(), strict=True):
        slow.lerp_(fast, tau)
