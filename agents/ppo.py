"""Proximal policy optimisation (Zhou 2025, Algorithm 1) for DTAssociation-v0 and DTMigration-v0, in one file.

Errata of the paper are corrected: the standard clip (its eq. 35 is constant), the standard GAE sum (its eq. 33), the
ratio to the policy that collected the data (34), semi-gradients in the critic (36). Truncation bootstraps; the row
that next-step autoreset inserts is masked. With ratio="part" the ratio is clipped per user with a shared advantage.
With a cost_limit the critic has a second value, of costs, and the policy follows (A_r - λ A_c) / (1 + λ), where the
multiplier λ (agents/multiplier.py) rises while costs exceed the limit. agents/a2c.py and agents/ppo_lagrangian.py are
this learner with other settings.

    python -m agents.ppo --num-servers 15 --save runs/ppo.safetensors
    python -m agents.ppo --warm-start none --total-steps 600000
    python -m agents.ppo --env-id DTMigration-v0
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import gymnasium as gym
import torch
from torch import Tensor, nn

import agents
from agents.multiplier import Multiplier, constrained
from agents.training.advantages import advantages
from agents.training.checkpoint import NetworkPolicy, finish
from agents.training.dagger import clone
from agents.training.learner import actor_and_critic, descend, set_up
from agents.training.rollout import Collector, RewardScale
from agents.training.run import Report, Run, RunArgs, main, silent
from dtenv.scenario import Scenario

RECIPES: dict[str, dict[str, Any]] = {
    "DTAssociation-v0": {
        "network": "equivariant",
        "reward": "score",
        "warm_start": "local-search",
        "num_slots": 60,
        "total_steps": 320_000,
        "num_envs": 256,
        "num_steps": 16,
        "learning_rate": 8e-4,
        "gamma": 0.95,
        "gae_lambda": 0.9,
        "num_minibatches": 16,
    },
    "DTMigration-v0": {
        "network": "equivariant",
        "reward": "centred",
        "warm_start": "none",
        "total_steps": 1_500_000,
        "num_envs": 256,
        "num_steps": 50,
        "num_minibatches": 4,
        "learning_rate": 1.5e-3,
        "gamma": 0.98,
        "gae_lambda": 0.95,
    },
}
"""Defaults of each environment."""

VF_COEF = 0.5
"""Weight of the critic's loss."""

MAX_GRAD_NORM = 0.5
"""Largest norm of the gradient."""


@dataclass
class Args(RunArgs):
    """Settings of a run; those that are None by default come from the environment's recipe."""

    learner: ClassVar[str] = "ppo"
    recipes: ClassVar[Mapping[str, Mapping[str, Any]]] = RECIPES

    network: str | None = None
    """"equivariant", or "perceptron", the papers'"""
    reward: str | None = None
    """reward trained on, one of the environment's"""
    warm_start: str | None = None
    """heuristic to clone first, or "none\""""
    warm_start_slots: int = 4096
    """states that the heuristic labels"""
    value_updates: int = 5
    """rollouts after the warm start that train the critic alone"""
    total_steps: int | None = None
    """environment steps after the warm start"""
    num_envs: int | None = None
    """environments in parallel"""
    num_steps: int | None = None
    """steps of each environment in a rollout"""
    learning_rate: float | None = None
    """learning rate of Adam, annealed to zero"""
    critic_learning_rate: float | None = None
    """learning rate of the critic, if another"""
    gamma: float | None = None
    """discount, σ of (32)"""
    gae_lambda: float | None = None
    """λ of (33)"""
    update_epochs: int = 2
    """passes over a rollout, M"""
    num_minibatches: int | None = None
    """gradient steps per pass"""
    clip_coef: float = 0.2
    """ε of (34)"""
    ratio: Literal["part", "joint"] = "part"
    """clip the ratio of each user, or the joint ratio of all users"""
    ent_coef: float = 0.0
    """weight of the entropy bonus, annealed to zero"""
    cost_limit: float | None = None
    """largest mean info["cost"] per slot, held by a multiplier; by default costs do not count"""
    multiplier_rate: float = 0.1
    """rise of the multiplier per rollout and unit of mean cost above the limit"""
    multiplier_damping: float = 0.4
    """proportional part of the multiplier per unit of the present mean cost above the limit"""


def policy_loss(log_prob: Tensor, old_log_prob: Tensor, advantage: Tensor, clip_coef: float) -> Tensor:
    """Negated clipped objective (34) of parts (rows, K), with advantages (rows, K) or shared ones (rows,)."""
    wide = advantage if advantage.ndim == log_prob.ndim else advantage[:, None]
    ratio = (log_prob - old_log_prob).exp()
    return -torch.minimum(ratio * wide, ratio.clamp(1 - clip_coef, 1 + clip_coef) * wide).mean()


