"""Comparison with Table I of (Khan 2022): episodes, scalars and verdicts on orders."""

from __future__ import annotations

import csv
import io
import json
import re

import numpy as np
import pytest
from paths import RESULTS, ROOT

from benchmarks.deployment import command as deployment
from benchmarks.deployment.claims import AGREES, CLAIMS, CONTRADICTS, MODES, OPEN, Claim, verdict, verdicts
from benchmarks.deployment.episodes import begun, busiest, play, scenario_of
from benchmarks.deployment.page import crossing
from dtenv.reporting.compressed import read_text

SEEDS = range(3)


def test_all_modes_play_the_same_users_on_the_same_stations():
    tasks = [begun(scenario_of(mode, 20, num_slots=8), SEEDS) for mode in MODES]
    for task in tasks[1:]:
        assert np.array_equal(task.tape.user_xy, tasks[0].tape.user_xy)
        assert np.array_equal(task.tape.station_xy[:, :10], tasks[0].tape.station_xy)
        assert np.array_equal(task.course.access, tasks[0].course.access)


def test_hosts_of_each_deployment():
    found = {mode: play(mode, SEEDS, users=20, num_slots=10) for mode in MODES}
    assert (found["edge"]["in_cloud"] == 0).all() and (found["cloud"]["in_cloud"] == 1).all()
    assert (found["edge-cloud"]["in_cloud"] == 0.5).all()  # stations have seats for half, all of them better
    assert (found["cloud"]["hosts"] == 1).all() and (found["cloud"]["moves_per_minute"] == 0).all()
    for values in found.values():
        assert (values["served"] == 1).all() and (values["latency"] > 0).all()


def test_latency_of_the_cloud_is_a_summand():
    near, far = (play("cloud", SEEDS, users=20, num_slots=6, cloud_latency_s=s)["latency"] for s in (0.0, 0.03))
    np.testing.assert_allclose(far - near, 0.03, atol=1e-12)


def test_a_failure_stops_only_the_twins_on_the_server():
    settings = {"users": 20, "num_slots": 12, "slot_seconds": 10.0}
    cloud = play("cloud", SEEDS, outage="cloud", **settings)
    assert (cloud["served"] == 0).all() and (cloud["service"] == 0).all()
    stuck = play("edge", SEEDS, outage="host", background="never", **settings)
    led = begun(scenario_of("edge", 20, num_slots=12, slot_seconds=10.0, background="never"), SEEDS)
    k = busiest(led, 5, "host")
    share = [(led.course.background[b, 5, 1:] == k[b]).mean() for b in range(3)]
    np.testing.assert_allclose(stuck["served"], 1 - np.array(share))
    fled = play("edge", SEEDS, outage="host", **settings)
    whole = play("edge", SEEDS, outage="nothing", **settings)
    assert (fled["served"] == 1).all() and (fled["service"] < whole["service"]).mean() > 0.5
    assert (whole["served"] == 1).all()


CLAIM = Claim("Latency", ("Low", "Medium", "High"), "latency", "seconds")


def test_orders_are_confirmed_contradicted_or_left_open():
    rng = np.random.default_rng(0)
    noise = rng.normal(0.0, 0.1, (3, 30))
    for means, expected in (
        ((1.0, 2.0, 3.0), [AGREES] * 3),
        ((1.0, 1.0, 3.0), [OPEN, AGREES, AGREES]),
        ((3.0, 2.0, 1.0), [CONTRADICTS] * 3),
        ((2.0, 1.0, 3.0), [CONTRADICTS, AGREES, AGREES]),
    ):
        values = dict(zip(MODES, np.array(means)[:, None] + noise - noise.mean(axis=1, keepdims=True), strict=True))
        assert list(verdicts(CLAIM, values).values()) == expected
        answer = CONTRADICTS if CONTRADICTS in expected else OPEN if OPEN in expected else AGREES
        assert verdict(CLAIM, values) == answer
    assert verdict(CLAIM, None) == OPEN


def test_all_rows_of_the_paper_are_there_and_those_without_a_scalar_give_the_reason():
    rows = list(dict.fromkeys(claim.row for claim in CLAIMS))
    names = "Scalability, Latency, Geo-distribution, Elasticity, Context-awareness, Mobility support, Robustness"
    assert ", ".join(rows) == names
    assert all(claim.measure or "no honest scalar" in claim.about for claim in CLAIMS)


def test_where_curves_cross():
    lines = [
        {"parameter": "p", "measure": "m", "mode": mode, "value": x, "mean": mean}
        for mode, means in (("edge", (2.0, 2.0, 2.0)), ("cloud", (8.0, 4.0, 1.0)))
        for x, mean in zip((1.0, 10.0, 100.0), means, strict=True)
    ]
    assert crossing(lines, "p", "m") == pytest.approx(10 ** (1 + 2 / 3))
    assert crossing(lines[:5], "p", "m") is None


def test_one_command_writes_page_rows_and_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(deployment, "VARIATIONS", {"moves for free": {"kappa": 0.0}})
    for name in ("LATENCIES_S", "COMPUTING_HZ", "SEATS"):
        monkeypatch.setattr(deployment, name, getattr(deployment, name)[-2:])
    monkeypatch.setattr(deployment, "USERS", (10, 20))
    deployment.main(deployment.DeploymentStudy(seeds=2, episodes=2, varied=2, slots=6, out=tmp_path))
    text = (tmp_path / "table.md").read_text()
    assert text.strip() in capsys.readouterr().out
    assert "| Elasticity | none | (High) | (High) | (Low) | cannot tell |" in text
    assert "| moves for free |" in text and "cloud_latency_s` =" in text
    with (tmp_path / "rows.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["mode"] for row in rows} == set(MODES) and {row["group"] for row in rows} == {"0", "1"}
    assert (tmp_path / "deployment.png").stat().st_size > 10_000
    assert len(json.loads((tmp_path / "manifest.json").read_text())["scenario"]) == 3


def test_the_page_runs_and_agrees_with_the_committed_table():
    page = (ROOT / "docs/deployment.md").read_text()
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(compile(block, "docs/deployment.md", "exec"), {})
    rows = list(csv.DictReader(io.StringIO(read_text(RESULTS / "deployment/rows.csv"), newline="")))

    def mean(mode, name, **where):
        own = [float(row[name]) for row in rows if row["mode"] == mode and all(row[k] == v for k, v in where.items())]
        assert len(own) == 50
        return np.mean(own)

    usual = {"users": "50", "outage": "", "speed": ""}
    latency = ", ".join(f"{1e3 * mean(mode, 'latency', **usual):.1f}" for mode in MODES)
    assert f"| {latency} ms |" in page
    driving = (mean(mode, "objective", outage="", speed="15.0") for mode in MODES)
    assert "utility of a driver " + ", ".join(f"{value:.3f}".lstrip("0") for value in driving) in page
    slopes = []
    for mode in MODES:
        by_users = [mean(mode, "latency", users=str(n), outage="", speed="") for n in deployment.USERS]
        slopes.append(f"{1e4 * np.polyfit(deployment.USERS, by_users, 1)[0]:.2f}")
    assert f"cost {', '.join(slopes)} ms" in page
    for link in re.findall(r"\]\((\.\./benchmarks/results/.*?)\)", page):
        assert (ROOT / "docs" / link).exists()
