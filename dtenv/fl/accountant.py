"""Differential-privacy accountant of Gaussian noise over rounds.

With full participation, `epsilon` is exact, by Gaussian differential privacy: a round that adds noise of standard
deviation zC to a sum that one client (or record) changes by at most C in norm is 1/z-GDP, and T rounds compose to
√T/z-GDP without loss (Dong et al. 2022). No amplification by sampling is counted. Neighbours differ by one client added
or removed; if a client is replaced, the sum changes by up to 2C, and z counts half. If each step sees a random subset
of the records, `subsampled_epsilon` is an upper bound, by Rényi differential privacy.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaln, log_ndtr, logsumexp

from dtenv.validation import number

ORDERS = (*range(2, 64), 72, 80, 96, 128, 192, 256, 512)
"""Rényi orders of `subsampled_epsilon`."""


def epsilon(noise_multiplier: float, rounds: int, delta: float) -> float:
    """Return ε of (ε, δ)-differential privacy after T = `rounds` noisy releases; infinite without noise.

    `noise_multiplier` is z, the standard deviation of the noise over the clipping norm. Raises ValueError if z is
    negative, rounds below 1, or δ outside (0, 1).
    """
    _check(noise_multiplier, rounds, delta)
    if noise_multiplier == 0.0:
        return math.inf
    mu = math.sqrt(rounds) / noise_multiplier
    if _log_delta(0.0, mu) <= math.log(delta):
        return 0.0
    most = 1.0
    while _log_delta(most, mu) > math.log(delta):
        most *= 2.0
    return float(brentq(lambda e: _log_delta(e, mu) - math.log(delta), 0.0, most, xtol=1e-12, rtol=1e-12))


def noise_multiplier(epsilon: float, rounds: int, delta: float) -> float:
    """Return the least z that makes T rounds (ε, δ)-differentially private: the inverse of `epsilon`.

    Raises ValueError if ε is not positive, rounds below 1, or δ outside (0, 1).
    """
    if number("epsilon", epsilon) <= 0.0:
        raise ValueError(f"epsilon must be positive, got {epsilon!r}")
    _check(0.0, rounds, delta)
    most = 1.0
    while _log_delta(epsilon, most) < math.log(delta):
        most *= 2.0
    mu = brentq(lambda m: _log_delta(epsilon, m) - math.log(delta), 1e-9, most, xtol=1e-14, rtol=1e-12)
    return math.sqrt(rounds) / float(mu)


def subsampled_epsilon(noise_multiplier: float, rate: float, steps: int, delta: float) -> float:
    """Return an upper bound on ε of the Gaussian mechanism with Poisson sampling; infinite without noise.

    `noise_multiplier` is z, the standard deviation of the noise over the sensitivity; each step takes a record with
    probability `rate`. Raises ValueError if an argument is out of range.
    """
    if not 0.0 < number("rate", rate) <= 1.0:
        raise ValueError(f"rate must lie in (0, 1], got {rate!r}")
    _check(noise_multiplier, steps, delta, "steps")
    if noise_multiplier == 0.0:
        return math.inf
    bounds = [
        steps * renyi(noise_multiplier, rate, order)
        + math.log1p(-1.0 / order)
        - (math.log(delta) + math.log(order)) / (order - 1.0)
        for order in ORDERS
    ]
    return max(0.0, min(bounds))


def renyi(noise_multiplier: float, rate: float, order: int) -> float:
    """Return the Rényi divergence of an integer order (Mironov et al. 2019); to ε by (Canonne et al. 2020)."""
    if rate == 1.0:
        return order / (2.0 * noise_multiplier**2)
    k = np.arange(order + 1)
    choose = gammaln(order + 1) - gammaln(k + 1) - gammaln(order - k + 1)
    terms = choose + (order - k) * math.log1p(-rate) + k * math.log(rate) + k * (k - 1) / (2.0 * noise_multiplier**2)
    return float(logsumexp(terms)) / (order - 1.0)


def _check(noise_multiplier: float, rounds: int, delta: float, name: str = "rounds") -> None:
    if number("noise_multiplier", noise_multiplier) < 0.0:
        raise ValueError(f"noise_multiplier must be at least 0, got {noise_multiplier!r}")
    if number(name, rounds) < 1:
        raise ValueError(f"{name} must be at least 1, got {rounds!r}")
    if not 0.0 < number("delta", delta) < 1.0:
        raise ValueError(f"delta must lie in (0, 1), got {delta!r}")


def _log_delta(epsilon: float, mu: float) -> float:
    """ln δ(ε) of μ-GDP, δ = Φ(-ε/μ + μ/2) - e^ε Φ(-ε/μ - μ/2) (Dong et al. 2022); -inf below the float range."""
    first = float(log_ndtr(-epsilon / mu + 0.5 * mu))
    second = epsilon + float(log_ndtr(-epsilon / mu - 0.5 * mu))
    return first + math.log1p(-math.exp(second - first)) if second < first else -math.inf
