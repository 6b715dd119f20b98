"""Arms of benchmarks.profiles (prices at which models are charged), and planners' decisions in single slots."""

from __future__ import annotations

import itertools
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
"""Arm without the energy of models."""

OPTIMUM_SECONDS = 10.0
"""Time limit of one optimum; the remaining gap is in the rows."""

OPTIMUM_AFTER = 10
"""Slots that the first profile's local search plays before the slot whose optima are compared."""


class Arm(NamedTuple):
    """A matrix: scenario, with models charged or not, and the profiles that state enough for it."""

    name: str
    base: AssociationScenario
    overrides: dict[str, Any]
    profiles: list[UtilityProfile]

    def scenario(self, profile: UtilityProfile) -> AssociationScenario:
        """Scenario under a profile, without warnings about its range."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.base.override(utility=profile, **self.overrides)


def arms_of(
    base: AssociationScenario, profiles: Sequence[UtilityProfile], model_transfer: str, n_agg: Sequence[float]
) -> list[Arm]:
    """Arms without transfer and with it at every price; the latter without profiles that do not state their bytes."""
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
    """Decisions of every profile's local search in the slots that the played profile's own visits.

    Returns:
        One row per episode and profile: share of twins placed differently, loss of score in the slot alone, and number
        of servers used.
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
        decided(NATIVE, arm, profile, played, seed, *(row / slots).tolist(), 0.0)
        for profile in arm.profiles
        for seed, row in zip(seeds, sums[profile.name], strict=True)
    ]


def optima(arm: Arm, seed: int) -> list[dict[str, Any]]:
    """Decisions of proven optima in one slot that all profiles see: one row per pair of profiles."""
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
    for played, profile in itertools.product(arm.profiles, repeat=2):
        own, servers = best[played.name], best[profile.name].action
        moved, lost = float(np.mean(servers != own.action)), own.value - problems[played.name].value(servers)
        used = float(len(np.unique(servers)))
        rows.append(decided(OPTIMUM, arm, profile, played, seed, moved, lost, used, own.gap))
    return rows


def decided(
    planner: str, arm: Arm, native: UtilityProfile, played: UtilityProfile, seed: int, *figures: float
) -> dict[str, Any]:
    """Row of decisions; the figures are otherwise, slot_loss, servers and gap."""
    about = {"planner": planner, "arm": arm.name, "native": native.name, "native_digest": native.digest}
    about |= {"profile": played.name, "profile_digest": played.digest, "seed": int(seed)}
    return about | dict(zip(("otherwise", "slot_loss", "servers", "gap"), figures, strict=True))
