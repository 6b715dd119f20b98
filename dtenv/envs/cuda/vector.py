"""Vector environments on a GPU: what `gym.make_vec(…, device="cuda")` gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from numba import cuda

from dtenv import presets
from dtenv.envs.autoreset import Entries, Rows
from dtenv.envs.cuda.episodes import CudaEpisodes
from dtenv.envs.single import TaskEnv
from dtenv.envs.vector import TaskVectorEnv
from dtenv.scenario import Scenario


class CudaRows(Rows):
    """`Rows` of a batch on the device: what they tell are device arrays, and masks the host's."""

    task: CudaEpisodes

    def _seed(self, seed: int | Sequence[int | None] | None, mask: np.ndarray) -> None:
        if seed is None and self._seeded[mask].all():
            return
        self.task.load_streams()
        super()._seed(seed, mask)
        self.task.send_streams()

    def _tell(self, infos: Entries, entries: Entries, mask: np.ndarray, keep: bool = False) -> None:
        """Add entries of some rows to infos, each beside a mask of the rows that it is of.

        What stands in the other rows means nothing.
        """
        if mask.any():
            for name, values in entries.items():
                infos[name] = copied(values) if self.copy or keep else values
                infos[f"_{name}"] = mask | infos.get(f"_{name}", False)

    def observed(self) -> Any:
        """The observations (B, …) of all rows, on the device; with `copy` the caller's own."""
        return copied(self.task.obs) if self.copy else self.task.obs

    def _last_seen(self, truncated: np.ndarray) -> Any:
        return copied(self._observe())


class CudaVectorEnv(TaskVectorEnv):
    """A `TaskVectorEnv` whose episodes, observations, rewards and infos live on a GPU: `device="cuda"`.

    Row i plays as the CPU's row i does that is seeded alike, up to rounding (fused multiply-add, and the device's own
    exponentials). What differs from the CPU's:

    - `reset` and `step` give Numba device arrays. They have `__cuda_array_interface__`, so that `torch.as_tensor(obs,
      device="cuda")` and `cupy.asarray(obs)` are views of them. All work is queued on the default stream, as theirs.
    - `actions` are anything with `__cuda_array_interface__`, C-contiguous, or NumPy arrays, which are copied there.
    - `infos["final_obs"]` is one array (num_envs, …), and what stands in `infos` outside an entry's mask `infos["_…"]`
      means nothing. In observations all rows count; rewards of rows that begin anew are 0.
    - float64 inside, as on the CPU, and no float32 option; observations are float32. Arrays lie row after row, as the
      CPU's do: whether neighbouring threads would read them faster with the batch innermost is not measured yet.
    - Kernels are compiled for the GPU when they are first used, and then cached on disk.

    Args:
        single: the CPU's environment of one row.
        task_type: the task on the device.
        num_envs: rows; a thread each.
        scenario: a preset's name or a scenario; by default the environment's first preset.
        autoreset_mode: "next_step", "same_step" or "disabled", as on the CPU.
        copy: False hands out the environment's own arrays, which change with the next step. On a device a copy costs an
            allocation for every array: copy=False is what learners want that store what they see in buffers anyway.
        check: False does not ask whether actions are in range, which saves waiting for the device in every step. They
            are then held in range: an index at the nearest one, nan at 0.
        **overrides: single fields of the scenario by name.
    """

    rows_type = CudaRows

    def __init__(
        self,
        single: type[TaskEnv],
        task_type: type[CudaEpisodes],
        num_envs: int = 1,
        scenario: str | Scenario | None = None,
        *,
        autoreset_mode: str | AutoresetMode = "next_step",
        copy: bool = True,
        check: bool = True,
        **overrides: Any,
    ):
        self.single, self._task_type, self.check = single, task_type, check
        resolved = presets.resolve(scenario, single.env_id, **overrides)  # which refuses the CPU's `threads`
        super().__init__(num_envs, resolved, autoreset_mode=autoreset_mode, copy=copy)
        self._none, self._whole = (cuda.to_device(np.full(num_envs, value)) for value in (False, True))

    def reset(self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None):
        """Draw new episodes, as `TaskVectorEnv.reset`; `seed` and `options` are the host's."""
        obs, infos = super().reset(seed=seed, options=options)
        return obs, self._sent(infos)

    def step(self, actions: Any):
        """Play one slot of every row.

        Raises:
            ResetNeeded: before the first reset, or, with autoreset disabled, after the end of a row's episode.
            ValueError: actions of wrong shape or dtype, or with `check` out of range; nothing is played.
        """
        due = self.rows.due()
        self._read(actions, due)
        _, truncated, infos = self.rows.step(self.task.advance, due)
        rewards = copied(self.task.rewards) if self.copy else self.task.rewards
        terminated, truncated = self._flags(np.zeros_like(truncated)), self._flags(truncated)
        return self.rows.observed(), rewards, terminated, truncated, self._sent(infos)

    def action_masks(self) -> Any:
        """The action masks of the slots to be decided, a row each, on the device."""
        return copied(self.task.masks()) if self.copy else self.task.masks()

    def snapshot(self) -> list[np.ndarray]:
        """Not kept of batches on a device.

        Raises:
            TypeError: always.
        """
        raise TypeError('a snapshot is kept of batches with device="cpu" alone')

    def restore(self, snapshot: Sequence[np.ndarray]) -> None:
        """See `snapshot`.

        Raises:
            TypeError: always.
        """
        self.snapshot()

    def _new_task(self, scenario: Scenario, num_envs: int) -> CudaEpisodes:
        return self._task_type(scenario, num_envs)

    def _read(self, actions: Any, due: np.ndarray | None) -> tuple[Any, ...]:
        self.task.take(actions, due, self.check)
        return ()

    def _flags(self, rows: np.ndarray) -> Any:
        """Booleans of the host's, on the device."""
        if self.copy or (rows.any() and not rows.all()):
            return cuda.to_device(rows)
        return self._whole if rows.any() else self._none

    def _sent(self, infos: dict[str, Any]) -> dict[str, Any]:
        """Infos whose masks are on the device too."""
        sent, masks = {}, {}
        for name, values in infos.items():
            if isinstance(values, dict):
                values = self._sent(values)
            elif isinstance(values, np.ndarray):
                key = values.tobytes()
                if key not in masks:
                    masks[key] = self._flags(values)
                values = masks[key]
            sent[name] = values
        return sent


def copied(array: Any) -> Any:
    """A copy of a device array, on the device."""
    copy = cuda.device_array_like(array)
    copy.copy_to_device(array)
    return copy
