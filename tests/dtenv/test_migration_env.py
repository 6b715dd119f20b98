"""DTMigration-v0: Gymnasium's API contract, custom forecasters, and bitwise reproducibility."""

from __future__ import annotations

import copy
import json
import math
import warnings

import gymnasium as gym
import numpy as np
import pytest
from cases_env import MIGRATION as ID
from cases_env import OWN, StandStill, pickled, play, same
from cases_env import SETTINGS as ALL_SETTINGS
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

import dtenv
from dtenv.scenario.forecaster import ConstantVelocity, Oracle

SMALL, SETTINGS = OWN[ID], ALL_SETTINGS[ID]
NUMBERS = {"score", "objective", "utility", "migration_price", "energy", "latency", "downtime", "cost", "violations"}
NUMBERS |= {f"latency_{part}" for part in ("wireless", "wired", "compute")}
NUMBERS |= {"feasible", "migrations", "refused", "handovers"}
INFO = NUMBERS | {"server", "action_mask"}


class Faulty:
    """Forecaster that corrupts its forecast from the second episode on."""

    def __init__(self, spoil, good=1):
        self.spoil, self.good = spoil, good

    def positions(self, walks, horizon, area_m):
        self.good -= 1
        expected = Oracle().positions(walks, horizon, area_m)
        return expected if self.good >= 0 else self.spoil(expected)


NAMES = [" ".join(x if isinstance(x, str) else type(x).__name__ for x in s.values()) for s in SETTINGS]


def make(**settings):
    return gym.make(ID, **(SMALL | settings))


# The contract


@pytest.mark.parametrize("settings", SETTINGS, ids=NAMES)
def test_gymnasiums_and_stable_baselines_checkers_have_nothing_to_say(settings):
    sb3 = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(make(**settings).unwrapped, skip_render_check=True)
        sb3.check_env(make(**settings))


@pytest.mark.parametrize("scenario", dtenv.MIGRATION)
def test_gymnasiums_checker_has_nothing_to_say_of_the_presets(scenario):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make(ID, scenario=scenario).unwrapped, skip_render_check=True)
        check_env(gym.make(ID, scenario=scenario, control="joint", num_slots=3).unwrapped, skip_render_check=True)


def test_spaces_and_info_are_the_documented_ones():
    env, joint = make(), make(control="joint", horizon=3)
    assert env.action_space == gym.spaces.Discrete(4)
    assert joint.action_space == gym.spaces.MultiDiscrete([4] * 12)
    assert env.observation_space.shape == (8 + 4 * 4 + 4 * 8 + 4 * 10,)
    assert joint.observation_space.shape == (12 * 8 + 4 * 4 + 12 * 4 * 8 + 12 * 4 * 3,)
    for one, shape in ((env, (4,)), (joint, (12, 4))):
        info = one.reset(seed=0)[1]
        assert set(info) == {"action_mask", "server"}
        assert info["action_mask"].shape == one.unwrapped.action_masks().shape == shape
        info = one.step(one.action_space.sample())[4]
        assert set(info) == INFO and info["action_mask"].shape == shape
        assert np.shape(info["server"]) == shape[:-1]


def test_structured_observation_shows_the_same_numbers():
    flat, structured = make(), dtenv.StructuredObservation(make())
    obs, blocks = flat.reset(seed=3)[0], structured.reset(seed=3)[0]
    shapes = {"users": (1, 8), "stations": (4, 4), "links": (1, 4, 8), "forecast": (1, 4, 10)}
    assert {name: block.shape for name, block in blocks.items()} == shapes
    assert np.array_equal(np.concatenate([block.ravel() for block in blocks.values()]), obs)
    assert structured.observation_space.contains(blocks)


def test_truncated_after_num_slots_and_never_terminated():
    env = make(num_slots=3)
    for _ in range(2):
        env.reset(seed=0)
        assert [env.step(0)[2:4] for _ in range(3)] == [(False, False)] * 2 + [(False, True)]


def test_stepping_at_the_wrong_time():
    env = make(num_slots=1).unwrapped
    with pytest.raises(ResetNeeded, match=r"before the first reset\(\): call reset"):
        env.step(0)
    env.reset(seed=0)
    env.step(0)
    with pytest.raises(ResetNeeded, match=r"after the episode's end \(num_slots=1\)"):
        env.step(0)
    env.reset()
    env.step(0)


BAD = [
    ("focal", 4, "action must be a station in 0..3, got 4"),
    ("focal", -1, "action must be a station in 0..3, got -1"),
    ("focal", 2**64 - 1, "action must be a station in 0..3, got 18446744073709551615"),
    ("focal", 2**70, "action must be an integer, got 1180591620717411303424"),
    ("focal", 1.0, "action must be an integer, got 1.0"),
    ("focal", math.nan, "action must be an integer, got nan"),
    ("focal", True, "action must be an integer, got True"),
    ("focal", "1", "action must be an integer, got '1'"),
    ("focal", None, "action must be an integer, got None"),
    ("focal", [1], "action must be an integer, got [1]"),
    ("focal", np.zeros(12, int), "action must be an integer, got array"),
    ("joint", 1, "action must have shape (12,), one station per user, got shape ()"),
    ("joint", [0] * 11, "action must have shape (12,), one station per user, got shape (11,)"),
    ("joint", [0] * 11 + [4], "action[11] must be a station in 0..3, got 4"),
    ("joint", [0] * 11 + [-1], "action[11] must be a station in 0..3, got -1"),
    ("joint", [0.0] * 12, "action must hold integers, got dtype float64"),
    ("joint", [True] * 12, "action must hold integers, got dtype bool"),
]


