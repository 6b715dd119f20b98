"""Forecasts of DTMigration's serving stations: inputs of the forecasters, observations, and use by a planner."""

from __future__ import annotations

import math

import gymnasium as gym
import numpy as np
import pytest

from agents.heuristics.migration_planner import Planner
from dtenv.forecasting import CellTraces, Markov, nearest_sites
from dtenv.forecasting.coverage import Coverage
from dtenv.forecasting.oracles import AccessOracle, NoisyOracle
from dtenv.forecasting.stations import CellForecast
from dtenv.presets import resolve
from dtenv.scenario.forecaster import ExogenousEpisode, Foresight, Oracle, StationForecaster
from dtenv.tasks.migration.foresight import exogenous_episode
from dtenv.tasks.migration.task import MigrationTask

ID = "DTMigration-v0"
SMALL = {"num_users": 8, "num_stations": 4, "num_slots": 12, "horizon": 3, "speed_mps": (20.0, 40.0)}
ALL = Foresight(forecast=AccessOracle(), channel=True, load=True)


def scenario(**settings):
    return resolve("balanced", ID, **(SMALL | settings))


def episode(seed=0, **settings):
    """A task after reset."""
    task = MigrationTask(scenario(**settings))
    task.reset(0, np.random.default_rng(seed))
    return task


def unfolded(seed=0, **settings):
    return exogenous_episode(episode(seed, **settings).batch, 0)


def view(task):
    return task.layout.split(task.obs[0])


# Oracles


def test_the_oracle_tells_who_serves():
    task = episode(forecaster=AccessOracle())
    for t in range(1, 11):
        told = view(task)["forecast"][0]  # (stations, horizon)
        then = np.minimum(t + np.arange(1, 4), 13)
        assert np.array_equal(told.argmax(0), task.course.access[0, then, 0])
        assert np.array_equal(told.sum(0), np.ones(3))
        assert task.course.forecast[0, t, 0].tolist() == told.argmax(0).tolist()  # what pictures show
        task.step(task.state.server[:, :1].copy())


def test_a_noisy_oracle_without_noise_is_the_oracle_and_with_all_of_it_always_wrong():
    seen = unfolded(num_slots=50)
    truth = AccessOracle().stations(seen, 5)
    assert np.array_equal(NoisyOracle(p=0.0).stations(seen, 5), truth)
    assert np.array_equal(NoisyOracle(p=0.0, calibrated=True).stations(seen, 5), truth)
    assert not (NoisyOracle(p=1.0).stations(seen, 5) * truth).any()


def test_a_noisy_oracle_errs_as_often_as_it_says_and_more_with_more_noise():
    seen = unfolded(num_slots=200, control="joint")
    truth = AccessOracle().stations(seen, 5).argmax(-1)
    wrong = {p: NoisyOracle(p=p).stations(seen, 5).argmax(-1) != truth for p in (0.1, 0.5)}
    for p, errs in wrong.items():
        assert errs.mean() == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / errs.size))
    assert (wrong[0.5] | ~wrong[0.1]).all()
    # Calibrated, the named station's chance is how often it is right, and all add up.
    told = NoisyOracle(p=0.5, calibrated=True).stations(seen, 5)
    assert told.max(-1) == pytest.approx(0.5) and told.sum(-1) == pytest.approx(1.0)
    assert np.array_equal(told.argmax(-1), NoisyOracle(p=0.5).stations(seen, 5).argmax(-1))


def test_noise_follows_from_the_episode_and_the_seed_alone():
    first, again, other = (unfolded(seed, num_slots=40) for seed in (1, 1, 2))
    np.random.seed(7)  # noqa: NPY002
    one = NoisyOracle(p=0.5).stations(first, 4)
    np.random.seed(8)  # noqa: NPY002
    assert np.array_equal(one, NoisyOracle(p=0.5).stations(again, 4))
    errors = [
        NoisyOracle(p=0.5).stations(x, 4).argmax(-1) != AccessOracle().stations(x, 4).argmax(-1) for x in (first, other)
    ]
    assert not np.array_equal(*errors)
    assert not np.array_equal(one, NoisyOracle(p=0.5, seed=1).stations(first, 4))


# Observations


def test_stations_near_forecast_positions_look_as_they_do_by_default():
    for name in ("constant-velocity", "oracle"):
        plain, told = episode(forecaster=name), episode(forecaster=Foresight(forecast=name))
        assert plain.layout.size == told.layout.size
        for _ in range(11):
            assert np.array_equal(plain.obs, told.obs)
            for task in (plain, told):
                task.step(np.zeros((1, 1), np.int64))


def test_nothing_told_is_all_zeros_and_decides_nothing():
    plain, told = episode(), episode(forecaster=Foresight())
    assert not view(told)["forecast"].any()
    for t in range(11):
        for task in (plain, told):
            task.step(np.array([[t % 4]]))
        assert plain.info()["score"] == told.info()["score"]


