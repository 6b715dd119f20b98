"""DTMigration with a cloud, failures and lives in plain Python, beside reference_edge's: one row, from its tape."""

from __future__ import annotations

import math
from typing import Any

from reference_edge import compute_share, migration_course, utility, weight

Values = dict[str, Any]


class Twins:
    """What an episode drew, and what its twins' lives come to.

    Args:
        p: the scenario's fields.
        tape: as reference_edge takes it, of all sites; `up` (slots, sites) where servers fail.
        first: sites that host the twins in slot 0.
    """

    def __init__(self, p: Values, tape: Values, first: list[int]):
        self.p, self.tape, self.first = p, tape, first
        self.sites = range(len(tape["compute_hz"]))
        self.cloud = self.sites[-1] if p["deployment"] != "edge" else None
        stations = [k for k in self.sites if k != self.cloud]
        radio = tape | {"station_xy": [tape["station_xy"][k] for k in stations]}
        self.course = migration_course(p, radio)
        self.lives = p["creation_s"] > 0 or tape["up"] is not None

    def seats(self, k: int) -> int:
        """N_k."""
        p = self.p
        if k == self.cloud:
            return p["cloud_capacity"] or p["num_users"]
        if p["deployment"] == "cloud":
            return 0
        return p["twin_capacity"] or max(2, math.ceil(2 * p["num_users"] / p["num_stations"]))

    def up(self, t: int, k: int) -> bool:
        return self.tape["up"] is None or self.tape["up"][t][k]

    def metres(self, j: int, k: int) -> float:
        """Of wire between two sites."""
        if j != k and self.cloud in (j, k):
            return self.p["cloud_distance_m"]
        return math.dist(self.tape["station_xy"][j], self.tape["station_xy"][k])

    def parts(self, t: int, u: int, k: int, server: list[int]) -> tuple[float, float, float]:
        """Wireless, wired and computing time of user u's update, were its twin on site k."""
        p, bits = self.p, self.tape["update_bits"][u]
        together = [v for v in range(len(server)) if v == u or server[v] == k]
        weights = {v: weight(p, self.tape["data_bits"][v], self.tape["update_bits"][v]) for v in together}
        if p["compute_sharing"] == "slice":
            share = self.tape["compute_hz"][k] / self.seats(k)
        else:
            share = compute_share(p, self.tape["compute_hz"][k], list(weights.values()), weights[u])
        wired = p["wired_s_per_bit_m"] * bits * self.metres(self.course["access"][t][u], k)
        if k == self.cloud:
            wired += p["cloud_latency_s"]
        return bits / self.course["rate"][t][u], wired, p["cycles_per_bit"] * bits / share

    def utility(self, t: int, u: int, k: int, server: list[int]) -> float:
        parts, p = self.parts(t, u, k, server), self.p
        return utility(p, sum(parts), self.tape["deadline_s"][u], p["transmit_power_w"] * parts[0])

    def stopped(self, t: int, u: int, before: int, k: int) -> tuple[str, float]:
        """What became of a twin, and for how many seconds it was stopped."""
        p, data = self.p, self.tape["data_bits"][u]
        if not self.up(t, k):
            return "isolated", 0.0
        if self.lives and (t == 1 or not self.up(t, before) or not self.up(t - 1, before)):
            wire = p["wired_s_per_bit_m"] * data * self.metres(self.course["access"][t][u], k)
            return "created", p["creation_s"] + data / self.course["rate"][t][u] + wire
        if k != before:
            return "moved", p["downtime_s"] + p["wired_s_per_bit_m"] * data * self.metres(before, k)
        return "kept", 0.0

    def slot(self, t: int, before: list[int], server: list[int], users: Any) -> Values:
        """`info` of a slot."""
        p, rows = self.p, []
        for u in users:
            what, stopped = self.stopped(t, u, before[u], server[u])
            lost = what == "isolated"
            parts = (0.0,) * 3 if lost else self.parts(t, u, server[u], server)
            late = lost or sum(parts) > self.tape["deadline_s"][u] * (1 + 1e-9)
            rows.append(
                dict(zip(("latency_wireless", "latency_wired", "latency_compute"), parts, strict=True))
                | {"latency": sum(parts), "energy": p["transmit_power_w"] * parts[0], "cost": float(late)}
                | {"utility": -p["isolation_price"] if lost else self.utility(t, u, server[u], server)}
                | {"downtime": stopped, "migration_price": p["kappa"] * stopped / p["slot_seconds"]}
                | {"migrations": what == "moved", "creations": what == "created", "isolations": lost}
                | {"releases": not lost and before[u] != server[u]}
            )
        counts = ("migrations", "creations", "isolations", "releases")
        info = {name: sum(row[name] for row in rows) / (1 if name in counts else len(rows)) for name in rows[0]}
        info["score"] = info["utility"] - info["migration_price"] - p["deadline_penalty"] * info["cost"]
        return info

    def move(self, t: int, server: list[int], wanted: list[int]) -> tuple[list[int], int]:
        """The association after requests are met in the users' order, and how many were refused."""
        server, refused = list(server), 0
        for u, k in enumerate(wanted):
            if k != server[u] and (server.count(k) >= self.seats(k) or not self.up(t, k)):
                refused += 1
            else:
                server[u] = k
        return server, refused

    def background(self) -> list[list[Any]]:
        """Sites of users 1 … N - 1 in every slot, as if user 0 were not there; entry 0 is None."""
        p, path = self.p, [[None, *self.first[1:]]]
        for t in range(1, len(self.course["access"])):
            now = list(path[-1])
            for u in range(1, len(now)):
                if p["background"] == "never":
                    continue
                here, others = now[u], now[1:u] + now[u + 1 :]
                open_to = [k for k in self.sites if self.up(t, k) and others.count(k) < self.seats(k) - 1]
                latency = {k: sum(self.parts(t, u, k, now)) for k in open_to if k != here}
                if not self.up(t, here):
                    now[u] = min(latency, key=latency.__getitem__) if latency else here
                    continue
                latency[here] = sum(self.parts(t, u, here, now))
                target = min(sorted(latency), key=latency.__getitem__)
                if target != here and p["background"] == "payback":
                    gain = self.utility(t, u, target, now) - self.utility(t, u, here, now)
                    seconds = p["downtime_s"] + p["wired_s_per_bit_m"] * self.tape["data_bits"][u] * self.metres(
                        here, target
                    )
                    if 10 * gain <= p["kappa"] * seconds / p["slot_seconds"]:
                        continue
                now[u] = target
            path.append(now)
        return path
