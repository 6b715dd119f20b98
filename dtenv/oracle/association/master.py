"""Master program of column generation: each user in one chosen set, each server with at most one."""

from __future__ import annotations

import math

import numpy as np

from dtenv.oracle.budget import SolveBudget
from dtenv.oracle.highs import limit_time, new_model

PRIMAL_SIMPLEX = 4

SCALE = 1e4
"""Scale of the objective in HiGHS, which keeps its tolerances far below the worth of sets."""


class Master:
    """max Σ V_j y_j over sets j of num_users users on num_servers servers, a linear or an integer program in HiGHS."""

    def __init__(self, num_users: int, num_servers: int, budget: SolveBudget):
        self._model = new_model(budget)
        from highspy import ObjSense

        self._model.changeObjectiveSense(ObjSense.kMaximize)
        self._model.setOptionValue("simplex_strategy", PRIMAL_SIMPLEX)  # new columns keep the basis feasible
        nothing = (0, np.empty(0, np.int32), np.empty(0))
        for _ in range(num_users):
            self._model.addRow(1.0, 1.0, *nothing)
        for _ in range(num_servers):
            self._model.addRow(-math.inf, 1.0, *nothing)
        self.num_users, self.num_servers = num_users, num_servers
        self.sets: list[tuple[int, np.ndarray]] = []
        self._seen: set[tuple[int, bytes]] = set()

    def add(self, s: int, members: np.ndarray, worth: float) -> bool:
        """Add the set with mask `members` (U,) on server s unless known or worth -inf; return whether it was added."""
        key = (s, np.packbits(members).tobytes())
        if worth == -math.inf or key in self._seen:
            return False
        self._seen.add(key)
        self.sets.append((s, members.copy()))
        rows = np.append(np.flatnonzero(members), self.num_users + s).astype(np.int32)
        self._model.addCol(SCALE * worth, 0.0, math.inf, len(rows), rows, np.ones(len(rows)))
        return True

    def add_all(self, s: int, members: np.ndarray, worth: np.ndarray) -> None:
        """Add sets (n, U), all different and new, of worth (n,) on server s."""
        for row, value in zip(members, worth, strict=True):
            self.add(s, row, float(value))

    def relax(self) -> tuple[float, np.ndarray, np.ndarray]:
        """Value of the linear program and its duals of users (U,) and servers (S,); zeros if the search ended first."""
        from highspy import HighsModelStatus

        self._model.run()
        if self._model.getModelStatus() != HighsModelStatus.kOptimal:
            return 0.0, np.zeros(self.num_users), np.zeros(self.num_servers)
        dual = np.array(self._model.getSolution().row_dual) / SCALE
        value = self._model.getInfo().objective_function_value / SCALE
        return value, dual[: self.num_users], dual[self.num_users :]

    def choose(self, budget: SolveBudget) -> tuple[np.ndarray | None, float]:
        """Solve the integer program, after which no set can be added.

        Returns each user's server (U,), or None, and an upper bound on the worth of any choice, -inf if infeasible.
        """
        from highspy import HighsModelStatus, HighsVarType

        columns = np.arange(len(self.sets), dtype=np.int32)
        integer = np.full(len(columns), HighsVarType.kInteger.value, np.uint8)
        self._model.changeColsIntegrality(len(columns), columns, integer)
        self._model.setOptionValue("mip_rel_gap", 0.0)
        self._model.setOptionValue("mip_abs_gap", 1e-11 * SCALE)
        limit_time(self._model, budget.seconds_left)
        self._model.run()
        info = self._model.getInfo()
        if self._model.getModelStatus() == HighsModelStatus.kInfeasible:
            return None, -math.inf
        bound = info.mip_dual_bound / SCALE
        if not math.isfinite(info.objective_function_value) or info.primal_solution_status != 2:
            return None, bound
        server = np.full(self.num_users, -1, np.int64)
        for j in np.flatnonzero(np.array(self._model.getSolution().col_value) > 0.5):
            s, members = self.sets[j]
            server[members] = s
        return (server if (server >= 0).all() else None), bound
