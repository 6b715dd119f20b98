"""Batch runner of the vector environments: threads, seeding, autoreset."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode

from dtenv.envs.threads import ThreadPool
from dtenv.tasks.episodes import Task
from dtenv.validation import integer
from dtenv.world.pcg64 import load

Infos = dict[str, np.ndarray]
"""Arrays (B, …) with an entry per row, by name."""

ROWS_A_THREAD = 16
"""Least number of rows per thread."""

MODES = {"next_step": AutoresetMode.NEXT_STEP, "same_step": AutoresetMode.SAME_STEP, "disabled": AutoresetMode.DISABLED}


class BatchRunner:
    """Batch of episodes under one autoreset mode, stepped by several threads, as kernels release the GIL.

    Args:
        task: a batch task.
        autoreset_mode: "next_step", "same_step" or "disabled", or Gymnasium's AutoresetMode; else ValueError.
        threads: number of threads, by default one per core.
        copy: whether observations and infos are copies, or views that change with the next step.
    """

    def __init__(self, task: Task, autoreset_mode: str | AutoresetMode, threads: int | None, copy: bool):
        if isinstance(autoreset_mode, str) and autoreset_mode in MODES:
            autoreset_mode = MODES[autoreset_mode]
        if not isinstance(autoreset_mode, AutoresetMode):
            raise ValueError(f"autoreset_mode must be one of {', '.join(MODES)}, got {autoreset_mode!r}")
        if threads is not None:
            integer("threads", threads)
        self.task, self.mode, self.copy = task, autoreset_mode, copy
        count = len(task.rows)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self.threads = min(threads or cores, max(count // ROWS_A_THREAD, 1))
        self.ended = np.zeros(count, np.bool_)  # episodes that are over
        self._started = np.zeros(count, np.bool_)
        self._seeded = np.zeros(count, np.bool_)
        self.seeds: list[int | None] = [None] * count
        self._pool = ThreadPool(self.threads - 1)

    def reset(self, seed: int | Sequence[int | None] | None, options: dict[str, Any] | None) -> Infos:
        """Reset all rows, or those in options["reset_mask"], and return the infos of these resets.

        Args:
            seed: row i is seeded with seed + i, or with a list seed[i]; None continues with the row's own generator.
            options: {"reset_mask": (B,) booleans} or nothing; ValueError for anything else.
        """
        mask = self._reset_mask(options)
        self._seed(seed, mask)
        rows = np.flatnonzero(mask)
        self._started[rows] = False  # should the scenario's forecaster fail
        self._share(self.task.reset_rows, rows)
        self._started[rows] = True
        self.ended[rows] = False
        infos: Infos = {}
        self._add_infos(infos, self.task.reset_infos(), mask)
        return infos

    def due(self) -> np.ndarray | None:
        """Return the rows that the next step plays, None for all; the others are reset. Else raise ResetNeeded."""
        if not self._started.all():
            raise ResetNeeded(f"step() was called before row {int(np.argmin(self._started))} was reset: call reset()")
        if not self.ended.any():
            return None
        if self.mode == AutoresetMode.DISABLED:
            last = self.task.scenario.episode.num_slots
            raise ResetNeeded(
                f"step() was called after the end of row {int(np.argmax(self.ended))}'s episode (num_slots={last}): "
                'call reset(options={"reset_mask": …})'
            )
        return np.flatnonzero(~self.ended)

    def step(self, play: Callable[[np.ndarray], None], due: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, Infos]:
        """Play a slot of the due rows and reset the others; return masks of played and truncated rows, and infos."""
        task, played = self.task, ~self.ended
        self._share(play, task.rows if due is None else due)
        truncated = played & (task.state.slot > task.scenario.episode.num_slots)
        infos: Infos = {}
        if self.mode != AutoresetMode.SAME_STEP or not truncated.any():
            self._add_infos(infos, task.infos(), played)
            if due is not None:
                self._share(task.reset_rows, np.flatnonzero(self.ended))
                self._add_infos(infos, task.reset_infos(), self.ended)
            self.ended = truncated
            return played, truncated.copy(), infos
        final: Infos = {}
        self._add_infos(final, task.infos(), truncated, keep=True)
        final_obs, over = self._final_obs(truncated), np.flatnonzero(truncated)
        self._add_infos(infos, task.infos(), ~truncated, keep=True)
        self._share(task.reset_rows, over)
        self._add_infos(infos, task.reset_infos(), truncated)
        infos |= {"final_obs": final_obs, "_final_obs": truncated.copy()}
        infos |= {"final_info": final, "_final_info": truncated.copy()}  # type: ignore[dict-item]
        return played, truncated, infos

    def obs(self) -> np.ndarray:
        """Observations (B, …) of all rows: copies with `copy`, else views."""
        return self._current_obs().copy() if self.copy else self._current_obs()

    def snapshot(self) -> list[np.ndarray]:
        """Return the whole state as bytes: episodes, generators and ended rows."""
        return [array.view(np.uint8).ravel().copy() for array in self._arrays()]

    def restore(self, snapshot: Sequence[np.ndarray]) -> None:
        """Restore a snapshot; ValueError if it belongs to another scenario or number of rows."""
        arrays = list(self._arrays())
        ours, theirs = [array.nbytes for array in arrays], [len(part) for part in snapshot]
        if ours != theirs:
            raise ValueError(
                f"snapshot must hold {sum(ours)} bytes in {len(ours)} arrays, got {sum(theirs)} in {len(theirs)}"
            )
        for array, part in zip(arrays, snapshot, strict=True):
            array.view(np.uint8).ravel()[:] = part

    def close(self) -> None:
        """Shut down the thread pool."""
        self._pool.close()

    def _current_obs(self) -> Any:
        return self.task.obs

    def _arrays(self) -> tuple[np.ndarray, ...]:
        return (*self.task.arrays(), self.ended, self._started, self._seeded)

    def _share(self, work: Callable[[np.ndarray], None], rows: np.ndarray) -> None:
        """Apply `work` to the rows, split over the threads including the caller's."""
        self._pool.apply(work, np.array_split(rows, min(self.threads, max(len(rows) // ROWS_A_THREAD, 1))))

    def _final_obs(self, truncated: np.ndarray) -> Any:
        """Final observations in Gymnasium's form: an object array with None for rows that are not truncated."""
        final_obs = np.full(len(truncated), None, dtype=object)
        over = np.flatnonzero(truncated)
        for b, obs in zip(over, self._current_obs()[over], strict=True):
            final_obs[b] = obs
        return final_obs

    def _add_infos(self, infos: Infos, entries: Infos, mask: np.ndarray, keep: bool = False) -> None:
        """Add per-row entries to `infos`, each with its `_name` mask, as Gymnasium's vector API does.

        Rows without the entry hold zeros. With `keep` entries are copied whatever `copy` says.
        """
        if not mask.any():
            return
        whole = bool(mask.all())
        for name, values in entries.items():
            if whole:
                infos[name], infos[f"_{name}"] = values.copy() if self.copy or keep else values, mask.copy()
                continue
            wide = mask.reshape(-1, *[1] * (values.ndim - 1))
            infos[name] = np.where(wide, values, infos.get(name, np.zeros((), values.dtype)))
            infos[f"_{name}"] = mask | infos.get(f"_{name}", False)

    def _reset_mask(self, options: dict[str, Any] | None) -> np.ndarray:
        count = len(self.ended)
        if not options:
            return np.ones(count, np.bool_)
        if set(options) != {"reset_mask"}:
            raise ValueError(f'options must have the one entry "reset_mask" in this environment, got {options!r}')
        mask = options["reset_mask"]
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (count,):
            raise ValueError(f"options['reset_mask'] must be an array of {count} booleans, got {mask!r}")
        if not mask.any():
            raise ValueError("options['reset_mask'] must hold at least one True")
        return mask

    def _seed(self, seed: int | Sequence[int | None] | None, mask: np.ndarray) -> None:
        seeds = row_seeds(seed, len(mask))  # all checked before any row is seeded
        for b in np.flatnonzero(mask).tolist():
            if seeds[b] is not None or not self._seeded[b]:
                rng, self.seeds[b] = seeding.np_random(seeds[b])
                load(rng, self.task.streams[b])
                self._seeded[b] = True


def row_seeds(seed: int | Sequence[int | None] | np.ndarray | None, count: int) -> list[int | None]:
    """Return one seed per row: seed + i for an integer, the entries of a list or an integer array, or None for all.

    Raises:
        ValueError: another type, another length, or an entry that is neither a non-negative integer nor None.
    """
    if seed is None:
        return [None] * count
    if isinstance(seed, int | np.integer) and not isinstance(seed, bool):
        seeds: list[Any] = [int(seed) + i for i in range(count)]
    elif (isinstance(seed, np.ndarray) and seed.ndim == 1) or isinstance(seed, list | tuple):
        seeds = list(seed)
    else:
        raise ValueError(f"seed must be an integer, a list or array of integers, or None, got {seed!r}")
    if len(seeds) != count:
        raise ValueError(f"seed must hold {count} seeds, one per row, got {len(seeds)}")
    for i, value in enumerate(seeds):
        if value is not None and (not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 0):
            raise ValueError(f"seed[{i}] must be a non-negative integer or None, got {value!r}")
    return [None if value is None else int(value) for value in seeds]
