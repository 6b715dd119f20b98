"""Globally optimal allocation of historical data on one server, solved inside the step (Zhou 2025, eq. 26).

Given a server's users, choose how much of the last slot's data each twin trains on, x_u = γ_u D'_u:

    minimise   G(x) + b tanh(z / 4 f0)        G(x) = -a Σ ρ_u(D_u + x_u)        (convex)
    subject to y <= q,  0 <= x_u <= D'_u      z = z0 + Σ c_u x_u                (total energy)
                                              y = y0 + k Σ x_u                  (computation energy, C2)

with a = β1 / U, b = β2 / S. The paper's Theorem 2 calls this convex; it is not, as tanh is concave and couples the
users of a server, and with migrating users several local minima occur. It is solved globally:

* A concave function is the minimum of its tangents, so the optimum is min over slopes λ of ψ(λ) + g(λ), where ψ(λ) is
  the tangent's intercept and g(λ) = min_x G + λ z a convex program with a closed-form solution per user (Wright omega)
  and one multiplier μ for C2.
* g is concave. Between two slopes it lies above its chord, and ψ + chord has a closed-form minimum: a lower bound for
  every slope between. Each new slope is placed at the lowest bound, until the best value found and the lowest bound
  differ by less than `tolerance`. That difference is the certificate.

With `barrier_curve` > 0 the term -ln(q - y) / f (Zhou 2025, eq. 24) replaces y <= q; only the equation for μ changes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dtenv.compiled import compiled, inlined, kernel
from dtenv.physics.energy import normalised_energy, normalised_energy_slope
from dtenv.physics.utility import data_power, data_utility, marginal_utility

MAX_SLOPES = 96
"""Maximum number of slopes; the certificate shows if they did not suffice."""

# Rows of the work array `users`, one column per user of the server; one 2-D array is faster to pass than many 1-D ones.
FRESH = 0  # D, samples
PAST = 1  # D', samples
CEILING = 2  # v
COST = 3  # c, energy per sample
LOW_MARGINAL = 4  # a ρ' at γ = 0
HIGH_MARGINAL = 5  # a ρ' at γ = 1
LOW_UTILITY = 6  # ρ at γ = 0
HIGH_UTILITY = 7  # ρ at γ = 1
OFFSET = 8  # in the Wright omega's argument
RATIO = 9  # v / (1 - v)
FACTOR = 10  # α2 v / (1 - v), which is w / p
LOG_FACTOR = 11
TAKEN = 12  # x, samples, at the latest slope
BEST = 13  # x, samples, at the best value
USER = 14  # index of the user in the network, an integer
EMD = 15  # φ, which determines v
FOLLOWER = 16  # next user on the same server, or -1; columns are users of the network

# Rows of the work array `slopes`, one column per slope, in rising order of λ.
SLOPE = 0  # λ
TOUCH = 1  # energy z whose tangent has slope λ
DUAL = 2  # g(λ)
BOUND = 3  # lower bound on the interval from this slope to the next
NEXT = 4  # energy z whose tangent attains that bound


class Program(NamedTuple):
    """Scalars of one server's program."""

    a: float
    b: float
    f0: float
    alpha1: float
    alpha2: float
    alpha3: float
    energy0: float  # z0
    load0: float  # y0
    unit_load: float  # k, computation energy per sample
    capacity: float  # q
    barrier_curve: float  # f; 0 for the hard constraint


def work_arrays(num_users: int) -> tuple[np.ndarray, np.ndarray]:
    """Allocate the work arrays `users` and `slopes` for any server of a network with `num_users` users."""
    return np.zeros((FOLLOWER + 1, num_users)), np.zeros((NEXT + 1, MAX_SLOPES))


