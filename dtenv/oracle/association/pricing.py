"""Pricing: bound the worth of a set of users to one server by a sum over its users (Zhou 2025, eqs 22-26).

A server hosting the users A is worth

    V(A) = max over x of  Σ_A a ρ_u(D_u + x_u) - b tanh(z / 4 f0) - penalties,     z = M + Σ_A (E_u + c_u x_u),

with M the energy of the model transfer, under C2, Σ_A (L_u + k x_u) <= q, and C3, Σ_A P_u <= p. Its users couple only
through z, C2 and C3:

* -b tanh is convex, so within an interval of z it lies below its chord, which is linear and thus a sum over users;
* C2 gets a multiplier μ; with μ and a chord's slope β each user's data x_u has a closed form;
* C3 stays: choosing the users is a knapsack.

So the maximum over A of V(A) - Σ_A π_u is at most the maximum over intervals of the minimum over multipliers of a
knapsack of `worth` - π. Violating a constraint costs a fixed and a linear part (physics.barrier): then the multiplier
of C2 is at most the linear part, and the knapsack has to reach C3's capacity and is charged for the weight beyond it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dtenv.compiled import compiled
from dtenv.oracle.knapsack import WITHIN, knapsack, relaxed_knapsack
from dtenv.physics.barrier import FEASIBILITY_TOLERANCE, VIOLATION_FIXED, VIOLATION_SLOPE
from dtenv.physics.energy import normalised_energy
from dtenv.tasks.association.allocation import HIGH_MARGINAL, Program, demand, prepare
from dtenv.tasks.association.slot import Constants, Slot, load_user, program_of, unit_load_of

MULTIPLIERS = 14
"""Number of multipliers μ of C2, the first 0."""
LEAST_MULTIPLIER, MOST_MULTIPLIER = 0.01, 8.0
"""Range of the other multipliers, in units of the largest marginal utility per energy at full history."""
MARGIN = 1.0 + 2.0 * FEASIBILITY_TOLERANCE
"""Factor on capacities in bounds: the environment's tolerance plus rounding."""
SATURATED = 6.0
"""z / 4 f0 above which tanh is held constant at its value there."""
BREAKS_C3, BREAKS_C2, REGIMES = 1, 2, 4
"""Regimes, bit masks of the violated constraints: 0 where both hold, the sum where both are violated."""


class Prices(NamedTuple):
    """Separable worth of users to each server of a slot, and the coefficients of its bound."""

    worth: np.ndarray  # (S, K, J, U), K chords and J multipliers of C2
    room: np.ndarray  # (S, J) constant term μ q of the multiplier
    charged: np.ndarray  # (S,) number of multipliers that do not exceed the linear penalty of C2
    intercept: np.ndarray  # (K,) of b tanh at z = M: cost of a server that hosts any user
    sync: np.ndarray  # (S, U) P
    sync_room: np.ndarray  # (S,) p
    penalised: bool  # whether C2 and C3 may be violated for a penalty


class KnapsackWork(NamedTuple):
    """Work arrays (U,) of a knapsack."""

    value: np.ndarray
    order: np.ndarray  # int64
    stack: np.ndarray  # bool


def new_knapsack_work(num_users: int) -> KnapsackWork:
    """Allocate the knapsack's work arrays."""
    return KnapsackWork(np.zeros(num_users), np.zeros(num_users, np.int64), np.zeros(num_users, np.bool_))


def chords(f0: float, intervals: int) -> tuple[np.ndarray, np.ndarray]:
    """Chords of tanh(z / 4 f0) from 0 to SATURATED with about equal errors; the last is flat.

    Returns slopes (K,), per unit of energy, and intercepts (K,); within its interval tanh >= intercept + slope z.
    """
    fine = np.linspace(0.0, SATURATED, 20_001)
    density = np.sqrt(np.abs(2.0 * np.tanh(fine) / np.cosh(fine) ** 2)) + 1e-6
    mass = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    ends = np.interp(np.linspace(0.0, mass[-1], intervals), mass, fine) * 4.0 * f0
    height = np.array([normalised_energy(z, f0) for z in ends])
    slope = np.append(np.diff(height) / np.diff(ends), 0.0)
    return slope, height - slope * ends


