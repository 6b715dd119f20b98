"""Entry points of `gym.make_vec`, which choose the device."""

from __future__ import annotations

from functools import partial
from typing import Any

from gymnasium.vector import VectorEnv

from dtenv.envs.association import AssociationVectorEnv
from dtenv.envs.migration import MigrationVectorEnv
from dtenv.envs.placement import PlacementVectorEnv
from dtenv.envs.vector import TaskVectorEnv

DEVICES = ("cpu", "cuda")
ENVS: dict[str, tuple[type[TaskVectorEnv], str]] = {
    "DTAssociation-v0": (AssociationVectorEnv, "CudaAssociation"),
    "DTPlacementMA-v0": (PlacementVectorEnv, "CudaPlacement"),
    "DTMigration-v0": (MigrationVectorEnv, "CudaMigration"),
}
"""CPU vector environment of each id, and name of its GPU task in `dtenv.envs.cuda.tasks`."""


def vector_env(env_id: str, num_envs: int = 1, *, device: str = "cpu", **settings: Any) -> VectorEnv:
    """Make a vector environment; **settings are those of `TaskVectorEnv`, or with "cuda" of `CudaVectorEnv`.

    Raises:
        ValueError: device is neither "cpu" nor "cuda".
        RuntimeError: device is "cuda" and Numba finds no GPU.
    """
    if device not in DEVICES:
        raise ValueError(f"device must be one of {', '.join(DEVICES)}, got {device!r}")
    on_cpu, name = ENVS[env_id]
    if device == "cpu":
        return on_cpu(num_envs, **settings)
    require_cuda()
    from dtenv.envs.cuda import tasks  # needs CUDA, which most machines lack
    from dtenv.envs.cuda.vector import CudaVectorEnv

    return CudaVectorEnv(on_cpu.single, getattr(tasks, name), num_envs, **settings)


# The registry refers to them by name: a spec that holds functions cannot be written as JSON.
association, placement, migration = (partial(vector_env, env_id) for env_id in ENVS)


def require_cuda() -> None:
    """Raise RuntimeError unless Numba finds a GPU."""
    try:
        from numba import cuda

        found = cuda.is_available()
    except ImportError:
        found = False
    if not found:
        raise RuntimeError(
            'device="cuda" needs an NVIDIA GPU and Numba\'s CUDA target, and Numba finds none here: '
            'pip install "dtenv[cuda]"'
        )
