"""DTAssociation-v0's heuristics play by their rules, and rank as the paper and our notes say."""

from __future__ import annotations

import itertools

import gymnasium as gym
import numpy as np
import pytest
from reference_association import baseline_2, instance_of, score

import agents
import dtenv  # noqa: F401 (registers the id)
from dtenv.instance import score as score_instance
from dtenv.presets import resolve
from dtenv.tasks.association.task import AssociationTask

PER_SAMPLE = 1e-7 * 55 * 784 * 60  # computation energy (15) of one sample at 55 cycles a bit: .2587


def make(**settings):
    return gym.make("DTAssociation-v0", **settings)


def observations(env, seeds, slots=3):
    """Flat observations of a few slots under random moves."""
    rng = np.random.default_rng(0)
    found = []
    for seed in seeds:
        obs, info = env.reset(seed=seed)
        for _ in range(slots):
            found.append(obs)
            servers = env.unwrapped.scenario.network.num_servers
            obs = env.step(np.where(rng.random(len(info["server"])) < 0.7, info["server"], rng.integers(servers)))[0]
    return np.array(found)


# Policies


@pytest.mark.parametrize("name", agents.HEURISTICS["DTAssociation-v0"])
@pytest.mark.parametrize("settings", [{}, {"num_users": 7, "num_servers": 4, "n_syn": 30.0}], ids=["balanced", "small"])
def test_actions_are_valid_alone_and_in_batches(name, settings):
    policy = agents.load(name, **settings)
    env = make(**settings, **policy.overrides)
    obs = observations(env, seeds=range(2))
    policy.reset(seed=0)
    batch = policy.act(obs)
    assert batch.shape == (len(obs), env.unwrapped.scenario.network.num_users)
    assert all(env.action_space.contains(action) for action in batch)
    if name != "random":
        assert np.array_equal(batch, [policy.act(row) for row in obs])
    assert env.action_space.contains(policy.act(obs[0]))


def test_random_draws_anew_and_again_with_its_seed():
    policy = agents.load("random")
    obs = np.zeros(AssociationTask(resolve("balanced")).layout.size, np.float32)
    policy.reset(seed=3)
    first, second = policy.act(obs), policy.act(obs)
    assert not np.array_equal(first, second)
    policy.reset(seed=3)
    assert np.array_equal(policy.act(obs), first)


def test_loading():
    assert agents.load("nearest", scenario="paper", num_servers=9).name == "nearest"
    assert agents.load("nearest-random").overrides == {"history": "random"}
    with pytest.raises(
        ValueError, match=r"agent 'neerest' is unknown for DTAssociation-v0 \(did you mean 'nearest'\?\); known: .*stay"
    ):
        agents.load("neerest")
    assert agents.load("nearest", "DTPlacementMA-v0", scenario="small-20x5").overrides == {"action": "association"}
    with pytest.raises(ValueError, match="agent 'stay' is unknown for DTMigration-v0; known: random, never"):
        agents.load("stay", "DTMigration-v0")
    with pytest.raises(ValueError, match="env_id 'CartPole-v1' is unknown; known: DTAssociation-v0"):
        agents.load("stay", "CartPole-v1")
    with pytest.raises(ValueError, match=r"checkpoint must be None for the heuristic 'stay', got 'x\.safetensors'"):
        agents.load("stay", checkpoint="x.safetensors")
    with pytest.raises(TypeError, match="unexpected keyword argument 'num_user'"):
        agents.load("stay", num_user=3)


# Rules on slots made by hand: servers and users on a line, 1500 and 130 the largest capacities


