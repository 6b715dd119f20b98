"""Placement and migration once more: plain loops from the paper's equations (Lu 2021), nothing from dtenv.

`p` holds a scenario's values by name (`Scenario.as_dict`). What is drawn comes as a dict of lists: (N,) users, (M,)
stations, and for a migration episode (T + 2, …) slots.
"""

from __future__ import annotations

import math
from typing import Any

Values = dict[str, Any]


def capacity(p: Values) -> int:
    """N_k."""
    return p["twin_capacity"] or math.ceil(2 * p["num_users"] / p["num_stations"])


# The uplink


def gains_db(p: Values, user_xy, station_xy, shadowing_db) -> list[list[float]]:
    """Channel gains (N, M), dB."""
    found = []
    for xy, shadows in zip(user_xy, shadowing_db, strict=True):
        metres = [max(math.dist(xy, at), p["min_distance_m"]) for at in station_xy]
        loss = [p["path_loss_km_db"] + p["path_loss_decade_db"] * math.log10(d / 1000) for d in metres]
        found.append([-a - b for a, b in zip(loss, shadows, strict=True)])
    return found


def access_stations(p: Values, user_xy, station_xy, gain, before=None) -> list[int]:
    """The strongest station, that of before unless another is stronger by more than the margin, or the nearest."""
    chosen, stations = [], range(len(station_xy))
    for u, xy in enumerate(user_xy):
        best = max(stations, key=lambda k: gain[u][k])
        if p["access"] == "nearest":
            best = min(stations, key=lambda k: math.dist(xy, station_xy[k]))
        elif before is not None and gain[u][best] <= gain[u][before[u]] + p["handover_margin_db"]:
            best = before[u]
        chosen.append(best)
    return chosen


def uplink_rate(p: Values, gain: float, users: int) -> float:
    """(3), bit/s, of one of the `users` at a station."""
    bandwidth = p["bandwidth_hz"] / users if p["bandwidth_sharing"] == "equal" else p["bandwidth_hz"]
    noise_w = bandwidth * 10 ** (p["noise_dbm_per_hz"] / 10) / 1000
    logarithm = math.log2 if p["rate_logarithm"] == "log2" else math.log
    return bandwidth * logarithm(1 + p["transmit_power_w"] * 10 ** (gain / 10) / noise_w)


def weight(p: Values, data_bits: float, update_bits: float) -> float:
    """s_i = √(C (D + η/Δt ΔD))."""
    return math.sqrt(p["cycles_per_bit"] * (data_bits + p["eta_s"] / p["sync_interval_s"] * update_bits))


def compute_share(p: Values, cycles: float, weights: list[float], own: float) -> float:
    """f_ik among the twins of `weights` on a station."""
    if p["compute_sharing"] == "sqrt":
        return cycles * own / sum(weights)
    return cycles / (len(weights) if p["compute_sharing"] == "equal" else capacity(p))


def utility(p: Values, latency: float, deadline: float, energy: float) -> float:
    """U of (20), normalised."""
    time = deadline if p["utility_time_s"] is None else p["utility_time_s"]
    beta = p["utility_beta"]
    return beta * math.exp((deadline - latency) / time) - (1 - beta) * energy / p["utility_energy_j"]


# From bids to hosts and an association


def choose_hosts(host_bid, room, users: int) -> list[bool]:
    """Bids above one half, then the next highest, until all twins have room."""
    host = [bid > 0.5 for bid in host_bid]
    for k in sorted(range(len(host)), key=lambda k: (-host_bid[k], k)):
        if sum(r for r, h in zip(room, host, strict=True) if h) >= users:
            break
        host[k] = host[k] or room[k] > 0  # who has none is no help
    return host


def greedy(bid, host, room) -> list[int]:
    """Pairs by falling bid (M, N), then station, then user; taken if the user is free and the host has room."""
    pairs = [(-bid[k][u], k, u) for k in range(len(bid)) if host[k] for u in range(len(bid[k]))]
    room, server = list(room), {}
    for _, k, u in sorted(pairs):
        if u not in server and room[k] > 0:
            server[u] = k
            room[k] -= 1
    return [server[u] for u in range(len(bid[0]))]


def bids_of_prices(p: Values, slot: Values, price) -> list[list[float]]:
    """A user's wired time and computing at stations' prices, negative: (M, N)."""
    sizes = [weight(p, d, e) for d, e in zip(slot["data_bits"], slot["update_bits"], strict=True)]
    level = 2 * sum(sizes) / sum(slot["compute_hz"])
    bid = []
    for k, at in enumerate(slot["station_xy"]):
        row = []
        for u, size in enumerate(sizes):
            bits = slot["data_bits"][u] + p["eta_s"] / p["sync_interval_s"] * slot["update_bits"][u]
            metres = 0 if p["access"] == "direct" else math.dist(slot["station_xy"][slot["access"][u]], at)
            row.append(-p["wired_s_per_bit_m"] * bits * metres - level * 8 ** (2 * price[k] - 1) * size)
        bid.append(row)
    return bid


