"""Hindsight learning for DTMigration-v0's focal user: exact policy gradients from recorded episodes, in one file.

Walks, channels and the other users' twins do not depend on the choices of a focal user, and its observation shows the
value of every station. So a recorded episode gives the score of any policy in it: the expected score of a stochastic
policy is a sum over stations and slots, solved backwards and differentiated directly. No action is sampled, there is no
critic, no discount and no reward but the score, and episodes recorded by any policy are equally useful. Learning uses
whole episodes, decisions the present observation alone.
(Exogenous processes: Madeka et al. 2022, "Deep Inventory Management"; Sinclair et al. 2023, "Hindsight Learning for
MDPs with Exogenous Inputs".)

    python -m agents.hindsight --save runs/hindsight.safetensors
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn

from agents.networks.migration import Equivariant
from agents.networks.station_features import StationFeatures
from agents.training.checkpoint import NetworkPolicy, finish
from agents.training.learner import descend, set_up
from agents.training.run import Report, Run, RunArgs, main, silent
from agents.training.saved_state import Stateful
from dtenv.scenario import Scenario


@dataclass
class Args(RunArgs):
    """Settings of a run."""

    learner: ClassVar[str] = "hindsight"

    env_id: str = "DTMigration-v0"
    """the environment"""
    network: str = "equivariant"
    """an actor that gives its moves from every station"""
    total_steps: int = 900_000
    """slots recorded"""
    num_envs: int = 64
    """episodes recorded in parallel"""
    minibatch: int = 8
    """episodes per gradient step"""
    updates: int = 12
    """gradient steps after each recording"""
    learning_rate: float = 3e-3
    """learning rate of Adam after the first steps, annealed to zero"""
    rising: int = 20
    """gradient steps over which the learning rate rises"""
    max_grad_norm: float = 1.0
    """largest norm of the gradient"""


SCALE = 10.0
"""Factor on gains, so that gradients are of the size at which they are clipped."""


class EpisodeRecorder(Stateful):
    """Plays whole episodes of a batch without moving a twin, and reads their observations.

    Args:
        envs: a vector env with a focal user.
        read: gives the StationFeatures of observations.
        seed: seed of the first episode; the n-th is seeded seed + n.
    """

    STATE = ("seed",)

    def __init__(self, envs: Any, read: Any, seed: int):
        self.envs, self.read, self.seed = envs, read, seed
        self.score = np.nan
        """mean score per slot of the latest episodes"""

    def record(self) -> StationFeatures:
        """Record the next episode of every row; fields (T, B, …)."""
        obs, info = self.envs.reset(seed=self.seed)  # "server" is the twin's station
        self.seed += self.envs.num_envs
        seen, scores, over = [], [], False
        while not over:
            seen.append(obs)
            obs, _, _, truncated, info = self.envs.step(info["server"])
            scores.append(info["score"].mean())
            over = truncated.all()
        self.score = float(np.mean(scores))
        outlook = self.read(torch.as_tensor(np.concatenate(seen)))
        return StationFeatures(*(field.unflatten(0, (len(seen), -1)) for field in outlook))


def expected_score(log_prob: Tensor, worth: Tensor, price: Tensor) -> Tensor:
    """Expected sum of scores over an episode from every first station, (B, M), exactly.

    Args:
        log_prob: (T, B, M, M) log-probabilities of moving from a station (axis -2) to another (axis -1).
        worth: (T, B, M) score of a slot on a station.
        price: (B, M, M) price of moving.
    """
    prob = log_prob.exp()
    slot = (prob * (worth[:, :, None] - price)).sum(-1)  # (T, B, M), the slot alone
    value = torch.zeros_like(worth[0])
    for t in reversed(range(len(worth))):
        value = slot[t] + (prob[t] @ value[..., None]).squeeze(-1)
    return value


def gained(network: Equivariant, episodes: StationFeatures, greedy: bool = False) -> Tensor:
    """Expected score per slot of the policy over that of never moving, in episodes (T, B, …) of a focal user; (B,).

    With `greedy` the most likely station is chosen.
    """
    slots, rows = episodes.host.shape[:2]
    log_prob = network.moves(StationFeatures(*(field.flatten(0, 1) for field in episodes)))[:, 0]
    if greedy:
        log_prob = nn.functional.one_hot(log_prob.argmax(-1), log_prob.shape[-1]).to(log_prob).log()
    worth, price, host = episodes.worth[:, :, 0, :, 0], episodes.price[0, :, 0], episodes.host[:, :, 0]
    value = expected_score(log_prob.unflatten(0, (slots, rows)), worth, price)
    return ((value * host[0]).sum(-1) - (worth * host).sum((0, -1))) / slots


def draw(
    recordings: Sequence[StationFeatures], number: int, generator: torch.Generator | None = None
) -> StationFeatures:
    """Draw episodes without replacement from recordings (T, B, …) of equal length and numbers of stations.

    At most all episodes are drawn; by default torch's global generator draws them.
    """
    ends = np.cumsum([recording.host.shape[1] for recording in recordings])
    chosen = torch.randperm(int(ends[-1]), generator=generator)[:number]
    parts = []
    for recording, end in zip(recordings, ends, strict=True):
        first = end - recording.host.shape[1]
        own = chosen[(chosen >= first) & (chosen < end)] - first
        parts.append(StationFeatures(*(field[:, own] for field in recording)))
    return StationFeatures(*(torch.cat(fields, 1) for fields in zip(*parts, strict=True)))


def train(
    args: Args,
    *,
    scenario: Scenario | None = None,
    envs: gym.vector.VectorEnv | None = None,
    network: nn.Module | None = None,
    report: Report = silent,
) -> NetworkPolicy:
    """Train a policy, with the arguments of `agents.ppo.train`; the network has `read` and `moves`.

    Raises:
        ValueError: the scenario's agent moves all twins, so that the choice for one changes another's observation.
    """
    with Run(args, report) as run:
        scenario, envs, network, _ = set_up(args, {}, scenario, envs, network)
        if scenario.value("control") != "focal":
            raise ValueError(f"control must be 'focal' for hindsight, got {scenario.value('control')!r}")
        recorder = EpisodeRecorder(envs, network.read, args.first_seed)
        optimizer = torch.optim.Adam(network.parameters(), eps=1e-5)
        slots = args.num_envs * scenario.value("num_slots")
        iterations = max(1, args.total_steps // slots)
        seconds = {"env": 0.0, "learning": 0.0}
        for iteration in run.over(iterations, {"network": network, "optimizer": optimizer, "recorder": recorder}):
            start = time.perf_counter()
            recording = recorder.record()
            recorded = time.perf_counter()
            gains = []
            for update in range(args.updates):
                done = iteration * args.updates + update
                rate = min(1.0, (done + 1) / args.rising) * (1.0 - done / (iterations * args.updates))
                optimizer.param_groups[0]["lr"] = rate * args.learning_rate
                gain = gained(network, draw([recording], args.minibatch)).mean()
                descend(optimizer, -SCALE * gain, network.parameters(), args.max_grad_norm)
                gains.append(gain.item())
            seconds["env"] += recorded - start
            seconds["learning"] += time.perf_counter() - recorded
            mean = float(np.mean(gains))
            charts = {"charts/score": recorder.score + mean, "charts/gained": mean}
            charts["charts/learning_rate"] = optimizer.param_groups[0]["lr"]
            run.report_iteration(iteration, slots, "hindsight", charts, seconds=seconds)
        return finish(args, network, scenario)


if __name__ == "__main__":
    main(train, Args)