@compiled
def wright_omega(x: float) -> float:
    """Solution w of w + ln w = x, for real x, to a relative error of about 1e-15 (Lawrence et al. 2012)."""
    if x > 1.0:
        w = x - math.log(x) * (1.0 - 1.0 / x)
    elif x > -2.0:
        w = math.exp(0.6 * (x - 1.0)) if x > 0.0 else 0.5671432904097838 * math.exp(0.64 * x)
    else:
        w = math.exp(x)
        if x < -36.0:
            return w
        w = w * (1.0 - w)
    for _ in range(2):  # Fritsch-Shafer-Crowley: fourth order
        r = x - w - math.log(w)
        t = 1.0 + w
        s = 2.0 * t * (t + 2.0 / 3.0 * r)
        w *= 1.0 + r / t * (s - r) / (s - 2.0 * r)
    return w


@kernel
def prepare(users: np.ndarray, n: int, program: Program) -> None:
    """Fill utilities and marginal utilities at γ = 1, and those at γ = 0 that cannot be computed lazily.

    Lazily means for users with γ < 1 only. It needs a ρ' to be lower at γ = 1 than at γ = 0 despite rounding: a tenth
    more data lowers it by a factor of 1.1^(1 - v) or more, unless both are almost 0.
    """
    a, alpha1, alpha2, alpha3 = program.a, program.alpha1, program.alpha2, program.alpha3
    for u in range(n):
        v, fresh, past = users[CEILING, u], users[FRESH, u], users[PAST, u]
        full = fresh + past
        power = data_power(full, v, alpha3)
        high = a * marginal_utility(full, power, v, alpha1, alpha2)
        users[HIGH_UTILITY, u] = data_utility(power, v, alpha1, alpha2)
        users[HIGH_MARGINAL, u] = high
        users[LOW_MARGINAL, u] = math.nan
        if not (past > 0.1 * fresh and high > 1e-200):
            prepare_low(users, u, program)
        users[FACTOR, u] = 0.0  # few users need `prepare_omega`


@kernel
def prepare_low(users: np.ndarray, u: int, program: Program) -> None:
    """Fill utility and marginal utility at γ = 0 unless already known."""
    if math.isnan(users[LOW_MARGINAL, u]):
        v, fresh = users[CEILING, u], users[FRESH, u]
        power = data_power(fresh, v, program.alpha3)
        users[LOW_UTILITY, u] = data_utility(power, v, program.alpha1, program.alpha2)
        users[LOW_MARGINAL, u] = program.a * marginal_utility(fresh, power, v, program.alpha1, program.alpha2)


@kernel
def prepare_omega(users: np.ndarray, u: int, program: Program) -> None:
    """Fill a user's terms of the Wright omega's argument."""
    v, alpha1, alpha2, alpha3 = users[CEILING, u], program.alpha1, program.alpha2, program.alpha3
    ratio = v / (1.0 - v)
    users[RATIO, u] = ratio
    users[FACTOR, u] = alpha2 * ratio
    users[LOG_FACTOR, u] = math.log(alpha2 * ratio)
    users[OFFSET, u] = ratio * math.log(program.a * alpha1 * alpha2 * alpha3 * v) + users[LOG_FACTOR, u]


