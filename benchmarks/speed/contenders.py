"""Contenders of `benchmarks.speed`: our single environments and batches, Gymnasium's batches of ours, and others.

mobile-env is another cell-selection suite: its large scenario (13 cells, 30 users) has a central controller, or one
agent per user. "CVXPY in the loop" is our environment with the allocation solved by benchmarks/speed/cvxpy_loop.py, a
parametrised problem whose tangents are updated until convergence.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv
from gymnasium.vector.utils import batch_space

import dtenv
from benchmarks.speed.players import Choose, Play, as_kernels_take, at_random, many, one, stays, without_interface
from dtenv import presets

MODES: dict[str, Callable[..., VectorEnv]] = {
    "SyncVectorEnv": SyncVectorEnv,
    "AsyncVectorEnv": AsyncVectorEnv,
    "AsyncVectorEnv, shared_memory=False": partial(AsyncVectorEnv, shared_memory=False),
}
"""Gymnasium's vector environments."""


@dataclass(frozen=True)
class DtenvContender:
    """One of our environments, played as a batch."""

    name: str
    env_id: str
    played: str = "random"
    """ "random" actions, or every twin "stays" where the reset put it"""
    asked: str = ""
    """target of a batch, env-steps a second"""
    stations: bool = False
    """whether base stations are the agents"""

    def batch(self, num_envs: int, **settings: Any) -> Any:
        """Our vector environment."""
        if self.stations:
            return dtenv.parallel_vector_env(self.env_id, num_envs, **settings)
        return gym.make_vec(self.env_id, num_envs=num_envs, vectorization_mode="vector_entry_point", **settings)

    def gymnasiums(self, mode: str, num_envs: int) -> VectorEnv:
        """Gymnasium's vector environment of our single one, by a name of MODES."""
        return MODES[mode]([partial(gym.make, self.env_id, disable_env_checker=True)] * num_envs)

    def vector(self, env: Any) -> Play:
        """Play of a batch, ours or Gymnasium's."""
        return many(env, presets.resolve(None, self.env_id).episode.num_slots, self._choose(env))

    def bare(self, env: Any, stack: ExitStack) -> Play:
        """Play of our batch's kernels alone, with the same actions."""
        choose = self._choose(env)
        if self.played == "stays":
            return without_interface(env, choose, stack)
        pool = as_kernels_take(env.scenario, choose({}))
        return without_interface(env, lambda infos: pool, stack)

    def _choose(self, env: Any) -> Choose:
        if self.played == "stays":
            return stays
        if self.stations:
            return at_random(batch_space(batch_space(env.single_action_space, env.scenario.num_sites), env.num_envs))
        return at_random(env.action_space)


EXACT, CENTRAL, FOCAL = "DTAssociation-v0, exact allocation", "DTPlacementMA-v0, central controller", "DTMigration-v0"
STATIONS, CVXPY = "DTPlacementMA-v0, Parallel", "DTAssociation-v0, CVXPY in the loop"
NO_HISTORY = "DTAssociation-v0, no history"
MOBILE, MOBILE_AGENTS = "mobile-large-central-v0", "mobile-large-ma-v0"

OURS = (
    DtenvContender(EXACT, "DTAssociation-v0", "stays", "≥ 120,000"),
    DtenvContender(f"{EXACT}, moving", "DTAssociation-v0"),
    DtenvContender(FOCAL, "DTMigration-v0", asked="≥ 500,000"),
    DtenvContender(CENTRAL, "DTPlacementMA-v0", asked="≥ 20,000"),
    DtenvContender(STATIONS, "DTPlacementMA-v0", stations=True),
)
"""Our environments; DTPlacementMA-v0's default has 100 users and 10 stations."""

LIBRARIES = {"mobile_env": (MOBILE, MOBILE_AGENTS), "cvxpy": (CVXPY,)}
"""Contenders by the library that they need."""


@dataclass(frozen=True)
class Contender:
    """One row of the table."""

    name: str
    play: Play
    num_envs: int = 1
    played: str = "random"
    """kind of actions"""
    against: tuple[str, ...] = ()
    """names of contenders, or of families, whose fastest counts, to compare with"""
    family: str = ""
    """family whose fastest contender counts"""
    bare: str = ""
    """name of its kernel without the interface"""
    asked: str = ""
    """target, env-steps a second"""


def missing() -> tuple[str, ...]:
    """Contenders that are left out because their library is not installed."""
    return tuple(name for library, names in LIBRARIES.items() if find_spec(library) is None for name in names)


def contenders(
    num_envs: int, sync: Sequence[int], asynchronous: Sequence[int], stack: ExitStack, threads: int | None = None
) -> list[Contender]:
    """All contenders in the table's order, a kernel right after its interface, so that their ratio is of one moment.

    Args:
        num_envs: rows of our batches.
        sync: sizes of Gymnasium's SyncVectorEnv.
        asynchronous: sizes of its AsyncVectorEnv.
        stack: closes the environments.
        threads: threads of our batches; by default one per core.
    """
    forked = list(gymnasiums(sync, asynchronous, stack))  # before there are threads
    return [*singles(stack), *batches(num_envs, threads, stack), *forked, *others(num_envs)]


