"""The association model once more: plain loops from the paper's equations (Zhou 2025), nothing from dtenv.

An instance is a dict in the instance format that `python -m dtenv score` reads.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np

TABLE_II = {
    "alpha": [0.8862, 6.8382, 0.0006, 0.9172, -0.0231, 0.8366],
    "n_mig": 1e-4,
    "n_syn": 0.1,
    "n_cmp": 1e-7,
    "bandwidth_hz": 15e3,
    "transmit_power_w": 0.2,
    "channel_gain": 1.0,
    "noise_dbm": -174.0,
    "f0": 200.0,
    "beta1": 0.3,
    "beta2": 0.7,
    "barrier_curve": 10.0,
    "epochs_local": 50,
    "epochs_fine_tune": 10,
    "bits_per_sample": 784,
    "migrate_current_data": True,
}


def ceiling(alpha: list[float], emd: float) -> float:
    """v of (12)."""
    return alpha[3] * math.exp(-(((alpha[4] + emd) / alpha[5]) ** 2))


def utility(alpha: list[float], samples: float, emd: float) -> float:
    """ρ of (11)."""
    v = ceiling(alpha, emd)
    return v - alpha[0] * math.exp(-alpha[1] * (alpha[2] * samples) ** v)


def norm(energy: float, f0: float) -> float:
    """Norm of (22)."""
    return 2.0 / (1.0 + math.exp(-energy / (2.0 * f0))) - 1.0


def rate(params: dict[str, Any]) -> float:
    """The denominator of (14), bit/s."""
    noise_w = 10.0 ** (params["noise_dbm"] / 10.0) / 1000.0
    snr = params["transmit_power_w"] * params["channel_gain"] / noise_w
    return params["bandwidth_hz"] * math.log2(1.0 + snr)


def manhattan(a, b) -> float:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def barrier(load: float, capacity: float, curve: float) -> float:
    """B of (24) at x = load - capacity."""
    return -math.log(capacity - load) / curve if load < capacity else math.inf


def terms(instance: dict[str, Any], history) -> dict[str, Any]:
    """Every term of one slot under κ = instance["action"]["server"] and γ = history."""
    p, users, servers = instance["params"], instance["users"], instance["servers"]
    kappa, count = instance["action"]["server"], len(servers["xy_m"])
    migration, synchronisation, computation = [0.0] * count, [0.0] * count, [0.0] * count
    rho, total_samples = [], []
    for u, s in enumerate(kappa):
        total = users["samples"][u] + history[u] * users["previous_samples"][u]
        total_samples.append(total)
        rho.append(utility(p["alpha"], total, users["emd"][u]))
        moved = total if p["migrate_current_data"] else history[u] * users["previous_samples"][u]
        home = servers["xy_m"][users["previous_server"][u]]
        wire = manhattan(home, servers["xy_m"][s])
        migration[s] += p["n_mig"] * wire * (moved * p["bits_per_sample"] + users["twin_bits"][u])
        upload_s = users["samples"][u] * p["bits_per_sample"] / rate(p)
        synchronisation[s] += p["n_syn"] * upload_s * manhattan(users["xy_m"][u], servers["xy_m"][s])
        cycles = servers["cycles_per_bit"][s] * total * p["bits_per_sample"]
        cycles *= p.get("compute_factor", 1.0)
        computation[s] += p["n_cmp"] * cycles * (p["epochs_local"] + p["epochs_fine_tune"])
    model = p.get("n_agg", 0.0) * p.get("model_bits", 0.0)
    transfer = [model if s in kappa else 0.0 for s in range(count)]
    energy = [sum(parts) for parts in zip(migration, synchronisation, computation, transfer, strict=True)]
    normalised = [norm(c, p["f0"]) for c in energy]
    objective = p["beta1"] / len(kappa) * sum(rho) - p["beta2"] / count * sum(normalised)
    q, pp, f = servers["compute_capacity"], servers["sync_capacity"], p["barrier_curve"]
    walls = sum(barrier(computation[s], q[s], f) + barrier(synchronisation[s], pp[s], f) for s in range(count))
    return {
        "total_samples": total_samples,
        "utility": rho,
        "energy": {
            "migration": migration,
            "synchronisation": synchronisation,
            "computation": computation,
            "transfer": transfer,
        },
        "normalised_energy": normalised,
        "objective": objective,
        "barrier": walls,
        "reward": objective - walls,
        "feasible": {
            "compute": all(computation[s] <= q[s] * (1 + 1e-9) for s in range(count)),
            "synchronisation": all(synchronisation[s] <= pp[s] * (1 + 1e-9) for s in range(count)),
        },
    }


def score(instance: dict[str, Any], history) -> float:
    """e minus .04 + .4 x relative excess for every violated constraint."""
    found, servers = terms(instance, history), instance["servers"]
    penalty = 0.0
    for load, capacity in (("computation", "compute_capacity"), ("synchronisation", "sync_capacity")):
        for x, q in zip(found["energy"][load], servers[capacity], strict=True):
            penalty += 0.04 + 0.4 * (x / q - 1) if x > q * (1 + 1e-9) else 0.0
    return found["objective"] - penalty


def random_instance(
    rng: np.random.Generator,
    users: int,
    servers: int,
    *,
    samples: tuple[int, int] = (50, 600),
    migrants: float = 0.5,
    crowd: float = 0.0,
    room: tuple[float, ...] = (9.0,),
    **params: Any,
) -> dict[str, Any]:
    """One slot under a random association.

    Args:
        rng: where the draws come from.
        users: how many.
        servers: how many.
        samples: range of D and D'.
        migrants: share of users whose twin was on a random server before.
        crowd: share of users on server 0; the others are on random servers.
        room: a server's q is drawn from these, as shares of the way from the load of γ = 0 to that of γ = 1;
            below 0, C2 cannot be met.
        **params: in place of Table II.
    """
    kappa = np.where(rng.random(users) < crowd, 0, rng.integers(servers, size=users))
    before = np.where(rng.random(users) < migrants, rng.integers(servers, size=users), kappa)
    instance = {
        "model": "association",
        "params": copy.deepcopy(TABLE_II) | params,
        "users": {
            "xy_m": rng.uniform(0, 120, (users, 2)).tolist(),
            "samples": rng.integers(*samples, size=users, endpoint=True).tolist(),
            "previous_samples": rng.integers(*samples, size=users, endpoint=True).tolist(),
            "twin_bits": rng.uniform(4.4e3, 4.6e3, users).tolist(),
            "emd": rng.choice([0.0, 0.2, 0.4, 0.6, 1.0], users).tolist(),
            "previous_server": before.tolist(),
        },
        "servers": {
            "xy_m": rng.uniform(0, 120, (servers, 2)).tolist(),
            "cycles_per_bit": rng.uniform(54, 56, servers).tolist(),
            "compute_capacity": [1450.0] * servers,
            "sync_capacity": rng.uniform(120, 130, servers).tolist(),
        },
        "action": {"server": kappa.tolist(), "history": "optimal"},
    }
    low = np.array(terms(instance, np.zeros(users))["energy"]["computation"])
    high = np.array(terms(instance, np.ones(users))["energy"]["computation"])
    q = np.maximum(low + rng.choice(room, servers) * (high - low), 0.5 * low)
    instance["servers"]["compute_capacity"] = np.where(low > 0, q, 1450.0).tolist()
    return instance


def instance_of(slot: Any, scenario: Any, server=None) -> dict[str, Any]:
    """An environment's slot, in physical units, as an instance; `server` is κ, by default what was before."""
    groups = (scenario.learning, scenario.radio, scenario.energy, scenario.objective, scenario.data)
    params = {name: getattr(group, name) for name in TABLE_II for group in groups if hasattr(group, name)}
    params |= {"compute_factor": scenario.learning.compute_factor}
    params |= {"n_agg": scenario.n_agg, "model_bits": scenario.model_bits}
    users = ("samples", "previous_samples", "twin_bits", "emd", "previous_server")
    servers = ("cycles_per_bit", "compute_capacity", "sync_capacity")
    return {
        "model": "association",
        "params": params | {"alpha": list(params["alpha"])},
        "users": {name: getattr(slot, name).tolist() for name in users} | {"xy_m": slot.user_xy.tolist()},
        "servers": {name: getattr(slot, name).tolist() for name in servers} | {"xy_m": slot.server_xy.tolist()},
        "action": {"server": list(slot.previous_server if server is None else map(int, server)), "history": "optimal"},
    }


