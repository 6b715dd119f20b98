"""Mixin with the method `optimum` of the environments."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gymnasium.error import ResetNeeded

if TYPE_CHECKING:
    from dtenv.oracle import Solution


class OptimumMixin:
    """Mixin of an environment with a task: optimal decisions of the next slots."""

    task: Any

    def optimum(self, horizon: int | None = 1, *, time_limit: float = 60.0, progress: bool = False) -> Solution:
        """Solve the next slots: best score found within the time limit, with a proven bound.

        With horizon=1 the solution is *myopic*: optimal for the current slot. Beyond that it is *clairvoyant*: it uses
        future slots, which no agent sees. The environment is not changed. Solvers need the extra "oracle".

        Args:
            horizon: number of slots, at most the remaining ones; None for all of them.
            time_limit: seconds.
            progress: whether to show a progress bar.

        Returns:
            A `dtenv.oracle.Solution` whose `action` is one for `step`, or a list with one per slot unless horizon=1.

        Raises:
            ResetNeeded: before the first reset, or after the end of the episode.
            ValueError: horizon or time_limit is out of range.
        """
        if not 0 < self.task.state.slot[0] <= self.task.scenario.episode.num_slots:
            raise ResetNeeded("optimum() needs a running episode: call reset()")
        from dtenv.oracle import solve_episode  # its solvers are optional

        solution = solve_episode(self.task, horizon=horizon, time_limit=time_limit, progress=progress)
        if solution.action is None:
            return solution
        actions = [self._to_action(action) for action in solution.action]
        return replace(solution, action=actions[0] if horizon == 1 else actions)

    def _to_action(self, action: Any) -> Any:
        """Convert a solver's action to an action for `step`."""
        return action
