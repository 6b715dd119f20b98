"""Where vector environments play: the entry points of `gym.make_vec`, which take `device`."""

from __future__ import annotations

from typing import Any

from gymnasium.vector import VectorEnv

from dtenv import presets
from dtenv.envs.actions import read_count
from dtenv.envs.association import AssociationVectorEnv
from dtenv.envs.migration import MigrationVectorEnv
from dtenv.envs.placement import PlacementVectorEnv

DEVICES = ("cpu", "cuda")
ENVS: dict[str, tuple[Any, str]] = {
    "DTAssociation-v0": (AssociationVectorEnv, "CudaAssociation"),
    "DTPlacementMA-v0": (PlacementVectorEnv, "CudaPlacement"),
    "DTMigration-v0": (MigrationVectorEnv, "CudaMigration"),
}
"""The CPU's environment of each id, and the name of the device's task in `dtenv.envs.cuda_tasks`."""

_CUDA_SETTINGS = ("autoreset_mode", "copy", "check")


def association(num_envs: int = 1, *, device: str = "cpu", **settings: Any) -> VectorEnv:
    """DTAssociation-v0, `num_envs` at once; settings of `AssociationVectorEnv`, or with "cuda" of `CudaVectorEnv`."""
    return _vector_env("DTAssociation-v0", num_envs, device, settings)


def placement(num_envs: int = 1, *, device: str = "cpu", **settings: Any) -> VectorEnv:
    """DTPlacementMA-v0, `num_envs` at once; settings of `PlacementVectorEnv`, or with "cuda" of `CudaVectorEnv`."""
    return _vector_env("DTPlacementMA-v0", num_envs, device, settings)


def migration(num_envs: int = 1, *, device: str = "cpu", **settings: Any) -> VectorEnv:
    """DTMigration-v0, `num_envs` at once; settings of `MigrationVectorEnv`, or with "cuda" of `CudaVectorEnv`."""
    return _vector_env("DTMigration-v0", num_envs, device, settings)


def _vector_env(env_id: str, num_envs: int, device: str, settings: dict[str, Any]) -> VectorEnv:
    """The vector environment of an id on a device.

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
    from dtenv.envs import cuda, cuda_tasks  # CUDA is asked for only where it is wanted

    own = {key: settings.pop(key) for key in _CUDA_SETTINGS if key in settings}
    scenario = presets.resolve(settings.pop("scenario", None), env_id, **settings)
    return cuda.CudaVectorEnv(getattr(cuda_tasks, name), scenario, read_count(num_envs), **own)


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
