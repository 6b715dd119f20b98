"""What tests of DTPlacementMA-v0 share: its central controller, its stations, what infos hold, and random play."""

from __future__ import annotations

import gymnasium as gym
import numpy as np

import dtenv

ID, SMALL = "DTPlacementMA-v0", "small-20x5"
STATIONS_ACTIONS = ("bid", "price", "binary")
NUMBERS = {"score", "objective", "system_cost", "utility", "energy", "latency", "latency_reward", "placement_cost"}
NUMBERS |= {f"latency_{part}" for part in ("wireless", "wired", "compute", "initial", "update")}
NUMBERS |= {"cost", "violations", "feasible", "migrations", "hosts"}
CENTRAL = NUMBERS | {"host", "server", "action_mask"}
STATIONS = CENTRAL | {"hosts_itself", "twins"}


def make(scenario=SMALL, **settings):
    return gym.make(ID, scenario=scenario, **settings)


def stations(scenario=SMALL, **settings):
    return dtenv.parallel_env(ID, scenario=scenario, **settings)


def joint(env, action):
    """The stations' actions that the central controller's action holds."""
    return dict(zip(env.possible_agents, np.reshape(action, (len(env.possible_agents), -1)), strict=True))


def play_stations(env, steps, seed):
    """All that stations are told under random actions, as one list of arrays."""
    found, rng = [], np.random.default_rng(seed)
    shape, binary = env.action_space("station_0").shape, env.scenario.episode.action == "binary"
    for _ in range(steps):
        given = {a: rng.integers(2, size=shape) if binary else rng.random(shape) for a in env.agents}
        obs, rewards, _, _, infos = env.step(given)
        for agent in env.possible_agents:
            found += [obs[agent], np.array(rewards[agent])]
            found += [np.array(infos[agent][key]) for key in sorted(STATIONS)]
    return found