def singles(stack: ExitStack) -> Iterator[Contender]:
    """Our single environments."""
    exact = gym.make("DTAssociation-v0", disable_env_checker=True)
    yield Contender(EXACT, one(exact, stays), played="stays", against=(MOBILE, CVXPY), bare=f"{EXACT}: bare kernel")
    bare = OURS[0].bare(OURS[0].batch(1), stack)
    yield Contender(f"{EXACT}: bare kernel", bare, played="stays")
    no_history = gym.make("DTAssociation-v0", history="none", disable_env_checker=True)
    yield Contender(NO_HISTORY, one(no_history, stays), played="stays", against=(MOBILE,))
    if CVXPY not in missing():
        yield Contender(CVXPY, one(*cvxpy_in_the_loop(), whole=False), played="stays")
    for name, env_id in ((FOCAL, "DTMigration-v0"), (CENTRAL, "DTPlacementMA-v0")):
        env = gym.make(env_id, disable_env_checker=True)
        yield Contender(name, one(env, at_random(env.action_space)), against=(MOBILE,))
    parallel = dtenv.parallel_env("DTPlacementMA-v0")
    space = gym.spaces.Dict({agent: parallel.action_space(agent) for agent in parallel.possible_agents})
    yield Contender(STATIONS, one(parallel, at_random(space)), against=(MOBILE_AGENTS,))


def batches(num_envs: int, threads: int | None, stack: ExitStack) -> Iterator[Contender]:
    """Our batches, each with its kernel alone, and with views in place of copies."""
    special = {EXACT: (EXACT, best_of(EXACT), MOBILE, CVXPY), STATIONS: (STATIONS, MOBILE_AGENTS)}
    for ours in OURS:
        rest: dict[str, Any] = {"num_envs": num_envs, "played": ours.played}
        name, kernel = f"{ours.name}: vector", f"{ours.name}: vector's bare kernel"
        against = special.get(ours.name, (ours.name, best_of(ours.name), MOBILE))
        envs = [ours.batch(num_envs, threads=threads, copy=copy) for copy in (True, False, False)]
        for env in envs:
            stack.callback(env.close)
        yield Contender(name, ours.vector(envs[0]), against=against, bare=kernel, asked=ours.asked, **rest)
        yield Contender(kernel, ours.bare(envs[1], stack), **rest)
        yield Contender(f"{name}, copy=False", ours.vector(envs[2]), bare=kernel, **rest)


def best_of(name: str) -> str:
    """Family of Gymnasium's batches of one of our environments."""
    return f"Gymnasium's best batch of {name}"


def gymnasiums(sync: Sequence[int], asynchronous: Sequence[int], stack: ExitStack) -> Iterator[Contender]:
    """Gymnasium's batches of our single environments; without shared memory only DTAssociation-v0's."""
    for ours in (mine for mine in OURS if mine.asked):
        family = best_of(ours.name)
        for mode in MODES if ours.name == EXACT else list(MODES)[:2]:
            for count in sync if mode == "SyncVectorEnv" else asynchronous:
                env, name = ours.gymnasiums(mode, count), f"{ours.name}: {mode} of {count}"
                stack.callback(env.close)
                yield Contender(name, ours.vector(env), count, ours.played, family=family)


def others(num_envs: int) -> Iterator[Contender]:
    """mobile-env's environments, and environments that do nothing."""
    if MOBILE not in missing():
        importlib.import_module("mobile_env")  # registers its environments
        for name in (MOBILE, MOBILE_AGENTS):
            env = gym.make(name, disable_env_checker=True)
            yield Contender(name, one(env, at_random(env.action_space), whole=False))
    noop = gym.make(EnvSpec("Noop-v0", "benchmarks.speed.contenders:Noop"), disable_env_checker=True)
    yield Contender("no-op environment", one(noop, lambda info: [0]), played="nothing")
    nothing = many(NoopBatch(num_envs), 100, lambda infos: [None])
    yield Contender("no-op environment: vector", nothing, num_envs, "nothing")


def cvxpy_in_the_loop() -> tuple[gym.Env, Choose]:
    """Our environment with γ from CVXPY as part of the action, and twins that stay."""
    from benchmarks.speed.cvxpy_loop import CvxpyAllocation  # CVXPY need not be installed

    env: Any = gym.make("DTAssociation-v0", history="action", disable_env_checker=True)
    solver = CvxpyAllocation(env.unwrapped.scenario)

    def with_gamma(server: np.ndarray) -> dict[str, np.ndarray]:
        return {"server": server, "history": solver.solve(env.unwrapped.task.slot(), server)}

    return gym.wrappers.TransformAction(env, with_gamma, env.action_space["server"]), stays


class Noop(gym.Env):
    """Environment that does nothing in 100 slots an episode: the cost of Gymnasium's interface alone."""

    observation_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self):
        self._obs, self._t = np.zeros(1, np.float32), 0

    def reset(self, *, seed=None, options=None):
        """Return a constant observation."""
        self._t = 0
        return self._obs, {}

    def step(self, action):
        """Count the slot."""
        self._t += 1
        return self._obs, 0.0, False, self._t == 100, {}


class NoopBatch(VectorEnv):
    """Batch that does nothing and never ends an episode."""

    def __init__(self, num_envs: int):
        self.num_envs = num_envs
        self._given = np.zeros((num_envs, 1), np.float32), np.zeros(num_envs), np.zeros(num_envs, np.bool_)

    def reset(self, *, seed=None, options=None):
        """Return constant observations."""
        return self._given[0], {}

    def step(self, actions):
        """Return constants."""
        obs, rewards, over = self._given
        return obs, rewards, over, over, {}
