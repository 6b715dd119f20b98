"""Rules for DTMigration-v0 that choose the stations of the agent's twins in a slot."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from agents.policy import Rule
from dtenv.compiled import compiled
from dtenv.forecasting.coverage import expect_access
from dtenv.physics.latency import wired_latency
from dtenv.physics.utility import interaction_utility, utility_time
from dtenv.scenario.migration import MigrationScenario
from dtenv.tasks.migration.slot import Constants, Slot, migration_price


@compiled
def worth(c: Constants, latency_s: float, deadline_s: float) -> float:
    """Part of the utility (20) that depends on the station."""
    return interaction_utility(
        c.utility_beta, latency_s, deadline_s, 0.0, utility_time(c.utility_time_s, deadline_s), 1.0
    )


@compiled
def never(c: Constants, slot: Slot, server: np.ndarray) -> None:
    """Keep every twin at its host."""
    server[:] = slot.server


@compiled
def best_latency(c: Constants, slot: Slot, server: np.ndarray) -> None:
    """Algorithm 3 of (Lu 2021) read as an argmax: move to the station of most utility, so least T_upd; ties stay."""
    for u in range(len(server)):
        server[u] = slot.server[u]
        for k in range(slot.latency_s.shape[1]):
            if slot.room[u, k] and slot.latency_s[u, k] < slot.latency_s[u, server[u]]:
                server[u] = k


@compiled
def best_latency_literal(c: Constants, slot: Slot, server: np.ndarray) -> None:
    """Algorithm 3 of (Lu 2021) as printed: the last station in order whose utility is at least the host's."""
    for u in range(len(server)):
        host = slot.server[u]
        server[u] = host
        for k in range(slot.latency_s.shape[1]):
            if slot.room[u, k] and slot.latency_s[u, k] <= slot.latency_s[u, host]:
                server[u] = k


def payback(slots: float, hysteresis: float) -> Rule:
    """Move once the gain of utility exceeds the hysteresis and, over `slots` slots, the price."""
    return lambda c, slot, server: move_if_it_pays(c, slot, slots, hysteresis, server)


@compiled
def move_if_it_pays(c: Constants, slot: Slot, slots: float, hysteresis: float, server: np.ndarray) -> None:
    """Rule of `payback`."""
    for u in range(len(server)):
        host, deadline = slot.server[u], slot.deadline_s[u]
        here = worth(c, slot.latency_s[u, host], deadline)
        server[u], most = host, 0.0
        for k in range(slot.latency_s.shape[1]):
            gain = worth(c, slot.latency_s[u, k], deadline) - here
            net = slots * gain - (slot.price[u, k] - slot.price[u, host])
            if slot.room[u, k] and gain > hysteresis and net > most:
                server[u], most = k, net


def lookahead(horizon: int, scenario: MigrationScenario) -> Rule:
    """Plan `horizon` slots ahead at the users' present velocity, and play the first move of the plan."""
    area_m, decorrelation_m = float(scenario.network.area_m), float(scenario.radio.shadowing_decorrelation_m)
    return partial(plan_ahead, horizon=horizon, area_m=area_m, decorrelation_m=decorrelation_m)


def plan_ahead(c: Any, slot: Slot, server: np.ndarray, horizon: int, area_m: float, decorrelation_m: float) -> None:
    """Rule of `lookahead`."""
    stations = len(slot.station_xy)
    utility, value = np.zeros((horizon + 1, stations)), np.zeros((2, stations))
    plan(c, slot, horizon, area_m, decorrelation_m, server, utility, value)


@compiled
def plan(
    c: Constants,
    slot: Slot,
    horizon: int,
    area_m: float,
    decorrelation_m: float,
    server: np.ndarray,
    utility: np.ndarray,
    value: np.ndarray,
) -> None:
    """Dynamic programming over (slot, station) for each user: utility less price, summed over `horizon` slots ahead.

    Loads and the wireless latency are held; path loss follows the extrapolated positions, which end at the border of
    the area, shadowing fades to its mean by a factor e per `decorrelation_m` walked, and the access station follows by
    the environment's rule. Writes server (users,); utility (horizon + 1, M) and value (2, M) are work arrays.
    """
    stations, station_xy = len(slot.station_xy), slot.station_xy[: c.stations]  # the cloud has no radio
    expected, walked_m, access = np.zeros((horizon, 2)), np.zeros(horizon), np.zeros(horizon, np.int64)
    for u in range(len(server)):
        deadline, bits, now = slot.deadline_s[u], slot.update_bits[u], slot.access[u]
        walked = np.hypot(slot.step_xy[u, 0], slot.step_xy[u, 1])
        for h in range(1, horizon + 1):
            for axis in range(2):
                expected[h - 1, axis] = min(max(slot.user_xy[u, axis] + h * slot.step_xy[u, axis], 0.0), area_m)
            walked_m[h - 1] = h * walked
        expect_access(
            c,
            slot.user_xy[u],
            slot.gain_db[u, : c.stations],
            now,
            station_xy,
            decorrelation_m,
            expected,
            walked_m,
            access,
        )
        for h in range(horizon + 1):
            then = now if h == 0 else access[h - 1]
            for k in range(stations):
                wired = wired_latency(c.wired_s_per_bit_m, bits, slot.wired_m[now, k])
                moved = wired_latency(c.wired_s_per_bit_m, bits, slot.wired_m[then, k])
                utility[h, k] = worth(c, slot.latency_s[u, k] - wired + moved, deadline)
        server[u] = first_move(c, slot, u, utility, value)


@compiled
def first_move(c: Constants, slot: Slot, u: int, utility: np.ndarray, value: np.ndarray) -> int:
    """First station of the best plan over (slot, station) for user u's twin; ties stay.

    `utility` (H + 1, M) is that of the present and the next slots on each station, without the prices of moving. Room
    is held; `value` (2, M) is a work array.
    """
    stations = utility.shape[1]
    value[:] = 0.0
    for h in range(len(utility) - 1, 0, -1):
        for k in range(stations):  # the best value from slot h on, from station k
            most = -np.inf
            for target in range(stations):
                price = 0.0
                if target != k:
                    price = migration_price(c, slot.data_bits[u], slot.wired_m[k, target])
                if target == k or slot.room[u, target]:
                    most = max(most, utility[h, target] + value[1, target] - price)
            value[0, k] = most
        value[1] = value[0]
    host = slot.server[u]
    best, most = host, utility[0, host] + value[1, host] - slot.price[u, host]
    for k in range(stations):
        net = utility[0, k] + value[1, k] - slot.price[u, k]
        if slot.room[u, k] and net > most:
            best, most = k, net
    return best
