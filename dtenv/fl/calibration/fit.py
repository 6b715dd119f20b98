"""Fit of the data utility (Zhou 2025, eqs 11-12) to measured accuracies, with diagnostics.

An optimiser returns six coefficients for any points. A fit therefore reports which of them the points determine, which
stopped at a bound, its error at a held-out data size, and the error of a rival formula.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from dtenv.compiled import compiled
from dtenv.physics.utility import data_power, data_utility, utility_ceiling

NAMES = ("alpha1", "alpha2", "alpha3", "alpha4", "alpha5", "alpha6")
LOWEST = np.array([1e-3, 1e-3, 1e-6, 0.05, -1.0, 0.05])
HIGHEST = np.array([5.0, 100.0, 1.0, 0.9999, 1.0, 20.0])
"""Search range of the coefficients, with D in samples; α4 < 1 keeps ρ concave in D."""

LOGARITHMIC = np.array([True, True, True, False, False, True])
"""Coefficients searched by their logarithms, whose standard errors are relative."""

UNCERTAIN = 1.0
"""Relative standard error (α5, which may be zero: in units of φ) above which a coefficient is unidentified."""

ILL_CONDITIONED = 1e4
"""Condition number of the Jacobian with unit columns above which the fit is ill-conditioned."""

RISE = 1e-3
"""Least rise in accuracy of v(φ), from the smallest to the largest φ, that is flagged."""

FALL = 0.02
"""Least fall in accuracy with more data that is flagged."""

RIVAL = "A - d φ² - B D^(-c)"
"""Rival formula with four coefficients, a common power law of learning curves, no better founded than (11)."""


Predictor = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Coefficients and their diagnostics."""

    alpha: tuple[float, ...]
    standard_errors: tuple[float, ...]
    """Standard errors of α1 … α6 from the Jacobian at the optimum; optimistic if points share seeds."""
    flags: tuple[str, ...]
    """`at-bound:alpha…`, `unidentified:alpha…`, `ill-conditioned`, `rises-with-emd`, `falls-with-samples`."""
    scale: tuple[float, float]
    """α2 α3^v with v = v(φ) at the mean φ, and its relative standard error: all that is known if v hardly varies."""
    condition: float
    rmse: float
    """RMSE over single points, which includes the noise `repeat_sd` for any formula."""
    repeat_sd: float | None
    """Pooled standard deviation of points of equal D and φ; None without such points."""
    r2: float
    held_out_rmse: float
    """RMSE at the largest data size, predicted from the others."""
    rival_rmse: float
    rival_held_out_rmse: float
    points: int

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the coefficients, for the `fit` of a profile."""
        names = ("rmse", "repeat_sd", "r2", "held_out_rmse", "points")
        return {
            **{name: getattr(self, name) for name in names},
            "standard_errors": list(self.standard_errors),
            "flags": list(self.flags),
            "condition": self.condition,
            "alpha2_alpha3_to_v": {"value": self.scale[0], "relative_standard_error": self.scale[1]},
            "rival": {"formula": RIVAL, "rmse": self.rival_rmse, "held_out_rmse": self.rival_held_out_rmse},
        }


def curve(samples: Any, emd: Any, alpha: Any) -> np.ndarray:
    """Return ρ of (Zhou 2025, eqs 11-12) at D samples and distances φ, which broadcast, for six coefficients."""
    sizes, distances = np.broadcast_arrays(np.asarray(samples, np.float64), np.asarray(emd, np.float64))
    accuracy = np.empty(sizes.size)
    _curve(sizes.ravel(), distances.ravel(), np.asarray(alpha, np.float64), accuracy)
    return accuracy.reshape(sizes.shape)


@compiled
def _curve(samples: np.ndarray, emd: np.ndarray, alpha: np.ndarray, accuracy: np.ndarray) -> None:
    for i in range(samples.size):
        ceiling = utility_ceiling(emd[i], alpha[3], alpha[4], alpha[5])
        power = data_power(samples[i], ceiling, alpha[2])
        accuracy[i] = data_utility(power, ceiling, alpha[0], alpha[1])


def fit(samples: Any, emd: Any, accuracy: Any, *, starts: int = 16) -> Fit:
    """Fit α1 … α6 to points of D, φ and measured ρ, shape (points,), by least squares from several fixed starts.

    Raises ValueError if a value is not finite or out of range, or for fewer than eight points or three data sizes.
    """
    sizes, distances, measured = _checked(samples, emd, accuracy)
    found, covariance, jacobian = _least_squares(sizes, distances, measured, starts)
    alpha = np.where(LOGARITHMIC, np.exp(found), found)
    relative = np.sqrt(np.diag(covariance))
    residual = measured - curve(sizes, distances, alpha)
    condition = _condition(jacobian)
    kept = sizes < sizes.max()

    def held_out(make: Callable[..., Predictor]) -> float:
        predict = make(sizes[kept], distances[kept], measured[kept])
        return _rms(measured[~kept] - predict(sizes[~kept], distances[~kept]))

    return Fit(
        alpha=tuple(alpha.tolist()),
        standard_errors=tuple(np.where(LOGARITHMIC, alpha * relative, relative).tolist()),
        flags=(*_flags(found, relative, condition, alpha, distances), *_falling(sizes, distances, measured)),
        scale=_scale(alpha, covariance, float(distances.mean())),
        condition=condition,
        rmse=_rms(residual),
        repeat_sd=_repeat_sd(sizes, distances, measured),
        r2=float(1.0 - np.sum(residual**2) / max(float(np.sum((measured - measured.mean()) ** 2)), 1e-300)),
        held_out_rmse=held_out(partial(_predictor, starts=starts)),
        rival_rmse=_rms(measured - _rival(sizes, distances, measured)(sizes, distances)),
        rival_held_out_rmse=held_out(_rival),
        points=len(measured),
    )


def _checked(samples: Any, emd: Any, accuracy: Any) -> list[np.ndarray]:
    columns = [np.asarray(values, dtype=np.float64) for values in (samples, emd, accuracy)]
    ranges = {"samples": (1.0, np.inf), "emd": (0.0, 2.0), "accuracy": (0.0, 1.0)}
    for (name, (low, high)), column in zip(ranges.items(), columns, strict=True):
        if column.shape != columns[2].shape or column.ndim != 1:
            raise ValueError(f"{name} must have one value per point, got shape {column.shape}")
        wrong = ~(np.isfinite(column) & (column >= low) & (column <= high))
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            raise ValueError(f"{name}[{at}] must be finite and in [{low:g}, {high:g}], got {column[at]!r}")
    if len(columns[2]) < 8:
        raise ValueError(f"accuracy must have at least eight points for six coefficients, got {len(columns[2])}")
    if len(np.unique(columns[0])) < 3:
        raise ValueError(f"samples must take at least three values, got {np.unique(columns[0]).tolist()}")
    return columns


def _least_squares(
    sizes: np.ndarray, distances: np.ndarray, measured: np.ndarray, starts: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the best coefficients (6,), as logarithms where LOGARITHMIC, their covariance and the Jacobian."""
    from scipy.optimize import OptimizeWarning, curve_fit  # slow to import

    low, high = (_searched(bound) for bound in (LOWEST, HIGHEST))

    def predicted(_: np.ndarray, *values: float) -> np.ndarray:
        return curve(sizes, distances, np.where(LOGARITHMIC, np.exp(values), values))

    rng = np.random.default_rng(0)
    best: tuple[float, np.ndarray, np.ndarray, np.ndarray] | None = None
    options: dict[str, Any] = {"bounds": (low, high), "x_scale": "jac", "max_nfev": 400, "full_output": True}
    for _ in range(starts):
        start = low + (high - low) * rng.uniform(0.05, 0.95, 6)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", OptimizeWarning)  # a singular covariance, which is flagged
                values, covariance, info, *_ = curve_fit(predicted, sizes, measured, p0=start, **options)
        except RuntimeError:  # no optimum within max_nfev; other starts may find it
            continue
        error = float(np.sum(info["fvec"] ** 2))
        if best is None or error < best[0]:
            best = error, values, covariance, _jacobian(predicted, values, low, high)
    if best is None:
        raise ValueError(f"no start of {starts} led to an optimum; accuracy may have another shape")
    return best[1:]


