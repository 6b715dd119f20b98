"""The placement model once more: plain loops from the paper's equations (Lu 2021), nothing from dtenv.

An instance is a dict in the instance format that `python -m dtenv score` reads. Where the paper leaves a choice,
the reading is that of docs/instance.md.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

PARAMS = {
    "bandwidth_hz": 20e6,
    "noise_dbm_per_hz": -174.0,
    "min_distance_m": 10.0,
    "wired_s_per_bit_m": 5e-10,
    "eta_s": 1.0,
    "sync_interval_s": 0.1,
    "host_cost": 0.2,
    "alpha": 1.0,
    "beta": 1.0,
    "utility_beta": 0.5,
    "utility_time_s": 1.0,
    "utility_energy_j": 1.0,
    "access": "strongest",
    "bandwidth_sharing": "equal",
    "compute_sharing": "sqrt",
}


def gain(params: dict[str, Any], user, station, shadowing_db: float) -> float:
    """h: the power that arrives of every watt sent."""
    kilometres = max(math.dist(user, station), params["min_distance_m"]) / 1e3
    return 10.0 ** (-(128.1 + 37.6 * math.log10(kilometres) + shadowing_db) / 10.0)


def access_stations(instance: dict[str, Any]) -> list[int]:
    """j of every user; the first of equals."""
    params, users, sites = instance["params"], instance["users"], instance["stations"]["xy_m"]
    chosen = []
    for at, shadowing in zip(users["xy_m"], instance["stations"]["shadowing_db"], strict=True):
        if params["access"] == "nearest":
            worth = [-math.dist(at, site) for site in sites]
        else:
            worth = [gain(params, at, site, shadow) for site, shadow in zip(sites, shadowing, strict=True)]
        chosen.append(worth.index(max(worth)))
    return chosen


def rate(instance: dict[str, Any], access: list[int], u: int) -> float:
    """r of (3), bit/s."""
    params, users, stations = instance["params"], instance["users"], instance["stations"]
    j = access[u]
    band = params["bandwidth_hz"] / (access.count(j) if params["bandwidth_sharing"] == "equal" else 1)
    noise_w = band * 10.0 ** (params["noise_dbm_per_hz"] / 10.0) / 1000.0
    h = gain(params, users["xy_m"][u], stations["xy_m"][j], stations["shadowing_db"][u][j])
    return band * math.log2(1.0 + users["transmit_power_w"][u] * h / noise_w)


def share(instance: dict[str, Any], u: int) -> float:
    """f of user u's twin, cycles a second, by the rule `compute_sharing`."""
    params, users, stations = instance["params"], instance["users"], instance["stations"]
    server = instance["action"]["server"]
    k = server[u]
    together = [v for v in range(len(server)) if server[v] == k]
    rule, hertz = params["compute_sharing"], stations["compute_hz"][k]
    if rule == "slice":
        return hertz / stations["twin_capacity"][k]
    if rule == "equal":
        return hertz / len(together)
    often = params["eta_s"] / params["sync_interval_s"]
    roots = {
        v: math.sqrt(users["cycles_per_bit"][v] * (users["data_bits"][v] + often * users["update_bits"][v]))
        for v in together
    }
    return hertz * roots[u] / sum(roots.values()) if roots[u] > 0 else 0.0


