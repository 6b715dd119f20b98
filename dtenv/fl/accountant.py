"""What Gaussian noise over rounds costs in differential privacy.

Where all records take part, `epsilon` is exact, by Gaussian differential privacy. A round that adds noise of standard
deviation zC to a sum that one client (or record) changes by at most C in norm is 1/z-GDP; T rounds together are
√T/z-GDP, and nothing is lost in the composition (Dong et al. 2022). Every client takes part in every round: no
amplification by sampling is counted. A client is added or removed; where one is replaced by another the sum changes by
up to 2C, and z counts half. Where each step sees a random part of the records, `subsampled_epsilon` is an upper bound,
by Rényi differential privacy.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaln, log_ndtr, logsumexp

from dtenv.validation import number

ORDERS = (*range(2, 64), 72, 80, 96, 128, 192, 256, 512)
"""Orders at which `subsampled_epsilon` takes Rényi divergences."""


def epsilon(noise_multiplier: float, rounds: int, delta: float) -> float:
    """ε of (ε, δ)-differential privacy after some rounds; infinite without noise.

    Args:
        noise_multiplier: z, standard deviation of the noise over the clipping norm.
        rounds: T, how often something noised is released.
        delta: δ.

    Raises:
        ValueError: z negative, rounds below 1, or δ outside (0, 1).
    """
    _check_noise(noise_multiplier)
    _check(rounds, delta)
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
    """The least z with which some rounds are (ε, δ)-differentially private: the inverse of `epsilon`.

    Raises:
        ValueError: ε not positive, rounds below 1, or δ outside (0, 1).
    """
    if number("epsilon", epsilon) <= 0.0:
        raise ValueError(f"epsilon must be positive, got {epsilon!r}")
    _check(rounds, delta)
    least, most = 1e-9, 1.0
    while _log_delta(epsilon, most) < math.log(delta):
        most *= 2.0
    mu = brentq(lambda m: _log_delta(epsilon, m) - math.log(delta), least, most, xtol=1e-14, rtol=1e-12)
    return math.sqrt(rounds) / float(mu)


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
    _check_noise(noise_multiplier)
    if not 0.0 < number("rate", rate) <= 1.0:
        raise ValueError(f"rate must lie in (0, 1], got {rate!r}")
    _check(steps, delta, "steps")
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
    """Rényi divergence of a whole order (Mironov et al. 2019, integer orders); to ε after (Canonne et al. 2020)."""
    if rate == 1.0:
        return order / (2.0 * noise_multiplier**2)
    k = np.arange(order + 1)
    choose = gammaln(order + 1) - gammaln(k + 1) - gammaln(order - k + 1)
    terms = choose + (order - k) * math.log1p(-rate) + k * math.log(rate) + k * (k - 1) / (2.0 * noise_multiplier**2)
    return float(logsumexp(terms)) / (order - 1.0)


def _check_noise(noise_multiplier: float) -> None:
    if number("noise_multiplier", noise_multiplier) < 0.0:
        raise ValueError(f"noise_multiplier must be at least 0, got {noise_multiplier!r}")


def _check(rounds: int, delta: float, name: str = "rounds") -> None:
    if number(name, rounds) < 1:
        raise ValueError(f"{name} must be at least 1, got {rounds!r}")
    if not 0.0 < number("delta", delta) < 1.0:
        raise ValueError(f"delta must lie between 0 and 1, got {delta!r}")


def _log_delta(epsilon: float, mu: float) -> float:
    """ln δ(ε) of μ-GDP, δ = Φ(-ε/μ + μ/2) - e^ε Φ(-ε/μ - μ/2) (Dong et al. 2022); -inf below all floats."""
    first = float(log_ndtr(-epsilon / mu + 0.5 * mu))
    second = epsilon + float(log_ndtr(-epsilon / mu - 0.5 * mu))
    return first + math.log1p(-math.exp(second - first)) if second < first else -math.inf
