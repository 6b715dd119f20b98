"""Utility of data for federated training (Zhou 2025, eqs 10-12) and of a twin for its user (Lu 2021, eq. 20)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtenv.compiled import compiled


def earth_movers_distance(label_counts: Any, reference: Any = None) -> np.ndarray:
    """Earth mover's distance φ = Σ_y |P_u(y) - P_all(y)| in [0, 2] of label histograms (Zhou 2025, eq. 10).

    label_counts has shape (users, labels) or (labels,), the result (users,) or (); the reference histogram (labels,) is
    by default the sum over users. Raises ValueError for negative or infinite counts, empty histograms, wrong shapes.
    """
    counts = np.asarray(label_counts, dtype=np.float64)
    if counts.ndim not in (1, 2):
        raise ValueError(f"label_counts must have one or two axes, got shape {counts.shape}")
    whole = np.asarray(np.atleast_2d(counts).sum(axis=0) if reference is None else reference, dtype=np.float64)
    if whole.shape != counts.shape[-1:]:
        raise ValueError(f"label_reference must have {counts.shape[-1]} labels, got shape {whole.shape}")
    for name, histogram in (("label_counts", counts), ("label_reference", whole)):
        if not np.isfinite(histogram).all() or (histogram < 0).any():
            raise ValueError(f"{name} must be finite and not negative, got {histogram.tolist()}")
        if (histogram.sum(axis=-1) == 0).any():
            raise ValueError(f"{name} has an empty histogram, got {histogram.tolist()}")
    shares = counts / counts.sum(axis=-1, keepdims=True)
    return np.abs(shares - whole / whole.sum()).sum(axis=-1)


@compiled
def utility_ceiling(emd: float, alpha4: float, alpha5: float, alpha6: float) -> float:
    """v(φ), the utility of unlimited data with earth mover's distance φ (Zhou 2025, eq. 12)."""
    return alpha4 * math.exp(-(((alpha5 + emd) / alpha6) ** 2))


@compiled
def data_power(samples: float, ceiling: float, alpha3: float) -> float:
    """(α3 D)^v, shared by (Zhou 2025, eq. 11) and its derivative; D in samples."""
    return (alpha3 * samples) ** ceiling


@compiled
def data_utility(power: float, ceiling: float, alpha1: float, alpha2: float) -> float:
    """ρ, the predicted accuracy (Zhou 2025, eq. 11), from `data_power` and `utility_ceiling`."""
    return ceiling - alpha1 * math.exp(-alpha2 * power)


@compiled
def marginal_utility(samples: float, power: float, ceiling: float, alpha1: float, alpha2: float) -> float:
    """dρ/dD per sample: positive and falling, as ρ is concave for v < 1; infinite at D = 0."""
    if samples <= 0.0:
        return math.inf
    return alpha1 * alpha2 * ceiling * power / samples * math.exp(-alpha2 * power)


@compiled
def utility_time(time_s: float, deadline_s: float) -> float:
    """Divisor, in seconds, of the exponent in (Lu 2021, eq. 20); `time_s` = 0 means the user's deadline."""
    return time_s if time_s > 0.0 else deadline_s


@compiled
def interaction_utility(
    beta: float, latency_s: float, deadline_s: float, energy_j: float, time_s: float, reference_j: float
) -> float:
    """U = β exp((τ - T) / time) - (1 - β) E / reference; (Lu 2021, eq. 20) uses 1 s and 1 J as references."""
    promptness = beta * math.exp((deadline_s - latency_s) / time_s) if beta > 0.0 else 0.0
    effort = (1.0 - beta) * energy_j / reference_j if beta < 1.0 else 0.0
    return promptness - effort
