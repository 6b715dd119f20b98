"""Optimal association of a small slot of DTPlacementMA by enumeration."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtenv.compiled import compiled
from dtenv.tasks.placement.slot import TOTAL, Slot, Terms, evaluate, new_terms


def worth(constants: Any, slot: Slot, server: np.ndarray, penalised: bool) -> tuple[float, int]:
    """Score (if penalised) or objective of an association (N,), from the environment's kernel, and its late users."""
    num_users, num_stations = slot.gain_db.shape
    terms, host = new_terms(1, num_users, num_stations), np.zeros(num_stations, np.bool_)
    host[server] = True
    evaluate(constants, slot, host, np.ascontiguousarray(server, dtype=np.int64), terms, 0)
    totals = terms.totals[0]
    return float(totals[TOTAL.score if penalised else TOTAL.objective]), int(totals[TOTAL.violations])


def enumerate_all(constants: Any, slot: Slot, penalised: bool, hard: bool) -> tuple[np.ndarray | None, float]:
    """Best association (N,) within capacities, and deadlines if hard, and its worth; (None, -inf) if infeasible."""
    num_users, num_stations = slot.gain_db.shape
    best = np.zeros(num_users, np.int64)
    terms = new_terms(1, num_users, num_stations)
    found = _enumerate(constants, slot, TOTAL.score if penalised else TOTAL.objective, hard, terms, best)
    return (best, worth(constants, slot, best, penalised)[0]) if found else (None, -np.inf)


@compiled
def _enumerate(c: Any, slot: Slot, what: int, hard: bool, terms: Terms, best: np.ndarray) -> bool:
    """Count through all associations in base M; return whether one is feasible."""
    num_users, num_stations = slot.gain_db.shape
    server, host = np.zeros(num_users, np.int64), np.zeros(num_stations, np.bool_)
    held = np.zeros(num_stations, np.int64)
    held[0] = num_users
    most, found = -np.inf, False
    while True:
        fits = True
        for k in range(num_stations):
            host[k] = held[k] > 0
            fits = fits and held[k] <= slot.capacity[k]
        if fits:
            evaluate(c, slot, host, server, terms, 0)
            allowed = not hard or terms.totals[0, TOTAL.violations] == 0.0
            if allowed and (not found or terms.totals[0, what] > most):
                most, found = terms.totals[0, what], True
                best[:] = server
        u = 0
        while u < num_users and server[u] == num_stations - 1:
            held[num_stations - 1] -= 1
            held[0] += 1
            server[u] = 0
            u += 1
        if u == num_users:
            return found
        held[server[u]] -= 1
        server[u] += 1
        held[server[u]] += 1