def new_prices(num_users: int, num_servers: int, intervals: int, penalised: bool) -> Prices:
    """Allocate the prices of a slot."""
    return Prices(
        np.zeros((num_servers, intervals, MULTIPLIERS, num_users)),
        np.zeros((num_servers, MULTIPLIERS)),
        np.zeros(num_servers, np.int64),
        np.zeros(intervals),
        np.zeros((num_servers, num_users)),
        np.zeros(num_servers),
        penalised,
    )


@compiled
def fill_prices(
    c: Constants, slot: Slot, slope: np.ndarray, intercept: np.ndarray, prices: Prices, users: np.ndarray
) -> None:
    """Fill the prices of a slot for the chords' slopes and intercepts (K,); `users` is a work array of allocation."""
    num_servers, intervals, multipliers, num_users = prices.worth.shape
    b = c.beta2 / num_servers
    for i in range(intervals):
        prices.intercept[i] = b * (intercept[i] + slope[i] * c.transfer)
    for s in range(num_servers):
        q, p = slot.compute_capacity[s], slot.sync_capacity[s]
        prices.sync_room[s] = p * MARGIN
        unit_load = unit_load_of(c, slot, s)
        program = program_of(c, num_users, num_servers, 0.0, 0.0, unit_load, q)
        charge, top = VIOLATION_SLOPE / q, 0.0
        for u in range(num_users):
            load_user(c, slot, u, s, unit_load, users, 0)
            prepare(users, 1, program)
            if users[HIGH_MARGINAL, 0] < np.inf:
                top = max(top, users[HIGH_MARGINAL, 0] / unit_load)
        # 0, then a geometric grid around the values where C2 may bind, which contains the penalty of C2.
        low, high = max(min(LEAST_MULTIPLIER * top, charge), 1e-9 * charge), max(MOST_MULTIPLIER * top, charge)
        ratio = max((high / low) ** (1.0 / (multipliers - 2)), 1.1)
        prices.charged[s] = 2 + int(np.floor(np.log(charge / low) / np.log(ratio)))
        for j in range(multipliers):
            mu = charge * ratio ** (j + 1.0 - prices.charged[s]) if j > 0 else 0.0
            prices.room[s, j] = mu * q * MARGIN
            price_users(c, slot, s, j, mu, slope, program, prices, users)


@compiled
def price_users(
    c: Constants,
    slot: Slot,
    s: int,
    j: int,
    mu: float,
    slope: np.ndarray,
    program: Program,
    prices: Prices,
    users: np.ndarray,
) -> None:
    """Worth of every user to server s under multiplier j of C2, for every chord."""
    unit_load, b = program.unit_load, program.b
    for u in range(prices.worth.shape[3]):
        migration, synchronisation, load = load_user(c, slot, u, s, unit_load, users, 0)
        prices.sync[s, u] = synchronisation
        energy = migration + synchronisation + load
        prepare(users, 1, program)
        for i in range(len(slope)):
            beta = b * slope[i]
            utility, extra, taken, _ = demand(users, 1, program, beta, mu)
            prices.worth[s, i, j, u] = program.a * utility - beta * (energy + extra) - mu * (load + unit_load * taken)


@compiled
def limits(prices: Prices, s: int, regime: int) -> tuple[float, float]:
    """Capacity and charge of the knapsack for C3."""
    room = prices.sync_room[s]
    if regime & BREAKS_C3:
        return room / MARGIN, VIOLATION_SLOPE / room
    return room, WITHIN


@compiled
def items(prices: Prices, s: int, regime: int, i: int, j: int, dual: np.ndarray, value: np.ndarray) -> float:
    """Write each user's worth on server s less its dual into value (U,); return the constant term."""
    base = prices.room[s, j] - prices.intercept[i]
    if regime & BREAKS_C2:
        base -= VIOLATION_FIXED
    if regime & BREAKS_C3:
        base -= VIOLATION_FIXED
    for u in range(len(value)):
        value[u] = prices.worth[s, i, j, u] - dual[u]
    return base