@pytest.mark.parametrize(("control", "action", "message"), BAD, ids=range(len(BAD)))
def test_a_bad_action_is_named_and_changes_nothing(control, action, message):
    env, other = make(control=control).unwrapped, make(control=control).unwrapped
    env.reset(seed=0)
    other.reset(seed=0)
    with pytest.raises(ValueError) as error:
        env.step(action)
    assert message in str(error.value)
    assert same(play(env, 2, 0), play(other, 2, 0))


@pytest.mark.parametrize("kind", [int, np.int8, np.uint8, np.int64, np.uint64, np.array])
def test_whole_numbers_of_any_kind_are_actions(kind):
    env, other = make(), make()
    env.reset(seed=0)
    other.reset(seed=0)
    assert np.array_equal(env.step(kind(2))[0], other.step(2)[0])


def test_unknown_names_list_the_known_ones():
    with pytest.raises(
        TypeError,
        match=r"unexpected keyword argument 'kapa' .*'kappa'\?\); known: access, aggregation, area_m, background",
    ):
        make(kapa=3)
    with pytest.raises(ValueError, match=r"scenario 'pingpong' is unknown .*'ping-pong'\?\); known: balanced, ping-p"):
        make(scenario="pingpong")
    with pytest.raises(TypeError, match="scenario must be a preset's name or a MigrationScenario"):
        make(scenario=dtenv.PLACEMENT["small-20x5"])
    with pytest.raises(ValueError, match="forecaster must be one of none, constant-velocity, oracle, got 'prophet'"):
        make(forecaster="prophet")
    with pytest.raises(ValueError, match="forecaster must be one of none, constant-velocity, oracle or a Forecaster"):
        make(forecaster=3)
    with pytest.raises(ValueError, match=r"options has no entries in this environment, got \{'x': 1\}"):
        make().reset(options={"x": 1})


# Forecasters


def test_a_forecaster_of_ones_own_is_asked_for_the_agents_users_alone():
    asked = []

    class Asked(StandStill):
        def positions(self, walks, horizon, area_m):
            asked.append((walks.shape, horizon, area_m))
            found = super().positions(walks, horizon, area_m)
            walks[:] = math.nan  # it may do with its copy what it likes
            return found

    for control in ("focal", "joint"):
        env = make(forecaster=Asked(), control=control, horizon=3)
        assert np.isfinite(env.reset(seed=0)[0]).all()
    assert asked == [((10, 1, 2), 3, 1500.0), ((10, 12, 2), 3, 1500.0)]


@pytest.mark.parametrize("control", ["focal", "joint"])
def test_named_forecasters_are_the_objects(control):
    for name, built_in in (("oracle", Oracle()), ("constant-velocity", ConstantVelocity())):
        named, given = make(forecaster=name, control=control), make(forecaster=built_in, control=control)
        assert same([named.reset(seed=0)[0], *play(named, 3, 0)], [given.reset(seed=0)[0], *play(given, 3, 0)])


def test_forecasts_decide_nothing_but_the_observation():
    told = []
    for forecaster in ("none", "oracle", StandStill()):
        env = make(forecaster=forecaster)
        env.reset(seed=0)
        told.append([env.step(t % 4)[4] for t in range(8)])
    for a, b, c in zip(*told, strict=True):
        assert all(np.array_equal(a[key], b[key]) and np.array_equal(a[key], c[key]) for key in INFO)


SPOILT = [
    (lambda xy: xy[:, :, :-1], r"finite positions \(10, 1, 10, 2\), got shape \(10, 1, 9, 2\)"),
    (lambda xy: xy[..., 0], r"finite positions \(10, 1, 10, 2\), got shape \(10, 1, 10\)"),
    (lambda xy: np.where(xy > 0, math.nan, xy), "forecaster must give finite positions"),
    (lambda xy: xy + math.inf, "forecaster must give finite positions"),
    (lambda xy: None, r"finite positions \(10, 1, 10, 2\), got shape \(\)"),
]


@pytest.mark.parametrize(("spoil", "message"), SPOILT, ids=range(len(SPOILT)))
def test_a_bad_forecaster_is_named_and_its_episode_cannot_be_played(spoil, message):
    env = make(forecaster=Faulty(spoil)).unwrapped
    env.reset(seed=0)
    env.step(0)
    with pytest.raises(ValueError, match=message):
        env.reset(seed=1)
    with pytest.raises(ResetNeeded):
        env.step(0)


