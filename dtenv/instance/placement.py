"""Score and optimum of one placement of twins (Lu 2021)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from dtenv.compiled import as_record
from dtenv.instance.reading import (
    ABOVE_ZERO,
    WHOLE,
    InstanceError,
    fields,
    finite,
    indices,
    length,
    numbers,
    parameter,
    rows,
)
from dtenv.oracle.placement import solve_slot
from dtenv.oracle.solution import Solution
from dtenv.scenario.edge import COMPUTE_SHARINGS, SLICE, Radio, Twins, Utility
from dtenv.scenario.placement import Objective
from dtenv.tasks.placement.slot import STATION_TERM, TOTAL, USER_TERM, Constants, Slot, Terms, evaluate, new_terms
from dtenv.tasks.uplink import choose_access, link_gains, wired_distances

FIELDS = ("model", "params", "users", "stations", "action")
RADIO = ("bandwidth_hz", "noise_dbm_per_hz", "min_distance_m", "access", "bandwidth_sharing")
TWIN = ("wired_s_per_bit_m", "eta_s", "sync_interval_s", "compute_sharing")
OBJECTIVES = ("host_cost", "alpha", "beta")
UTILITY = ("utility_beta", "utility_time_s", "utility_energy_j")
WORDS = {
    "access": ("strongest", "nearest"),
    "bandwidth_sharing": ("equal", "full"),
    "compute_sharing": COMPUTE_SHARINGS,
}
USERS = ("xy_m", "transmit_power_w", "data_bits", "update_bits", "cycles_per_bit", "deadline_s", "update_deadline_s")
STATIONS = ("xy_m", "compute_hz", "twin_capacity", "shadowing_db")

# Fixed by the format, independent of a scenario's defaults.
RADIO_READINGS: dict[str, Any] = {
    "path_loss_km_db": 128.1,
    "path_loss_decade_db": 37.6,
    "handover_margin_db": 0.0,
    "rate_logarithm": "log2",
}
OBJECTIVE_READINGS: dict[str, Any] = {
    "move_cost": 0.0,
    "charge_initial": "always",
    "wired_count": "once",
    "latency_mean": "users",
    "host_count": "hosts",
    "energy_total": "mean",
}

FARTHEST_M = 1e150
"""Largest coordinate, whose square is still a float."""
DEADLINES = ("ignore", "hard")
"""Whether the optimum ignores deadlines or has to meet them."""


# Name, row of Terms.users, and the fields that can make the term undefined; in order of computation, so that the first
# undefined term is at fault.
USER_TERMS: tuple[tuple[str, int, tuple[str, ...]], ...] = (
    ("uplink_rate_bps", USER_TERM.rate, ("users.transmit_power_w", "stations.shadowing_db")),
    (
        "compute_share_hz",
        USER_TERM.share,
        ("users.cycles_per_bit", "users.data_bits", "users.update_bits", "params.eta_s", "params.sync_interval_s"),
    ),
    ("latency_s.wireless", USER_TERM.wireless, ("users.data_bits", "stations.shadowing_db")),
    ("latency_s.wired", USER_TERM.wired, ("users.data_bits", "params.wired_s_per_bit_m")),
    ("latency_s.compute", USER_TERM.compute, ("users.data_bits", "users.cycles_per_bit")),
    ("latency_s.initial", USER_TERM.initial, ("users.data_bits",)),
    (
        "latency_s.update",
        USER_TERM.update,
        ("users.update_bits", "stations.shadowing_db", "params.wired_s_per_bit_m", "users.cycles_per_bit"),
    ),
    ("latency_s.total", USER_TERM.total, ("params.eta_s", "params.sync_interval_s")),
    ("energy_j.initial", USER_TERM.energy_initial, ("users.transmit_power_w",)),
    ("energy_j.update", USER_TERM.energy_update, ("users.transmit_power_w",)),
    (
        "utility",
        USER_TERM.utility,
        ("params.utility_beta", "users.deadline_s", "params.utility_time_s", "params.utility_energy_j"),
    ),
)


def score(instance: dict[str, Any]) -> dict[str, Any]:
    """Terms of one placement.

    Args:
        instance: an object of exactly FIELDS.

    Returns:
        Per user: access_station, uplink_rate_bps, compute_share_hz, latency_s, energy_j, utility, deadline_violated;
        per station: capacity_violated; system_latency_s, hosts, latency_reward, cost, reward. Infinite values are "inf"
        or "-inf".

    Raises:
        InstanceError: a field is unknown, missing, of wrong length or out of range, or makes a term undefined.
    """
    constants, record, slot = _read(instance)
    (n, m), action = slot.gain_db.shape, instance["action"]
    fields("action", action, ("host", "server"))
    host = indices("action.host", action["host"], m, 2).astype(np.bool_)
    server = indices("action.server", action["server"], n, m)
    for u, k in enumerate(server):
        if not host[k]:
            raise InstanceError(f"action.server[{u}] must be a hosting station, got {k}, where action.host is 0")
        if constants.compute_sharing == SLICE and slot.capacity[k] == 0:
            raise InstanceError(f"stations.twin_capacity[{k}] must be positive to slice computing for a twin, got 0")
    terms = new_terms(1, n, m)
    evaluate(record, slot, host, server, terms, 0)
    _refuse_undefined(constants, instance, terms)
    return _report(slot, terms)


def optimum(instance: dict[str, Any], deadlines: str = "ignore", **settings: Any) -> Solution:
    """Hosts and association of maximum reward (26) within capacities; settings are the oracle's."""
    _, record, slot = _read(instance)
    if deadlines not in DEADLINES:
        raise InstanceError(f"deadlines must be one of {', '.join(DEADLINES)}, got {deadlines!r}")
    solution = solve_slot(record, slot, deadlines=deadlines, **settings)
    if solution.action is None:
        return solution
    server = solution.action.tolist()
    return replace(solution, action={"host": [int(k in server) for k in range(len(slot.capacity))], "server": server})


