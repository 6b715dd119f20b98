"""Sequences of cells, their forecasters, and the scores."""

from __future__ import annotations

import numpy as np
import pytest
from paths import SHARED

from dtenv.forecasting import (
    CellForecaster,
    CellTraces,
    History,
    HourMarkov,
    Markov,
    MostFrequent,
    Persistence,
    cells_of_walks,
    hexagonal_sites,
    later_part,
    nearest_sites,
    score,
    windows,
)
from dtenv.traces import read_sites, read_trace

DATA = SHARED / "data"
MELBOURNE, KAIST = DATA / "eua" / "site-optus-melbCBD.csv", DATA / "kaist" / "kaist_30s.csv.gz"
FORECASTERS = [Persistence, MostFrequent, Markov, HourMarkov]
POOLED = [lambda kind=kind: kind(per_user=False) for kind in (MostFrequent, Markov, HourMarkov)]


def traces_of(*users, cells=None, slot_seconds=3600.0, **changes):
    """Traces from lists of cells, one per user, a slot apart from midnight."""
    cell = np.concatenate([np.array(user, dtype=int) for user in users])
    user = np.repeat(np.arange(len(users)), [len(user) for user in users])
    time_s = np.concatenate([np.arange(len(user)) * slot_seconds for user in users])
    cells = int(cell.max()) + 1 if cells is None else cells
    fields = {"cell": cell, "user": user, "stretch": user, "time_s": time_s, "site_xy": np.arange(2.0 * cells)}
    fields["site_xy"] = fields["site_xy"].reshape(-1, 2)
    return CellTraces(**(fields | {"num_users": len(users), "slot_seconds": slot_seconds} | changes))


@pytest.fixture(scope="module")
def wandering():
    rng = np.random.default_rng(3)
    return traces_of(*(np.where(rng.random(200) < 0.6, u, rng.integers(6, size=200)) for u in range(4)), cells=6)


def history_of(traces, length=3):
    return windows(traces, length, 1).history


# The interface


@pytest.mark.parametrize("kind", [*FORECASTERS, *POOLED])
def test_probabilities_sum_to_one_and_are_of_the_shape_asked_for(kind, wandering):
    forecaster = kind().fit(wandering)
    assert isinstance(forecaster, CellForecaster)
    history = history_of(wandering).rows(slice(40))
    p = forecaster.predict_proba(history, 7)
    assert p.shape == (40, 7, 6)
    assert (p >= 0.0).all()
    np.testing.assert_allclose(p.sum(axis=-1), 1.0, rtol=1e-12)


@pytest.mark.parametrize("kind", [*FORECASTERS, *POOLED])
def test_users_and_moments_do_not_depend_on_each_other(kind, wandering):
    forecaster = kind().fit(wandering)
    history = history_of(wandering)
    some = np.array([5, 250, 17, 700])
    together = forecaster.predict_proba(history, 4)[some]
    np.testing.assert_allclose(forecaster.predict_proba(history.rows(some), 4), together, rtol=1e-12)


@pytest.mark.parametrize("kind", FORECASTERS)
def test_nothing_looks_ahead(kind, wandering):
    later = later_part(wandering, 0.5)
    altered = traces_of(
        *(np.where(later[wandering.user == u], 5 - own, own) for u, own in enumerate(np.split(wandering.cell, 4)))
    )
    seen = [kind().fit(part.part(~later)) for part in (wandering, altered)]
    known = windows(wandering, 3, 5, ~later).history
    np.testing.assert_array_equal(*(forecaster.predict_proba(known, 5) for forecaster in seen))


