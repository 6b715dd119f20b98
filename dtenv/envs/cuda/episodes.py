"""Batches of episodes on a CUDA device, by the tasks' own kernels, one thread per row."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numba import cuda

from dtenv.envs.actions import as_array
from dtenv.envs.cuda import kernels
from dtenv.tasks.episodes import Task

FINITE = float(np.finfo(np.float64).max)
NOTHING_WRONG = np.iinfo(np.int64).max

NamedAction = tuple[str, Any]
"""Name of an action, or of a part of it, for messages, and its values."""


class ActionSpec(NamedTuple):
    """Specification of an action, or of a part of it."""

    shape: tuple[int, ...]  # of a batch
    dtype: Any  # in the kernels
    most: float  # values lie in 0 … most
    must: str  # for messages
    whole: bool = True  # whether an integer dtype is required
    clipped: bool = False  # whether finite numbers outside 0 … most are clipped


class AffineInfos(NamedTuple):
    """Entries of `info` as affine forms of a row's totals and users' means: floats, integers, and "is the form 0"."""

    names: tuple[list[str], list[str], list[str]]
    weights: tuple[np.ndarray, np.ndarray, np.ndarray]  # (entries, 1 + columns) each, the constant first

    @classmethod
    def of(cls, entries_of: Callable[..., dict[str, Any]], totals: int, means: int) -> AffineInfos:
        """Return the forms of a task's `entries_of(totals, means, count)`, found by passing an identity matrix."""
        columns = np.hstack([np.zeros((totals + means, 1)), np.eye(totals + means)])
        names: tuple[list[str], list[str], list[str]] = ([], [], [])
        weights: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
        for name, form in entries_of(columns[:totals], columns[totals:], lambda form: (form,)).items():
            counted = isinstance(form, tuple)
            values = form[0] if counted else form
            flag = values.dtype == np.bool_
            values = 1.0 - values if flag else values  # 1 means False
            kind = 1 if counted else 2 if flag else 0
            names[kind].append(name)
            weights[kind].append(np.concatenate([values[:1], values[1:] - values[0]]))
        some, counts, flags = (np.array(rows).reshape(-1, columns.shape[1]) for rows in weights)
        return cls(names, (some, counts, flags))


