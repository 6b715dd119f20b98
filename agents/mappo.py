"""PPO by stations that share parameters: MAPPO (Yu et al. 2022), or IPPO (de Witt et al. 2020), for DTPlacementMA-v0.

Stations bid for hosting and name a price (action="price"). The ratio of each station is clipped separately; all share
the score as their reward. The advantage is that of one central critic (MAPPO) or of critics that see their station's
observation only (IPPO). With --network exchange stations share their observations, as (Lu 2021, Section V-A) assumes,
and who hosts; with --network own each decides by its own observation, and only a central critic, in training, sees
more.

Moving twins is free in the presets, so slots are nearly contextual bandits, and gamma is 0.

    python -m agents.mappo --scenario paper-100x10 --save runs/mappo.safetensors
    python -m agents.mappo --scenario paper-100x10 --warm-start greedy-add
    python -m agents.mappo --scenario paper-100x10 --network own --critic local   # IPPO, decentralised
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn

import agents
from agents.ppo import MAX_GRAD_NORM, VF_COEF, policy_loss
from agents.training.advantages import advantages
from agents.training.checkpoint import NetworkPolicy, finish
from agents.training.learner import descend, set_up
from agents.training.rollout import Collector, RewardScale, training_envs
from agents.training.run import Report, Run, RunArgs, main, silent
from dtenv.scenario import PlacementScenario

PRICES = {"action": "price"}

CLONING_EPOCHS = 8
"""Passes over the slots that a heuristic labels."""


@dataclass
class Args(RunArgs):
    """Settings of a run."""

    learner: ClassVar[str] = "mappo"

    env_id: str = "DTPlacementMA-v0"
    """the environment"""
    network: str = "exchange"
    """"exchange", or "own" without communication between stations"""
    critic: Literal["central", "local"] = "central"
    """the critic of MAPPO, or those of IPPO"""
    warm_start: str = "none"
    """heuristic whose hosts to clone first, or "none\""""
    warm_start_slots: int = 4096
    """slots that the heuristic labels"""
    total_steps: int = 30_000
    """slots, summed over environments"""
    num_envs: int = 256
    """environments in parallel"""
    num_steps: int = 4
    """slots of each environment in a rollout"""
    learning_rate: float = 2e-3
    """learning rate of Adam, annealed to zero"""
    gamma: float = 0.0
    """discount; in these presets a decision does not affect the scores of later slots"""
    gae_lambda: float = 0.95
    """λ of generalised advantage estimation, for a gamma above 0"""
    update_epochs: int = 4
    """passes over a rollout"""
    num_minibatches: int = 4
    """gradient steps per pass"""
    clip_coef: float = 0.2
    """clipping of a station's ratio"""
    ent_coef: float = 0.0
    """weight of the entropy bonus"""


def of_stations(advantage: Tensor, stations: int) -> Tensor:
    """Advantages (rows,) or (rows, M) as (rows, M), scaled to zero mean and unit deviation."""
    wide = advantage if advantage.ndim == 2 else advantage[:, None].expand(-1, stations)
    return (wide - advantage.mean()) / (advantage.std() + 1e-8)


