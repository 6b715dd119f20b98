"""Exact optima and proven upper bounds: `episode_bound` and `env.unwrapped.optimum()`.

Every task has two solvers. `solve_slot` is *myopic*: the optimum of one slot, given its past. `solve_episode` is
*clairvoyant*: it knows all future slots, which no agent does, so its bound holds for every agent.
"""

from dtenv.oracle.episode import episode_bound, solve_episode
from dtenv.oracle.solution import BoundExceeded, Solution, check_bound, tolerance

__all__ = ["BoundExceeded", "Solution", "check_bound", "episode_bound", "solve_episode", "tolerance"]
