"""Branch and bound on one slot of DTPlacementMA by HiGHS, from a good association to a proven gap."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dtenv.oracle.budget import SolveBudget
from dtenv.oracle.highs import TOLERANCE, limit_time
from dtenv.oracle.placement.costs import ROUNDING, PairCosts
from dtenv.oracle.placement.program import COST_SCALE, SlotProgram

MARGIN = 10.0 * TOLERANCE
"""Slack of bounds per column and row of the program, in scaled costs, for HiGHS's tolerances."""
ROUNDS = 30
"""Most rounds of cuts at the root."""
ROUGH = 0.01
"""Gap, in units of COST_SCALE, of the search for a first association where none is known."""
TANGENTS = 32
"""Tangents of each station's computing cost in the tree, besides those that cuts at the root add."""


class Found(NamedTuple):
    """Result of a slot's search, as costs: less is better."""

    server: np.ndarray | None  # (N,)
    cost: float  # its cost, inf without one
    bound: float  # lower bound on any cost; inf where infeasible


class RelaxedOptimum(NamedTuple):
    """Optimum of the program's relaxation."""

    value: float  # scaled
    x: np.ndarray
    reduced: np.ndarray  # reduced costs of columns


class Part:
    """Part of a search with its own seconds from now on and a note for the bar; over when its time or the search is."""

    def __init__(self, budget: SolveBudget, seconds: float = math.inf, note: str = ""):
        self.budget, self.note = budget, note
        self._until = budget.seconds + seconds

    @property
    def seconds_left(self) -> float:
        """Seconds left."""
        return max(0.0, min(self.budget.seconds_left, self._until - self.budget.seconds))

    def exhausted(self) -> bool:
        """Whether to stop."""
        return self.seconds_left == 0.0

    def report(self, cost: float, bound: float) -> None:
        """Show the least cost and the best bound in the bar."""
        self.budget.report(-cost, -bound, self.note)


