"""Joint migration: a subgradient search for the least Lagrangian bound, and plans improved beside it."""

from __future__ import annotations

import math

import numpy as np

from dtenv.compiled import compiled
from dtenv.oracle.migration_dual import relax
from dtenv.oracle.migration_plan import grant, marginal_worth, replan
from dtenv.oracle.migration_row import alone, fill_prices, play
from dtenv.oracle.migration_seats import load_levels, tabulate
from dtenv.oracle.search import Search
from dtenv.oracle.solution import tolerance
from dtenv.scenario.edge import SLICE
from dtenv.tasks.migration import MigrationTask
from dtenv.tasks.migration_step import named

MOMENTUM = 0.7
"""Share of the last step's direction that the next one keeps."""
PATIENCE, SHORTER, SHORTEST = 20, 0.7, 1e-3
"""Steps without a better bound after which steps get shorter, by which factor, and down to where."""
REPLANNED_EVERY = 50
"""Steps between plans made of the users' paths."""


class JointSearch:
    """The coming slots of one row, all users' twins being the agent's.

    Args:
        task: with control="joint".
        b: the row.
        slots: H, how many to plan.
        search: what ends the search.
    """

    def __init__(self, task: MigrationTask, b: int, slots: int, search: Search):
        batch = alone(task, b)
        constants, users, stations = batch.constants[0], *batch.mask.shape[1:]
        self._task, self._b, self._search, self._arrays = task, b, search, batch.flat()
        self._first = int(batch.state.slot[0])
        self._server, self._weight = batch.state.server[0].copy(), batch.course.weight[0]
        self._seats = int(constants["capacity"])
        self._sharing, self._penalty = int(constants["compute_sharing"]), float(constants["deadline_penalty"])
        self._load = load_levels(self._sharing, self._weight, self._seats)
        self._table = np.empty((slots, stations, len(self._load), users))
        self._moving = np.empty((stations, stations, users))
        prepare(self._arrays, self._first, self._load, self._table, self._moving)
        self._prices, self._slope = np.empty((2, slots, stations, users))
        self._likely = np.zeros((slots, stations), np.int64)
        self._choice = np.empty((slots, stations, users), np.int64)
        self._path = np.empty((slots, users), np.int64)
        self._room = np.empty((2, slots, stations), np.bool_)
        self._gain, self._next = np.empty((slots, stations)), np.empty((slots, stations), np.int64)
        self.bound = math.inf
        """No plan's mean score a slot exceeds it."""
        self.plan = np.tile(self._server, (slots, 1))
        """The best plan found, stations (H, N)."""
        self.value = float(play(task, b, self.plan).mean())
        """What it achieves, mean score a slot."""
        self.proof = "Lagrangian relaxation"
        if self._sharing == SLICE and self._seats >= users:
            self.proof = "dynamic programming"  # nothing couples users: the first bound is each one's best, summed
        if self._seats * stations <= users:
            self.bound, self.proof = self.value, "enumeration"  # every seat is taken, so that no twin ever moves

    @property
    def closed(self) -> bool:
        """Whether the best plan is proven best."""
        return self.bound - self.value <= tolerance(self.value)

    def run(self) -> None:
        """Search until the bound is met, is no longer lowered, or the search is over."""
        if self.closed:
            return
        self._replan(self.plan.copy())
        set_marginal_worth(self._arrays, self._first, self.plan, self._prices)
        scale = float(self._path.size)
        best, direction = self._prices.copy(), np.zeros_like(self._prices)
        length, idle, step = 1.0, 0, 0
        while length >= SHORTEST:
            bound = self._relax() / scale
            idle = 0 if bound < self.bound - tolerance(bound) else idle + 1
            if bound < self.bound:
                self.bound = max(bound, self.value)  # which it is below by rounding alone
                best[:] = self._prices
            if step % REPLANNED_EVERY == 0 and not self.closed:
                self._replan_paths()
            self._search.tell(self.value, self.bound)
            if self.closed or self._search.over:
                return
            step += 1
            if idle > PATIENCE:
                length, idle = SHORTER * length, 0
                self._prices[:] = best
                direction[:] = 0.0
                continue
            direction *= MOMENTUM
            direction += self._slope
            norm = float((direction * direction).sum())
            if norm == 0.0:
                return
            self._prices -= length * scale * (bound - self.value) / norm * direction
        self._replan_paths()

    def _relax(self) -> float:
        return relax(
            self._sharing,
            self._penalty,
            self._seats,
            self._table,
            self._load,
            self._weight,
            self._moving,
            self._server,
            self._prices,
            self._likely,
            self._choice,
            self._path,
            self._slope,
        )

    def _replan_paths(self) -> None:
        plan = np.empty_like(self._path)
        grant(self._path, self._server, self._seats, plan)
        self._replan(plan)

    def _replan(self, plan: np.ndarray) -> None:
        """Let one user after another replan until none gains, and keep the plan if it is the best."""
        users, content, user = plan.shape[1], 0, 0
        while content < users and not self._search.over:
            rise = replan_one(
                self._arrays,
                self._first,
                self._moving,
                user,
                plan,
                self._server,
                self._room[0],
                self._room[1],
                self._gain,
                self._next,
            )
            content = 0 if rise > 0.0 else content + 1
            user = (user + 1) % users
        value = float(play(self._task, self._b, plan).mean())
        if value > self.value:
            self.value, self.plan, self.bound = value, plan, max(value, self.bound)


@compiled
def prepare(
    arrays: tuple[np.ndarray, ...], first: int, load: np.ndarray, table: np.ndarray, moving: np.ndarray
) -> None:
    """Worth (H, M, J, N) and prices of moves (M, M, N) of a flat batch of one."""
    batch = named(arrays)
    tabulate(batch, first, load, table)
    fill_prices(batch, moving)


@compiled
def set_marginal_worth(arrays: tuple[np.ndarray, ...], first: int, plan: np.ndarray, prices: np.ndarray) -> None:
    """`marginal_worth` of a flat batch of one."""
    marginal_worth(named(arrays), first, plan, prices)


@compiled
def replan_one(
    arrays: tuple[np.ndarray, ...],
    first: int,
    moving: np.ndarray,
    user: int,
    plan: np.ndarray,
    server: np.ndarray,
    enters: np.ndarray,
    stays: np.ndarray,
    gain: np.ndarray,
    choice: np.ndarray,
) -> float:
    """`replan` of a flat batch of one."""
    return replan(named(arrays), first, moving, user, plan, server, enters, stays, gain, choice)
