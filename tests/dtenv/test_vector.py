"""Vector environments: row i equals a single environment with the same seed, bit for bit, in every autoreset mode.

The reference is Gymnasium's own SyncVectorEnv over the single environments.
"""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import dtenv  # noqa: F401

FEW = {"num_users": 4, "num_servers": 3, "num_slots": 4}
STATIONS = {"num_users": 8, "num_stations": 3, "num_slots": 4}
ENVS = {
    "association": ("DTAssociation-v0", {"num_users": 6, "num_servers": 4, "num_slots": 5}),
    "association history": (
        "DTAssociation-v0",
        FEW | {"history": "action"},
    ),
    "association random": ("DTAssociation-v0", FEW | {"history": "random"}),
    "placement bid": ("DTPlacementMA-v0", STATIONS),
    "placement binary": ("DTPlacementMA-v0", STATIONS | {"action": "binary"}),
    "placement price": ("DTPlacementMA-v0", STATIONS | {"action": "price"}),
    "placement users": (
        "DTPlacementMA-v0",
        STATIONS | {"action": "association"},
    ),
    "migration": ("DTMigration-v0", {"num_users": 9, "num_stations": 4, "num_slots": 6, "horizon": 3}),
    "migration joint": ("DTMigration-v0", {"num_users": 5, "num_stations": 3, "num_slots": 6, "control": "joint"}),
    "migration walks": ("DTMigration-v0", {"num_users": 9, "num_stations": 4, "num_slots": 5, "walk": "gauss-markov"}),
}
MODES = {"next_step": AutoresetMode.NEXT_STEP, "same_step": AutoresetMode.SAME_STEP, "disabled": AutoresetMode.DISABLED}


def vector(name, count, **settings):
    env_id, scenario = ENVS[name]
    return gym.make_vec(env_id, num_envs=count, vectorization_mode="vector_entry_point", **scenario, **settings)


def singles(name, count, mode):
    env_id, scenario = ENVS[name]
    return SyncVectorEnv([lambda: gym.make(env_id, **scenario) for _ in range(count)], autoreset_mode=MODES[mode])


def same(ours, theirs, where="infos"):
    """Assert bitwise equality, including dtypes, shapes and nested dictionaries."""
    assert type(ours) is type(theirs), where
    if isinstance(theirs, dict):
        assert set(ours) == set(theirs), (where, set(ours) ^ set(theirs))
        for key in theirs:
            same(ours[key], theirs[key], f"{where}[{key!r}]")
    elif isinstance(theirs, tuple | list):
        for n, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            same(a, b, f"{where}[{n}]")
    elif isinstance(theirs, np.ndarray):
        assert ours.shape == theirs.shape and ours.dtype == theirs.dtype, (where, ours.dtype, theirs.dtype)
        if theirs.dtype == object:
            same(list(ours), list(theirs), where)
        else:
            np.testing.assert_array_equal(ours, theirs, err_msg=where, strict=True)
    else:
        assert ours == theirs, where


def actions_of(env, seed):
    env.action_space.seed(seed)
    while True:
        yield env.action_space.sample()


@pytest.mark.parametrize("mode", ["next_step", "same_step"])
@pytest.mark.parametrize("name", ENVS)
def test_rows_are_the_single_environments_across_autoresets(name, mode):
    ours, theirs = vector(name, 5, autoreset_mode=mode), singles(name, 5, mode)
    assert ours.metadata["autoreset_mode"] is theirs.metadata["autoreset_mode"] is MODES[mode]
    for space in ("single_observation_space", "single_action_space", "observation_space", "action_space"):
        assert getattr(ours, space) == getattr(theirs, space), space
    same(ours.reset(seed=7), theirs.reset(seed=7))
    actions = actions_of(theirs, 1)
    for _ in range(20):  # three episodes or more
        played = next(actions)
        same(ours.step(played), theirs.step(copy.deepcopy(played)))