def _searched(alpha: np.ndarray) -> np.ndarray:
    return np.where(LOGARITHMIC, np.log(np.where(LOGARITHMIC, alpha, 1.0)), alpha)


def _jacobian(
    predicted: Callable[..., np.ndarray], values: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Return the Jacobian by central differences within the bounds."""
    columns = []
    for k in range(6):
        up, down = values.copy(), values.copy()
        up[k], down[k] = min(values[k] + 1e-5, high[k]), max(values[k] - 1e-5, low[k])
        columns.append((predicted(values, *up) - predicted(values, *down)) / (up[k] - down[k]))
    return np.stack(columns, axis=1)


def _condition(jacobian: np.ndarray) -> float:
    """Return the condition number of a Jacobian with columns scaled to unit length (zero columns by 1e-300)."""
    lengths = np.linalg.norm(jacobian, axis=0)
    spectrum = np.linalg.svd(jacobian / np.maximum(lengths, 1e-300), compute_uv=False)
    return float(min(spectrum[0] / max(spectrum[-1], 1e-300), 1e300))


def _flags(
    found: np.ndarray, relative: np.ndarray, condition: float, alpha: np.ndarray, distances: np.ndarray
) -> tuple[str, ...]:
    low, high = _searched(LOWEST), _searched(HIGHEST)
    close = 1e-3 * (high - low)
    flags = [
        f"at-bound:{n}" for n, near in zip(NAMES, (found - low < close) | (high - found < close), strict=True) if near
    ]
    flags += [f"unidentified:{n}" for n, error in zip(NAMES, relative, strict=True) if not error <= UNCERTAIN]
    if condition > ILL_CONDITIONED:
        flags.append("ill-conditioned")
    ends = [utility_ceiling(float(emd), *alpha[3:].tolist()) for emd in (distances.min(), distances.max())]
    if ends[1] > ends[0] + RISE:
        flags.append("rises-with-emd")
    return tuple(flags)


def _falling(sizes: np.ndarray, distances: np.ndarray, measured: np.ndarray) -> tuple[str, ...]:
    """Flag accuracies that fall with D at some φ by more than FALL and two standard errors of the means."""
    for emd in np.unique(distances):
        best = error = -np.inf
        for size in np.unique(sizes[distances == emd]):
            here = measured[(distances == emd) & (sizes == size)]
            mean, squared = float(here.mean()), float(here.var(ddof=1)) / len(here) if len(here) > 1 else 0.0
            if mean < best - FALL and mean < best - 2.0 * np.sqrt(error + squared):
                return ("falls-with-samples",)
            if mean > best:
                best, error = mean, squared
    return ()


def _repeat_sd(sizes: np.ndarray, distances: np.ndarray, measured: np.ndarray) -> float | None:
    places, of = np.unique(np.stack([sizes, distances]), axis=1, return_inverse=True)
    of = of.ravel()
    means = np.bincount(of, weights=measured) / np.bincount(of)
    freedom = len(measured) - places.shape[1]
    return float(np.sqrt(np.sum((measured - means[of]) ** 2) / freedom)) if freedom else None


def _scale(alpha: np.ndarray, covariance: np.ndarray, emd: float) -> tuple[float, float]:
    """Return α2 α3^v at a distance, and its relative standard error."""
    ceiling = utility_ceiling(emd, *alpha[3:].tolist())
    along = np.zeros(6)
    along[1], along[2] = 1.0, ceiling  # derivatives of log α2 + v log α3 by log α2 and log α3
    for k in (3, 4, 5):  # derivatives by the coefficients of v
        step = np.zeros(6)
        step[k] = 1e-6
        found = _searched(alpha)
        up, down = (np.where(LOGARITHMIC, np.exp(found + s), found + s)[3:].tolist() for s in (step, -step))
        along[k] = np.log(alpha[2]) * (utility_ceiling(emd, *up) - utility_ceiling(emd, *down)) / 2e-6
    with np.errstate(invalid="ignore"):
        error = float(np.sqrt(along @ covariance @ along))
    return float(alpha[1] * alpha[2] ** ceiling), error


def _predictor(sizes: np.ndarray, distances: np.ndarray, measured: np.ndarray, starts: int) -> Predictor:
    found = _least_squares(sizes, distances, measured, starts)[0]
    alpha = np.where(LOGARITHMIC, np.exp(found), found)
    return lambda samples, emd: curve(samples, emd, alpha)


def _rival(sizes: np.ndarray, distances: np.ndarray, measured: np.ndarray) -> Predictor:
    """Fit RIVAL exactly for each c of a grid, as it is linear in the other coefficients."""
    best: tuple[float, float, np.ndarray] = np.inf, 0.0, np.zeros(3)
    for power in np.geomspace(0.02, 3.0, 120):
        columns = np.stack([np.ones_like(sizes), -(distances**2), -(sizes**-power)], axis=1)
        solved = np.linalg.lstsq(columns, measured, rcond=None)[0]
        error = float(np.sum((measured - columns @ solved) ** 2))
        if error < best[0]:
            best = error, float(power), solved
    _, power, (a, d, b) = best
    return lambda samples, emd: a - d * emd**2 - b * samples**-power


def _rms(residual: np.ndarray) -> float:
    return float(np.sqrt(np.mean(residual**2)))
