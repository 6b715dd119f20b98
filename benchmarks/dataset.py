"""Minari datasets of an environment's episodes, for offline learning.

    python -m benchmarks dataset DTAssociation-v0 --kind expert --episodes 100 --out runs/datasets

Every step's infos hold what constrained learners need beside the reward. Episodes replay: their seeds are kept.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import gymnasium as gym
import numpy as np
import torch
import tyro
from tqdm import tqdm

import agents
import dtenv
from agents.policy import Policy
from benchmarks.env_settings import REPORTS
from benchmarks.evaluate import manifest, side_by_side
from dtenv import presets
from dtenv.scenario import Scenario

if TYPE_CHECKING:
    import minari

OFFLINE_SEEDS = range(10**12, 2 * 10**12)
"""Seeds of episodes in datasets, a million for each dataset seed: beyond those of evaluation and of all trainings from
seeds below 999,999."""

INFOS = {"score": np.float64, "objective": np.float64, "cost": np.float64, "energy": np.float64, "feasible": np.bool_}
"""Entries of `info` that are kept, of every step."""

BEST = {"DTAssociation-v0": "local-search", "DTPlacementMA-v0": "local-search", "DTMigration-v0": "lookahead"}
"""The expert where no learned policy is shipped: the best heuristic."""

CONTROLLER = {"DTPlacementMA-v0": {"action": "association"}}
"""Fields that give all policies of an environment one kind of action."""

MIXTURE = ("random", "heuristic", "expert")
"""Who plays an episode of a mixed dataset: each a third of them, drawn anew for every episode."""

TOGETHER = 32
"""Episodes played side by side."""

REFERENCE_EPISODES = 50
"""Episodes, the dataset's first, over which the reference scores are averaged, if it has as many."""


@dataclass
class Dataset:
    """Settings of a dataset."""

    env_id: tyro.conf.Positional[Literal["DTAssociation-v0", "DTPlacementMA-v0", "DTMigration-v0"]]
    """the environment; DTPlacementMA-v0 as its central controller sees it, with action="association\""""
    kind: Literal["heuristic", "expert", "mixed"] = "expert"
    """who plays: the heuristic that tables compare with, the shipped policy (where there is none, the best heuristic),
    or random choices, heuristic and expert by turns of an episode"""
    scenario: str | None = None
    """name of a preset; by default the environment's first"""
    fields: dict[str, bool | int | float | str] = field(default_factory=dict)
    """scenario fields other than the preset's, such as num_servers 9 emd 0.2"""
    episodes: int = 100
    """how many"""
    seed: int = 0
    """which episodes, and who plays which in a mixed dataset"""
    out: Path = Path("runs/datasets")
    """folder of datasets: MINARI_DATASETS_PATH"""

    def resolve(self) -> Scenario:
        """The scenario that is played.

        Raises:
            ValueError: no such environment, preset or kind, or a field of a value that it cannot have.
            TypeError: no such field.
        """
        fixed = CONTROLLER.get(self.env_id, {})
        for name in fixed.keys() & self.fields.keys():
            raise ValueError(f"{name} must be {fixed[name]!r} in datasets of {self.env_id}, got {self.fields[name]!r}")
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {self.kind!r}")
        if self.episodes < 1 or self.episodes > 10**6:
            raise ValueError(f"episodes must be in 1..1000000, got {self.episodes}")
        if not 0 <= self.seed < 10**6:
            raise ValueError(f"seed must be in 0..999999, got {self.seed}")
        return presets.resolve(self.scenario, self.env_id, **fixed, **self.fields)

    @property
    def dataset_id(self) -> str:
        """Such as "dtenv/association/balanced-num_servers-9-expert-v0"; versions are the environment's."""
        task, version = re.fullmatch(r"DT([A-Z][a-z]+)\w*-(v\d+)", self.env_id).groups()  # type: ignore[union-attr]
        words = [self.resolve().name, *(f"{name}-{value}" for name, value in self.fields.items()), self.kind]
        return f"dtenv/{task.lower()}/" + re.sub(r"[^-\w]", "_", "-".join(words)) + f"-{version}"

    @property
    def seeds(self) -> range:
        """Of the episodes."""
        first = OFFLINE_SEEDS.start + 10**6 * self.seed
        return range(first, first + self.episodes)

    def players(self) -> list[str]:
        """Who plays every episode: a name of `KINDS`, or "random"."""
        if self.kind != "mixed":
            return [self.kind] * self.episodes
        return np.random.default_rng(self.seed).choice(MIXTURE, self.episodes).tolist()