def _read(instance: dict[str, Any]) -> tuple[Constants, Any, Slot]:
    """Constants, their record, and the slot of an instance."""
    params, users, stations = (instance[name] for name in FIELDS[1:4])
    fields("users", users, USERS)
    fields("stations", stations, STATIONS)
    n, m = length("users.data_bits", users["data_bits"]), length("stations.compute_hz", stations["compute_hz"])
    constants = _constants(params, n)
    record = as_record(constants)[0]
    return constants, record, _slot(record, users, stations, n, m)


def _constants(params: Any, num_users: int) -> Constants:
    fields("params", params, RADIO + TWIN + OBJECTIVES + UTILITY)
    values: dict[str, Any] = {}
    for name, value in params.items():
        if name not in WORDS:
            values[name] = parameter(f"params.{name}", value)
        elif value in WORDS[name]:
            values[name] = value
        else:
            raise InstanceError(f"params.{name} must be one of {', '.join(WORDS[name])}, got {value!r}")
    try:
        radio = Radio(**{k: values[k] for k in RADIO}, **RADIO_READINGS)
        twins = Twins(**{k: values[k] for k in TWIN})
        objective = Objective(**{k: values[k] for k in OBJECTIVES}, **OBJECTIVE_READINGS)
        utility = Utility(**{k: values[k] for k in UTILITY})
    except ValueError as error:
        raise InstanceError(f"params.{error}") from None
    constants = Constants.of_groups(radio, twins, objective, utility)
    least_band = constants.bandwidth_hz / num_users if constants.shares_bandwidth else constants.bandwidth_hz
    if not 0.0 < least_band * constants.noise_w_per_hz < math.inf:
        raise InstanceError(
            f"params.noise_dbm_per_hz must leave a noise power over params.bandwidth_hz {params['bandwidth_hz']!r} "
            f"that a float can hold, got {params['noise_dbm_per_hz']!r}"
        )
    return constants


