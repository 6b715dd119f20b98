"""Optimal association of one slot of DTPlacementMA under given costs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dtenv.oracle.placement.costs import HARD, PENALISED, ROUNDING, PairCosts
from dtenv.oracle.placement.enumeration import enumerate_all, worth
from dtenv.oracle.placement.local_search import association_cost, local_search
from dtenv.oracle.placement.milp import BranchAndBound, Found, Part
from dtenv.oracle.solution import Solution
from dtenv.tasks.placement.slot import Slot

ENUMERATED = 20_000
"""Most associations to enumerate; larger slots are solved as a program."""


def solve(
    record: Any, slot: Slot, costs: PairCosts, deadlines: str, part: Part, gap: float, enumerated: int = ENUMERATED
) -> Solution:
    """Best association of a slot within a search; deadlines are as in `solve_slot`.

    slot is from `check_slot`, costs from `costs_of` with the same deadlines. part is the time limit, gap the relative
    gap at which to stop, enumerated the most associations to enumerate.
    """
    budget, began = part.budget, part.budget.seconds
    num_users, num_stations = slot.gain_db.shape
    penalised, hard = deadlines == PENALISED, deadlines == HARD

    def solution(server: np.ndarray | None, value: float, bound: float, proof: str) -> Solution:
        return Solution(server, value, bound, proof, budget.seconds - began)

    room = int(costs.capacity.sum())
    if room < num_users:
        return solution(None, -math.inf, -math.inf, f"infeasible: capacities hold {room} of {num_users} twins")
    if num_stations**num_users <= enumerated:
        server, value = enumerate_all(record, slot, penalised, hard)
        proof = "enumeration" if server is not None else "infeasible: enumeration, all associations have late users"
        return solution(server, value, value, proof)
    nowhere = np.flatnonzero(np.isinf(costs.cost).all(axis=(1, 2)))
    if len(nowhere):
        return solution(None, -math.inf, -math.inf, f"infeasible: user {nowhere[0]} is late wherever its twin is alone")

    def cost_of(server: np.ndarray) -> float:
        value, late = worth(record, slot, server, penalised)
        fits = (np.bincount(server, minlength=num_stations) <= costs.capacity).all()
        return -value if fits and not (hard and late) else math.inf

    found = _budget(costs, cost_of, part, gap, [slot.access, slot.previous_server])
    if found.bound == math.inf:
        if costs.infinite:
            raise ValueError("gain_db, wired_m and data_bits must leave an association of finite latency and energy")
        return solution(None, -math.inf, -math.inf, "infeasible: MILP (HiGHS), all associations have late users")
    return solution(found.server, -found.cost, -found.bound, _proof(costs))


def solve_relaxed(costs: PairCosts, part: Part, gap: float, starts: list[np.ndarray]) -> Solution:
    """Best association, and its value, by costs that may be below those of the slot; capacities hold all users.

    part is the time limit, gap the relative gap at which to stop, starts the initial associations.
    """
    began = part.budget.seconds

    def cost_of(server: np.ndarray) -> float:
        fits = (np.bincount(server, minlength=len(costs.capacity)) <= costs.capacity).all()
        return float(association_cost(costs, server)) if fits else math.inf

    found = _budget(costs, cost_of, part, gap, starts)
    return Solution(found.server, -found.cost, -found.bound, _proof(costs), part.budget.seconds - began)


def _budget(
    costs: PairCosts, cost_of: Callable[[np.ndarray], float], part: Part, gap: float, starts: list[np.ndarray]
) -> Found:
    """Local search, then branch and bound."""
    server, _ = local_search(costs, starts, part.exhausted)
    cost = cost_of(server)
    found = Found(server if cost < math.inf else None, cost, min(cost, least_cost(costs)))
    part.report(cost, found.bound)
    return BranchAndBound(costs, found, cost_of, gap, part).run()


def _proof(costs: PairCosts) -> str:
    return "MILP (HiGHS, perspective cuts)" if (costs.weight > 0.0).any() else "MILP (HiGHS)"


def least_cost(costs: PairCosts) -> float:
    """Lower bound on the cost of any association: every user at its best station, with enough hosts for all.

    The computing cost is at least that of each twin alone, and at least Σ_k ρ_k S_k² with the least ρ_k and any split
    of the weights, which is (Σ_i s_i)² / Σ_k 1 / ρ_k over the hosts (Cauchy-Schwarz).
    """
    weight = costs.weight[:, None]
    alone = (costs.cost + (costs.slope * weight)[:, :, None]).min(axis=(1, 2)).sum()
    ratio = np.full_like(costs.slope, np.inf)
    np.divide(costs.slope, weight, out=ratio, where=np.isfinite(costs.cost).any(axis=2) & (weight > 0.0))
    with np.errstate(divide="ignore"):
        fastest = np.cumsum(-np.sort(-1.0 / ratio.min(axis=0)))
    enough = np.cumsum(-np.sort(-costs.capacity)) >= len(weight)
    with np.errstate(divide="ignore", invalid="ignore"):
        split = np.nan_to_num(costs.weight.sum() ** 2 / fastest, nan=0.0, posinf=0.0)
    hosting = costs.host * np.arange(1, len(enough) + 1)
    least = max(alone + hosting[enough][0], costs.cost.min(axis=(1, 2)).sum() + (hosting + split)[enough].min())
    return float(least - ROUNDING * abs(least))
