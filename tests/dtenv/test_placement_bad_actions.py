"""DTPlacementMA-v0 names an invalid action and ignores it; results of extreme valid ones stay finite and in bounds."""

from __future__ import annotations

import math

import gymnasium as gym
import numpy as np
import pytest
from cases_env import play, same
from cases_placement import NUMBERS, SMALL, joint, make, play_stations, stations

import dtenv
from dtenv.scenario.placement import ACTIONS, REWARDS

STATIONS_ACTIONS = ("bid", "price", "binary")

# Errors


def bad_actions(good):
    """Invalid variants of a valid action of numbers, with part of the error message."""
    size = good.size
    nan, inf = good.copy(), good.copy()
    nan[3], inf[-1] = math.nan, -math.inf
    return [
        (good[:-1], f"must have shape ({size},), got shape ({size - 1},)"),
        (good[None], f"must have shape ({size},), got shape (1, {size})"),
        (0.5, f"must have shape ({size},), got shape ()"),
        (None, f"must have shape ({size},), got shape ()"),
        (nan, "[3] must be a finite number, got nan"),
        (inf, f"[{size - 1}] must be a finite number, got -inf"),
        (good.astype(str), "must hold numbers, got dtype <U"),
        (good.astype(complex), "must hold numbers, got dtype complex128"),
        (good > 0.5, "must hold numbers, got dtype bool"),
        (good.astype(object), "must hold numbers, got dtype object"),
    ]


def bad_bits(good):
    size = good.size
    two, minus = good.copy(), good.copy()
    two[4], minus[0] = 2, -1
    return [
        (good[:-1], f"must have shape ({size},), got shape ({size - 1},)"),
        (good.astype(float), "must hold integers, got dtype float64"),
        (good.astype(bool), "must hold integers, got dtype bool"),
        (two, "[4] must be 0 or 1, got 2"),
        (minus, "[0] must be 0 or 1, got -1"),
    ]


BAD = [("bid", action, message) for action, message in bad_actions(np.full(105, 0.25))]
BAD += [("price", action, message) for action, message in bad_actions(np.full(10, 0.25))]
BAD += [("binary", action, message) for action, message in bad_bits(np.zeros(105, np.int64))]
BAD += [
    ("association", [0] * 19, "must have shape (20,), one station per user, got shape (19,)"),
    ("association", [0] * 19 + [5], "[19] must be a station in 0..4, got 5"),
    ("association", [-1] + [0] * 19, "[0] must be a station in 0..4, got -1"),
    ("association", [0.0] * 20, "must hold integers, got dtype float64"),
    ("association", [math.nan] * 20, "must hold integers, got dtype float64"),
]


@pytest.mark.parametrize(("mode", "action", "message"), BAD, ids=range(len(BAD)))
def test_a_bad_action_is_named_and_changes_nothing(mode, action, message):
    env, other = make(action=mode).unwrapped, make(action=mode).unwrapped
    env.reset(seed=0)
    other.reset(seed=0)
    with pytest.raises(ValueError) as error:
        env.step(action)
    assert str(error.value).startswith("action") and message in str(error.value)
    assert same(play(env, 2, 0), play(other, 2, 0))


BAD_STATIONS = [("bid", action, message) for action, message in bad_actions(np.full(21, 0.25))]
BAD_STATIONS += [("binary", action, message) for action, message in bad_bits(np.zeros(21, np.int64))]


@pytest.mark.parametrize(("mode", "action", "message"), BAD_STATIONS, ids=range(len(BAD_STATIONS)))
def test_a_bad_action_of_a_station_is_named_and_changes_nothing(mode, action, message):
    env, other = stations(action=mode), stations(action=mode)
    env.reset(seed=0)
    other.reset(seed=0)
    good = np.zeros(105, np.int64)
    with pytest.raises(ValueError) as error:
        env.step(joint(env, good) | {"station_3": action})
    assert str(error.value).startswith("actions['station_3']") and message in str(error.value)
    for actions, named in (
        ({a: x for a, x in joint(env, good).items() if a != "station_1"}, "missing ['station_1'], unknown []"),
        (joint(env, good) | {"station_5": good[:21]}, "missing [], unknown ['station_5']"),
        ({}, "missing ['station_0', 'station_1', 'station_2', 'station_3', 'station_4'], unknown []"),
        (good, "actions must be a dict of one per station"),
        (None, "actions must be a dict of one per station, got None"),
    ):
        with pytest.raises(ValueError) as error:
            env.step(actions)
        assert named in str(error.value)
    assert same(play_stations(env, 2, 0), play_stations(other, 2, 0))


