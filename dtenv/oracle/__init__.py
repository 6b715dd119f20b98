"""How good it could have been: exact optima where they can be reached, certified bounds elsewhere.

Every task has two solvers. `solve_slot` is *myopic*: one slot, given what came before it. `solve_episode` is
*clairvoyant*: it knows the whole tape, which no agent does, so that its bound holds for every agent.
"""

from dtenv.oracle.solution import BoundExceeded, Solution, check_bound, tolerance

__all__ = ["BoundExceeded", "Solution", "check_bound", "tolerance"]
