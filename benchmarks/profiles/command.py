"""Does the best association depend on what data are worth? Policies of all utility profiles under all profiles.

Every profile's own policy is local search (and, with --learn, PPO fine-tuned from the shipped checkpoint) that plans
with that profile's coefficients, bytes and cycles. All of them are played under all profiles on the same held-out
episodes, with models' energy left out as in (Zhou 2025) and charged. The history γ is solved under the profile played:
what is carried over is the association.

    python -m benchmarks profiles --out docs/results/profiles
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
from benchmarks.evaluate import manifest, run_episodes, write_rows
from benchmarks.profiles.arms import ENV_ID, Arm, arms_of, decisions, optima
from benchmarks.profiles.report import NATIVE, OPTIMUM, RULES, write_report
from benchmarks.suites.suite import HELD_OUT
from dtenv import presets, utility_profile
from dtenv.reporting import jsonl
from dtenv.scenario import AssociationScenario
from dtenv.utility_profile import UtilityProfile


@dataclass
class Profiles:
    """Settings of the cross-evaluation."""

    profiles: tuple[str, ...] = ()
    """names of shipped profiles, or files; by default all that are shipped"""
    scenario: str = "balanced"
    """name of a preset"""
    emd: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6)
    """φ of users, in turn"""
    samples: tuple[int, int] | None = None
    """range of new samples, where not the preset's"""
    num_slots: int = 30
    """slots of an episode"""
    episodes: int = 16
    """held-out episodes"""
    n_agg: tuple[float, ...] = (1e-5, 0.012)
    """energies of a bit between a server and the cloud, a matrix each beside that without; .012 is n_mig over a side"""
    model_transfer: Literal["uplink", "both"] = "uplink"
    """which models are charged"""
    optima: int = 0
    """slots whose optimum under every profile is compared, too; a second to ten for each slot and profile"""
    learn: bool = False
    """fine-tune PPO's shipped policy under every profile, too"""
    learn_steps: int = 65_536
    """environment steps of a fine-tuning"""
    learn_rate: float = 2e-4
    """its learning rate, annealed to zero"""
    learn_seeds: int = 3
    """fine-tunings of every profile"""
    out: Path = Path("runs/profiles")
    """where to write; what is there is gone on with"""


def load_profiles(settings: Profiles) -> list[UtilityProfile]:
    """The profiles asked for.

    Raises:
        ValueError: fewer than two, two of one name, or one cannot be read.
    """
    profiles = [utility_profile.load(name) for name in settings.profiles or utility_profile.available()]
    names = [profile.name for profile in profiles]
    if len(profiles) < 2 or len(set(names)) < len(names):
        raise ValueError(f"profiles must be two or more of different names, got {', '.join(names)}")
    return profiles


def scenario_of(settings: Profiles) -> AssociationScenario:
    """What is played, before any profile."""
    preset = presets.resolve(settings.scenario, ENV_ID, num_slots=settings.num_slots)
    emd = tuple(np.resize(settings.emd, preset.network.num_users).tolist())
    return preset.override(emd=emd, **({} if settings.samples is None else {"samples": settings.samples}))


class Store:
    """Finished parts of a run, a line each, so that a run that was cut off goes on.

    Args:
        folder: where.
        settings: those that the parts depend on.

    Raises:
        ValueError: what is there was made with other settings; the message names one.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]):
        jsonl.check_settings(folder, settings)
        self._path = folder / "parts.jsonl"
        self._parts = {part["key"]: part["rows"] for part in jsonl.read(self._path)}

    def part(self, key: Sequence[Any], make: Any) -> list[dict[str, Any]]:
        """Rows of a part, made where they are not there yet."""
        name = json.dumps(list(key))
        if name not in self._parts:
            self._parts[name] = make()
            jsonl.append(self._path, [{"key": name, "rows": self._parts[name]}])
        return self._parts[name]


class Native(NamedTuple):
    """A policy and the profile that it is of; None for rules that know of none."""

    policy: Policy
    profile: UtilityProfile | None
    training_seed: int = 0


def natives(settings: Profiles, arm: Arm, bar: Any) -> Iterator[Native]:
    """All policies of an arm, the learned ones trained where they are not there yet."""
    for profile in arm.profiles:
        yield Native(agents.load(NATIVE, ENV_ID, scenario=arm.scenario(profile)), profile)
    if settings.learn:
        for profile in arm.profiles:
            for seed in range(1, settings.learn_seeds + 1):
                bar.set_postfix_str(f"PPO for {profile.name}, seed {seed}")
                yield Native(fine_tuned(settings, arm, profile, seed), profile, seed)


def fine_tuned(settings: Profiles, arm: Arm, profile: UtilityProfile, seed: int) -> Policy:
    """PPO's shipped policy, trained on under a profile."""
    import torch

    from agents import ppo

    torch.set_num_threads(1)
    scenario = arm.scenario(profile)
    name = f"{arm.name.replace(' ', '-')}-{profile.name}-{profile.digest}-{seed}.safetensors"
    path = settings.out / "policies" / name
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
    """Play everything, and write rows, decisions, manifest, a page of matrices and their picture.

    Raises:
        ValueError: too few profiles, or the folder holds a run with other settings.
    """
    profiles = load_profiles(settings)
    seeds = list(HELD_OUT[: settings.episodes])
    preset = scenario_of(settings)
    arms = arms_of(preset, profiles, settings.model_transfer, settings.n_agg)
    for profile in profiles:  # those beyond whose range it plays say so
        preset.override(utility=profile)
    free = {
        "out",
        "profiles",
        "n_agg",
        "model_transfer",
        "optima",
        "learn",
        "learn_seeds",
    }  # told apart by the parts' keys
    fixed = {name: value for name, value in dataclasses.asdict(settings).items() if name not in free}
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
                    rows += played_rows(settings, store, arm, native, played, seeds)
                    bar.update()
            for played in arm.profiles:
                scenario = arm.scenario(played)
                for name in (*RULES, *(["ppo"] if settings.learn else [])):
                    rule = Native(agents.load(name, ENV_ID, scenario=scenario), None)
                    rows += played_rows(settings, store, arm, rule, played, seeds)
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
    write_rows(settings.out / "rows.csv", rows)
    write_rows(settings.out / "decisions.csv", choices)
    scenarios = [arm.scenario(profile) for arm in arms for profile in arm.profiles]
    record = manifest(*scenarios, profiles=[profile.as_dict() for profile in profiles], settings=fixed)
    (settings.out / "manifest.json").write_text(json.dumps(record, indent=1, default=str) + "\n")
    print(write_report(settings.out, rows, choices, record["command"]))
    print(f"written to {settings.out}/")


def played_rows(
    settings: Profiles, store: Store, arm: Arm, native: Native, played: UtilityProfile, seeds: Sequence[int]
) -> list[dict[str, Any]]:
    """One row an episode of a policy under a profile."""
    of = native.profile
    told = {
        "arm": arm.name,
        "native": "" if of is None else of.name,
        "native_digest": "" if of is None else of.digest,
        "training_seed": native.training_seed,
        "profile": played.name,
        "profile_digest": played.digest,
    }
    key = ("rows", arm.name, native.policy.name, told["native_digest"], native.training_seed, played.digest)
    scenario = arm.scenario(played)
    return store.part(key, lambda: [told | row for row in run_episodes(native.policy, ENV_ID, scenario, seeds)])
