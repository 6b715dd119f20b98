"""Base class of the vector environments: Gymnasium's VectorEnv over a batch of episodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from dtenv import presets
from dtenv.envs.autoreset import BatchRunner
from dtenv.envs.single import TaskEnv
from dtenv.scenario import Scenario
from dtenv.validation import integer


class TaskVectorEnv(VectorEnv):
    """Vector environment of a task: `gym.make_vec(id, num_envs=…, vectorization_mode="vector_entry_point")`.

    Row i equals a single environment with the same seed, bit for bit, also after autoresets. Compiled kernels step the
    rows on all cores; `infos` hold arrays with a row per environment and their masks, as in Gymnasium. With
    device="cuda" `make_vec` returns a `dtenv.envs.cuda.vector.CudaVectorEnv`, which steps the rows on a GPU.

    Args:
        num_envs: number of rows.
        scenario: a preset's name or a scenario; by default the environment's first preset.
        autoreset_mode: "next_step" (default: an ended row is reset by the next step, which ignores its action and
            rewards 0), "same_step" (reset at once; infos["final_obs"] and infos["final_info"] hold the end of the
            episode) or "disabled" (rows are reset by options["reset_mask"]).
        copy: False returns the environment's own arrays, which change with the next step.
        threads: number of threads, by default one per core.
        **overrides: single fields of the scenario by name.
    """

    single: type[TaskEnv]
    """Class of the single environment."""
    runner_type: type[BatchRunner] = BatchRunner

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
        self.runner = self.runner_type(task, autoreset_mode, threads, copy)
        self.task, self.copy = task, copy
        self.num_envs = len(task.rows)
        self.scenario, self.layout = task.scenario, task.layout
        self.autoreset_mode = self.runner.mode  # as TorchRL looks it up
        self.metadata = {"autoreset_mode": self.runner.mode, "render_modes": []}
        self.single_observation_space, self.single_action_space = task.layout.space, task.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def reset(self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None):
        """Reset all rows, or those in options["reset_mask"], (num_envs,) booleans; ValueError for bad seeds or masks.

        Row i is seeded with seed + i, or with a list seed[i]; None continues with the row's own generator.
        """
        if isinstance(seed, int | np.integer):
            super().reset(seed=int(seed))
        infos = self.runner.reset(seed, options)
        return self.runner.obs(), infos

    def step(self, actions: Any):
        """Play one slot of every row.

        Raises:
            ResetNeeded: before the first reset, or, with autoreset disabled, after the end of a row's episode.
            ValueError: actions have a wrong shape, dtype or range; the message names the entry. No slot is played.
        """
        due = self.runner.due()
        given = self._read_actions(actions, due)
        played, truncated, infos = self.runner.step(lambda rows: self.task.step(*given, rows=rows), due)
        rewards = np.where(played, self.task.rewards, 0.0)
        return self.runner.obs(), rewards, np.zeros(self.num_envs, np.bool_), truncated, infos

    @property
    def np_random_seed(self) -> tuple[int | None, ...]:  # type: ignore[override]
        """Last seed of each row, None before its first reset."""
        return tuple(self.runner.seeds)

    def action_masks(self) -> np.ndarray:
        """Action masks of the current slots, one per row."""
        mask = self.task.masks()
        return mask.copy() if self.copy else mask

    def snapshot(self) -> list[np.ndarray]:
        """Return the state of the batch as arrays of bytes, without the memory of a custom forecaster."""
        return self.runner.snapshot()

    def restore(self, snapshot: Sequence[np.ndarray]) -> None:
        """Continue exactly from a snapshot; ValueError if it is of another scenario or number of environments."""
        self.runner.restore(snapshot)

    def close_extras(self, **kwargs: Any) -> None:
        """Shut down the thread pool."""
        self.runner.close()

    def _new_task(self, scenario: Scenario, num_envs: int) -> Any:
        return self.single.task_type(scenario, num_envs)

    def _read_actions(self, actions: Any, due: np.ndarray | None) -> tuple[Any, ...]:
        """Validate the actions of the rows that are due and convert them to arguments of the task's `step`."""
        return self.single.read_action("actions", actions, self.task, (self.num_envs,), due)
