"""Minari datasets: they load, replay bit for bit, and restore their environment."""

import json
import sys

import numpy as np
import pytest
import torch

import agents
from agents.training.run import TRAINING_SEEDS
from benchmarks import dataset as module
from benchmarks.dataset import INFOS, KINDS, OFFLINE_SEEDS, Dataset, create, main
from benchmarks.evaluate import EVALUATION_SEEDS
from dtenv import presets

minari = pytest.importorskip("minari")
pytest.importorskip("h5py")

SLOTS, EPISODES = 4, 3
SMALL = {"DTPlacementMA-v0": "small-20x5"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder of datasets, without Minari's largest extra, and with several batches of episodes."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    for name in ("jax", "jax.tree_util"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(module, "TOGETHER", 2)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tmp_path
    torch.set_num_threads(threads)


def tiny(env_id, kind, **settings):
    return Dataset(env_id, kind, fields={"num_slots": SLOTS}, episodes=EPISODES, **settings)


def check_as_minari_does(dataset):
    """Minari's test of data integrity: counts, shapes, spaces, and an end to every episode."""
    episodes = list(dataset)
    assert [episode.id for episode in episodes] == list(range(dataset.total_episodes))
    assert dataset.total_steps == sum(len(episode) for episode in episodes)
    for episode, about in zip(episodes, dataset.storage.get_episode_metadata(range(len(episodes))), strict=True):
        assert about["total_steps"] == len(episode.rewards) == len(episode.actions) == len(episode.observations) - 1
        assert all(len(values) == len(episode.observations) for values in episode.infos.values())
        assert all(dataset.observation_space.contains(obs) for obs in episode.observations)
        assert all(dataset.action_space.contains(action) for action in episode.actions)
        ended = episode.terminations | episode.truncations
        assert ended[-1] and not ended[:-1].any()


@pytest.mark.filterwarnings("ignore:Package dtenv is not installed")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("env_id", presets.PRESETS)
def test_datasets_load_and_replay(env_id, kind):
    settings = tiny(env_id, kind, scenario=SMALL.get(env_id), seed=4)
    create(settings)
    dataset = minari.load_dataset(settings.dataset_id)
    check_as_minari_does(dataset)
    assert (dataset.total_episodes, dataset.total_steps) == (EPISODES, EPISODES * SLOTS)
    env = dataset.recover_environment()
    assert env.unwrapped.scenario == settings.resolve()
    assert env.observation_space == dataset.observation_space and env.action_space == dataset.action_space
    for episode, about in zip(dataset, dataset.storage.get_episode_metadata(range(EPISODES)), strict=True):
        obs, _ = env.reset(seed=about["seed"])
        np.testing.assert_array_equal(episode.observations[0], obs)
        assert set(episode.infos) == set(INFOS)
        assert [episode.infos[name][0] for name in INFOS] == [0.0, 0.0, 0.0, 0.0, True]
        for t, action in enumerate(episode.actions):
            obs, reward, terminated, truncated, info = env.step(action)
            np.testing.assert_array_equal(episode.observations[t + 1], obs)
            ends = episode.terminations[t], episode.truncations[t]
            assert (episode.rewards[t], *ends) == (reward, terminated, truncated)
            assert [episode.infos[name][t + 1] for name in INFOS] == [info[name] for name in INFOS]
    env.close()


@pytest.mark.parametrize(
    ("env_id", "preset", "played"),
    [
        ("DTAssociation-v0", "balanced", "ppo"),
        ("DTPlacementMA-v0", "small-20x5", "local-search"),
        ("DTMigration-v0", "balanced", "hindsight"),
        ("DTMigration-v0", "ping-pong", "lookahead"),
    ],
)
def test_experts_act_as_agents_do(env_id, preset, played):
    settings = tiny(env_id, "expert", scenario=preset)
    dataset = create(settings)
    assert dataset.storage.metadata["algorithm_name"] == played
    policy = agents.load(played, env_id, scenario=settings.resolve())
    for episode in dataset:
        np.testing.assert_array_equal(episode.actions, policy.act(episode.observations[:-1]))


def test_a_price_setting_expert_is_stored_by_its_association():
    import gymnasium as gym

    settings = tiny("DTPlacementMA-v0", "expert")
    dataset = create(settings)
    policy = agents.load("mappo", "DTPlacementMA-v0", scenario=settings.resolve())
    env = gym.make("DTPlacementMA-v0", num_slots=SLOTS, **policy.overrides)
    for episode, seed in zip(dataset, settings.seeds, strict=True):
        obs, _ = env.reset(seed=seed)
        for action in episode.actions:
            obs, _, _, _, info = env.step(policy.act(obs))
            np.testing.assert_array_equal(action, info["server"])


def test_metadata_of_a_dataset():
    settings = tiny("DTMigration-v0", "mixed", seed=1)
    about = create(settings).storage.metadata
    assert about["author"] == {"The dtenv authors"} and "code_permalink" not in about
    provenance = about["provenance"]
    assert provenance["scenario"] == json.loads(json.dumps(settings.resolve().as_dict()))
    assert {"command", "dtenv", "commit", "packages", "scenario_sha256"} <= set(provenance)
    assert provenance["policies"] == ["random", "payback", "hindsight"]
    assert provenance["first_seed"] == settings.seeds[0] and provenance["settings"]["episodes"] == EPISODES
    assert about["ref_min_score"] < about["ref_max_score"]
    assert about["num_episodes_average_score"] == EPISODES


def test_reference_scores_normalise_experts_to_one():
    dataset = create(tiny("DTMigration-v0", "expert"))
    returns = np.array([episode.rewards.sum() for episode in dataset])
    assert minari.get_normalized_score(dataset, returns).mean() == pytest.approx(1.0)


def test_policies_of_a_mixed_dataset_are_seeded():
    one, same, other = (Dataset("DTMigration-v0", "mixed", episodes=300, seed=s) for s in (0, 0, 1))
    assert one.players() == same.players() != other.players()
    shares = [one.players().count(player) / 300 for player in ("random", "heuristic", "expert")]
    assert min(shares) > 0.25
    settings = tiny("DTMigration-v0", "mixed")
    kept = [about["policy"] for about in create(settings).storage.get_episode_metadata(range(EPISODES))]
    names = {"random": "random", "heuristic": "payback", "expert": "hindsight"}
    assert kept == [names[player] for player in settings.players()]


def test_datasets_combine():
    """Minari combines only datasets of equal environments and spaces."""
    both = [create(tiny("DTMigration-v0", kind)) for kind in ("heuristic", "expert")]
    combined = minari.combine_datasets(both, "dtenv/migration/combined-v0")
    check_as_minari_does(combined)
    assert combined.total_episodes == 2 * EPISODES


def test_seeds_differ_from_all_others():
    last = Dataset("DTMigration-v0", episodes=10**6, seed=999_999).seeds
    assert last[-1] == OFFLINE_SEEDS[-1]
    assert OFFLINE_SEEDS.start > EVALUATION_SEEDS[-1] and OFFLINE_SEEDS.start > TRAINING_SEEDS * (2 + 999_998) - 1
    first, second = (Dataset("DTMigration-v0", episodes=10**6, seed=seed).seeds for seed in (0, 1))
    assert first[0] == OFFLINE_SEEDS[0] and second[0] == first[-1] + 1


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (Dataset("DTAssociation-v0"), "dtenv/association/balanced-expert-v0"),
        (Dataset("DTPlacementMA-v0", "mixed", "small-20x5"), "dtenv/placement/small-20x5-mixed-v0"),
        (
            Dataset("DTAssociation-v0", "heuristic", fields={"num_servers": 9, "emd": 0.2}),
            "dtenv/association/balanced-num_servers-9-emd-0_2-heuristic-v0",
        ),
    ],
    ids=["preset", "named", "fields"],
)
def test_names(settings, name):
    assert settings.dataset_id == name


