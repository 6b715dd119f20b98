"""One slot of DTPlacementMA as a mixed-integer linear program in HiGHS, a relaxation that cuts tighten as needed.

Variables, for user i, station k and level l of `PairCosts` (the number of twins on a station, where it matters): a_ikl,
whether the twin is there; z_kl, whether the station hosts at that level; S_k = Σ s_i a_ikl, its computing weight;
late_ik <= a_ik, whether the twin is late there, with Σ_k late_ik binary.

The computing cost is Σ_i slope_ik a_ik S_k. Where slopes are proportional to weights it equals ρ_k S_k², whose tangents
t_k >= ρ_k (2 s S_k - s² z_k) are valid for every s (perspective cuts: a station without twins pays nothing) and exact
at S_k = s. Otherwise (initial latency charged on change) it is Σ slope_ik w_ik with w_ik for the product a_ik S_k,
exact where a is integral, and Σ_i s_i w_ik = S_k².
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dtenv.oracle.highs import TOLERANCE, new_model
from dtenv.oracle.placement.costs import PairCosts, largest_weight

COST_SCALE = 1e3
"""Scaled spread of the costs that depend on the association."""
LEAST_SPREAD = 1e-4
"""Least spread as a share of all costs, so that rounding errors are not scaled up."""
PROPORTIONAL = 1e-10
"""Relative deviation up to which slopes count as proportional to weights."""
LEAST_TANGENT = 1e-3
"""Smallest weight of a tangent: others matter little, and HiGHS would drop their coefficients."""
CUT = 1e-7
"""Least violation of a cut worth adding, in scaled costs or weights."""


class SlotProgram:
    """Columns and rows of one slot in `solver`, which minimises (cost - offset) * scale, initially without integrality.

    least is the cost of a known association, inf for none: pairs that no cheaper one can contain are excluded. most
    (M,) are the largest weights of stations in a cheaper one, in `unit`, by default what they can hold.
    """

    def __init__(self, costs: PairCosts, least: float = np.inf, most: np.ndarray | None = None):
        self.costs = costs
        self.num_users, self.num_stations, self.levels = costs.cost.shape
        self.unit = float(costs.weight.mean()) or 1.0
        self.weight, self.slope = costs.weight / self.unit, costs.slope * self.unit
        own = costs.cost + (self.slope * self.weight[:, None])[:, :, None]  # lower bound, as its own weight counts
        lowest = own.min(axis=(1, 2))
        self.offset = float(lowest.sum())
        allowed: np.ndarray = np.isfinite(own)
        dearest = least if np.isfinite(least) else np.where(allowed, own, lowest[:, None, None]).max(axis=(1, 2)).sum()
        spread = max(0.0, dearest - self.offset)
        allowed &= own - lowest[:, None, None] <= spread + 1e-9 * (abs(dearest) + abs(self.offset))
        spread = max(spread, LEAST_SPREAD * (abs(dearest) + abs(self.offset)))
        self.scale = COST_SCALE / spread if spread > 0.0 else 1.0
        self.pairs = np.argwhere(allowed)
        self.user, self.station, self.level = self.pairs.T
        self.held = np.array(allowed.any(axis=2))  # (N, M)
        self.most = largest_weight(self.weight, self.held, costs.capacity) * (1.0 + TOLERANCE)
        if most is not None:
            self.most = np.minimum(self.most, most)
        self.solver = new_model()
        self._rows: list[tuple[float, float, Any, Any]] = []
        self.num_rows = 0
        self._seen: set[tuple[int, float]] = set()
        self._classify()
        self._make_columns(lowest)
        self._make_rows()

    def _classify(self) -> None:
        """Decide which parts of the program the slot needs."""
        usable = self.held & (self.weight[:, None] > 0.0)
        ratio = np.full_like(self.slope, np.inf)
        np.divide(self.slope, self.weight[:, None], out=ratio, where=usable)
        self.rho = np.where(usable.any(axis=0), ratio.min(axis=0), 0.0)  # the least, as they differ by rounding
        self.convex = bool((~usable | (ratio <= (1.0 + PROPORTIONAL) * self.rho)).all())
        limit = self.costs.limit[self.user, self.station, self.level] / self.unit
        self.limit = np.where(limit >= self.most[self.station], np.inf, limit)
        self.timed = np.zeros_like(self.held)  # pairs that can be late
        self.timed[self.user[np.isfinite(self.limit)], self.station[np.isfinite(self.limit)]] = True
        self.soft = np.isfinite(self.costs.late)
        self.products = np.empty((0, 2), np.int64) if self.convex else np.argwhere(usable)

    def _make_columns(self, lowest: np.ndarray) -> None:
        costs, M, L = self.costs, self.num_stations, self.levels
        late = np.argwhere(self.timed) if self.soft else np.empty((0, 2), np.int64)
        blocks = {  # name: cost, upper bound
            "a": (costs.cost[self.user, self.station, self.level] - lowest[self.user], np.ones(len(self.pairs))),
            "z": (np.full(M * L, costs.host), np.ones(M * L)),
            "load": (np.zeros(M), self.most),
            "computing": (np.ones(M), np.full(M, np.inf if self.convex else 0.0)),
            "product": (self.slope[self.products[:, 0], self.products[:, 1]], self.most[self.products[:, 1]]),
            "late": (np.full(len(late), costs.late if self.soft else 0.0), np.ones(len(late))),
            "any_late": (np.zeros(self.num_users), np.ones(self.num_users)),
        }
        self.at, start = {}, 0
        for name, (cost, _) in blocks.items():
            self.at[name] = np.arange(start, start + len(cost))
            start += len(cost)
        self.cost = self.scale * np.concatenate([cost for cost, _ in blocks.values()])
        self.cost[self.at["computing"]] = 1.0  # already scaled
        self.upper = np.concatenate([upper for _, upper in blocks.values()])
        self.num_columns, self.late = start, late
        nothing = np.empty(0, np.int32)
        self.solver.addCols(start, self.cost, np.zeros(start), self.upper, 0, nothing, nothing, np.empty(0))
        self.whole = np.concatenate([self.at["a"], self.at["z"], self.at["any_late"]]).astype(np.int32)
        self.pair_columns: dict[tuple[int, int], list[int]] = {}
        for column, (u, k, _) in zip(self.at["a"].tolist(), self.pairs.tolist(), strict=True):
            self.pair_columns.setdefault((u, k), []).append(column)

    def host_columns(self, k: int) -> np.ndarray:
        """Columns z_kl of station k, for all levels."""
        return self.at["z"][k * self.levels : (k + 1) * self.levels]

    def add(self, lower: float, upper: float, *terms: tuple[Any, Any]) -> None:
        """Collect a row lower <= Σ coefficient · column <= upper of terms (columns, coefficients)."""
        index = np.concatenate([np.atleast_1d(columns) for columns, _ in terms])
        value = np.concatenate([np.broadcast_to(c, np.shape(np.atleast_1d(columns))) for columns, c in terms])
        self._rows.append((lower, upper, index, value))

    def flush(self) -> int:
        """Pass the collected rows to the solver; return their number."""
        rows, self._rows = self._rows, []
        self.num_rows += len(rows)
        if rows:
            sizes = np.array([len(index) for _, _, index, _ in rows])
            self.solver.addRows(
                len(rows),
                np.array([row[0] for row in rows]),
                np.array([row[1] for row in rows]),
                int(sizes.sum()),
                np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int32),
                np.concatenate([row[2] for row in rows]).astype(np.int32),
                np.concatenate([row[3] for row in rows]).astype(np.float64),
            )
        return len(rows)

    def _make_rows(self) -> None:
        a, load = self.at["a"], self.at["load"]
        for u in range(self.num_users):
            self.add(1.0, 1.0, (a[self.user == u], 1.0))
        for k in range(self.num_stations):
            z = self.host_columns(k)
            for level in range(self.levels):
                here = a[(self.station == k) & (self.level == level)]
                if self.costs.by_count:
                    self.add(0.0, 0.0, (here, 1.0), (z[level], -(level + 1.0)))
                else:
                    self.add(-np.inf, 0.0, (here, 1.0), (z[level], -float(self.costs.capacity[k])))
                for column in here:
                    self.add(-np.inf, 0.0, (column, 1.0), (z[level], -1.0))
            if self.levels > 1:
                self.add(-np.inf, 1.0, (z, 1.0))
            here = self.station == k
            self.add(0.0, 0.0, (a[here], self.weight[self.user[here]]), (load[k], -1.0))
            self.add(-np.inf, 0.0, (load[k], 1.0), (z, -self.most[k]))
        for column, (u, k) in zip(self.at["product"], self.products, strict=True):
            here, z = self.pair_columns[u, k], self.host_columns(k)
            self.add(0.0, np.inf, (column, 1.0), (here, -self.weight[u]))
            self.add(-np.inf, 0.0, (column, 1.0), (here, -self.most[k]))
            self.add(0.0, np.inf, (load[k], 1.0), (column, -1.0))
            self.add(-np.inf, 0.0, (load[k], 1.0), (column, -1.0), (z, -self.most[k]), (here, self.most[k]))
        self._make_deadlines()
        self.flush()

    def _make_deadlines(self) -> None:
        """Rows of S_k <= limit_ik for twins in time: S_k + (most_k - limit_ik) (a_ik - late_ik) <= most_k z_k."""
        self.late_column = {(u, k): c for c, (u, k) in zip(self.at["late"].tolist(), self.late.tolist(), strict=True)}
        for (u, k), column in self.late_column.items():
            self.add(-np.inf, 0.0, (column, 1.0), (self.pair_columns[u, k], -1.0))
        for u in range(self.num_users):
            columns = self.at["late"][self.late[:, 0] == u]
            if len(columns):
                self.add(0.0, 0.0, (columns, 1.0), (self.at["any_late"][u], -1.0))
            else:
                self.solver.changeColBounds(int(self.at["any_late"][u]), 0.0, 0.0)
        self.room: dict[tuple[int, int], np.ndarray] = {}
        for u, k in np.argwhere(self.timed).tolist():
            room = self.most[k] - np.minimum(self.limit[self.pair_columns[u, k]], self.most[k])
            self.room[u, k] = room
            terms: list[tuple[Any, Any]] = [(self.pair_columns[u, k], room)]
            if self.soft:
                terms.append((self.late_column[u, k], -room.max()))
            self.add(-np.inf, 0.0, *terms, (self.at["load"][k], 1.0), self._hosted(k))

    def _hosted(self, k: int) -> tuple[Any, Any]:
        return self.host_columns(k), -self.most[k]

    def tangent(self, k: int, weight: float) -> None:
        """Collect the tangent of station k's computing cost at a weight, unless it exists."""
        key = (k, float(f"{weight:.12g}"))
        if weight <= LEAST_TANGENT or key in self._seen or (self.convex and self.rho[k] <= 0.0):
            return
        self._seen.add(key)
        factor, here = 1.0, self.products[:, 1] == k
        left = self.at["product"][here], self.weight[self.products[here, 0]]
        if self.convex:
            factor, left = self.scale * self.rho[k], (self.at["computing"][k], 1.0)
        z, load = self.host_columns(k), self.at["load"][k]
        self.add(0.0, np.inf, left, (load, -2.0 * factor * weight), (z, factor * weight**2))

    def integral(self) -> None:
        """Make a, z and Σ_k late_ik integral."""
        self.solver.changeColsIntegrality(len(self.whole), self.whole, np.ones(len(self.whole), np.uint8))

    def server_of(self, x: np.ndarray) -> np.ndarray:
        """Association (N,) of an integral solution."""
        share = np.zeros((self.num_users, self.num_stations))
        np.add.at(share, (self.user, self.station), x[self.at["a"]])
        return share.argmax(axis=1)

    def forbid(self, server: np.ndarray) -> None:
        """Collect a row that excludes one association (N,)."""
        columns = [c for u, k in enumerate(server.tolist()) for c in self.pair_columns[u, k]]
        self.add(-np.inf, self.num_users - 1.0, (columns, 1.0))

    def solution_of(self, server: np.ndarray) -> np.ndarray | None:
        """Values of all columns for an association (N,); None where the program excludes it."""
        x, held = np.zeros(self.num_columns), np.bincount(server, minlength=self.num_stations)
        for u, k in enumerate(server.tolist()):
            level = held[k] - 1 if self.costs.by_count else 0
            column = [c for c in self.pair_columns.get((u, k), []) if self.level[c] == level]
            if not column:
                return None
            x[column] = 1.0
            x[self.host_columns(k)[level]] = 1.0
        load = np.bincount(server, self.weight, self.num_stations)
        x[self.at["load"]] = load
        x[self.at["computing"]] = self.scale * self.rho * load**2 if self.convex else 0.0
        users, stations = self.products.T
        x[self.at["product"]] = np.where(server[users] == stations, load[stations], 0.0)
        for (u, k), late in self.late_column.items():
            if server[u] == k:
                level = held[k] - 1 if self.costs.by_count else 0
                x[late] = float(load[k] * self.unit > self.costs.limit[u, k, level])
                x[self.at["any_late"][u]] = x[late]
        return x

    def separate(self, x: np.ndarray) -> int:
        """Add tangents and deadline cuts that a solution violates; return their number."""
        for k in range(self.num_stations):
            host, load = x[self.host_columns(k)].sum(), x[self.at["load"][k]]
            if host > 1e-6 and load > 1e-6:
                if self.convex:
                    paid = x[self.at["computing"][k]]
                    short = self.scale * self.rho[k] * load**2 / host - paid
                else:
                    here = self.products[:, 1] == k
                    short = load**2 / host - (self.weight[self.products[here, 0]] * x[self.at["product"][here]]).sum()
                if short > CUT * COST_SCALE:
                    self.tangent(k, load / host)
            self._mix(k, x, host, load)
        return self.flush()

    def _mix(self, k: int, x: np.ndarray, host: float, load: float) -> None:
        """Collect the mixing inequality of station k's deadlines that a solution violates most.

        With r_j = most_k - limit_jk in falling order over any subset of the users, S_k <= most_k z_k - Σ_j (r_j -
        r_{j+1}) in_time_j: the first user in time already implies the rest.
        """
        users = sorted(np.flatnonzero(self.timed[:, k]).tolist(), key=lambda u: -self.room[u, k].min())
        chain: list[tuple[int, float, float]] = []  # user, room, share in time
        for u in users:
            share = x[self.pair_columns[u, k]].sum() - (x[self.late_column[u, k]] if self.soft else 0.0)
            if share > (chain[-1][2] if chain else 0.0) + 1e-6:
                chain.append((u, float(self.room[u, k].min()), share))
        if len(chain) < 2:
            return
        short = load - self.most[k] * host
        terms: list[tuple[Any, Any]] = []
        for (u, room, share), (_, after, _) in zip(chain, [*chain[1:], (0, 0.0, 0.0)], strict=True):
            terms.append((self.pair_columns[u, k], room - after))
            if self.soft:
                terms.append((self.late_column[u, k], after - room))
            short += (room - after) * share
        if short > 1e-4:
            self.add(-np.inf, 0.0, *terms, (self.at["load"][k], 1.0), self._hosted(k))
