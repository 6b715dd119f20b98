"""Rows of forecasters: reading, and aggregation over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dtenv.reporting import jsonl
from dtenv.reporting.statistics import half_width

Row = dict[str, Any]
"""seed, model, windows, `Score`'s fields as lists by horizon, train_seconds; with noise also epsilon_broadcasts,
epsilon_uploads and noise_over_clip."""


class SeedInterval(NamedTuple):
    """Mean over seeds and half-width of its 95 % interval (Student's t), which is nan for one seed."""

    mean: float
    half: float

    @classmethod
    def of(cls, values: Sequence[float] | np.ndarray) -> SeedInterval:
        """Return the interval of independent values, without nan."""
        sample = np.asarray(values, dtype=np.float64)
        sample = sample[~np.isnan(sample)]
        if len(sample) == 0:
            return cls(math.nan, math.nan)
        return cls(float(sample.mean()), half_width(sample) if len(sample) > 1 else math.nan)

    def __format__(self, spec: str) -> str:
        """Format such as .685 ± .012."""
        spec = spec or ".3f"
        return f"{self.mean:{spec}}" + ("" if math.isnan(self.half) else f" ± {self.half:{spec.lstrip('+')}}")


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a file, none if it does not exist; ValueError for a line that is no row of a forecaster."""
    rows = jsonl.read(path)
    for number, row in enumerate(rows, start=1):
        if not {"seed", "model", "accuracy"} <= row.keys():
            raise ValueError(f"{path}:{number}: is no row of a forecaster: {str(row)[:60]!r}")
    return rows


def values_of(rows: Sequence[Row], model: str, field: str) -> tuple[list[int], np.ndarray]:
    """Return the seeds, in ascending order, and a field of a model (seeds, H)."""
    own = sorted((row for row in rows if row["model"] == model), key=lambda row: row["seed"])
    return [row["seed"] for row in own], np.array([row[field] for row in own], dtype=np.float64)


def difference(rows: Sequence[Row], model: str, reference: str, field: str, step: int) -> SeedInterval:
    """Return the mean difference of two models on common seeds at horizon `step` + 1."""
    (ours, a), (theirs, b) = values_of(rows, model, field), values_of(rows, reference, field)
    return SeedInterval.of([a[i, step] - b[theirs.index(seed), step] for i, seed in enumerate(ours) if seed in theirs])
