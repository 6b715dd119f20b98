"""Column generation for associations of many users: a column is a set of users on one server.

Dual prices π of "every user on one server" decouple the servers. For any π

    Σ_s V_s(A_s) <= Σ_u π_u + Σ_s max over A of (V_s(A) - Σ_A π_u),

and dtenv.oracle.association.pricing bounds each server's term. The linear program over the columns so far gives the
next π. An integer program over all sets that can still matter closes the remaining gap: with L the least bound, an
association worth more than L - δ has no set further than δ below its server's term of L.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtenv.oracle.association.master import Master
from dtenv.oracle.association.pricing import REGIMES, chords, fill_prices, new_knapsack_work, new_prices, price_server
from dtenv.oracle.association.problem import Problem
from dtenv.oracle.association.sets import sets_above, worth_of_sets
from dtenv.oracle.budget import SolveBudget
from dtenv.tasks.association.slot import CERTIFICATE

COARSE, FINE = 48, 384
"""Numbers of chords of tanh for pricing: coarse until no column is missing, then fine."""
INERTIA = 0.7
"""Weight of the best duals in the next ones, which damps the oscillation of the linear program's duals."""
LEAST_REDUCED_COST = 1e-9
"""Reduced cost that a new column must exceed."""
FIRST_STEP = 1e-4
"""First δ; it doubles every round."""
MOST_SETS = 200_000
"""Limit on the sets per server, counted once per interval, in the closing integer program."""
MOST_USERS = 63
"""Most users for which sets are enumerated, since a set is a 64-bit mask."""


class Columns:
    """Columns of one slot, the best association found, and the least upper bound.

    starts are initial associations, (U,) each, with hard constraints at least one feasible; dual are initial duals
    (U,), such as those of the previous slot.
    """

    def __init__(self, problem: Problem, starts: list[np.ndarray], budget: SolveBudget, dual: np.ndarray | None = None):
        self.problem, self.budget = problem, budget
        self.best: np.ndarray | None = None
        self.value, self.bound = -math.inf, math.inf
        self.dual: Any = dual  # (U,), duals of the least bound
        self._master = Master(problem.num_users, problem.num_servers, budget)
        for start in starts:
            self.offer(start)
            for s in range(problem.num_servers):
                if (start == s).any():
                    self._master.add(s, start == s, problem.worth_on(s, start == s))
        alone = np.eye(problem.num_users, dtype=np.bool_)
        for s in range(problem.num_servers):
            worth = worth_of_sets(problem.c, problem.slot, s, alone, problem.penalised, *problem.work)
            self._master.add_all(s, alone, worth)

    def offer(self, server: np.ndarray | None) -> None:
        """Keep an association (U,) if it improves on the best."""
        if server is not None and (value := self.problem.worth(server)) > self.value:
            self.best, self.value = server.copy(), value

    def generate(self, chord_count: int, tolerance: float = 0.0) -> Pricing:
        """Add columns until none is missing or the bound is within `tolerance`; return the pricing used."""
        pricing = Pricing(self.problem, chord_count)
        while True:
            relaxation, users, servers = self._master.relax()
            tried = [users] if self.dual is None else [INERTIA * self.dual + (1.0 - INERTIA) * users, users]
            added = any(self._price(pricing, dual, users, servers) for dual in tried)
            if not added or self.budget.exhausted or self.bound - relaxation <= tolerance:
                return pricing

    def _price(self, pricing: Pricing, dual: np.ndarray, users: np.ndarray, servers: np.ndarray) -> bool:
        """Bound with the duals (U,), add columns of positive reduced cost; return whether any was added."""
        bound, found = pricing.bound(dual)
        if bound < self.bound:
            self.bound, self.dual = bound, dual
            self.budget.report(self.value, self.bound)
        added = False
        for s, members in found:
            worth = self.problem.worth_on(s, members)
            if worth - users[members].sum() - servers[s] > LEAST_REDUCED_COST:
                added |= self._master.add(s, members, worth)
        return added

    def choose(self) -> None:
        """Find the best association of the current columns; no column can be added afterwards."""
        self.offer(self._master.choose(self.budget)[0])

    def close(self, pricing: Pricing) -> None:
        """Close the gap by integer programs over all sets that can still matter; needs at most MOST_USERS users."""
        least = pricing.bound(self.dual)[0]  # may differ from self.bound; its terms are the reference for sets
        step = FIRST_STEP
        while self.bound - self.value > CERTIFICATE and not self.budget.exhausted:
            step = min(step, least - self.value + CERTIFICATE)
            master = self._enough(pricing, step)
            if master is None:
                return
            server, bound = master.choose(self.budget)
            self.offer(server)
            self.bound = min(self.bound, max(self.value, bound, least - step))
            self.budget.report(self.value, self.bound)
            step *= 2.0

    def _enough(self, pricing: Pricing, step: float) -> Master | None:
        """Master program of all sets that an association within `step` of the bound can contain; None if too many."""
        problem, dual = self.problem, self.dual
        master = Master(problem.num_users, problem.num_servers, self.budget)
        bits = np.arange(problem.num_users)
        sets = np.empty(MOST_SETS, np.int64)
        for s in range(problem.num_servers):
            least = max(pricing.top[s], 0.0) - step
            count = sets_above(pricing.prices, s, dual, pricing.multiplier[s], least, sets)
            if count < 0 or self.budget.exhausted:
                return None
            members = (np.unique(sets[:count])[:, None] >> bits) & 1 == 1
            members = members[members.any(axis=1)]
            worth = worth_of_sets(problem.c, problem.slot, s, members, problem.penalised, *problem.work)
            kept = worth - members @ dual >= least
            master.add_all(s, members[kept], worth[kept])
        return master


class Pricing:
    """Prices of a slot, which give bounds and new columns."""

    def __init__(self, problem: Problem, chord_count: int):
        users, servers = problem.num_users, problem.num_servers
        self.prices = new_prices(users, servers, chord_count, problem.penalised)
        fill_prices(problem.c, problem.slot, *chords(float(problem.c["f0"]), chord_count), self.prices, problem.work[0])
        self.multiplier = np.zeros((servers, REGIMES, chord_count), np.int64)
        self._last = np.zeros((servers, 2), np.int64)
        self.top = np.zeros(servers)  # each server's term of the last bound, below 0 where the server is better unused
        self._bounds, self._work = np.zeros((REGIMES, chord_count)), new_knapsack_work(users)

    def bound(self, dual: np.ndarray) -> tuple[float, list[tuple[int, np.ndarray]]]:
        """Bound for duals (U,), and for every server that is used in it a mask (U,) of the maximising users."""
        found, chosen = [], np.zeros(len(dual), np.bool_)
        for s in range(len(self.top)):
            start = self.multiplier[s], self._last[s]
            self.top[s] = price_server(self.prices, s, dual, *start, self._bounds, self._work, chosen)
            if chosen.any():
                found.append((s, chosen.copy()))
        return math.fsum(dual) + math.fsum(np.maximum(self.top, 0.0)), found
