"""What noise costs when each step sees a random part of the records: Rényi differential privacy."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import gammaln, logsumexp

from dtenv.validation import number

ORDERS = (*range(2, 64), 72, 80, 96, 128, 192, 256, 512)


def subsampled_epsilon(noise_multiplier: float, rate: float, steps: int, delta: float) -> float:
    """ε of the Gaussian mechanism on Poisson samples, an upper bound; infinite without noise.

    Args:
        noise_multiplier: z, standard deviation of the noise over the sensitivity.
        rate: probability with which a step takes a record.
        steps: how many steps there are.
        delta: δ.

    Raises:
        ValueError: an argument out of range.
    """
    if number("noise_multiplier", noise_multiplier) < 0.0:
        raise ValueError(f"noise_multiplier must be at least 0, got {noise_multiplier!r}")
    if not 0.0 < number("rate", rate) <= 1.0:
        raise ValueError(f"rate must lie in (0, 1], got {rate!r}")
    if number("steps", steps) < 1:
        raise ValueError(f"steps must be at least 1, got {steps!r}")
    if not 0.0 < number("delta", delta) < 1.0:
        raise ValueError(f"delta must lie between 0 and 1, got {delta!r}")
    if noise_multiplier == 0.0:
        return math.inf
    return max(
        0.0,
        min(
            steps * renyi(noise_multiplier, rate, order)
            + math.log1p(-1.0 / order)
            - (math.log(delta) + math.log(order)) / (order - 1.0)
            for order in ORDERS
        ),
    )


def renyi(noise_multiplier: float, rate: float, order: int) -> float:
    """Rényi divergence of a whole order (Mironov et al. 2019, integer orders); to ε after (Canonne et al. 2020)."""
    if rate == 1.0:
        return order / (2.0 * noise_multiplier**2)
    k = np.arange(order + 1)
    choose = gammaln(order + 1) - gammaln(k + 1) - gammaln(order - k + 1)
    terms = choose + (order - k) * math.log1p(-rate) + k * math.log(rate) + k * (k - 1) / (2.0 * noise_multiplier**2)
    return float(logsumexp(terms)) / (order - 1.0)
