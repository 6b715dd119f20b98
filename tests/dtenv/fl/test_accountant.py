"""The accountant of Gaussian noise over rounds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate
from scipy.stats import norm

from dtenv.fl.accountant import epsilon, noise_multiplier

positive = st.floats(0.3, 60.0)


@pytest.mark.parametrize(("z", "known"), [(1.0, 76.6), (2.0, 28.1), (5.0, 8.65), (10.0, 3.82)])
def test_known_values_of_79_rounds(z, known):
    assert epsilon(z, 79, 1e-5) == pytest.approx(known, abs=0.005 * known)


@pytest.mark.parametrize(("eps", "known"), [(1.0, 33.2), (3.0, 12.4), (8.0, 5.33), (50.0, 1.33)])
def test_known_noise_of_79_rounds(eps, known):
    assert noise_multiplier(eps, 79, 1e-5) == pytest.approx(known, rel=0.005)


@settings(max_examples=40, deadline=None)
@given(z=positive, rounds=st.integers(1, 500), delta=st.floats(1e-9, 1e-2))
def test_the_two_are_inverse(z, rounds, delta):
    spent = epsilon(z, rounds, delta)
    if spent > 1e-6:
        assert noise_multiplier(spent, rounds, delta) == pytest.approx(z, rel=1e-6)


@settings(max_examples=20, deadline=None)
@given(z=positive, rounds=st.integers(1, 500))
def test_only_rounds_over_squared_noise_count(z, rounds):
    assert epsilon(z, rounds, 1e-5) == pytest.approx(epsilon(z / math.sqrt(rounds), 1, 1e-5), rel=1e-9)


def test_delta_is_the_divergence_of_two_normal_laws():
    mu = math.sqrt(10) / 3.0
    eps = epsilon(3.0, 10, 1e-3)
    excess = integrate.quad(lambda x: max(0.0, norm.pdf(x, mu) - math.exp(eps) * norm.pdf(x)), -20, 20, limit=500)[0]
    assert excess == pytest.approx(1e-3, rel=1e-5)


def test_more_noise_costs_less_and_more_rounds_more():
    costs = [epsilon(z, 50, 1e-5) for z in (0.5, 1.0, 2.0, 4.0, 8.0)]
    assert (np.diff(costs) < 0).all()
    costs = [epsilon(4.0, rounds, 1e-5) for rounds in (1, 2, 10, 100)]
    assert (np.diff(costs) > 0).all()
    assert epsilon(4.0, 10, 1e-3) < epsilon(4.0, 10, 1e-6)


def test_limits():
    assert epsilon(0.0, 5, 1e-5) == math.inf
    assert epsilon(1e9, 1, 1e-5) == 0.0  # so indistinguishable that δ alone suffices
    assert epsilon(2.0, 3, 1e-280) > epsilon(2.0, 3, 1e-100) > 10.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1.0, 1, 1e-5), "noise_multiplier must be at least 0, got -1.0"),
        ((1.0, 0, 1e-5), "rounds must be at least 1, got 0"),
        ((1.0, 1, 0.0), "delta must lie in \\(0, 1\\), got 0.0"),
        ((math.nan, 1, 1e-5), "noise_multiplier must be a finite number, got nan"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        epsilon(*arguments)


def test_no_privacy_is_no_target():
    with pytest.raises(ValueError, match=r"epsilon must be positive, got 0\.0"):
        noise_multiplier(0.0, 1, 1e-5)
