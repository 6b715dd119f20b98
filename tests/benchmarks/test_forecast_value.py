"""The forecast-value benchmark: scored episodes are held out, rows resume, tables add up."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest
from paths import SHARED

from benchmarks.forecast_value import cases
from benchmarks.forecast_value.command import CASES, ForecastValue, main, read
from benchmarks.forecast_value.forecasters import NOISE, CachedForecaster, accuracy, networks, table_or_oracle
from benchmarks.forecast_value.tables import Scores, draw, tables
from benchmarks.suites.suite import HELD_OUT
from dtenv.forecasting.oracles import AccessOracle, NoisyOracle
from dtenv.oracle import episode_bound

DATA = SHARED / "data"
SITES, TRACE = DATA / "eua/site-optus-melbCBD.csv", DATA / "kaist/kaist_30s.csv.gz"
ABSENT = [path.name for path in (SITES, TRACE) if not path.exists()]


@cache
def habits():
    return cases.habits(users=20, days=42)


@pytest.fixture(autouse=True, scope="module")
def few_episodes():
    """Forecasters are fitted to few episodes here."""
    was, cases.FITTED = cases.FITTED, 3
    yield
    cases.FITTED = was


# Cases


def test_seeds_of_what_is_scored_are_none_that_forecasters_are_fitted_to():
    assert not set(HELD_OUT[:1000]) & set(cases.TUNING_SEEDS)


def test_habits_are_scored_in_weeks_after_those_that_anything_is_fitted_to():
    case = habits()
    seen = cases.exogenous_episodes(case.scored, HELD_OUT[:6])
    earliest = min(case.known(episode)[1].min() for episode in seen)
    assert case.traces.time_s.max() < earliest
    assert case.traces.num_users == 20
    for episode in seen:  # at midnight, hour by hour
        user, time_s = case.known(episode)
        assert 0 <= user[0] < 20 and time_s[0, 0] % 86400.0 == 0.0
        assert (np.diff(time_s[:, 0]) == 3600.0).all()
    # The same users: most nights they are where the traces have them at night.
    at_night = case.traces.time_s % 86400.0 < 4 * 3600.0
    alike = 0
    for episode in seen:
        (user,), time_s = case.known(episode)
        own = case.traces.cell[at_night & (case.traces.user == user)]
        now = cases.nearest_sites(episode.station_xy, case.site_xy)[episode.access[:, 0]][
            time_s[:, 0] % 86400.0 < 14400.0
        ]
        alike += np.bincount(own, minlength=11).argmax() == np.bincount(now, minlength=11).argmax()
    assert alike >= 5


def test_prices_are_of_slots_or_of_seconds():
    preset = cases.presets.resolve("balanced", cases.ENV_ID).objective.kappa
    assert cases.price_of(10.0, None) == {"kappa": preset}
    assert cases.price_of(10.0, 0.3)["kappa"] == pytest.approx(3.0 * preset)
    assert cases.habits(None, users=20, days=42).scored.objective.kappa == preset


@pytest.mark.skipif(bool(ABSENT), reason=f"real data absent: {', '.join(ABSENT)}")
def test_walkers_who_are_scored_are_none_that_anything_is_fitted_to():
    case = cases.kaist(SITES, TRACE, 10.0, 300.0, 1400.0)
    training, scored = (s.mobility.recording for s in (case.training, case.scored))
    assert np.array_equal(training.site_xy, scored.site_xy)
    walks = training.provenance["walks"], scored.provenance["walks"]
    assert walks[0] > walks[1] > 20
    seen = {tuple(place) for place in np.round(training.walk_xy, 6)}
    shared = np.mean([tuple(place) in seen for place in np.round(scored.walk_xy, 6)])
    assert shared < 0.01  # places, to a micrometre
    clusters = {case.cluster(episode) for episode in cases.exogenous_episodes(case.scored, HELD_OUT[:20])}
    assert 5 < len(clusters) < 20
    apart = np.hypot(*(case.site_xy[:, None] - case.site_xy[None]).transpose(2, 0, 1))
    assert apart[~np.eye(len(apart), dtype=bool)].min() >= 299.0


# Forecasters


def test_forecasters_are_asked_once_an_episode():
    class Counts(AccessOracle):
        asked = 0

        def stations(self, unfolded, horizon):
            self.asked += 1
            return super().stations(unfolded, horizon)

    one, two = cases.exogenous_episodes(habits().scored, [1, 2])
    counts = Counts()
    kept = CachedForecaster(counts, most=2)
    first = kept.stations(one, 5)
    assert kept.stations(one, 5) is first and counts.asked == 1
    kept.stations(two, 5)
    assert counts.asked == 2 and not np.array_equal(kept.stations(two, 5), first)
    foresight = table_or_oracle(habits(), "oracle: all").forecaster.served()
    assert foresight.channel and foresight.load and isinstance(foresight.forecast, CachedForecaster)


def test_accuracy_is_that_of_the_noise():
    episodes = cases.exogenous_episodes(habits().scored, range(20))
    shares = accuracy(NoisyOracle(p=0.2), episodes, (1, 20))
    assert shares["accuracy"] == pytest.approx([0.8, 0.8], abs=0.03)
    assert shares["accuracy_moves"] == pytest.approx([0.8, 0.8], abs=0.06)
    assert accuracy(AccessOracle(), episodes, (1, 20)) == {"accuracy": [1.0, 1.0], "accuracy_moves": [1.0, 1.0]}
    nothing = table_or_oracle(habits(), "none").forecaster
    assert accuracy(nothing, episodes, (1,)) == {"accuracy": [None], "accuracy_moves": [None]}


@pytest.mark.slow
def test_private_federations_say_what_they_cost():
    pytest.importorskip("torch")
    found = list(networks(habits(), "private", 1, None))
    assert [made.name for made in found] == ["federated w, ε = 8", "federated v, ε = 8"]
    assert all(made.epsilon[0] == pytest.approx(8.0) and made.epsilon[1] > 100.0 for made in found)
    (episode,) = cases.exogenous_episodes(habits().scored, [1])
    w, v = (made.forecaster.stations(episode, 20) for made in found)
    assert w.sum(-1) == pytest.approx(1.0, abs=1e-5) and not np.allclose(w, v)


# Rows, tables and picture

QUICK = {
    "cases": ("habits-seconds",),
    "episodes": 3,
    "horizons": (1, 4),
    "forecasters": ("none", "oracle: all"),
    "networks": (),
    "learners": (),
}


def test_rows_are_those_of_the_episodes_and_a_second_run_adds_none(tmp_path, capsys):
    settings = ForecastValue(**QUICK, out=tmp_path)
    main(settings)
    before = (tmp_path / "rows.jsonl").read_text()
    rows = read(tmp_path / "rows.jsonl")
    assert [row["agent"] for row in rows].count("planner") == 4
    scenario = cases.habits(None).scored
    bounds = [episode_bound(cases.ENV_ID, scenario, seed).bound for seed in HELD_OUT[:3]]
    (bound,) = (row for row in rows if row["agent"] == "bound")
    assert bound["scores"] == pytest.approx(bounds, abs=1e-5)
    for row in rows:
        assert (np.array(row["scores"]) <= np.array(bounds) + 2e-5).all()
    main(settings)
    assert (tmp_path / "rows.jsonl").read_text() == before
    (about,) = json.loads((tmp_path / "manifest.json").read_text())["runs"]
    assert about["settings"]["out"] == tmp_path.name and about["command"] == "python -m benchmarks forecast-value"
    assert "| oracle: all |" in (tmp_path / "table.md").read_text() and "| none |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cases": ("moon",)}, r"cases\[0\] must be one of waypoint, kaist"),
        ({"cases": ("waypoint", "kaist")}, r"sites must be a file where cases\[1\] is 'kaist', got None"),
        ({"forecasters": ("none", "prophet")}, r"forecasters\[1\] must be one of none, .*got 'prophet'"),
        ({"networks": ("gpt",)}, r"networks\[0\] must be one of trs-pre"),
        ({"learners": ("x",)}, r"learners\[0\] must be one of .*got 'x'"),
        ({"horizons": (21,)}, r"horizons\[0\] must be one of 1, 2"),
        ({"episodes": 1}, "episodes must be at least 2 and seeds 1, got 1"),
    ],
)
def test_settings_are_checked_before_anything_is_run(changes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        main(ForecastValue(**(QUICK | changes), out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def row(agent, scores, forecaster=None, horizon=None, seed=None, **more):
    base = {"case": "waypoint", "title": "t", "agent": agent, "forecaster": forecaster, "horizon": horizon}
    return base | {"seed": seed, "scores": scores} | more


TOLD = {"accuracy": [0.5, None, 0.5, 0.5], "accuracy_moves": [None] * 4, "epsilon": [None, None]}
MADE = [
    row("never", [0.0, 0.2, 0.4, 0.2], clusters=[0, 0, 1, 2]),
    row("bound", [1.0, 1.2, 1.4, 0.2]),
    row("planner", [0.5, 0.7, 0.9, 0.2], "constant velocity", 15, **TOLD),
    row("planner", [1.0, 1.2, 1.4, 0.2], "oracle: all", 15, **TOLD),
    row("planner", [0.0, 0.2, 0.4, 0.2], "trs-pre", 15, 1, **TOLD),
    row("planner", [0.2, 0.4, 0.6, 0.2], "trs-pre", 15, 2, **(TOLD | {"epsilon": [8.0, 696.3]})),
    row("learner", [0.1, 0.2, 0.4, 0.2], "none", 20, 1, steps=10),
    row("learner", [0.2, 0.2, 0.4, 0.2], "none", 20, 2, steps=10),
    row("learner", [0.3, 0.2, 0.4, 0.2], "oracle: all", 20, 1, steps=10),
    row("learner", [0.4, 0.2, 0.4, 0.2], "oracle: all", 20, 2, steps=10),
]


def test_shares_and_differences_by_hand():
    scores = Scores(MADE)
    assert scores.clusters == 3
    share = scores.share(scores.of("planner", "constant velocity", 15))
    assert share.mean == pytest.approx(0.5) and share.low == pytest.approx(0.5) and share.high == pytest.approx(0.5)
    assert scores.share(scores.of("planner", "oracle: all", 15)).mean == pytest.approx(1.0)
    assert scores.of("planner", "trs-pre", 15).shape == (2, 4)
    assert scores.share(scores.of("planner", "trs-pre", 15)).mean == pytest.approx(0.1)
    learned = scores.of("learner", "oracle: all", 20) - scores.of("learner", "none", 20)
    assert scores.mean(learned).mean == pytest.approx(0.05)
    # Episodes of one walk are resampled together: never apart, so less is certain.
    apart = Scores([MADE[0] | {"clusters": [0, 1, 2, 3]}, *MADE[1:]])
    whole, single = (s.mean(s.never) for s in (scores, apart))
    assert whole.mean == pytest.approx(single.mean)


def test_tables_name_what_was_measured(tmp_path):
    text = tables(MADE)
    assert "4 held-out episodes, intervals 95 % over 3 walks or users." in text
    assert "| trs-pre (2 trainings) | 0.50, 0.50, 0.50 | -, -, - | 0.100 |" in text
    assert "broadcasts ε = 8, uploads against the server ε = 696" in text
    assert "| oracle: all | 2 | 0.2875" in text
    assert "Scores in pairs" not in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.count("|") == lines[0].count("|") for line in lines[:5])
    more = [*MADE, row("planner", [0.1, 0.3, 0.5, 0.2], "federated v", 15, 1, **TOLD)]
    more.append(row("planner", [0.0, 0.2, 0.4, 0.2], "local only", 15, 1, **TOLD))
    assert "- federated v minus local only: +0.0750" in tables(more)
    draw(tmp_path / "p.png", MADE)
    assert (tmp_path / "p.png").stat().st_size > 10_000


def test_of_rows_that_two_runs_made_the_first_counts(tmp_path):
    path = tmp_path / "rows.jsonl"
    assert read(path) == []
    path.write_text("".join(json.dumps(r) + "\n" for r in (MADE[1], MADE[0], MADE[1] | {"scores": [9.0]})))
    assert read(path) == [MADE[1], MADE[0]]
    assert set(CASES) >= {"waypoint", "kaist", "habits"} and NOISE == (0.1, 0.2, 0.5)
