"""Interface between a track and a policy: graph inputs, the action output, and validity of actions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from typing import Any

import numpy as np
from gymnasium import spaces

from dtenv.observation import Layout
from leaderboards.track_spec import Spec
from leaderboards.untrusted_text import quoted

FLAT = "obs"
"""Name of the input for flat observations."""

ACTION = "action"
"""Name of the only output."""

_FLOAT32 = 1
_WHOLE = frozenset({2, 3, 4, 5, 6, 7, 12, 13})
_REAL = frozenset({1, 10, 11})
"""ONNX's element types of integers and of floating-point numbers."""


def graph_inputs(layout: Layout, names: Iterable[str], observations: np.ndarray) -> dict[str, np.ndarray]:
    """Return a graph's inputs by name, float32 (B, …), from flat observations (B, size)."""
    observations = np.asarray(observations, np.float32)
    shown = {FLAT: observations, **layout.split(observations)}
    return {name: np.ascontiguousarray(shown[name]) for name in names}


def action_problem(action: np.ndarray, space: spaces.Space) -> str | None:
    """Return the problem of a policy's action for one observation, (1, …) with the batch axis, or None.

    Nothing is rounded or clipped: choices must be integers, other actions finite floats in range.
    """
    shape = (1, *(space.shape or ()))
    if not isinstance(action, np.ndarray) or action.shape != shape:
        return f"action must have the shape {shape}, got {getattr(action, 'shape', type(action).__name__)}"
    if isinstance(space, spaces.Box):
        if action.dtype.kind != "f":
            return f"action must be of a floating-point type, got {action.dtype}"
        low, high = space.low, space.high
        valid = np.isfinite(action) & (action >= low) & (action <= high)
    else:
        if action.dtype.kind not in "iu":
            return f"action must be of an integer type, got {action.dtype}"
        low = np.asarray(space.start)  # type: ignore[attr-defined]
        high = low + (space.n if isinstance(space, spaces.Discrete) else space.nvec) - 1  # type: ignore[attr-defined]
        valid = (action >= low) & (action <= high)
    if valid.all():
        return None
    at = tuple(int(i) for i in np.argwhere(~valid)[0])
    ends = [np.broadcast_to(end, shape)[at].item() for end in (low, high)]
    return f"action{list(at[1:]) if at[1:] else ''} must be in [{ends[0]}, {ends[1]}], got {action[at].item()}"


def problems(model: Any, spec: Spec) -> list[str]:
    """Return the mismatches between a graph's inputs and output and a track's observations and actions."""
    return [*_inputs(model.graph, spec), *_output(model.graph, spec)]


def _inputs(graph: Any, spec: Spec) -> Iterator[str]:
    shapes = {FLAT: [(layout.size,) for layout in spec.layouts]}
    for place, block in enumerate(spec.layouts[0].blocks):
        shapes[block.name] = [layout.blocks[place].full_shape for layout in spec.layouts]
    names = [value.name for value in graph.input]
    blocks = [block.name for block in spec.layouts[0].blocks]
    expected = f"only {FLAT!r}, or some of {', '.join(map(repr, blocks))}"
    if names != [FLAT] and not (names and len(set(names)) == len(names) and set(names) <= set(blocks)):
        yield f"inputs must be {expected}, got {', '.join(map(quoted, names[:8])) or 'none'}"
    for value in graph.input:
        if value.name in shapes:
            yield from _tensor(f"input {value.name!r}", value.type, {_FLOAT32}, "float32", shapes[value.name])


def _output(graph: Any, spec: Spec) -> Iterator[str]:
    names = [value.name for value in graph.output]
    if names != [ACTION]:
        yield f"outputs must be only {ACTION!r}, got {', '.join(map(quoted, names[:8])) or 'none'}"
    shapes = [tuple(space.shape or ()) for space in spec.actions]
    real = isinstance(spec.actions[0], spaces.Box)
    kinds, noun = (_REAL, "floating-point numbers") if real else (_WHOLE, "integers")
    for value in graph.output:
        if value.name == ACTION:
            yield from _tensor(f"output {ACTION!r}", value.type, kinds, noun, shapes)


def _tensor(where: str, kind: Any, elements: Set[int], noun: str, shapes: Sequence[tuple]) -> Iterator[str]:
    """Check a tensor's type; `shapes` are those of one row, one per cell."""
    if not kind.HasField("tensor_type"):
        yield f"{where} must be a tensor"
        return
    tensor = kind.tensor_type
    if tensor.elem_type not in elements:
        yield f"{where} must hold {noun}, got ONNX's data type {tensor.elem_type}"
    if not tensor.HasField("shape"):
        yield f"{where} must declare its shape"
        return
    dims = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
    wanted = [{1}, *({shape[axis] for shape in shapes} for axis in range(len(shapes[0])))]
    if len(dims) != len(wanted):
        sizes = ", ".join(["batch", *("|".join(map(str, sorted(sizes))) for sizes in wanted[1:])])
        yield f"{where} must have {len(wanted)} axes ({sizes}), got {len(dims)}"
        return
    for axis, (dim, sizes) in enumerate(zip(dims, wanted, strict=True)):
        if dim is not None and sizes != {dim}:
            may = " or ".join(map(str, sorted(sizes)))
            must = f"free ({may} by scenario)" if len(sizes) > 1 else f"{may} or free"
            yield f"{where} axis {axis} must be {must}, got {dim}"
