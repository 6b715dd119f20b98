"""Multi-agent deep deterministic policy gradient (Lu 2021, Algorithm 1, eqs 28-31) for DTPlacementMA-v0.

Every station's actor gives a bid for hosting and a price (action="price"), with noise while training (29); critics see
the state and all stations' actions (31), and actors follow the critics' gradient (30). Replay and target networks are
as in the algorithm; all stations share the score as their reward (26), scaled to zero mean and unit deviation.

The paper's settings are --gamma 0.7 --batch-size 32 --actor-learning-rate 0.001 --no-shared. In the presets moving
twins is free, so a decision does not affect the scores of later slots, and gamma is 0.

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

from agents.training.checkpoint import NetworkPolicy, finish
from agents.training.learner import descend, follow, set_up
from agents.training.replay import ReplayBuffer
from agents.training.rollout import Charts, EnvRunner, RewardScale
from agents.training.run import Report, Run, RunArgs, main, silent
from dtenv.scenario import PlacementScenario

PRICES = {"action": "price"}

ACTOR_DELAY = 2
"""Gradient steps of the critics per step of the actors."""

TAU = 0.01
"""Share of the way that target networks move per gradient step."""

MAX_GRAD_NORM = 1.0
"""Largest norm of the gradient."""


@dataclass
class Args(RunArgs):
    """Settings of a run."""

    learner: ClassVar[str] = "maddpg"

    env_id: str = "DTPlacementMA-v0"
    """the environment"""
    network: str = "deterministic"
    """actors and critics"""
    shared: bool = True
    """one actor and one critic for all stations, which differ by their observations; else one of each per station"""
    total_steps: int = 60_000
    """slots, summed over environments"""
    num_envs: int = 64
    """environments in parallel"""
    buffer_size: int = 20_000
    """slots kept for replay"""
    learning_starts: int = 2_000
    """slots before the first update, played by the initial actors with noise"""
    updates: int = 2
    """gradient steps per step of the environments"""
    batch_size: int = 128
    """slots per gradient step"""
    actor_learning_rate: float = 5e-4
    """learning rate of Adam, annealed to zero, α_π of (30)"""
    critic_learning_rate: float = 2e-3
    """learning rate of Adam, annealed to zero, α_Q of (31)"""
    gamma: float = 0.0
    """discount of (27)"""
    noise: float = 0.15
    """standard deviation of the noise 𝔑 of (29) on actions in [0, 1], annealed to a fifth"""


def critic_loss(q: Tensor, reward: Tensor, next_q: Tensor, terminated: Tensor, gamma: float) -> Tensor:
    """Mean squared error (31) of critic values (rows, K) against the target y = r + γ Q'(s', π'(s'))."""
    target = reward[:, None] + gamma * next_q * (~terminated)[:, None]
    return (q - target.detach()).square().mean()


class Player(EnvRunner):
    """Plays a batch with noisy actors and stores every slot in the replay buffer.

    Args:
        envs: a vector env with next-step autoreset.
        network: gives by `see` the features of (obs,) to store, and by `actors` the actions (B, M, 2) for them.
        replay: the buffer.
        seed: seed of the environments and of the noise.
    """

    def __init__(self, envs: Any, network: Any, replay: ReplayBuffer, seed: int):
        super().__init__(envs, seed)
        self.network, self.replay = network, replay
        self._noise = torch.Generator().manual_seed(seed)

    def step(self, noise: float) -> tuple[np.ndarray, dict[str, Any]]:
        """Play one slot (29); returns which environments did not only reset (B,), and the infos with the reward."""
        seen, valid = self._seen(), torch.as_tensor(~self.done)
        with torch.no_grad():
            action = self.network.actors(seen)
        action = (action + noise * torch.randn(action.shape, generator=self._noise)).clamp(0.0, 1.0)
        reward, terminated, _, info = self.step_envs(action.flatten(1).numpy())
        row = {"seen": seen, "action": action, "reward": torch.as_tensor(np.array(reward)), "next": self._seen()}
        row["terminated"] = torch.as_tensor(np.array(terminated))
        self.replay.add(**{name: values[valid] for name, values in row.items()})
        return valid.numpy(), {"reward": np.asarray(reward), "score": np.asarray(reward), **info}

    @torch.no_grad()
    def _seen(self) -> Tensor:
        return self.network.see(torch.as_tensor(np.array(self.last_obs, np.float32)))

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the environments and of the noise."""
        return {**super().state_dict(), "noise": self._noise.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        super().load_state_dict(state)
        self._noise.set_state(state["noise"])


def train(
    args: Args,
    *,
    scenario: PlacementScenario | None = None,
    envs: gym.vector.VectorEnv | None = None,
    network: nn.Module | None = None,
    report: Report = silent,
) -> NetworkPolicy:
    """Train a policy, with the arguments of `agents.ppo.train`; the network has `see`, `actors` and `critics`."""
    with Run(args, report) as run:
        # Environments, networks, replay
        scenario, envs, network, _ = set_up(args, PRICES, scenario, envs, network, shared=args.shared)
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
        parts = {"network": network, "target": target, "replay": replay, "scale": scale, "player": player}
        parts |= {"actor_optimizer": actor_optimizer, "critic_optimizer": critic_optimizer}
        charts = Charts()
        losses = {"critic_loss": np.nan, "actor_loss": np.nan, "q": np.nan}
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
                    losses["critic_loss"], losses["q"] = v_loss.item(), q.mean().item()
                    descend(critic_optimizer, v_loss, network.critics.parameters(), MAX_GRAD_NORM)
                    if (iteration * args.updates + update) % ACTOR_DELAY == 0:
                        actor_loss = -network.critics.of_own(seen, network.actors(seen), action).mean()
                        losses["actor_loss"] = actor_loss.item()
                        descend(actor_optimizer, actor_loss, network.actors.parameters(), MAX_GRAD_NORM)
                    follow(target, network, TAU)

            # Report
            if (iteration + 1) % every == 0 or iteration + 1 == iterations:
                means = {**charts.means(), "charts/episodic_return": player.returns.mean()}
                run.report_iteration(iteration, args.num_envs, "maddpg", means, losses)
                charts = Charts()
        return finish(args, network, scenario, PRICES, shared=args.shared)


if __name__ == "__main__":
    main(train, Args)
