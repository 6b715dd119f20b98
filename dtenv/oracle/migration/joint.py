"""Joint migration: subgradient search for the least Lagrangian bound, with plans improved alongside."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from dtenv.compiled import compiled
from dtenv.oracle.budget import SolveBudget
from dtenv.oracle.migration.dual import relax
from dtenv.oracle.migration.plan import grant, marginal_worth, replan
from dtenv.oracle.migration.row import fill_prices, play, price_rows, single_row
from dtenv.oracle.migration.seats import PARTS, load_levels, tabulate
from dtenv.oracle.solution import check_bound, tolerance
from dtenv.scenario.edge import SLICE
from dtenv.scenario.migration import MigrationScenario
from dtenv.tasks.migration.batch import unflatten
from dtenv.tasks.migration.task import MigrationTask

MOMENTUM = 0.85
"""Share of the last step's direction in the next."""
PATIENCE, SHORTER, SHORTEST = 20, 0.7, 1e-3
"""Steps without a better bound before steps shrink, the factor, and the shortest step."""
REPLANNED_EVERY = 50
"""Steps between plans derived from the users' paths."""
SHAKES = 100
"""Perturbations of the best plan once the bound has converged."""


class JointSearch:
    """Search for the best plan of the next `slots` slots of row b of a task with control="joint"."""

    def __init__(self, task: MigrationTask, b: int, slots: int, budget: SolveBudget):
        batch = single_row(task, b)
        constants, users, stations = batch.constants[0], *batch.mask.shape[1:]
        self._task, self._b, self._budget, self._arrays = task, b, budget, batch.flatten()
        self._first = int(batch.state.slot[0])
        self._server = batch.state.server[0].copy()
        self._seats = np.array(task.scenario.seats, np.int64)
        self._up = np.ones((slots, stations), np.bool_)
        if constants["fails"]:
            self._up = batch.tape.up[0, self._first : self._first + slots].copy()
        sharing, weight = int(constants["compute_sharing"]), batch.course.weight[0]
        load = load_levels(sharing, weight, int(self._seats.max()))
        table = np.empty((slots, stations, len(load), users))
        self._moving = np.empty((price_rows(batch, slots), stations, stations, users))
        prepare(self._arrays, self._first, load, table, self._moving)
        penalty = float(constants["deadline_penalty"])
        self._fixed = sharing, penalty, self._seats, table, load, weight, self._moving, self._server  # in `relax`
        self._prices, self._slope = np.empty((2, slots, stations, users))
        self._finest, self._likely = PARTS, np.zeros((slots, stations), np.int64)
        self._choice = np.empty((slots, stations, users), np.int64)
        self._path = np.empty((slots, users), np.int64)
        room = np.empty((2, slots, stations), np.bool_)
        self._work = *room, np.empty((slots, stations)), np.empty((slots, stations), np.int64)  # of `replan`
        self.bound = math.inf
        """Upper bound on any plan's mean score per slot."""
        self.plan = np.tile(self._server, (slots, 1))
        """Best plan found, stations (H, N)."""
        self.value = float(play(task, b, self.plan).mean())
        """Mean score per slot of the best plan."""
        self.proof = "Lagrangian relaxation"
        if sharing == SLICE and ((self._seats == 0) | (self._seats >= users)).all():
            self.proof = "dynamic programming"  # users do not couple: the first bound is the sum of their optima
        if self._seats.sum() <= users:
            self.bound, self.proof = self.value, "enumeration"  # every seat is taken, so no twin can move

    @property
    def closed(self) -> bool:
        """Whether the best plan is proven optimal."""
        return self.bound - self.value <= tolerance(self.value)

    def run(self) -> None:
        """Search until the bound is attained or no longer falls, or the search is over."""
        if self.closed:
            return
        in_order = np.arange(self.plan.shape[1])
        self._replan(self.plan, in_order)
        marginal_worth(self._arrays, self._first, self.plan, self._prices)
        scale = float(self._path.size)
        best, direction = self._prices.copy(), np.zeros_like(self._prices)
        length, idle, step = 1.0, 0, 0
        work = self._likely, self._choice, self._path, self._slope
        while length >= SHORTEST:
            bound = relax(*self._fixed, self._prices, self._finest, *work) / scale
            check_bound(self.value, bound, "a joint plan")
            idle = 0 if bound < self.bound - tolerance(bound) else idle + 1
            if bound < self.bound:
                self.bound = max(bound, self.value)  # the plan can exceed it by rounding only
                best[:] = self._prices
            if step % REPLANNED_EVERY == 0 and not self.closed:
                self._replan(self._path, in_order)
            self._budget.report(self.value, self.bound)
            if self.closed or self._budget.exhausted:
                return
            step += 1
            if idle > PATIENCE:
                length, idle = SHORTER * length, 0
                self._finest = max(1, self._finest // 2)
                self._prices[:] = best
                direction[:] = 0.0
                continue
            direction *= MOMENTUM
            direction += self._slope
            norm = float((direction * direction).sum())
            if norm == 0.0:  # the least bound at this resolution of load ranges
                if self._finest == 1:
                    break
                self._finest //= 2
                continue
            self._prices -= length * scale * (bound - self.value) / norm * direction
        self._replan(self._path, in_order)
        self._shake()

    def _shake(self) -> None:
        """Perturb the best plan repeatedly, and replan."""
        rng, (slots, users) = np.random.default_rng(0), self.plan.shape
        stations = len(self._seats)
        for _ in range(SHAKES if users > 1 else 0):
            if self.closed or self._budget.exhausted:
                return
            first, second = rng.choice(users, 2, replace=False)
            start = int(rng.integers(slots))
            when = slice(start, int(rng.integers(start, slots)) + 1)
            requests = self.plan.copy()
            requests[when, first] = self.plan[when, second] if rng.random() < 0.5 else rng.integers(stations)
            requests[when, second] = self.plan[when, first] if rng.random() < 0.5 else rng.integers(stations)
            self._replan(requests, rng.permutation(users))

    def _replan(self, requests: np.ndarray, order: np.ndarray) -> None:
        """Grant requests (H, N), let users replan in turn until none gains, and keep the plan if it is the best."""
        plan = np.empty_like(requests)
        grant(requests, self._server, self._seats, self._up, plan)
        users, content, turn = plan.shape[1], 0, 0
        while content < users and not self._budget.exhausted:
            rise = replan(self._arrays, self._first, self._moving, order[turn], plan, self._server, *self._work)
            content = 0 if rise > 0.0 else content + 1
            turn = (turn + 1) % users
        value = float(play(self._task, self._b, plan).mean())
        if value > self.value:
            check_bound(value, self.bound, "a joint plan")
            self.value, self.plan, self.bound = value, plan, max(value, self.bound)


@cache
def load_kernels() -> None:
    """Compile or load all kernels, so that no time limit is spent on it."""
    scenario = MigrationScenario().override(control="joint", num_users=2, num_stations=2, num_slots=1)
    task = MigrationTask(scenario)
    task.reset(0, np.random.default_rng(0))
    with SolveBudget("") as budget:
        JointSearch(task, 0, 1, budget).run()


@compiled
def prepare(
    arrays: tuple[np.ndarray, ...], first: int, load: np.ndarray, table: np.ndarray, moving: np.ndarray
) -> None:
    """Fill worth (H, M, J, N) and prices of moves (P, M, M, N) of a flat batch of one."""
    batch = unflatten(arrays)
    tabulate(batch, first, load, table)
    fill_prices(batch, first, moving)
