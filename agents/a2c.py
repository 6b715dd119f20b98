"""Advantage actor-critic, the first baseline of (Zhou 2025), for DTAssociation-v0 and DTMigration-v0.

The learner is agents/ppo.py with one gradient step per rollout: the ratio is then 1 and its gradient ∇ log π(a|s) A,
with the advantages of (33), so nothing bounds the size of a step. Mnih et al. (2016) with synchronous rollouts.

    python -m agents.a2c --num-servers 15 --save runs/a2c.safetensors
    python -m agents.a2c --network perceptron --warm-start none --learning-rate 2.5e-4 --critic-learning-rate 1.5e-3
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from agents import ppo
from agents.ppo import train
from agents.training.run import main

__all__ = ["RECIPES", "Args", "train"]

RECIPES: dict[str, dict[str, Any]] = {
    "DTAssociation-v0": {
        "network": "equivariant",
        "reward": "score",
        "warm_start": "local-search",
        "num_slots": 60,
        "total_steps": 300_000,
        "num_envs": 128,
        "num_steps": 5,
        "learning_rate": 8e-4,
        "gamma": 0.95,
        "gae_lambda": 0.9,
    },
    "DTMigration-v0": {
        "network": "perceptron",
        "reward": "centred",
        "warm_start": "none",
        "total_steps": 5_000_000,
        "num_envs": 256,
        "num_steps": 20,
        "learning_rate": 1.5e-3,
        "gamma": 0.98,
        "gae_lambda": 0.95,
    },
}
"""Defaults of each environment."""


@dataclass
class Args(ppo.Args):
    """Settings of PPO, with those of its update fixed."""

    learner: ClassVar[str] = "a2c"
    recipes: ClassVar[Mapping[str, Mapping[str, Any]]] = RECIPES

    value_updates: int = 20
    """rollouts after the warm start that train the critic alone"""
    update_epochs: int = field(default=1, init=False)
    num_minibatches: int | None = field(default=1, init=False)
    ratio: Literal["part", "joint"] = field(default="joint", init=False)
    clip_coef: float = field(default=0.2, init=False)  # a ratio of 1 is never clipped


if __name__ == "__main__":
    main(train, Args)
