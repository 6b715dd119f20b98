"""PPO that holds info["cost"] at a limit by a multiplier, for DTAssociation-v0 and DTMigration-v0, in one file.

The barrier of (Zhou 2025, 24) and the penalties of scores price violations by choice. Here the objective alone is
maximised with the mean cost of a slot held at --cost-limit: the critic has a value of rewards and one of costs, the
policy follows (A_r - λ A_c) / (1 + λ), and λ rises while costs exceed the limit and falls while they do not (Ray et al.
2019), with a proportional part that damps it (Stooke et al. 2020). λ is in units of reward a unit of cost.

    python -m agents.ppo_lagrangian --num-servers 15 --save runs/ppo-lagrangian.safetensors
    python -m agents.ppo_lagrangian --env-id DTMigration-v0 --cost-limit 0.02
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import torch
from torch import Tensor, nn

from agents import ppo
from agents.advantages import advantages
from agents.checkpoint import NetworkPolicy, save_policy
from agents.networks import build
from agents.ppo import normalised, parameter_groups, policy_loss, training_envs, warm_start
from agents.rollout import Collector, RewardScale
from agents.run import Report, Run, RunArgs, main, silent
from dtenv.scenario import Scenario


@dataclass
class Args(RunArgs):
    """Settings of a run. What is None by default is the environment's recipe's."""

    network: str | None = None
    """"equivariant", or "perceptron", the papers'"""
    reward: str | None = None
    """reward trained on, one of the environment's that does not price violations"""
    cost_limit: float | None = None
    """largest mean of info["cost"] a slot"""
    multiplier: float = 0.0
    """λ at first"""
    multiplier_rate: float | None = None
    """what λ rises by in a rollout whose mean cost is the limit and 1 more"""
    multiplier_damping: float | None = None
    """proportional part of λ: what a cost of the limit and 1 more adds for as long as it lasts"""
    warm_start: str | None = None
    """heuristic to clone first, or "none\""""
    warm_start_slots: int = 4096
    """states that it labels"""
    value_updates: int = 5
    """rollouts after the warm start that train the critic alone"""
    total_steps: int | None = None
    """environment steps after the warm start"""
    num_envs: int | None = None
    """environments side by side"""
    num_steps: int | None = None
    """steps of each environment in a rollout"""
    learning_rate: float | None = None
    """Adam's, annealed to zero"""
    critic_learning_rate: float | None = None
    """the critic's, where it differs"""
    gamma: float | None = None
    """discount"""
    gae_lambda: float | None = None
    """λ of the advantages"""
    update_epochs: int = 2
    """passes over a rollout"""
    num_minibatches: int = 16
    """gradient steps a pass"""
    clip_coef: float = 0.2
    """how far a ratio may go from 1"""
    ent_coef: float = 0.0
    """weight of the entropy bonus"""
    vf_coef: float = 0.5
    """weight of the critic's loss"""
    max_grad_norm: float = 0.5
    """gradient clipping"""


RECIPES: dict[str, dict[str, Any]] = {
    "DTAssociation-v0": {
        **ppo.RECIPES["DTAssociation-v0"],
        "reward": "objective",
        "cost_limit": 0.001,
        "multiplier_rate": 0.1,
        "multiplier_damping": 0.4,
    },
    "DTMigration-v0": {
        **ppo.RECIPES["DTMigration-v0"],
        "cost_limit": 0.02,
        "multiplier_rate": 0.1,
        "multiplier_damping": 0.4,
    },
}
"""Defaults of each environment."""

UNPRICED: dict[str, dict[str, Any]] = {"DTAssociation-v0": {}, "DTMigration-v0": {"deadline_penalty": 0.0}}
"""Fields of the scenario that take violations out of the rewards; the score that is reported lacks them too."""