@pytest.mark.parametrize("sharing", ["equal", "sqrt", "slice"])
def test_channel_and_load_are_those_of_the_slots_to_come(sharing):
    task = episode(forecaster=ALL, compute_sharing=sharing)
    told, deadline_s = [], task.tape.deadline_s[0, 0]
    infos = []
    for t in range(12):
        now = view(task)
        told.append((now["channel"][0].copy(), now["load"][0].copy()))
        task.step(np.array([[t % 4]]))
        infos.append(task.info())
    for t in range(12 - 3):
        for h in range(1, 4):
            info, station = infos[t + h], (t + h) % 4
            if info["server"] == station:
                assert told[t][0][h - 1] == pytest.approx(math.exp(-info["latency_wireless"] / deadline_s), rel=1e-5)
                assert told[t][1][station, h - 1] == pytest.approx(
                    math.exp(-info["latency_compute"] / deadline_s), rel=1e-5
                )


def test_batches_and_single_environments_are_told_the_same():
    settings = SMALL | {"forecaster": Foresight(forecast=NoisyOracle(p=0.3), channel=True, load=True)}
    envs = gym.make_vec(ID, num_envs=3, vectorization_mode="vector_entry_point", **settings)
    obs, _ = envs.reset(seed=[3, 4, 5])
    for i, seed in enumerate((3, 4, 5)):
        assert np.array_equal(gym.make(ID, **settings).reset(seed=seed)[0], obs[i])
    assert not np.array_equal(obs[0], obs[1])
    assert envs.single_observation_space.contains(obs[0])


class Says:
    """Forecaster that returns a given function of uniform probabilities."""

    def __init__(self, give):
        self.give = give

    def stations(self, unfolded, horizon):
        return self.give(np.full((*unfolded.access.shape, horizon, len(unfolded.station_xy)), 0.25))


@pytest.mark.parametrize(
    ("give", "message"),
    [
        (lambda chance: chance[:-1], r"chances \(14, 1, 3, 4\), got shape \(13, 1, 3, 4\)"),
        (lambda chance: chance * 2.0, "add up to at most 1, got"),
        (lambda chance: chance * math.nan, "add up to at most 1, got"),
        (lambda chance: chance - 0.5, "add up to at most 1, got"),
        (lambda chance: "rain", "chances of stations, got 'rain'"),
    ],
)
def test_a_bad_forecaster_of_stations_is_named(give, message):
    with pytest.raises(ValueError, match=f"forecaster must give .*{message}"):
        episode(forecaster=Says(give))
    assert np.array_equal(view(episode(forecaster=Says(lambda c: c)))["forecast"], np.full((1, 4, 3), 0.25, np.float32))


def test_settings_that_cannot_be_used_are_named():
    for p in (-0.1, 1.1, "x", math.nan):
        with pytest.raises(ValueError, match="p must"):
            NoisyOracle(p=p)
    with pytest.raises(ValueError, match="seed must be a non-negative integer, got -1"):
        NoisyOracle(p=0.1, seed=-1)
    with pytest.raises(ValueError, match="forecast must be one of none, constant-velocity, oracle, got 'prophet'"):
        Foresight(forecast="prophet")
    with pytest.raises(ValueError, match="load must be True or False, got 1"):
        Foresight(load=1)
    with pytest.raises(ValueError, match="forecaster's load must be False with control='joint'"):
        scenario(control="joint", forecaster=ALL)
    with pytest.raises(ValueError, match="forecaster must predict positions, got 'none'"):
        Coverage(scenario(), "none")
    for horizon in (0, 4, True, 1.5):
        with pytest.raises(ValueError, match=r"horizon must be an integer in 1..3, the scenario's, got"):
            Planner(scenario(), horizon)


def test_joint_observations_forecast_every_user():
    task = episode(control="joint", forecaster=AccessOracle())
    told = view(task)["forecast"]
    assert told.shape == (8, 4, 3)
    assert np.array_equal(told.argmax(1), task.course.access[0, 2:5].T)


# Fitted forecasters see the past alone


def line_of_cells():
    """Traces around four sites, 0 1 2 3 0 …"""
    sites = np.array([[200.0, 200.0], [1300.0, 200.0], [1300.0, 1300.0], [200.0, 1300.0]])
    return one_walk(np.arange(40) % 4, sites), sites


def one_walk(cell, sites):
    """Traces of one user."""
    steps, nobody = len(cell), np.zeros(len(cell), int)
    return CellTraces(
        cell=cell,
        user=nobody,
        stretch=nobody,
        time_s=np.arange(1.0 * steps),
        site_xy=sites,
        num_users=1,
        slot_seconds=1.0,
    )