def fits(instance: dict[str, Any], together: list[int], s: int) -> bool:
    """Whether server s meets C2 without history, and C3, with the users `together` and nobody else."""
    p, users, servers = instance["params"], instance["users"], instance["servers"]
    load = synchronisation = 0.0
    for u in together:
        bits = users["samples"][u] * p["bits_per_sample"]
        epochs = (p["epochs_local"] + p["epochs_fine_tune"]) * p.get("compute_factor", 1.0)
        load += p["n_cmp"] * servers["cycles_per_bit"][s] * bits * epochs
        synchronisation += p["n_syn"] * bits / rate(p) * manhattan(users["xy_m"][u], servers["xy_m"][s])
    limits = servers["compute_capacity"][s], servers["sync_capacity"][s]
    return load <= limits[0] * (1 + 1e-9) and synchronisation <= limits[1] * (1 + 1e-9)


def by_distance(instance: dict[str, Any], u: int) -> list[int]:
    """Servers from the nearest to user u to the farthest."""
    at, sites = instance["users"]["xy_m"][u], instance["servers"]["xy_m"]
    return sorted(range(len(sites)), key=lambda s: manhattan(at, sites[s]))


def baseline_2(instance: dict[str, Any]) -> list[int]:
    """Users by falling D, each to the nearest server with room, or to the nearest where none has."""
    samples = instance["users"]["samples"]
    kappa: dict[int, int] = {}
    for u in sorted(range(len(samples)), key=lambda u: -samples[u]):
        nearest = by_distance(instance, u)
        roomy = [s for s in nearest if fits(instance, [u, *(v for v in kappa if kappa[v] == s)], s)]
        kappa[u] = (roomy or nearest)[0]
    return [kappa[u] for u in range(len(samples))]
