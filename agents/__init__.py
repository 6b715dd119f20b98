"""Learners and heuristics. `agents.load(name, env_id, scenario=…)` gives any of them as a Policy."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agents.association import RandomPolicy, hysteresis, pack, stay
from agents.local_search import local_search
from agents.policy import Policy, SlotPolicy
from dtenv import presets
from dtenv.scenario import AssociationScenario
from dtenv.tasks.association_nearest import nearest_with_room

__all__ = ["HEURISTICS", "Policy", "load"]

MARGIN = 0.3
"""Hysteresis of 36 m in the paper's 120 m square: the best of benchmarks/tune_hysteresis.py, on seeds of its own."""

HEURISTICS: dict[str, Callable[[AssociationScenario], Policy]] = {
    "random": RandomPolicy,
    "pack": lambda s: SlotPolicy("pack", pack, s),
    "nearest-random": lambda s: SlotPolicy("nearest-random", nearest_with_room, s, {"history": "random"}),
    "nearest": lambda s: SlotPolicy("nearest", nearest_with_room, s),
    "stay": lambda s: SlotPolicy("stay", stay, s),
    "hysteresis": lambda s: SlotPolicy("hysteresis", hysteresis(MARGIN, s.network.area_m), s),
    "local-search": lambda s: SlotPolicy("local-search", local_search, s),
}
"""DTAssociation-v0's heuristics by name. "nearest" is the paper's Baseline 2, "nearest-random" its Baseline 3."""

LEARNERS = ("ppo",)


def load(
    name: str,
    env_id: str = "DTAssociation-v0",
    *,
    scenario: str | AssociationScenario = "balanced",
    checkpoint: str | Path | None = None,
    **overrides: Any,
) -> Policy:
    """An agent as a Policy.

    Args:
        name: a heuristic's name, or a learner's ("ppo").
        env_id: the environment's id.
        scenario: a preset's name or a scenario.
        checkpoint: a learner's saved policy (the .safetensors file); by default the one shipped.
        **overrides: single fields of the scenario, as in gym.make.

    Raises:
        ValueError: no agent of this name for this environment, or no shipped checkpoint.
    """
    if env_id != "DTAssociation-v0":
        raise ValueError(f"env_id {env_id!r} has no agents; known: DTAssociation-v0")
    resolved = presets.resolve(scenario, **overrides)
    if name in HEURISTICS:
        if checkpoint is not None:
            raise ValueError(f"checkpoint must be None for the heuristic {name!r}, got {str(checkpoint)!r}")
        return HEURISTICS[name](resolved)
    if name in LEARNERS:
        from agents.checkpoint import load_policy  # torch takes seconds to import

        return load_policy(name, env_id, resolved, checkpoint)
    known = [*HEURISTICS, *LEARNERS]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise ValueError(f"agent {name!r} is unknown{hint}; known: {', '.join(known)}")