def _slot(record: Any, users: Any, stations: Any, n: int, m: int) -> Slot:
    """Slot of n users and m stations under the constants of `record`."""

    def of_users(name: str, low: float) -> np.ndarray:
        return numbers(f"users.{name}", users[name], n, low=low)

    user_xy = rows("users.xy_m", users["xy_m"], n, 2, low=-FARTHEST_M, high=FARTHEST_M)
    station_xy = rows("stations.xy_m", stations["xy_m"], m, 2, low=-FARTHEST_M, high=FARTHEST_M)
    of_users("update_deadline_s", ABOVE_ZERO)  # a field of migration, which no term of a placement uses
    gain_db, wired_m, access = np.empty((n, m)), np.empty((m, m)), np.full(n, -1, np.int64)
    link_gains(record, user_xy, station_xy, rows("stations.shadowing_db", stations["shadowing_db"], n, m), gain_db)
    choose_access(record, user_xy, station_xy, gain_db, access)
    wired_distances(station_xy, wired_m)
    return Slot(
        transmit_power_w=of_users("transmit_power_w", ABOVE_ZERO),
        data_bits=of_users("data_bits", 0.0),
        update_bits=of_users("update_bits", 0.0),
        cycles_per_bit=of_users("cycles_per_bit", ABOVE_ZERO),
        deadline_s=of_users("deadline_s", ABOVE_ZERO),
        gain_db=gain_db,
        access=access,
        previous_server=np.full(n, -1, np.int64),  # used by moves alone, which the format lacks
        compute_hz=numbers("stations.compute_hz", stations["compute_hz"], m, low=ABOVE_ZERO),
        capacity=indices("stations.twin_capacity", stations["twin_capacity"], m, WHOLE),
        wired_m=wired_m,
        user_xy=user_xy,
        station_xy=station_xy,
    )


def _refuse_undefined(c: Constants, instance: dict[str, Any], terms: Terms) -> None:
    """Raise InstanceError if a term is nan: 0 · inf, inf / inf or inf - inf."""
    for name, row, inputs in USER_TERMS:
        undefined = np.flatnonzero(np.isnan(terms.users[0, row]))
        if len(undefined):
            u, got = undefined[0], []
            for group, key in (field.split(".") for field in inputs):
                value = instance[group][key]
                got.append(f"{group}.{key} {value!r}" if group == "params" else f"{group}.{key}[{u}] {value[u]!r}")
            raise InstanceError(f"{name}[{u}] must not be 0 * inf, 0 / 0 or the like, got {', '.join(got)}")
    if math.isnan(terms.totals[0, TOTAL.objective]):  # weight 0 times an infinite term
        name = "alpha" if c.alpha == 0.0 and math.isinf(terms.totals[0, TOTAL.latency]) else "beta"
        value = instance["params"][name]
        raise InstanceError(f"params.{name} must be positive where the term it weights is infinite, got {value!r}")


def _report(slot: Slot, terms: Terms) -> dict[str, Any]:
    users, stations, totals = terms.users[0], terms.stations[0], terms.totals[0]
    report: dict[str, Any] = {"access_station": users[USER_TERM.access].astype(int).tolist()}
    for name, row, _ in USER_TERMS:
        *above, last = name.split(".")
        group = report.setdefault(above[0], {}) if above else report
        group[last] = [finite(value) for value in users[row]]
    return report | {
        "system_latency_s": finite(totals[TOTAL.system_latency]),
        "hosts": int(totals[TOTAL.hosts]),
        "latency_reward": finite(0.0 - totals[TOTAL.latency]),  # not -0.0
        "cost": finite(totals[TOTAL.cost]),
        "reward": finite(totals[TOTAL.objective]),
        "capacity_violated": (stations[STATION_TERM.twins] > slot.capacity).tolist(),
        "deadline_violated": (users[USER_TERM.late] > 0.0).tolist(),
    }
