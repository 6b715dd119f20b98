"""The twins that are not the agent's in DTMigration's focal mode: where they go, slot by slot, whatever the agent does.

A twin moves to the station of least latency that has a seat beside the one kept for the focal user: at once, or with
"payback" once the move pays for itself in BACKGROUND_PAYBACK_SLOTS. Users decide one after another.

Which station is best does not depend on the user's rate. So a user who is content stays so until its access station
changes, a twin joins its own, or one leaves a station that then is better: most users need no look in most slots.
"""

from __future__ import annotations

import numpy as np

from dtenv.compiled import compiled
from dtenv.scenario.migration import BACKGROUNDS
from dtenv.tasks.migration_slot import Constants, computing_latency, update_latency, utility
from dtenv.world.migration import MigrationTape

PAYBACK, NEVER = BACKGROUNDS.index("payback"), BACKGROUNDS.index("never")

BACKGROUND_PAYBACK_SLOTS = 10.0
"""Slots in which a background twin's move has to pay for itself."""


@compiled
def standing_latency(
    c: Constants,
    tape: MigrationTape,
    b: int,
    u: int,
    k: int,
    distance_m: float,
    weight: np.ndarray,
    loads: np.ndarray,
    host: int,
) -> float:
    """What of T_upd depends on the station k: wired and computing time beside the other twins there."""
    bits, w = tape.update_bits[b, u], weight[u]
    others = loads[0, k] - w if k == host else loads[0, k]
    computing = computing_latency(c, bits, tape.compute_hz[b, k], w, others)
    return update_latency(c, bits, np.inf, distance_m, computing)


@compiled
def best_station(
    c: Constants,
    tape: MigrationTape,
    b: int,
    u: int,
    wired_m: np.ndarray,
    weight: np.ndarray,
    loads: np.ndarray,
    host: int,
) -> tuple[int, float, float]:
    """The station of least latency with a seat, from the user's access station at wired_m (M,); the first of equals.

    Returns:
        The station, and wired and computing seconds there and at the host.
    """
    here = standing_latency(c, tape, b, u, host, wired_m[host], weight, loads, host)
    target, least = host, here
    for k in range(len(wired_m)):
        if k == host or loads[1, k] >= c.capacity - 1:
            continue
        if update_latency(c, tape.update_bits[b, u], np.inf, wired_m[k], 0.0) >= least:
            continue  # too far whatever it computes: most stations are
        latency = standing_latency(c, tape, b, u, k, wired_m[k], weight, loads, host)
        if latency < least or (latency == least and k < target):
            target, least = k, latency
    return target, least, here


@compiled
def worth_of_moving(c: Constants, tape: MigrationTape, b: int, u: int, rate: float, least: float, here: float) -> float:
    """Utility a slot gained between two stations' wired and computing seconds, at an uplink rate."""
    bits, deadline = tape.update_bits[b, u], tape.deadline_s[b, u]
    wireless = update_latency(c, bits, rate, 0.0, 0.0)
    return utility(c, bits, rate, wireless + least, deadline) - utility(c, bits, rate, wireless + here, deadline)


@compiled
def look_again(
    c: Constants,
    tape: MigrationTape,
    b: int,
    left: int,
    joined: int,
    path: np.ndarray,
    access: np.ndarray,
    wired_m: np.ndarray,
    weight: np.ndarray,
    loads: np.ndarray,
    looks: np.ndarray,
) -> None:
    """A twin has moved: mark in looks (N,) whom it concerns; path (N,) holds hosts, access (N,) access stations."""
    for v in range(1, len(path)):
        host = path[v]
        if host == joined:
            looks[v] = True
        elif host != left and not looks[v]:
            there = standing_latency(c, tape, b, v, left, wired_m[access[v], left], weight, loads, host)
            here = standing_latency(c, tape, b, v, host, wired_m[access[v], host], weight, loads, host)
            looks[v] = there < here
