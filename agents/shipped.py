"""Learners by environment, and where their shipped policies lie."""

from __future__ import annotations

from pathlib import Path

LEARNERS: dict[str, tuple[str, ...]] = {
    "DTAssociation-v0": ("ppo", "ppo-lagrangian", "a2c", "ddpg", "sb3"),
    "DTPlacementMA-v0": ("mappo", "maddpg", "sb3"),
    "DTMigration-v0": ("hindsight", "ppo", "ppo-lagrangian", "a2c", "ddpg", "transfer", "sb3"),
}
"""Learners by environment: modules of this package (with _ for -), each with Args and train."""

CHECKPOINTS = Path(__file__).parent / "checkpoints"
"""Where the shipped policies lie, as learner-environment-preset."""


def shipped(env_id: str, preset: str) -> tuple[str, ...]:
    """Learners with a shipped policy for a preset of an environment."""
    return tuple(name for name in LEARNERS[env_id] if (CHECKPOINTS / f"{name}-{env_id}-{preset}.safetensors").exists())
