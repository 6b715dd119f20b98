"""Draws of an episode: walks inside the square at their speeds, separated stations, correlated shadowing.

Tolerances of statistics are five standard errors.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from draws import shadowing_along, stream_of

from dtenv.presets import resolve
from dtenv.scenario.edge import Radio
from dtenv.scenario.mobility import WALKS, Mobility
from dtenv.scenario.recording import Recording
from dtenv.tasks.migration.task import MigrationTask
from dtenv.tasks.placement.task import PlacementTask
from dtenv.world.shadowing import decay, station_shares
from dtenv.world.sites import draw_sites
from dtenv.world.walks import Recorded, Walk, draw_walks
from dtenv.world.waypoints import random_waypoints
from dtenv.world.waypoints_vectorised import waypoints_abreast


def walks(seed=0, slots=200, users=50, area_m=1500.0, **mobility):
    xy = np.full((slots, users, 2), np.nan)
    settings = Mobility(**mobility)
    draw_walks(stream_of(seed), Walk.of(settings, area_m), Recorded.of(settings.recording), xy)
    return xy


@pytest.mark.parametrize(
    ("slots", "slowest", "fastest"), [(3, 1.0, 9.0), (40, 0.0, 30.0), (90, 400.0, 900.0), (9, 0.0, 0.0)]
)
def test_waypoints_abreast_are_those_of_one_user_after_another(slots, slowest, fastest):
    for seed in range(20):
        xy, streams = np.empty((2, slots, 7, 2)), [stream_of(seed), stream_of(seed)]
        for walk, stream, out in zip((random_waypoints, waypoints_abreast), streams, xy, strict=True):
            walk(stream, 1500.0, slowest, fastest, out)
        np.testing.assert_array_equal(*xy)
        np.testing.assert_array_equal(*streams)


def sites(seed, count, separation_m=0.0, recording=None):
    xy = np.full((count, 2), np.nan)
    draw_sites(stream_of(seed), Recorded.of(recording), 1500.0, separation_m, xy)
    return xy


def shadowing(user_xy, stations, seed=0, **radio):
    return shadowing_along(Radio(**radio), np.uint64(seed), user_xy, stations)


def drawn_by(task, seed):
    """Tape of row 1 of two, and that row's shadowing, slot by slot."""
    for field in task.tape:
        field[:] = 0 if field.dtype == np.uint64 else np.nan
    task.reset(1, np.random.default_rng(seed))
    tape = type(task.tape)(*(field[1] for field in task.tape))
    assert all(not np.nan_to_num(field[0]).any() for field in task.tape)  # the other row is unchanged
    return tape, shadowing_along(task.scenario.radio, tape.shadowing_key, tape.user_xy, len(tape.station_xy))


def placement(seed=0, **settings):
    return drawn_by(PlacementTask(resolve("paper-100x10", "DTPlacementMA-v0", **settings), 2), seed)


def migration(seed=0, **settings):
    return drawn_by(MigrationTask(resolve("balanced", "DTMigration-v0", **settings), 2), seed)


# Walks

SPEEDS = [((1.0, 15.0), 1.0), ((5.0, 15.0), 10.0), ((2.0, 2.0), 3.0), ((0.0, 30.0), 60.0), ((500.0, 900.0), 10.0)]


@pytest.mark.parametrize("walk", WALKS)
@pytest.mark.parametrize(("speed", "slot_seconds"), SPEEDS)
def test_walks_stay_in_the_square_and_keep_the_speed_limit(walk, speed, slot_seconds):
    xy = walks(walk=walk, speed_mps=speed, slot_seconds=slot_seconds)
    assert xy.min() >= 0 and xy.max() <= 1500
    steps = np.linalg.norm(np.diff(xy, axis=0), axis=-1)
    assert steps.max() <= speed[1] * slot_seconds * (1 + 1e-12)
    if speed[1] * slot_seconds < 100:  # corners and edges are rare
        assert np.quantile(steps, 0.2) >= speed[0] * slot_seconds * (1 - 1e-9)
        assert steps.max() > (0.9 * speed[1] + 0.1 * speed[0]) * slot_seconds


@pytest.mark.parametrize("walk", WALKS)
def test_a_seed_repeats_a_walk_and_another_gives_another(walk):
    assert np.array_equal(walks(1, walk=walk), walks(1, walk=walk))
    assert not np.isclose(walks(1, walk=walk), walks(2, walk=walk)).any(axis=-1).all()


@pytest.mark.parametrize("walk", WALKS)
def test_users_who_do_not_walk_stand_where_they_are_drawn(walk):
    xy = walks(walk=walk, speed_mps=(0.0, 0.0), users=2000, slots=3)
    assert np.array_equal(xy[0], xy[2])
    assert abs(xy[0].mean() - 750) < 5 * 1500 / math.sqrt(12 * 4000)
    assert np.histogram(xy[0].ravel(), 10, (0, 1500))[0] == pytest.approx(400, abs=5 * math.sqrt(360))


