"""Deep deterministic policy gradients, the fourth baseline of (Zhou 2025), for its discrete κ, in one file.

Lillicrap et al. (2016) on the continuous relaxation of κ: the actor gives every user-server pair a score in [-1, 1],
the environment plays each user's highest, and the critic evaluates the scores themselves. Target networks follow
slowly; exploration adds Gaussian noise to the scores. Truncation bootstraps; the row that next-step autoreset inserts
is kept out of the replay buffer.

    python -m agents.ddpg --num-servers 15 --save runs/ddpg.safetensors
    python -m agents.ddpg --scenario paper --reward literal --network relaxed-perceptron
"""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import gymnasium as gym
import torch
from torch import Tensor, nn

from agents.networks import Decision
from agents.networks.relaxed import Relaxed
from agents.ppo import warm_start
from agents.training.checkpoint import NetworkPolicy, finish
from agents.training.learner import actor_and_critic, descend, follow, set_up
from agents.training.replay import ReplayBuffer
from agents.training.rollout import Collector, RewardScale
from agents.training.run import Report, Run, RunArgs, main, silent
from dtenv.scenario import Scenario
from dtenv.wrappers import RelaxedVectorAction

RECIPES: dict[str, dict[str, Any]] = {
    "DTAssociation-v0": {
        "network": "relaxed-equivariant",
        "reward": "score",
        "warm_start": "none",
        "num_slots": 60,
        "total_steps": 150_000,
    },
    "DTMigration-v0": {
        "network": "relaxed-equivariant",
        "reward": "centred",
        "warm_start": "none",
        "total_steps": 500_000,
    },
}
"""Defaults of each environment."""

CRITIC_LEARNING_RATE = 1.5e-3
"""Learning rate of the critic, χ_c."""

MAX_GRAD_NORM = 1.0
"""Largest norm of the gradient."""


@dataclass
class Args(RunArgs):
    """Settings of a run; those that are None by default come from the environment's recipe."""

    learner: ClassVar[str] = "ddpg"
    recipes: ClassVar[Mapping[str, Mapping[str, Any]]] = RECIPES

    network: str | None = None
    """"relaxed-equivariant", or "relaxed-perceptron", the paper's"""
    reward: str | None = None
    """reward trained on, one of the environment's"""
    warm_start: str | None = None
    """heuristic to clone first, or "none\""""
    warm_start_slots: int = 4096
    """states that the heuristic labels"""
    value_updates: int = 20
    """first rollouts, which train the critic alone"""
    total_steps: int | None = None
    """environment steps after the warm start"""
    num_envs: int = 64
    """environments in parallel"""
    num_steps: int = 8
    """steps of each environment between updates"""
    updates: int = 16
    """gradient steps after each rollout"""
    batch_size: int = 128
    """transitions per gradient step"""
    buffer_size: int = 20_000
    """transitions kept for replay"""
    learning_rate: float = 2.5e-4
    """learning rate of the actor, χ_a"""
    gamma: float = 0.98
    """discount, σ"""
    tau: float = 0.005
    """share of the way that target networks move per gradient step"""
    noise: float = 0.2
    """standard deviation of the exploration noise on scores"""


class Explorer(nn.Module):
    """Actor with Gaussian noise on its scores."""

    def __init__(self, network: Relaxed, noise: float):
        super().__init__()
        self.network, self.noise = network, noise

    def forward(self, obs: Tensor) -> Decision:
        """Return a Decision whose action is the noisy scores (B, parts x choices)."""
        scores = self.network.scores(obs)
        noisy = (scores + self.noise * torch.randn_like(scores)).clamp(-1.0, 1.0)
        nothing = torch.zeros(len(obs))
        return Decision(noisy, nothing[:, None], nothing[:, None], nothing)


def td_target(reward: Tensor, terminated: Tensor, next_value: Tensor, gamma: float) -> Tensor:
    """r + σ Q'(s', μ'(s')), or r where the episode terminated; all (rows,)."""
    return reward + gamma * (1.0 - terminated) * next_value


def train(
    args: Args,
    *,
    scenario: Scenario | None = None,
    envs: gym.vector.VectorEnv | None = None,
    network: Relaxed | None = None,
    report: Report = silent,
) -> NetworkPolicy:
    """Train a policy, with the arguments of `agents.ppo.train`; the network is a Relaxed one, `envs` have choices."""
    args = args.with_recipe()
    with Run(args, report) as run:
        # Environments, networks and buffer
        scenario, envs, network, spread = set_up(args, {"reward": args.reward}, scenario, envs, network)
        if not isinstance(network, Relaxed):
            raise ValueError(f"network must be a relaxed one for ddpg, got {args.network!r}")
        if args.warm_start != "none" and not run.resumed:
            warm_start(run, args, network, envs, scenario)
        target = copy.deepcopy(network)
        relaxed, explorer = RelaxedVectorAction(envs), Explorer(network, args.noise)
        collector = Collector(relaxed, explorer, args.num_steps, args.first_seed + args.num_envs, spread)
        scale = RewardScale(args.gamma)
        shape = envs.single_observation_space.shape
        scores = relaxed.single_action_space.shape
        replay = ReplayBuffer(args.buffer_size, obs=shape, scores=scores, reward=(), next_obs=shape, terminated=())
        actor, critic = actor_and_critic(network)
        critic_optimizer = torch.optim.Adam(critic, lr=CRITIC_LEARNING_RATE)
        actor_optimizer = torch.optim.Adam(actor, lr=args.learning_rate)

        batch = args.num_envs * args.num_steps
        iterations = args.value_updates + max(1, args.total_steps // batch)
        parts = {"network": network, "target": target, "collector": collector, "scale": scale, "replay": replay}
        parts |= {"critic_optimizer": critic_optimizer, "actor_optimizer": actor_optimizer}
        for iteration in run.over(iterations, parts):
            # Rollout
            rollout = collector.collect()
            start = time.perf_counter()
            next_obs = torch.cat([rollout.obs[1:], collector.obs[None]])  # at an episode's end its final observation
            seen, acted, reward, came, over = rollout.flat(
                rollout.obs, rollout.action, scale(rollout), next_obs, rollout.terminated
            )
            replay.add(obs=seen, scores=acted, reward=reward, next_obs=came, terminated=over)

            # Update
            for _ in range(args.updates):
                drawn = replay.sample(args.batch_size)
                with torch.no_grad():
                    next_value = target.value(drawn["next_obs"], target.scores(drawn["next_obs"]))
                    aim = td_target(drawn["reward"], drawn["terminated"], next_value, args.gamma)
                value = network.value(drawn["obs"], drawn["scores"])
                critic_loss = (value - aim).square().mean()
                descend(critic_optimizer, critic_loss, critic, MAX_GRAD_NORM)
                if iteration >= args.value_updates:
                    actor_loss = -network.value(drawn["obs"], network.scores(drawn["obs"])).mean()
                    # This adds to the critic's gradients too, which are cleared before its next step.
                    descend(actor_optimizer, actor_loss, actor, MAX_GRAD_NORM)
                follow(target, network, args.tau)
            collector.seconds["learning"] += time.perf_counter() - start

            # Report
            phase = "critic" if iteration < args.value_updates else "ddpg"
            losses = {"value_loss": critic_loss, "value": value.mean()}
            run.report_iteration(iteration, batch, phase, rollout.charts, losses, collector.seconds)
        return finish(args, network, scenario)


if __name__ == "__main__":
    main(train, Args)
