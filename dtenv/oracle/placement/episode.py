"""Several slots of DTPlacementMA: exact where moves are free, otherwise a local-search plan and a relaxed bound."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtenv.compiled import compiled
from dtenv.oracle.budget import SolveBudget
from dtenv.oracle.placement.costs import PENALISED, as_constants, check_slot, costs_of
from dtenv.oracle.placement.local_search import LEAST_GAIN, association_cost, local_search
from dtenv.oracle.placement.milp import Part
from dtenv.oracle.placement.optimum import solve, solve_relaxed
from dtenv.oracle.replay import row_of, slots_left
from dtenv.oracle.solution import Solution
from dtenv.tasks.placement.kernels import ASSOCIATION
from dtenv.tasks.placement.slot import STATION_TERM, TOTAL, USER_TERM, Slot, add_loads, twin_score
from dtenv.tasks.placement.task import PlacementTask
from dtenv.tasks.uplink import DIRECT

SWEEPS = 8
"""Most sweeps over the slots of a plan to improve it."""


class Lookahead:
    """Next `horizon` slots, or if None all that are left, of row b of a task, which stays unchanged."""

    def __init__(self, task: PlacementTask, b: int, horizon: int | None):
        self.horizon, self._from, self._row = slots_left(task, b, horizon), task, b
        self.record = as_constants(task.constants[0])
        self.coupled = bool(self.record["move_cost"] > 0.0 or self.record["initial_on_change"])
        start = self._copy()
        self.before = start.state.server[0].copy()
        self.slots = []  # with twins that never move
        for _ in range(self.horizon):
            self.slots.append(check_slot(Slot(*(field.copy() for field in start.slot()))))
            start.step(self.before[None].copy())

    def _copy(self) -> PlacementTask:
        """Copy of the row as a task of one row that takes associations."""
        copy = row_of(self._from, self._row)
        for to, of in zip(copy.fixed, self._from.fixed, strict=True):
            to[:] = of
        copy.constants[:] = self._from.constants
        copy.mode = ASSOCIATION
        return copy

    def slot_after(self, t: int, server: np.ndarray) -> Slot:
        """Slot t after a slot that ended with the association server (N,)."""
        return self.slots[t]._replace(previous_server=np.ascontiguousarray(server))

    def replay(self, plan: np.ndarray) -> float:
        """Mean score of a plan (horizon, N) in the task itself."""
        task, total = self._copy(), 0.0
        for server in plan:
            task.step(server[None].copy())
            total += float(task.terms.totals[0, TOTAL.score])
        return total / len(plan)

    def solve(self, budget: SolveBudget, gap: float) -> Solution:
        """Plan and bound, see `solve_episode`."""
        plan, bounds, proofs = np.empty((self.horizon, len(self.before)), np.int64), [], set()
        total, before = 0.0, self.before
        for t in range(self.horizon):
            part = Part(budget, budget.seconds_left / (self.horizon - t), f"slot {t + 1} of {self.horizon}")
            slot = self.slot_after(t, before)
            costs = costs_of(self.record, slot)
            if self.coupled and t > 0:
                found = solve_relaxed(costs_of(self.record, slot, settled=True), part, gap, [before])
            else:
                found = solve(self.record, slot, costs, PENALISED, part, gap)
            if found.action is None:
                return Solution(None, -math.inf, found.bound, found.proof, budget.seconds)
            plan[t] = found.action
            if self.coupled and t > 0:
                plan[t] = local_search(costs, [before, found.action], part.exhausted)[0]
            bounds.append(found.bound)
            proofs.add(found.proof)
            total, before = total - association_cost(costs, plan[t]), plan[t]
            budget.report(total / (t + 1), float(np.mean(bounds)), part.note)
        if self.coupled:
            self._improve(plan, budget)
        achieved = self.replay(plan)
        proof = f"sum over slots: {', '.join(sorted(proofs))}"
        if self.coupled and self.horizon > 1:
            proof += "; after the first as if no twin had moved"
        return Solution(plan, achieved, max(achieved, float(np.mean(bounds))), proof, budget.seconds)

    def _improve(self, plan: np.ndarray, budget: SolveBudget) -> None:
        """Improve the slots of the plan in turn, given the slots before and after each."""
        improved, sweep = True, 0
        while improved and sweep < SWEEPS and not budget.exhausted:
            improved, sweep = False, sweep + 1
            for t in range(self.horizon):
                before = plan[t - 1] if t > 0 else self.before
                costs = costs_of(self.record, self.slot_after(t, before))
                starts = [plan[t].copy(), before.copy()]
                if t + 1 < self.horizon:
                    starts.append(plan[t + 1].copy())
                    moving = np.zeros(len(before))
                    _cost_of_moving(self.record, self.slots[t + 1], plan[t + 1], moving)
                    elsewhere = np.arange(costs.slope.shape[1]) != plan[t + 1][:, None]
                    costs = costs._replace(cost=costs.cost + (moving[:, None] * elsewhere)[:, :, None])
                least = association_cost(costs, plan[t])
                server, cost = local_search(costs, starts, lambda: budget.exhausted, kicks=0)
                if cost < least - LEAST_GAIN * abs(least):
                    plan[t], improved = server, True


@compiled
def _cost_of_moving(c: Any, slot: Slot, server: np.ndarray, moving: np.ndarray) -> None:
    """Loss (N,) of a slot's score where a twin moves to its station `server` instead of having been there."""
    users, loads = np.zeros((len(USER_TERM), len(server))), np.zeros((len(STATION_TERM), slot.gain_db.shape[1]))
    add_loads(c, slot, server, loads)
    stayed = Slot(*slot[:7], server, *slot[8:])
    moved = Slot(*slot[:7], np.full(len(server), -1), *slot[8:])
    for u in range(len(server)):
        k = server[u]
        weight = loads[STATION_TERM.weight, k]
        transmitting = loads[STATION_TERM.transmitting, k if c.access == DIRECT else slot.access[u]]
        moving[u] = twin_score(c, stayed, u, k, weight, transmitting, users)
        moving[u] -= twin_score(c, moved, u, k, weight, transmitting, users)