def normalised(advantage: Tensor) -> Tensor:
    """Scale to zero mean and unit deviation over the rows; a single row becomes 0."""
    return (advantage - advantage.mean()) / (advantage.std(correction=0) + 1e-8)


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
        args: settings of the run.
        scenario: scenario to train on, in place of args.scenario and its overrides.
        envs: a vector env with next-step autoreset to train on, in place of the scenario's; needs a network.
        network: gives a Decision for (obs, action, greedy), with two values under a cost limit; by default
            args.network is built.
        report: called with a row of `charts/…` and `losses/…` after every rollout.
    """
    args = args.with_recipe()
    with Run(args, report) as run:
        # Environments and network
        options = {} if args.cost_limit is None else {"values": 2}  # of rewards, and of costs
        fields = {"reward": args.reward}
        scenario, envs, network, spread = set_up(args, fields, scenario, envs, network, **options)
        warm = args.value_updates if args.warm_start != "none" else 0
        if args.warm_start != "none" and not run.resumed:
            warm_start(run, args, network, envs, scenario)
        collector = Collector(envs, network, args.num_steps, args.first_seed + args.num_envs, spread)
        scale = RewardScale(args.gamma)
        optimizer = torch.optim.Adam(parameter_groups(network, args), eps=1e-5)
        rates = [group["lr"] for group in optimizer.param_groups]

        batch = args.num_envs * args.num_steps
        iterations = warm + max(1, args.total_steps // batch)
        parts = {"network": network, "optimizer": optimizer, "collector": collector, "scale": scale}
        limit = None
        if args.cost_limit is not None:
            cost_scale = RewardScale(args.gamma)
            limit = Multiplier(args.cost_limit, args.multiplier_rate, args.multiplier_damping)
            parts |= {"cost_scale": cost_scale, "multiplier": limit}
        for iteration in run.over(iterations, parts):
            progress = max(0, iteration - warm) / (iterations - warm)
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = (1.0 - progress) * rate

            # Rollout and advantages
            rollout = collector.collect()
            start = time.perf_counter()
            ends = rollout.terminated, rollout.truncated
            rewards, charts = scale(rollout), rollout.charts
            if limit is not None:
                rewards = torch.stack([rewards, cost_scale(rollout._replace(reward=rollout.cost))], -1)
            advantage = advantages(rewards, rollout.value, *ends, args.gamma, args.gae_lambda)
            returns = advantage + rollout.value[:-1]
            unexplained = advantage[rollout.valid].var() / returns[rollout.valid].var()
            if limit is not None:
                cost = rollout.cost[rollout.valid].mean().item()
                if iteration >= warm:
                    limit.update(cost)
                charts = {**charts, "charts/cost": cost, "charts/multiplier": limit.value}
                advantage = constrained(advantage, limit.value * cost_scale.spread / scale.spread)
            flat = rollout.flat(rollout.obs, rollout.action, rollout.log_prob, advantage, returns)

            # Update
            one_step = args.update_epochs == args.num_minibatches == 1  # A2C: nothing to shuffle
            for _ in range(args.update_epochs):
                order = torch.arange(len(flat[0])) if one_step else torch.randperm(len(flat[0]))
                for rows in order.chunk(args.num_minibatches):
                    mb_obs, mb_action, mb_log_prob, mb_advantage, mb_returns = (x[rows] for x in flat)
                    judged = network(mb_obs, mb_action)
                    log_prob = judged.log_prob
                    if args.ratio == "joint":
                        log_prob, mb_log_prob = (x.sum(-1, keepdim=True) for x in (log_prob, mb_log_prob))
                    pg_loss = policy_loss(log_prob, mb_log_prob, normalised(mb_advantage), args.clip_coef)
                    v_loss = 0.5 * (judged.value - mb_returns).square().mean()
                    entropy = judged.entropy.mean()
                    loss = VF_COEF * v_loss
                    if iteration >= warm:  # before, the critic learns the cloned policy's value
                        loss = loss + pg_loss - (1.0 - progress) * args.ent_coef * entropy
                    descend(optimizer, loss, network.parameters(), MAX_GRAD_NORM)
            collector.seconds["learning"] += time.perf_counter() - start

            # Report
            phase = "critic" if iteration < warm else args.learner
            charts = {**charts, "charts/learning_rate": optimizer.param_groups[0]["lr"]}
            losses = {"policy_loss": pg_loss, "value_loss": v_loss, "entropy": entropy}
            losses |= {"approx_kl": (mb_log_prob - log_prob).mean(), "explained_variance": 1.0 - unexplained.item()}
            run.report_iteration(iteration, batch, phase, charts, losses, collector.seconds)
        return finish(args, network, scenario, **options)


def warm_start(run: Run, args: Any, network: nn.Module, envs: gym.vector.VectorEnv, scenario: Scenario) -> None:
    """Clone the heuristic args.warm_start on args.warm_start_slots states."""
    clone(
        network,
        agents.load(args.warm_start, args.env_id, scenario=scenario),
        envs,
        slots=args.warm_start_slots,
        seed=args.first_seed,
        report=lambda labelled, loss: run.report(
            {"charts/phase": f"cloning, {labelled} states labelled", "losses/cloning": loss}
        ),
        stop=lambda: run.interrupted,
    )


def parameter_groups(network: nn.Module, args: Any) -> list[dict[str, Any]]:
    """Parameter groups of the optimiser with their learning rates, χ_a and χ_c of (37) and (38)."""
    if args.critic_learning_rate is None:
        return [{"params": list(network.parameters()), "lr": args.learning_rate}]
    actor, critic = actor_and_critic(network)
    return [{"params": actor, "lr": args.learning_rate}, {"params": critic, "lr": args.critic_learning_rate}]


if __name__ == "__main__":
    main(train, Args)
