"""Formulas against the paper: hand-computed numbers, shapes and limits."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import wrightomega

from dtenv import earth_movers_distance
from dtenv.physics.barrier import (
    floored_barrier,
    is_violated,
    literal_barrier,
    smooth_barrier,
    violation_penalty,
)
from dtenv.physics.energy import (
    computation_energy,
    migration_energy,
    normalised_energy,
    normalised_energy_slope,
    synchronisation_energy,
)
from dtenv.physics.geometry import manhattan
from dtenv.physics.radio import dbm_to_watt, uplink_rate
from dtenv.physics.utility import data_power, data_utility, marginal_utility, utility_ceiling
from dtenv.scenario.association import Radio
from dtenv.tasks.association.allocation import wright_omega

A1, A2, A3, A4, A5, A6 = 0.8862, 6.8382, 0.0006, 0.9172, -0.0231, 0.8366
CURVES = (0.1, 1.0, 10.0, 1000.0, 1e6)

energies = st.floats(0, 1e6)
scales = st.floats(1, 1e4)
emds = st.floats(0, 2)
samples = st.floats(1, 1e5)


def rho(data: float, emd: float) -> float:
    v = utility_ceiling(emd, A4, A5, A6)
    return data_utility(data_power(data, v, A3), v, A1, A2)


def marginal(data: float, emd: float) -> float:
    v = utility_ceiling(emd, A4, A5, A6)
    return marginal_utility(data, data_power(data, v, A3), v, A1, A2)


# Radio


def test_dbm_to_watt():
    assert dbm_to_watt(0.0) == pytest.approx(1e-3)
    assert dbm_to_watt(30.0) == pytest.approx(1.0)
    assert dbm_to_watt(-174.0) == pytest.approx(3.98107e-21, rel=1e-5)


def test_uplink_rate_by_hand():
    assert uplink_rate(1000.0, 3.0, 1.0, 1.0) == pytest.approx(2000.0)  # log2(1 + 3) = 2
    assert uplink_rate(1000.0, 0.5, 2.0, 1.0 / 7.0) == pytest.approx(3000.0)  # log2(1 + 7) = 3


def test_uplink_rate_of_table_ii():
    assert Radio().rate_bps == pytest.approx(981_681, abs=0.5)
    assert Radio(noise_per_hertz=True).rate_bps == pytest.approx(773_591, abs=0.5)


# Energy


@pytest.mark.parametrize(
    ("data", "computation", "synchronisation", "migration"),
    [  # D, then (15) at 55 cycles per bit, (14) at 15, 40, 80 m and (13) at 20, 40, 80 m
        (200, 51.7, (0.24, 0.64, 1.28), (323, 645, 1290)),
        (500, 129, (0.60, 1.6, 3.2), (793, 1586, 3172)),
        (1000, 259, (1.2, 3.2, 6.4), (1577, 3154, 6308)),
        (2000, 517, (2.4, 6.4, 12.8), (3145, 6290, 12580)),
    ],
)
def test_cost_of_one_user_under_table_ii(data, computation, synchronisation, migration):
    bits = 784.0 * data
    assert computation_energy(1e-7, 55.0, bits, 60.0) == pytest.approx(computation, rel=4e-3)
    for metres, energy in zip((15, 40, 80), synchronisation, strict=True):
        assert synchronisation_energy(0.1, bits, 981_681, metres) == pytest.approx(energy, abs=0.05)
    for metres, energy in zip((20, 40, 80), migration, strict=True):
        assert migration_energy(1e-4, metres, bits + 4500) == pytest.approx(energy, abs=0.6)


def test_manhattan_by_hand():
    assert manhattan(1.0, 2.0, 4.0, -2.0) == 7.0
    assert manhattan(4.0, -2.0, 1.0, 2.0) == 7.0


@given(energies, scales)
def test_norm_is_the_papers_and_bounded(energy, f0):
    assert normalised_energy(energy, f0) == pytest.approx(2 / (1 + math.exp(-energy / (2 * f0))) - 1, abs=1e-15)
    assert 0 <= normalised_energy(energy, f0) <= 1


def test_norm_by_hand():
    assert normalised_energy(0.0, 200.0) == 0.0
    assert normalised_energy(400 * math.log(3), 200.0) == pytest.approx(0.5)  # 2 / (1 + 1/3) - 1
    assert normalised_energy(1e9, 200.0) == 1.0


@given(energies, energies, scales)
def test_norm_rises_and_is_concave(low, high, f0):
    low, high = sorted((low, high))
    ends = normalised_energy(low, f0), normalised_energy(high, f0)
    assert ends[0] <= ends[1]
    assert normalised_energy((low + high) / 2, f0) >= sum(ends) / 2 - 1e-15


@given(st.floats(0, 4000))
def test_norm_slope_is_a_finite_difference(energy):
    step = 0.01
    rise = normalised_energy(energy + step, 200.0) - normalised_energy(energy - step, 200.0)
    assert normalised_energy_slope(energy, 200.0) == pytest.approx(rise / (2 * step), abs=1e-10)


# Utility

RHO = {  # data of Fig. 3, utility for 100, 200, 500, 1000, 1500, 2000 samples
    0.0: (0.9165, (0.389, 0.584, 0.825, 0.904, 0.915, 0.916)),
    0.2: (0.8771, (0.381, 0.572, 0.795, 0.866, 0.875, 0.877)),
    0.4: (0.7487, (0.363, 0.530, 0.694, 0.740, 0.747, 0.748)),
    0.6: (0.5701, (0.346, 0.455, 0.542, 0.565, 0.569, 0.570)),
}


@pytest.mark.parametrize("emd", RHO)
def test_utility_of_table_ii(emd):
    top, utilities = RHO[emd]
    assert utility_ceiling(emd, A4, A5, A6) == pytest.approx(top, abs=5e-5)
    assert [rho(d, emd) for d in (100, 200, 500, 1000, 1500, 2000)] == pytest.approx(utilities, abs=5.1e-4)


def test_utility_limits():
    assert rho(0, 0.0231) == pytest.approx(0.9172 - 0.8862)  # without data, v - α1
    assert rho(1e7, 0.2) == pytest.approx(utility_ceiling(0.2, A4, A5, A6), abs=1e-15)
    assert utility_ceiling(0.0231, A4, A5, A6) == A4  # the peak lies at φ = -α5
    assert rho(157_000, 0.0) == pytest.approx(rho(1_570_000, 0.0), abs=1e-12)  # with D in bits it would be constant


@given(emds, samples, samples)
def test_utility_rises_and_is_concave(emd, low, high):
    low, high = sorted((low, high))
    ends = rho(low, emd), rho(high, emd)
    assert ends[0] <= ends[1] + 1e-15
    assert rho((low + high) / 2, emd) >= sum(ends) / 2 - 1e-15
    assert ends[1] <= utility_ceiling(emd, A4, A5, A6) <= A4


@given(emds, st.floats(20, 3000))
def test_marginal_utility_is_a_finite_difference(emd, data):
    step = 1e-4 * data
    rise = rho(data + step, emd) - rho(data - step, emd)
    assert marginal(data, emd) == pytest.approx(rise / (2 * step), rel=1e-6, abs=1e-11)


def test_marginal_utility_without_data_is_infinite():
    assert marginal(0.0, 0.2) == math.inf


# Earth mover's distance


@pytest.mark.parametrize(
    ("counts", "reference", "expected"),
    [
        ([3, 1], [1, 1], 0.5),  # |.75 - .5| + |.25 - .5|
        ([5, 0], [0, 7], 2.0),  # nothing in common
        ([2, 4, 6], [1, 2, 3], 0.0),  # equal distributions
        ([[10, 0], [0, 10]], None, [1.0, 1.0]),  # each against (.5, .5)
        ([[30, 0], [0, 10]], None, [0.5, 1.5]),  # each against (.75, .25)
    ],
)
def test_earth_movers_distance_by_hand(counts, reference, expected):
    assert earth_movers_distance(counts, reference) == pytest.approx(expected)


@given(st.lists(st.lists(st.integers(0, 50), min_size=3, max_size=3).filter(any), min_size=1, max_size=5))
def test_earth_movers_distance_is_bounded_and_free_of_size(counts):
    counts = np.array(counts)
    reference = np.array([1, 2, 3])
    distance = earth_movers_distance(counts, reference)
    assert (distance >= 0).all() and (distance <= 2).all()
    np.testing.assert_allclose(earth_movers_distance(7 * counts, 9 * reference), distance, atol=1e-15)


@pytest.mark.parametrize(
    ("counts", "reference", "message"),
    [
        ([1, -1], None, "label_counts must be finite and not negative"),
        ([1, math.nan], None, "label_counts must be finite and not negative"),
        ([[1, 1], [0, 0]], None, "label_counts has an empty histogram"),
        ([1, 1], [0, 0], "label_reference has an empty histogram"),
        ([1, 1], [1, math.inf], "label_reference must be finite"),
        ([1, 1], [1, 1, 1], "label_reference must have 2 labels"),
        ([[[1]]], None, "label_counts must have one or two axes"),
    ],
)
def test_earth_movers_distance_refuses(counts, reference, message):
    with pytest.raises(ValueError, match=message):
        earth_movers_distance(counts, reference)


# Constraints


def test_literal_barrier_by_hand():
    assert literal_barrier(1449.0, 1450.0, 10.0) == 0.0  # -ln(1)
    assert literal_barrier(0.0, math.e**2, 10.0) == pytest.approx(-0.2)
    assert literal_barrier(1450.0, 1450.0, 10.0) == math.inf
    assert literal_barrier(1451.0, 1450.0, 10.0) == math.inf


def test_floored_barrier_is_literal_until_the_slack_is_gone():
    assert floored_barrier(1400.0, 1450.0, 10.0) == literal_barrier(1400.0, 1450.0, 10.0)
    assert floored_barrier(9999.0, 1450.0, 10.0) == pytest.approx(-math.log(1e-9) / 10)


def test_penalty_by_hand():
    assert violation_penalty(1450.0, 1450.0) == 0.0
    assert violation_penalty(1450.0 * 1.5, 1450.0) == pytest.approx(0.04 + 0.4 * 0.5)
    assert not is_violated(1450.0 * (1 + 0.9e-9), 1450.0)
    assert is_violated(1450.0 * (1 + 1.1e-9), 1450.0)


@pytest.mark.parametrize("curve", CURVES)
def test_smooth_barrier_is_logarithmic_inside(curve):
    assert smooth_barrier(0.0, 125.0, curve) == 0.0  # an idle server
    assert smooth_barrier(50.0, 100.0, curve) == pytest.approx(math.log(2) / curve)


@pytest.mark.parametrize("curve", CURVES)
def test_smooth_barrier_is_once_differentiable_at_the_join(curve):
    slack = min(0.5, 0.5 / curve)
    step = 1e-6 * slack
    left, at, right = (smooth_barrier(1.0 - slack + k * step, 1.0, curve) for k in (-1, 0, 1))
    assert right - left == pytest.approx(2 * step / (curve * slack), rel=1e-3)  # continuous
    assert (right - at) / (at - left) == pytest.approx(1.0, rel=1e-3)


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.sampled_from(CURVES))
def test_smooth_barrier_rises_with_the_load(low, high, curve):
    low, high = sorted((low, high))
    assert smooth_barrier(low, 100.0, curve) <= smooth_barrier(high, 100.0, curve)


@given(st.floats(-1e6, 1.0), st.sampled_from(CURVES))
def test_smooth_barrier_is_finite_everywhere(slack, curve):
    assert math.isfinite(smooth_barrier(1.0 - slack, 1.0, curve))


@pytest.mark.parametrize("curve", CURVES)
def test_smooth_barrier_outside_is_the_penalty_and_a_constant(curve):
    gaps = [smooth_barrier(load, 1.0, curve) - violation_penalty(load, 1.0) for load in (3.0, 30.0, 1e6)]
    assert gaps == pytest.approx([gaps[0]] * 3, abs=1e-9)
    join = min(0.5, 0.5 / curve)
    assert gaps[0] == pytest.approx(-math.log(join) / curve + 0.4 * join)


# Wright omega


def test_wright_omega_is_scipys():
    x = np.concatenate([np.linspace(-700, 700, 4001), np.linspace(-40, 5, 4001), np.geomspace(1, 1e12, 500)])
    ours = np.array([wright_omega(value) for value in x])
    np.testing.assert_allclose(ours, wrightomega(x), rtol=1e-14)


@given(st.floats(-30, 1e6))
def test_wright_omega_solves_its_equation(x):
    w = wright_omega(x)
    assert w + math.log(w) == pytest.approx(x, rel=1e-13, abs=1e-13)
