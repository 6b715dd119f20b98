"""Arms of benchmarks.profiles, whether and at what price models are charged; and what planners decide in a slot."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

import agents
from benchmarks.evaluate import side_by_side
from benchmarks.profiles.report import NATIVE, OPTIMUM
from dtenv.oracle.association import solve_slot
from dtenv.oracle.association.problem import Problem
from dtenv.scenario import AssociationScenario
from dtenv.tasks.association.slot import Constants
from dtenv.utility_profile import UtilityProfile

ENV_ID = "DTAssociation-v0"

FREE = "not charged"
"""The arm in which models' energy is left out."""

OPTIMUM_SECONDS = 10.0
"""Limit of the search of one optimum; what is left open then is in the rows."""

OPTIMUM_AFTER = 10
"""Slots that the first profile's local search plays before the slot of which optima are compared."""


class Arm(NamedTuple):
    """One matrix: what is played, with models charged or not, and the profiles that say enough for it."""

    name: str
    base: AssociationScenario
    overrides: dict[str, Any]
    profiles: list[UtilityProfile]

    def scenario(self, profile: UtilityProfile) -> AssociationScenario:
        """What is played under a profile, without a word on its range."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.base.override(utility=profile, **self.overrides)


def arms_of(
    base: AssociationScenario, profiles: Sequence[UtilityProfile], model_transfer: str, n_agg: Sequence[float]
) -> list[Arm]:
    """Without transfer, and with it at every price; there without the profiles that do not state their bytes."""
    arms = [Arm(FREE, base, {}, list(profiles))]
    stated = []
    for profile in profiles:
        try:
            profile.model_bits(model_transfer)
        except ValueError:
            continue
        stated.append(profile)
    if stated:
        for price in n_agg:
            overrides = {"model_transfer": model_transfer, "n_agg": price}
            arms.append(Arm(f"{model_transfer} at {price:g} a bit", base, overrides, stated))
    return arms


def decisions(arm: Arm, played: UtilityProfile, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """What every profile's local search would do in the slots that the played profile's own visits.

    Returns:
        One row an episode and profile: the share of twins that it would place otherwise, what that costs in the score
        of the slot alone, and how many servers it would use.
    """
    scenario = arm.scenario(played)
    envs = side_by_side(ENV_ID, scenario, len(seeds))
    policies = {p.name: agents.load(NATIVE, ENV_ID, scenario=arm.scenario(p)) for p in arm.profiles}
    slots = scenario.value("num_slots")
    obs, _ = envs.reset(seed=list(seeds))
    sums = {name: np.zeros((len(seeds), 3)) for name in policies}
    for _ in range(slots):
        chosen = {name: policy.act(obs) for name, policy in policies.items()}
        for b in range(len(seeds)):
            problem = Problem(envs.task.constants[0], envs.task.slot(b), penalised=True)
            own = problem.value(chosen[played.name][b])
            for name, servers in chosen.items():
                moved = np.mean(servers[b] != chosen[played.name][b])
                sums[name][b] += moved, own - problem.value(servers[b]), len(np.unique(servers[b]))
        obs, *_ = envs.step(chosen[played.name])
    envs.close()
    return [
        decided(NATIVE, arm, profile, played, seed, *(row / slots).tolist())
        for profile in arm.profiles
        for seed, row in zip(seeds, sums[profile.name], strict=True)
    ]


def optima(arm: Arm, seed: int) -> list[dict[str, Any]]:
    """The same of proven optima, in one slot that all profiles are shown: a row for every two of them."""
    first = arm.scenario(arm.profiles[0])
    env: Any = gym.make(ENV_ID, scenario=first.override(num_slots=OPTIMUM_AFTER + 1)).unwrapped
    policy = agents.load(NATIVE, ENV_ID, scenario=first)
    obs, _ = env.reset(seed=seed)
    for _ in range(OPTIMUM_AFTER):
        obs, *_ = env.step(policy.act(obs))
    slot, problems, best = env.task.slot(), {}, {}
    for profile in arm.profiles:
        constants = Constants.of(arm.scenario(profile))
        problems[profile.name] = Problem(constants, slot, penalised=True)
        best[profile.name] = solve_slot(constants, slot, time_limit=OPTIMUM_SECONDS)
    rows = []
    for played in arm.profiles:
        problem, own = problems[played.name], best[played.name]
        for profile in arm.profiles:
            servers = best[profile.name].action
            moved, lost = float(np.mean(servers != own.action)), own.value - problem.value(servers)
            used = float(len(np.unique(servers)))
            rows.append(decided(OPTIMUM, arm, profile, played, seed, moved, lost, used, own.gap))
    return rows


def decided(
    planner: str,
    arm: Arm,
    native: UtilityProfile,
    played: UtilityProfile,
    seed: int,
    otherwise: float,
    slot_loss: float,
    servers: float,
    gap: float = 0.0,
) -> dict[str, Any]:
    """A row of decisions."""
    told = {"planner": planner, "arm": arm.name, "native": native.name, "native_digest": native.digest}
    told |= {"profile": played.name, "profile_digest": played.digest, "seed": int(seed)}
    return told | {"otherwise": otherwise, "slot_loss": slot_loss, "servers": servers, "gap": gap}
