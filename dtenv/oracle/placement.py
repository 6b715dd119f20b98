"""Exact optima of DTPlacementMA: the best association of a slot, and bounds of an episode (Lu 2021, eqs 18, 26)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtenv.oracle.placement_costs import HARD, PENALISED, Costs, as_constants, check_slot, costs_of
from dtenv.oracle.placement_enumeration import enumerate_all, worth
from dtenv.oracle.placement_milp import BranchAndBound, Found, Part
from dtenv.oracle.placement_start import search_start
from dtenv.oracle.search import Search
from dtenv.oracle.solution import Solution
from dtenv.tasks.placement_slot import Slot

ENUMERATED = 20_000
"""Most associations that are all evaluated; beyond, the program is solved."""

EXACT_PAIRS = 200
"""Pairs of user and station up to which the default gap is EXACT_GAP."""

EXACT_GAP, USUAL_GAP = 1e-9, 1e-5


def solve_slot(
    constants: Any,
    slot: Slot,
    *,
    deadlines: str = PENALISED,
    time_limit: float = 30.0,
    progress: bool = False,
    gap: float | None = None,
) -> Solution:
    """The best association of one slot; hosts are exactly the stations with twins, as an idle host only costs.

    Args:
        constants: a task's record of constants, or `Constants`.
        slot: what is known of the slot.
        deadlines: "penalised": the score, which loses `deadline_penalty` by the share of late users; "ignore": the
            objective (26), less the cost of moves; "hard": the objective, of associations with nobody late.
        time_limit: seconds.
        progress: whether to show a bar.
        gap: relative gap at which to stop; by default 1e-9 for small slots and 1e-5 for large ones.

    Returns:
        A Solution whose action is server (N,).

    Raises:
        ValueError: a field is out of range, or gives costs without a value.
    """
    record, slot = as_constants(constants), check_slot(slot)
    if gap is None:
        gap = EXACT_GAP if slot.gain_db.size <= EXACT_PAIRS else USUAL_GAP
    with Search("placement: slot", time_limit, progress) as search:
        costs = costs_of(record, slot, deadlines)
        return solve(record, slot, costs, deadlines, Part(search), gap)


def solve(
    record: Any, slot: Slot, costs: Costs, deadlines: str, part: Part, gap: float, enumerated: int = ENUMERATED
) -> Solution:
    """The best association of a slot with given costs, inside a search.

    Args:
        record: the constants.
        slot: from `check_slot`.
        costs: of `costs_of`, under the same deadlines.
        deadlines: as in `solve_slot`.
        part: what ends the search early.
        gap: relative gap at which to stop.
        enumerated: most associations that are all evaluated.
    """
    search, began = part.search, part.search.seconds
    num_users, num_stations = slot.gain_db.shape
    penalised, hard = deadlines == PENALISED, deadlines == HARD

    def solution(server: np.ndarray | None, value: float, bound: float, proof: str) -> Solution:
        return Solution(server, value, bound, proof, search.seconds - began)

    room = int(costs.capacity.sum())
    if room < num_users:
        return solution(None, -math.inf, -math.inf, f"infeasible: capacities hold {room} of {num_users} twins")
    if num_stations**num_users <= enumerated:
        server, value = enumerate_all(record, slot, penalised, hard)
        proof = (
            "enumeration" if server is not None else "infeasible: enumeration finds no association without late users"
        )
        return solution(server, value, value, proof)
    nowhere = np.flatnonzero(np.isinf(costs.cost).all(axis=(1, 2)))
    if len(nowhere):
        return solution(None, -math.inf, -math.inf, f"infeasible: user {nowhere[0]} is late wherever its twin is alone")

    def cost_of(server: np.ndarray) -> float:
        value, late = worth(record, slot, server, penalised)
        return math.inf if hard and late else -value

    server, _ = search_start(costs, [slot.access, slot.previous_server], part.over)
    cost = cost_of(server)
    found = Found(server if cost < math.inf else None, cost, least_cost(costs))
    search.tell(-cost, -found.bound)
    found = BranchAndBound(costs, found, cost_of, gap, part).run()
    if found.bound == math.inf:
        if costs.infinite:
            raise ValueError("gain_db, wired_m and data_bits must leave an association of finite latency and energy")
        return solution(None, -math.inf, -math.inf, "infeasible: MILP (HiGHS) has no association without late users")
    proof = "MILP (HiGHS, perspective cuts)" if (costs.weight > 0.0).any() else "MILP (HiGHS)"
    return solution(found.server, -found.cost, -found.bound, proof)


def least_cost(costs: Costs) -> float:
    """What no association costs less than: every user alone on its best station, on as few hosts as hold all."""
    alone = (costs.cost + (costs.slope * costs.weight[:, None])[:, :, None]).min(axis=(1, 2)).sum()
    hosts = np.searchsorted(np.cumsum(-np.sort(-costs.capacity)), len(costs.weight)) + 1
    return float(alone + costs.host * hosts) * 1.0
