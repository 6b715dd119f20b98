"""Proximal policy optimisation for DTAssociation-v0 (Zhou 2025, Algorithm 1), in one file.

Read against the paper's errata: the standard clip (its eq. 35 is constant), the standard GAE sum (its eq. 33), the
ratio to the policy that collected the data (34), semi-gradients in the critic (36). Truncation bootstraps; the reset
row that next-step autoreset inserts is masked. The ratio is clipped user by user with a shared advantage.

    python -m agents.ppo --scenario balanced --num-servers 15 --total-steps 300000
    python -m agents.ppo --network perceptron --warm-start none --gamma 0.98 --reward barrier   # the paper's agent
"""

from __future__ import annotations

import contextlib
import dataclasses
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import torch
import tyro
from torch import nn
from tqdm import tqdm

import agents
import dtenv
from agents.checkpoint import NetworkPolicy, save_policy
from agents.dagger import clone
from agents.networks import NETWORKS
from agents.tracking import Tracker
from dtenv import presets
from dtenv.scenario import AssociationScenario

TRAINING_SEEDS = 1_000_000
"""Training episodes are seeded from here on; evaluation seeds lie below."""


@dataclass
class Args:
    """Settings of a run."""

    env_id: str = "DTAssociation-v0"
    """the environment"""
    scenario: str = "balanced"
    """name of a preset"""
    num_servers: int | None = None
    """overrides the preset's S"""
    emd: float | None = None
    """overrides the preset's φ"""
    num_slots: int = 60
    """slots of a training episode"""
    reward: Literal["score", "barrier", "objective", "literal"] = "score"
    """reward trained on"""
    seed: int = 1
    """of network, environments and sampling"""
    track: bool = False
    """log to Weights & Biases (offline unless WANDB_MODE says otherwise)"""
    wandb_project: str = "dtenv"
    """project to log to"""
    save: Path | None = None
    """where to write the policy (.safetensors)"""
    threads: int = 1
    """torch threads"""

    # Algorithm specific arguments
    network: Literal["equivariant", "perceptron"] = "equivariant"
    """the perceptron is the paper's"""
    warm_start: str = "local-search"
    """heuristic to clone first, or none"""
    warm_start_slots: int = 4096
    """states that it labels"""
    value_updates: int = 5
    """rollouts after the warm start that train the critic alone"""
    total_steps: int = 300_000
    """environment steps after the warm start"""
    num_envs: int = 256
    """environments side by side"""
    num_steps: int = 16
    """steps of each environment in a rollout"""
    learning_rate: float = 8e-4
    """Adam's, annealed to zero"""
    gamma: float = 0.95
    """discount, σ of (32)"""
    gae_lambda: float = 0.9
    """λ of (33)"""
    update_epochs: int = 2
    """passes over a rollout, M"""
    num_minibatches: int = 16
    """gradient steps a pass"""
    clip_coef: float = 0.2
    """ε of (34)"""
    ent_coef: float = 0.0
    """weight of the entropy bonus"""
    vf_coef: float = 0.5
    """weight of the critic's loss"""
    max_grad_norm: float = 0.5
    """gradient clipping"""


def advantages(
    rewards: torch.Tensor,
    values: torch.Tensor,
    terminated: torch.Tensor,
    truncated: torch.Tensor,
    gamma: float,
    gae_lambda: float,
) -> torch.Tensor:
    """Generalised advantage estimates (N, B) of a rollout of N steps.

    Args:
        rewards: (N, B).
        values: (N + 1, B), of the observation before each step and after the last. After an episode's last step
            next-step autoreset still shows its final observation, so row t + 1 holds the value to bootstrap from.
        terminated: (N, B), the step reached an end with no future: nothing to bootstrap.
        truncated: (N, B), the step reached a time limit: bootstrap, but look no further.
        gamma: discount.
        gae_lambda: λ.
    """
    result = torch.zeros_like(rewards)
    carried = torch.zeros_like(rewards[0])
    for t in reversed(range(len(rewards))):
        delta = rewards[t] + gamma * values[t + 1] * ~terminated[t] - values[t]
        carried = delta + gamma * gae_lambda * carried * ~(terminated[t] | truncated[t])
        result[t] = carried
    return result


