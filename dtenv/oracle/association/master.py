"""The choice among sets of twins: each twin in one of them, each server with at most one."""

from __future__ import annotations

import math

import numpy as np

from dtenv.oracle.highs import limit_time, new_model
from dtenv.oracle.search import Search

PRIMAL_SIMPLEX = 4

SCALE = 1e4
"""Of the objective inside HiGHS, so that its tolerances lie far below what sets are worth."""


class Master:
    """max Σ V_j y_j over sets j, a linear or an integer program in HiGHS.

    Args:
        num_users: U.
        num_servers: S.
        search: ends a solution that takes too long.
    """

    def __init__(self, num_users: int, num_servers: int, search: Search):
        self._model = new_model(search)
        from highspy import ObjSense

        self._model.changeObjectiveSense(ObjSense.kMaximize)
        self._model.setOptionValue("simplex_strategy", PRIMAL_SIMPLEX)  # a basis stays feasible when columns come in
        nothing = (0, np.empty(0, np.int32), np.empty(0))
        for _ in range(num_users):
            self._model.addRow(1.0, 1.0, *nothing)
        for _ in range(num_servers):
            self._model.addRow(-math.inf, 1.0, *nothing)
        self.num_users, self.num_servers = num_users, num_servers
        self.sets: list[tuple[int, np.ndarray]] = []
        self._seen: set[tuple[int, bytes]] = set()

    def add(self, s: int, members: np.ndarray, worth: float) -> bool:
        """Add the set of users where members (U,) is true, on server s; whether it is new and worth something."""
        key = (s, np.packbits(members).tobytes())
        if worth == -math.inf or key in self._seen:
            return False
        self._seen.add(key)
        self.sets.append((s, members.copy()))
        rows = np.append(np.flatnonzero(members), self.num_users + s).astype(np.int32)
        self._model.addCol(SCALE * worth, 0.0, math.inf, len(rows), rows, np.ones(len(rows)))
        return True

    def add_all(self, s: int, members: np.ndarray, worth: np.ndarray) -> None:
        """Add sets (n, U) on server s, of worth (n,), that are all different and none of them there."""
        for row, value in zip(members, worth, strict=True):
            self.add(s, row, float(value))

    def relax(self) -> tuple[float, np.ndarray, np.ndarray]:
        """Solve the linear program.

        Returns:
            Its value and the duals of users (U,) and servers (S,); zeros where the search ended before.
        """
        from highspy import HighsModelStatus

        self._model.run()
        if self._model.getModelStatus() != HighsModelStatus.kOptimal:
            return 0.0, np.zeros(self.num_users), np.zeros(self.num_servers)
        dual = np.array(self._model.getSolution().row_dual) / SCALE
        value = self._model.getInfo().objective_function_value / SCALE
        return value, dual[: self.num_users], dual[self.num_users :]

    def choose(self, search: Search) -> tuple[np.ndarray | None, float]:
        """Solve the integer program, after which no set can be added.

        Returns:
            Each user's server (U,), None where none was found, and a bound of every choice's worth, -inf where there
            is none.
        """
        from highspy import HighsModelStatus, HighsVarType

        count = len(self.sets)
        self._model.changeColsIntegrality(
            count, np.arange(count, dtype=np.int32), np.full(count, HighsVarType.kInteger.value, np.uint8)
        )
        self._model.setOptionValue("mip_rel_gap", 0.0)
        self._model.setOptionValue("mip_abs_gap", 1e-11 * SCALE)
        limit_time(self._model, search.left)
        self._model.run()
        info = self._model.getInfo()
        status = self._model.getModelStatus()
        if status == HighsModelStatus.kInfeasible:
            return None, -math.inf
        bound = info.mip_dual_bound / SCALE
        if not math.isfinite(info.objective_function_value) or info.primal_solution_status != 2:
            return None, bound
        server = np.full(self.num_users, -1, np.int64)
        taken = np.array(self._model.getSolution().col_value) > 0.5
        for j in np.flatnonzero(taken):
            s, members = self.sets[j]
            server[members] = s
        return (server if (server >= 0).all() else None), bound
