"""DTPlacementMA-v0: Gymnasium's and PettingZoo's API contracts, and equality of both interfaces."""

from __future__ import annotations

import copy
import io
import warnings
from contextlib import redirect_stdout
from itertools import product

import gymnasium as gym
import numpy as np
import pettingzoo
import pytest
from cases_env import pickled, play, same
from cases_placement import CENTRAL, ID, SMALL, STATIONS, STATIONS_ACTIONS, joint, make, play_stations, stations
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from pettingzoo.test import parallel_api_test, parallel_seed_test

import dtenv
from dtenv.scenario.placement import ACTIONS, OBSERVATIONS, REWARDS

BOX_ADVICE = ".*recommend you to use a symmetric and normalized Box action space.*"


# The contracts


@pytest.mark.parametrize("action", ACTIONS)
def test_gymnasiums_checker_has_nothing_to_say(action):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(make(action=action).unwrapped, skip_render_check=True)


@pytest.mark.parametrize("scenario", dtenv.PLACEMENT)
def test_gymnasiums_checker_has_nothing_to_say_of_the_presets(scenario):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(make(scenario, num_slots=3).unwrapped, skip_render_check=True)


@pytest.mark.parametrize("action", ACTIONS)
def test_stable_baselines_checker_has_nothing_to_say_but_that_it_likes_symmetry(action):
    sb3 = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if action in ("bid", "price"):  # bids and prices lie in [0, 1]
            warnings.filterwarnings("ignore", message=BOX_ADVICE)
        sb3.check_env(make(action=action))


MODES = list(product(STATIONS_ACTIONS, REWARDS, OBSERVATIONS))


@pytest.mark.parametrize(("action", "reward", "observe"), MODES)
def test_pettingzoos_tests_have_nothing_to_say(action, reward, observe):
    settings = {"action": action, "reward": reward, "observe": observe, "num_slots": 6}
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("error")
        parallel_api_test(stations(**settings), num_cycles=15)
        parallel_seed_test(lambda: stations(**settings), num_cycles=8)


def test_the_stations_are_found_in_pettingzoos_registry():
    registry = pytest.importorskip("pettingzoo.env_registry.registration", reason="PettingZoo 1.27 has one")
    env = pettingzoo.make("parallel", ID, scenario=SMALL, action="price")
    assert type(env.unwrapped) is type(stations()) and ID in registry.parallel_registry
    assert same([*env.reset(seed=3)[0].values()], [*stations(action="price").reset(seed=3)[0].values()])
    with pytest.raises(ValueError, match=r"env_id 'DTMigration-v0' has no Parallel view; known: DTPlacementMA-v0"):
        dtenv.parallel_env("DTMigration-v0")


def test_spaces_are_the_documented_ones_and_always_the_same_objects():
    env = stations()
    assert env.possible_agents == [f"station_{k}" for k in range(5)] and env.max_num_agents == 5
    assert env.action_space("station_0") is env.action_space("station_0")
    assert env.observation_space("station_4") is env.observation_space("station_4")
    assert env.observation_space("station_0").shape == (6 + 5 + 6 * 20,) == env.layouts["station_0"].space.shape
    assert env.action_space("station_0").shape == (21,)
    assert stations(action="price").action_space("station_0").shape == (2,)
    assert stations(action="binary").action_space("station_0") == gym.spaces.MultiDiscrete([2] * 21)
    assert stations(observe="shared").observation_space("station_0").shape == (5 + 20 * 6 + 5 * 6 + 20 * 5 * 4,)
    assert make().action_space.shape == (105,) and make(action="price").action_space.shape == (10,)
    assert make(action="association").action_space == gym.spaces.MultiDiscrete([5] * 20)
    assert make().observation_space.shape == env.state_space.shape == (550,)
    with pytest.raises(ValueError, match="action must be 'bid', 'price' or 'binary' for stations"):
        stations(action="association")


def test_info_keys():
    env, many = make(), stations()
    assert set(env.reset(seed=0)[1]) == {"action_mask", "host", "server"}
    assert set(env.step(env.action_space.sample())[4]) == CENTRAL
    _, infos = many.reset(seed=0)
    assert {frozenset(info) for info in infos.values()} == {frozenset({"action_mask", "hosts_itself", "twins"})}
    infos = many.step(joint(many, np.zeros(105)))[4]
    assert {frozenset(info) for info in infos.values()} == {frozenset(STATIONS)}


def test_truncated_after_num_slots_for_all_and_never_terminated():
    env, many = make(num_slots=3), stations(num_slots=3)
    for _ in range(2):
        env.reset(seed=0)
        many.reset(seed=0)
        assert [env.step(env.action_space.sample())[2:4] for _ in range(3)] == [(False, False)] * 2 + [(False, True)]
        for t in range(3):
            assert many.agents == many.possible_agents and many.num_agents == 5
            _, _, terminations, truncations, _ = many.step(joint(many, np.zeros(105)))
            assert terminations == dict.fromkeys(many.possible_agents, False)
            assert truncations == dict.fromkeys(many.possible_agents, t == 2)
        assert many.agents == []


