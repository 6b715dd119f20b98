"""Costs of every pair of user and station in a slot of DTPlacementMA: the coefficients of its exact program.

Costs are the negative score (or objective), computed by the environment's own `twin_score`. A twin's cost depends on
the other twins of its station only through their number n and their total computing weight S, both including its own:
cost_ik(n) + slope_ik S; the twin is late where S > limit_ik(n).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dtenv.compiled import as_record, compiled
from dtenv.physics.barrier import FEASIBILITY_TOLERANCE, is_violated
from dtenv.scenario.edge import EQUAL, SLICE, SQRT
from dtenv.tasks.placement.slot import (
    STATION_TERM,
    USER_TERM,
    Constants,
    Slot,
    add_loads,
    computing_weight,
    host_score,
    twin_score,
)
from dtenv.tasks.uplink import DIRECT

ROUNDING = 1e-12
"""Relative error of sums in another order; limits are raised by it, which keeps bounds valid."""
DEAREST = 1e100
"""Largest finite cost of a pair."""

PENALISED, IGNORE, HARD = DEADLINES = ("penalised", "ignore", "hard")


class PairCosts(NamedTuple):
    """Costs of N users on M stations at L levels; level l is l + 1 twins on the station, or any number if L = 1."""

    cost: np.ndarray  # (N, M, L), inf where the pair is forbidden
    slope: np.ndarray  # (N, M) cost per unit of the station's weight
    limit: np.ndarray  # (N, M, L) largest weight of the station at which the user is not late, inf for any
    weight: np.ndarray  # (N,) the user's own, 0 where only counts matter
    late: float  # cost of a late user, inf where forbidden
    host: float  # cost of a station with twins
    capacity: np.ndarray  # (M,) at most N
    by_count: bool  # whether levels distinguish numbers of twins
    infinite: bool  # whether a pair is forbidden by an infinite cost rather than by a deadline or capacity


def as_constants(constants: Any) -> Any:
    """Return a task's record of constants, given one or `Constants`.

    Raises:
        TypeError: constants has another type.
        ValueError: a weight of the objective is negative or not finite.
    """
    if isinstance(constants, Constants):
        constants = as_record(constants)[0]
    if not isinstance(constants, np.void):
        raise TypeError(f"constants must be a task's record of constants or Constants, got {type(constants).__name__}")
    for name in ("alpha", "beta", "host_cost", "deadline_penalty", "move_cost", "eta_s", "wired_s_per_bit_m"):
        if not 0.0 <= constants[name] < np.inf:
            raise ValueError(f"{name} must be finite and not negative, got {constants[name]!r}")
    return constants


def check_slot(slot: Slot) -> Slot:
    """Return the slot with arrays of the kernels' types; ValueError for a wrong shape or a number out of range."""
    num_users, num_stations = np.shape(slot.gain_db)
    if not num_users or not num_stations:
        raise ValueError(f"gain_db must have users and stations, got shape {np.shape(slot.gain_db)}")
    users, stations = (num_users,), (num_stations,)
    shapes = {
        **dict.fromkeys(("transmit_power_w", "data_bits", "update_bits", "cycles_per_bit", "deadline_s"), users),
        **{"compute_hz": stations, "wired_m": stations * 2},
    }
    fields = slot._asdict()
    for name, shape in shapes.items():
        values = fields[name] = np.ascontiguousarray(fields[name], dtype=np.float64)
        if values.shape != shape or not np.isfinite(values).all() or (values < 0.0).any():
            raise ValueError(f"{name} must be {shape} finite nonnegative numbers, got {values.tolist()}")
    if not (fields["compute_hz"] > 0.0).all():
        raise ValueError(f"compute_hz must be positive, got {fields['compute_hz'].tolist()}")
    gain_db = fields["gain_db"] = np.ascontiguousarray(slot.gain_db, dtype=np.float64)
    if np.isnan(gain_db).any() or (gain_db == np.inf).any():
        raise ValueError("gain_db must not be nan or inf")
    for name, shape, low, high in (
        ("access", users, 0, num_stations),
        ("previous_server", users, -1, num_stations),
        ("capacity", stations, 0, np.inf),
    ):
        whole = fields[name] = np.ascontiguousarray(fields[name], dtype=np.int64)
        if whole.shape != shape or (whole < low).any() or (whole >= high).any():
            raise ValueError(f"{name} must be {shape} integers in [{low}, {high}), got {whole.tolist()}")
    return Slot(**fields)


