"""Thousands of environments at once: Gymnasium's VectorEnv over a batch, whatever the task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from dtenv import presets
from dtenv.envs.autoreset import Rows
from dtenv.envs.single import TaskEnv
from dtenv.scenario import Scenario
from dtenv.validation import integer


class TaskVectorEnv(VectorEnv):
    """What the vector environments share. `gym.make_vec(id, num_envs=…, vectorization_mode="vector_entry_point")`.

    Row i plays as the single environment that is seeded as row i is, bit for bit, across its autoresets. Episodes are
    played by compiled kernels on all cores; `infos` hold arrays with a row each beside their masks, as Gymnasium has
    them. With device="cuda" `make_vec` gives a `dtenv.envs.cuda.CudaVectorEnv`, whose rows play on a GPU.

    Args:
        num_envs: rows.
        scenario: a preset's name or a scenario; by default the environment's first preset.
        autoreset_mode: "next_step" (default: a row whose episode is over begins a new one in the next step, which
            ignores its action and rewards 0), "same_step" (at once; what was last seen is in infos["final_obs"] and
            infos["final_info"]) or "disabled" (rows are reset by options["reset_mask"]).
        copy: False hands out the environment's own arrays, which change with the next step.
        threads: how many play; by default one a core.
        **overrides: single fields of the scenario by name.
    """

    single: type[TaskEnv]
    """The environment of one row."""
    rows_type: type[Rows] = Rows

    def __init__(
        self,
        num_envs: int = 1,
        scenario: str | Scenario | None = None,
        *,
        autoreset_mode: str | AutoresetMode = "next_step",
        copy: bool = True,
        threads: int | None = None,
        **overrides: Any,
    ):
        resolved = presets.resolve(scenario, self.single.env_id, **overrides)
        task = self._new_task(resolved, integer("num_envs", num_envs))
        self.rows = self.rows_type(task, autoreset_mode, threads, copy)
        self.task, self.copy = task, copy
        self.num_envs = len(task.rows)
        self.scenario, self.layout = task.scenario, task.layout
        self.metadata = {"autoreset_mode": self.rows.mode, "render_modes": []}
        self.single_observation_space, self.single_action_space = task.layout.space, task.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def reset(self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None):
        """Draw new episodes: of all rows, or of those in options["reset_mask"], (num_envs,) booleans.

        Args:
            seed: row i is seeded seed + i, or with a list seed[i]; None goes on with a row's own generator.
            options: nothing, or {"reset_mask": …}.

        Raises:
            ValueError: seeds or a mask of wrong length or kind.
        """
        if isinstance(seed, int):
            super().reset(seed=seed)
        infos = self.rows.reset(seed, options)
        return self.rows.observed(), infos

    def step(self, actions: Any):
        """Play one slot of every row.

        Raises:
            ResetNeeded: before the first reset, or, with autoreset disabled, after the end of a row's episode.
            ValueError: actions of wrong shape, dtype or range; the message names the entry, and nothing is played.
        """
        due = self.rows.due()
        given = self._read(actions, due)
        played, truncated, infos = self.rows.step(lambda rows: self.task.advance(*given, rows=rows), due)
        rewards = np.where(played, self.task.rewards_of_rows, 0.0)
        return self.rows.observed(), rewards, np.zeros(self.num_envs, np.bool_), truncated, infos

    def action_masks(self) -> np.ndarray:
        """The action masks of the slots to be decided, a row each."""
        mask = self.task.masks()
        return mask.copy() if self.copy else mask

    def snapshot(self) -> list[np.ndarray]:
        """The batch in mid-play, as arrays of bytes: another of the same scenario and size goes on from it exactly.

        What a scenario's own forecaster remembers is not in it.
        """
        return self.rows.snapshot()

    def restore(self, snapshot: Sequence[np.ndarray]) -> None:
        """Go on from a snapshot.

        Raises:
            ValueError: it is of another scenario or number of environments.
        """
        self.rows.restore(snapshot)

    def close_extras(self, **kwargs: Any) -> None:
        """Shut down the thread pool."""
        self.rows.close()

    def _new_task(self, scenario: Scenario, num_envs: int) -> Any:
        return self.single.task_type(scenario, num_envs)

    def _read(self, actions: Any, due: np.ndarray | None) -> tuple[Any, ...]:
        """The actions as the task's `advance` takes them; only rows that are due are looked at."""
        return self.single.read_action("actions", actions, self.task, (self.num_envs,), due)