def make_env(env_id: str, scenario: AssociationScenario, num_slots: int) -> gym.Env:
    """One training environment."""
    return gym.make(env_id, scenario=scenario, num_slots=num_slots, disable_env_checker=True)


def train(
    args: Args,
    scenario: AssociationScenario | None = None,
    report: Callable[[dict[str, Any]], None] = lambda row: None,
) -> NetworkPolicy:
    """Train a policy.

    Args:
        args: settings.
        scenario: what to train on, in place of args.scenario and its overrides.
        report: called with a row of `charts/…` and `losses/…` after every rollout.
    """
    if scenario is None:
        changes = {"num_servers": args.num_servers, "emd": args.emd}
        scenario = presets.resolve(args.scenario, **{k: v for k, v in changes.items() if v is not None})
    trained_on = scenario.override(reward=args.reward, num_slots=min(args.num_slots, scenario.episode.num_slots))
    start = time.perf_counter()

    # Seeding
    random.seed(args.seed)
    np.random.seed(args.seed)  # noqa: NPY002 (libraries beneath draw from it)
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)

    # Environments and network
    # Horizons differ between environments, so that a rollout holds all phases of an episode.
    longest = trained_on.episode.num_slots
    horizons = np.linspace(max(1, longest // 2), longest, args.num_envs).round().astype(int)
    envs = gym.vector.SyncVectorEnv([partial(make_env, args.env_id, trained_on, int(slots)) for slots in horizons])
    users = scenario.network.num_users
    network = NETWORKS[args.network](trained_on)
    first_seed = TRAINING_SEEDS * (1 + args.seed)
    if args.warm_start != "none":
        expert = agents.load(args.warm_start, args.env_id, scenario=trained_on)
        clone(
            network,
            expert,
            envs,
            slots=args.warm_start_slots,
            seed=first_seed,
            report=lambda labelled, loss: report(
                {"charts/phase": "warm start", "charts/labelled": labelled, "losses/cloning": loss}
            ),
        )
    optimizer = torch.optim.Adam(network.parameters(), lr=args.learning_rate, eps=1e-5)

    # Storage
    shape = (args.num_steps, args.num_envs)
    obs_buffer = torch.zeros(*shape, envs.single_observation_space.shape[0])
    actions = torch.zeros(*shape, users, dtype=torch.int64)
    log_probs = torch.zeros(*shape, users)
    rewards, values = torch.zeros(shape), torch.zeros(args.num_steps + 1, args.num_envs)
    terminations, truncations, valid = (torch.zeros(shape, dtype=torch.bool) for _ in range(3))

    obs, _ = envs.reset(seed=first_seed + args.num_envs)
    done = np.zeros(args.num_envs, np.bool_)
    iterations = max(1, args.total_steps // (args.num_envs * args.num_steps))
    warm = args.value_updates if args.warm_start != "none" else 0
    returns_so_far, episode_returns = np.zeros(args.num_envs), [np.nan]
    centre = spread = 0.0
    for iteration in range(warm + iterations):
        progress = max(0, iteration - warm) / iterations
        optimizer.param_groups[0]["lr"] = (1.0 - progress) * args.learning_rate

        # Rollout
        scores = []
        for t in range(args.num_steps):
            with torch.no_grad():
                decision = network(torch.as_tensor(obs))
            obs_buffer[t], actions[t] = torch.as_tensor(obs), decision.action
            log_probs[t], values[t] = decision.log_prob, decision.value
            valid[t] = torch.as_tensor(~done)  # the step after an end only resets
            obs, reward, terminated, truncated, info = envs.step(decision.action.numpy())
            scores.append(info["score"][~done] if "score" in info else np.zeros(0))
            rewards[t] = torch.as_tensor(reward, dtype=torch.float32)
            terminations[t], truncations[t] = torch.as_tensor(terminated), torch.as_tensor(truncated)
            done = terminated | truncated
            returns_so_far += reward  # 0 on the step that only resets
            if done.any():
                episode_returns = returns_so_far[done].tolist()
                returns_so_far[done] = 0.0
        with torch.no_grad():
            values[-1] = network(torch.as_tensor(obs)).value

        # Advantages, of rewards brought once to zero mean and to a unit-sized return
        if iteration == 0:
            centre, spread = rewards[valid].mean(), rewards[valid].std() + 1e-8
        scaled = (rewards - centre) / spread * (1.0 - args.gamma)
        advantage = advantages(scaled, values, terminations, truncations, args.gamma, args.gae_lambda)
        returns = advantage + values[:-1]

        # Update
        keep = valid.flatten()
        flat = [x.flatten(0, 1)[keep] for x in (obs_buffer, actions, log_probs, advantage, returns)]
        for _ in range(args.update_epochs):
            for rows in torch.randperm(len(flat[0])).chunk(args.num_minibatches):
                mb_obs, mb_actions, mb_log_probs, mb_advantage, mb_returns = (x[rows] for x in flat)
                judged = network(mb_obs, mb_actions)
                mb_advantage = (mb_advantage - mb_advantage.mean()) / (mb_advantage.std() + 1e-8)
                ratio = (judged.log_prob - mb_log_probs).exp()  # (rows, U)
                clipped = ratio.clamp(1 - args.clip_coef, 1 + args.clip_coef)
                pg_loss = -torch.minimum(ratio * mb_advantage[:, None], clipped * mb_advantage[:, None]).mean()
                v_loss = 0.5 * (judged.value - mb_returns).square().mean()
                entropy = judged.entropy.mean()
                loss = args.vf_coef * v_loss
                if iteration >= warm:  # before, the critic learns the cloned policy's value
                    loss = loss + pg_loss - args.ent_coef * entropy
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), args.max_grad_norm)
                optimizer.step()

        # Report
        steps = (iteration + 1) * args.num_envs * args.num_steps
        seconds = time.perf_counter() - start
        report(
            {
                "charts/phase": "critic" if iteration < warm else "ppo",
                "global_step": steps,
                "charts/progress": (iteration + 1) / (warm + iterations),
                "charts/episodic_return": float(np.mean(episode_returns)),  # of the latest episodes to end
                "charts/score": float(np.concatenate(scores).mean()),
                "charts/SPS": steps / seconds,
                "charts/seconds": seconds,
                "charts/learning_rate": optimizer.param_groups[0]["lr"],
                "losses/policy_loss": pg_loss.item(),
                "losses/value_loss": v_loss.item(),
                "losses/entropy": entropy.item(),
                "losses/clipfrac": ((ratio - 1.0).abs() > args.clip_coef).float().mean().item(),
                "losses/explained_variance": 1.0 - (flat[3].var() / flat[4].var()).item(),
            }
        )
    envs.close()
    if args.save is not None:
        about = {"name": "ppo", "env_id": args.env_id, "args": dataclasses.asdict(args)}
        save_policy(args.save, network, {**about, "scenario": trained_on.as_dict(), "dtenv": dtenv.__version__})
    return NetworkPolicy("ppo", network.eval())


@contextlib.contextmanager
def progress_bar(title: str = "training ppo") -> Iterator[Callable[[dict[str, Any]], None]]:
    """Shows the rows that `train` reports as a bar with time, score and steps a second."""
    with tqdm(total=100, desc=title, bar_format="{l_bar}{bar}| {elapsed}{postfix}") as bar:

        def show(row: dict[str, Any]) -> None:
            if row["charts/phase"] == "warm start":
                bar.set_postfix_str(f"cloning, {row['charts/labelled']} states labelled")
                return
            bar.n = round(100 * row["charts/progress"])
            bar.set_postfix_str(f"score {row['charts/score']:.4f}, {row['charts/SPS']:.0f} steps/s")

        yield show


def main(args: Args) -> None:
    """Train with a progress bar, and log where asked to."""
    name = f"{args.env_id}__ppo__{args.seed}__{int(time.time())}"
    with Tracker(args, enabled=args.track, name=name, project=args.wandb_project) as tracker, progress_bar() as show:

        def report(row: dict[str, Any]) -> None:
            tracker.log(row)
            show(row)

        train(args, report=report)


if __name__ == "__main__":
    main(tyro.cli(Args))