@inlined
def demand(
    users: np.ndarray, n: int, program: Program, slope: float, price: float
) -> tuple[float, float, float, float]:
    """Minimise G + λ z + μ y over the box, user by user, into users[TAKEN]; return Σ ρ, Σ c x, Σ x and d Σ x / d ln μ.

    With p = (α3 D)^v, stationarity a ρ'(D) = m for the user's cost m = λ c + μ k per sample reads
    w + ln w = offset - ratio ln m, where w = α2 ratio p.
    """
    alpha1, alpha2, alpha3, load_price = program.alpha1, program.alpha2, program.alpha3, price * program.unit_load
    utility = energy = total = response = level = worth = steep = 0.0
    last_marginal = last_ceiling = -1.0
    for u in range(n):
        cost = users[COST, u]
        marginal = slope * cost + load_price
        full = marginal <= users[HIGH_MARGINAL, u]
        if not full:
            prepare_low(users, u, program)
        if marginal >= users[LOW_MARGINAL, u]:
            users[TAKEN, u] = 0.0
            utility += users[LOW_UTILITY, u]
            continue
        if full:
            x = users[PAST, u]
            utility += users[HIGH_UTILITY, u]
        else:
            v = users[CEILING, u]
            if marginal != last_marginal or v != last_ceiling:  # equal users share the data level
                if users[FACTOR, u] == 0.0:
                    prepare_omega(users, u, program)
                argument = users[OFFSET, u] - users[RATIO, u] * math.log(marginal)
                w = wright_omega(argument)
                power = w / users[FACTOR, u]
                level = math.exp((argument - w - users[LOG_FACTOR, u]) / v) / alpha3  # ln w = argument - w
                worth = data_utility(power, v, alpha1, alpha2)
                if price > 0.0:
                    steep = load_price / marginal * level / (1.0 - v + alpha2 * v * power)
                last_marginal, last_ceiling = marginal, v
            x = min(max(level - users[FRESH, u], 0.0), users[PAST, u])
            utility += worth
            response -= steep
        users[TAKEN, u] = x
        energy += cost * x
        total += x
    return utility, energy, total, response


@kernel
def price_bracket(users: np.ndarray, n: int, program: Program, slope: float) -> tuple[float, float]:
    """Bounds of the multiplier μ at which demand meets capacity.

    At the lower bound some user takes all (or it is the barrier's slope at x = 0); at the upper bound no user takes
    anything, which always fits. The upper bound is infinite if a user has no new data.
    """
    least = 0.0
    if program.barrier_curve > 0.0:
        least = 1.0 / (program.barrier_curve * (program.capacity - program.load0))
    low, high = math.inf, least
    for u in range(n):
        if users[PAST, u] > 0.0:
            prepare_low(users, u, program)
            low = min(low, (users[HIGH_MARGINAL, u] - slope * users[COST, u]) / program.unit_load)
            high = max(high, (users[LOW_MARGINAL, u] - slope * users[COST, u]) / program.unit_load)
    return max(least, low if program.barrier_curve == 0.0 else 0.0), high


@compiled
def norm_of(energy: float, f0: float, known_energy: float, known_norm: float) -> float:
    """Normalised energy; skips the tanh, the costliest operation, where `known_energy` is the same, as it often is."""
    return known_norm if energy == known_energy else normalised_energy(energy, f0)


@inlined
def respond(
    users: np.ndarray, n: int, program: Program, slope: float, hint: float, known_energy: float, known_norm: float
) -> tuple[float, float, float, float, float]:
    """Evaluate g(λ): minimise G + λ z under C2 (or with its barrier), into users[TAKEN].

    Returns G + b tanh(z / 4 f0) (+ barrier) at the solution, g(λ), μ, z and tanh(z / 4 f0). g(λ) is the Lagrangian's
    value, a lower bound for any accuracy of μ.
    """
    room, f = program.capacity - program.load0, program.barrier_curve
    hard = f == 0.0
    target = room * (1.0 - 1e-12) if hard else room  # ends on the feasible side
    price = low = high = 0.0
    tries, last = 0, False
    while True:
        utility, energy, total, response = demand(users, n, program, slope, price)
        load = program.unit_load * total
        if last or (tries == 0 and hard and not load > room):
            break
        if tries == 0:
            # residual(μ) = k Σ x + [1 / f μ] - room falls with μ; Newton in ln μ between brackets.
            low, high = price_bracket(users, n, program, slope)
            price = hint
        else:
            give = 0.0 if hard else 1.0 / (f * price)
            residual = load + give - target
            if abs(residual) <= 1e-12 * room and load < room:
                break
            if residual > 0.0:
                low = price
            else:
                high = price
            last = tries == 200 or (high < math.inf and high - low <= 1e-16 * high)
            steep = program.unit_load * response - give
            step = -residual / steep if steep < 0.0 else math.inf
            price = price * math.exp(step) if abs(step) < 3.0 else 0.0
        tries += 1
        if last:  # a jump in demand: stay on the feasible side
            price = high
        elif not low < price < high:  # Newton leaves the bracket: bisect it, in logarithms
            if high == math.inf:
                price = max(4.0 * low, slope, 1e-9)
            else:
                price = math.sqrt(low * high) if low > 0.0 else 1e-3 * high
    z = program.energy0 + energy
    norm = norm_of(z, program.f0, known_energy, known_norm)
    value = program.b * norm - program.a * utility
    dual = slope * z - program.a * utility + price * (load - room)
    if not hard:
        value -= math.log(room - load) / f
        dual += (1.0 + math.log(f * price)) / f
    return value, dual, price, z, norm