def train(
    args: Args,
    *,
    scenario: PlacementScenario | None = None,
    envs: gym.vector.VectorEnv | None = None,
    network: nn.Module | None = None,
    report: Report = silent,
) -> NetworkPolicy:
    """Train a policy, with the arguments of `agents.ppo.train`.

    The network's `look` gives features that don't depend on its parameters, and its `judge` the Decision for them.
    """
    with Run(args, report) as run:
        # Environments and network
        scenario, envs, network, spread = set_up(args, PRICES, scenario, envs, network, critic=args.critic)
        if args.warm_start != "none" and not run.resumed:
            clone_hosts(network, args, scenario, run)
        collector = Collector(envs, network, args.num_steps, args.first_seed + args.num_envs, spread)
        scale = RewardScale(args.gamma)
        optimizer = torch.optim.Adam(network.parameters(), lr=args.learning_rate, eps=1e-5)

        batch = args.num_envs * args.num_steps
        iterations = max(1, args.total_steps // batch)
        parts = {"network": network, "optimizer": optimizer, "collector": collector, "scale": scale}
        for iteration in run.over(iterations, parts):
            optimizer.param_groups[0]["lr"] = (1.0 - iteration / iterations) * args.learning_rate

            # Rollout and advantages
            rollout = collector.collect()
            start = time.perf_counter()
            ends = rollout.terminated, rollout.truncated
            reward = scale(rollout)
            if rollout.value.ndim > reward.ndim:  # a critic per station, one reward for all
                reward = reward[..., None].expand_as(rollout.value[:-1])
            advantage = advantages(reward, rollout.value, *ends, args.gamma, args.gae_lambda)
            returns = advantage + rollout.value[:-1]
            flat = rollout.flat(rollout.obs, rollout.action, rollout.log_prob, advantage, returns)
            obs, action, old_log_prob, advantage, returns = flat
            seen = network.look(obs, action)

            # Update
            for _ in range(args.update_epochs):
                for rows in torch.randperm(len(obs)).chunk(args.num_minibatches):
                    judged = network.judge(seen.rows(rows), action[rows])
                    better = of_stations(advantage[rows], judged.log_prob.shape[1])
                    pg_loss = policy_loss(judged.log_prob, old_log_prob[rows], better, args.clip_coef)
                    v_loss = 0.5 * (judged.value - returns[rows]).square().mean()
                    entropy = judged.entropy.mean()
                    loss = pg_loss + VF_COEF * v_loss - args.ent_coef * entropy
                    descend(optimizer, loss, network.parameters(), MAX_GRAD_NORM)
            collector.seconds["learning"] += time.perf_counter() - start

            # Report
            charts = {**rollout.charts, "charts/learning_rate": optimizer.param_groups[0]["lr"]}
            losses = {"policy_loss": pg_loss, "value_loss": v_loss, "entropy": entropy}
            losses |= {"approx_kl": (old_log_prob[rows] - judged.log_prob).mean()}
            losses |= {"explained_variance": 1.0 - (advantage.var() / returns.var()).item()}
            run.report_iteration(iteration, batch, "mappo", charts, losses, collector.seconds)
        return finish(args, network, scenario, PRICES, critic=args.critic)


def clone_hosts(network: nn.Module, args: Args, scenario: PlacementScenario, run: Run) -> None:
    """Clone the heuristic's choice of hosts, in slots visited by random associations; prices start at the level."""
    placed = scenario.override(action="association")
    expert = agents.load(args.warm_start, args.env_id, scenario=placed)
    envs = training_envs(args, placed, args.num_envs)
    envs.action_space.seed(args.first_seed)
    obs, _ = envs.reset(seed=args.first_seed)
    stations, seen, labels = scenario.network.num_stations, [], []
    while sum(map(len, seen)) < args.warm_start_slots and not run.interrupted:
        server = expert.act(obs)
        seen.append(torch.as_tensor(obs.copy()))
        labels.append(torch.as_tensor((server[..., None] == np.arange(stations)).any(1)))
        run.report({"charts/phase": f"cloning, {sum(map(len, seen))} slots labelled"})
        for _ in range(5):  # so that labelled slots differ
            obs, *_ = envs.step(envs.action_space.sample())
    envs.close()
    slots, hosts = torch.cat(seen), torch.cat(labels)
    action = torch.stack([hosts.float(), torch.full(hosts.shape, 0.5)], -1).flatten(1)
    known: Any = network.look(slots, action)
    optimizer = torch.optim.Adam(network.parameters(), lr=args.learning_rate)
    for _ in range(CLONING_EPOCHS):
        for rows in torch.randperm(len(slots)).split(64):
            optimizer.zero_grad()
            (-network.judge(known.rows(rows), action[rows]).log_prob.mean()).backward()
            optimizer.step()


if __name__ == "__main__":
    main(train, Args)
