"""Cross-evaluation of utility profiles: does the best association depend on the value of data?

The policy of a profile is local search (and, with --learn, PPO fine-tuned from the shipped checkpoint) that plans with
the profile's coefficients, bytes and cycles. Every policy is played under every profile on the same held-out episodes,
without the energy of models, as in (Zhou 2025), and with it. The history γ is solved under the profile played, so that
only the association is carried over.

    python -m benchmarks profiles --out benchmarks/results/profiles
    python -m benchmarks profiles --profiles zhou-2025 own.json --learn
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from tqdm import tqdm

import agents
from agents.policy import Policy
from benchmarks.evaluate import manifest, run_episodes, write_rows, write_study
from benchmarks.profiles.arms import ENV_ID, Arm, arms_of, decisions, optima
from benchmarks.profiles.report import NATIVE, OPTIMUM, RULES, draw, page
from benchmarks.suites.suite import HELD_OUT
from dtenv import presets, utility_profile
from dtenv.reporting import jsonl
from dtenv.scenario import AssociationScenario
from dtenv.utility_profile import UtilityProfile


@dataclass
class Profiles:
    """Settings of the cross-evaluation."""

    profiles: tuple[str, ...] = ()
    """names of shipped profiles, or files; by default all shipped ones"""
    scenario: str = "balanced"
    """name of a preset"""
    emd: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6)
    """φ of users, repeated cyclically"""
    samples: tuple[int, int] | None = None
    """range of new samples; by default the preset's"""
    num_slots: int = 30
    """slots of an episode"""
    episodes: int = 16
    """held-out episodes"""
    n_agg: tuple[float, ...] = (1e-5, 0.012)
    """energies per bit between server and cloud, one matrix each; .012 is n_mig over a side of the area"""
    model_transfer: Literal["uplink", "both"] = "uplink"
    """transfers of models that are charged"""
    optima: int = 0
    """slots whose optima under every profile are compared too; 1 to 10 s for each slot and profile"""
    learn: bool = False
    """whether to fine-tune PPO's shipped policy under every profile too"""
    learn_steps: int = 65_536
    """environment steps of each fine-tuning"""
    learn_rate: float = 2e-4
    """learning rate of the fine-tuning, annealed to zero"""
    learn_seeds: int = 3
    """fine-tunings of every profile"""
    out: Path = Path("runs/profiles")
    """folder to write to; a run there is continued"""


def load_profiles(settings: Profiles) -> list[UtilityProfile]:
    """Load the profiles.

    Raises:
        ValueError: fewer than two, two of one name, or an unreadable one.
    """
    profiles = [utility_profile.load(name) for name in settings.profiles or utility_profile.available()]
    names = [profile.name for profile in profiles]
    if len(profiles) < 2 or len(set(names)) < len(names):
        raise ValueError(f"profiles must be two or more of different names, got {', '.join(names)}")
    return profiles


def scenario_of(settings: Profiles) -> AssociationScenario:
    """Scenario without a profile."""
    preset = presets.resolve(settings.scenario, ENV_ID, num_slots=settings.num_slots)
    emd = tuple(np.resize(settings.emd, preset.network.num_users).tolist())
    return preset.override(emd=emd, **({} if settings.samples is None else {"samples": settings.samples}))


class Store:
    """Finished parts of a run, one line each, from which an interrupted run continues.

    Raises:
        ValueError: the folder holds parts made with other settings; the message names one.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]):
        jsonl.check_settings(folder, settings)
        self._path = folder / "parts.jsonl"
        self._parts = {part["key"]: part["rows"] for part in jsonl.read(self._path)}

    def part(self, key: Sequence[Any], make: Any) -> list[dict[str, Any]]:
        """Rows of a part, which `make` computes unless they are stored."""
        name = json.dumps(list(key))
        if name not in self._parts:
            self._parts[name] = make()
            jsonl.append(self._path, [{"key": name, "rows": self._parts[name]}])
        return self._parts[name]


class Native(NamedTuple):
    """A policy and its profile; None for rules that use none."""

    policy: Policy
    profile: UtilityProfile | None
    training_seed: int = 0


def natives(settings: Profiles, arm: Arm, bar: Any) -> Iterator[Native]:
    """Yield all policies of an arm; learned ones are trained unless they are stored."""
    for profile in arm.profiles:
        yield Native(agents.load(NATIVE, ENV_ID, scenario=arm.scenario(profile)), profile)
    if settings.learn:
        for profile in arm.profiles:
            for seed in range(1, settings.learn_seeds + 1):
                bar.set_postfix_str(f"PPO for {profile.name}, seed {seed}")
                yield Native(fine_tuned(settings, arm, profile, seed), profile, seed)


def fine_tuned(settings: Profiles, arm: Arm, profile: UtilityProfile, seed: int) -> Policy:
    """PPO's shipped policy, trained further under a profile."""
    import torch

    from agents import ppo

    torch.set_num_threads(1)
    scenario = arm.scenario(profile)
    policies = settings.out / "policies"
    path = policies / f"{arm.name.replace(' ', '-')}-{profile.name}-{profile.digest}-{seed}.safetensors"
    if path.exists():
        return agents.load("ppo", ENV_ID, scenario=scenario, checkpoint=path)
    args = ppo.Args(
        seed=seed,
        warm_start="none",
        total_steps=settings.learn_steps,
        learning_rate=settings.learn_rate,
        num_slots=settings.num_slots,
        save=path,
    )
    shipped: Any = agents.load("ppo", ENV_ID, scenario=scenario)
    return ppo.train(args, scenario=scenario, network=shipped.network.train())