@pytest.mark.parametrize("mode", list(MODES))
@pytest.mark.parametrize("name", ["association", "placement bid", "migration"])
def test_rows_reset_by_a_mask_are_the_single_environments(name, mode):
    ours, theirs = vector(name, 4, autoreset_mode=mode), singles(name, 4, mode)
    same(ours.reset(seed=[3, 1, 4, 1]), theirs.reset(seed=[3, 1, 4, 1]))
    assert np.array_equal(ours.task.obs[1], ours.task.obs[3])
    actions, rng = actions_of(theirs, 2), np.random.default_rng(0)
    for step in range(25):
        played = next(actions)
        mine, other = ours.step(played), theirs.step(copy.deepcopy(played))
        same(mine, other)
        over = mine[3] if mode == "disabled" else np.zeros(4, bool)
        mask = over | (rng.random(4) < 0.3 if step % 3 == 1 else np.zeros(4, bool))
        if mask.any():
            seed = [None, 5, None, step]
            same(
                ours.reset(seed=seed, options={"reset_mask": mask}),
                theirs.reset(seed=seed, options={"reset_mask": mask.copy()}),
            )


@pytest.mark.parametrize("name", ["association", "placement bid", "migration"])
def test_a_row_depends_neither_on_the_batch_nor_on_the_threads(name):
    few, many = vector(name, 3, threads=1), vector(name, 100, threads=3)
    assert (few.runner.threads, many.runner.threads) == (1, 3)
    np.testing.assert_array_equal(few.reset(seed=11)[0], many.reset(seed=11)[0][:3])
    many.action_space.seed(0)
    for _ in range(12):
        actions = many.action_space.sample()
        ours, theirs = few.step(actions[:3]), many.step(actions)
        for a, b in zip(ours[:4], theirs[:4], strict=True):
            np.testing.assert_array_equal(a, b[:3])
        same({name: values[:3] for name, values in theirs[4].items()}, ours[4])
    assert len({obs.tobytes() for obs in theirs[0]}) == 100
    many.close()


def test_a_single_environment_that_goes_on_without_a_seed_is_its_row():
    env, rows = gym.make("DTMigration-v0", **ENVS["migration"][1]), vector("migration", 2)
    rows.reset(seed=20)
    env.reset(seed=21)
    env.np_random.random(3)  # a draw from the environment's generator in between
    over = env.reset()[0]
    for _ in range(7):
        obs = rows.step(np.array([1, 1]))[0]
    assert not np.array_equal(obs[1], over)
    env.reset(seed=21)
    np.testing.assert_array_equal(obs[1], env.reset()[0])


def test_copies_are_the_callers_own_and_views_are_not():
    kept, seen = vector("association", 3), vector("association", 3, copy=False)
    for env in (kept, seen):
        first, infos = env.reset(seed=0)
        before, mask = first.copy(), infos["action_mask"].copy()
        env.step(env.action_space.sample())
        assert np.array_equal(first, before) == env.copy
        assert np.array_equal(infos["action_mask"], mask) or not env.copy
    assert seen.step(seen.action_space.sample())[0] is seen.task.obs
    ended = vector("association", 2, copy=False, autoreset_mode="same_step")
    ended.reset(seed=0)
    for _ in range(5):
        infos = ended.step(ended.action_space.sample())[4]
    final, mask = infos["final_obs"][0].copy(), infos["final_info"]["action_mask"].copy()
    ended.step(ended.action_space.sample())
    np.testing.assert_array_equal(infos["final_obs"][0], final)
    np.testing.assert_array_equal(infos["final_info"]["action_mask"], mask)


@pytest.mark.parametrize("name", ["association", "placement users", "migration", "migration joint"])
def test_masks_are_of_the_slot_to_be_decided(name):
    env = vector(name, 3, autoreset_mode="same_step")
    _, infos = env.reset(seed=0)
    for _ in range(8):
        np.testing.assert_array_equal(env.action_masks(), infos["action_mask"])
        infos = env.step(env.action_space.sample())[4]


