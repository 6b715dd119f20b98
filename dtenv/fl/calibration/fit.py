"""Coefficients of the data utility (Zhou 2025, eqs 11-12) from measured accuracies, and how far to trust them.

An optimiser finds six numbers whatever it is given. So a fit says which of them the points determine, which merely
stopped at a bound, how far off it is at a data size that it has not seen, and how another formula of the field fares.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dtenv.compiled import compiled
from dtenv.physics.utility import data_power, data_utility, utility_ceiling

NAMES = ("alpha1", "alpha2", "alpha3", "alpha4", "alpha5", "alpha6")
LOWEST = np.array([1e-3, 1e-3, 1e-6, 0.05, -1.0, 0.05])
HIGHEST = np.array([5.0, 100.0, 1.0, 0.9999, 1.0, 20.0])
"""Where coefficients are looked for, with D in samples; α4 < 1 keeps ρ concave in D."""

LOGARITHMIC = np.array([True, True, True, False, False, True])
"""Scales are searched by their logarithms, whose standard errors are relative ones."""

UNCERTAIN = 1.0
"""Relative standard error (α5, which may be zero, in units of φ) from which a coefficient counts as unidentified."""

ILL_CONDITIONED = 1e4
"""Condition number, of the Jacobian with columns of unit length, from which some coefficients count as unidentified."""

RISE = 1e-3
"""Accuracy by which v(φ) has to be higher at the largest φ for it to rise."""

FALL = 0.02
"""Accuracy by which more data have to be worse than fewer for a curve to fall."""

RIVAL = "A - d φ² - B D^(-c)"
"""Four coefficients, a power law as is common for learning curves; no better founded than (11)."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Coefficients, and what is known of them."""

    alpha: tuple[float, ...]
    standard_errors: tuple[float, ...]
    """By α1 … α6, from a Jacobian at the optimum. Seeds that points share make them optimistic."""
    flags: tuple[str, ...]
    """`at-bound:alpha…`, `unidentified:alpha…`, `ill-conditioned`, `rises-with-emd`, `falls-with-samples`."""
    scale: tuple[float, float]
    """α2 α3^v with v = v(φ) at the mean φ, and its relative standard error: all that is known of the two where v hardly
    varies."""
    condition: float
    rmse: float
    """Of single points; `repeat_sd` of it is there whatever the formula."""
    repeat_sd: float | None
    """Standard deviation of points of the same D and φ, pooled; None where no two are."""
    r2: float
    held_out_rmse: float
    """Of the points of the largest data size, predicted from the others."""
    rival_rmse: float
    rival_held_out_rmse: float
    points: int

    def as_dict(self) -> dict[str, Any]:
        """Everything but the coefficients, by name, for a profile's `fit`."""
        return {
            "rmse": self.rmse,
            "repeat_sd": self.repeat_sd,
            "r2": self.r2,
            "held_out_rmse": self.held_out_rmse,
            "points": self.points,
            "standard_errors": list(self.standard_errors),
            "flags": list(self.flags),
            "condition": self.condition,
            "alpha2_alpha3_to_v": {"value": self.scale[0], "relative_standard_error": self.scale[1]},
            "rival": {"formula": RIVAL, "rmse": self.rival_rmse, "held_out_rmse": self.rival_held_out_rmse},
        }


def curve(samples: Any, emd: Any, alpha: Any) -> np.ndarray:
    """ρ of (Zhou 2025, eqs 11-12) at D samples and distances φ, which broadcast, for six coefficients."""
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
    """Least squares over α1 … α6 by SciPy's `curve_fit`, the best of several starts.

    Args:
        samples: D of every point, shape (points,); repeated measurements are points of their own.
        emd: φ of every point.
        accuracy: measured ρ.
        starts: places between the bounds to start from; the same ones in every call.

    Raises:
        ValueError: a value is not finite or out of its range, fewer than eight points, or fewer than three data sizes.
    """
    sizes, distances, measured = _checked(samples, emd, accuracy)
    found, covariance, jacobian = _least_squares(sizes, distances, measured, starts)
    alpha = np.where(LOGARITHMIC, np.exp(found), found)
    relative = np.sqrt(np.diag(covariance))
    residual = measured - curve(sizes, distances, alpha)
    condition = _condition(jacobian)
    kept = sizes < sizes.max()
    held_out = _held_out(sizes, distances, measured, kept, lambda d, phi, rho: _predictor(d, phi, rho, starts))
    rival_rmse = _rms(measured - _rival(sizes, distances, measured)(sizes, distances))
    rival_held_out = _held_out(sizes, distances, measured, kept, _rival)
    return Fit(
        alpha=tuple(alpha.tolist()),
        standard_errors=tuple(np.where(LOGARITHMIC, alpha * relative, relative).tolist()),
        flags=(*_flags(found, relative, condition, alpha, distances), *_falling(sizes, distances, measured)),
        scale=_scale(alpha, covariance, float(distances.mean())),
        condition=condition,
        rmse=_rms(residual),
        repeat_sd=_repeat_sd(sizes, distances, measured),
        r2=float(1.0 - np.sum(residual**2) / max(float(np.sum((measured - measured.mean()) ** 2)), 1e-300)),
        held_out_rmse=held_out,
        rival_rmse=rival_rmse,
        rival_held_out_rmse=rival_held_out,
        points=len(measured),
    )