def test_waypoint_legs_are_straight_and_keep_their_speed_until_the_goal():
    steps = np.diff(walks(speed_mps=(1.0, 15.0), users=30, slots=400), axis=0)
    length = np.linalg.norm(steps, axis=-1)
    turned = np.abs(steps[1:, :, 0] * steps[:-1, :, 1] - steps[1:, :, 1] * steps[:-1, :, 0]) > 1e-6
    straight = ~turned & ((steps[1:] * steps[:-1]).sum(axis=-1) > 0)
    assert 0.9 < straight.mean() < 1  # a leg lasts about 780 m
    np.testing.assert_allclose(length[1:][straight], length[:-1][straight], rtol=1e-9)


def test_gauss_markov_walkers_forget_at_the_rate_of_their_memory():
    straight = walks(walk="gauss-markov", walk_memory=1.0, speed_mps=(2.0, 6.0), slots=30)
    inside = ((straight > 10) & (straight < 1490)).all(axis=(0, 2))
    steps = np.diff(straight, axis=0)[:, inside]
    assert inside.sum() > 30
    np.testing.assert_allclose(steps, np.broadcast_to(steps[0], steps.shape), atol=1e-9)  # never forgets
    np.testing.assert_allclose(np.linalg.norm(steps, axis=-1), 4.0)
    for memory, slot_seconds in ((0.0, 1.0), (0.8, 1.0), (0.8, 2.0)):
        xy = walks(walk="gauss-markov", walk_memory=memory, speed_mps=(0.0, 8.0), slot_seconds=slot_seconds, users=400)
        speed = np.linalg.norm(np.diff(xy, axis=0), axis=-1) / slot_seconds
        found = np.corrcoef(speed[50:-1].ravel(), speed[51:].ravel())[0, 1]
        assert found == pytest.approx(memory**slot_seconds, abs=0.04)  # clipping speeds costs a little
        assert speed.mean() == pytest.approx(4.0, abs=0.1)


def test_an_episode_of_recorded_walks_gives_every_user_a_segment_of_its_own():
    line = np.column_stack([np.arange(60.0), np.zeros(60)])
    recording = Recording(
        site_xy=np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
        walk_xy=line,
        segment_start=np.array([0, 10, 20, 30, 40]),
        segment_slots=7,
        area_m=100.0,
        slot_seconds=1.0,
    )
    xy = walks(users=5, slots=7, recording=recording)
    assert sorted(xy[0, :, 0]) == [0, 10, 20, 30, 40]
    np.testing.assert_array_equal(np.diff(xy, axis=0)[..., 0], 1)
    drawn = {tuple(map(tuple, sites(seed, 2, 900.0, recording))) for seed in range(40)}
    assert len(drawn) == 6  # ordered pairs of three sites; recorded sites stay in place


# Stations


@pytest.mark.parametrize(("count", "separation_m"), [(1, 0.0), (2, 1500.0), (5, 150.0), (5, 700.0), (10, 430.0)])
def test_stations_stand_apart_inside_the_square_even_where_it_is_crowded(count, separation_m):
    drawn = [sites(seed, count, separation_m) for seed in range(20)]
    for xy in drawn:
        away = np.linalg.norm(xy[:, None] - xy[None], axis=-1)[np.triu_indices(count, 1)]
        assert xy.min() >= 0 and xy.max() <= 1500 and (away >= separation_m).all()
    assert not np.array_equal(drawn[0], drawn[1])
    assert np.array_equal(drawn[0], sites(0, count, separation_m))


# Shadowing


def corr(a, b):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


