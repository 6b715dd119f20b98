"""Learners by environment, and their shipped policies."""

from __future__ import annotations

from pathlib import Path

LEARNERS: dict[str, tuple[str, ...]] = {
    "DTAssociation-v0": ("ppo", "ppo-lagrangian", "a2c", "ddpg", "sb3"),
    "DTPlacementMA-v0": ("mappo", "maddpg", "sb3"),
    "DTMigration-v0": ("hindsight", "ppo", "ppo-lagrangian", "a2c", "ddpg", "transfer", "sb3"),
}
"""Learners by environment: modules of this package (_ in place of -), each with Args and train."""

CHECKPOINTS = Path(__file__).parent / "checkpoints"
"""Folder of the shipped policies, named learner-environment-preset."""


def shipped(env_id: str, preset: str) -> tuple[str, ...]:
    """Learners with a shipped policy for a preset of an environment."""
    return tuple(name for name in LEARNERS[env_id] if (CHECKPOINTS / f"{name}-{env_id}-{preset}.safetensors").exists())
