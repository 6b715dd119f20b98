"""Advantage actor-critic, the first baseline of (Zhou 2025), for DTAssociation-v0 and DTMigration-v0, in one file.

What PPO is without its ratio: one gradient step a rollout, ∇ log π(a|s) A with the advantages of (33), so nothing
confines how far a step goes. Mnih et al. (2016) with rollouts in step, as batches have them. Truncation bootstraps; the
row that next-step autoreset inserts is masked.

    python -m agents.a2c --num-servers 15 --save runs/a2c.safetensors
    python -m agents.a2c --network perceptron --warm-start none --learning-rate 2.5e-4 --critic-learning-rate 1.5e-3
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import torch
from torch import Tensor, nn

from agents.advantages import advantages
from agents.checkpoint import NetworkPolicy, save_policy
from agents.networks import build
from agents.ppo import normalised, parameter_groups, training_envs, warm_start
from agents.rollout import Collector, RewardScale
from agents.run import Report, Run, RunArgs, main, silent
from dtenv.scenario import Scenario


@dataclass
class Args(RunArgs):
    """Settings of a run. What is None by default is the environment's recipe's."""

    network: str | None = None
    """"equivariant", or "perceptron", the papers'"""
    reward: str | None = None
    """reward trained on, one of the environment's"""
    warm_start: str | None = None
    """heuristic to clone first, or "none\""""
    warm_start_slots: int = 4096
    """states that it labels"""
    value_updates: int = 20
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
    """discount, σ of (32)"""
    gae_lambda: float | None = None
    """λ of (33)"""
    ent_coef: float = 0.0
    """weight of the entropy bonus"""
    vf_coef: float = 0.5
    """weight of the critic's loss"""
    max_grad_norm: float = 0.5
    """gradient clipping"""


RECIPES: dict[str, dict[str, Any]] = {
    "DTAssociation-v0": {
        "network": "equivariant",
        "reward": "score",
        "warm_start": "local-search",
        "num_slots": 60,
        "total_steps": 300_000,
        "num_envs": 128,
        "num_steps": 5,
        "learning_rate": 8e-4,
        "gamma": 0.95,
        "gae_lambda": 0.9,
    },
    "DTMigration-v0": {
        "network": "perceptron",
        "reward": "centred",
        "warm_start": "none",
        "total_steps": 5_000_000,
        "num_envs": 256,
        "num_steps": 20,
        "learning_rate": 1.5e-3,
        "gamma": 0.98,
        "gae_lambda": 0.95,
    },
}
"""Defaults of each environment."""


def policy_loss(log_prob: Tensor, advantage: Tensor) -> Tensor:
    """-log π(a|s) A, the mean over the rows; the log probability of an action is the sum over its parts (rows, K)."""
    return -(log_prob.sum(-1) * advantage).mean()


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
        network: gives a Decision for (obs, action, greedy); by default args.network's.
        report: called with a row of `charts/…` and `losses/…` after every rollout.
    """
    args = args.with_recipe(RECIPES, "a2c")
    with Run(args, "a2c", report) as run:
        # Environments and network
        if scenario is None:
            scenario = args.resolve()
        trained_on = scenario.override(reward=args.reward)
        spread = 0
        if envs is None:
            envs = training_envs(args, trained_on)
            spread = trained_on.value("num_slots")
        if network is None:
            network = build(args.env_id, args.network, trained_on)
        warm = args.value_updates if args.warm_start != "none" else 0
        if args.warm_start != "none" and not run.resumed:
            warm_start(run, args, network, envs, trained_on)
        collector = Collector(envs, network, args.num_steps, args.first_seed + args.num_envs, spread)
        scale = RewardScale(args.gamma)
        optimizer = torch.optim.Adam(parameter_groups(network, args), eps=1e-5)
        rates = [group["lr"] for group in optimizer.param_groups]

        batch = args.num_envs * args.num_steps
        iterations = warm + max(1, args.total_steps // batch)
        parts = {"network": network, "optimizer": optimizer, "collector": collector, "scale": scale}
        for iteration in run.over(iterations, parts):
            progress = max(0, iteration - warm) / (iterations - warm)
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = (1.0 - progress) * rate

            # Rollout and advantages
            rollout = collector.collect()
            start = time.perf_counter()
            ends = rollout.terminated, rollout.truncated
            advantage = advantages(scale(rollout), rollout.value, *ends, args.gamma, args.gae_lambda)
            returns = advantage + rollout.value[:-1]
            obs, action, advantage, returns = rollout.flat(rollout.obs, rollout.action, advantage, returns)

            # Update
            judged = network(obs, action)
            pg_loss = policy_loss(judged.log_prob, normalised(advantage))
            v_loss = 0.5 * (judged.value - returns).square().mean()
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
                    "charts/phase": "critic" if iteration < warm else "a2c",
                    "global_step": (iteration + 1) * batch,
                    "charts/progress": (iteration + 1) / iterations,
                    **rollout.charts,
                    "charts/learning_rate": optimizer.param_groups[0]["lr"],
                    "losses/policy_loss": pg_loss.item(),
                    "losses/value_loss": v_loss.item(),
                    "losses/entropy": entropy.item(),
                    **{f"seconds/{name}": spent for name, spent in collector.seconds.items()},
                }
            )
        policy = NetworkPolicy("a2c", network.eval())
        if args.save is not None:
            save_policy(args.save, policy, args, trained_on)
    return policy


if __name__ == "__main__":
    main(train, Args, "a2c")