def at_sites(order):
    """An episode with stations on the sites, in another order."""
    _, sites = line_of_cells()
    access = np.array([[0], [0], [1], [2], [3], [3]])
    return ExogenousEpisode(sites[order][access], access, np.zeros((6, 1, 4)), sites[order], 1500.0)


def test_a_table_of_cells_forecasts_the_stations_on_them():
    traces, sites = line_of_cells()
    order = np.array([2, 0, 3, 1])  # station k stands on site order[k]
    seen = at_sites(order)
    chain = Markov(strength=1e-6).fit(traces)
    for history in ("access", "place"):
        chance = CellForecast(chain, sites, history=history).stations(seen, 2)
        for t, station in enumerate(seen.access[:, 0]):
            for h in range(2):
                expected = (order[station] + 1 + h) % 4  # the site after
                assert order[chance[t, 0, h].argmax()] == expected
                assert chance[t, 0, h].max() > 0.99 and chance[t, 0, h].sum() == pytest.approx(1.0)


def test_only_stations_that_stand_are_forecast():
    traces, sites = line_of_cells()
    seen = at_sites(np.arange(4))
    three = seen._replace(station_xy=sites[:3], access=np.minimum(seen.access, 2), gain_db=np.zeros((6, 1, 3)))
    chance = CellForecast(Markov(strength=1e-6).fit(traces), sites).stations(three, 1)
    assert chance.shape == (6, 1, 1, 3) and chance.sum(-1) == pytest.approx(1.0)
    with pytest.raises(ValueError, match=r"station 1 must be on one of the sites"):
        away = sites + np.array([[0, 0], [9, 0], [0, 0], [0, 0]])
        CellForecast(Markov().fit(traces), sites).stations(seen._replace(station_xy=away), 1)
    with pytest.raises(ValueError, match="history must be one of access, place, got 'future'"):
        CellForecast(Markov().fit(traces), sites, history="future")
    with pytest.raises(ValueError, match="length must be a positive integer, got 0"):
        CellForecast(Markov().fit(traces), sites, length=0)


class Longest(Markov):
    """Markov chain that also stores its input."""

    def predict_proba(self, history, horizon):
        self.asked = history
        return super().predict_proba(history, horizon)


def test_the_past_is_what_a_forecaster_of_cells_is_shown():
    traces, sites = line_of_cells()
    table = Longest().fit(traces)
    CellForecast(table, sites, length=3).stations(at_sites(np.arange(4)), 1)
    assert table.asked.cell.tolist() == [[-1, -1, 0], [-1, 0, 0], [0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 3]]
    assert (table.asked.user == -1).all() and np.isnan(table.asked.time_s).all()


def other_future(seen, after):
    """The same episode up to a slot, and a different one after it."""
    rng = np.random.default_rng(0)
    fields = {name: getattr(seen, name).copy() for name in ("user_xy", "access", "gain_db")}
    fields["user_xy"][after + 1 :] = rng.uniform(0, seen.area_m, fields["user_xy"][after + 1 :].shape)
    fields["access"][after + 1 :] = rng.integers(0, 4, fields["access"][after + 1 :].shape)
    fields["gain_db"][after + 1 :] -= 10.0
    return seen._replace(**fields)


@pytest.mark.parametrize("name", ["access", "place", "coverage", "oracle"])
def test_fitted_forecasters_do_not_look_ahead(name):
    seen, after = unfolded(3, num_slots=40), 20
    sites = seen.station_xy
    cell = nearest_sites(seen.user_xy[:, 0], sites)
    traces = one_walk(cell, sites)
    forecaster: StationForecaster = {
        "access": lambda: CellForecast(Markov().fit(traces), sites),
        "place": lambda: CellForecast(Markov().fit(traces), sites, history="place"),
        "coverage": lambda: Coverage(scenario()),
        "oracle": AccessOracle,
    }[name]()
    told, altered = (forecaster.stations(x, 5) for x in (seen, other_future(seen, after)))
    alike = np.array_equal(told[: after + 1], altered[: after + 1])
    assert alike == (name != "oracle")
    assert not np.array_equal(told, altered)


def test_positions_of_the_oracle_through_the_radio_model():
    """Without shadowing, future positions determine the serving stations."""
    clear = {"shadowing_db": 0.0, "num_slots": 40, "horizon": 6}
    seen = unfolded(2, **clear)
    by_radio = Coverage(scenario(**clear), Oracle()).stations(seen, 6)
    assert np.array_equal(by_radio, AccessOracle().stations(seen, 6))
    shadowed = unfolded(2, num_slots=40)
    assert not np.array_equal(
        Coverage(scenario(), Oracle()).stations(shadowed, 6), AccessOracle().stations(shadowed, 6)
    )
