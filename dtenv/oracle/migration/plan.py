"""Plans of joint migration: how requests are granted, and coordinate ascent over users."""

from __future__ import annotations

import numpy as np

from dtenv.compiled import compiled
from dtenv.oracle.migration.row import slot_score
from dtenv.scenario.edge import SLICE
from dtenv.tasks.migration.batch import unflatten
from dtenv.tasks.migration.slot import seats_of

LEAST_RISE = 1e-12
"""Least gain of the summed score for a new plan of a user, so that rounding cannot make the ascent cycle."""


@compiled
def grant(requests: np.ndarray, server: np.ndarray, seats: np.ndarray, up: np.ndarray, plan: np.ndarray) -> None:
    """Stations `plan` (H, N) that result from requests (H, N), granted in the users' order as in the environment.

    Station k has seats[k] seats, and is closed in slot h unless up[h, k].
    """
    twins = np.zeros(len(seats), np.int64)
    for k in server:
        twins[k] += 1
    for h in range(len(requests)):
        for u in range(len(server)):
            before = server[u] if h == 0 else plan[h - 1, u]
            k = requests[h, u]
            if k != before and (twins[k] >= seats[k] or not up[h, k]):
                k = before
            twins[before] -= 1
            twins[k] += 1
            plan[h, u] = k


@compiled
def find_room(
    plan: np.ndarray, server: np.ndarray, user: int, seats: np.ndarray, enters: np.ndarray, stays: np.ndarray
) -> None:
    """Stations where one user can be while the others keep their plan (H, N) and no request is refused.

    server (N,) holds the initial stations, seats is N_k (M,). Written: enters (H, M), whether the station has a seat
    for the user in the slot, and stays (H, M), whether the user may be there after the slot.
    """
    slots, users = plan.shape
    twins = np.zeros(enters.shape[1], np.int64)
    enters[:] = False
    stays[:] = True
    for u in range(users):
        if u != user:
            twins[server[u]] += 1
    for h in range(slots):
        for u in range(users):
            if u == user:
                for k in range(len(twins)):
                    enters[h, k] = twins[k] < seats[k]
                continue
            before, k = server[u] if h == 0 else plan[h - 1, u], plan[h, u]
            if k == before:
                continue
            if twins[k] >= seats[k] - 1:  # the last seat: the user must be elsewhere at this point
                if u > user:
                    stays[h, k] = False
                elif h > 0:
                    stays[h - 1, k] = False
            twins[before] -= 1
            twins[k] += 1


@compiled
def replan(
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
    """Give one user the plan that maximises the sum of scores while the others keep theirs; return the gain.

    arrays are a flat batch of one, first the slot of the plan's first row. No request is refused under plan (H, N),
    before and after. moving (P, M, M, N) are prices of moves, infinite where the environment would refuse them, server
    (N,) the initial stations; enters, stays, gain and choice are work arrays (H, M) of booleans, numbers and integers.
    """
    batch = unflatten(arrays)
    slots, users = plan.shape
    stations = gain.shape[1]
    weight, c = batch.course.weight[0], batch.constants[0]
    seats = np.empty(stations, np.int64)
    for k in range(stations):
        seats[k] = seats_of(c, k)
    find_room(plan, server, user, seats, enters, stays)
    w, load, last = weight[user], np.empty(stations), len(moving) - 1
    for h in range(slots):
        load[:] = 0.0
        for u in range(users):
            if u != user:
                load[plan[h, u]] += weight[u]
        for k in range(stations):
            gain[h, k] = slot_score(batch, first + h, user, k, load[k])
        if c.compute_sharing != SLICE:
            for u in range(users):
                if u != user:
                    k = plan[h, u]
                    others = load[k] - weight[u]
                    gain[h, k] += slot_score(batch, first + h, u, k, others + w) - slot_score(
                        batch, first + h, u, k, others
                    )
    value, ahead = np.zeros(stations), np.empty(stations)
    now, before = 0.0, server[user]
    for h in range(slots):
        k = plan[h, user]
        now += gain[h, k] - moving[min(h, last), before, k, user]
        before = k
    for h in range(slots - 1, -1, -1):
        for k in range(stations):
            ahead[k] = gain[h, k] + value[k] if stays[h, k] else -np.inf
        for k in range(stations):
            value[k], choice[h, k] = ahead[k] - moving[min(h, last), k, k, user], k
            for s in range(stations):
                net = ahead[s] - moving[min(h, last), k, s, user]
                if enters[h, s] and net > value[k]:
                    value[k], choice[h, k] = net, s
    rise = value[server[user]] - now
    if rise <= LEAST_RISE:
        return 0.0
    k = server[user]
    for h in range(slots):
        k = choice[h, k]
        plan[h, user] = k
    return rise


@compiled
def marginal_worth(arrays: tuple[np.ndarray, ...], first: int, plan: np.ndarray, prices: np.ndarray) -> None:
    """Write each user's marginal worth on each station, given the others' plan (H, N), into prices λ (H, M, N).

    arrays are a flat batch of one.
    """
    batch = unflatten(arrays)
    weight, c = batch.course.weight[0], batch.constants[0]
    slots, users = plan.shape
    stations = prices.shape[1]
    load = np.empty(stations)
    for h in range(slots):
        load[:] = 0.0
        for u in range(users):
            load[plan[h, u]] += weight[u]
        for k in range(stations):
            for u in range(users):
                others = load[k] - weight[u] if plan[h, u] == k else load[k]
                prices[h, k, u] = slot_score(batch, first + h, u, k, others)
        if c.compute_sharing == SLICE:
            continue
        for v in range(users):
            k = plan[h, v]
            others_load = load[k] - weight[v]
            alike = slot_score(batch, first + h, v, k, others_load)
            for u in range(users):
                if u == v:
                    continue
                if plan[h, u] == k:
                    prices[h, k, u] -= slot_score(batch, first + h, v, k, others_load - weight[u]) - alike
                else:
                    prices[h, k, u] -= alike - slot_score(batch, first + h, v, k, others_load + weight[u])
