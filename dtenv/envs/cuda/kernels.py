"""CUDA kernels: thread i calls a task's own kernel for row rows[i], or copies that row's numbers."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numba import cuda as numba_cuda
from numba.core.errors import NumbaPerformanceWarning

from dtenv.compiled import compiled
from dtenv.tasks.association import task as association
from dtenv.tasks.migration import kernels as migration_step
from dtenv.tasks.placement import kernels as placement_step

cuda: Any = numba_cuda  # its annotations are wrong for kernels

THREADS = 64
"""Threads per block: the rows' kernels use 100 to 220 registers each, out of 65,536 per multiprocessor."""

warnings.filterwarnings("ignore", "Grid size", NumbaPerformanceWarning)  # a small batch is the user's choice


@cuda.jit(cache=True)
def begin_association(arrays, rows):
    """Start episodes of DTAssociation."""
    i = cuda.grid(1)
    if i < rows.shape[0]:
        association.reset(arrays, rows[i : i + 1])


@cuda.jit(cache=True)
def advance_association(arrays, rows, server, history):
    """Play slots of DTAssociation."""
    i = cuda.grid(1)
    if i < rows.shape[0]:
        association.step(arrays, rows[i : i + 1], server, history)


@cuda.jit(cache=True)
def begin_placement(arrays, rows):
    """Start episodes of DTPlacementMA."""
    i = cuda.grid(1)
    if i < rows.shape[0]:
        placement_step.reset(arrays, rows[i : i + 1])


@cuda.jit(cache=True)
def advance_placement(arrays, rows, numbers, server, mode):
    """Play slots of DTPlacementMA."""
    i = cuda.grid(1)
    if i < rows.shape[0]:
        placement_step.step(arrays, rows[i : i + 1], numbers, server, mode)


@cuda.jit(cache=True)
def begin_migration(arrays, rows):
    """Start episodes of DTMigration."""
    i = cuda.grid(1)
    if i < rows.shape[0]:
        migration_step.draw(arrays, rows[i : i + 1])
        migration_step.start(arrays, rows[i : i + 1])


@cuda.jit(cache=True)
def advance_migration(arrays, rows, server):
    """Play slots of DTMigration."""
    i = cuda.grid(1)
    if i < rows.shape[0]:
        migration_step.step(arrays, rows[i : i + 1], server)


@cuda.jit(cache=True)
def repeat(row, batch):
    """Copy a row (n,) to all rows of a batch (B, n)."""
    b = cuda.grid(1)
    if b < batch.shape[0]:
        for n in range(row.shape[0]):
            batch[b, n] = row[n]


@cuda.jit(cache=True)
def take_column(batch, n, values):
    """Copy column n of a batch (B, …) to values (B,)."""
    b = cuda.grid(1)
    if b < values.shape[0]:
        values[b] = batch[b, n]


@cuda.jit(cache=True)
def take_action(rows, given, least, most, low, high, taken, wrong, place):
    """Copy the given numbers (B, n) of some rows to `taken` (B, n), clipped to low … high.

    wrong[place] becomes the smallest flat index of a number outside least … most.
    """
    i = cuda.grid(1)
    if i < rows.shape[0]:
        b = rows[i]
        for n in range(taken.shape[1]):
            value = given[b, n]
            if not (value >= least and value <= most):  # true for nan as well
                cuda.atomic.min(wrong, place, b * taken.shape[1] + n)
            if not value > low:
                taken[b, n] = low
            elif value > high:
                taken[b, n] = high
            else:
                taken[b, n] = value


@compiled
def form_at(totals: np.ndarray, users: np.ndarray, weights: np.ndarray, b: int) -> Any:
    """Affine form of row b's totals (B, C) and of the means of users (B, K, N) in it; weights (1 + C + K,)."""
    value, columns = weights[0], totals.shape[1]
    for n in range(columns):
        if weights[1 + n] != 0.0:
            value += weights[1 + n] * totals[b, n]
    for k in range(users.shape[1]):
        weight = weights[1 + columns + k]
        if weight != 0.0:
            total = 0.0
            for u in range(users.shape[2]):
                total += users[b, k, u]
            value += weight * (total / users.shape[2])
    return value


@cuda.jit(cache=True)
def write_infos(rows, totals, users, reward, weights, count_weights, flag_weights, rewards, numbers, counts, flags):
    """Write rewards (B,) and infos of some rows' last slots; each of the last three arrays has a row per info entry."""
    i = cuda.grid(1)
    if i < rows.shape[0]:
        b = rows[i]
        rewards[b] = totals[b, reward]
        for e in range(weights.shape[0]):
            numbers[e, b] = form_at(totals, users, weights[e], b)
        for e in range(count_weights.shape[0]):
            counts[e, b] = int(form_at(totals, users, count_weights[e], b))
        for e in range(flag_weights.shape[0]):
            flags[e, b] = form_at(totals, users, flag_weights[e], b) == 0.0
