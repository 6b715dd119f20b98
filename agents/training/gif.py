"""GIF of one episode of a policy, with a table of its slots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from PIL import Image

from agents.policy import Policy
from dtenv.scenario import Scenario


def record_gif(
    path: Path, env_id: str, policy: Policy, scenario: Scenario, seed: int, pictures: int = 40
) -> list[dict[str, float]]:
    """Play the episode of a seed and save at most `pictures` frames of it, evenly spaced, as a GIF.

    Returns one row per slot played: its number, the reward, and the scalar info entries.
    """
    env = gym.make(env_id, scenario=scenario.override(**policy.overrides), render_mode="rgb_array")
    obs, _ = env.reset(seed=seed)
    policy.reset(seed)
    frames, rows, slots = [], [], scenario.value("num_slots")
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
