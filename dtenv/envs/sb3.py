"""Stable-Baselines3 VecEnv over a Gymnasium vector env, so that its learners train on the batch directly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

try:
    from stable_baselines3.common.vec_env import VecEnv
except ImportError as error:
    raise ImportError('dtenv.envs.sb3 needs Stable-Baselines3: pip install "dtenv[sb3]"') from error


class SB3VecEnv(VecEnv):
    """Batch of environments for Stable-Baselines3 and sb3-contrib.

    The batch is one object, so attributes are shared: `get_attr` repeats the value, `set_attr` sets it for all rows or
    raises ValueError. `env_method` calls the method of the batch once and returns its rows.

    A step's infos hold the scalars of `info` (`score`, `energy`, `cost`, …) and `TimeLimit.truncated`. Arrays
    (`history`, `action_mask`, …) and `terminal_observation` are added only in the last step of an episode, because
    learners loop over all infos at every step. `infos` holds everything, as the vector env returned it.

    Args:
        env: a vector env with same-step autoreset and `copy=True`; else ValueError.

    Attributes:
        env: that vector env.
        infos: infos of the last step or reset, arrays (N, …).
    """

    def __init__(self, env: VectorEnv):
        mode = env.metadata.get("autoreset_mode")
        if mode != AutoresetMode.SAME_STEP:
            raise ValueError(f'env must reset in the step that ends an episode, autoreset_mode="same_step", got {mode}')
        if not getattr(env, "copy", True):
            raise ValueError("env must be made with copy=True: observations are read after the next step")
        self.env: Any = env  # Gymnasium's annotations lack lists of seeds
        self.spec = env.spec
        self.infos: dict[str, Any] = {}
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)
        self.metadata = {**env.metadata, **self.metadata}

    def reset(self) -> np.ndarray:
        """Reset all rows, with the seeds of `seed`; ValueError if `set_options` set different options per row."""
        if any(options != self._options[0] for options in self._options):
            raise ValueError("options must be the same for all environments: they are one batch")
        seed = None if self._seeds[0] is None else self._seeds
        observations, self.infos = self.env.reset(seed=seed, options=self._options[0] or None)
        self.reset_infos = [_row(self.infos, i) for i in range(self.num_envs)]
        self._reset_seeds()
        self._reset_options()
        return observations

    def step_async(self, actions: np.ndarray) -> None:
        """Store the actions (N, …) for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Play one slot; return observations (N, size), rewards (N,) as float32, dones (N,), and infos."""
        observations, rewards, terminations, truncations, self.infos = self.env.step(self._actions)
        dones = terminations | truncations
        infos = self._scalars(truncations & ~terminations)
        for i in np.flatnonzero(dones).tolist():
            infos[i] = _row(self.infos["final_info"], i)
            infos[i]["terminal_observation"] = self.infos["final_obs"][i]
            infos[i]["TimeLimit.truncated"] = bool(truncations[i] and not terminations[i])
            self.reset_infos[i] = _row(self.infos, i)
        return observations, rewards.astype(np.float32), dones, infos

    def _scalars(self, cut_short: np.ndarray) -> list[dict[str, Any]]:
        """Scalar infos of the last step, a dict per row; rows whose episode ended hold placeholders."""
        columns = {"TimeLimit.truncated": cut_short.tolist()}
        for key, values in self.infos.items():
            if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype != object and key[0] != "_":
                columns[key] = values.tolist()
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def close(self) -> None:
        """Close the vector env."""
        self.env.close()

    def get_images(self) -> Sequence[np.ndarray | None]:
        """Return an image per row, or None without a render mode."""
        return self.env.render() if self.render_mode else [None] * self.num_envs

    def has_attr(self, attr_name: str) -> bool:
        """Whether the vector env has this attribute or method."""
        return hasattr(self.env, attr_name)

    def get_attr(self, attr_name: str, indices: int | Iterable[int] | None = None) -> list[Any]:
        """Return an attribute of the vector env, repeated for each of `indices`."""
        return [getattr(self.env, attr_name)] * len(self._rows(indices))

    def set_attr(self, attr_name: str, value: Any, indices: int | Iterable[int] | None = None) -> None:
        """Set an attribute of the vector env; ValueError unless `indices` cover all rows."""
        if set(self._rows(indices)) != set(range(self.num_envs)):
            raise ValueError(f"{attr_name!r} can only be set for all environments at once: they are one batch")
        setattr(self.env, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: int | Iterable[int] | None = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of the vector env once and return its rows `indices`; masks are flattened for MaskablePPO.

        Raises:
            ValueError: the method does not return one value per environment, or masks do not fit the action space.
        """
        result = getattr(self.env, method_name)(*method_args, **method_kwargs)
        rows = self._rows(indices)
        if result is None:
            return [None] * len(rows)
        if not isinstance(result, np.ndarray | Sequence) or len(result) != self.num_envs:
            raise ValueError(f"{method_name}() must return one value per environment, got {type(result).__name__}")
        if method_name == "action_masks":
            result = np.reshape(result, (self.num_envs, -1))
            choices = np.sum(getattr(self.action_space, "nvec", getattr(self.action_space, "n", 0)))
            if result.shape[1] != choices:
                raise ValueError(f"masks of {result.shape[1]} entries do not fit the choices of {self.action_space}")
        return [result[i] for i in rows]

    def env_is_wrapped(self, wrapper_class: type, indices: int | Iterable[int] | None = None) -> list[bool]:
        """Return False per row: single environments of a batch have no wrappers."""
        return [False] * len(self._rows(indices))

    def _rows(self, indices: int | Iterable[int] | None) -> list[int]:
        return list(self._get_indices(indices))


def _row(infos: dict[str, Any], i: int) -> dict[str, Any]:
    """Info of environment i from arrays (N, …) with masks `_key`; arrays stay views."""
    return {
        key: values[i].item() if values.ndim == 1 and values.dtype != object else values[i]
        for key, values in infos.items()
        if isinstance(values, np.ndarray) and key[0] != "_" and key != "final_obs" and infos[f"_{key}"][i]
    }