def heuristic(env_id: str, scenario: Scenario) -> Policy:
    """The heuristic that tables compare with."""
    return agents.load(REPORTS[env_id].reference, env_id, scenario=scenario)


def expert(env_id: str, scenario: Scenario) -> Policy:
    """The first shipped policy, or else the best heuristic."""
    name = next(iter(agents.shipped(env_id, scenario.name)), BEST[env_id])
    return agents.load(name, env_id, scenario=scenario)


KINDS: dict[str, Callable[[str, Scenario], Policy] | None] = {"heuristic": heuristic, "expert": expert, "mixed": None}
"""Kinds of datasets, and who plays where it is one policy alone."""


@dataclass
class Episode:
    """One episode of T slots: what was seen (T + 1, size), what was done and what came of it (T, …)."""

    seed: int
    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    infos: dict[str, np.ndarray]
    """(T + 1,): of the reset, where nothing is spent or broken yet, and of every slot"""


def play(policy: Policy, env_id: str, scenario: Scenario, seeds: Sequence[int]) -> list[Episode]:
    """Episodes of a policy, bit for bit those of the single environment with the same seeds and actions.

    A policy with another kind of action plays beside, and the association that comes of it is what is done here.
    """
    envs, beside = side_by_side(env_id, scenario, len(seeds)), None
    if any(scenario.value(name) != value for name, value in policy.overrides.items()):
        beside = side_by_side(env_id, scenario.override(**policy.overrides), len(seeds))
        its_obs, _ = beside.reset(seed=list(seeds))
    obs, _ = envs.reset(seed=list(seeds))
    policy.reset(seeds[0])
    seen, done, rewards = [obs], [], []
    told: dict[str, list[np.ndarray]] = {name: [np.full(len(seeds), kind is np.bool_)] for name, kind in INFOS.items()}
    for _ in range(scenario.value("num_slots")):
        if beside is None:
            action = np.asarray(policy.act(obs))
        else:
            its_obs, _, _, _, its_info = beside.step(policy.act(its_obs))
            action = its_info["server"]
        obs, reward, _, _, info = envs.step(action)
        seen.append(obs)
        done.append(action.astype(envs.single_action_space.dtype))
        rewards.append(reward)
        for name in INFOS:
            told[name].append(info[name])
    envs.close()
    infos = {name: np.stack(told[name], axis=1).astype(kind) for name, kind in INFOS.items()}
    rows = zip(seeds, *(np.stack(values, axis=1) for values in (seen, done, rewards)), strict=True)
    return [Episode(*row, {name: told[i] for name, told in infos.items()}) for i, row in enumerate(rows)]


def create(settings: Dataset, progress: Callable[[int], Any] = lambda episodes: None) -> minari.MinariDataset:
    """Play a dataset's episodes, and write them below MINARI_DATASETS_PATH.

    Args:
        settings: of the dataset.
        progress: called with the number of episodes just played.

    Raises:
        ValueError: settings that cannot be.
        FileExistsError: there is a dataset of this name.
    """
    from minari.dataset.minari_dataset import MinariDataset
    from minari.storage.datasets_root_dir import get_dataset_path

    scenario, name = settings.resolve(), settings.dataset_id
    path = get_dataset_path(name)
    if path.exists():
        raise FileExistsError(f"dataset {name!r} exists at {str(path)!r}, and is not overwritten")
    policies = {
        "random": agents.load("random", settings.env_id, scenario=scenario),
        "heuristic": heuristic(settings.env_id, scenario),
        "expert": expert(settings.env_id, scenario),
    }
    players, seeds = settings.players(), settings.seeds
    dataset: MinariDataset | None = None
    try:
        for first in range(0, settings.episodes, TOGETHER):
            chunk = range(first, min(first + TOGETHER, settings.episodes))
            episodes: dict[int, Episode] = {}
            for player in dict.fromkeys(players[i] for i in chunk):
                own = [i for i in chunk if players[i] == player]
                played = play(policies[player], settings.env_id, scenario, [seeds[i] for i in own])
                episodes |= dict(zip(own, played, strict=True))
            buffers = [_buffer(episodes[i]) for i in chunk]
            if dataset is None:
                dataset = _begin(settings, scenario, policies, buffers)
            else:
                dataset.update_dataset_from_buffer(buffers)
            who = [{"policy": policies[players[i]].name} for i in chunk]
            dataset.storage.update_episode_metadata(who, chunk)
            progress(len(chunk))
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)  # of a dataset, all or nothing
        raise
    assert dataset is not None
    return dataset