@kernel
def bound_interval(slopes: np.ndarray, i: int, program: Program, known_energy: float, known_norm: float) -> None:
    """Write the minimum of ψ + chord of g from slope i to slope i + 1, and where it is attained."""
    low, high = slopes[SLOPE, i], slopes[SLOPE, i + 1]
    least, most = slopes[TOUCH, i + 1], slopes[TOUCH, i]  # the steeper tangent touches at the lower energy
    touch, at, slope = most, i, low
    if low < high:  # false once tanh has saturated and more energy costs nothing
        chord = (slopes[DUAL, i + 1] - slopes[DUAL, i]) / (high - low)
        if chord <= least:
            touch, at, slope = least, i + 1, high
        elif chord < most:
            touch = chord
    slopes[NEXT, i] = touch
    norm = norm_of(touch, program.f0, known_energy, known_norm)
    slopes[BOUND, i] = program.b * norm - slope * touch + slopes[DUAL, at]


@kernel
def allocate(users: np.ndarray, slopes: np.ndarray, n: int, program: Program, tolerance: float) -> tuple[float, float]:
    """Solve one server's program for its first `n` users, after `prepare`, to a proven gap of at most `tolerance`.

    Returns the minimum found and a proven lower bound; the solution x is in users[BEST]. If even γ = 0 violates C2,
    x = 0 and the gap is 0.
    """
    limit = 0.0
    for u in range(n):
        users[BEST, u] = 0.0
        limit += users[COST, u] * users[PAST, u]
    room = program.capacity - program.load0
    if limit == 0.0 or room <= 0.0:
        utility = 0.0
        for u in range(n):
            prepare_low(users, u, program)
            utility += users[LOW_UTILITY, u]
        value = program.b * normalised_energy(program.energy0, program.f0) - program.a * utility
        if program.barrier_curve > 0.0 and room > 0.0:
            value -= math.log(room) / program.barrier_curve
        return value, value

    best, price, z, norm = math.inf, 0.0, -1.0, 0.0
    count = at = 0
    while count < MAX_SLOPES:
        new, touch = count, program.energy0 + limit * (1 - count)  # first the two end points
        if count >= 2:
            if not best - slopes[BOUND, at] > tolerance:
                break
            new, touch = at + 1, slopes[NEXT, at]
        slope = program.b * normalised_energy_slope(touch, program.f0)
        if count >= 2 and not slopes[SLOPE, at] < slope < slopes[SLOPE, at + 1]:
            break  # the interval is as narrow as floating point allows
        for i in range(count, new, -1):
            for row in range(NEXT + 1):
                slopes[row, i] = slopes[row, i - 1]
        count += 1
        slopes[SLOPE, new] = slope
        slopes[TOUCH, new] = touch
        value, slopes[DUAL, new], price, z, norm = respond(users, n, program, slope, price, z, norm)
        if value < best:
            best = value
            for u in range(n):
                users[BEST, u] = users[TAKEN, u]
        for i in range(max(new - 1, 0), min(new + 1, count - 1)):
            bound_interval(slopes, i, program, z, norm)
        at = 0
        for i in range(1, count - 1):
            if slopes[BOUND, i] < slopes[BOUND, at]:
                at = i
    return best, min(best, slopes[BOUND, at])
