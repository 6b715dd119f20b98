"""The rows of a table of forecasters: appended as they come, read again, and put together over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dtenv.reporting import jsonl
from dtenv.reporting.statistics import half_width

Row = dict[str, Any]
"""seed, model, windows, `Score`'s fields as lists by horizon, train_seconds; where something is noised, also
epsilon_broadcasts, epsilon_uploads and noise_over_clip."""


class Interval(NamedTuple):
    """A mean over seeds, and half of its 95 % interval (Student's t); nan with one seed."""

    mean: float
    half: float

    @classmethod
    def of(cls, values: Sequence[float] | np.ndarray) -> Interval:
        """Of independent values, those that are nan left out."""
        sample = np.asarray(values, dtype=np.float64)
        sample = sample[~np.isnan(sample)]
        if len(sample) < 2:
            return cls(float(sample.mean()) if len(sample) else math.nan, math.nan)
        return cls(float(sample.mean()), half_width(sample))

    def __format__(self, spec: str) -> str:
        """Such as .685 ± .012."""
        spec = spec or ".3f"
        return f"{self.mean:{spec}}" + ("" if math.isnan(self.half) else f" ± {self.half:{spec.lstrip('+')}}")


def read_rows(path: Path) -> list[Row]:
    """Rows of a file, none if there is no such file.

    Raises:
        ValueError: a line is no row of a forecaster.
    """
    rows = jsonl.read(path)
    for number, row in enumerate(rows, start=1):
        if not {"seed", "model", "accuracy"} <= row.keys():
            raise ValueError(f"{path}:{number}: is no row of a forecaster: {str(row)[:60]!r}")
    return rows


def values_of(rows: Sequence[Row], model: str, field: str) -> tuple[list[int], np.ndarray]:
    """Seeds, and a field of a model (seeds, H), in the order of seeds."""
    own = sorted((row for row in rows if row["model"] == model), key=lambda row: row["seed"])
    return [row["seed"] for row in own], np.array([row[field] for row in own], dtype=np.float64)


def difference(rows: Sequence[Row], model: str, reference: str, field: str, step: int) -> Interval:
    """Mean difference of two models on the same seeds, at horizon `step` + 1."""
    (ours, a), (theirs, b) = values_of(rows, model, field), values_of(rows, reference, field)
    shared = [seed for seed in ours if seed in theirs]
    picked = [(ours.index(seed), theirs.index(seed)) for seed in shared]
    return Interval.of([a[i, step] - b[j, step] for i, j in picked])
