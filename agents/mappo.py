"""PPO by stations that share parameters: MAPPO (Yu et al. 2022), or IPPO (de Witt et al. 2020), for DTPlacementMA-v0.

Stations bid for hosting and name a price (action="price"). Each has a ratio of its own that is clipped, all share the
score as their reward, and an advantage by one central critic (MAPPO) or by critics that see what their station sees
(IPPO). With --network exchange stations tell each other what they see, as (Lu 2021, Section V-A) assumes, and who
hosts; with --network own each decides by its own observation, and only a central critic, in training, sees more.

Moving twins is free in the presets, so slots are contextual bandits, near enough, and gamma is 0.

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
from agents.networks import build
from agents.ppo import MAX_GRAD_NORM, VF_COEF, policy_loss
from agents.training.advantages import advantages
from agents.training.checkpoint import NetworkPolicy, finish
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
    """"exchange", or "own" without a word between stations"""
    critic: Literal["central", "local"] = "central"
    """MAPPO's, or IPPO's"""
    warm_start: str = "none"
    """heuristic whose hosts to clone first, or "none\""""
    warm_start_slots: int = 4096
    """slots that it labels"""
    total_steps: int = 30_000
    """slots of all environments together"""
    num_envs: int = 256
    """environments side by side"""
    num_steps: int = 4
    """slots of each environment in a rollout"""
    learning_rate: float = 2e-3
    """Adam's, annealed to zero"""
    gamma: float = 0.0
    """discount; in these presets a slot's decision changes no later slot's score"""
    gae_lambda: float = 0.95
    """λ of generalised advantage estimation, for a gamma above 0"""
    update_epochs: int = 4
    """passes over a rollout"""
    num_minibatches: int = 4
    """gradient steps a pass"""
    clip_coef: float = 0.2
    """of a station's ratio"""
    ent_coef: float = 0.0
    """weight of the entropy bonus"""


def of_stations(advantage: Tensor, stations: int) -> Tensor:
    """Advantages (rows,) or (rows, M) as (rows, M), of zero mean and unit deviation."""
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
    """Train a policy.

    Args:
        args: settings.
        scenario: what to train on, in place of args.scenario and its overrides.
        envs: a vector env with next-step autoreset to train on in place of any scenario; needs a network.
        network: `look` gives what its decisions go by, `judge` the Decision; by default args.network's.
        report: called with a row of `charts/…` and `losses/…` after every rollout.
    """
    with Run(args, report) as run:
        # Environments and network
        if scenario is None:
            scenario = args.resolve()
        trained_on, spread = scenario.override(**PRICES), 0
        if envs is None:
            envs = training_envs(args, trained_on, args.num_envs)
            spread = trained_on.episode.num_slots
        if network is None:
            network = build(args.env_id, args.network, trained_on, critic=args.critic)
        if args.warm_start != "none" and not run.resumed:
            clone_hosts(network, args, trained_on, run)
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
            if rollout.value.ndim > reward.ndim:  # a critic of each station, one reward for all
                reward = reward[..., None].expand_as(rollout.value[:-1])
            advantage = advantages(reward, rollout.value, *ends, args.gamma, args.gae_lambda)
            returns = advantage + rollout.value[:-1]
            fields = rollout.flat(rollout.obs, rollout.action, rollout.log_prob, advantage, returns)
            obs, action, old_log_prob, advantage, returns = fields
            seen = network.look(obs, action)  # what decisions go by does not depend on the parameters

            # Update
            for _ in range(args.update_epochs):
                for rows in torch.randperm(len(obs)).chunk(args.num_minibatches):
                    judged = network.judge(seen.rows(rows), action[rows])
                    better = of_stations(advantage[rows], judged.log_prob.shape[1])
                    pg_loss = policy_loss(judged.log_prob, old_log_prob[rows], better, args.clip_coef)
                    v_loss = 0.5 * (judged.value - returns[rows]).square().mean()
                    entropy = judged.entropy.mean()
                    optimizer.zero_grad()
                    (pg_loss + VF_COEF * v_loss - args.ent_coef * entropy).backward()
                    nn.utils.clip_grad_norm_(network.parameters(), MAX_GRAD_NORM)
                    optimizer.step()
            collector.seconds["learning"] += time.perf_counter() - start

            # Report
            run.report(
                {
                    "charts/phase": "mappo",
                    "global_step": (iteration + 1) * batch,
                    "charts/progress": (iteration + 1) / iterations,
                    **rollout.charts,
                    "charts/learning_rate": optimizer.param_groups[0]["lr"],
                    "losses/policy_loss": pg_loss.item(),
                    "losses/value_loss": v_loss.item(),
                    "losses/entropy": entropy.item(),
                    "losses/approx_kl": (old_log_prob[rows] - judged.log_prob).mean().item(),
                    "losses/explained_variance": 1.0 - (advantage.var() / returns.var()).item(),
                    **{f"seconds/{name}": spent for name, spent in collector.seconds.items()},
                }
            )
        return finish(args, network, trained_on, PRICES, critic=args.critic)


def clone_hosts(network: nn.Module, args: Args, scenario: PlacementScenario, run: Run) -> None:
    """Train the network to name the heuristic's hosts, in slots that random associations lead through.

    Where the network sets prices itself, it starts at the price level.
    """
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
        for _ in range(5):  # slots that differ more
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
