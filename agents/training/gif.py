"""Films a policy: one episode as a GIF, and what every slot of it came to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from PIL import Image

from agents.policy import Policy
from dtenv.scenario import Scenario


def film(
    path: Path, env_id: str, policy: Policy, scenario: Scenario, seed: int, pictures: int = 40
) -> list[dict[str, float]]:
    """Play one episode, or its first slots, and draw it; of a long one every so many slots.

    Args:
        path: of the GIF.
        env_id: the environment.
        policy: reset at the seed.
        scenario: what is fixed.
        seed: of the episode.
        pictures: at most so many.

    Returns:
        A row a slot that was played: its number, the reward, and info's entries that are one number.
    """
    env = gym.make(env_id, scenario=scenario.override(**policy.overrides), render_mode="rgb_array")
    obs, _ = env.reset(seed=seed)
    policy.reset(seed)
    frames, rows = [], []
    slots = scenario.value("num_slots")
    stride = max(1, slots // pictures)
    for slot in range(min(slots, pictures * stride)):
        obs, reward, _, _, info = env.step(policy.act(obs))
        single = {name: value for name, value in info.items() if np.ndim(value) == 0 and not isinstance(value, str)}
        rows.append({"slot": slot + 1, "reward": float(reward)} | {name: float(v) for name, v in single.items()})
        if slot % stride == 0:
            picture: Any = env.render()
            frames.append(Image.fromarray(picture).quantize(256))
    env.close()
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=250, loop=0, optimize=True)
    return rows