@pytest.mark.parametrize("kind", FORECASTERS)
def test_bad_questions_are_refused(kind, wandering):
    history = History.of([[0, 1]])
    with pytest.raises(RuntimeError, match=f"{kind.__name__} has to be fitted"):
        kind().predict_proba(history, 1)
    forecaster = kind().fit(wandering)
    with pytest.raises(ValueError, match="horizon must be a positive integer, got 0"):
        forecaster.predict_proba(history, 0)
    with pytest.raises(ValueError, match=r"cell in history must lie in -1\.\.5, got 6"):
        forecaster.predict_proba(History.of([[6, 1]]), 1)
    with pytest.raises(ValueError, match=r"cell now in history must lie in 0\.\.5, got -1"):
        forecaster.predict_proba(History.of([[1, -1]]), 1)
    with pytest.raises(ValueError, match=r"user in history must lie in -1\.\.3, got 4"):
        forecaster.predict_proba(History.of([[1, 1]], [4]), 1)
    with pytest.raises(ValueError, match=r"history must have cell \(n, X\)"):
        forecaster.predict_proba(History.of([[1, 1]], [0, 0]), 1)


@pytest.mark.parametrize("kind", [MostFrequent, Markov, HourMarkov])
@pytest.mark.parametrize("strength", [0.0, -1.0, np.nan])
def test_strength_must_be_positive(kind, strength):
    with pytest.raises(ValueError, match=r"strength must be (positive|a finite number), got"):
        kind(strength=strength)


# The tables


def test_most_frequent_by_hand():
    shares = (
        MostFrequent().fit(traces_of([0, 0, 1, 0], [2, 2, 2, 2])).predict_proba(History.of([[1]] * 3, [0, 1, -1]), 1)
    )
    pooled = np.array([4, 2, 5]) / 11  # 3, 1, 4 counted, and one more of each
    np.testing.assert_allclose(shares[0, 0], (np.array([3, 1, 0]) + pooled) / 5)
    np.testing.assert_allclose(shares[1, 0], (np.array([0, 0, 4]) + pooled) / 5)
    np.testing.assert_allclose(shares[2, 0], pooled)


def test_markov_by_hand():
    chain = Markov(per_user=False, strength=2.0).fit(traces_of([0, 1, 1, 0, 1], cells=3))
    share = np.array([3, 4, 1]) / 8
    stays = (1 + 1) / (4 + 2)
    expected = np.array(
        [
            (np.array([0, 2, 0]) + 2 * (stays * np.array([1, 0, 0]) + (1 - stays) * share)) / 4,
            (np.array([1, 1, 0]) + 2 * (stays * np.array([0, 1, 0]) + (1 - stays) * share)) / 4,
            stays * np.array([0, 0, 1]) + (1 - stays) * share,
        ]
    )
    np.testing.assert_allclose(chain.kernel(), expected)


@pytest.mark.parametrize("per_user", [True, False])
def test_later_steps_of_markov_are_powers_of_its_kernel(per_user, wandering):
    chain = Markov(per_user).fit(wandering)
    for user in (0, 3, -1):
        p = chain.predict_proba(History.of(np.arange(6)[:, None], np.full(6, user)), 5)
        for h in range(5):
            np.testing.assert_allclose(p[:, h], np.linalg.matrix_power(chain.kernel(user), h + 1), rtol=1e-10)


def test_later_steps_of_hour_markov_go_through_the_hours(wandering):
    chain = HourMarkov().fit(wandering)
    start = 22.6 * 3600.0
    p = chain.predict_proba(History.of(np.arange(6)[:, None], np.full(6, 2), np.full((6, 1), start)), 3)
    expected = np.eye(6)
    for h, hour in enumerate((22, 23, 0)):
        expected = expected @ chain.kernel(2, hour)
        np.testing.assert_allclose(p[:, h], expected, rtol=1e-10)


def test_hour_markov_by_hand():
    traces = traces_of([0, 1, 0, 0], slot_seconds=12 * 3600.0)  # leaves at 0, 12 and 0 o'clock
    chain, all_hours = HourMarkov(per_user=False).fit(traces), Markov(per_user=False).fit(traces)
    np.testing.assert_allclose(chain.kernel(hour=0)[0], (np.array([1, 1]) + all_hours.kernel()[0]) / 3)
    np.testing.assert_allclose(chain.kernel(hour=12)[1], (np.array([1, 0]) + all_hours.kernel()[1]) / 2)
    np.testing.assert_allclose(chain.kernel(hour=7), all_hours.kernel())
    np.testing.assert_allclose(chain.kernel(), all_hours.kernel())


