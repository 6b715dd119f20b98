"""Synthetic mobility by exploration and preferential return."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dtenv.forecasting.habits import Habits, explore_and_return, records_of_stays, slots_of_stays

SITES = np.random.default_rng(0).uniform(0.0, 8000.0, size=(80, 2))


def lives(seed=1, users=20, days=14, **habits):
    rng = np.random.default_rng(seed)
    return rng, explore_and_return(rng, SITES, users, days, Habits(**habits))


def test_a_seed_repeats_and_two_differ():
    for sampled in (slots_of_stays, records_of_stays):
        one, two, other = (sampled(*lives(seed), SITES) for seed in (1, 1, 2))
        np.testing.assert_array_equal(one.cell, two.cell)
        np.testing.assert_array_equal(one.time_s, two.time_s)
        assert one.cell.shape != other.cell.shape or (one.cell != other.cell).any()


def test_stays_follow_each_other_without_gaps():
    _, stays = lives()
    for user in range(20):
        own = stays.user == user
        assert stays.start_s[own][0] == 0.0 and stays.end_s[own][-1] == 14 * 86400.0
        np.testing.assert_array_equal(stays.start_s[own][1:], stays.end_s[own][:-1])
        assert (np.diff(stays.cell[own]) != 0).all()
    assert (stays.end_s > stays.start_s).all()


def test_slots_without_noise_are_the_places():
    rng, stays = lives()
    traces = slots_of_stays(rng, stays, SITES, 900.0, neighbour_share=0.0)
    assert len(traces.cell) == 20 * 14 * 96 and traces.slot_seconds == 900.0
    for i in (0, 777, 12_345, len(traces.cell) - 1):
        within = (stays.user == traces.user[i]) & (stays.start_s <= traces.time_s[i]) & (traces.time_s[i] < stays.end_s)
        np.testing.assert_array_equal(stays.cell[within], [traces.cell[i]])


def test_records_without_noise_are_the_places_and_begin_every_stay():
    rng, stays = lives()
    traces = records_of_stays(rng, stays, SITES, per_hour=0.0, neighbour_share=0.0)
    np.testing.assert_array_equal(traces.cell, stays.cell)
    more = records_of_stays(rng, stays, SITES, per_hour=2.0, neighbour_share=0.0)
    hours = 20 * 14 * 24
    assert len(more.cell) - len(stays.cell) == pytest.approx(2.0 * hours, rel=0.05)
    assert more.slot_seconds is None


def test_a_share_of_steps_is_served_by_a_neighbour():
    rng, stays = lives()
    still, noisy = (slots_of_stays(rng, stays, SITES, 900.0, share) for share in (0.0, 0.2))
    other = still.cell != noisy.cell
    assert other.mean() == pytest.approx(0.2, abs=0.01)
    apart = np.hypot(*(SITES[:, None] - SITES).transpose(2, 0, 1))
    rank = np.argsort(np.argsort(apart, axis=1), axis=1)[still.cell[other], noisy.cell[other]]
    assert set(rank) == {1, 2, 3}


def test_nights_are_at_home_and_working_hours_at_work():
    rng, stays = lives(users=30, days=28, spread_hours=0.0)
    cell = slots_of_stays(rng, stays, SITES, neighbour_share=0.0).cell.reshape(30, 28, 24)
    home = cell[:, 1:, 5]  # who goes out before the night is back by then
    assert (home == home[:, :1]).all()
    workdays = cell[:, [d for d in range(28) if d % 7 < 5], 11]
    at_work = (workdays == np.array([np.bincount(own).argmax() for own in workdays])[:, None]).mean()
    assert 0.7 < at_work < 1.0
    assert (workdays == home[:, :1]).mean() < 0.1


def places_known(**habits):
    _, stays = lives(days=28, **habits)
    return np.mean([len(set(stays.cell[stays.user == user])) for user in range(20)])


def test_explorers_know_more_places_than_regular_users():
    regular, explorers = places_known(explorers=0.0), places_known(explorers=1.0)
    assert explorers > 1.5 * regular
    assert places_known(explorers=0.0, rho_regular=0.0) <= 6.0


def test_regular_places_are_returned_to_by_how_often_they_were_visited():
    _, stays = lives(users=40, days=56, explorers=0.0)
    tops = []
    for user in range(40):
        visits = np.sort(np.bincount(stays.cell[stays.user == user]))[::-1]
        tops.append(visits[:2].sum() / visits.sum())
    assert 0.4 < np.mean(tops) < 0.95


def test_jumps_are_short_more_often_than_far():
    near, far = (lives(users=30, days=28, explorers=1.0, alpha=alpha)[1] for alpha in (3.0, 0.0))
    length = [
        np.median(np.hypot(*(SITES[s.cell[1:]] - SITES[s.cell[:-1]]).T)[np.diff(s.user) == 0]) for s in (near, far)
    ]
    assert length[0] < 0.8 * length[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rho": 1.5}, r"rho must lie in \[0, 1\], got 1.5"),
        ({"beta": 0.0}, "beta must be positive, got 0.0"),
        ({"regulars": 0}, "regulars must be a positive integer, got 0"),
        ({"stay_hours": (0.0, 3.0)}, r"stay_hours must be positive, got \(0.0, 3.0\)"),
        ({"night": (22.0, 9.0)}, "work must lie between two nights"),
        ({"work": (9.0, 26.0)}, "work must hold hours of a day"),
    ],
)
def test_bad_habits_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Habits(**changes)


def test_bad_settings_are_refused():
    rng, stays = lives(users=1, days=1)
    with pytest.raises(ValueError, match="num_users must be a positive integer, got 0"):
        explore_and_return(rng, SITES, 0, 1)
    with pytest.raises(ValueError, match="site_xy must hold at least 6 sites for regulars=4, got 5"):
        explore_and_return(rng, SITES[:5], 1, 1)
    with pytest.raises(ValueError, match="slot_seconds must be positive, got 0"):
        slots_of_stays(rng, stays, SITES, 0)
    with pytest.raises(ValueError, match=r"neighbour_share must lie in \[0, 1\], got 1.1"):
        slots_of_stays(rng, stays, SITES, neighbour_share=1.1)
    with pytest.raises(ValueError, match="per_hour must be at least 0, got -1"):
        records_of_stays(rng, stays, SITES, per_hour=-1)


def test_few_sites_are_all_known_in_the_end():
    rng = np.random.default_rng(0)
    stays = explore_and_return(rng, SITES[:7], 3, 60, dataclasses.replace(Habits(), explorers=1.0, rho=1.0, gamma=0.0))
    assert set(stays.cell) == set(range(7))
