"""PPO that holds info["cost"] at a limit by a Lagrange multiplier, for DTAssociation-v0 and DTMigration-v0.

The barrier of (Zhou 2025, eq. 24) and the penalties in scores put a chosen price on violations. Here the objective
alone is maximised with the mean cost of a slot held at --cost-limit. The learner is agents/ppo.py with limits, and
with rewards that do not price violations. The multiplier is in units of reward per unit of cost.

    python -m agents.ppo_lagrangian --num-servers 15 --save runs/ppo-lagrangian.safetensors
    python -m agents.ppo_lagrangian --env-id DTMigration-v0 --cost-limit 0.02
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from agents import ppo
from agents.training.checkpoint import NetworkPolicy
from agents.training.run import main
from dtenv.scenario import Scenario

RECIPES: dict[str, dict[str, Any]] = {
    "DTAssociation-v0": {**ppo.RECIPES["DTAssociation-v0"], "reward": "objective", "cost_limit": 0.001},
    "DTMigration-v0": {**ppo.RECIPES["DTMigration-v0"], "cost_limit": 0.02},
}
"""Defaults of each environment."""

UNPRICED: dict[str, dict[str, Any]] = {"DTAssociation-v0": {}, "DTMigration-v0": {"deadline_penalty": 0.0}}
"""Scenario fields that remove violations from the rewards, and so from the reported score."""


@dataclass
class Args(ppo.Args):
    """Settings of PPO, with a limit in every recipe."""

    learner: ClassVar[str] = "ppo-lagrangian"
    recipes: ClassVar[Mapping[str, Mapping[str, Any]]] = RECIPES

    num_minibatches: int | None = 16
    """gradient steps per pass"""


def train(args: Args, *, scenario: Scenario | None = None, **given: Any) -> NetworkPolicy:
    """Train a policy by `agents.ppo.train` on a scenario that does not price violations."""
    args = args.with_recipe()
    scenario = args.resolve() if scenario is None else scenario
    return ppo.train(args, scenario=scenario.override(**UNPRICED[args.env_id]), **given)


if __name__ == "__main__":
    main(train, Args)