def act(name, *, users, servers, samples, hosts, q=1450.0, p=125.0):
    """The action of a heuristic on a slot: places are x in metres, on y = 60."""
    scenario = resolve("balanced", num_users=len(users), num_servers=len(servers))
    layout = AssociationTask(scenario).layout
    obs = np.zeros(layout.size, np.float32)
    blocks = layout.split(obs)  # views
    blocks["users"][:, 0] = np.array(users) / 60 - 1
    blocks["users"][:, 4] = np.array(samples) / 300
    blocks["users"][:, 5:7] = 1.0
    blocks["servers"][:, 0] = np.array(servers) / 60 - 1
    blocks["servers"][:, 2] = 55 / 56
    blocks["servers"][:, 3] = np.array(q) / 1500
    blocks["servers"][:, 4] = np.array(p) / 130
    blocks["links"][range(len(users)), hosts, 1] = 1.0
    return agents.load(name, scenario=scenario).act(obs).tolist()


def test_nearest_goes_where_there_is_room():
    slot = {"users": [10, 11, 12], "servers": [0, 60], "samples": [300, 200, 100], "hosts": [1, 1, 1]}
    assert act("nearest", **slot) == [0, 0, 0]
    # Server 0 has room for 300 + 100 samples: the user with 300 chooses first, and 200 more do not fit.
    assert act("nearest", **slot, q=[410 * PER_SAMPLE, 1450]) == [0, 1, 0]
    # No user fits anywhere.
    assert act("nearest", **slot, q=50 * PER_SAMPLE) == [0, 0, 0]


def test_nearest_heeds_synchronisation_too():
    slot = {"users": [10, 20, 70], "servers": [0, 110], "samples": [100, 100, 100], "hosts": [0, 0, 1]}
    upload = 3 * 100 * 784 / 981_681  # energy a metre
    assert act("nearest", **slot) == [0, 0, 1]
    assert act("nearest", **slot, p=[15 * upload, 125]) == [0, 1, 1]  # 10 m fits; 20 m does not, even alone
    assert act("nearest", **slot, p=[25 * upload, 125]) == [0, 1, 1]  # either fits, both do not


def test_nearest_random_is_the_same_association():
    slot = {"users": [10, 11, 12], "servers": [0, 60], "samples": [300, 200, 100], "hosts": [1, 1, 1]}
    assert act("nearest-random", **slot, q=[410 * PER_SAMPLE, 1450]) == [0, 1, 0]


CROWDED = {"n_syn": 30.0, "compute_capacity": (60.0, 200.0)}


@pytest.mark.parametrize("settings", [{}, CROWDED], ids=["balanced", "crowded"])
def test_nearest_is_baseline_2(settings):
    env = make(**settings)
    policy = agents.load("nearest", **settings)
    for seed in range(5):
        obs, _ = env.reset(seed=seed)
        assert policy.act(obs).tolist() == baseline_2(instance_of(env.unwrapped.task.slot(), env.unwrapped.scenario))


def test_stay_stays_unless_there_is_no_room():
    slot = {"users": [0, 60, 100], "servers": [0, 60, 120], "samples": [100, 100, 100], "hosts": [1, 1, 1]}
    assert act("stay", **slot) == [1, 1, 1]
    # Room for two: the user farthest from server 1 leaves, for the nearest of the others.
    assert act("stay", **slot, q=[1450, 250 * PER_SAMPLE, 1450]) == [0, 1, 1]
    assert act("stay", **slot, q=50 * PER_SAMPLE) == [1, 1, 1]  # nowhere to go


def test_hysteresis_moves_once_it_is_a_margin_nearer():
    slot = {"servers": [20, 100], "samples": [100, 100, 100], "hosts": [0, 0, 0]}
    even = agents.MARGIN * 120 / 2  # metres beyond the middle between the two
    assert act("hysteresis", users=[60 + even - 1, 60 + even + 1, 30], **slot) == [0, 1, 0]


def test_pack_fills_the_hub_of_most_twins_with_the_nearest_users():
    slot = {"users": [0, 50, 70, 120], "servers": [10, 60, 110], "samples": [100] * 4, "hosts": [2, 2, 0, 1]}
    assert act("pack", **slot) == [2, 2, 2, 2]
    # Room for two there: the nearest two. Hubs 1 and 0 tie by twins, and 1 is nearer to all.
    assert act("pack", **slot, q=[1450, 1450, 250 * PER_SAMPLE]) == [1, 1, 2, 2]
    assert act("pack", **slot, q=50 * PER_SAMPLE) == [2, 2, 2, 2]  # no user fits anywhere: the first hub