class BranchAndBound:
    """Search of one slot, whose capacities hold all users.

    found is a known association, if any, its cost and a valid bound; cost_of the true cost of an association (N,), inf
    where infeasible; gap the relative gap at which to stop; part the time limit.
    """

    def __init__(
        self, costs: PairCosts, found: Found, cost_of: Callable[[np.ndarray], float], gap: float, part: Part
    ) -> None:
        self.costs, self.found, self.cost_of, self.gap, self.part = costs, found, cost_of, gap, part
        self._told = -math.inf

    def run(self) -> Found:
        """Search until the gap is proven or time is up."""
        while not self.closed():
            before = self.found.cost
            self._budget()
            if before < math.inf:
                break  # a first association gives a tighter program: search again
        return self.found

    def _budget(self) -> None:
        """Cut at the root, tighten, and branch once."""
        program = self._program(self.costs, None)
        relaxed = self._root(program)
        if relaxed is None or self.closed():
            return
        costs, most = self._tighten(program, relaxed)
        if self.part.exhausted():
            return
        program = self._program(costs, most)
        self._grid(program)
        if self._root(program) is not None and not self.closed():
            self._branch(program)

    def closed(self) -> bool:
        """Whether the gap is proven or time is up."""
        _, cost, bound = self.found
        proven = cost - bound <= self.gap * abs(cost) if math.isfinite(cost) else bound == math.inf
        return self.part.exhausted() or proven

    def _program(self, costs: PairCosts, most: np.ndarray | None) -> SlotProgram:
        program = SlotProgram(costs, self.found.cost, most)
        program.solver.cbMipInterrupt += lambda event: self._listen(event, program)
        program.solver.cbSimplexInterrupt += lambda event: self._listen(event, None)
        if self.found.server is not None:
            for k, load in enumerate(np.bincount(self.found.server, program.weight, program.num_stations)):
                program.tangent(k, load)
        for k in range(program.num_stations):
            for share in np.linspace(0.1, 1.0, 8):
                program.tangent(k, share * program.most[k])
        program.flush()
        return program

    def _listen(self, event: Any, program: SlotProgram | None) -> None:
        """Callback from HiGHS: interrupt it if time is up, else show progress."""
        if self.part.exhausted():
            event.interrupt()
        elif program is not None and self.part.budget.seconds > self._told + 0.3:
            self._told = self.part.budget.seconds
            bound = program.offset + event.data_out.mip_dual_bound / program.scale
            self.part.report(self.found.cost, max(bound, self.found.bound))

    def _run(self, program: SlotProgram) -> Any:
        """Run the solver for the time left; return its model status."""
        limit_time(program.solver, self.part.seconds_left)
        program.solver.run()
        return program.solver.getModelStatus()

    def _raise_bound(self, program: SlotProgram, scaled: float) -> None:
        """Apply a bound of the program less the margin; what the program excludes costs at least the incumbent."""
        if math.isfinite(scaled):
            slack = MARGIN * (program.num_columns + program.num_rows) / program.scale + ROUNDING * abs(program.offset)
            bound = min(self.found.cost, program.offset + scaled / program.scale - slack)
            self.found = self.found._replace(bound=max(self.found.bound, bound))

    def _exhausted(self) -> None:
        """Close the search: the program is infeasible, so the incumbent is optimal or nothing is feasible."""
        self.found = self.found._replace(bound=self.found.cost)

    def _root(self, program: SlotProgram) -> RelaxedOptimum | None:
        """Solve the relaxation with cuts; None if time is up or it is infeasible."""
        from highspy import HighsModelStatus as Status

        relaxed = None
        for _ in range(ROUNDS):
            status = self._run(program)
            if status in (Status.kInfeasible, Status.kUnboundedOrInfeasible):  # it cannot be unbounded
                self._exhausted()
                return None
            if status != Status.kOptimal:
                return None
            value = program.solver.getInfo().objective_function_value
            self._raise_bound(program, value)
            before, solution = relaxed, program.solver.getSolution()
            relaxed = RelaxedOptimum(value, np.array(solution.col_value), np.array(solution.col_dual))
            if (before and value - before.value < 1e-5 * COST_SCALE) or not program.separate(relaxed.x):
                break
        return relaxed

    def _tighten(self, program: SlotProgram, relaxed: RelaxedOptimum) -> tuple[PairCosts, np.ndarray]:
        """Exclude pairs and weights of stations that no cheaper association can have; return costs and weights."""
        from highspy import HighsModelStatus as Status

        if not math.isfinite(self.found.cost):
            return self.costs, program.most
        solver, cost, most = program.solver, self.costs.cost.copy(), program.most.copy()
        ceiling = (self.found.cost - program.offset) * program.scale + 1e-6 * COST_SCALE
        a = program.at["a"]
        gone = (relaxed.x[a] < 0.5) & (relaxed.value + relaxed.reduced[a] > ceiling)
        cost[program.user[gone], program.station[gone], program.level[gone]] = np.inf
        for column in a[gone]:
            solver.changeColBounds(int(column), 0.0, 0.0)
        if np.isfinite(program.limit).any():
            program.add(-np.inf, ceiling, (np.arange(program.num_columns), program.cost))
            program.flush()
            everything = np.arange(program.num_columns, dtype=np.int32)
            solver.changeColsCost(len(everything), everything, np.zeros(len(everything)))
            for k, column in enumerate(program.at["load"].tolist()):
                solver.changeColCost(column, -1.0)
                if self._run(program) == Status.kOptimal:
                    most[k] = min(most[k], -solver.getInfo().objective_function_value * (1.0 + 1e-6) + 1e-6)
                solver.changeColCost(column, 0.0)
        return self.costs._replace(cost=cost), most

    def _grid(self, program: SlotProgram) -> None:
        """Add tangents that approximate the computing cost closely in the tree."""
        for k in range(program.num_stations):
            for weight in np.linspace(0.25, 1.0, TANGENTS) * program.most[k]:
                program.tangent(k, weight)
        program.flush()

    def _branch(self, program: SlotProgram) -> None:
        """Solve the whole program, add cuts where it underestimates the computing cost, and repeat."""
        from highspy import HighsModelStatus as Status

        solver = program.solver
        program.integral()
        while not self.closed():
            known = math.isfinite(self.found.cost)
            aim = 0.5 * self.gap * abs(self.found.cost) * program.scale if known else ROUGH * COST_SCALE
            solver.setOptionValue("mip_rel_gap", 0.0)
            solver.setOptionValue("mip_abs_gap", max(aim, 1e-9))
            self._offer(program)
            status = self._run(program)
            if status in (Status.kInfeasible, Status.kUnboundedOrInfeasible):
                self._exhausted()
                return
            info = solver.getInfo()
            self._raise_bound(program, info.mip_dual_bound)
            if info.primal_solution_status != 2:  # kSolutionStatusFeasible
                return
            x = np.array(solver.getSolution().col_value)
            server = program.server_of(x)
            cost = self.cost_of(server)
            if cost < self.found.cost:
                self.found = Found(server, cost, min(self.found.bound, cost))
            if status != Status.kOptimal or (not known and cost < math.inf):
                return
            for k, load in enumerate(np.bincount(server, program.weight, program.num_stations)):
                program.tangent(k, load)
            if cost == math.inf:  # late by less than the program's tolerance
                program.forbid(server)
            if not program.flush():
                return

    def _offer(self, program: SlotProgram) -> None:
        """Pass the incumbent to the solver as its start."""
        if self.found.server is None:
            return
        import highspy

        x = program.solution_of(self.found.server)
        if x is not None:
            solution = highspy.HighsSolution()
            solution.col_value = list(x)
            program.solver.setSolution(solution)
