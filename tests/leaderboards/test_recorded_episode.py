"""A recorded film matches the episode that the environment played."""

import itertools
import json

import gymnasium as gym
import numpy as np
import pytest

import dtenv  # noqa: F401 (registers the environments)
from leaderboards.recorded_episode import FilmRecorder


@pytest.mark.parametrize(
    ("env_id", "preset", "fields", "decide"),
    [
        ("DTAssociation-v0", "balanced", {"num_slots": 3}, lambda t, env: np.full(20, t)),
        ("DTPlacementMA-v0", "small-20x5", {"num_slots": 3, "action": "association"}, lambda t, env: np.arange(20) % 5),
        ("DTMigration-v0", "balanced", {"num_slots": 6}, lambda t, env: int(np.flatnonzero(env.action_masks())[-1])),
    ],
    ids=["association", "placement", "migration"],
)
def test_film_has_the_episode(env_id, preset, fields, decide):
    env = gym.make(env_id, scenario=preset, **fields).unwrapped
    env.reset(seed=5)
    recorder, infos, hosts, over = FilmRecorder(env), [], [], False
    first = env.task.state.server[0].copy()
    while not over:
        *_, over, info = env.step(decide(len(infos), env))
        recorder.step(info)
        infos.append(info)
        hosts.append(env.task.state.server[0].copy())
    world, film = recorder.world(), recorder.film()
    json.dumps([world, film], allow_nan=False)
    slots, users = fields["num_slots"], 1 if env_id == "DTMigration-v0" else 20
    assert np.shape(world["users"]) == (slots, users, 2) and np.shape(world["sites"]) == (env.scenario.num_sites, 2)
    assert np.abs(np.array(world["users"]) - env.task.tape.user_xy[0, 1 : slots + 1, :users]).max() <= 0.5
    assert world["first"] == "".join(np.base_repr(k, 36).lower() for k in first[:users])
    assert film["hosts"] == ["".join(np.base_repr(k, 36).lower() for k in row[:users]) for row in hosts]
    assert film["score"] == [round(info["score"], 5) for info in infos]
    assert film["violated"] == [1 - info["feasible"] for info in infos]
    moves = [
        sum(a != b for a, b in zip(*pair, strict=True)) for pair in itertools.pairwise([world["first"], *film["hosts"]])
    ]
    assert film["migrations"] == moves


def test_film_refuses_what_has_no_digit():
    env = gym.make("DTAssociation-v0", num_servers=37, num_slots=1).unwrapped
    env.reset(seed=0)
    with pytest.raises(ValueError, match="at most 36 servers, got 37"):
        FilmRecorder(env)