def test_the_hour_tells_what_the_cell_does_not():
    day = [0] * 8 + [1] * 8 + [0] * 8
    traces = traces_of(day * 30)
    later = later_part(traces)
    found = [score(kind().fit(traces.part(~later)), windows(traces, 1, 1, later)) for kind in (HourMarkov, Markov)]
    assert found[0].accuracy[0] == 1.0
    assert found[1].accuracy[0] < 0.95
    assert found[1].moves[0] == 0.0


def test_a_user_is_told_from_others_and_an_unknown_one_is_all_of_them(wandering):
    users = traces_of([0, 1] * 20, [0, 2] * 20)
    chain = Markov().fit(users)
    now = History.of([[0], [0], [0]], [0, 1, -1])
    p = chain.predict_proba(now, 1)[:, 0]
    assert p[0].argmax() == 1 and p[1].argmax() == 2
    np.testing.assert_allclose(p[2], Markov(per_user=False).fit(users).predict_proba(now.rows(slice(2, 3)), 1)[0, 0])


def test_a_user_without_steps_is_predicted(wandering):
    few = wandering.part(wandering.user != 1)
    for kind in FORECASTERS:
        p = kind().fit(few).predict_proba(History.of([[2]], [1]), 2)
        np.testing.assert_allclose(p.sum(axis=-1), 1.0)


def test_transitions_do_not_cross_silences():
    broken = traces_of([0, 0, 1, 1], stretch=np.array([0, 0, 1, 1]))
    whole = traces_of([0, 0, 1, 1])
    assert Markov().fit(broken).kernel(0)[0, 1] < Markov().fit(whole).kernel(0)[0, 1]


# Scores


def test_accuracy_of_persistence_is_the_share_of_stays(wandering):
    seen = windows(wandering, 4, 5)
    found = score(Persistence().fit(wandering), seen)
    for h in range(5):
        stays = (seen.target[:, h] == seen.history.cell[:, -1]).mean()
        assert found.accuracy[h] == pytest.approx(stays)
        assert found.moved[h] == pytest.approx(1.0 - stays)
    np.testing.assert_array_equal(found.moves, 0.0)


class Given:
    """Forecaster with the same prediction for every moment."""

    def __init__(self, p):
        self.p = np.array(p)

    def fit(self, traces):
        return self

    def predict_proba(self, history, horizon):
        return np.broadcast_to(self.p, (len(history.cell), horizon, len(self.p)))


def test_scores_by_hand():
    seen = windows(traces_of([0, 0, 1, 2, 1, 1], cells=3), 1, 1)  # moves 0-1, 1-2, 2-1
    found = score(Given([0.5, 0.3, 0.2]), seen)
    assert found.moved[0] == pytest.approx(3 / 5)
    assert found.accuracy[0] == pytest.approx(1 / 5)
    assert found.moves[0] == 0.0
    assert found.destination[0] == pytest.approx(1 / 3)  # 0 to 1; from 1 and 2 it says 0
    p = np.array([0.5, 0.3, 0.2, 0.3, 0.3]) * 0.999 + 0.001 / 3
    assert found.log_loss[0] == pytest.approx(-np.log(p).mean())


def test_scores_of_many_windows_are_those_of_their_parts(wandering, monkeypatch):
    seen, chain = windows(wandering, 2, 3), Markov().fit(wandering)
    whole = score(chain, seen)
    monkeypatch.setattr("dtenv.forecasting.metrics.ROWS", 7)
    for a, b in zip(score(chain, seen), whole, strict=True):
        np.testing.assert_allclose(a, b)


def test_nobody_moves():
    found = score(Persistence().fit(traces_of([1] * 9)), windows(traces_of([1] * 9), 2, 2))
    assert np.isnan(found.moves).all() and np.isnan(found.destination).all()
    np.testing.assert_array_equal(found.accuracy, 1.0)