def costs_of(constants: Any, slot: Slot, deadlines: str = PENALISED, settled: bool = False) -> PairCosts:
    """Costs of a slot.

    Args:
        constants: the record.
        slot: from `check_slot`.
        deadlines: one of DEADLINES.
        settled: whether every twin counts as already hosted by the station it goes to; then no association costs more
            than with the true previous hosts.

    Raises:
        ValueError: deadlines is unknown, or a cost is nan (0 · inf, inf - inf) or too large.
    """
    if deadlines not in DEADLINES:
        raise ValueError(f"deadlines must be one of {', '.join(DEADLINES)}, got {deadlines!r}")
    num_users, num_stations = slot.gain_db.shape
    capacity = np.minimum(slot.capacity, num_users)
    direct = constants["access"] == DIRECT and constants["shares_bandwidth"]
    by_count = bool(direct or constants["compute_sharing"] == EQUAL)
    levels = max(1, int(capacity.max())) if by_count else 1
    cost, limit = (np.empty((num_users, num_stations, levels)) for _ in range(2))
    slope, weight = np.zeros((num_users, num_stations)), np.zeros(num_users)
    free = np.array([constants])  # without deadline penalty: lateness is decided by `limit`
    free["deadline_penalty"] = 0.0
    host = _fill(free[0], slot, settled, cost, slope, limit, weight)
    for name, values in (("cost", cost), ("slope", slope), ("limit", limit)):
        if np.isnan(values).any():
            u, k = np.argwhere(np.isnan(values))[0, :2]
            raise ValueError(
                f"data_bits, update_bits, cycles_per_bit, gain_db, wired_m, compute_hz, alpha and beta must leave the "
                f"{name} of user {u} on station {k} a number, not 0 * inf, inf / inf or inf - inf"
            )
    dearest = max(np.where(np.isinf(cost), 0.0, cost).max(), slope.max() * max(1.0, weight.sum()))
    if dearest > DEAREST:
        raise ValueError(
            f"gain_db, wired_m, data_bits and compute_hz must leave latencies and energies that cost at most "
            f"{DEAREST:g}, or infinitely much, got {dearest:g}"
        )
    infinite = np.isinf(cost) & (np.arange(levels) < slot.capacity[:, None])
    nowhere = np.flatnonzero(np.isinf(cost).all(axis=(1, 2)) & infinite.any(axis=(1, 2)))
    if len(nowhere):
        raise ValueError(
            f"gain_db, wired_m and data_bits must leave user {nowhere[0]} a station of finite latency and energy"
        )
    late = 0.0 if deadlines == IGNORE else np.inf if deadlines == HARD else constants["deadline_penalty"] / num_users
    if late == 0.0:
        limit[:] = np.inf
    _settle(cost, limit, weight, capacity, late)
    return PairCosts(cost, slope, limit, weight, float(late), host, capacity, by_count, bool(infinite.any()))


def largest_weight(weight: np.ndarray, allowed: np.ndarray, capacity: np.ndarray) -> np.ndarray:
    """Largest total weight (M,) that each station can hold of the users `allowed` (N, M) on it."""
    most = np.where(allowed, weight[:, None], 0.0)
    most = -np.sort(-most, axis=0)
    return np.array([most[: capacity[k], k].sum() for k in range(most.shape[1])])


def _settle(cost: np.ndarray, limit: np.ndarray, weight: np.ndarray, capacity: np.ndarray, late: float) -> None:
    """Charge pairs that are late even alone, and remove the limits that no load can reach."""
    always = limit < weight[:, None, None]
    cost[always] += late
    limit[always] = np.inf
    most = largest_weight(weight, np.isfinite(cost).any(axis=2), capacity)
    limit[limit >= most[None, :, None]] = np.inf


@compiled
def _fill(
    c: Constants, slot: Slot, settled: bool, cost: np.ndarray, slope: np.ndarray, limit: np.ndarray, weight: np.ndarray
) -> float:
    """Write the arrays of `PairCosts` under constants without deadline penalty; return the cost of a host."""
    num_users, num_stations, levels = cost.shape
    users, loads = np.zeros((len(USER_TERM), num_users)), np.zeros((len(STATION_TERM), num_stations))
    previous = slot.previous_server.copy()
    before = Slot(*slot[:7], previous, *slot[8:])
    if c.access != DIRECT:
        add_loads(c, slot, np.zeros(num_users, np.int64), loads)  # for `transmitting`, which depends on no server
    for u in range(num_users):
        weight[u] = computing_weight(c, slot, u) if c.compute_sharing == SQRT else 0.0
    total = weight.sum()
    a_twin = -host_score(c, True, 1.0) if c.twins_as_hosts else 0.0
    for u in range(num_users):
        for k in range(num_stations):
            if settled:
                previous[u] = k
            for level in range(levels):
                twins = level + 1.0
                transmitting = twins if c.access == DIRECT else loads[STATION_TERM.transmitting, slot.access[u]]
                among = 0.0 if c.compute_sharing == SQRT else twins
                if c.compute_sharing == SLICE:
                    among = max(float(slot.capacity[k]), 1.0)  # stations without capacity host no twin
                cost[u, k, level] = a_twin - twin_score(c, before, u, k, among, transmitting, users)
                initial = users[USER_TERM.initial, u]
                limit[u, k, level] = -np.inf if is_violated(initial, slot.deadline_s[u]) else np.inf
                if weight[u] > 0.0 and cost[u, k, level] < np.inf:
                    loaded = a_twin - twin_score(c, before, u, k, total, transmitting, users)
                    slope[u, k] = max(0.0, (loaded - cost[u, k, level]) / total)
                    seconds = (users[USER_TERM.initial, u] - initial) / total  # per unit of weight
                    if seconds > 0.0 and limit[u, k, level] > 0.0:
                        latest = slot.deadline_s[u] * (1.0 + FEASIBILITY_TOLERANCE) * (1.0 + ROUNDING)
                        limit[u, k, level] = (latest - initial) / seconds * (1.0 + ROUNDING)
                if level >= slot.capacity[k]:
                    cost[u, k, level] = np.inf
        previous[u] = slot.previous_server[u]
    return 0.0 if c.twins_as_hosts else -host_score(c, True, 1.0)
