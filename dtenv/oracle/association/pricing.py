"""What a set of twins can be worth to one server, bounded by what each of them is worth apart (Zhou 2025, eqs 22-26).

A server hosting the users A is worth

    V(A) = max over x of  Σ_A a ρ_u(D_u + x_u) - b tanh(z / 4 f0) - penalties,     z = M + Σ_A (E_u + c_u x_u),

with M for the model's transfer, under C2, Σ_A (L_u + k x_u) <= q, and C3, Σ_A P_u <= p. Its users couple through z, C2
and C3 alone:

* -b tanh is convex, so within an interval of z it lies below its chord, which is linear: each user adds to it apart;
* C2 gets a multiplier μ, and with a μ and a chord's slope β each user's data x_u has a closed form;
* C3 stays: which users to take is a knapsack.

So over all A the most of V(A) - Σ_A π_u is at most the largest, over intervals, of the least, over multipliers, of a
knapsack of `worth` - π. Breaking a constraint costs a fixed and a linear part (physics.barrier): the multiplier of C2
then is at most the linear part, and the knapsack has to reach C3's room and is charged for what lies beyond.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dtenv.compiled import compiled
from dtenv.oracle.knapsack import WITHIN, knapsack, relaxed_knapsack
from dtenv.physics.barrier import FEASIBILITY_TOLERANCE, VIOLATION_FIXED, VIOLATION_SLOPE
from dtenv.physics.energy import normalised_energy
from dtenv.tasks.association.allocation import HIGH_MARGINAL, Program, demand, prepare
from dtenv.tasks.association.slot import Constants, Slot, enlist, program_of, unit_load_of

MULTIPLIERS = 14
"""Multipliers μ tried for C2, the first 0."""

LEAST_MULTIPLIER, MOST_MULTIPLIER = 0.01, 8.0
"""The others' range, in units of the largest marginal utility, at full history, of an energy."""

MARGIN = 1.0 + 2.0 * FEASIBILITY_TOLERANCE
"""Of capacities in bounds: the environment's tolerance, and room for its rounding."""

SATURATED = 6.0
"""z / 4 f0 from which on tanh is held constant, at its value there."""


BREAKS_C3, BREAKS_C2, REGIMES = 1, 2, 4
"""What a set does to the constraints, which decides its charge: 0 where it meets both, the sum where it breaks both."""


class Prices(NamedTuple):
    """What users are worth apart to each server of a slot, and what bounds their sum."""

    worth: np.ndarray  # (S, K, J, U) for a chord and a multiplier of C2
    room: np.ndarray  # (S, J) what the multiplier adds, μ q
    charged: np.ndarray  # (S,) of how many multipliers, the smallest, none exceeds what breaking C2 costs
    intercept: np.ndarray  # (K,) of b tanh, at z = M: what a server costs by hosting anybody
    sync: np.ndarray  # (S, U) P
    sync_room: np.ndarray  # (S,) p
    penalised: bool  # whether C2 and C3 may be broken at a price


class KnapsackWork(NamedTuple):
    """Work arrays (U,) of a knapsack."""

    value: np.ndarray
    order: np.ndarray  # whole numbers
    stack: np.ndarray  # bool


def new_knapsack_work(num_users: int) -> KnapsackWork:
    """Work arrays for a network of so many users."""
    return KnapsackWork(np.zeros(num_users), np.zeros(num_users, np.int64), np.zeros(num_users, np.bool_))


def chords(f0: float, intervals: int) -> tuple[np.ndarray, np.ndarray]:
    """Chords of tanh(z / 4 f0) from 0 to SATURATED with about equal errors; the last is flat.

    Returns:
        Slopes (K,), a unit of energy, and intercepts (K,): within its interval tanh >= intercept + slope z.
    """
    fine = np.linspace(0.0, SATURATED, 20_001)
    density = np.sqrt(np.abs(2.0 * np.tanh(fine) / np.cosh(fine) ** 2)) + 1e-6
    mass = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    ends = np.interp(np.linspace(0.0, mass[-1], intervals), mass, fine) * 4.0 * f0
    height = np.array([normalised_energy(z, f0) for z in ends])
    slope = np.append(np.diff(height) / np.diff(ends), 0.0)
    return slope, height - slope * ends


def new_prices(num_users: int, num_servers: int, intervals: int, penalised: bool) -> Prices:
    """Room for the prices of a slot."""
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
    """Fill the prices of a slot, for chords' slopes and intercepts; `users` is a work array of allocation."""
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
            enlist(c, slot, u, s, unit_load, users, 0)
            prepare(users, 1, program)
            if users[HIGH_MARGINAL, 0] < np.inf:
                top = max(top, users[HIGH_MARGINAL, 0] / unit_load)
        # 0, and a geometric row around where C2 may bind, with what breaking C2 costs in it.
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
        migration, synchronisation, load = enlist(c, slot, u, s, unit_load, users, 0)
        prices.sync[s, u] = synchronisation
        energy = migration + synchronisation + load
        prepare(users, 1, program)
        for i in range(len(slope)):
            beta = b * slope[i]
            utility, extra, taken, _ = demand(users, 1, program, beta, mu)
            prices.worth[s, i, j, u] = program.a * utility - beta * (energy + extra) - mu * (load + unit_load * taken)


@compiled
def limits(prices: Prices, s: int, regime: int) -> tuple[float, float]:
    """Room and charge of the knapsack that stands for C3."""
    room = prices.sync_room[s]
    if regime & BREAKS_C3:
        return room / MARGIN, VIOLATION_SLOPE / room
    return room, WITHIN


@compiled
def items(prices: Prices, s: int, regime: int, i: int, j: int, dual: np.ndarray, value: np.ndarray) -> float:
    """Write what each user adds to server s, less its dual, into value (U,); returns what is there without users."""
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
    """Bound of one interval under one multiplier, users taken in part."""
    base = items(prices, s, regime, i, j, dual, work.value)
    room, charge = limits(prices, s, regime)
    return base + relaxed_knapsack(work.value, prices.sync[s], room, charge, work.order)


@compiled
def attain(
    prices: Prices, s: int, regime: int, i: int, j: int, dual: np.ndarray, work: KnapsackWork, chosen: np.ndarray
) -> float:
    """Bound of one interval under one multiplier, users taken whole: sets `chosen` (U,) to those taken."""
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
    """The least `relaxed` bound of one interval over multipliers, or the first that is at most `enough`.

    In the multiplier it is convex: from multiplier[regime, i], which is updated, it goes down to the least.
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
    """Upper bound of V(A) - Σ_A π_u over all sets A of users on server s, the empty one included.

    Args:
        prices: of the slot.
        s: the server.
        dual: π, (U,).
        multiplier: (REGIMES, K) the multiplier that was best last time; updated.
        last: (2,) regime and interval that were best last time; updated.
        bounds: (REGIMES, K) work array: bounds by the relaxed knapsack.
        work: work arrays of the knapsack.
        chosen: (U,) bool: set to the users that attain the bound.
    """
    intervals = prices.worth.shape[1]
    regimes = REGIMES if prices.penalised else 1
    # The last time's best first: what cannot exceed it need not be looked at closely.
    regime, i = last
    descend(prices, s, regime, i, dual, multiplier, -np.inf, work)
    first = attain(prices, s, regime, i, multiplier[regime, i], dual, work, chosen)
    top, best_regime, best_interval = 0.0, -1, -1  # of the empty set
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