@compiled
def relaxed(prices: Prices, s: int, regime: int, i: int, j: int, dual: np.ndarray, work: KnapsackWork) -> float:
    """Bound of one interval under one multiplier, by the fractional knapsack."""
    base = items(prices, s, regime, i, j, dual, work.value)
    room, charge = limits(prices, s, regime)
    return base + relaxed_knapsack(work.value, prices.sync[s], room, charge, work.order)


@compiled
def attain(
    prices: Prices, s: int, regime: int, i: int, j: int, dual: np.ndarray, work: KnapsackWork, chosen: np.ndarray
) -> float:
    """Bound of one interval under one multiplier, by the integer knapsack; `chosen` (U,) is set to its users."""
    base = items(prices, s, regime, i, j, dual, work.value)
    room, charge = limits(prices, s, regime)
    return base + knapsack(work.value, prices.sync[s], room, charge, work.order, work.stack, chosen)


@compiled
def descend(
    prices: Prices,
    s: int,
    regime: int,
    i: int,
    dual: np.ndarray,
    multiplier: np.ndarray,
    enough: float,
    work: KnapsackWork,
) -> float:
    """Minimum of `relaxed` over the multipliers of one interval, stopping at the first value of at most `enough`.

    It is convex in the multiplier, so the descent starts from multiplier[regime, i], which is updated.
    """
    most = prices.charged[s] if regime & BREAKS_C2 else prices.worth.shape[2]
    j = min(multiplier[regime, i], most - 1)
    best = relaxed(prices, s, regime, i, j, dual, work)
    for step in (-1, 1):
        while best > enough and 0 <= j + step < most:
            other = relaxed(prices, s, regime, i, j + step, dual, work)
            if other >= best:
                break
            best = other
            j += step
    multiplier[regime, i] = j
    return best


@compiled
def price_server(
    prices: Prices,
    s: int,
    dual: np.ndarray,
    multiplier: np.ndarray,
    last: np.ndarray,
    bounds: np.ndarray,
    work: KnapsackWork,
    chosen: np.ndarray,
) -> float:
    """Upper bound of V(A) - Σ_A π_u over all sets A of users on server s, including the empty one.

    `dual` is π (U,); `chosen` (U,) is set to the maximising users. Warm starts, updated: the best multipliers (REGIMES,
    K) and the best regime and interval `last` (2,). bounds (REGIMES, K) and work are work arrays.
    """
    intervals = prices.worth.shape[1]
    regimes = REGIMES if prices.penalised else 1
    # Start with the previous best: intervals that cannot exceed it need no tight bound.
    regime, i = last
    descend(prices, s, regime, i, dual, multiplier, -np.inf, work)
    first = attain(prices, s, regime, i, multiplier[regime, i], dual, work, chosen)
    top, best_regime, best_interval = 0.0, -1, -1  # the empty set
    if first > top:
        top, best_regime, best_interval = first, regime, i
    for regime in range(regimes):
        for i in range(intervals):
            bounds[regime, i] = descend(prices, s, regime, i, dual, multiplier, top, work)
    bounds[last[0], last[1]] = -np.inf
    while True:
        regime = i = -1
        most = top
        for r in range(regimes):
            for k in range(intervals):
                if bounds[r, k] > most:
                    most, regime, i = bounds[r, k], r, k
        if regime < 0:
            break
        bounds[regime, i] = -np.inf
        exact = attain(prices, s, regime, i, multiplier[regime, i], dual, work, chosen)
        if exact > top:
            top, best_regime, best_interval = exact, regime, i
    chosen[:] = False
    if best_regime >= 0:
        j = multiplier[best_regime, best_interval]
        attain(prices, s, best_regime, best_interval, j, dual, work, chosen)
        last[0], last[1] = best_regime, best_interval
    return top