class Multiplier:
    """λ by dual ascent: the sum of a rate times excess costs, and while there is an excess a proportional part."""

    def __init__(self, value: float, limit: float, rate: float, damping: float):
        self.limit, self.rate, self.damping = limit, rate, damping
        self.ascended = self.value = value

    def update(self, cost: float) -> float:
        """λ after a rollout of this mean cost; never below 0."""
        excess = cost - self.limit
        self.ascended = max(0.0, self.ascended + self.rate * excess)
        self.value = max(0.0, self.ascended + self.damping * excess)
        return self.value

    def state_dict(self) -> dict[str, float]:
        """Where it stands."""
        return {"ascended": self.ascended, "value": self.value}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Go on from there."""
        self.ascended, self.value = state["ascended"], state["value"]


def constrained(advantage: Tensor, multiplier: float) -> Tensor:
    """(A_r - λ A_c) / (1 + λ) of advantages (…, 2), of rewards and of costs."""
    return (advantage[..., 0] - multiplier * advantage[..., 1]) / (1.0 + multiplier)


def train(
    args: Args,
    *,
    scenario: Scenario | None = None,
    envs: gym.vector.VectorEnv | None = None,
    network: nn.Module | None = None,
    report: Report = silent,
) -> NetworkPolicy:
    """Train a policy.

    Args:
        args: settings.
        scenario: what to train on, in place of args.scenario and its overrides.
        envs: a vector env with next-step autoreset to train on in place of any scenario; needs a network.
        network: gives a Decision for (obs, action, greedy); by default args.network's. With two values.
        report: called with a row of `charts/…` and `losses/…` after every rollout.
    """
    args = args.with_recipe(RECIPES, "ppo-lagrangian")
    with Run(args, "ppo-lagrangian", report) as run:
        # Environments and network
        if scenario is None:
            scenario = args.resolve()
        trained_on = scenario.override(reward=args.reward, **UNPRICED[args.env_id])
        spread = 0
        if envs is None:
            envs = training_envs(args, trained_on)
            spread = trained_on.value("num_slots")
        if network is None:
            network = build(args.env_id, args.network, trained_on, values=2)
        warm = args.value_updates if args.warm_start != "none" else 0
        if args.warm_start != "none" and not run.resumed:
            warm_start(run, args, network, envs, trained_on)
        collector = Collector(envs, network, args.num_steps, args.first_seed + args.num_envs, spread)
        scale, cost_scale = RewardScale(args.gamma), RewardScale(args.gamma)
        multiplier = Multiplier(args.multiplier, args.cost_limit, args.multiplier_rate, args.multiplier_damping)
        optimizer = torch.optim.Adam(parameter_groups(network, args), eps=1e-5)
        rates = [group["lr"] for group in optimizer.param_groups]

        batch = args.num_envs * args.num_steps
        iterations = warm + max(1, args.total_steps // batch)
        parts = {"network": network, "optimizer": optimizer, "collector": collector, "scale": scale}
        parts |= {"cost_scale": cost_scale, "multiplier": multiplier}
        for iteration in run.over(iterations, parts):
            progress = max(0, iteration - warm) / (iterations - warm)
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = (1.0 - progress) * rate

            # Rollout and advantages
            rollout = collector.collect()
            start = time.perf_counter()
            ends = rollout.terminated, rollout.truncated
            signals = torch.stack([scale(rollout), cost_scale(rollout._replace(reward=rollout.cost))], -1)
            advantage = advantages(signals, rollout.value, *ends, args.gamma, args.gae_lambda)
            returns = advantage + rollout.value[:-1]
            cost = rollout.cost[rollout.valid].mean().item()
            if iteration >= warm:
                multiplier.update(cost)
            advantage = constrained(advantage, multiplier.value * cost_scale.spread / scale.spread)
            flat = rollout.flat(rollout.obs, rollout.action, rollout.log_prob, advantage, returns)

            # Update
            for _ in range(args.update_epochs):
                for rows in torch.randperm(len(flat[0])).chunk(args.num_minibatches):
                    mb_obs, mb_action, mb_log_prob, mb_advantage, mb_returns = (x[rows] for x in flat)
                    judged = network(mb_obs, mb_action)
                    pg_loss = policy_loss(judged.log_prob, mb_log_prob, normalised(mb_advantage), args.clip_coef)
                    v_loss = 0.5 * (judged.value - mb_returns).square().mean()
                    entropy = judged.entropy.mean()
                    loss = args.vf_coef * v_loss
                    if iteration >= warm:  # before, the critic learns the cloned policy's value
                        loss = loss + pg_loss - args.ent_coef * entropy
                    optimizer.zero_grad()
                    loss.backward()
                    nn.utils.clip_grad_norm_(network.parameters(), args.max_grad_norm)
                    optimizer.step()
            collector.seconds["learning"] = collector.seconds.get("learning", 0.0) + time.perf_counter() - start

            # Report
            run.report(
                {
                    "charts/phase": "critic" if iteration < warm else "ppo-lagrangian",
                    "global_step": (iteration + 1) * batch,
                    "charts/progress": (iteration + 1) / iterations,
                    **rollout.charts,
                    "charts/cost": cost,
                    "charts/multiplier": multiplier.value,
                    "charts/learning_rate": optimizer.param_groups[0]["lr"],
                    "losses/policy_loss": pg_loss.item(),
                    "losses/value_loss": v_loss.item(),
                    "losses/entropy": entropy.item(),
                    "losses/approx_kl": (mb_log_prob - judged.log_prob).mean().item(),
                    **{f"seconds/{name}": spent for name, spent in collector.seconds.items()},
                }
            )
        policy = NetworkPolicy("ppo-lagrangian", network.eval())
        if args.save is not None:
            save_policy(args.save, policy, args, trained_on, values=2)
    return policy


if __name__ == "__main__":
    main(train, Args, "ppo-lagrangian")