def _checked(samples: Any, emd: Any, accuracy: Any) -> list[np.ndarray]:
    columns = [np.asarray(values, dtype=np.float64) for values in (samples, emd, accuracy)]
    for name, column, low, high in zip(
        ("samples", "emd", "accuracy"), columns, (1.0, 0.0, 0.0), (np.inf, 2.0, 1.0), strict=True
    ):
        if column.shape != columns[2].shape or column.ndim != 1:
            raise ValueError(f"{name} must have one value a point, got shape {column.shape}")
        wrong = ~(np.isfinite(column) & (column >= low) & (column <= high))
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            raise ValueError(f"{name}[{at}] must be finite and in [{low:g}, {high:g}], got {column[at]!r}")
    if len(columns[2]) < 8:
        raise ValueError(f"accuracy must have eight points at least for six coefficients, got {len(columns[2])}")
    if len(np.unique(columns[0])) < 3:
        raise ValueError(f"samples must take three values at least, got {np.unique(columns[0]).tolist()}")
    return columns


def _least_squares(
    sizes: np.ndarray, distances: np.ndarray, measured: np.ndarray, starts: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Best coefficients (6,), logarithms where LOGARITHMIC, their covariance (6, 6), and the Jacobian (points, 6)."""
    from scipy.optimize import OptimizeWarning, curve_fit  # takes half a second to import

    low, high = (_searched(bound) for bound in (LOWEST, HIGHEST))

    def predicted(_: np.ndarray, *values: float) -> np.ndarray:
        return curve(sizes, distances, np.where(LOGARITHMIC, np.exp(values), values))

    rng = np.random.default_rng(0)
    best: tuple[float, np.ndarray, np.ndarray, np.ndarray] | None = None
    for _ in range(starts):
        start = low + (high - low) * rng.uniform(0.05, 0.95, 6)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", OptimizeWarning)  # a singular covariance, which the flags tell of
                values, covariance, info, *_ = curve_fit(
                    predicted,
                    sizes,
                    measured,
                    p0=start,
                    bounds=(low, high),
                    x_scale="jac",
                    max_nfev=400,
                    full_output=True,
                )
        except RuntimeError:  # no optimum within so many steps: another start has to find it
            continue
        error = float(np.sum(info["fvec"] ** 2))
        if best is None or error < best[0]:
            best = error, values, covariance, _jacobian(predicted, values, low, high)
    if best is None:
        raise ValueError(f"no start of {starts} led to an optimum; accuracy may have no such shape")
    return best[1:]


def _searched(alpha: np.ndarray) -> np.ndarray:
    return np.where(LOGARITHMIC, np.log(np.where(LOGARITHMIC, alpha, 1.0)), alpha)


def _jacobian(
    predicted: Callable[..., np.ndarray], values: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """By central differences that stay within the bounds."""
    columns = []
    for k in range(6):
        up, down = values.copy(), values.copy()
        up[k], down[k] = min(values[k] + 1e-5, high[k]), max(values[k] - 1e-5, low[k])
        columns.append((predicted(values, *up) - predicted(values, *down)) / (up[k] - down[k]))
    return np.stack(columns, axis=1)


def _condition(jacobian: np.ndarray) -> float:
    """Condition number of a Jacobian with columns scaled to unit length; columns of zeros count as 1e-300."""
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
    """Whether measured accuracy falls with D at some φ, by more than FALL and twice the standard error of the means."""
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
    """α2 α3^v at a distance, and its relative standard error."""
    ceiling = utility_ceiling(emd, *alpha[3:].tolist())
    along = np.zeros(6)
    along[1], along[2] = 1.0, ceiling  # of log α2 + v log α3, by log α2 and log α3
    for k in (3, 4, 5):  # by v's own coefficients
        step = np.zeros(6)
        step[k] = 1e-6
        found = _searched(alpha)
        up, down = (np.where(LOGARITHMIC, np.exp(found + s), found + s)[3:].tolist() for s in (step, -step))
        along[k] = np.log(alpha[2]) * (utility_ceiling(emd, *up) - utility_ceiling(emd, *down)) / 2e-6
    with np.errstate(invalid="ignore"):
        error = float(np.sqrt(along @ covariance @ along))
    return float(alpha[1] * alpha[2] ** ceiling), error


Predictor = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _predictor(sizes: np.ndarray, distances: np.ndarray, measured: np.ndarray, starts: int) -> Predictor:
    found = _least_squares(sizes, distances, measured, starts)[0]
    alpha = np.where(LOGARITHMIC, np.exp(found), found)
    return lambda samples, emd: curve(samples, emd, alpha)


def _rival(sizes: np.ndarray, distances: np.ndarray, measured: np.ndarray) -> Predictor:
    """RIVAL, fitted exactly for every c on a grid: but for c it is linear."""
    best: tuple[float, float, np.ndarray] | None = None
    for power in np.geomspace(0.02, 3.0, 120):
        columns = np.stack([np.ones_like(sizes), -(distances**2), -(sizes**-power)], axis=1)
        solved = np.linalg.lstsq(columns, measured, rcond=None)[0]
        error = float(np.sum((measured - columns @ solved) ** 2))
        if best is None or error < best[0]:
            best = error, float(power), solved
    assert best is not None
    _, power, (a, d, b) = best
    return lambda samples, emd: a - d * emd**2 - b * samples**-power


def _held_out(
    sizes: np.ndarray,
    distances: np.ndarray,
    measured: np.ndarray,
    kept: np.ndarray,
    make: Callable[[np.ndarray, np.ndarray, np.ndarray], Predictor],
) -> float:
    """Root mean square error at points that are not kept, of a predictor made of those that are."""
    predict = make(sizes[kept], distances[kept], measured[kept])
    return _rms(measured[~kept] - predict(sizes[~kept], distances[~kept]))


def _rms(residual: np.ndarray) -> float:
    return float(np.sqrt(np.mean(residual**2)))