def test_nothing_is_overwritten_and_nothing_left_incomplete(folder):
    settings = tiny("DTMigration-v0", "heuristic")

    def stop(episodes):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        create(settings, stop)
    assert settings.dataset_id not in minari.list_local_datasets()
    create(settings)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(FileExistsError, match=r"slots-4-heuristic-v0. exists at .* not overwritten"):
        create(settings)
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"env_id": "DTSomething-v0"}, "'DTSomething-v0' is unknown"),
        ({"kind": "medium"}, "kind must be one of heuristic, expert, mixed, got 'medium'"),
        ({"scenario": "balancd"}, "'balancd' is unknown .did you mean 'balanced'"),
        ({"fields": {"num_slot": 3}}, "unexpected keyword argument 'num_slot' .did you mean 'num_slots'"),
        ({"env_id": "DTPlacementMA-v0", "fields": {"action": "bid"}}, "action must be 'association' .* got 'bid'"),
        ({"episodes": 0}, "episodes must be in 1..1000000, got 0"),
        ({"seed": -1}, "seed must be in 0..999999, got -1"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_refused(changes, message, folder):
    settings = Dataset(**{"env_id": "DTMigration-v0", "out": folder, **changes})
    with pytest.raises(SystemExit, match=message):
        main(settings)
    assert not list(folder.rglob("*.hdf5"))
