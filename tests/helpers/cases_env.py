"""Every environment under many settings, random play, and a digest of the episodes."""

from __future__ import annotations

import hashlib
import pickle

import gymnasium as gym
import numpy as np
from cases_placement import STATIONS_ACTIONS, play_stations, stations

from dtenv.presets import PRESETS
from dtenv.scenario import association, placement

ASSOCIATION, PLACEMENT, MIGRATION = "DTAssociation-v0", "DTPlacementMA-v0", "DTMigration-v0"
OWN = {
    ASSOCIATION: {},
    PLACEMENT: {"scenario": "small-20x5"},
    MIGRATION: {"num_users": 12, "num_stations": 4, "num_slots": 8},
}


class StandStill:
    """Users stay where they are."""

    def positions(self, walks, horizon, area_m):
        return np.repeat(walks[:, :, None], horizon, axis=2)


SETTINGS = {
    ASSOCIATION: [
        *({"scenario": p, "reward": r} for p in PRESETS[ASSOCIATION] for r in association.REWARDS),
        *({"history": h} for h in association.HISTORIES[1:]),
    ],
    PLACEMENT: [{"action": action} for action in placement.ACTIONS],
    MIGRATION: [
        *({"control": c, "forecaster": f} for c in ("focal", "joint") for f in ("none", "constant-velocity", "oracle")),
        *({"control": "joint", "forecaster": StandStill()}, {"forecaster": StandStill()}),
        *({"control": c, "reward": "centred"} for c in ("focal", "joint")),
        *({"walk": "gauss-markov"}, {"background": "best-latency"}, {"background": "never", "horizon": 1}),
        *({"compute_sharing": "sqrt"}, {"compute_sharing": "slice"}, {"access": "nearest"}),
    ],
}


def make(env_id, **settings):
    return gym.make(env_id, **(OWN[env_id] | settings))


def play(env, steps, seed):
    """Observations, rewards and infos of some slots under random actions, as one list of arrays."""
    found = []
    env.action_space.seed(seed)
    for _ in range(steps):
        obs, reward, _, _, info = env.step(env.action_space.sample())
        found += [obs, np.array(reward), *(np.array(info[key]) for key in sorted(info))]
    return found


def same(left, right):
    """Whether two lists of arrays are equal to the last bit."""
    return len(left) == len(right) and all(map(np.array_equal, left, right))


def pickled(env):
    """A copy by way of pickle."""
    return pickle.loads(pickle.dumps(env))


def digest():
    """SHA-256 of the start of an episode, and of the next one, of every environment in every setting."""
    whole = hashlib.sha256()
    for env_id in PRESETS:
        for settings in SETTINGS[env_id]:
            env = make(env_id, **settings)
            for part in [env.reset(seed=11)[0], *play(env, 8, 0), env.reset()[0], *play(env, 2, 1)]:
                whole.update(part.tobytes())
    for action in STATIONS_ACTIONS:
        env = stations(action=action)
        for part in [*env.reset(seed=11)[0].values(), *play_stations(env, 3, 0)]:
            whole.update(part.tobytes())
    return whole.hexdigest()