@pytest.mark.parametrize("decorrelation_m", [0.0, 50.0])
@pytest.mark.parametrize("site_correlation", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("deviation", [3.0, 8.0])
def test_shadowing_has_its_deviation_and_its_correlation_between_stations(deviation, site_correlation, decorrelation_m):
    rng, users = np.random.default_rng(1), 20_000
    xy = rng.uniform(0, 1500, (3, users, 2))  # hops of hundreds of metres
    drawn = shadowing(
        xy,
        3,
        shadowing_db=deviation,
        shadowing_site_correlation=site_correlation,
        shadowing_decorrelation_m=decorrelation_m,
    )
    for slot in drawn:
        for station in slot.T:
            assert abs(station.mean()) < 5 * deviation / math.sqrt(users)
            assert station.std() == pytest.approx(deviation, rel=5 / math.sqrt(2 * users))
        for a, b in ((0, 1), (0, 2), (1, 2)):
            allowed = 5 * (1 - site_correlation**2) / math.sqrt(users) + 1e-12
            assert corr(slot[:, a], slot[:, b]) == pytest.approx(site_correlation, abs=allowed)
    assert abs(corr(drawn[0, :-1], drawn[0, 1:])) < 5 / math.sqrt(users)  # of different users


@pytest.mark.parametrize("site_correlation", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("stations", [1, 2, 5, 10])
def test_station_shares_give_links_unit_variance_and_their_correlation(stations, site_correlation):
    own, common = station_shares(site_correlation, stations)
    root = own * np.eye(stations) + common
    wanted = site_correlation + (1 - site_correlation) * np.eye(stations)
    np.testing.assert_allclose(root @ root, wanted, atol=1e-14)


def test_decay_is_the_exponential():
    x = np.concatenate([np.random.default_rng(0).uniform(0, high, 2000) for high in (1e-3, 1.0, 10.0, 700.0)])
    np.testing.assert_allclose([decay(value) for value in x], np.exp(-x), rtol=7e-16)
    assert decay(0.0) == 1.0 and decay(math.inf) == decay(1e9) == decay(700.0) < 1e-303


@pytest.mark.parametrize("site_correlation", [0.0, 0.5])
def test_shadowing_along_a_walk_falls_by_e_each_decorrelation_distance(site_correlation):
    users, stride = 20_000, np.array([0.0, 10.0, 10.0, 30.0, 50.0, 0.0, 100.0])
    xy = np.zeros((7, users, 2))
    xy[:, :, 0] = 0.6 * np.cumsum(stride)[:, None]
    xy[:, :, 1] = 0.8 * np.cumsum(stride)[:, None]
    drawn = shadowing(xy, 2, shadowing_site_correlation=site_correlation, shadowing_decorrelation_m=50.0)
    walked = np.cumsum(stride)
    for s in range(7):
        for t in range(s + 1, 7):
            expected = math.exp(-(walked[t] - walked[s]) / 50.0)
            allowed = 5 * (1 - expected**2) / math.sqrt(users) + 1e-12
            assert corr(drawn[s, :, 0], drawn[t, :, 0]) == pytest.approx(expected, abs=allowed)
            crossed = site_correlation * expected  # to the other station
            assert corr(drawn[s, :, 0], drawn[t, :, 1]) == pytest.approx(crossed, abs=5 / math.sqrt(users))
    assert np.array_equal(drawn[4], drawn[5])  # no user moved
    assert drawn[6].std() == pytest.approx(8.0, rel=5 / math.sqrt(4 * users))


def test_without_a_decorrelation_distance_every_slot_is_drawn_anew():
    drawn = shadowing(np.zeros((2, 20_000, 2)), 1)
    assert abs(corr(drawn[0], drawn[1])) < 5 / math.sqrt(20_000)
    assert not shadowing(np.zeros((2, 5, 2)), 3, shadowing_db=0.0).any()


# Whole episodes


def test_placement_draws_lie_in_their_ranges_and_fill_them():
    tape, shadowing_db = placement(num_slots=60)
    for name, low, high in (
        ("user_xy", 0, 1500),
        ("data_bits", 1e6, 5e6),
        ("update_bits", 1e4, 1e5),
        ("deadline_s", 2, 6),
        ("station_xy", 0, 1500),
        ("compute_hz", 8e9, 24e9),
    ):
        drawn, middle, spread = getattr(tape, name), (low + high) / 2, high - low
        assert low <= drawn.min() < drawn.max() <= high, name
        assert np.isfinite(drawn).all()
        assert drawn.mean() == pytest.approx(middle, abs=0.25 * spread), name
    assert tape.data_bits.mean() == pytest.approx(3e6, abs=5 * 4e6 / math.sqrt(12 * 6200))
    assert shadowing_db.std() == pytest.approx(8.0, rel=5 / math.sqrt(2 * 62_000))
    assert len(np.unique(tape.compute_hz)) == 620  # redrawn in every slot


def test_migration_draws_lie_in_their_ranges_and_hold_for_the_episode():
    tape, shadowing_db = migration()
    for name, low, high in (
        ("user_xy", 0, 1500),
        ("data_bits", 1e6, 5e6),
        ("update_bits", 1e4, 1e5),
        ("deadline_s", 0.06, 0.12),
        ("station_xy", 0, 1500),
        ("compute_hz", 8e9, 24e9),
    ):
        drawn = getattr(tape, name)
        assert low <= drawn.min() < drawn.max() <= high, name
    assert tape.data_bits.shape == (50,) and tape.compute_hz.shape == (10,) and shadowing_db.shape == (202, 50, 10)
    assert np.isfinite(shadowing_db).all() and 6 < shadowing_db.std() < 10


def test_a_seed_repeats_an_episode_and_another_gives_another():
    for draw in (placement, migration):
        for a, b, c in zip(*((*tape, shadowing_db) for tape, shadowing_db in map(draw, (1, 1, 2))), strict=True):
            assert np.array_equal(a, b) and (a.size == 0 or not np.array_equal(a, c))


@pytest.mark.parametrize("walk", WALKS)
def test_scenarios_that_differ_in_their_stations_alone_share_users_walks_and_data(walk):
    shared = ("user_xy", "data_bits", "update_bits", "deadline_s")
    few, many = placement(num_stations=5, walk=walk)[0], placement(num_stations=10, walk=walk, separation_m=20.0)[0]
    assert all(np.array_equal(getattr(few, name), getattr(many, name)) for name in shared)
    few, many = migration(num_stations=5, walk=walk)[0], migration(num_stations=9, walk=walk, separation_m=20.0)[0]
    assert all(np.array_equal(getattr(few, name), getattr(many, name)) for name in shared)
