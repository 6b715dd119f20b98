"""How environments tell how good the slots to come could be, whichever interface they have."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gymnasium.error import ResetNeeded

if TYPE_CHECKING:
    from dtenv.oracle import Solution


class Bounded:
    """An environment that holds a task, and knows how good its slots could be."""

    task: Any

    def optimum(self, horizon: int | None = 1, *, time_limit: float = 60.0, progress: bool = False) -> Solution:
        """The best score of the slots to come, or what is found of it in time, with a proven bound.

        With horizon=1 it is *myopic*: the best of the slot to be decided. Beyond that it is *clairvoyant*: it sees the
        slots to come, which no agent does. The environment stays as it is; solvers need the extra "oracle".

        Args:
            horizon: slots, at most those left of the episode; None for all of them.
            time_limit: seconds.
            progress: whether to show a bar.

        Returns:
            A `dtenv.oracle.Solution`; action: what `step` takes, with another horizon than 1 a list of one a slot.

        Raises:
            ResetNeeded: before the first reset, or after the episode's end.
            ValueError: horizon or time_limit is out of range.
        """
        if not 0 < self.task.state.slot[0] <= self.task.scenario.episode.num_slots:
            raise ResetNeeded("optimum() needs a slot to be decided: call reset()")
        from dtenv.oracle import solve_episode  # its solvers are optional

        solution = solve_episode(self.task, horizon=horizon, time_limit=time_limit, progress=progress)
        if solution.action is None:
            return solution
        actions = [self._playable(action) for action in solution.action]
        return replace(solution, action=actions[0] if horizon == 1 else actions)

    def _playable(self, action: Any) -> Any:
        """What `step` takes for a solver's action."""
        return action
