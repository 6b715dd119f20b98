"""Between a track and a policy: the inputs that a graph takes, the action that it gives, and what a valid one is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from dtenv.observation import Layout
from leaderboards.track_spec import Spec
from leaderboards.untrusted_text import quoted

FLAT = "obs"
"""The input that takes flat observations."""

ACTION = "action"
"""The one output."""

_FLOAT32 = 1
_WHOLE = frozenset({2, 3, 4, 5, 6, 7, 12, 13})
_REAL = frozenset({1, 10, 11})
"""ONNX's element types of whole and of floating-point numbers."""


def feed(layout: Layout, names: Iterable[str], observations: np.ndarray) -> dict[str, np.ndarray]:
    """A graph's inputs by name, float32 (B, …), for flat observations (B, size)."""
    observations = np.asarray(observations, np.float32)
    shown = {FLAT: observations, **layout.split(observations)}
    return {name: np.ascontiguousarray(shown[name]) for name in names}


def wrong_action(action: np.ndarray, space: spaces.Space) -> str | None:
    """What is wrong with a policy's answer to one observation, (1, …) with the batch's axis; None if nothing.

    Nothing is rounded or clipped: whole numbers where there are choices, finite floats in range elsewhere.
    """
    shape = (1, *(space.shape or ()))
    if not isinstance(action, np.ndarray) or action.shape != shape:
        return f"action must have the shape {shape}, got {getattr(action, 'shape', type(action).__name__)}"
    if isinstance(space, spaces.Box):
        if action.dtype.kind != "f":
            return f"action must be floating-point numbers, got {action.dtype}"
        low, high = space.low, space.high
        valid = np.isfinite(action) & (action >= low) & (action <= high)
    else:
        if action.dtype.kind not in "iu":
            return f"action must be whole numbers, got {action.dtype}"
        low = np.asarray(space.start)  # type: ignore[attr-defined]
        high = low + (space.n if isinstance(space, spaces.Discrete) else space.nvec) - 1  # type: ignore[attr-defined]
        valid = (action >= low) & (action <= high)
    if valid.all():
        return None
    at = tuple(int(i) for i in np.argwhere(~valid)[0])
    ends = [np.broadcast_to(end, shape)[at].item() for end in (low, high)]
    return f"action{list(at[1:]) if at[1:] else ''} must be in [{ends[0]}, {ends[1]}], got {action[at].item()}"


def problems(model: Any, spec: Spec) -> list[str]:
    """Where a graph's inputs and output are not what a track shows and asks for."""
    return [*_inputs(model.graph, spec), *_output(model.graph, spec)]


def _inputs(graph: Any, spec: Spec) -> Iterator[str]:
    shapes = {FLAT: [(layout.size,) for layout in spec.layouts]}
    for place, block in enumerate(spec.layouts[0].blocks):
        shapes[block.name] = [layout.blocks[place].full_shape for layout in spec.layouts]
    names = [value.name for value in graph.input]
    blocks = [name for name in shapes if name != FLAT]
    expected = f"{FLAT!r} alone, or some of {', '.join(map(repr, blocks))}"
    if (
        not names
        or len(set(names)) < len(names)
        or not set(names) <= set(shapes)
        or (FLAT in names and names != [FLAT])
    ):
        yield f"inputs must be {expected}, got {', '.join(map(quoted, names[:8])) or 'none'}"
    for value in graph.input:
        if value.name in shapes:
            where = f"input {value.name!r}"
            yield from _tensor(where, value.type, {_FLOAT32}, "float32", shapes[value.name])


def _output(graph: Any, spec: Spec) -> Iterator[str]:
    names = [value.name for value in graph.output]
    if names != [ACTION]:
        yield f"outputs must be {ACTION!r} alone, got {', '.join(map(quoted, names[:8])) or 'none'}"
    shapes = [tuple(space.shape or ()) for space in spec.actions]
    real = isinstance(spec.actions[0], spaces.Box)
    kinds, told = (_REAL, "floating-point numbers") if real else (_WHOLE, "whole numbers")
    for value in graph.output:
        if value.name == ACTION:
            yield from _tensor(f"output {ACTION!r}", value.type, kinds, told, shapes)


def _tensor(
    where: str, kind: Any, elements: set[int] | frozenset[int], told: str, shapes: Sequence[tuple]
) -> Iterator[str]:
    """What a tensor's type has wrong; `shapes` are those of a row, one a cell."""
    if not kind.HasField("tensor_type"):
        yield f"{where} must be a tensor"
        return
    tensor = kind.tensor_type
    if tensor.elem_type not in elements:
        yield f"{where} must hold {told}, got ONNX's data type {tensor.elem_type}"
    if not tensor.HasField("shape"):
        yield f"{where} must tell its shape"
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