def test_a_scenario_with_a_forecaster_of_ones_own_can_be_written_down():
    values = make(forecaster=StandStill()).unwrapped.scenario.as_dict()
    assert json.loads(json.dumps(values))["forecaster"] == "StandStill"


# Randomness


def test_seeds():
    env, other = make(), make()
    first, second = env.reset(seed=5)[0], env.reset()[0]
    assert not np.array_equal(first, second) and not np.array_equal(first, env.reset(seed=6)[0])
    play(env, 3, 0)
    assert np.array_equal(first, env.reset(seed=5)[0])
    assert np.array_equal(first, other.reset(seed=5)[0]) and np.array_equal(second, other.reset()[0])


@pytest.mark.parametrize("duplicate", [copy.deepcopy, pickled])
@pytest.mark.parametrize("settings", SETTINGS[:8], ids=NAMES[:8])
def test_a_copy_goes_on_as_the_original(duplicate, settings):
    env = make(**settings)
    env.reset(seed=2)
    play(env, 3, 0)
    twin = duplicate(env)
    found = [[*play(e, 3, 1), e.reset()[0], *play(e, 2, 2)] for e in (env, twin)]
    assert same(*found)


def test_what_step_returns_is_not_written_to_again():
    for control in ("focal", "joint"):
        env = make(control=control)
        obs, info = env.reset(seed=0)
        obs_1, _, _, _, info_1 = env.step(env.action_space.sample())
        kept = copy.deepcopy([obs, *info.values(), obs_1, *info_1.values()])
        play(env, 3, 0)
        assert same(kept, [obs, *info.values(), obs_1, *info_1.values()])


def test_make_vec_in_sync_mode_is_single_environments_side_by_side():
    vec = gym.make_vec(ID, num_envs=3, vectorization_mode="sync", **SMALL)
    obs, _ = vec.reset(seed=7)
    after, rewards, *_ = vec.step(np.array([1, 2, 3]))
    for i in range(3):
        env = make()
        assert np.array_equal(env.reset(seed=7 + i)[0], obs[i])
        single, reward, *_ = env.step(i + 1)
        assert np.array_equal(single, after[i]) and reward == rewards[i]


# Malice


def malice(kind, env, t, rng):
    shape, stations = env.action_space.shape, env.scenario.network.num_stations
    if kind == "all on one":
        return np.full(shape, 0)
    if kind == "to and fro":
        return np.full(shape, t % stations)
    return rng.integers(stations, size=shape) if shape else rng.integers(stations)


def endure(env, slots):
    rng = np.random.default_rng(0)
    for seed, kind in enumerate(("all on one", "to and fro", "random")):
        obs, _ = env.reset(seed=seed)
        for t in range(slots):
            assert env.observation_space.contains(obs)
            obs, reward, _, _, info = env.step(malice(kind, env, t, rng))
            assert type(reward) is float and math.isfinite(reward)
            assert all(math.isfinite(info[key]) for key in NUMBERS)
        assert env.observation_space.contains(obs)


@pytest.mark.parametrize("reward", ["score", "centred"])
@pytest.mark.parametrize("scenario", dtenv.MIGRATION)
def test_malice_stays_finite_and_in_bounds(scenario, reward):
    endure(gym.make(ID, scenario=scenario, reward=reward).unwrapped, 200)
    endure(gym.make(ID, scenario=scenario, reward=reward, control="joint", num_slots=30).unwrapped, 30)


SCRAPES = [
    {"num_stations": 1},
    {"num_users": 1},
    {"num_users": 1, "num_stations": 1, "num_slots": 1},
    {"num_users": 2, "num_stations": 1},
    {"num_users": 13, "twin_capacity": 4},  # the focal user's seats are the only ones left
    {"twin_capacity": 3, "control": "joint"},  # exactly full
    {"area_m": 1.0, "separation_m": 0.0, "slot_seconds": 0.1},
    {"speed_mps": (0.0, 1e6)},
    {"speed_mps": (0.0, 0.0), "shadowing_db": 0.0},
    {"update_deadline_s": (1e-9, 1e-9)},
    {"update_deadline_s": (1e300, 1e300)},
    {"update_deadline_s": (400.0, 500.0), "utility_time_s": 1.0},
    {"area_m": 1e7, "separation_m": 0.0, "access": "nearest"},
    {"noise_dbm_per_hz": 50.0},
    {"update_bits": (0.0, 0.0), "eta_s": 0.0, "compute_sharing": "sqrt"},
    {"data_bits": (1.0, 1.0), "eta_s": 0.0, "compute_sharing": "sqrt"},
    {"kappa": 1e6, "horizon": 300},
    {"shadowing_site_correlation": 1.0, "shadowing_decorrelation_m": 1e-9},
]


@pytest.mark.parametrize("settings", SCRAPES, ids=lambda s: " ".join(s))
def test_extreme_scenarios_stay_finite_and_in_bounds(settings):
    env = make(**settings).unwrapped
    endure(env, env.scenario.episode.num_slots)
