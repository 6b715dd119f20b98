"""Batches of episodes that live on a CUDA device: the tasks' own kernels, a thread a row."""

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
from dtenv.tasks.episodes import Episodes

FINITE = float(np.finfo(np.float64).max)
NOTHING_WRONG = np.iinfo(np.int64).max

Choice = tuple[str, Any]
"""A name for messages, and what was given under it."""


class Kind(NamedTuple):
    """What the numbers of an action, or of a part of it, may be."""

    shape: tuple[int, ...]  # of a batch
    dtype: Any  # as kernels take them
    most: float  # from 0 on
    must: str  # for messages
    whole: bool = True  # whether they have to be given as whole numbers
    clipped: bool = False  # whether finite numbers outside 0 … most are held at its ends


class Forms(NamedTuple):
    """`info`'s entries as affine forms of a row's totals and users' means: numbers, counts, and whether a form is 0."""

    names: tuple[list[str], list[str], list[str]]
    weights: tuple[np.ndarray, np.ndarray, np.ndarray]  # (entries, 1 + columns) each, the constant first

    @classmethod
    def of(cls, entries_of: Callable[..., dict[str, Any]], totals: int, means: int) -> Forms:
        """Those of a task's `entries_of(totals, means, count)`, found by giving it an identity matrix."""
        columns = np.hstack([np.zeros((totals + means, 1)), np.eye(totals + means)])
        names: tuple[list[str], list[str], list[str]] = ([], [], [])
        weights: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
        for name, form in entries_of(columns[:totals], columns[totals:], lambda form: (form,)).items():
            counted = isinstance(form, tuple)
            values = form[0] if counted else form
            flag = values.dtype == np.bool_
            values = 1.0 - values if flag else values  # where 1 makes it false
            kind = 1 if counted else 2 if flag else 0
            names[kind].append(name)
            weights[kind].append(np.concatenate([values[:1], values[1:] - values[0]]))
        some, counts, flags = (np.array(rows).reshape(-1, columns.shape[1]) for rows in weights)
        return cls(names, (some, counts, flags))