def associate(station_xy, wanted, room) -> tuple[list[bool], list[int]]:
    """Hosts and association closest to the stations `wanted`: who finds one full goes to the nearest host with room."""
    users, stations = range(len(wanted)), range(len(station_xy))
    host = choose_hosts([float(k in wanted) for k in stations], room, len(wanted))
    bid = [
        [1.0 if wanted[u] == k else -math.dist(station_xy[wanted[u]], station_xy[k]) for u in users] for k in stations
    ]
    return host, greedy(bid, host, room)


# Placement


def placement_slot(p: Values, slot: Values, host, server) -> Values:
    """`info` of one slot, and every station's share of the score."""
    n, m = len(server), len(host)
    on = {k: [u for u in range(n) if server[u] == k] for k in range(m)}
    weights = [weight(p, d, e) for d, e in zip(slot["data_bits"], slot["update_bits"], strict=True)]
    access = list(server) if p["access"] == "direct" else slot["access"]
    rows = []
    for u, k in enumerate(server):
        j, data, update, deadline = access[u], slot["data_bits"][u], slot["update_bits"][u], slot["deadline_s"][u]
        rate = uplink_rate(p, slot["gain_db"][u][j], access.count(j))
        share = compute_share(p, slot["compute_hz"][k], [weights[v] for v in on[k]], weights[u])
        wired_s_per_bit = p["wired_s_per_bit_m"] * math.dist(slot["station_xy"][j], slot["station_xy"][k])
        wireless, wired, compute = data / rate, wired_s_per_bit * data, p["cycles_per_bit"] * data / share
        initial = wireless + (1 if p["wired_count"] == "once" else 2) * wired + compute  # (10)
        upd = update / rate + wired_s_per_bit * update + p["cycles_per_bit"] * update / share  # (11)
        sync = p["eta_s"] * upd / p["sync_interval_s"]  # (12)
        energy = p["transmit_power_w"] * wireless  # (19)
        moved = k != slot["previous"][u]
        rows.append(
            {
                "latency_wireless": wireless,
                "latency_wired": wired,
                "latency_compute": compute,
                "latency_initial": initial,
                "latency_update": upd,
                "latency": initial + sync,
                "charged": sync + (initial if moved or p["charge_initial"] == "always" else 0),
                "energy": energy,
                "utility": utility(p, initial, deadline, energy),
                "late": initial > deadline * (1 + 1e-9),
                "moved": moved,
            }
        )

    def total(name: str, users=range(n)) -> float:
        return sum(rows[u][name] for u in users)

    means = ("latency", "utility", *(name for name in rows[0] if name.startswith("latency_")))
    per = n * m if p["latency_mean"] == "users-and-stations" else n
    energy_per = n if p["energy_total"] == "mean" else 1

    def worth(users, hosts: float) -> float:
        cost = p["host_cost"] * hosts + total("energy", users) / energy_per
        moves = p["move_cost"] * total("moved", users) / n
        late = p["deadline_penalty"] * total("late", users) / n
        return -p["alpha"] * total("charged", users) / per - p["beta"] * cost - moves - late

    counted = [len(on[k]) if p["host_count"] == "twins" else float(host[k]) for k in range(m)]
    score = worth(range(n), sum(counted))
    objective = score + p["deadline_penalty"] * total("late") / n
    return {name: total(name) / n for name in means} | {
        "score": score,
        "objective": objective,
        "system_cost": -objective,
        "energy": total("energy"),
        "latency_reward": -total("charged") / per,
        "placement_cost": p["host_cost"] * sum(counted) + total("energy") / energy_per,
        "cost": total("late") / n,
        "violations": total("late"),
        "feasible": total("late") == 0,
        "migrations": total("moved"),
        "hosts": sum(map(bool, host)),
        "local": [worth(on[k], counted[k]) for k in range(m)],
    }


# Migration


def migration_course(p: Values, tape: Values) -> Values:
    """Gains, access stations and rates of every slot."""
    gain, access, rate, before = [], [], [], None
    for user_xy, shadowing in zip(tape["user_xy"], tape["shadowing_db"], strict=True):
        gain.append(gains_db(p, user_xy, tape["station_xy"], shadowing))
        before = access_stations(p, user_xy, tape["station_xy"], gain[-1], before)
        access.append(before)
        rate.append([uplink_rate(p, gain[-1][u][j], before.count(j)) for u, j in enumerate(before)])
    return {"gain_db": gain, "access": access, "rate": rate}