def bad(name, env):
    good = env.action_space.sample()
    if name == "association":
        wrong = good.copy()
        wrong[2, 5] = 4
        return [
            (wrong, r"actions\[2, 5\] must be a server in 0..3, got 4"),
            (good[:2], r"actions must have shape \(3, 6\)"),
        ]
    if name == "association history":
        wrong = copy.deepcopy(good)
        wrong["history"][1, 3] = np.nan
        return [
            (wrong, r'actions\["history"\]\[1, 3\] must lie in \[0, 1\], got nan'),
            (good["server"], "must be a dict"),
        ]
    if name == "placement bid":
        wrong = good.copy()
        wrong[1, 7] = np.inf
        return [(wrong, r"actions\[1, 7\] must be a finite number, got inf")]
    if name == "placement binary":
        wrong = good.copy()
        wrong[2, 0] = 2
        return [(wrong, r"actions\[2, 0\] must be 0 or 1, got 2"), (good.astype(float), "must hold integers")]
    return [(np.array([0, 4, 1]), r"actions\[1\] must be a station in 0..3, got 4"), ([[0], [1, 2]], "ragged")]


@pytest.mark.parametrize(
    "name", ["association", "association history", "placement bid", "placement binary", "migration"]
)
def test_bad_actions_are_named_and_nothing_is_played(name):
    env, twin = vector(name, 3), vector(name, 3)
    for each in (env, twin):
        each.reset(seed=1)
    good = env.action_space.sample()
    for actions, message in bad(name, env):
        with pytest.raises(ValueError, match=message):
            env.step(actions)
    same(env.step(good), twin.step(good))


def test_the_action_of_a_row_that_begins_anew_is_not_looked_at():
    env, twin = vector("migration", 2), vector("migration", 2)
    for each in (env, twin):
        each.reset(seed=1)
    for each in (env, twin):
        each.reset(options={"reset_mask": np.array([True, False])})
    for _ in range(6):
        last = [each.step(np.array([0, 1])) for each in (env, twin)]
    assert last[0][3].tolist() == [True, True]
    env.reset(options={"reset_mask": np.array([False, True])})
    twin.reset(options={"reset_mask": np.array([False, True])})
    same(env.step(np.array([99, 1])), twin.step(np.array([0, 1])))
    with pytest.raises(ValueError, match=r"actions\[1\] must be a station in 0..3, got 99"):
        env.step(np.array([0, 99]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"autoreset_mode": "later"}, "autoreset_mode must be one of next_step, same_step, disabled, got 'later'"),
        ({"threads": 0}, "threads must be a positive integer, got 0"),
        ({"num_user": 3}, "num_user"),
    ],
    ids=["mode", "threads", "field"],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises((ValueError, TypeError), match=message):
        gym.make_vec("DTMigration-v0", num_envs=2, vectorization_mode="vector_entry_point", **settings)


def test_bad_resets_are_named_and_steps_need_one():
    env = vector("association", 3, autoreset_mode="disabled")
    with pytest.raises(ResetNeeded, match="before row 0 was reset"):
        env.step(env.action_space.sample())
    with pytest.raises(ValueError, match="num_envs must be a positive integer, got 0"):
        vector("association", 0)
    for seed, options, message in (
        ([1, 2], None, "seed must hold 3 seeds, one per row, got 2"),
        (np.array([1, 2]), None, "seed must hold 3 seeds, one per row, got 2"),
        ([1, 2, 0.5], None, r"seed\[2\] must be a non-negative integer or None, got 0.5"),
        ([1, -2, 3], None, r"seed\[1\] must be a non-negative integer or None, got -2"),
        (0.5, None, "seed must be an integer, a list or array of integers, or None, got 0.5"),
        ("123", None, "seed must be an integer, a list or array of integers, or None, got '123'"),
        (None, {"mask": 1}, 'one entry "reset_mask"'),
        (None, {"reset_mask": [True, False, True]}, "must be an array of 3 booleans"),
        (None, {"reset_mask": np.zeros(3, bool)}, "at least one True"),
    ):
        with pytest.raises(ValueError, match=message):
            env.reset(seed=seed, options=options)
    env.reset(seed=0, options={"reset_mask": np.array([True, True, False])})
    with pytest.raises(ResetNeeded, match="before row 2 was reset"):
        env.step(env.action_space.sample())
    env.reset(seed=0)
    for _ in range(5):
        env.step(env.action_space.sample())
    with pytest.raises(ResetNeeded, match=r"after the end of row 0's episode \(num_slots=5\)"):
        env.step(env.action_space.sample())


