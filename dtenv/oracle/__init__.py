"""How good it could have been: exact optima where they can be reached, certified bounds elsewhere.

`episode_bound` and `env.unwrapped.optimum()` are the ways in. Every task has two solvers of its own. `solve_slot` is
*myopic*: the best of one slot, given what came before it. `solve_episode` is *clairvoyant*: it sees the slots to come,
which no agent does, so that its bound holds for every agent.
"""

from dtenv.oracle.episode import episode_bound, solve_episode
from dtenv.oracle.solution import BoundExceeded, Solution, check_bound, tolerance

__all__ = ["BoundExceeded", "Solution", "check_bound", "episode_bound", "solve_episode", "tolerance"]