# Traces and windows


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cell": np.array([0, 1, 2])}, r"cell must lie in 0\.\.1, got 2"),
        ({"cell": np.array([0.0, 1.0, 1.0])}, "cell must hold 3 integers, got float64"),
        ({"user": np.array([0, 0, 1])}, r"user must lie in 0\.\.0, got 1"),
        ({"user": np.array([0, 0])}, r"user must hold 3 integers, got .* of shape \(2,\)"),
        ({"time_s": np.array([0.0, 2.0, 2.0])}, "time_s must grow within a stretch"),
        ({"time_s": np.array([0.0, np.nan, 2.0])}, "time_s must hold finite numbers"),
        ({"stretch": np.array([1, 0, 0])}, "sorted by user and stretch"),
        (
            {"user": np.array([0, 0, 1]), "num_users": 2, "stretch": np.zeros(3, int)},
            "a stretch must belong to one user",
        ),
        ({"time_s": np.arange(3.0), "slot_seconds": 0.0}, "slot_seconds must be positive, got 0.0"),
    ],
)
def test_bad_traces_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        traces_of([0, 1, 1], **changes)


def test_windows_by_hand():
    traces = traces_of([0, 1, 2, 3, 4], [5, 6, 7])
    seen = windows(traces, 2, 1)
    np.testing.assert_array_equal(seen.history.cell, [[0, 1], [1, 2], [2, 3], [5, 6]])
    np.testing.assert_array_equal(seen.target, [[2], [3], [4], [7]])
    np.testing.assert_array_equal(seen.history.user, [0, 0, 0, 1])
    np.testing.assert_array_equal(seen.history.time_s[0], [0.0, 3600.0])
    np.testing.assert_array_equal(seen.time_s, [[7200.0], [10800.0], [14400.0], [7200.0]])
    later = later_part(traces, 0.6)
    np.testing.assert_array_equal(later, [0, 0, 0, 1, 1, 0, 0, 1])
    np.testing.assert_array_equal(windows(traces, 2, 1, later).target, [[3], [4], [7]])
    np.testing.assert_array_equal(windows(traces, 2, 2, later).target, [[3, 4]])
    np.testing.assert_array_equal(windows(traces, 2, 1, ~later).target, [[2]])
    with pytest.raises(ValueError, match="no stretch of the traces holds length=4 steps and horizon=2"):
        windows(traces, 4, 2)
    with pytest.raises(ValueError, match="horizon must be a positive integer, got 0"):
        windows(traces, 2, 0)
    with pytest.raises(ValueError, match=r"share must lie between 0 and 1, got 1\.0"):
        later_part(traces, 1.0)


def test_parts_break_where_steps_are_left_out():
    traces = traces_of([0, 1, 2, 3], [0, 1])
    part = traces.part(np.array([True, False, True, True, True, True]))
    np.testing.assert_array_equal(part.follows(), [False, True, False, True])
    own = traces.of_users([1])
    assert own.num_users == 1
    np.testing.assert_array_equal(own.user, [0, 0])


# Recorded walks


@pytest.fixture
def walks(tmp_path):
    def read(text, name="walks.csv"):
        (tmp_path / name).write_text(text)
        return read_trace(tmp_path / name)

    return read


def test_walks_are_served_by_the_nearest_site(walks):
    # The square is laid around the median place, x = 200: sites stand at x = 100, 200, 300.
    text = "trace,time_s,x_m,y_m\n" + "".join(f"a,{10 * k},{x},0\n" for k, x in enumerate((100, 200, 300, 200, 240)))
    sites = np.array([[-100.0, 0.0], [0.0, 0.0], [100.0, 0.0]])
    traces = cells_of_walks(walks(text), sites, slot_seconds=5.0)
    np.testing.assert_array_equal(traces.cell, [0, 0, 1, 1, 2, 1, 1, 1, 1])  # half-way, the first of two
    np.testing.assert_array_equal(traces.time_s, 5.0 * np.arange(9))
    assert traces.num_users == 1 and traces.slot_seconds == 5.0
    records = cells_of_walks(walks(text), sites)
    np.testing.assert_array_equal(records.cell, [0, 1, 2, 1])
    np.testing.assert_array_equal(records.time_s, [0, 10, 20, 30])
    assert records.follows().all()
    with pytest.raises(ValueError, match="need sites"):
        cells_of_walks(walks(text))
    with pytest.raises(ValueError, match="slot_seconds must be positive, got -1"):
        cells_of_walks(walks(text), sites, slot_seconds=-1)
    with pytest.raises(ValueError, match=r"sites must be \(cells, 2\) finite metres, got shape \(3,\)"):
        cells_of_walks(walks(text), sites[0].repeat(2)[:3])


