"""Saved state of a training run: nested dicts and lists of tensors, arrays and plain values. No pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from agents.training.files import write_durably


class Stateful:
    """Base of objects whose saved state is the attributes named in STATE."""

    STATE: ClassVar[tuple[str, ...]] = ()

    def state_dict(self) -> dict[str, Any]:
        """Return the attributes by name."""
        return {name: getattr(self, name) for name in self.STATE}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the attributes to saved values."""
        for name in self.STATE:
            setattr(self, name, state[name])


def save_state(path: Path, tree: Any) -> None:
    """Write a tree of dicts, lists, tensors, arrays and JSON values atomically."""
    tensors: dict[str, torch.Tensor] = {}
    skeleton = _take_apart(tree, tensors)
    write_durably(path, lambda partial: save_file(tensors, partial, metadata={"tree": json.dumps(skeleton)}))


def load_state(path: Path) -> Any:
    """Return the tree that `save_state` wrote, tuples as lists; raises FileNotFoundError if there is none."""
    if not path.exists():
        raise FileNotFoundError(f"no saved state at {str(path)!r}")
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
        skeleton = json.loads(file.metadata()["tree"])
    return _put_together(skeleton, tensors)


def _take_apart(node: Any, tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
    if isinstance(node, torch.Tensor | np.ndarray):
        name = str(len(tensors))
        array = isinstance(node, np.ndarray)
        tensors[name] = (torch.from_numpy(node) if array else node.detach()).clone().contiguous()
        return {"array" if array else "tensor": name}
    if isinstance(node, dict):
        return {"dict": [[key, _take_apart(value, tensors)] for key, value in node.items()]}
    if isinstance(node, list | tuple):
        return {"list": [_take_apart(value, tensors) for value in node]}
    return {"value": node}


def _put_together(node: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Any:
    ((kind, held),) = node.items()
    if kind in ("tensor", "array"):
        return tensors[held] if kind == "tensor" else tensors[held].numpy()
    if kind == "dict":
        return {key: _put_together(value, tensors) for key, value in held}
    return [_put_together(value, tensors) for value in held] if kind == "list" else held