# Local search


def worth(env, slot, action):
    """Score of one slot under an association."""
    instance = instance_of(slot, env.unwrapped.scenario, action)
    return score(instance, score_instance(instance)["history"])


@pytest.mark.parametrize("scenario", ["balanced", "paper", "sequential"])
def test_local_search_is_never_below_its_starts(scenario):
    env = make(scenario=scenario)
    names = ("local-search", "stay", "nearest", "pack")
    policies = [agents.load(name, scenario=scenario) for name in names]
    rng, gains = np.random.default_rng(0), []
    for seed in range(4):
        obs, _ = env.reset(seed=seed)
        for _ in range(3):
            slot = env.unwrapped.task.slot()
            found, *starts = (worth(env, slot, policy.act(obs)) for policy in policies)
            gains.append(found - max(starts))
            obs = env.step(rng.integers(15, size=20))[0]
    assert min(gains) > -1e-5  # it plans on the observation's float32
    assert max(gains) > 1e-3


def test_local_search_mostly_finds_the_best_of_all_associations_and_never_a_better_one():
    settings = {"num_users": 4, "num_servers": 3, "num_slots": 30}
    env, policy = make(**settings), agents.load("local-search", **settings)
    everything = list(itertools.product(range(3), repeat=4))
    rng, found = np.random.default_rng(0), []
    for seed in range(10):
        obs, _ = env.reset(seed=seed)
        for _ in range(3):
            slot = env.unwrapped.task.slot()
            best = max(worth(env, slot, action) for action in everything)
            found.append(worth(env, slot, policy.act(obs)) - best)
            obs = env.step(rng.integers(3, size=4))[0]
    assert max(found) <= 1e-12
    assert np.mean(np.array(found) > -1e-5) >= 0.8


# What the paper and our notes claim, on few seeds


def rollout(name, seeds, key="objective", slots=30, **settings):
    """Mean over slots of info[key], one entry a seed."""
    policy = agents.load(name, **settings)
    env = make(**settings, **policy.overrides)
    means = []
    for seed in seeds:
        obs, _ = env.reset(seed=seed)
        policy.reset(seed=seed)
        total = 0.0
        for _ in range(slots):
            obs, _, _, _, info = env.step(policy.act(obs))
            total += info[key] / slots
        means.append(total)
    return np.array(means)


@pytest.mark.parametrize("scenario", ["balanced", "paper"])
def test_objective_rises_with_servers(scenario):
    few, some, many = (rollout("nearest", range(4), scenario=scenario, num_servers=s).mean() for s in (9, 15, 21))
    assert few < some < many


@pytest.mark.parametrize("scenario", ["balanced", "paper"])
def test_objective_falls_with_the_earth_movers_distance(scenario):
    falling = [rollout("nearest", range(4), scenario=scenario, emd=emd) for emd in (0.0, 0.2, 0.4, 0.6)]
    assert all((more > less).all() for more, less in itertools.pairwise(falling))  # on every seed


@pytest.mark.parametrize("scenario", ["balanced", "paper"])
@pytest.mark.parametrize("servers", [9, 15, 21])
def test_baseline_2_beats_baseline_3(scenario, servers):
    settings = {"scenario": scenario, "num_servers": servers}
    assert (rollout("nearest", range(4), **settings) > rollout("nearest-random", range(4), **settings)).all()


def test_heuristics_rank_as_known_in_balanced():
    names = ("pack", "random", "nearest", "hysteresis", "local-search")
    pack, random, nearest, hysteresis, local_search = (rollout(name, range(8), "score").mean() for name in names)
    assert max(pack, random) < nearest < hysteresis < local_search