def first_stations(p: Values, tape: Values, access: list[int]) -> list[int]:
    """Users 1, 2, …, 0: each at its access station or the nearest with room; one seat a station is user 0's."""
    n, room, first = len(access), capacity(p), {}
    spare = 1 if (room - 1) * len(tape["station_xy"]) >= n - 1 else 0
    for u in [*range(1, n), 0]:
        seats = room if u == 0 else room - spare
        free = [k for k in range(len(tape["station_xy"])) if list(first.values()).count(k) < seats]
        first[u] = min(free, key=lambda k: math.dist(tape["station_xy"][access[u]], tape["station_xy"][k]))
    return [first[u] for u in range(n)]


def update_parts(p: Values, tape: Values, course: Values, t: int, u: int, k: int, server) -> tuple[float, float, float]:
    """Wireless, wired and computing time of (11) were user u's twin on station k, all others where they are."""
    bits, at = tape["update_bits"][u], tape["station_xy"]
    together = [v for v in range(len(server)) if v == u or server[v] == k]
    weights = {v: weight(p, tape["data_bits"][v], tape["update_bits"][v]) for v in together}
    share = compute_share(p, tape["compute_hz"][k], list(weights.values()), weights[u])
    metres = math.dist(at[course["access"][t][u]], at[k])
    return bits / course["rate"][t][u], p["wired_s_per_bit_m"] * bits * metres, p["cycles_per_bit"] * bits / share


def user_utility(p: Values, tape: Values, course: Values, t: int, u: int, k: int, server) -> float:
    """(20) were user u's twin on station k."""
    parts = update_parts(p, tape, course, t, u, k, server)
    return utility(p, sum(parts), tape["deadline_s"][u], p["transmit_power_w"] * parts[0])


def downtime(p: Values, tape: Values, u: int, source: int, target: int) -> float:
    """T_mig, seconds."""
    metres = math.dist(tape["station_xy"][source], tape["station_xy"][target])
    return p["downtime_s"] + p["wired_s_per_bit_m"] * tape["data_bits"][u] * metres if source != target else 0.0


def migration_slot(p: Values, tape: Values, course: Values, t: int, before, server, users) -> Values:
    """`info` of slot t for the agent's `users`."""
    rows = []
    for u in users:
        wireless, wired, compute = update_parts(p, tape, course, t, u, server[u], server)
        down = downtime(p, tape, u, before[u], server[u])
        stations = range(len(tape["station_xy"]))
        rows.append(
            {
                "latency_wireless": wireless,
                "latency_wired": wired,
                "latency_compute": compute,
                "latency": wireless + wired + compute,
                "energy": p["transmit_power_w"] * wireless,
                "utility": user_utility(p, tape, course, t, u, server[u], server),
                "downtime": down,
                "migration_price": p["kappa"] * down / p["slot_seconds"],
                "cost": float(wireless + wired + compute > tape["deadline_s"][u] * (1 + 1e-9)),
                "alike": sum(user_utility(p, tape, course, t, u, k, server) for k in stations) / len(stations),
            }
        )
    info = {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}
    info["objective"] = info["utility"] - info["migration_price"]
    info["score"] = info["objective"] - p["deadline_penalty"] * info["cost"]
    info["centred"] = info["score"] - info.pop("alike")
    info["violations"] = sum(row["cost"] for row in rows)
    info["feasible"] = info["violations"] == 0
    info["migrations"] = sum(before[u] != server[u] for u in users)
    info["handovers"] = sum(course["access"][t][u] != course["access"][t - 1][u] for u in users)
    return info


def move(p: Values, server, wanted) -> tuple[list[int], int]:
    """The association after requests (n,) are met in the users' order, and how many were refused."""
    server, refused = list(server), 0
    for u, k in enumerate(wanted):
        if k != server[u] and server.count(k) >= capacity(p):
            refused += 1
        else:
            server[u] = k
    return server, refused


def background(p: Values, tape: Values, course: Values, first) -> list[list[int]]:
    """Stations of users 1 … N - 1 in every slot, as if user 0 were not there; entry 0 is None."""
    path = [[None, *first[1:]]]
    for t in range(1, len(course["access"])):
        now = list(path[-1])
        for u in range(1, len(now)):
            if p["background"] == "never":
                continue
            here, others = now[u], now[1:u] + now[u + 1 :]
            open_to = [k for k in range(len(tape["compute_hz"])) if k == here or others.count(k) < capacity(p) - 1]
            latency = {k: sum(update_parts(p, tape, course, t, u, k, now)) for k in open_to}
            target = min(open_to, key=latency.__getitem__)
            if target != here and p["background"] == "payback":
                gain = user_utility(p, tape, course, t, u, target, now) - user_utility(p, tape, course, t, u, here, now)
                if 10 * gain <= p["kappa"] * downtime(p, tape, u, here, target) / p["slot_seconds"]:
                    continue
            now[u] = target
        path.append(now)
    return path
