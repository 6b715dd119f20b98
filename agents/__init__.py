"""Learners, heuristics and optima; `agents.load(name, env_id, scenario=…)` gives any of them as a Policy."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agents.heuristics import association, migration, optimum, placement, placement_search
from agents.heuristics.association_search import local_search
from agents.policy import Policy, RandomPolicy, SlotPolicy
from agents.shipped import CHECKPOINTS, LEARNERS, shipped
from dtenv import presets
from dtenv.scenario import Scenario
from dtenv.tasks.association.nearest import nearest_with_room

__all__ = ["CHECKPOINTS", "HEURISTICS", "LEARNERS", "Policy", "load", "shipped"]

MARGIN = 0.3
"""Hysteresis of 36 m in the paper's 120 m square: the best of benchmarks/tune.py, on its own seeds."""

PAYBACK_SLOTS, PAYBACK_HYSTERESIS = 10.0, 0.1
"""A migration pays in ten slots and gains 0.1 of utility: narrowly the best of benchmarks/tune.py in the mean over the
presets balanced, gauss-markov and ping-pong. No hysteresis loses .0006 per slot, two slots more .0009."""

LOOKAHEAD_HORIZON = 15
"""Slots planned ahead: the best of benchmarks/tune.py in the same mean; 20 lose .0008 per slot, 10 .0056."""

PLACES = {"action": "association"}


def _rule(name: str, rule: Any, overrides: dict[str, Any] | None = None) -> Callable[[Any], Policy]:
    return lambda scenario: SlotPolicy(name, rule, scenario, overrides or {})


HEURISTICS: dict[str, dict[str, Callable[[Any], Policy]]] = {
    "DTAssociation-v0": {
        "random": RandomPolicy,
        "pack": _rule("pack", association.pack),
        "nearest-random": _rule("nearest-random", nearest_with_room, {"history": "random"}),
        "nearest": _rule("nearest", nearest_with_room),
        "stay": _rule("stay", association.stay),
        "hysteresis": lambda s: SlotPolicy("hysteresis", association.hysteresis(MARGIN, s.network.area_m), s),
        "local-search": _rule("local-search", local_search),
    },
    "DTPlacementMA-v0": {
        "random": lambda s: RandomPolicy(s, PLACES),
        "nearest": _rule("nearest", placement.nearest, PLACES),
        "constant": placement.Constant,
        "at-access": _rule("at-access", placement.at_access, PLACES),
        "least-loaded": _rule("least-loaded", placement.least_loaded, PLACES),
        "greedy-add": _rule("greedy-add", placement_search.greedy_add, PLACES),
        "local-search": _rule("local-search", placement_search.local_search, PLACES),
    },
    "DTMigration-v0": {
        "random": RandomPolicy,
        "never": _rule("never", migration.never),
        "best-latency": _rule("best-latency", migration.best_latency),
        "best-latency-literal": _rule("best-latency-literal", migration.best_latency_literal),
        "payback": _rule("payback", migration.payback(PAYBACK_SLOTS, PAYBACK_HYSTERESIS)),
        "lookahead": lambda s: SlotPolicy("lookahead", migration.lookahead(LOOKAHEAD_HORIZON, s), s),
    },
}
"""Heuristics by environment and name. In DTAssociation-v0 "nearest" is Baseline 2 of the paper, "nearest-random" its
Baseline 3; in DTPlacementMA-v0 "nearest" and "random" are the paper's baselines; in DTMigration-v0 "best-latency" is
Algorithm 3 of the paper read as an argmax, "best-latency-literal" as printed."""

OPTIMA: dict[str, Callable[[Any], Policy]] = {
    "DTAssociation-v0": lambda s: SlotPolicy("optimum", optimum.association, s, side_by_side=False),
    "DTPlacementMA-v0": lambda s: SlotPolicy("optimum", optimum.placement, s, PLACES, side_by_side=False),
}
"""The best decision of every single slot, "optimum" in `load`; takes up to seconds per slot. In DTMigration-v0 a single
slot never favours a move; its optimum looks ahead (`dtenv.oracle.episode_bound`), which no policy can."""


def load(
    name: str,
    env_id: str = "DTAssociation-v0",
    *,
    scenario: str | Scenario | None = None,
    checkpoint: str | Path | None = None,
    **overrides: Any,
) -> Policy:
    """Load an agent as a Policy.

    Args:
        name: name of a heuristic, of a learner ("ppo"), or "optimum".
        env_id: id of the environment.
        scenario: name of a preset, or a scenario; by default the environment's first preset.
        checkpoint: saved policy of a learner (.safetensors); by default the one shipped.
        **overrides: single fields of the scenario, as in gym.make.

    Raises:
        ValueError: the agent is unknown for this environment, or has no shipped checkpoint.
    """
    resolved = presets.resolve(scenario, env_id, **overrides)
    heuristics, learners = HEURISTICS[env_id], LEARNERS[env_id]
    if name in heuristics:
        if checkpoint is not None:
            raise ValueError(f"checkpoint must be None for the heuristic {name!r}, got {str(checkpoint)!r}")
        return heuristics[name](resolved)
    if name == "optimum" and env_id in OPTIMA:
        return OPTIMA[env_id](resolved)
    if name == "sb3":
        from agents import sb3  # needs an extra

        return sb3.load_policy(env_id, resolved, checkpoint)
    if name in learners:
        from agents.training.checkpoint import load_policy  # torch takes seconds to import

        return load_policy(name, env_id, resolved, checkpoint)
    known = [*heuristics, *learners]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise ValueError(f"agent {name!r} is unknown for {env_id}{hint}; known: {', '.join(known)}")