@pytest.mark.parametrize("open_door", [lambda: make(num_slots=1).unwrapped, lambda: stations(num_slots=1)])
def test_stepping_at_the_wrong_time(open_door):
    env = open_door()
    action = np.zeros(105) if isinstance(env, gym.Env) else joint(env, np.zeros(105))
    with pytest.raises(ResetNeeded, match=r"before the first reset\(\): call reset"):
        env.step(action)
    env.reset(seed=0)
    env.step(action)
    with pytest.raises(ResetNeeded, match=r"after the episode's end \(num_slots=1\)"):
        env.step(action)
    env.reset()
    env.step(action)


# Both doors


@pytest.mark.parametrize("reward", REWARDS)
@pytest.mark.parametrize("action", STATIONS_ACTIONS)
def test_the_controller_and_the_stations_play_the_same_game_bit_for_bit(action, reward):
    env, many = make(action=action), stations(action=action, reward=reward)
    env.action_space.seed(0)
    for seed in (5, None):
        obs, info = env.reset(seed=seed)
        many.reset(seed=seed)
        for t in range(25):
            assert np.array_equal(many.state(), obs)
            given = env.action_space.sample()
            obs, worth, _, truncated, info = env.step(given)
            _, rewards, _, truncations, infos = many.step(joint(many, given))
            assert truncated is (t == 24) and set(truncations.values()) == {truncated}
            total = 0.0
            for share in rewards.values():
                total += share
            assert worth == info["score"] == (total if reward == "local" else rewards["station_0"])
            assert reward == "local" or len(set(rewards.values())) == 1
            for k, told in enumerate(infos.values()):
                assert all(np.array_equal(told[key], info[key]) for key in CENTRAL - {"action_mask"})
                assert np.array_equal(told["action_mask"], info["action_mask"][:, k])
        assert np.array_equal(many.state(), obs)


def test_info_is_the_same_whatever_is_rewarded_and_observed():
    told = []
    for reward, observe in product(REWARDS, OBSERVATIONS):
        env = stations(reward=reward, observe=observe)
        env.reset(seed=1)
        told.append([np.array(env.step(joint(env, np.ones(105)))[4]["station_2"][key]) for key in sorted(STATIONS)])
    assert all(same(told[0], other) for other in told[1:])


# Randomness


def test_seeds():
    env, many = make(), stations()
    for start in (lambda seed=None: [env.reset(seed=seed)[0]], lambda seed=None: [*many.reset(seed=seed)[0].values()]):
        first, second = start(5), start()
        assert not same(first, second) and not same(first, start(6))
        assert same(first, start(5)) and same(second, start())


@pytest.mark.parametrize("duplicate", [copy.deepcopy, pickled])
@pytest.mark.parametrize("action", ACTIONS)
def test_a_copy_goes_on_as_the_original(duplicate, action):
    env = make(action=action)
    env.reset(seed=2)
    play(env, 3, 0)
    twin = duplicate(env)
    assert same(
        [*play(env, 3, 1), env.reset()[0], *play(env, 2, 2)], [*play(twin, 3, 1), twin.reset()[0], *play(twin, 2, 2)]
    )


@pytest.mark.parametrize("duplicate", [copy.deepcopy, pickled])
@pytest.mark.parametrize("observe", OBSERVATIONS)
def test_a_copy_of_the_stations_goes_on_as_the_original(duplicate, observe):
    env = stations(observe=observe)
    env.reset(seed=2)
    play_stations(env, 3, 0)
    twin = duplicate(env)
    found = [[*play_stations(e, 3, 1), *e.reset()[0].values(), *play_stations(e, 2, 2)] for e in (env, twin)]
    assert same(*found)


@pytest.mark.parametrize("observe", OBSERVATIONS)
def test_what_step_returns_is_not_written_to_again(observe):
    env = stations(observe=observe)
    returned = [env.reset(seed=0), env.step(joint(env, np.zeros(105)))]
    state, kept = env.state(), copy.deepcopy(returned)
    shown = state.copy()
    play_stations(env, 3, 0)
    assert np.array_equal(state, shown)
    for before, after in zip(kept, returned, strict=True):
        for agent in env.possible_agents:
            assert np.array_equal(before[0][agent], after[0][agent])
            assert same([*before[-1][agent].values()], [*after[-1][agent].values()])


def test_what_the_controller_is_told_is_not_written_to_again():
    env = make()
    obs, info = env.reset(seed=0)
    obs_1, _, _, _, info_1 = env.step(env.action_space.sample())
    told = [obs, *info.values(), obs_1, *info_1.values()]
    kept = copy.deepcopy(told)
    play(env, 3, 0)
    assert same(told, kept)
