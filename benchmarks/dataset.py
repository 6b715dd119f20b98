"""Minari datasets of an environment's episodes, for offline learning.

    python -m benchmarks dataset DTAssociation-v0 --kind expert --episodes 100 --out runs/datasets

The infos of every step include what constrained learners need. Episodes can be replayed: their seeds are stored.
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
from benchmarks.env_settings import ENV_SETTINGS
from benchmarks.evaluate import manifest, side_by_side
from dtenv import presets
from dtenv.scenario import Scenario

if TYPE_CHECKING:
    import minari

OFFLINE_SEEDS = range(10**12, 2 * 10**12)
"""Seeds of episodes, a million per dataset seed: above those of evaluation and of training with seeds below 999,999."""

INFOS = {"score": np.float64, "objective": np.float64, "cost": np.float64, "energy": np.float64, "feasible": np.bool_}
"""Entries of `info` that are stored for every step."""

BEST = {"DTAssociation-v0": "local-search", "DTPlacementMA-v0": "local-search", "DTMigration-v0": "lookahead"}
"""The best heuristic, which is the expert where no learned policy is shipped."""

CONTROLLER = {"DTPlacementMA-v0": {"action": "association"}}
"""Scenario fields that give all policies of an environment the same action space."""

MIXTURE = ("random", "heuristic", "expert")
"""Policies of a mixed dataset; one is drawn for each episode, with equal probabilities."""

TOGETHER = 32
"""Episodes in a batch."""

REFERENCE_EPISODES = 50
"""Number of episodes, from the first on, over which reference scores are averaged, if the dataset has as many."""


@dataclass
class Dataset:
    """Settings of a dataset."""

    env_id: tyro.conf.Positional[Literal["DTAssociation-v0", "DTPlacementMA-v0", "DTMigration-v0"]]
    """the environment; DTPlacementMA-v0 as seen by its central controller, with action="association\""""
    kind: Literal["heuristic", "expert", "mixed"] = "expert"
    """the policy: the heuristic that tables compare with, the shipped policy (or else the best heuristic), or one of
    random, heuristic and expert, drawn for each episode"""
    scenario: str | None = None
    """name of a preset; by default the environment's first"""
    fields: dict[str, bool | int | float | str] = field(default_factory=dict)
    """scenario fields that override the preset's, such as num_servers 9 emd 0.2"""
    episodes: int = 100
    """number of episodes"""
    seed: int = 0
    """seed of the episodes, and of the draw of policies in a mixed dataset"""
    out: Path = Path("runs/datasets")
    """folder of datasets: MINARI_DATASETS_PATH"""

    def resolve(self) -> Scenario:
        """Return the scenario.

        Raises:
            ValueError: unknown environment, preset or kind, or an invalid value.
            TypeError: unknown field.
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
        """Name such as "dtenv/association/balanced-num_servers-9-expert-v0", with the environment's version."""
        task, version = re.fullmatch(r"DT([A-Z][a-z]+)\w*-(v\d+)", self.env_id).groups()  # type: ignore[union-attr]
        words = [self.resolve().name, *(f"{name}-{value}" for name, value in self.fields.items()), self.kind]
        return f"dtenv/{task.lower()}/" + re.sub(r"[^-\w]", "_", "-".join(words)) + f"-{version}"

    @property
    def seeds(self) -> range:
        """Seeds of the episodes."""
        first = OFFLINE_SEEDS.start + 10**6 * self.seed
        return range(first, first + self.episodes)

    def players(self) -> list[str]:
        """Policy of each episode: "random", "heuristic" or "expert"."""
        if self.kind != "mixed":
            return [self.kind] * self.episodes
        return np.random.default_rng(self.seed).choice(MIXTURE, self.episodes).tolist()


def heuristic(env_id: str, scenario: Scenario) -> Policy:
    """Return the heuristic that tables compare with."""
    return agents.load(ENV_SETTINGS[env_id].reference, env_id, scenario=scenario)


def expert(env_id: str, scenario: Scenario) -> Policy:
    """Return the first shipped policy, or else the best heuristic."""
    name = next(iter(agents.shipped(env_id, scenario.name)), BEST[env_id])
    return agents.load(name, env_id, scenario=scenario)


KINDS: dict[str, Callable[[str, Scenario], Policy] | None] = {"heuristic": heuristic, "expert": expert, "mixed": None}
"""Kinds of datasets, with their policy where there is only one."""


@dataclass
class Episode:
    """An episode of T slots: observations (T + 1, size), actions and rewards (T, …)."""

    seed: int
    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    infos: dict[str, np.ndarray]
    """(T + 1,): zeros and feasible for the reset, then one entry per slot"""