class CudaEpisodes(Episodes):
    """Episodes on the device. Host and device do not wait for each other but where `take` says so.

    Args:
        scenario: what is fixed.
        batch: episodes side by side (B).
    """

    task: ClassVar[Any]
    """The task on the host."""
    reward: ClassVar[int]
    """The column of its totals that rewards."""
    begin_kernel: ClassVar[Any]
    advance_kernel: ClassVar[Any]

    def __init__(self, scenario: Any, batch: int):
        super().__init__(scenario, batch)
        self.one, two = self.task(scenario, 1), self.task(scenario, 2)
        self.layout, self.action_space = self.one.layout, self.one.action_space
        self.state = SimpleNamespace(slot=np.zeros(batch, np.int64))  # horizons are fixed: the host knows the slots
        self._all = cuda.to_device(self.rows)
        self._arrays = tuple(
            self._room(array) if array.shape != other.shape else _sent(array)
            for array, other in zip(self.one._arrays, two._arrays, strict=True)
        )
        self.obs, self.mask = self.of(self.one.obs), self.of(self.one.mask)
        self.kinds = self._kinds()
        self.taken = [cuda.to_device(np.zeros((batch, math.prod(kind.shape[1:])), kind.dtype)) for kind in self.kinds]
        self._wrong = cuda.to_device(np.full(len(self.kinds), NOTHING_WRONG))
        self._make_entries()
        self._prepare()

    def _make_entries(self) -> None:
        """Room for rewards and for what `info` tells of slots, and the forms that give it."""
        batch, users = len(self.rows), self._users()
        self._totals = self.of(self.one.terms.totals)
        self._means = cuda.to_device(np.zeros((1, 0, 0))) if users is None else self.of(users)
        forms = Forms.of(self._entries_of, self._totals.shape[1], self._means.shape[1])
        self._weights = [cuda.to_device(weights) for weights in forms.weights]
        self._no_rewards, self.rewards = (cuda.to_device(np.zeros(batch)) for _ in range(2))
        self._tables = [
            cuda.to_device(np.zeros((len(names), batch), dtype))
            for names, dtype in zip(forms.names, (np.float64, np.int64, np.bool_), strict=True)
        ]
        tables = zip(forms.names, self._tables, strict=True)
        self.told = {name: table[e] for names, table in tables for e, name in enumerate(names)}

    def of(self, array: np.ndarray) -> Any:
        """The device's array for one of the host's task of one row."""
        return next(ours for ours, theirs in zip(self._arrays, self.one._arrays, strict=True) if theirs is array)

    def begin_rows(self, rows: np.ndarray) -> None:
        """Draw the next episode of some rows from their streams, and observe its first slot."""
        self._launch(self.begin_kernel, len(rows), self._arrays, self._on(rows))
        self.state.slot[rows] = 1
        self._show()

    def advance(self, rows: np.ndarray) -> None:
        """One slot of some rows, for the action that was taken last; the other rows' rewards are 0."""
        on = self._on(rows)
        self._launch(self.advance_kernel, len(rows), self._arrays, on, *self._played())
        if len(rows) < len(self.rows):
            self.rewards.copy_to_device(self._no_rewards)
        given = (on, self._totals, self._means, self.reward, *self._weights, self.rewards, *self._tables)
        self._launch(kernels.tell, len(rows), *given)
        self.state.slot[rows] += 1
        self._show()

    def take(self, actions: Any, rows: np.ndarray | None, check: bool) -> None:
        """Take over the actions of some rows, None for all: device arrays, or others, which are copied there.

        Args:
            actions: the action space's.
            rows: those looked at.
            check: wait for the device to say whether all are in range; otherwise they are held in range unseen.

        Raises:
            ValueError: wrong shape or dtype, or with `check` a number out of range; the message names the entry.
        """
        choices = self._choices(actions)
        rows = self.rows if rows is None else rows
        on, given = self._on(rows), []
        for place, ((name, values), kind, taken) in enumerate(zip(choices, self.kinds, self.taken, strict=True)):
            given.append(_as_given(name, values, kind).reshape(taken.shape))
            number = kind.dtype  # a kernel is compiled for int64 and one for float64
            least, most = (-FINITE, FINITE) if kind.clipped else (number(0), number(kind.most))
            limits = (least, most, number(0), number(kind.most))
            self._launch(kernels.take_action, len(rows), on, given[-1], *limits, taken, self._wrong, place)
        if check:
            self._refuse(choices, given)

    @property
    def rewards_of_rows(self) -> Any:
        """Rewards (B,) of the last slot."""
        return self.rewards

    def masks(self) -> Any:
        """Action masks of all rows."""
        return self.mask

    def begun(self) -> dict[str, Any]:
        """`info` of all rows' resets: device arrays (B, …)."""
        return {name: self.of(array) for name, array in self.one.begun().items()}

    def entries(self) -> dict[str, Any]:
        """`info` of all rows' last slots: device arrays (B, …)."""
        return self.told | self.begun()

    def load_streams(self) -> None:
        """Streams from the device, so that single ones can be replaced."""
        self.of(self.one.streams).copy_to_host(self.streams)

    def send_streams(self) -> None:
        """Streams to the device."""
        self.of(self.one.streams).copy_to_device(self.streams)

    def _refuse(self, choices: list[Choice], given: list[Any]) -> None:
        """Raise ValueError for the first number that `take` found out of range; this waits for the device."""
        wrong = self._wrong.copy_to_host()
        if (wrong == NOTHING_WRONG).all():
            return
        self._wrong.copy_to_device(np.full_like(wrong, NOTHING_WRONG))
        part = int(np.argmax(wrong < NOTHING_WRONG))
        kind, values = self.kinds[part], given[part]
        b, n = divmod(int(wrong[part]), values.shape[1])
        place = [int(i) for i in np.unravel_index(int(wrong[part]), kind.shape)]
        raise ValueError(f"{choices[part][0]}{place} must {kind.must}, got {values[b, n]}")

    def _room(self, row: np.ndarray) -> Any:
        """A host's array of one row, for all rows."""
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
        """Users' terms (1, K, N) whose means are told, of the host's task; None where none are."""
        return None

    def _show(self) -> None:
        """Bring up to date what is handed out and is no array of the kernels'."""

    @abstractmethod
    def _entries_of(self, totals: Any, means: Any, count: Callable[[Any], Any]) -> dict[str, Any]:
        """The task's `entries_of`."""

    @abstractmethod
    def _kinds(self) -> list[Kind]:
        """What an action may be."""

    def _choices(self, actions: Any) -> list[Choice]:
        return [("actions", actions)]

    def _prepare(self) -> None:
        """Arrays of a task's own."""

    @abstractmethod
    def _played(self) -> tuple[Any, ...]:
        """What was taken, as `advance_kernel` takes it."""


def _sent(array: np.ndarray) -> Any:
    """An array that all rows share, on the device; records by field, as kernels read them."""
    return cuda.to_device(array.view(np.recarray) if array.dtype.names else array)


def _as_given(name: str, values: Any, kind: Kind) -> Any:
    """The values as an array of the device's.

    Raises:
        ValueError: wrong shape, dtype or layout.
    """
    if getattr(values, "__cuda_ndarray__", False) or hasattr(values, "__cuda_array_interface__"):
        array = values if hasattr(values, "__cuda_ndarray__") else cuda.as_cuda_array(values)
        if not array.is_c_contiguous():
            raise ValueError(f"{name} must be C-contiguous on the device")
    else:
        array = np.ascontiguousarray(as_array(name, values))
    if tuple(array.shape) != kind.shape:
        raise ValueError(f"{name} must have shape {kind.shape}, got shape {tuple(array.shape)}")
    if array.dtype.kind not in ("iu" if kind.whole else "fiu"):
        what = "whole numbers" if kind.whole else "numbers"
        raise ValueError(f"{name} must hold {what}, got dtype {array.dtype}")
    return cuda.to_device(array) if isinstance(array, np.ndarray) else array