def _buffer(episode: Episode) -> Any:
    """An episode as Minari takes it; fixed horizons end by truncation."""
    from minari.data_collector import EpisodeBuffer

    slots = len(episode.rewards)
    return EpisodeBuffer(
        seed=episode.seed,
        observations=episode.observations,  # type: ignore[arg-type]
        actions=episode.actions,  # type: ignore[arg-type]
        rewards=episode.rewards,  # type: ignore[arg-type]
        terminations=np.zeros(slots, np.bool_),  # type: ignore[arg-type]
        truncations=np.arange(1, slots + 1) == slots,  # type: ignore[arg-type]
        infos=episode.infos,
    )


def _begin(settings: Dataset, scenario: Scenario, policies: dict[str, Policy], buffers: list[Any]) -> Any:
    """The dataset with its first episodes, and all that is told of it."""
    import minari

    fields = {**CONTROLLER.get(settings.env_id, {}), **settings.fields}
    env = gym.make(settings.env_id, scenario=scenario.name, **fields)
    seeds = list(settings.seeds[:REFERENCE_EPISODES])
    least, most = (
        float(np.mean([episode.rewards.sum() for episode in play(policies[name], settings.env_id, scenario, seeds)]))
        for name in ("random", "expert")
    )
    names = [policies[name].name for name in (MIXTURE if settings.kind == "mixed" else [settings.kind])]
    who = " / ".join(names)
    shown = settings.kind if settings.kind != "mixed" else "each a third of the episodes, drawn at random"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`(code_permalink|author_email)` is set to None")
        dataset = minari.create_dataset_from_buffers(
            settings.dataset_id,
            buffers,
            env=env,
            eval_env=env.spec,
            algorithm_name=who,
            author="The dtenv authors",
            description=f"{settings.env_id}, scenario {scenario.name}, played by {who} ({shown}). infos: "
            f"{', '.join(INFOS)}, whose first entries are of the reset. Reference scores: returns of random choices "
            f"and of {policies['expert'].name}.",
            ref_min_score=least,
            ref_max_score=most,
            num_episodes_average_score=len(seeds),
            requirements=[f"dtenv=={dtenv.__version__}"],
        )
    env.close()
    told = {name: value for name, value in dataclasses.asdict(settings).items() if name != "out"}
    record = manifest(scenario, policies=names, first_seed=settings.seeds[0], settings=told)
    dataset.storage.update_metadata({"provenance": json.loads(json.dumps(record, default=str))})
    return dataset


def main(settings: Dataset) -> None:
    """Write the dataset, and say how it is loaded."""
    os.environ["MINARI_DATASETS_PATH"] = str(settings.out.resolve())
    torch.set_num_threads(1)  # as when policies are trained: more get into each other's way
    with tqdm(total=settings.episodes, desc="episodes", unit="episode", delay=1.0) as bar:
        try:
            dataset = create(settings, bar.update)
        except (ValueError, TypeError, FileExistsError) as error:
            raise SystemExit(str(error)) from None
    size = dataset.storage.metadata["dataset_size"]
    print(f"{dataset.total_episodes} episodes, {dataset.total_steps} steps, {size} MB; to load it:")
    print(f"MINARI_DATASETS_PATH={settings.out} python -c 'import minari; minari.load_dataset(\"{dataset.id}\")'")


if __name__ == "__main__":
    main(tyro.cli(Dataset))