def play(policy: Policy, env_id: str, scenario: Scenario, seeds: Sequence[int]) -> list[Episode]:
    """Play episodes that equal those of the single environment with the same seeds and actions, bit for bit.

    A policy with another kind of action plays in a second environment; the resulting association is the action here.
    """
    envs, own_envs = side_by_side(env_id, scenario, len(seeds)), None
    if any(scenario.value(name) != value for name, value in policy.overrides.items()):
        own_envs = side_by_side(env_id, scenario.override(**policy.overrides), len(seeds))
        own_obs, _ = own_envs.reset(seed=list(seeds))
    obs, _ = envs.reset(seed=list(seeds))
    policy.reset(seeds[0])
    observations, actions, rewards = [obs], [], []
    infos = {name: [np.full(len(seeds), kind is np.bool_)] for name, kind in INFOS.items()}
    for _ in range(scenario.value("num_slots")):
        if own_envs is None:
            action = np.asarray(policy.act(obs))
        else:
            own_obs, _, _, _, own_info = own_envs.step(policy.act(own_obs))
            action = own_info["server"]
        obs, reward, _, _, info = envs.step(action)
        observations.append(obs)
        actions.append(action.astype(envs.single_action_space.dtype))
        rewards.append(reward)
        for name, values in infos.items():
            values.append(info[name])
    envs.close()
    stacked = {name: np.stack(infos[name], axis=1).astype(kind) for name, kind in INFOS.items()}
    rows = zip(seeds, *(np.stack(values, axis=1) for values in (observations, actions, rewards)), strict=True)
    return [Episode(*row, {name: values[i] for name, values in stacked.items()}) for i, row in enumerate(rows)]


def create(settings: Dataset, progress: Callable[[int], Any] = lambda episodes: None) -> minari.MinariDataset:
    """Play a dataset's episodes and write them below MINARI_DATASETS_PATH.

    `progress` is called with the number of episodes just played.

    Raises:
        ValueError: invalid settings.
        FileExistsError: a dataset of this name exists.
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
            dataset.storage.update_episode_metadata([{"policy": policies[players[i]].name} for i in chunk], chunk)
            progress(len(chunk))
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)  # leave no part of a dataset
        raise
    assert dataset is not None
    return dataset


def _buffer(episode: Episode) -> Any:
    """Convert an episode to Minari's format; fixed horizons end by truncation."""
    from minari.data_collector import EpisodeBuffer

    slots = len(episode.rewards)
    ends: Any = {"terminations": np.zeros(slots, np.bool_), "truncations": np.arange(1, slots + 1) == slots}
    return EpisodeBuffer(**vars(episode), **ends)


def _begin(settings: Dataset, scenario: Scenario, policies: dict[str, Policy], buffers: list[Any]) -> Any:
    """Create the dataset with its first episodes and its metadata."""
    import minari

    env = gym.make(settings.env_id, scenario=scenario.name, **CONTROLLER.get(settings.env_id, {}), **settings.fields)
    seeds = list(settings.seeds[:REFERENCE_EPISODES])
    least, most = (
        float(np.mean([episode.rewards.sum() for episode in play(policies[name], settings.env_id, scenario, seeds)]))
        for name in ("random", "expert")
    )
    mixed = settings.kind == "mixed"
    names = [policies[name].name for name in (MIXTURE if mixed else [settings.kind])]
    shown = "each a third of the episodes, drawn at random" if mixed else settings.kind
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`(code_permalink|author_email)` is set to None")
        dataset = minari.create_dataset_from_buffers(
            settings.dataset_id,
            buffers,
            env=env,
            eval_env=env.spec,
            algorithm_name=" / ".join(names),
            author="The dtenv authors",
            description=f"{settings.env_id}, scenario {scenario.name}, played by {' / '.join(names)} ({shown}). infos: "
            f"{', '.join(INFOS)}, with the reset first. Reference scores: returns of random choices and of "
            f"{policies['expert'].name}.",
            ref_min_score=least,
            ref_max_score=most,
            num_episodes_average_score=len(seeds),
            requirements=[f"dtenv=={dtenv.__version__}"],
        )
    env.close()
    given = {name: value for name, value in dataclasses.asdict(settings).items() if name != "out"}
    record = manifest(scenario, policies=names, first_seed=settings.seeds[0], settings=given)
    dataset.storage.update_metadata({"provenance": json.loads(json.dumps(record, default=str))})
    return dataset


def main(settings: Dataset) -> None:
    """Write the dataset and print how to load it."""
    os.environ["MINARI_DATASETS_PATH"] = str(settings.out.resolve())
    torch.set_num_threads(1)  # as in training: more threads slow each other down
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