class Northward:
    def positions(self, walks, horizon, area_m):
        return np.minimum(walks[:, :, None] + np.array([0.0, 20.0]) * np.arange(1, horizon + 1)[:, None], area_m)


def test_a_forecaster_of_ones_own_is_asked_for_every_row():
    env_id, scenario = ENVS["migration"]
    settings = scenario | {"forecaster": Northward()}
    ours = gym.make_vec(env_id, num_envs=40, vectorization_mode="vector_entry_point", threads=2, **settings)
    theirs = SyncVectorEnv([lambda: gym.make(env_id, **settings) for _ in range(40)])
    same(ours.reset(seed=3)[0], theirs.reset(seed=3)[0])
    for _ in range(8):
        actions = theirs.action_space.sample()
        same(ours.step(actions), theirs.step(actions))


def test_copies_and_pickles_play_on_alike():
    env = vector("association", 40, threads=2)
    env.reset(seed=0)
    env.step(env.action_space.sample())
    twins = [copy.deepcopy(env), pickle.loads(pickle.dumps(env))]
    for _ in range(7):
        actions = env.action_space.sample()
        step = env.step(actions)
        for twin in twins:
            same(twin.step(actions), step)


@pytest.mark.parametrize("name", ["association random", "placement price", "migration", "migration joint"])
def test_another_batch_goes_on_from_a_snapshot(name):
    first, second = vector(name, 3), vector(name, 3)
    first.reset(seed=4)
    second.reset(seed=9)
    first.action_space.seed(0)
    actions = [first.action_space.sample() for _ in range(9)]
    for action in actions[:2]:
        first.step(action)
    kept = first.snapshot()
    expected = [first.step(action) for action in actions[2:]]  # across an autoreset, which draws
    second.restore(kept)
    same([second.step(action) for action in actions[2:]], expected)


def test_a_snapshot_of_another_batch_is_refused():
    small, large = vector("migration", 2), vector("migration", 3)
    small.reset(seed=0)
    with pytest.raises(ValueError, match=r"snapshot must hold \d+ bytes in \d+ arrays, got \d+ in \d+"):
        large.restore(small.snapshot())


def test_gymnasiums_vector_wrappers_count_every_episode():
    env = gym.wrappers.vector.RecordEpisodeStatistics(vector("migration", 3))
    env.reset(seed=0)
    ends = [env.step(np.array([0, 1, 2]))[4] for _ in range(13)]
    told = [infos["episode"]["l"].tolist() for infos in ends if "episode" in infos]
    assert told == [[6, 6, 6], [6, 6, 6]]


SCRIPT = """
import gymnasium as gym, numpy as np, dtenv
env = gym.make_vec("DTPlacementMA-v0", num_envs=20, num_users=8, num_stations=3)
env.reset(seed=int({seed}))
env.action_space.seed(0)
print(sum(env.step(env.action_space.sample())[1].sum() for _ in range(30)).hex())
"""


def test_a_seed_repeats_across_processes_and_another_differs():
    def total(seed):
        return subprocess.run([sys.executable, "-c", SCRIPT.format(seed=seed)], capture_output=True, check=True).stdout

    assert total(4) == total(4) != total(5)


def test_seeds_of_rows_are_arrays_too_and_are_all_checked_before_any_is_used():
    env = vector("association", 3)
    env.reset(seed=[4, 5, 6])
    assert env.np_random_seed == (4, 5, 6)
    before = env.snapshot()
    with pytest.raises(ValueError, match=r"seed\[2\]"):
        env.reset(seed=[7, 8, -1])
    assert all(np.array_equal(a, b) for a, b in zip(before, env.snapshot(), strict=True))
    obs, _ = env.reset(seed=np.array([4, 5, 6]))
    again, _ = vector("association", 3).reset(seed=4)
    np.testing.assert_array_equal(obs, again)
    assert env.np_random_seed == (4, 5, 6)