def terms(instance: dict[str, Any]) -> dict[str, Any]:
    """Every term of one slot under instance["action"]."""
    params, users, stations = instance["params"], instance["users"], instance["stations"]
    host, server = instance["action"]["host"], instance["action"]["server"]
    access = access_stations(instance)
    names = ("wireless", "wired", "compute", "initial", "update", "total")
    latency: dict[str, list[float]] = {name: [] for name in names}
    energy: dict[str, list[float]] = {"initial": [], "update": []}
    rates, shares, utility, late = [], [], [], []
    for u, k in enumerate(server):
        r, f = rate(instance, access, u), share(instance, u)
        metres = math.dist(stations["xy_m"][access[u]], stations["xy_m"][k])

        def parts(bits, u=u, r=r, f=f, metres=metres):
            """(4), (7) and (9), seconds."""
            cycles = users["cycles_per_bit"][u] * bits
            return bits / r, params["wired_s_per_bit_m"] * bits * metres, cycles / f if cycles else 0.0

        first, again = parts(users["data_bits"][u]), parts(users["update_bits"][u])
        initial, update = sum(first), sum(again)  # (10), (11)
        for name, seconds in zip(("wireless", "wired", "compute"), first, strict=True):
            latency[name].append(seconds)
        latency["initial"].append(initial)
        latency["update"].append(update)
        latency["total"].append(initial + params["eta_s"] * update / params["sync_interval_s"])  # (12), (13)
        power, deadline, beta = users["transmit_power_w"][u], users["deadline_s"][u], params["utility_beta"]
        energy["initial"].append(power * first[0])  # (19)
        energy["update"].append(power * again[0])
        prompt = math.exp((deadline - initial) / params["utility_time_s"])
        utility.append(beta * prompt - (1 - beta) * energy["initial"][u] / params["utility_energy_j"])  # (20)
        rates.append(r)
        shares.append(f)
        late.append(initial > deadline * (1 + 1e-9))
    mean = sum(latency["total"]) / len(server)
    cost = params["host_cost"] * sum(host) + sum(energy["initial"]) / len(server)  # (25)
    twins = [server.count(k) for k in range(len(host))]
    return {
        "access_station": access,
        "uplink_rate_bps": rates,
        "compute_share_hz": shares,
        "latency_s": latency,
        "energy_j": energy,
        "utility": utility,
        "system_latency_s": mean,
        "hosts": sum(host),
        "latency_reward": -mean,  # (24)
        "cost": cost,
        "reward": -params["alpha"] * mean - params["beta"] * cost,  # (26)
        "capacity_violated": [n > most for n, most in zip(twins, stations["twin_capacity"], strict=True)],
        "deadline_violated": late,
    }


def random_placement(
    rng: np.random.Generator,
    users: int,
    stations: int,
    *,
    capacity: int | None = None,
    deadline_s: tuple[float, float] = (2.0, 6.0),
    near: float = 0.0,
    without_data: float = 0.0,
    **params: Any,
) -> dict[str, Any]:
    """One slot under a random placement: some stations host, some of these without a twin.

    Args:
        rng: where the draws come from.
        users: how many.
        stations: how many.
        capacity: of every station; by default enough for all twins.
        deadline_s: range of τ.
        near: share of users who stand on a station, or within the least distance of it.
        without_data: share of users who have neither data nor updates.
        **params: in place of PARAMS.
    """
    host = rng.random(stations) < 0.7
    host[rng.integers(stations)] = True
    sites = rng.uniform(0, 1500, (stations, 2))
    offsets = rng.choice([0.0, 5.0], (users, 2)) * rng.uniform(-1, 1, (users, 2))
    by_a_station = sites[rng.integers(stations, size=users)] + offsets
    at = np.where(rng.random((users, 1)) < near, by_a_station, rng.uniform(0, 1500, (users, 2)))
    has_data = rng.random(users) >= without_data
    return {
        "model": "placement",
        "params": PARAMS | params,
        "users": {
            "xy_m": at.tolist(),
            "transmit_power_w": rng.uniform(0.1, 0.3, users).tolist(),
            "data_bits": (rng.uniform(1e6, 5e6, users) * has_data).tolist(),
            "update_bits": (rng.uniform(1e4, 1e5, users) * has_data).tolist(),
            "cycles_per_bit": rng.uniform(300, 700, users).tolist(),
            "deadline_s": rng.uniform(*deadline_s, users).tolist(),
            "update_deadline_s": rng.uniform(0.06, 0.12, users).tolist(),
        },
        "stations": {
            "xy_m": sites.tolist(),
            "compute_hz": rng.uniform(8e9, 24e9, stations).tolist(),
            "twin_capacity": [users if capacity is None else capacity] * stations,
            "shadowing_db": rng.normal(0, 8, (users, stations)).tolist(),
        },
        "action": {"host": host.astype(int).tolist(), "server": rng.choice(np.flatnonzero(host), users).tolist()},
    }
