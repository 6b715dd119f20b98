"""The state of a training run on disk: nested dicts and lists of tensors, arrays and plain values. No pickle."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file


def save_state(path: Path, tree: Any) -> None:
    """Write a tree of dicts, lists, tensors, arrays and JSON's values, whole or not at all."""
    tensors: dict[str, torch.Tensor] = {}
    skeleton = _take_apart(tree, tensors)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".partial")
    save_file(tensors, beside, metadata={"tree": json.dumps(skeleton)})
    os.replace(beside, path)


def load_state(path: Path) -> Any:
    """The tree that `save_state` wrote; tuples come back as lists.

    Raises:
        FileNotFoundError: there is none.
    """
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
    if kind == "tensor":
        return tensors[held]
    if kind == "array":
        return tensors[held].numpy()
    if kind == "dict":
        return {key: _put_together(value, tensors) for key, value in held}
    if kind == "list":
        return [_put_together(value, tensors) for value in held]
    return held