def main(settings: Profiles) -> None:
    """Play all policies under all profiles, and write rows, decisions, manifest, a page of matrices and their plot.

    Raises:
        ValueError: too few profiles, or the folder holds a run with other settings.
    """
    profiles = load_profiles(settings)
    seeds = list(HELD_OUT[: settings.episodes])
    preset = scenario_of(settings)
    arms = arms_of(preset, profiles, settings.model_transfer, settings.n_agg)
    for profile in profiles:  # warns where the scenario leaves the profile's range
        preset.override(utility=profile)
    in_keys = {"out", "profiles", "n_agg", "model_transfer", "optima", "learn", "learn_seeds"}  # of the stored parts
    fixed = {name: value for name, value in dataclasses.asdict(settings).items() if name not in in_keys}
    store = Store(settings.out, fixed)
    rows: list[dict[str, Any]] = []
    choices: list[dict[str, Any]] = []
    ppo = 1 + settings.learn_seeds if settings.learn else 1
    total = sum(len(arm.profiles) * (len(arm.profiles) * ppo + len(RULES) + settings.learn + 1) for arm in arms)
    total += settings.optima * len(arms)
    with tqdm(total=total, desc="profiles", unit="cell") as bar:
        for arm in arms:
            for native in natives(settings, arm, bar):
                for played in arm.profiles:
                    rows += played_rows(store, arm, native, played, seeds)
                    bar.update()
            for played in arm.profiles:
                scenario = arm.scenario(played)
                for name in (*RULES, *(["ppo"] if settings.learn else [])):
                    rule = Native(agents.load(name, ENV_ID, scenario=scenario), None)
                    rows += played_rows(store, arm, rule, played, seeds)
                    bar.update()
                bar.set_postfix_str(f"decisions under {played.name}")
                key = ("decisions", arm.name, played.digest, *sorted(p.digest for p in arm.profiles))
                choices += store.part(key, lambda arm=arm, played=played: decisions(arm, played, seeds))
                bar.update()
            for seed in HELD_OUT[: settings.optima]:
                bar.set_postfix_str(f"optima of slot {seed}")
                key = (OPTIMUM, arm.name, *(p.digest for p in arm.profiles), seed)
                choices += store.part(key, lambda arm=arm, seed=seed: optima(arm, seed))
                bar.update()
    write_rows(settings.out / "decisions.csv", choices)
    scenarios = [arm.scenario(profile) for arm in arms for profile in arm.profiles]
    record = manifest(*scenarios, profiles=[profile.as_dict() for profile in profiles], settings=fixed)
    write_study(settings.out, rows, record, page(rows, choices, record["command"]))
    draw(settings.out / "losses.png", rows)


def played_rows(
    store: Store, arm: Arm, native: Native, played: UtilityProfile, seeds: Sequence[int]
) -> list[dict[str, Any]]:
    """One row per episode of a policy under a profile."""
    name, digest = (native.profile.name, native.profile.digest) if native.profile else ("", "")
    about = {"arm": arm.name, "native": name, "native_digest": digest, "training_seed": native.training_seed}
    about |= {"profile": played.name, "profile_digest": played.digest}
    key = ("rows", arm.name, native.policy.name, digest, native.training_seed, played.digest)
    scenario = arm.scenario(played)
    return store.part(key, lambda: [about | row for row in run_episodes(native.policy, ENV_ID, scenario, seeds)])
