"""Vector environments on a GPU: `gym.make_vec(…, device="cuda")`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from numba import cuda

from dtenv import presets
from dtenv.envs.autoreset import BatchRunner, Infos
from dtenv.envs.cuda.episodes import CudaTask
from dtenv.envs.single import TaskEnv
from dtenv.envs.vector import TaskVectorEnv
from dtenv.scenario import Scenario


class CudaBatchRunner(BatchRunner):
    """`BatchRunner` of a batch on the device; infos are device arrays, masks are on the host."""

    task: CudaTask

    def _seed(self, seed: int | Sequence[int | None] | None, mask: np.ndarray) -> None:
        if seed is None and self._seeded[mask].all():
            return
        self.task.load_streams()
        super()._seed(seed, mask)
        self.task.send_streams()

    def _add_infos(self, infos: Infos, entries: Infos, mask: np.ndarray, keep: bool = False) -> None:
        """Add entries of some rows to `infos`, each with its mask; other rows of an entry are undefined."""
        if mask.any():
            for name, values in entries.items():
                infos[name] = copied(values) if self.copy or keep else values
                infos[f"_{name}"] = mask | infos.get(f"_{name}", False)

    def obs(self) -> Any:
        """Observations (B, …) of all rows on the device: copies with `copy`, else views."""
        return copied(self.task.obs) if self.copy else self.task.obs

    def _final_obs(self, truncated: np.ndarray) -> Any:
        return copied(self._current_obs())


class CudaVectorEnv(TaskVectorEnv):
    """`TaskVectorEnv` with episodes, observations, rewards and infos on a GPU: `device="cuda"`.

    Row i equals the CPU's row i with the same seed up to rounding (fused multiply-add, and the device's own
    exponentials). Differences from the CPU:

    - `reset` and `step` return Numba device arrays. They have `__cuda_array_interface__`, so `torch.as_tensor(obs,
      device="cuda")` and `cupy.asarray(obs)` are views of them. All work is queued on the default stream.
    - `actions` are C-contiguous arrays with `__cuda_array_interface__`, or NumPy arrays, which are copied.
    - `infos["final_obs"]` is one array (num_envs, …). Entries of `infos` are undefined outside their masks
      `infos["_…"]`. Observations are defined in all rows; rewards of rows that are reset are 0.
    - Computation is in float64, as on the CPU; observations are float32. Arrays are stored row by row, as on the CPU;
      whether threads would read them faster with the batch innermost has not been measured.
    - Kernels are compiled at their first use on the GPU and cached on disk.

    Args:
        single: class of the CPU's single environment.
        task_type: class of the task on the device.
        num_envs: number of rows, a thread each.
        scenario: a preset's name or a scenario; by default the environment's first preset.
        autoreset_mode: "next_step", "same_step" or "disabled", as on the CPU.
        copy: False returns the environment's own arrays, which change with the next step. Copies cost a device
            allocation per array, so use copy=False if the learner copies observations to buffers anyway.
        check: False skips the range check of actions, which waits for the device in every step. Actions are then
            clipped: an index to the nearest valid one, nan to 0.
        **overrides: single fields of the scenario by name.
    """

    runner_type = CudaBatchRunner

    def __init__(
        self,
        single: type[TaskEnv],
        task_type: type[CudaTask],
        num_envs: int = 1,
        scenario: str | Scenario | None = None,
        *,
        autoreset_mode: str | AutoresetMode = "next_step",
        copy: bool = True,
        check: bool = True,
        **overrides: Any,
    ):
        self.single, self._task_type, self.check = single, task_type, check
        resolved = presets.resolve(scenario, single.env_id, **overrides)  # TypeError for the CPU's `threads`
        super().__init__(num_envs, resolved, autoreset_mode=autoreset_mode, copy=copy)
        self._none, self._whole = (cuda.to_device(np.full(num_envs, value)) for value in (False, True))

    def reset(self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None):
        """Start new episodes, as `TaskVectorEnv.reset` does; `seed` and `options` are on the host."""
        obs, infos = super().reset(seed=seed, options=options)
        return obs, self._sent(infos)

    def step(self, actions: Any):
        """Play one slot of every row.

        Raises:
            ResetNeeded: before the first reset, or, with autoreset disabled, after the end of a row's episode.
            ValueError: actions have a wrong shape or dtype, or with `check` are out of range; no slot is played.
        """
        due = self.runner.due()
        self._read_actions(actions, due)
        _, truncated, infos = self.runner.step(self.task.step, due)
        rewards = copied(self.task.rewards) if self.copy else self.task.rewards
        terminated, truncated = self._flags(np.zeros_like(truncated)), self._flags(truncated)
        return self.runner.obs(), rewards, terminated, truncated, self._sent(infos)

    def action_masks(self) -> Any:
        """Action masks of the current slots, one per row, on the device."""
        return copied(self.task.masks()) if self.copy else self.task.masks()

    def snapshot(self) -> list[np.ndarray]:
        """Raise TypeError: snapshots need device="cpu"."""
        raise TypeError('snapshots need an environment with device="cpu"')

    def restore(self, snapshot: Sequence[np.ndarray]) -> None:
        """Raise TypeError: snapshots need device="cpu"."""
        self.snapshot()

    def _new_task(self, scenario: Scenario, num_envs: int) -> CudaTask:
        return self._task_type(scenario, num_envs)

    def _read_actions(self, actions: Any, due: np.ndarray | None) -> tuple[Any, ...]:
        self.task.load_actions(actions, due, self.check)
        return ()

    def _flags(self, rows: np.ndarray) -> Any:
        """Device array of a host's mask."""
        if self.copy or (rows.any() and not rows.all()):
            return cuda.to_device(rows)
        return self._whole if rows.any() else self._none

    def _sent(self, infos: dict[str, Any]) -> dict[str, Any]:
        """Copy of the infos with the masks on the device."""
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
    """Copy of a device array on the device."""
    copy = cuda.device_array_like(array)
    copy.copy_to_device(array)
    return copy
