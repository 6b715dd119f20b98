"""Multi-agent deep deterministic policy gradient (Lu 2021, Algorithm 1, eqs 28-31) for DTPlacementMA-v0.

Every station's actor gives a bid for hosting and a price (action="price"), with noise while training (29); critics see
the state and all stations' actions, which (31) writes beside Q(s, a_i), and actors follow the critics' gradient (30).
Replay and target networks are as in the algorithm; all stations share the score as their reward (26), which critics
see at zero mean and unit deviation.

The paper's settings are --gamma 0.7 --batch-size 32 --actor-learning-rate 0.001 --no-shared. In the presets moving
twins is free, so a slot's decision changes no later slot's score, and gamma is 0.

    python -m agents.maddpg --scenario paper-100x10 --save runs/maddpg.safetensors
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn

from agents.ddpg import follow
from agents.networks import build
from agents.training.checkpoint import NetworkPolicy, finish
from agents.training.replay import ReplayBuffer
from agents.training.rollout import Charts, Returns, RewardScale, training_envs
from agents.training.run import Report, Run, RunArgs, main, silent
from dtenv.scenario import PlacementScenario

PRICES = {"action": "price"}

ACTOR_DELAY = 2
"""Critics' steps for each of the actors'."""

TAU = 0.01
"""How far target networks follow at a step."""

MAX_GRAD_NORM = 1.0
"""Gradient clipping."""


@dataclass
class Args(RunArgs):
    """Settings of a run."""

    learner: ClassVar[str] = "maddpg"

    env_id: str = "DTPlacementMA-v0"
    """the environment"""
    network: str = "deterministic"
    """actors and critics"""
    shared: bool = True
    """one actor and one critic for all stations, told apart by what they see; else one of each for every station"""
    total_steps: int = 60_000
    """slots of all environments together"""
    num_envs: int = 64
    """environments side by side"""
    buffer_size: int = 20_000
    """slots kept for replay"""
    learning_starts: int = 2_000
    """slots before the first update, with actions around the first actor's"""
    updates: int = 2
    """gradient steps after each step of the environments"""
    batch_size: int = 128
    """slots a gradient step"""
    actor_learning_rate: float = 5e-4
    """Adam's, annealed to zero, α_π of (30)"""
    critic_learning_rate: float = 2e-3
    """Adam's, annealed to zero, α_Q of (31)"""
    gamma: float = 0.0
    """discount of (27)"""
    noise: float = 0.15
    """standard deviation of 𝔑 of (29), on numbers from 0 to 1, annealed to a fifth"""


def critic_loss(q: Tensor, reward: Tensor, next_q: Tensor, terminated: Tensor, gamma: float) -> Tensor:
    """Squared error of (31) against the target y = r + γ Q'(s', π'(s')), of critics' values (rows, K)."""
    target = reward[:, None] + gamma * next_q * (~terminated)[:, None]
    return (q - target.detach()).square().mean()


