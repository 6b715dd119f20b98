"""Golden runs: a refactoring changes no bit of what the environments, the oracle, the suites and the tracks give.

Each value of `golden.json` is a SHA-256 of 200 slots of observations, rewards and infos, of five slots' optima, or of
a suite or track. A change of a model or of an info key changes them: then write the file anew and say so in CHANGELOG.

    python tests/repository/test_golden.py > tests/repository/golden.json
"""

from __future__ import annotations

import hashlib
import json
import platform
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import agents
import dtenv
from benchmarks.evaluate import run_episodes
from benchmarks.suites.catalogue import SUITES
from dtenv import presets
from dtenv.scenario.forecaster import Foresight
from leaderboards.tracks import TRACKS

FILE = Path(__file__).with_name("golden.json")
SLOTS = 200
PLACE = "DTPlacementMA-v0"
MOVE = "DTMigration-v0"
SERVERS_FAIL = {"deployment": "edge-cloud", "failure_rate_per_s": 0.01, "creation_s": 2.0, "repair_s": 5.0}
ROUNDS = {"aggregation": "synchronous", "consensus": "pbft"}

EPISODES: dict[str, tuple[str, dict[str, Any]]] = {
    "association balanced": ("DTAssociation-v0", {"scenario": "balanced"}),
    "association paper": ("DTAssociation-v0", {"scenario": "paper", "num_servers": 9}),
    "association sequential, chosen history": (
        "DTAssociation-v0",
        {"scenario": "sequential", "history": "action", "reward": "objective", "num_users": 8, "num_servers": 9},
    ),
    "placement small-20x5": (PLACE, {"scenario": "small-20x5"}),
    "placement literal-100x10": (PLACE, {"scenario": "literal-100x10"}),
    "placement bids": (PLACE, {"scenario": "strict-100x10", "action": "bid", "compute_sharing": "equal"}),
    "migration balanced": (MOVE, {"scenario": "balanced"}),
    "migration literal": (MOVE, {"scenario": "literal", "background": "best-latency"}),
    "migration joint": (MOVE, {"scenario": "balanced", "control": "joint", **ROUNDS}),
    "migration failures": (MOVE, {"scenario": "gauss-markov", **SERVERS_FAIL}),
    "migration foresight": (
        MOVE,
        {"scenario": "ping-pong", "forecaster": Foresight(forecast="oracle", channel=True, load=True)},
    ),
}
"""Settings of the environments that play."""

OPTIMA: dict[str, tuple[str, dict[str, Any]]] = {
    "association": ("DTAssociation-v0", {"num_users": 6, "num_servers": 9}),
    "placement": (PLACE, {"scenario": "small-20x5"}),
    "migration": (MOVE, {"num_users": 12}),
    "migration joint": (MOVE, {"num_users": 8, "num_stations": 4, "control": "joint"}),
}
"""Settings of the environments whose slots are solved."""


class Digest:
    """SHA-256 of values, nested or not, and of their types."""

    def __init__(self) -> None:
        self.sha = hashlib.sha256()

    def add(self, value: Any) -> None:
        if isinstance(value, dict):
            for key in sorted(value):
                self.sha.update(str(key).encode())
                self.add(value[key])
        elif (isinstance(value, np.ndarray) and value.dtype == object) or isinstance(value, list | tuple):
            for item in value:
                self.add(item)
        elif value is None or isinstance(value, str):
            self.sha.update(repr(value).encode())
        else:
            array = np.asarray(value)
            self.sha.update(f"{array.dtype.name}{array.shape}".encode())
            self.sha.update(np.ascontiguousarray(array).tobytes())

    @property
    def hex(self) -> str:
        return self.sha.hexdigest()


def single(env_id: str, settings: dict[str, Any]) -> str:
    env = gym.make(env_id, disable_env_checker=True, **settings)
    env.action_space.seed(0)
    digest = Digest()
    digest.add(env.reset(seed=0))
    over = False
    for _ in range(SLOTS):
        if over:
            digest.add(env.reset())
        *outcome, info = env.step(env.action_space.sample())
        over = outcome[3]
        digest.add([*outcome, info])
    env.close()
    return digest.hex


def vector(env_id: str, settings: dict[str, Any]) -> str:
    envs = gym.make_vec(env_id, num_envs=3, vectorization_mode="vector_entry_point", **settings)
    envs.action_space.seed(0)
    digest = Digest()
    digest.add(envs.reset(seed=0))
    for _ in range(SLOTS):
        digest.add(envs.step(envs.action_space.sample()))
    envs.close()
    return digest.hex


def optima(env_id: str, settings: dict[str, Any]) -> list[float]:
    env = gym.make(env_id, disable_env_checker=True, **settings)
    env.reset(seed=0)
    values = []
    for _ in range(5):
        found = env.unwrapped.optimum(time_limit=600.0)  # a clock decides nothing here
        values += [found.value, round(found.bound, 6)]  # a bound's last bits are the linear solver's
        env.step(found.action)
    env.close()
    return values


def heuristics(env_id: str) -> str:
    preset = "small-20x5" if env_id == PLACE else "balanced"
    scenario = presets.resolve(preset, env_id, num_slots=10)
    digest = Digest()
    for name in agents.HEURISTICS[env_id]:
        digest.add(run_episodes(agents.load(name, env_id, scenario=scenario), env_id, scenario, [0, 1]))
    return digest.hex


CASES: dict[str, Any] = {
    **{f"single: {name}": (single, *case) for name, case in EPISODES.items()},
    **{f"vector: {name}": (vector, *case) for name, case in EPISODES.items()},
    **{f"optima: {name}": (optima, *case) for name, case in OPTIMA.items()},
    **{f"heuristics: {env_id}": (heuristics, env_id) for env_id in agents.HEURISTICS},
    "suites": (lambda: {name: suite.sha256 for name, suite in SUITES.items()},),
    "tracks": (lambda: {name: track.sha256 for name, track in TRACKS.items()},),
    "public names": (lambda: sorted(dtenv.__all__),),
}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="bits were recorded on x86-64")
@pytest.mark.parametrize("name", CASES)
def test_no_bit_changes(name):
    call, *given = CASES[name]
    assert call(*given) == json.loads(FILE.read_text())[name]


if __name__ == "__main__":
    print(json.dumps({name: call(*given) for name, (call, *given) in CASES.items()}, indent=1))