class CudaTask(Task):
    """Batch of `batch` episodes on the device. Host and device synchronise only in `load_actions`, where it says so."""

    task: ClassVar[Any]
    """Class of the task on the host."""
    reward: ClassVar[int]
    """Column of its totals that holds the reward."""
    begin_kernel: ClassVar[Any]
    advance_kernel: ClassVar[Any]

    def __init__(self, scenario: Any, batch: int):
        super().__init__(scenario, batch)
        self.host_task, two = self.task(scenario, 1), self.task(scenario, 2)
        self.layout, self.action_space = self.host_task.layout, self.host_task.action_space
        self.state = SimpleNamespace(slot=np.zeros(batch, np.int64))  # horizons are fixed: the host knows the slots
        self._all = cuda.to_device(self.rows)
        self._arrays = tuple(
            self._room(array) if array.shape != other.shape else _sent(array)  # per row, or shared by all rows
            for array, other in zip(self.host_task._arrays, two._arrays, strict=True)
        )
        self.obs, self.mask = self.of(self.host_task.obs), self.of(self.host_task.mask)
        self.specs = self._action_specs()
        self.taken = [cuda.to_device(np.zeros((batch, math.prod(kind.shape[1:])), kind.dtype)) for kind in self.specs]
        self._wrong = cuda.to_device(np.full(len(self.specs), NOTHING_WRONG))
        self._make_entries()
        self._prepare()

    def _make_entries(self) -> None:
        """Allocate rewards and `info` entries, and load the forms that compute them."""
        batch, users = len(self.rows), self._users()
        self._totals = self.of(self.host_task.terms.totals)
        self._means = cuda.to_device(np.zeros((1, 0, 0))) if users is None else self.of(users)
        forms = AffineInfos.of(self._info_entries, self._totals.shape[1], self._means.shape[1])
        self._weights = [cuda.to_device(weights) for weights in forms.weights]
        self._no_rewards, self._rewards = (cuda.to_device(np.zeros(batch)) for _ in range(2))
        self._tables = [
            cuda.to_device(np.zeros((len(names), batch), dtype))
            for names, dtype in zip(forms.names, (np.float64, np.int64, np.bool_), strict=True)
        ]
        tables = zip(forms.names, self._tables, strict=True)
        self.slot_infos = {name: table[e] for names, table in tables for e, name in enumerate(names)}

    def of(self, array: np.ndarray) -> Any:
        """Device array that belongs to an array of the host's task of one row."""
        return next(ours for ours, theirs in zip(self._arrays, self.host_task._arrays, strict=True) if theirs is array)

    def reset_rows(self, rows: np.ndarray) -> None:
        """Start new episodes in some rows, drawn from their streams, and observe the first slot."""
        self._launch(self.begin_kernel, len(rows), self._arrays, self._on(rows))
        self.state.slot[rows] = 1
        self._show()

    def step(self, rows: np.ndarray) -> None:
        """Play one slot of some rows with the actions of the last `load_actions`; the other rows' rewards are 0."""
        on = self._on(rows)
        self._launch(self.advance_kernel, len(rows), self._arrays, on, *self._played())
        if len(rows) < len(self.rows):
            self._rewards.copy_to_device(self._no_rewards)
        given = (on, self._totals, self._means, self.reward, *self._weights, self._rewards, *self._tables)
        self._launch(kernels.write_infos, len(rows), *given)
        self.state.slot[rows] += 1
        self._show()

    def load_actions(self, actions: Any, rows: np.ndarray | None, check: bool) -> None:
        """Load the actions of some rows, None for all, from device arrays or from others, which are copied.

        Args:
            actions: actions of the batch.
            rows: rows to load.
            check: synchronise and raise ValueError for an entry out of range; without it entries are clipped.

        Raises:
            ValueError: wrong shape or dtype, or with `check` an entry out of range; the message names the entry.
        """
        choices = self._named_actions(actions)
        rows = self.rows if rows is None else rows
        on, given = self._on(rows), []
        for place, ((name, values), kind, taken) in enumerate(zip(choices, self.specs, self.taken, strict=True)):
            given.append(_as_given(name, values, kind).reshape(taken.shape))
            number = kind.dtype  # a kernel is compiled for int64 and one for float64
            least, most = (-FINITE, FINITE) if kind.clipped else (number(0), number(kind.most))
            limits = (least, most, number(0), number(kind.most))
            self._launch(kernels.take_action, len(rows), on, given[-1], *limits, taken, self._wrong, place)
        if check:
            self._refuse(choices, given)

    @property
    def rewards(self) -> Any:
        """Rewards (B,) of the last slot."""
        return self._rewards

    def reset_infos(self) -> dict[str, Any]:
        """Infos of all rows' resets: device arrays (B, …)."""
        return {name: self.of(array) for name, array in self.host_task.reset_infos().items()}

    def infos(self) -> dict[str, Any]:
        """Infos of all rows' last slots: device arrays (B, …)."""
        return self.slot_infos | self.reset_infos()

    def load_streams(self) -> None:
        """Copy the random streams from the device, so that single ones can be replaced."""
        self.of(self.host_task.streams).copy_to_host(self.streams)

    def send_streams(self) -> None:
        """Copy the random streams to the device."""
        self.of(self.host_task.streams).copy_to_device(self.streams)

    def _refuse(self, choices: list[NamedAction], given: list[Any]) -> None:
        """Raise ValueError for the first entry that `load_actions` found out of range; waits for the device."""
        wrong = self._wrong.copy_to_host()
        if (wrong == NOTHING_WRONG).all():
            return
        self._wrong.copy_to_device(np.full_like(wrong, NOTHING_WRONG))
        part = int(np.argmax(wrong < NOTHING_WRONG))
        kind, values = self.specs[part], given[part]
        b, n = divmod(int(wrong[part]), values.shape[1])
        place = [int(i) for i in np.unravel_index(int(wrong[part]), kind.shape)]
        raise ValueError(f"{choices[part][0]}{place} must {kind.must}, got {values[b, n]}")

    def _room(self, row: np.ndarray) -> Any:
        """Allocate a device array (B, …) that repeats a host array of one row."""
        batch = cuda.device_array((len(self.rows), *row.shape[1:]), row.dtype)
        if row.size:
            flat = batch.reshape(len(self.rows), row.size)
            self._launch(kernels.repeat, len(self.rows), cuda.to_device(row.reshape(-1)), flat)
        return batch

    def _on(self, rows: np.ndarray) -> Any:
        return self._all if len(rows) == len(self.rows) else cuda.to_device(rows)

    def _launch(self, kernel: Any, count: int, *given: Any) -> None:
        if count:
            kernel[(count + kernels.THREADS - 1) // kernels.THREADS, kernels.THREADS](*given)

    def _users(self) -> np.ndarray | None:
        """Users' terms (1, K, N) of the host's task whose means are in `info`, or None."""
        return None

    def _show(self) -> None:
        """Update returned arrays that kernels do not write."""

    @abstractmethod
    def _info_entries(self, totals: Any, means: Any, count: Callable[[Any], Any]) -> dict[str, Any]:
        """Entries of `info`, by the task's `entries_of`."""

    @abstractmethod
    def _action_specs(self) -> list[ActionSpec]:
        """Specification of the parts of an action."""

    def _named_actions(self, actions: Any) -> list[NamedAction]:
        return [("actions", actions)]

    def _prepare(self) -> None:
        """Allocate further arrays of the task."""

    @abstractmethod
    def _played(self) -> tuple[Any, ...]:
        """Loaded actions, as arguments of `advance_kernel`."""


def _sent(array: np.ndarray) -> Any:
    """Copy an array that all rows share to the device; records by field, as kernels read them."""
    return cuda.to_device(array.view(np.recarray) if array.dtype.names else array)


def _as_given(name: str, values: Any, kind: ActionSpec) -> Any:
    """Return the values as a device array; ValueError for a wrong shape, dtype or layout."""
    if getattr(values, "__cuda_ndarray__", False) or hasattr(values, "__cuda_array_interface__"):
        array = values if hasattr(values, "__cuda_ndarray__") else cuda.as_cuda_array(values)
        if not array.is_c_contiguous():
            raise ValueError(f"{name} must be C-contiguous on the device")
    else:
        array = np.ascontiguousarray(as_array(name, values))
    if tuple(array.shape) != kind.shape:
        raise ValueError(f"{name} must have shape {kind.shape}, got shape {tuple(array.shape)}")
    if array.dtype.kind not in ("iu" if kind.whole else "fiu"):
        raise ValueError(f"{name} must hold {'integers' if kind.whole else 'numbers'}, got dtype {array.dtype}")
    return cuda.to_device(array) if isinstance(array, np.ndarray) else array