@pytest.mark.parametrize("door", [make, stations])
def test_unknown_names_list_the_known_ones(door):
    with pytest.raises(
        TypeError, match=r"unexpected keyword argument 'num_station' .*'num_stations'\?\); known: access, action"
    ):
        door(num_station=3)
    with pytest.raises(ValueError, match=r"scenario 'small' is unknown.*; known: paper-100x10, paper-100x5"):
        door("small")
    with pytest.raises(TypeError, match="scenario must be a preset's name or a PlacementScenario"):
        door(dtenv.MIGRATION["balanced"])


def test_an_unknown_render_mode_is_named():
    with pytest.raises(ValueError, match="render_mode must be one of rgb_array, human or None, got 'ansi'"):
        stations(render_mode="ansi")


def test_options_have_no_entries():
    with pytest.raises(ValueError, match=r"options has no entries in this environment, got \{'x': 1\}"):
        make().reset(options={"x": 1})


# Malice


def malice(kind, space, t, rng):
    low, high = (0, 1) if isinstance(space, gym.spaces.MultiDiscrete) else (-1e30, 1e30)
    if kind == "low":
        return np.full(space.shape, low)
    if kind == "high":
        return np.full(space.shape, high)
    if kind == "to and fro":
        return np.full(space.shape, (low, high)[t % 2])
    return rng.choice([low, high], size=space.shape)


@pytest.mark.parametrize("reward", REWARDS)
@pytest.mark.parametrize("scenario", [SMALL, "paper-100x5", "strict-100x10", "literal-100x10"])
def test_malice_stays_finite_and_in_bounds(scenario, reward):
    rng = np.random.default_rng(0)
    for action in STATIONS_ACTIONS:
        env = stations(scenario, action=action, reward=reward, observe="local")
        n, m = env.scenario.network.num_users, env.scenario.network.num_stations
        spaces = env.observation_space("station_0"), env.state_space
        for seed, kind in enumerate(("low", "high", "to and fro", "random")):
            obs, _ = env.reset(seed=seed)
            for t in range(25):
                assert all(spaces[0].contains(shown) for shown in obs.values()) and spaces[1].contains(env.state())
                given = {a: malice(kind, env.action_space(a), t, rng) for a in env.agents}
                obs, rewards, _, _, infos = env.step(given)
                info = infos["station_0"]
                assert all(type(worth) is float and math.isfinite(worth) for worth in rewards.values())
                assert all(math.isfinite(info[key]) for key in NUMBERS)
                assert info["server"].shape == (n,) and info["host"][info["server"]].all()
                assert np.bincount(info["server"], minlength=m).max() <= env.scenario.network.capacity
            assert not env.agents


SCRAPES = [
    {"num_stations": 1},
    {"num_users": 1},
    {"num_users": 1, "num_stations": 1, "num_slots": 1},
    {"twin_capacity": 4},  # exactly full
    {"area_m": 1.0, "separation_m": 0.0},
    {"speed_mps": (0.0, 1e5)},
    {"speed_mps": (0.0, 0.0), "shadowing_db": 0.0},
    {"deadline_s": (1e-9, 1e-9)},
    {"deadline_s": (1e300, 1e300)},
    {"deadline_s": (400.0, 500.0), "utility_time_s": 1.0},
    {"area_m": 1e7, "separation_m": 0.0},
    {"noise_dbm_per_hz": 50.0},
    {"update_bits": (0.0, 0.0), "eta_s": 0.0},
    {"data_bits": (1.0, 1.0), "wired_s_per_bit_m": 0.0},
]


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("settings", SCRAPES, ids=lambda s: " ".join(s))
def test_extreme_scenarios_stay_finite_and_in_bounds(settings, action):
    env = make(action=action, **settings).unwrapped
    for seed in range(2):
        obs, _ = env.reset(seed=seed)
        for _ in range(min(5, env.scenario.episode.num_slots)):
            assert env.observation_space.contains(obs)
            obs, reward, _, _, info = env.step(env.action_space.sample())
            assert math.isfinite(reward) and all(math.isfinite(info[key]) for key in NUMBERS)
