"""Hindsight learning for DTMigration-v0's focal user: exact policy gradients from recorded episodes, in one file.

Walks, channels and the other users' twins do not depend on what a focal user chooses, and its observation tells what
every station would be worth. So a recorded episode tells what any policy would have scored in it: the expected score
of a stochastic policy is a sum over stations and slots, solved backwards and differentiated as it stands. No action
is sampled, there is no critic, no discount and no reward but the score, and an old episode teaches as well as a new
one, whoever gathered it. Learning looks at whole episodes, deciding at the present observation alone.
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

from agents.networks import build
from agents.networks.migration import Equivariant
from agents.networks.outlook import Outlook
from agents.training.checkpoint import NetworkPolicy, finish
from agents.training.rollout import training_envs
from agents.training.run import Report, Run, RunArgs, main, silent
from dtenv.scenario import Scenario


@dataclass
class Args(RunArgs):
    """Settings of a run."""

    learner: ClassVar[str] = "hindsight"

    env_id: str = "DTMigration-v0"
    """the environment"""
    network: str = "equivariant"
    """an actor that tells what it would do from any station"""
    total_steps: int = 900_000
    """slots recorded"""
    num_envs: int = 64
    """episodes recorded side by side"""
    minibatch: int = 8
    """episodes of a gradient step"""
    updates: int = 12
    """gradient steps after each recording"""
    learning_rate: float = 3e-3
    """Adam's, after the first steps; annealed to zero"""
    rising: int = 20
    """gradient steps over which the learning rate rises"""
    max_grad_norm: float = 1.0
    """gradient clipping"""


SCALE = 10.0
"""What gains are multiplied by, so that gradients are of the size at which they are clipped."""


class Recorder:
    """Plays whole episodes of a batch without moving a twin, and reads them.

    Args:
        envs: a vector env of a focal user.
        read: gives the Outlook of observations.
        seed: of the first episode; the n-th is seeded seed + n.
    """

    def __init__(self, envs: Any, read: Any, seed: int):
        self.envs, self.read, self.seed = envs, read, seed
        self.score = np.nan
        """mean over the slots of the latest episodes"""

    def record(self) -> Outlook:
        """The next episode of every row; fields (T, B, …)."""
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
        return Outlook(*(field.unflatten(0, (len(seen), -1)) for field in outlook))

    def state_dict(self) -> dict[str, Any]:
        """Which episode is next."""
        return {"seed": self.seed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.seed = state["seed"]


def expected_score(log_prob: Tensor, worth: Tensor, price: Tensor) -> Tensor:
    """Expected sum of scores over an episode from every first station, (B, M), exactly.

    Args:
        log_prob: (T, B, M, M) of going from a station (axis -2) to another (axis -1).
        worth: (T, B, M) of a slot on a station.
        price: (B, M, M) of moving.
    """
    prob = log_prob.exp()
    slot = (prob * (worth[:, :, None] - price)).sum(-1)  # (T, B, M) of the slots, before what follows them
    value = torch.zeros_like(worth[0])
    for t in reversed(range(len(worth))):
        value = slot[t] + (prob[t] @ value[..., None]).squeeze(-1)
    return value


def gained(network: Equivariant, episodes: Outlook, greedy: bool = False) -> Tensor:
    """What the policy is expected to score in a slot of each episode (B,), over one that never moves.

    Args:
        network: decides.
        episodes: of a focal user, fields (T, B, …).
        greedy: whether the most likely station is chosen.
    """
    slots, rows = episodes.host.shape[:2]
    log_prob = network.moves(Outlook(*(field.flatten(0, 1) for field in episodes)))[:, 0]
    if greedy:
        log_prob = nn.functional.one_hot(log_prob.argmax(-1), log_prob.shape[-1]).to(log_prob).log()
    worth, price, host = episodes.worth[:, :, 0, :, 0], episodes.price[0, :, 0], episodes.host[:, :, 0]
    value = expected_score(log_prob.unflatten(0, (slots, rows)), worth, price)
    return ((value * host[0]).sum(-1) - (worth * host).sum((0, -1))) / slots


def draw(recordings: Sequence[Outlook], number: int, generator: torch.Generator | None = None) -> Outlook:
    """So many episodes of recordings, drawn without replacement.

    Args:
        recordings: each (T, B, …); equally long, of equally many stations.
        number: of episodes, at most all there are.
        generator: of the draw; by default torch's own.
    """
    ends = np.cumsum([recording.host.shape[1] for recording in recordings])
    chosen = torch.randperm(int(ends[-1]), generator=generator)[:number]
    parts = []
    for recording, end in zip(recordings, ends, strict=True):
        first = end - recording.host.shape[1]
        own = chosen[(chosen >= first) & (chosen < end)] - first
        parts.append(Outlook(*(field[:, own] for field in recording)))
    return Outlook(*(torch.cat(fields, 1) for fields in zip(*parts, strict=True)))


def step(network: Equivariant, optimizer: torch.optim.Optimizer, gain: Tensor, max_norm: float) -> None:
    """One step up the gradient of `gain`, clipped."""
    optimizer.zero_grad()
    (-SCALE * gain).backward()
    nn.utils.clip_grad_norm_(network.parameters(), max_norm)
    optimizer.step()


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
        envs: a vector env with next-step autoreset to train on in place of the scenario's.
        network: as agents.networks.migration.Equivariant; by default args.network's.
        report: called with a row of `charts/…` after every recording.

    Raises:
        ValueError: the scenario's agent moves all twins: then one's choice changes what another sees.
    """
    with Run(args, report) as run:
        scenario = scenario or args.resolve()
        if scenario.value("control") != "focal":
            raise ValueError(f"control must be 'focal' for hindsight, got {scenario.value('control')!r}")
        envs = envs or training_envs(args, scenario, args.num_envs)
        network = network or build(args.env_id, args.network, scenario)
        recorder = Recorder(envs, network.read, args.first_seed)
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
                step(network, optimizer, gain, args.max_grad_norm)
                gains.append(gain.item())
            seconds["env"] += recorded - start
            seconds["learning"] += time.perf_counter() - recorded
            run.report(
                {
                    "charts/phase": "hindsight",
                    "global_step": (iteration + 1) * slots,
                    "charts/progress": (iteration + 1) / iterations,
                    "charts/score": recorder.score + float(np.mean(gains)),
                    "charts/gained": float(np.mean(gains)),
                    "charts/learning_rate": optimizer.param_groups[0]["lr"],
                    **{f"seconds/{name}": spent for name, spent in seconds.items()},
                }
            )
        return finish(args, network, scenario)


if __name__ == "__main__":
    main(train, Args)