class Player:
    """Plays a batch with noisy actors and keeps what it sees; its state is the environments' in mid-play.

    Args:
        envs: a vector env with next-step autoreset.
        network: gives what is kept of (obs,) by `see`, and by `actors` the actions (B, M, 2) for that.
        replay: where to.
        seed: of the environments and of the noise.
    """

    def __init__(self, envs: Any, network: Any, replay: ReplayBuffer, seed: int):
        self.envs, self.network, self.replay = envs, network, replay
        self._noise = torch.Generator().manual_seed(seed)
        self._obs, _ = envs.reset(seed=seed)
        self._done = np.zeros(envs.num_envs, np.bool_)
        self.returns = Returns(envs.num_envs)

    def step(self, noise: float) -> tuple[np.ndarray, dict[str, Any]]:
        """One slot of all environments (29): which of them did not only reset (B,), and its info."""
        seen, valid = self._seen(), torch.as_tensor(~self._done)
        with torch.no_grad():
            action = self.network.actors(seen)
        action = (action + noise * torch.randn(action.shape, generator=self._noise)).clamp(0.0, 1.0)
        self._obs, reward, terminated, truncated, info = self.envs.step(action.flatten(1).numpy())
        self._done = terminated | truncated
        self.returns.add(reward, self._done)
        row = {"seen": seen, "action": action, "reward": torch.as_tensor(np.array(reward)), "next": self._seen()}
        row["terminated"] = torch.as_tensor(np.array(terminated))
        self.replay.add(**{name: values[valid] for name, values in row.items()})
        return valid.numpy(), {"reward": np.asarray(reward), "score": np.asarray(reward), **info}

    def _seen(self) -> Tensor:
        with torch.no_grad():
            return self.network.see(torch.as_tensor(np.array(self._obs, np.float32)))

    def state_dict(self) -> dict[str, Any]:
        """All that the next slot depends on beside the actors and the replay."""
        noise = self._noise.get_state()
        played = {"envs": self.envs.snapshot(), "obs": self._obs, "done": self._done, "noise": noise}
        return {**played, "returns": self.returns.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.envs.restore(state["envs"])
        self._obs, self._done = state["obs"], state["done"]
        self._noise.set_state(state["noise"])
        self.returns.load_state_dict(state["returns"])


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
        network: has `see`, `actors` and `critics`; by default args.network's.
        report: called with a row of `charts/…` and `losses/…` every so many slots.
    """
    with Run(args, report) as run:
        # Environments, networks, replay
        if scenario is None:
            scenario = args.resolve()
        trained_on = scenario.override(**PRICES)
        if envs is None:
            envs = training_envs(args, trained_on, args.num_envs)
        if network is None:
            network = build(args.env_id, args.network, trained_on, shared=args.shared)
        target = copy.deepcopy(network)
        actor_optimizer = torch.optim.Adam(network.actors.parameters(), lr=args.actor_learning_rate)
        critic_optimizer = torch.optim.Adam(network.critics.parameters(), lr=args.critic_learning_rate)
        sizes, stations = envs.single_observation_space.shape, envs.single_action_space.shape[0] // 2
        size = network.see(torch.zeros(1, *sizes)).shape[1:]
        shapes: dict[str, Any] = {"seen": size, "action": (stations, 2), "reward": (), "terminated": (), "next": size}
        replay, scale = ReplayBuffer(args.buffer_size, **shapes), RewardScale(args.gamma)
        player = Player(envs, network, replay, args.first_seed)

        iterations = max(1, args.total_steps // args.num_envs)
        every = max(1, iterations // 100)
        parts = {
            "network": network,
            "target": target,
            "actor_optimizer": actor_optimizer,
            "critic_optimizer": critic_optimizer,
            "replay": replay,
            "scale": scale,
            "player": player,
        }
        charts = Charts()
        losses = {"losses/critic_loss": np.nan, "losses/actor_loss": np.nan, "losses/q": np.nan}
        for iteration in run.over(iterations, parts):
            left = 1.0 - iteration / iterations
            actor_optimizer.param_groups[0]["lr"] = left * args.actor_learning_rate
            critic_optimizer.param_groups[0]["lr"] = left * args.critic_learning_rate

            # Play (29)
            charts.add(*player.step(args.noise * (0.2 + 0.8 * left)))

            # Learn (30), (31)
            if (iteration + 1) * args.num_envs >= args.learning_starts:
                if scale.spread == 0.0:
                    rewards = replay.all("reward")
                    scale.centre, scale.spread = float(rewards.mean()), float(rewards.std()) + 1e-8
                for update in range(args.updates):
                    rows = replay.sample(args.batch_size)
                    seen, action, reward = rows["seen"], rows["action"], (rows["reward"] - scale.centre) / scale.spread
                    next_q = torch.zeros(len(seen), 1)
                    if args.gamma > 0.0:
                        with torch.no_grad():
                            next_q = target.critics(rows["next"], target.actors(rows["next"]))
                    q = network.critics(seen, action)
                    v_loss = critic_loss(q, (1.0 - args.gamma) * reward, next_q, rows["terminated"] > 0.0, args.gamma)
                    losses["losses/critic_loss"], losses["losses/q"] = v_loss.item(), q.mean().item()
                    descend(critic_optimizer, v_loss, network.critics)
                    if (iteration * args.updates + update) % ACTOR_DELAY == 0:
                        actor_loss = -network.critics.of_own(seen, network.actors(seen), action).mean()
                        losses["losses/actor_loss"] = actor_loss.item()
                        descend(actor_optimizer, actor_loss, network.actors)
                    follow(target, network, TAU)

            # Report
            if (iteration + 1) % every == 0 or iteration + 1 == iterations:
                progress = {"charts/progress": (iteration + 1) / iterations, **charts.means()}
                progress["charts/episodic_return"] = player.returns.mean()
                run.report({"global_step": (iteration + 1) * args.num_envs, **progress, **losses})
                charts = Charts()
        return finish(args, network, trained_on, PRICES, shared=args.shared)


def descend(optimizer: torch.optim.Optimizer, loss: Tensor, module: nn.Module) -> None:
    """One gradient step of a module's parameters."""
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(module.parameters(), MAX_GRAD_NORM)
    optimizer.step()


if __name__ == "__main__":
    main(train, Args)
