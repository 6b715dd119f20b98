"""Vector environments on an NVIDIA GPU; `CudaVectorEnv` is imported when it is first asked for."""

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "CudaVectorEnv":
        from dtenv.envs.cuda.vector import CudaVectorEnv

        return CudaVectorEnv
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
