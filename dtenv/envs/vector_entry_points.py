"""Where vector environments play: the entry points of `gym.make_vec`, which take `device`."""

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
"""The CPU's environment of each id, and the name of the device's task in `dtenv.envs.cuda.tasks`."""


def vector_env(env_id: str, num_envs: int = 1, *, device: str = "cpu", **settings: Any) -> VectorEnv:
    """The environment of an id, `num_envs` at once.

    Args:
        env_id: the environment's id.
        num_envs: rows.
        device: "cpu" or "cuda".
        **settings: of `TaskVectorEnv`, or with "cuda" of `CudaVectorEnv`.

    Raises:
        ValueError: no such device.
        RuntimeError: device="cuda" where Numba finds none.
    """
    if device not in DEVICES:
        raise ValueError(f"device must be one of {', '.join(DEVICES)}, got {device!r}")
    on_cpu, name = ENVS[env_id]
    if device == "cpu":
        return on_cpu(num_envs, **settings)
    require_cuda()
    from dtenv.envs.cuda import CudaVectorEnv, tasks  # needs CUDA, which most machines lack

    return CudaVectorEnv(on_cpu.single, getattr(tasks, name), num_envs, **settings)


# Named by strings in the registry: a spec with the functions themselves could not be written as JSON.
association, placement, migration = (partial(vector_env, env_id) for env_id in ENVS)


def require_cuda() -> None:
    """Raise RuntimeError where Numba finds no GPU."""
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
