"""Formulas (3)-(20) of Lu 2021: hand-computed numbers, shapes and limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtenv.physics.energy import transmission_energy
from dtenv.physics.geometry import euclidean
from dtenv.physics.latency import (
    compute_latency,
    compute_share,
    square_root_weight,
    total_latency,
    wired_latency,
    wireless_latency,
)
from dtenv.physics.radio import db_to_ratio, path_loss_db, uplink_rate
from dtenv.physics.utility import interaction_utility
from dtenv.presets import MIGRATION, PLACEMENT
from dtenv.scenario.edge import Network, Radio
from dtenv.tasks.migration.slot import Constants as MigrationConstants
from dtenv.tasks.migration.slot import migration_price, migration_seconds, update_latency, utility
from dtenv.tasks.placement.slot import Constants
from dtenv.tasks.uplink import Uplink, choose_access, gain_range_db, link_gains, link_rate

metres = st.floats(0, 1e5)
gains = st.floats(-200, -40)
NOISE = 10**-17.4 / 1000  # W/Hz


def loss(distance: float) -> float:
    return path_loss_db(distance, 10.0, 128.1, 37.6)


# The channel


def test_path_loss_by_hand():
    assert loss(1000.0) == pytest.approx(128.1, abs=1e-12)
    assert loss(10.0) == pytest.approx(52.9, abs=1e-12)  # two decades less
    assert loss(100.0) == pytest.approx(90.5, abs=1e-12)
    assert loss(0.0) == loss(3.0) == loss(10.0)  # clipped at min_distance_m


@given(metres, metres)
def test_path_loss_rises_with_distance(near, far):
    near, far = sorted((near, far))
    assert loss(near) <= loss(far)


def test_decibels_by_hand():
    assert db_to_ratio(0.0) == 1.0
    assert db_to_ratio(10.0) == pytest.approx(10.0, rel=1e-14)
    assert db_to_ratio(-128.1) == pytest.approx(10**-12.81, rel=1e-13)


def test_shadowing_is_a_loss_and_gains_are_of_every_link():
    gain = np.empty((2, 2))
    users, stations = np.array([[0.0, 0.0], [600.0, 800.0]]), np.array([[0.0, 10.0], [0.0, 0.0]])
    link_gains.py_func(Uplink.of(Radio()), users, stations, np.array([[0.0, 5.0], [0.0, -3.0]]), gain)
    far = -128.1 - 37.6 * math.log10(math.hypot(600, 790) / 1000)
    np.testing.assert_allclose(gain, [[-52.9, -57.9], [far, -125.1]], rtol=1e-12)


def test_gain_range_holds_six_deviations_over_the_square():
    least, most = gain_range_db(Radio(), Network())
    assert least == pytest.approx(-128.1 - 37.6 * math.log10(1.5 * math.sqrt(2)) - 48 - 1)
    assert most == pytest.approx(-52.9 + 48 + 1)
    flat = gain_range_db(Radio(shadowing_db=0.0), Network(area_m=5.0, separation_m=0.0))
    assert flat == pytest.approx((-53.9, -51.9))  # a range even if all gains are equal


# The rate (3)


def test_rate_by_hand():
    up = Uplink.of(Radio())
    snr = 0.2 * 10**-12 / (20e6 * NOISE)
    assert link_rate(up, 0.2, -120.0, 1.0) == pytest.approx(20e6 * math.log2(1 + snr), rel=1e-12)
    # Four users: a quarter of the bandwidth and of the noise.
    assert link_rate(up, 0.2, -120.0, 4.0) == pytest.approx(5e6 * math.log2(1 + 4 * snr), rel=1e-12)
    full = Uplink.of(Radio(bandwidth_sharing="full"))
    assert link_rate(full, 0.2, -120.0, 4.0) == link_rate(up, 0.2, -120.0, 1.0)  # as (3) is printed
    nats = Uplink.of(Radio(rate_logarithm="ln"))
    assert link_rate(nats, 0.2, -120.0, 1.0) == pytest.approx(20e6 * math.log(1 + snr), rel=1e-12)


@given(gains, st.integers(1, 200))
def test_a_users_rate_falls_with_company_and_all_together_gain(gain, users):
    up = Uplink.of(Radio())
    alone, fewer, more = (link_rate(up, 0.2, gain, float(n)) for n in (1, users, users + 1))
    assert 0 < more < fewer <= alone
    assert (users + 1) * more >= users * fewer * (1 - 1e-12) >= alone * (1 - 2e-12)


@given(gains, gains)
def test_rate_rises_with_gain(low, high):
    up, (low, high) = Uplink.of(Radio()), sorted((low, high))
    assert link_rate(up, 0.2, low, 3.0) <= link_rate(up, 0.2, high, 3.0)


@given(st.floats(-900, 0))
def test_a_signal_below_the_noise_still_carries_its_little(db):
    snr = 10 ** (db / 10)
    assert uplink_rate(1e6, snr, 1.0, 1.0) == pytest.approx(1e6 * math.log1p(snr) / math.log(2), rel=1e-12)
    assert uplink_rate(1e6, snr, 1.0, 1.0) > 0


# The access station


def chosen(gain, before=-1, **radio):
    access = np.array([before])
    users, stations = np.array([[0.0, 0.0]]), np.array([[30.0, 40.0], [30.0, 0.0], [0.0, 300.0]])
    choose_access.py_func(Uplink.of(Radio(**radio)), users, stations, np.array([gain]), access)
    return access[0]


def test_access_is_the_strongest_or_the_nearest():
    assert chosen([-90.0, -95.0, -80.0]) == 2
    assert chosen([-90.0, -95.0, -80.0], access="nearest") == 1
    assert chosen([-90.0, -80.0, -80.0]) == 1  # ties by number


def test_another_station_takes_over_above_the_margin_alone():
    assert chosen([-90.0, -95.0, -87.5], before=0, handover_margin_db=3.0) == 0
    assert chosen([-90.0, -95.0, -87.0], before=0, handover_margin_db=3.0) == 0  # exactly the margin
    assert chosen([-90.0, -95.0, -86.9], before=0, handover_margin_db=3.0) == 2
    assert chosen([-90.0, -95.0, -89.9], before=0) == 2
    assert chosen([-90.0, -90.0, -95.0], before=1) == 1  # as strong as before
    assert chosen([-90.0, -95.0, -80.0], before=0, access="nearest", handover_margin_db=3.0) == 1


# Latency (4)-(13)


def test_latencies_by_hand():
    assert wireless_latency(3e6, 2e6) == 1.5
    assert wired_latency(5e-10, 3e6, 500.0) == pytest.approx(0.75)
    assert compute_latency(500.0, 3e6, 2e9) == pytest.approx(0.75)
    assert compute_latency(1.0, 3e6, 8e9) == pytest.approx(3.75e-4)  # (9) as printed
    assert compute_latency(500.0, 0.0, 0.0) == 0.0
    assert total_latency(1.5, 0.03, 2.0, 0.1) == pytest.approx(2.1)
    assert euclidean(0.0, 0.0, 3.0, -4.0) == 5.0
    assert transmission_energy(0.2, 1.5) == pytest.approx(0.3)
    assert square_root_weight(500.0, 2e5) == pytest.approx(1e4)


sizes = st.lists(st.floats(1.0, 1e7), min_size=1, max_size=12)


@given(sizes, st.floats(1e6, 1e11))
def test_square_root_shares_use_all_cycles_and_make_the_sum_of_latencies_least(bits, cycles):
    weights = [square_root_weight(500.0, b) for b in bits]
    shares = [compute_share(cycles, w, sum(weights)) for w in weights]
    assert sum(shares) == pytest.approx(cycles, rel=1e-12)
    least = sum(compute_latency(500.0, b, f) for b, f in zip(bits, shares, strict=True))
    assert least == pytest.approx(sum(weights) ** 2 / cycles, rel=1e-9)  # (Σ s)² / F
    rng = np.random.default_rng(0)
    equal = np.full((1, len(bits)), 1 / len(bits))
    for parts in np.vstack([equal, rng.dirichlet(np.ones(len(bits)), 20), np.divide(bits, sum(bits))[None]]):
        assert sum(500.0 * b / (cycles * max(x, 1e-300)) for b, x in zip(bits, parts, strict=True)) >= least * (
            1 - 1e-9
        )


def test_equal_shares_and_slices():
    assert [compute_share(12e9, 1.0, 3.0) for _ in range(3)] == [4e9] * 3
    assert compute_share(12e9, 1.0, 20.0) == 6e8  # F_k / N_k, independent of the load
    assert compute_share(12e9, 0.0, 0.0) == 0.0


# Utility (20)


def test_interaction_utility_by_hand():
    assert interaction_utility(0.5, 2.0, 5.0, 0.3, 1.0, 1.0) == pytest.approx(0.5 * math.exp(3) - 0.15)  # as printed
    assert interaction_utility(0.5, 0.05, 0.1, 3e-4, 0.1, 1e-3) == pytest.approx(0.5 * math.exp(0.5) - 0.15)
    assert interaction_utility(1.0, 0.1, 0.1, 9.0, 0.1, 1.0) == 1.0
    assert interaction_utility(0.0, 0.1, 0.1, 0.25, 0.1, 1.0) == -0.25


@given(st.floats(0, 10), st.floats(0, 10), st.floats(0.01, 10), st.floats(0, 5), st.floats(0, 1))
def test_utility_falls_with_latency_and_energy(latency, later, deadline, energy, beta):
    latency, later = sorted((latency, later))
    worth = interaction_utility(beta, latency, deadline, energy, deadline, 1.0)
    assert interaction_utility(beta, later, deadline, energy, deadline, 1.0) <= worth
    assert interaction_utility(beta, latency, deadline, energy + 1, deadline, 1.0) <= worth <= beta * math.e


# A user of the migration model


def test_an_update_and_a_migration_by_hand():
    c = MigrationConstants.of(MIGRATION["balanced"])
    latency = update_latency(c, 5e4, 10e6, 500.0, 0.02)
    assert latency == pytest.approx(5e4 / 10e6 + 5e-10 * 5e4 * 500 + 0.02)
    worth = 0.5 * math.exp((0.1 - latency) / 0.1) - 0.5 * (0.2 * 5e4 / 10e6) / 1e-3
    assert utility(c, 5e4, 10e6, latency, 0.1) == pytest.approx(worth)
    assert migration_seconds(c, 3e6, 700.0) == pytest.approx(0.2 + 5e-10 * 3e6 * 700)  # 1.25 s
    assert migration_price(c, 3e6, 700.0) == pytest.approx(1.5 * 1.25)
    slow = MigrationConstants.of(MIGRATION["balanced"].override(slot_seconds=30.0, kappa=2.0))
    assert migration_price(slow, 3e6, 700.0) == pytest.approx(2.0 * 1.25 / 30)


@pytest.mark.parametrize(
    "constants", [Constants.of(PLACEMENT["paper-100x10"]), MigrationConstants.of(MIGRATION["literal"])]
)
def test_constants_begin_with_the_uplinks_fields(constants):
    assert constants._fields[: len(Uplink._fields)] == Uplink._fields


@pytest.mark.parametrize("constants", [Constants, MigrationConstants])
def test_constants_begin_with_the_uplinks(constants):
    assert constants._fields[: len(Uplink._fields)] == Uplink._fields