def test_walks_break_where_they_leave_the_sites(walks):
    text = "trace,time_s,x_m,y_m\n" + "".join(f"a,{k},{x},0\n" for k, x in enumerate((0, 0, 0, 90, 500, 0, 0)))
    traces = cells_of_walks(walks(text), np.array([[-100.0, 0.0], [100.0, 0.0]]), slot_seconds=1.0)
    np.testing.assert_array_equal(traces.follows(), [True, True, True, False, True])


def test_users_who_stand_still_are_refused(walks):
    with pytest.raises(ValueError, match="users stand still"):
        cells_of_walks(walks("x_m,y_m\n1,2\n3,4\n"), np.eye(2))


def test_sessions_are_records_at_their_own_stations(walks):
    head = "month,date,start time,end time,latitude,longitude,user id\n"
    rows = [("10:00", "10:10", 31.2), ("10:30", "10:40", 31.3), ("12:00", "12:05", 31.2)]
    text = head + "".join(f"201406,1,2014-06-01 {a},2014-06-01 {b},{lat},121.4,ab\n" for a, b, lat in rows)
    traces = cells_of_walks(walks(text))
    np.testing.assert_array_equal(traces.cell, [0, 1, 0])
    np.testing.assert_array_equal(traces.time_s % 86400 / 3600, [10.0, 10.5, 12.0])
    assert traces.slot_seconds is None and traces.step_seconds == 3600.0
    slots = cells_of_walks(walks(text), slot_seconds=1800.0)
    np.testing.assert_array_equal(slots.cell, [0, 1, 1, 1, 0])
    np.testing.assert_array_equal(slots.time_s % 86400 / 3600, [10.0, 10.5, 11.0, 11.5, 12.0])


def test_hexagonal_sites_are_apart_by_their_spacing():
    xy = hexagonal_sites(1000.0, 200.0)
    apart = np.hypot(*(xy[:, None] - xy).transpose(2, 0, 1)) + 1e9 * np.eye(len(xy))
    np.testing.assert_allclose(apart.min(axis=1), 200.0)
    assert np.abs(xy).max() <= 500.0
    assert len(xy) == pytest.approx(1000.0**2 / (200.0**2 * np.sqrt(0.75)), rel=0.2)
    np.testing.assert_array_equal(nearest_sites(xy + 1.0, xy), np.arange(len(xy)))
    with pytest.raises(ValueError, match="spacing_m must be positive, got 0"):
        hexagonal_sites(1000.0, 0)
    with pytest.raises(ValueError, match="spacing_m must leave two sites in side_m=10, got 200"):
        hexagonal_sites(10.0, 200.0)


@pytest.mark.skipif(not (MELBOURNE.exists() and KAIST.exists()), reason="real data absent")
def test_kaist_walkers_under_melbourne_sites():
    traces = cells_of_walks(read_trace(KAIST), read_sites(MELBOURNE), slot_seconds=30.0)
    assert traces.num_users == 92 and traces.num_cells == 125
    assert len(traces.cell) > 50_000
    later = later_part(traces)
    found = score(Markov(per_user=False).fit(traces.part(~later)), windows(traces, 16, 20, later))
    assert 0.8 < found.accuracy[0] < 1.0
    assert found.moved[0] < found.moved[19]
