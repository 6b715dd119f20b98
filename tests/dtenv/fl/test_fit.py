"""Fits of the data utility to points whose coefficients are known, and to points that do not determine them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dtenv.fl.calibration.fit import HIGHEST, LOWEST, curve, fit

PUBLISHED = (0.8862, 6.8382, 0.0006, 0.9172, -0.0231, 0.8366)
STEEP = (0.3, 4.0, 0.0013, 0.97, 0.1, 1.5)
SIZES, EMDS = (100, 200, 400, 700, 1200, 2000), (0.0, 0.2, 0.4, 0.6)


def places(repeats: int = 1) -> tuple[np.ndarray, np.ndarray]:
    samples, emd = (np.ravel(axis).astype(float) for axis in np.meshgrid(SIZES, EMDS))
    return np.tile(samples, repeats), np.tile(emd, repeats)


def test_curve_is_that_of_the_equations():
    a1, a2, a3, a4, a5, a6 = PUBLISHED
    ceiling = a4 * math.exp(-(((a5 + 0.4) / a6) ** 2))
    assert curve(500, 0.4, PUBLISHED) == pytest.approx(ceiling - a1 * math.exp(-a2 * (a3 * 500) ** ceiling), rel=1e-12)
    assert curve([100, 200], [[0.0], [0.2], [0.4]], PUBLISHED).shape == (3, 2)


@pytest.mark.parametrize("alpha", [PUBLISHED, STEEP])
def test_known_coefficients_are_found_again(alpha):
    samples, emd = places()
    found = fit(samples, emd, curve(samples, emd, alpha))
    assert found.rmse < 1e-6 and found.held_out_rmse < 1e-4 and found.r2 == pytest.approx(1.0)
    np.testing.assert_allclose(found.alpha, alpha, rtol=1e-3, atol=1e-5)
    assert found.flags == () and max(found.standard_errors) < 1e-3
    assert found.scale[0] == pytest.approx(alpha[1] * alpha[2] ** curve(1e12, 0.3, alpha), rel=1e-3)  # v at the mean φ
    assert found.rival_rmse > 0.005  # the other formula is not this one


def test_noise_is_told_from_the_curve_and_errors_cover_it():
    samples, emd = places(3)
    truth, inside = curve(samples, emd, STEEP), []
    for seed in range(8):
        noise = 0.004 * np.random.default_rng(seed).standard_normal(len(truth))
        found = fit(samples, emd, truth + noise, starts=6)
        assert found.flags == ()
        assert np.sqrt(np.mean((curve(samples, emd, found.alpha) - truth) ** 2)) < 0.002
        assert found.rmse == pytest.approx(0.004, rel=0.4)
        inside += (np.abs(np.subtract(found.alpha, STEEP)) < 2.0 * np.asarray(found.standard_errors)).tolist()
    assert np.mean(inside) > 0.8  # of 48; 95 % are expected, and estimates of one fit go together


def test_flags_where_emd_does_nothing():
    """With one v for all points, α2 and α3 come only as α2 α3^v, and α4 … α6 only as v."""
    samples, emd = places(3)
    accuracy = curve(samples, 0.0 * emd, (0.3, 4.0, 0.0013, 0.93, 0.0, 1.5))
    found = fit(samples, emd, accuracy + 0.003 * np.random.default_rng(0).standard_normal(len(accuracy)))
    assert found.rmse < 0.004
    assert {"unidentified:alpha2", "unidentified:alpha3"} <= set(found.flags)
    assert found.scale[1] < 0.1  # what of them is known
    assert found.scale[0] == pytest.approx(4.0 * 0.0013**0.93, rel=0.15)
    assert "falls-with-samples" not in found.flags


def test_flags_of_bounds_and_of_signs():
    samples, emd = places()
    rising = curve(samples, 0.6 - emd, STEEP)  # better with more skew
    assert "rises-with-emd" in fit(samples, emd, rising).flags
    ceiling = fit(samples, emd, np.minimum(curve(samples, emd, STEEP) + 0.08, 1.0))
    assert "at-bound:alpha4" in ceiling.flags and ceiling.alpha[3] <= HIGHEST[3]
    assert np.all(np.asarray(ceiling.alpha) >= LOWEST)


def test_falling_with_data_is_seen_in_the_points():
    samples, emd = places(2)
    falling = 0.5 - 0.05 * np.log(samples / 100.0)
    assert "falls-with-samples" in fit(samples, emd, falling).flags
    at_one = curve(samples, emd, STEEP) - np.where((samples == 2000) & (emd == 0.6), 0.2, 0.0)
    assert "falls-with-samples" in fit(samples, emd, at_one).flags
    dent = curve(samples, emd, STEEP) - np.where(samples == 700, 0.01, 0.0)  # within what a fit may be off
    assert "falls-with-samples" not in fit(samples, emd, dent).flags


def test_fits_repeat():
    samples, emd = places()
    accuracy = curve(samples, emd, STEEP) + 0.004 * np.random.default_rng(3).standard_normal(len(samples))
    assert fit(samples, emd, accuracy) == fit(samples, emd, accuracy)


@pytest.mark.parametrize(
    ("name", "value"),
    [("samples", 0.0), ("samples", math.inf), ("emd", -0.1), ("accuracy", math.nan), ("accuracy", 1.2)],
)
def test_bad_points_are_refused(name, value):
    samples, emd = places()
    columns = {"samples": samples, "emd": emd, "accuracy": curve(samples, emd, STEEP)}
    columns[name] = columns[name].copy()
    columns[name][5] = value
    with pytest.raises(ValueError, match=rf"{name}\[5\].*{value}"):
        fit(**columns)


def test_too_few_points_are_refused():
    samples, emd = places()
    accuracy = curve(samples, emd, STEEP)
    with pytest.raises(ValueError, match="at least eight points"):
        fit(samples[:7], emd[:7], accuracy[:7])
    with pytest.raises(ValueError, match="at least three values"):
        fit(np.where(samples > 500, 2000.0, 100.0), emd, accuracy)
    with pytest.raises(ValueError, match=r"emd must have one value per point, got shape \(3,\)"):
        fit(samples, emd[:3], accuracy)
